"""Raw QUIC without a loop: batches of events become the state of connections and streams.

A front (asyncio, trio, threads) makes a `Core` on a loop of the library, feeds it the batches of
that loop, flushes when `changed` was called, and knows how to wait: whoever must, puts a token into
a list, its gate; `wake` is called with it when something has changed, takes the first token and
resumes its owner, who looks again and then lets the next one look. So a change wakes one waiter, in
their order, and a wait that is given up loses nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from . import _batch, _stats, errors
from ._batch import Batch
from ._check import check_loop, error
from ._ffi import ffi, lib
from ._messages import ConnectionInfo, connection_info, failure_of
from ._raw_path import Address, PathCore
from ._raw_stream import WAIT, StreamCore, check_code
from ._tls import peer_certificates
from .config import Config
from .stats import ConnectionStats

__all__ = ["Address", "ConnectionCore", "Core", "client_options", "server_options"]

SCRATCH: Final = 65536  # bytes of one read that does not go to the caller's memory
REASON_MAX: Final = 256

STREAM: Final = lib.QUICPRO_EVENT_STREAM
READABLE: Final = lib.QUICPRO_EVENT_READABLE
STOPPED: Final = lib.QUICPRO_EVENT_STOPPED
DATAGRAM: Final = lib.QUICPRO_EVENT_DATAGRAM
STREAMS: Final = lib.QUICPRO_EVENT_STREAMS
PATH: Final = lib.QUICPRO_EVENT_PATH
EARLY: Final = lib.QUICPRO_EVENT_EARLY
_IS_EARLY: Final = lib.QUICPRO_FLAG_EARLY
UNI: Final = lib.QUICPRO_FLAG_UNI

T = TypeVar("T")


def _protocols(alpn: Sequence[str] | None, config: Config | None) -> Config:
    config = config or Config()
    if alpn is not None:
        if isinstance(alpn, str):
            raise TypeError(f'alpn is a list of names, such as ["{alpn}"]')
        config = config.replace(alpn=list(alpn))
    names = config["alpn"]
    if not names or "h3" in names:
        what = "h3 is HTTP/3, for Client and Server" if names else "none is given"
        raise ValueError(f"alpn: the name of a protocol of your own is needed; {what}")
    return config


def client_options(
    alpn: Sequence[str] | None,
    config: Config | None,
    cafile: Any,
    verify: bool | None,
    handshake_timeout: float | None,
    early_data: bool,
) -> Config:
    """The configuration of a raw connection.

    Raises:
        ConfigError: an option cannot have its value.
        ValueError: no protocol, or HTTP/3.
    """
    options = {
        "ca_file": cafile,
        "verify_peer": verify,
        "handshake_timeout": handshake_timeout,
        "early_data": early_data or None,
    }
    given = {key: value for key, value in options.items() if value is not None}
    return _protocols(alpn, config).replace(**given)


def server_options(
    alpn: Sequence[str] | None, config: Config | None, certfile: Any, keyfile: Any
) -> Config:
    """The same for a listener."""
    options = {"cert_file": certfile, "key_file": keyfile}
    given = {key: value for key, value in options.items() if value is not None}
    return _protocols(alpn, config).replace(**given)


def by_name(config: Config, certs: Mapping[str, tuple[Any, Any]]) -> list[tuple[str, Config]]:
    """The configurations of certificates for some names."""
    return [
        (name, config.replace(cert_file=c, key_file=k, cert_data=b"", key_data=b"", ocsp_file=""))
        for name, (c, k) in certs.items()
    ]


def check_port(port: int, least: int = 1) -> None:
    """Raise TypeError or ValueError if it is no port."""
    if not isinstance(port, int):
        raise TypeError(f"a port is an int, not {type(port).__name__}")
    if not least <= port < 65536:
        raise ValueError(f"a port is {least} to 65535, not {port}")


def _reason(text: str) -> str:
    """What the peer gave as reason: the library puts it in brackets behind its own words."""
    return text.partition(" (")[2][:-1] if text.endswith(")") else ""


def _words(code: int, reason: str) -> bytes:
    check_code(code)
    words = reason.encode()
    if len(words) > REASON_MAX or b"\0" in words:
        raise ValueError("a reason is at most 256 bytes of UTF-8, without NUL")
    return words


class ConnectionCore:
    """State of one connection; made by `Core`."""

    stream_class: type[StreamCore] = StreamCore

    def __init__(self, core: Core, handle: int, is_server: bool) -> None:
        self._core = core
        self._handle = handle
        self.is_server = is_server
        self.established = False
        self._early = False  # streams may be opened although it is not
        self.error: Exception | None = None  #: why it ended; None while it is open
        self.reason = ""  #: the words of whoever closed it
        self.datagrams_max = core.datagrams_max
        self.datagrams_dropped = 0  #: that came while too many waited to be received
        self._closing = False
        self._finishing = False  # by finish(), and not by close()
        self._finish_wanted: tuple[int, bytes] | None = None  # and not handed on yet
        self._answers: dict[Callable[..., Any], Any] = {}
        self._certificates: tuple[bytes, ...] | None = None
        self._accepted: deque[StreamCore] = deque()
        self._datagrams: deque[bytes] = deque()
        self._numbers = [0, 0]  # streams opened here: bidirectional, unidirectional
        self.connecting: list[Any] = []
        self.opening: tuple[list[Any], list[Any]] = ([], [])
        self.accepting: list[Any] = []
        self.receiving: list[Any] = []
        self.ending: list[Any] = []
        self._path = PathCore(self)

    def __repr__(self) -> str:
        state = "closed" if self.error else "open" if self.established else "connecting"
        return f"<{type(self).__name__} {state} {'server' if self.is_server else 'client'}>"

    # Facts.

    def _ask(self, what: Callable[[Any, int], T | None]) -> T:
        """What a function says of it now, or once it has ended what it said last."""
        now = None if self.error else what(self._core.loop, self._handle)
        if now is not None:
            self._answers[what] = now
        last = self._answers.get(what)
        if last is None:
            raise self.error or errors.ConnectionClosed("the connection has ended")
        return cast(T, last)

    @property
    def info(self) -> ConnectionInfo:
        """Facts and figures; the last that were asked for, once it has ended.

        Raises:
            ConnectionError: it ended before there were any.
        """
        return self._ask(connection_info)

    @property
    def stats(self) -> ConnectionStats:
        """What it has counted, and its network paths; the last that were asked for, once it has
        ended.

        Raises:
            ConnectionError: it ended before there were any.
        """
        return self._ask(_stats.of)

    @property
    def alpn(self) -> str:
        """The protocol that the handshake chose."""
        return self.info.alpn

    @property
    def peer(self) -> Address:
        """Where the peer is."""
        return Address.of(self.info.peer)

    @property
    def local(self) -> Address:
        """Where this side is."""
        return Address.of(self.info.local)

    @property
    def early_data(self) -> str:
        """What became of data sent before the handshake was done: none, accepted or rejected."""
        return self.info.early_data

    @property
    def peer_certificates(self) -> tuple[bytes, ...]:
        """The chain that the peer sent, in DER, its own first; empty if it has none."""
        if self._certificates is None:
            if self.error is not None:
                raise self.error.with_traceback(None)
            self._certificates = peer_certificates(self._core.loop, self._handle)
        return self._certificates

    @property
    def datagram_max(self) -> int:
        """Bytes of the longest datagram that can be sent now; 0: this connection has none."""
        return self._longest()

    def _longest(self) -> int:
        return max(0, int(lib.quicpro_datagram_max(self._core.loop, self._handle)))

    # Commands.

    def _alive(self) -> None:
        if self.error is not None:
            raise self.error.with_traceback(None)
        if self._closing:
            raise errors.ConnectionClosed("the connection was closed by us")

    def send_datagram(self, data: bytes | bytearray | memoryview) -> bool:
        """Send a datagram: it may be lost, and is not sent again (RFC 9221).

        Returns:
            False: too many wait to be sent, and this one was dropped.

        Raises:
            ValueError: longer than `datagram_max`.
            ProtocolError: the peer takes no datagrams, or `datagrams_enable` is off here.
            ConnectionError: the connection has ended.
        """
        self._alive()
        place = ffi.from_buffer(data)
        rc = lib.quicpro_datagram_send(self._core.loop, self._handle, place, len(place))
        self._core.changed()
        if rc == lib.QUICPRO_EAGAIN:
            return False
        if rc == lib.QUICPRO_E2BIG:
            raise ValueError(f"a datagram of {len(place)} bytes; at most {self._longest()} fit now")
        if rc == lib.QUICPRO_ESTATE:
            raise errors.ProtocolError(
                'no datagrams here: both sides need the option "datagrams_enable"', code=rc
            )
        if rc == lib.QUICPRO_ESTALE:
            raise errors.ConnectionClosed("the connection has ended", code=rc)
        if rc < 0:
            raise error(rc)
        return True

    def close(self, code: int = 0, reason: str = "") -> None:
        """Close at once: what was not acknowledged yet may be lost, both ways. See finish().

        Args:
            code: the application's, for the peer; 0 is no error.
            reason: words for the peer, at most 256 bytes of UTF-8.
        """
        words = _words(code, reason)
        if self.error is None and (not self._closing or self._finishing):
            self._closing = True
            self._finishing = False
            self._finish_wanted = None
            lib.quicpro_conn_close(self._core.loop, self._handle, code, words)
            self._core.changed()

    def finish(self, code: int = 0, reason: str = "") -> None:
        """Close once the peer has acknowledged everything that was written; nothing more is taken.
        A peer that does not read holds it up until the idle timeout, or close().

        Args:
            code: the application's, for the peer; 0 is no error.
            reason: words for the peer, at most 256 bytes of UTF-8.
        """
        words = _words(code, reason)
        if self.error is None and not self._closing:
            self._closing = True
            self._finishing = True
            self._finish_wanted = code, words
            self._finish_if_written()

    def _finish_if_written(self) -> None:
        """After finish(): go on if the library has all that waited in this process."""
        if self._finish_wanted is None:
            return
        for stream in self._core.streams.values():
            if stream._conn is self and stream._left:
                return
        code, words = self._finish_wanted
        self._finish_wanted = None
        lib.quicpro_conn_finish(self._core.loop, self._handle, code, words)
        self._core.changed()

    def poll_connected(self) -> Any:
        if self.established:
            return self
        if self.error is not None:
            raise self.error.with_traceback(None)
        return WAIT

    def poll_usable(self) -> Any:
        """The same, or early data may be sent."""
        return self if self._early else self.poll_connected()

    def poll_open(self, bidi: bool = True, wait: bool = True) -> Any:
        self._alive()
        core = self._core
        rc = lib.quicpro_stream_open(core.loop, self._handle, bidi, ffi.NULL, core.handle)
        if rc == lib.QUICPRO_ELIMIT:
            if wait:
                return WAIT
            kind = "bidirectional" if bidi else "unidirectional"
            raise errors.StreamLimit(f"the peer allows no more {kind} streams now", code=rc)
        if rc == lib.QUICPRO_ESTALE:
            return WAIT  # it has ended: an event that is under way says how
        if rc == lib.QUICPRO_ESTATE and not self.established:
            return WAIT
        if rc < 0:
            raise error(rc)
        number = self._numbers[not bidi]
        self._numbers[not bidi] += 1
        stream_id = number << 2 | (0 if bidi else 2) | self.is_server
        stream = self.stream_class(self, int(core.handle[0]), stream_id, not self.established)
        core.streams[stream._handle] = stream
        return stream

    def poll_accept(self) -> Any:
        if self._accepted:
            return self._accepted.popleft()
        self._alive()
        return WAIT

    def poll_next(self) -> Any:
        """For iteration: None after the last stream of a connection that ended well."""
        if not self._accepted and isinstance(self.error, errors.ConnectionClosed):
            if self.error.code == 0:
                return None
        return self.poll_accept()

    def poll_datagram(self) -> Any:
        if self._datagrams:
            return self._datagrams.popleft()
        self._alive()
        return WAIT

    def poll_closed(self) -> Any:
        return self.error if self.error is not None else WAIT

    # What happens to it.

    def on_stream(self, handle: int, stream_id: int, early: bool) -> None:
        stream = self.stream_class(self, handle, stream_id, early)
        self._core.streams[handle] = stream
        self._accepted.append(stream)  # no more than the streams that the peer may open
        self._core.wake(self.accepting)

    def on_datagram(self, data: bytes) -> None:
        if len(self._datagrams) >= self.datagrams_max:
            self.datagrams_dropped += 1  # RFC 9221 section 5.2 allows it
            return
        self._datagrams.append(data)
        self._core.wake(self.receiving)

    def on_early(self) -> None:
        self._early = True
        self._core.wake(self.connecting)

    def on_connected(self) -> None:
        self.established = True
        info = connection_info(self._core.loop, self._handle)
        self._answers[connection_info] = info
        if not self.is_server and info is not None and info.early_data == "rejected":
            self._numbers = [0, 0]  # of streams: the connection has begun anew
        for gate in (self.connecting, *self.opening):
            while gate:
                self._core.wake(gate)

    def on_closed(self, failure: Exception, reason: str) -> None:
        if self.error is not None:
            return
        self.error = failure
        self.reason = reason
        self._finish_wanted = None
        for gate in (
            self.connecting, *self.opening, self.accepting, self.receiving, self.ending
        ):  # fmt: skip
            self._core.wake(gate)
        self._path.on_closed()


class Core:
    """The connections of one loop, and their streams.

    Args:
        loop: the library's; who drives it calls `feed` with its batches.
        config: that of the connections.
        connection_class: what connections become.
        changed: called after commands: a flush is needed.
        wake: called with a gate: take its first token, if it has one, and resume its owner.
    """

    def __init__(
        self,
        loop: Any,
        config: Config,
        connection_class: type[ConnectionCore],
        changed: Callable[[], None],
        wake: Callable[[list[Any]], None],
    ) -> None:
        self.loop = loop
        self.config = config  # with the function that its server calls
        self.front: Any = None
        self.changed = changed
        self.wake = wake
        self.conns: dict[int, ConnectionCore] = {}
        self.streams: dict[int, StreamCore] = {}
        self.accepted: deque[ConnectionCore] = deque()
        self.accepting: list[Any] = []
        self.closed: Exception | None = None
        self.datagrams_max: int = config["dgram_recv_queue_len"]
        self._connection_class = connection_class
        # What calls return by pointer, made once.
        self.fin = ffi.new("int *")
        self.code = ffi.new("uint64_t *")
        self.handle = ffi.new("uint64_t *")
        self.scratch_size = SCRATCH
        self.scratch = ffi.new("char[]", SCRATCH)
        self.window = ffi.buffer(self.scratch)

    def connect(self, client: Any, host: str, port: int, config: Config) -> ConnectionCore:
        """Begin a connection of a client that has this configuration.

        Raises:
            ValueError: no such port, or no name that a host can have.
            ConnectionError: it cannot even begin.
        """
        check_port(port)
        try:
            name = host.encode("ascii") if host.isascii() else host.encode("idna")
        except UnicodeError:
            raise ValueError(f"{host!r} is not the name of a host") from None
        check_loop(lib.quicpro_client_connect(client, name, port, ffi.NULL, self.handle), self.loop)
        conn = self._connection_class(self, int(self.handle[0]), False)
        conn.datagrams_max = config["dgram_recv_queue_len"]
        self.conns[conn._handle] = conn
        self.changed()
        return conn

    def poll_accept(self) -> Any:
        if self.accepted:
            return self.accepted.popleft()
        if self.closed is not None:
            raise self.closed.with_traceback(None)
        return WAIT

    def feed(self, raw: Any) -> None:
        """Take a batch in."""
        words = Batch(raw).words
        streams = self.streams
        for i in range(0, len(words), 8):
            head, handle = words[i], words[i + 2]
            kind = head & 0xFFFF
            if kind == READABLE:
                if (stream := streams.get(handle)) is not None:
                    stream.on_readable()
            elif handle and kind != STREAM:
                if (stream := streams.get(handle)) is not None:
                    self._on_stream_event(stream, kind, words[i : i + 6])
            else:
                self._on_connection_event(kind, words[i : i + 8])

    def _on_stream_event(self, stream: StreamCore, kind: int, event: list[int]) -> None:
        head, _, _, code, address, length = event
        if kind == _batch.WRITABLE:
            stream.on_writable()
        elif kind == STOPPED:
            stream.on_stopped(code)
        elif kind == _batch.DATA:
            fin = bool(head >> 16 & _batch.FIN)
            stream.on_rest(_batch.body(address, length), fin)
        elif kind == _batch.RESET:
            stream.on_end(self._failure(event)[0])

    @staticmethod
    def _failure(event: list[int]) -> tuple[Exception, str]:
        head, _, _, code, address, length = event
        text = _batch.text(address, length)
        remote = bool(head >> 16 & _batch.REMOTE)
        return failure_of(_batch.error_of(head), text, code, remote), _reason(text)

    def _on_connection_event(self, kind: int, event: list[int]) -> None:
        head, handle, stream, code, address, length, stream_id, _ = event
        conn = self.conns.get(handle)
        if kind in (_batch.CONNECTED, EARLY):
            if conn is None:
                conn = self.conns[handle] = self._connection_class(self, handle, True)
                self.accepted.append(conn)  # no more than "max_connections"
                self.wake(self.accepting)
            conn.on_early() if kind == EARLY else conn.on_connected()
        elif conn is None:
            pass  # a handshake that came to nothing
        elif kind == STREAM:
            conn.on_stream(stream, stream_id, bool(head >> 16 & _IS_EARLY))
        elif kind == DATAGRAM:
            conn.on_datagram(_batch.body(address, length))
        elif kind == STREAMS:
            self.wake(conn.opening[bool(head >> 16 & UNI)])
        elif kind == PATH:
            conn._path.on_event(code, _batch.text(address, length))
        elif kind == _batch.CLOSED:
            del self.conns[handle]
            conn.on_closed(*self._failure(event[:6]))

    def end(self, why: Exception) -> None:
        """The loop is gone, or not ours any more: whoever waits or comes gets this."""
        self.closed = why
        self.accepted.clear()
        for stream in list(self.streams.values()):
            stream.on_end(why)
        for conn in list(self.conns.values()):
            conn.on_closed(why, "")
        self.conns.clear()
        self.streams.clear()
        self.loop = ffi.NULL
        while self.accepting:
            self.wake(self.accepting)
