"""libhasty as ctypes sees it: types, constants and prototypes, each below the C line that it translates.

Nothing here is for users; the modules around it turn these calls into Python. Two handles on one library:

- `_waiting` (CDLL) lets the GIL go: for calls that may wait, or that wait for callbacks;
- `_quick` (PyDLL) keeps it: for calls that never wait, at half the cost. The library holds no lock of its own
  while a callback runs, so whoever a quick call has to wait for never waits for the GIL.

A callback from a thread that Python does not know costs several microseconds each time and ends badly when it
happens after the interpreter has gone. So the library gets no threads (`threads` = "0"): Python's own threads
call `hasty_app_run`, and every callback arrives on one of them.
"""

from __future__ import annotations

import ctypes
from ctypes import CDLL, CFUNCTYPE, POINTER, PyDLL, Structure, c_char_p, c_int32, c_int64, c_size_t, c_uint32, c_void_p
from typing import TYPE_CHECKING, Any, Callable

from . import _library, errors

#: What this module was written against; the library must say the same.
ABI_VERSION = 0

OK = 0
ERR_INVALID = 2
ERR_STATE = 3
ERR_CLOSED = 5
ERR_TIMEOUT = 6
_ERR_UNSUPPORTED = 10

LOG_ERROR = 1
LOG_WARN = 2
LOG_INFO = 3
LOG_DEBUG = 4


# typedef struct hasty_app hasty_app;
class hasty_app(Structure):
    pass


# typedef struct hasty_request hasty_request;
class hasty_request(Structure):
    pass


# typedef struct hasty_response hasty_response;
class hasty_response(Structure):
    pass


# typedef struct hasty_json hasty_json;
class hasty_json(Structure):
    pass


# typedef struct hasty_str { const char *data; size_t len; } hasty_str;
class hasty_str(Structure):
    # c_char_p reads as bytes up to the first NUL, the fastest way there is; `octets` deals with the rest.
    _fields_ = [("data", c_char_p), ("len", c_size_t)]
    if TYPE_CHECKING:
        data: bytes | None
        len: int


# typedef struct hasty_cookie { size_t size; const char *path, *domain, *same_site; int64_t max_age_s; int32_t secure, script_visible; } hasty_cookie;
class hasty_cookie(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("path", c_char_p),
        ("domain", c_char_p),
        ("same_site", c_char_p),
        ("max_age_s", c_int64),
        ("secure", c_int32),
        ("script_visible", c_int32),
    ]


# Each kind of pointer is a type of its own, so that ctypes refuses a response where a request belongs.
if TYPE_CHECKING:
    AppPointer = ctypes._Pointer[hasty_app]
    RequestPointer = ctypes._Pointer[hasty_request]
    ResponsePointer = ctypes._Pointer[hasty_response]
else:
    AppPointer = POINTER(hasty_app)
    RequestPointer = POINTER(hasty_request)
    ResponsePointer = POINTER(hasty_response)

# typedef hasty_status (*hasty_handler)(const hasty_request *req, hasty_response *res, void *user_data);
hasty_handler = CFUNCTYPE(c_int32, POINTER(hasty_request), POINTER(hasty_response), c_void_p)
# typedef void (*hasty_drop)(void *user_data);
hasty_drop = CFUNCTYPE(None, c_void_p)
# typedef void (*hasty_log_fn)(int32_t level, const hasty_str *message, void *user_data);
hasty_log_fn = CFUNCTYPE(None, c_int32, POINTER(hasty_str), c_void_p)

#: No drop: what Python hands over as user_data is a number, and owns nothing.
NO_DROP = hasty_drop()

PATH = _library.find()
try:
    _waiting: CDLL = CDLL(str(PATH))
    _quick: CDLL = PyDLL(str(PATH))
except OSError as _error:
    raise errors.LibraryError(f"{PATH} is there, but the system cannot load it: {_error}", _ERR_UNSUPPORTED) from None


def _declare(library: CDLL, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    try:
        function: Callable[..., Any] = getattr(library, name)
    except AttributeError:
        message = (
            f"{PATH} has no function {name}: it is older than this package; build it again (cargo build --release)"
        )
        raise errors.LibraryError(message, _ERR_UNSUPPORTED) from None
    function.restype = result  # type: ignore[attr-defined]
    function.argtypes = arguments  # type: ignore[attr-defined]
    return function


# --- library ---

# uint32_t hasty_abi_version(void);
hasty_abi_version = _declare(_quick, "hasty_abi_version", c_uint32)
if hasty_abi_version() != ABI_VERSION:
    raise errors.LibraryError(
        f"{PATH} speaks ABI {hasty_abi_version()}, this package ABI {ABI_VERSION}: "
        "build the library and install the package from the same checkout",
        _ERR_UNSUPPORTED,
    )
# const char *hasty_version(void);
hasty_version = _declare(_quick, "hasty_version", c_char_p)
# const char *hasty_status_name(hasty_status status);
hasty_status_name = _declare(_quick, "hasty_status_name", c_char_p, c_int32)
# hasty_str hasty_last_error(void);
hasty_last_error = _declare(_quick, "hasty_last_error", hasty_str)

# --- app ---

# hasty_status hasty_app_new(const hasty_options *options, hasty_app **out);
hasty_app_new = _declare(_waiting, "hasty_app_new", c_int32, c_void_p, POINTER(POINTER(hasty_app)))
# void hasty_app_free(hasty_app *app);
hasty_app_free = _declare(_waiting, "hasty_app_free", None, POINTER(hasty_app))
# hasty_status hasty_app_set_option(hasty_app *app, const char *key, const char *value);
hasty_app_set_option = _declare(_quick, "hasty_app_set_option", c_int32, POINTER(hasty_app), c_char_p, c_char_p)
# hasty_status hasty_app_set_route_option(hasty_app *app, const char *method, const char *pattern, const char *key, const char *value);
hasty_app_set_route_option = _declare(
    _quick, "hasty_app_set_route_option", c_int32, POINTER(hasty_app), c_char_p, c_char_p, c_char_p, c_char_p
)
# hasty_str hasty_app_option(const hasty_app *app, const char *key);
hasty_app_option = _declare(_quick, "hasty_app_option", hasty_str, POINTER(hasty_app), c_char_p)
# hasty_status hasty_app_route(hasty_app *app, const char *method, const char *pattern, hasty_handler handler, void *user_data, hasty_drop drop);
hasty_app_route = _declare(
    _quick, "hasty_app_route", c_int32, POINTER(hasty_app), c_char_p, c_char_p, hasty_handler, c_void_p, hasty_drop
)
# hasty_status hasty_app_on_log(hasty_app *app, hasty_log_fn log, void *user_data, hasty_drop drop);
hasty_app_on_log = _declare(_quick, "hasty_app_on_log", c_int32, POINTER(hasty_app), hasty_log_fn, c_void_p, hasty_drop)
# hasty_status hasty_app_listen(hasty_app *app, const char *host, int32_t port);
hasty_app_listen = _declare(_waiting, "hasty_app_listen", c_int32, POINTER(hasty_app), c_char_p, c_int32)
# int32_t hasty_app_port(const hasty_app *app);
hasty_app_port = _declare(_quick, "hasty_app_port", c_int32, POINTER(hasty_app))
# hasty_status hasty_app_start(hasty_app *app);
hasty_app_start = _declare(_waiting, "hasty_app_start", c_int32, POINTER(hasty_app))
# hasty_status hasty_app_run(hasty_app *app);
hasty_app_run = _declare(_waiting, "hasty_app_run", c_int32, POINTER(hasty_app))
# void hasty_app_stop(hasty_app *app);
hasty_app_stop = _declare(_waiting, "hasty_app_stop", None, POINTER(hasty_app))

# --- request ---

# hasty_str hasty_request_method(const hasty_request *req);
hasty_request_method = _declare(_quick, "hasty_request_method", hasty_str, POINTER(hasty_request))
# hasty_str hasty_request_path(const hasty_request *req);
hasty_request_path = _declare(_quick, "hasty_request_path", hasty_str, POINTER(hasty_request))
# hasty_str hasty_request_raw_path(const hasty_request *req);
hasty_request_raw_path = _declare(_quick, "hasty_request_raw_path", hasty_str, POINTER(hasty_request))
# hasty_str hasty_request_query_string(const hasty_request *req);
hasty_request_query_string = _declare(_quick, "hasty_request_query_string", hasty_str, POINTER(hasty_request))
# hasty_str hasty_request_target(const hasty_request *req);
hasty_request_target = _declare(_quick, "hasty_request_target", hasty_str, POINTER(hasty_request))
# hasty_str hasty_request_route(const hasty_request *req);
hasty_request_route = _declare(_quick, "hasty_request_route", hasty_str, POINTER(hasty_request))
# hasty_str hasty_request_remote_address(const hasty_request *req);
hasty_request_remote_address = _declare(_quick, "hasty_request_remote_address", hasty_str, POINTER(hasty_request))
# hasty_str hasty_request_id(const hasty_request *req);
hasty_request_id = _declare(_quick, "hasty_request_id", hasty_str, POINTER(hasty_request))
# hasty_str hasty_request_body(const hasty_request *req);
hasty_request_body = _declare(_quick, "hasty_request_body", hasty_str, POINTER(hasty_request))
# int32_t hasty_request_minor_version(const hasty_request *req);
hasty_request_minor_version = _declare(_quick, "hasty_request_minor_version", c_int32, POINTER(hasty_request))
# hasty_str hasty_request_header(const hasty_request *req, const char *name);
hasty_request_header = _declare(_quick, "hasty_request_header", hasty_str, POINTER(hasty_request), c_char_p)
# size_t hasty_request_header_count(const hasty_request *req);
hasty_request_header_count = _declare(_quick, "hasty_request_header_count", c_size_t, POINTER(hasty_request))
# size_t hasty_request_param_count(const hasty_request *req);
hasty_request_param_count = _declare(_quick, "hasty_request_param_count", c_size_t, POINTER(hasty_request))
# size_t hasty_request_query_count(const hasty_request *req);
hasty_request_query_count = _declare(_quick, "hasty_request_query_count", c_size_t, POINTER(hasty_request))
# size_t hasty_request_cookie_count(const hasty_request *req);
hasty_request_cookie_count = _declare(_quick, "hasty_request_cookie_count", c_size_t, POINTER(hasty_request))
# size_t hasty_request_form_count(const hasty_request *req);
hasty_request_form_count = _declare(_quick, "hasty_request_form_count", c_size_t, POINTER(hasty_request))
# hasty_status hasty_request_header_at(const hasty_request *req, size_t index, hasty_str *name, hasty_str *value);
hasty_request_header_at = _declare(
    _quick, "hasty_request_header_at", c_int32, POINTER(hasty_request), c_size_t, POINTER(hasty_str), POINTER(hasty_str)
)
# hasty_status hasty_request_param_at(const hasty_request *req, size_t index, hasty_str *name, hasty_str *value);
hasty_request_param_at = _declare(
    _quick, "hasty_request_param_at", c_int32, POINTER(hasty_request), c_size_t, POINTER(hasty_str), POINTER(hasty_str)
)
# hasty_status hasty_request_query_at(const hasty_request *req, size_t index, hasty_str *name, hasty_str *value);
hasty_request_query_at = _declare(
    _quick, "hasty_request_query_at", c_int32, POINTER(hasty_request), c_size_t, POINTER(hasty_str), POINTER(hasty_str)
)
# hasty_status hasty_request_cookie_at(const hasty_request *req, size_t index, hasty_str *name, hasty_str *value);
hasty_request_cookie_at = _declare(
    _quick, "hasty_request_cookie_at", c_int32, POINTER(hasty_request), c_size_t, POINTER(hasty_str), POINTER(hasty_str)
)
# hasty_status hasty_request_form_at(const hasty_request *req, size_t index, hasty_str *name, hasty_str *value);
hasty_request_form_at = _declare(
    _quick, "hasty_request_form_at", c_int32, POINTER(hasty_request), c_size_t, POINTER(hasty_str), POINTER(hasty_str)
)
# hasty_status hasty_request_form_status(const hasty_request *req);
hasty_request_form_status = _declare(_quick, "hasty_request_form_status", c_int32, POINTER(hasty_request))
# hasty_status hasty_request_json(const hasty_request *req, const hasty_json **out);
hasty_request_json = _declare(
    _quick, "hasty_request_json", c_int32, POINTER(hasty_request), POINTER(POINTER(hasty_json))
)

# --- response ---

# hasty_status hasty_response_set_status(hasty_response *res, int32_t code);
hasty_response_set_status = _declare(_quick, "hasty_response_set_status", c_int32, POINTER(hasty_response), c_int32)
# hasty_status hasty_response_set_header(hasty_response *res, const char *name, const char *value);
hasty_response_set_header = _declare(
    _quick, "hasty_response_set_header", c_int32, POINTER(hasty_response), c_char_p, c_char_p
)
# hasty_status hasty_response_add_header(hasty_response *res, const char *name, const char *value);
hasty_response_add_header = _declare(
    _quick, "hasty_response_add_header", c_int32, POINTER(hasty_response), c_char_p, c_char_p
)
# hasty_status hasty_response_set_type(hasty_response *res, const char *type);
hasty_response_set_type = _declare(_quick, "hasty_response_set_type", c_int32, POINTER(hasty_response), c_char_p)
# hasty_status hasty_response_set_cookie(hasty_response *res, const char *name, const char *value, const hasty_cookie *options);
hasty_response_set_cookie = _declare(
    _quick, "hasty_response_set_cookie", c_int32, POINTER(hasty_response), c_char_p, c_char_p, POINTER(hasty_cookie)
)
# hasty_status hasty_response_delete_cookie(hasty_response *res, const char *name, const hasty_cookie *options);
hasty_response_delete_cookie = _declare(
    _quick, "hasty_response_delete_cookie", c_int32, POINTER(hasty_response), c_char_p, POINTER(hasty_cookie)
)
# hasty_status hasty_response_send(hasty_response *res, const void *data, size_t len);
hasty_response_send = _declare(_quick, "hasty_response_send", c_int32, POINTER(hasty_response), c_char_p, c_size_t)
# hasty_status hasty_response_send_redirect(hasty_response *res, int32_t code, const char *location);
hasty_response_send_redirect = _declare(
    _quick, "hasty_response_send_redirect", c_int32, POINTER(hasty_response), c_int32, c_char_p
)
# hasty_status hasty_response_reset(hasty_response *res);
hasty_response_reset = _declare(_quick, "hasty_response_reset", c_int32, POINTER(hasty_response))


def octets(view: hasty_str) -> bytes | None:
    """The bytes of a view, copied; None where it is absent."""
    data = view.data
    if data is None or len(data) == view.len:
        return data
    # There is a NUL inside: read by length instead.
    address = c_void_p.from_buffer(view).value
    return ctypes.string_at(address, view.len) if address else None


def encode(text: str | bytes, what: str) -> bytes:
    """Text as a C string; `what` names it in the error for a NUL inside, where C would see its end."""
    data = text.encode() if isinstance(text, str) else text
    if b"\0" in data:
        raise errors.InvalidError(f"{what} {text!r} holds a NUL character")
    return data


def last_error() -> str:
    """What the library says about this thread's last failing call."""
    return (octets(hasty_last_error()) or b"").decode(errors="replace")


def check(status: int) -> None:
    """Raises what a failing call was about; does nothing for OK."""
    if status == OK:
        return
    # CLOSED and TIMEOUT leave the last error as it was: of another call.
    message = "" if status in (ERR_CLOSED, ERR_TIMEOUT) else last_error()
    raise errors.from_status(status, message or hasty_status_name(status).decode())
