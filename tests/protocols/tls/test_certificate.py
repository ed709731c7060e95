"""The names in certificates, and that no certificate stops anything."""

from __future__ import annotations

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from inspector.protocols.tls.certificate import MAX_NAMES, certificate_names

KEY = ec.generate_private_key(ec.SECP256R1())
BEGIN = datetime.datetime(2020, 1, 1)


def certificate(common: str | None, names: list[x509.GeneralName]) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])
    builder = x509.CertificateBuilder(subject, subject, KEY.public_key(), 1, BEGIN).not_valid_after(BEGIN)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_alternative_names_go_before_the_common_name() -> None:
    names: list[x509.GeneralName] = [x509.DNSName("a.test"), x509.DNSName("*.b.test")]
    names.append(x509.IPAddress(ipaddress.ip_address("10.0.0.1")))
    assert certificate_names(certificate("c.test", names)) == ("a.test", "*.b.test", "10.0.0.1")
    assert certificate_names(certificate("c.test", [])) == ("c.test",)
    assert certificate_names(certificate(None, [])) == ()


def test_there_may_be_many() -> None:
    names: list[x509.GeneralName] = [x509.DNSName(f"{number}.test") for number in range(MAX_NAMES + 50)]
    assert len(certificate_names(certificate(None, names))) == MAX_NAMES


@given(st.integers(0, 300), st.integers(0, 255))
def test_damaged_ones_tell_what_can_be_read(at: int, value: int) -> None:
    der = bytearray(certificate("c.test", [x509.DNSName("a.test")]))
    der[at % len(der)] = value
    assert isinstance(certificate_names(bytes(der)), tuple)


@given(st.binary(max_size=100))
def test_anything(der: bytes) -> None:
    assert certificate_names(der) == ()
