"""A server in an event loop of its own, until a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any, Literal

from . import errors
from ._middleware import AccessLog, LimitConcurrency, LimitRequests
from ._tcp import is_available
from .asgi import ASGIApp
from .config import Config
from .server import Certs, Server

__all__ = ["run_event_loop", "serve"]

logger = logging.getLogger("quicpro.server")


def run_event_loop(main: Callable[[], Any], loop: str = "auto") -> Any:
    """Run a coroutine function on the event loop of choice.

    Args:
        main: makes the coroutine.
        loop: "asyncio", "uvloop", or "auto": uvloop where it is installed.
    """
    if loop not in ("auto", "asyncio", "uvloop"):
        raise ValueError(f"loop is auto, asyncio or uvloop, not {loop!r}")
    if loop != "asyncio":
        with contextlib.suppress(ImportError):
            import uvloop

            if sys.version_info < (3, 11):
                uvloop.install()
                return asyncio.run(main())
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(main())
        if loop == "uvloop":
            raise errors.ConfigError("uvloop is not installed: pip install 'quicpro[serve]'")
    return asyncio.run(main())


async def _serve(
    server: Server,
    graceful_timeout: float,
    on_start: Callable[[Server], None] | None,
    on_stop: Callable[[Server], None] | None,
    limited: LimitRequests | None,
    check: bool,
) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    again = asyncio.Event()
    if limited is not None:
        limited.on_limit = stop.set
    if check:
        stop.set()

    def on_signal() -> None:
        (again if stop.is_set() else stop).set()

    def on_hangup() -> None:
        try:
            server.reload_tls()
        except errors.QuicproError as e:
            logger.error("certificates were not reloaded, the old ones stay: %s", e)
        else:
            logger.info("certificates were reloaded")

    await server.start()
    handlers = {signal.SIGINT: on_signal, signal.SIGTERM: on_signal, signal.SIGHUP: on_hangup}
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        for number, handler in handlers.items():  # only the main thread may
            loop.add_signal_handler(number, handler)
    try:
        if on_start is not None:
            on_start(server)
        await stop.wait()
        if on_stop is not None:
            on_stop(server)
        closing = loop.create_task(server.close(graceful_timeout))
        impatient = loop.create_task(again.wait())
        await asyncio.wait({closing, impatient}, return_when=asyncio.FIRST_COMPLETED)
        impatient.cancel()
        if not closing.done():
            closing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            if not await closing:
                logger.warning(
                    "graceful timeout of %g s: open requests were cut off", graceful_timeout
                )
    finally:
        await server.abort()
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            for number in handlers:
                loop.remove_signal_handler(number)


def serve(
    app: ASGIApp,
    bind: str = "127.0.0.1:4433",
    *,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    certs: Certs | None = None,
    config: Config | None = None,
    graceful_timeout: float = 30.0,
    loop: str = "auto",
    root_path: str = "",
    tasks: str = "auto",
    tcp: bool | None = None,
    quic: bool = True,
    headers: Iterable[tuple[str, str]] = (),
    date_header: bool = True,
    limit_concurrency: int | None = None,
    limit_max_requests: int | None = None,
    access_log: Literal["text", "json"] | None = None,
    check: bool = False,
    on_start: Callable[[Server], None] | None = None,
    on_stop: Callable[[Server], None] | None = None,
) -> None:
    """Serve an ASGI application until SIGINT or SIGTERM; a second signal does not wait. SIGHUP
    reads certificates again.

    Args:
        app: an ASGI 3 application (`http` and `lifespan`).
        bind: "HOST:PORT".
        certfile: certificate chain, PEM or DER; None: as the configuration says (`cert_file`).
        keyfile: private key, PEM or DER; None: as the configuration says (`key_file`).
        certs: other certificates by host name or "*.example": {host: (certfile, keyfile)}.
        config: further options; None: those of files and environment (see `Config`).
        graceful_timeout: seconds that open requests get after the first signal.
        loop: "auto", "asyncio" or "uvloop".
        root_path: prefix under which the application is mounted.
        tasks: "auto", "inline" or "stock", see `Server`.
        tcp: also HTTP/1.1 over TCP, see `Server`; None: if uvicorn is installed.
        quic: False: that alone.
        headers: fields for responses that have none of that name, see `Server`.
        date_header: the same for "date".
        limit_concurrency: while so many requests are being answered, others get 503.
        limit_max_requests: stop after so many, as after a signal.
        access_log: a line for each request, in the logger "quicpro.access".
        check: start and stop at once, on whatever port is free.
        on_start: called with the server once it listens; its `port` is known then.
        on_stop: called when the first signal came.
    """
    limited = None
    if limit_concurrency is not None:
        app = LimitConcurrency(app, limit_concurrency)
    if limit_max_requests is not None:
        app = limited = LimitRequests(app, limit_max_requests)
    if access_log is not None:
        app = AccessLog(app, access_log)
    server = Server(
        app,
        bind,
        certfile=certfile,
        keyfile=keyfile,
        certs=certs,
        config=config,
        root_path=root_path,
        tasks=tasks,
        tcp=is_available() if tcp is None else tcp,
        quic=quic,
        headers=headers,
        date_header=date_header,
    )
    if check:
        server._wanted_port = 0
    run_event_loop(
        lambda: _serve(server, graceful_timeout, on_start, on_stop, limited, check), loop
    )
