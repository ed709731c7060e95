"""The rules, in the order in which they are asked: one, or a tight family, a file.

A file is loaded when a case has connections of a kind that its rules are about: most captures need half of them, and
loading all takes as long as reading a thousand connections.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Final

from inspector.findings.case import Case
from inspector.findings.rule import Rule

#: File: groups of a case (its attributes); where all of them are empty its rules have nothing to say.
_FILES: Final[dict[str, tuple[str, ...]]] = {
    "keepalive_race": ("raced",),
    "unreachable": ("refused", "unanswered"),
    "silent_drop": ("waited",),
    "foreign_reset": ("reset",),
    "idle_timeout": ("server_idle", "client_idle"),
    "idle_too_long": ("server_idle",),
    "advertised": ("server_idle",),
    "server_limits": ("server_ended", "server_idle"),
    "closes": ("opened",),
    "pool_overflow": ("client_ended",),
    "half_closed": ("connections",),
    "alpn": ("tls",),
    "tls": ("tls",),
    "port_churn": ("opened",),
    "h2_goaway": ("http2",),
    "h2_ping": ("http2",),
    "h2_streams": ("http2",),
    "h2_forbidden": ("http2",),
    "reuse": ("connections",),
    "h2_settings": ("http2",),
}


def rules_for(case: Case) -> Iterator[Rule]:
    """The rules that may have something to say of a case."""
    for file, groups in _FILES.items():
        if any(getattr(case, group) for group in groups):
            yield from _rules_of(file)


def rules() -> tuple[Rule, ...]:
    """All rules."""
    return tuple(rule for file in _FILES for rule in _rules_of(file))


@cache
def _rules_of(file: str) -> tuple[Rule, ...]:
    found: tuple[Rule, ...] = import_module(f"{__name__}.{file}").RULES
    return found


def rule(code: str) -> Rule | None:
    """The rule with this code; None when there is none."""
    return next((rule for rule in rules() if rule.code == code), None)
