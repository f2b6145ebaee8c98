"""`quicpro version`, and what all commands share."""

import json
import subprocess
import sys

import pytest
import quicpro as package
from conftest import Quicpro


def test_help_has_an_example(quicpro: Quicpro) -> None:
    done = quicpro("version", "--help")
    assert done.returncode == 0 and b"Example: quicpro version" in done.stdout


def test_text_and_json(quicpro: Quicpro) -> None:
    text = quicpro("version")
    assert text.returncode == 0
    lines = dict(line.split(maxsplit=1) for line in text.stdout.decode().splitlines())
    parts = json.loads(quicpro("version", "--json").stdout)
    assert lines == parts
    assert parts["quicpro"] == package.__version__
    assert {"quiche", "boringssl", "nghttp3", "backends", "python"} < set(parts)


def test_version_option(quicpro: Quicpro) -> None:
    done = quicpro("--version")
    assert done.returncode == 0 and package.__version__.encode() in done.stdout


def test_help(quicpro: Quicpro) -> None:
    for flag in ("-h", "--help"):
        done = quicpro(flag)
        assert done.returncode == 0 and b"Example: quicpro" in done.stdout
        for command in (b"serve", b"get", b"devcert", b"version"):
            assert command in done.stdout


@pytest.mark.parametrize("args", [[], ["no-such"], ["--no-such"], ["version", "--no-such"]])
def test_wrong_use(quicpro: Quicpro, args: list[str]) -> None:
    done = quicpro(*args)
    assert done.returncode == 2 and b"Usage: quicpro" in done.stderr and done.stdout == b""


def test_stdout_that_nobody_reads(quicpro: Quicpro) -> None:
    """`quicpro version | true`: no traceback."""
    with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:
        reader.wait()
        done = quicpro("version", stdout=reader.stdin)
    assert (done.returncode, done.stderr) == (1, b"")


def test_stdout_that_is_full(quicpro: Quicpro) -> None:
    with open("/dev/full", "wb") as full:
        done = quicpro("version", stdout=full)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1


def test_python_m_quicpro() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "quicpro", "version"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and package.__version__ in done.stdout
