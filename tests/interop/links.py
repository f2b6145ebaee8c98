"""Which of the two kinds of link a test gets."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path

from .link import Conditions, Link
from .relay import RelayLink
from .servers import Missing
from .tun import TunLink


@functools.cache
def why_no_tun() -> str:
    """Why there is no TUN link on this machine, or ""."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            TunLink(Conditions(), Path(folder)).finish()
        except Missing as e:
            return str(e)
    return ""


def open_link(conditions: Conditions, folder: Path, *, ipv6: bool = False, means: str = "") -> Link:
    """A link by TUN devices where that is possible, else by a relay. `means`, or the variable
    QUICPRO_TEST_LINK, asks for "tun" or "relay"; what cannot be then raises Missing."""
    means = means or os.environ.get("QUICPRO_TEST_LINK", "")
    if means not in ("", "tun", "relay"):
        raise ValueError(f"QUICPRO_TEST_LINK is {means!r}, not tun or relay")
    if means == "relay" or (not means and why_no_tun()):
        return RelayLink(conditions, ipv6)
    return TunLink(conditions, folder, ipv6)
