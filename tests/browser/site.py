#!/usr/bin/env python3
"""The example site in a browser: everything on the page works, and it looks like something, by day and by night.

    site.py SITE FOLDER      SITE is the built site.c; the screenshots go to FOLDER
"""

import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/lib"), str(ROOT / "tests/browser")]

from protocol import done, expect, not_ok  # noqa: E402
from serving import Served  # noqa: E402
from webdriver import Browser, BrowserError  # noqa: E402

REFUSED = "Refused by your browser"

# What each row of the page shows when its button is pressed, in the order of the page.
ROWS = {
    "routes": [
        ("GET", "/hello/Ada%20Lovelace", "200 OK", '"hello": "Ada Lovelace"'),
        ("GET", "/rest/docs/a%2Fb.txt", "200 OK", '"raw_path": "/rest/docs/a%2Fb.txt"'),
        ("GET", "/search?q=fast+http&tag=c&tag=python", "200 OK", '"q": "fast http"'),
        ("POST", "/echo", "200 OK", '"name": "Ada"'),
        ("POST", "/greet", "200 OK", '"greeted": "Ada Lovelace"'),
        ("GET", "/visits", "200 OK", '"visits": 1'),
        ("DELETE", "/visits", "204 No Content", ""),
        ("GET", "/old", "200 OK", '"address": "127.0.0.1"'),
        ("GET", "/whoami", "200 OK", '"address": "127.0.0.1"'),
        ("HEAD", "/whoami", "200 OK", ""),
        ("OPTIONS", "/visits", "204 No Content", "allow: DELETE, GET, HEAD, OPTIONS"),
        ("GET", "/members/me", "401 Unauthorized", "members only"),
        ("GET", "/members/me", "200 OK", '"welcome": "Ada"'),
    ],
    "files": [
        ("GET", "/public/notes/", "200 OK", "two words.txt"),
        ("GET", "/public/notes/alpha.txt", "206 Partial Content", "cdef"),
        ("GET", "/public/notes/alpha.txt", "304 Not Modified", ""),
        ("GET", "/public/..%2f..%2fsite.c", "404 Not Found", '"error":'),
        ("GET", "/words", "200 OK", "content-encoding: gzip"),
    ],
    "upload": [("POST", "/measure", "200 OK", '"bytes": 100000')],
    "streams": [
        ("GET", "/countdown", "200 OK", "now"),
        ("GET", "/slow", "200 OK", '"slept":'),
        ("GET", "/forgotten", "504 Gateway Timeout", '"error":'),
    ],
    "origins": [
        ("GET", "/open/greeting", "200 OK", "whoever you are"),
        ("PUT", "/open/greeting", "200 OK", "whoever you are"),
        ("GET", "/open/nowhere", "404 Not Found", '"error":'),
        ("GET", "/open/greeting", REFUSED, ""),
        ("GET", "/trusting/greeting", "200 OK", "somebody I trust"),
        ("DELETE", "/trusting/greeting", REFUSED, ""),
        ("GET", "/whoami", REFUSED, ""),
    ],
    "limits": [
        ("POST", "/echo", "400 Bad Request", "line 2"),
        ("GET", "/nowhere", "404 Not Found", '"error":'),
        ("PUT", "/visits", "405 Method Not Allowed", "allow: DELETE, GET, HEAD, OPTIONS"),
        ("POST", "/small", "413 Content Too Large", '"error":'),
        ("GET", "/fail", "500 Internal Server Error", ""),
    ],
}


def loads(browser, url):
    browser.open(url)
    expect("the page has its title", "" if browser.run("return document.title") == "hasty" else "it has another")
    resources = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
    foreign = [name for name in resources if not name.startswith((url, "data:"))]
    expect("nothing comes from elsewhere", f"it loads {foreign}" if foreign else "")
    shown = browser.run("""
        const count = section => [section.id, section.querySelectorAll('.rows form').length];
        return Object.fromEntries([...document.querySelectorAll('main section')].map(count))""")
    wanted = {subject: len(rows) for subject, rows in ROWS.items()}
    expect("every row is there", "" if shown == wanted else f"{shown}, not {wanted}")


def the_clock_ticks(browser, url):
    browser.until("/^[0-9:]{8}$/.test($('clock').textContent)")
    first = browser.text("#clock")
    browser.until("$('clock').textContent !== given[0]", first)
    second = browser.text("#clock")
    expect("the clock ticks", "" if first < second or second == "00:00:00" else f"from {first} to {second}")
    browser.until("$('watching').textContent === '1'")
    with urllib.request.urlopen(url + "events", timeout=20) as another:
        another.readline()
        browser.until("$('watching').textContent === '2'")
    browser.until("$('watching').textContent === '1'")
    expect("the page tells how many watch", "")


def choose(browser, subject):
    browser.run("window.scrollTo({ top: 0, behavior: 'instant' })")
    browser.click(f"nav a[href='#{subject}']")


def every_row_answers(browser):
    for subject, rows in ROWS.items():
        choose(browser, subject)
        for number, (method, target, line, part) in enumerate(rows, 1):
            row = f"#{subject} .rows form:nth-child({number})"
            shown = browser.run("""
                const row = document.querySelector(arguments[0]);
                return [row.querySelector('.method').textContent, row.querySelector('.target').value]""", row)
            name = f"{subject}: {method} {target} shows {line}"
            if shown != [method, target]:
                not_ok(name, f"the row is {shown}")
                continue
            browser.click(f"{row} button")
            browser.until("!busy")
            got, text = browser.run("return [$('line').textContent, shown()]")
            wrong = f"it shows {got}" if got != line else f"{part!r} is not in {text!r}" if part not in text else ""
            expect(name, wrong)


def pieces_arrive_one_by_one(browser):
    choose(browser, "streams")
    browser.click("#streams .rows form:nth-child(1) button")
    browser.until("$('body').textContent.includes('three')")
    early = browser.text("#body")
    browser.until("$('body').textContent.includes('now')")
    expect("a stream shows before its end", f"its end came with its beginning: {early!r}" if "now" in early else "")


def files_are_uploaded(browser):
    choose(browser, "upload")
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "Grüße & mehr.txt"), Path(folder, "large.bin")
        small.write_text("Hello")
        large.write_bytes(bytes(range(256)) * 4096)
        browser.type("#chosen", f"{small}\n{large}")
        browser.type("#form input[name=title]", "Zwei Dateien")
        expect("the page names what was chosen", "" if browser.text("#picked") == f"{small.name}, {large.name}" else browser.text("#picked"))
        browser.click("#form button")
        browser.until("!$('received').hidden")
    rows = browser.run("return [...$('received').tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))")
    wanted = [[small.name, "text/plain", "5", "in a file"], [large.name, "application/octet-stream", "1,048,576", "in a file"]]
    expect("files arrive with name, type and length", "" if [row[:3] for row in rows] == [row[:3] for row in wanted] else f"{rows}, not {wanted}")
    expect("a large one is kept in a file", "" if rows and rows[-1][3] == "in a file" else f"{rows}")
    expect("a field of the same form arrives", "" if '"title": "Zwei Dateien"' in browser.text("#body") else browser.text("#body"))


def knocking_is_limited(browser):
    choose(browser, "limits")
    browser.click("#knock")
    browser.until("!$('knock').disabled && $('knocks').children.length === 12")
    codes = browser.run("return [...$('knocks').children].map(each => each.textContent)")
    expect("five are let in, then none", "" if codes == ["200"] * 5 + ["429"] * 7 else f"{codes}")
    text = browser.text("#head")
    missing = [field for field in ("retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset") if field not in text]
    expect("and told when to come back", f"{missing} is missing of {text!r}" if missing else "")


def the_log_tells(browser):
    browser.until("[...$('lines').querySelectorAll('.target')].some(each => each.textContent === '/limited')")
    statuses = browser.run("return [...new Set([...$('lines').querySelectorAll('[class^=s]')].map(each => each.textContent))].sort()")
    missing = {"200", "204", "206", "304", "404", "429", "500", "504"} - set(statuses)
    expect("the log has what was answered", f"{missing} is missing of {statuses}" if missing else "")


def it_is_seen(browser, folder):
    for name, width, height, scheme in (
        ("desktop", 1280, 900, "light"),
        ("desktop-dark", 1280, 900, "dark"),
        ("phone", 390, 844, "light"),
        ("phone-dark", 390, 844, "dark"),
    ):
        browser.resize(width, height, scheme)
        choose(browser, "routes")
        browser.run("document.querySelector('#answer').classList.remove('open'); window.scrollTo({ top: 0, behavior: 'instant' })")
        browser.run("return new Promise(drawn => setTimeout(() => requestAnimationFrame(drawn), 400))")
        wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        expect(f"{name}: nothing is too wide", f"it is {wide} pixels wider than the window" if wide > 0 else "")
        seen = browser.look(browser.screenshot(f"{folder}/site-{name}.png"))
        size = (seen["width"], seen["height"])
        expect(f"{name}: the screenshot is {width} by {height}", "" if size == (width, height) else f"it is {size}")
        expect(f"{name}: there is something to see", "" if seen["colours"] > 200 and seen["commonest"] < 0.9 else f"{seen}")
        right = seen["brightness"] < 80 if scheme == "dark" else seen["brightness"] > 200
        expect(f"{name}: it is {scheme}", "" if right else f"its brightness is {seen['brightness']:.0f} of 255")
        browser.screenshot(f"{folder}/site-{name}-whole.png", whole=True)


def main():
    site, folder = sys.argv[1:3]
    with Browser() as browser, Served([site, "0", ROOT / "examples-c"]) as served:
        for part, *arguments in (
            (loads, served.url),
            (the_clock_ticks, served.url),
            (every_row_answers,),
            (pieces_arrive_one_by_one,),
            (files_are_uploaded,),
            (knocking_is_limited,),
            (the_log_tells,),
            (it_is_seen, folder),
        ):
            try:
                part(browser, *arguments)
            except (BrowserError, OSError) as error:
                not_ok(part.__name__.replace("_", " "), f"{error}")
        said = [line for line in browser.said() if "Uncaught" in line or "SyntaxError" in line]
        expect("the scripts have no errors", "; ".join(said))
        code = served.stop()
        expect("the site ends with 0, watched as it is", "" if code == 0 else f"it ended with {code}: {served.said()}")
    return done()


if __name__ == "__main__":
    sys.exit(main())
