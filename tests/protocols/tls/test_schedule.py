"""Keys from secrets, as the published vectors have them."""

from __future__ import annotations

from inspector.protocols.tls.schedule import expand_label, key_block, next_traffic_secret, prf, traffic_keys
from inspector.protocols.tls.suites import TLS_1_0, TLS_1_1, TLS_1_2

unhex = bytes.fromhex


def test_keys_of_rfc_8448() -> None:
    """Section 3, "Simple 1-RTT Handshake": traffic secrets, and the keys derived from them."""
    server_handshake = unhex("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38")
    assert traffic_keys("sha256", server_handshake, 16) == (
        unhex("3fce516009c21727d0f2e4e86ee403bc"),
        unhex("5d313eb2671276ee13000b30"),
    )
    server_traffic = unhex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643")
    assert traffic_keys("sha256", server_traffic, 16) == (
        unhex("9f02283b6c9c07efc26bb9f2ac92e356"),
        unhex("cf782b88dd83549aadf1e984"),
    )
    client_traffic = unhex("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5")
    assert traffic_keys("sha256", client_traffic, 16) == (
        unhex("17422dda596ed5d9acd890e3c63f5051"),
        unhex("5b78923dee08579033e523d9"),
    )


def test_derived_secret_of_rfc_8448() -> None:
    """Section 3: the early secret without a PSK, and what "derived" makes of it: a context, and 32 bytes."""
    early = unhex("33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a")
    empty_hash = unhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    derived = unhex("6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba")
    assert expand_label("sha256", early, b"derived", empty_hash, 32) == derived


def test_more_than_one_block_of_hkdf() -> None:
    """The second block goes on where the first one ends, and the length asked for is hashed as well."""
    whole = expand_label("sha256", bytes(32), b"key", b"", 48)
    assert len(whole) == 48
    assert whole[:32] != expand_label("sha256", bytes(32), b"key", b"", 32)


def test_next_secret_has_the_length_of_its_hash() -> None:
    for name, length in (("sha256", 32), ("sha384", 48)):
        secret = next_traffic_secret(name, bytes(length))
        assert len(secret) == length
        assert secret == expand_label(name, bytes(length), b"traffic upd", b"", length)


def test_prf_of_tls_1_2() -> None:
    """The vector for P_SHA256 that the TLS working group's list agreed on."""
    secret = unhex("9bbe436ba940f017b17652849a71db35")
    seed = unhex("a0ba9f936cda311827a6f796ffd5198c")
    assert prf(TLS_1_2, "sha256", secret, b"test label", seed, 100) == unhex(
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077d"
        "ef17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66"
    )


def test_prf_before_tls_1_2() -> None:
    """As `openssl kdf -kdfopt digest:MD5-SHA1 ... TLS1-PRF` has it; a secret of odd length shares its middle byte."""
    secret = unhex("9bbe436ba940f017b17652849a71db35aa")
    seed = unhex("a0ba9f936cda311827a6f796ffd5198c")
    expected = unhex("d15d261f27f994096fbb4709ff20d231799dce32219baafb6883af51983e132f9c83dfee54eba38e")
    for version in (TLS_1_0, TLS_1_1):
        assert prf(version, "sha256", secret, b"test label", seed, 40) == expected


def test_key_block_takes_the_server_random_first() -> None:
    block = key_block(TLS_1_2, "sha256", b"m" * 48, b"c" * 32, b"s" * 32, 104)
    assert block == prf(TLS_1_2, "sha256", b"m" * 48, b"key expansion", b"s" * 32 + b"c" * 32, 104)
