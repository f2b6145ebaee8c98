"""Reads qlogs and judges them by the schema of the drafts (tests/qlog/qlog.cddl)."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .servers import ROOT, judge

SCHEMA = (ROOT / "tests" / "qlog" / "qlog.cddl").read_text()


def _choices(rule: str, key: str) -> dict[str, str]:
    """The maps of a choice, by the word that `key` has in each."""
    (text,) = re.findall(rf"^{rule} =\s(.*?)\n\n", SCHEMA, re.M | re.S)
    maps = [m.strip() for m in re.split(r" /\n", text)]
    found = {re.search(rf'"?{key}"?: "([^"]+)"', m)[1]: m for m in maps}  # type: ignore[index]
    assert len(found) == len(maps) > 1
    return found


# An event's name, and a frame's type, decide which map of a choice is the judge: quick, its words
# say where a fault is, and this judge gets choices inside of arrays wrong.
EVENTS = _choices("Event", "name")
FRAMES = _choices("QuicFrame", "frame_type")
HTTP3_FRAMES = _choices("HTTP3Frame", "frame_type")

Record = dict[str, Any]


def read(path: Path) -> list[Record]:
    """The records of a JSON text sequence (RFC 7464): each between 0x1e and a newline."""
    first, *texts = path.read_bytes().split(b"\x1e")
    assert first == b""
    assert all(text.endswith(b"\n") and text.count(b"\n") == 1 for text in texts)
    return [json.loads(text) for text in texts]


@functools.cache
def _schema(rule: str) -> Any:
    return judge("pycddl", "pycddl").Schema(f"root = {rule}\n{SCHEMA}")


def _fault(rule: str | None, value: object) -> str:
    if rule is None:
        return f"unknown: {json.dumps(value)}"
    try:
        _schema(rule).validate_cbor(judge("cbor2", "cbor2").dumps(value))
    except judge("pycddl", "pycddl").ValidationError as e:
        return f"{e}\n{json.dumps(value)}"
    return ""


def fault(record: Record) -> str:
    """What the schema has against a record, or ""."""
    if "name" not in record:
        return _fault("QlogFileSeq", record)
    data = record["data"]
    inner = [_fault(FRAMES.get(f["frame_type"]), f) for f in data.get("frames", [])]
    if "frames" in data:
        data = data | {"frames": []}
    if "frame" in data:
        frame = data["frame"]
        inner += [_fault(HTTP3_FRAMES.get(frame["frame_type"]), frame)]
        data = data | {"frame": {"frame_type": "data"}}
    inner += [_fault(EVENTS.get(record["name"]), record | {"data": data})]
    return next((why for why in inner if why), "")


def faults(records: Iterable[Record]) -> list[str]:
    """The same of all, each event's first."""
    found: dict[str, str] = {}
    for record in records:
        name = record.get("name", "")
        if name not in found and (why := fault(record)):
            found[name] = why
    return list(found.values())


def named(records: Iterable[Record], name: str) -> list[Record]:
    """The data of all events of a name."""
    return [r["data"] for r in records if r.get("name") == name]
