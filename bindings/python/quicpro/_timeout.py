"""How long the parts of a request may take."""

from __future__ import annotations

from typing import NamedTuple

from . import errors


class Timeout(NamedTuple):
    """Seconds that a request and its parts may take; None: no limit.

    Args:
        total: from the request to the end of its response.
        connect: until the handshake of its connection is done; the option `handshake_timeout`
            limits that for all requests that wait for it.
        read: in which something of the response must come.
        write: in which some of the request's body must be taken.
    """

    total: float | None = None
    connect: float | None = None
    read: float | None = None
    write: float | None = None

    @classmethod
    def of(cls, given: float | Timeout | None) -> Timeout:
        """A number is for all of it."""
        return given if isinstance(given, Timeout) else cls(given)


def too_long(url: str, part: str, limit: float | None) -> errors.TimeoutError:
    """What to raise when a part of a request took longer."""
    seconds = f"in {limit:g} s" if limit is not None else "in time"
    if part == "connect":
        return errors.HandshakeTimeout(f"{url}: not connected {seconds}")
    if part == "write":
        return errors.WriteTimeout(f"{url}: nothing of the body was taken {seconds}")
    if part == "read":
        return errors.ResponseTimeout(f"{url}: nothing came {seconds}")
    return errors.ResponseTimeout(f"{url}: no complete answer {seconds}")
