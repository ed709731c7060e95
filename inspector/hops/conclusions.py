"""What a proxy's changes mean: `hop-header-changed`, one for each pair of sockets.

The connection is each leg's own affair (RFC 9110 section 7.6.1), so a proxy that drops or sets these fields does
nothing wrong. What it costs is said first: a leg that opens a connection for each request although the other is kept,
or a client's wish that reaches the server though it was meant for the proxy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Struct

from inspector.findings.rule import FindingKind
from inspector.hops.legs import Field, Hops, Legs, Message, Reuse
from inspector.records.field import says
from inspector.records.finding import Evidence, Finding, Severity, Suspect


class HeaderChanged(Struct):
    """What was measured."""

    downstream: Annotated[
        dict[str, dict[str, int]],
        says("Of each changed field, as message and name: its values between client and proxy, and how often."),
    ]
    upstream: Annotated[dict[str, dict[str, int]], says("The same between proxy and server.")]
    n: Annotated[int, says("Messages in which it was compared; of several fields, the most.")]


class Thresholds(Struct, frozen=True):
    """Numbers that decide."""

    not_reused: Annotated[float, says("With so many requests a connection or fewer, a leg is not reused.")] = 1.2


LIMITS = Thresholds()

#: Fields whose change says something about connections.
_TELLING = ("version", "Connection", "Keep-Alive", "Proxy-Connection")


def conclude(hops: Hops) -> list[Finding]:
    """The findings of all legs."""
    return [finding for legs in hops.legs for finding in _of(legs)]


def _of(legs: Legs) -> Iterator[Finding]:
    fields = {(one.message, one.field): one for one in legs.fields if one.field in _TELLING}
    changed = [one for one in fields.values() if set(one.verdicts) != {"passed on"}]
    cost = _cost(legs, fields)
    if not changed and cost is None:
        return
    severity: Severity = "info" if cost is None else "notice"
    title, advice = cost or (_plainly(legs), None)
    measured: dict[str, Any] = msgspec.to_builtins(
        HeaderChanged(
            downstream={f"{one.message} {one.field}": one.downstream for one in changed},
            upstream={f"{one.message} {one.field}": one.upstream for one in changed},
            n=max((sum(one.verdicts.values()) for one in changed), default=legs.pairs),
        )
    )
    yield Finding(
        code=HEADER_CHANGED.code,
        severity=severity,
        endpoint=legs.downstream,
        client=None,
        connections=[],
        title=title,
        how=f"{legs.pairs:,} requests seen on both legs: {_listed(changed) or _kept(fields)}",
        measured=measured,
        qualifiers=["few-samples"] if legs.pairs == 1 else [],
        evidence=[
            Evidence(sample.connection, sample.downstream, sample.time_ns, f"upstream packet {sample.upstream}")
            for sample in legs.samples
        ],
        suspects=_suspects(fields),
        advice=advice,
        filter="http.request || http.response",
    )


def _cost(legs: Legs, fields: dict[tuple[Message, str], Field]) -> tuple[str, str] | None:
    """What is lost by the proxy's doing, and what to do; None where nothing is."""
    proxy, server = legs.downstream, legs.upstream
    asked, answered = fields.get(("request", "Connection")), fields.get(("response", "Connection"))
    if asked is not None and _says_close(asked.downstream) and _says_close(asked.upstream):
        title = (
            f"the proxy {proxy} passes its client's Connection: close on to {server}, though the client meant the proxy"
        )
        return title, (
            "let the proxy speak for itself: for nginx 'proxy_http_version 1.1;', "
            "'proxy_set_header Connection \"\";' and 'keepalive 16;' in the upstream block"
        )
    kept_down, kept_up = _is_reused(legs.downstream_reuse), _is_reused(legs.upstream_reuse)
    if kept_down and not kept_up:
        if asked is not None and _says_close(asked.upstream):
            title = f"the proxy {proxy} opens a connection to {server} for each request: it asks with Connection: close"
            return title, (
                "let it keep connections to the server: for nginx 'proxy_http_version 1.1;', "
                "'proxy_set_header Connection \"\";' and 'keepalive 16;' in the upstream block"
            )
        if answered is not None and _says_close(answered.upstream):
            title = (
                f"{server} closes after each response (Connection: close); the proxy {proxy} hides it from its clients"
            )
            return title, "let the server behind the proxy keep its connections"
        title = f"the proxy {proxy} opens a connection to {server} for each request, though neither side asks for that"
        return (
            title,
            "give the proxy a pool of connections to the server (nginx 'keepalive 16;', HAProxy 'http-reuse safe')",
        )
    hides = answered is not None and _says_close(answered.downstream) and not _says_close(answered.upstream)
    if kept_up and not kept_down and hides:
        title = f"the proxy {proxy} adds Connection: close to each response, though {server} keeps its connections"
        return title, "let the proxy keep its clients' connections: for nginx a keepalive_timeout above 0"
    return None


def _says_close(values: dict[str, int]) -> bool:
    return any("close" in value.lower() for value in values)


def _is_reused(reuse: Reuse) -> bool:
    return reuse.per_connection > LIMITS.not_reused


def _plainly(legs: Legs) -> str:
    """A proxy that does what proxies do (RFC 9110 section 7.6.1)."""
    return f"the proxy {legs.downstream} speaks for itself to {legs.upstream}, and no connection is lost by it"


def _kept(fields: dict[tuple[Message, str], Field]) -> str:
    """What went through as it came, in the requests."""
    connection = fields.get(("request", "Connection"))
    if connection is None:
        return "nothing was changed"
    return f"{', '.join(f'Connection: {value}' for value in connection.upstream)} arrives as it was sent in requests"


def _listed(changed: list[Field]) -> str:
    """The changes, field by field."""
    return "; ".join(map(_said, changed))


def _said(field: Field) -> str:
    verdict = next(word for word in field.verdicts if word != "passed on")
    down, up = next(iter(field.downstream), "none"), next(iter(field.upstream), "none")
    came, went = (down, up) if field.message == "request" else (up, down)
    where = f"in {field.message}s"
    if field.field == "version":
        return f"{came} becomes {went} {where}"
    if verdict == "stripped":
        return f"{field.field}: {came} is stripped {where}"
    if verdict == "added":
        return f"{field.field}: {went} is added {where}"
    return f"{field.field}: {came} becomes {went} {where}"


def _suspects(fields: dict[tuple[Message, str], Field]) -> list[Suspect]:
    version, connection = fields.get(("request", "version")), fields.get(("request", "Connection"))
    if version is None or connection is None:
        return []
    if set(version.upstream) == {"HTTP/1.0"} and set(connection.upstream) == {"close"}:
        why = "HTTP/1.0 with Connection: close is how nginx up to 1.29.6 asks, unless it is told otherwise"
        return [Suspect("nginx", "proxy_http_version", "1.0", why)]
    return []


HEADER_CHANGED = FindingKind(
    code="hop-header-changed",
    when="connspect hops found requests on both sides of a proxy, and Connection, Keep-Alive, Proxy-Connection or the "
    "HTTP version differ between them; or the proxy opens connections where it need not",
    severity="info; notice when connections are lost by it",
    measured=HeaderChanged,
    thresholds=LIMITS,
    meaning="A connection is each side's own affair: a proxy has to drop Connection and what it names (RFC 9110 "
    "section 7.6.1), and may set its own. What matters is what follows from it: a side on which a connection is opened "
    "for each request although the other side keeps its own, or a client's close that reaches the server though it was "
    "meant for the proxy.",
    example="nginx with nothing but proxy_pass: requests to the server behind it say Connection: close, and each has a "
    "connection of its own, while the client keeps one for all.",
    advice="Let the proxy keep connections to the server: in nginx proxy_http_version 1.1; proxy_set_header Connection "
    '""; and keepalive in the upstream block. Do not forward a client\'s Connection.',
)
