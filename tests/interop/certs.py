"""Certificates made for one test run."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .tun import SERVER_IP4, SERVER_IP6

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certs:
    """Paths of PEM files."""

    ca: Path  # the authority that signed all certificates here
    other_ca: Path  # one that signed none of them
    cert: Path  # for localhost, 127.0.0.1, ::1 and the server's end of tun.py's links
    expired: Path  # the same, ended yesterday
    elsewhere: Path  # for elsewhere.invalid only
    large: Path  # as cert, with names for some 8 KB: more than fits before an address is validated
    client: Path  # for clients: CN=interop client
    other_client: Path  # the same, signed by the other authority
    key: Path  # of all six leaves


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _authority(text: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    cert = (
        x509.CertificateBuilder()
        .subject_name(_name(text))
        .issuer_name(_name(text))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + 7 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return cert, key


def make(folder: Path) -> Certs:
    """Make all certificates in a folder that exists."""
    ca, ca_key = _authority("interop test authority")
    other_ca, other_ca_key = _authority("another authority")
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    here: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
        x509.IPAddress(ipaddress.ip_address(SERVER_IP4)),
        x509.IPAddress(ipaddress.ip_address(SERVER_IP6)),
    ]

    def leaf(names: list[x509.GeneralName], end: datetime.datetime) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(_name("interop test"))
            .issuer_name(ca.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * DAY)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()),
                critical=False,
            )
            .sign(ca_key, hashes.SHA256())
        )

    def client(
        issuer: x509.Certificate, issuer_key: ec.EllipticCurvePrivateKey
    ) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(_name("interop client"))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )

    files = {
        "client": client(ca, ca_key),
        "other_client": client(other_ca, other_ca_key),
        "ca": ca,
        "other_ca": other_ca,
        "cert": leaf(here, now + 5 * DAY),
        "expired": leaf(here, now - DAY),
        "elsewhere": leaf([x509.DNSName("elsewhere.invalid")], now + 5 * DAY),
        "large": leaf(here + [x509.DNSName(f"{n:0>60}.invalid") for n in range(110)], now + DAY),
    }
    for name, cert in files.items():
        (folder / f"{name}.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    key_path = folder / "key.pem"
    key_path.touch(mode=0o600)
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Certs(**{name: folder / f"{name}.pem" for name in files}, key=key_path)
