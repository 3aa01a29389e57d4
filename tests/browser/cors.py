#!/usr/bin/env python3
"""Pages of one origin fetch from another, in a browser: what the policies of examples and of origins.c let them read.

    cors.py ORIGINS EXAMPLE...

ORIGINS is the built origins.c; each EXAMPLE a built cors.c, or a cors.py.
"""

import http.server
import sys
import threading
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/lib"), str(ROOT / "tests/browser")]

from protocol import done, expect, not_ok  # noqa: E402
from serving import Served  # noqa: E402
from webdriver import Browser, BrowserError  # noqa: E402

# What the page learns of a fetch: whether it may read the answer, and all that it then can.
FETCH = """
    const [url, options] = arguments;
    return fetch(url, options).then(
        async answer => ({
            read: answer.type !== 'opaque', status: answer.status,
            headers: Object.fromEntries(answer.headers), body: await answer.text(),
        }),
        error => ({ read: false, error: String(error) }))"""


# A frame without an origin of its own, whose script fetches: its Origin is null.
FRAMED = """
    const [url, fetches] = arguments, frame = document.createElement('iframe');
    frame.sandbox = 'allow-scripts';
    frame.srcdoc = `<script>(function () {${fetches}})(${JSON.stringify(url)}, {}).then(got => parent.postMessage(got, '*'))</` + 'script>';
    return new Promise(told => {
        addEventListener('message', event => { frame.remove(); told(event.data); }, { once: true });
        document.documentElement.append(frame);
    })"""

# What an EventSource hears until it is over, or that it may not hear it.
LISTEN = """
    const [url, withCredentials] = arguments, source = new EventSource(url, { withCredentials });
    return new Promise(told => {
        const heard = [], end = what => { source.close(); told(what); };
        source.addEventListener('who', event => heard.push(event.data));
        source.addEventListener('over', () => end(heard));
        source.onerror = () => end(null);
    })"""


class EmptyPage(http.server.BaseHTTPRequestHandler):
    """The page whose scripts fetch. It is of whichever origin it was asked for."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", "15")
        self.end_headers()
        self.wfile.write(b"<!doctype html>")

    def log_message(self, *_):
        pass


class Pages:
    """Another origin: a port that serves empty pages."""

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage)
        self.port = self.server.server_address[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def named(self, host):
        """The same pages under another name; Chromium takes everything below localhost for this machine."""
        return f"http://{host}:{self.port}"


class Conversation:
    """A page of one origin that fetches from a server of another."""

    def __init__(self, browser, base):
        self.browser, self.base, self.origin = browser, base, None

    def page_of(self, origin):
        if origin != self.origin:
            self.browser.open(origin + "/")
            self.origin = origin
        return self

    def fetch(self, target, options=None, **more):
        return self.browser.run(FETCH, self.base + target, {**(options or {}), **more})

    def seen(self):
        """What the server has answered since the last look, but for the look itself."""
        with urllib.request.urlopen(self.base + "/seen", timeout=10) as answer:
            return [line for line in answer.read().decode().splitlines() if " /seen " not in line]

    def may(self, name, target, status=200, headers=None, absent=(), body=None, **options):
        """The page may read the answer."""
        got = self.fetch(target, **options)
        wrong = ""
        if not got["read"]:
            wrong = f"it could not: {got.get('error')}"
        elif got["status"] != status:
            wrong = f"status {got['status']}, not {status}"
        elif body is not None and body not in got["body"]:
            wrong = f"body {got['body']!r} lacks {body!r}"
        for field, value in (headers or {}).items():
            if not wrong and got["headers"].get(field) != value:
                wrong = f"{field} is {got['headers'].get(field)!r}, not {value!r}"
        for field in absent:
            if not wrong and field in got["headers"]:
                wrong = f"it can read {field}"
        expect(f"{self.label}: {name}", wrong)

    def may_not(self, name, target, **options):
        """The page learns nothing of the answer."""
        got = self.fetch(target, **options)
        expect(f"{self.label}: {name}", f"it could: {got['status']} {got['body']!r}" if got["read"] else "")

    def hears(self, name, target, wanted, credentials=False):
        """An EventSource of the page hears this, or nothing where that is None."""
        heard = self.browser.run(LISTEN, self.base + target, credentials)
        expect(f"{self.label}: {name}", "" if heard == wanted else f"it hears {heard}, not {wanted}")

    def framed(self, target):
        """What a frame without an origin learns."""
        return self.browser.run(FRAMED, self.base + target, FETCH)

    def reached(self, name, *lines):
        """The server answered these requests and no others since the last look."""
        seen = self.seen()
        expect(f"{self.label}: {name}", "" if seen == list(lines) else f"it answered {seen}, not {list(lines)}")


def any_origin(c, pages):
    c.label = "any origin"
    c.page_of(pages.origin).seen()
    c.may("a page may read", "/any/answer", body='"method":"GET"')
    c.reached("a simple request needs no preflight", "GET /any/answer 200")
    c.may("a page sees the exposed fields only", "/any/answer", headers={"x-exposed": "for pages"}, absent=("x-hidden",))
    c.may("a page may post text", "/any/answer", method="POST", body='"body":"hello"', **sent("hello"))
    c.seen()
    c.may("a page may use any method", "/any/answer?1", method="DELETE", body='"method":"DELETE"')
    c.reached("which needs a preflight", "OPTIONS /any/answer?1 204", "DELETE /any/answer?1 200")
    c.may("and not again within the max age", "/any/answer?1", method="DELETE")
    c.reached("the preflight was kept", "DELETE /any/answer?1 200")
    c.may("a page may set any field", "/any/answer?2", body='"reason":"why not"', **with_field("X-Reason", "why not"))
    c.reached("which needs a preflight", "OPTIONS /any/answer?2 204", "GET /any/answer?2 200")
    c.may("a page may post JSON", "/any/answer?3", method="POST", body=r'"body":"{}"', **sent("{}", "application/json"))
    c.reached("which needs a preflight", "OPTIONS /any/answer?3 204", "POST /any/answer?3 200")
    c.may_not("a page may not read with credentials", "/any/answer?4", credentials="include")
    c.reached("although it was answered", "GET /any/answer?4 200")
    c.may_not("a preflight with credentials lets nothing through", "/any/answer?5", method="PUT", credentials="include")
    c.reached("the handler did not run", "OPTIONS /any/answer?5 204")


def other_ways(c, pages, stranger):
    """Not only handlers answer, and not only fetch() asks."""
    c.label = "other ways"
    c.page_of(pages.origin)
    c.may("a page may read a file", "/any/files/alpha.txt", body="abcdef")
    c.may("a page may read a part of a file", "/any/files/alpha.txt?1", status=206, body="cdef", **with_field("Range", "bytes=2-5"))
    c.may_not("a page may not read a file below no policy", "/none/files/alpha.txt")
    c.may("a page may read what the rate limit lets through", "/any/limited")
    c.may("a page may read that it came too often", "/any/limited", status=429)
    c.may("a page may take what it is sent while it is written", "/any/events", body="event: over")
    c.hears("a page may hear events", "/any/events", ["nobody"])
    c.hears("a page may not hear events with credentials", "/any/events", None, credentials=True)
    c.hears("a listed page may, and its cookie is sent", "/list/events", ["Ada"], credentials=True)
    c.hears("a page may not hear events below no policy", "/none/events", None)
    got = c.framed("/any/answer")
    expect(f"{c.label}: a frame without an origin may read what is open to all", "" if got["read"] else f"{got}")
    got = c.framed("/list/answer")
    expect(f"{c.label}: but not what is for listed origins", f"{got}" if got["read"] else "")
    c.page_of(stranger.origin)
    c.hears("a stranger may not hear events", "/list/events", None, credentials=True)


def errors(c, pages):
    c.label = "errors"
    c.page_of(pages.origin)
    for prefix, credentials in (("/any", "omit"), ("/list", "include")):
        c.may(f"a page may read a 404 below {prefix}", f"{prefix}/nothing", status=404, credentials=credentials)
        c.may(f"a page may read a 405 below {prefix}", f"{prefix}/cookie", status=405, credentials=credentials)
        c.may(f"a page may read a 413 below {prefix}", f"{prefix}/small", status=413, method="POST", credentials=credentials, **sent("far too long"))
        c.may(f"a page may read a 500 below {prefix}", f"{prefix}/fails", status=500, credentials=credentials)
        c.may(f"a page follows a redirect below {prefix}", f"{prefix}/moved", body='"method":"GET"', credentials=credentials)


def listed_origins(c, pages, sibling, stranger):
    c.label = "listed origins"
    c.page_of(pages.origin).seen()
    c.may("a listed page may read", "/list/answer")
    c.may("a listed page may read with credentials", "/list/answer", credentials="include", body='"cookie":null')
    c.may("a cookie may be set for the other origin", "/list/cookie", method="POST", credentials="include")
    c.may("and comes back", "/list/answer", credentials="include", body='"cookie":"Ada"')
    c.may("but not without credentials", "/list/answer", credentials="omit", body='"cookie":null')
    c.may("a page sees the exposed fields only", "/list/answer", credentials="include", headers={"x-exposed": "for pages"}, absent=("x-hidden",))
    c.seen()
    c.may("a method on the list passes", "/list/answer?1", method="PUT", credentials="include", body='"cookie":"Ada"')
    c.reached("after a preflight without the cookie", "OPTIONS /list/answer?1 204", "PUT /list/answer?1 200")
    c.may_not("a method that is not on the list does not", "/list/answer?2", method="DELETE")
    c.reached("the handler did not run", "OPTIONS /list/answer?2 204")
    c.may("a field on the list passes", "/list/answer?3", body='"reason":"because"', **with_field("X-Reason", "because"))
    c.seen()
    c.may_not("a field that is not on the list does not", "/list/answer?4", **with_field("X-Other", "because"))
    c.reached("the handler did not run", "OPTIONS /list/answer?4 204")
    c.may("a listed page may read what a cache may keep", "/list/cached")

    c.page_of(sibling.origin)
    c.may("another listed page is not served the answer kept for the first", "/list/cached", body="kept")

    c.page_of(stranger.origin).seen()
    c.may_not("a stranger may not read", "/list/answer")
    c.may_not("nor with credentials", "/list/answer", credentials="include")
    c.may_not("nor what others have in the cache", "/list/cached")
    c.may_not("nor an error", "/list/nothing")
    c.seen()
    c.may_not("a stranger's preflight lets nothing through", "/list/answer?5", method="PUT")
    c.reached("the handler did not run", "OPTIONS /list/answer?5 204")
    c.page_of(pages.named("localhost"))
    c.may_not("a listed origin under another name is a stranger", "/list/answer")


def subdomains(c, pages, stranger):
    c.label = "subdomains"
    c.page_of(pages.named("app.localhost")).seen()
    c.may("a subdomain may read", "/wild/answer")
    c.seen()
    for _ in range(2):
        c.may("a subdomain may use other methods", "/wild/answer?1", method="PUT")
    preflighted = ["OPTIONS /wild/answer?1 204", "PUT /wild/answer?1 200"]
    c.reached("with a max age of none every one has its preflight", *preflighted, *preflighted)
    c.may_not("a subdomain may not read with credentials, which the policy does not allow", "/wild/answer", credentials="include")
    c.page_of(pages.named("a.b.localhost"))
    c.may("a subdomain's subdomain may read", "/wild/answer")
    c.page_of(pages.named("localhost"))
    c.may_not("the domain itself may not", "/wild/answer")
    c.page_of(stranger.named("app.localhost"))
    c.may_not("another port of a subdomain may not", "/wild/answer")


def no_policy(c, pages):
    c.label = "no policy"
    c.page_of(pages.origin).seen()
    c.may_not("a page may not read", "/none/answer")
    c.reached("although it was answered", "GET /none/answer 200")
    c.may_not("a page may not read what no policy covers, whatever its mode", "/none/answer", mode="no-cors")
    c.seen()
    c.may_not("a preflight lets nothing through", "/none/answer?1", method="PUT")
    c.reached("it was answered as any OPTIONS", "OPTIONS /none/answer?1 200")
    c.page_of(c.base)
    c.may("the same origin needs no policy", "/none/answer", method="PUT", headers={"x-hidden": "not for pages"})


def example(c, pages, stranger):
    c.page_of(pages.origin)
    c.may("open to all", "/public/greeting", body='{"hello":"whoever you are"}')
    c.may("its count is exposed", "/public/notes", headers={"x-total-count": "2"})
    c.may("open to all methods", "/public/notes", method="DELETE")
    c.may_not("no credentials for all", "/public/greeting", credentials="include")
    c.may("the trusted page may log in", "/account/login", status=204, method="PUT", credentials="include", **with_field("X-Reason", "to be known"))
    c.may("and is known then", "/account/me", credentials="include", body="you are Ada")
    c.may_not("private without a policy", "/private")
    c.page_of(stranger.origin)
    c.may("open to strangers", "/public/greeting")
    c.may_not("the account is closed to strangers", "/account/me", credentials="include")


def one_line(error):
    """What went wrong: the last line, as of a traceback."""
    return str(error).splitlines()[-1].strip()


def sent(text, kind="text/plain"):
    return {"options": {"body": text, "headers": {"Content-Type": kind}}}


def with_field(name, value):
    return {"options": {"headers": {name: value}}}


def main():
    origins, examples = sys.argv[1], sys.argv[2:]
    pages, sibling, stranger = Pages(), Pages(), Pages()
    with Browser() as browser:
        listed = f"{pages.origin}, {sibling.origin}"
        with Served([origins, "0", listed, pages.named("*.localhost")]) as served:
            c = Conversation(browser, served.url.rstrip("/"))
            for part, *others in (
                (any_origin,),
                (errors,),
                (listed_origins, sibling, stranger),
                (other_ways, stranger),
                (subdomains, stranger),
                (no_policy,),
            ):
                try:
                    part(c, pages, *others)
                except (BrowserError, OSError) as error:
                    not_ok(f"{c.label}: to its end", f"{error}")
            code = served.stop()
            expect("origins.c ends with 0", "" if code == 0 else f"it ended with {code}: {served.said()}")
        for path in map(Path, examples):
            command = [sys.executable, path] if path.suffix == ".py" else [path]
            try:
                with Served([*command, "0", pages.origin], PYTHONPATH=str(ROOT / "bindings/python/src")) as served:
                    c = Conversation(browser, served.url.rstrip("/"))
                    c.label = path.name
                    example(c, pages, stranger)
            except (BrowserError, RuntimeError, OSError) as error:
                not_ok(path.name, one_line(error))
    return done()


if __name__ == "__main__":
    sys.exit(main())
