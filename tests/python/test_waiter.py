"""quicpro._waiter: tasks that are resumed at once."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import pytest
from quicpro._run import run_event_loop
from quicpro._waiter import Waiter, resume_all


@pytest.fixture
def go(loop: str) -> Callable[[Callable[[], Awaitable[None]]], None]:
    return lambda main: run_event_loop(main, loop)


Go = Callable[[Callable[[], Awaitable[None]]], None]
place = contextvars.ContextVar("place", default="none")


async def outside_of_tasks(what: Callable[[], None]) -> None:
    """Call it as the event loop calls what watches a socket."""
    done = asyncio.get_running_loop().create_future()

    def call() -> None:
        try:
            what()
            done.set_result(None)
        except BaseException as e:
            done.set_exception(RuntimeError(repr(e)))

    asyncio.get_running_loop().call_soon(call)
    await done


async def wait(waiter: Waiter, log: list[str], name: str) -> None:
    place.set(name)
    log.append(f"{name} waits")
    await waiter
    task = asyncio.current_task()
    log.append(f"{name} {place.get()} {task is not None and task.get_name()}")


def test_resumed_before_the_call_returns(go: Go) -> None:
    async def main() -> None:
        log: list[str] = []
        waiters = [Waiter(asyncio.get_running_loop()) for _ in range(2)]
        tasks = [
            asyncio.create_task(wait(w, log, f"t{i}"), name=f"task {i}")
            for i, w in enumerate(waiters)
        ]
        await asyncio.sleep(0)

        def resume() -> None:
            assert [w.finish() for w in waiters] == [True, True]
            assert not waiters[0].finish() and waiters[0].done()
            resume_all(waiters)
            log.append("returned")

        await outside_of_tasks(resume)
        assert log == ["t0 waits", "t1 waits", "t0 t0 task 0", "t1 t1 task 1", "returned"]
        await asyncio.gather(*tasks)
        assert place.get() == "none" and waiters == []

    go(main)


def test_finished_before_anybody_waits(go: Go) -> None:
    async def main() -> None:
        waiter = Waiter(asyncio.get_running_loop())
        assert waiter.finish()
        waiter.resume()
        waiter.resume_soon()
        await waiter

    go(main)


def test_cancelled(go: Go) -> None:
    async def main() -> None:
        waiter = Waiter(asyncio.get_running_loop())
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wait(waiter, [], "t"), 0.01)
        assert waiter.cancelled() and waiter.done()
        assert not waiter.finish() and not waiter.cancel()

    go(main)


def test_finished_and_cancelled_before_it_runs(go: Go) -> None:
    async def main() -> None:
        log: list[str] = []
        waiter = Waiter(asyncio.get_running_loop())
        task = asyncio.create_task(wait(waiter, log, "t"))
        await asyncio.sleep(0)
        assert waiter.finish()
        task.cancel()
        waiter.resume_soon()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert log == ["t waits"]

    go(main)


def test_one_that_ends_the_loop_leaves_the_others_their_turn(go: Go) -> None:
    async def main() -> None:
        log: list[str] = []
        loop = asyncio.get_running_loop()
        first, second = Waiter(loop), Waiter(loop)

        def ends(_: object) -> None:
            raise KeyboardInterrupt

        first.add_done_callback(ends)
        task = asyncio.create_task(wait(second, log, "t"))
        await asyncio.sleep(0)

        def resume() -> None:
            assert first.finish() and second.finish()
            resume_all([first, second])

        with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
            await outside_of_tasks(resume)
        await task
        assert log[-1].startswith("t t")

    go(main)
