"""A connection that was told whole: its story in a few numbers, and all that a connection keeps once somebody asks.

Most short connections end as they should and are never heard of again. What such a one would keep, both sides with
all their counts, follows from its story, so it is made only when it is looked at: because a segment comes after all, or
for whoever wants to know more of it than the story tells. `fill` leaves a connection as its steps, told one by one,
would have left it; the laws over batch sizes hold that, since a batch of one packet never has a whole connection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from inspector.bytestream import Arrival, StreamChunk, StreamSink
from inspector.tcp.connection import Connection, Ends
from inspector.tcp.sequence import MASK
from inspector.tcp.side import Side
from inspector.tcp.states import EndState, History


class Story(NamedTuple):
    """SYN, SYN-ACK, ACK, payload and pure ACKs that come next, FIN, FIN, ACK: what is kept of them."""

    seqs: tuple[int, int]
    """Both initial sequence numbers, the client's first, as in every pair of sides."""
    times_ns: tuple[int, int, int]
    """Of SYN, SYN-ACK and ACK."""
    lengths: tuple[int, int]
    """Payload bytes."""
    letters: str
    """The history."""
    application: Arrival | None
    """How the last application byte came; None where a decoder has to be told first."""
    direction: int
    """Of the first FIN."""
    acks: tuple[int, int]
    """The acknowledgment numbers on the FINs, the first one's first."""
    close_packets: tuple[int, int, int]
    """Of FIN, FIN and ACK."""
    close_ns: tuple[int, int, int]
    """Their times."""
    sums: tuple[tuple[int, ...], tuple[int, ...]]
    """What each side's rows add up to (Totals)."""


class Read(NamedTuple):
    """What is left when all payload of a connection was read at once."""

    sink: StreamSink
    """As after both ends."""
    book: object
    last: Arrival
    """How the last application byte came."""


#: Reads all payload of a connection in order of arrival, both directions, whole from its handshake to its close. None:
#: nothing was read, and a sink is to be made and told as always.
ReadWhole = Callable[[Sequence[StreamChunk]], Read | None]


class WholeConnection(Connection):
    """One that was told whole and read whole. Attributes that the story stands for are made when they are missed."""

    __slots__ = ("story",)

    def __init__(
        self, slot: int, ends: Ends, client_end: int, packet: int, time_ns: int, story: Story, read: Read
    ) -> None:
        """`packet` and `time_ns`: of the SYN."""
        # Not all that a connection has: see __getattr__.
        self.story: Story | None = story
        """None once everything is made."""
        self.id = -1
        self.slot = slot
        self.client_end = client_end
        self.client, self.server = ends[client_end], ends[1 - client_end]
        self.role_from = "syn"
        self.first_packet = packet
        self.first_ns = time_ns
        self.sink, self.book, _ = read
        self.ended = True
        self.ended_packet, self.ended_ns = story.close_packets[2], story.close_ns[2]
        self.queued = self.retired = False
        self.replaced_ns = None
        self.late = []

    if not TYPE_CHECKING:  # it would know of every attribute

        def __getattr__(self, name: str) -> object:
            """Make what was left out; only what is missing is asked for here."""
            story = self.story
            if story is None:
                raise AttributeError(name)
            self.story = None
            self.log = None
            self.anomalies = []
            self.anomalies_omitted = 0
            assert story.application is not None
            self.application_at_close_packet, self.application_at_close_ns = story.application
            self.holding = False
            self.history = History()
            _fill(self, story)
            return getattr(self, name)

    def base_seq(self, end: int) -> int | None:
        return super().base_seq(end) if self.story is None else self.story.seqs[end ^ self.client_end]

    def finish(self) -> None:
        if self.story is None:
            super().finish()


class Payload(NamedTuple):
    """What a whole connection carried."""

    chunks: list[StreamChunk]
    """In order of arrival, with their offsets."""
    lengths: tuple[int, int]
    """Bytes of each side."""
    letters: str
    """The history up to the first FIN."""


def payload(steps: Sequence[StreamChunk | int]) -> Payload:
    """What comes between handshake and close; numbers stand for a pure ACK in that direction."""
    letters, sent = "ShA", [0, 0]
    chunks = []
    for chunk in steps:
        if isinstance(chunk, int):
            letter = "Aa"[chunk]
        else:
            towards = chunk.direction
            letter = "Dd"[towards]
            chunk.offset = sent[towards]
            sent[towards] += chunk.length
            chunks.append(chunk)
        if letter not in letters:
            letters += letter
    return Payload(chunks, (sent[0], sent[1]), letters)


def history(letters: str, direction: int, acknowledged_between: bool) -> str:
    """The letters up to the first FIN, of `direction`, and those of the close. `acknowledged_between`: there were pure
    ACKs between the FINs, of the one who sent the second."""
    own, peer = ("fa", "FA") if direction else ("FA", "fa")
    letters += own[0]
    if acknowledged_between and peer[1] not in letters:
        letters += peer[1]
    letters += peer[0]
    return letters if own[1] in letters else letters + own[1]


def tell(connection: Connection, chunks: Sequence[StreamChunk], story: Story) -> None:
    """All of a new connection, of which nothing was told yet; its payload to whoever takes it."""
    for chunk in chunks:
        (connection.sink or connection.open_sink(chunk)).data(chunk)
    connection.remember_application()
    for turn in (0, 1):
        direction = story.direction ^ turn
        packet, time_ns = story.close_packets[turn], story.close_ns[turn]
        connection.deliver_end(connection.sides[direction], direction, packet, time_ns)
    _fill(connection, story)


def _fill(connection: Connection, story: Story) -> None:
    """Leave a connection as its story left it."""
    connection.syn_packet, connection.syns = connection.first_packet, 1
    connection.last_syn_ns, connection.syn_ack_ns, connection.established_ns = story.times_ns
    connection.sides = (_closed(story, 0), _closed(story, 1))
    connection.history.letters = story.letters
    connection.ended = connection.watching = True
    connection.ended_packet, connection.ended_ns = story.close_packets[2], story.close_ns[2]


def _closed(story: Story, direction: int) -> Side:
    """A side that sent its ISN, its payload and its FIN as it should."""
    isn, length = story.seqs[direction], story.lengths[direction]
    turn = story.direction ^ direction
    behind = (isn + 1 + length) & MASK
    packets, captured, ttl, _, network, *_ = story.sums[direction]
    # By position, in the order of the fields.
    return Side(
        EndState.CLOSED,
        isn,
        isn,
        behind,
        length,
        length,
        length,
        (behind + 1) & MASK,
        length,
        behind,
        story.close_packets[turn],
        story.close_ns[turn],
        story.acks[turn],
        True,
        packets,
        captured,
        ttl,
        packets,
        network,
    )
