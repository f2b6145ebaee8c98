"""The same application by HTTP/1.1 over TLS and TCP, on the port of the same number: uvicorn's
protocols in our event loop. Browsers arrive there, and Alt-Svc (RFC 7838) shows them HTTP/3."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from typing import Any

from .config import Config
from .errors import CertificateError, ConfigError

__all__ = ["TcpServer", "is_available"]

ALT_SVC_AGE = 86400  # seconds, the default of RFC 7838
BACKLOG = 2048
_LAST_WORDS = 0.1  # seconds for an application whose client is gone
_MISSING = "the TCP side needs uvicorn: pip install 'quicpro[serve]'"

Pair = tuple[str | os.PathLike[str], str | os.PathLike[str]]


def is_available() -> bool:
    """Whether uvicorn is installed."""
    from importlib.util import find_spec

    try:
        return find_spec("uvicorn") is not None
    except ValueError:  # somebody has put something else in its place
        return False


def listen(host: str | None, port: int) -> list[socket.socket]:
    """Sockets at each address of a host, all with the same port.

    Raises:
        OSError: one cannot be listened on; nothing is open then.
    """
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
    )
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            if sockets:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            opened = socket.socket(family, kind, protocol)
            sockets.append(opened)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.setblocking(False)
            opened.bind(address)
            opened.listen(BACKLOG)
    except BaseException:
        for opened in sockets:
            opened.close()
        raise
    return sockets


class _Pem:
    """A file for a function that takes nothing else, of bytes that are in memory."""

    def __init__(self, data: bytes) -> None:
        self._fd = os.memfd_create("quicpro", os.MFD_CLOEXEC)
        os.write(self._fd, data)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._fd}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _given(config: Config, key: str, stack: contextlib.ExitStack) -> str:
    """The path of `{key}_file`, or of what `{key}_data` holds."""
    data = config._bytes(f"{key}_data")
    return stack.enter_context(_Pem(data)) if data else str(config[f"{key}_file"])


def tls_context(config: Config, pair: Pair | None = None) -> ssl.SSLContext:
    """What TLS over TCP says of itself: certificate, key and client authorities as over QUIC.

    Raises:
        CertificateError: something cannot be used.
        ConfigError: it can be by QUIC, but not here.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    with contextlib.ExitStack() as stack:
        if pair is None:
            cert, key = _given(config, "cert", stack), _given(config, "key", stack)
        else:
            cert, key = os.fspath(pair[0]), os.fspath(pair[1])
        passphrase = config._bytes("key_passphrase")
        try:
            # Never ask a terminal for it.
            context.load_cert_chain(cert, key, password=passphrase or (lambda: b""))
        except ssl.SSLError as e:
            raise CertificateError(
                f"the TCP side cannot use '{cert}' with '{key}', which must be PEM: {e.reason or e}"
            ) from None
        except OSError as e:
            raise CertificateError(f"cannot read '{cert}' and '{key}': {e.strerror}") from None
        if config["client_auth"] != "none":
            _trust(context, config, stack)
    return context


def _trust(context: ssl.SSLContext, config: Config, stack: contextlib.ExitStack) -> None:
    """Ask clients for certificates of the authorities that QUIC takes."""
    required = config["client_auth"] == "required"
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    try:
        data = config._bytes("ca_data")
        if data:
            context.load_verify_locations(cadata=data.decode("ascii"))
        if config["ca_file"] or config["ca_path"]:
            context.load_verify_locations(config["ca_file"] or None, config["ca_path"] or None)
        elif not data:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    except (ssl.SSLError, OSError, UnicodeDecodeError) as e:
        what = f"the TCP side cannot use the authorities for clients: {e}"
        raise CertificateError(what) from None


class _Contexts:
    """Those of one moment: the main one, and others by name."""

    def __init__(self, config: Config, certs: Mapping[str, Pair]) -> None:
        self.main = tls_context(config)
        self._named = {host.lower(): tls_context(config, pair) for host, pair in certs.items()}

    def choose(self, name: str | None) -> ssl.SSLContext:
        """For what a client asks for; "*.example" is for one label more."""
        host = (name or "").lower()
        _, _, parent = host.partition(".")
        return self._named.get(host) or self._named.get(f"*.{parent}") or self.main


class TcpServer:
    """Serves an application with uvicorn's protocols.

    Args:
        app: an ASGI application; its lifespan is the caller's.
        state: what its lifespan left, for every scope.
        config: as of the QUIC side.
        certs: certificates by name, as there.
        root_path: prefix under which it is mounted.
        fields: for every response.
        date: whether "date" is one.

    Raises:
        ConfigError: uvicorn is not installed.
        CertificateError: TLS over TCP cannot use what QUIC can.
    """

    def __init__(
        self, app: Any, state: dict[str, Any], config: Config, certs: Mapping[str, Pair],
        root_path: str, fields: Sequence[tuple[bytes, bytes]] = (), date: bool = True,
    ) -> None:  # fmt: skip
        try:
            import uvicorn
            from uvicorn.server import ServerState
        except ImportError:
            raise ConfigError(_MISSING) from None
        self._uvicorn = uvicorn.Config(
            app, lifespan="off", log_config=None, access_log=False, proxy_headers=False,
            interface="asgi3", root_path=root_path, server_header=False,
        )  # fmt: skip
        self._uvicorn.load()
        self._uvicorn.loaded = True
        self._state = ServerState()
        self._app_state = state
        self._config = config
        self._contexts = _Contexts(config, certs)
        # One for all; the name that is asked for decides which takes its place.
        self._front = tls_context(config)
        self._front.sni_callback = self._choose
        self._servers: list[asyncio.Server] = []
        self._ticking: asyncio.TimerHandle | None = None
        self._fields = list(fields)
        self._date = date

    def _choose(self, tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        tls.context = self._contexts.choose(name)

    def reload(self, certs: Mapping[str, Pair]) -> None:
        """Read certificates again, for handshakes from now on.

        Raises:
            CertificateError: the old ones stay.
        """
        self._contexts = _Contexts(self._config, certs)

    async def start(self, sockets: list[socket.socket], h3_port: int | None) -> None:
        """Take connections from sockets that listen.

        Args:
            sockets: moved.
            h3_port: where HTTP/3 is, for Alt-Svc; None: nowhere.
        """
        loop = asyncio.get_running_loop()
        if h3_port is not None:
            value = f'h3=":{h3_port}"; ma={ALT_SVC_AGE}'.encode()
            self._fields.append((b"alt-svc", value))
        for opened in sockets:
            self._servers.append(
                await loop.create_server(
                    self._new_protocol,
                    sock=opened,
                    ssl=self._front,
                    backlog=BACKLOG,
                    ssl_handshake_timeout=self._config["handshake_timeout_ms"] / 1000,
                )
            )

    def _new_protocol(self) -> asyncio.Protocol:
        if self._ticking is None:
            self._tick()
        protocol: asyncio.Protocol = self._uvicorn.http_protocol_class(  # type: ignore[call-arg]
            config=self._uvicorn, server_state=self._state, app_state=self._app_state
        )
        return protocol

    def _tick(self) -> None:
        """Sets the date of responses; once a second, as long as there is anybody to see it."""
        date = formatdate(time.time(), usegmt=True).encode()
        self._state.default_headers = [(b"date", date)] * self._date + self._fields
        first = self._ticking is None
        self._ticking = None
        if first or self._state.connections:
            self._ticking = asyncio.get_running_loop().call_later(1, self._tick)

    def requests(self) -> int:
        """Requests being answered now."""
        return len(self._state.tasks)

    def connections(self) -> int:
        """Connections open now."""
        return len(self._state.connections)

    async def close(self) -> None:
        """Take no more, and wait until all open requests are answered."""
        self._stop()
        for connection in list(self._state.connections):
            connection.shutdown()
        while self._state.tasks:
            await asyncio.wait(self._state.tasks)

    def _stop(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
        if self._ticking is not None:
            self._ticking.cancel()

    async def abort(self) -> None:
        """End everything now: applications hear of it, and are cancelled if they go on."""
        self._stop()
        for connection in list(self._state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        tasks = list(self._state.tasks)
        if tasks:
            _, going = await asyncio.wait(tasks, timeout=_LAST_WORDS)
            for task in going:
                task.cancel()
            await asyncio.wait(tasks, timeout=5)
