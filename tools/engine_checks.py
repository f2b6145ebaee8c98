#!/usr/bin/env python3
"""Check the engine's Rust: clippy on our own code, and the own tests of the crates we patch.

Usage: engine_checks.py clippy | tests

tests: runs each patched crate's `cargo test --lib` in a copy with a lock file of its own, online,
and prints TAP. A test that a patch changes is named in the patch's head, "Changes-test: NAME", with
the reason below; it counts as skipped, and must indeed fail.

Exit codes: 0 fine, 1 something was found, 2 wrong use, 3 something is not installed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

import build_engine as engine

# Fail without our patches: they expect the handshake of another BoringSSL, six bytes shorter.
STOCK = {
    "quiche": {
        "sends_ack_only_pkt_when_full_cwnd_and_ack_elicited",
        "sends_ack_only_pkt_when_full_cwnd_and_ack_elicited_despite_max_unacknowledging",
    }
}


def clippy(cache: Path) -> int:
    with engine.lock(cache):
        w = engine.workshop(cache)
        command = ["cargo", "clippy", *w.cargo, "--", "-D", "warnings"]
        return subprocess.run(command, cwd=engine.ENGINE, env=w.env).returncode and 1


def changed_tests(crate: str) -> set[str]:
    """Names of upstream tests that our patches to a crate change on purpose."""
    mine = [p.read_text() for p in engine.patches() if engine.patched_crate(p) == crate]
    return {name for text in mine for name in re.findall(r"^Changes-test: (\S+)$", text, re.M)}


def report(crate: str, output: str, first: int, expected: set[str]) -> tuple[list[str], bool]:
    """TAP lines for the output of `cargo test`, and whether all is as expected."""
    lines, good, failing = [], True, set()
    for number, (name, result) in enumerate(
        re.findall(r"^test (\S+) \.\.\. (ok|FAILED|ignored)", output, re.M), first
    ):
        explained = next((e for e in expected if f"::{e}::" in f"{name}::"), None)
        ok = result != "FAILED"
        if not ok and explained:
            failing.add(explained)
        note = " # SKIP explained" if not ok and explained else ""
        note = " # SKIP ignored" if result == "ignored" else note
        good &= ok or bool(explained)
        lines.append(f"{'ok' if ok or explained else 'not ok'} {number} - {crate} {name}{note}")
    for name in sorted(expected - failing):
        good = False
        lines.append(f"not ok {first + len(lines)} - {crate} {name} is said to fail, and does not")
    return lines, good


def crate_tests(cache: Path) -> int:
    good, count = True, 0
    with engine.lock(cache):
        w = engine.workshop(cache)
        for crate in engine.patch_digests():
            copy = cache / f"tests-{engine.digest(crate)}" / crate
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(w.vendor / crate, copy)
            env = {**w.env, "CARGO_TARGET_DIR": str(copy.parent / "target")}
            for name in ("boring", "boring-sys"):  # the versions that we ship
                command = ["cargo", "update", "-q", "-p", name]
                command += ["--precise", engine.locked(name)[0]]
                subprocess.run(command, cwd=copy, env=env, check=True)
            result = subprocess.run(
                ["cargo", "test", "--lib"],
                cwd=copy,
                env=env,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            if "\ntest result: " not in result.stdout:
                print(result.stdout, file=sys.stderr)
                print(f"engine_checks: the tests of {crate} did not run", file=sys.stderr)
                return 1
            expected = changed_tests(crate) | STOCK.get(crate, set())
            lines, fine = report(crate, result.stdout, count + 1, expected)
            print("\n".join(lines))
            count += len(lines)
            good &= fine
            if not fine:
                print(result.stdout, file=sys.stderr)
    print(f"1..{count}")
    return 0 if good else 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Clippy on the engine's own code, or the own tests of the crates we patch.",
        epilog="example: tools/engine_checks.py tests",
    )
    parser.add_argument("what", choices=["clippy", "tests"])
    what = parser.parse_args().what
    cache = engine.cache_dir()
    try:
        engine.check_rust()
        engine.check_tools()
        return clippy(cache) if what == "clippy" else crate_tests(cache)
    except engine.MissingError as e:
        print(f"engine: {e}", file=sys.stderr)
        return 3
    except (engine.StepError, subprocess.CalledProcessError) as e:
        print(e, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
