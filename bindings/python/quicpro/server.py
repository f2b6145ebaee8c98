"""Serve an ASGI application over HTTP/3."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from . import _stats, errors
from ._check import check_loop
from ._ffi import ffi, lib
from ._lifespan import Lifespan, LifespanError
from ._loop import LoopDriver
from ._options import find
from ._tcp import TcpServer, listen
from .asgi import ASGIApp, ASGIServer
from .config import Config
from .stats import ConnectionStats

__all__ = ["LifespanError", "Server", "parse_bind"]

logger = logging.getLogger("quicpro.server")

_NOT_OURS = frozenset(
    ("connection", "content-length", "keep-alive", "transfer-encoding", "upgrade")
)
_PORTS_TRIED = 20  # until one is free for TCP and UDP

CertPair = tuple["str | os.PathLike[str]", "str | os.PathLike[str]"]
Certs = Mapping[str, CertPair]


def parse_bind(bind: str) -> tuple[str | None, int]:
    """Take "HOST:PORT", "[V6]:PORT", ":PORT" or "PORT" apart; no host means all addresses.

    Raises:
        ValueError: it is none of these.
    """
    host, _, port = bind.rpartition(":")
    if not port.isdigit() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise ValueError(f"'{bind}' is not HOST:PORT, such as 127.0.0.1:4433 or [::1]:4433")
    return host.strip("[]") or None, int(port)


def asgi_server(tasks: str = "auto", native: bool | None = None) -> Callable[..., ASGIServer]:
    """How applications are called; see `Server`.

    Raises:
        ConfigError: there is no such way.
    """
    if tasks not in ("auto", "inline", "stock"):
        raise errors.ConfigError(f"tasks is auto, inline or stock, not {tasks!r}")
    if native is not False:
        with contextlib.suppress(ImportError):
            from ._inline import NativeServer

            return partial(NativeServer, tasks="stock" if tasks == "stock" else "inline")
    if native or tasks == "inline":
        raise errors.ConfigError(
            "this installation is without the module that starts requests inline"
        )
    return ASGIServer


def check_field(name: str, value: str) -> tuple[bytes, bytes]:
    """A field for every response, as bytes.

    Raises:
        ValueError: no message can have it, or it is the transport's.
    """
    if not re.fullmatch(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", name) or name.lower() in _NOT_OURS:
        raise ValueError(f"{name!r} cannot be the name of a field of every response")
    if not re.fullmatch(r"[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*)|", value):
        raise ValueError(f"field {name!r} cannot have the value {value!r}")
    return name.lower().encode(), value.rstrip().encode("latin-1")


class Server:
    """An HTTP/3 server for one ASGI application, inside a running asyncio loop.

    Args:
        app: an ASGI 3 application.
        bind: "HOST:PORT"; port 0 lets the kernel choose, see `port`.
        certfile: certificate chain, PEM or DER; None: as the configuration says (`cert_file`).
        keyfile: private key, PEM or DER; None: as the configuration says (`key_file`).
        certs: other certificates by host name or "*.example": {host: (certfile, keyfile)}.
        config: further options; None: those of files and environment (see `Config`).
        root_path: prefix under which the application is mounted.
        tasks: "inline": requests are started in the turn of the event loop that brings them, and
            those that wait go on in a task; "stock": each in an asyncio.Task of its own from the
            start; "auto": inline where the module in C is built.
        native: False: do without the module in C; None: use it where it is built.
        tcp: also serve HTTP/1.1 over TLS, on the TCP port of the same number, with Alt-Svc in
            every response; by uvicorn (`pip install 'quicpro[serve]'`).
        quic: False: that alone.
        headers: fields for responses of the application that have none of that name.
        date_header: the same for "date" (RFC 9110 section 6.6.1).

    Raises:
        ValueError: a field that no message can have.
    """

    def __init__(
        self,
        app: ASGIApp,
        bind: str = "127.0.0.1:4433",
        *,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
        certs: Certs | None = None,
        config: Config | None = None,
        root_path: str = "",
        tasks: str = "auto",
        native: bool | None = None,
        tcp: bool = False,
        quic: bool = True,
        headers: Iterable[tuple[str, str]] = (),
        date_header: bool = True,
    ) -> None:
        if not (tcp or quic):
            raise errors.ConfigError("neither TCP nor QUIC: nothing to serve")
        self._app = app
        self._fields = [check_field(name, value) for name, value in headers]
        self._date = date_header
        self._wants_tcp = tcp
        self._wants_quic = quic
        self._tcp: TcpServer | None = None
        self._make_asgi = asgi_server(tasks, native)
        self._host, self._wanted_port = parse_bind(bind)
        files = {"cert_file": certfile, "key_file": keyfile}
        given = {key: file for key, file in files.items() if file is not None}
        self._config = (config or Config()).replace(**given)
        self._certs = dict(certs or {})
        self._root_path = root_path
        self._driver: LoopDriver | None = None
        self._server: Any = None
        self._asgi: ASGIServer | None = None
        self._lifespan: Lifespan | None = None
        self._drained: asyncio.Event | None = None
        self.port = 0

    def set_options(self, **options: object) -> None:
        """Change options of the server, also while it runs; then only those that are `live`
        (`Config.options()` tells). They count for what happens from now on.

        Raises:
            ConfigFrozen: the server runs, and an option is not live. Nothing has changed.
            ConfigError: as for `Config`. Nothing has changed.
        """
        config = self._config._override(options, "Server.set_options")
        if self._driver is not None and self._server is not None:
            # Of bytes only their number can be compared: whoever gives some wants them to count.
            given = {found.key for key in options if (found := find(key)) is not None}
            changed = [
                o
                for o in config.options()
                if config[o.key] != self._config[o.key] or (o.type == "bytes" and o.key in given)
            ]
            for option in changed:
                if not option.live:
                    raise errors.ConfigFrozen(
                        f'option "{option.key}" is fixed when a server is made', key=option.key
                    )
            for option in changed:
                key = option.key.encode()
                value = lib.quicpro_config_get(config._struct, key)
                check_loop(
                    lib.quicpro_server_set_option(self._server, key, value), self._driver.ptr
                )
        self._config = config

    async def start(self) -> None:
        """Start the application, then listen.

        Raises:
            LifespanError: the application's startup failed.
            CertificateError: certificate or key cannot be used.
            OSError: the address cannot be listened on.
            ResolveError: the host name is unknown.
        """
        asgi = self._asgi = self._make_asgi(
            self._app,
            root_path=self._root_path,
            client_certs=self._config["client_auth"] != "none",
            fields=self._fields,
            date=self._date,
        )
        self._drained = asyncio.Event()
        asgi.on_drained = self._drained.set
        asgi.on_certificates = self._reload_tcp
        driver = self._driver = LoopDriver(self._config, asgi.on_batch)
        asgi.bind(driver)
        try:
            ret = ffi.new("quicpro_server **")
            check_loop(lib.quicpro_server_new(ret, driver.ptr, self._config._struct), driver.ptr)
            self._server = ret[0]
            for name, pair in self._certs.items():
                self._add_certificate(name, pair)
            if self._wants_tcp:
                self._tcp = TcpServer(
                    self._app, asgi.state, self._config, self._certs, self._root_path,
                    self._fields, self._date,
                )  # fmt: skip
            self._lifespan = Lifespan(self._app, asgi.state)
            await self._lifespan.startup()
            driver.schedule_flush()  # sets the timer of tls_watch_ms
            try:
                await self._listen(driver)
                driver.schedule_flush()  # after it the driver knows of the new sockets
            except Exception:
                await self._lifespan.shutdown()
                raise
        except BaseException:
            self._free()
            raise

    async def _listen(self, driver: LoopDriver) -> None:
        """Both or neither, TCP first. Where the kernel chooses, a port that is free for both."""
        host = ffi.NULL if self._host is None else self._host.encode()
        attempts = _PORTS_TRIED if self._wants_tcp and not self._wanted_port else 1
        for attempt in range(attempts):
            sockets = self._listen_tcp() if self._tcp is not None else []
            port = sockets[0].getsockname()[1] if sockets else self._wanted_port
            try:
                if self._wants_quic:
                    port = check_loop(
                        lib.quicpro_server_listen(self._server, host, port), driver.ptr
                    )
            except Exception as e:
                for opened in sockets:
                    opened.close()
                taken = isinstance(e, OSError) and e.errno == errno.EADDRINUSE
                if not taken or attempt + 1 == attempts:
                    raise
                continue
            if self._tcp is not None:
                await self._tcp.start(sockets, port if self._wants_quic else None)
            self.port = port
            return

    def _listen_tcp(self) -> list[socket.socket]:
        shown = f"[{self._host}]" if self._host and ":" in self._host else self._host or "*"
        try:
            return listen(self._host, self._wanted_port)
        except socket.gaierror as e:
            raise errors.ResolveError(f"cannot resolve host '{self._host}': {e.strerror}") from None
        except OSError as e:
            what = f"cannot listen on {shown}:{self._wanted_port} (TCP): {e.strerror}"
            raise OSError(e.errno, what) from None

    def _reload_tcp(self) -> None:
        if self._tcp is None:
            return
        try:
            self._tcp.reload(self._certs)
        except errors.QuicproError as e:
            logger.error("the old certificates stay in use over TCP: %s", e)

    def _add_certificate(self, host: str, pair: CertPair) -> None:
        assert self._driver is not None
        cert, key = pair
        # The main certificate's bytes must not meet these files.
        config = self._config.replace(
            cert_file=cert, key_file=key, cert_data=b"", key_data=b"", ocsp_file=""
        )
        name = host.encode("ascii", "backslashreplace")
        check_loop(
            lib.quicpro_server_add_certificate(self._server, name, config._struct),
            self._driver.ptr,
        )

    def add_certificate(
        self, host: str, certfile: str | os.PathLike[str], keyfile: str | os.PathLike[str]
    ) -> None:
        """Show clients that ask for a name a certificate of its own, also while the server runs.

        Args:
            host: a host name in ASCII (xn-- for other scripts), or "*.example" for all names of one
                label more.
            certfile: certificate chain, PEM or DER.
            keyfile: its private key; `key_passphrase` is that of the configuration.

        Raises:
            CertificateError: certificate or key cannot be used. Nothing has changed.
            InvalidValue: `host` is not a host name.
        """
        if self._server is not None:
            self._add_certificate(host, (certfile, keyfile))
        self._certs[host] = (certfile, keyfile)
        self._reload_tcp()

    def reload_tls(self) -> None:
        """Read all certificates, keys and authorities again, for handshakes from now on.

        Raises:
            CertificateError: something cannot be used; the old ones stay.
            RuntimeError: the server does not run.
        """
        if self._server is None or self._driver is None:
            raise RuntimeError("the server does not run")
        check_loop(lib.quicpro_server_reload_tls(self._server), self._driver.ptr)
        if self._tcp is not None:
            self._tcp.reload(self._certs)

    def connections(self) -> int:
        """Connections open now."""
        count = int(lib.quicpro_server_connections(self._server)) if self._server else 0
        return count + (self._tcp.connections() if self._tcp is not None else 0)

    def stats(self) -> list[ConnectionStats]:
        """Numbers of every connection that has made a request and is open now."""
        if self._asgi is None or self._driver is None or self._server is None:
            return []
        found = (_stats.of(self._driver.ptr, conn) for conn in self._asgi.connections())
        return [stats for stats in found if stats is not None]

    def metrics(self, **labels: str) -> str:
        """What it has counted since it began, as text in the exposition format of Prometheus
        ("text/plain; version=0.0.4"); docs/reference/metrics.md explains each name.

        Args:
            labels: put on every line, such as `worker="3"`.

        Raises:
            ValueError: a label that Prometheus does not know.
        """
        return _stats.metrics(self._driver.ptr if self._driver else None, labels)

    def requests(self) -> int:
        """Requests being answered now."""
        count = len(self._asgi.requests) if self._asgi else 0
        return count + (self._tcp.requests() if self._tcp is not None else 0)

    async def close(self, graceful_timeout: float = 30.0) -> bool:
        """Stop: GOAWAY, let open requests finish, close connections, shut the application down.

        Args:
            graceful_timeout: seconds that open requests get; then they are cut off.

        Returns:
            True if every request finished in time.
        """
        if self._server is None:
            return True
        driver, drained = self._driver, self._drained
        assert driver is not None and drained is not None
        driver.submit()
        lib.quicpro_server_shutdown(self._server)
        driver.schedule_flush()
        clean = True
        try:
            await asyncio.wait_for(self._finished(drained), graceful_timeout)
        except (TimeoutError, asyncio.TimeoutError):
            clean = self.requests() == 0
        finally:
            await self.abort()
        return clean

    async def _finished(self, drained: asyncio.Event) -> None:
        if self._tcp is not None:
            await self._tcp.close()
        await drained.wait()
        # An application may have work left after its response: background tasks.
        assert self._asgi is not None
        tasks = [e.task for e in self._asgi.requests.values() if e.task is not None]
        if tasks:
            await asyncio.wait(tasks)

    async def abort(self) -> None:
        """Close every connection now, cancel requests, shut the application down."""
        if self._server is None:
            return
        asgi, lifespan = self._asgi, self._lifespan
        assert asgi is not None and lifespan is not None
        tasks = [e.task for e in asgi.requests.values() if e.task is not None]
        for exchange in list(asgi.requests.values()):
            exchange.on_reset()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        if self._tcp is not None:
            await self._tcp.abort()
        self._free()
        await lifespan.shutdown()

    def _free(self) -> None:
        if self._server is not None:
            lib.quicpro_server_free(self._server)
            self._server = None
        if self._driver is not None:
            self._driver.close()
