"""tools/figures_diff."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).parents[2] / "tools/figures_diff"


def figure(name: str, ours: list[float], theirs: list[float] | None = None, **more: Any) -> Any:
    row = {"id": name, "unit": "req/cpu-s", "ours": ours, "theirs": theirs or []}
    return row | {"peer": "ngtcp2", "judged": True, "less_is_better": False} | more


def run(tmp_path: Path, old: Any, new: Any, *args: str) -> tuple[int, str]:
    files = []
    for name, rows in (("old", old), ("new", new)):
        files.append(tmp_path / f"{name}.json")
        text = rows if isinstance(rows, str) else json.dumps({"machine": {}, "figures": rows})
        files[-1].write_text(text)
    done = subprocess.run(
        [sys.executable, TOOL, *files, *args], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


NEGATIVE = figure("x", [-1])
KIB = {n: figure("kib", [float(n)], less_is_better=True) for n in (19, 20, 22)}
OLD = figure("rate", [100, 101, 99], [100, 100, 100])


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        (OLD, OLD, 0, "+0.0 %"),
        (OLD, figure("rate", [97, 96, 98], [100, 100, 100]), 0, "-3.0 %"),  # less than allowed
        (OLD, figure("rate", [80, 81, 79], [100, 100, 100]), 1, "WORSE by"),
        (OLD, figure("rate", [80, 120, 70], [100, 100, 100]), 0, "-20.0 %"),  # within its spread
        (OLD, figure("rate", [50, 51, 50], [50, 50, 50]), 0, "+0.0 %"),  # a slower machine
        (OLD, figure("rate", [200, 201, 199], [100, 100, 100]), 0, "+100.0 %"),
        (OLD, figure("rate", [100], [], peer="-"), 0, "not compared"),
        (OLD, figure("other", [100], [100]), 1, "LOST"),
        (KIB[20], KIB[19], 0, "-5.0"),
        (KIB[20], KIB[22], 1, "WORSE"),
        (figure("seen", [1.0], judged=False), figure("new", [1.0]), 0, "gone"),
    ],
)  # fmt: skip
def test_verdicts(tmp_path: Path, old: Any, new: Any, code: int, says: str) -> None:
    done = run(tmp_path, [old], [new])
    assert done[0] == code and says in done[1], done


def test_allowed_loss(tmp_path: Path) -> None:
    new = figure("rate", [80, 80, 80], [100, 100, 100])
    assert run(tmp_path, [OLD], [new], "--allow", "30")[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"figures": [{}]}',
        '{"figures": 7}',
        f'{{"figures": [{json.dumps(NEGATIVE)}]}}',
    ],
)
def test_what_is_no_file_of_figures(tmp_path: Path, text: str) -> None:
    code, said = run(tmp_path, text, [OLD])
    assert code == 2 and said.count("\n") == 1 and "not a file of figures" in said, said


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, TOOL, tmp_path / "none", tmp_path / "none"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2 and "No such file" in done.stderr
