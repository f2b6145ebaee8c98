"""Clients of the matrix: each sends a list of requests at the same time on one connection."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import io
import json
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .procs import Process
from .servers import (
    ONLY_CHACHA20,
    Missing,
    Running,
    aioquic_peer,
    judge,
    ngtcp2,
    option_arguments,
    our_program,
)


@dataclass(frozen=True)
class Request:
    path: str = "/"
    method: str = "GET"
    body: bytes = b""


@dataclass(frozen=True)
class Response:
    status: int
    body: bytes

    def __repr__(self) -> str:  # bodies are megabytes
        digest = hashlib.sha256(self.body).hexdigest()[:12]
        return f"Response({self.status}, {len(self.body)} bytes, sha256 {digest})"


class Refused(Exception):
    """The client gave up; the text is what it had to say."""


@dataclass(frozen=True)
class Wish:
    """What a case wants of a judge; ours are told by `Setup.ours`."""

    chacha20: bool = False  # offer no other cipher
    key_update: bool = False  # in the midst of the connection
    first_version: int = 0  # offered before version 1
    resume: bool = False  # the session of the connection before, if there was one
    early: bool = False  # ... and send the requests as early data


NO_WISH = Wish()


@dataclass(frozen=True)
class Setup:
    """What all clients get."""

    server: Running
    ca: Path
    folder: Path  # for files of this test
    idle: float = 20.0
    seconds: float = 60.0
    wish: Wish = NO_WISH
    ours: dict[str, object] = field(default_factory=dict)  # options of our library
    said: list[str] = field(default_factory=list)  # what a judge says of the connection
    tickets: list[object] = field(
        default_factory=list
    )  # of aioquic; the connections of a case share

    def options(self) -> dict[str, object]:
        """Options of our library in all."""
        files = {
            key: str(self.folder.parent / str(value))
            for key, value in self.ours.items()
            if key.endswith("_file")
        }
        return {"max_idle_timeout_ms": round(self.idle * 1000), **self.ours, **files}


Client = Callable[[Setup, Sequence[Request]], list[Response]]


def quicpro_async(setup: Setup, requests: Sequence[Request]) -> list[Response]:
    import quicpro

    async def run() -> list[Response]:
        config = quicpro.Config(**setup.options())
        async with quicpro.AsyncClient(
            cafile=str(setup.ca), timeout=setup.seconds, config=config
        ) as client:
            answers = await asyncio.gather(
                *(
                    client.request(r.method, setup.server.url(r.path), body=r.body or None)
                    for r in requests
                )
            )
            if setup.wish.resume:  # what comes early may be answered before a ticket can be here
                for _ in range(3):
                    await client.get(setup.server.url("/"))
        return [Response(a.status, a.content) for a in answers]

    try:
        return asyncio.run(run())
    except quicpro.QuicproError as e:
        raise Refused(f"{type(e).__name__}: {e}") from e


def quicpro_sync(setup: Setup, requests: Sequence[Request]) -> list[Response]:
    """The blocking client, shared by a thread for each request."""
    import quicpro

    config = quicpro.Config(**setup.options())
    with quicpro.Client(cafile=str(setup.ca), timeout=setup.seconds, config=config) as client:

        def one(r: Request) -> Response:
            answer = client.request(r.method, setup.server.url(r.path), body=r.body or None)
            return Response(answer.status, answer.content)

        try:
            with ThreadPoolExecutor(max_workers=len(requests)) as pool:
                return list(pool.map(one, requests))
        except quicpro.QuicproError as e:
            raise Refused(f"{type(e).__name__}: {e}") from e


def h3_get(setup: Setup, requests: Sequence[Request]) -> list[Response]:
    """One process and connection for each request: it knows no more than one."""

    def one(index_and_request: tuple[int, Request]) -> Response:
        index, r = index_and_request
        args = [
            our_program("h3_get"), "--cacert", str(setup.ca), "-X", r.method,
            *option_arguments(setup.options()),
        ]  # fmt: skip
        if r.body:
            path = setup.folder / f"body{index}"
            path.write_bytes(r.body)
            args += ["-d", f"@{path}"]
        done = subprocess.run(
            [*args, setup.server.url(r.path)], capture_output=True, timeout=setup.seconds
        )
        said = done.stderr.decode().strip()
        if done.returncode != 0:
            status = re.search(r"status (\d+)", said)
            if status is None:
                raise Refused(said)
            return Response(int(status[1]), done.stdout)
        return Response(200, done.stdout)

    with ThreadPoolExecutor(max_workers=min(4, len(requests))) as pool:
        return list(pool.map(one, enumerate(requests)))


def aioquic(setup: Setup, requests: Sequence[Request]) -> list[Response]:
    peer = aioquic_peer()

    wish = setup.wish

    async def run() -> list[Response]:
        async with (
            asyncio_timeout(setup.seconds),
            peer.client(
                setup.server.port,
                str(setup.ca),
                host=setup.server.host,
                idle=setup.idle,
                chacha20=wish.chacha20,
                versions=[wish.first_version, 1] if wish.first_version else None,
                ticket=setup.tickets[-1] if wish.resume and setup.tickets else None,
                wait=not wish.early or not setup.tickets,
            ) as client,
        ):
            answers = []
            if wish.key_update:
                for r in requests:
                    answers.append(await client.request(r.method, r.path, r.body))
                    setup.said.append(f"key phase {client.key_phase()}")
                    client.update_keys()
            else:
                answers += await asyncio.gather(
                    *(client.request(r.method, r.path, r.body) for r in requests)
                )
            if wish.resume:
                setup.tickets.append(await client.next_ticket())
            setup.said.extend(client.facts)
        return [Response(a.status, a.body) for a in answers]

    try:
        return asyncio.run(run())
    except (ConnectionError, TimeoutError) as e:
        raise Refused(f"{type(e).__name__}: {e}") from e
    except (peer.StreamWasReset, peer.Terminated) as e:
        raise Refused(f"{type(e).__name__}: {e}") from e


class asyncio_timeout:
    """asyncio.timeout() of Python 3.11, enough of it for 3.10."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._expired = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._handle = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._handle.cancel()
        if self._expired and kind is asyncio.CancelledError:
            raise TimeoutError(f"not done in {self._seconds:g} s")


def pycurl(setup: Setup, requests: Sequence[Request]) -> list[Response]:
    curl = judge("pycurl", "pycurl")
    if not curl.version_info()[4] & curl.VERSION_HTTP3:
        raise Missing("this pycurl has no HTTP/3")
    multi = curl.CurlMulti()
    multi.setopt(curl.M_MAX_HOST_CONNECTIONS, 1)
    handles = []
    for r in requests:
        c = curl.Curl()
        out = io.BytesIO()
        c.setopt(curl.URL, setup.server.url(r.path))
        c.setopt(curl.HTTP_VERSION, curl.CURL_HTTP_VERSION_3ONLY)
        c.setopt(curl.CAINFO, str(setup.ca))
        c.setopt(curl.TIMEOUT_MS, round(setup.seconds * 1000))
        c.setopt(curl.PIPEWAIT, 1)
        c.setopt(curl.WRITEDATA, out)
        c.setopt(curl.NOPROXY, "*")
        if r.method == "POST":
            c.setopt(curl.POST, 1)
            c.setopt(curl.POSTFIELDSIZE_LARGE, len(r.body))
            c.setopt(curl.READDATA, io.BytesIO(r.body))
            c.setopt(curl.HTTPHEADER, ["content-type: application/octet-stream"])
        multi.add_handle(c)
        handles.append((c, out))
    failed = []
    running = len(handles)
    while running:
        _, running = multi.perform()
        _, _, bad = multi.info_read(len(handles))
        failed += [f"curl error {code}: {text}" for _, code, text in bad]
        if running:
            multi.select(0.5)
    _, _, bad = multi.info_read(len(handles))
    failed += [f"curl error {code}: {text}" for _, code, text in bad]
    answers = []
    for c, out in handles:
        if not failed:
            assert c.getinfo(curl.INFO_HTTP_VERSION) == curl.CURL_HTTP_VERSION_3
            answers.append(Response(c.getinfo(curl.RESPONSE_CODE), out.getvalue()))
        multi.remove_handle(c)
        c.close()
    multi.close()
    if failed:
        raise Refused(failed[0])
    return answers


@functools.cache
def gtlsclient_help() -> str:
    program, env = ngtcp2("gtlsclient")
    return subprocess.run(
        [program, "--help"], env={**os.environ, **env}, capture_output=True, text=True, timeout=20
    ).stdout


def gtlsclient(setup: Setup, requests: Sequence[Request]) -> list[Response]:
    """ngtcp2's example client: saves each body under the last part of its path, checks no name."""
    program, env = ngtcp2("gtlsclient")
    first = requests[0]
    assert all((r.method, r.body) == (first.method, first.body) for r in requests)
    saved = setup.folder / "download"
    saved.mkdir(exist_ok=True)
    args = [
        program, "--no-quic-dump", "--no-http-dump", "--exit-on-all-streams-close",
        f"--download={saved}", f"--timeout={setup.idle * 1000:.0f}ms", "-m", first.method,
    ]  # fmt: skip
    args += [f"--ciphers={ONLY_CHACHA20}"] if setup.wish.chacha20 else []
    args += ["--key-update=50ms"] if setup.wish.key_update else []
    if setup.wish.resume:  # in a folder that the connections of a case share
        args += [f"--session-file={setup.folder.parent / 'session'}"]
        # Older ones keep a ticket if it came in time; ours comes with the end of the handshake.
        args += ["--wait-for-ticket"] if "--wait-for-ticket" in gtlsclient_help() else []
        early = f"--tp-file={setup.folder.parent / 'parameters'}"
        args += [early if setup.wish.early else "--disable-early-data"]
    if setup.wish.first_version:
        args += [f"--version={setup.wish.first_version:#x}", "--preferred-versions=v1"]
    if first.body:
        (setup.folder / "body").write_bytes(first.body)
        args += ["-d", str(setup.folder / "body")]
    process = Process(
        [
            *args, setup.server.host, setup.server.port,
            *(setup.server.url(r.path, "localhost") for r in requests),
        ],
        env,
    )  # fmt: skip
    try:
        code = process.wait(setup.seconds)
    finally:
        process.close()
    said = process.said()
    setup.said.extend(process.output)
    status = {
        int(m[1], 16) // 4: int(m[2])
        for m in re.finditer(r"stream 0x(\w+) \[:status: (\d+)\]", said)
    }
    # The latter is how it goes on with another version.
    fine = "DRAINING|RECV_VERSION_NEGOTIATION" if setup.wish.first_version else "DRAINING"
    errors = re.findall(rf"ERR_(?!{fine})\w+|closed with error code (?!256\b)\d+", said)
    if code != 0 or errors or len(status) != len(requests):
        raise Refused(f"gtlsclient exit code {code}: {errors}, {len(status)} answers")
    return [
        Response(status[i], (saved / (r.path.rpartition("/")[2] or "index.html")).read_bytes())
        for i, r in enumerate(requests)
    ]


CLIENTS: dict[str, Client] = {
    "quicpro": quicpro_async,
    "quicpro-sync": quicpro_sync,
    "h3_get": h3_get,
    "aioquic": aioquic,
    "pycurl": pycurl,
    "gtlsclient": gtlsclient,
}
OURS = ("quicpro", "quicpro-sync", "h3_get")


def seen(running: Running) -> dict[str, int]:
    """What a server of this suite has counted so far."""
    setup = Setup(running, running.certs.ca, Path(), seconds=10)
    (answer,) = aioquic(setup, [Request("/seen")])
    counted: dict[str, int] = json.loads(answer.body)
    return counted


def gone_of(counted: dict[str, int]) -> int:
    """Requests whose application heard that the client is gone, by either way."""
    return counted.get("disconnects", 0) + counted.get("send_errors", 0)
