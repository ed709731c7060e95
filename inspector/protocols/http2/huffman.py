"""Huffman-coded strings of HPACK (RFC 7541 section 5.2 and appendix B), decoded a byte at a time.

The code is canonical: symbols in the order of (length, value) get successive codes, so the lengths alone say it all.
Walking the code tree eight bits at a time is a machine whose states are the tree's inner nodes, at most 256. A state's
row holds for each byte the characters that it completes and the row that follows; it is filled in as bytes come.
"""

from __future__ import annotations

from functools import cache

from hpack.huffman_constants import REQUEST_CODES_LENGTH

#: Length in bits of the code of each byte value, and of EOS (RFC 7541 appendix B).
_LENGTHS = bytes(REQUEST_CODES_LENGTH)
_EOS = 256
#: Padding is the beginning of EOS's code, which is all ones, and shorter than a byte.
_MOST_PADDING = 7

#: An inner node of the code tree: what a 0 and what a 1 lead to, another one or a symbol.
_Node = list["_Node | int"]


class _Row(dict[int, "tuple[str, _Row | None]"]):
    """A state: for each byte, the characters that it completes and the next state; None: it is no Huffman code."""

    __slots__ = ("node", "padding")

    def __init__(self, node: _Node, padding: bool) -> None:
        self.node = node
        self.padding = padding
        """Whether a string may end here: what was read since the last symbol is padding."""

    def __missing__(self, byte: int) -> tuple[str, _Row | None]:
        at, text = self.node, ""
        for bit in range(7, -1, -1):
            child = at[byte >> bit & 1]
            if isinstance(child, list):
                at = child
            elif child == _EOS:
                self[byte] = text, None
                return text, None
            else:
                text += chr(child)
                at = _tree()
        step = self[byte] = text, _rows()[id(at)]
        return step


def huffman_text(data: bytes) -> str | None:
    """The string as latin-1; None where the code is broken: EOS inside, or padding that is none."""
    row = _start()
    parts = []
    for byte in data:
        text, following = row[byte]
        if following is None:
            return None
        row = following
        parts.append(text)
    return "".join(parts) if row.padding else None


@cache
def _start() -> _Row:
    return _rows()[id(_tree())]


@cache
def _tree() -> _Node:
    """The root."""
    root: _Node = [-1, -1]
    code, length = 0, 0
    for symbol in sorted(range(len(_LENGTHS)), key=lambda symbol: (_LENGTHS[symbol], symbol)):
        code <<= _LENGTHS[symbol] - length
        length = _LENGTHS[symbol]
        at = root
        for bit in range(length - 1, 0, -1):
            child = at[code >> bit & 1]
            if not isinstance(child, list):
                child = at[code >> bit & 1] = [-1, -1]
            at = child
        at[code & 1] = symbol
        code += 1
    return root


@cache
def _rows() -> dict[int, _Row]:
    """The row of each inner node."""
    padding = {id(_tree())}
    at = _tree()
    for _ in range(_MOST_PADDING):
        child = at[1]
        assert isinstance(child, list)
        at = child
        padding.add(id(at))
    rows = {}
    waiting = [_tree()]
    while waiting:
        node = waiting.pop()
        rows[id(node)] = _Row(node, id(node) in padding)
        waiting += [child for child in node if isinstance(child, list)]
    return rows
