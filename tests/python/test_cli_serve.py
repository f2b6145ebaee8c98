"""quicpro serve."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from conftest import Quicpro, Spawn
from live import HERE, Process
from quicpro import Client, StreamError


def serve(spawn: Spawn, certs: Path, *args: object) -> tuple[Process, str]:
    """A server of testapp, and its URL."""
    process = spawn(
        "serve", "testapp:app", "--app-dir", HERE, "--bind", "127.0.0.1:0",
        "--certfile", certs / "cert.pem", "--keyfile", certs / "key.pem", *args,
    )  # fmt: skip
    return process, process.wait_line("serving").split(" on ")[1].split()[0]


def one_line(done: subprocess.CompletedProcess[bytes], code: int, says: str) -> None:
    assert done.returncode == code, done.stderr
    text = done.stderr.decode()
    assert text.startswith("quicpro: ") and text.count("\n") == 1, text
    assert says.lower() in text.lower(), text


@pytest.mark.parametrize(
    ("loop", "tasks"), [("auto", "auto"), ("asyncio", "inline"), ("uvloop", "stock")]
)
def test_serves_and_ends_with_ctrl_c(spawn: Spawn, certs: Path, loop: str, tasks: str) -> None:
    process, url = serve(spawn, certs, "--loop", loop, "--tasks", tasks)
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(url).text == "hello"
    process.interrupt()
    assert process.wait() == 0
    assert any("stopping" in line for line in process.errors)


def test_makes_a_certificate_on_loopback(spawn: Spawn) -> None:
    process = spawn("serve", "testapp:app", "--app-dir", HERE, "--bind", "127.0.0.1:0")
    ca = Path(process.wait_line("temporary").split()[-1])
    url = process.wait_line("serving").split(" on ")[1].split()[0]
    with Client(cafile=ca) as client:
        assert client.get(url).status == 200
    process.interrupt()
    assert process.wait() == 0
    assert not ca.exists()


def copy_pair(source: Path, folder: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (folder / f"{name}.new").write_bytes((source / name).read_bytes())
        (folder / f"{name}.new").replace(folder / name)


def chain_of(url: str) -> bytes:
    with Client(verify=False) as client, client.stream("GET", url) as response:
        response.read()
        return response.peer_certificates[0]


def test_sighup_reloads_certificates(
    spawn: Spawn, certs: Path, other_certs: Path, tmp_path: Path
) -> None:
    copy_pair(certs, tmp_path)
    process, url = serve(spawn, tmp_path, "-v")
    before = chain_of(url)
    (tmp_path / "cert.pem").write_text("nothing")
    process.popen.send_signal(signal.SIGHUP)
    line = process.wait_line("not reloaded")
    assert "ERROR" in line and "the old ones stay" in line and "cert.pem" in line
    assert chain_of(url) == before
    copy_pair(other_certs, tmp_path)
    process.popen.send_signal(signal.SIGHUP)
    process.wait_line("certificates were reloaded")
    assert chain_of(url) != before
    process.interrupt()
    assert process.wait() == 0


def test_certificates_are_watched(
    spawn: Spawn, certs: Path, other_certs: Path, tmp_path: Path
) -> None:
    copy_pair(certs, tmp_path)
    process, url = serve(spawn, tmp_path, "-v", "--reload-certs", "0.01")
    before = chain_of(url)
    copy_pair(other_certs, tmp_path)
    process.wait_line("certificates were reloaded")
    assert chain_of(url) != before


def test_a_certificate_for_a_name(spawn: Spawn, certs: Path, other_certs: Path) -> None:
    pair = (other_certs / "cert.pem", other_certs / "key.pem")
    _, url = serve(spawn, certs, "--cert-for", "localhost", *pair)
    assert chain_of(url) != chain_of(url.replace("127.0.0.1", "localhost"))


def test_a_name_that_is_none(quicpro: Quicpro, certs: Path) -> None:
    pair = (certs / "cert.pem", certs / "key.pem")
    done = quicpro("serve", "testapp:app", "--bind", "127.0.0.1:0", "--cert-for", "1.2.3.4", *pair)
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 3 and "'1.2.3.4' is an address" in lines[-1], lines


def test_a_certificate_from_the_environment(spawn: Spawn, certs: Path) -> None:
    env = {
        **os.environ,
        "QUICPRO_CERT_DATA": (certs / "cert.pem").read_text(),
        "QUICPRO_KEY_DATA": (certs / "key.pem").read_text(),
    }
    args = ("serve", "testapp:app", "--app-dir", HERE, "--bind", "127.0.0.1:0")
    url = spawn(*args, env=env).wait_line("serving").split(" on ")[1].split()[0]
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(url).text == "hello"


def test_ctrl_c_lets_requests_finish(spawn: Spawn, certs: Path) -> None:
    process, url = serve(spawn, certs)
    with Client(cafile=certs / "ca.pem") as client:
        with client.stream("GET", url + "/bytes/30000000") as stream:
            process.interrupt()
            process.wait_line("stopping")
            assert len(stream.read()) == 30000000
    assert process.wait() == 0


def test_a_second_ctrl_c_does_not_wait(spawn: Spawn, certs: Path) -> None:
    process, url = serve(spawn, certs)
    with (
        Client(cafile=certs / "ca.pem") as client,
        client.stream("GET", url + "/forever") as stream,
    ):
        pieces = stream.iter_bytes()
        next(pieces)
        process.interrupt()
        process.wait_line("stopping")
        process.interrupt()
        assert process.wait() == 0
        with pytest.raises((StreamError, ConnectionError)):
            for _ in pieces:
                pass


def test_the_graceful_timeout_cuts_off(spawn: Spawn, certs: Path) -> None:
    process, url = serve(spawn, certs, "--graceful-timeout", "0.2")
    with (
        Client(cafile=certs / "ca.pem") as client,
        client.stream("GET", url + "/forever") as stream,
    ):
        next(stream.iter_bytes())
        process.interrupt()
        assert process.wait() == 0
    assert any("cut off" in line for line in process.errors)


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["nonsense"], 2, "is not MODULE:APP"),
        (["no_such_module:app"], 3, "no module 'no_such_module'"),
        (["testapp:nothing"], 3, "has no 'nothing'"),
        (["testapp:WAITING"], 3, "has no 'WAITING'"),
        (["testapp:PIECE"], 3, "cannot be called"),
        (["broken_app:app"], 3, "importing 'broken_app' failed"),
        (["testapp:app", "--bind", "nonsense"], 2, "is not HOST:PORT"),
        (["testapp:app", "--bind", "0.0.0.0:0"], 2, "devcert"),
        (["testapp:app", "--certfile", "x.pem"], 2, "belong together"),
        (["testapp:app", "-o", "max_idle_timeout_ms"], 2, "is not KEY=VALUE"),
        (["testapp:app", "-o", "max_idle_timeot_ms=1"], 2, "max_idle_timeout_ms"),
        (["testapp:app", "--certfile", "/nonexistent", "--keyfile", "/x"], 3, "/nonexistent"),
    ],
)
def test_what_cannot_start(
    quicpro: Quicpro, tmp_path: Path, args: list[str], code: int, says: str
) -> None:
    (tmp_path / "broken_app.py").write_text("raise ZeroDivisionError('broken')\n")
    (tmp_path / "testapp.py").write_text((HERE / "testapp.py").read_text())
    bind = [] if "--bind" in args else ["--bind", "127.0.0.1:0"]
    done = quicpro("serve", *args, *bind, "--app-dir", tmp_path)
    one_line(done, code, says)


def test_keys_that_do_not_match(quicpro: Quicpro, certs: Path, other_certs: Path) -> None:
    done = quicpro(
        "serve", "testapp:app", "--app-dir", HERE, "--bind", "127.0.0.1:0",
        "--certfile", certs / "cert.pem", "--keyfile", other_certs / "key.pem",
    )  # fmt: skip
    one_line(done, 3, "is not the key of")


def test_port_taken(quicpro: Quicpro, certs: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        done = quicpro(
            "serve", "testapp:app", "--app-dir", HERE, "--bind", f"127.0.0.1:{s.getsockname()[1]}",
            "--certfile", certs / "cert.pem", "--keyfile", certs / "key.pem",
        )  # fmt: skip
    one_line(done, 3, "in use")


def test_startup_that_fails(quicpro: Quicpro, certs: Path, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'lifespan'\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    done = quicpro(
        "serve", "failing:app", "--app-dir", tmp_path, "--bind", "127.0.0.1:0",
        "--certfile", certs / "cert.pem", "--keyfile", certs / "key.pem",
    )  # fmt: skip
    one_line(done, 3, "no database")


def test_help_has_an_example(quicpro: Quicpro) -> None:
    done = quicpro("serve", "--help")
    assert done.returncode == 0 and b"Example: quicpro serve" in done.stdout


@pytest.mark.parametrize(
    "args", [[], ["--no-such"], ["testapp:app", "--loop", "trio"], ["testapp:app", "-o", "gso=x"]]
)
def test_wrong_use(quicpro: Quicpro, args: list[str]) -> None:
    done = quicpro("serve", *args)
    assert done.returncode == 2 and done.stderr


@pytest.mark.parametrize(
    "source",
    ["def", "import no_such_module_either", "app = property(1)\napp()", "import sys\nsys.exit(4)"],
)
def test_modules_that_break(quicpro: Quicpro, tmp_path: Path, source: str) -> None:
    (tmp_path / "broken_app.py").write_text(source)
    done = quicpro("serve", "broken_app:app", "--app-dir", tmp_path, "--bind", "127.0.0.1:0")
    assert done.returncode in (3, 4) and b"internal error" not in done.stderr


def test_a_certificate_that_cannot_be_read(quicpro: Quicpro, certs: Path, tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    for cert in (tmp_path, tmp_path / "text.pem", tmp_path / "none.pem"):
        done = quicpro(
            "serve", "testapp:app", "--app-dir", HERE, "--bind", "127.0.0.1:0",
            "--certfile", cert, "--keyfile", certs / "key.pem",
        )  # fmt: skip
        one_line(done, 3, str(cert))


def test_an_idle_connection_does_not_hold_it_up(spawn: Spawn, certs: Path) -> None:
    process, url = serve(spawn, certs)
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(url).text == "hello"
        process.popen.terminate()
        assert process.wait() == 0


def test_errors_of_the_application_are_logged(spawn: Spawn, certs: Path) -> None:
    process, url = serve(spawn, certs)
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(url + "/silent").status == 500
        process.wait_line("GET /silent: the application returned without a complete response")
    process.interrupt()
    assert process.wait() == 0


def test_beyond_loopback_with_a_certificate(spawn: Spawn, certs: Path) -> None:
    process = spawn(
        "serve", "testapp:app", "--app-dir", HERE, "--bind", ":0", "--root-path", "/under",
        "--certfile", certs / "cert.pem", "--keyfile", certs / "key.pem",
    )  # fmt: skip
    url = process.wait_line("serving").split(" on ")[1].split()[0]
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(url + "/scope").json()["root_path"] == "/under"
    process.interrupt()
    assert process.wait() == 0


@pytest.mark.parametrize(
    "flags,tuned", [((), True), (("--tune-gc",), True), (("--no-tune-gc",), False)]
)
def test_garbage_collections_are_fewer(
    spawn: Spawn, certs: Path, flags: tuple[str, ...], tuned: bool
) -> None:
    process, url = serve(spawn, certs, *flags)
    with Client(cafile=certs / "ca.pem") as client:
        said = client.get(url + "/gc").json()
    assert (said["frozen"] > 1000) == tuned
    assert (said["threshold"] != list(gc.get_threshold())) == tuned
    process.interrupt()
    assert process.wait() == 0


def test_fields_for_every_response(spawn: Spawn, quicpro: Quicpro, certs: Path) -> None:
    flags = ("--header", "Server: ours", "--header", "x-b:c:d", "--no-date-header")
    _, url = serve(spawn, certs, *flags)
    with Client(cafile=certs / "ca.pem") as client:
        headers = client.get(url).headers
    assert (headers["server"], headers["x-b"]) == ("ours", "c:d") and "date" not in headers
    for wrong, says in (("nothing", b"is not NAME:VALUE"), ("a b: c", b"cannot be the name")):
        done = quicpro("serve", "testapp:app", "--header", wrong)
        assert done.returncode == 2 and says in done.stderr
