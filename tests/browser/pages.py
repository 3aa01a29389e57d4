#!/usr/bin/env python3
"""The pages of examples in a browser: the clock of `stream` ticks, the form of `upload` sends, the links of `static` lead on.

    pages.py EXAMPLE...      built programs, or scripts of Python's, called stream, upload or static
"""

import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/lib"), str(ROOT / "tests/browser")]

from protocol import done, expect, not_ok  # noqa: E402
from serving import Served  # noqa: E402
from webdriver import Browser, BrowserError  # noqa: E402


def stream(browser, name):
    browser.until("/^[0-9:]{8}$/.test(document.querySelector('#clock').textContent)")
    first = browser.text("#clock")
    browser.until("document.querySelector('#clock').textContent !== given[0]", first)
    expect(f"{name}: the clock ticks", "")
    requests = browser.run("return performance.getEntriesByType('resource').filter(entry => entry.name.endsWith('/clock')).length")
    expect(f"{name}: it holds one connection", f"it came {requests} times" if requests > 1 else "")


def upload(browser, name):
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, "Grüße.txt"), Path(folder, "large.bin")]
        files[0].write_text("Hello")
        files[1].write_bytes(b"x" * 3000000)
        browser.type("input[name=title]", "Zwei Dateien")
        browser.type("input[type=file]", "\n".join(map(str, files)))
        browser.click("button")
        browser.until("location.pathname === '/upload' && document.readyState === 'complete'")
    answer = json.loads(browser.run("return document.body.innerText"))
    expect(f"{name}: a field of the form arrives", "" if answer["title"] == "Zwei Dateien" else f"{answer}")
    got = [(file["name"], file["bytes"]) for file in answer["files"]]
    expect(f"{name}: the files of the form arrive", "" if got == [("Grüße.txt", 5), ("large.bin", 3000000)] else f"{got}")


def static(browser, name):
    for link, line in (("/notes/", "two words.txt"), ("./two%20words.txt", "has a space")):
        browser.click(f"a[href='{link}']")
        browser.until("document.readyState === 'complete' && document.body.innerText.includes(given[0])", line)
    expect(f"{name}: links lead to a listing, and on to a file", "")


def main():
    with Browser() as browser, tempfile.TemporaryDirectory() as scratch:
        for number, path in enumerate(map(Path, sys.argv[1:])):
            command = [sys.executable, path] if path.suffix == ".py" else [path]
            more = ["0", f"{scratch}/{number}"] if path.stem == "upload" else []
            try:
                with Served([*command, *more], PYTHONPATH=str(ROOT / "bindings/python/src")) as served:
                    browser.open(served.url)
                    {"stream": stream, "upload": upload, "static": static}[path.stem](browser, path.name)
                    code = served.stop()
                    expect(f"{path.name}: ends with 0, watched as it is", f"it ended with {code}: {served.said()}" if code else "")
            except (BrowserError, RuntimeError, OSError) as error:
                not_ok(path.name, str(error).splitlines()[-1].strip())
    return done()


if __name__ == "__main__":
    sys.exit(main())
