"""tools/config_reference.py."""

import subprocess
import sys
from pathlib import Path

from quicpro import Config

TOOL = Path(__file__).parents[2] / "tools/config_reference.py"


def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, *args], capture_output=True, text=True, timeout=60)


def test_writes_and_finds_what_is_stale(tmp_path: Path) -> None:
    page = tmp_path / "config.md"
    done = run("--check", "--page", page)
    assert done.returncode == 1 and f"{page} is stale" in done.stdout and not page.exists()
    assert run("--page", page).returncode == 0
    assert (run("--check", "--page", page).returncode, run("--page", page).returncode) == (0, 0)
    text = page.read_text()
    for option in Config.options():
        assert f"| `{option.key}` | {option.allowed} | " in text
        assert f"\n## {option.group}\n" in text
        assert all(f"`{name}`" in text for name in option.old_names)
    page.write_text(text.replace("100 to 600000 ms", "100 to 600001 ms"))
    assert run("--check", "--page", page).returncode == 1
