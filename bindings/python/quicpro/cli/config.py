"""`quicpro config`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from . import FAILED, WRONG_USE, fail
from ._options import config_options, load_config

if TYPE_CHECKING:
    from quicpro.config import Config
    from quicpro.errors import ConfigError


def toml_value(value: object) -> str:
    """A bool, int, string or tuple of strings as TOML."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _show(config: Config) -> None:
    """As a file that `--config` takes again."""
    groups: dict[str, list[str]] = {}
    for option in config.options():
        value = config[option.key]
        line = f"{option.key} = {toml_value(value)}"
        if option.type == "bytes" and value:
            line = f"# {option.key} is set: {value}"  # not what they are: this may be a key
        note = config.source(option.key)
        if option.status == "no effect":
            note += ", no effect"
        groups.setdefault(option.group, []).append(f"{line:48} # {note}")
    parts = ("\n".join([f"[{group}]", *lines]) for group, lines in groups.items())
    click.echo("\n\n".join(parts))


def _show_json(config: Config) -> None:
    facts = {
        option.key: {
            "value": config[option.key],
            "source": config.source(option.key),
            "default": option.value(option.default),
            "unit": option.unit,
            "allowed": option.allowed,
            "group": option.group,
            "live": option.live,
            "status": option.status,
            "help": option.help,
        }
        for option in config.options()
    }
    click.echo(json.dumps(facts, indent=2))


def _facts(error: ConfigError) -> dict[str, Any]:
    return {
        "file": error.file,
        "line": error.line,
        "column": error.column,
        "key": error.key,
        "text": str(error),
    }


def _check(files: tuple[str, ...], as_json: bool) -> None:
    from quicpro.config import Config

    found = {file: Config.check_file(file) for file in files}
    errors = [error for errors in found.values() for error in errors]
    if as_json:
        click.echo(json.dumps([_facts(error) for error in errors], indent=2))
    else:
        for file, mistakes in found.items():
            if not mistakes:
                click.echo(f"{file}: no mistakes")
        for error in errors:
            click.echo(f"quicpro: {error}", err=True)
    if errors:
        sys.exit(FAILED)


@click.command(
    epilog="\b\nExample: quicpro config --config quicpro.toml -o gso=false"
    "\nExample: quicpro config --check quicpro.toml"
)
@click.option(
    "--show",
    is_flag=True,
    help="Print every option, its value and where that came from, as a TOML file; the default.",
)
@click.option(
    "--check",
    "files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, readable=True),
    metavar="FILE",
    help="Name every mistake of a file by line and column; may be repeated. Exit code 1: some.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_options()
def config(
    show: bool,
    files: tuple[str, ...],
    as_json: bool,
    config_file: str | None,
    options: tuple[str, ...],
) -> None:
    """Show the options that count here, or check configuration files.

    Later ones win: defaults, /etc/quicpro.toml, the file of --config or QUICPRO_CONFIG,
    QUICPRO_* variables, --option.
    """
    if files and (show or config_file is not None or options):
        fail("--check stands alone: it looks at files, not at what counts here", WRONG_USE)
    if files:
        _check(files, as_json)
        return
    loaded = load_config(config_file, options)
    (_show_json if as_json else _show)(loaded)
