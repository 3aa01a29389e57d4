"""works.py LIB_FOLDER: an installed hasty works by itself. Runs on every Python, in an environment that has nothing else."""

import http.client
import importlib
import importlib.metadata
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

sys.path.append(sys.argv[1])

import hasty  # noqa: E402
from protocol import done, expect  # noqa: E402


def same(found, wanted):
    return "" if found == wanted else f"{found!r} instead of {wanted!r}"


def where():
    tools = [tool for tool in ("cargo", "rustc", "cc", "ld") if shutil.which(tool)]
    expect("there is no Rust here, nor a compiler", " ".join(tools))
    inside = Path(sys.prefix).resolve()
    files = [Path(hasty.__file__).resolve(), hasty._ffi.PATH.resolve()]
    expect(
        "package and library are those of the environment",
        " ".join(str(file) for file in files if inside not in file.parents),
    )
    expect("package and library have one version", same(importlib.metadata.version("hasty"), hasty.__version__))
    needed = [each for each in importlib.metadata.requires("hasty") or () if "extra ==" not in each]
    expect("it needs no other package", " ".join(needed))


def modules():
    failed = []
    for file in Path(hasty.__file__).parent.glob("*.py"):
        try:
            # What is started by its name would start.
            file.stem == "__main__" or importlib.import_module(f"hasty.{file.stem}")
        except Exception as error:
            failed.append(f"{file.name}: {error!r}")
    expect("every module can be imported", "; ".join(failed))


def ask(url, path, **headers):
    """The answer to a GET, with its body read."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.body = answer.read()
    connection.close()
    return answer


def app():
    app = hasty.App()
    app.get("/hello/:name")(lambda req: f"Hello, {req.params['name']}!")
    app.get("/long")(lambda req: "again and " * 1000)

    @app.get("/data")
    def data(req):
        return {"method": req.method, "query": req.query["q"]}

    @app.get("/pieces")
    def pieces(req):
        yield "one, "
        yield "two"

    return app


def requests():
    with app().start(port=0) as server:
        expect("a request is answered", same(ask(server.url, "/hello/Ada").body, b"Hello, Ada!"))
        expect("JSON is answered", same(ask(server.url, "/data?q=1").body, b'{"method":"GET","query":"1"}'))
        expect("a stream is answered", same(ask(server.url, "/pieces").body, b"one, two"))
        expect("what is not there is 404", same(ask(server.url, "/nothing").status, 404))
        short = ask(server.url, "/long", **{"Accept-Encoding": "br"})
        expect("the library has brotli", same(short.getheader("Content-Encoding"), "br"))


def command():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "page.txt").write_text("a page")
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "hasty", folder, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            url = process.stdout.readline().strip()
            wrong = (
                ""
                if url.startswith("http://")
                else f"it says {url!r} {process.stdout.read() if process.poll() else ''}"
            )
            expect("python -m hasty serves a folder", wrong or same(ask(url, "/page.txt").body, b"a page"))
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            expect("and ends at Ctrl-C", same(process.wait(30), 0))
        finally:
            process.kill()
            process.communicate()


where()
modules()
requests()
command()
sys.exit(done())
