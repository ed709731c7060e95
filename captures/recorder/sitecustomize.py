"""Imported by any Python that starts with this folder on its path: gives its sockets the accounts of observed.py."""

from captures.recorder.observed import install_from_environment

install_from_environment()
