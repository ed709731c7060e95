"""What lengths and times tell: records as numbers, in the order of the wire."""

from __future__ import annotations

import pytest

from inspector.bytestream import FROM_CLIENT, FROM_SERVER
from inspector.protocols.tls.inferred import (
    CLOSING_SILENCE_NS,
    MAX_CLOSING_PLAINTEXT,
    MAX_CLOSING_RECORDS,
    SealedRecords,
)

MS = 1_000_000
SILENCE = CLOSING_SILENCE_NS // MS


def heard(*records: tuple[str, int | None] | tuple[str, int | None, int], http2: bool = True) -> SealedRecords:
    """Records as (side, plaintext length, milliseconds since the one before, 1 unless said); numbered from 1."""
    sealed, now = SealedRecords(http2), 0
    for packet, (side, length, *after) in enumerate(records, 1):
        now += (after[0] if after else 1) * MS
        direction = FROM_CLIENT if side == ">" else FROM_SERVER
        sealed.record(direction, length, (packet, now), is_alert=None)
    return sealed


def told(sealed: SealedRecords) -> tuple[int | None, list[int], list[int]]:
    """Packets: of the last application byte, of GOAWAYs, of alerts."""
    closing = sealed.closing()
    application = None if closing.application is None else closing.application[0]
    return application, [record.packet for record in closing.goaways], [record.packet for record in closing.alerts]


ANSWERED = [(">", 100), ("<", 500)]


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([], (None, [], [])),
        (ANSWERED, (2, [], [])),
        ([*ANSWERED, ("<", 2)], (2, [], [3])),
        ([*ANSWERED, ("<", 2), (">", 2)], (2, [], [3, 4])),
        ([*ANSWERED, ("<", 17, SILENCE)], (2, [3], [])),
        ([*ANSWERED, ("<", 17, SILENCE - 1)], (3, [], [])),
        ([*ANSWERED, ("<", MAX_CLOSING_PLAINTEXT, SILENCE)], (2, [3], [])),
        ([*ANSWERED, ("<", MAX_CLOSING_PLAINTEXT + 1, SILENCE)], (3, [], [])),
        ([*ANSWERED, ("<", None, SILENCE)], (3, [], [])),
        ([*ANSWERED, ("<", 17, SILENCE), ("<", 17, 1000), ("<", 2)], (2, [3, 4], [5])),
        ([*ANSWERED, ("<", 17, SILENCE), (">", 2)], (2, [3], [4])),
        ([*ANSWERED, ("<", 17, SILENCE), (">", 20)], (4, [], [])),
        ([(">", 100), ("<", 30), ("<", 17, SILENCE)], (2, [3], [])),
        ([("<", 17, SILENCE)], (1, [], [])),
        ([*ANSWERED, (">", 13), ("<", 60, SILENCE)], (4, [], [])),
        ([*ANSWERED, (">", 13), ("<", 17, SILENCE), ("<", 2)], (3, [4], [5])),
        ([*ANSWERED, *[("<", 40, SILENCE)] * MAX_CLOSING_RECORDS], (2, [3, 4, 5, 6], [])),
        ([*ANSWERED, *[("<", 40, SILENCE)] * (MAX_CLOSING_RECORDS + 1)], (7, [], [])),
        ([*ANSWERED, *[("<", 40, SILENCE)] * 50], (52, [], [])),
        ([*ANSWERED, *[(">", 2)] * 50], (2, [], list(range(47, 53)))),
        ([*ANSWERED, ("<", 17, 5000), (">", 17), ("<", 17, 5000), (">", 17)], (2, [], [])),
        ([*ANSWERED, ("<", 17, 5000), (">", 17), ("<", 17, SILENCE), ("<", 2)], (2, [5], [6])),
    ],
)
def test_what_the_last_records_are_taken_for(
    records: list[tuple[str, int | None]], expected: tuple[int | None, list[int], list[int]]
) -> None:
    assert told(heard(*records)) == expected


def test_once_closed_the_last_records_are_settled() -> None:
    sealed = heard(*ANSWERED, ("<", 17, SILENCE), ("<", 2))
    assert [record.packet for record in sealed.close().alerts] == [4]
    assert told(sealed) == (2, [], [])


def test_a_visible_alert_is_one_of_any_length() -> None:
    """Up to TLS 1.2 the content type is in the clear."""
    sealed = heard(*ANSWERED)
    sealed.record(FROM_SERVER, 15, (3, 3 * MS), is_alert=True)
    assert told(sealed) == (2, [], [3])
    sealed = heard(*ANSWERED)
    sealed.record(FROM_SERVER, 2, (3, 3 * MS), is_alert=False)
    assert told(sealed) == (3, [], [])


def test_an_application_byte_ends_what_was_small() -> None:
    sealed = heard(*ANSWERED, ("<", 17, SILENCE))
    sealed.other((9, 900 * MS))
    assert told(sealed) == (9, [], [])


@pytest.mark.parametrize(
    ("records", "exchanges"),
    [
        ([], 0),
        ([(">", 100)], 0),
        ([("<", 100)], 0),
        (ANSWERED, 1),
        (ANSWERED * 3, 3),
        ([(">", 100), (">", 20), ("<", 100), ("<", 9000)], 1),
        ([(">", 100), ("<", 9), ("<", 17), ("<", 13)], 0),
        ([*ANSWERED, (">", 9), ("<", 500)], 1),
        ([*ANSWERED, (">", 13), ("<", 500)], 2),
        ([(">", 100), ("<", 9000), (">", 13), ("<", 9000), (">", 26), ("<", 500)], 1),
        ([*ANSWERED, (">", 17), ("<", 17), ("<", 500)], 1),
        ([*ANSWERED, ("<", 17), (">", 17), ("<", 500)], 1),
        ([*ANSWERED, (">", 17), ("<", 500)], 2),
    ],
)
def test_estimated_exchanges_of_http2(records: list[tuple[str, int | None]], exchanges: int) -> None:
    assert heard(*records).exchanges == exchanges


def test_of_http1_every_length_counts() -> None:
    assert heard((">", 13), ("<", 17), (">", 17), ("<", 17), http2=False).exchanges == 2
