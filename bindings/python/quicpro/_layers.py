"""Where options come from: files, the environment, arguments. Each gives a layer of settings.

    defaults < /etc/quicpro.toml < the file < the environment < Config(...) < the command line

A layer knows names and types and says where each setting was written; whether a value is in range,
and whether a layer below has locked the configuration, the library says when it is set.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ._hooks import Qlog
from ._options import Option, find, find_seconds, nearest, table
from ._toml import Document, Place, parse
from .errors import ConfigError, InvalidType, InvalidValue, UnknownOption

__all__ = [
    "LOCK",
    "SYSTEM_FILE",
    "Layer",
    "Setting",
    "check_document",
    "environment",
    "from_environment",
    "from_file",
    "from_options",
    "read",
    "system",
]

SYSTEM_FILE = "/etc/quicpro.toml"
LOCK = "security_allow_config_override"
PREFIX = "QUICPRO_"

# Variables of ours that are no options: of this file, the loop, tests, benchmarks, the build, and
# the version that Docker images like to name.
_RESERVED = re.compile(r"CONFIG|NO_APT|BUILD_DIR|VERSION|TEST_.*|BENCH_.*")
# What Kubernetes sets in every pod beside a service that is called "quicpro" or "quicpro-...".
_KUBERNETES = re.compile(
    r"(?:.*_)?SERVICE_(?:HOST|PORT)(?:_.*)?|(?:.*_)?PORT(?:_\d+_(?:TCP|UDP)(?:_.*)?)?"
)


class Setting(NamedTuple):
    """One option with the text that the library is given for it."""

    option: Option
    name: str  # as it was written
    text: str | bytes
    source: str
    place: Place | None = None


class Layer(NamedTuple):
    """Settings of one source, and what to say about old names among them."""

    settings: tuple[Setting, ...] = ()
    deprecated: tuple[str, ...] = ()
    qlog: Qlog | None = None  # if one is given


class _Origin(NamedTuple):
    """Who wrote a setting, for `Config.source()` and for messages."""

    source: str
    prefix: str = ""
    place: Place | None = None


def shown(value: object) -> str:
    """A name or value fit for a message: printable, not longer than a line."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value)[:97])
    return text if len(text) <= 96 else text[:93] + "..."


def _unknown(name: str, origin: _Origin) -> UnknownOption:
    best = nearest(name)
    return UnknownOption(
        f'{origin.prefix}unknown option "{shown(name)}"; the nearest is "{best}"',
        key=name,
        nearest=best,
        source=origin.source,
        place=origin.place,
    )


def hidden(option: Option, value: object) -> object:
    """What a message may hold of a value: keys and passphrases not."""
    return "(hidden)" if option.type == "bytes" else value


def _bad(
    option: Option,
    name: str,
    value: object,
    why: str,
    origin: _Origin,
    allowed: str = "",
    kind: type[InvalidValue] = InvalidValue,
) -> InvalidValue:
    allowed = allowed or option.allowed
    value = hidden(option, value)
    return kind(
        f'{origin.prefix}option "{shown(name)}": "{shown(value)}" is {why}: {allowed}',
        key=option.key,
        value=value,
        allowed=allowed,
        source=origin.source,
        place=origin.place,
    )


_KINDS = {
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "an array",
    tuple: "an array",
    dict: "a table",
}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def _ticks(option: Option, name: str, value: object, scale: int, origin: _Origin) -> str:
    """Seconds in the option's unit. What is more than nothing stays more than nothing."""
    allowed = f"{option.minimum / scale:g} to {option.maximum / scale:g} s"
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise _bad(option, name, value, "not a number of seconds", origin, allowed) from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _bad(option, name, value, _kind(value), origin, allowed, kind=InvalidType)
    if not math.isfinite(value) or not 0 <= value * scale < 1 << 63:
        raise _bad(option, name, value, "out of range", origin, allowed)
    ticks = round(value * scale) or (1 if value > 0 else 0)
    if not option.minimum <= ticks <= option.maximum:
        raise _bad(option, name, value, "out of range", origin, allowed)
    return str(ticks)


def _join(option: Option, name: str, words: Iterable[object], origin: _Origin) -> str:
    out = []
    for word in words:
        if not isinstance(word, str) or not word or "," in word:
            raise _bad(option, name, word, "no word of a list", origin)
        out.append(word)
    return ",".join(out)


def _text(option: Option, name: str, value: object, strict: bool, origin: _Origin) -> str | bytes:
    """The text of a value of the right type. Strict: a number or truth value is not a string."""
    if option.type == "bytes" and isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    plain = strict and option.type in ("bool", "int")
    if isinstance(value, str) and not plain:
        text = value
    elif option.type == "bool" and isinstance(value, bool if strict else int) and value in (0, 1):
        text = "true" if value else "false"
    elif option.type == "int" and isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    elif option.type == "list" and isinstance(value, (list, tuple)):
        text = _join(option, name, value, origin)
    elif option.type == "str" and isinstance(value, os.PathLike):
        text = os.fsdecode(value)
    else:
        hint = ""
        if isinstance(value, float) and (suffix := re.search(r"_(ms|us|ns|sec)$", option.key)):
            hint = f" ({option.key.removesuffix(suffix[0])} is in seconds)"
        raise _bad(option, name, value, _kind(value) + hint, origin, kind=InvalidType)
    if "\0" in text:
        raise _bad(option, name, text, "a text with a NUL", origin)
    return text


def _layer(
    items: Iterable[tuple[str, str, object, _Origin]],
    *,
    seconds: bool,
    strict: bool,
    on_error: Callable[[ConfigError], None] | None = None,
) -> Layer:
    """Settings from names as written, names as the table would have them, and values."""
    settings: dict[str, Setting] = {}
    deprecated: list[str] = []
    for written, name, value, origin in items:
        try:
            option, scale = find(name), 0
            if option is None and seconds and (found := find_seconds(name)) is not None:
                option, scale = found
            if option is None:
                raise _unknown(name, origin)
            if (before := settings.get(option.key)) is not None:
                where = f" at {before.place}" if before.place else ""
                raise _bad(
                    option, written, value, f'a second value, after "{before.name}"{where}', origin
                )
            text = (
                _ticks(option, written, value, scale, origin)
                if scale
                else _text(option, written, value, strict, origin)
            )
        except ConfigError as e:
            if on_error is None:
                raise
            on_error(e)
            continue
        if not scale and option.key != name:
            deprecated.append(f'{origin.prefix}option "{name}" is now called "{option.key}"')
        settings[option.key] = Setting(option, written, text, origin.source, origin.place)
    # The lock comes last, so that a layer can set values and lock them.
    order = sorted(settings.values(), key=lambda setting: setting.option.key == LOCK)
    return Layer(tuple(order), tuple(deprecated))


def from_options(options: Mapping[str, object], source: str) -> Layer:
    """The layer of keyword arguments, or of the command line."""
    origin = _Origin(source)
    layer = _layer(
        ((name, name, value, origin) for name, value in options.items() if name != "qlog"),
        seconds=True,
        strict=False,
    )
    return layer._replace(qlog=_qlog(options["qlog"])) if "qlog" in options else layer


def _qlog(function: object) -> Qlog:
    if function is not None and not callable(function):
        raise TypeError(f"qlog is a function of a name and bytes, or None, not {function!r}")
    return Qlog(function)


def environment() -> Mapping[str, str]:
    """The variables of this process; none if it runs with more rights than its user has."""
    if os.getuid() != os.geteuid() or os.getgid() != os.getegid():
        return {}
    return os.environ


def _is_ours(variable: str) -> bool:
    name = variable.removeprefix(PREFIX)
    if name == variable or _RESERVED.fullmatch(name):
        return False
    return find(name.lower()) is not None or not _KUBERNETES.fullmatch(name)


def from_environment(variables: Mapping[str, str]) -> Layer:
    """The layer of QUICPRO_* variables."""
    return _layer(
        (
            (
                variable,
                variable.removeprefix(PREFIX).lower(),
                value,
                _Origin(f"environment {variable}", f"environment variable {shown(variable)}: "),
            )
            for variable, value in sorted(variables.items())
            if _is_ours(variable)
        ),
        seconds=False,
        strict=False,
    )


def check_document(
    document: Document, on_error: Callable[[ConfigError], None] | None = None
) -> Layer:
    """The layer of a file. Its sections are the groups of the table; keys may also stand before the
    first section. With `on_error`, mistakes go there and the rest is still read."""
    groups = {option.group for option in table().values()}

    def fail(error: ConfigError) -> None:
        if on_error is None:
            raise error
        on_error(error)

    def items() -> Iterable[tuple[str, str, object, _Origin]]:
        for name, value in document.values.items():
            if not isinstance(value, dict):
                yield item(name, value, name)
                continue
            place = document.place(name)
            if name not in groups:
                fail(_no_section(name, groups, place))
                continue
            for key, inner in value.items():
                option = find(key)
                at = document.place(name, key)
                if option is not None and option.group != name:
                    fail(_elsewhere(key, option, name, at))
                    continue
                yield item(key, inner, name, key)

    def item(name: str, value: object, *path: str) -> tuple[str, str, object, _Origin]:
        place = document.place(*path)
        return name, name, value, _Origin(f"file {place}", f"{place}: ", place)

    return _layer(items(), seconds=False, strict=True, on_error=on_error)


def _no_section(name: str, groups: set[str], place: Place) -> UnknownOption:
    known = ", ".join(sorted(groups))
    return UnknownOption(
        f'{place}: unknown section "{shown(name)}"; known are {known}',
        key=name,
        allowed=known,
        source=f"file {place}",
        place=place,
    )


def _elsewhere(key: str, option: Option, section: str, place: Place) -> InvalidValue:
    return InvalidValue(
        f'{place}: option "{key}" belongs in [{option.group}], not in [{section}]',
        key=option.key,
        allowed=f"[{option.group}]",
        source=f"file {place}",
        place=place,
    )


def read(path: str | os.PathLike[str]) -> Document:
    """Read a file.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as f:
            return parse(f.read((1 << 20) + 1), name)
    except OSError as e:
        raise ConfigError(f"cannot read {shown(name)}: {e.strerror}") from None


# The last layer read from each path, with what the file was then: a Config is made often.
_cache: dict[str, tuple[tuple[int, ...], Layer]] = {}


def from_file(path: str | os.PathLike[str]) -> Layer:
    """The layer of a file, read again only if it has changed."""
    name = os.fspath(path)
    try:
        facts = os.stat(name)
    except OSError as e:
        raise ConfigError(f"cannot read {shown(name)}: {e.strerror}") from None
    state = (facts.st_mtime_ns, facts.st_size, facts.st_ino, facts.st_dev)
    known = _cache.get(name)
    if known is not None and known[0] == state:
        return known[1]
    layer = check_document(read(name))
    if stat.S_ISREG(facts.st_mode):  # not a pipe, which has other contents each time
        _cache[name] = (state, layer)
    return layer


def system() -> Layer:
    """The layer of the machine's own file, where there is one."""
    if not os.path.lexists(SYSTEM_FILE):
        return Layer()
    return from_file(SYSTEM_FILE)
