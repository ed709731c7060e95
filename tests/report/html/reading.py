"""A page as a browser's parser sees it: elements, text, scripts, policy, and the data that its scripts read.

And a finding that says what a test wants to see there.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

from inspector.inspection import Inspection
from inspector.records.event import EventRecord
from inspector.records.finding import Evidence, Finding, Suspect
from inspector.report.html.data import EventsOf
from inspector.report.html.page import html_report
from tests.report.samples import START_NS

_VOID = frozenset({"meta", "input", "link", "br", "img", "hr"})


def no_events(connection: int) -> tuple[Sequence[EventRecord], int]:
    """Nothing was kept."""
    return [], 0


def finding(text: str) -> Finding:
    """One about connection 0, with this text in all its parts."""
    return Finding(
        code="server-idle-timeout",
        severity="warning",
        endpoint="10.0.0.1:8001",
        client=None,
        connections=[0],
        title=text,
        how=text,
        measured={"n": 1},
        qualifiers=["few-samples"],
        evidence=[Evidence(0, 25, START_NS, text)],
        suspects=[Suspect(text, text, text, text)],
        advice=text,
        filter=text,
    )


class PageReader(HTMLParser):
    """One page, read to its end."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        """Tags with the names of their attributes, in order."""
        self.attributes: list[tuple[str, str]] = []
        self.metas: dict[str, str] = {}
        self.scripts: list[tuple[str | None, str]] = []
        """Type and content."""
        self.style = ""
        self.words: list[str] = []
        """Text outside of scripts and styles."""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], f"not closed: {self._open}"

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def data(self) -> dict[str, Any]:
        ((_, content),) = [script for script in self.scripts if script[0] == "application/json"]
        parsed: dict[str, Any] = json.loads(content)
        return parsed

    @property
    def run(self) -> list[str]:
        """Scripts that a browser runs."""
        return [content for kind, content in self.scripts if kind is None]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(f"{tag} {' '.join(name for name, _ in attrs)}")
        self.attributes += [(name, value or "") for name, value in attrs]
        values = dict(attrs)
        if tag == "meta" and (name := values.get("http-equiv") or values.get("name")):
            self.metas[name] = values["content"] or ""
        if tag == "script":
            self.scripts.append((values.get("type"), ""))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> ends nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            kind, content = self.scripts[-1]
            self.scripts[-1] = kind, content + data
        elif self._open and self._open[-1] == "style":
            self.style += data
        else:
            self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")


def page(inspection: Inspection, events_of: EventsOf = no_events) -> str:
    """The page's text."""
    return b"".join(html_report(inspection, events_of)).decode("utf-8")


def read(inspection: Inspection, events_of: EventsOf = no_events) -> PageReader:
    """The page, parsed."""
    return PageReader(page(inspection, events_of))


def source(text: str) -> str:
    """A script's or style sheet's hash, as a policy has it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def strings_of(data: dict[str, Any], *columns: list[int | None]) -> list[list[str | None]]:
    """Columns of numbers as the strings that they stand for."""
    names = data["strings"]
    return [[None if number is None else names[number] for number in column] for column in columns]
