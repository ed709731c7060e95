"""Makes the README's pictures of the screen: `python -m tests.live.screenshots docs` (root; nginx, curl).

A real capture on a namespace's interface, of curl and Python clients that use nginx in another namespace, is drawn
without a terminal, and saved as Textual saves it: SVG. Its fonts would come from the network; here they are the
reader's own.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from captures.recorder import network as net
from captures.recorder.network import SERVER, Host, Network
from captures.recorder.servers import Nginx
from captures.recorder.tools import make_certificate
from inspector.cli.judging import Judging
from inspector.cli.screen import WatchedCapture
from inspector.engine import Inspector, Options
from inspector.inspection import Inspection
from inspector.protocols.tls.keylog import KeyLog
from inspector.report.screen.app import LiveScreen
from inspector.sources.keys import FollowedKeys
from inspector.sources.live import open_live

COLUMNS, ROWS = 112, 24
#: Seconds of traffic before the first picture.
SECONDS = 13.0
_FONTS = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"

#: Asks anew for each picture, and now and then on connections that it keeps, longer than the server does.
CLIENT = """
import http.client, sys, time
until, kept = time.time() + float(sys.argv[1]), []
for number in range(10_000):
    if time.time() > until:
        break
    one = http.client.HTTPConnection(sys.argv[2], 8001)
    one.request("GET", "/a", headers={"Host": "img.test"})
    one.getresponse().read()
    one.close()
    if number % 12 == 0:
        kept.append(http.client.HTTPConnection(sys.argv[2], 8002))
        for path in ("/a", "/b", "/c")[: 1 + number // 12 % 3]:
            kept[-1].request("GET", path, headers={"Host": "shop.test"})
            kept[-1].getresponse().read()
    time.sleep(0.11)
"""


def main(folder: Path) -> None:
    """Make the pictures."""
    network = Network()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        try:
            net.direct(network)
            _serve(network.hosts["server"], work)
            client, keys = network.hosts["client"], work / "keys"
            command = [sys.executable, "-m", "tests.live.screenshots", "--inside", str(folder), str(keys)]
            drawn = subprocess.Popen(client.command(command), stdout=subprocess.PIPE)
            assert drawn.stdout is not None
            drawn.stdout.readline()
            asking = subprocess.Popen(client.command([sys.executable, "-c", CLIENT, str(SECONDS + 3), SERVER]))
            until = time.monotonic() + SECONDS + 3
            while time.monotonic() < until:
                _ask_by_curl(client, work, keys)
                time.sleep(2.5)
            asking.wait(30)
            if drawn.wait(60):
                raise SystemExit("no picture was made")
        finally:
            network.close()


def _serve(host: Host, work: Path) -> None:
    certificate = make_certificate(work, "api.test")
    Nginx(host, work / "img")
    Nginx(host, work / "shop", "keepalive_timeout 4s;", port=8002)
    directives = f"ssl_certificate {certificate}; ssl_certificate_key {certificate.with_suffix('.key')};"
    Nginx(host, work / "api", directives, port=8443, listen="ssl http2")


def _ask_by_curl(host: Host, work: Path, keys: Path) -> None:
    urls = [f"https://api.test:8443/{name}" for name in "abc"]
    reach = ["--resolve", f"api.test:8443:{SERVER}", "--cacert", str(work / "api.test.pem")]
    host.run("curl", "-s", "--http2", *reach, *urls, environment={**os.environ, "SSLKEYLOGFILE": str(keys)})


def inside(folder: Path, keys: Path) -> None:
    """Capture where this process is, and draw it."""
    source = open_live(("eth0",), "tcp")
    print("capturing", flush=True)
    watched = WatchedCapture(source, "tcp", Judging(source))
    followed = FollowedKeys([str(keys)], KeyLog(growing=True), print)

    def capture() -> Inspection:
        inspector = Inspector(Options(events=True, on_event=watched.kept.add, keys=followed.log))
        for batch in source:
            followed.take()
            inspector.feed(batch)
            watched.after_batch(inspector)
        return inspector.finish()

    thread = threading.Thread(target=watched.run, args=(capture,))
    thread.start()
    asyncio.run(_draw(LiveScreen(watched), folder))
    source.stop()
    thread.join()
    source.close()


async def _draw(app: LiveScreen, folder: Path) -> None:
    async with app.run_test(size=(COLUMNS, ROWS)) as pilot:
        await asyncio.sleep(SECONDS)
        for _ in range(4):
            await pilot.press("s")  # by idle at close: what closes by itself comes first
            await asyncio.sleep(0.3)
        await pilot.pause()
        _save(app, folder / "live-endpoints.svg")
        await pilot.press("e", "enter", "end", "up", "up", "enter")
        await asyncio.sleep(0.6)
        await pilot.pause()
        _save(app, folder / "live-story.svg")


def _save(app: LiveScreen, path: Path) -> None:
    picture = app.export_screenshot(title=" ", simplify=True)
    picture = re.sub(r"@font-face\s*\{[^}]*\}\s*", "", picture)
    path.write_text(picture.replace("Fira Code, monospace", _FONTS), encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        inside(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(Path(sys.argv[1]).resolve())
