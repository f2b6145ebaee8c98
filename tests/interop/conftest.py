"""Fixtures of the suite, and which of its tests run when.

Tests marked `full` run only with QUICPRO_TEST_FULL=1 (make test-full) or `-m full`. With the former
a judge that is missing is a failure; otherwise its tests are skipped, and the reason names it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .procs import Process
from .servers import SERVERS, Missing, Options, Running, judge

if TYPE_CHECKING:
    from .certs import Certs

FULL = os.environ.get("QUICPRO_TEST_FULL", "") not in ("", "0")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if FULL or "full" in config.option.markexpr:
        return
    here = Path(__file__).parent
    full = [i for i in items if i.get_closest_marker("full") and here in i.path.parents]
    if full:
        config.hook.pytest_deselected(items=full)
        items[:] = [i for i in items if i not in set(full)]


def skip_what_is_missing() -> Iterator[None]:
    try:
        return (yield)
    except Missing as e:
        if FULL:
            raise
        pytest.skip(str(e))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    return (yield from skip_what_is_missing())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    return (yield from skip_what_is_missing())


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Certs:
    made: Certs = judge("interop.certs", "cryptography").make(tmp_path_factory.mktemp("certs"))
    return made


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    """Put a process in, and it is ended after the test; its output is shown if the test failed."""
    started: list[Process] = []
    yield started
    for process in reversed(started):
        process.close()
        print(f"--- {' '.join(process.args)}")
        print("\n".join(process.output[-50:]))


Start = Callable[..., Running]


@pytest.fixture
def start(certs: Certs, processes: list[Process], tmp_path: Path) -> Start:
    """start(name, idle=..., ...) gives a server that answers."""

    def start_server(name: str, **options: object) -> Running:
        wanted = Options(**options)  # type: ignore[arg-type]
        process, port = SERVERS[name](certs, wanted, tmp_path)
        processes.append(process)
        return Running(name, process, port, certs, wanted.host)

    return start_server
