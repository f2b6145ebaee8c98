"""quicpro._alt_svc: what servers said of HTTP/3."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from quicpro._alt_svc import BROKEN_FIRST, BROKEN_MOST, MAX_ORIGINS, AltSvc, parse
from quicpro._messages import Origin

HERE = Origin("example.org", 443)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        ('h3=":443"; ma=2592000', (443, 2592000)),
        ('h3=":443"', (443, 86400)),
        ('h2=":443"; ma=60, h3=":8443"; ma=90; persist=1', (8443, 90)),
        ('h3-29=":443"; ma=60, h3=":444";ma="7"', (444, 7)),
        ('h3="example.org:444"; ma=60', (444, 60)),
        ('h3="other.example:444", h3=":1"', (1, 86400)),
        ('h3="other.example:444"', None),
        ('h3=":443"; ma=' + "9" * 5000, (443, 99_999_999)),
        ('h3=":0"', None),
        ('h3=":65536"', None),
        ('h3="443"', (443, 86400)),
        ('h3=":x"', None),
        ("h3=:443", None),
        ('w="a\\"b:1", h3=":443"', (443, 86400)),
        ("", None),
        (",,,", None),
        ('h3=":443', None),
        ("\x00" * 1000, None),
    ],
)
def test_parse(value: str, want: tuple[int, int] | None) -> None:
    assert parse(value, "example.org") == want


def test_memory_and_age() -> None:
    now = [1000.0]
    known = AltSvc(now=lambda: now[0])
    assert known.find(HERE) is None
    known.learn(HERE, [])
    known.learn(HERE, ["", 'h3=":8443"; ma=10'])
    assert known.find(HERE) == Origin("example.org", 8443)
    assert known.find(Origin("example.org", 444)) is None
    now[0] += 10
    assert known.find(HERE) is None
    for gone in ("clear", 'h2=":443"', 'h3=":443"; ma=0'):
        known.learn(HERE, ['h3=":443"'])
        assert known.find(HERE) == HERE
        known.learn(HERE, [gone])
        assert known.find(HERE) is None


def test_it_is_bounded() -> None:
    known = AltSvc()
    for number in range(MAX_ORIGINS + 5):
        known.learn(Origin(str(number), 443), ['h3=":443"'])
        known.failed(Origin(str(number), 443))
    assert len(known._places) == len(known._broken) == MAX_ORIGINS
    assert known.find(Origin("4", 443)) is None and known.find(Origin("5", 443)) is not None


def test_what_did_not_work_waits_longer_each_time() -> None:
    now = [0.0]
    known = AltSvc(monotonic=lambda: now[0])
    pause = BROKEN_FIRST
    for _ in range(12):
        known.failed(HERE)
        now[0] += pause - 1
        assert known.is_broken(HERE)
        now[0] += 1
        assert not known.is_broken(HERE)
        pause = min(2 * pause, BROKEN_MOST)
    known.worked(HERE)
    known.worked(HERE)
    known.failed(HERE)
    now[0] += BROKEN_FIRST
    assert not known.is_broken(HERE)


def test_a_file_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "alt-svc.json"
    known = AltSvc(path)
    assert not path.exists()
    known.learn(HERE, ['h3=":8443"; ma=1000'])
    assert AltSvc(path).find(HERE) == Origin("example.org", 8443)
    before = path.stat().st_mtime_ns
    known.learn(HERE, ['h3=":8443"; ma=2000'])  # nothing but its age
    assert path.stat().st_mtime_ns == before
    known.learn(HERE, ["clear"])
    assert AltSvc(path).find(HERE) is None
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{}", '{"h3": [1]}', '{"h3": [["a", 1, 2]]}', '{"h3": [[1, 1, 1, 1]]}',
        '{"h3": [["a", 0, 1, 1]]}', '{"h3": [["a", 1, 70000, 1]]}', '{"h3": [["a", "b", 1, 1]]}',
        '{"h3": [["a", 1, 1, "x"]]}', "\xff",
    ],
)  # fmt: skip
def test_a_file_that_is_something_else(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "alt-svc.json"
    path.write_text(text, encoding="latin-1")
    known = AltSvc(path)
    assert f"'{path}' is passed over: it is not what" in caplog.text
    known.learn(HERE, ['h3=":443"'])
    assert json.loads(path.read_text())["h3"][0][:3] == ["example.org", 443, 443]


def test_files_that_cannot_be_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    known = AltSvc(tmp_path)
    assert "is passed over: Is a directory" in caplog.text
    known = AltSvc(tmp_path / "none" / "alt-svc.json")
    known.learn(HERE, ['h3=":443"'])
    assert "cannot be written: No such file or directory" in caplog.text
    assert known.find(HERE) == HERE
