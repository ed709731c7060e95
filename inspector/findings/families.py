"""What findings are about: the order in which `explain` and the documentation tell them."""

from __future__ import annotations

#: Codes by what they are about. A code that is missing here stands under OTHERS.
FAMILIES: dict[str, tuple[str, ...]] = {
    "Reuse": ("reuse", "client-never-reuses", "server-closes-each-response", "client-asked-close", "pool-overflow"),
    "Timers and limits": (
        "server-idle-timeout",
        "client-idle-timeout",
        "advertised-timeout-differs",
        "idle-timeout-too-long",
        "server-max-requests",
        "server-max-age",
    ),
    "Requests and connections that are lost": (
        "keepalive-race",
        "half-closed-leak",
        "refused",
        "unanswered",
        "silent-drop",
        "foreign-reset",
        "port-churn",
    ),
    "HTTP/2": (
        "alpn-fallback",
        "h2-settings",
        "h2-goaway",
        "h2-after-goaway",
        "h2-keepalive-ping",
        "h2-not-shared",
        "h2-stream-limit",
        "h2-forbidden-header",
    ),
    "TLS": ("tls-full-handshakes", "tls-truncated"),
    "Proxies": ("hop-header-changed",),
}
OTHERS = "Others"


def family(code: str) -> str:
    """What a finding is about."""
    return next((title for title, codes in FAMILIES.items() if code in codes), OTHERS)
