"""Our qlogs, judged by the CDDL of the drafts, and what is in them compared with what happened."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .clients import CLIENTS, Request, Response, Setup
from .content import pattern
from .link import Conditions
from .qlogs import Record, fault, faults, named, read
from .relay import Relay
from .servers import Running

Start = Callable[..., Running]

HEAD: Record = {
    "file_schema": "urn:ietf:params:qlog:file:sequential",
    "serialization_format": "application/qlog+json-seq",
    "trace": {
        "common_fields": {
            "group_id": "deadbeef",
            "time_format": "relative_to_epoch",
            "reference_time": {
                "clock_type": "monotonic",
                "epoch": "unknown",
                "wall_clock_time": "2000-02-29T12:12:12Z",
            },
        },
        "vantage_point": {"type": "server"},
        "event_schemas": [
            "urn:ietf:params:qlog:events:quic-13",
            "urn:ietf:params:qlog:events:http3-13",
            "urn:ietf:params:qlog:events:loglevel-14",
        ],
    },
}
PACKET: Record = {
    "time": 0.5,
    "name": "quic:packet_sent",
    "data": {
        "header": {"packet_type": "initial", "packet_number": 0, "version": "00000001"},
        "raw": {"length": 1200},
        "frames": [
            {"frame_type": "crypto", "offset": 0, "raw": {"length": 7}},
            {"frame_type": "ack", "acked_ranges": [[0, 1], [7]]},
            {
                "frame_type": "new_connection_id",
                "sequence_number": 1,
                "retire_prior_to": 0,
                "connection_id": "aa",
            },
        ],
    },
}
CLOSED: Record = {
    "time": 0.5,
    "name": "quic:connection_closed",
    "data": {"connection_error": "crypto_error_0x128", "trigger": "error"},
}
SECRET = "00112233445566778899aabbccddeeff"


@pytest.mark.parametrize("record", [HEAD, PACKET, CLOSED])
def test_the_judge_takes_what_is_right(record: Record) -> None:
    assert fault(record) == ""


@pytest.mark.parametrize(
    ("record", "path", "value"),
    [
        (HEAD, ["qlog_version"], "0.3"),
        (HEAD, ["serialization_format"], "JSON-SEQ"),
        (HEAD, ["trace", "event_schemas", 0], "urn:ietf:params:qlog:events:quic-12"),
        (HEAD, ["trace", "common_fields", "reference_time", "epoch"], "1970-01-01T00:00:00Z"),
        (PACKET, ["name"], "transport:packet_sent"),
        (PACKET, ["name"], "quic:packet_lost"),
        (PACKET, ["time"], "0.5"),
        (PACKET, ["data", "send_at_time"], 0.5),
        (PACKET, ["data", "stateless_reset_token"], SECRET),
        (PACKET, ["data", "header", "version"], "1"),
        (PACKET, ["data", "header", "packet_type"], "Initial"),
        (PACKET, ["data", "header", "token"], {"raw": {"data": SECRET}}),
        (PACKET, ["data", "raw", "data"], SECRET),
        (PACKET, ["data", "frames", 0, "raw"], {"payload_length": 7}),
        (PACKET, ["data", "frames", 0, "frame_type"], "krypto"),
        (PACKET, ["data", "frames", 0, "length"], 7),
        (PACKET, ["data", "frames", 1, "acked_ranges", 0], [0, 1, 2]),
        (PACKET, ["data", "frames", 2, "stateless_reset_token"], SECRET),
        (CLOSED, ["data", "trigger"], "clean"),
        (CLOSED, ["data", "trigger"], "handshake_timeout"),
        (CLOSED, ["data", "connection_error"], "crypto_error_0x28"),
    ],
)
def test_the_judge_finds_what_is_wrong(record: Record, path: list[Any], value: object) -> None:
    wrong = copy.deepcopy(record)
    at: Any = wrong
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    assert fault(wrong) != ""


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


@pytest.mark.parametrize("level", ["core", "base", "extra"])
def test_both_sides_of_a_transfer_with_loss(level: str, start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "qlog"
    folder.mkdir()
    ours: dict[str, object] = {"qlog_dir": str(folder), "qlog_level": level}
    running = start("quicpro-serve", ours=ours)
    conditions = Conditions.both(seed=3, delay_ms=2, drop=5)
    with Relay(running.port, conditions=conditions) as relay:
        setup = Setup(replace(running, port=relay.port), running.certs.ca, tmp_path, ours=ours)
        assert CLIENTS["quicpro"](setup, [Request("/bytes/300000")]) == [
            Response(200, pattern(300_000))
        ]
    running.process.close()  # so that its end is written, too

    client, server = (read(only(folder, f"*_{side}.sqlog")) for side in ("client", "server"))
    for side, records in (("client", client), ("server", server)):
        head, *events = records
        assert head["trace"]["vantage_point"]["type"] == side
        assert only(folder, f"*_{side}.sqlog").name.startswith(
            head["trace"]["common_fields"]["group_id"]
        )
        assert faults(records) == []
        times = [e["time"] for e in events]
        assert times == sorted(times)
        sent = {p["header"]["packet_number"] for p in named(records, "quic:packet_sent")}
        assert len(sent) > 10
        closed = named(records, "quic:connection_closed")
        assert [c["application_error"] for c in closed] == ["http_no_error"]
        names = {e["name"] for e in events}
        assert ("quic:stream_data_moved" in names) == (level != "core")
        assert ("quic:connection_started" in names) == (level != "core")
        assert {"chosen_alpn": {"byte_value": "6833", "string_value": "h3"}} in named(
            records, "quic:alpn_information"
        )

    # A pair has one name, and one side's packets are the other's, but for those that were lost.
    assert client[0]["trace"]["common_fields"] | {"reference_time": 0} == server[0]["trace"][
        "common_fields"
    ] | {"reference_time": 0}

    def short(records: list[Record], name: str) -> set[int]:
        return {
            p["header"]["packet_number"]
            for p in named(records, name)
            if p["header"]["packet_type"] == "1RTT"
        }

    sent, received = short(server, "quic:packet_sent"), short(client, "quic:packet_received")
    assert received < sent
    lost = [m["cf_lost_packets"] for m in named(server, "quic:recovery_metrics_updated")
            if "cf_lost_packets" in m]  # fmt: skip
    assert lost[-1]["total"] > 0


def test_addresses_are_left_out(start: Start, tmp_path: Path) -> None:
    """Not in the bytes of the file either, of our side or of the peer's."""
    folder = tmp_path / "qlog"
    folder.mkdir()
    running = start("quicpro-serve", ours={"qlog_dir": str(folder), "qlog_addresses": "none"})
    setup = Setup(running, running.certs.ca, tmp_path)
    assert CLIENTS["quicpro"](setup, [Request()])[0].status == 200
    running.process.close()
    path = only(folder, "*_server.sqlog")
    assert faults(read(path)) == []
    text = path.read_text()
    assert "127.0.0" not in text
    assert f":{running.port}" not in text


def test_a_judge_as_client(start: Start, tmp_path: Path) -> None:
    """A peer that is not ours sends other frames and parameters."""
    folder = tmp_path / "qlog"
    folder.mkdir()
    ours = {"qlog_dir": str(folder), "qlog_level": "extra", "retry": "always"}
    running = start("quicpro-serve", ours=ours)
    setup = Setup(running, running.certs.ca, tmp_path)
    requests = [Request("/bytes/1000"), Request("/echo", "POST", b"x" * 5000)]
    assert [r.status for r in CLIENTS["aioquic"](setup, requests)] == [200, 200]
    running.process.close()
    records = read(only(folder, "*_server.sqlog"))
    assert faults(records) == []
    assert len(named(records, "quic:parameters_set")) == 2
