"""One word for what every record field needs: a sentence."""

from __future__ import annotations

from msgspec import Meta


def says(sentence: str) -> Meta:
    """The description of a field, for `Annotated`. Units are in the field's name (`*_ns`, `*_bytes`)."""
    return Meta(description=sentence)
