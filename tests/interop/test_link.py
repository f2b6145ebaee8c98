"""The bad links themselves: both kinds do what they are told, and say what they did."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .link import (
    BLACKHOLED,
    DRAW_DROP,
    DRAW_REORDER,
    DRAW_WHERE,
    DROPPED,
    LISTED,
    PASSED,
    QUEUE_FULL,
    STALE,
    TO_CLIENT,
    TO_SERVER,
    Conditions,
    Link,
    Model,
    Way,
    draw,
)
from .links import open_link, why_no_tun
from .procs import Process
from .servers import Running, build_folder


def test_draws() -> None:
    """The same stand in tests/c/test_linkemu.c."""
    assert draw(1, TO_SERVER, 1, DRAW_DROP) == 0x5B0AD7B5E85080C2
    assert draw(1, TO_CLIENT, 1, DRAW_DROP) == 0xDEE51E1069EFCBC5
    assert draw(1, TO_SERVER, 2, DRAW_WHERE) == 0xC0631DBFC389B5C9
    assert draw(9_000_000_000_000_000, TO_CLIENT, 123456789, DRAW_REORDER) == 0x67319825D1B9EE49


# --- the model, by time that is an argument -------------------------------------------------------


def fates(model: Model, way: str, count: int, now: float, size: int = 97) -> list[str]:
    return [model.take(way, bytes(size), None, now)[0] for _ in range(count)]


def test_model_delays_and_keeps_order() -> None:
    model = Model(Conditions(to_server=Way(delay_ms=15)))
    for n in range(3):
        model.take(TO_SERVER, bytes([n]), "c", 100.0)
    assert model.expiry() == pytest.approx(100.015)
    assert model.next_due(100.014) is None
    due = [model.next_due(100.016) for _ in range(4)]
    assert [d and d.data for d in due] == [b"\0", b"\1", b"\2", None]
    assert model.expiry() is None


def test_model_queues_before_the_bottleneck() -> None:
    model = Model(Conditions(to_server=Way(bandwidth_mbps=1, queue=4)))  # 125 bytes take a ms
    assert fates(model, TO_SERVER, 7, 0.0) == [PASSED] * 5 + [QUEUE_FULL] * 2
    assert fates(model, TO_SERVER, 2, 0.0010001) == [PASSED, QUEUE_FULL]
    assert fates(model, TO_SERVER, 6, 1.0) == [PASSED] * 5 + [QUEUE_FULL]


def test_model_drops_by_the_seed() -> None:
    def run(seed: int, now: float) -> list[str]:
        way = Way(drop=30, drop_burst=3)
        return fates(Model(Conditions(to_client=way, seed=seed)), TO_CLIENT, 2000, now)

    first = run(7, 0.0)
    assert first == run(7, 5.0)
    assert first != run(8, 0.0)
    assert 500 < first.count(DROPPED) < 700
    letters = "".join(fate[0] for fate in first)
    assert "ddd" in letters
    assert "dddd" not in letters


def test_model_has_holes_and_lists() -> None:
    model = Model(Conditions(Way(drop_list=(2, 3)), blackhole_at=10, blackhole_for=5))
    assert fates(model, TO_SERVER, 4, 1.0) == [PASSED, LISTED, LISTED, PASSED]
    assert [fates(model, TO_CLIENT, 1, t) for t in (1.009, 1.0101, 1.0149, 1.0151)] == [
        [PASSED], [BLACKHOLED], [BLACKHOLED], [PASSED],
    ]  # fmt: skip


def test_model_changes_doubles_and_holds_back() -> None:
    model = Model(Conditions(Way(corrupt=50, corrupt_burst=1), Way(duplicate=100, reorder=100)))
    changed = 0
    for _ in range(200):
        fate, marks, _, data = model.take(TO_SERVER, bytes(100), None, 0.0)
        assert fate == PASSED
        assert sum(b != 0 for b in data) == (marks == "c")
        changed += marks == "c"
    assert 40 < changed <= 100
    while model.next_due(0.0):
        pass
    assert model.take(TO_CLIENT, b"x", None, 1.0)[1] == "dr"
    due = [model.next_due(1.0051), model.next_due(1.0051), model.next_due(1.0051)]
    assert [d and d.data for d in due] == [b"x", b"x", None]


# --- both kinds, by real datagrams ----------------------------------------------------------------


class Talk:
    """A socket at each end of a link."""

    def __init__(self, link: Link) -> None:
        family = socket.AF_INET6 if ":" in link.server_host else socket.AF_INET

        def make() -> socket.socket:
            s = socket.socket(family, socket.SOCK_DGRAM)
            s.settimeout(10)
            return s

        self.link = link
        self.server = link.at_server(make)
        self.client = link.at_client(make)
        self.server.bind((link.server_host, 0))
        nobody: Any = None
        port = self.server.getsockname()[1]
        self.far = link.between(Running("", nobody, port, nobody, link.server_host))
        self.client.connect((self.far.host, self.far.port))

    def ask(self, data: bytes) -> tuple[str, int]:
        """There and back; where it came from."""
        self.client.send(data)
        got, source = self.server.recvfrom(65536)
        assert got == data
        self.server.sendto(got[::-1], source)
        assert self.client.recv(65536) == data[::-1]
        return source[:2]

    def close(self) -> None:
        self.server.close()
        self.client.close()


Opened = Callable[..., Talk]


@pytest.fixture(params=["relay", "tun"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    links: list[Link] = []
    talks: list[Talk] = []

    def open_(conditions: Conditions, **kwargs: Any) -> Talk:
        links.append(open_link(conditions, tmp_path, means=request.param, **kwargs))
        talks.append(Talk(links[-1]))
        return talks[-1]

    yield open_
    for talk in talks:
        talk.close()
    for link in links:  # also one whose sockets could not be had
        link.finish()


@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_it_carries_and_records(opened: Opened, ipv6: bool) -> None:
    talk = opened(Conditions.both(delay_ms=10), ipv6=ipv6)
    begin = time.monotonic()
    host, port = talk.ask(b"\xc0\0\0\0\1" + bytes(1200))
    assert time.monotonic() - begin >= 0.02
    assert (host, port) == talk.ask(b"y")
    packets = talk.link.finish()
    assert [(p.way, p.fate, p.size) for p in packets] == [
        (TO_SERVER, PASSED, 1205), (TO_CLIENT, PASSED, 1205),
        (TO_SERVER, PASSED, 1), (TO_CLIENT, PASSED, 1),
    ]  # fmt: skip
    assert packets[0].head == b"\xc0\0\0\0\1" + bytes(59)
    assert packets[0].long_type == "initial"
    assert packets[2].long_type == ""
    assert packets[0].at == 0
    assert packets[0].source_port == port


def test_same_seed_same_faults(opened: Opened) -> None:
    """What the two kinds have in common: which datagrams are hit is no matter of time or means."""
    way = Way(drop=30, corrupt=20, duplicate=10)
    talk = opened(Conditions(to_server=way, seed=5))
    for _ in range(60):
        talk.client.send(bytes(50))
    model = Model(Conditions(to_server=way, seed=5))
    expected = [model.take(TO_SERVER, bytes(50), None, 0.0) for _ in range(60)]
    due: Counter[bytes] = Counter()
    while item := model.next_due(0.0):
        due[item.data] += 1
    assert Counter(talk.server.recv(100) for _ in range(due.total())) == due
    packets = talk.link.finish()
    assert [(p.fate, p.marks, p.head) for p in packets] == [(e[0], e[1], e[3]) for e in expected]


@pytest.mark.parametrize("addr", [False, True], ids=["port", "addr"])
def test_a_rebound_client_looks_new(opened: Opened, addr: bool) -> None:
    talk = opened(Conditions(rebind_after=2, rebind_addr=addr))
    first = talk.ask(b"1")
    assert talk.ask(b"2") == first
    second = talk.ask(b"3")
    assert second[1] != first[1]
    assert (second[0] != first[0]) == addr
    assert talk.ask(b"4") == second
    talk.server.sendto(b"late", first)  # the NAT knows this one no more
    assert talk.ask(b"5") == second
    stale = [p for p in talk.link.finish() if p.fate == STALE]
    assert [(p.way, p.size) for p in stale] == [(TO_CLIENT, 4)]


# --- the program ----------------------------------------------------------------------------------


def linkemu(*args: object) -> Process:
    return Process([build_folder() / "tools" / "linkemu", *args])


def test_linkemu_says_what_it_counted(processes: list[Process]) -> None:
    if reason := why_no_tun():
        pytest.skip(reason)
    process = linkemu("--seconds", "0.05")
    processes.append(process)
    assert process.wait(10) == 0
    ways = [line.split()[0] for line in process.output]
    assert ways == ["ready", "to-server", "to-client", "link"]
    assert " dropped=0 listed=0 queue-full=0 blackholed=0 stale=0 " in process.said()


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["--help"], 0, "usage: linkemu"),
        (["--drop", "101"], 2, 'linkemu: --drop: "101" is not a number from 0 to 100'),
        (["--loss"], 2, 'linkemu: unknown argument "--loss" (--help lists them)'),
        (["--trace", "/no/such/folder/x"], 1, "linkemu: --trace /no/such/folder/x: No such file"),
    ],
)
def test_linkemu_wrong_use(args: list[str], code: int, says: str, processes: list[Process]) -> None:
    process = linkemu(*args)
    processes.append(process)
    assert process.wait(10) == code
    assert says in process.said()
    if code:
        assert len(process.output) == 1


def test_linkemu_without_privilege_says_so(processes: list[Process]) -> None:
    program = build_folder() / "tools" / "linkemu"
    process = Process(["setpriv", "--bounding-set=-all", "--inh-caps=-all", program])
    processes.append(process)
    assert process.wait(10) == 3, process.said()
    assert process.output == [
        "linkemu: making a network namespace: Operation not permitted "
        "(needs CAP_SYS_ADMIN and CAP_NET_ADMIN)"
    ]
