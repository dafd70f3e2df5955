"""The API's own authority and its serving certificate: made in memory, known to nobody but the API server.

The authority signs this one certificate and its key is forgotten at once, so that nobody can ever sign another.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY: Final = "sedna-metrics-api-ca"
LIFETIME: Final = timedelta(days=7)
RENEW_AFTER: Final = timedelta(days=3)
_SKEW: Final = timedelta(minutes=10)
"""Clocks of the two sides may differ."""

_Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class ServingCertificate:
    """A certificate with its key, and the authority by which others check it; all PEM. The key goes nowhere but to TLS."""

    authority: bytes
    certificate: bytes
    key: bytes
    made_at: datetime

    def __repr__(self) -> str:  # a log shall not have the key
        return f"ServingCertificate(made_at={self.made_at.isoformat()})"

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is time for another one; there are days left for it."""
        return now - self.made_at >= RENEW_AFTER or not self.is_valid(now)

    def is_valid(self, now: datetime) -> bool:
        """Tell whether callers whose clock says `now` can accept it; a clock may have been put back since it was made."""
        return self.made_at - _SKEW <= now < self.made_at + LIFETIME


def make_certificate(names: Sequence[str], now: datetime, *, lifetime: timedelta = LIFETIME) -> ServingCertificate:
    """Return a certificate for these DNS names and addresses, by an authority of its own."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _name(AUTHORITY)
    period = (now - _SKEW, now + lifetime)
    authority = (
        _builder(issuer, issuer, authority_key, period)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _builder(_name(names[0][:64]), issuer, key, period, authority_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return ServingCertificate(
        authority=authority.public_bytes(pem),
        certificate=certificate.public_bytes(pem),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        made_at=now,
    )


def still_valid(bundle: bytes, now: datetime) -> list[bytes]:
    """Return the certificates of a PEM bundle that are valid now, each as PEM; [] where it cannot be read."""
    try:
        found = x509.load_pem_x509_certificates(bundle)
    except ValueError:
        return []
    pem = serialization.Encoding.PEM
    return [one.public_bytes(pem) for one in found if one.not_valid_before_utc <= now < one.not_valid_after_utc]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _Key, period: tuple[datetime, datetime], signer: _Key | None = None
) -> x509.CertificateBuilder:
    signing = x509.AuthorityKeyIdentifier.from_issuer_public_key((signer or key).public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(period[0])
        .not_valid_after(period[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(signing, critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
