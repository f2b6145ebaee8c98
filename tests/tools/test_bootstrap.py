"""tools/bootstrap on machines that lack things: a PATH that hides or fakes them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).resolve().parents[2] / "tools" / "bootstrap"
TOOLS = ["bash", "sed", "id", "sort", "head", "printf", "env", "uname", "timeout"]
NEEDED = [
    "gcc", "g++", "make", "cmake", "git", "pkg-config", "clang", "llvm-symbolizer",
    "clang-format", "gtlsclient", "gtlsserver", "patchelf", "python3",
]  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder that is the whole PATH: everything there but Rust."""
    for name in TOOLS + NEEDED:
        found = sys.executable if name == "python3" else shutil.which(name)
        if found:
            (tmp_path / name).symlink_to(found)
        else:
            fake(tmp_path, name, "exit 0")
    return tmp_path


def fake(machine: Path, name: str, script: str) -> None:
    path = machine / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def run(machine: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shutil.which("bash") or "bash", BOOTSTRAP, *args],
        env={"PATH": str(machine), "HOME": os.environ.get("HOME", "/"), "PYTHON": "python3", **env},
        text=True,
        capture_output=True,
    )


def test_no_rust(machine: Path) -> None:
    result = run(machine, QUICPRO_NO_APT="1")
    assert result.returncode == 3
    assert "no Rust" in result.stderr and "rustup" in result.stderr


def test_old_rust(machine: Path) -> None:
    fake(machine, "rustc", "echo rustc 1.63.0 '(897e37553 2022-08-02)'")
    fake(machine, "cargo", "exit 0")
    result = run(machine, QUICPRO_NO_APT="1")
    assert result.returncode == 3
    assert "1.63 is too old" in result.stderr and "1.95" in result.stderr


def test_new_rust_is_enough(machine: Path) -> None:
    fake(machine, "rustc", "echo rustc 1.101.0 '(0000000 2027-01-01)'")
    fake(machine, "cargo", "exit 0")
    result = run(machine, QUICPRO_NO_APT="1")
    assert (result.returncode, result.stderr) == (0, "")


def test_missing_packages_are_named_and_not_installed(machine: Path) -> None:
    (machine / "cmake").unlink()
    fake(machine, "apt-get", f"touch {machine}/called")
    result = run(machine, QUICPRO_NO_APT="1")
    assert result.returncode == 3
    assert "apt-get install" in result.stderr and "cmake" in result.stderr
    assert not (machine / "called").exists()


def test_the_build_does_without_what_only_tests_need(machine: Path) -> None:
    (machine / "clang").unlink()
    (machine / "gtlsserver").unlink()
    fake(machine, "apt-get", f"touch {machine}/called")
    fake(machine, "rustc", "echo rustc 1.95.0 '(0000000 2026-03-21)'")
    fake(machine, "cargo", "exit 0")
    assert run(machine, QUICPRO_NO_APT="1").returncode == 0
    result = run(machine, "--tests", QUICPRO_NO_APT="1")
    assert result.returncode == 3 and "--no-install-recommends clang" in result.stderr
    if not Path("/usr/sbin/gtlsserver").exists():
        assert "ngtcp2-server" in result.stderr


def test_root_installs_what_is_missing(machine: Path) -> None:
    (machine / "cmake").unlink()
    fake(machine, "id", "echo 0")
    fake(machine, "apt-get", f'echo "$@" >> {machine}/called')
    fake(machine, "rustc", "echo rustc 1.95.0 '(0000000 2026-03-21)'")
    fake(machine, "cargo", "exit 0")
    result = run(machine)
    assert result.returncode == 0
    assert "installing cmake" in result.stderr
    assert (
        (machine / "called")
        .read_text()
        .splitlines()[-1]
        .startswith("install -y --no-install-recommends cmake")
    )


def test_judges_that_cannot_be_had_are_no_failure(machine: Path, tmp_path: Path) -> None:
    fake(machine, "apt-get", f"touch {machine}/called; echo E: no network >&2; exit 100")
    fake(machine, "rustc", "echo rustc 1.95.0 '(0000000 2026-03-21)'")
    fake(machine, "cargo", "exit 0")
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    result = run(machine, "--tests", **cache)
    assert result.returncode == 0
    assert "bench_peers: ngtcp2: " in result.stderr
    assert "the tests take the distribution's" in result.stderr
    (machine / "called").unlink(missing_ok=True)
    for variable in ({"QUICPRO_TEST_NGTCP2": "system"}, {"QUICPRO_NO_APT": "1"}):
        result = run(machine, "--tests", **cache, **variable)
        assert (result.returncode, result.stderr) == (0, "")
    assert not (machine / "called").exists()


def test_a_machine_without_apt(machine: Path) -> None:
    (machine / "cmake").unlink()
    result = run(machine)
    assert result.returncode == 3 and "missing, under their Debian names: cmake" in result.stderr


def test_help_and_wrong_use(machine: Path) -> None:
    assert run(machine, "--help").returncode == 0
    wrong = run(machine, "--frobnicate")
    assert wrong.returncode == 2 and "--frobnicate" in wrong.stderr


def test_a_browser_is_only_for_the_long_tests(machine: Path) -> None:
    fake(machine, "apt-get", "exit 1")
    result = run(machine, "--full", QUICPRO_NO_APT="1")
    assert result.returncode == 3
    assert result.stderr.endswith("--no-install-recommends chromium\n"), result.stderr
    assert "chromium" not in run(machine, "--tests", QUICPRO_NO_APT="1").stderr
