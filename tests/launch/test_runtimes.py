"""What a command is called, and what is said when it logged no keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.launch.runtimes import advice, title


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("python fetch.py --all", "fetch.py"),
        ("python3.12 -u src/fetch.py", "fetch.py"),
        ("python -c text", "python"),
        ("python -m pytest tests", "python"),
        ("/usr/bin/python3", "python3"),
        ("node server.js", "server.js"),
        ("curl https://example.com/a", "curl"),
        ("./nightly.sh --all", "nightly.sh"),
        ("env A=1 B=2 python fetch.py", "fetch.py"),
        ("timeout -k 1 10s python fetch.py", "fetch.py"),
        ("timeout 10 python fetch.py", "fetch.py"),
        ("env", "env"),
    ],
)
def test_title(command: str, name: str) -> None:
    assert title(command.split()) == name


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python3.12 fetch.py", "context.keylog_filename"),
        ("nice -n 5 python fetch.py", "context.keylog_filename"),
        ("node fetch.js", "NODE_OPTIONS"),
        ("java -jar fetch.jar", "-javaagent"),
        ("go run .", "tls.Config.KeyLogWriter to"),
        ("curl https://example.com", "curl --version"),
        ("no-such-command", "programs on OpenSSL"),
    ],
)
def test_advice(command: str, words: str) -> None:
    assert words in advice(command.split())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"#!/usr/bin/env -S python3 -u\nimport httpx\n", "context.keylog_filename"),
        (b"#!/opt/venv/bin/python3.12\n", "context.keylog_filename"),
        (b"#!/bin/sh\npython fetch.py\n", "programs on OpenSSL"),
        (b"\x7fELF" + bytes(500) + b"\xff Go buildinf:\x08\x02", "tls.Config.KeyLogWriter to"),
        (b"\x7fELF" + bytes(500) + b"rustls-0.23.5/src/client", "KeyLogFile::new()"),
        (b"\x7fELF" + bytes(500), "programs on OpenSSL"),
        (b"", "programs on OpenSSL"),
    ],
)
def test_advice_by_content(tmp_path: Path, content: bytes, words: str) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    assert words in advice([str(program)])
