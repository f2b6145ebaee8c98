"""Exceptions. Each is also the builtin it resembles, so code that never heard of us catches it too.

Attributes of all of them:
    code: the library's error number (negative), or 0.
    wire_code: the QUIC or HTTP/3 code that travelled, or None.
    remote: True if the peer did it, False if we did.
"""

from __future__ import annotations

import builtins

__all__ = [
    "CertificateError",
    "ConfigError",
    "ConfigFrozen",
    "ConnectionClosed",
    "ConnectionError",
    "ConnectionRefused",
    "HandshakeTimeout",
    "IdleTimeout",
    "IncompleteReadError",
    "InvalidType",
    "InvalidValue",
    "LimitOverrunError",
    "PolicyViolation",
    "ProtocolError",
    "QuicproError",
    "ResolveError",
    "ResponseTimeout",
    "StreamError",
    "StreamLimit",
    "StreamReset",
    "StreamStopped",
    "TLSError",
    "TimeoutError",
    "UnknownOption",
    "VerificationError",
]


class QuicproError(Exception):
    """Anything this package raises."""

    def __init__(
        self, text: str, *, code: int = 0, wire_code: int | None = None, remote: bool = False
    ) -> None:
        super().__init__(text)
        self.code = code
        self.wire_code = wire_code
        self.remote = remote


class ConfigError(QuicproError, ValueError):
    """An option that does not exist, or a value that it cannot have.

    Attributes (None where they do not apply):
        key: the option, as the table calls it or as it was written if it is unknown.
        value: what it was to be.
        allowed: the values it can have, in words.
        nearest: for an unknown option, the known key that is most like it.
        source: the layer it came from, as `Config.source()` names it.
        file, line, column: where in a file; lines and columns count from 1.
    """

    def __init__(
        self,
        text: str,
        *,
        code: int = 0,
        wire_code: int | None = None,
        remote: bool = False,
        key: str | None = None,
        value: object = None,
        allowed: str | None = None,
        nearest: str | None = None,
        source: str | None = None,
        place: tuple[str, int, int] | None = None,
    ) -> None:
        super().__init__(text, code=code, wire_code=wire_code, remote=remote)
        self.key = key
        self.value = value
        self.allowed = allowed
        self.nearest = nearest
        self.source = source
        self.file = place and place[0]
        self.line = place and place[1]
        self.column = place and place[2]


class UnknownOption(ConfigError):
    """No option has that name."""


class InvalidValue(ConfigError):
    """The option cannot have that value."""


class InvalidType(InvalidValue, TypeError):
    """The option cannot have a value of that type."""


class PolicyViolation(ConfigError, PermissionError):
    """The configuration is locked, and the value would have changed it."""


class ConfigFrozen(ConfigError, TypeError):
    """A Config was to be changed; `Config.replace()` makes another one."""


class CertificateError(ConfigError):
    """A certificate, a key or a file of authorities could not be used."""


class ConnectionError(QuicproError, builtins.ConnectionError):
    """The connection could not be made, or was lost."""


class ConnectionRefused(ConnectionError, builtins.ConnectionRefusedError):
    """Nothing listens at that address."""


class ConnectionClosed(ConnectionError):
    """The connection was closed before the answer was complete."""


class ResolveError(ConnectionError):
    """The host name could not be resolved."""


class TLSError(ConnectionError):
    """The TLS handshake failed."""


class VerificationError(TLSError):
    """The peer's certificate was not accepted."""


class TimeoutError(QuicproError, builtins.TimeoutError):
    """Something took too long."""


class HandshakeTimeout(TimeoutError, ConnectionError):
    """The peer did not complete the handshake in time."""


class IdleTimeout(TimeoutError, ConnectionError):
    """The connection was silent too long (RFC 9000 section 10.1)."""


class ResponseTimeout(TimeoutError):
    """The response did not come in time."""


class WriteTimeout(TimeoutError):
    """The peer did not take the body of a request in time."""


class MigrationError(QuicproError):
    """The connection does not move to another network path; it goes on where it is."""


class ProtocolError(QuicproError):
    """The peer broke the protocol, or was asked to."""


class StreamError(QuicproError):
    """A request or response ended before its time."""


class StreamReset(StreamError, ConnectionResetError):
    """The peer gave the stream up."""


class StreamStopped(StreamError, BrokenPipeError):
    """The peer wants no more of what a stream sends."""


class StreamLimit(StreamError):
    """Too many requests wait already, or the peer allows no more streams now."""


class EarlyDataRejected(StreamError):
    """A stream was opened before the handshake was done, and the server has seen nothing of it."""


class IncompleteReadError(StreamError, EOFError):
    """A stream ended before all was there that was asked for; with asyncio, asyncio's too.

    Attributes:
        partial: what there was.
        expected: bytes that were asked for; None: up to a separator.
    """

    def __init__(self, partial: bytes, expected: int | None) -> None:
        wanted = "undefined" if expected is None else expected
        # Not by super(): behind us there may be asyncio's, which takes something else.
        Exception.__init__(self, f"{len(partial)} bytes read on a total of {wanted} expected bytes")
        self.code, self.wire_code, self.remote = 0, None, False
        self.partial = partial
        self.expected = expected


class LimitOverrunError(StreamError):
    """No separator within the limit; with asyncio, asyncio's too.

    Attributes:
        consumed: bytes that were looked through; they can still be read.
    """

    def __init__(self, text: str, consumed: int) -> None:
        Exception.__init__(self, text)
        self.code, self.wire_code, self.remote = 0, None, False
        self.consumed = consumed
