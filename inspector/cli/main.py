"""The commands: their help, their arguments, and what happens to an error. What they do is in modules of their own."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, TypeVar

import click

from inspector.cli import INTERRUPTED
from inspector.cli.help import Group, Option, usage_line
from inspector.cli.options import Format, Shared, shared_options
from inspector.errors import ConnspectError, UsageError
from inspector.report.text import printable
from inspector.version import __version__

_CAPTURE = click.Path(allow_dash=True)
#: Formats that commands write.
_TEXT: tuple[Format, ...] = ("table",)
_TEXT_OR_JSON: tuple[Format, ...] = ("table", "json")
_WITHOUT_TABLES: tuple[Format, ...] = ("table", "json", "ndjson", "html")
#: Shared options, as Shared names them, that mean nothing to some commands: to those that list no connections, ...
_LISTS = ("connections", "events")
#: ... to that which is about one connection, ...
_OF_MANY = (*_LISTS, "host", "port", "since", "until", "history")
#: ... to those that read what comes now, ...
_AT_ONCE = ("jobs",)
#: ... and to that which reads no packets.
_OF_PACKETS = (*_OF_MANY, "show_secrets", "keylog", "no_names", "jobs", "quiet", "verbose")
_Function = TypeVar("_Function", bound=Callable[..., Any])


@click.group(
    cls=Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="connspect")
@click.pass_context
def connspect(ctx: click.Context) -> None:
    """Says from packets who opened and who closed HTTP connections, after how long idle, and what was said about it.

    It reads captures (pcap, pcapng, plain or compressed; tcpdump, dumpcap and Wireshark write them), puts the TCP
    connections together and reports for each server: connections opened and closed, requests per connection, idle
    time before the close, Connection and Keep-Alive headers.

    \b
      connspect read capture.pcapng                  one line a server: start here
      connspect read --connections capture.pcapng    one line a connection as well
      connspect show capture.pcapng 3                the story of connection 3
      connspect read -T json capture.pcapng | jq .   everything, for programs
      connspect explain reuse                        what a finding means
      tcpdump -w - tcp | connspect read -            from another program

    Exit status: 0 reported, 1 a limit of `check` is broken, 2 wrong usage, 3 nothing could be read, 4 reported, but
    part of the input could not be read.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@connspect.command()
@click.argument("captures", metavar="CAPTURE...", nargs=-1, required=True, type=_CAPTURE)
@shared_options()
def read(captures: tuple[str, ...], shared: Shared) -> int:
    """Report on captures.

    Several files are one timeline, merged by time; - is standard input. gzip, zstd, xz and lz4 are known by content.

    \b
      connspect read client.pcapng
      connspect read --port 8001 --since 10s monday-*.pcap.zst
      connspect read -T json client.pcapng | jq '.endpoints[] | {ip, port, opened}'
      ssh host tcpdump -U -w - tcp | connspect read -T ndjson -
    """
    from inspector.cli.read import read_captures

    return read_captures(captures, shared)


@connspect.command()
@click.argument("capture", type=_CAPTURE)
@click.argument("number", metavar="ID", type=click.IntRange(0))
@shared_options(_TEXT, _OF_MANY)
def show(capture: str, number: int, shared: Shared) -> int:
    """Tell the story of one connection, event by event.

    ID counts connections from 0 in the order of their first packets, as Wireshark's tcp.stream does; `connspect read
    --connections` lists them. Times are seconds since the connection's first packet. The first line ends with the
    connection's state and history, in Zeek's words; the handbook's page Words tells them.

    \b
      connspect show client.pcapng 0
    """
    from inspector.cli.read import show_connection

    return show_connection(capture, number, shared)


@connspect.command()
def schema() -> None:
    """Print the JSON report's schema (JSON Schema 2020-12)."""
    import json

    from inspector.records.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@connspect.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes commands and options in a shell.

    \b
      bash   eval "$(connspect completion bash)"     in ~/.bashrc
      zsh    eval "$(connspect completion zsh)"      in ~/.zshrc
      fish   connspect completion fish > ~/.config/fish/completions/connspect.fish
    """
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    if complete is None:
        raise UsageError(f"this version of click has no completion for {shell}")
    click.echo(complete(connspect, {}, "connspect", "_CONNSPECT_COMPLETE").source())


_CAPTURED = "What is captured"


@connspect.command()
@click.argument("filter", metavar="[FILTER]...", nargs=-1)
@click.option(
    *("-i", "--interface", "interfaces"),
    cls=Option,
    heading=_CAPTURED,
    multiple=True,
    metavar="IFACE",
    help="Interface; any, the default, for all. Repeatable.",
)
@click.option(
    "--duration", cls=Option, heading=_CAPTURED, type=click.FloatRange(0), metavar="SECONDS", help="End after so long."
)
@click.option(
    *("-c", "--count"),
    cls=Option,
    heading=_CAPTURED,
    type=click.IntRange(1),
    metavar="PACKETS",
    help="End after so many packets.",
)
@click.option(
    *("-w", "--write"),
    cls=Option,
    heading=_CAPTURED,
    metavar="FILE",
    help="Keep the packets, as pcapng.",
)
@click.option(
    *("-b", "--ring-buffer", "rotation"),
    cls=Option,
    heading=_CAPTURED,
    multiple=True,
    metavar="WHAT:N",
    help="With -w, a row of files, as dumpcap has it: filesize:KB, duration:SECONDS, files:N.",
)
@click.option(
    "--embed-keys", cls=Option, heading=_CAPTURED, is_flag=True, help="With -w, put the TLS keys into the files."
)
@click.option(
    "--metrics",
    cls=Option,
    heading="What is written",
    metavar="[HOST:]PORT",
    help="Serve counts for Prometheus there; on this host only, unless a host is given.",
)
@click.option(
    *("-s", "--snapshot-length", "snap_length"),
    cls=Option,
    heading=_CAPTURED,
    type=click.IntRange(64, 262_144),
    metavar="BYTES",
    help="Capture no more of a packet.",
)
@click.option(
    *("-p", "--no-promiscuous-mode", "promiscuous"),
    cls=Option,
    heading=_CAPTURED,
    flag_value=False,
    default=True,
    help="Only packets that concern this host.",
)
@click.option(
    "--no-screen",
    "screen",
    cls=Option,
    heading="What is written",
    flag_value=False,
    default=True,
    help="No screen on a terminal, only a line that tells how far it is.",
)
@shared_options(_WITHOUT_TABLES, _AT_ONCE)
def live(shared: Shared, **capturing: Any) -> int:
    """Watch interfaces, and report as connections end.

    FILTER is a BPF expression as tcpdump takes it; without one, TCP and DNS are captured. On a terminal a screen shows
    servers and connections as they come (? there tells its keys). The table comes at the end, with q, Ctrl-C or a
    limit; ndjson is written line by line. Key logs (--keylog, SSLKEYLOGFILE) are read as they grow.

    \b
      sudo connspect live -i eth0
      sudo connspect live -i any --duration 60 tcp port 443
      sudo connspect live -i eth0 -w kept.pcapng -b filesize:100000 -b files:10
      sudo connspect live -i lo -T ndjson | jq 'select(.type == "connection") | .closed'
    """
    from inspector.cli.live import Capturing, watch

    return watch(Capturing(**capturing), shared)


@connspect.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", metavar="[--] COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    *("-i", "--interface", "interfaces"),
    cls=Option,
    heading=_CAPTURED,
    multiple=True,
    metavar="IFACE",
    help="Interface; any, the default, for all. Repeatable.",
)
@click.option(
    "--keep", "folder", cls=Option, heading=_CAPTURED, metavar="DIR", help="Keep all packets and the TLS keys there."
)
@shared_options(_WITHOUT_TABLES, _AT_ONCE)
def run(command: tuple[str, ...], interfaces: tuple[str, ...], folder: str | None, shared: Shared) -> int:
    """Start a program and report on its connections.

    The report has the connections of this process and of all that it starts, and no others. It goes to standard
    error, or to -o; the program's own output and exit status stay what they are. TLS keys are logged for it
    (SSLKEYLOGFILE, NODE_OPTIONS). Through sudo, the program runs as the user who called it.

    \b
      sudo connspect run -- python fetch.py
      sudo connspect run -i eth0 -T json -o report.json -- ./nightly.sh --all
      sudo connspect run --keep /tmp/kept -- curl https://example.com/
    """
    if not hasattr(signal, "sigtimedwait"):
        raise UsageError("run: this system cannot wait for signals as it must; use 'connspect live' while it runs")
    from inspector.cli.run import run_command

    return run_command(command, interfaces, folder, shared)


@connspect.command()
@click.argument("captures", metavar="CAPTURE [CAPTURE]", nargs=-1, required=True, type=_CAPTURE)
@shared_options(_TEXT_OR_JSON, (*_LISTS, "verbose"))
def hops(captures: tuple[str, ...], shared: Shared) -> int:
    """Compare both sides of a proxy.

    One capture that was taken on the proxy's host (-i any), or one of each side, from clocks that may differ. Requests
    are found again by X-Request-Id or traceparent, else by method, target and time; what became of Connection,
    Keep-Alive and the like is laid side by side, with how each leg used its connections.

    \b
      connspect hops proxy.pcapng
      connspect hops before-the-proxy.pcapng behind-it.pcapng
    """
    from inspector.cli.hops import compare_hops

    return compare_hops(captures, shared)


_LIMITS = "Limits (each repeatable)"


def _limit(name: str, text: str, value: str = "N") -> Callable[[_Function], _Function]:
    metavar = f"[WHERE=]{value}"
    return click.option(f"--{name}", cls=Option, heading=_LIMITS, multiple=True, metavar=metavar, help=text)


@connspect.command()
@click.argument("captures", metavar="CAPTURE...", nargs=-1, required=True, type=_CAPTURE)
@_limit("max-opened", "Connections opened.")
@_limit("max-avoidable", "Connections that a good pool would not have opened.")
@_limit("min-requests-per-connection", "Requests a connection, on average.")
@_limit("max-races", "Requests that met the server's close.")
@_limit("max-refused", "Connections refused.")
@_limit("max-unanswered", "Connections that nobody answered.")
@_limit("forbid", "A finding by its code, or all of a severity (notice) and worse.", "CODE")
@shared_options(_TEXT_OR_JSON, (*_LISTS, "show_secrets"))
def check(captures: tuple[str, ...], shared: Shared, **limits: tuple[str, ...]) -> int:
    """Fail when connections break a limit: for CI.

    WHERE is HOST:PORT, HOST an address or a name, or * for any; without it a limit holds for every endpoint by itself.
    CLIENT@HOST:PORT makes it one client's, *@HOST:PORT each client's. What is broken is told in a line each (all limits
    with -v; as data with -T json), and the exit status is 1. A limit for an endpoint that was never seen is broken,
    unless it is 0.

    \b
      connspect check test.pcapng --max-opened shop.test:443=1
      connspect check test.pcapng --max-opened '*@shop.test:443=1' --max-races 0
      connspect check test.pcapng --forbid warning --forbid shop.test:443=alpn-fallback
    """
    from inspector.cli.check import check_captures
    from inspector.limits import LIMIT_NAMES

    asked = {name: limits[name.replace("-", "_")] for name in LIMIT_NAMES}
    return check_captures(captures, asked, shared)


def _codes(ctx: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """What a shell may complete a code to."""
    from inspector.report.explain import kinds

    return [kind.code for kind in kinds() if kind.code.startswith(begun)]


@connspect.command()
@click.argument("code", required=False, shell_complete=_codes)
@shared_options(_TEXT_OR_JSON, _OF_PACKETS)
def explain(code: str | None, shared: Shared) -> int:
    """Tell what findings mean.

    Without CODE all are listed, by what they are about. With one: what it means, when it is told, how it is measured,
    which numbers decide, and what to do.

    \b
      connspect explain
      connspect explain server-idle-timeout
      connspect explain -T json | jq -r '.findings[].code'
    """
    from inspector.cli.explain import explain_findings

    return explain_findings(code, shared)


@connspect.command()
def interfaces() -> None:
    """List the interfaces that can be watched."""
    from inspector.cli.interfaces import lines

    for line in lines():
        click.echo(line)


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; the exit status. Errors that the person can mend are one line on standard error."""
    try:
        return connspect.main(arguments, prog_name="connspect", standalone_mode=False) or 0
    except click.ClickException as error:
        return _fail(usage_line(error), error.exit_code)
    except ConnspectError as error:
        return _fail(f"connspect: {error}", error.exit_status)
    except click.Abort:
        return _fail("connspect: interrupted", INTERRUPTED)


def _fail(line: str, status: int) -> int:
    click.echo(printable(line), err=True)
    return status
