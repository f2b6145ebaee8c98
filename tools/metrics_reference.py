#!/usr/bin/env python3
"""Write docs/reference/metrics.md from what the installed package says of its metrics.

Usage: metrics_reference.py [--check] [--page FILE]

--check writes nothing, and fails if the page is not what it would write.
Exit codes: 0 fine, 1 stale, 2 wrong use.
"""

from __future__ import annotations

import re
import sys

import reference
from quicpro import Config, _stats
from quicpro._ffi import ffi, lib

HEAD = """\
# Metrics

<!-- Written by tools/metrics_reference.py from libquicpro/src/metrics/metrics.h; do not edit. -->

Each loop counts, always: a number is a 64-bit word that one thread writes and everybody may read.
As text for Prometheus: in Python `server.metrics()`, in C `quicpro_metrics_text()`, for any number
of loops at once and with labels of yours on the lines of each. `quicpro_loop_set_metrics()` has a
loop count in memory that other processes see.

Gauges are as of the loop's last flush. Counters begin with the loop, and never go back.

| name | type | labels | what |
|---|---|---|---|
"""


def page() -> str:
    ret = ffi.new("quicpro_loop **")
    assert lib.quicpro_loop_new(ret, Config()._struct) == 0
    text = _stats.metrics(ret[0], {})
    lib.quicpro_loop_free(ret[0])
    rows: dict[str, tuple[str, str, set[str]]] = {}
    name = what = ""
    for line in text.splitlines():
        word = line.split(" ", 3)
        if word[1] == "HELP":
            name, what = word[2], word[3]
        elif word[1] == "TYPE":
            rows[name] = (word[3], what, set())
        elif labels := re.search(r"\{(.*)\}", word[0]):
            rows[name][2].add(labels[1])
    lines = []
    for name, (kind, what, labels) in rows.items():
        if kind == "histogram":
            bounds = [m[1] for m in (re.search(r'le="(.*)"', v) for v in labels) if m]
            finite = sorted(float(b) for b in bounds if b != "+Inf")
            shown = f"`le`: {finite[0]:g} to {finite[-1]:g}, doubled"
        else:
            shown = ", ".join(f"`{v}`" for v in sorted(labels))
        lines.append(f"| `{name}` | {kind} | {shown} | {what} |\n")
    return HEAD + "".join(lines)


if __name__ == "__main__":
    sys.exit(reference.write("metrics", page))
