"""Every kind of cipher suite, forced, between openssl s_server and s_client: what they said is known byte by byte."""

from __future__ import annotations

import re
import subprocess

from .. import facts
from ..conversation import request
from ..facts_tls import VERSIONS
from ..network import CLIENT, SERVER
from ..servers import Server
from ..stage import Stage, scenario
from ..tools import cipher_suite_name

#: OpenSSL's options for a version, the suites to force, and whether encrypt-then-MAC (RFC 7366) is offered.
_SUITES: tuple[tuple[str, tuple[str, ...], tuple[bool, ...]], ...] = (
    (
        "-tls1_3",
        (
            "TLS_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_AES_128_CCM_SHA256",
            "TLS_AES_128_CCM_8_SHA256",
        ),
        (True,),
    ),
    (
        "-tls1_2",
        (
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "DHE-RSA-AES128-GCM-SHA256",
            "AES256-GCM-SHA384",
            "ECDHE-RSA-CHACHA20-POLY1305",
            "ECDHE-ECDSA-AES128-CCM",
            "ECDHE-ECDSA-AES256-CCM8",
            "AES256-CCM",
            "AES128-CCM8",
            "NULL-SHA256",
        ),
        (True,),
    ),
    (
        "-tls1_2",
        (
            "AES128-SHA",
            "ECDHE-RSA-AES256-SHA",
            "AES128-SHA256",
            "ECDHE-ECDSA-AES256-SHA384",
            "CAMELLIA128-SHA256",
        ),
        (True, False),
    ),
    ("-tls1_1", ("AES128-SHA",), (True, False)),
    ("-tls1", ("AES128-SHA", "CAMELLIA256-SHA"), (True, False)),
)
_PORT = 8443
_FIRST_CLIENT_PORT = 40_001
_BODY_BYTES = 500
_PAGE = "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}"


def _server(stage: Stage, pages: dict[str, str]) -> None:
    """An s_server that takes every suite, and serves `pages` as they are."""
    folder = stage.scratch / "server"
    folder.mkdir()
    for name, page in pages.items():
        (folder / name).write_text(page, newline="")
    ecdsa, rsa = stage.certificate(), stage.certificate(kind="rsa")
    all_of_13 = ":".join(_SUITES[0][1])
    command = ["openssl", "s_server", "-accept", f"{SERVER}:{_PORT}", "-HTTP", "-min_protocol", "TLSv1"]
    command += ["-cert", str(ecdsa), "-key", str(ecdsa.with_suffix(".key"))]
    command += ["-dcert", str(rsa), "-dkey", str(rsa.with_suffix(".key"))]
    command += ["-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0", "-ciphersuites", all_of_13]
    published = " ".join(command).replace(str(stage.scratch), "..")
    stage.keep(Server("openssl", command, stage.server, _PORT, folder, published), "openssl s_server")


@scenario(
    "tls-suites",
    ran="openssl s_client with one cipher suite after the other, TLS 1.0 to 1.3; openssl s_server",
    seen="one exchange each under AES-GCM, ChaCha20-Poly1305, AES-CCM, CBC with both orders of MAC, and no cipher",
    compress=True,
)
def tls_suites(stage: Stage) -> None:
    """31 connections, each from a port of its own, which the client was given."""
    wanted = [
        (version, suite, encrypt_then_mac)
        for version, suites, choices in _SUITES
        for suite in suites
        for encrypt_then_mac in choices
    ]
    bodies = {suite: f"{suite}\n".ljust(_BODY_BYTES, "=") for _, suite, _ in wanted}
    pages = {suite: _PAGE.format(len(body), body) for suite, body in bodies.items()}
    _server(stage, pages)
    with stage.capture():
        told = [
            _visit(stage, _FIRST_CLIENT_PORT + at, *one, request("GET", f"/{one[1]}")) for at, one in enumerate(wanted)
        ]
    for at, ((_, suite, _), (said, read)) in enumerate(zip(wanted, told, strict=True)):
        assert read == pages[suite].encode(), f"{suite}: s_client read something else than was served"
        client = f"{CLIENT}:{_FIRST_CLIENT_PORT + at}"
        stage.payloads[client] = {"client": request("GET", f"/{suite}").decode(), "server": pages[suite]}
        exchange = {
            "request": {"method": "GET", "target": f"/{suite}"},
            "response": {"status": 200, "body_bytes": _BODY_BYTES},
            "complete": True,
        }
        tls = _told(said) | {"resumed": False, "decrypted": True, "why_not": None}
        of = facts.connection(client, f"{SERVER}:{_PORT}")
        stage.say("openssl s_client and the files served", of, tls=tls, protocol="http/1.1", exchanges=[exchange])


def _visit(
    stage: Stage, port: int, version: str, suite: str, encrypt_then_mac: bool, asked: bytes
) -> tuple[str, bytes]:
    """Run s_client once: what it said of the connection, and what it read."""
    stage.packages.add("openssl")
    forced = ("-ciphersuites", suite) if version == "-tls1_3" else ("-cipher", f"{suite}:@SECLEVEL=0")
    told = ["openssl", "s_client", "-connect", f"{SERVER}:{_PORT}", "-bind", f"{CLIENT}:{port}", "-brief", "-ign_eof"]
    told += [version, *forced, *(() if encrypt_then_mac else ("-no_etm",))]
    stage.configuration[f"openssl s_client {port}"] = " ".join(told)
    command = stage.client.command([*told, "-keylogfile", str(stage.key_log)])
    done = subprocess.run(command, input=asked, capture_output=True, timeout=20, check=False)
    return done.stderr.decode(), done.stdout


def _told(said: str) -> facts.Json:
    """Version and cipher suite as `-brief` tells them."""
    (version,) = re.findall(r"^Protocol version: (\S+)", said, flags=re.MULTILINE)
    (cipher,) = re.findall(r"^Ciphersuite: (\S+)", said, flags=re.MULTILINE)
    return {"version": VERSIONS[version], "cipher": cipher_suite_name(cipher)}
