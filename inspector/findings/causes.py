"""Findings of one cause are one finding: what another finding of the same endpoint already says is left out.

A table of which code makes which others needless, where they share connections. Everything else stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspector.records.finding import Finding

#: code: the codes that it makes needless on the same connections.
_EXPLAINS: dict[str, frozenset[str]] = {
    # Nobody had closed: no race, no timer, no message that was cut by its sender.
    "silent-drop": frozenset({"keepalive-race"}),
    "foreign-reset": frozenset(
        {
            *("keepalive-race", "silent-drop", "tls-truncated"),
            *("server-idle-timeout", "client-idle-timeout", "server-max-age", "server-max-requests"),
            *("server-closes-each-response", "client-never-reuses"),
        }
    ),
    # The client did not see the FIN: what it lost by that says more than that it had not closed.
    "keepalive-race": frozenset({"half-closed-leak"}),
    "client-never-reuses": frozenset({"h2-not-shared"}),
}


def one_a_cause(findings: Sequence[Finding]) -> list[Finding]:
    """The findings of one endpoint without those that others explain."""
    explained: dict[str, set[int]] = {}
    for finding in findings:
        for code in _EXPLAINS.get(finding.code, ()):
            explained.setdefault(code, set()).update(finding.connections)
    return [
        finding
        for finding in findings
        if not finding.connections or not explained.get(finding.code, set()).issuperset(finding.connections)
    ]
