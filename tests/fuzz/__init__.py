"""Mutated captures and mutated byte streams through the whole path: `python -m tests.fuzz --minutes 10`."""
