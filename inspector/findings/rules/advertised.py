"""advertised-timeout-differs: the server says one timeout in Keep-Alive, and waits for another.

Some software waits longer than it says, on purpose: a client that goes by what it says is safe then. One that closes
earlier breaks what clients rely on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

from msgspec import Struct

from inspector.findings.agree import TOLERANCE, TOLERANCE_NS, agreement
from inspector.findings.case import Case, idle_times
from inspector.findings.rule import Rule, closes, closing, conclude
from inspector.findings.rules.idle_timeout import is_lone_chance, limit_ns, timer
from inspector.findings.suspects import suspects
from inspector.findings.words import of_all, seconds
from inspector.records.connection import Connection
from inspector.records.field import says
from inspector.records.finding import Finding

_SECOND_NS = 1_000_000_000


class AdvertisedDiffers(Struct):
    """What was measured."""

    advertised_ns: Annotated[int, says("What the last responses said: Keep-Alive: timeout.")]
    timeout_ns: Annotated[int, says("The idle time after which the server ended those connections: the median.")]
    n: Annotated[int, says("Closes that agree on it.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    earlier_part: Annotated[float, says("Earlier than said: by this part of it, ...")] = TOLERANCE
    earlier_ns: Annotated[int, says("... and by so much at least.")] = TOLERANCE_NS
    later_ns: Annotated[int, says("Later than said: by so much at least, since timers may be late.")] = 500_000_000


LIMITS = Thresholds()


def _judge(case: Case) -> Iterator[Finding]:
    said = Counter(filter(None, map(_advertised, case.server_idle)))
    if not said:
        return
    advertised, _ = said.most_common(1)[0]
    closed = [connection for connection in case.server_idle if _advertised(connection) == advertised]
    agreed = agreement(idle_times(closed))
    if agreed is None or is_lone_chance(closed):
        return
    advertised_ns, limit = advertised * _SECOND_NS, limit_ns(agreed)
    early = limit < advertised_ns - max(LIMITS.earlier_part * advertised_ns, LIMITS.earlier_ns)
    if not early and limit < advertised_ns + LIMITS.later_ns:
        return
    alike = [connection for i, connection in enumerate(closed) if i not in agreed.outliers]
    yield conclude(
        "advertised-timeout-differs",
        "notice" if early and agreed.n > 1 else "info",
        case,
        alike,
        title=f"{case.place} says Keep-Alive: timeout={advertised}, and closes {timer(agreed)}",
        how=f"{of_all(agreed.n, len(closed))} closes came {seconds(abs(limit - advertised_ns))} "
        f"{'earlier' if early else 'later'} than the last response had said",
        measured=AdvertisedDiffers(advertised_ns, agreed.median_ns, agreed.n),
        evidence=(closing(connection) for connection in alike),
        clause=f"http.response || {closes(alike)}",
        qualifiers=agreed.qualifiers,
        suspects=suspects(alike, "server", "idle", limit / 1e9, on_time=agreed.ticks),
        advice="let the server say what it does: clients that go by it send requests that meet the close"
        if early
        else "nothing: clients that go by what it says give connections up early enough",
    )


def _advertised(connection: Connection) -> int | None:
    """The timeout that the last response named, seconds."""
    last = connection.exchanges[-1] if connection.exchanges else None
    if last is None or last.response is None or last.response.keep_alive is None:
        return None
    return last.response.keep_alive.timeout


RULES = (
    Rule(
        code="advertised-timeout-differs",
        when="the server ended idle connections at another time than Keep-Alive: timeout had said",
        severity="info; notice when it closes earlier than it says",
        measured=AdvertisedDiffers,
        thresholds=LIMITS,
        meaning="Clients may go by Keep-Alive: timeout (Node's fetch, Apache HttpClient). Earlier closes meet their "
        "requests; later ones do no harm. A proxy in between may pass on what another server says.",
        example="nginx with keepalive_timeout 3s 30s: it says 30 s and closes after 3 s. Node says 5 s and waits 6 s.",
        advice="Make both values the same; in nginx the second argument of keepalive_timeout is what it says.",
        judge=_judge,
    ),
)
