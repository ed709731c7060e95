"""Suspects: which software may have caused what was measured, ranked by everything that fits.

    suspects(connections, "server", "idle", 7.0)     who ends idle connections after 7 s, and by which setting
    recognised(connections, "client")                who the client is, to word advice (advice.py)

What is told beats what is guessed: SETTINGS of HTTP/2 are those of the next hop, then Via, Server and User-Agent, then
the manner of Keep-Alive. Software that told itself is named with the value measured, and whether that is its default.
Nobody told: all whose default fits and whom nothing contradicts, those first with whom most agrees, equal ones
together. Nobody fits: the value is somebody's configuration. A suspect is no verdict: `why` says what speaks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from inspector.findings.catalogue import Kind, Product, Setting, compiled, number, products, written
from inspector.findings.clues import Clues, clues
from inspector.records.connection import Connection, Side
from inspector.records.finding import Suspect

#: Equal suspects that are named.
MAX_SUSPECTS = 5
#: A timer may be measured so much (seconds) too early: the clock of a capture is not the server's.
EARLY = 0.06
#: Seconds after a default in which software is guessed by it.
LATE = 0.35
#: A value as it was advertised, seconds around it.
NEAR = 0.2
#: Longest Server header of unknown software that is repeated.
_SHOWN = 40
#: How well a value fits, the best first.
_DEFAULT, _EARLIER, _SET = range(3)


@dataclass(slots=True, frozen=True)
class Recognised:
    """Software that told who it is."""

    product: Product
    version: str | None
    sign: str
    """By what, in words: Server header."""

    @property
    def named(self) -> str:
        """Its name, with the version where it told it."""
        return self.product.name if self.version is None else f"{self.product.name} {self.version}"


def recognised(connections: Sequence[Connection], side: Side) -> list[Recognised]:
    """Who one side of these connections is; several when their signs are the same, none when nothing tells."""
    return _recognised(clues(connections, side))


def suspects(
    connections: Sequence[Connection], side: Side, kind: Kind, value: float | None = None, *, on_time: bool = False
) -> list[Suspect]:
    """Who on this side may have ended these connections, and by which setting.

    `kind` says what ended them: silence ("idle"), their number of requests ("requests"), their age ("age"), each
    response ("each"), or that the requests asked for it ("asks-close"). `value` is what was measured, in seconds or
    requests; `on_time` where it is the limit itself, found from many closes that came late. All that are returned are
    equally likely, but for proxies that pass another's Server header, which come last. Empty when nothing can be said.
    """
    seen = replace(clues(connections, side), on_time=on_time)
    known = _recognised(seen)
    if known:
        ranked = sorted((_rank(one.product, kind, value, seen), i) for i, one in enumerate(known))
        best = [known[i] for rank, i in ranked if rank == ranked[0][0]]
        named = [_told(one, kind, value, seen) for one in best]
        return (named + _in_front(known, kind, value, seen) if ranked[0][0] == _SET else named)[:MAX_SUSPECTS]
    if value is None:
        return []
    unit = f"{number(value)} s" if kind in ("idle", "age") else number(value)
    if seen.server is not None and side == "server":
        return [Suspect(seen.server[:_SHOWN], None, unit, "Server header; not among the software known here")]
    guesses = list(_guesses(kind, value, seen))
    if not guesses:
        who, sign = ("proxy", "it sends User-Agent on; ") if side == "client" and _is_proxy(seen) else ("software", "")
        return [Suspect(f"unknown {who},", None, unit, f"{sign}no default known here fits, so someone set it")]
    most = max(len(reasons) for _, _, reasons in guesses)
    return [
        Suspect(product.name, setting.name, _write(setting, value, seen), "; ".join(("its default", *reasons)))
        for product, setting, reasons in guesses
        if len(reasons) == most
    ][:MAX_SUSPECTS]


def is_default(connections: Sequence[Connection], side: Side, kind: Kind, value: float) -> bool:
    """Whether a value is what software that told who it is does by itself."""
    seen = clues(connections, side)
    known = _recognised(seen)
    return any(_rank(one.product, kind, value, seen) != _SET for one in known)


def keepers(connections: Sequence[Connection], idle: float) -> list[Suspect]:
    """Which clients of these let connections be idle for so many seconds, by which setting; of those who told who they
    are, and whose pools are known."""
    found = []
    for one in recognised(connections, "client"):
        for setting in one.product.settings("idle"):
            if setting.value is None:
                found.append(Suspect(one.named, setting.name, None, f"{one.sign}; it keeps them until they are used"))
            elif setting.value + EARLY >= idle:
                value = written(setting.write, setting.value)
                found.append(Suspect(one.named, setting.name, value, f"{one.sign}; its default"))
            else:
                why = f"{one.sign}; its default is {number(setting.value)} s, so someone set it"
                found.append(Suspect(one.named, setting.name, None, why))
    return found[:MAX_SUSPECTS]


def forgetters(idle: float) -> list[Suspect]:
    """Who on the way forgets connections that were silent for so many seconds, the shortest memory first."""
    found = [
        (setting.value, product, setting)
        for product in products("network")
        for setting in product.settings("forgets")
        if setting.value is not None and setting.value - EARLY <= idle
    ]
    found.sort(key=lambda one: one[0])
    return [
        Suspect(product.name, setting.name, f"{number(value)} s", "its default is shorter than the silence")
        for value, product, setting in found
    ]


# ---- who told who it is


def _recognised(seen: Clues) -> list[Recognised]:
    named = list(_by_name(seen))
    hop, distinct = _by_settings(seen)
    both = [one for one in named if one.product in hop]
    if both:
        return [Recognised(one.product, one.version, f"{one.sign} and HTTP/2 SETTINGS") for one in both]
    if hop and distinct:
        return [Recognised(product, None, "HTTP/2 SETTINGS") for product in hop]
    return named or list(_by_manner(seen))


def _by_name(seen: Clues) -> Iterator[Recognised]:
    """By headers; Via is the nearest proxy's. Server, and User-Agent, may be that of somebody behind it: a request that
    does not say about the connection what its User-Agent says was sent on by somebody."""
    if seen.side == "client" and seen.asks is not None:
        for product in products("client"):
            if product.asks == seen.asks:
                yield Recognised(product, None, "requests of HTTP/1.0 with Connection: close")
        return
    for text, field, sign in (
        (seen.via if seen.side == "server" else None, "via", "Via header"),
        (seen.server if seen.side == "server" else None, "server", "Server header"),
        (seen.user_agent if seen.side == "client" else None, "user_agent", "User-Agent"),
    ):
        found = False
        for product in products(seen.side):
            expression: str | None = getattr(product, field)
            match = None if text is None or expression is None else compiled(expression).search(text)
            if match is not None and not (seen.side == "client" and _sent_on(product, seen)):
                found = True
                yield Recognised(product, match[1] if match.re.groups else None, sign)
        if found:
            return


def _sent_on(product: Product, seen: Clues) -> bool:
    return seen.asks_keep_alive is not None and (product.connection, seen.asks_keep_alive) in (
        ("always", False),
        ("never", True),
    )


def _is_proxy(seen: Clues) -> bool:
    """Whether requests tell of another client than the one that sends them."""
    told = seen.user_agent or ""
    return any(
        product.user_agent is not None and compiled(product.user_agent).search(told) and _sent_on(product, seen)
        for product in products("client")
    )


def _by_settings(seen: Clues) -> tuple[list[Product], bool]:
    """By the first SETTINGS; and whether those are so peculiar that they tell by themselves."""
    if not seen.fingerprint:
        return [], False
    shape, _, update = seen.fingerprint.partition(" +")
    fits = [
        product for product in products(seen.side) if any(_same(one, shape, update) for one in product.fingerprints)
    ]
    return fits, bool(update) or shape.count(";") >= 1


def _same(known: str, shape: str, update: str) -> bool:
    wanted, _, increment = known.partition(" +")
    if increment and increment != update:
        return False
    ours, theirs = shape.split(";"), wanted.split(";")
    return len(ours) == len(theirs) and all(
        want == have or (want.endswith("*") and want[:-1] == have[: have.index(":") + 1])
        for want, have in zip(theirs, ours, strict=True)
    )


def _by_manner(seen: Clues) -> Iterator[Recognised]:
    """By what responses say in Keep-Alive, when they name nobody."""
    if seen.side == "client" or seen.server is not None or seen.keep_alive in (None, "none"):
        return
    for product in products("server"):
        if seen.keep_alive in product.keep_alive and not _contradicted(product, None, seen):
            yield Recognised(product, None, f"says Keep-Alive: {seen.keep_alive} and no Server")


# ---- how well it fits


def _rank(product: Product, kind: Kind, value: float | None, seen: Clues) -> int:
    """How well the value fits the best of a product's settings."""
    ranks = [_fit(setting, value, seen) for setting in product.settings(kind) if _applies(setting, seen)]
    return min(ranks, default=_SET)


def _fit(setting: Setting, value: float | None, seen: Clues) -> int:
    if value is None:
        return _DEFAULT
    if setting.lazy:
        return _SET
    if seen.advertised is not None and _by_hint(setting, value, seen.advertised):
        return _DEFAULT
    for i, default in enumerate(setting.defaults):
        if value == default or (setting.kind != "requests" and -EARLY <= value - default <= _late(setting, seen)):
            return _DEFAULT if i == 0 and setting.value is not None else _EARLIER
    return _SET


def _late(setting: Setting, seen: Clues) -> float:
    return min(setting.late, LATE) if seen.on_time else setting.late


def _by_hint(setting: Setting, value: float, advertised: float) -> bool:
    """Whether the value is what the advertised timeout makes of it."""
    if setting.kind != "idle":
        return False
    if setting.adds:
        return abs(value - advertised - setting.adds) <= NEAR
    return setting.before_hint is not None and -NEAR <= value - (advertised - setting.before_hint) <= setting.late


def _applies(setting: Setting, seen: Clues) -> bool:
    return setting.over is None or seen.over is None or setting.over == seen.over


def _contradicted(product: Product, setting: Setting | None, seen: Clues) -> bool:
    """Whether something that was seen does not go with it, nobody having named himself."""
    if seen.side == "server" and seen.answered:
        if seen.server is None and (product.server is not None and not product.passes):
            return True
        if product.via is not None and seen.via is None:
            return True
    if seen.side == "client":
        return seen.asked and (product.user_agent is not None or _sent_on(product, seen))
    if product.keep_alive and seen.keep_alive is not None and seen.keep_alive not in product.keep_alive:
        return True
    wanted = {"always": (True, True), "asked": (False, True), "never": (False, None), None: (None, None)}
    unasked, asked = wanted[product.connection]
    if (unasked, seen.keeps_unasked) in ((True, False), (False, True)) or (asked, seen.keeps_asked) == (True, False):
        return True
    return setting is not None and _closes_otherwise(setting, seen)


def _closes_otherwise(setting: Setting, seen: Clues) -> bool:
    pairs = ((setting.close_notify, seen.close_notify), (setting.goaway, seen.goaway if seen.over == "h2" else None))
    return any(want is not None and have is not None and want != have for want, have in pairs)


def _guesses(kind: Kind, value: float, seen: Clues) -> Iterator[tuple[Product, Setting, list[str]]]:
    """Whose default fits, and what else speaks for them."""
    for product in products(seen.side):
        for setting in product.settings(kind):
            if not _applies(setting, seen) or _fit(setting, value, seen) == _SET or _is_loose(setting, value):
                continue
            if not _contradicted(product, setting, seen):
                yield product, setting, _agreements(product, setting, seen)


def _is_loose(setting: Setting, value: float) -> bool:
    """Whether it fits only because the software may be very late, which is too little to guess by."""
    return setting.late > LATE and all(value > default + LATE for default in setting.defaults if value >= default)


def _agreements(product: Product, setting: Setting, seen: Clues) -> list[str]:
    found = []
    if seen.keep_alive is not None and seen.keep_alive != "none" and seen.keep_alive in product.keep_alive:
        found.append(f"Keep-Alive: {seen.keep_alive}")
    if product.connection == "always" and seen.keeps_unasked:
        found.append("always says Connection: keep-alive")
    if setting.close_notify is not None and setting.close_notify == seen.close_notify:
        found.append("close_notify" if seen.close_notify else "no close_notify")
    if setting.goaway is not None and seen.over == "h2" and setting.goaway == seen.goaway:
        found.append("its way of GOAWAY")
    if setting.debug is not None and setting.debug == seen.debug:
        found.append("its GOAWAY's debug data")
    if any(product is one for one in _by_settings(seen)[0]):
        found.append("HTTP/2 SETTINGS")
    return found


def _in_front(known: Sequence[Recognised], kind: Kind, value: float | None, seen: Clues) -> list[Suspect]:
    """Proxies that let the Server header pass, where the value is not its owner's default, but theirs."""
    if value is None or seen.side == "client" or known[0].sign != "Server header":
        return []
    return [
        Suspect(product.name, setting.name, _write(setting, value, seen), "its default, and it lets Server pass")
        for product, setting, _ in _guesses(kind, value, seen)
        if product.passes and not any(product is one.product for one in known)
    ]


# ---- words


def _told(one: Recognised, kind: Kind, value: float | None, seen: Clues) -> Suspect:
    """Software that told who it is, and what the value says about its configuration."""
    fitting = [setting for setting in one.product.settings(kind) if _applies(setting, seen)]
    if not fitting:
        return Suspect(one.named, None, None, one.sign)
    setting = min(fitting, key=lambda setting: _fit(setting, value, seen))
    if setting.lazy:
        return Suspect(one.named, None, None, f"{one.sign}; no timer of its own closes: the program did, or ended")
    if value is None:
        return Suspect(one.named, setting.name, setting.write if "{" not in setting.write else None, one.sign)
    return Suspect(
        one.named, setting.name, _write(setting, value, seen), f"{one.sign}; {_origin(setting, value, seen)}"
    )


def _write(setting: Setting, value: float, seen: Clues) -> str | None:
    """The value as somebody has to type it: what was measured, less what the software adds; None where it is nobody's,
    but what the server advertised makes of it."""
    if seen.advertised is not None and _by_hint(setting, value, seen.advertised):
        return written(setting.write, seen.advertised) if setting.adds else None
    for default in setting.defaults:
        if value == default or -EARLY <= value - default <= _late(setting, seen):
            return written(setting.write, default - setting.adds)
    value = value - setting.adds if value > setting.adds else value
    return written(setting.write, float(int(value)) if setting.late > 1 and value >= 1 else value)


def _origin(setting: Setting, value: float, seen: Clues) -> str:
    """Whether a value came with the software."""
    unit = "" if setting.kind == "requests" else " s"
    if seen.advertised is not None and _by_hint(setting, value, seen.advertised):
        if setting.adds:
            return f"it says {number(seen.advertised)} s and waits {number(setting.adds)} s longer"
        return f"the server's Keep-Alive: timeout={number(seen.advertised)} less {number(setting.before_hint or 0)} s"
    fit = _fit(setting, value, seen)
    if fit == _DEFAULT:
        return "its default"
    if fit == _EARLIER:
        return "the default of some versions"
    more = f"; it {'takes' if setting.kind == 'requests' else 'waits'} {number(setting.adds)}{unit} more"
    if setting.value is None:
        return "it has no limit by itself, so someone set it"
    return f"its default is {number(setting.value)}{unit}, so someone set it{more if setting.adds else ''}"
