"""Key logs: every label, any way of writing, torn and half-written lines, foreign files."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.protocols.tls import keylog
from inspector.protocols.tls.keylog import LABELS, KeyLog

RANDOM = bytes(range(32))
MASTER = bytes(range(100, 148))
TRAFFIC = bytes(range(50, 82))


def line(label: str, secret: bytes, client_random: bytes = RANDOM) -> bytes:
    return f"{label} {client_random.hex()} {secret.hex()}\n".encode()


def secret_of(label: str) -> bytes:
    return MASTER if label == "CLIENT_RANDOM" else TRAFFIC


LOG = b"".join(line(label, secret_of(label)) for label in LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_every_label(label: str) -> None:
    keys = KeyLog()
    keys.add(LOG)
    assert keys.secret(label, RANDOM) == secret_of(label)
    assert keys.secret(label, bytes(32)) is None
    assert (keys.read, keys.broken) == (len(LABELS), 0)


def test_says_which_labels_there_are() -> None:
    keys = KeyLog()
    keys.add(line("CLIENT_TRAFFIC_SECRET_0", TRAFFIC) + line("CLIENT_RANDOM", MASTER))
    assert keys.labels(RANDOM) == ["CLIENT_RANDOM", "CLIENT_TRAFFIC_SECRET_0"]
    assert keys.labels(bytes(32)) == []


@pytest.mark.parametrize(
    "log",
    [
        LOG.replace(b"\n", b"\r\n"),
        b"# a comment\n\n" + LOG.replace(b"\n", b"\n# another\n \n"),
        LOG.replace(b" ", b"  "),
        b"\n".join(b" ".join([words[0], *map(bytes.upper, words[1:])]) for words in map(bytes.split, LOG.splitlines())),
        LOG + b"EXPORTER_SECRET " + RANDOM.hex().encode() + b" " + TRAFFIC.hex().encode() + b"\n",
        line("QUIC_SERVER_TRAFFIC_SECRET_0", TRAFFIC) + LOG,
        LOG + line("CLIENT_TRAFFIC_SECRET_1", TRAFFIC) + b"RSA 0011223344556677 " + MASTER.hex().encode() + b"\n",
    ],
    ids=["crlf", "comments", "spaces", "upper case", "exporter", "quic", "unused labels"],
)
def test_ways_of_writing(log: bytes) -> None:
    keys = KeyLog()
    keys.add_whole(log)
    assert [keys.secret(label, RANDOM) for label in LABELS] == [secret_of(label) for label in LABELS]
    assert (keys.read, keys.broken) == (len(LABELS), 0)


@given(cuts=st.lists(st.integers(0, len(LOG)), max_size=6))
def test_cut_anywhere(cuts: list[int]) -> None:
    """A line that has arrived by halves is one line."""
    keys = KeyLog()
    edges = [0, *sorted(cuts), len(LOG)]
    for start, end in pairwise(edges):
        keys.add(LOG[start:end])
    assert [keys.secret(label, RANDOM) for label in LABELS] == [secret_of(label) for label in LABELS]
    assert (keys.read, keys.broken) == (len(LABELS), 0)


def test_last_line_without_its_end() -> None:
    keys = KeyLog()
    keys.add(LOG[:-1])
    assert keys.secret(LABELS[-1], RANDOM) == TRAFFIC


def test_half_of_a_long_secret_is_replaced_by_the_whole() -> None:
    """32 bytes are a secret; they may also be the first of 48."""
    keys = KeyLog()
    whole = line("CLIENT_TRAFFIC_SECRET_0", MASTER)
    keys.add(whole[:-33])
    assert keys.secret("CLIENT_TRAFFIC_SECRET_0", RANDOM) == MASTER[:32]
    keys.add(whole[-33:])
    assert keys.secret("CLIENT_TRAFFIC_SECRET_0", RANDOM) == MASTER


def test_torn_lines_are_counted_and_the_whole_one_behind_is_kept() -> None:
    """Two programs append to one file, and one is cut short by the other."""
    keys = KeyLog()
    torn = line("SERVER_TRAFFIC_SECRET_0", TRAFFIC)[:90]
    keys.add(
        torn + line("CLIENT_RANDOM", MASTER) + TRAFFIC.hex().encode() + b"\n" + line("CLIENT_RANDOM", MASTER, b"r" * 32)
    )
    assert keys.secret("SERVER_TRAFFIC_SECRET_0", RANDOM) is None
    assert keys.secret("CLIENT_RANDOM", RANDOM) == MASTER
    assert keys.secret("CLIENT_RANDOM", b"r" * 32) == MASTER
    assert (keys.read, keys.broken) == (2, 2)


@pytest.mark.parametrize(
    "broken",
    [
        line("CLIENT_RANDOM", MASTER[:47]),
        line("CLIENT_RANDOM", bytes(48)),
        line("CLIENT_RANDOM", MASTER, RANDOM[:31]),
        line("CLIENT_RANDOM", MASTER).replace(b"8", b"x"),
        line("CLIENT_TRAFFIC_SECRET_0", TRAFFIC[:31]),
        line("CLIENT_RANDOM", MASTER).replace(b"CLIENT", b"\xff"),
        line("client_random", MASTER),
        b"GET / HTTP/1.1\n",
    ],
)
def test_broken_lines(broken: bytes) -> None:
    keys = KeyLog()
    keys.add(broken)
    assert (keys.read, keys.broken) == (0, 1)
    assert keys.labels(RANDOM) == []


def test_files_do_not_run_into_one_another() -> None:
    """The first one ends in the middle of a line."""
    keys = KeyLog()
    keys.add_whole(LOG[:-40])
    keys.add_whole(line("CLIENT_RANDOM", MASTER, b"r" * 32))
    assert keys.secret("CLIENT_RANDOM", b"r" * 32) == MASTER
    assert keys.secret(LABELS[-1], RANDOM) is None
    assert (keys.read, keys.broken) == (len(LABELS), 1)


def test_secrets_filled_up_with_zeros_are_kept() -> None:
    keys = KeyLog()
    keys.add(line("SERVER_TRAFFIC_SECRET_0", TRAFFIC + bytes(16)))
    assert keys.secret("SERVER_TRAFFIC_SECRET_0", RANDOM) == TRAFFIC + bytes(16)


def test_a_line_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keylog, "MAX_LINE", 1000)
    keys = KeyLog()
    for _ in range(50):
        keys.add(b"x" * 300)
        assert len(keys._rest) <= 1000
    keys.add(b"\n" + LOG)
    assert keys.secret("CLIENT_RANDOM", RANDOM) == MASTER
    assert (keys.read, keys.broken) == (len(LABELS), 1)


def test_the_oldest_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keylog, "MAX_SECRETS", 3)
    keys = KeyLog()
    randoms = [bytes([number]) * 32 for number in range(1, 6)]
    for client_random in randoms:
        keys.add(line("CLIENT_RANDOM", MASTER, client_random))
    assert [keys.secret("CLIENT_RANDOM", client_random) for client_random in randoms] == [None, None, *[MASTER] * 3]


def test_how_many_are_kept_can_be_said() -> None:
    keys = KeyLog(growing=True, most=32)
    randoms = [bytes([number]) * 32 for number in range(1, 101)]
    for client_random in randoms:
        keys.add(line("CLIENT_RANDOM", MASTER, client_random))
    known = [client_random for client_random in randoms if keys.labels(client_random)]
    assert known == randoms[-len(known) :]
    assert 28 < len(known) <= 32


def test_searched_once_when_a_secret_is_missing() -> None:
    searches = []

    def search() -> list[bytes]:
        searches.append(1)
        return [line("CLIENT_RANDOM", MASTER)[:-1], line("CLIENT_TRAFFIC_SECRET_0", TRAFFIC)]

    keys = KeyLog(search)
    keys.add(line("CLIENT_RANDOM", MASTER, b"r" * 32))
    assert keys.secret("CLIENT_RANDOM", b"r" * 32) == MASTER
    assert not searches
    assert keys.secret("CLIENT_RANDOM", RANDOM) == MASTER
    assert keys.secret("CLIENT_TRAFFIC_SECRET_0", RANDOM) == TRAFFIC
    assert keys.secret("CLIENT_RANDOM", b"x" * 32) is None
    assert len(searches) == 1


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_foreign_bytes(pieces: list[bytes]) -> None:
    keys = KeyLog()
    for piece in pieces:
        keys.add(piece)
    keys.end()
    assert keys.read == 0
