#!/usr/bin/env python3
"""The programs examples-c/embed-*.c answer alike, whatever loop their main thread runs.

    embed.py PROGRAM [ARGUMENT...]

Nothing here is measured: each check awaits an event, or looks at the order of two.
"""

import http.client
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/lib"))

from protocol import done, not_ok, ok  # noqa: E402
from serving import Served  # noqa: E402

# Longer than anything here takes, shorter than the patience of whoever waits for the suite.
LONG = 30
LONG_MS = LONG * 1000


class Wrong(Exception):
    """What a check found."""


def ask(served, method, path):
    """The answer, parsed if it is JSON."""
    connection = http.client.HTTPConnection(served.host, served.port, timeout=LONG)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read()
        if response.status >= 300:
            raise Wrong(f"{method} {path} is answered {response.status} {body[:200]!r}")
        return json.loads(body) if response.getheader("Content-Type") == "application/json" else body
    finally:
        connection.close()


class Asked:
    """A request whose answer another thread awaits."""

    def __init__(self, served, method, path):
        self.what, self.result = f"{method} {path}", None
        self.thread = threading.Thread(target=self._ask, args=(served, method, path), daemon=True)
        self.thread.start()

    def _ask(self, *words):
        try:
            self.result = ask(*words)
        except (Wrong, OSError, http.client.HTTPException) as error:
            self.result = error

    @property
    def is_answered(self):
        return self.result is not None

    def answer(self):
        self.thread.join(LONG)
        if self.result is None:
            raise Wrong(f"{self.what} is not answered")
        if isinstance(self.result, Exception):
            raise Wrong(f"{self.what}: {self.result}")
        return self.result


def await_that(what, holds):
    """Asks until something is so."""
    deadline = time.monotonic() + LONG
    while not holds():
        if time.monotonic() > deadline:
            raise Wrong(f"never seen: {what}")
        time.sleep(0.005)


def must(holds, *seen):
    if not holds:
        raise Wrong(f"seen: {', '.join(map(str, seen))}")


# ---- what is checked: each takes a program that serves


def handlers_of_caller_routes_run_in_the_main_thread(served):
    for method, path in (("GET", "/state"), ("POST", "/add/0"), ("GET", "/compute/1")):
        answer = ask(served, method, path)
        must(answer["thread"] == "main", path, answer)


def handlers_of_other_routes_run_elsewhere(served):
    answer = ask(served, "GET", "/progress")
    must(answer["thread"] == "other", answer)


def what_comes_at_the_same_time_is_done_one_after_the_other(served):
    before = ask(served, "GET", "/state")["total"]
    requests = [Asked(served, "POST", f"/add/{1 + number % 3}") for number in range(60)]
    totals = [request.answer()["total"] for request in requests]
    must(len(set(totals)) == 60, "two requests were told the same total", sorted(totals))
    must(max(totals) == before + 120, before, max(totals))


def a_connection_goes_from_thread_to_thread(served):
    pipelined = ["GET /progress", "GET /state", "POST /add/1", "GET /progress", "GET /state"]
    with socket.create_connection((served.host, served.port), timeout=LONG) as connection:
        heads = [f"{request} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" for request in pipelined]
        connection.sendall(("\r\n".join(heads) + "Connection: close\r\n\r\n").encode())
        answers = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    threads = [part.split('"')[0] for part in answers.split('"thread":"')[1:]]
    must(threads == ["other", "main", "main", "other", "main"], threads)


def the_work_of_the_host_goes_on_between_requests(served):
    ticks = ask(served, "GET", "/state")["ticks"]
    await_that("five more ticks", lambda: ask(served, "GET", "/state")["ticks"] >= ticks + 5)


def the_loop_is_left_alone_while_nothing_waits(served):
    before = ask(served, "GET", "/state")
    # The health is told by a thread of the library, so these questions wake nobody.
    await_that("200 ms without a poll", lambda: ask(served, "GET", "/healthz")["caller_idle_ms"] >= 200)
    after = ask(served, "GET", "/state")
    must(after["wakeups"] == before["wakeups"] + 1, before, after)
    must(after["ticks"] > before["ticks"], before, after)


def a_loop_that_computes_holds_up_its_own_routes_alone(served):
    before = ask(served, "GET", "/state")
    computation = Asked(served, "GET", f"/compute/{LONG_MS}")
    await_that("a computation", lambda: ask(served, "GET", "/progress")["computing"])
    waits = Asked(served, "GET", "/state")
    await_that("a request in the queue", lambda: ask(served, "GET", "/healthz")["queued"] == 1)
    health = ask(served, "GET", "/healthz")
    await_that("a longer silence", lambda: ask(served, "GET", "/healthz")["caller_idle_ms"] > health["caller_idle_ms"] + 50)
    must(health["status"] == "ok", health)
    must(not computation.is_answered and not waits.is_answered, computation.result, waits.result)

    ask(served, "POST", "/cancel")
    computed, after = computation.answer(), waits.answer()
    must(computed["computed"] == after["computed"] == before["computed"] + 1, before, computed, after)
    must(ask(served, "GET", "/healthz")["queued"] == 0)


def a_client_that_leaves_while_it_waits_is_forgotten(served):
    computation = Asked(served, "GET", f"/compute/{LONG_MS}")
    await_that("a computation", lambda: ask(served, "GET", "/progress")["computing"])
    before = ask(served, "GET", "/healthz")["connections"]
    with socket.create_connection((served.host, served.port), timeout=LONG) as leaver:
        # Closed with a reset: after a mere FIN a client is still answered.
        leaver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        leaver.sendall(b"GET /state HTTP/1.1\r\nHost: a\r\n\r\n")
        await_that("a request in the queue", lambda: ask(served, "GET", "/healthz")["queued"] == 1)
    await_that("its connection closed", lambda: ask(served, "GET", "/healthz")["connections"] <= before)
    ask(served, "POST", "/cancel")
    computation.answer()
    must(ask(served, "GET", "/state")["thread"] == "main")


CHECKS = (
    handlers_of_caller_routes_run_in_the_main_thread,
    handlers_of_other_routes_run_elsewhere,
    what_comes_at_the_same_time_is_done_one_after_the_other,
    a_connection_goes_from_thread_to_thread,
    the_work_of_the_host_goes_on_between_requests,
    the_loop_is_left_alone_while_nothing_waits,
    a_loop_that_computes_holds_up_its_own_routes_alone,
    a_client_that_leaves_while_it_waits_is_forgotten,
)


# ---- how it ends: each starts a program of its own


def stop_in_a_handler_ends_the_loop(served):
    answer = ask(served, "POST", "/quit")
    must(answer == b"goodbye\n", answer)


def a_signal_ends_the_loop(served):
    must(ask(served, "GET", "/state")["thread"] == "main")
    served.process.send_signal(signal.SIGINT)


def a_signal_ends_a_loop_that_computes(served):
    Asked(served, "GET", f"/compute/{LONG_MS}")
    await_that("a computation", lambda: ask(served, "GET", "/progress")["computing"])
    served.process.send_signal(signal.SIGTERM)


ENDS = (stop_in_a_handler_ends_the_loop, a_signal_ends_the_loop, a_signal_ends_a_loop_that_computes)


def name(check):
    return check.__name__.replace("_", " ")


def attempt(label, *steps):
    try:
        for step in steps:
            step()
        ok(label)
    except Exception as error:  # whatever an answer lacks is a failure of this check, not of the others
        not_ok(label, f"{type(error).__name__}: {error}")


def must_end(served):
    """With 0, and without a word of warning, or of what watches over its memory."""
    try:
        code = served.process.wait(LONG)
    except subprocess.TimeoutExpired:
        raise Wrong("it goes on") from None
    must(code == 0 and not served.said(), f"it ended with {code}", served.said())


def a_port_that_is_taken_is_refused(command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = subprocess.run([*command, port], capture_output=True, text=True, timeout=LONG)
    must(run.returncode == 1 and (port in run.stderr or "in use" in run.stderr), run.returncode, run.stderr)


def main():
    command = sys.argv[1:]
    try:
        with Served(command, LONG) as served:
            for check in CHECKS:
                attempt(name(check), lambda check=check: check(served))
        for end in ENDS:
            with Served(command, LONG) as served:
                attempt(name(end), lambda end=end: end(served), lambda: must_end(served))
        attempt(name(a_port_that_is_taken_is_refused), lambda: a_port_that_is_taken_is_refused(command))
    except RuntimeError as error:
        not_ok("it serves", error)
    return done()


if __name__ == "__main__":
    sys.exit(main())
