"""What servers said of HTTP/3 in Alt-Svc (RFC 7838), and where it did not work."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ._messages import Origin

__all__ = ["AltSvc", "parse"]

logger = logging.getLogger("quicpro.httpx")

DEFAULT_AGE = 86400  # seconds, where a server does not say (RFC 7838 section 3.1)
LONGEST_AGE = 99_999_999  # three years
MAX_ORIGINS = 10_000
BROKEN_FIRST, BROKEN_MOST = 300.0, 172_800.0  # seconds; doubled each time

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_ENTRY = re.compile(rf'\s*({_TOKEN})="((?:[^"\\]|\\.)*)"((?:\s*;[^,]*)?)\s*(?:,|$)')
_MA = re.compile(r';\s*ma\s*=\s*"?(\d+)"?', re.IGNORECASE)


class _Place(NamedTuple):
    """Where HTTP/3 is, and until when that is known: seconds since 1970."""

    port: int
    expires: float


class _Broken(NamedTuple):
    until: float  # seconds, monotonic
    pause: float


def parse(value: str, host: str) -> tuple[int, int] | None:
    """Port and age in seconds of the first HTTP/3 service at the same host; None: there is none.
    Other hosts are passed over."""
    at = 0
    while at < len(value) and (entry := _ENTRY.match(value, at)) is not None:
        at = entry.end()
        name, authority, parameters = entry.groups()
        where, _, port = authority.rpartition(":")
        if name != "h3" or where not in ("", host) or not re.fullmatch(r"\d{1,5}", port):
            continue
        if 0 < int(port) < 65536:
            age = _MA.search(parameters)
            if age is None:
                return int(port), DEFAULT_AGE
            return int(port), int(age[1]) if len(age[1]) < 9 else LONGEST_AGE
    return None


class AltSvc:
    """Which origins have HTTP/3; safe to share between threads and transports.

    Args:
        path: a file that keeps it; None: memory only.
        now: seconds since 1970.
        monotonic: seconds that no clock change moves.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = None if path is None else os.fspath(path)
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._places: dict[Origin, _Place] = {}
        self._broken: dict[Origin, _Broken] = {}
        if self._path is not None and os.path.exists(self._path):
            self._load(self._path)

    def find(self, origin: Origin) -> Origin | None:
        """Where an origin has HTTP/3, as far as is known."""
        with self._lock:
            place = self._places.get(origin)
            if place is None:
                return None
            if place.expires <= self._now():
                del self._places[origin]
                return None
            return Origin(origin.host, place.port)

    def learn(self, origin: Origin, values: Iterable[str]) -> None:
        """Take the Alt-Svc fields of a response in."""
        for value in values:
            if value.strip() == "clear":
                self._change(origin, None)
            elif value:
                found = parse(value, origin.host)
                if found is None or found[1] == 0:
                    self._change(origin, None)
                else:
                    self._change(origin, _Place(found[0], self._now() + found[1]))

    def _change(self, origin: Origin, place: _Place | None) -> None:
        with self._lock:
            old = self._places.pop(origin, None)
            if place is not None:
                self._places[origin] = place  # the latest are the last
                while len(self._places) > MAX_ORIGINS:
                    del self._places[next(iter(self._places))]
            if self._path is None or (old and old.port) == (place and place.port):
                return
            self._save(self._path)

    def is_broken(self, origin: Origin) -> bool:
        """Whether it did not work there a short while ago."""
        with self._lock:
            broken = self._broken.get(origin)
            return broken is not None and self._monotonic() < broken.until

    def failed(self, origin: Origin) -> None:
        """It did not work there: not again for a while, which doubles each time."""
        with self._lock:
            old = self._broken.pop(origin, None)
            pause = BROKEN_FIRST if old is None else min(2 * old.pause, BROKEN_MOST)
            self._broken[origin] = _Broken(self._monotonic() + pause, pause)
            while len(self._broken) > MAX_ORIGINS:
                del self._broken[next(iter(self._broken))]

    def worked(self, origin: Origin) -> None:
        """It did."""
        if origin in self._broken:
            with self._lock:
                self._broken.pop(origin, None)

    def _load(self, path: str) -> None:
        try:
            with open(path, encoding="utf-8") as file:
                for host, port, at, expires in json.load(file)["h3"]:
                    if not (isinstance(host, str) and 0 < port < 65536 and 0 < at < 65536):
                        raise ValueError
                    self._places[Origin(host, port)] = _Place(at, float(expires))
        except (OSError, ValueError, TypeError, KeyError) as e:
            self._places.clear()
            what = e.strerror if isinstance(e, OSError) else "it is not what this program wrote"
            logger.warning("Alt-Svc memory '%s' is passed over: %s", path, what)

    def _save(self, path: str) -> None:
        now = self._now()
        rows = [[*o, p.port, round(p.expires)] for o, p in self._places.items() if p.expires > now]
        part = f"{path}.{os.getpid()}"
        try:
            with open(part, "w", encoding="utf-8") as file:
                json.dump({"h3": rows}, file)
            os.replace(part, path)
        except OSError as e:
            logger.warning("Alt-Svc memory '%s' cannot be written: %s", path, e.strerror)
            self._path = None
