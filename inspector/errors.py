"""Errors that a person can mend.

Three kinds of trouble are kept apart in connspect. The wire is odd: that is an `Anomaly`, never an exception.
The user must act: one of the exceptions below, whose text is one clear line that says what to do. We have a bug:
an assertion.
"""


class ConnspectError(Exception):
    """Something that the person who called us can mend; `str()` is one line for the terminal."""

    exit_status = 2


class UsageError(ConnspectError):
    """The call itself is wrong: an option, an argument, a combination, a thing not built yet."""


class CaptureError(ConnspectError):
    """No packet can be had from this input: not there, not readable, not a capture."""

    exit_status = 3
