"""What the library says between calls: lines of its log, and the records of qlogs."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

from ._ffi import ffi, lib

__all__ = ["Qlog", "QlogFunction", "send_log"]

QlogFunction = Callable[[str, bytes], object]

# Of the library, and of the module `logging`, which is imported with the first loop.
_LEVELS = {
    lib.QUICPRO_LOG_ERROR: 40,
    lib.QUICPRO_LOG_WARNING: 30,
    lib.QUICPRO_LOG_INFO: 20,
    lib.QUICPRO_LOG_DEBUG: 10,
}


def _logger() -> Any:
    from logging import getLogger

    return getLogger("quicpro")


def send_log(loop: Any) -> None:
    """Have a loop's log in the logger "quicpro", at the level that this has now."""
    logger = _logger()
    wanted = [ours for ours, theirs in _LEVELS.items() if logger.isEnabledFor(theirs)]
    if wanted:
        lib.quicpro_loop_set_log(loop, ffi.addressof(lib, "quicpro_py_log"), ffi.NULL, max(wanted))


_numbers = itertools.count(1)
_taking: weakref.WeakValueDictionary[int, Qlog] = weakref.WeakValueDictionary()


class Qlog:
    """A function that takes qlogs, or None, with the number by which C code knows it: once this is
    gone nothing is called."""

    def __init__(self, function: QlogFunction | None) -> None:
        self.function = function
        self._number = next(_numbers)
        _taking[self._number] = self

    def set(self, config: Any) -> int:
        """Put it into a quicpro_config; a code of the library."""
        function = ffi.addressof(lib, "quicpro_py_qlog") if self.function else ffi.NULL
        user = ffi.cast("void *", self._number)
        return int(lib.quicpro_config_set_qlog(config, function, user))


def _on_error(kind: type[BaseException], value: BaseException, trace: Any) -> int:
    """True for Ctrl-C, which is the main thread's: it hit us by chance."""
    if issubclass(kind, KeyboardInterrupt):
        return 1
    _logger().error("a function that takes qlogs or log lines failed", exc_info=value)
    return 0


@ffi.def_extern(onerror=_on_error)  # type: ignore[untyped-decorator]
def quicpro_py_on_log(level: int, line: Any) -> int:
    _logger().log(_LEVELS[level], "%s", ffi.string(line).decode("utf-8", "replace"))
    return 0


@ffi.def_extern(onerror=_on_error)  # type: ignore[untyped-decorator]
def quicpro_py_on_qlog(number: int, name: Any, data: Any, length: int) -> int:
    qlog = _taking.get(number)
    if qlog is not None and qlog.function is not None:
        records = bytes(ffi.buffer(data, length)) if length else b""
        qlog.function(ffi.string(name).decode(), records)
    return 0
