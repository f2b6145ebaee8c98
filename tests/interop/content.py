"""The bytes that servers of this suite answer with, and the paths they answer at.

Every server, ours and the judges', serves the same paths:

    GET  /                    HELLO
    GET  /bytes/N             the first N bytes of the pattern
    GET  /part/N/START        N bytes of the pattern from byte START on (not the C example)
    POST /echo                the request's body
    GET  /together/K/N        N bytes of the pattern, once K such requests are open at the same time
    GET  /reset/N             announces twice as many bytes, sends N, then resets the stream
    GET  /close/N             sends N bytes, then closes the connection (aioquic only)
    POST /early               stops the upload and answers with status 413 (aioquic only)
    GET  /trickle             announces 1 GB and sends 1 KiB every 20 ms
    GET  /hold                sends 1 KiB and then nothing until the client goes (ours only)
    GET  /extensions          JSON: those of ASGI that the request came with (quicpro serve only)
    GET  /seen                JSON: what the server counted so far

The C example server has /, /bytes and /echo only.
"""

from __future__ import annotations

HELLO = (
    b"Hello over HTTP/3. This answer is one hundred bytes long, so that "
    b"servers can be compared with it..\n"
)
assert len(HELLO) == 100

PERIOD = 65536  # byte i is (i * 31 + (i >> 8)) & 255, which repeats after 64 KiB
_BLOCK = bytes((i * 31 + (i >> 8)) & 255 for i in range(PERIOD))


def pattern(size: int, start: int = 0) -> bytes:
    """`size` bytes of the pattern from byte `start` on."""
    start %= PERIOD
    return (_BLOCK * ((start + size) // PERIOD + 1))[start : start + size]


def body_of(path: str) -> bytes:
    """What a GET of one of the first three paths is answered with."""
    word, *numbers = path.strip("/").split("/")
    if word == "bytes":
        return pattern(int(numbers[0]))
    if word == "part":
        return pattern(int(numbers[0]), int(numbers[1]))
    assert not word
    return HELLO
