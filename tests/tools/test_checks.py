"""The checkers find what they are there to find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(tool: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "tools" / tool, *args]
    return subprocess.run([str(c) for c in command], text=True, capture_output=True)


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("libquicpro/src/h3/x.c", '#include "loop/loop.h"', "h3 must not include"),
        ("libquicpro/src/base/x.c", '#include "quic/conn.h"', "base must not include"),
        ("libquicpro/src/h3/x.c", '#include "qp_engine.h"', "h3 must not include"),
        ("libquicpro/src/loop/x.c", "#include <openssl/ssl.h>", "only quic may include"),
        ("libquicpro/src/quic/x.c", "#include <nghttp3/nghttp3.h>", "only h3 may include"),
        ("libquicpro/src/quic/x.c", "#include <sys/socket.h>", "only os may include"),
        (
            "libquicpro/src/base/x.c",
            "    t = clock_gettime(CLOCK_MONOTONIC, &now);",
            "only os may call",
        ),
        ("libquicpro/src/h3/x.c", "    qp_random(key, 16);", "only loop, os may call qp_random()"),
        ("libquicpro/src/h3/x.c", '    if (getenv("X"))', "may call getenv()"),
        ("bindings/python/quicpro/errors.py", "from ._ffi import lib", "must not import _ffi"),
        ("bindings/python/quicpro/aio.py", "import click", "only cli may import"),
    ],
)
def test_layers_finds_a_wrong_arrow(tmp_path: Path, name: str, text: str, says: str) -> None:
    write(tmp_path, name, text + "\n")
    result = run("check_layers.py", "--root", tmp_path)
    assert result.returncode == 1
    assert result.stdout.startswith(f"{name}:1: ") and says in result.stdout


def test_layers_accepts_right_arrows(tmp_path: Path) -> None:
    write(tmp_path, "libquicpro/src/loop/x.c", '#include "h3/session.h"\n#include "os/udp.h"\n')
    write(tmp_path, "libquicpro/src/quic/x.c", '#include <openssl/ssl.h>\n#include "qp_engine.h"\n')
    calls = "/* time(2) */\n    ops->open(x);\n    int (*open)(int);\n    qp_h3_open(x);\n"
    write(tmp_path, "libquicpro/src/h3/x.c", calls)
    result = run("check_layers.py", "--root", tmp_path)
    assert (result.returncode, result.stdout) == (0, "")


def test_test_map_finds_a_source_without_test(tmp_path: Path) -> None:
    write(tmp_path, "libquicpro/src/base/new.c", "")
    write(tmp_path, "libquicpro/src/base/old.c", "")
    write(tmp_path, "tests/c/test_old.c", "")
    write(tmp_path, "bindings/python/quicpro/_batch.py", "")
    write(tmp_path, "bindings/python/quicpro/cli/get.py", "")
    result = run("check_test_map.py", "--root", tmp_path)
    assert result.returncode == 1
    assert "tests/c/test_new.c" in result.stdout and "test_old" not in result.stdout
    assert "test_batch.py" in result.stdout and "test_cli_get.py" in result.stdout


def test_test_map_finds_what_is_not_built(tmp_path: Path) -> None:
    for name in ("libquicpro/src/base/a.c", "tests/c/test_a.c", "tests/c/test_b.c"):
        write(tmp_path, name, "")
    write(tmp_path, "libquicpro/meson.build", "layers = {'base': ['a']}\n")
    write(tmp_path, "tests/c/meson.build", "c_tests = {'base': ['a']}\n")
    result = run("check_test_map.py", "--root", tmp_path)
    assert result.returncode == 1
    assert result.stdout == "tests/c/test_b.c: tests/c/meson.build does not name it\n"


def test_symbols_finds_foreign_ones(tmp_path: Path) -> None:
    code = "int leaked(void) { return 1; }\nint SSL_new(void);\n"
    write(tmp_path, "x.c", code + "int quicpro_x(void) { return SSL_new(); }\n")
    library = tmp_path / "x.so"
    subprocess.run(["cc", "-shared", "-fPIC", tmp_path / "x.c", "-o", library], check=True)
    result = run("check_symbols.py", library)
    assert result.returncode == 1
    for says in ("exports leaked", "needs SSL_new", "lacks BIND_NOW", "lacks SONAME"):
        assert says in result.stdout
    assert "exports quicpro_x" not in result.stdout


def test_symbols_finds_globals_and_unprotected_code(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from check_symbols import check_objects
    finally:
        sys.path.pop(0)
    code = "static int n;\nint next(void) { return n++; }\n"
    write(tmp_path, "x.c", code + 'const char *const names[] = {"a"};\n')
    archive = tmp_path / "libqp_x.a"
    for flag, says in (("-fcf-protection=full", []), ("-fcf-protection=none", ["lacks -fcf"])):
        command = ["cc", "-c", "-fPIC", flag, tmp_path / "x.c", "-o", tmp_path / "x.o"]
        if subprocess.run(command).returncode != 0:
            pytest.skip("no control-flow protection on this machine")
        archive.unlink(missing_ok=True)
        subprocess.run(["ar", "rcs", archive, tmp_path / "x.o"], check=True)
        found = check_objects(archive)
        assert len(found) == 1 + len(says) and "n is a global variable" in found[0]
        assert all(text in found[-1] for text in says)


@pytest.mark.parametrize(
    "tool",
    ["check_layers.py", "check_symbols.py", "check_test_map.py", "check_headers.py", "status.py",
     "run_tests.py", "build_engine.py", "engine_checks.py", "third_party.py"],
)  # fmt: skip
def test_help_and_wrong_flag(tool: str) -> None:
    assert run(tool, "--help").returncode == 0
    wrong = run(tool, "--no-such-flag")
    assert wrong.returncode == 2 and "usage" in wrong.stderr


def test_a_stock_library_is_no_engine(tmp_path: Path) -> None:
    write(tmp_path, "q.c", "int quiche_accept(void) { return 0; }\n")
    subprocess.run(["cc", "-c", tmp_path / "q.c", "-o", tmp_path / "q.o"], check=True)
    subprocess.run(["ar", "rcs", tmp_path / "libquiche.a", tmp_path / "q.o"], check=True)
    result = run("build_engine.py", "--prebuilt", tmp_path / "libquiche.a")
    assert result.returncode == 1 and "stock libquiche cannot serve" in result.stderr


def test_an_engine_of_another_header_is_refused(tmp_path: Path) -> None:
    write(
        tmp_path, "q.c", "int qp_engine_accept(void) { return 0; }\nchar qp_engine_abi_0123 = 1;\n"
    )
    subprocess.run(["cc", "-c", tmp_path / "q.c", "-o", tmp_path / "q.o"], check=True)
    subprocess.run(["ar", "rcs", tmp_path / "libqp_engine.a", tmp_path / "q.o"], check=True)
    result = run("build_engine.py", "--prebuilt", tmp_path / "libqp_engine.a")
    assert result.returncode == 1 and "another version of qp_engine.h" in result.stderr
