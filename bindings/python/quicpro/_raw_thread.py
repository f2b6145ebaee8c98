"""The loop that raw connections of callers that block are on.

The library's thread runs the loop and keeps the events. Whoever has to wait takes them: one caller
at a time, the others wait for it. State changes only while the loop is entered, so its lock guards
ours too.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from . import errors
from ._check import check, check_loop
from ._ffi import ffi, lib
from ._finalize import finalize
from ._hooks import send_log
from ._raw import ConnectionCore, Core
from ._raw_stream import WAIT
from .config import Config

__all__ = ["Hub"]

_SLICE = 0.2  # seconds: a C wait cannot be interrupted, and signal handlers must get their turn


def _free(pid: int, thread: Any, clients: list[Any], servers: list[Any]) -> None:
    if pid != os.getpid():
        return  # a child: the sockets are the parent's
    loop = ffi.new("quicpro_loop **")
    if lib.quicpro_thread_enter(thread, loop) == 0:
        for ptr in servers:
            lib.quicpro_server_free(ptr)
        for ptr in clients:
            lib.quicpro_client_free(ptr)
        lib.quicpro_thread_leave(thread)
    lib.quicpro_thread_free(thread)


class Hub:
    """A loop in a C thread. All connections that are opened share one; a listener has its own.

    `with hub:` enters the loop.
    """

    _shared: Hub | None = None
    _guard = threading.Lock()

    def __init__(self, config: Config, connection_class: type[ConnectionCore]) -> None:
        ret = ffi.new("quicpro_thread **")
        check(lib.quicpro_thread_new(ret, config._struct))
        self.ptr = ret[0]
        self.pid = os.getpid()
        self.clients: list[tuple[Config, Any]] = []
        self.generation = 0  # batches taken in
        self._client_ptrs: list[Any] = []
        self.servers: list[Any] = []
        self._leader = threading.Lock()  # held by the one that takes events
        self._changed = threading.Condition()
        self._followers = 0  # who waits for the one that does
        self._batch = ffi.new("quicpro_batch **")
        self._finalizer = finalize(self, _free, self.pid, self.ptr, self._client_ptrs, self.servers)
        check(lib.quicpro_thread_collect(self.ptr))
        self._loop = ffi.new("quicpro_loop **")
        check(lib.quicpro_thread_enter(self.ptr, self._loop))
        send_log(self._loop[0])
        lib.quicpro_thread_leave(self.ptr)
        self.core = Core(self._loop[0], config, connection_class, lambda: None, lambda gate: None)
        self.core.front = self

    @classmethod
    def shared(cls, connection_class: type[ConnectionCore]) -> Hub:
        with cls._guard:
            if cls._shared is None or cls._shared.pid != os.getpid():
                cls._shared = Hub(Config(), connection_class)
            return cls._shared

    def __enter__(self) -> Core:
        check(lib.quicpro_thread_enter(self.ptr, self._loop))
        return self.core

    def __exit__(self, *_: object) -> None:
        lib.quicpro_thread_leave(self.ptr)

    def client(self, config: Config) -> Any:
        """The library's client for a configuration; the loop is entered."""
        for known, ptr in self.clients:
            if known is config or known._layers == config._layers:
                return ptr
        ret = ffi.new("quicpro_client **")
        loop = self.core.loop
        check_loop(lib.quicpro_client_new(ret, loop, config._struct), loop)
        self.clients.append((config, ret[0]))
        self._client_ptrs.append(ret[0])
        return ret[0]

    def until(self, timeout: float | None, poll: Callable[..., Any], *args: Any) -> Any:
        """Poll until it returns something.

        Raises:
            TimeoutError: it did not in time.
        """
        check(lib.quicpro_thread_enter(self.ptr, self._loop))
        try:
            got = poll(*args)
            seen = self.generation
        finally:
            lib.quicpro_thread_leave_later(self.ptr)
        if got is not WAIT:
            return got
        deadline = None if timeout is None else time.monotonic() + timeout
        rest = _SLICE if timeout is None else timeout
        while True:
            got, seen = self._wait(seen, max(0.0, min(rest, _SLICE)), poll, args)
            if got is not WAIT:
                return got
            if deadline is not None and (rest := deadline - time.monotonic()) <= 0:
                raise errors.TimeoutError(f"nothing came in {timeout:g} s")

    def _wait(
        self, seen: int, seconds: float, poll: Callable[..., Any], args: tuple[Any, ...]
    ) -> tuple[Any, int]:
        """Take events in, or wait until somebody else did since `seen`; then poll once more. What
        that said, and what it has seen."""
        if not self._leader.acquire(blocking=False):
            with self._changed:
                self._followers += 1
                try:
                    self._changed.wait_for(
                        lambda: self.generation != seen or not self._leader.locked(), seconds
                    )
                finally:
                    self._followers -= 1
            return self._poll(None, poll, args)
        try:
            if self.generation != seen:
                return self._poll(None, poll, args)
            rc = lib.quicpro_thread_wait(self.ptr, 0, round(seconds * 1e9), self._batch)
            if rc == lib.QUICPRO_ETIMEDOUT:
                return WAIT, seen
            check(rc)
            batch = self._batch[0]
            try:
                return self._poll(batch, poll, args)
            finally:
                lib.quicpro_thread_batch_free(batch)
        finally:
            self._leader.release()
            # Who counts itself in behind this line finds that nobody leads, and does not wait.
            if self._followers:
                with self._changed:
                    self._changed.notify_all()

    def _poll(self, batch: Any, poll: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, int]:
        """Take a batch in, if there is one, and poll."""
        check(lib.quicpro_thread_enter(self.ptr, self._loop))
        try:
            if batch is not None:
                self.core.feed(batch)
                self.generation += 1
            return poll(*args), self.generation
        finally:
            lib.quicpro_thread_leave_later(self.ptr)

    def free(self) -> None:
        """End a listener's loop."""
        if self.pid == os.getpid() and self._finalizer.alive:
            with self:
                for ptr in self.servers:
                    lib.quicpro_server_free(ptr)
                self.servers.clear()
                loop = self.core.loop
                self.core.end(errors.ConnectionClosed("the listener was closed"))
                self.core.loop = loop
                self.generation += 1
            with self._changed:
                self._changed.notify_all()


def _after_fork() -> None:
    Hub._guard = threading.Lock()  # another thread may have held it


os.register_at_fork(after_in_child=_after_fork)
