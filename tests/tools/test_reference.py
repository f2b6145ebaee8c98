"""tools/reference.py, config_reference.py and metrics_reference.py."""

import subprocess
import sys
from pathlib import Path

from quicpro import Config

TOOLS = Path(__file__).parents[2] / "tools"


class Page:
    """A page of reference, in a folder of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.tool = TOOLS / f"{name}_reference.py"
        self.path = folder / f"{name}.md"

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, self.tool, *args, "--page", self.path]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def written(self) -> str:
        done = self.run("--check")
        assert done.returncode == 1 and f"{self.path} is stale" in done.stdout
        assert f"run tools/{self.tool.name}" in done.stdout and not self.path.exists()
        assert self.run().returncode == 0
        assert (self.run("--check").returncode, self.run().returncode) == (0, 0)
        return self.path.read_text()

    def is_stale_as(self, text: str) -> bool:
        assert text != self.path.read_text()
        self.path.write_text(text)
        return self.run("--check").returncode == 1


def test_options(tmp_path: Path) -> None:
    page = Page("config", tmp_path)
    text = page.written()
    for option in Config.options():
        assert f"| `{option.key}` | {option.allowed} | " in text
        assert f"\n## {option.group}\n" in text
        assert all(f"`{name}`" in text for name in option.old_names)
    assert page.is_stale_as(text.replace("100 to 600000 ms", "100 to 600001 ms"))


def test_metrics(tmp_path: Path) -> None:
    page = Page("metrics", tmp_path)
    text = page.written()
    assert "| `quicpro_connections` | gauge |  | connections that are open |\n" in text
    assert '| `quicpro_udp_bytes_total` | counter | `direction="in"`, `direction="out"` |' in text
    assert "| `quicpro_handshake_seconds` | histogram | `le`: 0.001 to 16.384, doubled |" in text
    assert page.is_stale_as(text.replace("gauge", "counter", 1))
