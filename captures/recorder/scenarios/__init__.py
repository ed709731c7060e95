"""The scenarios, a family a file; importing a family registers what is in it."""

import importlib

_FAMILIES = (
    "server_closes",
    "server_timers",
    "client_closes",
    "client_timers",
    "failures",
    "messages",
    "paths",
    "proxies",
    "networks",
    "tls",
    "tls_suites",
    "http2_servers",
    "http2_clients",
    "http2_messages",
    "server_ends",
    "pools",
    "inside",
    "http2_use",
)


def load() -> None:
    """Register every scenario, in the order of the index."""
    for family in _FAMILIES:
        importlib.import_module(f"{__name__}.{family}")
