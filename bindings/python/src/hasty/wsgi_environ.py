"""The environ of a WSGI request."""

from __future__ import annotations

import io
import logging
import socket
import threading
from ctypes import addressof, byref, c_char, c_size_t, string_at
from typing import TYPE_CHECKING, Any, Union

from . import _ffi
from .address import UNIX, located
from .errors import HastyError
from .slot import NO_V4, WHO
from .wsgi_file import FileWrapper

if TYPE_CHECKING:
    from .app import App
    from .slot import Slot

__all__ = ["Environs", "Incoming"]

Environ = dict[str, Any]
#: The values and the names of the header fields, and an environ that has them.
Head = tuple[bytes, bytes, Environ]

#: Limits of the caches for names, sets of names and addresses: clients that send ever new ones cost time, not memory.
KNOWN = 1000
NAME_BYTES = 256
NAMES_BYTES = 4096
#: The number of request heads that are cached, and their maximum size.
HEADS = 256
HEAD_BYTES = 4096
#: The buffer size for a streamed request body, in bytes.
PIECE = 65536

#: HASTY_GET
GET = 1

log = logging.getLogger("hasty.wsgi")


class Environs:
    """Makes the environs of one application, a new dict for each request."""

    def __init__(self, app: App, prefix: str, reads: bool, url_scheme: str, multiprocess: bool) -> None:
        self._app = app
        self._prefix = len(prefix.encode())
        #: Does the application stream the request body?
        self.reads = reads
        self._base: Environ | None = None
        self._common: Environ = {
            # All keys that every request has, so that its dict need not grow.
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": prefix.encode().decode("latin-1"),
            "PATH_INFO": "",
            "QUERY_STRING": "",
            "REMOTE_ADDR": "",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": Nothing(),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": url_scheme,
            "wsgi.errors": Log(),
            # Also with one thread, since another one takes over while it gives a long response.
            "wsgi.multithread": True,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": FileWrapper,
            # Reading stops at the end of the body, even without CONTENT_LENGTH.
            "wsgi.input_terminated": True,
        }
        # Environs of heads that came more than once, by the heads' values; and the hashes of all values seen.
        self._heads: dict[bytes, Head] = {}
        self._seen: set[int] = set()

    def _located(self) -> Environ:
        """The entries that all requests share; made late, because the address is known only once the app listens."""
        if self._base is None:
            server = self._app.server
            assert server is not None
            host, port = located(server.host, server.port)
            # PEP 3333 requires both to be non-empty, even for a Unix socket.
            name, number = ("localhost", "80") if port is None else (_name(host), str(port))
            self._base = {**self._common, "SERVER_NAME": name, "SERVER_PORT": number}
        return self._base

    # --- requests in a slot ---

    def of_slot(self, slot: Slot) -> Environ:
        """Returns the environ of the request in a slot."""
        names, values, who = slot.header_names, slot.header_values, slot.words[WHO]
        known = self._heads.get(values)
        # The cached values may belong to other names.
        if known is None or known[1] != names:
            environ = self._headed(slot, names, values)
        else:
            environ = known[2].copy()
        environ["PATH_INFO"] = _path(slot.path, self._prefix)
        environ["REMOTE_ADDR"], environ["SERVER_PROTOCOL"] = _clients.get(who) or _client(slot, who)
        if slot.method != GET:
            environ["REQUEST_METHOD"] = slot.method_text.decode("latin-1")
        query = slot.query
        if query:
            environ["QUERY_STRING"] = query.decode("latin-1")
        length = slot.body_len
        if length:
            environ["wsgi.input"] = io.BytesIO(string_at(slot.body, length))
        return environ

    def _headed(self, slot: Slot, names: bytes, values: bytes) -> Environ:
        """Returns a new environ with the header fields."""
        environ = self._located().copy()
        keys = _plans[names]
        texts = values.decode("latin-1").split("\n")
        if type(keys) is tuple:
            environ.update(zip(keys, texts))
            self._remember(names, values, environ)
            return environ
        for key, text in zip(keys, texts):
            _add(environ, key, text)
        _end_chunks(environ, slot.body_len)
        return environ

    def _remember(self, names: bytes, values: bytes, environ: Environ) -> None:
        """Caches an environ whose header values have come before: clients that come back send the same head."""
        sight = hash(values)
        if sight not in self._seen:
            if len(self._seen) >= KNOWN:
                self._seen.clear()
            self._seen.add(sight)
        elif len(names) + len(values) <= HEAD_BYTES:
            if len(self._heads) >= HEADS:
                self._heads.clear()
            self._heads[values] = values, names, environ.copy()

    # --- requests in a callback ---

    def of_call(self, req: _ffi.RequestPointer) -> Environ:
        environ = self._located().copy()
        environ["REQUEST_METHOD"] = _latin(_ffi.hasty_request_method(req))
        environ["PATH_INFO"] = _latin(_ffi.hasty_request_path(req))[self._prefix :]
        environ["QUERY_STRING"] = _latin(_ffi.hasty_request_query_string(req))
        environ["REMOTE_ADDR"] = _address(req)
        if not _ffi.hasty_request_minor_version(req):
            environ["SERVER_PROTOCOL"] = "HTTP/1.0"
        name, value = _ffi.hasty_str(), _ffi.hasty_str()
        for index in range(_ffi.hasty_request_header_count(req)):
            _ffi.check(_ffi.hasty_request_header_at(req, index, byref(name), byref(value)))
            _add(environ, _keys[_ffi.octets(name) or b""], _latin(value))
        if self.reads:
            environ["wsgi.input"] = io.BufferedReader(Incoming(req), PIECE)
            return environ
        # The body arrived after middleware had run.
        body = _ffi.octets(_ffi.hasty_request_body(req))
        if body:
            environ["wsgi.input"] = io.BytesIO(body)
        _end_chunks(environ, len(body or b""))
        return environ


def _path(octets: bytes, prefix: int) -> str:
    path = octets.decode("latin-1")
    return path[prefix:] if prefix else path


#: Addresses and protocols of clients, by the slot's WHO word.
_clients: dict[int, tuple[str, str]] = {}


def _client(slot: Slot, who: int) -> tuple[str, str]:
    protocol = "HTTP/1.1" if who & 1 else "HTTP/1.0"
    if who <= NO_V4:
        return _address(slot.request), protocol
    if len(_clients) >= KNOWN:
        _clients.clear()
    client = _clients[who] = socket.inet_ntoa((who >> 32).to_bytes(4, "big")), protocol
    return client


def _address(req: _ffi.RequestPointer) -> str:
    """Returns the client's address, empty on a Unix socket: RFC 3875 4.1.8 allows only network addresses."""
    address = _ffi.octets(_ffi.hasty_request_remote_address(req)) or b""
    return "" if address == UNIX else address.decode("latin-1")


# --- header fields ---


class Keys(dict[bytes, Union[str, None]]):
    """Maps header names to environ keys; None for headers that the application must not see.

    >>> keys = Keys()
    >>> keys[b"Content-Type"], keys[b"X-User"], keys[b"X_User"], keys[b"Proxy"]
    ('CONTENT_TYPE', 'HTTP_X_USER', None, None)
    """

    def __missing__(self, name: bytes) -> str | None:
        key = self._made(name.lower())
        if len(name) <= NAME_BYTES:
            if len(self) >= KNOWN:
                self.clear()
            self[name] = key
        return key

    @staticmethod
    def _made(name: bytes) -> str | None:
        # X_User and X-User have the same key, so X_User could forge a header that a proxy sets or strips as X-User.
        # HTTP_PROXY is the variable by which HTTP clients choose their proxy ("httpoxy").
        if b"_" in name or name == b"proxy":
            return None
        key = name.decode("latin-1").upper().replace("-", "_")
        return key if key in _SINGLE else f"HTTP_{key}"


_SINGLE = ("CONTENT_TYPE", "CONTENT_LENGTH")
_keys = Keys()


class Plans(dict[bytes, "tuple[str, ...] | list[str | None]"]):
    """Maps the header names of a request to environ keys: a tuple if each simply gets its value, otherwise a list.

    >>> plans = Plans()
    >>> plans[b"host\\nx-a"], plans[b"x-a\\nx-a\\nx_b"]
    (('HTTP_HOST', 'HTTP_X_A'), ['HTTP_X_A', 'HTTP_X_A', None])
    """

    def __missing__(self, names: bytes) -> tuple[str, ...] | list[str | None]:
        keys = [_keys[name] for name in names.split(b"\n")] if names else []
        plain = [key for key in keys if key is not None and key != "HTTP_TRANSFER_ENCODING"]
        plan = tuple(plain) if len(set(plain)) == len(keys) else keys
        if len(names) <= NAMES_BYTES:
            if len(self) >= KNOWN:
                self.clear()
            self[names] = plan
        return plan


_plans = Plans()


def _add(environ: Environ, key: str | None, text: str) -> None:
    """Adds a header line, joined to those of the same name."""
    if key is None:
        return
    if key in environ:
        if key in _SINGLE:
            return
        # RFC 9110 5.3, and RFC 6265 5.4 for cookies.
        text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ', '}{text}"
    environ[key] = text


def _end_chunks(environ: Environ, length: int) -> None:
    """Describes a chunked body as the complete one that it is by now."""
    if environ.pop("HTTP_TRANSFER_ENCODING", None) is not None:
        environ["CONTENT_LENGTH"] = str(length)


def _latin(view: _ffi.hasty_str) -> str:
    """Decodes bytes as WSGI requires, one character per byte."""
    return (_ffi.octets(view) or b"").decode("latin-1")


def _name(host: str) -> str:
    """Returns the server's name; applications use it for requests without Host."""
    return socket.gethostname() if host in ("0.0.0.0", "::", "") else host


# --- wsgi.input and wsgi.errors ---


class Nothing(io.BufferedIOBase):
    """An empty body. All requests share it, so close() does nothing."""

    def read(self, size: int | None = -1, /) -> bytes:
        return b""

    read1 = read

    def readline(self, size: int | None = -1, /) -> bytes:
        return b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return 0

    def tell(self) -> int:
        return 0

    def close(self) -> None:
        pass


class Incoming(io.RawIOBase):
    """A request body that is read while it arrives."""

    def __init__(self, req: _ffi.RequestPointer) -> None:
        self._pointer: _ffi.RequestPointer | None = req
        #: Why reading failed; always the client's fault.
        self.failure: BaseException | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if self._pointer is None:
            raise ValueError("this request was answered, so its body can no longer be read")
        if not len(buffer):
            return 0
        got = c_size_t()
        status = _ffi.hasty_request_read(self._pointer, addressof(c_char.from_buffer(buffer)), len(buffer), byref(got))
        try:
            _ffi.check(status)
        except HastyError as error:
            self.failure = error
            raise
        return got.value

    def end(self) -> None:
        """Forbids reading: the request was answered, and the library may reuse its memory."""
        self._pointer = None

    def has_caused(self, error: BaseException | None) -> bool:
        """Returns whether an error is the failure to read, or was raised because of it."""
        seen: set[int] = set()
        while self.failure is not None and error is not None and id(error) not in seen:
            if error is self.failure:
                return True
            seen.add(id(error))
            error = error.__cause__ or error.__context__
        return False


class Log(io.TextIOBase):
    """wsgi.errors: passes text on to `logging.getLogger("hasty.wsgi")`, as one record up to each write that ends a
    line, so that a traceback stays in one piece."""

    def __init__(self) -> None:
        self._begun = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        self._begun.text = getattr(self._begun, "text", "") + text
        if text.endswith("\n"):
            self.flush()
        return len(text)

    def flush(self) -> None:
        text, self._begun.text = getattr(self._begun, "text", ""), ""
        if text.strip():
            log.error("%s", text.rstrip())
