"""The option table of the library, as Python objects."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import count
from typing import Any, NamedTuple

from ._ffi import ffi, lib

__all__ = ["SECONDS", "Option", "Value", "find", "find_seconds", "nearest", "table"]

Value = bool | int | str | tuple[str, ...]

_TYPES = ("bool", "int", "str", "choice", "list", "bytes")
_STATUS = ("honoured", "no effect", "refused")

# Units of time, by the suffix that keys end with: how many make a second.
SECONDS = {"_ms": 1_000, "_us": 1_000_000, "_ns": 1_000_000_000, "_sec": 1}


class Option(NamedTuple):
    """One row of the option table."""

    key: str
    type: str
    unit: str
    minimum: int
    maximum: int
    default: str
    choices: tuple[str, ...]
    help: str
    group: str
    live: bool
    status: str
    old_names: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """The values it can have, in words."""
        if self.status == "refused":
            return self.default
        if self.type == "int":
            return f"{self.minimum} to {self.maximum} {self.unit}"
        return {
            "bool": "true or false",
            "str": "text",
            "list": "words separated by commas",
            "bytes": "bytes or text, never shown",
        }.get(self.type, ", ".join(self.choices))

    def value(self, text: str) -> Value:
        """A value that the library wrote as text, in its Python type; of bytes only how many."""
        if self.type == "bool":
            return text == "true"
        if self.type == "int":
            return int(text)
        if self.type == "list":
            return tuple(text.split(",")) if text else ()
        return text


@cache
def table() -> dict[str, Option]:
    """Every row by its key, in the order of the table."""
    rows: dict[str, Option] = {}
    while (row := lib.quicpro_option_at(len(rows))) != ffi.NULL:
        choices = ffi.string(row.choices).decode() if row.choices != ffi.NULL else ""
        key = ffi.string(row.key).decode()
        rows[key] = Option(
            key=key,
            type=_TYPES[row.type],
            unit=ffi.string(row.unit).decode(),
            minimum=row.min,
            maximum=row.max,
            default=ffi.string(row.default_value).decode(),
            choices=tuple(choices.split("|")) if choices else (),
            help=ffi.string(row.help).decode(),
            group=ffi.string(row.group).decode(),
            live=bool(row.live),
            status=_STATUS[row.status],
            old_names=tuple(_old_names(row)),
        )
    return rows


def _old_names(row: Any) -> Iterator[str]:
    for index in count():
        name = lib.quicpro_option_old_name(row, index)
        if name == ffi.NULL:
            return
        yield ffi.string(name).decode()


def _bytes(name: str) -> bytes:
    return name.replace("\0", "?").encode("utf-8", "replace")


def find(name: str) -> Option | None:
    """The row of a key, or of an old name of one (then `.key` differs from it)."""
    row = lib.quicpro_option_find(_bytes(name))
    return None if row == ffi.NULL else table()[ffi.string(row.key).decode()]


def find_seconds(name: str) -> tuple[Option, int] | None:
    """The row that `name` is without its unit of time, and how many of these make a second."""
    for suffix, scale in SECONDS.items():
        if (option := table().get(name + suffix)) is not None:
            return option, scale
    return None


def nearest(name: str) -> str:
    """The key that is most like a name."""
    return str(ffi.string(lib.quicpro_option_nearest(_bytes(name)).key).decode())
