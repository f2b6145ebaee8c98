"""quicpro config."""

import json
from pathlib import Path

import pytest
from conftest import Quicpro
from quicpro import Config

GOOD = "[quic]\nmax_idle_timeout_ms = 5000\n[tls]\nalpn = ['h3', 'hq']\n"


def test_help_has_examples(quicpro: Quicpro) -> None:
    done = quicpro("config", "--help")
    assert done.returncode == 0
    for example in (b"Example: quicpro config --config", b"Example: quicpro config --check"):
        assert example in done.stdout


def test_show_is_a_file_that_can_be_read_again(quicpro: Quicpro, tmp_path: Path) -> None:
    first = quicpro("config", "-o", "gso=false", "-o", "max_idle_timeout=1.5")
    assert (first.returncode, first.stderr) == (0, b"")
    file = tmp_path / "all.toml"
    file.write_bytes(first.stdout)
    config = Config.from_file(file)
    assert config["gso"] is False and config["max_idle_timeout_ms"] == 1500
    assert config == Config(gso=False, max_idle_timeout=1.5)
    again = quicpro("config", "--show", "--config", file)
    values = [line.split("#")[0] for line in again.stdout.decode().splitlines()]
    assert values == [line.split("#")[0] for line in first.stdout.decode().splitlines()]
    assert str(file) in again.stdout.decode()


def test_show_says_where_a_value_came_from(quicpro: Quicpro, tmp_path: Path) -> None:
    file = tmp_path / "q.toml"
    file.write_text(GOOD)
    done = quicpro("config", "-o", "mmsg=0", env={"QUICPRO_CONFIG": str(file), "QUICPRO_GSO": "0"})
    lines = done.stdout.decode().splitlines()
    for start, end in (
        ("max_idle_timeout_ms = 5000 ", f"# file {file}:2:1"),
        ('alpn = ["h3", "hq"] ', f"# file {file}:4:1"),
        ("gso = false ", "# environment QUICPRO_GSO"),
        ("mmsg = false ", "# command line"),
        ("gro = true ", "# default"),
        ("max_pto_probes = 5 ", "# default, no effect"),
    ):
        assert any(x.startswith(start) and x.endswith(end) for x in lines), (start, end)


def test_bytes_are_not_shown(quicpro: Quicpro, tmp_path: Path) -> None:
    first = quicpro("config", env={"QUICPRO_KEY_PASSPHRASE": "hunter"})
    lines = first.stdout.decode().splitlines()
    start, end = "# key_passphrase is set: (6 bytes)", "# environment QUICPRO_KEY_PASSPHRASE"
    assert any(x.startswith(start) and x.endswith(end) for x in lines)
    assert b"hunter" not in first.stdout
    file = tmp_path / "all.toml"
    file.write_bytes(first.stdout)
    assert Config.from_file(file)["key_passphrase"] == ""


def test_json(quicpro: Quicpro) -> None:
    done = quicpro("config", "--json", "-o", "gso=0")
    facts = json.loads(done.stdout)
    assert set(facts) == {option.key for option in Config.options()}
    assert facts["gso"] == {
        "value": False,
        "source": "command line",
        "default": True,
        "unit": "",
        "allowed": "true or false",
        "group": "socket",
        "live": False,
        "status": "honoured",
        "help": facts["gso"]["help"],
    }


@pytest.mark.parametrize(
    "args,says",
    [
        (["-o", "gso"], "'gso' is not KEY=VALUE"),
        (["-o", "=1"], "'=1' is not KEY=VALUE"),
        (["-o", "gso=x"], "gso"),
        (["-o", "gsoo=1"], 'nearest is "gso"'),
        (["--config", "/nonexistent.toml"], "cannot read /nonexistent.toml: No such file"),
        (["--check", __file__, "-o", "gso=1"], "--check stands alone"),
        (["--check", __file__, "--show"], "--check stands alone"),
    ],
)
def test_wrong_use(quicpro: Quicpro, args: list[str], says: str) -> None:
    done = quicpro("config", *args)
    text = done.stderr.decode()
    assert done.returncode == 2 and done.stdout == b""
    assert text.startswith("quicpro: ") and text.count("\n") == 1 and says in text, text


def test_check(quicpro: Quicpro, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text(GOOD)
    bad.write_text("[quic]\nmax_idle_timeout_ms = -1\nfoo = 1\n\n  [nowhere]\n")
    done = quicpro("config", "--check", good)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"{good}: no mistakes\n".encode(),
        b"",
    )
    done = quicpro("config", "--check", good, "--check", bad)
    assert done.returncode == 1 and done.stdout == f"{good}: no mistakes\n".encode()
    lines = done.stderr.decode().splitlines()
    assert [line.split(": ")[1] for line in lines] == [f"{bad}:2:1", f"{bad}:3:1", f"{bad}:5:3"]
    done = quicpro("config", "--check", bad, "--json")
    assert done.returncode == 1 and done.stderr == b""
    assert [(e["line"], e["column"], e["key"]) for e in json.loads(done.stdout)] == [
        (2, 1, "max_idle_timeout_ms"),
        (3, 1, "foo"),
        (5, 3, "nowhere"),
    ]


def test_check_of_what_is_not_toml(quicpro: Quicpro, tmp_path: Path) -> None:
    file = tmp_path / "q.toml"
    file.write_text("[quic]\nmax_idle_timeout_ms 5\n")
    done = quicpro("config", "--check", file)
    assert done.returncode == 1 and done.stderr.startswith(f"quicpro: {file}:2:21: ".encode())


def test_check_of_what_cannot_be_read(quicpro: Quicpro, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no.toml"):
        done = quicpro("config", "--check", path)
        assert done.returncode == 2 and str(path).encode() in done.stderr


def test_a_locked_configuration(quicpro: Quicpro, tmp_path: Path) -> None:
    file = tmp_path / "q.toml"
    file.write_text("security_allow_config_override = false\n" + GOOD)
    env = {"QUICPRO_CONFIG": str(file)}
    assert quicpro("config", "-o", "max_idle_timeout=5", env=env).returncode == 0
    done = quicpro("config", "-o", "max_idle_timeout=6", env=env)
    assert done.returncode == 2 and f"(locked by file {file}:1:1)".encode() in done.stderr
