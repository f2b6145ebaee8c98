"""The short way from a batch to an application: `_asgi`, a module in C.

Requests are started in the turn of the event loop that brought them; most have ended before it
goes on. While they run, and after they have waited for something, `asyncio.current_task()` is one
and the same task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextvars import Context
from typing import Any

from . import _asgi
from ._exchange import ASGIApp, ExchangeLogic, Scope
from ._ffi import ffi
from ._loop import LoopDriver
from .asgi import ASGIServer

_Future = asyncio.Future


class NativeExchange(ExchangeLogic, _asgi.Exchange):
    """One request and its response, whose usual cases are in C."""

    __slots__ = ()


class RequestTask(asyncio.Task):  # type: ignore[type-arg]
    """The task in which a request is handled.

    asyncio.Task never gets to know the coroutine: the module in C runs it. So whatever asks a task
    about its coroutine asks the exchange instead.
    """

    __slots__ = ("_core", "_name", "exchange")

    _core: Any
    _name: str | None
    exchange: NativeExchange | None  # once it is suspended

    @classmethod
    def make(cls, core: Any, loop: asyncio.AbstractEventLoop) -> RequestTask:
        """One that is nobody's yet."""
        task = cls.__new__(cls)
        _Future.__init__(task, loop=loop)
        task._core = core
        task._name = None
        task.exchange = None
        return task

    def _handled(self) -> Any:
        return self.exchange or self._core.current

    def settle(self, error: BaseException | None) -> None:
        """The application has ended; error: what it raised."""
        if self.done():
            return
        if isinstance(error, asyncio.CancelledError):
            _Future.cancel(self)
        elif error is None or isinstance(error, Exception):
            _Future.set_result(self, None)  # an error was logged
        else:
            _Future.set_exception(self, error)
            _Future.exception(self)  # it is raised in the event loop, too

    # As asyncio.Task has them.

    def cancel(self, msg: Any = None) -> bool:
        if self.done():
            return False
        handled = self._handled()
        return handled is not None and handled._cancel(msg)

    def cancelling(self) -> int:
        handled = self._handled()
        return 0 if handled is None else handled._cancels

    def uncancel(self) -> int:
        handled = self._handled()
        if handled is None:
            return 0
        if handled._cancels > 0:
            handled._cancels -= 1
        return int(handled._cancels)

    def get_coro(self) -> Any:
        handled = self._handled()
        return None if handled is None else handled._coro

    def get_context(self) -> Context | None:
        handled = self._handled()
        return None if handled is None else handled._context

    def get_name(self) -> str:
        return self._name or f"Request-{id(self):x}"

    def set_name(self, value: object) -> None:
        self._name = str(value)

    def set_result(self, result: object) -> None:
        raise RuntimeError("Task does not support set_result operation")

    def set_exception(self, exception: object) -> None:
        raise RuntimeError("Task does not support set_exception operation")

    @property
    def _coro(self) -> Any:
        return self.get_coro()

    @property
    def _fut_waiter(self) -> Any:
        handled = self._handled()
        return None if handled is None else handled._waiter

    @property
    def _must_cancel(self) -> bool:
        handled = self._handled()
        return handled is not None and handled._must_cancel

    def get_stack(self, *, limit: int | None = None) -> list[Any]:
        frames: list[Any] = asyncio.base_tasks._task_get_stack(self, limit)  # type: ignore[attr-defined]
        return frames

    def print_stack(self, *, limit: int | None = None, file: Any = None) -> None:
        asyncio.base_tasks._task_print_stack(self, limit, file)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        handled = self._handled()
        what = "" if handled is None else f" {handled.method} {handled.path}"
        state = "cancelling" if self.cancelling() and not self.done() else self._state.lower()
        return f"<RequestTask {state} name={self.get_name()!r}{what} coro={self.get_coro()!r}>"


class NativeServer(ASGIServer):
    """As `ASGIServer`, by C.

    Args:
        tasks: "inline": requests are started at once; "stock": each in a Task of asyncio's.
    """

    def __init__(self, app: ASGIApp, *, tasks: str = "inline", **options: Any) -> None:
        super().__init__(app, **options)
        self._tasks = tasks

    def bind(self, driver: LoopDriver) -> None:
        super().bind(driver)
        loop = self.loop
        core: _asgi.Core = _asgi.Core(
            loop=int(ffi.cast("uintptr_t", driver.ptr)),
            server=self,
            app=self.app,
            event_loop=loop,
            exchange_type=NativeExchange,
            make_task=lambda: RequestTask.make(core, loop),
            schedule_flush=driver.schedule_flush,
            requests=self.requests,
            state=self.state,
            client_certs=self.client_certs,
            fields=tuple(part for field in self.fields for part in field),
            date=self.date,
            start=self._start_task if self._tasks == "stock" else None,
        )
        self._core = core

    def _start_task(self, exchange: NativeExchange, scope: Scope, receive: Any, send: Any) -> None:
        self.requests[exchange.stream] = exchange
        exchange.task = self.loop.create_task(self._serve(exchange, scope, receive, send))

    def on_batch(self, raw: Any) -> bool:
        return self._core.on_batch(int(ffi.cast("uintptr_t", raw)))

    @staticmethod
    async def as_coroutine(awaitable: Awaitable[None]) -> None:
        """For applications that are no coroutine functions."""
        await awaitable
