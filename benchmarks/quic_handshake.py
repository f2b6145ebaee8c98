#!/usr/bin/env python3
"""Handshakes for each CPU-second of the server, ours and ngtcp2's.

    benchmarks/quic_handshake.py [--quick | --smoke] [--check] [--json FILE] [FIGURE...]

tools/conngen, our client, opens and closes connections; certificates are ECDSA P-256. It reports
the group of each handshake and which were resumed or had their early data accepted: a run in which
one was not what the figure says ends the script.

handshake_full     X25519; closed as soon as the handshake is done
handshake_pq       X25519MLKEM768, where GnuTLS behind ngtcp2 has it; else against its X25519
handshake_resumed  X25519; from a ticket, with one request for 100 bytes
handshake_0rtt     the same with the request as early data, against our own full handshake with the
                   same request
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from _bench import Bench, BenchError, Rival
from _process import Server, cpu_seconds, pin_to
from _servers import BODY, ngtcp2, our_c

BARS = {
    "handshake_full": 1.3,
    "handshake_pq": 1.3,
    "handshake_resumed": 1.4,
    "handshake_0rtt": 1.15,
}
FIGURES = tuple(BARS)
AT_ONCE = 4  # as many tickets as our client keeps for one server
WARM = 32  # connections before those that count: for tickets
UNIT = "handshakes/cpu-s"


@dataclass(frozen=True)
class Kind:
    """What a handshake shall be."""

    group: str = "X25519"
    request: bool = False
    resumed: bool = False
    early: bool = False

    def check(self, said: dict[str, str | int | float]) -> None:
        total = said["connections"]
        resumed = total if self.resumed else 0
        early = total if self.early else 0
        if said["failed"] or not total or said["group"] != self.group:
            raise BenchError(f"wanted {self.group}: {said}")
        if said["resumed"] != resumed or said["early"] != early:
            raise BenchError(f"wanted {resumed} resumed and {early} with early data: {said}")


def load(bench: Bench, server: Server, kind: Kind) -> float:
    args: list[object] = [bench.program("tools/conngen"), "--insecure", "--at-once", AT_ONCE]
    args += ["--seconds", bench.seconds, "-o", f"groups={kind.group}", "--warm", WARM]
    if kind.request:
        args += ["--request", server.path, "--expect-length", BODY]
    if not kind.resumed:
        args += ["-o", "session_cache_entries=0"]
    if kind.early:
        args += ["-o", "early_data=true"]
    pid = server.process.pid
    with subprocess.Popen(
        [str(a) for a in [*args, server.address]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=pin_to(bench.client_core),
    ) as client:
        try:
            assert client.stdout is not None
            if not client.stdout.readline().startswith("warm"):
                raise BenchError(f"{server.name}: {client.communicate(timeout=30)[1].strip()}")
            before = cpu_seconds(pid)
            out, err = client.communicate("\n", timeout=bench.seconds + 30)
            cpu = cpu_seconds(pid) - before
        except subprocess.TimeoutExpired:
            raise BenchError(f"conngen against {server.name} did not end") from None
        finally:
            client.kill()
    if not out:
        raise BenchError(f"conngen against {server.name}: {err.strip()}")
    said = json.loads(out)
    kind.check(said)
    return float(said["connections"] / cpu)


def groups_of_ngtcp2(bench: Bench, server: Server) -> str:
    """The hybrid group if its TLS library has it."""
    args = [bench.program("tools/conngen"), "--insecure", "--connections", 1]
    done = bench.client([*args, "-o", "groups=X25519MLKEM768", server.address], timeout=30)
    return "X25519MLKEM768" if done.returncode == 0 else "X25519"


def plain(bench: Bench, figure: str, kind: Kind) -> None:
    """Ours against ngtcp2."""
    theirs = kind
    peer = "ngtcp2"
    if kind.group != "X25519" and not bench.smoke:
        server = ngtcp2(bench)
        theirs = Kind(groups_of_ngtcp2(bench, server))
        server.stop()
        if theirs != kind:
            peer = "ngtcp2_x25519"
            print(f"{figure}: ngtcp2's TLS library lacks {kind.group}; it does {theirs.group}")
    bench.compare(
        figure,
        UNIT,
        our_c,
        [Rival(peer, ngtcp2, BARS[figure])],
        lambda b, s: load(b, s, theirs if s.name == "ngtcp2" else kind),
    )


def early(bench: Bench, figure: str) -> None:
    """Ours against ours: the same server asked in two ways."""

    def again(b: Bench) -> Server:
        server = our_c(b, "early_data=true")
        server.name = "full"
        return server

    bench.compare(
        figure,
        UNIT,
        lambda b: our_c(b, "early_data=true"),
        [Rival("quicpro_full", again, BARS[figure])],
        lambda b, s: load(
            b, s, Kind(request=True, resumed=s.name != "full", early=s.name != "full")
        ),
    )


def main() -> int:
    kinds = {
        "handshake_full": Kind(),
        "handshake_pq": Kind("X25519MLKEM768"),
        "handshake_resumed": Kind(request=True, resumed=True),
    }
    with Bench("Handshakes for each CPU-second of the server.", FIGURES) as b:
        try:
            for figure, kind in kinds.items():
                if b.wants(figure):
                    plain(b, figure, kind)
            if b.wants("handshake_0rtt"):
                early(b, "handshake_0rtt")
        except BenchError as e:
            print(f"quic_handshake.py: {e}", file=sys.stderr)
            return 1
        return b.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
