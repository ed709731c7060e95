"""The life of one end of a connection as a table, and the words that Zeek has for both ends together.

An end is what its own segments show it to be (Zeek's endpoint states). The table is total: every state has an answer to
every input, and an answer that a correct TCP could not have caused names an anomaly. Verdict and evidence are both
kept: `conn_state` is the verdict, the history letters are the evidence.
Source: Zeek, base/protocols/conn/main.zeek, the records' documentation of conn_state and history.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class EndState(IntEnum):
    """What one end has shown of itself."""

    INACTIVE = 0
    """Nothing was sent yet."""
    SYN_SENT = 1
    SYN_ACK_SENT = 2
    PARTIAL = 3
    """It sent segments, but its opening was not seen."""
    ESTABLISHED = 4
    CLOSED = 5
    """It sent FIN."""
    RESET = 6
    """It sent RST."""


class Input(IntEnum):
    """What can happen to an end."""

    SYN = 0
    """It sent SYN without ACK."""
    SYN_ACK = 1
    """It sent SYN and ACK."""
    SEGMENT = 2
    """It sent anything without SYN, FIN, RST."""
    FIN = 3
    """It sent FIN."""
    RST = 4
    """It sent RST."""
    PEER_SEGMENT = 5
    """Its opening was answered: the peer sent a segment that acknowledges (a SYN-ACK to a SYN, an ACK to a SYN-ACK)."""


class Next(NamedTuple):
    """Where an input leads."""

    state: EndState
    anomaly: str | None = None


_S = EndState
_I = Input

#: (state, input) to (next state, anomaly). All of the product is there.
TRANSITIONS: dict[tuple[EndState, Input], Next] = {
    (_S.INACTIVE, _I.SYN): Next(_S.SYN_SENT),
    (_S.INACTIVE, _I.SYN_ACK): Next(_S.SYN_ACK_SENT),
    (_S.INACTIVE, _I.SEGMENT): Next(_S.PARTIAL),
    (_S.INACTIVE, _I.FIN): Next(_S.CLOSED),
    (_S.INACTIVE, _I.RST): Next(_S.RESET),
    (_S.INACTIVE, _I.PEER_SEGMENT): Next(_S.INACTIVE),
    (_S.SYN_SENT, _I.SYN): Next(_S.SYN_SENT),
    (_S.SYN_SENT, _I.SYN_ACK): Next(_S.SYN_ACK_SENT),  # simultaneous open, RFC 9293 section 3.5
    (_S.SYN_SENT, _I.SEGMENT): Next(_S.ESTABLISHED),  # the SYN-ACK is missing in the capture
    (_S.SYN_SENT, _I.FIN): Next(_S.CLOSED),
    (_S.SYN_SENT, _I.RST): Next(_S.RESET),
    (_S.SYN_SENT, _I.PEER_SEGMENT): Next(_S.ESTABLISHED),
    (_S.SYN_ACK_SENT, _I.SYN): Next(_S.SYN_ACK_SENT, "syn_after_syn_ack"),
    (_S.SYN_ACK_SENT, _I.SYN_ACK): Next(_S.SYN_ACK_SENT),
    (_S.SYN_ACK_SENT, _I.SEGMENT): Next(_S.ESTABLISHED),
    (_S.SYN_ACK_SENT, _I.FIN): Next(_S.CLOSED),
    (_S.SYN_ACK_SENT, _I.RST): Next(_S.RESET),
    (_S.SYN_ACK_SENT, _I.PEER_SEGMENT): Next(_S.ESTABLISHED),
    (_S.PARTIAL, _I.SYN): Next(_S.PARTIAL, "syn_inside_connection"),
    (_S.PARTIAL, _I.SYN_ACK): Next(_S.SYN_ACK_SENT),  # captured out of order
    (_S.PARTIAL, _I.SEGMENT): Next(_S.PARTIAL),
    (_S.PARTIAL, _I.FIN): Next(_S.CLOSED),
    (_S.PARTIAL, _I.RST): Next(_S.RESET),
    (_S.PARTIAL, _I.PEER_SEGMENT): Next(_S.PARTIAL),
    (_S.ESTABLISHED, _I.SYN): Next(_S.ESTABLISHED),  # a late copy of the SYN
    (_S.ESTABLISHED, _I.SYN_ACK): Next(_S.ESTABLISHED),
    (_S.ESTABLISHED, _I.SEGMENT): Next(_S.ESTABLISHED),
    (_S.ESTABLISHED, _I.FIN): Next(_S.CLOSED),
    (_S.ESTABLISHED, _I.RST): Next(_S.RESET),
    (_S.ESTABLISHED, _I.PEER_SEGMENT): Next(_S.ESTABLISHED),
    (_S.CLOSED, _I.SYN): Next(_S.CLOSED, "syn_inside_connection"),
    (_S.CLOSED, _I.SYN_ACK): Next(_S.CLOSED),
    (_S.CLOSED, _I.SEGMENT): Next(_S.CLOSED),
    (_S.CLOSED, _I.FIN): Next(_S.CLOSED),
    (_S.CLOSED, _I.RST): Next(_S.RESET),
    (_S.CLOSED, _I.PEER_SEGMENT): Next(_S.CLOSED),
    (_S.RESET, _I.SYN): Next(_S.RESET, "segment_after_rst"),
    (_S.RESET, _I.SYN_ACK): Next(_S.RESET, "segment_after_rst"),
    (_S.RESET, _I.SEGMENT): Next(_S.RESET, "segment_after_rst"),
    (_S.RESET, _I.FIN): Next(_S.RESET, "segment_after_rst"),
    (_S.RESET, _I.RST): Next(_S.RESET),
    (_S.RESET, _I.PEER_SEGMENT): Next(_S.RESET),
}

#: The same by number, for the hot path: NEXT[state][input].
NEXT: tuple[tuple[Next, ...], ...] = tuple(tuple(TRANSITIONS[state, event] for event in Input) for state in EndState)

_UNSEEN = (EndState.INACTIVE, EndState.PARTIAL)
_OPENING = (EndState.SYN_SENT, EndState.SYN_ACK_SENT)


def conn_state(client: EndState, server: EndState, payload: bool) -> str:
    """Zeek's word for a connection: S0, S1, SF, REJ, S2, S3, RSTO, RSTR, RSTOS0, RSTRH, SH, SHR or OTH.

    `payload`: whether any payload was seen, which tells a refused connection from one reset by both sides.
    """
    return _VERDICTS[client, server, payload]


def _verdict(client: EndState, server: EndState, payload: bool) -> str:
    if server is EndState.RESET:
        if client in _OPENING or (client is EndState.RESET and not payload):
            return "REJ"
        return "RSTRH" if client in _UNSEEN else "RSTR"
    if client is EndState.RESET:
        return "RSTOS0" if server in _UNSEEN else "RSTO"
    if client is EndState.CLOSED:
        if server is EndState.CLOSED:
            return "SF"
        return "SH" if server in _UNSEEN else "S2"
    if server is EndState.CLOSED:
        return "SHR" if client in _UNSEEN else "S3"
    if client is EndState.SYN_SENT and server is EndState.INACTIVE:
        return "S0"
    if client is EndState.ESTABLISHED and server is EndState.ESTABLISHED:
        return "S1"
    return "OTH"


_VERDICTS = {
    (client, server, payload): _verdict(client, server, payload)
    for client in EndState
    for server in EndState
    for payload in (False, True)
}


class History:
    """Zeek's history letters: what happened, in the order of first happening; upper case for the client.

    S SYN, H SYN-ACK, A pure ACK, D payload, F FIN, R RST are noted once a direction; T retransmission, W zero window,
    G gap at the 1st, 10th, 100th, ... time; I inconsistent flags (FIN and RST), Q several of SYN with FIN or RST;
    ^ the direction was turned round.
    """

    __slots__ = ("_counts", "letters")

    def __init__(self) -> None:
        self.letters = ""
        self._counts: dict[str, int] | None = None
        """How often T, W and G came, by letter; None before the first."""

    def note(self, letter: str, from_server: int) -> None:
        """`letter` (upper case) happened, from the client (0) or the server (1)."""
        if from_server:
            letter = letter.lower()
        if letter in "TWGtwg":
            self._count(letter)
        elif letter not in self.letters:
            self.letters += letter

    def _count(self, letter: str) -> None:
        if self._counts is None:
            self._counts = {}
        count = self._counts[letter] = self._counts.get(letter, 0) + 1
        if str(count) == "1" + "0" * (len(str(count)) - 1):
            self.letters += letter

    def turn(self) -> None:
        """Client and server were mistaken for each other so far."""
        self.letters = "^" + self.letters.swapcase()
        if self._counts is not None:
            self._counts = {letter.swapcase(): count for letter, count in self._counts.items()}
