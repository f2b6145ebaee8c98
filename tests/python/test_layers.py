"""quicpro._layers: settings from arguments, the environment and files, before they are applied."""

import os
import re
from pathlib import Path

import pytest
from quicpro import _layers
from quicpro._layers import (
    Layer,
    check_document,
    from_environment,
    from_file,
    from_options,
    read,
)
from quicpro._options import Option, table
from quicpro.errors import ConfigError, InvalidType, InvalidValue, UnknownOption


def texts(layer: Layer) -> dict[str, str]:
    return {setting.option.key: setting.text for setting in layer.settings}


@pytest.mark.parametrize(
    "options,text",
    [
        ({"gso": True}, "true"),
        ({"gso": 0}, "false"),
        ({"gso": "maybe"}, "maybe"),  # the library judges text
        ({"handshake_timeout_ms": 250}, "250"),
        ({"handshake_timeout_ms": "250"}, "250"),
        ({"handshake_timeout": 0.25}, "250"),
        ({"handshake_timeout": 1}, "1000"),
        ({"handshake_timeout": "1.5"}, "1500"),
        ({"handshake_timeout": 0.1}, "100"),
        ({"max_idle_timeout": 0}, "0"),
        ({"max_idle_timeout": 1e-9}, "1"),  # more than nothing, and nothing means never
        ({"max_idle_timeout": 0.0014}, "1"),
        ({"ca_file": Path("/x/ca.pem")}, "/x/ca.pem"),
        ({"alpn": ["h3", "hq"]}, "h3,hq"),
        ({"alpn": ()}, ""),
        ({"alpn": "h3,hq"}, "h3,hq"),
        ({"congestion_control": "reno"}, "reno"),
        ({"cc_algorithm": "reno"}, "reno"),
    ],
)
def test_arguments(options: dict[str, object], text: str) -> None:
    layer = from_options(options, "Config")
    assert [setting.text for setting in layer.settings] == [text]
    assert layer.settings[0].source == "Config"


@pytest.mark.parametrize(
    "options,kind,says",
    [
        ({"gso": 2}, InvalidType, '"2" is an integer: true or false'),
        ({"gso": 1.0}, InvalidType, "a float"),
        ({"gso": None}, InvalidType, "a NoneType"),
        ({"handshake_timeout_ms": True}, InvalidType, "a boolean"),
        ({"handshake_timeout_ms": 1.5}, InvalidType, "(handshake_timeout is in seconds)"),
        ({"max_connections": 1.5}, InvalidType, "a float: 1 to"),
        ({"handshake_timeout": True}, InvalidType, "a boolean: 0.1 to 600 s"),
        ({"handshake_timeout": []}, InvalidType, "an array"),
        ({"handshake_timeout": "soon"}, InvalidValue, "not a number of seconds"),
        ({"handshake_timeout": 0.09}, InvalidValue, "out of range: 0.1 to 600 s"),
        ({"handshake_timeout": 600.1}, InvalidValue, "out of range"),
        ({"handshake_timeout": -1}, InvalidValue, "out of range"),
        ({"handshake_timeout": float("nan")}, InvalidValue, "out of range"),
        ({"handshake_timeout": float("inf")}, InvalidValue, "out of range"),
        ({"handshake_timeout": 1e300}, InvalidValue, "out of range"),
        ({"ca_file": 5}, InvalidType, "an integer"),
        ({"ca_file": b"/x"}, InvalidType, "a bytes"),
        ({"ca_file": "a\0b"}, InvalidValue, "a NUL"),
        ({"alpn": ["h3", ""]}, InvalidValue, "no word of a list"),
        ({"alpn": ["h3", 5]}, InvalidValue, "no word of a list"),
        ({"alpn": ["h3,hq"]}, InvalidValue, "no word of a list"),
        ({"alpn": {"h3"}}, InvalidType, "a set"),
        ({"congestion_control": True}, InvalidType, "a boolean"),
        ({"max_idle_timeot": 1}, UnknownOption, 'nearest is "max_idle_timeout_ms"'),
        ({"gs\n": 1}, UnknownOption, 'unknown option "gs\\n"'),
        ({"x" * 200: 1}, UnknownOption, "x..."),
        ({"max_idle_timeout": 1, "max_idle_timeout_ms": 1}, InvalidValue, "a second value, after"),
        ({"cc_algorithm": "reno", "congestion_control": "reno"}, InvalidValue, "a second value"),
    ],
)
def test_arguments_that_are_wrong(
    options: dict[str, object], kind: type[ConfigError], says: str
) -> None:
    with pytest.raises(kind) as caught:
        from_options(options, "Config")
    assert says in str(caught.value), caught.value
    assert type(caught.value) is kind and caught.value.source == "Config"
    assert (caught.value.nearest is None) == (kind is not UnknownOption)
    assert (caught.value.allowed is None) == (kind is UnknownOption)
    assert isinstance(caught.value, TypeError) == (kind is InvalidType)


def test_old_names_are_told() -> None:
    layer = from_options({"cc_algorithm": "reno", "gso": False}, "Config")
    assert layer.deprecated == ('option "cc_algorithm" is now called "congestion_control"',)
    assert from_options({"max_idle_timeout": 1}, "Config").deprecated == ()


def test_the_lock_comes_last() -> None:
    layer = from_options({_layers.LOCK: False, "gso": False, "mmsg": False}, "Config")
    assert list(texts(layer)) == ["gso", "mmsg", _layers.LOCK]


def test_environment() -> None:
    layer = from_environment(
        {
            "QUICPRO_GSO": "false",
            "QUICPRO_MAX_IDLE_TIMEOUT_MS": "5",
            "QUICPRO_CC_ALGORITHM": "reno",
            "PATH": "/bin",
            "XQUICPRO_GSO": "x",
        }
    )
    assert texts(layer) == {
        "gso": "false",
        "max_idle_timeout_ms": "5",
        "congestion_control": "reno",
    }
    assert {s.source for s in layer.settings if s.option.key == "gso"} == {
        "environment QUICPRO_GSO"
    }
    assert layer.deprecated == (
        "environment variable QUICPRO_CC_ALGORITHM: "
        'option "cc_algorithm" is now called "congestion_control"',
    )


@pytest.mark.parametrize(
    "name",
    [
        "CONFIG", "NO_APT", "BUILD_DIR", "VERSION", "TEST_FULL", "TEST_PURE", "BENCH_CERTS",
        "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_4433_UDP",
        "PORT_4433_UDP_ADDR", "SERVER_SERVICE_HOST", "SERVER_PORT_4433_TCP_PROTO", "WEB_PORT",
    ],
)  # fmt: skip
def test_variables_that_are_no_options(name: str) -> None:
    """Ours, and those that Kubernetes sets for a service called quicpro or quicpro-server."""
    assert from_environment({f"QUICPRO_{name}": "x"}).settings == ()


def test_an_option_is_one_whatever_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_layers, "_KUBERNETES", re.compile(".*"))
    assert texts(from_environment({"QUICPRO_GSO": "0", "QUICPRO_GSOO": "0"})) == {"gso": "0"}


@pytest.mark.parametrize(
    "name,says",
    [
        ("QUICPRO_GSOO", 'QUICPRO_GSOO: unknown option "gsoo"; the nearest is "gso"'),
        ("QUICPRO_", "unknown option"),
        ("QUICPRO_MAX_IDLE_TIMEOUT", 'nearest is "max_idle_timeout_ms"'),  # no seconds here
        ("QUICPRO_\udc80", "unknown option"),
    ],
)
def test_variables_that_are_wrong(name: str, says: str) -> None:
    with pytest.raises(UnknownOption) as caught:
        from_environment({name: "1"})
    assert says in str(caught.value) and caught.value.source == f"environment {name}"
    str(caught.value).encode()  # can be printed


def test_the_environment_of_a_setuid_program_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _layers.environment() is os.environ
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert _layers.environment() == {}
    monkeypatch.undo()
    monkeypatch.setattr(os, "getegid", lambda: os.getgid() + 1)
    assert _layers.environment() == {}


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "q.toml"
    path.write_text(
        "gro = false\n"
        "[tls]\nalpn = ['h3', 'hq']\nca_file = '/x'\n"
        "[quic]\nmax_idle_timeout_ms = 5\ncc_algorithm = 'reno'\n"
    )
    layer = from_file(path)
    assert texts(layer) == {
        "gro": "false",
        "alpn": "h3,hq",
        "ca_file": "/x",
        "max_idle_timeout_ms": "5",
        "congestion_control": "reno",
    }
    assert [s.source for s in layer.settings][:2] == [f"file {path}:1:1", f"file {path}:3:1"]
    assert layer.deprecated == (
        f'{path}:7:1: option "cc_algorithm" is now called "congestion_control"',
    )


@pytest.mark.parametrize(
    "text,place,says",
    [
        ("[quic]\nfoo = 1", (2, 1), 'unknown option "foo"'),
        ("[nowhere]\n", (1, 1), 'unknown section "nowhere"; known are'),
        ("[quic.inner]\na=1", (1, 1), 'unknown option "inner"'),
        ("[quic]\n ca_file = 'x'", (2, 2), 'option "ca_file" belongs in [tls], not in [quic]'),
        ("gso = 1", (1, 1), '"1" is an integer: true or false'),
        ("gso = 'true'", (1, 1), '"true" is a string: true or false'),
        ("max_idle_timeout_ms = '5'", (1, 1), '"5" is a string: 0 to 3600000 ms'),
        ("max_idle_timeout_ms = true", (1, 1), "a boolean"),
        ("max_idle_timeout_ms = 5.0", (1, 1), "a float"),
        ("max_idle_timeout = 5", (1, 1), 'nearest is "max_idle_timeout_ms"'),
        ("congestion_control = 1", (1, 1), "an integer"),
        ("alpn = [1]", (1, 1), "no word of a list"),
        ("ca_file = ['x']", (1, 1), "an array"),
        ("ca_file = 1979-05-27", (1, 1), "a date"),
        ("[tls]\ngso = {a = 1}", (2, 1), "belongs in [socket]"),
        ("gso = true\n[socket]\ngso = true", (3, 1), 'a second value, after "gso" at'),
        ("[[quic]]\n", (1, 1), 'unknown option "quic"'),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, place: tuple[int, int], says: str) -> None:
    path = tmp_path / "q.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        from_file(path)
    e = caught.value
    assert says in str(e) and str(e).startswith(f"{path}:{place[0]}:{place[1]}: "), e
    assert (e.file, e.line, e.column) == (str(path), *place)
    assert e.source == f"file {path}:{place[0]}:{place[1]}"


@pytest.mark.parametrize("option", list(table().values()), ids=lambda o: o.key)
def test_every_option_in_a_file_has_its_type(tmp_path: Path, option: Option) -> None:
    path = tmp_path / "q.toml"
    right = {
        "bool": ("true",),
        "int": ("5",),
        "list": ("'x'", "['x', 'y']"),
    }.get(option.type, ("'x'",))
    for value in ("true", "5", "'x'", "['x', 'y']", "5.0", "1979-05-27", "{a = 1}", "[{}]"):
        path.write_text(f"[{option.group}]\n  {option.key} = {value}\n")
        if value in right:
            assert list(texts(check_document(read(path)))) == [option.key]
            continue
        with pytest.raises(InvalidValue) as caught:
            check_document(read(path))
        e = caught.value
        assert (e.key, e.file, e.line, e.column) == (option.key, str(path), 2, 3), value


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, says in ((tmp_path, "directory"), (tmp_path / "no", "No such file")):
        with pytest.raises(ConfigError, match=f"cannot read .*{says}"):
            from_file(path)


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "q.toml"
    path.write_text("gso = true")
    first = from_file(path)
    assert from_file(path) is first
    path.write_text("gso = false")
    assert texts(from_file(path)) == {"gso": "false"}


def test_a_pipe_is_read_each_time() -> None:
    for text in (b"gso = true", b"gso = false"):
        reader, writer = os.pipe()
        os.write(writer, text)
        os.close(writer)
        assert texts(from_file(f"/dev/fd/{reader}"))["gso"] == text.split()[-1].decode()
        os.close(reader)


def test_system_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "system.toml"
    monkeypatch.setattr(_layers, "SYSTEM_FILE", str(path))
    assert _layers.system() == Layer()
    path.write_text("gso = false")
    assert texts(_layers.system()) == {"gso": "false"}
    path.unlink()
    path.symlink_to(tmp_path / "gone")  # present, and not readable: not to be passed over
    with pytest.raises(ConfigError, match="cannot read"):
        _layers.system()
