"""Certificates made for one test run."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .tun import SERVER_IP4, SERVER_IP6

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certs:
    """Paths of PEM files."""

    ca: Path  # the authority that signed all certificates here
    other_ca: Path  # one that signed none of them
    cert: Path  # for localhost, 127.0.0.1, ::1 and the server's end of tun.py's links
    chained: Path  # the same, its authority behind it: OpenSSL finds signers of staples only there
    expired: Path  # as cert, ended yesterday
    elsewhere: Path  # for elsewhere.invalid only
    large: Path  # as cert, with names for some 8 KB: more than fits before an address is validated
    client: Path  # for clients: CN=interop client
    other_client: Path  # the same, signed by the other authority
    key: Path  # of all six leaves
    staple: Path  # an OCSP response in DER: cert is good, says ca
    by_sha256: Path  # the same, the certificate named by another hash than SHA-1
    delegated: Path  # the same of a responder that ca lets say so
    other_staple: Path  # the same, said by the other authority


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

    def responder() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        own_key = ec.generate_private_key(ec.SECP384R1())
        cert = (
            x509.CertificateBuilder()
            .subject_name(_name("interop responder"))
            .issuer_name(ca.subject)
            .public_key(own_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False
            )
            .sign(ca_key, hashes.SHA256())
        )
        return cert, own_key

    def staple(
        about: x509.Certificate,
        by: x509.Certificate,
        by_key: ec.EllipticCurvePrivateKey,
        algorithm: hashes.HashAlgorithm,
    ) -> bytes:
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=about,
                issuer=ca,
                algorithm=algorithm,
                cert_status=ocsp.OCSPCertStatus.GOOD,
                this_update=now,
                next_update=now + DAY,
                revocation_time=None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, by)
        )
        if by not in (ca, other_ca):
            response = response.certificates([by])
        return response.sign(by_key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

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
    staples = {
        "staple": staple(files["cert"], ca, ca_key, hashes.SHA1()),
        "by_sha256": staple(files["cert"], ca, ca_key, hashes.SHA256()),
        "delegated": staple(files["cert"], *responder(), hashes.SHA1()),
        "other_staple": staple(files["cert"], other_ca, other_ca_key, hashes.SHA1()),
    }
    for name, response in staples.items():
        (folder / f"{name}.der").write_bytes(response)
    for name, cert in files.items():
        (folder / f"{name}.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    chained = folder / "chained.pem"
    chained.write_bytes(b"".join((folder / f"{n}.pem").read_bytes() for n in ("cert", "ca")))
    key_path = folder / "key.pem"
    key_path.touch(mode=0o600)
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Certs(
        **{name: folder / f"{name}.pem" for name in files},
        **{name: folder / f"{name}.der" for name in staples},
        chained=chained,
        key=key_path,
    )
