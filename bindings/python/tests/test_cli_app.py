"""`python -m hasty MODULE:NAME`: how an application is found, recognised and served."""

from __future__ import annotations

import functools
import http.client
import inspect
import json
import re
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any, Callable

import pytest
from _programs import is_soon
from commands import Command, Serve, serve

from hasty import App, loading, reload
from hasty.asgi import AsgiLoop
from hasty.loading import Refused, Target
from hasty.server import DRAIN_MS, HURRY_S

pytestmark = pytest.mark.long

__all__ = ["serve"]

HELLO = """
from hasty import App
app = App()

@app.get("/")
def hello(req):
    return "hello"
"""

WSGI = """
def {name}(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"wsgi on " + environ["SERVER_PROTOCOL"].encode()]
"""

ASGI = """
async def {name}(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"asgi " + scope["http_version"].encode()}})
"""


SLOW = """
import time
from hasty import App
app = App({options})

@app.get("/", blocking=True)
def slow(req):
    print("inside", flush=True)
    time.sleep(1.5)
    return "finished"
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], None]:
    """Writes a file below `tmp_path`."""

    def write(name: str, source: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)

    return write


Write = Callable[[str, str], None]


# --- found ---


@pytest.mark.parametrize("target", ["hello", "hello:app", "hello.py", "./hello.py", "hello.py:app"])
def test_an_app_in_a_module_of_the_working_directory(target: str, serve: Serve, write: Write) -> None:
    write("hello.py", HELLO)
    assert serve(target, "--port=0").text() == "hello"


def test_a_neighbour_wins_over_a_module_of_pythons_own(serve: Serve, write: Write) -> None:
    # Python has imported its own "site" before anybody could say which.
    write("site.py", HELLO)
    assert serve("site:app", "--port=0").text() == "hello"


@pytest.mark.parametrize("target", ["shop.web.pages", "shop/web/pages.py", "shop/web/pages.py:made.app"])
def test_an_app_in_a_package_with_relative_imports(target: str, serve: Serve, write: Write) -> None:
    write("shop/__init__.py", "greeting = 'from the package'")
    write("shop/web/__init__.py", "")
    write(
        "shop/web/pages.py",
        "from .. import greeting\nfrom hasty import App\napp = App()\napp.get('/')(lambda req: greeting)\n"
        "class made: pass\nmade.app = app",
    )
    assert serve(target, "--port=0").text() == "from the package"


@pytest.mark.parametrize("target", ["shop", "shop:app", "shop/__init__.py", "shop/:app"])
def test_a_package_itself(target: str, serve: Serve, write: Write, tmp_path: Path) -> None:
    write("lib/shop/__init__.py", HELLO)
    target = target.replace("shop/", "lib/shop/")
    assert serve(target, "--port=0", PYTHONPATH=f"{path_of_package()}:{tmp_path / 'lib'}").text() == "hello"


def path_of_package() -> Path:
    return Path(loading.__file__).resolve().parents[1]


def test_a_file_finds_its_neighbours_wherever_one_starts_it(serve: Serve, write: Write) -> None:
    write("deep/down/site.py", "from neighbour import app")
    write("deep/down/neighbour.py", HELLO)
    assert serve("deep/down/site.py", "--port=0").text() == "hello"


@pytest.mark.parametrize("name", ["sub/json.py", "my-site.py", "hello.wsgi", "__main__.py"])
def test_files_with_names_that_modules_cannot_have(name: str, serve: Serve, write: Write) -> None:
    # The application of the file, and what else is called so, are both there.
    write(name, f"{HELLO}\n@app.get('/json')\ndef number(req):\n    return {{'a': req.json()}}\n")
    command = serve(name, "--port=0")
    assert command.text() == "hello"
    assert command.ask("json").status == 400, "json.loads still is Python's"


@pytest.mark.parametrize(
    "source",
    [
        HELLO.replace("app", "application"),
        HELLO.replace("app", "website"),
        f"{HELLO}\nwebsite = app\ndel app",
    ],
)
def test_a_name_may_be_left_out(source: str, serve: Serve, write: Write) -> None:
    write("hello.py", source)
    assert serve("hello", "--port=0").text() == "hello"


@pytest.mark.parametrize("target", ["shop:create()", "shop.py:create()", "shop:Maker.make()"])
def test_a_function_that_makes_an_app(target: str, serve: Serve, write: Write) -> None:
    indented = HELLO.replace("\n", "\n    ")
    write("shop.py", f"def create():{indented}\n    return app\nclass Maker:\n    make = staticmethod(create)\n")
    assert serve(target, "--port=0").text() == "hello"


def test_a_program_that_serves_in_a_loop_at_its_end_is_served_at_our_port(serve: Serve, write: Write) -> None:
    write("hello.py", f"{HELLO}\nimport asyncio\nasyncio.run(app.serve(1))\n")
    command = serve("hello.py", "--port=0")
    assert command.text() == "hello"
    command.terminate()
    says = ["hasty: hello.py, line 10: passed over, since python -m hasty listens by itself"]
    assert command.end() == (0, [], says)


def test_a_lifespan_that_fails_is_told_with_its_traceback(serve: Serve, write: Write) -> None:
    write(
        "broken.py",
        """
async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
    raise RuntimeError("no database")
""",
    )
    code, _, lines = serve("broken", "--port=0", "--interface=asgi").end()
    assert code == 1
    assert lines[-1] == "hasty: the application failed to start: no database"
    assert 'raise RuntimeError("no database")' in "\n".join(lines) and "lifespan.py" not in "\n".join(lines)


def test_a_unix_socket(serve: Serve, write: Write, tmp_path: Path) -> None:
    write("hello.py", HELLO)
    command = serve("hello.py", f"--host=unix:{tmp_path}/app.sock")
    assert command.line() == f"unix:{tmp_path}/app.sock"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"{tmp_path}/app.sock")
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.makefile("rb").read().endswith(b"hello")
    command.terminate()
    assert command.end()[0] == 0


def test_a_unix_socket_has_no_port(serve: Serve, write: Write) -> None:
    write("hello.py", HELLO)
    assert serve("hello.py", "--host=unix:app.sock", "--port=1").end() == (
        2,
        [],
        ["hasty: --port is not for unix:app.sock, which has none"],
    )


def test_a_watched_process_has_as_long_to_end_as_one_alone() -> None:
    assert reload.GRACE_S > AsgiLoop.patience_s + HURRY_S + DRAIN_MS / 1000


@pytest.mark.parametrize("end", ["app.listen(8080)", "app.run(port=1)", 'if __name__ == "__main__":\n    app.listen()'])
def test_a_program_that_listens_at_its_end_is_served_at_our_port(end: str, serve: Serve, write: Write) -> None:
    write("hello.py", f"{HELLO}\n{end}\n")
    command = serve("hello.py", "--port=0")
    assert command.text() == "hello"
    command.terminate()
    says = ["hasty: hello.py, line 9: passed over, since python -m hasty listens by itself"]
    assert command.end()[2] == ([] if end.startswith("if") else says)


# --- not found ---


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("helo:app", 'there is no module "helo", neither in {cwd} nor where else Python looks'),
        ("hello.deep:app", 'there is no module "hello.deep", neither in {cwd} nor where else Python looks'),
        ("helo.py", "there is no file helo.py"),
        ("helo.py:app", "there is no file helo.py"),
        ("sub/helo:app", "there is no file sub/helo"),
        ("hidden:app", 'hidden has no "app"'),
        ("./hidden:app", "there is no file ./hidden/__init__.py"),
        ("hello:ap", 'hello has no "ap"; is it "app"?'),
        ("hello:zebra", 'hello has no "zebra"'),
        ("hello:app.zebra", 'hello has no "app.zebra"'),
        ("none", 'none has no "app" and no "application": give its name, as in none:create_app()'),
        ("empty.py", 'empty.py has no "app" and no "application": give its name, as in empty.py:NAME'),
        ("two", "two has several apps: name one, as in two:first"),
        ("none:number", "none:number is an int, not a hasty.App, nor a WSGI or ASGI application"),
        ("none:json", "none:json is a module, not a hasty.App, nor a WSGI or ASGI application"),
        (
            "none:create_app",
            "none:create_app is a function that is neither a WSGI nor an ASGI application; "
            "if it returns one, write none:create_app()",
        ),
        (
            "none:create_app()",
            "none:create_app() is None, not a hasty.App, nor a WSGI or ASGI application",
        ),
        ("none:number()", "none:number() cannot be called: number is an int"),
        ("none:needs()", "none:needs() cannot be called without arguments"),
        ("none:later()", "none:later() is an async function: a function that makes an application must be plain"),
        ("none:one", "none:one is a function that is neither a WSGI nor an ASGI application"),
        ("none:any", "none:any may be a WSGI or an ASGI application: add --interface wsgi or --interface asgi"),
        ("started", "this app was started already: an app runs only once, so make a new App to serve again"),
        (
            "hidden/json/tool.py",
            'hidden/json/tool.py is "json.tool", which Python finds elsewhere: another "json" comes first',
        ),
    ],
)
def test_what_is_not_there_is_one_sentence(target: str, says: str, serve: Serve, write: Write, tmp_path: Path) -> None:
    write("hello.py", HELLO)
    write("empty.py", "")
    write("two.py", "import hasty\nfirst, second = hasty.App(), hasty.App()")
    write(
        "none.py",
        "import json\nnumber = 3\ndef create_app(): pass\ndef needs(this): pass\nasync def later(): pass\n"
        "def one(a): pass\ndef any(*all): pass\n",
    )
    write("started.py", f"{HELLO}\napp.start()\n")
    write("hidden/json/__init__.py", "")
    write("hidden/json/tool.py", HELLO)
    command = serve(target, "--port=0")
    assert command.end() == (1, [], [f"hasty: {says.format(cwd=tmp_path)}"])


def test_an_interface_that_does_not_fit(serve: Serve, write: Write) -> None:
    write("hello.py", HELLO)
    command = serve("hello", "--port=0", "--interface", "wsgi")
    assert command.end() == (1, [], ["hasty: hello is a hasty.App; remove --interface wsgi"])


# --- code that fails ---


def test_an_exception_shows_the_lines_of_the_user_only(serve: Serve, write: Write, tmp_path: Path) -> None:
    write("hello.py", "import helper\n")
    write("helper.py", "def help():\n    return {}['key']\nhelp()\n")
    for target in ("hello:app", "hello.py"):
        code, out, err = serve(target, "--port=0").end()
        frames = [line for line in err if line.startswith("  File")]
        assert (code, out, err[0], err[-1]) == (1, [], "Traceback (most recent call last):", "KeyError: 'key'")
        assert frames == [
            f'  File "{tmp_path}/hello.py", line 1, in <module>',
            f'  File "{tmp_path}/helper.py", line 3, in <module>',
            f'  File "{tmp_path}/helper.py", line 2, in help',
        ]


def test_a_mistake_with_the_package_ends_at_the_line_that_made_it(serve: Serve, write: Write, tmp_path: Path) -> None:
    write("hello.py", f"{HELLO}\napp.get('users')(print)\n")
    code, _, err = serve("hello", "--port=0").end()
    assert [line for line in err if line.startswith("  File")] == [f'  File "{tmp_path}/hello.py", line 9, in <module>']
    assert code == 1 and err[-1].startswith("hasty.errors.InvalidError: ")


def test_an_exception_and_its_cause_are_both_trimmed(write: Write, tmp_path: Path, serve: Serve) -> None:
    write(
        "hello.py", "try:\n    import nothing_like_that\nexcept ImportError as error:\n    raise OSError from error\n"
    )
    code, _, err = serve("hello.py", "--port=0").end()
    frames = [line for line in err if line.startswith("  File")]
    assert frames == [f'  File "{tmp_path}/hello.py", line {line}, in <module>' for line in (2, 4)]
    assert (code, err[-1]) == (1, "OSError")


def test_a_syntax_error_is_shown_with_its_place(serve: Serve, write: Write, tmp_path: Path) -> None:
    write("hello.py", "app = 1\ndef f(:\n    pass\n")
    for target in ("hello", "hello.py"):
        code, out, err = serve(target, "--port=0").end()
        assert (code, out) == (1, [])
        assert f'  File "{tmp_path}/hello.py", line 2' in err and err[-1].startswith("SyntaxError: ")
        assert "importlib" not in "".join(err) and "loading.py" not in "".join(err)


def test_a_module_that_the_module_wants_is_another_matter(serve: Serve, write: Write) -> None:
    write("hello.py", "import nothing_like_that\n")
    code, _, err = serve("hello", "--port=0").end()
    assert (code, err[-1]) == (1, "ModuleNotFoundError: No module named 'nothing_like_that'")
    assert "    import nothing_like_that" in err


def test_a_function_that_fails_to_make_an_app(serve: Serve, write: Write, tmp_path: Path) -> None:
    write("hello.py", "def create_app():\n    raise RuntimeError('no database')\n")
    code, _, err = serve("hello:create_app()", "--port=0").end()
    assert [line for line in err if line.startswith("  File")] == [
        f'  File "{tmp_path}/hello.py", line 2, in create_app'
    ]
    assert (code, err[-1]) == (1, "RuntimeError: no database")


def test_a_module_that_ends_the_program_does(serve: Serve, write: Write) -> None:
    write("hello.py", "import sys\nsys.exit('set DATABASE first')\n")
    assert serve("hello", "--port=0").end() == (1, [], ["set DATABASE first"])


# --- recognised ---


def two(environ: Any, start_response: Any) -> Any: ...


def two_and_more(environ: Any, start_response: Any, debug: bool = False) -> Any: ...


async def three(scope: Any, receive: Any, send: Any) -> None: ...


async def three_and_more(scope: Any, receive: Any, send: Any, name: str = "") -> None: ...


def not_async(scope: Any, receive: Any, send: Any) -> Any: ...


class Two:
    def __call__(self, env: Any, start: Any) -> Any: ...

    def method(self, environ: Any, start: Any) -> Any: ...


class Three:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...


class Iterated:
    def __init__(self, environ: Any, start_response: Any) -> None: ...


class Forwarding:
    async def __call__(self, *arguments: Any) -> None: ...


@pytest.mark.parametrize(
    ("application", "kind"),
    [
        (App(), "hasty"),
        (two, "wsgi"),
        (two_and_more, "wsgi"),
        (Two(), "wsgi"),
        (Two().method, "wsgi"),
        (Iterated, "wsgi"),
        (functools.partial(two_and_more, debug=True), "wsgi"),
        (lambda environ, start: [], "wsgi"),
        (three, "asgi"),
        (three_and_more, "asgi"),
        (not_async, "asgi"),
        (Three(), "asgi"),
        (Three().method, "asgi"),
        (Forwarding(), "asgi"),
        (functools.partial(three_and_more, name="x"), "asgi"),
    ],
)
def test_an_application_is_recognised_by_its_shape(application: Any, kind: str) -> None:
    assert loading.interface(application, "it") == kind


@pytest.mark.parametrize(
    "application",
    [None, 3, "text", print, Two, Three, lambda: None, lambda *all: None, App],
)
def test_what_is_no_application_or_may_be_two_is_refused(application: Any) -> None:
    with pytest.raises(Refused):
        loading.interface(application, Target("module", "it", False))


def test_what_may_be_two_is_what_one_says() -> None:
    assert loading.interface(lambda *all: None, "it", "wsgi") == "wsgi"
    assert loading.interface(lambda *all: None, "it", "asgi") == "asgi"


@pytest.mark.parametrize("options", [[], ["--interface=wsgi"], ["--threads=3"]])
def test_a_wsgi_application(options: list[str], serve: Serve, write: Write) -> None:
    pytest.importorskip("hasty.wsgi")
    write("site.py", WSGI.format(name="application"))
    assert serve("site.py", "--port=0", *options).text("path") == "wsgi on HTTP/1.1"


def test_an_asgi_application(serve: Serve, write: Write) -> None:
    pytest.importorskip("hasty.asgi")
    write("site.py", ASGI.format(name="app"))
    command = serve("site.py", "--port=0", "--access-log=short")
    assert command.text("path") == "asgi 1.1"
    assert command.line().startswith("GET /path 200 8 B ")
    command.interrupt()
    assert command.end() == (0, [], [])


def test_threads_are_not_for_asgi(serve: Serve, write: Write) -> None:
    pytest.importorskip("hasty.asgi")
    write("site.py", ASGI.format(name="app"))
    says = "hasty: --threads is not for ASGI applications: site:app runs on one event loop"
    assert serve("site:app", "--threads=2", "--port=0").end() == (1, [], [says])


# --- served ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_an_app_within_a_second(number: signal.Signals, serve: Serve, write: Write) -> None:
    write("hello.py", HELLO)
    command = serve("hello", "--port=0")
    assert command.text() == "hello"
    began = time.monotonic()
    command.process.send_signal(number)
    assert command.end() == (0, [], [])
    assert is_soon(time.monotonic() - began)
    assert command.processes() == []


@pytest.mark.parametrize("arguments", [["--drain-timeout=20"], ["--drain-timeout=20", "--workers=2"]])
def test_a_shutdown_may_take_longer(arguments: list[str], serve: Serve, write: Write) -> None:
    write("slow.py", SLOW.format(options=""))
    command, texts = serve("slow", "--port=0", *arguments), list[str]()
    assert command.url
    client = threading.Thread(target=lambda: texts.append(command.text()))
    client.start()
    assert command.line() == "inside"
    command.terminate()
    client.join()
    assert texts == ["finished"]
    assert command.end() == (0, [], [])


def test_whoever_edits_does_not_wait_for_a_shutdown(serve: Serve, write: Write) -> None:
    write("slow.py", SLOW.format(options="drain_timeout_ms=20_000").replace("1.5", "60"))
    command, ends = serve("slow", "--port=0", "--reload"), list[str]()

    def ask() -> None:
        try:
            ends.append(command.text())
        except (OSError, http.client.HTTPException) as error:
            ends.append(type(error).__name__)

    assert command.url
    client = threading.Thread(target=ask)
    client.start()
    assert command.line() == "inside"
    began = time.monotonic()
    command.terminate()
    command.end()
    client.join()
    assert is_soon(time.monotonic() - began)
    assert len(ends) == 1


def test_ctrl_c_while_a_module_is_imported(serve: Serve, write: Write) -> None:
    # Python does not see a signal that comes just before a sleep until that is over: so many short ones.
    write("hello.py", "import time\nprint('importing', flush=True)\nwhile True:\n    time.sleep(0.01)\n")
    command = serve("hello", "--port=0")
    assert command.line() == "importing"
    command.interrupt()
    assert command.end() == (0, [], [])


def test_an_app_that_ends_itself(serve: Serve, write: Write) -> None:
    write("hello.py", f"{HELLO}\n@app.get('/bye')\ndef bye(req):\n    app.stop()\n    return 'bye'\n")
    command = serve("hello", "--port=0")
    assert command.text("bye") == "bye"
    assert command.end() == (0, [], [])


def test_threads(serve: Serve, write: Write) -> None:
    write(
        "meet.py",
        "import threading\nfrom hasty import App\napp, both = App(), threading.Barrier(2, timeout=20)\n"
        "@app.get('/')\ndef meet(req):\n    both.wait()\n    return 'met'\n",
    )
    command, texts = serve("meet", "--port=0", "--threads=2"), list[str]()
    assert command.url
    clients = [threading.Thread(target=lambda: texts.append(command.text())) for _ in range(2)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert texts == ["met", "met"]


@pytest.mark.skipif("workers" not in inspect.signature(App.listen).parameters, reason="listen() has no workers yet")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_are_processes_and_end_together(number: signal.Signals, serve: Serve, write: Write) -> None:
    write("hello.py", "import os\nfrom hasty import App\napp = App()\napp.get('/')(lambda req: str(os.getpid()))\n")
    command = serve("hello", "--port=0", "--workers=2")
    pids = {command.text()}
    until = time.monotonic() + 20
    # Which of them a connection comes to is the system's choice.
    while len(pids) < 2 and time.monotonic() < until:
        pids.add(command.text())
    assert len(pids) == 2
    began = time.monotonic()
    command.process.send_signal(number)
    assert command.end() == (0, [], [])
    assert is_soon(time.monotonic() - began)
    assert command.processes() == []


@pytest.mark.parametrize("style", ["short", "common", "combined", "json"])
def test_the_access_log_of_an_app(style: str, serve: Serve, write: Write) -> None:
    write("hello.py", HELLO)
    command = serve("hello", "--port=0", "--access-log", style)
    assert command.text() == "hello"
    line = command.line()
    if style == "json":
        assert json.loads(line)["status"] == 200
    elif style == "short":
        assert line.startswith("GET / 200 5 B ")
    else:
        assert re.match(r'127\.0\.0\.1 - - \[.*\] "GET / HTTP/1\.1" 200 5', line)


def test_an_app_writes_no_line_for_a_request_unless_asked(serve: Serve, write: Write) -> None:
    write("hello.py", HELLO)
    command = serve("hello", "--port=0")
    assert command.text() == "hello"
    command.terminate()
    assert command.end() == (0, [], [])


LOGS = f"""
import logging
{HELLO}
logging.getLogger("hasty").debug("from hasty")
log = logging.getLogger("shop")
@app.get("/log")
def write(req):
    log.debug("in detail")
    log.info("in short")
    log.warning("in danger")
"""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["WARNING shop: in danger"]),
        (["--log-level=info"], ["INFO shop: in short", "WARNING shop: in danger"]),
        (["--log-level=error"], []),
    ],
)
def test_the_level_of_the_log(options: list[str], expected: list[str], serve: Serve, write: Write) -> None:
    write("hello.py", LOGS)
    command = serve("hello", "--port=0", *options)
    assert command.ask("log").status == 204
    command.terminate()
    assert command.end() == (0, [], expected)


def test_an_app_that_has_arranged_its_log_keeps_that(serve: Serve, write: Write) -> None:
    write("hello.py", f"import logging\nlogging.basicConfig(level='INFO', format='mine: %(message)s')\n{LOGS}")
    command = serve("hello", "--port=0", "--log-level=error")
    assert command.ask("log").status == 204
    command.terminate()
    assert command.end() == (0, [], ["mine: in short", "mine: in danger"])


def test_a_handler_that_fails_shows_its_traceback(serve: Serve, write: Write) -> None:
    write("hello.py", f"{HELLO}\n@app.get('/fail')\ndef fail(req):\n    return 1 / 0\n")
    command: Command = serve("hello", "--port=0")
    assert command.ask("fail").status == 500
    command.terminate()
    code, _, err = command.end()
    assert (code, err[0]) == (0, "ERROR hasty: GET /fail: fail failed") and err[-1].startswith("ZeroDivisionError")
