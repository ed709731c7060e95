"""The report as one HTML file that needs no network, and trusts nothing that came from the wire.

The template writes what is read first (the capture's facts, findings, servers) as markup, so that it is there without
scripts and on paper, too; everything is escaped by Jinja. What is drawn is JSON in a block that no browser runs. The
content security policy allows the two scripts and the style sheet by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import msgspec
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from inspector.inspection import Inspection
from inspector.report.findings import SIGNS, severities
from inspector.report.heading import capture_facts, capture_name
from inspector.report.html.contents import about_left_out, endpoint_rows, finding_views, heading_notes, reuse_sentence
from inspector.report.html.data import EventsOf, page_data
from inspector.report.units import plural
from inspector.version import __version__

#: The page's script, in the order in which its parts are put together.
SCRIPTS = (
    "format",
    "data",
    "shapes",
    "lanes",
    "painter",
    "legend",
    "overview",
    "timeline",
    "table",
    "story",
    "charts",
    "page",
)
#: Connections from which on distributions may tell something; with fewer, what draws them is left out.
LEAST_DRAWN = 10

#: What HTML and JavaScript could take for something else inside of JSON; there it stands in strings only.
_ESCAPED = {"<": b"\\u003c", ">": b"\\u003e", "&": b"\\u0026", "\u2028": b"\\u2028", "\u2029": b"\\u2029"}


def html_report(inspection: Inspection, events_of: EventsOf, notes: Sequence[str] = ()) -> Iterator[bytes]:
    """The page as UTF-8, in pieces. `events_of` has what is kept of a connection's events; `notes` are lines that
    stand below the capture's facts."""
    here = files(__package__)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_text(here / "page.html.j2"))
    data = page_data(inspection, events_of)
    library = _text(here / "echarts" / "echarts.min.js") if len(inspection.connections) >= LEAST_DRAWN else ""
    style, script = _text(here / "page.css"), page_script()
    context = {
        "version": __version__,
        "policy": _policy([library, script], style),
        # Ours: nothing of them came from the wire.
        "style": Markup(style),
        "library": Markup(library),
        "script": Markup(script),
        "licences": [_text(here / "echarts" / name) for name in ("NOTICE", "LICENSE")] if library else [],
        # Escaped for where it stands, by embedded_json.
        "data": Markup(embedded_json(data.columns).decode()),
        "title": capture_name(inspection.capture),
        "facts": [*capture_facts(inspection.capture), plural(_connections(inspection), "connection")],
        "notes": [*notes, *heading_notes(inspection)],
        "problems": bool(inspection.capture.problems),
        "signs": SIGNS,
        "findings": (views := finding_views(inspection.findings)),
        "severities": severities({view.severity for view in views}),
        "reuse": reuse_sentence(inspection.findings),
        "endpoints": (rows := endpoint_rows(inspection)),
        "others": any(row.others for row in rows),
        "left_out": about_left_out(inspection, data.left_out),
    }
    for piece in template.generate(context):
        yield piece.encode("utf-8", "backslashreplace")


def embedded_json(value: Any) -> bytes:
    """JSON that can stand in a script element: no markup ends or begins in it."""
    encoded = msgspec.json.encode(value)
    for character, escape in _ESCAPED.items():
        encoded = encoded.replace(character.encode(), escape)
    return encoded


def page_script() -> str:
    """The page's own script: its parts in one function, so that they share names with each other and nobody else."""
    folder = files(__package__) / "script"
    parts = [_text(folder / f"{name}.js") for name in SCRIPTS]
    return '(function () {\n"use strict";\n\n' + "\n".join(parts) + "})();\n"


def _policy(scripts: Sequence[str], style: str) -> str:
    allowed = " ".join(_source(script) for script in scripts if script)
    return f"default-src 'none'; script-src {allowed}; style-src {_source(style)}; base-uri 'none'; form-action 'none'"


def _source(text: str) -> str:
    """The text's hash, as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(file: Traversable) -> str:
    return file.read_text("utf-8")


def _connections(inspection: Inspection) -> int:
    history = inspection.capture.history
    gone = 0 if history is None else history.endpoint_connections
    return gone + sum(endpoint.connections for endpoint in inspection.endpoints)
