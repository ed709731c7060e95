"""Tests with real servers and real packets: `pytest -m live`, as root."""
