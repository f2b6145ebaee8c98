"""Options of loops, servers and clients, checked when they are set."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from . import _layers
from ._check import error
from ._ffi import ffi, lib
from ._hooks import Qlog, QlogFunction
from ._layers import Layer, Setting
from ._options import Option, Value, find, table
from .errors import ConfigError, ConfigFrozen

__all__ = ["Config", "Option"]


def _set(struct: Any, setting: Setting, locked_by: str = "") -> ConfigError | None:
    """Give one setting to the library; what it has to say about it."""
    key = setting.option.key.encode()
    try:
        text = os.fsencode(setting.text)
    except UnicodeEncodeError:
        rc = int(lib.QUICPRO_EVALUE)
        shown = _layers.shown(_layers.hidden(setting.option, setting.text))
        message = f'option "{setting.option.key}": "{shown}" is not text'
    else:
        if isinstance(setting.text, bytes):
            rc = lib.quicpro_config_set_bytes(struct, key, text, len(text))
        else:
            rc = lib.quicpro_config_set(struct, key, text)
        if rc >= 0:
            return None
        message = ffi.string(lib.quicpro_config_error(struct)).decode()
    if rc == lib.QUICPRO_EPOLICY:
        message += f" (locked by {locked_by})"
    found = error(rc, message)
    if not isinstance(found, ConfigError):
        raise found
    prefix = f"{setting.place}: " if setting.place else ""
    if setting.source.startswith("environment "):
        prefix = f"environment variable {setting.name}: "
    return type(found)(
        prefix + message,
        code=rc,
        key=setting.option.key,
        value=_layers.hidden(setting.option, setting.text),
        allowed=setting.option.allowed,
        source=setting.source,
        place=setting.place,
    )


def _new() -> Any:
    ret = ffi.new("quicpro_config **")
    rc = lib.quicpro_config_new(ret)
    if rc < 0:
        raise error(rc)
    return ffi.gc(ret[0], lib.quicpro_config_free)


def _warn(*layers: Layer) -> None:
    for layer in layers:
        for text in layer.deprecated:
            warnings.warn(text, DeprecationWarning, stacklevel=3)


def _environment(variables: Mapping[str, str]) -> list[Layer]:
    layers = [_layers.system()]
    if path := variables.get("QUICPRO_CONFIG"):
        layers.append(_layers.from_file(path))
    layers.append(_layers.from_environment(variables))
    return layers


class Config:
    """An immutable set of options. Later layers win:

        defaults < /etc/quicpro.toml < the file that QUICPRO_CONFIG names < QUICPRO_* variables
        < these arguments < the command line

    A layer that sets `security_allow_config_override` to false locks what is set until then: the
    layers above may repeat values but not change them.

    Args:
        **options: keys and values of the table (`Config.options()` lists it). Keys that end with a
            unit take integers of it; without the suffix they take seconds: `max_idle_timeout=30.0`
            is `max_idle_timeout_ms=30000`. Lists take lists of strings.
        qlog: called with the qlogs of connections as they come: a name, such as
            "8394c8f03e515708_server", and whole records (JSON text sequences, RFC 7464); with b""
            once the connection is gone. `qlog_dir` writes files; the other options of the chapter
            hold for both. It is called in the middle of things, for blocking clients in a thread of
            the library's: it must not call quicpro. What it raises is logged.

    Raises:
        UnknownOption: no such key; the text names the nearest one.
        InvalidValue: not of the key's type, out of range, or refused; the text says why.
        PolicyViolation: a layer below has locked the configuration.
        ConfigError: a file cannot be read or is not TOML.
    """

    __slots__ = ("_layers", "_qlog", "_sources", "_struct", "_values")
    _layers: tuple[Layer, ...]
    _qlog: Qlog
    _sources: dict[str, str]
    _struct: Any
    _values: dict[str, Value]

    def __init__(self, **options: object) -> None:
        layers = [
            *_environment(_layers.environment()),
            _layers.from_options(options, "Config"),
        ]
        self._build(tuple(layers))
        _warn(*layers)

    def _build(self, layers: tuple[Layer, ...]) -> None:
        struct = _new()
        sources: dict[str, str] = {}
        qlog = Qlog(None)
        for layer in layers:
            if layer.qlog is not None and layer.qlog.function is not qlog.function:
                qlog = layer.qlog
                if (rc := qlog.set(struct)) < 0:
                    raise error(rc, ffi.string(lib.quicpro_config_error(struct)).decode())
            for setting in layer.settings:
                wrong = _set(struct, setting, sources.get(_layers.LOCK, ""))
                if wrong is not None:
                    raise wrong
                sources[setting.option.key] = setting.source
        values = {
            key: option.value(os.fsdecode(ffi.string(lib.quicpro_config_get(struct, key.encode()))))
            for key, option in table().items()
        }
        for name, value in (
            ("_layers", layers),
            ("_qlog", qlog),
            ("_struct", struct),
            ("_sources", sources),
            ("_values", values),
        ):
            object.__setattr__(self, name, value)

    @classmethod
    def _of(cls, layers: tuple[Layer, ...]) -> Config:
        config = cls.__new__(cls)
        config._build(layers)
        return config

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: object) -> Config:
        """A configuration with a TOML file in the place of the one that QUICPRO_CONFIG names.

        Args:
            path: the file. Its sections are the groups of the table, such as `[quic]`; keys may
                also stand before the first section.
            **options: as for `Config`, above the file and the environment.

        Raises:
            ConfigError: as `Config` does; mistakes in the file name its line and column.
        """
        variables = {k: v for k, v in _layers.environment().items() if k != "QUICPRO_CONFIG"}
        system, environment = _environment(variables)
        layers = (
            system,
            _layers.from_file(path),
            environment,
            _layers.from_options(options, "Config"),
        )
        config = cls._of(layers)
        _warn(*layers)
        return config

    @classmethod
    def from_env(cls, variables: Mapping[str, str] | None = None, **options: object) -> Config:
        """A configuration with other variables than those of the process.

        Args:
            variables: QUICPRO_* names and values; others are ignored. None: the process's own,
                which is what `Config()` takes as well.
            **options: as for `Config`, above the variables.

        Raises:
            ConfigError: as `Config` does; mistakes name the variable.
        """
        given = _layers.environment() if variables is None else variables
        layers = (*_environment(given), _layers.from_options(options, "Config"))
        config = cls._of(layers)
        _warn(*layers)
        return config

    @staticmethod
    def check_file(path: str | os.PathLike[str]) -> list[ConfigError]:
        """Every mistake of a TOML file, in the order of its lines; none: it can be used."""
        found: list[ConfigError] = []
        try:
            layer = _layers.check_document(_layers.read(path), found.append)
        except ConfigError as e:
            return [e]
        struct = _new()
        found += [x for setting in layer.settings if (x := _set(struct, setting)) is not None]
        return sorted(found, key=lambda e: (e.line or 0, e.column or 0))

    def replace(self, **options: object) -> Config:
        """A copy with other values for some options, or another `qlog`; where the rest came from is
        kept.

        Raises:
            ConfigError: as `Config` does.
        """
        layer = _layers.from_options(options, "Config")
        config = self._of((*self._layers, layer))
        _warn(layer)
        return config

    def _override(self, options: Mapping[str, object], source: str) -> Config:
        """The same for another layer, such as the command line."""
        layer = _layers.from_options(options, source)
        config = self._of((*self._layers, layer))
        _warn(layer)
        return config

    def to_dict(self) -> dict[str, Value]:
        """Every option with its effective value."""
        return dict(self._values)

    @property
    def qlog(self) -> QlogFunction | None:
        """The function that takes qlogs."""
        return self._qlog.function

    def source(self, key: str) -> str:
        """Where the value of an option came from: "default", "file PATH:LINE:COLUMN",
        "environment NAME", "Config" or "command line".

        Raises:
            KeyError: no such option.
        """
        return self._sources.get(self._known(key).key, "default")

    def _bytes(self, key: str) -> bytes:
        """The value of an option of bytes, which `to_dict()` does not show."""
        for layer in reversed(self._layers):
            for setting in layer.settings:
                if setting.option.key == key:
                    return os.fsencode(setting.text)
        return b""

    @staticmethod
    def _known(key: str) -> Option:
        option = find(key)
        if option is None:
            raise KeyError(key)
        return option

    def __getitem__(self, key: str) -> Any:
        return self._values[self._known(key).key]

    def __repr__(self) -> str:
        own: dict[str, object] = {
            setting.option.key: self._values[setting.option.key]
            for layer in self._layers
            for setting in layer.settings
            if setting.source in ("Config", "command line")
        }
        if self.qlog is not None:
            own["qlog"] = self.qlog
        return f"Config({', '.join(f'{k}={v!r}' for k, v in own.items())})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Config):
            return NotImplemented
        return self._values == other._values and self.qlog is other.qlog

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def _frozen(self, *_: object) -> NoReturn:
        raise ConfigFrozen("a Config cannot be changed; Config.replace() makes another one")

    __setattr__ = __delattr__ = __setitem__ = __delitem__ = _frozen

    @staticmethod
    def options() -> Iterator[Option]:
        """The option table, row by row."""
        return iter(table().values())
