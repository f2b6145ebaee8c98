"""quicpro.config."""

from pathlib import Path

import pytest
from quicpro import Config, ConfigError, InvalidValue, PolicyViolation, UnknownOption


def test_values_are_kept_and_defaults_filled_in() -> None:
    config = Config(max_idle_timeout_ms=1000, gso=False, congestion_control="bbr2")
    assert config["max_idle_timeout_ms"] == "1000"
    assert config["gso"] == "false" and config["congestion_control"] == "bbr2"
    assert config["mmsg"] == "true"
    assert config.to_dict()["max_idle_timeout_ms"] == "1000"
    assert set(config.to_dict()) == {option.key for option in Config.options()}
    assert repr(config) == (
        "Config(max_idle_timeout_ms='1000', gso='false', congestion_control='bbr2')"
    )


def test_replace_leaves_the_original_alone() -> None:
    config = Config(gso=False)
    other = config.replace(mmsg=False)
    assert (other["gso"], other["mmsg"]) == ("false", "false")
    assert config["mmsg"] == "true"


def test_a_path_is_a_value() -> None:
    assert Config(ca_file=Path("/x/ca.pem"))["ca_file"] == "/x/ca.pem"


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(UnknownOption, match="max_idle_timeout_ms") as caught:
        Config(max_idle_timeout=1)
    assert isinstance(caught.value, (ConfigError, ValueError))
    with pytest.raises(KeyError):
        Config()["max_idle_timeout"]


@pytest.mark.parametrize(
    "options,says",
    [
        ({"handshake_timeout_ms": 99}, "100"),
        ({"handshake_timeout_ms": 600001}, "600000"),
        ({"handshake_timeout_ms": -1}, "handshake_timeout_ms"),
        ({"handshake_timeout_ms": "soon"}, "soon"),
        ({"gso": "maybe"}, "gso"),
        ({"congestion_control": "vegas"}, "cubic"),
    ],
)
def test_a_bad_value_is_named_with_its_range(options: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidValue, match=says):
        Config(**options)


def test_types() -> None:
    with pytest.raises(TypeError, match="float"):
        Config(handshake_timeout_ms=1.5)
    with pytest.raises(TypeError, match="NoneType"):
        Config(ca_file=None)


def test_the_table_describes_itself() -> None:
    options = {option.key: option for option in Config.options()}
    row = options["handshake_timeout_ms"]
    assert (row.type, row.unit, row.minimum, row.maximum) == ("int", "ms", 100, 600000)
    assert (row.group, row.live, row.status) == ("quic", False, "honoured")
    assert (options["alpn"].type, options["tls_enable"].status) == ("list", "refused")
    assert options["max_pto_probes"].status == "no effect"
    assert options["congestion_control"].choices == ("cubic", "reno", "bbr2")
    defaults = Config().to_dict()
    for key, option in options.items():
        assert option.help and option.default == defaults[key]
        if option.default:
            Config(**{key: option.default})


def test_a_locked_configuration_stays_as_it_is() -> None:
    locked = Config(gso=False, security_allow_config_override=False)
    assert locked.replace(gso=False)["gso"] == "false"
    with pytest.raises(PolicyViolation, match=r"mmsg.*locked"):
        locked.replace(mmsg=False)


def test_a_nul_in_a_value_is_refused() -> None:
    with pytest.raises(ValueError):
        Config(ca_file="a\0b")
