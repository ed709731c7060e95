"""connspect: what servers, proxies, CDNs and clients actually do with HTTP connections, read from packets."""

from inspector.version import __version__

__all__ = ["__version__"]
