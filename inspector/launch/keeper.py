"""The process that the shell waits for: it starts the command and the sniffer, passes signals on, and cleans up.

It reads no packet and keeps its rights until it has removed what it made: the cgroup, the key log. The sniffer is
forked first, opens its sockets, drops its rights and says that it is ready; then the command starts. All signals are
blocked and waited for, so that none comes at the wrong moment.

The command is in our process group, as with `time`: what the terminal sends (Ctrl-C, Ctrl-\\, Ctrl-Z) the command gets
by itself, and what somebody sends to us with kill(2) is passed on. The sniffer has a session of its own and hears of
neither.

What was ignored when we were started (nohup, a background job of a shell without job control) the command finds
ignored, as with `nohup` and `env`: whoever started us meant it. Passed on it is nonetheless, for a command may handle
it all the same. Us it does not end.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from inspector.launch import channel
from inspector.launch.cgroup import Cgroup
from inspector.launch.channel import Channel, PipedClaims
from inspector.launch.claims import Claim, Claims, Pair
from inspector.launch.command import Caller, CannotStart, caller, environment, exit_status, start
from inspector.launch.observer import KernelClaims

Sniff = Callable[[Channel], int]
"""What the sniffer does, in a process of its own; its result is that process's exit status."""

_BY_SIGNAL = 128
#: Signals that end something; before the command runs they end us, unless they were ignored when we were started.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_PASSED_ON = frozenset(
    {*_ENDING, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCONT, signal.SIGTSTP, signal.SIGALRM}
)
_WAITED_FOR = _PASSED_ON | {signal.SIGCHLD}
#: si_code of a signal that the kernel sends, for the terminal: not by kill(2), whose are 0 and below.
_BY_KERNEL = 0x80

#: Seconds between two looks at who is left, once the command has ended.
_LOOK_S = 0.05
#: Seconds after which a socket that is still there is told of again.
_AGAIN_S = 1.0
#: Seconds that the sniffer has to end when it is told to report nothing.
_PATIENCE_S = 2.0


class Attribution(Protocol):
    """How the command's connections are found."""

    @property
    def exact(self) -> bool:
        """Whether none is missed."""

    @property
    def interval_s(self) -> float | None:
        """Seconds between two calls of `look`; None: it need not be called."""

    def claims(self) -> Claims: ...

    def enter(self) -> None:
        """In the command's process, before it is executed."""

    def began(self, process: int) -> None:
        """The command runs."""

    def look(self) -> None:
        """Look for sockets."""

    def processes(self) -> list[int]:
        """Processes that belong to the run."""

    def release(self) -> None:
        """In the sniffer: let go of what is the keeper's."""

    def close(self) -> None:
        """Remove what was made. OSError where that fails."""


class ByCgroup:
    """The kernel tells of all sockets made in a cgroup. OSError where it cannot."""

    exact = True
    interval_s = None

    def __init__(self) -> None:
        self._cgroup = Cgroup()
        try:
            self._claims = KernelClaims(self._cgroup.descriptor)
        except BaseException:
            self._cgroup.remove()
            raise

    def claims(self) -> Claims:
        return self._claims

    def enter(self) -> None:
        self._cgroup.enter()

    def began(self, process: int) -> None:
        """It entered by itself."""

    def look(self) -> None:
        """The kernel does."""

    def processes(self) -> list[int]:
        return self._cgroup.processes()

    def release(self) -> None:
        self._claims.release()
        self._cgroup.release()

    def close(self) -> None:
        self._claims.close()
        self._cgroup.remove()


class BySockets:
    """The sockets of the process tree are looked for."""

    exact = False

    def __init__(self) -> None:
        from inspector.launch.sockets import INTERVAL_S, ProcessSockets

        self.interval_s: float | None = INTERVAL_S
        self._sockets: ProcessSockets | None = None
        self._make = ProcessSockets
        self._claims = PipedClaims()
        self._told: dict[Pair, int] = {}

    def claims(self) -> Claims:
        return self._claims

    def enter(self) -> None:
        """There is nothing to enter."""

    def began(self, process: int) -> None:
        self._sockets = self._make(process)

    def look(self) -> None:
        if self._sockets is None:
            return
        seen = {claim.pair: claim for claim in self._sockets.look()}
        new = [claim for pair, claim in seen.items() if self._is_news(pair, claim)]
        told = {claim.pair: claim.time_ns for claim in new[: self._claims.send(new)]}
        self._told = {pair: told.get(pair) or self._told[pair] for pair in seen if pair in told or pair in self._told}

    def processes(self) -> list[int]:
        return self._sockets.processes() if self._sockets is not None else []

    def release(self) -> None:
        self._claims.release()

    def close(self) -> None:
        self._claims.close()

    def _is_news(self, pair: Pair, claim: Claim) -> bool:
        return claim.time_ns - self._told.get(pair, 0) > _AGAIN_S * 1e9


def attribution() -> Attribution:
    """The best there is here."""
    try:
        return ByCgroup()
    except OSError:
        return BySockets()


def keep(
    command: Sequence[str],
    sniff: Sniff,
    warn: Callable[[str], None],
    find: Callable[[], Attribution] = attribution,
    reports_to_stdout: bool = False,
) -> int:
    """Run a command while `sniff` runs in a process of its own; the command's exit status.

    Unless the sniffer reports to standard output, it does not have it: who reads it sees the end of the command's.
    When the sniffer ends before it is ready its exit status is the result, and the command does not start. Raises
    CannotStart, when everything is cleaned up.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WAITED_FOR)
    # Where SIGCHLD is ignored the kernel keeps no status of children (wait(2)); and who goes away, the sniffer or the
    # reader of standard error, must not end us before we have cleaned up.
    on_child = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    on_pipe = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signals = _Signals(mask, on_child, on_pipe)
    try:
        with ExitStack() as stack:
            return _Keeper(stack, command, sniff, warn, find(), signals, reports_to_stdout).run()
    finally:
        signal.signal(signal.SIGPIPE, on_pipe)
        signal.signal(signal.SIGCHLD, on_child)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@dataclass(slots=True, frozen=True)
class _Signals:
    """What signals did before: the command and the sniffer are to have it so, too."""

    mask: set[signal.Signals | int]
    """Those that are blocked."""
    on_child: signal._HANDLER
    """What SIGCHLD did."""
    on_pipe: signal._HANDLER
    """What SIGPIPE did."""

    def restore_on_child(self) -> None:
        """In the command's process."""
        signal.signal(signal.SIGCHLD, self.on_child)


class _Keeper:
    """One run."""

    def __init__(
        self,
        stack: ExitStack,
        command: Sequence[str],
        sniff: Sniff,
        warn: Callable[[str], None],
        attribution: Attribution,
        signals: _Signals,
        reports_to_stdout: bool,
    ) -> None:
        self._command = command
        self._sniff = sniff
        self._warn = warn
        self._signals = signals
        self._ending = {number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN}
        self._user = caller()
        self._attribution = attribution
        self._reports_to_stdout = reports_to_stdout
        stack.callback(self._clean_up)
        self._keys, self._keys_folder = _key_log(stack, self._user)
        self._process: int | None = None
        """The command's; None before and after."""
        self._status = 0
        self._sniffer: int | None = None
        self._sniffer_status = 0
        self._orders = -1
        self._stopped = False
        """The sniffer was told to report at once."""

    def run(self) -> int:
        ready = self._start_sniffer()
        status = self._await(ready)
        os.close(ready)
        if status is not None:
            return status
        variables = environment(os.environ, self._keys, self._user)
        before = [self._attribution.enter, self._signals.restore_on_child]
        before += [self._user.become] if self._user else []
        try:
            self._process = start(self._command, variables, before, self._signals.mask)
        except CannotStart:
            self._tell(channel.ABANDON)
            self._end_sniffer()
            raise
        self._attribution.began(self._process)
        _let_go_of((0, 1))
        while self._process is not None:
            self._handle(self._next(self._attribution.interval_s))
            self._attribution.look()
        self._tell(channel.ENDED)
        self._wait_for_the_report()
        return self._status

    # ---- the sniffer

    def _start_sniffer(self) -> int:
        """Fork it; the pipe on which it will say that it is ready."""
        hears, self._orders = os.pipe()
        ready, says = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if process == 0:
            os.close(self._orders)
            os.close(ready)
            self._be_the_sniffer(hears, says)
        os.close(hears)
        os.close(says)
        self._sniffer = process
        return ready

    def _be_the_sniffer(self, orders: int, ready: int) -> NoReturn:
        status, told = 1, None
        try:
            os.setsid()
            _let_go_of((0,) if self._reports_to_stdout else (0, 1))
            for ignored in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
                signal.signal(ignored, signal.SIG_IGN)
            signal.signal(signal.SIGPIPE, self._signals.on_pipe)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._signals.mask - _WAITED_FOR)
            self._attribution.release()
            attribution = self._attribution
            told = Channel(orders, ready, attribution.claims(), attribution.exact, self._keys)
            status = self._sniff(told)
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            # The cgroup of a keeper that was killed waits for the next run; keys must not lie about for so long.
            if told is not None and told.orphaned and self._keys_folder is not None:
                shutil.rmtree(self._keys_folder, ignore_errors=True)
            os._exit(status)

    def _await(self, ready: int) -> int | None:
        """Until the sniffer is ready: None. The status to end with, when it ended or somebody wants us to end."""
        while not select.select([ready], [], [], _LOOK_S)[0]:
            sent = signal.sigtimedwait(_ENDING, 0)
            if sent is not None and sent.si_signo in self._ending:
                return _BY_SIGNAL + sent.si_signo
        if os.read(ready, 1):
            return None
        assert self._sniffer is not None
        _, waited = os.waitpid(self._sniffer, 0)
        self._sniffer = None
        return exit_status(waited) or 1

    def _tell(self, order: bytes) -> None:
        with suppress(BrokenPipeError):
            os.write(self._orders, order)

    def _wait_for_the_report(self) -> None:
        alone = False
        while self._sniffer is not None:
            if not alone and not self._others():
                alone = True
                self._tell(channel.ALONE)
            self._handle(self._next(_LOOK_S))
            self._attribution.look()
        # Who did not want to read the report to its end needs no word.
        if self._sniffer_status >= _BY_SIGNAL and self._sniffer_status != _BY_SIGNAL + signal.SIGPIPE:
            self._say(f"the reader of packets was ended by signal {self._sniffer_status - _BY_SIGNAL}: no report")

    def _others(self) -> list[int]:
        return [process for process in self._attribution.processes() if process != os.getpid()]

    def _end_sniffer(self) -> None:
        until = time.monotonic() + _PATIENCE_S
        while self._sniffer is not None and time.monotonic() < until:
            self._reap()
            time.sleep(0.01)
        self._kill_sniffer()

    def _kill_sniffer(self) -> None:
        if self._sniffer is not None:
            os.kill(self._sniffer, signal.SIGKILL)
            os.waitpid(self._sniffer, 0)
            self._sniffer = None

    # ---- signals

    def _next(self, seconds: float | None) -> signal.struct_siginfo | None:
        if seconds is None:
            return signal.sigwaitinfo(_WAITED_FOR)
        return signal.sigtimedwait(_WAITED_FOR, seconds)

    def _handle(self, sent: signal.struct_siginfo | None) -> None:
        if sent is None:
            return
        # First of all, so that nothing is passed on to a command that has ended.
        self._reap()
        if sent.si_signo == signal.SIGCHLD:
            return
        if self._process is None:
            if sent.si_signo in self._ending:
                self._hurry()
        else:
            if _is_for_us_alone(sent) and sent.si_pid not in self._senders_inside():
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(self._process, sent.si_signo)
            if sent.si_signo == signal.SIGTSTP:
                _stop_as_asked()

    def _senders_inside(self) -> set[int]:
        """The run's own processes: what they send to our group has reached the command already."""
        return {*self._attribution.processes(), self._process or 0} - {0}

    def _hurry(self) -> None:
        """Somebody does not want to wait: for what is left of the command, then for the report."""
        if not self._stopped:
            self._stopped = True
            self._tell(channel.STOP)
        elif self._sniffer is not None:
            self._kill_sniffer()
            self._say("interrupted: no report")

    def _reap(self) -> None:
        if self._process is not None:
            process, waited = os.waitpid(self._process, os.WNOHANG)
            if process:
                self._process, self._status = None, exit_status(waited)
        if self._sniffer is not None:
            process, waited = os.waitpid(self._sniffer, os.WNOHANG)
            if process:
                self._sniffer, self._sniffer_status = None, exit_status(waited)

    # ---- the end

    def _clean_up(self) -> None:
        self._kill_sniffer()
        with suppress(OSError):
            os.close(self._orders)
        try:
            self._attribution.close()
        except OSError as error:
            self._say(str(error.filename2 or error))

    def _say(self, text: str) -> None:
        """Nobody may be there to read it."""
        try:
            self._warn(text)
        except OSError:
            # What is still buffered must go somewhere, too.
            _let_go_of((2,))


def _key_log(stack: ExitStack, user: Caller | None) -> tuple[str, Path | None]:
    """Where keys are to be logged: where the caller wants them, else in a folder, also returned, that is removed."""
    if wanted := os.environ.get("SSLKEYLOGFILE"):
        return wanted, None
    folder = Path(tempfile.mkdtemp(prefix="connspect-"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "keys.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if user is not None:
            os.fchown(descriptor, user.uid, user.gid)
            os.chown(folder, user.uid, user.gid)
    finally:
        os.close(descriptor)
    return str(path), folder


def _let_go_of(streams: Sequence[int]) -> None:
    """The command has them: who reads its output must see its end, who writes its input must see it go."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in streams:
        os.dup2(nothing, stream)
    os.close(nothing)


def _is_for_us_alone(sent: signal.struct_siginfo) -> bool:
    """Whether the command has not got it from the terminal as well; a hangup only the session's leader gets."""
    if sent.si_code == _BY_KERNEL:
        return sent.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid()
    return True


def _stop_as_asked() -> None:
    """Stop as we would have without waiting for the signal: not where nobody could continue us."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTSTP})
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})
