"""quicpro._finalize: what is freed, when, and what is left to the end of the process."""

from __future__ import annotations

import gc

from live import python
from quicpro._finalize import _left, finalize


class Owner:
    pass


def test_with_its_owner() -> None:
    freed: list[int] = []
    owner = Owner()
    finalizer = finalize(owner, freed.append, 1)
    assert finalizer.alive and freed == [] and finalizer in _left.values()
    del owner
    gc.collect()
    assert freed == [1] and not finalizer.alive and finalizer not in _left.values()


def test_at_once_and_never() -> None:
    freed: list[int] = []
    owners = Owner(), Owner()
    now, never = (finalize(owner, freed.append, n) for n, owner in enumerate(owners))
    now()
    now()
    never.detach()
    del owners
    gc.collect()
    assert freed == [0]


CODE = """
import sys, threading
from quicpro._finalize import finalize
class Owner: pass
kept = [Owner() for _ in range(3)]
for n, owner in enumerate(kept):
    finalize(owner, print, n)
if sys.argv[1] != "none":
    wait = threading.Event()
    thread = threading.Thread(target=wait.wait, daemon=sys.argv[1] == "daemon")
    thread.start()
    if sys.argv[1] == "joined":
        threading.Timer(0, wait.set).start()
"""


def test_at_the_end_of_the_interpreter() -> None:
    assert python(CODE, "none").stdout == "2\n1\n0\n"
    assert python(CODE, "joined").stdout == "2\n1\n0\n"
    done = python(CODE, "daemon")
    assert (done.returncode, done.stdout) == (0, "")


def test_daemons_that_use_a_client_to_the_end() -> None:
    """What they call must not be freed under them."""
    code = """
import threading
import quicpro
def use(client):
    while True:
        try:
            client.get("https://127.0.0.1:1/")
        except quicpro.QuicproError:
            pass
client = quicpro.Client(verify=False)
started = [threading.Thread(target=use, args=(client,), daemon=True) for _ in range(4)]
for thread in started:
    thread.start()
"""
    for _ in range(10):
        done = python(code)
        assert (done.returncode, done.stderr) == (0, "")
