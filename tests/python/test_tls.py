"""quicpro._tls and the options of TLS: what each side learns of the other, and what it refuses."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from authority import Authority, Identity
from cryptography import x509
from live import WAIT, Live, Starter
from quicpro import Client, Config, errors
from quicpro.aio import AsyncClient


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority()


@pytest.fixture
def folder(root: Authority, tmp_path: Path) -> Path:
    """ca.pem, and cert.pem and key.pem of a server on loopback."""
    leaf = root.issue("server", "localhost", "127.0.0.1")
    (tmp_path / "ca.pem").write_bytes(root.pem)
    (tmp_path / "cert.pem").write_bytes(leaf.pem)
    (tmp_path / "key.pem").write_bytes(leaf.key_pem())
    return tmp_path


@pytest.fixture
def demanding(start: Starter, folder: Path) -> Live:
    """A server that wants certificates of its clients."""
    config = Config(client_auth="required", ca_file=folder / "ca.pem")
    return start(certs=folder, config=config)


def trusting(folder: Path, identity: Identity | None = None, **options: object) -> Config:
    """A client's configuration."""
    if identity is not None:
        options |= {"cert_data": identity.pem, "key_data": identity.key_pem()}
    return Config(ca_file=folder / "ca.pem", **options)


def test_both_sides_know_each_other(demanding: Live, folder: Path, root: Authority) -> None:
    alice = root.issue("alice", client=True)
    with (
        Client(config=trusting(folder, alice)) as client,
        client.stream("GET", demanding.url("/scope")) as response,
    ):
        chain = response.peer_certificates
        scope = json.loads(response.read())
    assert [c for c in chain if b"server" in c] == list(chain) and len(chain) == 1
    assert scope["extensions"]["tls"] == {
        "server_cert": None,
        "client_cert_chain": [alice.pem.decode()],
        "client_cert_name": "CN=alice",
        "client_cert_error": None,
        "tls_version": 0x0304,
        "cipher_suite": scope["extensions"]["tls"]["cipher_suite"],
    }
    assert scope["extensions"]["tls"]["cipher_suite"] in (0x1301, 0x1302, 0x1303)


def test_asyncio_client_sees_the_chain(server: Live, certs: Path) -> None:
    async def main() -> tuple[bytes, ...]:
        async with (
            AsyncClient(cafile=certs / "ca.pem") as client,
            client.stream("GET", server.url("/scope")) as response,
        ):
            chain = response.peer_certificates
            scope = json.loads(await response.aread())
        assert scope["extensions"] == {}  # nobody was asked
        return chain

    assert len(server.run(main())) == 2  # devcert sends its authority along


def refusals(root: Authority) -> Iterator[tuple[Identity | None, str]]:
    yield None, "certificate_required"
    yield root.issue("late", client=True, days=-3), "certificate_expired"
    yield root.issue("server"), "unsupported_certificate"
    yield Authority().issue("stranger", client=True), "unknown_ca|decrypt_error"


def test_clients_that_are_refused(demanding: Live, folder: Path, root: Authority) -> None:
    for identity, says in refusals(root):
        with Client(config=trusting(folder, identity)) as client:
            with pytest.raises(errors.TLSError, match=says) as caught:
                client.get(demanding.url())
            assert caught.value.remote


def test_optional_clients_may_have_none(start: Starter, folder: Path, root: Authority) -> None:
    live = start(certs=folder, config=Config(client_auth="optional", ca_file=folder / "ca.pem"))
    for identity, name in ((None, None), (root.issue("bob", client=True), "CN=bob")):
        with Client(config=trusting(folder, identity)) as client:
            scope = client.get(live.url("/scope")).json()
        assert scope["extensions"]["tls"]["client_cert_name"] == name
        assert bool(scope["extensions"]["tls"]["client_cert_chain"]) == (name is not None)


@pytest.mark.parametrize(
    "names,days,says",
    [
        (("127.0.0.1",), -3.01, r"certificate expired 3 days ago, on .* GMT"),
        (("a.test", "b.test"), 30, r"address '127.0.0.1' does not match 'a.test', 'b.test'"),
    ],
)
def test_errors_name_the_reason(
    start: Starter,
    folder: Path,
    root: Authority,
    names: tuple[str, ...],
    days: float,
    says: str,
) -> None:
    leaf = root.issue("server", *names, days=days)
    (folder / "cert.pem").write_bytes(leaf.pem)
    (folder / "key.pem").write_bytes(leaf.key_pem())
    live = start(certs=folder)
    with (
        Client(config=trusting(folder)) as client,
        pytest.raises(errors.VerificationError, match=says),
    ):
        client.get(live.url())


def test_an_unknown_authority_is_named(server: Live) -> None:
    with (
        Client(config=Config(ca_data=Authority("somebody").pem)) as client,
        pytest.raises(
            errors.VerificationError,
            match="issued by unknown authority 'CN=quicpro development CA,O=quicpro development'",
        ),
    ):
        client.get(server.url())


def test_a_pin_is_checked_and_shown(server: Live, certs: Path) -> None:
    wrong = "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    with (
        Client(cafile=certs / "ca.pem", config=Config(pins=[wrong])) as client,
        pytest.raises(errors.VerificationError, match="its key is not pinned") as caught,
    ):
        client.get(server.url())
    seen = str(caught.value).rpartition(" ")[2]
    with Client(verify=False, config=Config(pins=[seen])) as client:
        assert client.get(server.url()).content == b"hello"


def test_a_key_may_be_encrypted(start: Starter, folder: Path, root: Authority) -> None:
    leaf = root.issue("server", "127.0.0.1")
    (folder / "cert.pem").write_bytes(leaf.pem)
    (folder / "key.pem").write_bytes(leaf.key_pem(b"secret"))
    for passphrase, says in (("", "is encrypted: set key_passphrase"), ("x", "key_passphrase is")):
        with pytest.raises(errors.CertificateError, match=says):
            start(certs=folder, config=Config(key_passphrase=passphrase))
    live = start(certs=folder, config=Config(key_passphrase="secret"))
    with Client(config=trusting(folder)) as client:
        assert client.get(live.url()).content == b"hello"


def shown(live: Live) -> str:
    """The common name of what a server shows to who asks for localhost."""
    with Client(verify=False) as client:
        with client.stream("GET", live.url(host="localhost")) as response:
            response.read()
            return common_name(response.peer_certificates[0])


def common_name(der: bytes) -> str:
    name = x509.load_der_x509_certificate(der).subject.rfc4514_string()
    return name.partition("CN=")[2].partition(",")[0]


def test_certificates_for_names(
    start: Starter, folder: Path, root: Authority, tmp_path: Path
) -> None:
    pair = root.issue("by name", "localhost").write(tmp_path, "name")
    live = start(certs=folder, names={"LOCALHOST": pair})
    assert shown(live) == "by name"
    with (
        Client(verify=False) as client,
        client.stream("GET", live.url()) as response,  # an address asks for no name
    ):
        assert common_name(response.peer_certificates[0]) == "server"
        response.read()
    other = root.issue("other", "localhost").write(tmp_path, "other")
    live.call(lambda: live.server.add_certificate("localhost", *other))
    assert shown(live) == "other"
    for host, says in (("127.0.0.1", "is an address"), ("*", "a star"), ("bücher.test", "xn--")):
        with pytest.raises(errors.InvalidValue, match=says):
            live.call(lambda host=host: live.server.add_certificate(host, *other))
    with pytest.raises(errors.CertificateError, match="is not the key of"):
        live.call(lambda: live.server.add_certificate("localhost", other[0], pair[1]))
    assert shown(live) == "other"


def test_a_bad_certificate_for_a_name_stops_the_start(start: Starter, tmp_path: Path) -> None:
    with pytest.raises(errors.CertificateError, match="cannot read"):
        start(names={"localhost": (tmp_path / "no.pem", tmp_path / "no.key")})


def test_reload(start: Starter, folder: Path, root: Authority) -> None:
    live = start(certs=folder)
    new = root.issue("new", "localhost", "127.0.0.1")
    with Client(config=trusting(folder)) as client:  # stays connected
        assert client.get(live.url(host="127.0.0.1")).content == b"hello"
        (folder / "cert.pem").write_bytes(new.pem)
        with pytest.raises(errors.CertificateError, match="is not the key of"):
            live.call(live.server.reload_tls)
        assert shown(live) == "server"
        (folder / "key.pem").write_bytes(new.key_pem())
        live.call(live.server.reload_tls)
        assert shown(live) == "new"
        with client.stream("GET", live.url()) as response:
            response.read()
            assert common_name(response.peer_certificates[0]) == "server"
    live.close()
    with pytest.raises(RuntimeError, match="does not run"):
        live.server.reload_tls()


def test_files_are_watched(
    start: Starter, folder: Path, root: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "quicpro")
    live = start(certs=folder, config=Config(tls_watch=0.01))
    new = root.issue("new", "localhost")
    (folder / "new.pem").write_bytes(new.pem)
    (folder / "new.pem").replace(folder / "cert.pem")

    def wait_for(text: str) -> None:
        end = time.monotonic() + WAIT
        while not any(text in r.getMessage() for r in caplog.records):
            assert time.monotonic() < end, caplog.text
            shown(live)  # every handshake is a chance for the loop, too

    wait_for("certificates were not reloaded, the old ones stay: key_file")
    assert shown(live) == "server"
    (folder / "new.key").write_bytes(new.key_pem())
    (folder / "new.key").replace(folder / "key.pem")
    wait_for("certificates were reloaded")
    assert shown(live) == "new"


def test_options_of_bytes_are_frozen(server: Live) -> None:
    with pytest.raises(errors.ConfigFrozen, match="key_data"):
        server.call(lambda: server.server.set_options(key_data=b"x"))


def test_chacha20_alone(start: Starter, certs: Path) -> None:
    live = start(config=Config(ciphers=["CHACHA20_POLY1305_SHA256"]))
    with (
        Client(cafile=certs / "ca.pem") as client,
        client.stream("GET", live.url()) as response,
    ):
        assert response.connection is not None
        assert response.connection.cipher == "CHACHA20_POLY1305_SHA256"
        response.read()
