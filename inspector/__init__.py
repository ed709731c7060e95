"""connspect: what servers, proxies, CDNs and clients actually do with HTTP connections, read from packets.

    >>> import inspector
    >>> inspection = inspector.read("captures/nginx-idle/client.pcapng")
    >>> endpoint = inspection.endpoints[0]
    >>> endpoint.opened, endpoint.closed.server_fin, endpoint.idle_before_close.server.median_ns // 10**9
    (6, 6, 7)

In:   `read` captures at once; `open_captures` and `open_interfaces` for what ends and happens, as it does; `Packets`
      for packets of your own.
Out:  an `Inspection`: `capture`, `endpoints`, `connections`, `findings`, `events`. Its records are plain data with the
      fields of the JSON report: `connspect schema` has a sentence for each.
To:   `to_json`, `to_arrow`, `to_pandas`, `to_parquet`.

Times are integers, in nanoseconds since the Unix epoch; durations are nanoseconds; both are named `*_ns`. What is not
known is None. Bytes of a capture that make no sense never raise: they are anomalies of the connection, or problems of
the capture. What does raise is a ConnspectError: nothing to be read (CaptureError), a call that is wrong (UsageError).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inspector.errors import CaptureError, ConnspectError, UsageError
from inspector.version import __version__

if TYPE_CHECKING:
    from inspector.api import (
        Packets,
        Session,
        open_captures,
        open_interfaces,
        read,
        to_arrow,
        to_json,
        to_pandas,
        to_parquet,
    )
    from inspector.inspection import Inspection
    from inspector.records.connection import Connection
    from inspector.records.event import EventRecord

__all__ = [
    "CaptureError",
    "Connection",
    "ConnspectError",
    "EventRecord",
    "Inspection",
    "Packets",
    "Session",
    "UsageError",
    "__version__",
    "open_captures",
    "open_interfaces",
    "read",
    "to_arrow",
    "to_json",
    "to_pandas",
    "to_parquet",
]


def __getattr__(name: str) -> Any:
    """The API is loaded when it is asked for: the command line and its help do not need it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from inspector import api

    globals()[name] = value = getattr(api, name)
    return value


def __dir__() -> list[str]:
    return __all__
