"""TLS that is not as it should be: holes, and what nobody sends: records in, transcripts out."""

from __future__ import annotations

from inspector.bytestream import FROM_SERVER
from inspector.protocols.tls.decoder import MAX_ANOMALIES
from inspector.protocols.tls.handshake import FINISHED, KEY_UPDATE
from tests.protocols.http1.playbook import client, client_lost, server, server_end, server_lost
from tests.protocols.tls.forge import (
    HANDSHAKE,
    TLS_1_2,
    Keys12,
    Keys13,
    client_hello,
    message,
    record,
    server_hello,
)
from tests.protocols.tls.playbook import Inner, handshake_12, handshake_13, opaque, played

GET = b"GET /a HTTP/1.1\r\nHost: shop.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BEGINNING = ["1: TLS", "1: > ClientHello shop.test http/1.1"]
EXCHANGE = ["6: #0 > GET /a", "6: #0 > end, 0 bytes", "7: #0 < 200", "7: #0 < end, 5 bytes"]


class TestHoles:
    def test_a_hole_inside_a_record_costs_that_record(self) -> None:
        keys, inner = Keys13(), Inner()
        steps = handshake_13(keys)
        first, second, third = (keys.server.data(text) for text in (b"one", b"two", b"three"))
        conversation = played(
            *steps,
            server(first + second[:9]),
            server_lost(5),
            server(second[14:] + third),
            keylog=keys.log(),
            inner=inner,
        )
        assert inner.told == ["6: < 0 one", "8: < 3 hole of 3", "8: < 6 three"]
        conversation.play([server_end()])
        assert conversation.account.why_not == "bytes of the server are missing in the capture"

    def test_a_hole_over_records_is_as_long_as_their_plaintext(self) -> None:
        keys, inner = Keys13(), Inner()
        steps = handshake_13(keys)
        lost = b"".join(keys.server.data(b"x" * size) for size in (100, 3, 2000))
        conversation = played(
            *steps, server_lost(len(lost)), server(keys.server.data(b"after")), keylog=keys.log(), inner=inner
        )
        assert inner.told == ["7: < 0 hole of 2103", "7: < 2103 after"]
        assert conversation.lines()[3:] == [f"7: ! resynchronised ({len(lost)} bytes skipped)"]

    def test_a_hole_that_ends_inside_a_record(self) -> None:
        keys, inner = Keys13(), Inner()
        steps = handshake_13(keys)
        stream = b"".join(keys.server.data(b"x" * 500) for _ in range(4))
        size = len(stream) // 4
        played(
            *steps,
            server(stream[:100]),
            server_lost(size),
            server(stream[100 + size :]),
            server(keys.server.data(b"last")),
            keylog=keys.log(),
            inner=inner,
        )
        assert inner.told == ["8: < 0 hole of 1000", "8: < 1000 500 bytes", "8: < 1500 500 bytes", "9: < 2000 last"]

    def test_a_hole_over_the_end_of_the_handshake(self) -> None:
        keys, inner = Keys13(), Inner()
        steps = handshake_13(keys)
        flight = steps[2].data
        steps[2:3] = [server_lost(len(flight))]
        conversation = played(
            *steps,
            client(keys.client.data(b"ask")),
            server(keys.server.data(b"answer")),
            keylog=keys.log(),
            inner=inner,
        )
        assert inner.told == ["6: > 0 ask", "7: < 0 answer"]
        assert conversation.account.alpn is None

    def test_a_hole_over_the_clients_finished(self) -> None:
        keys, inner = Keys13(), Inner()
        steps = handshake_13(keys)
        steps[3:4] = [client_lost(len(steps[3].data))]
        conversation = played(*steps, client(keys.client.data(b"ask")), keylog=keys.log(), inner=inner)
        assert inner.told == ["6: > 0 ask"]
        assert "6: established after 5" in conversation.lines()

    def test_a_hole_over_a_key_update(self) -> None:
        keys, inner = Keys13(), Inner()
        update = keys.client.seal(HANDSHAKE, message(KEY_UPDATE, b"\0"))
        conversation = played(*handshake_13(keys), client_lost(len(update)), keylog=keys.log(), inner=inner)
        conversation.play([client(keys.client.updated().data(b"ask"))])
        assert inner.told == ["7: > 0 ask"]

    def test_a_hole_over_change_cipher_spec_and_finished(self) -> None:
        keys, inner = Keys12(), Inner()
        steps = handshake_12(keys)
        steps[3:4] = [server_lost(len(steps[3].data))]
        conversation = played(
            *steps,
            client(keys.client.data(b"ask")),
            server(keys.server.data(b"answer")),
            keylog=keys.log(),
            inner=inner,
        )
        assert inner.told[0] == "5: > 0 ask"
        assert inner.told[-1].endswith("answer")
        assert conversation.account.why_not is None

    def test_a_hello_cut_short_tells_what_there_is(self) -> None:
        hello = record(HANDSHAKE, client_hello())
        conversation = played(client(hello[:-9]), client_lost(9), server(record(HANDSHAKE, server_hello(TLS_1_2))))
        assert conversation.lines() == ["1: TLS", "2: > ClientHello shop.test http/1.1"]
        assert conversation.account.version == "TLS 1.2"

    def test_a_record_that_does_not_authenticate_costs_itself(self) -> None:
        keys, inner = Keys13(), Inner()
        steps = handshake_13(keys)
        one, changed_on_its_way, two = (keys.server.data(text) for text in (b"one", b"changed", b"two"))
        damaged = changed_on_its_way[:-1] + bytes([changed_on_its_way[-1] ^ 1])
        steps += [server(one), server(damaged), server(two)]
        conversation = played(*steps, server_end(), keylog=keys.log(), inner=inner)
        assert inner.told == ["6: < 0 one", "8: < 3 hole of 7", "8: < 10 two", "9: < fin"]
        assert conversation.lines()[3:] == ["7: ! record_not_authentic (of the server)"]
        assert conversation.account.why_not == (
            "1 record of the server cannot be opened with the key log's secrets, from packet 7 on"
        )

    def test_records_missing_at_the_end_are_told_before_it(self) -> None:
        keys, inner = Keys13(), Inner()
        steps = [*handshake_13(keys), server(keys.server.data(b"one")), server_lost(122), server_end()]
        played(*steps, keylog=keys.log(), inner=inner)
        assert inner.told == ["6: < 0 one", "8: < 3 hole of 100", "8: < fin"]


class TestOdd:
    def test_http_on_a_port_of_tls(self) -> None:
        conversation = played(
            client(record(HANDSHAKE, client_hello())), server(b"HTTP/1.1 400 Bad Request\r\n\r\nno"), server_end()
        )
        assert conversation.lines() == [*BEGINNING, "2: ! not_tls"]

    def test_a_direction_that_begins_inside_a_record(self) -> None:
        conversation = played(client(opaque(40)), server(b"rest of a record" + opaque(60) + opaque(60)))
        assert conversation.lines() == [
            "1: TLS",
            "1: established",
            "2: ! mid_message",
            "2: ! resynchronised (16 bytes skipped)",
        ]
        assert conversation.account.estimated_exchanges is None
        conversation.play([server_end()])
        assert conversation.account.estimated_exchanges == 1

    def test_bytes_between_records(self) -> None:
        keys = Keys13()
        conversation = played(
            *handshake_13(keys), server(b"#" + opaque(100) + opaque(100)), client(opaque(20) + b"\x17\3\3\xff\xff")
        )
        assert conversation.lines()[3:] == [
            "6: ! not_tls",
            "6: ! resynchronised (1 bytes skipped)",
            "7: ! not_tls",
        ]

    def test_anomalies_are_bounded(self) -> None:
        keys = Keys13()
        steps = [server(b"#" + opaque(5) + opaque(5))] * 200
        conversation = played(*handshake_13(keys), *steps)
        assert len([line for line in conversation.lines() if "!" in line]) == MAX_ANOMALIES

    def test_a_hello_that_ends_too_early(self) -> None:
        body = client_hello()[4:-3]
        conversation = played(client(record(HANDSHAKE, message(1, body))))
        assert conversation.lines() == [
            "1: TLS",
            "1: ! bad_handshake (ClientHello)",
            "1: > ClientHello shop.test http/1.1",
        ]

    def test_a_message_too_long_is_stepped_over(self) -> None:
        long = message(11, bytes(200_000))
        pieces = [long[at : at + 16_000] for at in range(0, len(long), 16_000)]
        conversation = played(
            client(record(HANDSHAKE, client_hello(versions=()))),
            server(record(HANDSHAKE, server_hello(TLS_1_2))),
            *[server(record(HANDSHAKE, piece)) for piece in pieces],
            server(record(HANDSHAKE, message(13, bytes(3)))),
        )
        assert conversation.lines()[2:] == ["3: ! handshake_too_long"]
        assert conversation.account.client_certificate is True

    def test_an_ssl2_hello_that_offers_tls(self) -> None:
        suites = b"\0\0\x2f" + b"\x07\0\xc0"
        body = b"\1\3\1" + len(suites).to_bytes(2, "big") + b"\0\0" + b"\0\x10" + suites + b"c" * 16
        conversation = played(
            client((0x8000 | len(body)).to_bytes(2, "big") + body), server(record(HANDSHAKE, server_hello(0x0301)))
        )
        assert conversation.lines() == ["1: TLS", "1: > ClientHello None"]
        assert conversation.account.version == "TLS 1.0"

    def test_ssl2(self) -> None:
        body = b"\1\0\2" + b"\0\3\0\0\0\x10" + b"\x07\0\xc0" + b"c" * 16
        conversation = played(
            client((0x8000 | len(body)).to_bytes(2, "big") + body), server(b"\x84\x10\4\0\1\0\2" + bytes(100))
        )
        assert conversation.lines() == ["1: TLS", "1: > ClientHello None"]
        assert conversation.account.version == "SSL 2.0"
        assert conversation.decoder.skip_until[FROM_SERVER] > 1 << 60

    def test_a_finished_of_a_server_that_never_said_hello(self) -> None:
        conversation = played(server(record(HANDSHAKE, message(FINISHED, bytes(12)))), server_end())
        assert conversation.lines() == ["1: TLS"]
        assert conversation.account.why_not is None
