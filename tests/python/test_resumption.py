"""Sessions that outlive their client, from Python and on the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import quicpro as package
from conftest import Quicpro
from live import Live, Starter


@pytest.fixture
def server(start: Starter) -> Live:
    return start(config=package.Config(early_data=True))


def visit(server: Live, certs: Path, **options: object) -> package.Response:
    config = package.Config(**options)
    with package.Client(cafile=certs / "ca.pem", config=config, timeout=30) as client:
        return client.get(server.url("/"))


def test_blocking_client(server: Live, certs: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "sessions")
    seen = []
    for early in (True, True, False, True):
        answer = visit(server, certs, session_file=path, early_data=early)
        assert answer.status == 200 and answer.connection is not None
        seen.append((answer.connection.resumed, answer.connection.early_data))
    assert seen == [(False, "none"), (True, "accepted"), (True, "none"), (True, "accepted")]
    assert (tmp_path / "sessions").stat().st_mode & 0o777 == 0o600


def test_asyncio_client(server: Live, certs: Path, tmp_path: Path) -> None:
    config = package.Config(session_file=str(tmp_path / "sessions"), early_data=True)

    async def visit() -> package.ConnectionInfo:
        async with package.AsyncClient(cafile=certs / "ca.pem", config=config) as client:
            answer = await client.get(server.url("/"))
            assert answer.status == 200 and answer.connection is not None
            return answer.connection

    assert not asyncio.run(visit()).resumed
    info = asyncio.run(visit())
    assert (info.resumed, info.early_data) == (True, "accepted")


def test_off_by_default(server: Live, certs: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "sessions")
    visit(server, certs, session_file=path)
    answer = visit(server, certs, session_file=path)
    assert answer.connection is not None
    assert (answer.connection.resumed, answer.connection.early_data) == (True, "none")
    answer = visit(server, certs, session_file=path, session_tickets=False)
    assert answer.connection is not None and not answer.connection.resumed


def test_command_line(server: Live, certs: Path, tmp_path: Path, quicpro: Quicpro) -> None:
    path = tmp_path / "sessions"
    args = ("get", "--cacert", certs / "ca.pem", "--option", f"session_file={path}")
    for _ in range(2):
        done = quicpro(*args, server.url("/"))
        assert (done.returncode, done.stderr) == (0, b"")
    path.chmod(0o644)
    done = quicpro(*args, server.url("/"))
    said = done.stderr.decode()
    assert done.returncode != 0
    assert said.count("\n") == 1 and "others may read or write it" in said and str(path) in said


def test_file_that_cannot_be_used(certs: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    for path, word in ((link, "a link"), (tmp_path / "none" / "s", "No such file")):
        with (
            pytest.raises(package.QuicproError, match=word),
            package.Client(cafile=certs / "ca.pem", config=package.Config(session_file=str(path))),
        ):
            package.Client(config=package.Config(session_file=str(path))).get("https://[::1]:1/")
    assert not (tmp_path / "elsewhere").exists()


def test_damaged_file_is_a_line_and_no_more(
    server: Live, certs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "sessions"
    path.write_text(json.dumps({"not": "ours"}))
    path.chmod(0o600)
    answer = visit(server, certs, session_file=str(path))
    assert answer.status == 200
    again = visit(server, certs, session_file=str(path))
    assert again.connection is not None and again.connection.resumed
