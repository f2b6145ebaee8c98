"""A raw QUIC stream without a loop: what an API for asyncio, trio or threads has in common.

Methods that may have to wait are called `poll_...`: they do it and return the result, raise, or
return WAIT and have changed nothing that a caller could miss. Who calls them knows how to wait for
`readers` or `writers`. So giving up a wait loses no bytes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from . import errors
from ._check import error
from ._ffi import ffi, lib

if TYPE_CHECKING:
    from ._raw import ConnectionCore

__all__ = ["WAIT", "StreamCore", "check_code"]

LIMIT = 65536  # bytes that readuntil() looks through, as in asyncio
CODE_MAX: Final = (1 << 62) - 1  # RFC 9000 section 16
SHUT_READ: Final = 1
SHUT_WRITE: Final = 2
_UNI: Final = 2  # bit of a stream ID (RFC 9000 section 2.1)

_read = lib.quicpro_stream_read
_write = lib.quicpro_stream_write
_from_buffer = ffi.from_buffer
_EAGAIN: Final = lib.QUICPRO_EAGAIN
_ERESET: Final = lib.QUICPRO_ERESET
# Nothing now; or it has ended, and events that were not looked at yet say how.
_TOLD_LATER: Final = (_EAGAIN, lib.QUICPRO_ESTALE, lib.QUICPRO_ESTATE)


class _Wait:
    """The type of WAIT."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "WAIT"


WAIT: Final = _Wait()


def check_code(code: int) -> int:
    """An application's error code.

    Raises:
        TypeError: not an integer.
        ValueError: not one that fits (RFC 9000 section 16).
    """
    if not isinstance(code, int):
        raise TypeError(f"a code is an int, not {type(code).__name__}")
    if not 0 <= code <= CODE_MAX:
        raise ValueError(f"a code is 0 to 2**62 - 1, not {code}")
    return code


class StreamCore:
    """State of one stream; made by its connection.

    What was received stays in the library until it is read; only readuntil() and the like keep what
    they have looked at in `_buffer`, and what was not read when the connection ends comes there.
    """

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_conn",
        "_core",
        "_end_wanted",
        "_ended",
        "_eof",
        "_handle",
        "_left",
        "_read_error",
        "_readable",
        "_refused_since",
        "_scanned",
        "_write_error",
        "early_data",
        "id",
        "readers",
        "writers",
    )

    # asyncio's own where asyncio is used.
    IncompleteReadError: type[errors.IncompleteReadError] = errors.IncompleteReadError
    LimitOverrunError: type[errors.LimitOverrunError] = errors.LimitOverrunError

    def __init__(self, conn: ConnectionCore, handle: int, stream_id: int, early: bool) -> None:
        self._conn = conn
        self._core = conn._core
        self._handle = handle
        self.id = stream_id
        self.early_data = early
        self._buffer = bytearray()
        self._scanned = 0  # bytes of it that hold no separator
        self._readable = False
        self._eof = False
        self._read_error: Exception | None = None
        self._left: deque[bytes] = deque()  # written while the library takes no more
        self._ended = False  # write_eof() was called
        self._end_wanted = False  # and waits behind _left
        self._refused_since = False  # the library takes no more, and will say why
        self._write_error: Exception | None = None
        self.readers: list[Any] = []
        self.writers: list[Any] = []
        local = (stream_id & 1) == conn.is_server
        if stream_id & _UNI and local:
            self._eof = True
            self._read_error = self._wrong("is for sending only")
        elif stream_id & _UNI:
            self._ended = True
            self._write_error = self._wrong("is for receiving only")

    def __repr__(self) -> str:
        state = "receiving " * (not self._eof) + "sending" * (not self._ended)
        return f"<{type(self).__name__} {self.id} {state.strip() or 'done'}>"

    def _wrong(self, what: str) -> errors.StreamError:
        return errors.StreamError(f"stream {self.id} {what}", code=lib.QUICPRO_ESTATE)

    @property
    def is_bidirectional(self) -> bool:
        """Whether both sides send on it."""
        return not self.id & _UNI

    # Reading.

    def at_eof(self) -> bool:
        """Whether everything was read that the peer sent, and it ended."""
        return self._eof and not self._buffer

    def _pull(self, place: Any, size: int) -> int:
        """Read into memory; how many bytes. Sets `_eof`, or `_readable` if there is no more now."""
        core = self._core
        n = _read(core.loop, self._handle, place, size, core.fin, core.code)
        if n >= 0:
            if core.fin[0]:
                self._eof = True
                self._readable = False
                self._forget_if_done()
            elif n < size:
                self._readable = False
            core.changed()  # reading is what lets the peer send more
            return int(n)
        self._readable = False
        if n == _ERESET:
            code = core.code[0]
            self._read_error = errors.StreamReset(
                f"stream {self.id} was reset by the peer with application code {code}",
                code=n,
                wire_code=code,
                remote=True,
            )
            self._eof = True
            core.changed()
            self._forget_if_done()
        elif n not in _TOLD_LATER:
            raise error(n)
        return 0

    def _pull_bytes(self, size: int) -> bytes:
        core = self._core
        n = self._pull(core.scratch, min(size, core.scratch_size))
        data: bytes = core.window[0:n]
        return data

    def _take(self, size: int) -> bytes:
        """The first bytes of the buffer."""
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._scanned = 0
        return data

    def poll_read(self, size: int = -1) -> Any:
        if size < 0:
            while self._readable:
                self._buffer += self._pull_bytes(self._core.scratch_size)
            if not self._eof:
                return WAIT
            if self._read_error is not None and not self._buffer:
                raise self._read_error.with_traceback(None)
            return self._take(len(self._buffer))
        if size == 0:
            return b""
        if self._buffer:
            return self._take(size)
        if self._readable:
            data = self._pull_bytes(size)
            if data:
                return data
        if self._eof:
            if self._read_error is not None:
                raise self._read_error.with_traceback(None)
            return b""
        return WAIT

    def poll_readinto(self, buffer: Any) -> Any:
        with memoryview(buffer) as view:
            if view.readonly or not view.contiguous:
                raise TypeError("readinto() needs memory that is contiguous and can be written to")
            size = view.nbytes
            if size == 0:
                return 0
            if self._buffer:
                data = self._take(size)
                view.cast("B")[: len(data)] = data
                return len(data)
            if self._readable:
                with _from_buffer("char[]", view, True) as place:
                    n = self._pull(place, size)
                if n:
                    return n
        if self._eof:
            if self._read_error is not None:
                raise self._read_error.with_traceback(None)
            return 0
        return WAIT

    def poll_readexactly(self, size: int) -> Any:
        buffer = self._buffer
        if size < 0:
            raise ValueError("readexactly size can not be less than zero")
        if not buffer and self._readable and 0 < size <= self._core.scratch_size:
            data = self._pull_bytes(size)  # the usual case: everything is there
            if len(data) == size:
                return data
            buffer += data
        while len(buffer) < size and self._readable:
            buffer += self._pull_bytes(size - len(buffer))
        if len(buffer) >= size:
            return self._take(size)
        if self._eof:
            if self._read_error is not None:
                raise self._read_error.with_traceback(None)
            raise self.IncompleteReadError(self._take(len(buffer)), size)
        return WAIT

    def poll_readuntil(self, separator: bytes = b"\n", limit: int = LIMIT) -> Any:
        buffer = self._buffer
        width = len(separator)
        if not width:
            raise ValueError("Separator should be at least one-byte string")
        while True:
            at = buffer.find(separator, self._scanned)
            if at >= 0:
                if at > limit:
                    raise self.LimitOverrunError(
                        "Separator is found, but chunk is longer than limit", at
                    )
                return self._take(at + width)
            searched = max(0, len(buffer) - width + 1)
            if searched > limit:
                raise self.LimitOverrunError(
                    "Separator is not found, and chunk exceed the limit", searched
                )
            if not self._readable:
                break
            buffer += self._pull_bytes(self._core.scratch_size)
        if self._eof:
            if self._read_error is not None:
                raise self._read_error.with_traceback(None)
            raise self.IncompleteReadError(self._take(len(buffer)), None)
        return WAIT

    def poll_readline(self, limit: int = LIMIT) -> Any:
        try:
            return self.poll_readuntil(b"\n", limit)
        except errors.IncompleteReadError as e:
            return e.partial
        except errors.LimitOverrunError as e:
            if self._buffer.startswith(b"\n", e.consumed):
                self._take(e.consumed + 1)
            else:
                self._take(len(self._buffer))
            raise ValueError(str(e)) from None

    def poll_line(self) -> Any:
        """For iteration: None after the last line."""
        line = self.poll_readline()
        return None if line == b"" else line

    # Writing.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; never waits. What the library does not take now waits in this process: to be
        told when there is room again, await drain().

        Args:
            data: 1-D bytes, C-contiguous; copied, or if it is bytes referred to.

        Raises:
            StreamStopped: the peer wants no more.
            StreamError: this side has ended already.
            ConnectionError: the connection has ended.
        """
        if self._write_error is not None:
            raise self._write_error.with_traceback(None)
        if self._ended:
            raise self._wrong("has had its write_eof()")
        if self._left:
            self._left.append(bytes(data))
            return
        place = _from_buffer(data)
        size = len(place)
        if not size:
            return
        rc = _write(self._core.loop, self._handle, place, size, 0)
        if rc == 0:
            self._core.changed()
        elif rc == _EAGAIN:
            self._left.append(bytes(data))
        else:
            self._refused(rc)

    def writelines(self, pieces: Any) -> None:
        """write() for each of them."""
        for piece in pieces:
            self.write(piece)

    def _refused(self, rc: int) -> None:
        self._core.changed()
        if rc not in (_ERESET, lib.QUICPRO_ESTALE):
            raise error(rc)
        self._refused_since = True  # an event that is under way says why: drain() waits for it

    def poll_drain(self) -> Any:
        if self._write_error is not None:
            raise self._write_error.with_traceback(None)
        return WAIT if self._left or self._refused_since else None

    def can_write_eof(self) -> bool:
        """Whether this side sends."""
        return self.is_bidirectional or (self.id & 1) == self._conn.is_server

    def write_eof(self) -> None:
        """End this side's direction behind what was written. More than once does no harm.

        Raises:
            StreamError: as write() does.
        """
        if self._write_error is not None:
            raise self._write_error.with_traceback(None)
        if self._ended:
            return
        self._ended = True
        if self._left:
            self._end_wanted = True
        else:
            self._send_end()

    def _send_end(self) -> None:
        rc = _write(self._core.loop, self._handle, ffi.NULL, 0, 1)
        self._end_wanted = False
        if rc < 0:
            self._refused(rc)
        self._core.changed()
        self._forget_if_done()

    def reset(self, code: int = 0) -> None:
        """Give up sending: the peer may lose what it has not read yet (RFC 9000 section 19.4).

        Args:
            code: the application's, for the peer.

        Raises:
            StreamError: the stream is for receiving only.
        """
        check_code(code)
        if not self.can_write_eof():
            raise self._wrong("is for receiving only")
        self._shutdown(SHUT_WRITE, code)
        self._stop_writing(self._given_up("sending was given up by us", code))

    def stop(self, code: int = 0) -> None:
        """Want no more of what the peer sends (STOP_SENDING, RFC 9000 section 19.5); what was not
        read is thrown away.

        Args:
            code: the application's, for the peer.

        Raises:
            StreamError: the stream is for sending only.
        """
        check_code(code)
        if not self.is_bidirectional and self.can_write_eof():
            raise self._wrong("is for sending only")
        if not self._eof:
            self._shutdown(SHUT_READ, code)
            self._stop_reading(self._given_up("receiving was given up by us", code))
        self._buffer.clear()

    def _given_up(self, what: str, code: int) -> errors.StreamError:
        text = f"stream {self.id}: {what} with application code {code}"
        return errors.StreamError(text, code=lib.QUICPRO_ERESET, wire_code=code)

    def _shutdown(self, how: int, code: int) -> None:
        lib.quicpro_stream_shutdown(self._core.loop, self._handle, how, code)
        self._core.changed()

    def set_priority(self, urgency: int = 3, incremental: bool = True) -> None:
        """Say which streams send first.

        Args:
            urgency: 0, the first, to 7 (RFC 9218 section 4.1). Nothing is sent of a stream while
                one of a lower number has something to send.
            incremental: shares with its equals; False: they go one after the other.

        Raises:
            ValueError: no such urgency.
            StreamError: the stream does not send, or has ended.
        """
        if not isinstance(urgency, int):
            raise TypeError(f"an urgency is an int, not {type(urgency).__name__}")
        if not 0 <= urgency <= 7:
            raise ValueError(f"an urgency is 0 to 7, not {urgency}")
        if self._write_error is not None:
            raise self._write_error.with_traceback(None)
        rc = lib.quicpro_stream_set_priority(self._core.loop, self._handle, urgency, incremental)
        if rc < 0:
            self._refused(rc)
        self._core.changed()

    def close(self) -> None:
        """Be done with it: what was written is sent and ended, what comes is not wanted."""
        if self._write_error is None:
            StreamCore.write_eof(self)
        if not self._eof:
            StreamCore.stop(self, 0)

    # What happens to it: called by its connection.

    def on_readable(self) -> None:
        if not self._eof:
            self._readable = True
            if self.readers:
                self._core.wake(self.readers)

    def on_rest(self, data: bytes, fin: bool) -> None:
        """The connection ended: this was received and not read."""
        if not self._eof:
            self._buffer += data
            self._readable = False
            self._eof = fin

    def on_writable(self) -> None:
        while self._left:
            data = self._left[0]
            rc = _write(self._core.loop, self._handle, _from_buffer(data), len(data), 0)
            if rc == _EAGAIN:
                return
            self._left.popleft()
            if rc == 0:
                self._core.changed()
            else:  # an event tells why
                self._left.clear()
        if self._end_wanted:
            self._send_end()
        self._conn._finish_if_written()
        self._core.wake(self.writers)

    def on_stopped(self, code: int) -> None:
        self._stop_writing(
            errors.StreamStopped(
                f"stream {self.id} was stopped by the peer with application code {code}",
                code=_ERESET,
                wire_code=code,
                remote=True,
            )
        )

    def on_end(self, failure: Exception) -> None:
        """It ended with its connection, or by a reset behind what is in the buffer."""
        self._stop_reading(failure)
        self._stop_writing(failure)

    def _stop_reading(self, why: Exception) -> None:
        self._readable = False
        if not self._eof:
            self._eof = True
            self._read_error = why
        self._core.wake(self.readers)
        self._forget_if_done()

    def _stop_writing(self, why: Exception) -> None:
        if self._write_error is None and not (self._ended and not self._left):
            self._write_error = why
        self._ended = True
        self._end_wanted = False
        self._refused_since = False
        self._left.clear()
        self._conn._finish_if_written()
        self._core.wake(self.writers)
        self._forget_if_done()

    def _forget_if_done(self) -> None:
        """The library's handle may be gone once both directions ended."""
        if self._eof and self._ended and not self._end_wanted:
            self._core.streams.pop(self._handle, None)
