"""quicpro.devcert."""

import base64
import hashlib
import ssl
import stat
from pathlib import Path

import pytest
from quicpro.devcert import DEFAULT_NAMES, make_devcert, write_devcert

x509 = pytest.importorskip("cryptography.x509")


def test_make() -> None:
    made = make_devcert(["localhost", "*.local.test", "127.0.0.1", "::1"], days=7)
    leaf, *chain = x509.load_pem_x509_certificates(made.cert)
    ca = x509.load_pem_x509_certificate(made.ca)
    leaf.verify_directly_issued_by(ca)
    assert all(c.subject == ca.subject for c in chain)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "*.local.test"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    valid = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert 7 <= valid.total_seconds() / 86400 < 7.1
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    spki = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert base64.b64decode(made.spki_sha256) == hashlib.sha256(spki).digest()


def test_every_authority_is_another() -> None:
    assert make_devcert().ca != make_devcert().ca


@pytest.mark.parametrize(
    "names,days",
    [([], 90), ([""], 90), (["a" * 300], 90), (["h"], 0), (["h"], 398)],
)
def test_refuses(names: list[str], days: int) -> None:
    with pytest.raises(ValueError, match="cannot make a certificate"):
        make_devcert(names, days)


def test_a_nul_in_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        make_devcert(["localhost\0.elsewhere.test"])


def test_write(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    made = write_devcert(folder)
    for name, data in (("ca.pem", made.ca), ("cert.pem", made.cert), ("key.pem", made.key)):
        file = folder / name
        assert file.read_bytes() == data
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    assert "localhost" in DEFAULT_NAMES


def test_write_does_not_replace(tmp_path: Path) -> None:
    first = write_devcert(tmp_path)
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(FileExistsError) as caught:
        write_devcert(tmp_path)
    assert caught.value.filename == str(tmp_path / "cert.pem")
    assert not (tmp_path / "ca.pem").exists()
    assert (tmp_path / "key.pem").read_bytes() == first.key
    (tmp_path / "key.pem").chmod(0o644)
    second = write_devcert(tmp_path, force=True)
    assert (tmp_path / "key.pem").read_bytes() == second.key != first.key
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


def test_write_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(OSError):
        write_devcert(tmp_path / "f")
