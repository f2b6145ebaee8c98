"""Certificates of both sides, judged by others: chosen by name, asked for, refused."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import quicpro

from .content import HELLO
from .servers import Running, aioquic_peer, judge

Start = Callable[..., Running]


def curl(
    running: Running,
    path: str,
    *,
    host: str = "localhost",
    cert: Path | None = None,
    staple: bool = False,
) -> Any:
    """The body that curl gets; None if it does not."""
    pycurl = judge("pycurl", "pycurl")
    c, out = pycurl.Curl(), io.BytesIO()
    c.setopt(pycurl.URL, f"https://{host}:{running.port}{path}")
    c.setopt(pycurl.RESOLVE, [f"{host}:{running.port}:127.0.0.1"])
    c.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_3ONLY)
    c.setopt(pycurl.CAINFO, str(running.certs.ca))
    c.setopt(pycurl.TIMEOUT, 20)
    c.setopt(pycurl.NOPROXY, "*")
    c.setopt(pycurl.WRITEDATA, out)
    c.setopt(pycurl.SSL_VERIFYSTATUS, staple)
    if cert is not None:
        c.setopt(pycurl.SSLCERT, str(cert))
        c.setopt(pycurl.SSLKEY, str(running.certs.key))
    try:
        c.perform()
    except pycurl.error:
        return None
    finally:
        c.close()
    return out.getvalue()


def aioquic(
    running: Running, path: str, *, host: str = "localhost", cert: Path | None = None
) -> Any:
    """The same for aioquic."""
    peer = aioquic_peer()
    pair = None if cert is None else (str(cert), str(running.certs.key))

    async def run() -> bytes:
        async with peer.client(running.port, str(running.certs.ca), name=host, cert=pair) as client:
            answer = await asyncio.wait_for(client.request("GET", path), 20)
        body: bytes = answer.body
        return body

    try:
        return asyncio.run(run())
    except (ConnectionError, peer.Terminated):
        return None


CLIENTS = {"pycurl": curl, "aioquic": aioquic}


@pytest.mark.parametrize("client", CLIENTS)
def test_our_server_asks_for_a_certificate(client: str, start: Start, certs: Any) -> None:
    get = CLIENTS[client]
    running = start("quicpro-serve", ours={"client_auth": "required", "ca_file": certs.ca})
    said = json.loads(get(running, "/tls", cert=certs.client))
    assert said["client_cert_name"] == "CN=interop client"
    assert len(said["client_cert_chain"]) >= 1
    assert get(running, "/tls", cert=None) is None
    assert get(running, "/tls", cert=certs.other_client) is None
    assert json.loads(get(running, "/tls", cert=certs.client)) == said  # the server goes on


@pytest.mark.parametrize("client", CLIENTS)
def test_our_server_shows_each_name_its_certificate(client: str, start: Start, certs: Any) -> None:
    get = CLIENTS[client]
    running = start("quicpro-serve", cert_for=[("elsewhere.invalid", certs.elsewhere)])
    assert get(running, "/tls", host="localhost") is not None
    assert get(running, "/tls", host="elsewhere.invalid") is not None
    assert get(running, "/tls", host="nowhere.invalid") is None  # the main one, of another name


@pytest.mark.parametrize("name", ["", "staple", "by_sha256", "delegated", "other_staple"])
def test_a_staple_that_is_required(name: str, start: Start, certs: Any) -> None:
    """Responses made by cryptography, stapled by our server, judged by curl (OpenSSL) and by us."""
    ours = {"ocsp_file": getattr(certs, name)} if name else {}
    running = start("h3_server", cert="chained", ours=ours)
    good = name in ("staple", "by_sha256", "delegated")
    if name != "by_sha256":  # OpenSSL looks for SHA-1 only
        assert (curl(running, "/", staple=True) == HELLO) == good
    assert curl(running, "/", staple=False) == HELLO
    config = quicpro.Config(ocsp_require=True)
    with quicpro.Client(cafile=certs.ca, config=config, timeout=20) as client:
        if good:
            assert client.get(running.url()).content == HELLO
            return
        why = "is not signed by who may" if name else "it came without an OCSP staple"
        with pytest.raises(quicpro.VerificationError, match=why):
            client.get(running.url())
