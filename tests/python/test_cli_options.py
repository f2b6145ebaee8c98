"""--config and --option, as serve and get take them."""

import json
from pathlib import Path

import pytest
from conftest import Quicpro, Spawn
from live import HERE, Live
from quicpro import Client, Config
from quicpro.cli import cli
from quicpro.cli._options import parse_pairs


def test_pairs() -> None:
    assert parse_pairs(("a=1", "b=x=y", "c=", "a=2")) == {"a": "2", "b": "x=y", "c": ""}
    for bad in ("a", "", "=1"):
        with pytest.raises(ValueError, match="is not KEY=VALUE"):
            parse_pairs((bad,))


def test_no_flag_is_there_twice() -> None:
    for name, command in cli.commands.items():
        flags = [flag for p in command.params for flag in (*p.opts, *p.secondary_opts)]
        assert len(flags) == len(set(flags)), name


def test_each_option_has_a_flag(quicpro: Quicpro) -> None:
    args, want = [], {}
    for option in Config.options():
        if option.key == "security_allow_config_override":
            continue
        name = option.key
        for suffix in ("_ms", "_us", "_sec"):
            name = name.removesuffix(suffix)
        flag = name.replace("_", "-")
        value = option.value(option.default)
        if option.type == "bool":
            value = value if option.status == "refused" else not value
            args.append(f"--{flag}" if value else f"--no-{flag}")
        elif name != option.key:
            value = option.minimum + 1
            scale = {"_ms": 1e3, "_us": 1e6, "_sec": 1}[option.key[len(name) :]]
            args += [f"--{flag}", repr(value / scale)]
        elif option.type == "int":
            value = option.minimum + 1
            args += [f"--{flag}", value]
        elif option.type == "choice":
            value = option.choices[-1]
            args += [f"--{flag}", value]
        else:
            value = ("a", "b") if option.type == "list" else "x"
            args += [f"--{flag}", "a,b" if option.type == "list" else "x"]
            value = "(1 bytes)" if option.type == "bytes" else value
        want[option.key] = (value, "command line")
    done = quicpro("config", "--json", *args)
    facts = json.loads(done.stdout)
    got = {key: (facts[key]["value"], facts[key]["source"]) for key in want}
    assert got == {
        key: (list(value) if isinstance(value, tuple) else value, source)
        for key, (value, source) in want.items()
    }


def test_flags_win_over_option(quicpro: Quicpro) -> None:
    done = quicpro("config", "--json", "--no-gso", "-o", "gso=true", "-o", "max_idle_timeout=5")
    assert json.loads(done.stdout)["gso"]["value"] is False
    done = quicpro("config", "--max-idle-timeout", "x")
    assert done.returncode == 2 and b"not a number of seconds" in done.stderr
    done = quicpro("config", "--max-idle-timeut", "1")
    assert done.returncode == 2 and b"--max-idle-timeout" in done.stderr


def test_serve_takes_certificates_from_a_file(spawn: Spawn, certs: Path, tmp_path: Path) -> None:
    file = tmp_path / "q.toml"
    file.write_text(
        f"[tls]\ncert_file = '{certs / 'cert.pem'}'\nkey_file = '{certs / 'key.pem'}'\n"
        "[quic]\ninitial_max_streams_bidi = 7\n"
    )
    process = spawn(
        "serve", "testapp:app", "--app-dir", HERE, "--bind", "127.0.0.1:0", "--config", file,
        "-o", "max_sessions=5",
    )  # fmt: skip
    url = process.wait_line("serving").split(" on ")[1].split()[0]
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(url).text == "hello"
    process.interrupt()
    assert process.wait() == 0
    assert not any("temporary" in line for line in process.errors)
    assert any(
        'warning: option "max_sessions" is now called "max_connections"' in line
        for line in process.errors
    )


def test_get_takes_the_authorities_from_file_variable_and_option(
    server: Live, quicpro: Quicpro, certs: Path, tmp_path: Path
) -> None:
    ca, file = certs / "ca.pem", tmp_path / "q.toml"
    file.write_text(f"[tls]\nca_file = '{ca}'\n")
    for args, env in (
        (["--config", file], {}),
        (["--option", f"ca_file={ca}"], {}),
        ([], {"QUICPRO_CA_FILE": str(ca)}),
        ([], {"QUICPRO_CONFIG": str(file)}),
        (["--cacert", ca], {"QUICPRO_CA_FILE": "/nonexistent"}),
        (["--option", "ca_file=/nonexistent", "--cacert", ca], {}),
    ):
        done = quicpro("get", server.url(), *args, env=env)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"hello", b""), (args, env)
    assert quicpro("get", server.url()).returncode == 1


def test_a_lock_keeps_verification_on(
    server: Live, quicpro: Quicpro, certs: Path, tmp_path: Path
) -> None:
    file = tmp_path / "q.toml"
    file.write_text(
        "[security]\nsecurity_allow_config_override = false\n"
        f"[tls]\nca_file = '{certs / 'ca.pem'}'\n"
    )
    env = {"QUICPRO_CONFIG": str(file)}
    assert quicpro("get", server.url(), env=env).stdout == b"hello"
    for args in (["--insecure"], ["--option", "verify_peer=0"], ["--cacert", "/x"]):
        done = quicpro("get", server.url(), *args, env=env)
        assert done.returncode == 2 and b"locked" in done.stderr
    done = quicpro("get", server.url(), env={**env, "QUICPRO_VERIFY_PEER": "0"})
    assert done.returncode == 2 and b"QUICPRO_VERIFY_PEER" in done.stderr


@pytest.mark.parametrize("command", [["serve", "testapp:app"], ["get", "https://localhost:1/"]])
@pytest.mark.parametrize(
    "args,says",
    [
        (["--config", "/nonexistent.toml"], "cannot read"),
        (["--option", "handshake_timeout=0.001"], "0.1 to 600 s"),
        (["--option", "gso"], "is not KEY=VALUE"),
        (["--option", "nothing=1"], "unknown option"),
    ],
)
def test_wrong_use(quicpro: Quicpro, command: list[str], args: list[str], says: str) -> None:
    done = quicpro(*command, *args)
    assert done.returncode == 2 and done.stdout == b""
    text = done.stderr.decode()
    assert text.startswith("quicpro: ") and text.count("\n") == 1 and says in text


def test_help_names_both(quicpro: Quicpro) -> None:
    for command in ("serve", "get", "config"):
        text = quicpro(command, "--help").stdout
        assert b"--config FILE" in text and b"--option KEY=VALUE" in text
