"""Which keys open a connection's records: secrets asked of the key log, and used in their order.

In TLS 1.3 a direction goes through stages, each with a secret of its own (RFC 8446 section 7); up to TLS 1.2 it is in
the clear until ChangeCipherSpec, then under keys that both directions' share. An observer may miss the step from one
stage to the next, so a record that the keys at hand do not open is tried with those of the later stages. A secret that
is missing is asked for again with every record: key logs may be written after the packets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inspector.bytestream import FROM_CLIENT, FROM_SERVER
from inspector.protocols.tls.handshake import ClientHello, ServerHello
from inspector.protocols.tls.keylog import (
    CLIENT_EARLY,
    CLIENT_HANDSHAKE,
    CLIENT_RANDOM,
    CLIENT_TRAFFIC,
    SERVER_HANDSHAKE,
    SERVER_TRAFFIC,
    KeyLog,
)
from inspector.protocols.tls.names import is_tls_1_3
from inspector.protocols.tls.suites import suite_of

if TYPE_CHECKING:  # importing it costs the import of cryptography
    from inspector.protocols.tls.protection import Opened, Opener

#: Stages of a direction, in their order; up to TLS 1.2 all that is protected is TRAFFIC.
EARLY, HANDSHAKE, TRAFFIC = range(3)

#: Records behind a hole that are tried with the keys behind a KeyUpdate, which the hole may hide.
_UPDATE_TRIES = 16

_LABELS = (
    {EARLY: CLIENT_EARLY, HANDSHAKE: CLIENT_HANDSHAKE, TRAFFIC: CLIENT_TRAFFIC},
    {HANDSHAKE: SERVER_HANDSHAKE, TRAFFIC: SERVER_TRAFFIC},
)


class DirectionKeys:
    """What opens one direction's records."""

    def __init__(self) -> None:
        self.stage = EARLY
        """The stage of the last record that was opened, or the one that is known to have begun."""
        self.skipped = 0
        """Records under the same keys that went by unopened before the last one that was opened."""
        self.openers: dict[int, list[Opener]] = {}
        """By stage; several while it is not known which cipher suite early data has."""
        self._unopened = 0
        """Bytes of records that went by since the last one that was opened."""
        self._update_tries = 0
        """Records for which keys behind a missing KeyUpdate are still tried."""

    @property
    def ready(self) -> bool:
        """Whether there is something to try."""
        return bool(self.openers)

    def add(self, stage: int, openers: list[Opener]) -> None:
        """Keys for a stage, which may have begun."""
        for opener in openers:
            if self._unopened:
                opener.lost(self._unopened)
        self.openers[stage] = openers

    def enter(self, stage: int) -> None:
        """What follows is of this stage."""
        self.stage = stage
        self._unopened = 0
        for passed in [known for known in self.openers if known < stage]:
            del self.openers[passed]

    def update(self) -> None:
        """A KeyUpdate (RFC 8446 section 4.6.3)."""
        current = self.openers.get(TRAFFIC)
        following = current[0].next_keys() if current else None
        if following is not None:
            self.openers[TRAFFIC] = [following]

    def passed(self, length: int) -> None:
        """A record of so many bytes went by unopened."""
        self._unopened += length

    def hole(self, length: int) -> None:
        """So many bytes of records are missing."""
        self._unopened += length
        self._update_tries = _UPDATE_TRIES
        for openers in self.openers.values():
            for opener in openers:
                opener.lost(length)

    def open(self, content_type: int, version: int, fragment: memoryview | bytes) -> Opened | None:
        """The content of the next record; None: no key opens it."""
        current = self.openers.get(self.stage)
        if current is not None and len(current) == 1:
            opener = current[0]
            expected = opener.number
            opened = opener.open(content_type, version, fragment)
            if opened is not None:
                self.skipped = opener.number - expected - 1
                if self._unopened:
                    self._unopened = self._update_tries = 0
                return opened
        return self._open_later(content_type, version, fragment)

    def _open_later(self, content_type: int, version: int, fragment: memoryview | bytes) -> Opened | None:
        """The same with the keys of later stages, of several suites, or behind a KeyUpdate that is missing."""
        for stage in sorted(self.openers):
            openers = self.openers[stage]
            if stage < self.stage or (stage == self.stage and len(openers) == 1):
                continue
            for opener in openers:
                opened = opener.open(content_type, version, fragment)
                if opened is not None:
                    self.openers[stage] = [opener]
                    self.skipped = opener.number - 1
                    self.enter(stage)
                    return opened
        if self._update_tries and self.stage == TRAFFIC and TRAFFIC in self.openers:
            return self._open_updated(content_type, version, fragment)
        return None

    def _open_updated(self, content_type: int, version: int, fragment: memoryview | bytes) -> Opened | None:
        self._update_tries -= 1
        following = self.openers[TRAFFIC][0].next_keys()
        opened = following.open(content_type, version, fragment) if following is not None else None
        if opened is not None and following is not None:
            self.skipped = following.number - 1
            self.openers[TRAFFIC] = [following]
            self._unopened = self._update_tries = 0
        return opened


class Keyring:
    """Both directions' keys, as far as the key log has them."""

    def __init__(self, log: KeyLog | None) -> None:
        self._log = log
        self.directions = (DirectionKeys(), DirectionKeys())
        self.tls_1_3: bool | None = None
        """None: no ServerHello yet."""
        self.unsupported: str | None = None
        """Why the records cannot be opened with any key."""
        self._client: ClientHello | None = None
        self._server: ServerHello | None = None
        self._pair: tuple[Opener, Opener] | None = None

    @property
    def has_log(self) -> bool:
        """Whether there is a key log at all, and something in it."""
        return self._log is not None and self._log.read > 0

    def client_hello(self, hello: ClientHello) -> None:
        """The client's hello; its random is what the key log is asked by."""
        self._client, self._pair = hello, None
        if hello.early_data and self.tls_1_3 is None:
            self.ask(FROM_CLIENT)

    def server_hello(self, hello: ServerHello) -> None:
        """The server's choice: now keys can be made of secrets."""
        self._server, self._pair = hello, None
        self.tls_1_3 = is_tls_1_3(hello.version)
        if hello.retry:
            return
        suite = suite_of(hello.cipher_suite)
        self.unsupported = None
        if suite is None or suite.tls_1_3 != self.tls_1_3:
            self.unsupported = "this cipher suite cannot be decrypted"
        elif hello.compression and not self.tls_1_3:
            self.unsupported = "the records are compressed"
        if self.tls_1_3:
            self.directions[FROM_SERVER].enter(HANDSHAKE)
            if self._client is None or not self._client.early_data:
                self.directions[FROM_CLIENT].enter(HANDSHAKE)
            for direction in (FROM_CLIENT, FROM_SERVER):
                self.ask(direction)

    def change_cipher_spec(self, direction: int) -> None:
        """Up to TLS 1.2: what this direction sends from here on is protected."""
        self.directions[direction].openers.clear()
        self.directions[direction].stage = TRAFFIC
        self.ask(direction)

    def labels(self, direction: int) -> dict[int, str]:
        """The key log's labels that this direction needs, by stage."""
        if self.tls_1_3 is False:
            return {TRAFFIC: CLIENT_RANDOM}
        labels = _LABELS[direction]
        if direction == FROM_SERVER or (self._client is not None and self._client.early_data):
            return labels
        return {stage: label for stage, label in labels.items() if stage != EARLY}

    def missing(self, direction: int) -> list[str]:
        """Labels of the lines that the key log does not have."""
        if self._client is None or self._log is None:
            return []
        labels = self.labels(direction).values()
        return [label for label in labels if self._log.secret(label, self._client.random) is None]

    def ask(self, direction: int) -> None:
        """Make what keys can be made and are not made yet."""
        log, client = self._log, self._client
        if log is None or client is None or self.unsupported is not None:
            return
        keys = self.directions[direction]
        if self.tls_1_3 is False:
            if keys.stage == TRAFFIC and TRAFFIC not in keys.openers:
                self._ask_1_2(log, client, direction)
            return
        for stage, label in self.labels(direction).items():
            if stage < keys.stage or stage in keys.openers:
                continue
            if self.tls_1_3 is None and stage != EARLY:
                continue
            secret = log.secret(label, client.random)
            openers = self._openers_1_3(stage, secret, client) if secret is not None else []
            if openers:
                keys.add(stage, openers)

    def _openers_1_3(self, stage: int, secret: bytes, client: ClientHello) -> list[Opener]:
        """Early data has the suite of the session that is resumed: any that was offered, until the server's hello."""
        from inspector.protocols.tls.protection import opener_13

        suites = client.cipher_suites if stage == EARLY else [self._server.cipher_suite] if self._server else []
        openers = [opener_13(suite, secret) for suite in dict.fromkeys(suites)]
        return [opener for opener in openers if opener is not None]

    def _ask_1_2(self, log: KeyLog, client: ClientHello, direction: int) -> None:
        server = self._server
        if server is None:
            return
        if self._pair is None:
            secret = log.secret(CLIENT_RANDOM, client.random)
            if secret is None:
                return
            from inspector.protocols.tls.protection import openers_12

            self._pair = openers_12(
                server.cipher_suite,
                server.version,
                secret,
                client.random,
                server.random,
                encrypt_then_mac=server.encrypt_then_mac,
            )
        if self._pair is None:
            self.unsupported = "this cipher suite cannot be decrypted"
            return
        self.directions[direction].add(TRAFFIC, [self._pair[direction]])
