"""Run several ``flask moderate worker`` side by side and replace those that die, as systemd does for a soaked site."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

#: Seconds between two looks at the processes.
LOOK = 1.0


def supervise(count: int, command: list[str]) -> None:
    """Keep *count* processes of *command* running until SIGTERM, then end them all and wait for them."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    running: list[subprocess.Popen[bytes]] = []
    try:
        while True:
            running = [process for process in running if process.poll() is None]
            while len(running) < count:
                running.append(subprocess.Popen(command))
            time.sleep(LOOK)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


if __name__ == "__main__":
    supervise(int(sys.argv[1]), sys.argv[2:])
