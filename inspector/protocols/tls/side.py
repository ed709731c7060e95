"""One direction of a TLS connection: where it is, and what of it could not be read, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.bytestream import Arrival
from inspector.events import Alert
from inspector.protocols.tls.handshake import Messages
from inspector.protocols.tls.keyring import DirectionKeys, Keyring
from inspector.protocols.tls.negotiation import Negotiation
from inspector.protocols.tls.records import RecordReader

SIDE_NAMES = ("client", "server")
#: How the reason begins when all that is missing is a line of the key log.
NO_SECRET = "the key log has no"
#: The reason when there is none, or nothing in it.
NO_LOG = "no key log was given"


class Side:
    """One direction."""

    def __init__(self, direction: int, keys: DirectionKeys) -> None:
        self.direction = direction
        self.keys = keys
        self.reader = RecordReader(direction)
        self.messages = Messages()
        self.sealed = False
        """Up to TLS 1.2: records are protected whatever their type. In TLS 1.3 the content type says it."""
        self.finished = False
        """Its Finished was read."""
        self.opened = False
        """Application data of it was read."""
        self.cut = False
        """Bytes are missing, or made no sense, since the last record that was read."""
        self.missing = 0
        """Bytes of records (in TCP) that are missing or could not be opened, since the last one that was opened."""
        self.missing_from = 0
        self.partial: Arrival | None = None
        """The last byte seen of something that is not complete."""
        self.unread_alert: Alert | None = None
        """The last record was an alert that could not be read."""
        self.unread = 0
        """Protected records for which there was no key."""
        self.failed = 0
        """Protected records that no key opened."""
        self.failed_packet = 0
        self.holes = 0
        """Protected records, or runs of them, in which bytes are missing."""
        self.ended = False


def why_not(sides: Sequence[Side], keyring: Keyring, negotiation: Negotiation) -> str | None:
    """What stands in the way of reading everything, in words; None: nothing, as far as anything was protected."""
    closed = [side for side in sides if side.unread or side.failed]
    if closed:
        reason = _no_keys(closed, keyring, negotiation)
        if reason is not None:
            return reason
    for side in sides:
        if side.failed:
            records = f"{side.failed} record{'s' if side.failed > 1 else ''} of the {SIDE_NAMES[side.direction]}"
            return f"{records} cannot be opened with the key log's secrets, from packet {side.failed_packet} on"
    holes = [SIDE_NAMES[side.direction] for side in sides if side.holes]
    return f"bytes of the {' and the '.join(holes)} are missing in the capture" if holes else None


def _no_keys(closed: Sequence[Side], keyring: Keyring, negotiation: Negotiation) -> str | None:
    """Why there are no keys for these directions' records; None: there are."""
    if keyring.unsupported is not None:
        return keyring.unsupported
    missing = dict.fromkeys(label for side in closed for label in keyring.missing(side.direction))
    if not keyring.has_log:
        return NO_LOG
    for hello, name in ((negotiation.client, "ClientHello"), (negotiation.server, "ServerHello")):
        if hello is None:
            return f"the {name} is not in the capture"
    return f"{NO_SECRET} {', '.join(missing)} for this connection" if missing else None
