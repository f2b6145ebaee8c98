"""tools/metrics_reference.py."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools/metrics_reference.py"


def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, *args], capture_output=True, text=True, timeout=60)


def test_writes_and_finds_what_is_stale(tmp_path: Path) -> None:
    page = tmp_path / "metrics.md"
    done = run("--check", "--page", page)
    assert done.returncode == 1 and f"{page} is stale" in done.stdout and not page.exists()
    assert run("--page", page).returncode == 0
    assert (run("--check", "--page", page).returncode, run("--page", page).returncode) == (0, 0)
    text = page.read_text()
    assert "| `quicpro_connections` | gauge |  | connections that are open |\n" in text
    assert '| `quicpro_udp_bytes_total` | counter | `direction="in"`, `direction="out"` |' in text
    assert "| `quicpro_handshake_seconds` | histogram | `le`: 0.001 to 16.384, doubled |" in text
    page.write_text(text.replace("gauge", "counter", 1))
    assert run("--check", "--page", page).returncode == 1
