"""Starts a program that serves, and tells where.

    serving.py PROGRAM [ARGUMENT...] -- COMMAND [ARGUMENT...]

starts PROGRAM on a free port, runs COMMAND with its address as the last argument, and stops PROGRAM with
SIGTERM. PROGRAM prints its address, http://HOST:PORT/, as the first line of standard output once it listens.
"""

import os
import re
import select
import signal
import subprocess
import sys
import threading


class Served:
    """A running program: `url`, `host`, `port`; `stop()` ends it and gives its exit code."""

    def __init__(self, command, seconds=20, **more):
        environment = {**os.environ, "PORT": "0", **more}
        self.errors = []
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        # Read all the time: a program must not block on a full pipe.
        reader = threading.Thread(target=self._read_errors, daemon=True)
        reader.start()
        line = self._first_line(seconds)
        address = re.match(r"(http://([^/:\s]+):(\d+)/)$", line.strip())
        if not address:
            self.process.kill()
            self.process.wait()
            reader.join(seconds)
            raise RuntimeError(f"its first line is not its address: {line!r} {self.said()}")
        self.url, self.host, self.port = address[1], address[2], int(address[3])
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def _first_line(self, seconds):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline() if ready else f"(nothing within {seconds} s)"

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line)

    def said(self):
        """What it printed to standard error so far."""
        return "".join(self.errors).strip()

    def stop(self, seconds=20):
        """Ends it with SIGTERM. The exit code; negative for a signal, as when it had to be killed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


def main():
    split = sys.argv.index("--")
    with Served(sys.argv[1:split]) as served:
        code = subprocess.run([*sys.argv[split + 1 :], served.url]).returncode
        ended = served.stop()
    if ended != 0:
        print(f"the server ended with {ended}: {served.said()}", file=sys.stderr)
        code = code or 1
    return code


if __name__ == "__main__":
    sys.exit(main())
