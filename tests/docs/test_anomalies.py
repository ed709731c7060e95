"""docs/anomalies.md lists the codes that the code can say, and no others.

Codes are found in the source: the literals handed to `Anomaly`, `note` and `note_once`, and what reaches these by way
of a variable, which is every other snake_case literal that is no attribute's name.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from inspector.packets import icmp

ROOT = Path(__file__).parent.parent.parent
SOURCES = [
    path
    for part in ("tcp", "protocols", "records/builder.py", "records/exchanges.py", "engine.py")
    for path in ([ROOT / "inspector" / part] if part.endswith(".py") else (ROOT / "inspector" / part).rglob("*.py"))
]
CODE = re.compile(r"[a-z]+(_[a-z]+)*")
SNAKE = re.compile(r"[a-z]+(_[a-z]+)+")


def literals(node: ast.AST) -> set[str]:
    return {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def documented() -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "anomalies.md").read_text(), re.MULTILINE)


def said() -> set[str]:
    trees = [ast.parse(path.read_text()) for path in SOURCES]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    named = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    named |= {node.arg for node in nodes if isinstance(node, ast.arg | ast.keyword) and node.arg}
    named |= set().union(*(literals(node) for node in nodes if isinstance(node, ast.Assign) and is_slots(node)))
    direct = {
        text
        for call in calls
        if isinstance(call.func, ast.Name | ast.Attribute)
        and (call.func.id if isinstance(call.func, ast.Name) else call.func.attr) in ("Anomaly", "note", "note_once")
        for argument in call.args
        if isinstance(argument, ast.Constant)
        for text in literals(argument)
        if CODE.fullmatch(text)
    }
    by_variable = {text for tree in trees for text in literals(tree) if SNAKE.fullmatch(text)} - named
    return direct | by_variable


def icmp_codes() -> set[str]:
    """`tcp.tracker` makes these of the words of `packets.icmp`."""
    words = {*icmp._WORDS_V4.values(), *icmp._WORDS_V6.values(), "too-big"}
    return {f"icmp_{word.replace('-', '_')}" for word in words}


def test_the_list_and_the_code_are_the_same() -> None:
    assert set(documented()) == said() | icmp_codes()


def test_the_list_is_in_order() -> None:
    assert documented() == sorted(set(documented()))


def is_slots(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "__slots__" for target in node.targets)
