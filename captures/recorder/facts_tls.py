"""Facts about TLS and HTTP/2 from a client's libraries: what observed_tls.py and observed_http2.py wrote down."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from . import frames
from .observed import Account, Tls
from .peerlogs import Told
from .tools import cipher_suite_name

#: A piece of the report, as JSON.
Json = frames.Json

VERSIONS = {
    "TLSv1.3": "TLS 1.3",
    "TLSv1.2": "TLS 1.2",
    "TLSv1.1": "TLS 1.1",
    "TLSv1": "TLS 1.0",
}


class Announcement(NamedTuple):
    """The first sign, as the client knew it, that the connection's end was meant."""

    time_ns: int
    by: str
    how: str


def is_http2(account: Account) -> bool:
    """Whether the client's program spoke HTTP/2 on this connection, by the library h2."""
    return account.frames is not None


def of_tls(tls: Tls, keys: bool) -> Json:
    """The report's `tls` as the client's library knew it; `keys` is whether its keys are in the recording."""
    written = [message for message in tls.messages if not message.by_peer]
    read = [message for message in tls.messages if message.by_peer]
    hellos = [message.time_ns for message in written if message.name == "CLIENT_HELLO"]
    finished = [message.time_ns for message in written if message.name == "FINISHED"]
    readable = keys or tls.version != "TLSv1.3"
    asked = any(message.name == "CERTIFICATE_REQUEST" for message in read)
    says: Json = {
        "version": VERSIONS[tls.version or ""],
        "sni": tls.sni,
        "alpn_offered": tls.alpn_offered,
        "alpn": tls.alpn if readable else None,
        "cipher": cipher_suite_name(tls.cipher or ""),
        "resumed": tls.reused,
        "retry": len(hellos) > 1,
        "client_certificate": asked if readable else None,
        "handshake_ns": {"about": finished[0] - hellos[0], "within": 20_000_000},
        "decrypted": keys,
    }
    if readable:
        shown = any(message.name == "CERTIFICATE" for message in read)
        says["certificate_names"] = tls.certificate_names if shown else []
        # What comes behind the last read, the library does not see.
        says["tickets"] = {"least": sum(message.name == "NEWSESSION_TICKET" for message in read)}
    if tls.version == "TLSv1.3":
        says["resumption"] = "psk" if tls.reused else None
    if keys:
        says["why_not"] = None
        says["client_closes"] = any(message.name == "alert close_notify" for message in written)
        if any(message.name == "alert close_notify" for message in read):
            says["server_closes"] = True
    return says


def of_http2(account: Account, start_ns: int) -> Json:
    """Protocol, `http2` and exchanges as the library h2 knew them; a connection from before `start_ns` in part."""
    assert account.frames is not None
    says: Json = {"protocol": "h2c" if account.tls is None else "h2"}
    during = [frame for frame in account.frames if frame.time_ns is None or frame.time_ns >= start_ns]
    whole = account.start_ns >= start_ns
    says["http2"] = frames.connection(during, frames.SIDES if whole and not account.unread else ())
    if whole:
        said = frames.exchanges(account.frames, account.sections)
        says["exchanges"] = said
        says["requests"] = len(said)
        says["responses"] = sum(one["response"] is not None for one in said)
    return says


def announced(account: Account) -> Announcement | None:
    """GOAWAY or close_notify, whichever came first."""
    found = [
        Announcement(frame.time_ns or 0, frame.by, "goaway") for frame in account.frames or () if frame.kind == "GOAWAY"
    ]
    if account.tls is not None:
        found += [
            Announcement(message.time_ns, "server" if message.by_peer else "client", "close-notify")
            for message in account.tls.messages
            if message.name == "alert close_notify"
        ]
    return min(found, default=None)


def last_data_ns(account: Account) -> int | None:
    """When the program last wrote or read something that belongs to an exchange."""
    if account.frames is not None:
        return frames.last_of_exchange_ns(account.frames)
    return account.last_data_ns if account.tls is None else account.tls.last_data_ns


def from_peer_log(told: Sequence[Told], whole: Sequence[str], tls: bool) -> list[tuple[str, Json]]:
    """What a program's log of frames says of each connection: the other end's address, and a part of the report."""
    found = []
    for one in told:
        said = frames.exchanges(one.frames, one.sections)
        says = {"protocol": "h2" if tls else "h2c", "requests": len(said), "exchanges": said}
        found.append((one.peer, says | {"http2": frames.connection(one.frames, whole, one.sections)}))
    return found


def from_curl(log: str) -> list[Json]:
    """What `curl -v` said of TLS, a connection an element.

    "SSL connection using TLSv1.3 / TLS_AES_256_GCM_SHA384", "ALPN: offers h2,http/1.1", "ALPN: server accepted h2", the
    names of handshake messages and alerts as they were written (OUT) and read (IN).
    """
    found = []
    for part in re.split(r"^\*   Trying ", log, flags=re.MULTILINE)[1:]:
        version, cipher = re.findall(r"\* SSL connection using (\S+) / (\S+)", part)[0]
        offered = re.findall(r"\* ALPN: offers (\S+)", part)
        accepted = re.findall(r"\* ALPN: server accepted (\S+)", part)
        hellos = part.count("(OUT), TLS handshake, Client hello")
        says: Json = {
            "version": VERSIONS[version],
            "cipher": cipher_suite_name(cipher),
            "alpn_offered": offered[0].split(",") if offered else [],
            "alpn": accepted[0] if accepted else None,
            "retry": hellos > 1,
            "client_certificate": "(IN), TLS handshake, Request CERT" in part,
            "decrypted": True,
            "why_not": None,
        }
        # It does not always log them: a close that nobody waits for goes untold.
        for direction, key in (("OUT", "client_closes"), ("IN", "server_closes")):
            if f"({direction}), TLS alert, close notify" in part:
                says[key] = True
        found.append(says)
    return found
