"""quicpro._raw_thread: who takes events in, and who waits meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import WAIT as SECONDS
from live import in_thread
from quicpro import Config, TimeoutError, sync
from quicpro._raw_stream import WAIT
from quicpro._raw_thread import Hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub(Config(alpn=["echo"]), sync.Connection)
    yield made
    made.free()


def test_what_is_there_needs_no_wait(hub: Hub) -> None:
    assert hub.until(0, lambda n: n, 7) == 7
    assert hub.until(None, lambda: None) is None


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_nothing_comes(hub: Hub, seconds: float) -> None:
    polls = []
    with pytest.raises(TimeoutError, match=f"nothing came in {seconds:g} s"):
        hub.until(seconds, lambda: polls.append(1) or WAIT)
    assert polls and hub._followers == 0 and not hub._leader.locked()


def test_a_poll_that_fails_leads_no_longer(hub: Hub) -> None:
    def fail_later() -> Any:
        if hub.generation:
            raise KeyError
        return WAIT

    waiting = in_thread(lambda: hub.until(SECONDS, fail_later))
    other = in_thread(lambda: hub.until(SECONDS, lambda: hub.generation or WAIT))
    events(hub)
    assert isinstance(waiting(), KeyError)
    assert other() >= 1
    assert hub.until(0, lambda: 1) == 1


def events(hub: Hub) -> None:
    """Have something happen: a connection that nobody answers fails."""
    with hub as core:
        options = Config(alpn=["echo"], handshake_timeout_ms=100, verify_peer=False)
        core.connect(hub.client(options), "127.0.0.1", 1, options)


def test_one_takes_events_in_for_all(hub: Hub) -> None:
    waiting = [
        in_thread(lambda: hub.until(SECONDS, lambda: hub.generation or WAIT)) for _ in range(8)
    ]
    events(hub)
    assert all(join() >= 1 for join in waiting)
    assert hub._followers == 0 and not hub._leader.locked()


def test_clients_are_shared_by_configuration(hub: Hub) -> None:
    one, same, other = Config(alpn=["a"]), Config(alpn=["a"]), Config(alpn=["b"])
    with hub:
        assert hub.client(one) == hub.client(same) != hub.client(other)


def test_the_end_of_a_listener_wakes_who_waits(certs: Path) -> None:
    files = {"certfile": certs / "cert.pem", "keyfile": certs / "key.pem"}
    listener = sync.listen("127.0.0.1", 0, alpn=["echo"], **files)  # type: ignore[arg-type]
    waiting = [in_thread(listener.accept) for _ in range(3)]
    listener.close()
    assert [type(join()).__name__ for join in waiting] == ["ConnectionClosed"] * 3
