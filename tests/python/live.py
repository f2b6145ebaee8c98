"""Servers and processes that tests run, and end."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from quicpro._run import run_event_loop
from quicpro.server import Server

HERE = Path(__file__).parent
WAIT = 30.0  # only a hang takes this long


def in_thread(function: Callable[[], object]) -> Callable[[], Any]:
    """Start a thread; what is returned waits for it and gives its result, or what it raised."""
    result: list[Any] = []

    def main() -> None:
        try:
            result.append(function())
        except BaseException as e:
            result.append(e)

    thread = threading.Thread(target=main, daemon=True)
    thread.start()

    def join() -> Any:
        thread.join(WAIT)
        assert not thread.is_alive(), "it did not end in time"
        return result[0]

    return join


class Live:
    """A server in a thread with an event loop of its own."""

    def __init__(self, app: Any, certs: Path, loop: str = "asyncio", **options: Any) -> None:
        options = {"bind": "127.0.0.1:0", "certfile": certs / "cert.pem"} | options
        options["certs"] = options.pop("names", None)
        self.server = Server(app, keyfile=certs / "key.pem", **options)
        self.graceful_timeout = 0.0
        self.clean: bool | None = None
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=run_event_loop, args=(self._main, loop))
        self._thread.start()
        assert self._ready.wait(WAIT)
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            await self.server.start()
        except BaseException as e:
            self._failure = e
            return
        finally:
            self._ready.set()
        await self._stop.wait()
        self.clean = await self.server.close(self.graceful_timeout)

    @property
    def port(self) -> int:
        return self.server.port

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"https://{host}:{self.port}{path}"

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the server's loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WAIT)

    def call(self, function: Callable[[], Any]) -> Any:
        """The same for a plain function."""

        async def main() -> Any:
            return function()

        return self.run(main())

    def begin_close(self, graceful_timeout: float = 0.0) -> None:
        self.graceful_timeout = graceful_timeout
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)

    def close(self, graceful_timeout: float = 0.0) -> bool | None:
        """End it; whether every request was finished."""
        if self.clean is None:
            self.begin_close(graceful_timeout)
        self._thread.join(WAIT)
        assert not self._thread.is_alive()
        return self.clean


class Process:
    """A command, with its output in lines as they come."""

    def __init__(self, *args: str | Path, **options: Any) -> None:
        env = os.environ | {"PYTHONUNBUFFERED": "1"} | options.pop("env", {})
        self.popen = subprocess.Popen(
            [str(a) for a in args],
            stdin=subprocess.DEVNULL,
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            env=env,
            **options,
        )
        self.errors: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            text = line.decode("utf-8", "replace").rstrip("\n")
            self.errors.append(text)
            self._lines.put(text)
        self._lines.put(None)

    def wait_line(self, part: str) -> str:
        """The next line of stderr that holds `part`."""
        while (line := self._lines.get(timeout=WAIT)) is not None:
            if part in line:
                return line
        raise AssertionError(f"ended without '{part}': {self.errors}")

    def interrupt(self) -> None:
        self.popen.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Its exit code."""
        code = self.popen.wait(WAIT)
        self._reader.join(WAIT)
        assert not any("Traceback" in line for line in self.errors), self.errors
        return code

    def close(self) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(WAIT)
        self._reader.join(WAIT)
        for pipe in (self.popen.stdout, self.popen.stderr):
            if pipe is not None:
                pipe.close()


def python(code: str, *args: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a script in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | options.pop("env", {}),
        cwd=HERE,
        **options,
    )


Starter = Callable[..., Live]
