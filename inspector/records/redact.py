"""What is not shown unless somebody asks for it: queries, user information, and whatever looks like a token.

Redaction happens when a record is made, so that no report can forget it.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: A bearer token in running text (RFC 6750 section 2.1), and the compact form of a JWT (RFC 7519) wherever it stands.
_TOKEN = re.compile(
    r"(?i:(\bbearer\s+|\bbasic\s+))[A-Za-z0-9\-._~+/]+=*|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*"
)
_QUERY = re.compile(r"\?[^\s\"']+")
_USER = re.compile(r"//[^/@\s]*@")


@lru_cache(maxsize=65_536)
def redacted(text: str) -> str:
    """`text` with queries as ?…, user information as …@ and tokens as …"""
    text = _QUERY.sub("?…", text)
    if "@" in text:
        text = _USER.sub("//…@", text)
    return _TOKEN.sub(lambda found: f"{found.group(1) or ''}…", text)
