"""`--config` and `--option`, which several commands share."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from quicpro._options import SECONDS, Option, table

from . import WRONG_USE, fail

if TYPE_CHECKING:
    from quicpro.config import Config


def _flag(option: Option) -> tuple[str, Any]:
    """The name of an option's own flag, and how click is told of it. Times are in seconds."""
    name = option.key
    for suffix in SECONDS:
        name = name.removesuffix(suffix)
    flag = name.replace("_", "-")
    form = f"--{flag}/--no-{flag}" if option.type == "bool" else f"--{flag}"
    what = {"type": bool} if option.type == "bool" else {"metavar": "VALUE"}
    return name, click.option(form, f"flag_{name}", default=None, hidden=True, **what)


def config_options(
    short: bool = True, without: tuple[str, ...] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `--config FILE`, `--option KEY=VALUE`, and a flag for each option.

    The flags are not in its help, which would be nothing but them; the command finds what they say
    in its `options`, behind what `--option` said.

    Args:
        short: whether `--option` is also `-o`.
        without: names, as flags have them, for which the command has a flag of its own.
    """
    names = ("-o", "--option") if short else ("--option",)
    flags = [_flag(option) for option in table().values()]
    flags = [(name, flag) for name, flag in flags if name not in without]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def command(*args: Any, options: tuple[str, ...], **given: Any) -> None:
            for name, _ in flags:
                value = given.pop(f"flag_{name}")
                if value is not None:
                    text = str(value).lower() if isinstance(value, bool) else value
                    options += (f"{name}={text}",)
            function(*args, options=options, **given)

        command = click.option(
            *names,
            "options",
            multiple=True,
            metavar="KEY=VALUE",
            help="Set an option, such as max_idle_timeout=60 (seconds) or gso=false; may be "
            "repeated. 'quicpro config' lists them. Each also has a flag: --max-idle-timeout 60, "
            "--no-gso.",
        )(command)
        for _, flag in flags:
            command = flag(command)
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
