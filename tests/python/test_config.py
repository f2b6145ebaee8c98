"""quicpro.config: layers put together, checked by the library."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from quicpro import (
    Config,
    ConfigError,
    ConfigFrozen,
    InvalidType,
    InvalidValue,
    PolicyViolation,
    UnknownOption,
    _layers,
)
from quicpro.config import Option

OPTIONS = list(Config.options())
LOCK = "security_allow_config_override"


@pytest.fixture(autouse=True)
def system_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine without files and variables; the test may write the system's file."""
    path = tmp_path / "etc-quicpro.toml"
    monkeypatch.setattr(_layers, "SYSTEM_FILE", str(path))
    for name in os.environ:
        if name.startswith("QUICPRO_"):
            monkeypatch.delenv(name)
    yield path


def test_values_are_kept_and_defaults_filled_in() -> None:
    config = Config(max_idle_timeout_ms=1000, gso=False, congestion_control="bbr2")
    assert config["max_idle_timeout_ms"] == 1000
    assert config["gso"] is False and config["congestion_control"] == "bbr2"
    assert config["mmsg"] is True and config["alpn"] == ("h3",) and config["ca_file"] == ""
    assert config["cc_algorithm"] == "bbr2"  # an old name reads as well
    assert set(config.to_dict()) == {option.key for option in OPTIONS}
    assert repr(config) == "Config(max_idle_timeout_ms=1000, gso=False, congestion_control='bbr2')"
    assert Config(**config.to_dict()) == config
    assert hash(Config(gso=False)) == hash(Config(gso="0")) != hash(Config())
    assert Config(gso=False) != Config() and Config() != "x"


def test_bytes_are_kept_and_not_shown() -> None:
    config = Config(key_data=b"hun\0ter", key_passphrase="hunter")
    assert config["key_data"] == "(7 bytes)" and config["key_passphrase"] == "(6 bytes)"
    assert config["cert_data"] == ""
    assert config.replace(gso=False)["key_data"] == "(7 bytes)"
    assert config.replace(key_data=b"")["key_data"] == ""
    assert "hunter" not in repr(config) + str(config.to_dict())
    locked = Config(key_passphrase="hunter", security_allow_config_override=False)
    assert locked.replace(key_passphrase=b"hunter")["key_passphrase"] == "(6 bytes)"
    for call in (
        lambda: locked.replace(key_passphrase=b"SECRET"),
        lambda: locked.replace(key_passphrase="SECRET"),
        lambda: Config(key_passphrase="SE\0CRET"),
        lambda: Config(key_passphrase="SE\ud800CRET"),
        lambda: Config(key_passphrase=["SECRET"]),
    ):
        with pytest.raises(ConfigError) as caught:
            call()
        assert "CRET" not in f"{caught.value!r} {vars(caught.value)}"


def test_replace_leaves_the_original_alone() -> None:
    config = Config(gso=False)
    other = config.replace(mmsg=False)
    assert (other["gso"], other["mmsg"]) == (False, False)
    assert config["mmsg"] is True and config.replace() == config
    assert config.replace(gso=True)["gso"] is True
    assert repr(other) == "Config(gso=False, mmsg=False)"


def test_it_cannot_be_changed() -> None:
    config = Config()
    for change in (
        lambda: setattr(config, "gso", False),
        lambda: setattr(config, "_values", {}),
        lambda: delattr(config, "_values"),
        lambda: config.__setitem__("gso", False),
        lambda: config.__delitem__("gso"),
    ):
        with pytest.raises(ConfigFrozen, match="replace"):
            change()
    config.to_dict()["gso"] = False
    assert config["gso"] is True
    assert issubclass(ConfigFrozen, TypeError)


def test_a_path_is_a_value() -> None:
    assert Config(ca_file=Path("/x/ca.pem"))["ca_file"] == "/x/ca.pem"
    assert Config(ca_file="/\udcff")["ca_file"] == "/\udcff"  # a name that is not UTF-8
    with pytest.raises(InvalidValue, match="is not text"):
        Config(ca_file="\ud800")


def test_seconds() -> None:
    assert Config(max_idle_timeout=12.5)["max_idle_timeout_ms"] == 12500
    assert Config(max_idle_timeout=0)["max_idle_timeout_ms"] == 0


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(UnknownOption, match="max_idle_timeout_ms") as caught:
        Config(max_idle_timeot_ms=1)
    e = caught.value
    assert isinstance(e, (ConfigError, ValueError))
    assert (e.key, e.nearest, e.allowed) == ("max_idle_timeot_ms", "max_idle_timeout_ms", None)
    for read in (Config().__getitem__, Config().source):
        with pytest.raises(KeyError):
            read("max_idle_timeout")


def wrong_values(option: Option) -> Iterator[tuple[object, type[ConfigError]]]:
    """Of each kind of mistake one, and what it is to raise."""
    yield None, InvalidType
    yield {"a": 1}, InvalidType
    if option.type != "bytes":
        yield b"1", InvalidType
    if option.type != "str":
        yield Path("1"), InvalidType
    if option.type in ("bool", "int", "choice"):
        yield from (
            (text, InvalidValue) for text in ("", "x", "-1", "1.5", " 1", "99999999999999999999")
        )
        yield ["1"], InvalidType
    if option.type == "int":
        yield option.maximum + 1, InvalidValue
        yield option.minimum - 1, InvalidValue
        yield 1.5, InvalidType
        yield True, InvalidType
    if option.type == "bool":
        yield 2, InvalidType
        yield -1, InvalidType
    if option.status == "refused":
        yield option.default != "true", InvalidValue
    if option.type == "bytes":
        yield "(5 bytes)", InvalidValue
    if option.type in ("str", "list", "choice", "bytes"):
        yield 1, InvalidType
        yield "a\0b", InvalidValue
    if option.type == "list":
        yield ["a", ""], InvalidValue
        yield "a,,b", InvalidValue
        yield [1], InvalidValue


@pytest.mark.parametrize("option", OPTIONS, ids=lambda o: o.key)
def test_every_option_refuses_wrong_values(option: Option) -> None:
    for value, kind in wrong_values(option):
        with pytest.raises(kind) as caught:
            Config(**{option.key: value})
        e = caught.value
        assert e.key == option.key and e.allowed and e.source == "Config", value
        assert option.key in str(e) and "\n" not in str(e)
        assert e.line is None and e.nearest is None


@pytest.mark.parametrize("option", OPTIONS, ids=lambda o: o.key)
def test_every_option_takes_what_it_allows(option: Option, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"QUICPRO_{option.key.upper()}"
    monkeypatch.delenv(name, raising=False)  # the tests may run on a backend of its choice
    values: list[object] = [option.value(option.default)]
    if option.type == "int":
        values += [option.minimum, option.maximum]
    elif option.type == "bool" and option.status != "refused":
        values += [True, False]
    elif option.type == "choice":
        values += option.choices
    elif option.type == "list":
        values += [("a",), ("a", "b c")]
    elif option.type == "str":
        values += ["x", "/a b/ä"]
    for value in values:
        config = Config(**{option.key: value})
        assert config[option.key] == value
        assert config.source(option.key) == "Config"
    assert Config().source(option.key) == "default"
    assert Config()[option.key] == option.value(option.default)
    config = Config.from_env({name: option.default})
    assert config.source(option.key) == f"environment {name}"


def test_refused_values_say_why() -> None:
    with pytest.raises(InvalidValue, match=r"tls_enable.*false.*refused: QUIC is always encrypted"):
        Config(tls_enable=False)
    with pytest.raises(InvalidValue, match="harms the network"):
        Config(disable_congestion_control=True)
    with pytest.raises(InvalidValue, match="always encrypted"):
        Config(transport_disable_encryption=True)


def test_the_table_describes_itself() -> None:
    options = {option.key: option for option in OPTIONS}
    row = options["handshake_timeout_ms"]
    assert (row.type, row.unit, row.minimum, row.maximum) == ("int", "ms", 100, 600000)
    assert (row.group, row.status) == ("quic", "honoured")
    assert (options["alpn"].type, options["tls_enable"].status) == ("list", "refused")
    assert options["max_pto_probes"].status == "no effect"
    assert options["congestion_control"].choices == ("cubic", "reno", "bbr2")


def test_old_names_warn_where_they_are_written() -> None:
    with pytest.warns(DeprecationWarning, match='"cc_algorithm" is now called') as caught:
        config = Config(cc_algorithm="reno")
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config.replace(gso=False)  # not told again
    with pytest.warns(DeprecationWarning, match="QUICPRO_CC_ALGORITHM") as caught:
        Config.from_env({"QUICPRO_CC_ALGORITHM": "reno"})
    assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning) as caught:
        Config().replace(max_sessions=5)
    assert caught[0].filename == __file__


def test_layers(system_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, other = tmp_path / "file.toml", tmp_path / "other.toml"
    system_file.write_text(
        "gso = false\n[quic]\nmax_idle_timeout_ms = 1\nhandshake_timeout_ms = 101\n"
        "burst_bytes = 20001\ninitial_cwnd_packets = 11\n"
    )
    file.write_text(
        "[quic]\nhandshake_timeout_ms = 102\nburst_bytes = 20002\ninitial_cwnd_packets = 12\n"
    )
    other.write_text("mmsg = false")
    monkeypatch.setenv("QUICPRO_CONFIG", str(file))
    monkeypatch.setenv("QUICPRO_BURST_BYTES", "20003")
    monkeypatch.setenv("QUICPRO_INITIAL_CWND_PACKETS", "13")
    config = Config(initial_cwnd_packets=14)
    want = {
        "gro": (True, "default"),
        "gso": (False, f"file {system_file}:1:1"),
        "max_idle_timeout_ms": (1, f"file {system_file}:3:1"),
        "handshake_timeout_ms": (102, f"file {file}:2:1"),
        "burst_bytes": (20003, "environment QUICPRO_BURST_BYTES"),
        "initial_cwnd_packets": (14, "Config"),
    }
    assert {key: (config[key], config.source(key)) for key in want} == want
    top = config._override({"initial_cwnd_packets": "15"}, "command line")
    assert (top["initial_cwnd_packets"], top.source("initial_cwnd_packets")) == (15, "command line")
    assert top.source("burst_bytes") == "environment QUICPRO_BURST_BYTES"
    # A file that is named takes the place of the variable's.
    named = Config.from_file(other, gro=False)
    assert (named["mmsg"], named["gro"], named["gso"]) == (False, False, False)
    assert named["handshake_timeout_ms"] == 101 and named["burst_bytes"] == 20003
    # Other variables take the place of the process's.
    env = Config.from_env({"QUICPRO_MMSG": "0"}, gro=False)
    assert (env["mmsg"], env["gro"], env["gso"], env["burst_bytes"]) == (False, False, False, 20001)
    assert Config.from_env() == Config()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert Config()["burst_bytes"] == 20001 and Config()["handshake_timeout_ms"] == 101


@pytest.mark.parametrize(
    "text,place,says",
    [
        ("[quic]\nhandshake_timeout_ms = 99", "2:1", '"99" is out of range: 100 to 600000 ms'),
        ("\n  congestion_control = 'vegas'", "2:3", "cubic|reno|bbr2"),
        ("[tls]\ntls_enable = false", "2:1", "always encrypted"),
        ("alpn = 'a,,b'", "1:1", "empty word"),
        ("gso = ", "1:7", "invalid value"),
    ],
)
def test_mistakes_in_files_have_a_place(tmp_path: Path, text: str, place: str, says: str) -> None:
    file = tmp_path / "q.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Config.from_file(file)
    e = caught.value
    assert str(e).startswith(f"{file}:{place}: ") and says in str(e), e
    assert f"{e.line}:{e.column}" == place and e.file == str(file)
    assert [str(x) for x in Config.check_file(file)] == [str(e)]


def test_mistakes_in_variables_name_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUICPRO_GSO", "maybe")
    with pytest.raises(InvalidValue, match=r"^environment variable QUICPRO_GSO: option \"gso\""):
        Config()
    monkeypatch.setenv("QUICPRO_GSO", "")
    with pytest.raises(InvalidValue, match="QUICPRO_GSO"):
        Config()
    monkeypatch.delenv("QUICPRO_GSO")
    monkeypatch.setenv("QUICPRO_CONFIG", "/nonexistent/q.toml")
    with pytest.raises(ConfigError, match=r"cannot read /nonexistent/q\.toml: No such file"):
        Config()


def test_check_file_finds_every_mistake(tmp_path: Path) -> None:
    file = tmp_path / "q.toml"
    file.write_text(
        "[quic]\nhandshake_timeout_ms = 99\nfoo = 1\nburst_bytes = 'x'\n"
        "[nowhere]\na = 1\n[socket]\nca_file = 'x'\ngso = true\nmmsg = 2\n"
    )
    found = Config.check_file(file)
    assert [e.line for e in found] == [2, 3, 4, 5, 8, 10]
    file.write_text("[quic]\nhandshake_timeout_ms = 100\n")
    assert Config.check_file(file) == []
    assert "cannot read" in str(Config.check_file(tmp_path)[0])


@pytest.mark.parametrize("where", ["system", "file", "environment", "Config", "replace"])
def test_a_lock_holds_against_every_layer_above(
    system_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    file = tmp_path / "file.toml"
    locked = f"{LOCK} = false\ngso = false\n"  # the lock stands first and counts last
    above = {
        "Config": lambda: Config(gso=True),
        "command line": lambda: Config()._override({"gso": "1"}, "command line"),
    }
    if where == "system":
        system_file.write_text(locked)
        file.write_text("gso = true")
        above["file"] = lambda: Config.from_file(file)
        above["environment"] = lambda: Config.from_env({"QUICPRO_GSO": "true"})
        above["QUICPRO_CONFIG"] = lambda: Config.from_env({"QUICPRO_CONFIG": str(file)})
        above["unlock"] = lambda: Config(**{LOCK: True})
        by = f"file {system_file}:1:1"
    elif where == "file":
        file.write_text(locked)
        monkeypatch.setenv("QUICPRO_CONFIG", str(file))
        by = f"file {file}:1:1"
        above["environment"] = lambda: Config.from_env(
            {"QUICPRO_CONFIG": str(file), "QUICPRO_GSO": "true"}
        )
    elif where == "environment":
        monkeypatch.setenv(f"QUICPRO_{LOCK.upper()}", "0")
        monkeypatch.setenv("QUICPRO_GSO", "0")
        by = f"environment QUICPRO_{LOCK.upper()}"
    else:
        base = Config(**{LOCK: False, "gso": False})
        if where == "replace":
            base = Config(gso=False).replace(**{LOCK: False})
        above = {
            "replace": lambda: base.replace(gso=True),
            "unlock": lambda: base.replace(**{LOCK: True}),
        }
        by = "Config"
    for change in above.values():
        with pytest.raises(PolicyViolation, match="locked") as caught:
            change()
        assert str(caught.value).endswith(f"(locked by {by})")
        assert isinstance(caught.value, PermissionError)
        assert caught.value.key in ("gso", LOCK)
    # What changes nothing is not refused; what is unknown or has the wrong type still is.
    config = Config(gso=False) if where not in ("Config", "replace") else base.replace(gso=False)
    assert config["gso"] is False and config[LOCK] is False
    assert config.replace(mmsg=True, gso="0")["mmsg"] is True
    with pytest.raises(UnknownOption):
        config.replace(gsoo=True)


def test_a_lock_above_does_not_reach_down(system_file: Path) -> None:
    system_file.write_text("gso = false")
    config = Config(gso=True, mmsg=False, **{LOCK: False})
    assert (config["gso"], config["mmsg"]) == (True, False)
