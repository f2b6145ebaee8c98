"""Raw QUIC for callers that block, safe to use from any number of threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, cast

from . import errors
from ._check import check_loop
from ._ffi import ffi, lib
from ._messages import ConnectionInfo
from ._raw import ConnectionCore, by_name, check_port, client_options, server_options
from ._raw_path import Address, PathEvent
from ._raw_stream import LIMIT, StreamCore
from ._raw_thread import Hub
from .config import Config
from .stats import ConnectionStats

__all__ = ["Connection", "Listener", "RawStream", "connect", "listen"]


class RawStream(StreamCore):
    """A QUIC stream, for callers that block.

    Threads may share it, one that reads and any number that write.

    Attributes:
        timeout: seconds that each call may take; None: no limit. At first its connection's.
        id: the stream's (RFC 9000 section 2.1).
        early_data: it was opened before the handshake was done.
    """

    __slots__ = ("timeout",)

    def __init__(self, conn: ConnectionCore, handle: int, stream_id: int, early: bool) -> None:
        super().__init__(conn, handle, stream_id, early)
        self.timeout = cast(Connection, conn).timeout

    def _until(self, poll: Callable[..., Any], *args: Any) -> Any:
        return self._core.front.until(self.timeout, poll, *args)

    def read(self, n: int = -1) -> bytes:
        """At most n bytes, as soon as there are any; b"" at the end. Without n: all to the end.

        Raises:
            StreamReset: the peer gave up sending.
            ConnectionError: the connection ended before.
            TimeoutError: nothing came in time.
        """
        return cast(bytes, self._until(self.poll_read, n))

    def readinto(self, buffer: Any) -> int:
        """Read into memory, without a copy between; how many bytes, 0 at the end.

        Args:
            buffer: writable, 1-D, C-contiguous; borrowed until this returns.
        """
        return cast(int, self._until(self.poll_readinto, buffer))

    def readexactly(self, n: int) -> bytes:
        """Exactly n bytes.

        Raises:
            IncompleteReadError: the stream ended before; `partial` is what there was.
        """
        return cast(bytes, self._until(self.poll_readexactly, n))

    def readuntil(self, separator: bytes = b"\n", *, limit: int = LIMIT) -> bytes:
        """Up to and with a separator.

        Raises:
            IncompleteReadError: the stream ended before.
            LimitOverrunError: not within `limit` bytes; they can still be read.
        """
        return cast(bytes, self._until(self.poll_readuntil, separator, limit))

    def readline(self, *, limit: int = LIMIT) -> bytes:
        """A line with its b"\\n"; what there is at the end."""
        return cast(bytes, self._until(self.poll_readline, limit))

    def __iter__(self) -> Iterator[bytes]:
        """Line by line."""
        while (line := self._until(self.poll_line)) is not None:
            yield line

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; returns when the library has them.

        Raises:
            StreamStopped: the peer wants no more.
            StreamError: this side has ended already.
            ConnectionError: the connection has ended.
            TimeoutError: the peer did not take them in time; they are sent when it does.
        """
        with self._core.front:
            super().write(data)
            if not self._left and not self._refused_since:
                return
        self.drain()

    def drain(self) -> None:
        """Wait until everything that was written is with the library; write() does."""
        self._until(self.poll_drain)

    def write_eof(self) -> None:
        with self._core.front:
            super().write_eof()

    def reset(self, code: int = 0) -> None:
        with self._core.front:
            super().reset(code)

    def stop(self, code: int = 0) -> None:
        with self._core.front:
            super().stop(code)

    def set_priority(self, urgency: int = 3, incremental: bool = True) -> None:
        with self._core.front:
            super().set_priority(urgency, incremental)

    def close(self) -> None:
        with self._core.front:
            super().close()

    close.__doc__ = StreamCore.close.__doc__
    write_eof.__doc__ = StreamCore.write_eof.__doc__
    reset.__doc__ = StreamCore.reset.__doc__
    stop.__doc__ = StreamCore.stop.__doc__
    set_priority.__doc__ = StreamCore.set_priority.__doc__

    def __enter__(self) -> RawStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
            return
        if self.can_write_eof():
            self.reset()
        if not self._eof:
            self.stop()


class Connection(ConnectionCore):
    """A QUIC connection that speaks a protocol of your own, for callers that block.

    Threads may share it. Iterate over it for the streams that the peer opens. As a context manager
    it is finished at the end, see finish(), or closed if that takes longer than `timeout`.

    Attributes:
        timeout: seconds that each call may take; None: no limit.
        error: why it ended, an exception; None while it is open, as far as was noticed.
        reason: the words of whoever closed it.
        is_server: whether it was accepted.
    """

    stream_class = RawStream
    timeout: float | None = None

    def _until(self, poll: Callable[..., Any], *args: Any) -> Any:
        return self._core.front.until(self.timeout, poll, *args)

    @property
    def info(self) -> ConnectionInfo:
        with self._core.front:
            return super().info

    @property
    def stats(self) -> ConnectionStats:
        with self._core.front:
            return super().stats

    @property
    def peer_certificates(self) -> tuple[bytes, ...]:
        with self._core.front:
            return super().peer_certificates

    @property
    def datagram_max(self) -> int:
        with self._core.front:
            return super().datagram_max

    def open_stream(self, bidi: bool = True, *, wait: bool = True) -> RawStream:
        """Open a stream. The peer hears of it with its first byte or its end.

        Args:
            bidi: both sides send; False: only this one.
            wait: while the peer allows no more streams, wait until it does.

        Raises:
            StreamLimit: it allows no more, and `wait` is False.
            ConnectionError: the connection has ended.
            TimeoutError: it allowed no more in time.
        """
        return cast(RawStream, self._until(self.poll_open, bidi, wait))

    def accept_stream(self) -> RawStream:
        """The next stream that the peer opened."""
        return cast(RawStream, self._until(self.poll_accept))

    def __iter__(self) -> Iterator[RawStream]:
        """The streams that the peer opens, until the connection is closed without an error."""
        while (stream := self._until(self.poll_next)) is not None:
            yield stream

    def send_datagram(self, data: bytes | bytearray | memoryview) -> bool:
        with self._core.front:
            return super().send_datagram(data)

    def wait_connected(self) -> Connection:
        """Wait until the handshake is done, after `connect(early_data=True)`; `early_data` then
        says what became of it. Once it is rejected, streams that were opened before raise
        `EarlyDataRejected`; the connection is as good as any.

        Raises:
            ConnectionError: the handshake failed.
            TimeoutError: it has not finished in time.
        """
        return cast(Connection, self._until(self.poll_connected))

    def receive_datagram(self) -> bytes:
        """The next datagram."""
        return cast(bytes, self._until(self.poll_datagram))

    def probe(self, local: str | None = None, port: int = 0) -> bool:
        """Client: find out whether another network path to the same peer works, without using it
        (RFC 9000 section 9.1). One at a time: another probe gives the last one up.

        Args:
            local: an address of this host, of the family in use; None: the one in use.
            port: 0: any other.

        Returns:
            Whether it works.

        Raises:
            MigrationError: not now (the handshake is not confirmed, the peer gave no connection ID
                to move with yet), or never: `migration="off"`, or the server does not want it.
            ValueError: no such address or port.
            OSError: it is not an address of this host, or the port is taken.
            ConnectionError: the connection has ended.
            TimeoutError: no answer came in time.
        """
        with self._core.front:
            begun = self._path.probe(local, port)
        return cast(bool, self._until(self._path.poll_probe, begun))

    def migrate(self) -> Address:
        """Client: move to the path that was probed, as soon as it is known to work; without one, to
        another port of the address in use (RFC 9000 section 9.2).

        Returns:
            This side's new address.

        Raises:
            MigrationError: as of probe(), or that path does not work: the connection stays where
                it is.
            ConnectionError: the connection has ended.
            TimeoutError: it has not moved in time.
        """
        with self._core.front:
            begun = self._path.migrate()
        return cast(Address, self._until(self._path.poll_move, begun))

    def receive_path_event(self) -> PathEvent:
        """The next thing that happens to the connection's network paths, or the oldest of the last
        64."""
        return cast(PathEvent, self._until(self._path.poll_event))

    def close(self, code: int = 0, reason: str = "") -> None:
        with self._core.front:
            super().close(code, reason)

    def finish(self, code: int = 0, reason: str = "") -> None:
        with self._core.front:
            super().finish(code, reason)

    send_datagram.__doc__ = ConnectionCore.send_datagram.__doc__
    close.__doc__ = ConnectionCore.close.__doc__
    finish.__doc__ = ConnectionCore.finish.__doc__

    def wait_closed(self) -> Exception:
        """Wait until it has ended; returns why (see `error`)."""
        return cast(Exception, self._until(self.poll_closed))

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._core.front.pid != os.getpid():
            return
        if kind is None:
            self.finish()
        else:
            self.close()
        try:
            self._core.front.until(self.timeout, self.poll_closed)
        except errors.TimeoutError:
            self.close()
            self._core.front.until(None, self.poll_closed)
        except BaseException:
            self.close()
            raise


def connect(
    host: str,
    port: int,
    *,
    alpn: Sequence[str] | None = None,
    cafile: str | os.PathLike[str] | None = None,
    verify: bool | None = None,
    handshake_timeout: float | None = None,
    early_data: bool = False,
    timeout: float | None = None,
    config: Config | None = None,
) -> Connection:
    """Connect to a server of a protocol of your own, and wait for it.

    Args:
        host: name or address; the certificate must name it.
        port: 1 to 65535.
        alpn: names of the protocol, best first (RFC 7301); None: as the configuration says.
        cafile: PEM file of the authorities to trust; the system's if not given.
        verify: check certificate and name; False only for tests.
        handshake_timeout: seconds for all of it; None: as the configuration says.
        early_data: with a session of an earlier connection, return before the handshake is done:
            streams that are opened now travel with the first packets, which somebody may record and
            send to the server again. See `Connection.wait_connected()`. Sessions are kept for
            connections with the same options, as long as one of them is open (blocking ones: as
            long as the process runs) or the option `session_file` names a file.
        timeout: of the calls that follow, see `Connection.timeout`.
        config: further options; those of the socket are the defaults, for a thread is shared.

    Raises:
        As `quicpro.connect()`.
    """
    options = client_options(alpn, config, cafile, verify, handshake_timeout, early_data)
    hub = Hub.shared(Connection)
    with hub as core:
        conn = cast(Connection, core.connect(hub.client(options), host, port, options))
    conn.timeout = timeout
    try:
        hub.until(None, conn.poll_usable if early_data else conn.poll_connected)
    except BaseException:
        conn.close()
        raise
    return conn


class Listener:
    """Accepts connections, by `accept()` or by iteration."""

    def __init__(
        self,
        host: str | None,
        port: int,
        config: Config,
        certs: Mapping[str, tuple[Any, Any]],
        timeout: float | None,
    ) -> None:
        self._hub = Hub(config, Connection)
        self._config = config
        self.timeout = timeout
        try:
            with self._hub as core:
                ret = ffi.new("quicpro_server **")
                check_loop(lib.quicpro_server_new(ret, core.loop, config._struct), core.loop)
                self._hub.servers.append(ret[0])
                for name, its in by_name(config, certs):
                    key = name.encode("ascii", "backslashreplace")
                    rc = lib.quicpro_server_add_certificate(ret[0], key, its._struct)
                    check_loop(rc, core.loop)
                where = ffi.NULL if host is None else host.encode()
                #: Where it listens.
                self.port = check_loop(lib.quicpro_server_listen(ret[0], where, port), core.loop)
        except BaseException:
            self.close()
            raise

    def accept(self) -> Connection:
        """The next connection whose handshake is done; its timeout is the listener's.

        Raises:
            ConnectionClosed: the listener was closed.
            TimeoutError: none came in time.
        """
        conn: Connection = self._hub.until(self.timeout, self._hub.core.poll_accept)
        conn.timeout = self.timeout
        return conn

    def __iter__(self) -> Iterator[Connection]:
        """Every connection, until the listener is closed."""
        while True:
            try:
                conn = self.accept()
            except errors.ConnectionClosed:
                return
            yield conn

    def reload_tls(self) -> None:
        """Read all certificates, keys and authorities again, for handshakes from now on.

        Raises:
            CertificateError: something cannot be used; the old ones stay.
            ConnectionClosed: the listener was closed.
        """
        with self._hub as core:
            if not self._hub.servers:
                raise errors.ConnectionClosed("the listener was closed")
            check_loop(lib.quicpro_server_reload_tls(self._hub.servers[0]), core.loop)

    def close(self) -> None:
        """Stop, and close every connection. More than once does no harm."""
        self._hub.free()

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def listen(
    host: str | None,
    port: int,
    *,
    alpn: Sequence[str] | None = None,
    certfile: str | os.PathLike[str] | None = None,
    keyfile: str | os.PathLike[str] | None = None,
    certs: Mapping[str, tuple[Any, Any]] | None = None,
    timeout: float | None = None,
    config: Config | None = None,
) -> Listener:
    """Listen for connections of a protocol of your own.

    Args:
        host: name or address; None: all addresses.
        port: 0 lets the kernel choose, see `Listener.port`.
        alpn: names of the protocol, best first (RFC 7301); None: as the configuration says.
        certfile: certificate chain, PEM or DER; None: as the configuration says.
        keyfile: private key, PEM or DER; None: as the configuration says.
        certs: other certificates by host name or "*.example": {host: (certfile, keyfile)}.
        timeout: seconds that accept() may take, and the calls of its connections.
        config: further options, such as `datagrams_enable`.

    Raises:
        As `quicpro.listen()`.
    """
    options = server_options(alpn, config, certfile, keyfile)
    check_port(port, 0)
    return Listener(host, port, options, certs or {}, timeout)
