"""`quicpro version`."""

from __future__ import annotations

import json
import platform

import click

import quicpro
from quicpro._ffi import ffi, lib


@click.command(epilog="Example: quicpro version --json")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def version(as_json: bool) -> None:
    """Show the versions of quicpro and of what it carries."""
    parts = {"quicpro": quicpro.__version__}
    for part in ("quiche", "boringssl", "nghttp3", "backends"):
        parts[part] = ffi.string(lib.quicpro_part_version(part.encode())).decode()
    parts["python"] = platform.python_version()
    if as_json:
        click.echo(json.dumps(parts))
        return
    for name, value in parts.items():
        click.echo(f"{name:10} {value}")
