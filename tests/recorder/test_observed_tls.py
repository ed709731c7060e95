"""What a Python program's TLS library tells of a connection: a real program, observed, against a real server."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import captures.recorder
from captures.recorder import facts_tls, tools
from captures.recorder.observed import PATH_VARIABLE, Account, accounts_from

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("openssl") is None, reason="asks Linux for TCP_INFO, and openssl for keys"
)

PROGRAM = """
import socket, ssl

context = ssl.create_default_context(cafile="shop.test.pem")
context.set_alpn_protocols(["http/1.1"])
with socket.create_connection(("127.0.0.1", PORT)) as plain:
    connection = context.wrap_socket(plain, server_hostname="shop.test")
    connection.sendall(b"hello")
    assert connection.recv(100) == b"HELLO"
    assert connection.recv(100) == b""
    connection.close()
"""


def serve(listening: socket.socket, context: ssl.SSLContext) -> None:
    """Answer once, and end TLS and the connection."""
    plain, _ = listening.accept()
    with context.wrap_socket(plain, server_side=True) as connection:
        connection.sendall(connection.recv(100).upper())
        # The client does not answer with close_notify.
        with contextlib.suppress(ssl.SSLEOFError):
            connection.unwrap()


@pytest.fixture
def account(tmp_path: Path) -> Account:
    """The account of the program's one connection."""
    certificate = tools.make_certificate(tmp_path, "shop.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, tmp_path / "shop.test.key")
    context.set_alpn_protocols(["http/1.1"])
    recorder = Path(captures.recorder.__file__).parent
    environment = os.environ | {
        "PYTHONPATH": f"{recorder}:{recorder.parents[1]}",
        PATH_VARIABLE: str(tmp_path / "accounts"),
    }
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening, context), daemon=True)
        thread.start()
        program = PROGRAM.replace("PORT", str(listening.getsockname()[1]))
        subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=tmp_path, timeout=30)
        thread.join(10)
    (only,) = accounts_from((tmp_path / "accounts").read_text().splitlines())
    return only


def test_the_account_goes_with_the_socket(account: Account) -> None:
    assert (account.said, account.told) == (b"hello", b"HELLO")
    assert account.tls is not None
    assert not account.tls.beside
    assert account.tls.messages[0][:2] == (False, "CLIENT_HELLO")
    assert account.tls.messages[-1][:2] == (True, "alert close_notify")


def test_in_the_words_of_the_report(account: Account) -> None:
    assert account.tls is not None
    says = facts_tls.of_tls(account.tls, keys=True)
    assert says["version"] == "TLS 1.3"
    assert says["cipher"].startswith("TLS_AES_")
    assert (says["sni"], says["alpn_offered"], says["alpn"]) == ("shop.test", ["http/1.1"], "http/1.1")
    assert (says["resumed"], says["retry"], says["client_certificate"]) == (False, False, False)
    assert (says["client_closes"], says["server_closes"]) == (False, True)
    announced = facts_tls.announced(account)
    assert announced is not None
    assert announced[1:] == ("server", "close-notify")


def test_without_keys_less_is_said(account: Account) -> None:
    assert account.tls is not None
    says = facts_tls.of_tls(account.tls, keys=False)
    assert says["decrypted"] is False
    assert says["alpn"] is None
    assert "server_closes" not in says
