#!/usr/bin/env python3
"""Run the test suites one after the other and count.

Each suite prints its seconds; the log of each is in build/logs. The last line, alone, is
"N passed, N failed, N skipped" over all of them. A suite that crashes counts as one failure.

Usage: run_tests.py [--full] [--only SUITE]... [--fuzz-seconds N | --fuzz-each N] [--list]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "logs"
RESULTS = LOGS / "results.json"  # by test file, for tools/status.py
BIN = ROOT / ".venv" / "bin"

Env = dict[str, str]


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Count) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def heed_interrupts() -> None:
    """Before a command runs: a shell starts what it puts in the background with SIGINT ignored,
    children inherit that, and what Ctrl-C does is tested."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Suite:
    """One suite: its commands write to one log; `files` counts by test file."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.name = name
        self.options = options
        self.count = Count()
        self.files: dict[str, Count] = {}
        self.notes: list[str] = []
        self.log = (LOGS / f"{name}.log").open("w")
        self.begin = time.monotonic()

    def run(self, *command: str | Path, timeout: float = 1800, env: Env | None = None) -> int:
        """Run a command into the log; its exit code, 124 after the timeout."""
        args = [str(c) for c in command]
        shown = " ".join(args).replace(f"{ROOT}/", "")
        self.log.write(f"$ {shown if len(shown) < 400 else shown[:400] + ' ...'}\n")
        self.log.flush()
        path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
        process = subprocess.Popen(
            args,
            cwd=ROOT,
            env={**os.environ, "PATH": path, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it can be ended with all its children
            preexec_fn=heed_interrupts,
        )
        end = time.monotonic() + timeout
        try:
            while (left := end - time.monotonic()) > 0:
                self.show(args[0])
                try:
                    return process.wait(min(left, 1.0))
                except subprocess.TimeoutExpired:
                    pass
            self.log.write(f"timed out after {timeout} s\n")
            return 124
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def show(self, command: str) -> None:
        """On a terminal: what runs, and since when."""
        if sys.stdout.isatty():
            seconds = time.monotonic() - self.begin
            what = f"{self.name:8} {seconds:6.1f} s  {self.count}  ({Path(command).name})"
            print(f"\r\033[K{what}", end="", flush=True)

    def check(
        self, name: str, *command: str | Path, timeout: float = 1800, env: Env | None = None
    ) -> bool:
        """A command that is one test: it passes if it exits with 0."""
        ok = self.run(*command, timeout=timeout, env=env) == 0
        self.one(name, ok)
        return ok

    def one(self, name: str, ok: bool) -> None:
        if ok:
            self.count.passed += 1
        else:
            self.fail(name)

    def fail(self, what: str) -> None:
        self.count.failed += 1
        self.notes.append(f"failed: {what}")

    def absent(self, what: str) -> None:
        """A judge is not here: make test does without and says so, make test-full does not."""
        (self.fail if self.options.full else self.skip)(what)

    def skip(self, what: str) -> None:
        self.count.skipped += 1
        self.notes.append(f"skipped: {what}")

    def meson(self, folder: str, *setup: str, cc: str = "") -> bool:
        """Configure and compile a build folder; anew if it was configured in another way. cc is for
        the configuration only: the engine is compiled alike for all folders, and so only once."""
        where = BUILD / folder
        env = {"CC": cc} if cc else None
        stamp, how = where / ".setup", " ".join([cc, *setup])
        if not stamp.exists() or stamp.read_text() != how:
            shutil.rmtree(where, ignore_errors=True)
            if self.run("meson", "setup", where, "-Dpython=disabled", *setup, env=env) != 0:
                self.fail(f"meson setup {folder}")
                return False
            stamp.write_text(how)
        if self.run("ninja", "-C", where) != 0:
            self.fail(f"compiling {folder}")
            return False
        return True

    def tap(self, text: str, name: str, file: str = "") -> int:
        """Count the lines of a TAP stream; how many tests failed."""
        bad = re.findall(r"^not ok \d+(?: - )?(.*)", text, re.M)
        skipped = len(re.findall(r"^ok .*# SKIP", text, re.M))
        count = Count(len(re.findall(r"^ok (?!.*# SKIP)", text, re.M)), len(bad), skipped)
        self.count.add(Count(count.passed, 0, count.skipped))
        for what in bad:
            self.fail(f"{name}: {what}")
        if file:
            self.files.setdefault(file, Count()).add(count)
        return len(bad)

    def meson_test(self, folder: str, *args: str, env: Env | None = None) -> None:
        """Run a build folder's tests and count their subtests."""
        where = BUILD / folder
        code = self.run(
            "meson", "test", "-C", where, "--no-rebuild", "--print-errorlogs", *args, env=env
        )
        log = where / "meson-logs" / "testlog.json"
        results = (
            [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        )
        if not results:
            self.fail(f"{folder}: no test ran")
        for result in results:
            group, _, name = result["name"].rpartition(":")  # "loop - quicpro:client"
            target = name.removeprefix("fuzz_")
            fuzz = group.startswith("fuzz ")
            file = f"tests/fuzz/{target}.c" if fuzz else f"tests/c/test_{name}.c"
            bad = self.tap(result["stdout"], name, file)
            if result["result"] == "SKIP" and not re.search(r"^ok", result["stdout"], re.M):
                self.skip(name)
            elif result["result"] not in ("OK", "SKIP") and not bad:
                self.fail(f"{name}: {result['result']}")
                self.files.setdefault(file, Count()).failed += 1
        if code != 0 and not self.count.failed:
            self.fail(f"{folder}: meson test exited with {code}")

    def pytest(self, folder: str, *args: str, env: Env | None = None) -> None:
        report = LOGS / f"{self.name}.xml"
        report.unlink(missing_ok=True)
        code = self.run(
            BIN / "python", "-m", "pytest", folder, "-q", f"--junitxml={report}", *args, env=env
        )
        try:
            suite = ET.parse(report).getroot()[0]
        except (OSError, ET.ParseError, IndexError):
            self.fail(f"pytest {folder} exited with {code}")
            return
        number = {k: int(suite.get(k, "0")) for k in ("tests", "failures", "errors", "skipped")}
        bad = number["failures"] + number["errors"]
        self.count.add(Count(number["tests"] - bad - number["skipped"], 0, number["skipped"]))
        for case in suite:
            where = case.get("classname", "")
            file = self.files.setdefault("/".join(where.split(".")[:3]) + ".py", Count())
            if case.find("failure") is not None or case.find("error") is not None:
                self.fail(f"{where}.{case.get('name')}")
                file.failed += 1
            elif case.find("skipped") is not None:
                file.skipped += 1
            else:
                file.passed += 1
        if code not in (0, 1) or (code == 1 and not bad):
            self.fail(f"pytest {folder} exited with {code}")


def c_tests(s: Suite) -> None:
    if s.meson("gcc"):
        s.meson_test("gcc")


def asan(s: Suite) -> None:
    setup = ("-Db_sanitize=address,undefined", "-Db_lundef=false")
    if s.meson("asan", *setup):
        s.meson_test(
            "asan",
            env={
                "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
                "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
            },
        )


def fuzz(s: Suite) -> None:
    if shutil.which("clang") is None:
        s.absent("no clang")
        return
    setup = ["-Dfuzz=true", "-Dtests=false", "-Db_sanitize=address", "-Db_lundef=false"]
    setup.append("-Dc_args=-fsanitize=fuzzer-no-link")
    if not s.meson("fuzz", *setup, cc="clang"):
        return
    targets = [
        p
        for p in (BUILD / "fuzz/tests/fuzz").glob("fuzz_*")
        if p.is_file() and os.access(p, os.X_OK)
    ]
    if not targets:
        s.fail("no fuzz target was built")
    seconds = s.options.fuzz_each or max(s.options.fuzz_seconds // max(len(targets), 1), 1)
    for target in sorted(targets):
        fuzz_one(s, target, seconds)


def fuzz_one(s: Suite, target: Path, seconds: int) -> None:
    """Fuzz one target and say what came of it. What --fuzz-each finds is kept for the next time;
    inputs that fail always are."""
    name = target.name.removeprefix("fuzz_")
    log = LOGS / f"{s.name}.log"
    kept = BUILD / "fuzz-corpus" / name if s.options.fuzz_each else None
    with tempfile.TemporaryDirectory() as scratch:
        if kept is not None:
            kept.mkdir(parents=True, exist_ok=True)
        before = log.stat().st_size
        code = s.run(
            target, kept or scratch, ROOT / "tests/fuzz/corpus" / name,
            "-rss_limit_mb=2048", "-timeout=10", f"-max_total_time={seconds}",
            f"-artifact_prefix={LOGS}/{name}-", timeout=seconds + 600,
        )  # fmt: skip
    with log.open(errors="replace") as f:
        f.seek(before)
        text = f.read()
    s.one(f"{target.name} for {seconds} s", code == 0)
    if code == 0:
        s.notes.append(f"{name:18} {fuzzed(text)}")
        return
    why = re.search(rf"^(?:oracle|seal|{name}): .*|^.*ERROR: .*|^SUMMARY: .*", text, re.M)
    s.notes.append(f"  {why[0] if why else f'exit code {code}'}")
    for path in re.findall(r"Test unit written to (\S+)", text):
        s.notes.append(f"  again: {target.relative_to(ROOT)} {Path(path).relative_to(ROOT)}")


def fuzzed(text: str) -> str:
    """What libFuzzer said last, for people."""
    runs = re.search(r"^Done (\d+) runs in (\d+) second", text, re.M)
    last = re.findall(r"^#\d+\s.* cov: (\d+) ft: (\d+) corp: (\d+)", text, re.M)
    if runs is None or not last:
        return "said nothing"
    cov, features, corpus = (int(n) for n in last[-1])
    speed = int(runs[1]) // max(int(runs[2]), 1)
    return (
        f"{int(runs[1]):9,} runs ({speed:,}/s), coverage {cov:,} edges and {features:,} features, "
        f"corpus {corpus:,}"
    )


def checks(s: Suite) -> None:
    style(s)
    reference(s)
    s.check("symbols", BIN / "python", "tools/check_symbols.py")


def reference(s: Suite) -> None:
    """Pages that are written from the installed package, against what it says now."""
    for name in ("config", "metrics"):
        s.check(
            f"docs/reference/{name}.md", BIN / "python", f"tools/{name}_reference.py", "--check"
        )


def lint(s: Suite) -> None:
    style(s)
    reference(s)
    s.check("THIRD_PARTY.md", BIN / "python", "tools/third_party.py", "--check")
    if shutil.which("cargo-clippy"):
        s.check("clippy", BIN / "python", "tools/engine_checks.py", "clippy")
    else:
        s.absent("no cargo clippy")


FOLDERS_WITH_C = ("bindings/python/src/asgi", "tests", "tools", "examples", "benchmarks")


def style(s: Suite) -> None:
    """What needs nothing built."""
    for name in ("layers", "test_map", "headers", "limits"):
        s.check(name.replace("_", " "), BIN / "python", f"tools/check_{name}.py")
    if shutil.which("clang-format"):
        files = [
            str(p)
            for d in ("libquicpro/src", "libquicpro/include", *FOLDERS_WITH_C)
            for p in sorted((ROOT / d).rglob("*.[ch]"))
        ]
        s.check("clang-format", "clang-format", "--dry-run", "-Werror", *files)
    else:
        s.absent("no clang-format")
    s.check("ruff", BIN / "ruff", "check", ".")
    s.check("ruff format", BIN / "ruff", "format", "--check", ".")
    s.check("mypy", BIN / "mypy")
    if shutil.which("cargo-fmt"):
        manifest = ("--manifest-path", "libquicpro/engine/Cargo.toml")
        s.check("cargo fmt", "cargo", "fmt", "--check", *manifest)
    else:
        s.absent("no cargo fmt")


def install(s: Suite) -> None:
    """The examples against an installed copy, as a packager's user would compile them."""
    with tempfile.TemporaryDirectory() as prefix:
        if not s.meson("install", "-Dtests=false", "-Dlibdir=lib"):
            return
        if not s.check("meson install", "meson", "install", "-C", BUILD / "install", "--no-rebuild",
                       "--destdir", prefix):  # fmt: skip
            return
        lib = next(Path(prefix).rglob("libquicpro.so.0")).parent
        env = {"PKG_CONFIG_PATH": str(lib / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": prefix}
        for name in ("h3_get", "h3_server", "raw_echo", "sans_io"):
            script = (
                f"cc -Wall -Wextra -Werror examples/c/{name}.c -o {prefix}/{name}"
                " $(pkg-config --cflags --libs quicpro)"
                f" && LD_LIBRARY_PATH={lib} {prefix}/{name} --help; test $? = 2"
            )
            s.check(f"{name} by pkg-config", "sh", "-c", script, env=env)
        for seed in (1, 2, 3):
            script = f"LD_LIBRARY_PATH={lib} {prefix}/sans_io {seed}"
            s.check(f"sans_io with seed {seed}", "sh", "-c", script)


def python_tests(s: Suite) -> None:
    s.pytest("tests/python")


def poll(s: Suite) -> None:
    """The same on the portable I/O backend."""
    env = {"QUICPRO_IO": "poll"}
    if s.meson("gcc"):
        s.meson_test("gcc", env=env)
    s.pytest("tests/python", env=env)
    s.pytest("tests/interop", env={**env, "QUICPRO_BUILD_DIR": str(BUILD / "gcc")})


def tools(s: Suite) -> None:
    s.pytest("tests/tools")


def interop(s: Suite) -> None:
    env = {"QUICPRO_BUILD_DIR": str(BUILD / "gcc")}
    if not s.options.full:
        s.pytest("tests/interop", env=env)
        return
    # The cases of all peers are half an hour of waiting for slow links, so several at a time.
    env["QUICPRO_TEST_FULL"] = "1"
    cases = "tests/interop/test_cases.py"
    s.pytest(cases, "-n", "6", "--dist", "worksteal", env=env)
    s.pytest("tests/interop", f"--ignore={cases}", env=env)


def bench(s: Suite) -> None:
    for script in sorted((ROOT / "benchmarks").glob("[a-z]*.py")):
        if "--smoke" in script.read_text():
            s.check(script.name, BIN / "python", script, "--smoke", timeout=120)
    s.pytest("benchmarks/micro", "--benchmark-disable")


def demo(s: Suite) -> None:
    s.check("demo", BIN / "python", "examples/demo.py", timeout=120)


def wheel(s: Suite) -> None:
    """A wheel from a copy that is then deleted, in an empty environment."""
    with tempfile.TemporaryDirectory() as tmp:
        copy = Path(tmp) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "build", "dist"))
        venv = Path(tmp) / "venv"
        wheels = Path(tmp) / "wheels"
        pip = (BIN / "python", "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps")
        ok = s.check("build a wheel", *pip, "-w", wheels, copy)
        shutil.rmtree(copy)
        if not ok:
            return
        found = next(wheels.glob("*.whl"))
        names = subprocess.run(["unzip", "-l", found], text=True, capture_output=True).stdout
        names = names or "\n".join(__import__("zipfile").ZipFile(found).namelist())
        s.one("the library is in it once", names.count("libquicpro.so.0") == 1)
        s.one("no headers are in it", ".h\n" not in names)
        s.check("an empty environment", sys.executable, "-m", "venv", venv)
        s.check("install it", venv / "bin/pip", "install", "-q", found)
        s.check("quicpro version", venv / "bin/quicpro", "version")


def crates(s: Suite) -> None:
    """The own tests of the crates that we patch."""
    output = LOGS / "crates.tap"
    python = BIN / "python"
    code = s.run("sh", "-c", f"exec {python} tools/engine_checks.py tests > {output}")
    failed = s.tap(output.read_text(), "crates")
    if code != 0 and not failed:
        s.fail(f"engine_checks.py tests exited with {code}")


def status(s: Suite) -> None:
    """README's table, against what was just tested (or, after --only, that the tests exist)."""
    results = () if s.options.only else ("--results", RESULTS)
    s.check("status table", BIN / "python", "tools/status.py", "--check", *results)


SUITES: dict[str, tuple[Callable[[Suite], None], bool]] = {
    # name: what it runs, and whether `make test` does
    "c": (c_tests, True),
    "checks": (checks, True),
    "tools": (tools, True),
    "python": (python_tests, True),
    "interop": (interop, True),
    "install": (install, True),
    "bench": (bench, True),
    "demo": (demo, True),
    "asan": (asan, True),
    "fuzz": (fuzz, True),
    "poll": (poll, False),
    "wheel": (wheel, False),
    "crates": (crates, False),
    "lint": (lint, False),
    "status": (status, True),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Run the test suites and count.",
        epilog="example: tools/run_tests.py --only c --only python",
    )
    parser.add_argument("--full", action="store_true", help="the long variants as well")
    parser.add_argument(
        "--only", action="append", choices=SUITES, help="this suite; may be repeated"
    )
    parser.add_argument(
        "--fuzz-seconds", type=int, default=20, help="of fuzzing in all (default 20)"
    )
    parser.add_argument(
        "--fuzz-each", type=int, default=0, help="seconds of fuzzing of each target instead"
    )
    parser.add_argument("--list", action="store_true", help="name the suites")
    options = parser.parse_args()
    if options.list:
        print("\n".join(SUITES))
        return 0
    if options.full and options.fuzz_seconds == 20:
        options.fuzz_seconds = 300
    chosen = options.only or [
        n for n, (_, usual) in SUITES.items() if usual or (options.full and n != "lint")
    ]
    LOGS.mkdir(parents=True, exist_ok=True)
    total = Count()
    summary: dict[str, dict[str, int]] = {}
    files: dict[str, Count] = {}
    for name in chosen:
        suite = Suite(name, options)
        try:
            SUITES[name][0](suite)
        except KeyboardInterrupt:
            left = ", ".join(chosen[chosen.index(name) :])
            print(f"\ninterrupted; not finished: {left}")
            return 130
        except Exception as e:  # a suite that breaks is a failure, and the others still run
            suite.fail(f"crashed: {e!r}")
        finally:
            suite.log.close()
        clear = "\r\033[K" if sys.stdout.isatty() else ""
        seconds = time.monotonic() - suite.begin
        print(f"{clear}{name:8} {seconds:6.1f} s  {suite.count}", flush=True)
        for note in suite.notes:
            print(f"         {note}")
        if suite.count.failed:
            tail = (LOGS / f"{name}.log").read_text(errors="replace").splitlines()[-40:]
            print("\n".join(f"         | {line}" for line in tail))
        total.add(suite.count)
        summary[name] = vars(suite.count)
        for file, count in suite.files.items():
            files.setdefault(file, Count()).add(count)
        RESULTS.write_text(json.dumps({file: vars(count) for file, count in files.items()}))
    (LOGS / "summary.json").write_text(json.dumps(summary))
    print(total, flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
