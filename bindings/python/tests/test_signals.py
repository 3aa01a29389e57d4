"""Signals and the end of the process, seen from outside: in programs of their own."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import threading
import time
from typing import Callable
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from _programs import Program, is_soon

Start = Callable[..., "subprocess.Popen[str]"]

SERVE = """
import sys, time
from hasty import App

app = App(threads=int(sys.argv[1]) if len(sys.argv) > 1 else 0)

@app.get("/")
def hello(req):
    return "hello"

@app.get("/slow")
def slow(req):
    print("inside", flush=True)
    time.sleep(0.5)
    return "finished"

app.listen(0)
print("after", flush=True)
"""


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


@pytest.mark.parametrize("threads", ["1", "4"])
def test_ctrl_c_stops_cleanly_within_a_second(threads: str, program: Start) -> None:
    process = program(SERVE, threads)
    url = line(process)
    assert url.startswith("http://127.0.0.1:") and url.endswith("/")
    with urlopen(url, timeout=10) as answer:
        assert answer.read() == b"hello"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    code, out, err = end(process)
    assert (code, out, err) == (0, "after\n", ""), "listen() returns, without a traceback"
    assert is_soon(time.monotonic() - began)


def test_ctrl_c_at_an_idle_server_that_nobody_asked(program: Start) -> None:
    process = program(SERVE)
    line(process)
    process.send_signal(signal.SIGINT)
    assert end(process)[0] == 0


def ask(url: str, texts: list[str]) -> threading.Thread:
    """Asks in the background; what comes back is appended, an error's name too."""

    def go() -> None:
        try:
            with urlopen(url, timeout=30) as answer:
                texts.append(answer.read().decode())
        except OSError as error:
            texts.append(type(error).__name__)
        except http.client.HTTPException as error:
            texts.append(type(error).__name__)

    thread = threading.Thread(target=go)
    thread.start()
    return thread


def test_a_handler_that_runs_at_ctrl_c_finishes_its_answer(program: Start) -> None:
    process, texts = program(SERVE), list[str]()
    client = ask(f"{line(process)}slow", texts)
    assert line(process) == "inside"
    process.send_signal(signal.SIGINT)
    client.join(20)
    assert texts == ["finished"]
    code, out, err = end(process)
    assert (code, out) == (0, "after\n") and "Traceback" not in err


def test_a_second_ctrl_c_does_not_wait_for_handlers(program: Start) -> None:
    process = program(SERVE.replace("time.sleep(0.5)", "time.sleep(60)"))
    client = ask(f"{line(process)}slow", [])
    assert line(process) == "inside"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    while process.poll() is None and time.monotonic() - began < 15:
        # The first may still be on its way; at the latest the third finds nobody waiting.
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
    code, _, err = end(process)
    client.join(20)
    assert is_soon(time.monotonic() - began), "less than the time that handlers are given"
    assert code == -signal.SIGINT and "KeyboardInterrupt" in err


# Longer than a shutdown takes unless the app says otherwise.
PATIENT = """
import asyncio, sys, time
import hasty, hasty.asgi, hasty.wsgi
from hasty import App

options = {"drain_timeout_ms": int(sys.argv[1])}
seconds = float(sys.argv[2])

def slow(req=None):
    print("inside", flush=True)
    time.sleep(seconds)
    return "finished"

async def slow_in_loop(req=None):
    print("inside", flush=True)
    await asyncio.sleep(seconds)
    return "finished"

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [slow().encode()]

async def asgi(scope, receive, send):
    text = await slow_in_loop()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})

def app(function, **how):
    made = App(**options)
    made.get("/slow", **how)(function)
    return made

"""
DRAINS = {
    "plain": "app(slow).listen(0)",
    "blocking": "app(slow, blocking=True).listen(0)",
    "async": "app(slow_in_loop).listen(0)",
    "wsgi": "hasty.wsgi.serve(wsgi, port=0, threads=2, **options)",
    "asgi": "hasty.asgi.serve(asgi, port=0, lifespan='off', **options)",
    "workers": "app(slow, blocking=True).listen(0, workers=2)",
}


@pytest.mark.parametrize("way", DRAINS)
def test_an_app_may_give_its_handlers_more_time(way: str, program: Start) -> None:
    process, texts = program(f"{PATIENT}{DRAINS[way]}\nprint('after', flush=True)", "20000", "1.5"), list[str]()
    client = ask(f"{line(process)}slow", texts)
    assert line(process) == "inside"
    process.send_signal(signal.SIGTERM)
    client.join(20)
    assert texts == ["finished"]
    began = time.monotonic()
    code, out, err = end(process)
    assert (code, out) == (0, "after\n") and "Traceback" not in err, err
    assert is_soon(time.monotonic() - began), "nobody waits for the rest of that time"


@pytest.mark.parametrize("way", ["async", "workers"])
def test_a_second_ctrl_c_ends_that_time(way: str) -> None:
    with Program(PATIENT + DRAINS[way], "60000", "60") as process:
        client = ask(f"{process.line()}slow", [])
        assert process.line() == "inside"
        began = time.monotonic()
        while process.is_running() and time.monotonic() - began < 15:
            # The first may still be on its way; at the latest the third finds nobody waiting.
            process.interrupt()
            time.sleep(0.3)
        process.end()
        client.join(20)
        assert is_soon(time.monotonic() - began)


STREAM = """
import time
from hasty import App, Event

app = App()

@app.get("/")
def ticks(req):
    try:
        while True:
            yield Event("tick", data="1")
            time.sleep(0.05)
    finally:
        print("closed", flush=True)

app.listen(0)
print("after", flush=True)
"""


def test_ctrl_c_ends_streams_gently(program: Start) -> None:
    process = program(STREAM)
    with urlopen(line(process), timeout=10) as answer:
        assert answer.readline() == b"event: tick\n"
        process.send_signal(signal.SIGINT)
        assert end(process) == (0, "closed\nafter\n", "")


IDLE = """
import sys, time
from hasty import App

app = App()

@app.get("/sleep", blocking=True)
def sleep(req):
    print("inside", flush=True)
    time.sleep(float(sys.argv[1]))

@app.get("/stream")
def stream(req):
    yield "x"

app.listen(0)
print("after", flush=True)
"""


@pytest.mark.parametrize("seconds", ["3", "0.75", "0.85", "0.95"])
def test_ctrl_c_leaves_threads_alone_that_have_nothing_to_do(seconds: str, program: Start) -> None:
    """Handlers that take too long are named and interrupted, those that are done are not; some end while that is so."""
    process = program(IDLE, seconds)
    url = line(process)
    with urlopen(f"{url}stream", timeout=10) as answer:
        assert answer.read() == b"x"
    client = ask(f"{url}sleep", [])
    assert line(process) == "inside"
    process.send_signal(signal.SIGINT)
    code, out, err = end(process)
    client.join(20)
    assert (code, out) == (0, "after\n")
    assert "hasty-stream" not in err and "Traceback" not in err, err
    assert seconds != "3" or "handlers still run" in err, err


ENDS = """
import threading
from hasty import App, Event

app, asked, kept = App(), threading.Semaphore(0), []

@app.get("/stream")
def stream(req):
    try:
        asked.release()
        while True:
            yield "x" * 1000
    finally:
        print("closed", flush=True)

@app.get("/later")
def later(req):
    kept.append(req.defer())
    kept[0].on_close(lambda: None)
    asked.release()

server = app.start()
print(server.url, flush=True)
asked.acquire()
asked.acquire()
"""


def test_a_program_that_ends_with_streams_and_open_exchanges_ends(program: Start) -> None:
    process = program(ENDS)
    url, texts = line(process), list[str]()
    clients = [ask(f"{url}/later", texts), ask(f"{url}/stream", texts)]
    assert end(process) == (0, "closed\n", "")
    for client in clients:
        client.join(20)
    assert len(texts) == 2


def test_sigterm_ends_listen_as_ctrl_c_does(program: Start) -> None:
    process = program(SERVE)
    line(process)
    process.send_signal(signal.SIGTERM)
    assert end(process) == (0, "after\n", "")


def test_a_signal_handler_of_the_programs_own_runs_and_may_stop_the_app(program: Start) -> None:
    source = SERVE.replace(
        "app.listen(0)",
        "import signal\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('stopping', flush=True), app.stop()))\n"
        "app.listen(0)",
    )
    process = program(source)
    line(process)
    process.send_signal(signal.SIGTERM)
    assert end(process) == (0, "stopping\nafter\n", "")


def test_a_signal_handler_that_raises_stops_the_app_and_is_heard(program: Start) -> None:
    source = SERVE.replace(
        "app.listen(0)",
        "import signal\ndef leave(*_): raise SystemExit(7)\nsignal.signal(signal.SIGTERM, leave)\napp.listen(0)",
    )
    process = program(source)
    line(process)
    process.send_signal(signal.SIGTERM)
    assert end(process) == (7, "", "")


def test_signal_settings_are_as_they_were(program: Start) -> None:
    source = """
import signal
from hasty import App

before = [signal.getsignal(number) for number in range(1, 32)], signal.pthread_sigmask(signal.SIG_BLOCK, [])
app = App()
with app.start():
    during = [signal.getsignal(number) for number in range(1, 32)], signal.pthread_sigmask(signal.SIG_BLOCK, [])
after = [signal.getsignal(number) for number in range(1, 32)], signal.pthread_sigmask(signal.SIG_BLOCK, [])
print(before == during == after)
"""
    assert end(program(source)) == (0, "True\n", "")


def test_a_program_that_forgets_to_stop_still_ends(program: Start) -> None:
    source = """
from urllib.parse import urlsplit
from urllib.request import urlopen
from hasty import App

app = App(threads=3)
app.get("/")(lambda req: "hello")
server = app.start()
print(urlopen(server.url).read().decode())
"""
    began = time.monotonic()
    assert end(program(source)) == (0, "hello\n", "")
    assert is_soon(time.monotonic() - began), "nobody was waited for"


def test_an_app_without_a_start_ends_with_its_program(program: Start) -> None:
    source = """
from hasty import App
app = App()
app.get("/")(lambda req: "hello")
"""
    assert end(program(source)) == (0, "", "")


def test_ctrl_c_reaches_a_main_thread_that_does_other_things(program: Start) -> None:
    source = """
import time
from hasty import App

app = App()
app.get("/")(lambda req: "hello")
with app.start() as server:
    try:
        print(server.url, flush=True)
        time.sleep(30)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
    process = program(source)
    line(process)
    process.send_signal(signal.SIGINT)
    assert end(process) == (0, "interrupted\n", "")


def test_a_failing_handler_writes_its_traceback_to_standard_error(program: Start) -> None:
    source = """
from hasty import App

app = App()

@app.get("/")
def fail(req):
    raise RuntimeError("the cupboard is bare")

with app.test_client() as client:
    print(client.get("/").status_code)
"""
    code, out, err = end(program(source))
    assert (code, out) == (0, "500\n")
    assert err.startswith("GET /: fail failed\nTraceback (most recent call last):\n")
    assert err.endswith("RuntimeError: the cupboard is bare\n")


IN_LOOP = """
import asyncio, os, signal, sys
import hasty, hasty.asgi, hasty.wsgi

signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass

async def application(scope, receive, send):
    if "wait" in scope["path"]:
        await asyncio.sleep(0)
    interrupt()

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        yield b""
    finally:
        interrupt()

app = hasty.App()
hasty.asgi.mount(app, "/asgi", application, lifespan="off")
hasty.wsgi.mount(app, "/wsgi", wsgi)

@app.get("/now")
async def now(req):
    interrupt()

@app.get("/wait")
async def wait(req):
    await asyncio.sleep(0)
    interrupt()

@app.get("/stream")
async def stream(req):
    yield "a"
    interrupt()

@app.get("/fills")
async def fills(req, res):
    interrupt()

@app.get("/sync")
def sync(req):
    interrupt()

@app.post("/reads", body="stream")
def reads(req):
    interrupt()

@app.use("/gate")
def gate(req):
    interrupt()

@app.after("/after")
def after(req, res):
    interrupt()

@app.on_error
def on_error(req, res):
    if req.path == "/error":
        interrupt()

@app.on_access
def on_access(record):
    if record.target == "/access":
        interrupt()

exchanges = []

@app.get("/close")
def close(req):
    exchanges.append(req.defer())
    exchanges[0].on_close(interrupt)

@app.get("/*")
def anything(req):
    return "answered"

loop = asyncio.new_event_loop()
serving = loop.create_task(app.serve(port=0, started=lambda server: print(server.url, flush=True)))
try:
    loop.run_until_complete(serving)
except KeyboardInterrupt:
    print("interrupted", flush=True)
serving.cancel()
try:
    loop.run_until_complete(serving)
except asyncio.CancelledError:
    print("ended", flush=True)
"""


_IN_LOOP_PATHS = ["asgi", "asgi/wait", "wsgi", "now", "wait", "stream", "fills", "sync", "gate", "after", "access"]


@pytest.mark.parametrize("path", _IN_LOOP_PATHS)
def test_ctrl_c_inside_a_handler_on_the_programs_own_loop_is_the_programs(path: str, program: Start) -> None:
    process = program(IN_LOOP)
    client = ask(f"{line(process)}/{path}", [])
    code, out, _ = end(process)
    client.join(20)
    assert (code, out) == (0, "interrupted\nended\n")


@pytest.mark.parametrize("request_line", ["POST /reads", "POST /error", "GET /close"])
def test_ctrl_c_where_the_library_calls_is_the_programs(request_line: str, program: Start) -> None:
    process = program(IN_LOOP)
    address = urlsplit(line(process))
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(f"{request_line} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        if "close" not in request_line:
            assert b"HTTP/1.1" in connection.recv(1024), "what interrupts is answered"
    code, out, _ = end(process)
    assert (code, out) == (0, "interrupted\nended\n")
