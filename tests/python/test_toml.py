"""quicpro._toml: documents, and where in them everything stands."""

import sys
import types

import pytest
from quicpro import _toml
from quicpro._toml import SIZE_MAX, Place, parse
from quicpro.errors import ConfigError

DOCUMENT = b"""\
# comment
top = 1
[quic] # tail
"key\\u005fa" = \"\"\"
decoy = 1
\"\"\" # after
array = [ # [
  "]", 'decoy = 2',
  3 ]
 indented.dotted = { b = 1, c = [1, 2] }
'literal' = '''
decoy = 3
''''
quote = "a\\"b # x"
date = 1979-05-27 07:32:00
[[list]]
k = 1
[ spaced . "d.t" ]
last = 'no line end'"""


def test_places() -> None:
    document = parse(DOCUMENT, "f")
    where = {".".join(path): place for path, place in document.places.items()}
    assert where == {
        "top": (2, 1),
        "quic": (3, 1),
        "quic.key_a": (4, 1),
        "quic.array": (7, 1),
        "quic.indented.dotted": (10, 2),
        "quic.literal": (11, 1),
        "quic.quote": (14, 1),
        "quic.date": (15, 1),
        "list": (16, 1),
        "list.k": (17, 1),
        "spaced.d.t": (18, 1),
        "spaced.d.t.last": (19, 1),
    }
    assert document.values["quic"]["key_a"] == "decoy = 1\n"
    assert document.place("quic", "array") == Place("f", 7, 1)
    assert str(document.place("quic", "array")) == "f:7:1"


def test_members_of_inline_tables_stand_where_the_table_does() -> None:
    document = parse(b"a = 1\nt = {x = 1,\\\n y = 2}".replace(b"\\\n", b""), "f")
    assert document.place("t", "y") == Place("f", 2, 1)
    assert document.place("never") == Place("f", 1, 1)


def test_windows_line_ends() -> None:
    document = parse(b"a = 1\r\n[t]\r\nb = 2\r\n", "f")
    assert document.place("t", "b") == Place("f", 3, 1)


@pytest.mark.parametrize("data", [b"", b"\n", b"# only", b"[empty]", b"[empty]\n# x", b"a=1"])
def test_small_documents(data: bytes) -> None:
    parse(data, "f")


@pytest.mark.parametrize(
    "data,line,column",
    [
        (b"a 1", 1, 3),
        (b"x = 1\na = \n", 2, 5),
        (b"\n[x", 2, 3),
        (b"a = 1\na = 2\n", 2, 6),
        (b'\na = "x', 2, 7),
        (b"a = [1,\n2", 2, 2),
        (b"\xff", 1, 1),
        (b"x = 1\ny = '\xc3\xa4\xff'", 2, 7),
    ],
)
def test_what_is_not_toml_is_named_by_line_and_column(data: bytes, line: int, column: int) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(data, "dir/f.toml")
    e = caught.value
    assert (e.file, e.line, e.column) == ("dir/f.toml", line, column)
    assert str(e).startswith(f"dir/f.toml:{line}:{column}: ")
    assert "\n" not in str(e)


@pytest.mark.parametrize("data", [b"a=" + b"[" * 100_000, b"#" * (SIZE_MAX + 1)])
def test_what_is_too_much(data: bytes) -> None:
    with pytest.raises(ConfigError, match="f: "):
        parse(data, "f")


def test_before_python_3_11(monkeypatch: pytest.MonkeyPatch) -> None:
    """tomli does where it is installed, and is asked for where it is not."""
    monkeypatch.setattr(_toml, "sys", types.SimpleNamespace(version_info=(3, 10)))
    monkeypatch.setitem(sys.modules, "tomli", None)
    with pytest.raises(ConfigError, match=r"f: .* Python 3\.11 or: pip install tomli"):
        parse(b"a = 1", "f")
    tomllib = pytest.importorskip("tomllib")
    monkeypatch.setitem(sys.modules, "tomli", tomllib)
    assert parse(b"a = 1", "f").values == {"a": 1}
