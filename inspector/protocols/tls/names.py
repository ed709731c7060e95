"""Words for TLS's numbers: versions and alerts (RFC 8446 section 6, and the registry "TLS Alerts" of IANA)."""

from __future__ import annotations

SSL_3_0, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = range(0x0300, 0x0305)

_VERSIONS = {0x0002: "SSL 2.0", SSL_3_0: "SSL 3.0", TLS_1_0: "TLS 1.0", TLS_1_1: "TLS 1.1", TLS_1_2: "TLS 1.2"}
#: High bytes under which drafts of TLS 1.3 were spoken: the IETF's (draft-ietf-tls-tls13 section 4.2.1.1), Facebook's.
_DRAFTS = (0x7F, 0xFB)

#: By number.
ALERTS = {
    int(number): name
    for number, name in (
        entry.split()
        for entry in """
0 close_notify
10 unexpected_message
20 bad_record_mac
21 decryption_failed
22 record_overflow
30 decompression_failure
40 handshake_failure
41 no_certificate
42 bad_certificate
43 unsupported_certificate
44 certificate_revoked
45 certificate_expired
46 certificate_unknown
47 illegal_parameter
48 unknown_ca
49 access_denied
50 decode_error
51 decrypt_error
52 too_many_cids_requested
60 export_restriction
70 protocol_version
71 insufficient_security
80 internal_error
86 inappropriate_fallback
90 user_canceled
100 no_renegotiation
109 missing_extension
110 unsupported_extension
111 certificate_unobtainable
112 unrecognized_name
113 bad_certificate_status_response
114 bad_certificate_hash_value
115 unknown_psk_identity
116 certificate_required
120 no_application_protocol
121 ech_required
""".splitlines()
        if entry
    )
}
ALERT_LEVELS = {1: "warning", 2: "fatal"}


def is_tls_1_3(version: int) -> bool:
    """Whether a version, as supported_versions names it, is TLS 1.3 or a draft of it."""
    return version == TLS_1_3 or version >> 8 in _DRAFTS


def version_name(version: int) -> str:
    """The contract's word for a protocol version; an unknown one is hexadecimal."""
    if is_tls_1_3(version):
        return "TLS 1.3"
    return _VERSIONS.get(version) or f"{version:#06x}"
