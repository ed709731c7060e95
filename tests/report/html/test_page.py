"""The page as a file: well formed, closed to the network, and text from the wire is never anything but text."""

from __future__ import annotations

import json
import re

import pytest

from inspector.inspection import Inspection
from inspector.records.capture import Dropped, History, Problem
from inspector.records.exchange import Exchange
from inspector.records.finding import Suspect
from inspector.records.http2 import GoawayFrame
from inspector.report.explain import kind_named
from inspector.report.html.data import EventsOf
from inspector.report.html.page import LEAST_DRAWN, SCRIPTS, embedded_json, page_script
from inspector.report.text import printable
from tests.report import samples
from tests.report.html.reading import PageReader, finding, page, read, source
from tests.report.samples import START_NS

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "--><img src=x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "&lt;b&gt; &amp;amp; &#x3c;",
    "{{ 7 * 7 }}{% raw %}",
    "\u202eevil\u2066 \u200b",
    "\x00\x07\x1b[31m\x1b]0;x\x07\r\n",
    "\u2028\u2029\ufeff",
    "]]></style><base href=//evil>",
    "\ud800",
    "javascript:alert(1)",
)


def said(text: str) -> Inspection:
    """An inspection that has a text wherever the wire or a file's name can bring one in."""
    connection, endpoint = samples.filled()
    connection.name, connection.names, connection.state = text, [text], text
    assert connection.http2 is not None
    connection.http2.server.goaways = [GoawayFrame(12, START_NS, 1, text, text)]
    for exchange in connection.exchanges:
        assert exchange.request is not None
        assert exchange.response is not None
        exchange.request.method = exchange.request.target = exchange.response.reason = text
    endpoint.name, endpoint.names = text, {text: 6}
    endpoint.protocols = {"http/1.1": 6}
    endpoint.headers.request.connection = {text: 3}
    endpoint.headers.response.connection = {text: 3}
    endpoint.headers.response.keep_alive = {text: 3}
    capture = samples.capture(problems=[Problem(text, 3, 4, text)], dropped=Dropped(3, None))
    capture.files[0].path = text
    capture.history = History(kept=1, connections=2, events=3)
    return samples.inspection(
        capture=capture, connections=[connection], endpoints=[endpoint], findings=[finding(text)], anomalies={text: 1}
    )


def events_of(text: str) -> EventsOf:
    return lambda number: ([*samples.nginx_events(), samples.event("anomaly", 9, 0, "client", None, text)], 3)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    harmless, hostile = read(said("harmless"), events_of("harmless")), read(said(text), events_of(text))
    assert hostile.elements == harmless.elements
    assert hostile.run == harmless.run
    assert hostile.metas["Content-Security-Policy"] == harmless.metas["Content-Security-Policy"]
    shown = " ".join(printable(text).split())
    assert hostile.text.count(shown) >= harmless.text.count("harmless") - 1
    # What is escaped for the page has nothing that reorders or hides text, and no control character.
    assert all(c.isprintable() or c == "\n" for words in hostile.words for c in words)
    assert any(printable(text) in string for string in hostile.data["strings"])
    assert all(string.isprintable() for string in hostile.data["strings"])


@pytest.mark.parametrize("text", HOSTILE)
def test_no_markup_begins_inside_of_data(text: str) -> None:
    encoded = embedded_json({"text": text.replace("\ud800", "?")}).decode()
    assert not set("<>&\u2028\u2029") & set(encoded)
    assert json.loads(encoded) == {"text": text.replace("\ud800", "?")}


def many(count: int = 20) -> Inspection:
    return samples.inspection(
        connections=[samples.connection(id=number) for number in range(count)],
        endpoints=[samples.endpoint(connections=count)],
        findings=[finding("it closes")],
    )


@pytest.mark.parametrize("inspection", [many(), samples.inspection(), said("x"), samples.inspection(connections=[])])
def test_only_its_own_scripts_may_run(inspection: Inspection) -> None:
    reader = read(inspection)
    rules = dict(rule.strip().split(" ", 1) for rule in reader.metas["Content-Security-Policy"].split(";"))
    assert rules == {
        "default-src": "'none'",
        "script-src": " ".join(map(source, reader.run)),
        "style-src": source(reader.style),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not [name for name, _ in reader.attributes if name.startswith("on") or name in ("style", "src", "action")]
    assert [value for name, value in reader.attributes if name == "href"] == ["#picture"]


def test_the_policy_stands_before_what_it_is_about() -> None:
    text = page(many())
    assert text.index("Content-Security-Policy") < min(
        text.index("<style"), text.index("<script"), text.index("<title")
    )


def test_nothing_is_asked_for_from_elsewhere() -> None:
    reader = read(many())
    licences = [words for words in reader.words if "Apache License" in words or "Apache Software Foundation" in words]
    assert len(licences) >= 2
    others = [*(words for words in reader.words if words not in licences), *reader.run, reader.style]
    assert not [part for part in others if re.search(r"(https?|wss?|ftp|file)://|url\(|@import", part)]
    assert not re.search(r"\b(eval|Function|fetch|importScripts|XMLHttpRequest|WebSocket)\s*\(", page_script())
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write", page_script())


def test_no_part_of_the_script_ends_it() -> None:
    for script in read(many()).run:
        assert "</script" not in script.lower()
        assert "<!--" not in script


def test_all_parts_are_in_the_script() -> None:
    script = page_script()
    assert script.startswith('(function () {\n"use strict";')
    positions = [script.index(first) for first in ("function count(", "const data = ", "class Timeline", "class Page")]
    assert positions == sorted(positions)
    assert len(set(SCRIPTS)) == len(SCRIPTS)


def test_the_same_inspection_makes_the_same_page() -> None:
    assert page(many()) == page(many())


@pytest.mark.parametrize(("count", "is_there"), [(LEAST_DRAWN - 1, False), (LEAST_DRAWN, True)])
def test_the_chart_library_is_there_where_there_is_something_to_draw(count: int, is_there: bool) -> None:
    reader = read(many(count))
    assert len(reader.run) == (2 if is_there else 1)
    assert ("Apache ECharts" in reader.text) == is_there
    # The licence asks for it: notice and licences go where the library goes.
    assert ("TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in reader.text) == is_there
    assert ("Baidu Inc." in reader.text) == is_there


def test_a_finding_tells_all_that_it_knows() -> None:
    known = finding("10.0.0.1:8001 closes idle connections after 7.00 s")
    known.how, known.advice, known.filter = "on 6 of 6", "close earlier", "tcp.stream in {0..5}"
    known.suspects = [Suspect("nginx/1.22.1", "keepalive_timeout", "7s", "Server header")]
    reader = read(samples.inspection(findings=[known]))
    for words in (
        "warning 10.0.0.1:8001 closes idle connections after 7.00 s",
        "server-idle-timeout few-samples",
        "measured on 6 of 6",
        "likely nginx/1.22.1 keepalive_timeout 7s (Server header)",
        "do close earlier",
        "look packet 25 tcp.stream in {0..5}",
        "Show 1 connection",
    ):
        assert words in reader.text, words
    assert ("data-copy", "tcp.stream in {0..5}") in reader.attributes


def test_a_finding_says_what_its_code_means() -> None:
    one, unknown = finding("it closes"), finding("it is new")
    unknown.code, unknown.qualifiers = "not-in-this-version", []
    reader = read(samples.inspection(findings=[one, unknown]))
    kind = kind_named("server-idle-timeout")
    for words in (
        "What server-idle-timeout means",
        kind.meaning,
        f"told {kind.when}",
        f"severity {kind.severity}",
        f"do {kind.advice}",
        "few-samples it was seen once",
    ):
        assert " ".join(words.split()) in reader.text, words
    assert "What not-in-this-version means" not in reader.text


def test_severities_that_occur_are_explained() -> None:
    lost, note = finding("it is lost"), finding("it is odd")
    lost.severity, note.severity = "problem", "notice"
    text = read(samples.inspection(findings=[note, lost])).text
    assert "!! problem requests are lost · notice may cost or surprise" in text
    assert "costs now" not in text
    reuse = finding("nothing lost")
    reuse.code, reuse.severity = "reuse", "info"
    assert "good to know" not in read(samples.inspection(findings=[reuse])).text


def test_findings_keep_their_order_and_reuse_is_a_sentence() -> None:
    first, second, reuse = finding("first"), finding("second"), finding("3 connections opened, 1 needed")
    reuse.code = "reuse"
    reader = read(samples.inspection(findings=[first, reuse, second]))
    assert reader.text.index("first") < reader.text.index("second") < reader.text.index("3 connections opened")
    assert [value for name, value in reader.attributes if name == "data-finding"] == ["0", "2"]


def test_the_head_has_the_captures_facts() -> None:
    capture = samples.capture(
        packets=90,
        skipped={"quic": 6},
        dropped=Dropped(12, None),
        problems=[Problem("client.pcapng", 17, 84, "cut off")],
    )
    text = read(samples.inspection(capture=capture, anomalies={"dns_cut": 2})).text
    for words in (
        "captures/nginx-idle/client.pcapng",
        "90 packets, 84 TCP, 12 lost by the system",
        "8.60 s",
        "6 connections",
        "2026-05-01 12:00:00.000 UTC to 2026-05-01 12:00:08.600 UTC",
        "Skipped: QUIC 6",
        "Problem: client.pcapng: cut off, at byte 17, after packet 84",
        "Anomalies: dns_cut ×2",
    ):
        assert words in text, words


def test_the_last_time_that_fits_into_63_bits() -> None:
    far = samples.capture(first_ns=-1, last_ns=2**63 - 1)
    text = read(samples.inspection(capture=far, connections=[])).text
    assert "1969-12-31 23:59:59.999 UTC to 2262-04-11 23:47:16.854 UTC" in text


def test_a_page_of_nothing() -> None:
    empty = samples.inspection(
        capture=samples.capture(files=[], packets=0, tcp_segments=0, first_ns=None, last_ns=None),
        connections=[],
        endpoints=[],
    )
    reader = read(empty)
    assert "0 captures 0 packets 0 connections" in reader.text
    assert reader.data["connections"] == {}


def test_a_response_without_a_request_is_drawn() -> None:
    lone: Exchange = samples.exchange(0, None, samples.response(6, 520_000), complete=False)
    data = read(samples.inspection(connections=[samples.connection(exchanges=[lone])])).data
    assert data["exchanges"]["asked"] == [None]
    assert data["exchanges"]["begin"] == [520_000]


def test_parsing_a_page_finds_what_is_not_closed() -> None:
    with pytest.raises(AssertionError, match="not closed"):
        PageReader("<p><b>x</b>")
