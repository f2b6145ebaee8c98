"""The command line: one module for each command.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 could not start.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click

__all__ = ["fail", "main"]

FAILED, WRONG_USE, NOT_STARTED = 1, 2, 3


def fail(text: object, code: int = FAILED) -> NoReturn:
    """One line on stderr, and the end."""
    line = " ".join(str(text).split())
    click.echo(f"quicpro: {line}", err=True)
    sys.exit(code)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: quicpro serve app:app --bind 127.0.0.1:4433",
)
@click.option("--debug", is_flag=True, help="Show tracebacks of quicpro itself.")
@click.version_option(package_name="quicpro", prog_name="quicpro")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """QUIC and HTTP/3: serve ASGI applications, fetch URLs."""
    context.obj = {"debug": debug}


def _commands() -> None:
    from .config import config
    from .devcert import devcert
    from .get import get
    from .serve import serve
    from .version import version

    for command in (serve, get, config, devcert, version):
        cli.add_command(command)


_commands()


def main(**options: Any) -> NoReturn:
    """Run the command line."""
    try:
        cli(standalone_mode=False, **options)
        sys.stdout.flush()
    except click.UsageError as e:
        e.show()
        sys.exit(WRONG_USE)
    except click.ClickException as e:
        fail(e.format_message())
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as e:
        if "--debug" in sys.argv:
            raise
        fail(f"internal error: {e!r} (run with --debug for the traceback)")
    sys.exit(0)
