"""`python -m tests.launch.runner SNIFFER COMMAND...`: the keeper with a sniffer that sniffs nothing.

SNIFFER is what it does: report (when the command has ended, as soon as nothing is left), wait (until it is told to
report), refuse (end with status 3 before it is ready), hesitate (never be ready), crash (while the command runs).

The tests themselves may run with signals ignored or blocked (nohup, a background job of a shell without job control):
`plain_signals` is for the process between fork and exec, so that the keeper is started as from a terminal.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

from inspector.errors import ConnspectError
from inspector.launch.channel import Channel
from inspector.launch.keeper import keep

#: What may be ignored where the tests run, and what the tests send.
SIGNALS = {
    *(signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP, signal.SIGCONT, signal.SIGCHLD),
    *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGWINCH, signal.SIGTTIN, signal.SIGTTOU),
}


def plain_signals(ignored: Iterable[signal.Signals] = ()) -> None:
    """Have nothing blocked, and nothing ignored but what is named."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def sniff(how: str, channel: Channel) -> int:
    if how == "refuse":
        tell("refused")
        return 3
    if how == "hesitate":
        tell("hesitates")
        time.sleep(60)
    channel.ready()
    if how == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    while not (channel.stop or channel.abandon or (how == "report" and channel.ended and channel.alone)):
        time.sleep(0.01)
        channel.listen()
    if not channel.abandon:
        tell(f"report: {'told to' if channel.stop else 'alone'}, keys {os.path.getsize(channel.keys)}")
    return 0


def main(how: str, command: list[str]) -> int:
    try:
        return keep(command, lambda channel: sniff(how, channel), tell)
    except ConnspectError as error:
        tell(str(error))
        return error.exit_status


if __name__ == "__main__":
    # As inspector/__main__.py has it.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os._exit(main(sys.argv[1], sys.argv[2:]))
