"""A test client: real HTTP over a real socket, with an interface like that of other clients."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterable, Mapping
from email.utils import parsedate_to_datetime
from http.cookies import CookieError, Morsel, SimpleCookie
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, NoReturn, TypedDict, Union
from urllib.parse import quote, urlencode

from . import _json
from .headers import Headers

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Answer", "Client"]

_Fields = Union[Mapping[str, str], Iterable[tuple[str, str]]]
_Query = Union[Mapping[str, Any], Iterable[tuple[str, Any]]]
#: Files by field name: bytes, str or an open file; or (filename, one of these), optionally with a content type; or a
#: list of these.
_Uploads = Union[Mapping[str, Any], Iterable[tuple[str, Any]]]


#: Names of these arguments in Flask's and FastAPI's test clients, httpx and requests, and the ones to use here.
_OURS = {
    "params": "query=",
    "query_string": "query=",
    "data": "form= for fields, body= for text and bytes",
    "content": "body=",
}
_PARTS = "query=, headers=, body=, json=, form= and files="


class Parts(TypedDict, total=False):
    """Parts of a request, as keyword arguments of `Client.get()` and the other methods."""

    query: _Query | None
    headers: _Fields | None
    body: str | bytes | None
    json: Any
    form: _Query | None
    files: _Uploads | None


class Answer:
    """A response that the client has received: `status_code`, `reason`, `headers` and `body` (bytes)."""

    __slots__ = ("body", "headers", "reason", "status_code")

    def __init__(self, status_code: int, reason: str, headers: Headers, body: bytes) -> None:
        self.status_code = status_code
        self.reason = reason
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        """The body decoded as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """Returns the body parsed as JSON."""
        return _json.decode(self.text)

    def __repr__(self) -> str:
        return f"<Answer {self.status_code} {self.reason}, {len(self.body)} bytes>"


class Client:
    """Sends requests to one server; keeps its connection open and stores cookies.

    >>> from hasty import App, Response
    >>> app = App()
    >>> @app.get("/visit")
    ... def visit(req):
    ...     count = int(req.cookies.get("count", "0")) + 1
    ...     return Response.text(f"visit {count}").cookie("count", str(count))
    >>> with app.test_client() as client:
    ...     client.get("/visit").text, client.get("/visit").text
    ('visit 1', 'visit 2')

    Use it from one thread at a time. Redirects are not followed; see `answer.headers["location"]`.
    """

    def __init__(self, host: str, port: int, on_close: Callable[[], None] | None = None) -> None:
        host = host.strip("[]")
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self._connection = http.client.HTTPConnection(host, port, timeout=30)
        self._on_close = on_close
        #: Cookies by name; may be changed. Each is sent where its Path says, regardless of Domain and Secure; those
        #: that you add or change, with every request.
        self.cookies: dict[str, str] = {}
        # The values that the server has set, with their paths.
        self._set: dict[str, tuple[str, str]] = {}

    def request(
        self,
        method: str,
        path: str,
        *,
        query: _Query | None = None,
        headers: _Fields | None = None,
        body: str | bytes | None = None,
        json: Any = None,
        form: _Query | None = None,
        files: _Uploads | None = None,
        **unknown: NoReturn,
    ) -> Answer:
        """Sends a request and returns the whole Answer. Give at most one of `body`, `json` and `form`.

        `query`, `headers` and `form` are mappings or pairs; a list is sent as several values. `files` makes a multipart
        form, whose other fields are those of `form`. A file is bytes, str, an open file, or a tuple of a filename, one
        of these and optionally a content type, as in `{"photo": ("cat.png", b"...", "image/png")}`; several files are a
        list.

        Raises TypeError for other arguments or combinations, and OSError if the server cannot be reached.
        """
        for name in unknown:
            raise TypeError(f"{name}= is not an argument of the test client: write {_OURS.get(name, _PARTS)}")
        if sum(given is not None for given in (body, json, form)) > 1 or (files and (body, json) != (None, None)):
            raise TypeError("give one of body, json and form (or files, which go with form)")
        fields: list[tuple[str, str]] = _listed(headers or ())
        given = {name.lower() for name, _ in fields}
        kind = None
        if json is not None:
            body, kind = _json.encode(json), "application/json"
        elif files is not None:
            body, kind = _multipart(_listed(form or ()), _listed_files(files))
        elif form is not None:
            body, kind = urlencode(_listed(form)), "application/x-www-form-urlencoded"
        if kind and "content-type" not in given:
            fields.append(("Content-Type", kind))
        data = body.encode() if isinstance(body, str) else body
        if "content-length" not in given and "transfer-encoding" not in given:
            if data is not None or method in ("POST", "PUT", "PATCH"):
                fields.append(("Content-Length", str(len(data or b""))))
        if query is not None:
            path += ("&" if "?" in path else "?") + urlencode(_listed(query))
        # Existing percent-escapes, and characters that a target may contain, stay as they are.
        target = quote(path, safe="!#$%&'()*+,/:;=?@[]~")
        cookies = self._cookies_for(target.partition("?")[0])
        if cookies and "cookie" not in given:
            fields.append(("Cookie", cookies))
        return self._exchange(method, target, fields, data, "host" in given, "accept-encoding" in given)

    def _exchange(
        self, method: str, target: str, fields: list[tuple[str, str]], data: bytes | None, host: bool, coding: bool
    ) -> Answer:
        connection = self._connection
        reused = connection.sock is not None
        while True:
            try:
                connection.putrequest(method, target, skip_host=host, skip_accept_encoding=coding)
                for name, value in fields:
                    connection.putheader(name, value)
                connection.endheaders(data)
                with connection.getresponse() as response:
                    octets = response.read()
                break
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                # The server may have closed an idle connection; retry once on a new one.
                connection.close()
                if not reused:
                    raise
                reused = False
            except BaseException:
                connection.close()
                raise
        found = Headers(response.getheaders())
        self._keep_cookies(found, target.partition("?")[0])
        return Answer(response.status, response.reason, found, octets)

    def _cookies_for(self, path: str) -> str:
        pairs = self.cookies.items()
        return "; ".join(f"{name}={value}" for name, value in pairs if self._goes_to(path, name, value))

    def _goes_to(self, path: str, name: str, value: str) -> bool:
        known, root = self._set.get(name, (value, "/"))
        # RFC 6265 5.1.4: the cookie's path is the same, or what precedes a slash in the request's.
        return known != value or path == root or path.startswith(root.rstrip("/") + "/")

    def _keep_cookies(self, headers: Headers, path: str) -> None:
        for line in headers.getall("set-cookie"):
            try:
                morsels = SimpleCookie(line).values()
            except CookieError:
                continue
            for morsel in morsels:
                given = morsel["path"]
                # RFC 6265 5.1.4: the default is the directory of the request's path.
                root = given if given.startswith("/") else path[: path.rfind("/")] or "/"
                if not _is_over(morsel):
                    self._set[morsel.key] = morsel.coded_value, root
                    self.cookies[morsel.key] = morsel.coded_value
                elif self._set.get(morsel.key, ("", root))[1] == root:
                    # As in a browser, another path means another cookie, which stays.
                    self.cookies.pop(morsel.key, None)

    def get(self, path: str, **parts: Unpack[Parts]) -> Answer:
        """Sends a GET request. The arguments are those of `request()`."""
        return self.request("GET", path, **parts)

    def head(self, path: str, **parts: Unpack[Parts]) -> Answer:
        """Sends a HEAD request. The arguments are those of `request()`."""
        return self.request("HEAD", path, **parts)

    def post(self, path: str, **parts: Unpack[Parts]) -> Answer:
        """Sends a POST request. The arguments are those of `request()`."""
        return self.request("POST", path, **parts)

    def put(self, path: str, **parts: Unpack[Parts]) -> Answer:
        """Sends a PUT request. The arguments are those of `request()`."""
        return self.request("PUT", path, **parts)

    def patch(self, path: str, **parts: Unpack[Parts]) -> Answer:
        """Sends a PATCH request. The arguments are those of `request()`."""
        return self.request("PATCH", path, **parts)

    def delete(self, path: str, **parts: Unpack[Parts]) -> Answer:
        """Sends a DELETE request. The arguments are those of `request()`."""
        return self.request("DELETE", path, **parts)

    def options(self, path: str, **parts: Unpack[Parts]) -> Answer:
        """Sends an OPTIONS request. The arguments are those of `request()`."""
        return self.request("OPTIONS", path, **parts)

    def close(self) -> None:
        """Closes the connection; stops the server if this client started it. A `with` block does so at its end."""
        self._connection.close()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.close()


def _is_over(morsel: Morsel[str]) -> bool:
    """Does the server delete this cookie? RFC 6265 4.1.2.2: "Max-Age has precedence" over Expires."""
    age, expires = str(morsel["max-age"]), str(morsel["expires"])
    if age.removeprefix("-").isdigit():
        return int(age) <= 0
    try:
        end = parsedate_to_datetime(expires)
    except (TypeError, ValueError):
        return False
    return end.timestamp() <= time.time()


def _listed(fields: _Query) -> list[tuple[str, Any]]:
    """Returns pairs, one for each item of a list."""
    pairs: Any = fields.items() if isinstance(fields, Mapping) else fields
    return [(name, item) for name, value in pairs for item in (value if isinstance(value, (list, tuple)) else [value])]


def _listed_files(files: _Uploads) -> list[tuple[str, Any]]:
    """Returns pairs, one for each file of a list; a tuple is one file."""
    pairs: Any = files.items() if isinstance(files, Mapping) else files
    return [
        (name, _file(name, file)) for name, given in pairs for file in (given if isinstance(given, list) else [given])
    ]


def _file(field: str, given: Any) -> tuple[str, bytes, str]:
    """Returns filename, bytes and type. The filename defaults to that of an open file, or else to the field's name."""
    filename, data, kind = None, given, "application/octet-stream"
    if isinstance(given, tuple) and len(given) in (2, 3):
        filename, data, *kinds = given
        kind = kinds[0] if kinds else kind
    if filename is None:
        name = getattr(data, "name", None)
        filename = os.path.basename(name) if isinstance(name, str) else field
    if hasattr(data, "read"):
        data = data.read()
    if isinstance(data, str):
        data = data.encode()
    if not isinstance(data, (bytes, bytearray, memoryview)) or not isinstance(filename, str):
        raise TypeError(
            f"files: {field!r} is bytes, str or an open file, or (filename, one of these) and perhaps a content type "
            f"behind them, not {type(given).__name__}"
        )
    return filename, bytes(data), kind


def _multipart(fields: list[tuple[str, Any]], files: list[tuple[str, Any]]) -> tuple[bytes, str]:
    """Returns a multipart/form-data body as browsers make it (RFC 7578, HTML form submission), and its content type."""
    boundary = f"hasty-{os.urandom(16).hex()}"
    parts = [(f'name="{_quoted(name)}"', "", str(value).encode()) for name, value in fields]
    for name, (filename, data, kind) in files:
        disposition = f'name="{_quoted(name)}"; filename="{_quoted(filename)}"'
        parts.append((disposition, f"\r\nContent-Type: {kind}", data))
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {disposition}{kind}\r\n\r\n".encode() + data + b"\r\n"
        for disposition, kind, data in parts
    )
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _quoted(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
