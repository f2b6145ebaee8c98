"""tools/check_limits.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools/check_limits.py"
PAGE = "docs/reference/limits.md"

FILES = {
    "libquicpro/src/base/options.h": """
    U(max_things, limits, "things", 1, 10, 1234, LIVE,      \\
      "things open at once")                                 \\
    C(mode, limits, "a|b", "a", LIVE, "how")                 \\
    U(patience_ms, quic, "ms", 1, 10, 5, LIVE, "how long")
""",
    "libquicpro/include/quicpro/loop.h": "    uint64_t dropped_in, things_refused; /* ... */\n",
    "libquicpro/src/quic/x.c": """
enum { QUEUE_MAX = 262144, SHARE = 4 * 8 };
#define LIFETIME (10 * QUICPRO_SECOND)
static const int ports[] = {1};
""",
    "tests/c/test_x.c": "void test_full(void) {}\n TEST(test_full)\n void test_unused(void)\n",
    "docs/reference/.keep": "",
}

ROW = {
    "chapter": "Things",
    "what": "things",
    "option": "max_things",
    "reason": "memory",
    "counter": "things_refused",
    "test": "tests/c/test_x.c:test_full",
}


def run(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), "--root", str(root), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def make(root: Path, *rows: dict[str, str]) -> None:
    text = ""
    for row in rows:
        text += "[[limit]]\n" + "".join(f'{k} = "{v}"\n' for k, v in row.items())
    for name, content in {**FILES, "tools/limits.toml": text}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_writes_a_page_and_finds_what_is_stale(tmp_path: Path) -> None:
    rows = [ROW]
    for constant, extra in (
        ("QUEUE_MAX", {"unit": "bytes"}),
        ("SHARE", {}),
        ("LIFETIME", {}),
        ("ports", {"shown": "few"}),
    ):
        row = {**ROW, "constant": f"libquicpro/src/quic/x.c:{constant}", **extra}
        del row["option"]
        rows.append(row)
    rows.append({k: v for k, v in {**ROW, "rule": "3"}.items() if k != "option"})
    make(tmp_path, *rows)
    stale = run(tmp_path)
    assert stale.returncode == 1 and f"{PAGE} is stale" in stale.stdout
    assert run(tmp_path, "--write").returncode == 0
    assert (run(tmp_path).returncode, run(tmp_path).stdout) == (0, "")
    page = (tmp_path / PAGE).read_text()
    for cell in (
        "| `max_things` | 1,234 things |",
        "| `QUEUE_MAX` in `quic/x.c` | 262,144 bytes |",
        "| `SHARE` in `quic/x.c` | 32 |",
        "| `LIFETIME` in `quic/x.c` | 10 s |",
        "| `ports` in `quic/x.c` | few |",
        "| the protocol | 3 |",
        "| `things_refused` | `c/test_x.c`: `test_full` |",
    ):
        assert cell in page
    options = tmp_path / "libquicpro/src/base/options.h"
    options.write_text(options.read_text().replace("1234", "1235"))
    assert "is stale" in run(tmp_path).stdout


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"option": "max_thing"}, "there is no option max_thing"),
        ({"test": "tests/c/test_x.c:test_empty"}, "there is no test"),
        ({"test": "tests/c/test_x.c:test_unused"}, "there is no test"),
        ({"test": "tests/c/test_y.c:test_full"}, "there is no test"),
        ({"test": "tests/c/test_x.c"}, "there is no test"),
        ({"test": ""}, '"test" is missing'),
        ({"reason": ""}, '"reason" is missing'),
        ({"counter": ""}, '"counter" is missing'),
        ({"counter": "things_dropped"}, "there is no counter things_dropped"),
        ({"rule": "3"}, "names not one of"),
        ({"option": "patience_ms"}, "option max_things has no row"),
    ],
)
def test_finds_what_is_wrong(tmp_path: Path, change: dict[str, str], says: str) -> None:
    make(tmp_path, {**ROW, **change})
    done = run(tmp_path, "--write")
    assert done.returncode == 1 and says in done.stdout
    assert not (tmp_path / PAGE).exists()


@pytest.mark.parametrize(("name", "says"), [("NOWHERE", "no constant"), ("ports", "no number")])
def test_constants_that_are_none(tmp_path: Path, name: str, says: str) -> None:
    row = {**ROW, "constant": f"libquicpro/src/quic/x.c:{name}"}
    del row["option"]
    make(tmp_path, ROW, row)
    done = run(tmp_path)
    assert done.returncode == 1 and says in done.stdout


def test_an_empty_list_is_a_mistake(tmp_path: Path) -> None:
    make(tmp_path)
    assert "there are no rows" in run(tmp_path).stdout
