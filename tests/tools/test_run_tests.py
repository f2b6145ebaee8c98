"""The driver counts what happened, whatever happened; README's table follows the results."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    import run_tests

    monkeypatch.setattr(run_tests, "LOGS", tmp_path)
    monkeypatch.setattr(run_tests, "BUILD", tmp_path)
    monkeypatch.setattr(run_tests, "RESULTS", tmp_path / "results.json")
    return run_tests


@pytest.fixture
def suite(driver: ModuleType) -> Iterator[object]:
    options = argparse.Namespace(full=False, only=None, fuzz_seconds=1, fuzz_each=0)
    made = driver.Suite("example", options)
    yield made
    made.log.close()


def test_tap_is_counted(suite) -> None:  # type: ignore[no-untyped-def]
    text = "1..4\nok 1 - a\nnot ok 2 - b\n# b is wrong\nok 3 - c # SKIP no kernel\nok 4\n"
    assert suite.tap(text, "x", "tests/c/test_x.c") == 1
    assert str(suite.count) == "2 passed, 1 failed, 1 skipped"
    assert suite.notes == ["failed: x: b"]
    assert vars(suite.files["tests/c/test_x.c"]) == {"passed": 2, "failed": 1, "skipped": 1}


def meson_log(folder: Path, *results: dict[str, object]) -> None:
    (folder / "gcc/meson-logs").mkdir(parents=True)
    lines = [json.dumps(result) for result in results]
    (folder / "gcc/meson-logs/testlog.json").write_text("\n".join(lines))


def test_meson_results_are_counted_by_file(  # type: ignore[no-untyped-def]
    suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "run", lambda *a, **k: 1)
    meson_log(
        tmp_path,
        {"name": "os - quicpro:udp", "stdout": "1..1\nok 1 - a\n", "result": "OK"},
        {"name": "os - quicpro:dead", "stdout": "1..2\nok 1 - a\n", "result": "ERROR"},
        {"name": "os - quicpro:slow", "stdout": "", "result": "TIMEOUT"},
        {"name": "os - quicpro:none", "stdout": "1..0 # SKIP no\n", "result": "SKIP"},
        {"name": "fuzz - quicpro:fuzz_x", "stdout": "1..1\nok 1 - seed\n", "result": "OK"},
    )
    suite.meson_test("gcc")
    assert str(suite.count) == "3 passed, 2 failed, 1 skipped"
    assert suite.notes == ["failed: dead: ERROR", "failed: slow: TIMEOUT", "skipped: none"]
    assert suite.files["tests/c/test_dead.c"].failed == 1
    assert suite.files["tests/fuzz/x.c"].passed == 1


def test_no_test_at_all_is_a_failure(suite, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(suite, "run", lambda *a, **k: 0)
    suite.meson_test("gcc")
    assert suite.count.failed == 1


def test_pytest_results_are_counted(suite, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code = """
import pytest
def test_good(): pass
def test_bad(): assert 0
def test_away(): pytest.skip("not here")
@pytest.fixture
def broken(): raise OSError
def test_broken(broken): pass
"""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (tmp_path / "test_some.py").write_text(code)
    suite.pytest(str(tmp_path))
    assert str(suite.count) == "1 passed, 2 failed, 1 skipped"
    (count,) = suite.files.values()
    assert vars(count) == {"passed": 1, "failed": 2, "skipped": 1}


def test_a_pytest_that_does_not_start_is_a_failure(suite, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "test_some.py").write_text("import no_such_module_at_all\n")
    suite.pytest(str(tmp_path))
    assert suite.count.failed >= 1


def test_a_timeout_ends_children_too(suite, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    script = f"sleep 60 & echo $! > {tmp_path}/pid; wait"
    begin = time.monotonic()
    assert suite.run("sh", "-c", script, timeout=0.5) == 124
    assert time.monotonic() - begin < 10
    child = int((tmp_path / "pid").read_text())
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "\nState:\tZ" in status(child):
            return
        time.sleep(0.05)
    pytest.fail("the child lives on")


def test_commands_heed_interrupts_though_the_shell_does_not(suite) -> None:  # type: ignore[no-untyped-def]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert suite.run("sh", "-c", "kill -INT $$; exit 0") == -signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, before)


def status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "\nState:\tZ"


def test_an_absent_judge_fails_the_full_run_only(suite) -> None:  # type: ignore[no-untyped-def]
    suite.absent("no judge")
    suite.options.full = True
    suite.absent("no judge")
    assert str(suite.count) == "0 passed, 1 failed, 1 skipped"


def fuzz_target(folder: Path, *lines: str) -> Path:
    """A program that says what libFuzzer would."""
    target = folder / "fuzz_some"
    target.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    target.chmod(0o755)
    return target


def test_a_fuzz_target_tells_what_it_did(  # type: ignore[no-untyped-def]
    suite, driver: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "ROOT", tmp_path)
    target = fuzz_target(
        tmp_path,
        "echo '#7 INITED cov: 10 ft: 11 corp: 3/9b exec/s: 0 rss: 30Mb'",
        "echo '#512 pulse  cov: 1234 ft: 5678 corp: 90/9b lim: 4 exec/s: 50 rss: 60Mb'",
        "echo 'Done 120000 runs in 60 second(s)'",
    )
    suite.options.fuzz_each = 60
    driver.fuzz_one(suite, target, 60)
    assert str(suite.count) == "1 passed, 0 failed, 0 skipped"
    assert "120,000 runs (2,000/s), coverage 1,234 edges" in suite.notes[0]
    assert "corpus 90" in suite.notes[0]
    assert (tmp_path / "fuzz-corpus/some").is_dir()


def test_an_input_that_fails_is_named(  # type: ignore[no-untyped-def]
    suite, driver: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "ROOT", tmp_path)
    target = fuzz_target(
        tmp_path,
        "echo 'oracle: closed twice'",
        f"echo 'artifact; Test unit written to {tmp_path}/some-crash-0123'",
        "exit 77",
    )
    driver.fuzz_one(suite, target, 1)
    assert str(suite.count) == "0 passed, 1 failed, 0 skipped"
    assert suite.notes[1:] == [
        "  oracle: closed twice",
        "  again: fuzz_some some-crash-0123",
    ]


def good(s) -> None:  # type: ignore[no-untyped-def]
    s.one("a", True)


def crash(s) -> None:  # type: ignore[no-untyped-def]
    raise ValueError("boom")


def stop(s) -> None:  # type: ignore[no-untyped-def]
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("suites", "code", "last"),
    [
        ({"good": good, "crash": crash}, 1, "1 passed, 1 failed, 0 skipped"),
        ({"crash": crash, "good": good}, 1, "1 passed, 1 failed, 0 skipped"),
        ({"good": good}, 0, "1 passed, 0 failed, 0 skipped"),
        ({"stop": stop, "good": good}, 130, "interrupted; not finished: stop, good"),
    ],
)
def test_the_last_line_counts_all(
    driver: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    suites: dict[str, object],
    code: int,
    last: str,
) -> None:
    monkeypatch.setattr(driver, "SUITES", {name: (f, True) for name, f in suites.items()})
    monkeypatch.setattr(sys, "argv", ["run_tests.py"])
    assert driver.main() == code
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_status_wants_every_line_shown(tmp_path: Path) -> None:
    def run(*args: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, TOOLS / "status.py", "--check", *args]
        return subprocess.run([str(c) for c in command], text=True, capture_output=True)

    sys.path.insert(0, str(TOOLS))
    try:
        from status import STATUS
    finally:
        sys.path.pop(0)
    one = {"passed": 1, "failed": 0, "skipped": 0}
    files = {t if t.endswith((".c", ".py")) else f"{t}/test_x.py": dict(one) for _, t in STATUS}
    results = tmp_path / "results.json"
    results.write_text(json.dumps(files))
    assert "nothing ran" not in run("--results", results).stdout
    name = next(iter(files))
    files[name]["failed"] = 1
    results.write_text(json.dumps(files))
    wrong = run("--results", results)
    assert wrong.returncode == 1 and f"{name}: 1 failed" in wrong.stdout
    del files[name]
    results.write_text(json.dumps(files))
    wrong = run("--results", results)
    assert wrong.returncode == 1 and f"{name}: nothing ran" in wrong.stdout
    assert run("--results", tmp_path / "nowhere").returncode == 2


def test_setup_is_repeated_only_when_it_changed(  # type: ignore[no-untyped-def]
    suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def run(*command: object, **options: object) -> int:
        calls.append(str(command[0]) + (" CC" if (options.get("env") or {}) else ""))
        os.makedirs(tmp_path / "x", exist_ok=True)
        return 0

    monkeypatch.setattr(suite, "run", run)
    assert suite.meson("x", "-Da=b") and suite.meson("x", "-Da=b")
    assert calls == ["meson", "ninja", "ninja"]
    assert suite.meson("x", "-Da=b", cc="clang")
    assert calls[3:] == ["meson CC", "ninja"]
