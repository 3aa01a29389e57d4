"""Ends: Ctrl-C and SIGTERM in every way to serve, idle and while a handler runs, seen from outside."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from _programs import Program, is_alive, is_open, is_soon

from hasty import App

pytestmark = pytest.mark.long

HEAD = """
import asyncio, os, signal, socket, sys, threading, time
import hasty, hasty.wsgi
from hasty import App

def sleep():
    print("inside", flush=True)
    time.sleep(60)

def spin():
    print("inside", flush=True)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        pass

def with_routes(app, **options):
    app.get("/")(lambda req: str(os.getpid()))
    app.get("/sleep", **options)(lambda req: sleep())
    app.get("/spin", **options)(lambda req: spin())
    return app

def with_async_routes(app):
    app.get("/")(lambda req: str(os.getpid()))

    @app.get("/sleep")
    async def in_the_loop(req):
        print("inside", flush=True)
        await asyncio.sleep(60)

    @app.get("/spin")
    async def beside_the_loop(req):
        spin()

    return app

def application(environ, start_response):
    {"/sleep": sleep, "/spin": spin}.get(environ["PATH_INFO"], lambda: None)()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

SERVE = """
async def main():
    await with_async_routes(App()).serve(port=0, started=lambda server: print(f"{server.url}/", flush=True))

try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
"""

START = """
try:
    with with_routes(App()).start() as server:
        print(f"{server.url}/", flush=True)
        server.wait()
except KeyboardInterrupt:
    pass
"""

#: Every way to serve. Those that wait themselves print where, and return after SIGTERM as after Ctrl-C.
WAYS = {
    "inline": "with_routes(App()).listen(0)",
    "threads": "with_routes(App(threads=8)).listen(0)",
    "blocking": "with_routes(App(), blocking=True).listen(0)",
    "async": "with_async_routes(App()).listen(0)",
    "serve": SERVE,
    "workers": "with_routes(App()).listen(0, workers=2)",
    "async-workers": "with_async_routes(App()).listen(0, workers=2)",
    "wsgi": "hasty.wsgi.serve(application, port=0)",
    "wsgi-threads": "hasty.wsgi.serve(application, port=0, threads=4)",
    "start": START,
}
#: The signals are the program's own: SIGTERM ends one that says nothing about it, as it ends any other.
OWN_SIGNALS = ("serve", "start")
#: What differs from another way by a thread or a process is the same on every Python.
ALIKE = ("wsgi-threads", "async-workers", "threads")
each_way = pytest.mark.parametrize(
    "way", [pytest.param(way, marks=pytest.mark.any_python) if way in ALIKE else way for way in WAYS]
)


def running(way: str) -> Program:
    return Program(f"{HEAD}\n{WAYS[way]}\nprint('after', flush=True)")


def ask(url: str) -> str:
    with urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


def connect(url: str, path: str) -> socket.socket:
    """A client that asks, and waits for no answer."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return connection


def code_of(way: str, number: signal.Signals) -> int:
    return -number if way in OWN_SIGNALS and number == signal.SIGTERM else 0


def assert_ended(program: Program, url: str, children: list[int], code: int = 0) -> None:
    """It ends soon, without a traceback, and leaves neither a process nor a port behind."""
    end = program.end()
    assert is_soon(end.seconds), end
    assert end.code == code, end
    assert "Traceback" not in end.err and "Error" not in end.err, end
    assert end.out == ("after\n" if code == 0 else ""), end
    # They are their parent's: it has waited for them.
    assert [child for child in children if is_alive(child)] == []
    assert not is_open(url)


@each_way
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_an_idle_server_ends(way: str, number: signal.Signals) -> None:
    with running(way) as program, contextlib.ExitStack() as clients:
        url = program.line()
        assert ask(url).isdigit()
        for _ in range(20):
            # They keep their connections.
            assert clients.enter_context(connect(url, "/")).recv(4096).startswith(b"HTTP/1.1 200 ")
        children = program.descendants()
        if number == signal.SIGINT:
            program.interrupt()
        else:
            program.signal(number)
        assert_ended(program, url, children, code_of(way, number))


@each_way
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
@pytest.mark.parametrize("work", ["sleep", "spin"])
def test_a_server_whose_handler_runs_ends(way: str, number: signal.Signals, work: str) -> None:
    if (way, number, work) == ("serve", signal.SIGINT, "spin"):
        pytest.skip("who holds the program's own loop holds its Ctrl-C: asyncio.run() hears of it in the loop")
    with running(way) as program:
        url = program.line()
        with connect(url, f"/{work}"):
            assert program.line() == "inside"
            children = program.descendants()
            program.signal(number)
            assert_ended(program, url, children, code_of(way, number))


@pytest.mark.any_python
@each_way
def test_a_second_ctrl_c_leaves_nothing_behind(way: str) -> None:
    with running(way) as program:
        url = program.line()
        with connect(url, "/sleep"):
            assert program.line() == "inside"
            children = program.descendants()
            program.interrupt()
            program.interrupt()
            end = program.end()
            assert is_soon(end.seconds), end
            # The second one may come while the first one is answered: then it ends the program as it ends any other.
            assert end.code in (0, -signal.SIGINT), end
            until = time.monotonic() + 10
            while any(is_alive(child) for child in children) and time.monotonic() < until:
                time.sleep(0.05)
            assert [child for child in children if is_alive(child)] == []
            assert not is_open(url)


def test_ctrl_c_before_anything_was_asked() -> None:
    for _ in range(5):
        with running("inline") as program:
            url = program.line()
            program.interrupt()
            assert_ended(program, url, [])


# --- off the main thread ---


def test_listen_in_a_thread_ends_with_stop() -> None:
    source = """
app = with_routes(App())
thread = threading.Thread(target=app.listen, args=[0])
thread.start()
signal.sigwait([signal.SIGUSR1])
app.stop()
thread.join()
print("after", flush=True)
"""
    with Program(HEAD + "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n" + source) as program:
        url = program.line()
        assert ask(url).isdigit()
        program.signal(signal.SIGUSR1)
        assert_ended(program, url, [])


@pytest.mark.parametrize("work", ["sleep", "spin"])
def test_listen_in_a_thread_ends_with_stop_while_a_handler_runs(work: str) -> None:
    source = """
app = with_routes(App())
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
thread = threading.Thread(target=app.listen, args=[0])
thread.start()
signal.sigwait([signal.SIGUSR1])
app.stop()
thread.join()
print("after", flush=True)
"""
    with Program(HEAD + source) as program:
        url = program.line()
        with connect(url, f"/{work}"):
            assert program.line() == "inside"
            program.signal(signal.SIGUSR1)
            assert_ended(program, url, [])


def test_ctrl_c_with_listen_in_a_thread_is_the_main_threads() -> None:
    source = """
app = with_routes(App())
thread = threading.Thread(target=app.listen, args=[0])
try:
    thread.start()
    threading.Event().wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    app.stop()
thread.join()
"""
    with Program(HEAD + source) as program:
        url = program.line()
        assert ask(url).isdigit()
        program.interrupt()
        end = program.end()
    assert (end.code, end.out, end.err) == (0, "interrupted\n", "")
    assert is_soon(end.seconds) and not is_open(url)


def test_start_in_a_thread_outlives_it_and_ends_elsewhere() -> None:
    source = """
app, servers = with_routes(App()), []
thread = threading.Thread(target=lambda: servers.append(app.start()))
thread.start()
thread.join()
try:
    print(f"{servers[0].url}/", flush=True)
    threading.Event().wait()
except KeyboardInterrupt:
    servers[0].close()
print("after", flush=True)
"""
    with Program(HEAD + source) as program:
        url = program.line()
        assert ask(url).isdigit()
        program.interrupt()
        assert_ended(program, url, [])


def test_listen_in_a_thread_leaves_signals_alone() -> None:
    source = """
numbers = [number for number in range(1, 32) if number not in (signal.SIGKILL, signal.SIGSTOP)]
before = [signal.getsignal(number) for number in numbers]
app = with_routes(App())
thread = threading.Thread(target=app.listen, args=[0])
thread.start()
print([signal.getsignal(number) for number in numbers] == before, flush=True)
signal.sigwait([signal.SIGUSR1])
app.stop()
thread.join()
print([signal.getsignal(number) for number in numbers] == before, flush=True)
"""
    with Program(HEAD + "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n" + source) as program:
        said = [program.line(), program.line()]
        program.signal(signal.SIGUSR1)
        end = program.end()
    assert "True" in said and (end.code, end.out, end.err) == (0, "True\n", "")


@pytest.mark.parametrize("way", [way for way in WAYS if way not in OWN_SIGNALS])
def test_signals_are_as_they_were_after_listen(way: str) -> None:
    source = """
numbers = [number for number in range(1, 32) if number not in (signal.SIGKILL, signal.SIGSTOP)]
before = [signal.getsignal(number) for number in numbers], signal.set_wakeup_fd(-1)
"""
    after = "print(before == ([signal.getsignal(number) for number in numbers], signal.set_wakeup_fd(-1)))"
    with Program(f"{HEAD}\n{source}\n{WAYS[way]}\n{after}") as program:
        program.line()
        program.signal(signal.SIGTERM)
        end = program.end()
    assert (end.code, end.out, end.err) == (0, "True\n", "")


# --- many lives ---


def test_an_app_starts_and_ends_two_hundred_times_without_a_trace() -> None:
    source = """
import gc

def memory_of():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))

def state():
    gc.collect()
    return len(gc.get_objects()), [len(os.listdir(f"/proc/self/{name}")) for name in ("fd", "task")]

def once(number):
    app = with_async_routes(App(threads=number % 3)) if number % 2 else with_routes(App(threads=number % 3))
    with app.test_client() as client:
        assert client.get("/").text == str(os.getpid())

for number in range(12):
    once(number)
before, memory = state(), memory_of()
for number in range(200):
    once(number)
after = state()
print(before[1:] == after[1:], after[0] - before[0], memory_of() - memory, flush=True)
"""
    with Program(HEAD + source) as program:
        end = program.end(60)
    assert (end.code, end.err) == (0, ""), end
    same, objects, memory = end.out.split()
    assert same == "True", "threads and descriptors"
    assert int(objects) < 100, "less than one for each two lives"
    assert int(memory) < 4096, "KiB"


def test_two_apps_serve_at_once_and_end_one_by_one() -> None:
    apps = [App(threads=2), App()]
    servers = []
    for number, app in enumerate(apps):
        app.get("/")(lambda req, number=number: str(number))
        servers.append(app.start())
    try:
        assert [ask(server.url) for server in servers] == ["0", "1"]
        servers[0].close()
        assert (ask(servers[1].url), is_open(servers[0].url)) == ("1", False)
    finally:
        for server in servers:
            server.close()


def test_each_part_of_a_life_may_be_on_another_thread() -> None:
    app = App()
    results: list[object] = []

    def on_a_thread(task: object, *arguments: object) -> None:
        thread = threading.Thread(target=lambda: results.append(task(*arguments)))  # type: ignore[operator]
        thread.start()
        thread.join(20)

    for number in range(4):
        on_a_thread(app.get(f"/{number}"), lambda req, number=number: str(number))
    on_a_thread(app.start)
    server = app.server
    assert server is not None
    asked = [threading.Thread(target=lambda n=n: results.append(ask(f"{server.url}/{n % 4}"))) for n in range(16)]
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join(20)
    on_a_thread(server.close)
    assert sorted(text for text in results if isinstance(text, str)) == sorted(str(n % 4) for n in range(16))
    assert not is_open(server.url)


def test_stop_comes_from_many_threads_at_once() -> None:
    app = App(threads=2)
    app.get("/")(lambda req: "hello")
    server = app.start()
    assert ask(server.url) == "hello"
    threads = [threading.Thread(target=server.close if number % 2 else app.stop) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert server.wait(1) and not is_open(server.url)
