"""QUIC and HTTP/3 for Python.

    import quicpro

    quicpro.get("https://example.org/").text
    quicpro.serve(app, bind="127.0.0.1:4433", certfile="cert.pem", keyfile="key.pem")

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
    HandshakeTimeout,
    IdleTimeout,
    InvalidType,
    InvalidValue,
    PolicyViolation,
    ProtocolError,
    QuicproError,
    ResolveError,
    ResponseTimeout,
    StreamError,
    StreamLimit,
    StreamReset,
    TimeoutError,
    TLSError,
    UnknownOption,
    VerificationError,
)

if TYPE_CHECKING:
    from ._messages import Headers, Response
    from .aio import AsyncClient
    from .server import Server, serve
    from .stats import ConnectionStats, PathStats
    from .sync import Client, get

__all__ = [
    "AsyncClient",
    "CertificateError",
    "Client",
    "Config",
    "ConfigError",
    "ConfigFrozen",
    "ConnectionClosed",
    "ConnectionError",
    "ConnectionRefused",
    "ConnectionStats",
    "HandshakeTimeout",
    "Headers",
    "IdleTimeout",
    "InvalidType",
    "InvalidValue",
    "PathStats",
    "PolicyViolation",
    "ProtocolError",
    "QuicproError",
    "ResolveError",
    "Response",
    "ResponseTimeout",
    "Server",
    "StreamError",
    "StreamLimit",
    "StreamReset",
    "TLSError",
    "TimeoutError",
    "UnknownOption",
    "VerificationError",
    "get",
    "serve",
]

__version__: str = ffi.string(lib.quicpro_version()).decode()

# Loaded when first asked for: asyncio is not needed to fetch a URL, nor threads to serve.
_LAZY = {
    "AsyncClient": "aio",
    "Client": "sync",
    "ConnectionStats": "stats",
    "Headers": "_messages",
    "PathStats": "stats",
    "Response": "_messages",
    "Server": "server",
    "get": "sync",
    "serve": "server",
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
