"""Findings: what is concluded from connections and endpoints, with what was measured and the packets that show it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Struct

from inspector.records.field import says

Severity = Literal["info", "notice", "warning", "problem"]
Qualifier = Literal["encrypted", "few-samples", "spread", "drops", "snaplen"]

#: From a fact worth knowing to requests that are lost.
SEVERITIES: tuple[Severity, ...] = ("info", "notice", "warning", "problem")


class Evidence(Struct, gc=False):
    """A packet to look at."""

    connection: Annotated[int, says("Id of its connection.")]
    packet: Annotated[int, says("Its number.")]
    time_ns: Annotated[int, says("Its time, since the Unix epoch.")]
    what: Annotated[str, says("What it shows, in a few words.")]


class Suspect(Struct, gc=False):
    """A likely cause: never a verdict."""

    product: Annotated[str, says("Software, as its maker names it, with its version where it told it.")]
    setting: Annotated[str | None, says("The setting that decides; null where none is known.")]
    value: Annotated[str | None, says("The value that fits what was measured, as the setting takes it.")]
    why: Annotated[str, says("What speaks for it.")]


class Finding(Struct):
    """One conclusion."""

    code: Annotated[str, says("Which; `connspect explain CODE` tells what it means.")]
    severity: Annotated[Severity, says("info: to know; notice: may cost; warning: costs; problem: loses requests.")]
    endpoint: Annotated[str, says("ip:port that it is about.")]
    client: Annotated[str | None, says("The client's ip, where it is about one client.")]
    connections: Annotated[list[int], says("Ids of its connections.")]
    title: Annotated[str, says("The conclusion in one line.")]
    how: Annotated[str, says("How it was measured, for a person.")]
    measured: Annotated[dict[str, Any], says("Figures by name; `connspect explain CODE` tells each.")]
    qualifiers: Annotated[list[Qualifier], says("What makes it less sure.")]
    evidence: Annotated[list[Evidence], says("Packets that show it, the most telling first.")]
    suspects: Annotated[list[Suspect], says("Likely causes, the likeliest first; equal ones are all there.")]
    advice: Annotated[str | None, says("What to do about it.")]
    filter: Annotated[str, says("Wireshark display filter that shows the evidence.")]
