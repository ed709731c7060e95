"""Known software, as data: products/*.toml, read when the first finding asks who may have caused it.

A product is what answers, what asks, or what stands between. Its settings are limits that end connections, as they
come without anybody's doing; its ways are how a piece of advice is written in its own language. Each default names
where it was read. Sources: the makers' code and documentation, and closes watched on the wire.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

import msgspec
from msgspec import Struct

#: What ends a connection: silence, a number of requests, age, each response, a request that asks for it, or somebody
#: in between who forgets it.
Kind = Literal["idle", "requests", "age", "each", "asks-close", "forgets"]
#: How GOAWAY goes before the close: FIN with it, a second later, a second GOAWAY in between, or none at all.
Goaway = Literal["at-once", "after-1s", "two-step", "none"]
_FILES = ("servers.toml", "edges.toml", "clients.toml")


class Setting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One limit of a product."""

    kind: Kind
    name: str
    """As its configuration has it."""
    source: str
    """Where the default was read."""
    value: float | None = None
    """The default, in seconds or requests; None where there is no limit unless somebody sets one."""
    earlier: tuple[float, ...] = ()
    """Defaults of other versions, or of a configuration that comes with it."""
    write: str = "{value}"
    """How a value is written behind the name; {ms} and {minutes} are other units of {value}."""
    late: float = 0.35
    """Seconds by which the close may come later than the limit: timers that are looked at now and then."""
    adds: float = 0
    """Seconds that it waits, or requests that it takes, beyond what is set, and said in Keep-Alive: timeout."""
    before_hint: float | None = None
    """A client that goes by the server's Keep-Alive: timeout, and closes so many seconds before it."""
    lazy: bool = False
    """Looked at with the next request only: no FIN comes at this limit."""
    over: Literal["http/1", "h2"] | None = None
    """The protocol that it is for; None for both."""
    close_notify: bool | None = None
    """Whether close_notify goes before the FIN of this close; None where nobody looked."""
    goaway: Goaway | None = None
    debug: str | None = None
    """Debug data of the GOAWAY."""
    since: str | None = None
    """Versions, and what else is to be known about it."""

    @property
    def defaults(self) -> tuple[float, ...]:
        """When a close comes by default, the current version's value first."""
        values = self.earlier if self.value is None else (self.value, *self.earlier)
        return tuple(value + self.adds for value in values)


class Product(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Software or a service."""

    name: str
    side: Literal["server", "client", "network"]
    """Which side of a connection it is here; a proxy is two products."""
    setting: tuple[Setting, ...]
    server: str | None = None
    """Regular expression for the Server header; its group is the version."""
    via: str | None = None
    """The same for the last entry of Via."""
    user_agent: str | None = None
    """The same for User-Agent."""
    asks: Literal["http/1.0 close"] | None = None
    """How its requests look: HTTP/1.0 with Connection: close."""
    silent: bool = False
    """It sends no Server header."""
    passes: bool = False
    """A proxy that lets the Server header of the server behind it pass."""
    upstream: bool = False
    """The client side of a proxy: User-Agent is somebody else's."""
    connection: Literal["always", "asked", "never"] | None = None
    """When a response of HTTP/1.1 that lets the connection go on says Connection: keep-alive; asked: when the request
    said so. For a client, whether its requests of HTTP/1.1 say it."""
    keep_alive: tuple[Literal["timeout", "timeout,max", "none"], ...] = ()
    """What such a response says in Keep-Alive; empty where that is not known."""
    fingerprints: tuple[str, ...] = ()
    """First SETTINGS frames in their order, by hexadecimal ids, * for any value; behind " +" the increment of the
    first WINDOW_UPDATE on the connection."""
    ways: dict[str, str] = {}
    """How advice is written in it. A client's: idle (give idle connections up), reuse, pool (its size), http2, ping; a
    server's: streams (the limit of streams at once), http2 (how it is switched on)."""

    def settings(self, kind: Kind) -> tuple[Setting, ...]:
        """Its limits of one kind."""
        return tuple(setting for setting in self.setting if setting.kind == kind)


@cache
def products(side: Literal["server", "client", "network"]) -> tuple[Product, ...]:
    """What is known of one side."""
    return tuple(product for product in _all() if product.side == side)


@cache
def _all() -> tuple[Product, ...]:
    folder = files("inspector.findings") / "products"
    return tuple(
        product
        for file in _FILES
        for product in msgspec.convert(
            tomllib.loads((folder / file).read_text(encoding="utf-8"))["product"], tuple[Product, ...]
        )
    )


@cache
def compiled(expression: str) -> re.Pattern[str]:
    """A regular expression of the data."""
    return re.compile(expression)


def written(form: str, value: float) -> str:
    """A value as a setting or a piece of advice takes it: seconds or a count without needless digits."""
    shown = number(value)
    return form.format(value=shown, ms=f"{float(shown) * 1000:.0f}", minutes=number(value / 60))


def number(value: float) -> str:
    """7 for 7.00 and 3.5 for 3.50: what somebody may have typed."""
    near = round(value)
    if abs(value - near) <= min(0.1, 0.05 * value) and near:
        return str(near)
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"
