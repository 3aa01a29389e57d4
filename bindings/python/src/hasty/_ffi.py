"""ctypes declarations for libhasty: types, constants and prototypes, each below the C line that it translates.

Private: other modules wrap these calls for users. The library is loaded through two handles:

- `_waiting` (CDLL) releases the GIL: for calls that may block, or that wait for callbacks;
- `_quick` (PyDLL) keeps it: for calls that never block, at half the cost. The library holds no lock of its own while a
  callback runs, so no thread that holds a lock which a quick call needs can be waiting for the GIL.

A callback on a thread that Python did not create costs several microseconds, and may crash or hang once the interpreter
has been finalized. So the library gets no threads of its own by default (`threads` = "0"): Python threads call
`hasty_slot_take` and `hasty_slot_wait`, and callbacks run on them.
"""

from __future__ import annotations

import ctypes
from _ctypes import FUNCFLAG_CDECL, FUNCFLAG_PYTHONAPI, CFuncPtr
from ctypes import (
    CDLL,
    CFUNCTYPE,
    POINTER,
    PyDLL,
    Structure,
    c_char_p,
    c_double,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import TYPE_CHECKING, Any, Callable

from . import _interpreter, _library, errors

#: The ABI version that this module declares; the library's must be equal.
ABI_VERSION = 0

OK = 0
ERR_INVALID = 2
ERR_STATE = 3
ERR_CLOSED = 5
ERR_TIMEOUT = 6
ERR_LIMIT = 8
ERR_NOT_FOUND = 9
_ERR_UNSUPPORTED = 10
NEXT = 100

#: In a 32-bit field of an options struct: the value zero, because 0 means the default.
NONE = 0xFFFFFFFF

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


# typedef struct hasty_exchange hasty_exchange;
class hasty_exchange(Structure):
    pass


# typedef struct hasty_json hasty_json;
class hasty_json(Structure):
    pass


# typedef struct hasty_options hasty_options;
class hasty_options(Structure):
    """Opaque here: options are set by name, where 0 means zero."""


# typedef struct hasty_str { const char *data; size_t len; } hasty_str;
class hasty_str(Structure):
    # Reading a c_char_p, up to the first NUL, is the fastest way to get bytes; `octets()` handles the rest.
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


# typedef struct hasty_static { size_t size; const char *index, *fallback, *cache_control; int32_t list, dotfiles; } hasty_static;
class hasty_static(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("index", c_char_p),
        ("fallback", c_char_p),
        ("cache_control", c_char_p),
        ("list", c_int32),
        ("dotfiles", c_int32),
    ]


# typedef struct hasty_cors { size_t size; const char *origins, *methods, *headers, *expose; uint32_t max_age_s; int32_t credentials, private_network; uint32_t reserved; } hasty_cors;
class hasty_cors(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("origins", c_char_p),
        ("methods", c_char_p),
        ("headers", c_char_p),
        ("expose", c_char_p),
        ("max_age_s", c_uint32),
        ("credentials", c_int32),
        ("private_network", c_int32),
        ("reserved", c_uint32),
    ]


# typedef struct hasty_file { size_t size; hasty_str name, filename, content_type, data; const char *path; uint64_t length; } hasty_file;
class hasty_file(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("name", hasty_str),
        ("filename", hasty_str),
        ("content_type", hasty_str),
        ("data", hasty_str),
        ("path", c_char_p),
        ("length", c_uint64),
    ]


# typedef struct hasty_access { size_t size; hasty_str method, target, route, remote_address, user_agent, referer, id; uint64_t bytes_in, bytes_out, duration_us; int64_t time_us; int32_t status; uint32_t reserved; } hasty_access;
class hasty_access(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("method", hasty_str),
        ("target", hasty_str),
        ("route", hasty_str),
        ("remote_address", hasty_str),
        ("user_agent", hasty_str),
        ("referer", hasty_str),
        ("id", hasty_str),
        ("bytes_in", c_uint64),
        ("bytes_out", c_uint64),
        ("duration_us", c_uint64),
        ("time_us", c_int64),
        ("status", c_int32),
        ("reserved", c_uint32),
    ]


# typedef struct hasty_slot { size_t size; hasty_app *app; uint64_t ticket; int32_t route, method; ... } hasty_slot;
class hasty_slot(Structure):
    _fields_ = [
        ("size", c_size_t),
        ("app", POINTER(hasty_app)),
        ("ticket", c_uint64),
        ("route", c_int32),
        ("method", c_int32),
        ("user_data", c_void_p),
        ("request", POINTER(hasty_request)),
        ("method_text", c_char_p),
        ("path", c_char_p),
        ("query", c_char_p),
        ("params", c_char_p),
        ("header_names", c_char_p),
        ("header_values", c_char_p),
        ("path_len", c_uint64),
        ("query_len", c_uint64),
        ("params_len", c_uint64),
        ("header_count", c_uint64),
        ("body", c_void_p),
        ("body_len", c_uint64),
        ("status", c_int32),
        ("kind", c_int32),
        ("content_type", c_char_p),
        ("extra_headers", c_char_p),
        ("extra_headers_len", c_uint64),
        ("reply", c_void_p),
        ("reply_len", c_uint64),
    ]


# typedef struct hasty_slot_more { hasty_slot slot; int32_t minor_version; uint32_t remote_v4; uint64_t alike; }
# hasty_slot_more;
class hasty_slot_more(hasty_slot):
    _fields_ = [("minor_version", c_int32), ("remote_v4", c_uint32), ("alike", c_uint64)]


# typedef struct hasty_slot_object { void *first, *second; hasty_slot *slot; hasty_status status; ... } hasty_slot_object;
class hasty_slot_object(Structure):
    _fields_ = [
        ("first", c_void_p),
        ("second", c_void_p),
        ("slot", c_void_p),
        ("status", c_int32),
        ("length_at", c_uint32),
        ("bytes_at", c_uint32),
        ("reserved", c_uint32),
        ("reply", c_void_p),
    ]


# Each kind of pointer is a type of its own, so that ctypes rejects a response in place of a request.
if TYPE_CHECKING:
    AppPointer = ctypes._Pointer[hasty_app]
    RequestPointer = ctypes._Pointer[hasty_request]
    ResponsePointer = ctypes._Pointer[hasty_response]
    ExchangePointer = ctypes._Pointer[hasty_exchange]
else:
    AppPointer = POINTER(hasty_app)
    RequestPointer = POINTER(hasty_request)
    ResponsePointer = POINTER(hasty_response)
    ExchangePointer = POINTER(hasty_exchange)

# typedef hasty_status (*hasty_handler)(const hasty_request *req, hasty_response *res, void *user_data);
hasty_handler = CFUNCTYPE(c_int32, POINTER(hasty_request), POINTER(hasty_response), c_void_p)
# typedef void (*hasty_drop)(void *user_data);
hasty_drop = CFUNCTYPE(None, c_void_p)
# typedef void (*hasty_log_fn)(int32_t level, const hasty_str *message, void *user_data);
hasty_log_fn = CFUNCTYPE(None, c_int32, POINTER(hasty_str), c_void_p)
# typedef void (*hasty_notify_fn)(void *user_data);
hasty_notify_fn = CFUNCTYPE(None, c_void_p)
# typedef void (*hasty_access_fn)(const hasty_access *record, void *user_data);
hasty_access_fn = CFUNCTYPE(None, POINTER(hasty_access), c_void_p)
# typedef int32_t (*hasty_allow_fn)(const hasty_str *key, void *user_data);
hasty_allow_fn = CFUNCTYPE(c_int32, POINTER(hasty_str), c_void_p)

#: No drop function, for user_data that is only a number and owns nothing.
NO_DROP = hasty_drop()

_interpreter.refuse_others()
PATH = _library.find()
try:
    _waiting: CDLL = CDLL(str(PATH))
    _quick: CDLL = PyDLL(str(PATH))
except OSError as _error:
    raise errors.LibraryError(f"{PATH} exists, but the system cannot load it: {_error}", _ERR_UNSUPPORTED) from None


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


class _Status(CFuncPtr):
    """A quick function that returns a status. Without a `restype`, ctypes converts it to int 30 ns faster."""

    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_PYTHONAPI


# --- library ---

# uint32_t hasty_abi_version(void);
hasty_abi_version = _declare(_quick, "hasty_abi_version", c_uint32)
if hasty_abi_version() != ABI_VERSION:
    raise errors.LibraryError(
        f"{PATH} has ABI {hasty_abi_version()}, but this package needs ABI {ABI_VERSION}: "
        "build the library and install the package from the same checkout",
        _ERR_UNSUPPORTED,
    )
# const char *hasty_version(void);
hasty_version = _declare(_quick, "hasty_version", c_char_p)
# const char *hasty_status_name(hasty_status status);
hasty_status_name = _declare(_quick, "hasty_status_name", c_char_p, c_int32)
# hasty_str hasty_last_error(void);
hasty_last_error = _declare(_quick, "hasty_last_error", hasty_str)
# hasty_status hasty_last_error_to(hasty_str *out);
hasty_last_error_to = _declare(_quick, "hasty_last_error_to", c_int32, POINTER(hasty_str))

# --- app ---

# hasty_status hasty_app_new(const hasty_options *options, hasty_app **out);
hasty_app_new = _declare(_waiting, "hasty_app_new", c_int32, POINTER(hasty_options), POINTER(POINTER(hasty_app)))
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
# hasty_status hasty_app_option_to(const hasty_app *app, const char *key, hasty_str *out);
hasty_app_option_to = _declare(_quick, "hasty_app_option_to", c_int32, POINTER(hasty_app), c_char_p, POINTER(hasty_str))
# hasty_status hasty_app_route(hasty_app *app, const char *method, const char *pattern, hasty_handler handler, void *user_data, hasty_drop drop);
hasty_app_route = _declare(
    _quick, "hasty_app_route", c_int32, POINTER(hasty_app), c_char_p, c_char_p, hasty_handler, c_void_p, hasty_drop
)
# hasty_status hasty_app_get(hasty_app *app, const char *pattern, hasty_handler handler, void *user_data);
hasty_app_get = _declare(_quick, "hasty_app_get", c_int32, POINTER(hasty_app), c_char_p, hasty_handler, c_void_p)
# hasty_status hasty_app_post(hasty_app *app, const char *pattern, hasty_handler handler, void *user_data);
hasty_app_post = _declare(_quick, "hasty_app_post", c_int32, POINTER(hasty_app), c_char_p, hasty_handler, c_void_p)
# hasty_status hasty_app_put(hasty_app *app, const char *pattern, hasty_handler handler, void *user_data);
hasty_app_put = _declare(_quick, "hasty_app_put", c_int32, POINTER(hasty_app), c_char_p, hasty_handler, c_void_p)
# hasty_status hasty_app_patch(hasty_app *app, const char *pattern, hasty_handler handler, void *user_data);
hasty_app_patch = _declare(_quick, "hasty_app_patch", c_int32, POINTER(hasty_app), c_char_p, hasty_handler, c_void_p)
# hasty_status hasty_app_delete(hasty_app *app, const char *pattern, hasty_handler handler, void *user_data);
hasty_app_delete = _declare(_quick, "hasty_app_delete", c_int32, POINTER(hasty_app), c_char_p, hasty_handler, c_void_p)
# hasty_status hasty_app_any(hasty_app *app, const char *pattern, hasty_handler handler, void *user_data);
hasty_app_any = _declare(_quick, "hasty_app_any", c_int32, POINTER(hasty_app), c_char_p, hasty_handler, c_void_p)
# hasty_status hasty_app_static(hasty_app *app, const char *prefix, const char *directory, const hasty_static *options);
hasty_app_static = _declare(
    _waiting, "hasty_app_static", c_int32, POINTER(hasty_app), c_char_p, c_char_p, POINTER(hasty_static)
)
# hasty_status hasty_app_use(hasty_app *app, const char *prefix, hasty_handler handler, void *user_data, hasty_drop drop);
hasty_app_use = _declare(
    _quick, "hasty_app_use", c_int32, POINTER(hasty_app), c_char_p, hasty_handler, c_void_p, hasty_drop
)
# hasty_status hasty_app_after(hasty_app *app, const char *prefix, hasty_handler handler, void *user_data, hasty_drop drop);
hasty_app_after = _declare(
    _quick, "hasty_app_after", c_int32, POINTER(hasty_app), c_char_p, hasty_handler, c_void_p, hasty_drop
)
# hasty_status hasty_app_cors(hasty_app *app, const char *prefix, const hasty_cors *policy);
hasty_app_cors = _declare(_quick, "hasty_app_cors", c_int32, POINTER(hasty_app), c_char_p, POINTER(hasty_cors))
# hasty_status hasty_app_rate_limit(hasty_app *app, const char *prefix, uint32_t per_minute, uint32_t burst, hasty_allow_fn allow, void *user_data, hasty_drop drop);
hasty_app_rate_limit = _declare(
    _quick,
    "hasty_app_rate_limit",
    c_int32,
    POINTER(hasty_app),
    c_char_p,
    c_uint32,
    c_uint32,
    hasty_allow_fn,
    c_void_p,
    hasty_drop,
)
# hasty_status hasty_app_add_header(hasty_app *app, const char *name, const char *value);
hasty_app_add_header = _declare(_quick, "hasty_app_add_header", c_int32, POINTER(hasty_app), c_char_p, c_char_p)
# hasty_status hasty_app_secure_headers(hasty_app *app);
hasty_app_secure_headers = _declare(_quick, "hasty_app_secure_headers", c_int32, POINTER(hasty_app))
# hasty_status hasty_app_health(hasty_app *app, const char *pattern);
hasty_app_health = _declare(_quick, "hasty_app_health", c_int32, POINTER(hasty_app), c_char_p)
# hasty_status hasty_app_on_error(hasty_app *app, hasty_handler handler, void *user_data, hasty_drop drop);
hasty_app_on_error = _declare(
    _quick, "hasty_app_on_error", c_int32, POINTER(hasty_app), hasty_handler, c_void_p, hasty_drop
)
# hasty_status hasty_app_on_log(hasty_app *app, hasty_log_fn log, void *user_data, hasty_drop drop);
hasty_app_on_log = _declare(_quick, "hasty_app_on_log", c_int32, POINTER(hasty_app), hasty_log_fn, c_void_p, hasty_drop)
# hasty_status hasty_app_on_access(hasty_app *app, hasty_access_fn access, void *user_data, hasty_drop drop);
hasty_app_on_access = _declare(
    _quick, "hasty_app_on_access", c_int32, POINTER(hasty_app), hasty_access_fn, c_void_p, hasty_drop
)
# hasty_status hasty_app_on_thread(hasty_app *app, hasty_notify_fn start, hasty_notify_fn stop, void *user_data, hasty_drop drop);
hasty_app_on_thread = _declare(
    _quick, "hasty_app_on_thread", c_int32, POINTER(hasty_app), hasty_notify_fn, hasty_notify_fn, c_void_p, hasty_drop
)
# hasty_status hasty_app_listen(hasty_app *app, const char *host, int32_t port);
hasty_app_listen = _declare(_waiting, "hasty_app_listen", c_int32, POINTER(hasty_app), c_char_p, c_int32)
# hasty_status hasty_app_listen_unix(hasty_app *app, const char *path, uint32_t mode);
hasty_app_listen_unix = _declare(_waiting, "hasty_app_listen_unix", c_int32, POINTER(hasty_app), c_char_p, c_uint32)
# hasty_status hasty_app_listen_fd(hasty_app *app, int32_t fd);
hasty_app_listen_fd = _declare(_waiting, "hasty_app_listen_fd", c_int32, POINTER(hasty_app), c_int32)
# int32_t hasty_app_port(const hasty_app *app);
hasty_app_port = _declare(_quick, "hasty_app_port", c_int32, POINTER(hasty_app))
# hasty_status hasty_app_start(hasty_app *app);
hasty_app_start = _declare(_waiting, "hasty_app_start", c_int32, POINTER(hasty_app))
# hasty_status hasty_app_run(hasty_app *app);
hasty_app_run = _declare(_waiting, "hasty_app_run", c_int32, POINTER(hasty_app))
# hasty_status hasty_app_drain(hasty_app *app, int32_t timeout_ms);
hasty_app_drain = _declare(_waiting, "hasty_app_drain", c_int32, POINTER(hasty_app), c_int32)
# void hasty_app_begin_drain(hasty_app *app, int32_t timeout_ms);
hasty_app_begin_drain = _declare(_waiting, "hasty_app_begin_drain", None, POINTER(hasty_app), c_int32)
# void hasty_app_stop(hasty_app *app);
hasty_app_stop = _declare(_waiting, "hasty_app_stop", None, POINTER(hasty_app))
# hasty_status hasty_app_wait(hasty_app *app, int32_t timeout_ms);
hasty_app_wait = _declare(_waiting, "hasty_app_wait", c_int32, POINTER(hasty_app), c_int32)
# int32_t hasty_app_fd(const hasty_app *app);
hasty_app_fd = _declare(_quick, "hasty_app_fd", c_int32, POINTER(hasty_app))
# hasty_status hasty_app_poll(hasty_app *app, uint32_t max_requests, int32_t timeout_ms, uint32_t *served);
hasty_app_poll = _declare(_waiting, "hasty_app_poll", c_int32, POINTER(hasty_app), c_uint32, c_int32, POINTER(c_uint32))
# hasty_status hasty_app_next(hasty_app *app, int32_t timeout_ms, hasty_exchange **out);
hasty_app_next = _declare(
    _waiting, "hasty_app_next", c_int32, POINTER(hasty_app), c_int32, POINTER(POINTER(hasty_exchange))
)
# void hasty_app_wake(hasty_app *app);
hasty_app_wake = _declare(_waiting, "hasty_app_wake", None, POINTER(hasty_app))

# --- access ---

# hasty_status hasty_access_to_text(const hasty_access *record, const char *format, char *buf, size_t cap, size_t *needed);
hasty_access_to_text = _declare(
    _quick, "hasty_access_to_text", c_int32, POINTER(hasty_access), c_char_p, c_char_p, c_size_t, POINTER(c_size_t)
)

# --- request ---

# hasty_str hasty_request_method(const hasty_request *req);
hasty_request_method = _declare(_quick, "hasty_request_method", hasty_str, POINTER(hasty_request))
# hasty_status hasty_request_method_to(const hasty_request *req, hasty_str *out);
hasty_request_method_to = _declare(
    _quick, "hasty_request_method_to", c_int32, POINTER(hasty_request), POINTER(hasty_str)
)
# hasty_str hasty_request_path(const hasty_request *req);
hasty_request_path = _declare(_quick, "hasty_request_path", hasty_str, POINTER(hasty_request))
# hasty_status hasty_request_path_to(const hasty_request *req, hasty_str *out);
hasty_request_path_to = _declare(_quick, "hasty_request_path_to", c_int32, POINTER(hasty_request), POINTER(hasty_str))
# hasty_str hasty_request_raw_path(const hasty_request *req);
hasty_request_raw_path = _declare(_quick, "hasty_request_raw_path", hasty_str, POINTER(hasty_request))
# hasty_status hasty_request_raw_path_to(const hasty_request *req, hasty_str *out);
hasty_request_raw_path_to = _declare(
    _quick, "hasty_request_raw_path_to", c_int32, POINTER(hasty_request), POINTER(hasty_str)
)
# hasty_str hasty_request_query_string(const hasty_request *req);
hasty_request_query_string = _declare(_quick, "hasty_request_query_string", hasty_str, POINTER(hasty_request))
# hasty_status hasty_request_query_string_to(const hasty_request *req, hasty_str *out);
hasty_request_query_string_to = _declare(
    _quick, "hasty_request_query_string_to", c_int32, POINTER(hasty_request), POINTER(hasty_str)
)
# hasty_str hasty_request_target(const hasty_request *req);
hasty_request_target = _declare(_quick, "hasty_request_target", hasty_str, POINTER(hasty_request))
# hasty_status hasty_request_target_to(const hasty_request *req, hasty_str *out);
hasty_request_target_to = _declare(
    _quick, "hasty_request_target_to", c_int32, POINTER(hasty_request), POINTER(hasty_str)
)
# hasty_str hasty_request_route(const hasty_request *req);
hasty_request_route = _declare(_quick, "hasty_request_route", hasty_str, POINTER(hasty_request))
# hasty_status hasty_request_route_to(const hasty_request *req, hasty_str *out);
hasty_request_route_to = _declare(_quick, "hasty_request_route_to", c_int32, POINTER(hasty_request), POINTER(hasty_str))
# hasty_str hasty_request_remote_address(const hasty_request *req);
hasty_request_remote_address = _declare(_quick, "hasty_request_remote_address", hasty_str, POINTER(hasty_request))
# hasty_status hasty_request_remote_address_to(const hasty_request *req, hasty_str *out);
hasty_request_remote_address_to = _declare(
    _quick, "hasty_request_remote_address_to", c_int32, POINTER(hasty_request), POINTER(hasty_str)
)
# hasty_str hasty_request_id(const hasty_request *req);
hasty_request_id = _declare(_quick, "hasty_request_id", hasty_str, POINTER(hasty_request))
# hasty_status hasty_request_id_to(const hasty_request *req, hasty_str *out);
hasty_request_id_to = _declare(_quick, "hasty_request_id_to", c_int32, POINTER(hasty_request), POINTER(hasty_str))
# hasty_str hasty_request_body(const hasty_request *req);
hasty_request_body = _declare(_quick, "hasty_request_body", hasty_str, POINTER(hasty_request))
# hasty_status hasty_request_body_to(const hasty_request *req, hasty_str *out);
hasty_request_body_to = _declare(_quick, "hasty_request_body_to", c_int32, POINTER(hasty_request), POINTER(hasty_str))
# int32_t hasty_request_minor_version(const hasty_request *req);
hasty_request_minor_version = _declare(_quick, "hasty_request_minor_version", c_int32, POINTER(hasty_request))
# hasty_str hasty_request_header(const hasty_request *req, const char *name);
hasty_request_header = _declare(_quick, "hasty_request_header", hasty_str, POINTER(hasty_request), c_char_p)
# hasty_status hasty_request_header_to(const hasty_request *req, const char *name, hasty_str *out);
hasty_request_header_to = _declare(
    _quick, "hasty_request_header_to", c_int32, POINTER(hasty_request), c_char_p, POINTER(hasty_str)
)
# hasty_str hasty_request_param(const hasty_request *req, const char *name);
hasty_request_param = _declare(_quick, "hasty_request_param", hasty_str, POINTER(hasty_request), c_char_p)
# hasty_status hasty_request_param_to(const hasty_request *req, const char *name, hasty_str *out);
hasty_request_param_to = _declare(
    _quick, "hasty_request_param_to", c_int32, POINTER(hasty_request), c_char_p, POINTER(hasty_str)
)
# hasty_str hasty_request_query(const hasty_request *req, const char *name);
hasty_request_query = _declare(_quick, "hasty_request_query", hasty_str, POINTER(hasty_request), c_char_p)
# hasty_status hasty_request_query_to(const hasty_request *req, const char *name, hasty_str *out);
hasty_request_query_to = _declare(
    _quick, "hasty_request_query_to", c_int32, POINTER(hasty_request), c_char_p, POINTER(hasty_str)
)
# hasty_str hasty_request_cookie(const hasty_request *req, const char *name);
hasty_request_cookie = _declare(_quick, "hasty_request_cookie", hasty_str, POINTER(hasty_request), c_char_p)
# hasty_status hasty_request_cookie_to(const hasty_request *req, const char *name, hasty_str *out);
hasty_request_cookie_to = _declare(
    _quick, "hasty_request_cookie_to", c_int32, POINTER(hasty_request), c_char_p, POINTER(hasty_str)
)
# hasty_str hasty_request_form(const hasty_request *req, const char *name);
hasty_request_form = _declare(_quick, "hasty_request_form", hasty_str, POINTER(hasty_request), c_char_p)
# hasty_status hasty_request_form_to(const hasty_request *req, const char *name, hasty_str *out);
hasty_request_form_to = _declare(
    _quick, "hasty_request_form_to", c_int32, POINTER(hasty_request), c_char_p, POINTER(hasty_str)
)
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
# size_t hasty_request_file_count(const hasty_request *req);
hasty_request_file_count = _declare(_quick, "hasty_request_file_count", c_size_t, POINTER(hasty_request))
# hasty_status hasty_request_file_at(const hasty_request *req, size_t index, hasty_file *out);
hasty_request_file_at = _declare(
    _quick, "hasty_request_file_at", c_int32, POINTER(hasty_request), c_size_t, POINTER(hasty_file)
)
# hasty_status hasty_request_file(const hasty_request *req, const char *name, hasty_file *out);
hasty_request_file = _declare(
    _quick, "hasty_request_file", c_int32, POINTER(hasty_request), c_char_p, POINTER(hasty_file)
)
# hasty_status hasty_request_save_file(const hasty_request *req, size_t index, const char *path);
hasty_request_save_file = _declare(
    _waiting, "hasty_request_save_file", c_int32, POINTER(hasty_request), c_size_t, c_char_p
)
# hasty_status hasty_request_read(const hasty_request *req, void *buf, size_t len, size_t *got);
hasty_request_read = _declare(
    _waiting, "hasty_request_read", c_int32, POINTER(hasty_request), c_void_p, c_size_t, POINTER(c_size_t)
)
# hasty_status hasty_request_json(const hasty_request *req, const hasty_json **out);
hasty_request_json = _declare(
    _quick, "hasty_request_json", c_int32, POINTER(hasty_request), POINTER(POINTER(hasty_json))
)
# void *hasty_request_user_data(const hasty_request *req);
hasty_request_user_data = _declare(_quick, "hasty_request_user_data", c_void_p, POINTER(hasty_request))
# hasty_status hasty_request_set_local(const hasty_request *req, const char *key, void *value, hasty_drop drop);
hasty_request_set_local = _declare(
    _quick, "hasty_request_set_local", c_int32, POINTER(hasty_request), c_char_p, c_void_p, hasty_drop
)
# void *hasty_request_local(const hasty_request *req, const char *key);
hasty_request_local = _declare(_quick, "hasty_request_local", c_void_p, POINTER(hasty_request), c_char_p)

# --- response ---

# hasty_status hasty_response_set_status(hasty_response *res, int32_t code);
hasty_response_set_status = _declare(_quick, "hasty_response_set_status", c_int32, POINTER(hasty_response), c_int32)
# int32_t hasty_response_status(const hasty_response *res);
hasty_response_status = _declare(_quick, "hasty_response_status", c_int32, POINTER(hasty_response))
# hasty_status hasty_response_set_header(hasty_response *res, const char *name, const char *value);
hasty_response_set_header = _declare(
    _quick, "hasty_response_set_header", c_int32, POINTER(hasty_response), c_char_p, c_char_p
)
# hasty_status hasty_response_add_header(hasty_response *res, const char *name, const char *value);
hasty_response_add_header = _declare(
    _quick, "hasty_response_add_header", c_int32, POINTER(hasty_response), c_char_p, c_char_p
)
# hasty_status hasty_response_set_header_bytes(hasty_response *res, const char *name, const void *value, size_t len);
hasty_response_set_header_bytes = _declare(
    _quick, "hasty_response_set_header_bytes", c_int32, POINTER(hasty_response), c_char_p, c_char_p, c_size_t
)
# hasty_status hasty_response_add_header_bytes(hasty_response *res, const char *name, const void *value, size_t len);
hasty_response_add_header_bytes = _declare(
    _quick, "hasty_response_add_header_bytes", c_int32, POINTER(hasty_response), c_char_p, c_char_p, c_size_t
)
# hasty_status hasty_response_remove_header(hasty_response *res, const char *name);
hasty_response_remove_header = _declare(
    _quick, "hasty_response_remove_header", c_int32, POINTER(hasty_response), c_char_p
)
# hasty_str hasty_response_header(const hasty_response *res, const char *name);
hasty_response_header = _declare(_quick, "hasty_response_header", hasty_str, POINTER(hasty_response), c_char_p)
# hasty_status hasty_response_header_to(const hasty_response *res, const char *name, hasty_str *out);
hasty_response_header_to = _declare(
    _quick, "hasty_response_header_to", c_int32, POINTER(hasty_response), c_char_p, POINTER(hasty_str)
)
# hasty_str hasty_response_body(const hasty_response *res);
hasty_response_body = _declare(_quick, "hasty_response_body", hasty_str, POINTER(hasty_response))
# hasty_status hasty_response_body_to(const hasty_response *res, hasty_str *out);
hasty_response_body_to = _declare(
    _quick, "hasty_response_body_to", c_int32, POINTER(hasty_response), POINTER(hasty_str)
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
# hasty_status hasty_response_send_owned(hasty_response *res, const void *data, size_t len, void *user_data, hasty_drop drop);
hasty_response_send_owned = _declare(
    _quick, "hasty_response_send_owned", c_int32, POINTER(hasty_response), c_char_p, c_size_t, c_void_p, hasty_drop
)
# hasty_status hasty_response_send_text(hasty_response *res, const char *text);
hasty_response_send_text = _declare(_quick, "hasty_response_send_text", c_int32, POINTER(hasty_response), c_char_p)
# hasty_status hasty_response_send_html(hasty_response *res, const char *html);
hasty_response_send_html = _declare(_quick, "hasty_response_send_html", c_int32, POINTER(hasty_response), c_char_p)
# hasty_status hasty_response_send_json(hasty_response *res, const char *json);
hasty_response_send_json = _declare(_quick, "hasty_response_send_json", c_int32, POINTER(hasty_response), c_char_p)
# hasty_status hasty_response_send_json_value(hasty_response *res, const hasty_json *value);
hasty_response_send_json_value = _declare(
    _quick, "hasty_response_send_json_value", c_int32, POINTER(hasty_response), POINTER(hasty_json)
)
# hasty_status hasty_response_send_status(hasty_response *res, int32_t code);
hasty_response_send_status = _declare(_quick, "hasty_response_send_status", c_int32, POINTER(hasty_response), c_int32)
# hasty_status hasty_response_send_redirect(hasty_response *res, int32_t code, const char *location);
hasty_response_send_redirect = _declare(
    _quick, "hasty_response_send_redirect", c_int32, POINTER(hasty_response), c_int32, c_char_p
)
# hasty_status hasty_response_send_file(hasty_response *res, const char *path);
hasty_response_send_file = _declare(_waiting, "hasty_response_send_file", c_int32, POINTER(hasty_response), c_char_p)
# hasty_status hasty_response_send_download(hasty_response *res, const char *path, const char *filename);
hasty_response_send_download = _declare(
    _waiting, "hasty_response_send_download", c_int32, POINTER(hasty_response), c_char_p, c_char_p
)
# hasty_status hasty_response_write(hasty_response *res, const void *data, size_t len);
hasty_response_write = _declare(_waiting, "hasty_response_write", c_int32, POINTER(hasty_response), c_char_p, c_size_t)
# hasty_status hasty_response_write_event(hasty_response *res, const char *event, const char *data, const char *id);
hasty_response_write_event = _declare(
    _waiting, "hasty_response_write_event", c_int32, POINTER(hasty_response), c_char_p, c_char_p, c_char_p
)
# hasty_status hasty_response_reset(hasty_response *res);
hasty_response_reset = _declare(_quick, "hasty_response_reset", c_int32, POINTER(hasty_response))
# hasty_status hasty_response_defer(hasty_response *res, hasty_exchange **out);
hasty_response_defer = _declare(
    _waiting, "hasty_response_defer", c_int32, POINTER(hasty_response), POINTER(POINTER(hasty_exchange))
)

# --- exchange ---

# const hasty_request *hasty_exchange_request(const hasty_exchange *exchange);
hasty_exchange_request = _declare(_quick, "hasty_exchange_request", POINTER(hasty_request), POINTER(hasty_exchange))
# hasty_response *hasty_exchange_response(hasty_exchange *exchange);
hasty_exchange_response = _declare(_quick, "hasty_exchange_response", POINTER(hasty_response), POINTER(hasty_exchange))
# hasty_status hasty_exchange_finish(hasty_exchange *exchange);
hasty_exchange_finish = _declare(_waiting, "hasty_exchange_finish", c_int32, POINTER(hasty_exchange))
# int32_t hasty_exchange_alive(const hasty_exchange *exchange);
hasty_exchange_alive = _declare(_waiting, "hasty_exchange_alive", c_int32, POINTER(hasty_exchange))
# hasty_status hasty_exchange_on_close(hasty_exchange *exchange, hasty_notify_fn gone, void *user_data, hasty_drop drop);
hasty_exchange_on_close = _declare(
    _waiting, "hasty_exchange_on_close", c_int32, POINTER(hasty_exchange), hasty_notify_fn, c_void_p, hasty_drop
)
# hasty_status hasty_exchange_on_ready(hasty_exchange *exchange, hasty_notify_fn ready, void *user_data, hasty_drop drop);
hasty_exchange_on_ready = _declare(
    _waiting, "hasty_exchange_on_ready", c_int32, POINTER(hasty_exchange), hasty_notify_fn, c_void_p, hasty_drop
)
# void hasty_exchange_free(hasty_exchange *exchange);
hasty_exchange_free = _declare(_waiting, "hasty_exchange_free", None, POINTER(hasty_exchange))

# --- slot ---

# hasty_status hasty_slot_take(hasty_slot *slot);
hasty_slot_take = _declare(_quick, "hasty_slot_take", c_int32, POINTER(hasty_slot))
# The same without `argtypes`, for a `byref` of a slot: checking the argument would take longer than the call.
take_slot: Callable[[Any], int] = _Status(("hasty_slot_take", _quick))
# hasty_status hasty_slot_take_object(hasty_slot_object *object);
hasty_slot_take_object = _declare(_quick, "hasty_slot_take_object", c_int32, POINTER(hasty_slot_object))
# hasty_status hasty_slot_wait(hasty_slot *slot, int32_t timeout_ms);
hasty_slot_wait = _declare(_waiting, "hasty_slot_wait", c_int32, POINTER(hasty_slot), c_int32)
# hasty_status hasty_slot_exchange(hasty_slot *slot, hasty_exchange **out);
hasty_slot_exchange = _declare(
    _quick, "hasty_slot_exchange", c_int32, POINTER(hasty_slot), POINTER(POINTER(hasty_exchange))
)

# --- json ---

# hasty_status hasty_json_parse(const void *text, size_t len, hasty_json **out);
hasty_json_parse = _declare(_quick, "hasty_json_parse", c_int32, c_char_p, c_size_t, POINTER(POINTER(hasty_json)))
# void hasty_json_free(hasty_json *json);
hasty_json_free = _declare(_quick, "hasty_json_free", None, POINTER(hasty_json))
# hasty_status hasty_json_clone(const hasty_json *json, hasty_json **out);
hasty_json_clone = _declare(_quick, "hasty_json_clone", c_int32, POINTER(hasty_json), POINTER(POINTER(hasty_json)))
# int32_t hasty_json_kind(const hasty_json *json);
hasty_json_kind = _declare(_quick, "hasty_json_kind", c_int32, POINTER(hasty_json))
# size_t hasty_json_len(const hasty_json *json);
hasty_json_len = _declare(_quick, "hasty_json_len", c_size_t, POINTER(hasty_json))
# const hasty_json *hasty_json_get(const hasty_json *json, const char *key);
hasty_json_get = _declare(_quick, "hasty_json_get", POINTER(hasty_json), POINTER(hasty_json), c_char_p)
# const hasty_json *hasty_json_at(const hasty_json *json, size_t index);
hasty_json_at = _declare(_quick, "hasty_json_at", POINTER(hasty_json), POINTER(hasty_json), c_size_t)
# const hasty_json *hasty_json_find(const hasty_json *json, const char *pointer);
hasty_json_find = _declare(_quick, "hasty_json_find", POINTER(hasty_json), POINTER(hasty_json), c_char_p)
# hasty_str hasty_json_key_at(const hasty_json *json, size_t index);
hasty_json_key_at = _declare(_quick, "hasty_json_key_at", hasty_str, POINTER(hasty_json), c_size_t)
# hasty_status hasty_json_key_at_to(const hasty_json *json, size_t index, hasty_str *out);
hasty_json_key_at_to = _declare(
    _quick, "hasty_json_key_at_to", c_int32, POINTER(hasty_json), c_size_t, POINTER(hasty_str)
)
# hasty_str hasty_json_as_string(const hasty_json *json);
hasty_json_as_string = _declare(_quick, "hasty_json_as_string", hasty_str, POINTER(hasty_json))
# hasty_status hasty_json_as_string_to(const hasty_json *json, hasty_str *out);
hasty_json_as_string_to = _declare(_quick, "hasty_json_as_string_to", c_int32, POINTER(hasty_json), POINTER(hasty_str))
# hasty_status hasty_json_as_int(const hasty_json *json, int64_t *out);
hasty_json_as_int = _declare(_quick, "hasty_json_as_int", c_int32, POINTER(hasty_json), POINTER(c_int64))
# hasty_status hasty_json_as_double(const hasty_json *json, double *out);
hasty_json_as_double = _declare(_quick, "hasty_json_as_double", c_int32, POINTER(hasty_json), POINTER(c_double))
# hasty_status hasty_json_as_bool(const hasty_json *json, int32_t *out);
hasty_json_as_bool = _declare(_quick, "hasty_json_as_bool", c_int32, POINTER(hasty_json), POINTER(c_int32))
# hasty_json *hasty_json_new_object(void);
hasty_json_new_object = _declare(_quick, "hasty_json_new_object", POINTER(hasty_json))
# hasty_json *hasty_json_new_array(void);
hasty_json_new_array = _declare(_quick, "hasty_json_new_array", POINTER(hasty_json))
# hasty_json *hasty_json_new_null(void);
hasty_json_new_null = _declare(_quick, "hasty_json_new_null", POINTER(hasty_json))
# hasty_json *hasty_json_new_bool(int32_t value);
hasty_json_new_bool = _declare(_quick, "hasty_json_new_bool", POINTER(hasty_json), c_int32)
# hasty_json *hasty_json_new_int(int64_t value);
hasty_json_new_int = _declare(_quick, "hasty_json_new_int", POINTER(hasty_json), c_int64)
# hasty_json *hasty_json_new_double(double value);
hasty_json_new_double = _declare(_quick, "hasty_json_new_double", POINTER(hasty_json), c_double)
# hasty_json *hasty_json_new_string(const void *utf8, size_t len);
hasty_json_new_string = _declare(_quick, "hasty_json_new_string", POINTER(hasty_json), c_char_p, c_size_t)
# hasty_status hasty_json_set(hasty_json *object, const char *key, hasty_json *value);
hasty_json_set = _declare(_quick, "hasty_json_set", c_int32, POINTER(hasty_json), c_char_p, POINTER(hasty_json))
# hasty_status hasty_json_set_bytes(hasty_json *object, const void *key, size_t len, hasty_json *value);
hasty_json_set_bytes = _declare(
    _quick, "hasty_json_set_bytes", c_int32, POINTER(hasty_json), c_char_p, c_size_t, POINTER(hasty_json)
)
# hasty_status hasty_json_push(hasty_json *array, hasty_json *value);
hasty_json_push = _declare(_quick, "hasty_json_push", c_int32, POINTER(hasty_json), POINTER(hasty_json))
# hasty_status hasty_json_to_text(const hasty_json *json, char *buf, size_t cap, size_t *needed);
hasty_json_to_text = _declare(
    _quick, "hasty_json_to_text", c_int32, POINTER(hasty_json), c_char_p, c_size_t, POINTER(c_size_t)
)


def octets(view: hasty_str) -> bytes | None:
    """Returns a copy of a view's bytes; None for a null view."""
    data = view.data
    if data is None or len(data) == view.len:
        return data
    # It contains a NUL: read by length instead.
    address = c_void_p.from_buffer(view).value
    return ctypes.string_at(address, view.len) if address else None


def encode(text: str | bytes, what: str) -> bytes:
    """Returns text as a C string; raises InvalidError, which calls it `what`, for a NUL, which would end it in C."""
    data = text.encode() if isinstance(text, str) else text
    if b"\0" in data:
        raise errors.InvalidError(f"{what} {text!r} contains a NUL character")
    return data


def last_error() -> str:
    """Returns the library's message about this thread's last failed call."""
    return (octets(hasty_last_error()) or b"").decode(errors="replace")


def check(status: int) -> None:
    """Raises the exception for a status; does nothing for OK."""
    if status == OK:
        return
    # CLOSED and TIMEOUT do not set the last error, which may be that of another call.
    message = "" if status in (ERR_CLOSED, ERR_TIMEOUT) else last_error()
    raise errors.from_status(status, message or hasty_status_name(status).decode())
