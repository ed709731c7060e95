"""Sockets that keep an account of what the program and its kernel knew, for a truth that owes nothing to packets.

`ObservedSocket` is `socket.socket` with bookkeeping: bytes the program sent and read, when it read the end, and, at
the moment of the first close, the kernel's own state of the connection (TCP_INFO): ESTABLISHED says that this side
closes first, CLOSE_WAIT that the peer's FIN is already here. `install()` puts it in the place of `socket.socket`, so
that any Python HTTP library keeps the account without being changed; sitecustomize.py beside this file does so in
programs started by the recorder. What TLS and HTTP/2 knew comes beside it: observed_tls.py, observed_http2.py.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import json
import os
import socket
import struct
import termios
import time
import weakref
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from .frames import Frame, Section

#: Where a program writes its accounts when it ends, one JSON object a line.
PATH_VARIABLE = "OBSERVED_SOCKETS"

# Linux, include/net/tcp_states.h
_ESTABLISHED, _CLOSE, _CLOSE_WAIT = 1, 7, 8


@dataclass(slots=True, frozen=True)
class Close:
    """One end of a connection, as one side knew it."""

    by_peer: bool
    how: str
    """"fin" or "rst"."""
    time_ns: int
    """Real time, nanoseconds since the Unix epoch: when this side knew."""


class Message(NamedTuple):
    """One handshake message or alert."""

    by_peer: bool
    name: str
    """OpenSSL's name ("CLIENT_HELLO"), or "alert " and RFC 8446's ("alert close_notify")."""
    time_ns: int
    """Real time when it was written or read."""


@dataclass(slots=True)
class Tls:
    """What the TLS library of this side knew."""

    beside: bool
    """Whether the socket carried records without knowing of TLS (asyncio): then it counted their bytes."""
    version: str | None = None
    """As OpenSSL says it, "TLSv1.3"; None where the handshake failed."""
    cipher: str | None = None
    """OpenSSL's name."""
    alpn: str | None = None
    alpn_offered: list[str] = field(default_factory=list)
    sni: str | None = None
    reused: bool | None = None
    certificate_names: list[str] = field(default_factory=list)
    """DNS names of the server's certificate; in a resumed session, of the one that it had then."""
    messages: list[Message] = field(default_factory=list)
    written: bytes = b""
    """Plaintext."""
    read: bytes = b""
    """Plaintext: the first `READ_KEPT` bytes."""
    last_data_ns: int | None = None
    """When the program last wrote or read plaintext."""


@dataclass(slots=True)
class Account:
    """What one socket knew of its connection. Addresses are "ip:port", IPv6 in brackets; times are real, in ns."""

    local: str
    remote: str
    accepted: bool
    start_ns: int
    outcome: str = "connected"
    """"connected", "refused" or "unanswered"."""
    syn_retransmissions: int = 0
    written: bytes = b""
    """Bytes that the kernel took from the program."""
    read: bytes = b""
    """Bytes that the program read: the first `READ_KEPT` of them."""
    received: int = 0
    """How many it read."""
    unread: int = 0
    """Bytes that lay in the kernel, unread, when the socket was closed."""
    last_data_ns: int | None = None
    """When the program last wrote or read a byte."""
    sent_after_fin: int = 0
    """Writes made while the kernel already had the peer's FIN."""
    closes: list[Close] = field(default_factory=list)
    """First close first: at most one of each side."""
    reset: bool = False
    """Whether the peer's RST came to the program's ears."""
    tls: Tls | None = None
    frames: list[Frame] | None = None
    """Where the program spoke HTTP/2 by the library h2."""
    sections: list[Section] = field(default_factory=list)

    @property
    def said(self) -> bytes:
        """What the program wrote, before TLS."""
        return self.written if self.tls is None else self.tls.written

    @property
    def told(self) -> bytes:
        """What the program read, after TLS."""
        return self.read if self.tls is None else self.tls.read


#: How much of what a program reads is kept to read the exchanges from it.
READ_KEPT = 1 << 20

#: All accounts of this process, in the order in which their connections began.
ACCOUNTS: list[Account] = []


def address_text(address: Any) -> str:
    """A socket address as "ip:port"."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class ObservedSocket(socket.socket):
    """A socket that keeps an account of its TCP connection."""

    account: Account | None = None

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        super().__init__(family, type, proto, fileno)
        if fileno is not None:
            # How a socket becomes an SSLSocket: by its descriptor, before the old one gives it away.
            self.account = next((one.account for one in _SOCKETS if one.fileno() == fileno), None)
        if self.account is not None:
            _SOCKETS.add(self)

    def _open(self, remote: Any, accepted: bool) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and self.type & socket.SOCK_STREAM:
            self.account = Account(address_text(self.getsockname()), address_text(remote), accepted, time.time_ns())
            ACCOUNTS.append(self.account)
            _SOCKETS.add(self)

    def _tcp_info(self) -> bytes:
        return self.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)

    def _note_close(self, by_peer: bool, how: str) -> None:
        account = self.account
        if account is not None and all(close.by_peer != by_peer for close in account.closes):
            account.closes.append(Close(by_peer, how, time.time_ns()))

    def note_fin(self) -> None:
        """Write down that the end of what the peer sends was read."""
        self._note_close(by_peer=True, how="fin")

    def note_peer(self) -> int:
        """Write down the peer's close if the kernel has it; return the kernel's state of the connection."""
        state = self._tcp_info()[0]
        if state == _CLOSE_WAIT:
            self._note_close(by_peer=True, how="fin")
        elif state == _CLOSE:
            self._note_close(by_peer=True, how="rst")
        return state

    def _note_own_close(self, whole: bool) -> None:
        """Before a shutdown of the sending side, or (`whole`) before the socket is closed."""
        account = self.account
        if account is None or account.outcome != "connected":
            return
        if self.note_peer() == _CLOSE:
            return
        aborts = False
        if whole:
            account.unread = struct.unpack("i", fcntl.ioctl(self.fileno(), termios.FIONREAD, b"\0" * 4))[0]
            on, seconds = struct.unpack("ii", self.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))
            # Linux answers unread data with RST (RFC 2525 section 2.17), and a zero linger time asks for one.
            aborts = account.unread > 0 or (on != 0 and seconds == 0)
        self._note_close(by_peer=False, how="rst" if aborts else "fin")

    def _note_sent(self, data: Any) -> None:
        if self.account is not None:
            self.account.written += bytes(data)
            self.account.last_data_ns = time.time_ns()

    def _note_received(self, data: Any) -> None:
        if self.account is None:
            return
        if not data:
            self.note_fin()
        else:
            self.account.received += len(data)
            self.account.read += bytes(data[: max(0, READ_KEPT - len(self.account.read))])
            self.account.last_data_ns = time.time_ns()

    def note_error(self, error: OSError) -> None:
        """Write down what an error says of the peer."""
        if self.account is not None and error.errno in (errno.ECONNRESET, errno.EPIPE):
            self.account.reset = True
            self._note_close(by_peer=True, how="rst")

    def before_send(self) -> None:
        """Write down when the program writes after the peer's end."""
        if self.account is not None and self.note_peer() == _CLOSE_WAIT:
            self.account.sent_after_fin += 1

    def connect(self, address: Any) -> None:
        """As `socket.socket.connect`; a refusal and a timeout are written down."""
        bound = address_text(self.getsockname()) if self.family == socket.AF_INET else ""
        start_ns = time.time_ns()
        outcome = "connected"
        try:
            super().connect(address)
        except ConnectionRefusedError:
            outcome = "refused"
            raise
        except TimeoutError:
            outcome = "unanswered"
            raise
        finally:
            self._open(address, accepted=False)
            if self.account is not None:
                self.account.start_ns = start_ns
                self.account.outcome = outcome
                if outcome == "unanswered":
                    self.account.syn_retransmissions = self._tcp_info()[2]
                if outcome == "refused" and bound:
                    self.account.local = bound

    def accept(self) -> tuple[socket.socket, Any]:
        """As `socket.socket.accept`; the accepted socket keeps an account."""
        connection, address = super().accept()
        observed = ObservedSocket(connection.family, connection.type, connection.proto, fileno=connection.detach())
        observed.settimeout(socket.getdefaulttimeout())
        observed._open(address, accepted=True)
        return observed, address

    def recv(self, size: int, flags: int = 0) -> bytes:
        """As `socket.socket.recv`."""
        try:
            data = super().recv(size, flags)
        except OSError as error:
            self.note_error(error)
            raise
        if not flags & socket.MSG_PEEK:
            self._note_received(data)
        return data

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        """As `socket.socket.recv_into`."""
        try:
            count = super().recv_into(buffer, size, flags)
        except OSError as error:
            self.note_error(error)
            raise
        self._note_received(memoryview(buffer)[:count])
        return count

    def send(self, data: Any, flags: int = 0) -> int:
        """As `socket.socket.send`."""
        self.before_send()
        try:
            count = super().send(data, flags)
        except OSError as error:
            self.note_error(error)
            raise
        self._note_sent(memoryview(data)[:count])
        return count

    def sendall(self, data: Any, flags: int = 0) -> None:
        """As `socket.socket.sendall`."""
        self.before_send()
        try:
            super().sendall(data, flags)
        except OSError as error:
            self.note_error(error)
            raise
        self._note_sent(data)

    def shutdown(self, how: int) -> None:
        """As `socket.socket.shutdown`."""
        if how != socket.SHUT_RD:
            self._note_own_close(whole=False)
        super().shutdown(how)

    def note_end(self) -> None:
        """Write down that the socket is about to be closed."""
        if self.fileno() >= 0:
            self._note_own_close(whole=True)

    def _real_close(self) -> None:
        # What close(), the end of makefile() objects, and `with` all come to.
        self.note_end()
        super()._real_close()  # type: ignore[misc]

    def __del__(self) -> None:
        # A socket that is merely forgotten is closed by the interpreter, without _real_close.
        self.note_end()
        super().__del__()  # type: ignore[misc]


#: Sockets with an account that still exist.
_SOCKETS: weakref.WeakSet[ObservedSocket] = weakref.WeakSet()


def accounts_from(lines: list[str]) -> list[Account]:
    """The accounts that another process wrote, in its order."""
    accounts = []
    for line in lines:
        fields = json.loads(line)
        fields["closes"] = [Close(**close) for close in fields["closes"]]
        for name in ("written", "read"):
            fields[name] = fields[name].encode("latin-1")
        if fields["tls"] is not None:
            fields["tls"] = _tls_from(fields["tls"])
        if fields["frames"] is not None:
            fields["frames"] = [Frame(**frame) for frame in fields["frames"]]
        fields["sections"] = [_section_from(section) for section in fields["sections"]]
        accounts.append(Account(**fields))
    return accounts


def _tls_from(fields: dict[str, Any]) -> Tls:
    fields["messages"] = [Message(*message) for message in fields["messages"]]
    for name in ("written", "read"):
        fields[name] = fields[name].encode("latin-1")
    return Tls(**fields)


def _section_from(fields: dict[str, Any]) -> Section:
    fields["fields"] = [(name, value) for name, value in fields["fields"]]
    return Section(**fields)


def _as_text(data: bytes) -> str:
    return data.decode("latin-1")


def _write_accounts(path: str) -> None:
    # The kernel closes what the program leaves open: an end of the program is a close.
    for observed in list(_SOCKETS):
        observed.note_end()
    with open(path, "w", encoding="ascii") as output:
        for account in ACCOUNTS:
            output.write(json.dumps(asdict(account), default=_as_text) + "\n")


def install(path: str) -> None:
    """Let every socket made from now on keep an account, and write the accounts to `path` when the process ends."""
    socket.socket = ObservedSocket  # type: ignore[misc]
    atexit.register(_write_accounts, path)


def install_from_environment() -> None:
    """What sitecustomize.py calls: install where the recorder asked for it."""
    path = os.environ.get(PATH_VARIABLE)
    if path:
        install(path)
        # They import what they observe: ssl makes its socket out of socket.socket as it finds it.
        from . import observed_http2, observed_tls

        observed_tls.install()
        with contextlib.suppress(ImportError):
            observed_http2.install()
