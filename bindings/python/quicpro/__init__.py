"""QUIC and HTTP/3 for Python.

    import quicpro

    quicpro.get("https://example.org/").text
    quicpro.serve(app, bind="127.0.0.1:4433", certfile="cert.pem", keyfile="key.pem")

`connect` and `listen` are for protocols of your own, on raw streams and datagrams.
`Client` blocks and may be shared by threads, `AsyncClient` and `Server` live in an asyncio loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._ffi import ffi, lib
from .config import Config
from .errors import (
    CertificateError,
    ConfigError,
    ConfigFrozen,
    ConnectionClosed,
    ConnectionError,
    ConnectionRefused,
    EarlyDataRejected,
    HandshakeTimeout,
    IdleTimeout,
    IncompleteReadError,
    InvalidType,
    InvalidValue,
    LimitOverrunError,
    MigrationError,
    PolicyViolation,
    ProtocolError,
    QuicproError,
    ResolveError,
    ResponseTimeout,
    StreamError,
    StreamLimit,
    StreamReset,
    StreamStopped,
    TimeoutError,
    TLSError,
    UnknownOption,
    VerificationError,
    WriteTimeout,
)

if TYPE_CHECKING:
    from ._messages import Headers, Response
    from ._raw_path import PathEvent
    from ._run import serve
    from ._timeout import Timeout
    from .aio import AsyncClient
    from .raw import Connection, Listener, Stream, connect, listen
    from .server import Server
    from .stats import ConnectionStats, PathStats
    from .sync import Client, get

__all__ = [
    "AsyncClient",
    "CertificateError",
    "Client",
    "Config",
    "ConfigError",
    "ConfigFrozen",
    "Connection",
    "ConnectionClosed",
    "ConnectionError",
    "ConnectionRefused",
    "ConnectionStats",
    "EarlyDataRejected",
    "HandshakeTimeout",
    "Headers",
    "IdleTimeout",
    "IncompleteReadError",
    "InvalidType",
    "InvalidValue",
    "LimitOverrunError",
    "Listener",
    "MigrationError",
    "PathEvent",
    "PathStats",
    "PolicyViolation",
    "ProtocolError",
    "QuicproError",
    "ResolveError",
    "Response",
    "ResponseTimeout",
    "Server",
    "Stream",
    "StreamError",
    "StreamLimit",
    "StreamReset",
    "StreamStopped",
    "TLSError",
    "Timeout",
    "TimeoutError",
    "UnknownOption",
    "VerificationError",
    "WriteTimeout",
    "connect",
    "get",
    "listen",
    "serve",
]

__version__: str = ffi.string(lib.quicpro_version()).decode()

# Loaded when first asked for: asyncio is not needed to fetch a URL, nor threads to serve.
_LAZY = {
    "AsyncClient": "aio",
    "Client": "sync",
    "Connection": "raw",
    "ConnectionStats": "stats",
    "Headers": "_messages",
    "Listener": "raw",
    "PathEvent": "_raw_path",
    "PathStats": "stats",
    "Response": "_messages",
    "Server": "server",
    "Stream": "raw",
    "Timeout": "_timeout",
    "connect": "raw",
    "get": "sync",
    "listen": "raw",
    "serve": "_run",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        value = getattr(import_module(f".{_LAZY[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'quicpro' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
