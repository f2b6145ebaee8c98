#!/usr/bin/env python3
"""Goodput of one connection: gigabits for each CPU-second of the sender, ours and others.

    benchmarks/quic_bulk.py [--quick | --smoke] [--check] [--json FILE] [FIGURE...]

A C server sends one body over one connection to a client on another core; the senders take turns
within a round. What counts is the sender's CPU time. All send UDP payloads of 1,452 bytes, what an
MTU of 1,500 leaves for IPv6, and make their bytes in memory; the length of each body is checked,
and once before the first round each byte of ours.

bulk_lo        over loopback, received by our client
bulk_lo_gtls   received by ngtcp2's gtlsclient
bulk_mtu1500   the same two in a namespace whose loopback has an MTU of 1,500 ...
bulk_veth      ... and over a wire between two namespaces; nginx beside them where it is
bulk_bound     wall goodput of our client and server against benchmarks/qbound, which does nothing
               but AES-GCM and UDP; a ratio of 0.6 is good

tools/bench_peers fetches the peers. Namespaces need root.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

from _bench import Bench, BenchError, Figure, Rival, Skipped, which
from _place import HERE, NoPlace, Place, loopback, veth
from _process import Server, cpu_seconds, free_port
from _servers import gtlsclient, ngtcp2, our_c

FIGURES = (
    "bulk_lo", "bulk_lo_gtls", "bulk_mtu1500", "bulk_mtu1500_gtls", "bulk_veth", "bulk_veth_gtls",
    "bulk_bound",
)  # fmt: skip
BAR = 1.1  # times ngtcp2; the goal is 1.35
PAYLOAD = 1452  # bytes of UDP
GBIT = 1e9 / 8  # bytes

Load = Callable[[Bench, Server], float]


def size(bench: Bench) -> int:
    """Bytes of one body."""
    return 4_000_000 if bench.smoke else 400_000_000 if bench.options.quick else 1_000_000_000


# --- senders --------------------------------------------------------------------------------------


def ours(bench: Bench, place: Place = HERE) -> Server:
    path = f"/bytes/{size(bench)}"
    return our_c(bench, f"max_udp_payload_bytes={PAYLOAD}", path=path, place=place)


def gtlsserver(bench: Bench, place: Place = HERE) -> Server:
    options = (f"--max-udp-payload-size={PAYLOAD}", f"--max-dyn-length={size(bench)}")
    return ngtcp2(bench, *options, path=f"/{size(bench)}", place=place)


def nginx(bench: Bench, place: Place) -> Server:
    program = which("nginx")
    if program is None:
        raise Skipped("nginx is not installed")
    said = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=10, check=False)
    if "http_v3_module" not in said.stderr:
        raise Skipped(f"{said.stderr.splitlines()[0]} has no HTTP/3")
    cert, key = bench.certificates()
    port = free_port()
    home = bench.folder / "nginx"
    (home / "logs").mkdir(parents=True, exist_ok=True)
    with (home / "body").open("wb") as body:
        body.truncate(size(bench))
    (home / "conf").write_text(
        f"daemon off; master_process off; pid {home}/pid; error_log {home}/error;\n"
        "events {}\n"
        f"http {{ access_log off; client_body_temp_path {home}; proxy_temp_path {home};\n"
        f"fastcgi_temp_path {home}; uwsgi_temp_path {home}; scgi_temp_path {home};\n"
        f"server {{ listen {place.host}:{port} quic; quic_gso on; root {home};\n"
        f"ssl_certificate {cert}; ssl_certificate_key {key}; }} }}\n",
        encoding="utf-8",
    )
    args = [program, "-p", home, "-c", home / "conf"]
    return bench.start("nginx", args, port=port, path="/body", place=place)


# --- receivers ------------------------------------------------------------------------------------


def by_loadgen(bench: Bench, server: Server, place: Place, *more: str) -> dict[str, float]:
    """One body; what loadgen has to say of it."""
    args = [bench.program("tools/loadgen"), "--insecure", "--connections", 1, "--streams", 1]
    args += ["--requests", 1, "--expect-length", size(bench), "--path", server.path, *more]
    done = bench.client([*args, server.address], timeout=120, place=place)
    if done.returncode != 0:
        raise BenchError(f"loadgen from {server.name}: {done.stderr.strip()[-300:]}")
    said: dict[str, float] = json.loads(done.stdout)
    if said["bytes"] != size(bench):
        raise BenchError(f"loadgen from {server.name}: {said['bytes']} bytes of {size(bench)}")
    return said


def loadgen(place: Place) -> Load:
    checked = set()

    def load(bench: Bench, server: Server) -> float:
        if server.name == "h3_server" and server.port not in checked:
            by_loadgen(bench, server, place, "--pattern")
            checked.add(server.port)
        before = cpu_seconds(server.process.pid)
        by_loadgen(bench, server, place)
        return size(bench) / GBIT / (cpu_seconds(server.process.pid) - before)

    return load


def gtls(place: Place) -> Load:
    """gtlsclient says nothing of what it got, so once it keeps it, and the length is looked at."""
    program, env = gtlsclient()
    checked = set()

    def run(bench: Bench, server: Server, *more: str) -> None:
        args = [program, "-q", "--exit-on-all-streams-close", "--timeout=5s", *more, server.host]
        url = f"https://localhost:{server.port}{server.path}"
        done = bench.client([*args, server.port, url], timeout=120, env=env, place=place)
        if done.returncode != 0 or "ERR_" in done.stderr.replace("ERR_DRAINING", ""):
            raise BenchError(f"gtlsclient from {server.name}: {done.stderr.strip()[-300:]}")

    def load(bench: Bench, server: Server) -> float:
        if server.port not in checked:
            folder = bench.folder / f"got.{server.port}"
            folder.mkdir(exist_ok=True)
            run(bench, server, f"--download={folder}")
            got = [path.stat().st_size for path in folder.iterdir()]
            for path in folder.iterdir():
                path.unlink()
            if got != [size(bench)]:
                raise BenchError(f"gtlsclient from {server.name}: {got} bytes of {size(bench)}")
            checked.add(server.port)
        before = cpu_seconds(server.process.pid)
        run(bench, server)
        return size(bench) / GBIT / (cpu_seconds(server.process.pid) - before)

    return load


# --- figures --------------------------------------------------------------------------------------


def both_receivers(bench: Bench, figure: str, server_at: Place, client_at: Place) -> None:
    rivals = [Rival("ngtcp2", lambda b: gtlsserver(b, server_at), BAR)]
    if figure == "bulk_veth":
        rivals.append(Rival("nginx", lambda b: nginx(b, server_at)))
    for name, make in ((figure, loadgen), (f"{figure}_gtls", gtls)):
        if not bench.wants(name) or (bench.smoke and name != "bulk_lo"):
            continue
        try:
            load = make(client_at)
        except Skipped as e:
            bench.skip(f"{name}: {e}")
            continue
        bench.compare(name, "Gbit/cpu-s", lambda b: ours(b, server_at), rivals, load)


def in_namespaces(bench: Bench, figure: str) -> None:
    if bench.smoke or not (bench.wants(figure) or bench.wants(f"{figure}_gtls")):
        return
    try:
        places = veth() if figure == "bulk_veth" else (loopback(1500),)
    except NoPlace as e:
        bench.skip(f"{figure}: {e}")
        return
    try:
        both_receivers(bench, figure, places[0], places[-1])
    finally:
        for place in places:
            place.close()


def bound(bench: Bench) -> None:
    """Wall clock, since both sides count; each has a core of its own."""
    if not bench.wants("bulk_bound"):
        return
    print("bulk_bound: Gbit a second", flush=True)
    cores = f"{bench.server_core},{bench.client_core}"
    command = [bench.program("benchmarks/qbound"), "--size", PAYLOAD, "--cores", cores]
    values: list[float] = []
    bounds: list[float] = []
    server = ours(bench)
    try:
        for n in range(bench.rounds):
            said = by_loadgen(bench, server, HERE)
            values.append(size(bench) / GBIT / said["wall_seconds"])
            done = bench.client([*command, "--seconds", min(1.0, bench.seconds)], timeout=60)
            if done.returncode != 0:
                raise BenchError(f"qbound: {(done.stderr or done.stdout).strip()}")
            bounds.append(json.loads(done.stdout)["gbit_per_second"])
            print(f"  round {n + 1}: {values[-1]:.2f}, bound {bounds[-1]:.2f}", flush=True)
    finally:
        server.stop()
    bench.add(Figure("bulk_bound", "Gbit/s", values, "qbound", bounds))


def main() -> int:
    with Bench("Goodput of one connection for each CPU-second of its sender.", FIGURES) as b:
        try:
            both_receivers(b, "bulk_lo", HERE, HERE)
            in_namespaces(b, "bulk_mtu1500")
            in_namespaces(b, "bulk_veth")
            bound(b)
        except BenchError as e:
            print(f"quic_bulk.py: {e}", file=sys.stderr)
            return 1
        return b.finish()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
