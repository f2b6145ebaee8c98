"""What a task of asyncio waits for here: a future that resumes its task when we say, not a turn of
the event loop later.

A batch of events wakes tasks. asyncio would look for I/O once more before it ran them: a system
call and all that is around it in Python. So they run as soon as the batch was taken in, and what
they write leaves with the same flush.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any, Final

__all__ = ["Waiter", "resume_all"]

_WAITING: Final = 0
_DONE: Final = 1
_CANCELLED: Final = 2


class Waiter:
    """Awaited by one task, once; what `asyncio.Task` asks of a future, and no more."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_loop", "_state")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._loop = loop
        self._state = _WAITING

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        self._callback = callback
        self._context = context
        if self._state != _WAITING:
            self.resume_soon()

    def cancel(self, msg: object = None) -> bool:
        if self._state != _WAITING:
            return False
        self._state = _CANCELLED
        self.resume_soon()
        return True

    def done(self) -> bool:
        return self._state != _WAITING

    def cancelled(self) -> bool:
        return self._state == _CANCELLED

    def result(self) -> None:
        if self._state == _CANCELLED:
            raise asyncio.CancelledError

    def __await__(self) -> Generator[Waiter, None, None]:
        if self._state == _WAITING:
            self._asyncio_future_blocking = True
            yield self
        self.result()

    def finish(self) -> bool:
        """It is over, though its task sleeps on until it is resumed. False: it was cancelled."""
        if self._state != _WAITING:
            return False
        self._state = _DONE
        return True

    def resume(self) -> None:
        """Run its task, to where it waits next. No other task must be running."""
        callback, self._callback = self._callback, None
        if callback is None:
            return
        if self._context is None:
            callback(self)
        else:
            self._context.run(callback, self)

    def resume_soon(self) -> None:
        """The same, in the event loop's next turn."""
        callback, self._callback = self._callback, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=self._context)


def resume_all(waiters: list[Waiter]) -> None:
    """Resume those that are finished. Should one of their tasks end the event loop (SystemExit,
    KeyboardInterrupt), the others have their turn if it runs again."""
    waiters.reverse()
    try:
        while waiters:
            waiters.pop().resume()
    except BaseException:
        while waiters:
            waiters.pop().resume_soon()
        raise
