"""`quicpro get`."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest
from conftest import Quicpro, Spawn
from live import Live, Starter
from testapp import body_of


@pytest.fixture
def get(quicpro: Quicpro, certs: Path) -> Quicpro:
    """get(URL, ...) trusts our servers."""
    return lambda *args, **options: quicpro("get", "--cacert", certs / "ca.pem", *args, **options)


def one_line(done: subprocess.CompletedProcess[bytes]) -> str:
    """What the command has to say: one line on stderr."""
    text = done.stderr.decode()
    assert text.startswith("quicpro: ") and text.endswith("\n") and text.count("\n") == 1, text
    return text


def test_help_has_an_example(quicpro: Quicpro) -> None:
    done = quicpro("get", "--help")
    assert done.returncode == 0 and b"Example: quicpro get" in done.stdout


def test_body_to_stdout(server: Live, get: Quicpro) -> None:
    done = get(server.url("/bytes/3000000"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == body_of(3_000_000)


def test_body_to_a_file(server: Live, get: Quicpro, tmp_path: Path) -> None:
    for option in ("-o", "--output"):
        done = get(server.url("/bytes/100000"), option, tmp_path / "out")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert (tmp_path / "out").read_bytes() == body_of(100_000)


def test_verbose(server: Live, get: Quicpro) -> None:
    done = get(server.url(), "-v")
    assert (done.returncode, done.stdout) == (0, b"hello")
    for part in (b"* QUIC version 1, h3, ", b"< 200\n", b"< content-length: 5\n"):
        assert part in done.stderr


def test_request(server: Live, get: Quicpro) -> None:
    done = get(server.url("/scope"), "-H", "X-A: 1", "-H", "x-a:2", "-X", "DELETE")
    assert b'"method": "DELETE"' in done.stdout
    assert b'["x-a", "1"], ["x-a", "2"]' in done.stdout


def test_data(server: Live, get: Quicpro, tmp_path: Path) -> None:
    url = server.url("/echo")
    (tmp_path / "file").write_bytes(body_of(500_000))
    assert get(url, "-d", "some text").stdout == b"some text"
    assert get(url, "--data", f"@{tmp_path}/file").stdout == body_of(500_000)
    with open(tmp_path / "file", "rb") as file:
        assert get(url, "-d", "@-", stdin=file).stdout == body_of(500_000)
    assert b'"method": "POST"' in get(server.url("/scope"), "-d", "x").stdout
    length = b'["content-length", "500000"]'
    assert length in get(server.url("/scope"), "-d", f"@{tmp_path}/file").stdout


def test_data_of_a_pipe(server: Live, get: Quicpro, tmp_path: Path) -> None:
    """Nobody knows its length."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(b"through a pipe",))
    writer.start()
    done = get(server.url("/echo"), "-d", f"@{fifo}")
    writer.join()
    assert (done.returncode, done.stdout) == (0, b"through a pipe")


def test_insecure(start: Starter, other_certs: Path, quicpro: Quicpro) -> None:
    done = quicpro("get", "--insecure", start(certs=other_certs).url())
    assert (done.returncode, done.stdout) == (0, b"hello")


# Failures.


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_status_of_400_or_more(server: Live, get: Quicpro, status: int) -> None:
    done = get(server.url(f"/status/{status}"))
    assert (done.returncode, done.stdout) == (1, f"status {status}".encode())
    assert f"status {status}" in one_line(done)


@pytest.mark.parametrize(
    "args,says",
    [
        (["--no-such", "https://h/"], "no-such"),
        ([], "URL"),
        (["http://127.0.0.1/"], "use https://"),
        (["nonsense"], "is not a URL"),
        (["https://h/", "-H", "nonsense"], "is not a header"),
        (["https://h/", "--timeout", "0"], "timeout"),
        (["https://h/", "--data", "@/no/such/file"], "cannot read /no/such/file"),
    ],
)
def test_wrong_use(quicpro: Quicpro, args: list[str], says: str) -> None:
    done = quicpro("get", *args)
    assert (done.returncode, done.stdout) == (2, b"")
    assert says in done.stderr.decode()


def test_a_port_where_nothing_listens(get: Quicpro, closed_port: int) -> None:
    done = get(f"https://127.0.0.1:{closed_port}/")
    assert done.returncode == 1 and "refused" in one_line(done)


def test_an_unknown_host(get: Quicpro) -> None:
    done = get("https://no-such-host.invalid/")
    assert done.returncode == 1 and "no-such-host.invalid" in one_line(done)


def test_a_server_that_is_silent(get: Quicpro, silent_port: int) -> None:
    done = get(f"https://127.0.0.1:{silent_port}/", "--handshake-timeout", "0.1")
    assert done.returncode == 1 and "handshake" in one_line(done)


def test_a_response_that_takes_too_long(server: Live, get: Quicpro) -> None:
    done = get(server.url("/never"), "--timeout", "0.1")
    assert done.returncode == 1 and "no complete answer" in one_line(done)


def test_a_response_that_breaks_off(server: Live, get: Quicpro) -> None:
    done = get(server.url("/raise-late"))
    assert done.returncode == 1 and "H3_INTERNAL_ERROR" in one_line(done)


def test_certificates_that_are_not_accepted(
    server: Live, start: Starter, other_certs: Path, quicpro: Quicpro
) -> None:
    for args in (
        [server.url()],
        ["--cacert", other_certs / "ca.pem", start(certs=other_certs).url()],
    ):
        done = quicpro("get", *args)
        assert done.returncode == 1 and "certificate" in one_line(done)


def test_a_cacert_that_cannot_be_read(quicpro: Quicpro) -> None:
    done = quicpro("get", "--cacert", "/no/such/ca.pem", "https://127.0.0.1/")
    assert done.returncode == 1 and "/no/such/ca.pem" in one_line(done)


def test_a_field_that_http3_forbids(server: Live, get: Quicpro) -> None:
    done = get(server.url(), "-H", "connection: close")
    assert done.returncode == 1 and one_line(done)


def test_an_address_that_may_not_be_used(get: Quicpro) -> None:
    """The system's words, and not about the output."""
    done = get("https://255.255.255.255:9/")
    assert done.returncode == 1 and "cannot write" not in one_line(done)


def test_an_output_that_cannot_be_written(server: Live, get: Quicpro, tmp_path: Path) -> None:
    done = get(server.url(), "-o", tmp_path / "none" / "out")
    assert done.returncode == 1 and "cannot write" in one_line(done)
    for size in (5, 3_000_000):
        done = get(server.url(f"/bytes/{size}"), "-o", "/dev/full")
        assert done.returncode == 1
        assert "cannot write /dev/full: No space left" in one_line(done)


def test_stdout_that_is_full(server: Live, get: Quicpro) -> None:
    for size in (5, 3_000_000):
        with open("/dev/full", "wb") as full:
            done = get(server.url(f"/bytes/{size}"), stdout=full)
        assert done.returncode == 1 and "cannot write stdout: No space left" in one_line(done)


def test_stdout_that_nobody_reads(server: Live, get: Quicpro) -> None:
    """`quicpro get URL | head`: no traceback, no word."""
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:
        reader.wait()
        done = get(server.url("/forever"), stdout=reader.stdin)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("output", [False, True])
def test_interrupt(server: Live, spawn: Spawn, certs: Path, tmp_path: Path, output: bool) -> None:
    """Ctrl-C in the middle of a download."""
    args = ["-o", tmp_path / "out"] if output else []
    process = spawn("get", "-v", "--cacert", certs / "ca.pem", server.url("/forever"), *args)
    process.wait_line("< 200")
    if not output:
        assert process.popen.stdout.read(100_000)
        threading.Thread(target=process.popen.stdout.read).start()
    process.interrupt()
    assert process.wait() == 130
    last = [line for line in process.errors if line.startswith("quicpro: ")]
    assert last == [
        "quicpro: interrupted" + (f"; {tmp_path}/out holds what came until then" if output else "")
    ]


def test_interrupt_before_the_answer(server: Live, spawn: Spawn, certs: Path) -> None:
    process = spawn("get", "--cacert", certs / "ca.pem", server.url("/never"))
    while server.server.requests() == 0:
        assert process.popen.poll() is None
    process.interrupt()
    assert process.wait() == 130
    assert process.errors == ["quicpro: interrupted"]
