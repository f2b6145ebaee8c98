"""Frees what the C library holds for an object, once nobody can use it any more."""

from __future__ import annotations

import atexit
import itertools
import threading
import weakref
from collections.abc import Callable
from typing import Any

from ._ffi import lib

__all__ = ["finalize"]

_numbers = itertools.count()
_left: dict[int, weakref.finalize[..., Any]] = {}


def finalize(owner: object, free: Callable[..., object], *args: Any) -> weakref.finalize[..., Any]:
    """As `weakref.finalize`, and at the end of the interpreter, the latest first, unless other
    threads still run there. Those are daemons, and may be inside the library at that very moment;
    with them alive it all ends with the process.
    """
    number = next(_numbers)

    def end() -> None:
        _left.pop(number, None)
        free(*args)

    finalizer = _left[number] = weakref.finalize(owner, end)
    finalizer.atexit = False
    return finalizer


def _at_exit() -> None:
    here = threading.current_thread()
    if any(thread.is_alive() for thread in threading.enumerate() if thread is not here):
        lib.quicpro_py_ended = 1
        return
    for finalizer in reversed(list(_left.values())):
        finalizer()
    lib.quicpro_py_ended = 1


# With the first finalizer weakref registers an exit function, behind which none is called. The one
# that was registered later runs earlier.
weakref.finalize(finalize, int).detach()
atexit.register(_at_exit)
