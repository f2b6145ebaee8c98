"""TOML with the place of every key, which the parsers of the standard library do not tell."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from .errors import ConfigError

__all__ = ["Document", "Place", "parse"]

# A file of a few dozen keys; what is larger is not one.
SIZE_MAX = 1 << 20


class Place(NamedTuple):
    """Where in a file, counted from 1; columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Document(NamedTuple):
    """The values of a file, and where each table and key stands."""

    file: str
    values: dict[str, Any]
    places: dict[tuple[str, ...], tuple[int, int]]

    def place(self, *path: str) -> Place:
        """Where a key stands; a member of an inline table: where that stands."""
        while path and path not in self.places:
            path = path[:-1]
        return Place(self.file, *self.places.get(path, (1, 1)))


def _wrong(text: str, place: Place) -> ConfigError:
    return ConfigError(f"{place}: {text}", place=place)


def parse(data: bytes, file: str) -> Document:
    """Read a TOML document.

    Raises:
        ConfigError: it is not TOML; the text and the attributes name line and column.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ImportError:
            raise ConfigError(
                f"{file}: reading configuration files needs Python 3.11 or: pip install tomli"
            ) from None
    if len(data) > SIZE_MAX:
        raise ConfigError(f"{file}: larger than {SIZE_MAX} bytes, not a configuration file")
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        before = data[data.rfind(b"\n", 0, e.start) + 1 : e.start]
        place = Place(file, line, len(before.decode(errors="replace")) + 1)
        raise _wrong(f"byte 0x{data[e.start]:02x} is not UTF-8", place) from None
    text = text.replace("\r\n", "\n")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        what = str(e)
        at = re.search(r" \(at line (\d+), column (\d+)\)$", what)
        if at is None:  # "(at end of document)"
            line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
        else:
            line, column = int(at[1]), int(at[2])
        what = re.sub(r" \(at [^()]*\)$", "", what)
        raise _wrong(what[:1].lower() + what[1:], Place(file, line, column)) from None
    except RecursionError:
        raise ConfigError(f"{file}: nested too deeply") from None
    return Document(file, values, dict(_places(text, tomllib.loads)))


_SPACE = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_PART = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
# The tokens of a value; a bracket changes the depth, a line's end at depth 0 is the value's end.
_TOKEN = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|.''',
    re.DOTALL,
)


def _places(text: str, loads: Any) -> Iterator[tuple[tuple[str, ...], tuple[int, int]]]:
    """Where each header and key of a document that is known to be TOML begins."""
    at, table = 0, tuple[str, ...]()

    def key() -> tuple[str, ...]:
        nonlocal at
        parts = []
        while (part := _PART.match(text, at)) is not None:
            word, at = part[1], part.end()
            parts.append(str(loads(f"k={word}")["k"]) if word[0] in "\"'" else word)
            if not text.startswith(".", at):
                break
            at += 1
        return tuple(parts)

    def place(offset: int) -> tuple[int, int]:
        return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)

    while True:
        space = _SPACE.match(text, at)
        at = begin = space.end() if space else at
        if at >= len(text):
            return
        if text[at] == "[":
            at += 2 if text.startswith("[[", at) else 1
            table = key()
            yield table, place(begin)
            at = text.find("\n", at)
            if at < 0:
                return
            continue
        path = table + key()
        yield path, place(begin)
        depth = 0
        while (token := _TOKEN.match(text, at)) is not None and (token[0] != "\n" or depth > 0):
            at = token.end()
            depth += (token[0] in "[{") - (token[0] in "]}")
