"""The only place where a code of the C library becomes an exception."""

from __future__ import annotations

import os

from . import errors
from ._ffi import ffi, lib

_CLASSES: dict[int, type[errors.QuicproError]] = {
    lib.QUICPRO_ETIMEDOUT: errors.TimeoutError,
    lib.QUICPRO_ECONNREFUSED: errors.ConnectionRefused,
    lib.QUICPRO_ESTALE: errors.StreamError,
    lib.QUICPRO_EPROTO: errors.ProtocolError,
    lib.QUICPRO_ELIMIT: errors.StreamLimit,
    lib.QUICPRO_ETLS: errors.TLSError,
    lib.QUICPRO_EVERIFY: errors.VerificationError,
    lib.QUICPRO_EALPN: errors.TLSError,
    lib.QUICPRO_EHANDSHAKE: errors.HandshakeTimeout,
    lib.QUICPRO_EIDLE: errors.IdleTimeout,
    lib.QUICPRO_ECLOSED: errors.ConnectionClosed,
    lib.QUICPRO_ERESET: errors.StreamReset,
    lib.QUICPRO_EVERSION: errors.ConnectionError,
    lib.QUICPRO_ERESOLVE: errors.ResolveError,
    lib.QUICPRO_EOPTION: errors.UnknownOption,
    lib.QUICPRO_EVALUE: errors.InvalidValue,
    lib.QUICPRO_EPOLICY: errors.PolicyViolation,
    lib.QUICPRO_EEARLY: errors.EarlyDataRejected,
    lib.QUICPRO_ECERT: errors.CertificateError,
}


def text_of(code: int) -> str:
    """The library's words for an error code."""
    return str(ffi.string(lib.quicpro_strerror(code)).decode())


def error(
    code: int, text: str = "", *, wire_code: int | None = None, remote: bool = False
) -> Exception:
    """The exception for a negative code, with `text` or the library's own words."""
    if code == lib.QUICPRO_ENOMEM:
        return MemoryError(text or text_of(code))
    if code == lib.QUICPRO_EINVAL:
        return ValueError(text or text_of(code))
    known = _CLASSES.get(code)
    if known is None and -1000 < code < 0:
        return OSError(-code, text or os.strerror(-code))
    return (known or errors.QuicproError)(
        text or text_of(code), code=code, wire_code=wire_code, remote=remote
    )


def check(rc: int, text: str = "") -> int:
    """Return `rc`, or raise the exception for a negative code."""
    if rc >= 0:
        return rc
    raise error(rc, text)


def check_loop(rc: int, loop: ffi.CData) -> int:
    """The same, with what the loop has to say about it."""
    if rc >= 0:
        return rc
    raise error(rc, ffi.string(lib.quicpro_loop_error(loop)).decode())
