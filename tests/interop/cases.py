"""Cases of the QUIC interop runner: what is asked over which link, and the facts it is judged by.

Names and values are the runner's. It fetches by HTTP/0.9; these fetch by HTTP/3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from .clients import NO_WISH, Setup, Wish
from .content import body_of
from .link import PASSED, SIMPLE, TO_CLIENT, TO_SERVER, Conditions, Packet
from .procs import until
from .servers import OURS, Running

MIB = 1024 * 1024
UNKNOWN_VERSION = 0x1A2A3A4A
MANY = 1999


@dataclass(frozen=True)
class Outcome:
    """What there is to judge by when all bytes are right."""

    client: str
    server: str
    setup: Setup
    running: Running
    packets: list[Packet]
    conditions: Conditions

    def passed(self, way: str) -> list[Packet]:
        return [p for p in self.packets if p.way == way and p.fate == PASSED]

    def judge_says(self, words: dict[str, str]) -> None:
        """The judge, client or server, says in its own words that it was so."""
        client = words.get(self.client)
        if client is not None:
            assert re.search(client, "\n".join(self.setup.said)), client
            return
        server = words[self.server]
        until(lambda: re.search(server, self.running.process.said()), 10, server)


def _nothing(outcome: Outcome) -> None:
    """Bytes are enough."""


def _one_handshake(o: Outcome) -> None:
    """One connection, by one round trip and no Retry (RFC 9000 section 8.1.2: that costs one)."""
    assert len({p.source_port for p in o.passed(TO_SERVER)}) == 1
    types = [p.long_type for p in o.passed(TO_CLIENT)]
    assert "retry" not in types
    assert "negotiation" not in types
    assert "initial" in types


def _chacha20(o: Outcome) -> None:
    o.judge_says(
        {
            "aioquic": r"cipher CHACHA20_POLY1305_SHA256",
            "gtlsclient": r"Negotiated cipher suite is CHACHA20-POLY1305",
            "gtlsserver": r"Negotiated cipher suite is CHACHA20-POLY1305",
        }
    )


def _retry(o: Outcome) -> None:
    """It came, and the next Initial carried its token: so the server took the client in."""
    retries = [p for p in o.packets if p.way == TO_CLIENT and p.long_type == "retry"]
    assert retries


def _resumed(o: Outcome) -> None:
    """aioquic says so; ngtcp2 says how long the server's part of the handshake was, and a resumed
    one has no certificate in it."""
    if "aioquic" in (o.client, o.server):
        o.judge_says({"aioquic": r"resumed True"})
        return
    said, way = o.running.process.output, "tx"
    if o.client == "gtlsclient":
        said, way = o.setup.said, "rx"
    pattern = rf"frm {way} \d+ Handshake CRYPTO\(0x06\) offset=0 len=(\d+)"
    last = [int(m[1]) for line in said if (m := re.search(pattern, line))][-1]
    assert last < 300, "the chain of this suite alone is longer"


def _early(o: Outcome) -> None:
    """Requests arrived before the handshake was done, and were not refused."""
    o.judge_says(
        {
            "aioquic": r"early data True",
            "gtlsclient": r"(?s)\A(?!.*rejected).*frm tx \d+ 0RTT STREAM",
            "gtlsserver": r"frm rx \d+ 0RTT STREAM",
        }
    )


def _negotiation(o: Outcome) -> None:
    answers = [p for p in o.passed(TO_CLIENT) if p.long_type == "negotiation"]
    assert answers
    first = o.packets[0]
    assert first.head[1:5] == UNKNOWN_VERSION.to_bytes(4, "big")
    assert answers[0].size < first.size


def _key_update(o: Outcome) -> None:
    """Our packets came under the keys of the next phase, and the one after it: aioquic has no old
    keys, so what it reads was protected by those it has."""
    if o.client == "aioquic":
        phases = [line for line in o.setup.said if line.startswith("key phase")]
        assert phases == ["key phase 0", "key phase 1", "key phase 0"]
    else:
        o.judge_says(
            {
                "gtlsclient": r"pkt rx pkn=.* type=1RTT k=1",
                "aioquic": r"key phase 1 at the end",
            }
        )


def _amplification(o: Outcome) -> None:
    """Until a second datagram came from the client, the server sent at most three times the first
    (RFC 9000 section 8.1), although it had more to say."""
    delay = o.conditions.to_server.delay_ms / 1000
    first, second = o.passed(TO_SERVER)[:2]
    assert first.at == 0
    before = [p for p in o.packets if p.way == TO_CLIENT and p.at < second.at + delay]
    after = [
        p
        for p in o.packets
        if p.way == TO_CLIENT
        and p.at >= second.at + delay
        and p.long_type in ("initial", "handshake")
    ]
    assert before
    assert after, "the certificate is too small for this case"
    assert sum(p.size for p in before) <= 3 * first.size
    # And ours no less: aioquic's padding is behind its packet, in the datagram all the same.
    if o.server in OURS:
        assert sum(p.size for p in before) > 2.5 * first.size


def _lossy(o: Outcome) -> None:
    for way in (TO_SERVER, TO_CLIENT):
        assert any(p.fate == "dropped" for p in o.packets if p.way == way)


def _corrupt(o: Outcome) -> None:
    for way in (TO_SERVER, TO_CLIENT):
        assert any("c" in p.marks for p in o.packets if p.way == way)


def _blackhole(o: Outcome) -> None:
    assert any(p.fate == "blackholed" for p in o.packets)


def _rebound(o: Outcome) -> None:
    """The server followed the client: it sent to each of its ports, and much to the last."""
    ports = list(dict.fromkeys(p.source_port for p in o.passed(TO_SERVER)))
    assert len(ports) >= 2
    last = [p for p in o.packets if p.way == TO_SERVER and p.source_port == ports[-1]]
    later = [p for p in o.passed(TO_CLIENT) if p.at > last[0].at]
    assert later


@dataclass(frozen=True)
class Case:
    """`quick` is what `make test` runs with one pair; None: only make test-full has the case."""

    requests: Sequence[str] = ("/bytes/1000",)
    conditions: Conditions = SIMPLE
    judge: Callable[[Outcome], None] = _nothing
    connections: int = 1
    wish: Wish = NO_WISH  # of a judge that is the client
    options: dict[str, object] = field(default_factory=dict)  # of any server
    judge_options: dict[str, object] = field(default_factory=dict)  # of a judge's server
    ours: dict[str, object] = field(default_factory=dict)  # of our client
    ours_server: dict[str, object] = field(default_factory=dict)  # of our server
    idle: float = 20
    seconds: float = 60
    ipv6: bool = False
    quick: Callable[[Case], Case] | None = None

    def of_server(self, judge: bool) -> dict[str, object]:
        return {**self.options, **(self.judge_options if judge else {"ours": self.ours_server})}

    def expected(self) -> list[bytes]:
        return [body_of(path) for path in self.requests]


def _smaller(*sizes: int) -> Callable[[Case], Case]:
    return lambda case: replace(case, requests=tuple(f"/bytes/{n}" for n in sizes))


def _as_it_is(case: Case) -> Case:
    return case


TRANSFER = ("/bytes/2097152", "/bytes/3145728", "/bytes/5242880")
TEN_MB = ("/bytes/10485760",)
LARGE = {"cert": "large"}
# 30 % each way: some handshakes take longer than the ten seconds we give by default.
# Both ends double the time between two tries: with bad luck the sixth is a minute after the fifth.
PATIENT = {"handshake_timeout_ms": 150_000, "max_idle_timeout_ms": 150_000}

CASES: dict[str, Case] = {
    "handshake": Case(judge=_one_handshake, quick=_as_it_is),
    "transfer": Case(TRANSFER, judge=_one_handshake, quick=_smaller(50_000, 60_000, 70_000)),
    "longrtt": Case(
        conditions=Conditions.both(delay_ms=750, bandwidth_mbps=10),
        judge=_one_handshake,
        quick=lambda case: replace(
            case, conditions=Conditions.both(delay_ms=80, bandwidth_mbps=10)
        ),
    ),
    "chacha20": Case(
        ("/bytes/3145728",),
        judge=_chacha20,
        wish=Wish(chacha20=True),
        judge_options={"chacha20": True, "talkative": True},
        quick=_smaller(20_000),
    ),
    "multiplexing": Case(
        tuple(f"/part/32/{32 * n}" for n in range(MANY)),
        judge=_one_handshake,
        ours={"max_pending_requests": MANY},
        quick=lambda case: replace(case, requests=case.requests[:250]),
    ),
    "retry": Case(
        judge=_retry,
        judge_options={"retry": True},
        ours_server={"retry": "always"},
        quick=_as_it_is,
    ),
    "resumption": Case(
        ("/bytes/5120",),
        judge=_resumed,
        connections=2,
        wish=Wish(resume=True),
        judge_options={"talkative": True},
        ours={"session_file": "sessions"},
        ours_server={"session_tickets": True},
        quick=_as_it_is,
    ),
    "zerortt": Case(
        ("/bytes/5120", "/bytes/5121", "/bytes/5122"),
        judge=_early,
        connections=2,
        wish=Wish(resume=True, early=True),
        judge_options={"talkative": True},
        ours={"session_file": "sessions", "early_data": True},
        ours_server={"early_data": True},
        quick=_as_it_is,
    ),
    "blackhole": Case(
        TEN_MB,
        SIMPLE.with_(blackhole_at=5000, blackhole_for=2000),
        judge=_blackhole,
        quick=lambda case: replace(
            case,
            requests=("/bytes/200000",),
            conditions=SIMPLE.with_(blackhole_at=120, blackhole_for=50),
        ),
    ),
    "keyupdate": Case(
        ("/bytes/200000", "/bytes/200001", "/bytes/200002"),
        judge=_key_update,
        wish=Wish(key_update=True),
        judge_options={"key_update": True},
        quick=_smaller(10_000, 10_001, 10_002),
    ),
    "amplificationlimit": Case(
        ("/bytes/5120",),
        SIMPLE.with_(to_server=replace(SIMPLE.to_server, drop_list=(2, 3, 4, 5, 6, 7))),
        judge=_amplification,
        options=LARGE,
        quick=lambda case: replace(
            case,
            conditions=SIMPLE.with_(to_server=replace(SIMPLE.to_server, drop_list=(2, 3))),
        ),
    ),
    "handshakeloss": Case(
        ("/bytes/1024",),
        Conditions.both(delay_ms=15, bandwidth_mbps=10, drop=30, drop_burst=3),
        judge=_lossy,
        connections=50,
        options={"idle": 150},
        ours=PATIENT,
        ours_server=PATIENT,
        idle=150,
        seconds=600,
    ),
    "transferloss": Case(
        ("/bytes/2097152",),
        Conditions.both(delay_ms=15, bandwidth_mbps=10, drop=2, drop_burst=3),
        judge=_lossy,
        seconds=120,
    ),
    "handshakecorruption": Case(
        ("/bytes/1024",),
        Conditions.both(delay_ms=15, bandwidth_mbps=10, corrupt=30, corrupt_burst=3),
        judge=_corrupt,
        connections=50,
        options={"idle": 150},
        ours=PATIENT,
        ours_server=PATIENT,
        idle=150,
        seconds=600,
    ),
    "transfercorruption": Case(
        ("/bytes/2097152",),
        Conditions.both(delay_ms=15, bandwidth_mbps=10, corrupt=2, corrupt_burst=3),
        judge=_corrupt,
        seconds=120,
    ),
    "ipv6": Case(("/bytes/5242880",), ipv6=True, judge=_one_handshake, quick=_smaller(20_000)),
    "rebind-port": Case(
        TEN_MB,
        SIMPLE.with_(rebind_at=1000, rebind_every=5000),
        judge=_rebound,
        quick=lambda case: replace(
            case,
            requests=("/bytes/250000",),
            conditions=SIMPLE.with_(rebind_at=150),
        ),
    ),
    "rebind-addr": Case(
        TEN_MB,
        SIMPLE.with_(rebind_at=1000, rebind_every=5000, rebind_addr=True),
        judge=_rebound,
        quick=lambda case: replace(
            case,
            requests=("/bytes/250000",),
            conditions=SIMPLE.with_(rebind_at=150, rebind_addr=True),
        ),
    ),
    "versionnegotiation": Case(
        judge=_negotiation,
        wish=Wish(first_version=UNKNOWN_VERSION),
        quick=_as_it_is,
    ),
}
