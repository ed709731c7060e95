"""TLS on a connection: records in, transcripts out."""

from __future__ import annotations

import pytest

from inspector.bytestream import FROM_CLIENT, FROM_SERVER, Ending
from inspector.events import MessageEnded, RequestReceived
from inspector.protocols.tls.decoder import MAX_ALERTS, MAX_EARLY
from inspector.protocols.tls.handshake import KEY_UPDATE
from tests.protocols.http1.playbook import Step, client, client_end, server, server_end
from tests.protocols.tls.forge import (
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    CLOSE_NOTIFY,
    FINISHED_12,
    FINISHED_13,
    HANDSHAKE,
    TLS_1_2,
    Keys12,
    Keys13,
    client_hello,
    encrypted_extensions,
    message,
    record,
    server_hello,
)
from tests.protocols.tls.playbook import Conversation, Inner, changed, handshake_12, handshake_13, opaque, played

GET = b"GET /a HTTP/1.1\r\nHost: shop.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BEGINNING = ["1: TLS", "1: > ClientHello shop.test http/1.1"]
EXCHANGE = ["6: #0 > GET /a", "6: #0 > end, 0 bytes", "7: #0 < 200", "7: #0 < end, 5 bytes"]


class TestTls13:
    def test_with_keys_the_inside_is_read(self) -> None:
        keys = Keys13()
        conversation = played(
            *handshake_13(keys),
            client(keys.client.data(GET)),
            server(keys.server.data(OK)),
            client(keys.client.seal(ALERT, CLOSE_NOTIFY)),
            client_end(),
            keylog=keys.log(),
        )
        assert conversation.lines() == [
            *BEGINNING,
            "4: established after 3",
            *EXCHANGE,
            "8: > warning close_notify",
        ]
        account = conversation.account
        assert (account.version, account.cipher) == ("TLS 1.3", "TLS_AES_128_GCM_SHA256")
        assert (account.sni, account.alpn_offered, account.alpn) == ("shop.test", ["http/1.1"], "http/1.1")
        assert (account.resumed, account.resumption, account.early_data, account.retry) == (False, None, False, False)
        assert (account.decrypted, account.why_not) == (True, None)
        assert (account.client_certificate, account.tickets) == (False, 1)
        assert account.close_notify == [True, False]
        assert account.estimated_exchanges is None
        assert conversation.alpn == ["http/1.1"]
        assert conversation.decoder.protocol == "http/1.1"
        assert (conversation.decoder.application_packet, conversation.decoder.application_ns) == (7, 7000)

    def test_without_keys_lengths_and_times_are_left(self) -> None:
        keys = Keys13()
        conversation = played(*handshake_13(keys), client(keys.client.data(GET)), server(keys.server.data(OK)))
        assert conversation.lines() == [*BEGINNING, "4: established after 3"]
        account = conversation.account
        assert (account.alpn, account.decrypted, account.client_certificate) == (None, False, None)
        conversation.play([client_end(), server_end()])
        assert account.why_not == "no key log was given"
        assert account.estimated_exchanges == 1
        assert conversation.decoder.protocol == "tls"
        assert conversation.decoder.application_packet == 7
        assert conversation.alpn == []

    def test_messages_are_told_where_their_records_lie(self) -> None:
        keys = Keys13()
        steps = handshake_13(keys)
        before = sum(len(step.data) for step in steps if step.direction == FROM_CLIENT)
        first, second = keys.client.data(GET[:10]), keys.client.data(GET[10:] + GET)
        conversation = played(*steps, client(first), client(second), keylog=keys.log())
        requests = [event for event in conversation.events if isinstance(event, RequestReceived)]
        ends = [event for event in conversation.events if isinstance(event, MessageEnded)]
        end = before + len(first) + len(second)
        assert [(event.offset, event.first_packet) for event in requests] == [(before, 6), (before + len(first), 7)]
        assert [event.end_offset for event in ends] == [end, end]

    def test_key_update_of_each_side(self) -> None:
        keys, inner = Keys13(), Inner()
        update = message(KEY_UPDATE, b"\0")
        later = keys.client.updated()
        last = later.updated()
        server_later = keys.server.updated()
        conversation = played(
            *handshake_13(keys),
            client(keys.client.data(b"a") + keys.client.seal(HANDSHAKE, update) + later.data(b"b")),
            server(keys.server.data(b"x") + keys.server.seal(HANDSHAKE, update) + server_later.data(b"y")),
            client(later.seal(HANDSHAKE, update) + last.data(b"c")),
            keylog=keys.log(),
            inner=inner,
        )
        assert inner.told == ["6: > 0 a", "6: > 1 b", "7: < 0 x", "7: < 1 y", "8: > 2 c"]
        assert conversation.account.why_not is None

    def test_padding_and_records_without_content(self) -> None:
        keys, inner = Keys13(), Inner()
        sealed = keys.client.seal(APPLICATION_DATA, b"a", 100) + keys.client.data(b"") + keys.client.data(b"b")
        played(*handshake_13(keys), client(sealed), keylog=keys.log(), inner=inner)
        assert inner.told == ["6: > 0 a", "6: > 1 b"]

    def test_retry(self) -> None:
        keys = Keys13()
        hello = client(record(HANDSHAKE, client_hello(), version=0x0301))
        retry = server(record(HANDSHAKE, server_hello(retry=True)) + record(CHANGE_CIPHER_SPEC, b"\1"))
        again = client(record(CHANGE_CIPHER_SPEC, b"\1") + record(HANDSHAKE, client_hello()))
        conversation = played(hello, retry, again, *handshake_13(keys)[1:], keylog=keys.log())
        assert conversation.lines() == [*BEGINNING, "3: > ClientHello shop.test http/1.1", "6: established after 5"]
        account = conversation.account
        assert (account.retry, account.cipher, account.decrypted) == (True, "TLS_AES_128_GCM_SHA256", True)
        assert account.hello_ns == 1000

    def test_a_session_resumed_by_a_psk(self) -> None:
        keys = Keys13()
        steps = [
            client(record(HANDSHAKE, client_hello())),
            server(record(HANDSHAKE, server_hello(psk=True))),
        ]
        account = played(*steps, keylog=keys.log()).account
        assert (account.resumed, account.resumption) == (True, "psk")

    def test_a_client_certificate_is_asked_for(self) -> None:
        keys = Keys13()
        sealer = keys.handshake[FROM_SERVER]
        flight = encrypted_extensions() + message(13, b"\0\0\0") + FINISHED_13
        steps = [client(record(HANDSHAKE, client_hello())), server(record(HANDSHAKE, server_hello()))]
        account = played(*steps, server(sealer.seal(HANDSHAKE, flight)), keylog=keys.log()).account
        assert account.client_certificate is True

    def test_a_client_that_sends_certificates_is_past_the_handshake_at_its_finished(self) -> None:
        """Without keys: records of a certificate, of its proof, of Finished, by whose length that is known."""
        keys = Keys13()
        steps = [*handshake_13(keys)[:3], client(opaque(900)), client(opaque(280)), client(opaque(53))]
        conversation = played(*steps, server(opaque(250)))
        assert conversation.lines() == [*BEGINNING, "4: established after 3"]
        assert conversation.decoder.application_packet is None  # the server's is a ticket
        conversation.play([client(opaque(53)), server(opaque(250))])
        assert conversation.decoder.application_packet == 9


class TestEarlyData:
    @staticmethod
    def hellos(keys: Keys13, *, accepted: bool, psk: bool = True) -> list[Step]:
        sealer = keys.handshake[FROM_SERVER]
        flight = encrypted_extensions("http/1.1", early_data=accepted) + FINISHED_13
        early = keys.early.data(GET)
        return [
            client(record(HANDSHAKE, client_hello(early_data=True)) + record(CHANGE_CIPHER_SPEC, b"\1") + early),
            server(record(HANDSHAKE, server_hello(psk=psk)) + sealer.seal(HANDSHAKE, flight)),
        ]

    def test_accepted_it_counts_from_where_it_was_sent(self) -> None:
        keys = Keys13()
        steps = self.hellos(keys, accepted=True)
        end = keys.early.seal(HANDSHAKE, message(5))
        finished = keys.handshake[FROM_CLIENT].seal(HANDSHAKE, FINISHED_13)
        conversation = played(
            *steps, client(end + finished + keys.client.data(GET)), server(keys.server.data(OK)), keylog=keys.log()
        )
        assert conversation.lines() == [
            *BEGINNING,
            "1: #0 > GET /a",
            "1: #0 > end, 0 bytes",
            "3: established after 2",
            "3: #1 > GET /a",
            "3: #1 > end, 0 bytes",
            "4: #0 < 200",
            "4: #0 < end, 5 bytes",
        ]
        account = conversation.account
        assert (account.early_data, account.resumption, account.why_not) == (True, "psk", None)

    def test_rejected_it_was_never_said(self) -> None:
        keys = Keys13()
        steps = self.hellos(keys, accepted=False)
        finished = keys.handshake[FROM_CLIENT].seal(HANDSHAKE, FINISHED_13)
        conversation = played(*steps, client(finished + keys.client.data(GET)), keylog=keys.log())
        assert conversation.lines() == [
            *BEGINNING,
            "3: established after 2",
            "3: #0 > GET /a",
            "3: #0 > end, 0 bytes",
        ]
        assert conversation.account.early_data is False

    def test_rejected_with_the_session(self) -> None:
        keys = Keys13()
        steps = self.hellos(keys, accepted=False, psk=False)
        conversation = played(*steps, keylog=keys.log())
        assert (conversation.account.early_data, conversation.account.resumed) == (False, False)
        assert conversation.alpn == []

    def test_without_its_key_the_rest_is_read(self) -> None:
        keys = Keys13()
        steps = self.hellos(keys, accepted=True)
        end = keys.early.seal(HANDSHAKE, message(5))
        finished = keys.handshake[FROM_CLIENT].seal(HANDSHAKE, FINISHED_13)
        log = keys.log("CLIENT_EARLY_TRAFFIC_SECRET")
        conversation = played(
            *steps, client(end + finished), server(keys.server.data(OK)), client_end(), keylog=log, inner=Inner()
        )
        assert "3: established after 2" in conversation.lines()
        assert conversation.account.why_not == "the key log has no CLIENT_EARLY_TRAFFIC_SECRET for this connection"
        assert conversation.account.early_data is True

    def test_what_waits_is_bounded(self) -> None:
        keys, inner = Keys13(), Inner()
        hello = client(record(HANDSHAKE, client_hello(early_data=True)))
        flood = [client(keys.early.data(b"x" * 16_000)) for _ in range(MAX_EARLY // 16_000 + 3)]
        flight = encrypted_extensions(early_data=True) + FINISHED_13
        answer = server(record(HANDSHAKE, server_hello(psk=True)) + keys.handshake[1].seal(HANDSHAKE, flight))
        played(hello, *flood, answer, keylog=keys.log(), inner=inner)
        assert len(inner.text[FROM_CLIENT]) == 4 * 16_000


class TestTls12:
    def test_with_keys_the_inside_is_read(self) -> None:
        keys = Keys12()
        conversation = played(
            *handshake_12(keys),
            client(keys.client.data(GET)),
            server(keys.server.data(OK)),
            server(keys.server.seal(ALERT, CLOSE_NOTIFY)),
            keylog=keys.log(),
        )
        assert conversation.lines() == [
            *BEGINNING,
            "3: established after 2",
            "5: #0 > GET /a",
            "5: #0 > end, 0 bytes",
            "6: #0 < 200",
            "6: #0 < end, 5 bytes",
            "7: < warning close_notify",
        ]
        account = conversation.account
        assert (account.version, account.cipher) == ("TLS 1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
        assert (account.alpn, account.resumed, account.tickets) == ("http/1.1", False, 1)
        assert (account.decrypted, account.why_not, account.early_data) == (True, None, False)
        assert account.client_certificate is False

    @pytest.mark.parametrize(
        ("session_id", "ticket", "echo", "resumption"),
        [
            (b"s" * 32, None, b"s" * 32, "session-id"),
            (b"s" * 32, b"", b"s" * 32, "session-id"),
            (b"s" * 32, b"t", b"s" * 32, "ticket"),
            (b"", b"t", b"", "ticket"),
        ],
    )
    def test_resumption(self, session_id: bytes, ticket: bytes | None, echo: bytes, resumption: str) -> None:
        keys = Keys12()
        hello = client_hello(versions=(), session_id=session_id, ticket=ticket)
        answer = record(HANDSHAKE, server_hello(TLS_1_2, session_id=echo))
        conversation = played(
            client(record(HANDSHAKE, hello)),
            server(answer + changed(keys.server.seal(HANDSHAKE, FINISHED_12))),
            client(changed(keys.client.seal(HANDSHAKE, FINISHED_12))),
        )
        account = conversation.account
        assert (account.resumed, account.resumption) == (True, resumption)
        assert conversation.lines()[2:] == ["3: established after 2"]

    def test_a_ticket_that_the_server_did_not_take(self) -> None:
        hello = client_hello(versions=(), session_id=b"s" * 32, ticket=b"t")
        flight = server_hello(TLS_1_2, session_id=b"n" * 32) + message(11, bytes(3)) + message(14)
        account = played(client(record(HANDSHAKE, hello)), server(record(HANDSHAKE, flight))).account
        assert (account.resumed, account.resumption) == (False, None)

    def test_renegotiation_is_read_on(self) -> None:
        keys = Keys12()
        steps = [*handshake_12(keys), client(keys.client.data(GET)), server(keys.server.data(OK))]
        sealer = keys.client
        again = [
            client(sealer.seal(HANDSHAKE, client_hello(versions=()))),
            server(keys.server.seal(HANDSHAKE, server_hello(TLS_1_2) + message(14))),
            client(sealer.seal(HANDSHAKE, message(16, bytes(33))) + sealer.seal(CHANGE_CIPHER_SPEC, b"\1")),
            server(keys.server.seal(CHANGE_CIPHER_SPEC, b"\1")),
        ]
        later = Keys12()  # the forge's randoms are always the same, and so are the keys
        conversation = played(*steps, *again, client(later.client.seal(HANDSHAKE, FINISHED_12)), keylog=keys.log())
        conversation.play([client(later.client.data(GET)), server(later.server.data(OK))])
        assert conversation.lines()[2:] == [
            "3: established after 2",
            "5: #0 > GET /a",
            "5: #0 > end, 0 bytes",
            "6: #0 < 200",
            "6: #0 < end, 5 bytes",
            "12: #1 > GET /a",
            "12: #1 > end, 0 bytes",
            "13: #1 < 200",
            "13: #1 < end, 5 bytes",
        ]
        assert conversation.account.why_not is None

    def test_compressed_records_are_not_opened(self) -> None:
        keys = Keys12()
        hello = bytearray(server_hello(TLS_1_2))
        hello[4 + 2 + 32 + 1 + 2] = 1
        steps = handshake_12(keys)
        steps[1] = server(record(HANDSHAKE, bytes(hello) + message(14)))
        conversation = played(*steps, client(keys.client.data(GET)), client_end(), keylog=keys.log())
        assert conversation.account.why_not == "the records are compressed"
        assert conversation.account.decrypted is False


class TestAlerts:
    def test_in_the_clear(self) -> None:
        conversation = played(
            client(record(HANDSHAKE, client_hello())),
            server(record(ALERT, b"\2\x28")),
            server(record(ALERT, b"\3\xfe")),
        )
        assert conversation.lines()[2:] == ["2: < fatal handshake_failure", "3: < 0x03 0xfe"]
        assert conversation.account.why_not is None

    def test_encrypted_and_not_the_last_word_it_is_told_as_unread(self) -> None:
        keys = Keys12()
        steps = [*handshake_12(keys), server(opaque(26, ALERT)), server(opaque(100))]
        conversation = played(*steps, server_end())
        assert conversation.lines()[3:] == ["5: < unread"]
        assert conversation.account.close_notify == [False, None]

    def test_encrypted_and_last_it_is_taken_for_close_notify(self) -> None:
        keys = Keys12()
        conversation = played(*handshake_12(keys), server(opaque(100)), server(opaque(26, ALERT)), server_end())
        assert conversation.lines()[3:] == ["6: < warning close_notify inferred"]
        assert conversation.account.close_notify == [False, True]
        assert conversation.decoder.application_packet == 5

    def test_encrypted_and_last_in_the_capture_it_stays_unread(self) -> None:
        keys = Keys12()
        conversation = played(*handshake_12(keys), server(opaque(26, ALERT)), server_end(Ending.CAPTURE))
        assert conversation.lines()[3:] == ["5: < unread"]
        assert conversation.account.close_notify == [False, None]

    def test_a_flood_of_them_is_not_kept(self) -> None:
        steps = [client(record(HANDSHAKE, client_hello())), *([server(record(ALERT, b"\1\x5a"))] * 100)]
        conversation = played(*steps)
        assert len(conversation.account.alerts) == MAX_ALERTS
        assert len(conversation.events) == 2 + MAX_ALERTS


class TestClosingWithoutKeys:
    """TLS 1.3: a body has 17 bytes more than its plaintext."""

    @staticmethod
    def idle(alpn: str = "h2") -> Conversation:
        keys = Keys13()
        steps = handshake_13(keys)
        steps[0] = client(record(HANDSHAKE, client_hello(alpn=(alpn,))))
        return played(*steps, client(opaque(200)), server(opaque(300)))

    def test_close_notify(self) -> None:
        conversation = self.idle()
        conversation.play([server(opaque(19)), server_end()])
        assert conversation.lines()[3:] == ["8: < warning close_notify inferred"]
        assert conversation.decoder.application_packet == 7

    def test_goaway_after_a_silence(self) -> None:
        conversation = self.idle()
        conversation.quiet(60)
        conversation.play([server(opaque(17 + 17)), server(opaque(19)), server_end()])
        assert conversation.lines()[3:] == [
            "60000008: < GOAWAY inferred",
            "60000009: < warning close_notify inferred",
        ]
        assert conversation.decoder.application_packet == 7

    def test_goaway_that_the_client_answers_with_its_close(self) -> None:
        conversation = self.idle()
        conversation.quiet(60)
        conversation.play([server(opaque(34)), client(opaque(19)), client_end()])
        assert conversation.lines()[3:] == [
            "60000008: < GOAWAY inferred",
            "60000009: > warning close_notify inferred",
        ]
        assert conversation.decoder.application_packet == 7

    def test_a_small_request_into_the_servers_close_is_no_goaway(self) -> None:
        """But to the server the connection was idle."""
        conversation = self.idle()
        conversation.quiet(60)
        conversation.play([client(opaque(50)), server_end()])
        assert conversation.lines()[3:] == []
        assert conversation.decoder.application_packet == 7

    def test_goaway_of_the_client(self) -> None:
        conversation = self.idle()
        conversation.quiet(60)
        conversation.play([client(opaque(34)), client(opaque(19)), client_end()])
        assert conversation.lines()[3:] == [
            "60000008: > GOAWAY inferred",
            "60000009: > warning close_notify inferred",
        ]

    def test_a_small_answer_without_a_silence_is_an_answer(self) -> None:
        conversation = self.idle()
        conversation.quiet(60)
        conversation.play([client(opaque(60)), server(opaque(60)), server(opaque(19)), server_end()])
        assert conversation.lines()[3:] == ["60000010: < warning close_notify inferred"]
        assert conversation.decoder.application_packet == 60_000_009

    def test_many_small_records_are_a_conversation(self) -> None:
        conversation = self.idle()
        for _ in range(8):
            conversation.quiet(1)
            conversation.play([server(opaque(60))])
        last = conversation.packet
        conversation.play([server_end()])
        assert conversation.lines()[3:] == []
        assert conversation.decoder.application_packet == last

    def test_what_is_no_http2_sends_no_goaway_but_ends_its_idleness(self) -> None:
        conversation = self.idle("http/1.1")
        conversation.quiet(60)
        conversation.play([server(opaque(34)), server_end()])
        assert conversation.lines()[3:] == []
        assert conversation.decoder.application_packet == 7

    def test_nothing_is_inferred_at_the_end_of_a_capture(self) -> None:
        conversation = self.idle()
        conversation.quiet(60)
        conversation.play([server(opaque(34)), server(opaque(19)), server_end(Ending.CAPTURE)])
        assert conversation.lines()[3:] == []

    def test_the_other_side_says_close_notify_later(self) -> None:
        conversation = self.idle()
        conversation.play([server(opaque(19)), server_end(), client(opaque(19)), client_end()])
        assert conversation.lines()[3:] == [
            "8: < warning close_notify inferred",
            "10: > warning close_notify inferred",
        ]
        assert conversation.account.close_notify == [True, True]


class TestKeysThatAreMissing:
    def test_each_direction_by_itself(self) -> None:
        keys, inner = Keys13(), Inner()
        conversation = played(
            *handshake_13(keys),
            client(keys.client.data(GET)),
            server(keys.server.data(b"answer")),
            client_end(),
            server_end(),
            keylog=keys.log("CLIENT_TRAFFIC_SECRET_0"),
            inner=inner,
        )
        assert inner.told == ["7: < 0 answer", "8: > fin", "9: < fin"]
        assert conversation.account.why_not == "the key log has no CLIENT_TRAFFIC_SECRET_0 for this connection"
        assert conversation.account.decrypted is True
        assert conversation.account.estimated_exchanges is None

    def test_without_handshake_secrets_application_data_is_read(self) -> None:
        keys, inner = Keys13(), Inner()
        log = keys.log("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET")
        conversation = played(
            *handshake_13(keys),
            client(keys.client.data(b"ask")),
            server(keys.server.data(b"answer")),
            server_end(),
            keylog=log,
            inner=inner,
        )
        assert inner.told == ["6: > 0 ask", "7: < 0 answer", "8: < fin"]
        account = conversation.account
        assert (account.decrypted, account.alpn, account.tickets) == (True, None, 1)
        assert account.why_not == (
            "the key log has no CLIENT_HANDSHAKE_TRAFFIC_SECRET, SERVER_HANDSHAKE_TRAFFIC_SECRET for this connection"
        )
        assert conversation.lines()[2:3] == ["4: established after 3"]

    def test_handshake_secrets_alone_read_the_handshake(self) -> None:
        keys = Keys13()
        log = keys.log("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0")
        conversation = played(
            *handshake_13(keys), client(keys.client.data(GET)), server(keys.server.data(OK)), server_end(), keylog=log
        )
        account = conversation.account
        assert (account.alpn, account.decrypted) == ("http/1.1", False)
        assert account.why_not == (
            "the key log has no CLIENT_TRAFFIC_SECRET_0, SERVER_TRAFFIC_SECRET_0 for this connection"
        )
        assert account.estimated_exchanges == 1

    def test_a_key_log_of_other_connections(self) -> None:
        keys = Keys12()
        log = b"CLIENT_RANDOM " + b"ab" * 32 + b" " + b"cd" * 48 + b"\n"
        conversation = played(*handshake_12(keys), client(keys.client.data(GET)), client_end(), keylog=log)
        assert conversation.account.why_not == "the key log has no CLIENT_RANDOM for this connection"

    def test_wrong_secrets(self) -> None:
        keys = Keys12()
        log = b" ".join(keys.log().split()[:2]) + b" " + b"cd" * 48 + b"\n"
        conversation = played(*handshake_12(keys), client(keys.client.data(GET)), client_end(), keylog=log)
        assert conversation.account.why_not == (
            "2 records of the client cannot be opened with the key log's secrets, from packet 3 on"
        )
        assert conversation.account.decrypted is False
        assert conversation.lines() == [*BEGINNING, "3: established after 2"]

    def test_a_suite_that_cannot_be_opened(self) -> None:
        keys = Keys13()
        steps = handshake_13(keys)
        steps[1] = server(record(HANDSHAKE, server_hello(suite=0x13FE)))
        conversation = played(*steps, client(keys.client.data(GET)), client_end(), keylog=keys.log())
        assert conversation.account.cipher == "0x13fe"
        assert conversation.account.why_not == "this cipher suite cannot be decrypted"

    def test_a_key_that_comes_late_opens_what_comes_then(self) -> None:
        keys, inner = Keys13(), Inner()
        conversation = played(
            *handshake_13(keys, tickets=0), client(keys.client.data(b"one")), keylog=b"# nothing yet\n", inner=inner
        )
        conversation.keys.add(keys.log())
        conversation.play([client(keys.client.data(b"two")), server(keys.server.data(b"answer")), client_end()])
        assert inner.told == ["6: > 0 hole of 3", "6: > 3 two", "7: < 0 answer", "8: > fin"]
        assert conversation.account.decrypted is True

    def test_a_handshake_that_is_not_in_the_capture(self) -> None:
        keys = Keys13()
        conversation = played(
            client(keys.client.data(GET)), server(keys.server.data(OK)), client_end(), keylog=keys.log()
        )
        assert conversation.lines() == ["1: TLS", "1: established"]
        assert conversation.account.why_not == "the ClientHello is not in the capture"
        assert conversation.account.version is None
        assert conversation.decoder.application_packet == 2


def test_nothing_that_nobody_reads_is_asked_for() -> None:
    keys = Keys13()
    conversation = played(*handshake_13(keys), server(opaque(16_000)[:50]))
    assert conversation.decoder.skip_until[FROM_SERVER] == conversation.offsets[FROM_SERVER] - 50 + 16_005
    assert conversation.decoder.application_packet == 6


def test_a_finished_is_not_an_application_byte() -> None:
    keys = Keys13()
    assert played(*handshake_13(keys)).decoder.application_packet is None
    assert played(*handshake_13(keys), keylog=keys.log()).decoder.application_packet is None
    assert played(*handshake_12(Keys12())).decoder.application_packet is None
