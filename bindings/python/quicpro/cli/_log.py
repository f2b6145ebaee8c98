"""`--log-level` and `--log-config`."""

from __future__ import annotations

import json
import logging
import logging.config
import os

from . import NOT_STARTED, fail

LEVELS = ("critical", "error", "warning", "info", "debug")
FORMAT = "%(levelname)s %(name)s: %(message)s"


def set_up(level: str, file: str | None, access_log: bool) -> None:
    """Have log lines written to stderr, or as a file of `logging.config` says.

    Args:
        level: one of LEVELS; of what the file does not name.
        file: JSON of `dictConfig()`, or `fileConfig()`'s format.
        access_log: whether those lines are wanted whatever the level is.
    """
    logging.basicConfig(level=level.upper(), format=FORMAT)
    if access_log:
        logging.getLogger("quicpro.access").setLevel(logging.INFO)
    if file is None:
        return
    try:
        if os.path.splitext(file)[1] == ".json":
            with open(file, encoding="utf-8") as opened:
                logging.config.dictConfig(json.load(opened))
        else:
            with open(file, encoding="utf-8"):
                pass  # fileConfig() says less of a file that cannot be read
            logging.config.fileConfig(file, disable_existing_loggers=False)
    except OSError as e:
        fail(f"--log-config: cannot read '{file}': {e.strerror}", NOT_STARTED)
    except Exception as e:  # whatever the handlers named there raise
        why = str(e) or repr(e)
        if e.__cause__ is not None:
            why += f": {e.__cause__}"
        fail(f"--log-config: '{file}' cannot be used: {' '.join(why.split())}", NOT_STARTED)


def load_environment(file: str) -> None:
    """Set the variables of a file of NAME=VALUE lines that are not set already."""
    try:
        from dotenv import dotenv_values
    except ImportError:
        fail("--env-file needs python-dotenv: pip install 'quicpro[serve]'", NOT_STARTED)
    try:
        with open(file, encoding="utf-8") as opened:
            values = dotenv_values(stream=opened)
    except OSError as e:
        fail(f"--env-file: cannot read '{file}': {e.strerror}", NOT_STARTED)
    except UnicodeDecodeError:
        fail(f"--env-file: '{file}' is not text in UTF-8", NOT_STARTED)
    for name, value in values.items():
        if value is None:
            fail(f"--env-file: '{file}': '{name}' has no value", NOT_STARTED)
        os.environ.setdefault(name, value)
