"""quicpro._options: the table as Python sees it."""

import pytest
from quicpro._options import SECONDS, find, find_seconds, nearest, table


def test_each_row_is_whole() -> None:
    for key, option in table().items():
        assert option.key == key == key.lower()
        assert option.help and option.group and option.allowed
        assert option.type in ("bool", "int", "str", "choice", "list", "bytes")
        assert option.status in ("honoured", "no effect", "refused")
        assert (option.type == "choice") == bool(option.choices)
        value = option.value(option.default)
        assert type(value) is {"bool": bool, "int": int, "list": tuple}.get(option.type, str)
        if option.type == "int":
            assert option.unit and option.minimum <= value <= option.maximum


def test_units_of_time_end_the_key() -> None:
    """Otherwise seconds could not be told from milliseconds."""
    units = {"ms": "_ms", "us": "_us", "ns": "_ns", "s": "_sec"}
    for option in table().values():
        if option.unit in units:
            assert option.key.endswith(units[option.unit]), option.key
        else:
            assert not option.key.endswith(tuple(SECONDS)), option.key


def test_find() -> None:
    assert find("gso") is table()["gso"]
    for option in table().values():
        assert all(find(name) is option for name in option.old_names)
    assert table()["congestion_control"].old_names == ("cc_algorithm",)
    old = find("cc_algorithm")
    assert old is not None and old.key == "congestion_control"
    for name in ("", "gs", "gso\0x", "\udc80", "max_idle_timeout", "GSO", "x" * 100_000):
        assert find(name) is None


def test_find_seconds() -> None:
    found = find_seconds("max_idle_timeout")
    assert found is not None and (found[0].key, found[1]) == ("max_idle_timeout_ms", 1000)
    assert find_seconds("max_idle_timeout_ms") is None
    assert find_seconds("gso") is None


@pytest.mark.parametrize(
    "name,key",
    [("gsoo", "gso"), ("max_idle_timeot_ms", "max_idle_timeout_ms"), ("verify", "verify_peer")],
)
def test_nearest(name: str, key: str) -> None:
    assert nearest(name) == key
    assert nearest("") in table() and nearest("\udcff\0" * 1000) in table()


@pytest.mark.parametrize(
    "key,allowed",
    [
        ("gso", "true or false"),
        ("handshake_timeout_ms", "100 to 600000 ms"),
        ("congestion_control", "cubic, reno, bbr2"),
        ("alpn", "words separated by commas"),
        ("ca_file", "text"),
        ("key_passphrase", "bytes or text, never shown"),
        ("tls_enable", "true"),
    ],
)
def test_allowed_values_in_words(key: str, allowed: str) -> None:
    assert table()[key].allowed == allowed


def test_values_have_their_type() -> None:
    rows = table()
    assert rows["alpn"].value("h3,hq") == ("h3", "hq") and rows["alpn"].value("") == ()
    assert rows["gso"].value("false") is False
    assert rows["ca_file"].value("/x") == "/x"
