"""Options of loops, servers and clients, checked when they are set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ._check import error
from ._ffi import ffi, lib
from .errors import InvalidValue

__all__ = ["Config", "Option"]

_TYPES = ("bool", "int", "str", "choice", "list")
_STATUS = ("honoured", "no effect", "refused")


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


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, str)):
        return str(value)
    if hasattr(value, "__fspath__"):
        return str(value)
    raise TypeError(f"an option is a bool, int, str or path, not {type(value).__name__}")


class Config:
    """An immutable set of options.

    Args:
        **options: keys and values of the table (`Config.options()` lists it); times are integers in
            the unit that the key ends with.

    Raises:
        UnknownOption: no such key; the text names the nearest one.
        InvalidValue: not of the key's type, or out of range; the text names the range.
    """

    __slots__ = ("_set", "_struct")

    def __init__(self, **options: object) -> None:
        self._set = {key: _text(value) for key, value in options.items()}
        ret = ffi.new("quicpro_config **")
        rc = lib.quicpro_config_new(ret)
        if rc < 0:
            raise error(rc)
        self._struct = ffi.gc(ret[0], lib.quicpro_config_free)
        for key, value in self._set.items():
            if "\0" in value:
                raise InvalidValue(f"{key}: a value cannot hold a NUL", code=lib.QUICPRO_EVALUE)
            rc = lib.quicpro_config_set(self._struct, key.encode(), value.encode())
            if rc < 0:
                raise error(rc, ffi.string(lib.quicpro_config_error(self._struct)).decode())

    def replace(self, **options: object) -> Config:
        """A copy with other values for some options."""
        return Config(**{**self._set, **options})

    def to_dict(self) -> dict[str, str]:
        """Every option with its effective value, as text."""
        return {option.key: self[option.key] for option in self.options()}

    def __getitem__(self, key: str) -> str:
        value = lib.quicpro_config_get(self._struct, key.encode())
        if value == ffi.NULL:
            raise KeyError(key)
        return str(ffi.string(value).decode())

    def __repr__(self) -> str:
        return f"Config({', '.join(f'{k}={v!r}' for k, v in self._set.items())})"

    @staticmethod
    def options() -> Iterator[Option]:
        """The option table, row by row."""
        index = 0
        while (row := lib.quicpro_option_at(index)) != ffi.NULL:
            index += 1
            choices = ffi.string(row.choices).decode() if row.choices != ffi.NULL else ""
            yield Option(
                key=ffi.string(row.key).decode(),
                type=_TYPES[row.type],
                unit=ffi.string(row.unit).decode() if row.unit != ffi.NULL else "",
                minimum=row.min,
                maximum=row.max,
                default=ffi.string(row.default_value).decode(),
                choices=tuple(choices.split("|")) if choices else (),
                help=ffi.string(row.help).decode(),
                group=ffi.string(row.group).decode(),
                live=bool(row.live),
                status=_STATUS[row.status],
            )
