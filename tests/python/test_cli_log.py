"""quicpro.cli._log, and the other flags of `quicpro serve` that other servers have, too."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path

import pytest
from conftest import Quicpro, Spawn
from live import HERE, WAIT
from quicpro import Client
from test_cli_serve import one_line, serve

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"mine": {"format": "mine %(levelname)s %(message)s"}},
    "handlers": {"err": {"class": "logging.StreamHandler", "formatter": "mine"}},
    "root": {"level": "INFO", "handlers": ["err"]},
}
INI = """
[loggers]
keys=root
[handlers]
keys=err
[formatters]
keys=mine
[logger_root]
level=INFO
handlers=err
[handler_err]
class=StreamHandler
formatter=mine
[formatter_mine]
format=mine %(levelname)s %(message)s
"""


def flags(certs: Path) -> list[object]:
    return [
        "serve", "testapp:app", "--app-dir", HERE, "--bind", "127.0.0.1:0",
        "--certfile", certs / "cert.pem", "--keyfile", certs / "key.pem",
    ]  # fmt: skip


def test_log_level(spawn: Spawn, certs: Path) -> None:
    process, _ = serve(spawn, certs, "--log-level", "info")
    assert any("INFO quicpro: I/O backend" in line for line in process.errors)


@pytest.mark.parametrize(("name", "text"), [("a.json", json.dumps(LOGGING)), ("a.ini", INI)])
def test_log_config(spawn: Spawn, certs: Path, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    process, _ = serve(spawn, certs, "--log-config", tmp_path / name)
    assert any("mine INFO I/O backend" in line for line in process.errors)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.json", "{", "cannot be used: Expecting"),
        ("a.json", "{}", "a version"),
        ("a.json", json.dumps(LOGGING | {"handlers": {"x": {"class": "no.such"}}}), "'x'"),
        ("a.ini", "nothing", "cannot be used"),
        ("a.ini", None, "No such file"),
        ("a.json", None, "No such file"),
    ],
)
def test_bad_log_config(
    quicpro: Quicpro, certs: Path, tmp_path: Path, name: str, text: str | None, says: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    done = quicpro(*flags(certs), "--log-config", tmp_path / name)
    one_line(done, 3, says)


def test_access_log(spawn: Spawn, certs: Path) -> None:
    process, url = serve(spawn, certs, "--access-log")
    with Client(cafile=certs / "ca.pem") as client:
        client.get(url)
    assert process.wait_line('"GET / HTTP/3" 200 5 B')
    process, url = serve(spawn, certs, "--access-log", "--access-log-format", "json")
    with Client(cafile=certs / "ca.pem") as client:
        client.get(url + "/status/201")
    assert json.loads(process.wait_line("{").partition(": ")[2])["status"] == 201


def test_environment_from_a_file(
    spawn: Spawn, quicpro: Quicpro, certs: Path, tmp_path: Path
) -> None:
    pytest.importorskip("dotenv")
    (tmp_path / "env").write_text("# a comment\nWHO='the file'\nHOME=/nowhere\n")
    (tmp_path / "fromenv.py").write_text(
        f"import os, sys; sys.path.append({str(HERE)!r}); import testapp\n"
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'http':\n"
        "        text = os.environ['WHO'] + str(os.environ['HOME'] == '/nowhere')\n"
        "        await testapp.answer(send, text.encode())\n"
    )
    process = spawn(
        "serve", "fromenv:app", "--app-dir", tmp_path, "--bind", "127.0.0.1:0", "--env-file",
        tmp_path / "env", "--certfile", certs / "cert.pem", "--keyfile", certs / "key.pem",
    )  # fmt: skip
    url = process.wait_line("serving").split(" on ")[1].split()[0]
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(url).text == "the fileFalse"
    one_line(quicpro(*flags(certs), "--env-file", tmp_path / "none"), 3, "No such file")
    (tmp_path / "bad").write_text("NOTHING\n")
    one_line(quicpro(*flags(certs), "--env-file", tmp_path / "bad"), 3, "'NOTHING' has no value")
    (tmp_path / "bytes").write_bytes(b"A=\xff")
    one_line(quicpro(*flags(certs), "--env-file", tmp_path / "bytes"), 3, "is not text")


def test_limits(spawn: Spawn, certs: Path) -> None:
    process, url = serve(spawn, certs, "--limit-max-requests", 2, "--limit-concurrency", 5)
    with Client(cafile=certs / "ca.pem") as client:
        for _ in range(2):
            assert client.get(url).text == "hello"
    assert process.wait() == 0
    assert any("stopping" in line for line in process.errors)


def test_check(quicpro: Quicpro, certs: Path, tmp_path: Path) -> None:
    one_line(quicpro(*flags(certs), "--check"), 0, "testapp:app can be served")
    (tmp_path / "key.pem").write_text("nothing")
    done = quicpro(*flags(certs), "--check", "--keyfile", tmp_path / "key.pem")
    one_line(done, 3, "key.pem")


def test_factory(spawn: Spawn, quicpro: Quicpro, certs: Path, tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(
        f"import sys; sys.path.append({str(HERE)!r})\n"
        "import testapp\n"
        "def make(): return testapp.app\n"
        "def fail(): raise ValueError('no database')\n"
        "def nothing(): return None\n"
    )
    rest = ["--app-dir", tmp_path, *flags(certs)[4:], "--factory"]
    process = spawn("serve", "made:make", *map(str, rest))
    url = process.wait_line("serving").split(" on ")[1].split()[0]
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(url).text == "hello"
    one_line(quicpro("serve", "made:fail", *map(str, rest)), 3, "no database")
    one_line(quicpro("serve", "made:nothing", *map(str, rest)), 3, "is no application: None")


@pytest.mark.parametrize("trusted", ["127.0.0.1", "192.0.2.1"])
def test_proxies(spawn: Spawn, certs: Path, trusted: str) -> None:
    pytest.importorskip("uvicorn")
    flags = ("--proxy-headers", "--forwarded-allow-ips", trusted)
    _, url = serve(spawn, certs, *flags)
    fields = {"x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "http"}
    with Client(cafile=certs / "ca.pem") as client:
        scope = client.get(url + "/scope", headers=fields).json()
    context = ssl.create_default_context(cafile=certs / "ca.pem")
    port = int(url.rpartition(":")[2])
    conn = http.client.HTTPSConnection("127.0.0.1", port, timeout=WAIT, context=context)
    conn.request("GET", "/scope", headers=fields)
    for seen in (scope, json.loads(conn.getresponse().read())):
        shown = (seen["client"][0], seen["scheme"])
        expected = ("203.0.113.9", "http") if trusted == "127.0.0.1" else ("127.0.0.1", "https")
        assert shown == expected
    conn.close()


def test_wsgi(spawn: Spawn, certs: Path, tmp_path: Path) -> None:
    pytest.importorskip("a2wsgi")
    (tmp_path / "old.py").write_text(
        "def app(environ, start_response):\n"
        "    body = environ['wsgi.input'].read()\n"
        "    start_response('201 Created', [('content-type', 'text/plain')])\n"
        "    yield environ['REQUEST_METHOD'].encode() + environ['PATH_INFO'].encode()\n"
        "    yield b' ' + body[::-1]\n"
    )
    process = spawn(
        "serve", "old:app", "--interface", "wsgi", "--app-dir", tmp_path,
        *map(str, flags(certs)[4:]),
    )  # fmt: skip
    url = process.wait_line("serving").split(" on ")[1].split()[0]
    with Client(cafile=certs / "ca.pem") as client:
        answer = client.post(url + "/a", b"cba")
        assert (answer.status, answer.text) == (201, "POST/a abc")
    process.interrupt()
    assert process.wait() == 0
