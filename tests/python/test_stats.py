"""quicpro.stats and quicpro._stats: numbers of connections and paths, from both sides."""

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest
from live import Live
from quicpro import Client, ConnectionStats, PathStats, Server, _stats
from quicpro._ffi import ffi
from quicpro.aio import AsyncClient


def members(struct: str) -> set[str]:
    return {name.removesuffix("_ns") for name, _ in ffi.typeof(struct).fields}


def test_every_number_of_the_library_is_there() -> None:
    conn = {field.name for field in fields(ConnectionStats)}
    path = {field.name for field in fields(PathStats)}
    assert members("quicpro_conn_stats") - {"size"} == conn
    assert members("quicpro_path_stats") - {"size"} == path


def test_blocking_client_and_server_agree(server: Live, certs: Path) -> None:
    url = server.url("/echo")
    with Client(cafile=certs / "ca.pem") as client:
        assert client.stats(url) is None
        with client.stream("POST", url, body=b"x" * 200_000) as response:
            assert len(response.read()) == 200_000
            stats = response.stats
        assert stats is not None and stats.bytes_out > 200_000 and stats.bytes_in > 200_000
        assert 0 < stats.min_rtt <= stats.rtt < 60 and stats.cwnd_bytes > 0
        assert stats.in_flight > 0 and stats.send_count_wrong is False
        later = client.stats(url)
        assert later is not None and later.packets_in >= stats.packets_in
        (theirs,) = server.call(server.server.stats)
        path = theirs.path
        assert stats.path is not None and path is not None
        assert (path.local, path.peer) == (stats.path.peer, stats.path.local)
        assert path.local == f"127.0.0.1:{server.port}"
        assert path.state == stats.path.state == "validated" and path.active is True
        assert path.bytes_in == theirs.bytes_in > 200_000
        assert 0 < path.min_rtt <= path.max_rtt < 60
        with pytest.raises(FrozenInstanceError):
            path.rtt = 1.0
    assert client.stats(url) is None


def test_asyncio_client(server: Live, certs: Path) -> None:
    url = server.url("/echo")

    async def main() -> None:
        async with AsyncClient(cafile=certs / "ca.pem") as client:
            assert client.stats(url) is None
            async with client.stream("POST", url, body=b"y" * 5000) as response:
                assert await response.aread() == b"y" * 5000
                inside = response.stats
            outside = client.stats(url)
            assert inside is not None and outside is not None
            assert outside.bytes_in >= inside.bytes_in > 5000
            assert [p.active for p in outside.paths] == [True]
            with pytest.raises(ValueError):
                client.stats("http://localhost/")
        assert client.stats(url) is None

    server.run(main())


def test_nothing_of_a_connection_that_ended(server: Live, certs: Path) -> None:
    with Client(cafile=certs / "ca.pem") as client:
        client.get(server.url("/"))
        with client._engine as loop:
            assert _stats.of(loop, 12345) is None
            assert _stats.paths(loop, 12345) == ()


def test_no_path_in_use() -> None:
    values = {field.name: 0 for field in fields(ConnectionStats)}
    assert ConnectionStats(**values | {"paths": ()}).path is None


def test_metrics_as_prometheus_reads_them(server: Live, certs: Path) -> None:
    parser = pytest.importorskip("prometheus_client.parser")

    def read(text: str) -> dict[tuple[str, str], float]:
        found = {}
        for family in parser.text_string_to_metric_families(text):
            assert family.documentation and family.type in ("counter", "gauge", "histogram")
            for sample in family.samples:
                its = {k: v for k, v in sample.labels.items() if k != "worker"}
                assert sample.labels.get("worker") == 'a\\b"c\n'
                key = sample.name, ",".join(its.values())
                assert key not in found
                found[key] = sample.value
        return found

    def metrics() -> dict[tuple[str, str], float]:
        return read(server.call(lambda: server.server.metrics(worker='a\\b"c\n')))

    before = metrics()
    with Client(cafile=certs / "ca.pem") as client:
        assert client.get(server.url("/")).status == 200
        assert client.get(server.url("/none")).status in (200, 404)
        during = metrics()
    assert before.keys() == during.keys()
    grown = {key: during[key] - before[key] for key in during}
    assert grown["quicpro_connections", ""] == 1
    assert grown["quicpro_connections_total", ""] == 1
    assert grown["quicpro_handshakes_total", "full"] == 1
    assert grown["quicpro_handshake_seconds_count", ""] == 1
    assert grown["quicpro_handshake_seconds_bucket", "+Inf"] == 1
    assert grown["quicpro_streams_total", ""] == 2
    assert sum(v for (name, _), v in grown.items() if name == "quicpro_http_responses_total") == 2
    assert grown["quicpro_udp_bytes_total", "in"] > 1200


def test_metrics_without_a_server() -> None:
    text = Server(None).metrics()  # type: ignore[arg-type]
    assert text.startswith("# HELP quicpro_connections ") and "\nquicpro_" not in text


@pytest.mark.parametrize("name", ["", "1a", "a-b", "__name__", "ä"])
def test_labels_that_cannot_be(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a label"):
        _stats.metrics(None, {name: "x"})
