"""tools/build_engine.py with a cargo that only pretends: what is built when, and what is said."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "build_engine.py"
PATCH = """Crate: quiche

--- a/src/lib.rs
+++ b/src/lib.rs
@@ -1,3 +1,3 @@
 one
-two
+{}
 three
"""
CARGO = """#!/bin/sh
echo "$@" >> "$CALLS"
out=$CARGO_TARGET_DIR/release
case "$1" in
vendor)
    mkdir -p "$3/quiche/src" "$3/boring-sys/deps/boringssl/include/openssl"
    mkdir -p "$3/nghttp3-sys/deps/nghttp3/lib/includes/nghttp3"
    printf 'one\\ntwo\\nthree\\n' > "$3/quiche/src/lib.rs"
    files='{"files": {"src/lib.rs": "0123", "Cargo.toml": "4567"}}'
    echo "$files" > "$3/quiche/.cargo-checksum.json"
    for crate in quiche boring-sys nghttp3-sys; do
        printf '[package]\\nversion = "1.0.0"\\n' > "$3/$crate/Cargo.toml"
    done ;;
build)
    [ -n "$FAIL" ] && echo "error: the compiler is unwell" && exit 101
    mkdir -p "$out/build/boring-sys-1/out/build" "$out/build/nghttp3-sys-1/out/include/nghttp3"
    for name in libcrypto libssl; do ar rcs "$out/build/boring-sys-1/out/build/$name.a"; done
    touch "$out/build/nghttp3-sys-1/out/include/nghttp3/version.h"
    ar rcs "$out/libqp_engine.a" ;;
esac
"""


class Machine:
    """A copy of the tool, an engine of three crates, a cache folder, a fake cargo."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / "cache" / "quicpro"
        self.engine = root / "libquicpro" / "engine"
        self.bin = root / "bin"
        self.calls = root / "calls"
        (root / "tools").mkdir()
        shutil.copy(TOOL, root / "tools" / "build_engine.py")
        (self.engine / "patches").mkdir(parents=True)
        (self.engine / "src").mkdir()
        (self.engine / "src" / "lib.rs").write_text("")
        for name in ("Cargo.toml", "build.rs", "qp_engine.h"):
            (self.engine / name).write_text("")
        lock = "".join(
            f'[[package]]\nname = "{crate}"\nversion = "1.0.0"\nsource = "x"\nchecksum = "89ab"\n\n'
            for crate in ("boring-sys", "nghttp3-sys", "quiche")
        )
        (self.engine / "Cargo.lock").write_text(lock)
        self.patch("zwei")
        self.bin.mkdir()
        self.fake("rustc", "#!/bin/sh\necho 'rustc 1.95.0 (0123 2026-03-01)'\n")
        self.fake("cargo", CARGO)
        self.fake("cmake", "#!/bin/sh\n")
        (root / "libclang.so").touch()

    def fake(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(script)
        path.chmod(0o755)

    def patch(self, text: str | None) -> None:
        path = self.engine / "patches" / "0001-two.patch"
        if text is None:
            path.unlink()
        else:
            path.write_text(PATCH.format(text))

    def run(self, *args: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the tool; what it asked cargo for is in `asked` afterwards."""
        self.calls.write_text("")
        result = subprocess.run(
            [sys.executable, self.root / "tools" / "build_engine.py", *args],
            env={
                "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
                "XDG_CACHE_HOME": str(self.cache.parent),
                "LIBCLANG_PATH": str(self.root),
                "CALLS": str(self.calls),
                **env,
            },
            text=True,
            capture_output=True,
        )
        self.asked = self.calls.read_text().splitlines()
        return result

    def kinds(self) -> list[str]:
        return [line.split()[0] for line in self.asked]

    def source(self) -> str:
        (path,) = self.cache.glob("vendor-*/quiche/src/lib.rs")
        return path.read_text().split()[1]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_first_build_makes_everything_the_second_nothing(machine: Machine) -> None:
    out = machine.root / "out"
    out.mkdir()
    args = ["--output", out / "e.a", "--include", out / "include", "--abi", out / "abi.h"]
    first = machine.run(*args)
    assert first.returncode == 0, first.stderr
    assert machine.kinds() == ["vendor", "build", "build"]
    assert "-p boring-sys" in machine.asked[1] and "--offline" in machine.asked[2]
    assert machine.source() == "zwei"
    assert (out / "e.a").exists() and (out / "include/nghttp3/version.h").exists()
    assert "#define QP_ENGINE_ABI qp_engine_abi_e3b0c44298fc1c14" in (out / "abi.h").read_text()
    shutil.rmtree(out / "include")
    second = machine.run(*args)
    assert (second.returncode, second.stderr, machine.asked) == (0, "", [])
    assert (out / "include/nghttp3/version.h").exists()
    assert not list(machine.cache.glob("*.partial"))


def test_checksum_of_a_patched_file_is_dropped_and_no_other(machine: Machine) -> None:
    machine.run()
    (table,) = machine.cache.glob("vendor-*/quiche/.cargo-checksum.json")
    assert json.loads(table.read_text()) == {"files": {"Cargo.toml": "4567"}}


@pytest.mark.parametrize(("text", "now"), [("deux", "deux"), (None, "two")])
def test_other_patches_fetch_nothing_and_keep_boringssl(
    machine: Machine, text: str | None, now: str
) -> None:
    machine.run()
    machine.patch(text)
    result = machine.run()
    assert result.returncode == 0, result.stderr
    assert machine.kinds() == ["clean", "build"]
    assert "-p quiche" in machine.asked[0] and "-p boring-sys" not in machine.asked[1]
    assert machine.source() == now


def test_two_patches_to_one_file(machine: Machine) -> None:
    (machine.engine / "patches" / "0002-again.patch").write_text(
        PATCH.format("drei").replace("-two", "-zwei")
    )
    assert machine.run().returncode == 0
    assert machine.source() == "drei"


def test_other_code_compiles_no_crate_anew(machine: Machine) -> None:
    machine.run()
    (machine.engine / "src" / "lib.rs").write_text("// other")
    assert machine.run().returncode == 0
    assert machine.kinds() == ["build"]


def test_a_patch_that_does_not_apply_fails_and_leaves_nothing(machine: Machine) -> None:
    patch = machine.engine / "patches" / "0001-two.patch"
    good = patch.read_text()
    patch.write_text(good.replace(" three", " four"))
    result = machine.run()
    assert result.returncode == 1
    assert result.stderr.endswith("engine: 0001-two.patch does not apply to quiche\n")
    assert machine.source() == "two" and not list(machine.cache.glob("engine-*"))
    patch.write_text(good)
    assert machine.run().returncode == 0
    assert machine.kinds() == ["build", "build"] and machine.source() == "zwei"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (PATCH.replace("Crate: quiche", ""), "has no line 'Crate: NAME'"),
        (PATCH.replace("Crate: quiche", "Crate: quick"), "quick, which is not in Cargo.lock"),
    ],
)
def test_a_patch_for_nothing_fails(machine: Machine, text: str, says: str) -> None:
    (machine.engine / "patches" / "0001-two.patch").write_text(text)
    result = machine.run()
    assert result.returncode == 1 and says in result.stderr


def test_a_failed_build_shows_why_and_the_next_one_goes_on(machine: Machine) -> None:
    result = machine.run(FAIL="1")
    assert result.returncode == 1
    assert "the compiler is unwell" in result.stderr
    assert result.stderr.endswith("engine: failed: compiling BoringSSL\n")
    assert not list(machine.cache.glob("engine-*"))
    assert machine.run().returncode == 0
    assert machine.kinds() == ["build", "build"]


def test_compilers_and_flags_have_results_of_their_own(machine: Machine) -> None:
    names = {
        machine.run("--print-dir", **env).stdout
        for env in ({}, {"CFLAGS": "-O1"}, {"RUSTFLAGS": "-g"}, {"CC": "echo other"})
    }
    names.add(machine.run("--print-dir", "--features", "mimalloc").stdout)
    assert len(names) == 5 and machine.asked == []


def test_old_results_are_pruned(machine: Machine) -> None:
    for i in range(6):
        (machine.engine / "src" / "lib.rs").write_text(f"// {i}")
        assert machine.run().returncode == 0
    assert len(list(machine.cache.glob("engine-*"))) == 3
    assert len(list(machine.cache.glob("vendor-*"))) == 1
    last = machine.run("--print-dir").stdout.strip()
    assert Path(last).is_dir()


def test_vendored_crates_need_no_network(machine: Machine) -> None:
    crates = machine.root / "crates"
    assert machine.run("--vendor-only", crates).returncode == 0
    assert machine.run("--vendor", crates).returncode == 0
    assert machine.kinds() == ["build", "build"] and machine.source() == "zwei"
    assert "two" in (crates / "quiche/src/lib.rs").read_text()


def test_a_folder_without_the_crates_is_refused(machine: Machine) -> None:
    result = machine.run("--vendor", machine.root)
    assert result.returncode == 1
    assert "lacks quiche 1.0.0: make it with --vendor-only" in result.stderr


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("#!/bin/sh\nexit 127\n", "no rustc: install Rust 1.95 or newer"),
        ("#!/bin/sh\necho 'rustc 1.63.0 (0)'\n", "rustc 1.63.0 (0) is too old"),
    ],
)
def test_rust_must_be_new_enough(machine: Machine, script: str, says: str) -> None:
    machine.fake("rustc", script)
    result = machine.run()
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1 and says in result.stderr


def test_missing_tools_are_named(machine: Machine) -> None:
    (machine.root / "libclang.so").unlink()
    result = machine.run()
    assert result.returncode == 3 and "install libclang1-14" in result.stderr
    result = machine.run(CXX="no-such-compiler")
    assert result.returncode == 3 and "no no-such-compiler: install g++" in result.stderr


def test_a_second_build_waits_for_the_first(machine: Machine) -> None:
    import fcntl

    machine.cache.mkdir(parents=True)
    with (machine.cache / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        machine.calls.write_text("")
        env = {**os.environ, "PATH": f"{machine.bin}:{os.environ['PATH']}"}
        env |= {"XDG_CACHE_HOME": str(machine.cache.parent), "CALLS": str(machine.calls)}
        env |= {"LIBCLANG_PATH": str(machine.root)}
        with subprocess.Popen(
            [sys.executable, machine.root / "tools" / "build_engine.py"],
            env=env,
            text=True,
            stderr=subprocess.PIPE,
        ) as waiting:
            assert waiting.stderr is not None
            assert waiting.stderr.readline() == "engine: waiting for another build\n"
            assert machine.calls.read_text() == ""
            fcntl.flock(held, fcntl.LOCK_UN)
            waiting.stderr.read()
        assert waiting.returncode == 0
