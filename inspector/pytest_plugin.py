"""A pytest fixture that watches ports while a test runs: what did the client really do with its connections?

    def test_one_connection(connspect, server):
        with connspect.watch(8000) as watch:
            fetch_twenty_times()
        assert watch["127.0.0.1:8000"].opened == 1
        assert not watch.findings("keepalive-race")

pytest finds it by the package's entry point. Capturing needs rights (root, or CAP_NET_RAW): without them the test is an
error that says what to do, or is skipped with `--connspect-without-rights=skip` (also an ini option). The packets are
read in a thread of their own; the watch ends when those have come that were sent until then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from inspector.inspection import Inspection
    from inspector.records.connection import Connection
    from inspector.records.endpoint import EndpointRecord
    from inspector.records.finding import Finding
    from inspector.sources.live import LiveSource

_OPTION = "connspect_without_rights"


class Watch:
    """What went over some ports, once the `with` block is left; before, everything raises RuntimeError."""

    def __init__(self) -> None:
        self._inspection: Inspection | None = None

    @property
    def inspection(self) -> Inspection:
        """Everything that was learned."""
        if self._inspection is None:
            raise RuntimeError("connspect still watches: look at it behind the `with` block")
        return self._inspection

    @property
    def connections(self) -> list[Connection]:
        """All connections, by id."""
        return self.inspection.connections

    def findings(self, code: str | None = None) -> list[Finding]:
        """The findings, of one code or all."""
        return [finding for finding in self.inspection.findings if code in (None, finding.code)]

    def __getitem__(self, where: str) -> EndpointRecord:
        """The endpoint at "HOST:PORT", HOST being its address or a name of it; KeyError names those that were seen."""
        host, _, port = where.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]").lower()
        for endpoint in self.inspection.endpoints:
            if str(endpoint.port) == port and bare in (endpoint.ip, *map(str.lower, endpoint.names)):
                return endpoint
        raise KeyError(f"{where}: no connection to it was seen; there are {self._seen()}")

    def _seen(self) -> str:
        from inspector.endpoints import Endpoint

        return ", ".join(str(Endpoint(one.ip, one.port)) for one in self.inspection.endpoints) or "none"


class Connspect:
    """The fixture."""

    def __init__(self, without_rights: str) -> None:
        self._without_rights = without_rights

    @contextmanager
    def watch(self, *ports: int, interface: str = "lo", keylog: Sequence[str] = ()) -> Iterator[Watch]:
        """Watch TCP connections of these ports (all, when none is named) on an interface, until the block is left.

        `keylog`: TLS key logs, read as they grow. Raises CaptureError where capturing is not possible."""
        source = self._open(interface)
        watch = Watch()
        reader = _Reader(source, frozenset(ports), keylog)
        reader.start()
        try:
            yield watch
        finally:
            source.stop()
            reader.join()
            source.close()
        if reader.failure is not None:
            raise reader.failure
        watch._inspection = reader.inspection

    def _open(self, interface: str) -> LiveSource:
        from inspector.cli import rights
        from inspector.sources.live import NotPermittedError, open_live

        try:
            return open_live((interface,))
        except NotPermittedError as error:
            if self._without_rights == "skip":
                pytest.skip(f"connspect: {error}")
            raise NotPermittedError(
                f"{error}: {rights.remedy()}; --connspect-without-rights=skip skips such tests"
            ) from None


class _Reader(threading.Thread):
    """Reads what comes until the source is stopped."""

    def __init__(self, source: LiveSource, ports: frozenset[int], keylog: Sequence[str]) -> None:
        super().__init__(name="connspect", daemon=True)
        self._source = source
        self._ports = ports
        self._keylog = keylog
        self.inspection: Inspection | None = None
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self.inspection = self._read()
        except BaseException as error:  # raised again where the test sees it
            self.failure = error

    def _read(self) -> Inspection:
        from inspector.engine import Inspector, Options
        from inspector.protocols.tls.keylog import KeyLog
        from inspector.sources.account import complete
        from inspector.sources.keys import FollowedKeys

        keys = FollowedKeys(list(self._keylog), KeyLog(growing=True), _no_words)
        inspector = Inspector(Options(keys=keys.log, select=self._is_watched if self._ports else None))
        try:
            for batch in self._source:
                keys.take()
                inspector.feed(batch)
        finally:
            keys.close()
        inspection = inspector.finish(partial(complete, self._source))
        return inspection

    def _is_watched(self, connection: Connection) -> bool:
        # Not a filter of the socket's: that would take libpcap.
        return connection.server.port in self._ports


def _no_words(text: str) -> None:
    """A key log that is not there yet is waited for."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """What happens where this process may not capture."""
    text = "What becomes of tests with the connspect fixture where capturing is not permitted: fail (default) or skip."
    parser.getgroup("connspect").addoption(
        "--connspect-without-rights", dest=_OPTION, choices=("fail", "skip"), default=None, help=text
    )
    parser.addini(_OPTION, help=text, default="fail")


@pytest.fixture
def connspect(request: pytest.FixtureRequest) -> Connspect:
    """Watches ports: `with connspect.watch(8000) as watch: ...`, then `watch["127.0.0.1:8000"].opened`."""
    chosen: Any = request.config.getoption(_OPTION) or request.config.getini(_OPTION)
    return Connspect(str(chosen))
