"""What Python's ssl module knew of a connection: its own answers, its plaintext, and the messages it wrote and read.

Put over the accounts of observed.py in programs whose sockets are observed. A socket that is wrapped hands its account
on to the SSLSocket (which is a socket of observed.py, too). OpenSSL's message callback, which the ssl module has for
its own tests, names every handshake message and alert; plaintext is taken where the program writes and reads it. For
an SSLObject, behind which asyncio hides its socket, the connection is the one made last: such programs connect one
after the other.
"""

from __future__ import annotations

import ssl
import time
import weakref
from typing import Any

from .observed import ACCOUNTS, READ_KEPT, Account, Message, ObservedSocket, Tls

#: The accounts of SSLSockets and SSLObjects that are in use.
_ACCOUNTS: weakref.WeakKeyDictionary[Any, Tls] = weakref.WeakKeyDictionary()


def _tls_of(connection: Any) -> Tls:
    found = _ACCOUNTS.get(connection)
    if found is None:
        found = _ACCOUNTS[connection] = Tls(beside=not isinstance(connection, ObservedSocket))
        account: Account | None = ACCOUNTS[-1] if found.beside else connection.account
        assert account is not None, "TLS over a socket that was not observed"
        account.tls = found
    return found


def _note_message(connection: Any, direction: str, _version: Any, content_type: Any, kind: Any, data: bytes) -> None:
    """OpenSSL's callback. Record headers come by it, too, and the inner content type of TLS 1.3: they are left out."""
    if getattr(content_type, "name", None) not in ("HANDSHAKE", "ALERT", "CHANGE_CIPHER_SPEC"):
        return
    name = getattr(kind, "name", str(kind))
    if content_type.name == "ALERT":
        name = f"alert {ssl.AlertDescription(data[1]).name.removeprefix('ALERT_DESCRIPTION_').lower()}"
    _tls_of(connection).messages.append(Message(direction == "read", name, time.time_ns()))


def _note_handshake(connection: Any) -> None:
    tls = _tls_of(connection)
    cipher = connection.cipher()
    tls.version, tls.cipher = connection.version(), None if cipher is None else cipher[0]
    tls.alpn = connection.selected_alpn_protocol()
    tls.sni = connection.server_hostname
    tls.reused = connection.session_reused
    certificate = connection.getpeercert() or {}
    tls.certificate_names = [name for kind, name in certificate.get("subjectAltName", ()) if kind == "DNS"]
    tls.alpn_offered = _OFFERED.get(connection.context, [])


_OFFERED: weakref.WeakKeyDictionary[ssl.SSLContext, list[str]] = weakref.WeakKeyDictionary()


def _note_written(connection: Any, data: bytes) -> None:
    tls = _tls_of(connection)
    tls.written += data
    tls.last_data_ns = time.time_ns()


def _note_read(connection: Any, data: bytes) -> None:
    tls = _tls_of(connection)
    tls.read += data[: max(0, READ_KEPT - len(tls.read))]
    tls.last_data_ns = time.time_ns()


def install() -> None:
    """Let every TLS connection made from now on keep an account beside that of its socket."""
    for kind in (ssl.SSLSocket, ssl.SSLObject):
        _observe(kind)
    offer = ssl.SSLContext.set_alpn_protocols

    def set_alpn_protocols(context: ssl.SSLContext, protocols: list[str]) -> None:
        _OFFERED[context] = list(protocols)
        offer(context, protocols)

    ssl.SSLContext.set_alpn_protocols = set_alpn_protocols  # type: ignore[method-assign,assignment]


def _observe(kind: Any) -> None:
    create, do_handshake, read, write = kind._create.__func__, kind.do_handshake, kind.read, kind.write

    def _create(cls: Any, *arguments: Any, **named: Any) -> Any:
        # The context of a server is a context, too; the recordings' Python servers are without TLS.
        named["context"]._msg_callback = _note_message
        return create(cls, *arguments, **named)

    def observed_do_handshake(connection: Any, *arguments: Any) -> None:
        do_handshake(connection, *arguments)
        _note_handshake(connection)

    def observed_read(connection: Any, size: int = 1024, buffer: Any = None) -> Any:
        try:
            got = read(connection, size, buffer) if buffer is not None else read(connection, size)
        except OSError as error:
            if isinstance(connection, ObservedSocket):
                if isinstance(error, ssl.SSLEOFError):
                    connection.note_fin()
                connection.note_error(error)
            raise
        data = bytes(memoryview(buffer)[:got]) if buffer is not None else got
        if data:
            _note_read(connection, data)
        elif isinstance(connection, ObservedSocket):
            if any(
                message.by_peer and message.name == "alert close_notify" for message in _tls_of(connection).messages
            ):
                # The end of TLS; whether TCP has ended, too, the kernel knows.
                connection.note_peer()
            else:
                connection.note_fin()
        return got

    def observed_write(connection: Any, data: Any) -> int:
        if isinstance(connection, ObservedSocket):
            connection.before_send()
        count: int = write(connection, data)
        _note_written(connection, bytes(memoryview(data).cast("B")[:count]))
        return count

    def observed_send(connection: Any, data: Any, flags: int = 0) -> int:
        assert not flags
        return observed_write(connection, data)

    kind._create = classmethod(_create)
    kind.do_handshake, kind.read, kind.write = observed_do_handshake, observed_read, observed_write
    if hasattr(kind, "send"):
        kind.send = observed_send
