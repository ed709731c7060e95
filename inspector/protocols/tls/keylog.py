"""TLS secrets by connection, from key logs as NSS, OpenSSL, BoringSSL and others write them (SSLKEYLOGFILE).

A line is a label, the connection's client random and the secret, both in hexadecimal
(draft-ietf-tls-keylogfile). A log may still be written, so that its last line is half there, or by several programs
at once, so that lines are torn: what cannot be read is counted and passed over, and of two lines that say different
things the later one holds. Where more keys can be had at a cost (they lie behind the packets of a capture), they are
asked for when the first secret is missing.

The label RSA is not used: it names a premaster secret by its encrypted form, which no program has written since NSS
learnt CLIENT_RANDOM, which serves RSA key exchange as well.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable, Iterable
from itertools import islice

CLIENT_RANDOM = "CLIENT_RANDOM"
CLIENT_EARLY = "CLIENT_EARLY_TRAFFIC_SECRET"
CLIENT_HANDSHAKE = "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
SERVER_HANDSHAKE = "SERVER_HANDSHAKE_TRAFFIC_SECRET"
CLIENT_TRAFFIC = "CLIENT_TRAFFIC_SECRET_0"
SERVER_TRAFFIC = "SERVER_TRAFFIC_SECRET_0"

#: The labels whose secrets open records.
LABELS = (CLIENT_RANDOM, CLIENT_EARLY, CLIENT_HANDSHAKE, SERVER_HANDSHAKE, CLIENT_TRAFFIC, SERVER_TRAFFIC)

_TLS_1_3 = (CLIENT_HANDSHAKE, SERVER_HANDSHAKE, CLIENT_TRAFFIC, SERVER_TRAFFIC)

#: Labels that are fine but open no record: later generations of traffic secrets follow from the first, and QUIC had
#: names of its own for a while.
_OTHER_LABELS = {b"EXPORTER_SECRET", b"EARLY_EXPORTER_SECRET", b"RSA", b"ECH_SECRET", b"ECH_CONFIG"}
_OTHER_PREFIXES = (b"CLIENT_TRAFFIC_SECRET_", b"SERVER_TRAFFIC_SECRET_", b"QUIC_")

#: Secrets kept under one label, about 250 bytes each; when there are more, the oldest go, such a part of them at once.
MAX_SECRETS = 1 << 20
_PART = 16

#: Longest line, ECH_CONFIG among them; of a longer one nothing is kept.
MAX_LINE = 4096

_RANDOM_DIGITS = 64
_LABELS = {label.encode(): label for label in LABELS}
#: Bytes of a secret: a master secret has 48; a traffic secret has the length of its hash, or that of the largest one,
#: filled up with zeros by some programs that read it out of another's memory.
_SIZES = {label: (48, 64) if label == CLIENT_RANDOM else (32, 48, 64) for label in LABELS}


class KeyLog:
    """The secrets of any number of key logs."""

    def __init__(
        self, search: Callable[[], Iterable[bytes]] | None = None, *, growing: bool = False, most: int | None = None
    ) -> None:
        """`search` brings further key logs; it is called once, when the first secret is missing. `growing`: keys may
        come after their packets. `most`: secrets kept under one label (MAX_SECRETS)."""
        self.growing = growing
        self.read = 0
        """Lines that gave a secret."""
        self.broken = 0
        """Lines that are no key log's."""
        self._most = MAX_SECRETS if most is None else most
        self._secrets: dict[str, dict[bytes, bytes]] = {label: {} for label in LABELS}
        self._rest = b""
        self._overlong = False
        self._search = search

    def add(self, text: bytes) -> None:
        """Take more of a key log. Its last line counts as it is, but may go on with the next call, until `end`."""
        lines = (self._rest + text).split(b"\n")
        last = lines.pop()
        if lines and self._overlong:
            del lines[0]
            self._overlong = False
        for line in lines:
            self._take(line)
        self._rest = b"" if self._overlong else last
        if len(self._rest) > MAX_LINE:
            self._rest, self._overlong = b"", True
            self.broken += 1
        self._keep(self._rest.split())

    def end(self) -> None:
        """The log that was added last is over: its last line has no rest."""
        rest, self._rest, self._overlong = self._rest, b"", False
        self._take(rest)

    def add_whole(self, text: bytes) -> None:
        """Take a key log of which nothing is missing."""
        self.end()
        self.add(text)
        self.end()

    def secret(self, label: str, client_random: bytes) -> bytes | None:
        """The secret of the connection with this client random (32 bytes) under one of LABELS."""
        found = self._secrets[label].get(client_random)
        if found is None and self._search is not None:
            search, self._search = self._search, None
            for text in search():
                self.add_whole(text)
            found = self._secrets[label].get(client_random)
        return found

    def labels(self, client_random: bytes) -> list[str]:
        """Which of LABELS there are for this connection."""
        return [label for label, secrets in self._secrets.items() if client_random in secrets]

    def complete(self, client_random: bytes) -> bool:
        """Whether nothing of this connection has to stay closed, whatever its version, early data apart."""
        known = self.labels(client_random)
        return CLIENT_RANDOM in known or all(label in known for label in _TLS_1_3)

    def _take(self, line: bytes) -> None:
        words = line.split()
        if not words or words[0].startswith(b"#"):
            return
        if self._keep(words):
            self.read += 1
            return
        label = words[0]
        if label in _OTHER_LABELS or (label.startswith(_OTHER_PREFIXES) and label not in _LABELS):
            return
        self.broken += 1
        # Torn by another program's line, which may be whole.
        start = max(line.rfind(known) for known in (b"CLIENT_", b"SERVER_"))
        if start > 0 and self._keep(line[start:].split()):
            self.read += 1

    def _keep(self, words: list[bytes]) -> bool:
        """Keep the secret of a whole line; False: it is none."""
        if len(words) != 3 or words[0] not in _LABELS or len(words[1]) != _RANDOM_DIGITS:
            return False
        label = _LABELS[words[0]]
        try:
            client_random = unhexlify(words[1])
            secret = unhexlify(words[2])
        except ValueError:
            return False
        if len(secret) not in _SIZES[label] or not any(secret):
            return False
        secrets = self._secrets[label]
        if len(secrets) >= self._most and client_random not in secrets:
            for oldest in list(islice(secrets, 1 + self._most // _PART)):
                del secrets[oldest]
        secrets[client_random] = secret
        return True
