"""What the handshake's messages say about a connection, entered into its account.

Versions differ in where they say it: up to TLS 1.2 everything but Finished is in the clear, and whether a session was
resumed shows in what the server leaves out (RFC 5246 section 7.3, RFC 5077 section 3.4); in TLS 1.3 the hellos are in
the clear, and the rest is there for who has the keys.
"""

from __future__ import annotations

from inspector.events import TlsAccount
from inspector.protocols.tls.certificate import certificate_names
from inspector.protocols.tls.handshake import (
    ClientHello,
    ServerHello,
    first_certificate,
    parse_encrypted_extensions,
)
from inspector.protocols.tls.names import is_tls_1_3, version_name
from inspector.protocols.tls.suites import suite_name

#: Largest certificate that is read for its names.
_MAX_CERTIFICATE = 64 * 1024


class Negotiation:
    """Fills in the account from the messages of both sides."""

    def __init__(self, account: TlsAccount) -> None:
        self._account = account
        self.client: ClientHello | None = None
        """The last ClientHello."""
        self.server: ServerHello | None = None
        """The last ServerHello that is no HelloRetryRequest."""
        self.tls_1_3: bool | None = None
        """Whether it is TLS 1.3; None before the server's hello."""

    def client_hello(self, hello: ClientHello, time_ns: int) -> None:
        """ClientHello, the first or a later one."""
        account, first = self._account, self.client is None
        self.client = hello
        if not first:
            return
        account.sni, account.alpn_offered, account.hello_ns = hello.sni, hello.alpn, time_ns
        if not hello.early_data:
            account.early_data = False

    def server_hello(self, hello: ServerHello) -> None:
        """ServerHello or HelloRetryRequest."""
        account, client = self._account, self.client
        self.tls_1_3 = is_tls_1_3(hello.version)
        account.version = version_name(hello.version)
        if hello.retry:
            account.retry = True
            account.early_data = False
            return
        again, self.server = self.server is not None, hello
        account.cipher = suite_name(hello.cipher_suite)
        account.alpn = hello.alpn or account.alpn
        if again:
            return
        if self.tls_1_3:
            account.resumed = hello.psk
            account.resumption = "psk" if hello.psk else None
            if not hello.psk:
                account.early_data = False
            return
        account.early_data = False
        if client is not None and client.session_id and client.session_id == hello.session_id:
            self._resumed("ticket" if client.ticket else "session-id")

    def full(self) -> None:
        """The server sends what is only in a full handshake, up to TLS 1.2."""
        self._account.resumed, self._account.resumption = False, None

    def server_changes_cipher_spec(self) -> None:
        """Up to TLS 1.2: the server's ChangeCipherSpec, nothing being lost before it."""
        account = self._account
        if account.resumed is None and self.client is not None and self.client.ticket:
            self._resumed("ticket")
        if account.resumed and account.client_certificate is None:
            account.client_certificate = False

    def _resumed(self, how: str) -> None:
        self._account.resumed = True
        self._account.resumption = "ticket" if how == "ticket" else "session-id"

    def encrypted_extensions(self, body: bytes) -> None:
        """EncryptedExtensions of TLS 1.3."""
        account = self._account
        account.alpn, accepted = parse_encrypted_extensions(body)
        if account.early_data is None:
            account.early_data = accepted

    def certificate(self, body: bytes) -> None:
        """The server's Certificate."""
        der = first_certificate(body, bool(self.tls_1_3))
        if der and len(der) <= _MAX_CERTIFICATE and not self._account.certificate_names:
            self._account.certificate_names = list(certificate_names(der))

    def certificate_request(self) -> None:
        """The server wants to see a certificate of the client's."""
        self._account.client_certificate = True

    def server_is_done(self) -> None:
        """The server's part of the handshake, all of which could be read, is over."""
        if self._account.client_certificate is None:
            self._account.client_certificate = False

    def ticket(self) -> None:
        """NewSessionTicket."""
        self._account.tickets += 1

    def early_data_accepted(self, accepted: bool) -> None:
        """What became of early data, told by what the client did next."""
        if self._account.early_data is None:
            self._account.early_data = accepted

    def may_be_http2(self) -> bool:
        """Whether HTTP/2 may be inside, as far as that can be seen."""
        account = self._account
        if account.alpn is not None or self.tls_1_3 is False:
            return account.alpn == "h2"
        return self.client is None or "h2" in account.alpn_offered
