"""One end of a connection: what it sent and how far that got. Kept by the connection, read by the records."""

from __future__ import annotations

from inspector.tcp.reassembly import Reassembler
from inspector.tcp.sequence import MASK, RangeSet, distance
from inspector.tcp.states import EndState


class Side:
    """One end: what it sent and how far that got."""

    __slots__ = (
        *("acked_seq", "base_seq", "captured", "early", "end_delivered", "fin_ack", "fin_end", "fin_ns", "fin_packet"),
        *("fin_seq",),
        *("high", "isn", "keepalives", "next", "next_seq", "missing", "network", "out_of_order", "packets"),
        *("pending", "probing"),
        *("retransmitted", "rst_ack", "rst_ns", "rst_packet", "rst_ttl", "state", "ttl"),
        *("ttl_packets", "other_ttls", "unique"),
        *("window_closed", "zero_windows"),
    )

    def __init__(
        self,
        state: EndState = EndState.INACTIVE,
        isn: int | None = None,
        base_seq: int | None = None,
        next_seq: int = 0,
        next: int = 0,
        high: int = 0,
        unique: int = 0,
        acked_seq: int | None = None,
        fin_end: int | None = None,
        fin_seq: int = 0,
        fin_packet: int | None = None,
        fin_ns: int = 0,
        fin_ack: int | None = None,
        end_delivered: bool = False,
        packets: int = 0,
        captured: int = 0,
        ttl: int = 0,
        ttl_packets: int = 0,
        network: int | None = None,
    ) -> None:
        """By position, what a connection that went as it should has (`whole_connection`)."""
        self.state = state
        self.isn = isn
        """Initial sequence number, where a SYN was seen."""
        self.base_seq = base_seq
        """The sequence number before offset 0: the ISN, or one less than the first one seen."""
        self.next_seq = next_seq
        """Sequence number of offset `next`; meaningless while base_seq is None."""
        self.next = next
        """Stream offset up to which everything was delivered or given up."""
        self.high = high
        """Stream offset behind the last byte seen."""
        self.unique = unique
        """Payload bytes, each once."""
        self.early: RangeSet | None = None
        """Negative offsets seen, where the capture began in the middle and out of order."""
        self.missing: RangeSet | None = None
        """Holes that were given up."""
        self.pending: Reassembler | None = None
        """Bytes that wait behind a hole."""
        self.acked_seq = acked_seq
        """Highest acknowledgment number that the peer sent."""
        self.fin_end = fin_end
        """Stream offset behind the last byte, by the FIN."""
        self.fin_seq = fin_seq
        """Its sequence number: of the byte behind the last one."""
        self.fin_packet = fin_packet
        self.fin_ns = fin_ns
        self.fin_ack = fin_ack
        """Acknowledgment number on the first FIN."""
        self.rst_packet: int | None = None
        self.rst_ns = 0
        self.rst_ack: int | None = None
        """Acknowledgment number on the first RST."""
        self.rst_ttl: int | None = None
        self.end_delivered = end_delivered
        self.packets = packets
        self.captured = captured
        self.retransmitted = 0
        self.out_of_order = 0
        self.zero_windows = 0
        self.keepalives = 0
        self.window_closed = False
        self.probing = False
        """Its last segment was a keep-alive probe, a probe of a closed window, or ended where such a probe begins."""
        self.ttl = ttl
        """Time to live of the first segment."""
        self.ttl_packets = ttl_packets
        """Segments that had it."""
        self.other_ttls: dict[int, int] | None = None
        """Segments by other times to live."""
        self.network = network

    def acked(self) -> int | None:
        """Stream offset up to which the peer acknowledged; may lie past `high` where the capture lost bytes."""
        if self.acked_seq is None or self.base_seq is None:
            return None
        return self.next + distance(self.acked_seq, self.next_seq)

    def fin_acknowledged(self) -> bool | None:
        """Whether the peer acknowledged the FIN; None without one."""
        if self.fin_end is None:
            return None
        if self.acked_seq == (self.fin_seq + 1) & MASK:
            return True
        acked = self.acked()
        return acked is not None and acked > self.fin_end

    def add_ttl(self, ttl: int, packets: int) -> None:
        """So many more segments had this time to live (or fewer)."""
        if not self.ttl_packets and self.other_ttls is None:
            self.ttl = ttl
        if ttl == self.ttl:
            self.ttl_packets += packets
        else:
            if self.other_ttls is None:
                self.other_ttls = {}
            self.other_ttls[ttl] = self.other_ttls.get(ttl, 0) + packets

    def usual_ttl(self) -> int | None:
        """The most frequent time to live, the highest of several; None without a segment."""
        if self.other_ttls is None:
            return self.ttl if self.ttl_packets else None
        ttls = {**self.other_ttls, self.ttl: self.ttl_packets}
        return max(ttls, key=lambda ttl: (ttls[ttl], ttl))

    def missing_bytes(self) -> int:
        """Bytes that were sent, as the sequence numbers up to the FIN say, but are not in the capture."""
        top = max(self.high, self.fin_end or 0)
        bottom = (self.early.lowest() or 0) if self.early else 0
        return max(0, top - bottom - self.unique)
