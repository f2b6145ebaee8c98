"""`--config` and `--option`, which several commands share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import WRONG_USE, fail

if TYPE_CHECKING:
    from quicpro.config import Config

Command = TypeVar("Command", bound=Callable[..., Any])


def config_options(short: bool = True) -> Callable[[Command], Command]:
    """Give a command `--config FILE` and `--option KEY=VALUE`, and if `short` also `-o`."""
    names = ("-o", "--option") if short else ("--option",)

    def decorate(command: Command) -> Command:
        command = click.option(
            *names,
            "options",
            multiple=True,
            metavar="KEY=VALUE",
            help="Set an option, such as max_idle_timeout=60 (seconds) or gso=false; may be "
            "repeated. 'quicpro config' lists them.",
        )(command)
        return click.option(
            "--config",
            "config_file",
            type=click.Path(),
            metavar="FILE",
            help="Read options from this TOML file; default: the one that QUICPRO_CONFIG names.",
        )(command)

    return decorate


def parse_pairs(pairs: tuple[str, ...]) -> dict[str, object]:
    """Take KEY=VALUE apart. Of a key that is given twice the last one counts.

    Raises:
        ValueError: it is not KEY=VALUE.
    """
    options: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ValueError(f"'{pair}' is not KEY=VALUE")
        options[key] = value
    return options


def load_config(file: str | None, pairs: tuple[str, ...], **flags: object) -> Config:
    """The configuration of a command: its file, its environment, its options; or the end of it.

    Args:
        file: what --config says.
        pairs: what --option says.
        **flags: options that have a flag of their own; None if it was not given. They win.
    """
    from quicpro.config import Config
    from quicpro.errors import ConfigError

    given: Mapping[str, object] = {k: v for k, v in flags.items() if v is not None}
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DeprecationWarning)
            config = Config() if file is None else Config.from_file(file)
            config = config._override(parse_pairs(pairs), "command line")
            config = config._override(given, "command line")
    except (ConfigError, ValueError) as e:
        fail(e, WRONG_USE)
    for warning in caught:
        click.echo(f"quicpro: warning: {warning.message}", err=True)
    return config
