"""Small applications that ask asyncio for all that a task is there for.

Each says what it saw, as text; whichever way a server runs it, it must see the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import types
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread

Case = Callable[[Any, Any, Any], Awaitable[object]]
CASES: dict[str, Case] = {}
ANSWER: Any = [(b"content-type", b"text/plain")]

number = contextvars.ContextVar("number", default=0)
kept: list[Any] = []
noted: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    try:
        said = str(await CASES[scope["path"][1:]](scope, receive, send))
    except asyncio.CancelledError as e:
        said = f"cancelled {e.args}"
    await send({"type": "http.response.start", "status": 200, "headers": ANSWER})
    await send({"type": "http.response.body", "body": said.encode()})


def me() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


# Who I am.


@case
async def the_same_before_and_after(scope: Any, receive: Any, send: Any) -> object:
    before = me()
    await asyncio.sleep(0)
    between = me()
    await asyncio.sleep(0.001)
    return before is between is me(), isinstance(before, asyncio.Task)


@case
async def the_same_in_calls(scope: Any, receive: Any, send: Any) -> object:
    async def inner() -> object:
        await asyncio.sleep(0)
        return me()

    return me() is await inner()


@case
async def among_all_tasks(scope: Any, receive: Any, send: Any) -> object:
    await asyncio.sleep(0)
    return me() in asyncio.all_tasks()


@case
async def not_done(scope: Any, receive: Any, send: Any) -> object:
    before = me().done(), me().cancelled(), me()._state  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    return before, me().done(), me().cancelled()


@case
async def no_result_yet(scope: Any, receive: Any, send: Any) -> object:
    seen = []
    for ask in (me().result, me().exception):
        with contextlib.suppress(asyncio.InvalidStateError):
            ask()
            seen.append("a result")
    return seen


@case
async def my_names(scope: Any, receive: Any, send: Any) -> object:
    first = me().get_name()
    me().set_name("another")
    await asyncio.sleep(0)
    return isinstance(first, str), me().get_name(), "another" in repr(me())


@case
async def my_coroutine(scope: Any, receive: Any, send: Any) -> object:
    coro = me().get_coro()
    before = asyncio.iscoroutine(coro)
    await asyncio.sleep(0)
    return before, me().get_coro() is coro


@case
async def my_stack(scope: Any, receive: Any, send: Any) -> object:
    await asyncio.sleep(0)
    return len(me().get_stack()) > 0


@case
async def my_loop(scope: Any, receive: Any, send: Any) -> object:
    return me().get_loop() is asyncio.get_running_loop()


@case
async def set_result_is_not_for_tasks(scope: Any, receive: Any, send: Any) -> object:
    try:
        me().set_result(1)
    except RuntimeError as e:
        return e
    return "it is"


@case
async def an_attribute(scope: Any, receive: Any, send: Any) -> object:
    before = hasattr(me(), "colour")
    me().colour = "red"  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    return before, me().colour  # type: ignore[attr-defined]


@case
async def an_attribute_without_a_wait(scope: Any, receive: Any, send: Any) -> object:
    before = hasattr(me(), "taste")
    me().taste = "sweet"  # type: ignore[attr-defined]
    return before


@case
async def a_weak_note(scope: Any, receive: Any, send: Any) -> object:
    before = me() in noted
    noted[me()] = "seen"
    return before


@case
async def kept_by_others(scope: Any, receive: Any, send: Any) -> object:
    before = me() in kept
    kept.append(me())
    return before, sum(t.done() for t in kept) == len(kept) - 1


@case
async def callbacks_when_done(scope: Any, receive: Any, send: Any) -> object:
    loop = asyncio.get_running_loop()
    called = loop.create_future()

    async def child() -> None:
        me().add_done_callback(lambda task: called.set_result(task.done()))

    await asyncio.create_task(child())
    me().add_done_callback(kept.append)
    return await called


@case
async def current_in_a_callback(scope: Any, receive: Any, send: Any) -> object:
    loop = asyncio.get_running_loop()
    seen = loop.create_future()
    loop.call_soon(lambda: seen.set_result(asyncio.current_task()))
    return await seen


@case
async def awaiting_myself(scope: Any, receive: Any, send: Any) -> object:
    await asyncio.sleep(0)
    try:
        await me()
    except RuntimeError as e:
        return str(e).partition(":")[0]
    return "it went"


@case
async def bare_yields(scope: Any, receive: Any, send: Any) -> object:
    @types.coroutine
    def bare(what: object) -> Generator[Any, Any, object]:
        return (yield what)

    seen: list[object] = [await bare(None)]
    try:
        await bare(17)
    except RuntimeError as e:
        seen.append(e)
    return seen


# Cancellation.


@case
async def cancelled_by_itself(scope: Any, receive: Any, send: Any) -> object:
    me().cancel("enough")
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError as e:
        return e.args, me().cancelling(), me().uncancel(), me().cancelling()
    return "not cancelled"


@case
async def cancelled_by_itself_later(scope: Any, receive: Any, send: Any) -> object:
    await asyncio.sleep(0)
    me().cancel()
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError as e:
        me().uncancel()
        await asyncio.sleep(0)
        return e.args, me().cancelling()
    return "not cancelled"


@case
async def cancelled_by_another(scope: Any, receive: Any, send: Any) -> object:
    task = me()

    async def other() -> None:
        task.cancel("by another")

    asyncio.get_running_loop().create_task(other())
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError as e:
        return e.args, task.uncancel()
    return "not cancelled"


@case
async def cancelled_in_a_sleep_of_nothing(scope: Any, receive: Any, send: Any) -> object:
    me().cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        return "cancelled", me().uncancel()
    return "not cancelled"


@case
async def cancelled_and_not_caught(scope: Any, receive: Any, send: Any) -> object:
    me().cancel("through")
    await asyncio.sleep(10)
    return "not cancelled"


@case
async def cancelled_without_a_wait(scope: Any, receive: Any, send: Any) -> object:
    return me().cancel(), me().cancelling(), me().uncancel()


@case
async def a_child_is_cancelled(scope: Any, receive: Any, send: Any) -> object:
    child = asyncio.create_task(asyncio.sleep(10))
    await asyncio.sleep(0)
    child.cancel()
    try:
        await child
    except asyncio.CancelledError:
        return child.cancelled(), me().cancelling()
    return "not cancelled"


@case
async def shielded(scope: Any, receive: Any, send: Any) -> object:
    inner = asyncio.create_task(asyncio.sleep(0.01, "survived"))
    asyncio.get_running_loop().call_soon(me().cancel)
    try:
        await asyncio.shield(inner)
    except asyncio.CancelledError:
        me().uncancel()
        return await inner
    return "not cancelled"


@case
async def a_cleanup_that_waits(scope: Any, receive: Any, send: Any) -> object:
    seen = []
    asyncio.get_running_loop().call_soon(me().cancel)
    try:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0)
            seen.append("cleaned")
    except asyncio.CancelledError:
        seen.append("cancelled")
    return seen


# Time.


@case
async def a_timeout(scope: Any, receive: Any, send: Any) -> object:
    try:
        async with asyncio.timeout(0.001):
            await asyncio.sleep(10)
    except TimeoutError:
        return "timeout", me().cancelling()
    return "none"


@case
async def a_timeout_that_is_long(scope: Any, receive: Any, send: Any) -> object:
    async with asyncio.timeout(10) as timeout:
        await asyncio.sleep(0)
    return timeout.expired()


@case
async def a_timeout_without_a_wait(scope: Any, receive: Any, send: Any) -> object:
    async with asyncio.timeout(10) as timeout:
        pass
    return timeout.expired()


@case
async def nested_timeouts(scope: Any, receive: Any, send: Any) -> object:
    seen = []
    try:
        async with asyncio.timeout(10):
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.sleep(10)
            except TimeoutError:
                seen.append("inner")
    except TimeoutError:
        seen.append("outer")
    return seen, me().cancelling()


@case
async def a_timeout_that_has_passed(scope: Any, receive: Any, send: Any) -> object:
    try:
        async with asyncio.timeout(-1):
            await asyncio.sleep(10)
    except TimeoutError:
        return "timeout", me().cancelling()
    return "none"


@case
async def wait_for_in_vain(scope: Any, receive: Any, send: Any) -> object:
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.001)
    except TimeoutError:
        return "timeout"
    return "none"


@case
async def wait_for_something(scope: Any, receive: Any, send: Any) -> object:
    return await asyncio.wait_for(asyncio.sleep(0.001, "slept"), 10)


# Groups.


@case
async def a_group(scope: Any, receive: Any, send: Any) -> object:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.sleep(0, i)) for i in range(3)]
    return [t.result() for t in tasks]


async def fail(after: float = 0) -> None:
    await asyncio.sleep(after)
    raise ValueError("as wished")


@case
async def a_group_that_fails(scope: Any, receive: Any, send: Any) -> object:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.sleep(10)
    except ExceptionGroup as e:
        return [str(x) for x in e.exceptions], me().cancelling()
    return "fine"


@case
async def a_group_whose_body_fails(scope: Any, receive: Any, send: Any) -> object:
    try:
        async with asyncio.TaskGroup() as group:
            child = group.create_task(asyncio.sleep(10))
            raise ValueError("body")
    except ExceptionGroup as e:
        return len(e.exceptions), child.cancelled()


@case
async def a_group_is_cancelled(scope: Any, receive: Any, send: Any) -> object:
    asyncio.get_running_loop().call_later(0.001, me().cancel)
    try:
        async with asyncio.TaskGroup() as group:
            child = group.create_task(asyncio.sleep(10))
    except asyncio.CancelledError:
        return child.cancelled(), me().uncancel()
    return "fine"


@case
async def gathered(scope: Any, receive: Any, send: Any) -> object:
    return await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0.001, 2))


@case
async def gathered_with_errors(scope: Any, receive: Any, send: Any) -> object:
    return await asyncio.gather(fail(), asyncio.sleep(0, 2), return_exceptions=True)


@case
async def the_first_of_several(scope: Any, receive: Any, send: Any) -> object:
    tasks = {asyncio.create_task(asyncio.sleep(s, s)) for s in (0, 10)}
    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    return [t.result() for t in done]


@case
async def as_they_complete(scope: Any, receive: Any, send: Any) -> object:
    waits = [asyncio.sleep(s, s) for s in (0.01, 0)]
    return [await w for w in asyncio.as_completed(waits)]


# Contexts.


@case
async def a_variable(scope: Any, receive: Any, send: Any) -> object:
    before = number.get()
    number.set(before + 1)
    await asyncio.sleep(0)
    between = number.get()
    number.set(between + 1)
    await asyncio.sleep(0.001)
    return before, between, number.get()


@case
async def a_variable_without_a_wait(scope: Any, receive: Any, send: Any) -> object:
    before = number.get()
    number.set(before + 1)
    return before, number.get()


@case
async def a_variable_in_a_child(scope: Any, receive: Any, send: Any) -> object:
    number.set(5)

    async def child() -> int:
        seen = number.get()
        number.set(6)
        return seen

    return await asyncio.create_task(child()), number.get()


@case
async def a_variable_in_a_thread(scope: Any, receive: Any, send: Any) -> object:
    number.set(7)
    return await asyncio.to_thread(number.get), number.get()


@case
async def a_token_is_reset(scope: Any, receive: Any, send: Any) -> object:
    token = number.set(9)
    await asyncio.sleep(0)
    number.reset(token)
    return number.get()


# receive and send.


@case
async def receive_as_a_task(scope: Any, receive: Any, send: Any) -> object:
    return await asyncio.create_task(receive())


@case
async def receive_as_a_future(scope: Any, receive: Any, send: Any) -> object:
    return await asyncio.ensure_future(receive())


@case
async def receive_in_time(scope: Any, receive: Any, send: Any) -> object:
    first = await asyncio.wait_for(receive(), 10)
    try:
        await asyncio.wait_for(receive(), 0.001)
    except TimeoutError:
        return first, "timeout"
    return first, "more"


@case
async def receive_is_cancelled(scope: Any, receive: Any, send: Any) -> object:
    early = asyncio.ensure_future(receive())
    early.cancel()
    await asyncio.wait([early])
    return early.cancelled(), await receive()


@case
async def receive_is_not_awaited(scope: Any, receive: Any, send: Any) -> object:
    receive().close()
    return await receive()


@case
async def two_receive(scope: Any, receive: Any, send: Any) -> object:
    first, second = asyncio.ensure_future(receive()), asyncio.ensure_future(receive())
    done, rest = await asyncio.wait({first, second}, timeout=0.01)
    for task in rest:
        task.cancel()
    return [t.result() for t in done], len(rest)


@case
async def send_wrong_things(scope: Any, receive: Any, send: Any) -> object:
    seen = []
    wrong: list[Any] = [
        {"type": "http.response.body"},
        {"type": "websocket.send"},
        {"type": "http.response.start", "status": 200, "headers": [(b"a",)]},
        {"type": "http.response.start", "status": 200, "headers": 5},
        {"type": "http.response.start"},
        {},
        None,
    ]
    for message in wrong:
        awaitable = send(message)
        try:
            await awaitable
        except Exception as e:
            seen.append(f"{type(e).__name__} {e}")
    return seen


async def answer(send: Any, *parts: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": ANSWER})
    for i, part in enumerate(parts):
        more = i < len(parts) - 1
        await send({"type": "http.response.body", "body": part, "more_body": more})


async def answers(scope: Any, receive: Any, send: Any) -> None:
    """For paths of a slash more: the whole response is the case's own."""
    way = scope["path"].rpartition("/")[2]
    if way == "tasks":
        await asyncio.create_task(send(start()))
        await asyncio.create_task(send({"type": "http.response.body", "body": b"tasks"}))
    elif way == "in-time":
        await asyncio.wait_for(send(start()), 10)
        await asyncio.wait_for(send({"type": "http.response.body", "body": b"in time"}), 10)
    elif way == "child":
        async with asyncio.TaskGroup() as group:
            group.create_task(answer(send, b"by", b" a", b" child"))
    elif way == "parts":
        await answer(send, b"a", b"", b"bytearray ", b"end")
    elif way == "kinds":
        await send(start())
        for data in (bytearray(b"bytearray "), memoryview(b"memoryview ")):
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body"})
    elif way == "upper":
        headers = [[b"X-Upper", b"kept"], (bytearray(b"x-array"), b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": iter(headers)})
        await send({"type": "http.response.body", "body": b""})
    elif way == "raised":
        raise ValueError("at once")
    elif way == "raised-later":
        await asyncio.sleep(0)
        raise ValueError("later")
    elif way == "cancelled":
        raise asyncio.CancelledError
    elif way == "cancelled-later":
        me().cancel()
        await asyncio.sleep(10)
    elif way == "nothing":
        return
    elif way == "background":
        await answer(send, b"answered")
        await asyncio.sleep(0.001)


def start() -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": ANSWER}


ANSWERS = (
    "tasks", "in-time", "child", "parts", "kinds", "upper", "raised", "raised-later", "cancelled",
    "cancelled-later", "nothing", "background",
)  # fmt: skip


# Threads, generators, locks.


@case
async def a_thread(scope: Any, receive: Any, send: Any) -> object:
    return await asyncio.get_running_loop().run_in_executor(None, sum, [1, 2])


@case
async def a_generator(scope: Any, receive: Any, send: Any) -> object:
    async def count() -> AsyncIterator[int]:
        for i in range(3):
            await asyncio.sleep(0)
            yield i

    async with contextlib.aclosing(count()) as numbers:
        return [n async for n in numbers]


@case
async def locks(scope: Any, receive: Any, send: Any) -> object:
    lock, queue, event = asyncio.Lock(), asyncio.Queue[int](1), asyncio.Event()

    async def other() -> None:
        async with lock:
            await queue.put(1)
            await queue.put(2)
        event.set()

    task = asyncio.create_task(other())
    got = [await queue.get(), await queue.get()]
    await event.wait()
    async with lock:
        await task
    return got


@case
async def a_future(scope: Any, receive: Any, send: Any) -> object:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_later(0.001, future.set_result, "set")
    return await future


@case
async def a_future_that_fails(scope: Any, receive: Any, send: Any) -> object:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_exception, KeyError("k"))
    try:
        await future
    except KeyError as e:
        return repr(e)
    return "fine"


@case
async def many_waits(scope: Any, receive: Any, send: Any) -> object:
    for _ in range(200):
        await asyncio.sleep(0)
    return "rested"


# anyio.


@case
async def anyio_scopes(scope: Any, receive: Any, send: Any) -> object:
    with anyio.move_on_after(0.001) as moved:
        await anyio.sleep(10)
    seen = []
    try:
        with anyio.fail_after(0.001):
            await anyio.sleep(10)
    except TimeoutError:
        seen.append("timeout")
    with anyio.CancelScope() as scope_:
        scope_.cancel()
        await anyio.sleep(10)
    with anyio.CancelScope(shield=True):
        await anyio.sleep(0)
    return moved.cancelled_caught, seen, scope_.cancelled_caught, me().cancelling()


@case
async def anyio_scope_without_a_wait(scope: Any, receive: Any, send: Any) -> object:
    with anyio.CancelScope() as scope_:
        pass
    return scope_.cancelled_caught


@case
async def anyio_groups(scope: Any, receive: Any, send: Any) -> object:
    seen = []

    async def child(i: int) -> None:
        await anyio.sleep(0)
        seen.append(i)

    async with anyio.create_task_group() as group:
        for i in range(3):
            group.start_soon(child, i)
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 10)
        group.cancel_scope.cancel()
    return sorted(seen), group.cancel_scope.cancelled_caught


@case
async def anyio_group_that_fails(scope: Any, receive: Any, send: Any) -> object:
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            await anyio.sleep(10)
    except ExceptionGroup as e:
        return len(e.exceptions), me().cancelling()
    return "fine"


@case
async def anyio_threads(scope: Any, receive: Any, send: Any) -> object:
    def work() -> str:
        return anyio.from_thread.run(named)

    async def named() -> str:
        return "named"

    return await anyio.to_thread.run_sync(work)


@case
async def anyio_streams(scope: Any, receive: Any, send: Any) -> object:
    tx, rx = anyio.create_memory_object_stream[int](1)

    async def feed() -> None:
        async with tx:
            for i in range(3):
                await tx.send(i)

    async with anyio.create_task_group() as group, rx:
        group.start_soon(feed)
        return [item async for item in rx]


@case
async def anyio_info(scope: Any, receive: Any, send: Any) -> object:
    info = anyio.get_current_task()
    await anyio.sleep(0)
    again = anyio.get_current_task()
    return info == again, info.has_pending_cancellation()


class AsObject:
    """An application that is an object, and not async in name."""

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        if scope["type"] == "http" and scope["path"].startswith("/future"):
            return asyncio.ensure_future(app(dict(scope, path=scope["path"][7:]), receive, send))
        if scope["type"] == "http" and scope["path"].startswith("/answer/"):
            return answers(scope, receive, send)
        return functools.partial(app, scope, receive, send)()
