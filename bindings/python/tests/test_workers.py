"""Several processes on one port: who answers, who is replaced, and who is left when it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from _programs import Program, is_alive, is_open, is_soon

from hasty import App, InvalidError, StateError

SERVE = """
import os, signal, sys, threading, time
from hasty import App

app = App(threads=int(sys.argv[2]) if sys.argv[2:] else 0)
counts = {"asked": 0}

@app.get("/")
def who(req):
    counts["asked"] += 1
    return {"pid": os.getpid(), "asked": counts["asked"]}

@app.get("/crash")
def crash(req):
    os.kill(os.getpid(), signal.SIGKILL)

@app.get("/exit")
def leave(req):
    os._exit(3)

@app.get("/stop")
def stop(req):
    app.stop()
    return "stopping"

if sys.argv[3:] != ["async"]:
    app.get("/sleep")(lambda req: print("inside", flush=True) or time.sleep(60))
else:
    import asyncio

    @app.get("/async")
    async def coroutine(req):
        await asyncio.sleep(0.001)
        return {"pid": os.getpid()}

print(f"parent {os.getpid()}", flush=True)
app.listen(0, workers=int(sys.argv[1]))
print("after", flush=True)
"""


# At a Unix socket, or at a socket of this program's that listens already.
SHARE = """
import os, signal, socket, sys
from hasty import App

app = App()

@app.get("/")
def who(req):
    return {"pid": os.getpid()}

host = sys.argv[1]
if host == "fd":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    host = f"fd:{listener.detach()}"
app.listen(host=host, workers=2)
print("after", flush=True)
"""


def running(*arguments: str) -> tuple[Program, str]:
    """The program, and its URL; it says first who it is."""
    program = Program(SERVE, *arguments)
    assert program.line() == f"parent {program.pid}"
    url = program.line()
    assert url.startswith("http://127.0.0.1:") and url.endswith("/")
    return program, url


def pid_of(url: str, path: str = "") -> int:
    """Who answers on a connection of its own."""
    with urlopen(url + path, timeout=20) as answer:
        return int(json.load(answer)["pid"])


def pid_at(path: Path) -> int:
    """Who answers at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
        return int(json.loads(answer.partition(b"\r\n\r\n")[2])["pid"])


def wait_until_replaced(program: Program, dead: set[int]) -> None:
    until = time.monotonic() + 10
    while len(program.descendants()) != 2 or dead.intersection(program.descendants()):
        assert time.monotonic() < until, "nobody takes their places"
        time.sleep(0.01)


def everybody(url: str, count: int) -> set[int]:
    """Asks until so many have answered: the kernel spreads connections by chance."""
    found: set[int] = set()
    until = time.monotonic() + 20
    while len(found) < count and time.monotonic() < until:
        try:
            found.add(pid_of(url))
        except OSError:
            # It may have been given to one that was ending.
            pass
    return found


@pytest.mark.parametrize("count", [2, 4])
def test_every_worker_answers_on_the_same_port(count: int) -> None:
    program, url = running(str(count))
    with program:
        found = everybody(url, count)
        assert len(found) == count
        assert program.pid not in found, "the parent looks after them, and serves nobody"
        assert set(program.descendants()) == found


def test_workers_share_a_unix_socket_which_goes_with_them(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with Program(SHARE, f"unix:{path}") as program:
        assert program.line() == f"unix:{path}"
        assert pid_at(path) in program.descendants()
        program.signal(signal.SIGTERM)
        assert program.line() == "after"
    assert not path.exists()


def test_a_worker_at_a_unix_socket_that_dies_is_replaced_and_no_client_refused(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with Program(SHARE, f"unix:{path}") as program:
        program.line()
        for dead in program.descendants():
            os.kill(dead, signal.SIGKILL)
            wait_until_replaced(program, {dead})
            assert pid_at(path) in program.descendants()


def test_a_unix_socket_that_nobody_listens_at_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with Program(SHARE, f"unix:{path}") as program:
        program.line()
        assert pid_at(path) in program.descendants()


def test_workers_share_a_socket_that_listens_already() -> None:
    with Program(SHARE, "fd") as program:
        url = f"http://127.0.0.1:{program.line()}/"
        assert program.line().startswith("fd:")
        assert pid_of(url) in program.descendants()
        for dead in (before := set(program.descendants())):
            os.kill(dead, signal.SIGKILL)
        wait_until_replaced(program, before)
        assert pid_of(url) in program.descendants()


def test_workers_share_nothing_but_the_port() -> None:
    program, url = running("2")
    with program:
        for _ in range(30):
            pid_of(url)
            most = 0
        for _ in range(20):
            with urlopen(url, timeout=20) as answer:
                most = max(most, json.load(answer)["asked"])
        assert most < 50, "each has counted for itself"


def test_one_worker_is_no_process_of_its_own() -> None:
    program, url = running("1")
    with program:
        assert pid_of(url) == program.pid and program.descendants() == []


@pytest.mark.parametrize("threads", ["0", "3"])
@pytest.mark.parametrize("end", ["crash", "exit", "SIGKILL", "SIGSEGV"])
def test_a_worker_that_dies_is_replaced(end: str, threads: str) -> None:
    program, url = running("2", threads)
    with program:
        before = everybody(url, 2)
        # One that has lived for a moment: those that die as soon as they are born are given up in the end.
        if end.startswith("SIG"):
            victim = min(before)
            os.kill(victim, getattr(signal, end))
        else:
            with pytest.raises(OSError):
                urlopen(f"{url}{end}", timeout=20)
            until = time.monotonic() + 10
            while all(is_alive(pid) for pid in before) and time.monotonic() < until:
                time.sleep(0.01)
            victim = next(pid for pid in before if not is_alive(pid))
        (survivor,) = before - {victim}
        wait_until_replaced(program, {victim})
        after = everybody(url, 2)
        assert survivor in after and victim not in after and len(after) == 2
        program.interrupt()
        ended = program.end()
    assert (ended.code, ended.out) == (0, "after\n"), ended
    assert str(victim) in ended.err and "Traceback" not in ended.err, "its death is told"


def test_stop_in_a_worker_ends_all() -> None:
    program, url = running("3")
    with program:
        everybody(url, 3)
        children = program.descendants()
        with urlopen(f"{url}stop", timeout=20) as answer:
            assert answer.read() == b"stopping"
        ended = program.end()
    assert (ended.code, ended.out, ended.err) == (0, "after\n", "")
    assert not any(is_alive(child) for child in children) and not is_open(url)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_parent_alone_ends_all(number: signal.Signals) -> None:
    program, url = running("3")
    with program:
        everybody(url, 3)
        children = program.descendants()
        program.signal(number)
        ended = program.end()
    assert (ended.code, ended.out, ended.err) == (0, "after\n", "")
    assert is_soon(ended.seconds)
    assert not any(is_alive(child) for child in children) and not is_open(url)


def test_nobody_outlives_a_parent_that_was_killed() -> None:
    program, url = running("3")
    with program:
        everybody(url, 3)
        children = program.descendants()
        program.signal(signal.SIGKILL)
        assert program.end().code == -signal.SIGKILL
        until = time.monotonic() + 10
        while any(is_alive(child) for child in children) and time.monotonic() < until:
            time.sleep(0.01)
        assert not any(is_alive(child) for child in children)
        assert not is_open(url)


def test_a_parent_that_was_killed_takes_working_children_along() -> None:
    program, url = running("2")
    parts = urlsplit(url)
    with program, socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        connection.sendall(b"GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n")
        assert program.line() == "inside"
        children = program.descendants()
        program.signal(signal.SIGKILL)
        program.end()
        until = time.monotonic() + 10
        while any(is_alive(child) for child in children) and time.monotonic() < until:
            time.sleep(0.01)
        assert not any(is_alive(child) for child in children)


def test_coroutines_run_in_every_worker() -> None:
    program, url = running("2", "0", "async")
    with program:
        found = set[int]()
        until = time.monotonic() + 20
        while len(found) < 2 and time.monotonic() < until:
            found.add(pid_of(url, "async"))
        assert found == set(program.descendants())
        program.interrupt()
        ended = program.end()
    assert (ended.code, ended.out, ended.err) == (0, "after\n", "")


def test_the_others_go_on_when_one_dies() -> None:
    """Only what the dead one held is lost."""
    program, url = running("2")
    with program:
        for _ in range(3):
            victim = min(everybody(url, 2))
            os.kill(victim, signal.SIGKILL)
            answered = 0
            for _ in range(20):
                try:
                    assert pid_of(url) != victim
                    answered += 1
                except OSError:
                    pass
            assert answered >= 18


def test_a_port_in_use_is_told_before_there_are_processes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        source = SERVE.replace("app.listen(0, ", f"app.listen({taken.getsockname()[1]}, ")
        with Program(source, "2") as program:
            program.line()
            ended = program.end()
    assert ended.code == 1 and "IoError" in ended.err and "in use" in ended.err
    assert ended.out == ""


def test_workers_that_cannot_live_are_given_up() -> None:
    source = """
import os
from hasty import App, HastyError

parent, app = os.getpid(), App()
start = app.start

def die(*arguments):
    if os.getpid() != parent:
        os._exit(9)
    return start(*arguments)

app.start = die
try:
    app.listen(0, workers=2)
except HastyError as error:
    print(f"given up: {error}", flush=True)
"""
    with Program(source) as program:
        ended = program.end()
        assert program.descendants() == []
    assert ended.code == 0 and ended.out.startswith("given up: "), "it has never served, and printed no URL"


@pytest.mark.parametrize("workers", [0, -1, "2", 1.5])
def test_workers_is_a_number_from_1(workers: object) -> None:
    with pytest.raises(InvalidError, match="workers"):
        App().listen(0, workers=workers)  # type: ignore[arg-type]


def test_workers_off_the_main_thread_are_refused() -> None:
    errors: list[BaseException] = []

    def listen() -> None:
        try:
            App().listen(0, workers=2)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join(20)
    assert [type(error) for error in errors] == [StateError] and "main thread" in str(errors[0])


def test_workers_of_an_app_that_runs_are_refused() -> None:
    app = App()
    with app.start(), pytest.raises(StateError, match="started"):
        app.listen(0, workers=2)


# --- signals, and whose they are ---

KILLED = """
import logging, os, signal, subprocess, sys, time
from hasty import App

app, parent = App(), os.getpid()
"""


def test_a_signal_while_children_are_made_ends_all() -> None:
    source = """
fork = os.fork

def interrupted():
    os.fork = fork
    child = fork()
    if child:
        os.kill(parent, signal.SIGTERM)
    return child

os.fork = interrupted
app.listen(0, workers=3)
print("after", flush=True)
"""
    with Program(KILLED + source) as program:
        ended = program.end()
        assert program.descendants() == []
    assert (ended.code, ended.out, ended.err) == (0, "after\n", ""), "and no URL, for nobody serves"


def test_a_signal_while_a_dead_worker_is_replaced_ends_all() -> None:
    source = """
class Late(logging.Handler):
    def emit(self, record):
        os.kill(parent, signal.SIGTERM)

logging.getLogger("hasty").addHandler(Late())
app.get("/exit")(lambda req: os._exit(3))
app.listen(0, workers=2)
print("after", flush=True)
"""
    with Program(KILLED + source) as program:
        with pytest.raises(OSError):
            urlopen(f"{program.line()}exit", timeout=20)
        ended = program.end()
        assert program.descendants() == []
    assert (ended.code, ended.out) == (0, "after\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_that_start_slowly_are_ended_too(number: signal.Signals) -> None:
    source = """
def slow(*arguments):
    os.write(1, b"starts\\n")
    time.sleep(60)

app.start = slow
app.listen(0, workers=2)
print("after", flush=True)
"""
    with Program(KILLED + source) as program:
        assert [program.line(), program.line()] == ["starts", "starts"]
        program.signal(number)
        ended = program.end()
        assert program.descendants() == []
    assert (ended.code, ended.out, ended.err) == (0, "after\n", "")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_handlers_start_hears_signals(workers: int) -> None:
    """Threads and programs have what the thread that serves has: it blocks none, and none is ignored for good."""
    source = """
@app.get("/")
def masks(req):
    seen = "import signal; print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), signal.getsignal(2).__name__)"
    heard = subprocess.run([sys.executable, "-c", seen], stdout=subprocess.PIPE, text=True).stdout
    return {"thread": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "program": heard}

app.listen(0, workers=int(sys.argv[1]))
"""
    with Program(KILLED + source, str(workers)) as program, urlopen(program.line(), timeout=20) as answer:
        assert json.load(answer) == {"thread": [], "program": "[] default_int_handler\n"}


def test_the_programs_other_children_are_its_own() -> None:
    source = """
other = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
app.get("/stop")(lambda req: app.stop())
app.listen(0, workers=2)
print(f"ended with {other.wait()}", flush=True)
"""
    with Program(KILLED + source) as program:
        urlopen(f"{program.line()}stop", timeout=20).close()
        ended = program.end()
    assert (ended.code, ended.out) == (0, "ended with 7\n")


# --- the URL ---


def test_the_url_is_printed_though_a_worker_dies_at_its_start(tmp_path: Path) -> None:
    source = """
start = app.start

def die_once(*arguments):
    try:
        os.close(os.open(sys.argv[1], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return start(*arguments)
    os._exit(9)

app.start = die_once
app.get("/")(lambda req: {"pid": os.getpid()})
app.listen(0, workers=2)
print("after", flush=True)
"""
    with Program(KILLED + source, str(tmp_path / "died")) as program:
        url = program.line()
        assert everybody(url, 2) == set(program.descendants())
        program.interrupt()
        ended = program.end()
    assert (ended.code, ended.out) == (0, "after\n") and "ended with 9" in ended.err


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "closed",
    ["sys.stdout = None", "sys.stdout.close()", "ends = os.pipe(); os.close(ends[0]); os.dup2(ends[1], 1)"],
)
def test_a_server_whose_output_nobody_reads_serves(closed: str, workers: int) -> None:
    source = f"""
start, out = app.start, os.dup(1)

def told(*arguments):
    server = start(*arguments)
    os.write(out, f"{{server.url}}/\\n".encode())
    return server

app.start = told
app.get("/")(lambda req: {{"pid": os.getpid()}})
{closed}
app.listen(0, workers={workers})
os.write(out, b"after\\n")
"""
    with Program(KILLED + source) as program:
        url = program.line()
        assert len(everybody(url, workers)) == workers
        program.interrupt()
        assert program.end().out.endswith("after\n")


# --- failures ---

UNABLE = """
import hasty.asgi

async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})

hasty.asgi.serve(app, port=0, workers=2)
"""


def test_processes_that_fail_one_after_the_other_show_one_traceback_for_each_place() -> None:
    with Program(UNABLE) as program:
        ended = program.end()
    assert ended.code == 1
    assert ended.err.count("ended early: LifespanError('the application failed to start: no database')") >= 5
    assert ended.err.count("Traceback") == 2 + 1, "the two first, and the parent"
