"""What stands below a story: what did not happen, what was sent, and what was only counted."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.records.connection import Connection, Traffic
from inspector.records.http2 import Http2, Http2Side
from inspector.report import units
from inspector.report.layout import Screen, hanging
from inspector.report.text import printable


def ending(connection: Connection, goes_on: bool) -> Iterator[str]:
    """What did not happen, or not yet where the capture `goes_on`."""
    closed = connection.closed
    if closed is None:
        yield f"  {_unclosed(connection, goes_on)}"
    elif closed.reply is None and "R" not in connection.history.upper():
        other = "client" if closed.by == "server" else "server"
        lasted = f", for {units.duration(closed.half_closed_ns)}" if closed.half_closed_ns is not None else ""
        yield (
            f"  the {other} has not closed{lasted}"
            if goes_on
            else (f"  the {other} had not closed when the capture ended{lasted}")
        )


def _unclosed(connection: Connection, goes_on: bool) -> str:
    match connection.opened.how:
        case "unanswered":
            return "nobody answered"
        case "half-open":
            return "the handshake was never completed"
        case _:
            return "open" if goes_on else "still open when the capture ended"


def totals(connection: Connection, screen: Screen) -> Iterator[str]:
    """What each side sent; then what the layers counted."""
    http2 = connection.http2
    sides = (
        ("client", connection.client_traffic, http2.client if http2 is not None else None),
        ("server", connection.server_traffic, http2.server if http2 is not None else None),
    )
    for who, traffic, frames in sides:
        yield f"  {who}   {', '.join(_sent(traffic))}"
        if frames is not None and frames.frames:
            yield from hanging(" " * 11, _frames(frames), ", ", screen)
    for what, facts in (
        ("http/2", _streams(http2) if http2 is not None else []),
        ("tls", _hidden(connection)),
        ("websocket", _messages(connection)),
        ("grpc", _statuses(connection)),
    ):
        if facts:
            yield from hanging(f"  {what:7}  ", facts, ", ", screen)


def _sent(traffic: Traffic) -> list[str]:
    extras = (
        (units.size(traffic.missing_bytes) + " missing from the capture", traffic.missing_bytes),
        (units.size(traffic.retransmitted_bytes) + " retransmitted", traffic.retransmitted_bytes),
        (f"{traffic.out_of_order:,} out of order", traffic.out_of_order),
        (units.plural(traffic.keepalives, "keep-alive probe"), traffic.keepalives),
        (units.times("zero window", traffic.zero_windows), traffic.zero_windows),
    )
    facts = [units.plural(traffic.packets, "packet"), units.size(traffic.bytes)]
    return facts + [text for text, count in extras if count]


def _frames(side: Http2Side) -> list[str]:
    held_up = [f"held up {units.duration(side.window_stalls_ns)} by closed windows"] if side.window_stalls_ns else []
    return [*(units.times(name, count) for name, count in side.frames.items()), *held_up]


def _streams(http2: Http2) -> list[str]:
    """How many streams, how many at once, and what was refused."""
    limit = "" if http2.stream_limit is None else f" of {http2.stream_limit:,} allowed"
    facts = [f"{units.plural(http2.streams, 'stream')}, at most {http2.peak_streams:,} at once{limit}"]
    if http2.refused_streams:
        facts.append(f"{http2.refused_streams:,} refused")
    if http2.streams_above_goaway:
        facts.append(f"{http2.streams_above_goaway:,} above GOAWAY's last stream")
    if not http2.headers_reliable:
        facts.append("some header fields could not be read: what they refer to is not in the capture")
    if http2.forbidden_headers:
        names = dict.fromkeys(printable(field.name) for field in http2.forbidden_headers)
        facts.append(f"forbidden header fields: {' '.join(names)}")
    return facts


def _hidden(connection: Connection) -> list[str]:
    """Why nothing, or not all, can be told of what TLS hides, and what it may have been."""
    tls, estimate = connection.tls, connection.estimate
    if tls is None or tls.why_not is None:
        return []
    facts = [f"{'partly' if tls.decrypted else 'not'} decrypted: {printable(tls.why_not)}"]
    if estimate is not None:
        facts.append(f"about {units.plural(estimate.exchanges, 'exchange')}, by bursts of records")
    return facts


def _messages(connection: Connection) -> list[str]:
    websocket = connection.websocket
    if websocket is None:
        return []
    return [
        f"{units.plural(websocket.client_messages, 'message')} of the client",
        f"{websocket.server_messages:,} of the server",
        units.times("ping", websocket.pings),
        units.times("pong", websocket.pongs),
    ]


def _statuses(connection: Connection) -> list[str]:
    return (
        [] if connection.grpc is None else [units.times(f"status {s}", n) for s, n in connection.grpc.statuses.items()]
    )
