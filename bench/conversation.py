"""One connection from SYN to silence: two endpoints, a client and a server that follow a script, and the truth.

The truth is what the programs knew (who asked what, who decided to close) and which frame of the capture bears it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Any

from bench.endpoint import Application, Endpoint, Segment, Stack
from bench.messages import Request, Response, facts
from bench.network import MILLISECOND, Clock, Link, Path, Tap
from bench.wire import FIN, RST, SYN, Host, Route

PLAIN = Stack()


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, the answer to it, and the pauses around them."""

    request: Request
    response: Response | None
    """None: the server never answers."""
    think_ns: int = MILLISECOND
    """The server's time from the whole request to its answer."""
    pause_ns: int = 0
    """The client's time from the answer before (or the handshake) to this request."""


@dataclass(frozen=True, slots=True)
class Close:
    """Who ends the connection after the last exchange, how, and what the other side does about it."""

    by: str = "server"
    """"client" or "server"."""
    how: str = "fin"
    """"fin" or "rst"."""
    idle_ns: int = 0
    """From the last byte that the closing side sent or got to its FIN or RST."""
    answer_ns: int | None = 0
    """From the FIN to the other side's own; None: it never closes."""


@dataclass(frozen=True, slots=True)
class Script:
    """What happens on one connection."""

    exchanges: tuple[Exchange, ...] = ()
    close: Close | None = field(default_factory=Close)
    """None: still open when the capture ends."""
    pipelined: bool = False
    opening: str = "handshake"
    """As the contract's `opened.how`: also "refused", "unanswered" (nobody there), "half-open" (the client is gone)."""
    probe_every_ns: int | None = None
    """The closing side's keep-alive probes while it is idle."""
    server_stack: Stack = PLAIN
    client_stack: Stack = PLAIN


class _Client(Application):
    """Asks one request after the other, or all at once."""

    def __init__(self, conversation: Conversation, endpoint: Endpoint) -> None:
        self._conversation, self._endpoint = conversation, endpoint
        self._answered_at = list(accumulate(map(len, conversation.answers)))
        self._asked = 0

    def opened(self) -> None:
        if self._conversation.script.pipelined:
            self._endpoint.write(b"".join(self._conversation.questions))
            self._asked = len(self._conversation.questions)
        else:
            self._go_on()

    def received(self, total: int) -> None:
        if total == self._answered_at[self._asked - 1]:
            self._go_on()

    def ended(self) -> None:
        self._conversation.answer_close(self._endpoint)

    def reset(self) -> None:
        """Nothing is left to do."""

    def _go_on(self) -> None:
        asked = self._asked
        if asked < len(self._conversation.questions):
            self._asked += 1
            pause_ns = self._conversation.script.exchanges[asked].pause_ns
            self._conversation.later(pause_ns, self._endpoint.write, self._conversation.questions[asked])
        else:
            self._conversation.may_close(self._endpoint, "client")


class _Server(Application):
    """Answers each request as soon as it is whole."""

    def __init__(self, conversation: Conversation, endpoint: Endpoint) -> None:
        self._conversation, self._endpoint = conversation, endpoint
        self._whole_at = list(accumulate(map(len, conversation.questions)))
        self._answered = 0
        self._busy_ns = 0

    def opened(self) -> None:
        if not self._whole_at:
            self._conversation.may_close(self._endpoint, "server")

    def received(self, total: int) -> None:
        while self._answered < len(self._whole_at) and total >= self._whole_at[self._answered]:
            think_ns = self._conversation.script.exchanges[self._answered].think_ns
            self._busy_ns = self._conversation.later(think_ns, self._answer, self._answered, since_ns=self._busy_ns)
            self._answered += 1

    def ended(self) -> None:
        self._conversation.answer_close(self._endpoint)

    def reset(self) -> None:
        """Nothing is left to do."""

    def _answer(self, index: int) -> None:
        self._endpoint.write(self._conversation.answers[index])
        if index + 1 == len(self._whole_at):
            self._conversation.may_close(self._endpoint, "server")


class Conversation:
    """Plays one script between two hosts on one path."""

    def __init__(
        self, script: Script, client: Host, server: Host, path: Path, tap: Tap, random: Random, start_ns: int
    ) -> None:
        self.script = script
        self.questions = [exchange.request.encode() for exchange in script.exchanges]
        self.answers = [exchange.response.encode() if exchange.response else b"" for exchange in script.exchanges]
        self.end_ns = start_ns
        """When the last segment was sent."""
        self._hosts = client, server
        self._clock = clock = Clock(start_ns)
        self._first_serial: int | None = None
        self._closing: tuple[int, str, str] | None = None
        self._tap = tap
        self._sent = {"client": 0, "server": 0}

        def endpoint(source: Host, destination: Host, stack: Stack, side: str) -> Endpoint:
            link = Link(path, clock, tap, random, from_client=side == "client")
            route = Route(source, destination, random.getrandbits(16))
            made = Endpoint(clock, link, route, stack, random.getrandbits(32), random.getrandbits(32))
            made.sent = self._note(side)
            return made

        self._client = endpoint(client, server, script.client_stack, "client")
        self._server = endpoint(server, client, script.server_stack, "server")
        self._client.peer, self._server.peer = self._server, self._client
        self._client.application = _Client(self, self._client)
        self._server.application = _Server(self, self._server)

    def run(self) -> Truth:
        """Play it to the end."""
        self._server.silent = self.script.opening == "unanswered"
        self._server.refuses = self.script.opening == "refused"
        self._client.connect()
        self._client.silent = self.script.opening == "half-open"
        self._clock.run()
        return Truth(self._first_serial, self._closing and self._closing[0], self._facts())

    def later(self, delay_ns: int, action: Callable[..., None], *arguments: Any, since_ns: int = 0) -> int:
        """Call `action` in `delay_ns`, counted from `since_ns` where that is still to come; returns when."""
        time_ns = max(self._clock.now, since_ns) + delay_ns
        self._clock.at(time_ns, action, *arguments)
        return time_ns

    def may_close(self, endpoint: Endpoint, side: str) -> None:
        """This side has nothing more to say: it closes if the script wants it to."""
        close = self.script.close
        if close is None or close.by != side:
            return
        self.later(close.idle_ns, endpoint.abort if close.how == "rst" else endpoint.close)
        if self.script.probe_every_ns is not None:
            for delay_ns in range(self.script.probe_every_ns, close.idle_ns, self.script.probe_every_ns):
                self.later(delay_ns, endpoint.probe)

    def answer_close(self, endpoint: Endpoint) -> None:
        """The other side sent its FIN."""
        close = self.script.close
        if close is not None and close.answer_ns is not None:
            self.later(close.answer_ns, endpoint.close)

    def _note(self, side: str) -> Callable[[Segment, list[int]], None]:
        def note(segment: Segment, serials: list[int]) -> None:
            self.end_ns = self._clock.now
            if not serials:
                return
            self._sent[side] += len(serials)
            packets, serial = self._tap.packets, serials[0]
            if segment.flags & SYN and (self._first_serial is None or packets[serial] < packets[self._first_serial]):
                self._first_serial = serial
            if segment.flags & (FIN | RST):
                how = "rst" if segment.flags & RST else "fin"
                if self._closing is None or packets[serial] < packets[self._closing[0]]:
                    self._closing = serial, side, how

        return note

    def _facts(self) -> dict[str, Any]:
        client, server = self._hosts
        closed = None if self._closing is None else {"by": self._closing[1], "how": self._closing[2]}
        asked = self.script.exchanges if self.script.opening == "handshake" else ()
        return {
            "client": {"ip": client.ip, "port": client.port},
            "server": {"ip": server.ip, "port": server.port},
            "opened": self.script.opening,
            "closed": closed,
            "packets": dict(self._sent),
            "exchanges": [facts(exchange.request, exchange.response) for exchange in asked],
        }


@dataclass(frozen=True, slots=True)
class Truth:
    """What is true of one connection; serials are of the tap."""

    first_serial: int | None
    """Of the first frame; None: the capture has nothing of it."""
    closing_serial: int | None
    facts: dict[str, Any]
