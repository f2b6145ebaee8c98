"""`quicpro devcert`."""

import os
import stat
from pathlib import Path

import pytest
from conftest import Quicpro


def test_help_has_an_example(quicpro: Quicpro) -> None:
    done = quicpro("devcert", "--help")
    assert done.returncode == 0 and b"Example: quicpro devcert" in done.stdout


def test_writes_files_of_mode_0600(quicpro: Quicpro, tmp_path: Path) -> None:
    done = quicpro("devcert", tmp_path / "certs", "--name", "a.test", "--days", "7")
    assert (done.returncode, done.stderr) == (0, b"")
    assert sorted(os.listdir(tmp_path / "certs")) == ["ca.pem", "cert.pem", "key.pem"]
    for file in (tmp_path / "certs").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"valid for a.test, 7 days" in done.stdout
    assert b"--ignore-certificate-errors-spki-list=" in done.stdout


def test_does_not_replace_without_force(quicpro: Quicpro, tmp_path: Path) -> None:
    assert quicpro("devcert", tmp_path).returncode == 0
    key = (tmp_path / "key.pem").read_bytes()
    done = quicpro("devcert", tmp_path)
    assert done.returncode == 2 and b"--force" in done.stderr
    assert (tmp_path / "key.pem").read_bytes() == key
    assert quicpro("devcert", tmp_path, "--force").returncode == 0
    assert (tmp_path / "key.pem").read_bytes() != key


@pytest.mark.parametrize(
    "args", [["--days", "0"], ["--days", "398"], ["--days", "x"], ["--name", ""], ["--no-such"]]
)
def test_wrong_use(quicpro: Quicpro, tmp_path: Path, args: list[str]) -> None:
    done = quicpro("devcert", tmp_path / "certs", *args)
    assert done.returncode == 2 and done.stderr
    assert not (tmp_path / "certs").exists()


def test_a_folder_that_cannot_be_made(quicpro: Quicpro, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = quicpro("devcert", tmp_path / "file" / "certs")
    assert done.returncode == 1
    assert done.stderr.startswith(b"quicpro: cannot write ") and done.stderr.count(b"\n") == 1
    assert quicpro("devcert", tmp_path / "file").returncode == 2
