"""What config_reference.py and metrics_reference.py share: a page is written, or compared."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

PAGES = Path(__file__).resolve().parent.parent / "docs/reference"


def write(name: str, page: Callable[[], str]) -> int:
    """Do as the command line says with docs/reference/NAME.md; the exit code."""
    parser = argparse.ArgumentParser(description=f"Write docs/reference/{name}.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it is stale")
    parser.add_argument(
        "--page", type=Path, default=PAGES / f"{name}.md", help="the page to write or check"
    )
    options = parser.parse_args()
    text = page()
    if options.page.exists() and options.page.read_text() == text:
        return 0
    if options.check:
        print(f"{options.page} is stale: run tools/{name}_reference.py")
        return 1
    options.page.write_text(text)
    return 0
