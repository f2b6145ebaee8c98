"""A real browser, Chromium without a window: it comes by TCP, learns of HTTP/3 by Alt-Svc, and goes
there by itself; then uploads, streams and many requests at once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import quicpro
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .content import pattern
from .procs import Process
from .servers import find_program

if TYPE_CHECKING:
    from .certs import Certs

pytestmark = pytest.mark.full
WAIT = 90
MANY = 200
SIZE = 3_000_000

PAGE = (
    (
        """<!doctype html><title>quicpro</title><pre id=out>working</pre><script>
const report = {steps: [], protocols: []};
const sha256 = async (data) =>
  [...new Uint8Array(await crypto.subtle.digest("SHA-256", data))]
    .map((b) => b.toString(16).padStart(2, "0")).join("");
async function main() {
  // By whatever it is on now, until it moved.
  for (let i = 0; i < 100; i++) {
    const version = await (await fetch("/version?" + i)).text();
    report.protocols.push(version);
    if (version == "3") break;
    await new Promise((done) => setTimeout(done, 50));
  }
  const data = new Uint8Array(SIZE).map((_, i) => (i * 31 + (i >> 8)) & 255);
  const sent = await fetch("/sha256", {method: "POST", body: data});
  report.upload = (await sent.text()) == await sha256(data);
  let size = 0, pieces = 0;
  const parts = [];
  for (let reader = (await fetch("/bytes")).body.getReader(); ;) {
    const {done, value} = await reader.read();
    if (done) break;
    size += value.length; pieces++; parts.push(value);
  }
  report.download = [size, pieces > 1, (await sha256(await new Blob(parts).arrayBuffer()))];
  const all = [...Array(MANY).keys()].map(async (n) => (await fetch("/version?n=" + n)).text());
  report.many = await Promise.all(all);
  report.seen = performance.getEntriesByType("resource").slice(-1)[0].nextHopProtocol;
  document.getElementById("out").textContent = JSON.stringify(report, null, 1);
}
main().catch((e) => { report.error = String(e); }).finally(() =>
  fetch("/report", {method: "POST", body: JSON.stringify(report)}));
</script>"""
    )
    .replace("SIZE", str(SIZE))
    .replace("MANY", str(MANY))
)


class Site:
    """The application, and what the browser had to say."""

    def __init__(self) -> None:
        self.report: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.versions: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.versions.append(scope["http_version"])
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        kind, answer = b"text/plain", b""
        match scope["path"]:
            case "/":
                kind, answer = b"text/html", PAGE.encode()
            case "/version":
                answer = scope["http_version"].encode()
            case "/sha256":
                answer = hashlib.sha256(body).hexdigest().encode()
            case "/report":
                self.report.set_result(json.loads(body))
        fields = [(b"content-type", kind), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        if scope["path"] == "/bytes":
            for at in range(0, SIZE, 100_000):
                piece = pattern(100_000, at)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": answer})


def spki_of(cert: Path) -> str:
    """How the browser is told which key to trust."""
    key = x509.load_pem_x509_certificate(cert.read_bytes()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def browse(url: str, cert: Path, folder: Path) -> Process:
    program = find_program("chromium", "chromium")
    return Process(
        [
            program, "--headless=new", "--disable-gpu", "--no-first-run", "--mute-audio",
            "--disable-background-networking", "--disable-component-update",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            f"--user-data-dir={folder}", f"--ignore-certificate-errors-spki-list={spki_of(cert)}",
            # Lifts the rule that QUIC is only for authorities that everybody knows, for this host.
            "--origin-to-force-quic-on=127.0.0.1:9",
            url,
        ]
    )  # fmt: skip


def test_chromium(certs: Certs, tmp_path: Path, processes: list[Process]) -> None:
    async def main() -> tuple[dict[str, Any], Site]:
        site = Site()
        server = quicpro.Server(
            site, "127.0.0.1:0", certfile=certs.cert, keyfile=certs.key, tcp=True
        )
        await server.start()
        browser = browse(f"https://127.0.0.1:{server.port}/", certs.cert, tmp_path / "profile")
        processes.append(browser)
        try:
            return await asyncio.wait_for(asyncio.shield(site.report), WAIT), site
        finally:
            browser.close()
            await server.close(0.0)

    try:
        report, site = asyncio.run(main())
    finally:
        shutil.rmtree(tmp_path / "profile", ignore_errors=True)
    assert "error" not in report, report
    assert site.versions[0] == "1.1"  # the page, by TCP
    assert report["protocols"][-1] == "3", report["protocols"]
    assert report["upload"] is True
    expected = hashlib.sha256(pattern(SIZE)).hexdigest()
    assert report["download"] == [SIZE, True, expected]
    assert report["many"] == ["3"] * MANY and report["seen"] == "h3"
