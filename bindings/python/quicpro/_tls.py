"""What peers said they are."""

from __future__ import annotations

import base64
from typing import Any, Final

from ._ffi import ffi, lib

__all__ = ["asgi_extension", "peer_certificates", "peer_subject"]

SUBJECT_BYTES: Final = 1024
TLS_1_3: Final = 0x0304  # RFC 8446 section 4.1.2

_SUITES: Final = {  # RFC 8446 appendix B.4
    "AES_128_GCM_SHA256": 0x1301,
    "AES_256_GCM_SHA384": 0x1302,
    "CHACHA20_POLY1305_SHA256": 0x1303,
}


def peer_certificates(loop: Any, conn: int) -> tuple[bytes, ...]:
    """The chain that the peer sent, in DER, its own certificate first; empty if it has none."""
    chain: list[bytes] = []
    der, length = ffi.new("const void **"), ffi.new("size_t *")
    while lib.quicpro_conn_get_peer_certificate(loop, conn, len(chain), der, length) == 1:
        chain.append(bytes(ffi.buffer(der[0], length[0])))
    return tuple(chain)


def peer_subject(loop: Any, conn: int) -> str:
    """The subject of the peer's own certificate, such as "CN=alice" (RFC 4514); "": it has none."""
    text = ffi.new("char[]", SUBJECT_BYTES)
    lib.quicpro_conn_get_peer_subject(loop, conn, text, SUBJECT_BYTES)
    return str(ffi.string(text).decode())


def _pem(der: bytes) -> str:
    text = base64.b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def asgi_extension(loop: Any, conn: int) -> dict[str, Any]:
    """The "tls" extension of a scope.

    Source: ASGI TLS Extension 0.2. A certificate that is not accepted ends the connection, so there
    is never a `client_cert_error`; which certificate of ours was shown is not told.
    """
    info = ffi.new("quicpro_conn_info *", {"size": ffi.sizeof("quicpro_conn_info")})
    lib.quicpro_conn_get_info(loop, conn, info)
    return {
        "server_cert": None,
        "client_cert_chain": [_pem(der) for der in peer_certificates(loop, conn)],
        "client_cert_name": peer_subject(loop, conn) or None,
        "client_cert_error": None,
        "tls_version": TLS_1_3,
        "cipher_suite": _SUITES.get(ffi.string(info.cipher).decode()),
    }
