"""From accounts and logs to facts: what truth.json says, and who said it.

A fact is a part of connspect's report as it has to be (`says`), with what it is about (`of`) and where it was learned
(`from`). This file knows how one side's knowledge translates into the report's words; it reads no packets.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any

from . import facts_tls, transcript
from .observed import Account, Close
from .servers import LoggedRequest

#: A piece of the report, as JSON.
Json = Any

#: How far a program's clock around a system call may be from the packet's.
CLOCK_NS = 20_000_000
#: What the kernel says of a socket that was refused, and had not been bound before: its port is forgotten.
NO_ADDRESS = "0.0.0.0:0"


def about(value_ns: float, within_ns: float = CLOCK_NS) -> Json:
    """A number that has to be met within a tolerance."""
    return {"about": int(value_ns), "within": int(within_ns)}


def _socket(text: str) -> Json:
    host, _, port = text.rpartition(":")
    return {"ip": host.strip("[]"), "port": int(port)}


def fact(source: str, of: Json, says: Json) -> Json:
    """One fact."""
    return {"from": source, "of": of, "says": says}


def connection(client: str, server: str, nth: int = 1) -> Json:
    """What a fact about a connection is about; the nth that used these addresses and ports."""
    return {"connection": {"client": client, "server": server, "nth": nth}}


def endpoint(server: str) -> Json:
    """What a fact about a server's socket is about."""
    return {"endpoint": server}


def from_client_sockets(accounts: Sequence[Account], start_ns: int, end_ns: int, keys: bool = True) -> list[Json]:
    """What a client's sockets knew of their connections, seen from a capture between two times.

    `keys` is whether the keys of TLS connections are in the recording.

    A connection that began before `start_ns` was there when the capture began; a close after `end_ns` is not in it.
    """
    facts: list[Json] = []
    used: Counter[tuple[str, str]] = Counter()
    for account in accounts:
        if account.local == NO_ADDRESS:
            continue
        used[account.local, account.remote] += 1
        of = connection(account.local, account.remote, used[account.local, account.remote])
        facts.append(fact("client's sockets", of, _of_one(account, start_ns, end_ns)))
        if account.tls is not None and account.tls.version is not None:
            facts.append(fact("client's TLS library", of, {"tls": facts_tls.of_tls(account.tls, keys)}))
        if account.frames is not None and (keys or account.tls is None):
            facts.append(fact("client's HTTP/2 library", of, facts_tls.of_http2(account, start_ns)))
    for server in dict.fromkeys(account.remote for account in accounts):
        those = [account for account in accounts if account.remote == server]
        facts.append(fact("client's sockets", endpoint(server), _of_all(those, start_ns, end_ns)))
    return facts


def _first_close(account: Account, end_ns: int) -> Close | None:
    return next((close for close in account.closes if close.time_ns <= end_ns), None)


def _side(close: Close) -> str:
    return "server" if close.by_peer else "client"


def _of_one(account: Account, start_ns: int, end_ns: int) -> Json:
    says: Json = {"server": _socket(account.remote)}
    if account.outcome == "refused":
        return says | {"opened": {"how": "refused"}, "closed": {"by": "server", "how": "rst", "idle_ns": None}}
    if account.outcome == "unanswered":
        retransmissions = account.syn_retransmissions
        return says | {"opened": {"how": "unanswered", "syn_retransmissions": retransmissions}, "closed": None}
    before = account.start_ns < start_ns
    says["opened"] = {"how": "mid-stream" if before else "handshake"}
    first = _first_close(account, end_ns)
    says["closed"] = None if first is None else _closed(account, first, end_ns)
    if not before and not account.reset:
        # An SSLSocket counts plaintext.
        counted = account.tls is None or account.tls.beside
        says["client_traffic"] = {"missing_bytes": 0} | ({"bytes": len(account.written)} if counted else {})
        # A client that aborts takes what is still on its way with it.
        if all(close.how == "fin" for close in account.closes):
            says["server_traffic"] = {"missing_bytes": 0} | ({"bytes": account.received} if counted else {})
    return says


def _closed(account: Account, first: Close, end_ns: int) -> Json:
    closed: Json = {"by": _side(first), "how": first.how}
    # When the server's close came is known only to a client that waited for it.
    last_ns, announced = facts_tls.last_data_ns(account), facts_tls.announced(account)
    if not first.by_peer and last_ns is not None and last_ns <= first.time_ns:
        idle_until_ns = announced.time_ns if announced is not None and announced.time_ns > last_ns else first.time_ns
        closed["idle_ns"] = about(idle_until_ns - last_ns)
    if announced is not None and announced.time_ns <= first.time_ns:
        closed["announced"] = {"by": announced.by, "how": announced.how}
    if first.by_peer and first.how == "fin":
        reply = next((close for close in account.closes if not close.by_peer and close.time_ns <= end_ns), None)
        closed["reply"] = None if reply is None else reply.how
        closed["simultaneous"] = False
    return closed


def _of_all(accounts: Sequence[Account], start_ns: int, end_ns: int) -> Json:
    outcomes = Counter(account.outcome for account in accounts)
    connected = [account for account in accounts if account.outcome == "connected"]
    already_open = sum(account.start_ns < start_ns for account in connected)
    firsts = [_first_close(account, end_ns) for account in connected]
    closes = Counter(f"{_side(first)}_{first.how}" for first in firsts if first is not None)
    return {
        "connections": len(accounts),
        "opened": len(connected) - already_open,
        "already_open": already_open,
        "refused": outcomes["refused"],
        "unanswered": outcomes["unanswered"],
        "half_open": 0,
        "closed": {key: closes[key] for key in ("client_fin", "client_rst", "server_fin", "server_rst")},
        "still_open": sum(first is None for first in firsts),
    }


def from_server_log(source: str, requests: Sequence[LoggedRequest], whole: bool = True) -> list[Json]:
    """What a server's log says about exchanges, by connection and in all.

    `whole` is whether every connection was opened and closed within the capture: then the report's distribution of
    requests per connection speaks of all of them.
    """
    facts: list[Json] = []
    by_connection: defaultdict[tuple[str, str], list[LoggedRequest]] = defaultdict(list)
    for request in requests:
        by_connection[request.client, request.server].append(request)
    for (client, server), those in by_connection.items():
        facts.append(fact(source, connection(client, server), _logged(those)))
    for server in dict.fromkeys(request.server for request in requests):
        says: Json = {"requests": sum(request.server == server for request in requests)}
        if whole:
            counts = [len(those) for (_, to), those in by_connection.items() if to == server]
            says["opened"] = len(counts)
            says["requests_per_connection"] = _distribution(counts)
        facts.append(fact(source, endpoint(server), says))
    return facts


def from_transcripts(accounts: Sequence[Account]) -> list[Json]:
    """What the client's programs said and were told: for connections that are in the capture from their beginning."""
    source = "bytes the client wrote and read"
    facts: list[Json] = []
    by_server: defaultdict[str, list[_Said]] = defaultdict(list)
    used: Counter[tuple[str, str]] = Counter()
    for account in accounts:
        used[account.local, account.remote] += 1
        if account.outcome != "connected" or facts_tls.is_http2(account):
            continue
        said = _Said.of(account)
        by_server[account.remote].append(said)
        of = connection(account.local, account.remote, used[account.local, account.remote])
        facts.append(fact(source, of, said.report()))
    for server, those in by_server.items():
        if any(facts_tls.is_http2(account) for account in accounts if account.remote == server):
            continue
        facts.append(fact(source, endpoint(server), {"headers": _headers(those)}))
    return facts


@dataclass(slots=True, frozen=True)
class _Said:
    """The messages of one connection."""

    requests: list[transcript.Request]
    responses: list[transcript.Response]

    @classmethod
    def of(cls, account: Account) -> _Said:
        requests = list(transcript.requests(account))
        return cls(requests, list(transcript.responses(account, [request.method for request in requests])))

    def report(self) -> Json:
        """As the report has them; nothing is said of a request that was not answered whole."""
        exchanges: Json = [
            {"request": _request(asked), "response": _response(answered), "complete": True}
            for asked, answered in zip(self.requests, self.responses, strict=False)
        ]
        unanswered = self.requests[len(self.responses) :]
        exchanges += [{"request": _request(asked)} for asked in unanswered]
        return {"requests": len(self.requests), "exchanges": exchanges}


def _value(fields: Message, name: str) -> str | None:
    values = fields.get_all(name)
    return None if values is None else ", ".join(values)


def _number(value: str | None) -> int | None:
    return None if value is None else int(value)


def _request(request: transcript.Request) -> Json:
    return {
        "method": request.method,
        "target": request.target,
        "connection": _value(request.fields, "Connection"),
        "content_length": _number(_value(request.fields, "Content-Length")),
        "user_agent": _value(request.fields, "User-Agent"),
    }


def _response(response: transcript.Response) -> Json:
    return {
        "status": response.status,
        "reason": response.reason,
        "connection": _value(response.fields, "Connection"),
        "keep_alive": _keep_alive_numbers(_value(response.fields, "Keep-Alive")),
        "transfer_encoding": _value(response.fields, "Transfer-Encoding"),
        "content_length": _number(_value(response.fields, "Content-Length")),
        "body_bytes": response.body_bytes,
        "server": _value(response.fields, "Server"),
    }


def _keep_alive_numbers(value: str | None) -> Json:
    """`timeout=5, max=100` as the report has it; None when the field was absent."""
    if value is None:
        return None
    parts = dict(part.strip().split("=") for part in value.split(","))
    return {name: int(parts[name]) if name in parts else None for name in ("timeout", "max")}


def _headers(said: Sequence[_Said]) -> Json:
    def values(messages: Iterable[transcript.Request | transcript.Response], name: str) -> Json:
        found = Counter(_value(message.fields, name) for message in messages)
        return {"exactly": {value: count for value, count in found.items() if value is not None}}

    requests = [request for one in said for request in one.requests]
    responses = [response for one in said for response in one.responses]
    return {
        "request": {"connection": values(requests, "Connection")},
        "response": {
            "connection": values(responses, "Connection"),
            "keep_alive": values(responses, "Keep-Alive"),
        },
    }


def _logged(requests: Sequence[LoggedRequest]) -> Json:
    says: Json = {"requests": len(requests), "responses": len(requests), "exchanges": []}
    tls = next((request.tls for request in requests if request.tls is not None), None)
    if tls is not None:
        says["tls"] = tls
    for request in requests:
        asked = {"method": request.method, "target": request.target, "connection": request.request_connection}
        says["exchanges"].append({"request": asked, "response": {"status": request.status}})
    for side, bytes_of in (("client_traffic", "request_bytes"), ("server_traffic", "response_bytes")):
        counts = [getattr(request, bytes_of) for request in requests]
        if None not in counts:
            says[side] = {"bytes": sum(counts)}
    return says


def _distribution(counts: Sequence[int]) -> Json:
    return {
        "min": min(counts),
        "median": statistics.median(counts),
        "mean": {"about": statistics.mean(counts), "within": 0.01},
        "max": max(counts),
        "histogram": {"exactly": {str(count): n for count, n in sorted(Counter(counts).items())}},
        "partial": 0,
    }


def from_kernels(retransmitted: int, clients: Iterable[tuple[str, str]]) -> list[Json]:
    """What the hosts' kernels counted: on an undisturbed link, that nothing was sent twice."""
    if retransmitted:
        return []
    nothing = {"retransmitted_bytes": 0, "out_of_order": 0}
    says = {"client_traffic": nothing, "server_traffic": nothing}
    return [fact("kernels' RetransSegs = 0", connection(client, server), says) for client, server in clients]
