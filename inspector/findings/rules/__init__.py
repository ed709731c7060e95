"""The rules, in the order in which they are asked: one, or a tight family, a file."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from inspector.findings.rule import Rule

_FILES = (
    "keepalive_race",
    "unreachable",
    "silent_drop",
    "foreign_reset",
    "idle_timeout",
    "idle_too_long",
    "advertised",
    "server_limits",
    "closes",
    "pool_overflow",
    "half_closed",
    "alpn",
    "tls",
    "port_churn",
    "h2_goaway",
    "h2_ping",
    "h2_streams",
    "h2_forbidden",
    "reuse",
    "h2_settings",
)


@cache
def rules() -> tuple[Rule, ...]:
    """All rules."""
    return tuple(rule for file in _FILES for rule in import_module(f"{__name__}.{file}").RULES)


def rule(code: str) -> Rule | None:
    """The rule with this code; None when there is none."""
    return next((rule for rule in rules() if rule.code == code), None)
