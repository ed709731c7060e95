"""`connspect` and `python -m inspector`."""

from __future__ import annotations

import gc
import os
import signal
import sys


def main() -> None:
    """Run the command line. A reader that went away (`| head`) ends it as it ends any Unix tool: quietly."""
    # NumPy's linear algebra is not used, but would start a thread for every core when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()  # imports leave nothing to collect, and looking for it would take a twentieth of a small report's time
    from inspector.cli.main import main as run

    gc.enable()
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    status = run()
    sys.stdout.flush()
    sys.stderr.flush()
    # Everything is written: to give a report's records back to the system one by one would only take time.
    os._exit(status)


if __name__ == "__main__":
    main()
