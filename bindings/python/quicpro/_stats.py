"""From the library's structs to the dataclasses of `stats`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final

from ._check import check
from ._ffi import ffi, lib
from .stats import ConnectionStats, PathStats

__all__ = ["metrics", "of", "paths"]

_STATES: Final = ("failed", "unknown", "validating", "mtu unknown", "validated")


def _text(value: Any) -> str:
    return str(ffi.string(value).decode())


_SPECIAL: Final[dict[str, Callable[[Any], Any]]] = {
    "local": _text,
    "peer": _text,
    "state": _STATES.__getitem__,
    "active": bool,
    "send_count_wrong": bool,
}

Rows = list[tuple[str, str, Callable[[Any], Any]]]


def _rows(cls: type[ConnectionStats] | type[PathStats], struct: str) -> Rows:
    """Field, member of the struct, and how the one is made of the other; times are in ns there."""
    members = {name for name, _ in ffi.typeof(struct).fields}
    rows: Rows = []
    for field in fields(cls):
        name = field.name
        if name + "_ns" in members:
            rows.append((name, name + "_ns", (1e-9).__mul__))
        elif name != "paths":
            rows.append((name, name, _SPECIAL.get(name, int)))
    return rows


_CONN_ROWS: Final = _rows(ConnectionStats, "quicpro_conn_stats")
_PATH_ROWS: Final = _rows(PathStats, "quicpro_path_stats")


def _values(rows: Rows, struct: Any) -> dict[str, Any]:
    return {name: make(getattr(struct, member)) for name, member, make in rows}


def paths(loop: Any, conn: int) -> tuple[PathStats, ...]:
    """The paths that a connection knows now; none if it has ended."""
    struct = ffi.new("quicpro_path_stats *", {"size": ffi.sizeof("quicpro_path_stats")})
    found: list[PathStats] = []
    while lib.quicpro_conn_get_path(loop, conn, len(found), struct) == 1:
        found.append(PathStats(**_values(_PATH_ROWS, struct)))
    return tuple(found)


def of(loop: Any, conn: int) -> ConnectionStats | None:
    """The numbers of a connection, or None if it has ended."""
    struct = ffi.new("quicpro_conn_stats *", {"size": ffi.sizeof("quicpro_conn_stats")})
    rc = lib.quicpro_conn_get_stats(loop, conn, struct)
    if rc == lib.QUICPRO_ESTALE:
        return None
    check(rc)
    return ConnectionStats(**_values(_CONN_ROWS, struct), paths=paths(loop, conn))


def _label(name: str, value: str) -> str:
    if not (name.isascii() and name.isidentifier()) or name.startswith("__"):
        raise ValueError(f"{name!r} is no name of a label")
    for char, escaped in (("\\", r"\\"), ('"', r"\""), ("\n", r"\n")):
        value = value.replace(char, escaped)
    return f'{name}="{value}"'


def metrics(loop: Any, labels: Mapping[str, str]) -> str:
    """The counters of a loop as text; without one, only their names and what they mean."""
    text = ffi.new("char[]", ",".join(_label(k, v) for k, v in labels.items()).encode())
    memory = ffi.NULL if loop is None else lib.quicpro_loop_get_metrics(loop)
    source = ffi.new("quicpro_metrics_source *", {"memory": memory, "labels": text})
    size = lib.quicpro_metrics_text(source, 1, ffi.NULL, 0) + 4096  # they may grow meanwhile
    room = ffi.new("char[]", size)
    lib.quicpro_metrics_text(source, 1, room, size)
    return str(ffi.string(room).decode())
