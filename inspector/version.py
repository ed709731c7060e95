"""The version, said once: the package metadata, `connspect --version` and every report read it here."""

__version__ = "0.1.0"
