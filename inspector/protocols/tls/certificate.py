"""The names in a server's certificate (RFC 5280 sections 4.1.2.6 and 4.2.1.6), read by the cryptography library.

It is imported only when there is a certificate to read. Servers send the same one again and again, so it is read once.
"""

from __future__ import annotations

from functools import lru_cache

#: Certificates whose names are remembered, about 2 KiB each.
_REMEMBERED = 128
#: Names that are kept of a certificate: shared ones have hundreds.
MAX_NAMES = 100


@lru_cache(maxsize=_REMEMBERED)
def certificate_names(der: bytes) -> tuple[str, ...]:
    """Subject alternative names (DNS names and addresses), else the common name; none where it cannot be read."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        certificate = x509.load_der_x509_certificate(der)
    except Exception:  # whatever the library thinks of a certificate, that is no reason to stop
        return ()
    names: list[str] = []
    try:
        entries = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names += entries.get_values_for_type(x509.DNSName)
        names += map(str, entries.get_values_for_type(x509.IPAddress))
    except Exception:  # no such extension, or one that cannot be read
        names.clear()
    try:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(names[:MAX_NAMES] or [str(attribute.value) for attribute in common[:1]])
    except Exception:
        return tuple(names[:MAX_NAMES])
