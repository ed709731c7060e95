"""TLS on one connection (RFC 8446, RFC 5246): both directions in one object, watched from outside.

Records are walked (`records`), handshake messages put together and read (`handshake`, `negotiation`), what is protected
is opened where the key log has the keys (`keyring`), and goes to the decoder of what is inside (`inside`). What cannot
be opened still has a length and a time (`inferred`). Each direction stands for itself: keys, holes and failures of one
cost the other nothing.

Whether a record is protected is known from ChangeCipherSpec up to TLS 1.2, and from the content type in TLS 1.3. Where
that step was missed, or the capture begins in the middle, application data says that it is behind us.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Arrival, Ending, StreamChunk
from inspector.events import (
    Alert,
    AlertReceived,
    Anomaly,
    ClientHelloReceived,
    GoawayInferred,
    TlsAccount,
    TlsEstablished,
    TlsStarted,
)
from inspector.protocols.decoder import Emit
from inspector.protocols.tls import handshake
from inspector.protocols.tls.handshake import ClientHello, ServerHello
from inspector.protocols.tls.inferred import GOAWAY_LENGTH, SealedRecords
from inspector.protocols.tls.inside import Inside, Plaintext
from inspector.protocols.tls.keylog import KeyLog
from inspector.protocols.tls.keyring import EARLY, HANDSHAKE, TRAFFIC, Keyring
from inspector.protocols.tls.names import ALERT_LEVELS, ALERTS, TLS_1_2, TLS_1_3
from inspector.protocols.tls.negotiation import Negotiation
from inspector.protocols.tls.records import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    HEADER,
    SSL2_HELLO,
)
from inspector.protocols.tls.records import HANDSHAKE as HANDSHAKE_RECORD
from inspector.protocols.tls.side import SIDE_NAMES, Side, why_not
from inspector.protocols.tls.suites import MAX_PLAINTEXT, plaintext_length, suite_of

if TYPE_CHECKING:  # importing it costs the import of cryptography
    from inspector.protocols.tls.protection import Opened

#: Alerts of a connection that are kept.
MAX_ALERTS = 16
#: Early data (0-RTT) that waits for the server to accept it; servers allow 16 KiB or less. More of it is a hole.
MAX_EARLY = 64 * 1024
#: Anomalies of one connection that are told: bytes that are no records could be told without end.
MAX_ANOMALIES = 64

#: TLS 1.3: what an EndOfEarlyData and, without the hash, a Finished have as plaintext.
_MESSAGE_HEADER = 4


class TlsDecoder:
    """A StreamDecoder for TLS.

    `keys`: the key log, None where there is none. `inside` makes the decoder of what is inside, given the protocol that
    ALPN chose (None: not known).
    """

    def __init__(self, emit: Emit, keys: KeyLog | None, inside: Inside) -> None:
        self.skip_until = [0, 0]
        self.account = TlsAccount()
        self._emit = emit
        self._inside = inside
        self._keyring = Keyring(keys)
        self._negotiation = Negotiation(self.account)
        client, server = self._keyring.directions
        self._sides = (Side(FROM_CLIENT, client), Side(FROM_SERVER, server))
        self._sides[FROM_CLIENT].reader.hello = True
        self._started = False
        self._anomalies = 0
        self._plaintext: Plaintext | None = None
        self._read_application = False
        self._early: list[tuple[bytes, int, int, int, int]] = []
        """Early data that waits: plaintext, place in the stream, arrival."""
        self._early_bytes = 0
        # What could not be opened, and the phase of TLS 1.3 in which that was.
        self._sealed: SealedRecords | None = None
        self._client_spoke = False
        self._client_finished = False
        self._server_since_finished = False

    @property
    def client_random(self) -> bytes | None:
        """What the key log is asked by; None: no ClientHello yet."""
        client = self._negotiation.client
        return None if client is None else client.random

    # What a decoder is told

    @property
    def protocol(self) -> str:
        return "tls" if self._plaintext is None else self._plaintext.protocol

    @property
    def application_packet(self) -> int | None:
        last = self._last_application_byte()
        return None if last is None else last[0]

    @property
    def application_ns(self) -> int | None:
        last = self._last_application_byte()
        return None if last is None else last[1]

    def _last_application_byte(self) -> Arrival | None:
        known = [side.partial for side in self._sides]
        if self._plaintext is not None:
            known.append(self._plaintext.application)
        if self._sealed is not None:
            known.append(self._sealed.closing().application)
        return max((arrival for arrival in known if arrival is not None), default=None)

    def data(self, chunk: StreamChunk) -> None:
        direction = chunk.direction
        side = self._sides[direction]
        if not self._started:
            self._started = True
            self._emit(TlsStarted(*chunk.arrival(chunk.offset), self.account))
        last = chunk.offset + chunk.length - 1
        reader = side.reader
        reader.data(chunk, self)
        self.skip_until[direction] = reader.skip_until
        if reader.inside and self._past_handshake():
            side.partial = chunk.arrival(last)
        elif side.partial is not None:
            side.partial = None

    def gap(self, direction: int, offset: int, length: int, packet: int, time_ns: int) -> None:
        reader = self._sides[direction].reader
        reader.gap(offset, length, packet, time_ns, self)
        self.skip_until[direction] = reader.skip_until

    def end(self, direction: int, ending: Ending, packet: int, time_ns: int) -> None:
        side = self._sides[direction]
        side.reader.end(packet, time_ns, self)
        side.ended = True
        self._settle_alerts(side, ending)
        if self._plaintext is not None:
            if side.missing and side.opened:
                self._tell_gap(side, self._guessed_records(side), side.missing_from + side.missing, packet, time_ns)
            self._plaintext.end(direction, ending, packet, time_ns)
        if self._sealed is not None and not self._read_application:
            self.account.estimated_exchanges = self._sealed.exchanges
        self._explain()

    # What the record layer tells

    def wants(self, direction: int, content_type: int) -> bool:
        side = self._sides[direction]
        if content_type == APPLICATION_DATA or side.sealed:
            if not side.sealed and not self._negotiation.tls_1_3 and not self._is_early(side):
                self._seal(side)
            keys = side.keys
            if TRAFFIC not in keys.openers:
                self._keyring.ask(direction)
            return keys.ready
        return content_type in (HANDSHAKE_RECORD, ALERT)

    def record(
        self,
        direction: int,
        content_type: int,
        version: int,
        start: int,
        length: int,
        fragment: memoryview | bytes | bytearray | None,
        packet: int,
        time_ns: int,
    ) -> None:
        side = self._sides[direction]
        if side.unread_alert is not None:
            self._tell_unread_alert(side)
        if content_type == APPLICATION_DATA or side.sealed:
            if fragment is None:
                side.unread += 1
                self._unopened(side, content_type, start, length, packet, time_ns)
                return
            opened = side.keys.open(content_type, version, memoryview(fragment))
            if opened is None:
                self._failed(side, content_type, start, length, packet, time_ns)
            else:
                self._opened(side, opened, start, start + HEADER + length, packet, time_ns)
        elif content_type == CHANGE_CIPHER_SPEC:
            self._change_cipher_spec(side)
        elif fragment is not None:
            self._clear(side, content_type, bytes(fragment), start, packet, time_ns)

    def cut_record(
        self, direction: int, content_type: int, start: int, length: int, part: bytes, packet: int, time_ns: int
    ) -> None:
        side = self._sides[direction]
        if content_type == APPLICATION_DATA or side.sealed:
            self._hole(side, start, HEADER + length, packet, time_ns)
        elif content_type == HANDSHAKE_RECORD:
            self._cut_message(side, part, packet, time_ns)

    def lost(self, direction: int, start: int, stop: int, packet: int, time_ns: int, *, found: bool) -> None:
        side = self._sides[direction]
        self._cut_message(side, b"", packet, time_ns)
        self._hole(side, start, stop - start, packet, time_ns)
        if found and stop > start:
            self._odd("resynchronised", packet, time_ns, f"{stop - start} bytes skipped")

    def odd(self, direction: int, *, first: bool, packet: int, time_ns: int) -> None:
        began_inside = first and self._negotiation.client is None
        self._odd("mid_message" if began_inside else "not_tls", packet, time_ns)

    def _odd(self, code: str, packet: int, time_ns: int, detail: str = "") -> None:
        if self._anomalies < MAX_ANOMALIES:
            self._anomalies += 1
            self._emit(Anomaly(packet, time_ns, code, detail))

    # Records in the clear

    def _clear(self, side: Side, content_type: int, fragment: bytes, start: int, packet: int, time_ns: int) -> None:
        if content_type == SSL2_HELLO:
            self._ssl2_hello(side, fragment, packet, time_ns)
        elif content_type == ALERT:
            if len(fragment) == 2 or self._negotiation.tls_1_3:
                self._alert(side, fragment, packet, time_ns)
            else:
                self._seal(side)
                self._unopened(side, content_type, start, len(fragment), packet, time_ns)
        elif self._may_be_sealed(side) and not handshake.may_be_message(fragment):
            self._seal(side)
            self._unopened(side, content_type, start, len(fragment), packet, time_ns)
        else:
            self._messages(side, fragment, packet, time_ns)

    def _may_be_sealed(self, side: Side) -> bool:
        """Whether the direction's ChangeCipherSpec may have been missed."""
        return (side.cut or self._negotiation.client is None) and not side.messages.unfinished

    def _ssl2_hello(self, side: Side, body: bytes, packet: int, time_ns: int) -> None:
        hello = handshake.parse_ssl2_hello(body)
        self._client_hello(hello, packet, time_ns)
        if hello.version < 0x0300:
            self.account.version = "SSL 2.0"
            for each in self._sides:
                each.reader.close()
                self.skip_until[each.direction] = each.reader.skip_until

    def _change_cipher_spec(self, side: Side) -> None:
        """Up to TLS 1.2 all that follows is protected; in TLS 1.3 it means nothing (RFC 8446 section 5)."""
        negotiation = self._negotiation
        if negotiation.tls_1_3 or (negotiation.tls_1_3 is None and side.direction == FROM_CLIENT):
            return  # before the server's hello it is one of TLS 1.3's, in front of early data
        if side.direction == FROM_SERVER and not side.cut:
            negotiation.server_changes_cipher_spec()
        self._seal(side)

    def _seal(self, side: Side) -> None:
        side.sealed = True
        side.messages.cut(b"")
        self._keyring.change_cipher_spec(side.direction)

    # Protected records

    def _opened(self, side: Side, opened: Opened, start: int, stop: int, packet: int, time_ns: int) -> None:
        """A record that a key opened."""
        if side.missing and side.keys.stage == TRAFFIC:
            self._settle_missing(side, start, packet, time_ns)
        kind, plaintext = opened
        if kind == APPLICATION_DATA:
            self._application(side, plaintext, start, stop, packet, time_ns)
            return
        if not self._read_application:
            self.account.decrypted = not (self._sides[0].failed or self._sides[1].failed)
        if kind == HANDSHAKE_RECORD:
            self._messages(side, plaintext, packet, time_ns)
        elif kind == ALERT:
            self._alert(side, plaintext, packet, time_ns)
        elif kind == CHANGE_CIPHER_SPEC and self._negotiation.tls_1_3 is False:
            self._seal(side)

    def _settle_missing(self, side: Side, start: int, packet: int, time_ns: int) -> None:
        """A record at `start` was opened: how many before it, under the same keys, were not is known now."""
        records = side.keys.skipped
        if not self._negotiation.tls_1_3 and not side.finished:
            records -= 1  # up to TLS 1.2 the first record under these keys is Finished
            side.finished = True
        if records > 0:
            self._tell_gap(side, records, start, packet, time_ns)
        side.missing = 0

    def _application(self, side: Side, data: bytes, start: int, stop: int, packet: int, time_ns: int) -> None:
        stage = side.keys.stage
        if side.direction == FROM_CLIENT:
            if stage == EARLY and not self.account.early_data:
                self._hold_early(data, start, stop, packet, time_ns)
                return
            if stage == TRAFFIC and self.account.established_ns is None:
                self._establish(packet, time_ns)
        self._read_application = self.account.decrypted = True
        if self._sealed is not None:
            self._sealed.other((packet, time_ns))
        side.opened = True
        if data:
            self._content().data(side.direction, data, start, stop, packet, time_ns)

    def _content(self) -> Plaintext:
        """Who reads what is inside."""
        if self._plaintext is None:
            account = self.account
            alpn = account.alpn
            if alpn is None and len(account.alpn_offered) == 1 and self._negotiation.tls_1_3 is not False:
                alpn = account.alpn_offered[0]
            self._plaintext = Plaintext(self._emit, self._inside, alpn)
        return self._plaintext

    def _hold_early(self, data: bytes, start: int, stop: int, packet: int, time_ns: int) -> None:
        """Early data counts once the server has accepted it (RFC 8446 section 4.2.10)."""
        if self.account.early_data is False:
            return
        self._early_bytes += len(data)
        if self._early_bytes > MAX_EARLY:
            data = b""
        self._early.append((data, start, stop, packet, time_ns))

    def _settle_early(self, accepted: bool) -> None:
        """The server's answer to early data is known."""
        self._negotiation.early_data_accepted(accepted)
        held, self._early = self._early, []
        if self.account.early_data:
            for part in held:
                self._application(self._sides[FROM_CLIENT], *part)

    def _failed(self, side: Side, content_type: int, start: int, length: int, packet: int, time_ns: int) -> None:
        """A record that no key opens."""
        if not side.failed:
            side.failed_packet = packet
            if self._read_application and not self._keyring.missing(side.direction):
                self._odd("record_not_authentic", packet, time_ns, f"of the {SIDE_NAMES[side.direction]}")
        side.failed += 1
        self._unopened(side, content_type, start, length, packet, time_ns)

    def _unopened(self, side: Side, content_type: int, start: int, length: int, packet: int, time_ns: int) -> None:
        """A protected record that stays closed: its length and time are what is known of it."""
        side.keys.passed(HEADER + length)
        plaintext = self._plaintext_length(length)
        if self._negotiation.tls_1_3:
            if self._is_handshake(side, length, plaintext, packet, time_ns):
                return
            is_alert = None
        elif self._is_early(side):
            is_alert = False
        elif content_type == HANDSHAKE_RECORD:
            if side.direction == FROM_CLIENT:
                self._establish(packet, time_ns)
            self._miss(side, start, HEADER + length)
            return
        else:
            is_alert = None if self._negotiation.server is None and content_type != ALERT else content_type == ALERT
            if self.account.established_ns is None and side.direction == FROM_CLIENT and not is_alert:
                self._establish(packet, time_ns)
        self._miss(side, start, HEADER + length)
        if content_type == ALERT:
            self.account.close_notify[side.direction] = None
            side.unread_alert = Alert(packet, time_ns, side.direction, None, None, False)
        if not self._read_application:
            self.account.decrypted = False
        if self._sealed is None:
            self._sealed = SealedRecords(self._negotiation.may_be_http2())
        self._sealed.record(side.direction, plaintext, (packet, time_ns), is_alert=is_alert)

    def _plaintext_length(self, length: int) -> int | None:
        """Bytes of plaintext in a record's body, at most; where the suite is not known, as in TLS 1.3."""
        server = self._negotiation.server
        if server is None:
            return max(length - 17, 0)
        version = TLS_1_3 if self._negotiation.tls_1_3 else min(server.version, TLS_1_2)
        bounds = plaintext_length(server.cipher_suite, version, length, encrypt_then_mac=server.encrypt_then_mac)
        return None if bounds is None else bounds[1]

    def _is_handshake(self, side: Side, length: int, plaintext: int | None, packet: int, time_ns: int) -> bool:
        """TLS 1.3: whether a record that stays closed is taken for part of the handshake, or for a session ticket.

        The client's part ends with Finished, whose length is known; a server that speaks before the client has spoken
        behind it sends tickets.
        """
        if self._negotiation.server is None or side.finished:
            return False
        if side.direction == FROM_SERVER:
            self._server_since_finished = self.account.established_ns is not None
            return not (self._client_spoke and self.account.established_ns is not None)
        suite = suite_of(self._negotiation.server.cipher_suite)
        hash_length = {"sha256": 32, "sha384": 48}.get(suite.hash, 0) if suite is not None else 0
        is_finished = plaintext == _MESSAGE_HEADER + hash_length
        if self.account.established_ns is None:
            if plaintext != _MESSAGE_HEADER:
                self._establish(packet, time_ns)
                self._client_finished = is_finished
            return True
        if is_finished and not self._client_finished and not self._server_since_finished:
            self._client_finished, self._client_spoke, self._sealed = True, False, None
            return True
        self._client_spoke = True
        return False

    # Holes

    def _hole(self, side: Side, start: int, length: int, packet: int, time_ns: int) -> None:
        """Bytes that should be records are missing, or were none."""
        side.cut = True
        side.keys.hole(length)
        self._miss(side, start, length)
        if side.sealed or self._past_handshake():
            side.holes += 1
            if self._sealed is not None:
                self._sealed.other((packet, time_ns))

    def _miss(self, side: Side, start: int, length: int) -> None:
        if not side.missing:
            side.missing_from = start
        side.missing += length

    def _is_early(self, side: Side) -> bool:
        """Whether what the client sends is early data: before the server's hello nothing else is protected."""
        client = self._negotiation.client
        early = client is not None and client.early_data and self._negotiation.tls_1_3 is None
        return early and side.direction == FROM_CLIENT

    def _past_handshake(self) -> bool:
        return self.account.established_ns is not None or self._negotiation.client is None

    def _guessed_records(self, side: Side) -> int:
        """How many records are missing at the end, where no key tells: as few as there can be."""
        return -(-side.missing // (MAX_PLAINTEXT + HEADER))

    def _tell_gap(self, side: Side, records: int, stop: int, packet: int, time_ns: int) -> None:
        """The plaintext of so many records is missing."""
        missing, side.missing = side.missing, 0
        body = max(missing // records - HEADER, 0)
        overhead = 0
        for length in range(body, body - 32, -1):  # with a block cipher only some lengths are possible
            plaintext = self._plaintext_length(length)
            if plaintext is not None:
                overhead = length - plaintext
                break
        length = missing - records * (HEADER + overhead)
        if length > 0:
            self._content().gap(side.direction, length, side.missing_from, stop, packet, time_ns)

    # Handshake messages

    def _messages(self, side: Side, fragment: bytes, packet: int, time_ns: int) -> None:
        for kind, body in side.messages.feed(fragment):
            if body is None:
                self._odd("handshake_too_long", packet, time_ns)
            else:
                self._message(side, kind, body, packet, time_ns)

    def _cut_message(self, side: Side, part: bytes, packet: int, time_ns: int) -> None:
        """A handshake message stays incomplete: a hello tells what there is of it."""
        side.cut = True
        cut = side.messages.cut(part)
        if cut is None:
            return
        kind, body = cut
        if kind == handshake.CLIENT_HELLO and side.direction == FROM_CLIENT:
            self._client_hello(handshake.parse_client_hello(body), packet, time_ns)
        elif kind == handshake.SERVER_HELLO and side.direction == FROM_SERVER:
            hello = handshake.parse_server_hello(body)
            if hello.whole or hello.cipher_suite:
                self._server_hello(hello)

    def _message(self, side: Side, kind: int, body: bytes, packet: int, time_ns: int) -> None:
        from_server = side.direction == FROM_SERVER
        negotiation = self._negotiation
        if kind == handshake.FINISHED:
            self._finished(side, packet, time_ns)
        elif kind == handshake.KEY_UPDATE:
            if side.keys.stage == TRAFFIC and negotiation.tls_1_3:
                side.keys.update()
        elif kind == handshake.CLIENT_HELLO and not from_server:
            hello = handshake.parse_client_hello(body)
            if not hello.whole:
                self._odd("bad_handshake", packet, time_ns, "ClientHello")
            self._client_hello(hello, packet, time_ns)
        elif kind == handshake.END_OF_EARLY_DATA and not from_server:
            self._settle_early(True)
            side.keys.enter(HANDSHAKE)
        elif from_server:
            self._server_message(kind, body, packet, time_ns)

    def _server_message(self, kind: int, body: bytes, packet: int, time_ns: int) -> None:
        negotiation = self._negotiation
        if kind == handshake.SERVER_HELLO:
            hello = handshake.parse_server_hello(body)
            if not hello.whole:
                self._odd("bad_handshake", packet, time_ns, "ServerHello")
            self._server_hello(hello)
        elif kind == handshake.NEW_SESSION_TICKET:
            negotiation.ticket()
        elif kind == handshake.ENCRYPTED_EXTENSIONS:
            negotiation.encrypted_extensions(body)
            if self.account.early_data is not None:
                self._settle_early(self.account.early_data)
        elif kind == handshake.CERTIFICATE_REQUEST:
            negotiation.certificate_request()
        elif kind in (handshake.CERTIFICATE, handshake.SERVER_KEY_EXCHANGE, handshake.SERVER_HELLO_DONE):
            if not negotiation.tls_1_3:
                negotiation.full()
            if kind == handshake.CERTIFICATE:
                negotiation.certificate(body)
            elif kind == handshake.SERVER_HELLO_DONE and not self._sides[FROM_SERVER].cut:
                negotiation.server_is_done()

    def _client_hello(self, hello: ClientHello, packet: int, time_ns: int) -> None:
        first = self._negotiation.client is None
        self._negotiation.client_hello(hello, time_ns)
        self._keyring.client_hello(hello)
        if first or self.account.established_ns is None:
            self._emit(ClientHelloReceived(packet, time_ns, hello.sni, hello.alpn))

    def _server_hello(self, hello: ServerHello) -> None:
        self._negotiation.server_hello(hello)
        self._keyring.server_hello(hello)
        if self._negotiation.tls_1_3:
            for side in self._sides:
                side.sealed = False
        if self.account.early_data is False:
            self._settle_early(False)

    def _finished(self, side: Side, packet: int, time_ns: int) -> None:
        side.finished = True
        if self._negotiation.tls_1_3 and side.keys.stage < TRAFFIC:
            side.keys.enter(TRAFFIC)
        if side.direction == FROM_CLIENT:
            self._settle_early(False)
            self._establish(packet, time_ns)
        elif self._negotiation.tls_1_3 and not side.cut:
            self._negotiation.server_is_done()

    def _establish(self, packet: int, time_ns: int) -> None:
        account = self.account
        if account.established_ns is not None:
            return
        account.established_ns = time_ns
        duration = time_ns - account.hello_ns if account.hello_ns is not None else None
        self._explain()
        self._emit(TlsEstablished(packet, time_ns, duration, account))

    # Alerts

    def _alert(self, side: Side, body: bytes, packet: int, time_ns: int) -> None:
        if len(body) < 2:
            return
        level = ALERT_LEVELS.get(body[0]) or f"{body[0]:#04x}"
        description = ALERTS.get(body[1]) or f"{body[1]:#04x}"
        self._tell_alert(Alert(packet, time_ns, side.direction, level, description, False))

    def _tell_alert(self, alert: Alert) -> None:
        if alert.description == "close_notify":
            self.account.close_notify[alert.direction] = True
        if len(self.account.alerts) < MAX_ALERTS:
            self.account.alerts.append(alert)
            self._emit(AlertReceived(alert.packet, alert.time_ns, alert))

    def _tell_unread_alert(self, side: Side) -> None:
        alert, side.unread_alert = side.unread_alert, None
        if alert is not None:
            self._tell_alert(alert)

    def _settle_alerts(self, side: Side, ending: Ending) -> None:
        """The connection is being closed: say what its last records, if nobody can read them, are taken for."""
        if self._sealed is not None and ending is not Ending.CAPTURE:
            closing = self._sealed.close()
            for record in closing.goaways:
                unheard = record.direction == FROM_CLIENT and (side.direction == FROM_SERVER or ending is Ending.RST)
                if record.length >= GOAWAY_LENGTH and self._negotiation.may_be_http2() and not unheard:
                    self._emit(GoawayInferred(record.packet, record.time_ns, record.direction))
            for record in closing.alerts:
                self._sides[record.direction].unread_alert = None
                place = record.packet, record.time_ns, record.direction
                self._tell_alert(Alert(*place, "warning", "close_notify", True))
        self._tell_unread_alert(side)

    # Why something could not be read

    def _explain(self) -> None:
        """Say in words what stands in the way of reading everything."""
        self.account.why_not = why_not(self._sides, self._keyring, self._negotiation)
