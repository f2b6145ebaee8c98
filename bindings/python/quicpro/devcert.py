"""Certificates for development."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ._check import check
from ._ffi import ffi, lib

__all__ = ["DEFAULT_NAMES", "DevCert", "make_devcert", "write_devcert"]

DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")


class DevCert(NamedTuple):
    """A local authority, a server certificate of it with the chain, and its key, all PEM."""

    ca: bytes
    cert: bytes
    key: bytes
    spki_sha256: str


def make_devcert(names: Sequence[str] = DEFAULT_NAMES, days: int = 90) -> DevCert:
    """Make certificates for DNS names and address literals; the authority's key is thrown away.

    Raises:
        ValueError: no names, a name that no certificate can hold, or days not in 1 to 397.
    """
    if any("\0" in name for name in names):
        raise ValueError("a name cannot hold a NUL")
    made = ffi.new("quicpro_devcert *")
    encoded = [ffi.new("char[]", name.encode()) for name in names]
    check(
        lib.quicpro_devcert_make(made, ffi.new("char *[]", encoded), len(encoded), days),
        f"cannot make a certificate for {', '.join(names) or 'no name'} valid {days} days",
    )
    try:
        return DevCert(
            ca=ffi.string(made.ca_pem),
            cert=ffi.string(made.cert_pem),
            key=ffi.string(made.key_pem),
            spki_sha256=ffi.string(made.spki_sha256).decode(),
        )
    finally:
        lib.quicpro_devcert_done(made)


def write_devcert(
    folder: str | os.PathLike[str],
    names: Sequence[str] = DEFAULT_NAMES,
    days: int = 90,
    force: bool = False,
) -> DevCert:
    """Write `ca.pem`, `cert.pem` and `key.pem` (mode 0600) into a folder, which is made if missing.

    Raises:
        FileExistsError: one of them is there already and `force` is off.
    """
    made = make_devcert(names, days)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    files = {"ca.pem": made.ca, "cert.pem": made.cert, "key.pem": made.key}
    for name in files:
        if not force and (target / name).exists():
            raise FileExistsError(17, "exists already", str(target / name))
    for name, data in files.items():
        (target / name).unlink(missing_ok=True)
        fd = os.open(target / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as f:
            f.write(data)
    return made
