{ hasty for Free Pascal: the whole of include/hasty.h, and helpers for text.
  SPDX-License-Identifier: MIT OR Apache-2.0

  Conventions:

  Handles     PHastyApp, PHastyRequest and their like; NULL is nil.
  Text        goes in as PAnsiChar: a literal, or PAnsiChar(AnsiString). It comes out as THastyStr, of which HastyText makes a
              string of its own. All of it is UTF-8.
  Outputs     var parameters: written on success only. They must be there; where C allows NULL the parameter is a pointer.
  Options     records begin with size: fill them with 0 (Default(THastyOptions)) and set size := SizeOf(options). 0 is the
              default, HASTY_NONE none. nil is all defaults.
  Callbacks   cdecl; @handler. They run on the library's threads unless the route has dispatch = caller. Free Pascal does not
              know threads that it has not created: on those use no exceptions, managed strings, threadvar or WriteLn, unless
              the program uses cthreads. No exception may leave a callback, on any thread.
  Arithmetic  Free Pascal lets some floating-point operations trap; C and Rust count on infinities and NaN. This unit masks the
              traps, as units for C libraries do, for the main thread and for the threads that it creates. So 1.0 / 0.0 is infinity
              in your own code too; if you do not want that, call SetExceptionMask, but not around calls of hasty. }
unit hasty;

{$mode objfpc}{$H+}
{$packrecords c}
{$linklib c}
{$linklib hasty}

interface

{ ---- generated from include/hasty.h }

const
  // In a 32-bit option: literally zero, none or off, where 0 means the default.
  HASTY_NONE = $FFFFFFFF;
  // In a 64-bit option: literally zero, none or off, where 0 means the default.
  HASTY_NONE64 = $FFFFFFFFFFFFFFFF;
  // What the reply in a slot is: UTF-8 text.
  HASTY_KIND_TEXT = 0;
  // HTML.
  HASTY_KIND_HTML = 1;
  // JSON text.
  HASTY_KIND_JSON = 2;
  // Bytes.
  HASTY_KIND_BYTES = 3;
  // The path of a file.
  HASTY_KIND_FILE = 4;
  // No body.
  HASTY_KIND_NONE = 5;
  // Levels of log messages, the most severe first: a request or a thread failed.
  HASTY_LOG_ERROR = 1;
  // A problem that the library has recovered from.
  HASTY_LOG_WARN = 2;
  // Normal events.
  HASTY_LOG_INFO = 3;
  // Details for debugging.
  HASTY_LOG_DEBUG = 4;
  // Methods by number: any other token.
  HASTY_METHOD_OTHER = 0;
  // GET
  HASTY_GET = 1;
  // HEAD
  HASTY_HEAD = 2;
  // POST
  HASTY_POST = 3;
  // PUT
  HASTY_PUT = 4;
  // DELETE
  HASTY_DELETE = 5;
  // CONNECT
  HASTY_CONNECT = 6;
  // OPTIONS
  HASTY_OPTIONS = 7;
  // TRACE
  HASTY_TRACE = 8;
  // PATCH
  HASTY_PATCH = 9;
  // What `hasty_json_kind()` answers for null.
  HASTY_JSON_NULL = 0;
  // `true` or `false`.
  HASTY_JSON_BOOL = 1;
  // A number.
  HASTY_JSON_NUMBER = 2;
  // A string.
  HASTY_JSON_STRING = 3;
  // An array.
  HASTY_JSON_ARRAY = 4;
  // An object.
  HASTY_JSON_OBJECT = 5;
  // Done.
  HASTY_OK = 0;
  // A required argument was NULL.
  HASTY_ERR_NULL = 1;
  // A value breaks a rule; `hasty_last_error()` names both.
  HASTY_ERR_INVALID = 2;
  // The call is not allowed now: registration after start, waiting inside a callback.
  HASTY_ERR_STATE = 3;
  // The operating system refused; `hasty_last_error()` has its reason.
  HASTY_ERR_IO = 4;
  // The client, or the app, is gone.
  HASTY_ERR_CLOSED = 5;
  // Nothing happened within the time allowed.
  HASTY_ERR_TIMEOUT = 6;
  // A bug in the library caused a panic, which was caught.
  HASTY_ERR_PANIC = 7;
  // A limit would be exceeded.
  HASTY_ERR_LIMIT = 8;
  // There is nothing of that name.
  HASTY_ERR_NOT_FOUND = 9;
  // This build or this machine cannot do it.
  HASTY_ERR_UNSUPPORTED = 10;
  // From middleware: go on to the next step.
  HASTY_NEXT = 100;

type
  // The outcome of a call: HASTY_OK, or one of HASTY_ERR_*.
  THastyStatus = LongInt;
  // A server with its routes and options.
  PHastyApp = ^THastyApp;
  THastyApp = record end;
  // One request and the answer that is owed for it.
  PHastyExchange = ^THastyExchange;
  THastyExchange = record end;
  // A JSON value.
  PHastyJson = ^THastyJson;
  THastyJson = record end;
  // One request, read only.
  PHastyRequest = ^THastyRequest;
  THastyRequest = record end;
  // The answer being prepared.
  PHastyResponse = ^THastyResponse;
  THastyResponse = record end;

  PHastyStr = ^THastyStr;
  // A piece of text or bytes that belongs to somebody else.
  THastyStr = record
    data: PAnsiChar;
    len: SizeUInt;
  end;

  PHastyOptions = ^THastyOptions;
  // Options of an app.
  THastyOptions = record
    size: SizeUInt;
    max_body_bytes: QWord;
    threads: LongWord;
    max_connections: LongWord;
    max_connections_per_ip: LongWord;
    max_header_bytes: LongWord;
    max_headers: LongWord;
    max_target_bytes: LongWord;
    header_timeout_ms: LongWord;
    body_timeout_ms: LongWord;
    idle_timeout_ms: LongWord;
    write_timeout_ms: LongWord;
    exchange_timeout_ms: LongWord;
    max_requests_per_connection: LongWord;
    server_header: PAnsiChar;
  end;

  PHastyStatic = ^THastyStatic;
  // How a folder of files is served.
  THastyStatic = record
    size: SizeUInt;
    index: PAnsiChar;
    fallback: PAnsiChar;
    cache_control: PAnsiChar;
    list: LongInt;
    dotfiles: LongInt;
  end;

  PHastyCors = ^THastyCors;
  // Which other origins' scripts may read answers.
  THastyCors = record
    size: SizeUInt;
    origins: PAnsiChar;
    methods: PAnsiChar;
    headers: PAnsiChar;
    expose: PAnsiChar;
    max_age_s: LongWord;
    credentials: LongInt;
    private_network: LongInt;
    reserved: LongWord;
  end;

  PHastyAccess = ^THastyAccess;
  // One finished request, for an access log.
  THastyAccess = record
    size: SizeUInt;
    method: THastyStr;
    target: THastyStr;
    route: THastyStr;
    remote_address: THastyStr;
    user_agent: THastyStr;
    referer: THastyStr;
    id: THastyStr;
    bytes_in: QWord;
    bytes_out: QWord;
    duration_us: QWord;
    time_us: Int64;
    status: LongInt;
    reserved: LongWord;
  end;

  PHastyFile = ^THastyFile;
  // One file of a multipart body.
  THastyFile = record
    size: SizeUInt;
    name: THastyStr;
    filename: THastyStr;
    content_type: THastyStr;
    data: THastyStr;
    path: PAnsiChar;
    length: QWord;
  end;

  PHastyCookie = ^THastyCookie;
  // How a cookie is set.
  THastyCookie = record
    size: SizeUInt;
    path: PAnsiChar;
    domain: PAnsiChar;
    same_site: PAnsiChar;
    max_age_s: Int64;
    secure: LongInt;
    script_visible: LongInt;
  end;

  PHastySlot = ^THastySlot;
  // A request and its answer at a fixed address, for languages in which every call is expensive.
  THastySlot = record
    size: SizeUInt;
    app: PHastyApp;
    ticket: QWord;
    route: LongInt;
    method: LongInt;
    user_data: Pointer;
    request: PHastyRequest;
    method_text: PAnsiChar;
    path: PAnsiChar;
    query: PAnsiChar;
    params: PAnsiChar;
    header_names: PAnsiChar;
    header_values: PAnsiChar;
    path_len: QWord;
    query_len: QWord;
    params_len: QWord;
    header_count: QWord;
    body: PByte;
    body_len: QWord;
    status: LongInt;
    kind: LongInt;
    content_type: PAnsiChar;
    extra_headers: PAnsiChar;
    extra_headers_len: QWord;
    reply: PByte;
    reply_len: QWord;
  end;

  PHastySlotObject = ^THastySlotObject;
  // An object of the host's that stands for a slot: see `hasty_slot_take_object()`.
  THastySlotObject = record
    first: Pointer;
    second: Pointer;
    slot: PHastySlot;
    status: THastyStatus;
    length_at: LongWord;
    bytes_at: LongWord;
    reserved: LongWord;
    reply: Pointer;
  end;

  PHastySlotMore = ^THastySlotMore;
  // A slot with more fields: pass `&more.slot`, with `more.slot.size = sizeof more`.
  THastySlotMore = record
    slot: THastySlot;
    minor_version: LongInt;
    remote_v4: LongWord;
    alike: QWord;
  end;

  // Answers one request.
  THastyHandler = function (req: PHastyRequest; res: PHastyResponse; user_data: Pointer): THastyStatus; cdecl;

  // Frees a `user_data`.
  THastyDrop = procedure (user_data: Pointer); cdecl;

  // Decides whether one more request of `key` is allowed: 1 allows, 0 refuses.
  THastyAllowFn = function (key: PHastyStr; user_data: Pointer): LongInt; cdecl;

  // Receives one log message; `level` is one of `HASTY_LOG_*`.
  THastyLogFn = procedure (level: LongInt; message: PHastyStr; user_data: Pointer); cdecl;

  // Receives the record of one finished request.
  THastyAccessFn = procedure (record_: PHastyAccess; user_data: Pointer); cdecl;

  // Reports an event; the function that registers it says which, when, and on which thread.
  THastyNotifyFn = procedure (user_data: Pointer); cdecl;

// Returns the ABI's number.
function hasty_abi_version: LongWord; cdecl; external 'hasty';

// Returns the library's version, such as "0.1.0".
function hasty_version: PAnsiChar; cdecl; external 'hasty';

// Returns a status's name, such as "HASTY_ERR_INVALID"; "unknown" for any other number.
function hasty_status_name(status: THastyStatus): PAnsiChar; cdecl; external 'hasty';

// Returns what went wrong in this thread's last failing call, naming the value and the rule.
function hasty_last_error: THastyStr; cdecl; external 'hasty';

// Like `hasty_last_error()`, for languages that cannot take structs by value.
function hasty_last_error_to(var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Makes an app. `options` may be NULL: all defaults.
function hasty_app_new(options: PHastyOptions; var out_: PHastyApp): THastyStatus; cdecl; external 'hasty';

// Stops the app, waits for callbacks that run, and frees it.
procedure hasty_app_free(app: PHastyApp); cdecl; external 'hasty';

// Sets an option by name and text, literally: "0" is zero, none or off.
function hasty_app_set_option(app: PHastyApp; key: PAnsiChar; value: PAnsiChar): THastyStatus; cdecl; external 'hasty';

// Sets an option of one route, identified by the method ("*" for any) and pattern it was registered with, before start.
function hasty_app_set_route_option(app: PHastyApp; method: PAnsiChar; pattern: PAnsiChar; key: PAnsiChar; value: PAnsiChar):
  THastyStatus; cdecl; external 'hasty';

// Returns an option's value as text, or its default.
function hasty_app_option(app: PHastyApp; key: PAnsiChar): THastyStr; cdecl; external 'hasty';

// Like `hasty_app_option()`, for languages that cannot take structs by value.
function hasty_app_option_to(app: PHastyApp; key: PAnsiChar; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Adds `handler` for `method` and `pattern`.
function hasty_app_route(app: PHastyApp; method: PAnsiChar; pattern: PAnsiChar; handler: THastyHandler; user_data: Pointer; drop:
  THastyDrop): THastyStatus; cdecl; external 'hasty';

// Adds `handler` for GET, and for HEAD unless HEAD has a handler of its own. `user_data` must outlive the app.
function hasty_app_get(app: PHastyApp; pattern: PAnsiChar; handler: THastyHandler; user_data: Pointer): THastyStatus; cdecl;
  external 'hasty';

// Adds `handler` for POST. `user_data` must outlive the app.
function hasty_app_post(app: PHastyApp; pattern: PAnsiChar; handler: THastyHandler; user_data: Pointer): THastyStatus; cdecl;
  external 'hasty';

// Adds `handler` for PUT. `user_data` must outlive the app.
function hasty_app_put(app: PHastyApp; pattern: PAnsiChar; handler: THastyHandler; user_data: Pointer): THastyStatus; cdecl;
  external 'hasty';

// Adds `handler` for PATCH. `user_data` must outlive the app.
function hasty_app_patch(app: PHastyApp; pattern: PAnsiChar; handler: THastyHandler; user_data: Pointer): THastyStatus; cdecl;
  external 'hasty';

// Adds `handler` for DELETE. `user_data` must outlive the app.
function hasty_app_delete(app: PHastyApp; pattern: PAnsiChar; handler: THastyHandler; user_data: Pointer): THastyStatus; cdecl;
  external 'hasty';

// Adds `handler` for every method that has no handler of its own. `user_data` must outlive the app.
function hasty_app_any(app: PHastyApp; pattern: PAnsiChar; handler: THastyHandler; user_data: Pointer): THastyStatus; cdecl;
  external 'hasty';

// Serves the files below `directory` for GET and HEAD, at `prefix` and every path below it. `options` may be NULL.
function hasty_app_static(app: PHastyApp; prefix: PAnsiChar; directory: PAnsiChar; options: PHastyStatic): THastyStatus; cdecl;
  external 'hasty';

// Runs `handler` before those of the routes, for every request at `prefix` and below, in the order of registration.
function hasty_app_use(app: PHastyApp; prefix: PAnsiChar; handler: THastyHandler; user_data: Pointer; drop: THastyDrop):
  THastyStatus; cdecl; external 'hasty';

// Runs `handler` after those of the routes, for every answer at `prefix` and below, in the reverse order of registration.
function hasty_app_after(app: PHastyApp; prefix: PAnsiChar; handler: THastyHandler; user_data: Pointer; drop: THastyDrop):
  THastyStatus; cdecl; external 'hasty';

// Lets scripts of other origins read answers at `prefix` and below.
function hasty_app_cors(app: PHastyApp; prefix: PAnsiChar; policy: PHastyCors): THastyStatus; cdecl; external 'hasty';

// Limits the rate of each client's requests at `prefix` and below; excess ones are answered 429, with `Retry-After`.
function hasty_app_rate_limit(app: PHastyApp; prefix: PAnsiChar; per_minute: LongWord; burst: LongWord; allow: THastyAllowFn;
  user_data: Pointer; drop: THastyDrop): THastyStatus; cdecl; external 'hasty';

// Adds a header to every answer that has none of that name, `Vary` to all; both strings are copied.
function hasty_app_add_header(app: PHastyApp; name: PAnsiChar; value: PAnsiChar): THastyStatus; cdecl; external 'hasty';

// Adds a set of common security headers to every answer, each unless the answer has one of that name.
function hasty_app_secure_headers(app: PHastyApp): THastyStatus; cdecl; external 'hasty';

// Lets `handler` change every answer from 400 to 599 that the library itself gives.
function hasty_app_on_error(app: PHastyApp; handler: THastyHandler; user_data: Pointer; drop: THastyDrop): THastyStatus; cdecl;
  external 'hasty';

// Passes log messages to `log`; without it they are discarded.
function hasty_app_on_log(app: PHastyApp; log: THastyLogFn; user_data: Pointer; drop: THastyDrop): THastyStatus; cdecl; external
  'hasty';

// Passes `access` the record of each answered request, including those that could not be parsed.
function hasty_app_on_access(app: PHastyApp; access: THastyAccessFn; user_data: Pointer; drop: THastyDrop): THastyStatus; cdecl;
  external 'hasty';

// Calls `start` on each thread of the app's pool before it serves, and `stop` before it ends.
function hasty_app_on_thread(app: PHastyApp; start: THastyNotifyFn; stop: THastyNotifyFn; user_data: Pointer; drop: THastyDrop):
  THastyStatus; cdecl; external 'hasty';

// Answers GET at `pattern` with a health report in JSON: status 200, or 503 while the app drains.
function hasty_app_health(app: PHastyApp; pattern: PAnsiChar): THastyStatus; cdecl; external 'hasty';

// Listens on a TCP port, at once; connections are accepted after start.
function hasty_app_listen(app: PHastyApp; host: PAnsiChar; port: LongInt): THastyStatus; cdecl; external 'hasty';

// Listens on a Unix socket, at once.
function hasty_app_listen_unix(app: PHastyApp; path: PAnsiChar; mode: LongWord): THastyStatus; cdecl; external 'hasty';

// Listens on a socket that is listening already, such as one passed by a service manager.
function hasty_app_listen_fd(app: PHastyApp; fd: LongInt): THastyStatus; cdecl; external 'hasty';

// Returns the port of the first TCP listener; 0 without one.
function hasty_app_port(app: PHastyApp): LongInt; cdecl; external 'hasty';

// Starts the app's threads, and returns.
function hasty_app_start(app: PHastyApp): THastyStatus; cdecl; external 'hasty';

// Starts the app unless it has started, and serves on this thread too until the app is stopped.
function hasty_app_run(app: PHastyApp): THastyStatus; cdecl; external 'hasty';

// Refuses new connections, lets requests in progress finish with `Connection: close`, and stops, at the latest after
// `timeout_ms`.
function hasty_app_drain(app: PHastyApp; timeout_ms: LongInt): THastyStatus; cdecl; external 'hasty';

// Asks the app to drain, and returns at once: `hasty_app_drain()` for programs whose threads have other things to do.
procedure hasty_app_begin_drain(app: PHastyApp; timeout_ms: LongInt); cdecl; external 'hasty';

// Asks the app to stop, and returns at once.
procedure hasty_app_stop(app: PHastyApp); cdecl; external 'hasty';

// Waits until the app has stopped and its last callback has returned.
function hasty_app_wait(app: PHastyApp; timeout_ms: LongInt): THastyStatus; cdecl; external 'hasty';

// Returns a descriptor that is readable exactly while requests wait for `hasty_app_poll()` or its like.
function hasty_app_fd(app: PHastyApp): LongInt; cdecl; external 'hasty';

// Runs handlers of routes with `dispatch = caller` on this thread.
function hasty_app_poll(app: PHastyApp; max_requests: LongWord; timeout_ms: LongInt; var served: LongWord): THastyStatus; cdecl;
  external 'hasty';

// Takes a request of a route with `dispatch = caller`, or waits for one.
function hasty_app_next(app: PHastyApp; timeout_ms: LongInt; var out_: PHastyExchange): THastyStatus; cdecl; external 'hasty';

// Ends a waiting call of `hasty_app_poll()`, `hasty_app_next()` or `hasty_slot_wait()`, or else the next one that would wait.
procedure hasty_app_wake(app: PHastyApp); cdecl; external 'hasty';

// Writes a record as one line of an access log, without line end.
function hasty_access_to_text(record_: PHastyAccess; format: PAnsiChar; buf: PAnsiChar; cap: SizeUInt; var needed: SizeUInt):
  THastyStatus; cdecl; external 'hasty';

// Returns the method as sent, such as "GET".
function hasty_request_method(req: PHastyRequest): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_method()`, for languages that cannot take structs by value.
function hasty_request_method_to(req: PHastyRequest; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the path, percent-decoded, for display.
function hasty_request_path(req: PHastyRequest): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_path()`, for languages that cannot take structs by value.
function hasty_request_path_to(req: PHastyRequest; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the path as sent, without the query.
function hasty_request_raw_path(req: PHastyRequest): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_raw_path()`, for languages that cannot take structs by value.
function hasty_request_raw_path_to(req: PHastyRequest; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns what follows the `?` as sent.
function hasty_request_query_string(req: PHastyRequest): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_query_string()`, for languages that cannot take structs by value.
function hasty_request_query_string_to(req: PHastyRequest; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the whole request target as sent.
function hasty_request_target(req: PHastyRequest): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_target()`, for languages that cannot take structs by value.
function hasty_request_target_to(req: PHastyRequest; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the pattern of the route that answers, as registered.
function hasty_request_route(req: PHastyRequest): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_route()`, for languages that cannot take structs by value.
function hasty_request_route_to(req: PHastyRequest; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the client's address, without port, such as "127.0.0.1"; "unix" for a Unix socket.
function hasty_request_remote_address(req: PHastyRequest): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_remote_address()`, for languages that cannot take structs by value.
function hasty_request_remote_address_to(req: PHastyRequest; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the request's id: its X-Request-ID if that is printable and at most 128 bytes long, else 32 hexadecimal digits
// generated on first use.
function hasty_request_id(req: PHastyRequest): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_id()`, for languages that cannot take structs by value.
function hasty_request_id_to(req: PHastyRequest; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the body, as received.
function hasty_request_body(req: PHastyRequest): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_body()`, for languages that cannot take structs by value.
function hasty_request_body_to(req: PHastyRequest; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns 1 for HTTP/1.1, 0 for HTTP/1.0 (and for NULL).
function hasty_request_minor_version(req: PHastyRequest): LongInt; cdecl; external 'hasty';

// Returns the first header called `name`, compared without case.
function hasty_request_header(req: PHastyRequest; name: PAnsiChar): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_header()`, for languages that cannot take structs by value.
function hasty_request_header_to(req: PHastyRequest; name: PAnsiChar; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the segment that matched `:name` of the route's pattern, or the rest that matched `*name`, percent-decoded once.
function hasty_request_param(req: PHastyRequest; name: PAnsiChar): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_param()`, for languages that cannot take structs by value.
function hasty_request_param_to(req: PHastyRequest; name: PAnsiChar; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the first value of `name` in the query, decoded; `+` is a space.
function hasty_request_query(req: PHastyRequest; name: PAnsiChar): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_query()`, for languages that cannot take structs by value.
function hasty_request_query_to(req: PHastyRequest; name: PAnsiChar; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the first cookie called `name`, as received, without quotes around it.
function hasty_request_cookie(req: PHastyRequest; name: PAnsiChar): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_cookie()`, for languages that cannot take structs by value.
function hasty_request_cookie_to(req: PHastyRequest; name: PAnsiChar; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the first value of `name` among the fields of a form, urlencoded (decoded) or multipart; files are not fields.
function hasty_request_form(req: PHastyRequest; name: PAnsiChar): THastyStr; cdecl; external 'hasty';

// Like `hasty_request_form()`, for languages that cannot take structs by value.
function hasty_request_form_to(req: PHastyRequest; name: PAnsiChar; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns how many header lines there are.
function hasty_request_header_count(req: PHastyRequest): SizeUInt; cdecl; external 'hasty';

// Returns how many params there are.
function hasty_request_param_count(req: PHastyRequest): SizeUInt; cdecl; external 'hasty';

// Returns how many parameters the query has, counting repeated names each time.
function hasty_request_query_count(req: PHastyRequest): SizeUInt; cdecl; external 'hasty';

// Returns how many cookies there are.
function hasty_request_cookie_count(req: PHastyRequest): SizeUInt; cdecl; external 'hasty';

// Returns how many fields a form has, urlencoded or multipart, counting repeated names each time; 0 for other bodies.
function hasty_request_form_count(req: PHastyRequest): SizeUInt; cdecl; external 'hasty';

// Gives name and value number `index`, in order of arrival, names as sent.
function hasty_request_header_at(req: PHastyRequest; index: SizeUInt; var name: THastyStr; var value: THastyStr): THastyStatus;
  cdecl; external 'hasty';

// Gives name and value number `index`, in the order of the pattern.
function hasty_request_param_at(req: PHastyRequest; index: SizeUInt; var name: THastyStr; var value: THastyStr): THastyStatus;
  cdecl; external 'hasty';

// Gives name and value number `index`, in order, decoded.
function hasty_request_query_at(req: PHastyRequest; index: SizeUInt; var name: THastyStr; var value: THastyStr): THastyStatus;
  cdecl; external 'hasty';

// Gives name and value number `index`, in order.
function hasty_request_cookie_at(req: PHastyRequest; index: SizeUInt; var name: THastyStr; var value: THastyStr): THastyStatus;
  cdecl; external 'hasty';

// Gives name and value number `index`, in order, decoded.
function hasty_request_form_at(req: PHastyRequest; index: SizeUInt; var name: THastyStr; var value: THastyStr): THastyStatus; cdecl;
  external 'hasty';

// Tells whether the body is a form that could be read: `HASTY_ERR_INVALID` if a multipart form is malformed.
function hasty_request_form_status(req: PHastyRequest): THastyStatus; cdecl; external 'hasty';

// Returns how many files a multipart form has; 0 for other bodies.
function hasty_request_file_count(req: PHastyRequest): SizeUInt; cdecl; external 'hasty';

// Describes a file of a multipart form, in the order of the form.
function hasty_request_file_at(req: PHastyRequest; index: SizeUInt; var out_: THastyFile): THastyStatus; cdecl; external 'hasty';

// Describes the first file of a multipart form whose field is called `name`.
function hasty_request_file(req: PHastyRequest; name: PAnsiChar; var out_: THastyFile): THastyStatus; cdecl; external 'hasty';

// Writes a copy of a file of a multipart form to `path`, in place of any file there.
function hasty_request_save_file(req: PHastyRequest; index: SizeUInt; path: PAnsiChar): THastyStatus; cdecl; external 'hasty';

// Reads some bytes of the body, waiting for them: for routes with `body = stream`, whose handler runs before it is received.
function hasty_request_read(req: PHastyRequest; buf: Pointer; len: SizeUInt; var got: SizeUInt): THastyStatus; cdecl; external
  'hasty';

// Parses the body as JSON, whatever its Content-Type.
function hasty_request_json(req: PHastyRequest; var out_: PHastyJson): THastyStatus; cdecl; external 'hasty';

// Returns the `user_data` that the route was registered with; NULL if no route answers.
function hasty_request_user_data(req: PHastyRequest): Pointer; cdecl; external 'hasty';

// Keeps `value` under `key` until the request ends, in place of an earlier one.
function hasty_request_set_local(req: PHastyRequest; key: PAnsiChar; value: Pointer; drop: THastyDrop): THastyStatus; cdecl;
  external 'hasty';

// Returns the value set by `hasty_request_set_local()` under `key`; NULL if there is none.
function hasty_request_local(req: PHastyRequest; key: PAnsiChar): Pointer; cdecl; external 'hasty';

// Sets the status code: 200 to 599.
function hasty_response_set_status(res: PHastyResponse; code: LongInt): THastyStatus; cdecl; external 'hasty';

// Returns the status code as it stands.
function hasty_response_status(res: PHastyResponse): LongInt; cdecl; external 'hasty';

// Sets a header in place of any of that name; both strings are copied.
function hasty_response_set_header(res: PHastyResponse; name: PAnsiChar; value: PAnsiChar): THastyStatus; cdecl; external 'hasty';

// Adds a header beside any of that name; both strings are copied.
function hasty_response_add_header(res: PHastyResponse; name: PAnsiChar; value: PAnsiChar): THastyStatus; cdecl; external 'hasty';

// Like `hasty_response_set_header()`, with a value of `len` bytes that need not end with a NUL.
function hasty_response_set_header_bytes(res: PHastyResponse; name: PAnsiChar; value: Pointer; len: SizeUInt): THastyStatus; cdecl;
  external 'hasty';

// Like `hasty_response_add_header()`, with a value of `len` bytes that need not end with a NUL.
function hasty_response_add_header_bytes(res: PHastyResponse; name: PAnsiChar; value: Pointer; len: SizeUInt): THastyStatus; cdecl;
  external 'hasty';

// Removes all headers called `name`, compared without case; there need not be any.
function hasty_response_remove_header(res: PHastyResponse; name: PAnsiChar): THastyStatus; cdecl; external 'hasty';

// Returns the first header called `name` that was set so far, compared without case.
function hasty_response_header(res: PHastyResponse; name: PAnsiChar): THastyStr; cdecl; external 'hasty';

// Like `hasty_response_header()`, for languages that cannot take structs by value.
function hasty_response_header_to(res: PHastyResponse; name: PAnsiChar; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the body set so far.
function hasty_response_body(res: PHastyResponse): THastyStr; cdecl; external 'hasty';

// Like `hasty_response_body()`, for languages that cannot take structs by value.
function hasty_response_body_to(res: PHastyResponse; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Sets the body's type.
function hasty_response_set_type(res: PHastyResponse; type_: PAnsiChar): THastyStatus; cdecl; external 'hasty';

// Adds a cookie. `options` may be NULL: path "/", SameSite=Lax, HttpOnly, until the browser closes.
function hasty_response_set_cookie(res: PHastyResponse; name: PAnsiChar; value: PAnsiChar; options: PHastyCookie): THastyStatus;
  cdecl; external 'hasty';

// Tells the client to forget a cookie.
function hasty_response_delete_cookie(res: PHastyResponse; name: PAnsiChar; options: PHastyCookie): THastyStatus; cdecl; external
  'hasty';

// Sends `len` bytes, which are copied.
function hasty_response_send(res: PHastyResponse; data: Pointer; len: SizeUInt): THastyStatus; cdecl; external 'hasty';

// Sends `len` bytes without copying them.
function hasty_response_send_owned(res: PHastyResponse; data: Pointer; len: SizeUInt; user_data: Pointer; drop: THastyDrop):
  THastyStatus; cdecl; external 'hasty';

// Sends UTF-8 text, which is copied.
function hasty_response_send_text(res: PHastyResponse; text: PAnsiChar): THastyStatus; cdecl; external 'hasty';

// Sends UTF-8 HTML, which is copied.
function hasty_response_send_html(res: PHastyResponse; html: PAnsiChar): THastyStatus; cdecl; external 'hasty';

// Sends JSON text as it is, copied; it is not checked.
function hasty_response_send_json(res: PHastyResponse; json: PAnsiChar): THastyStatus; cdecl; external 'hasty';

// Sends a JSON value as text; the value stays yours.
function hasty_response_send_json_value(res: PHastyResponse; value: PHastyJson): THastyStatus; cdecl; external 'hasty';

// Sends a status with its phrase as text: "404 Not Found".
function hasty_response_send_status(res: PHastyResponse; code: LongInt): THastyStatus; cdecl; external 'hasty';

// Sends the client to `location`; `code` is 301, 302, 303, 307 or 308.
function hasty_response_send_redirect(res: PHastyResponse; code: LongInt; location: PAnsiChar): THastyStatus; cdecl; external
  'hasty';

// Sends a file; its type follows from its name unless one was set.
function hasty_response_send_file(res: PHastyResponse; path: PAnsiChar): THastyStatus; cdecl; external 'hasty';

// Sends a file for the client to save as `filename`; NULL means the file's own name.
function hasty_response_send_download(res: PHastyResponse; path: PAnsiChar; filename: PAnsiChar): THastyStatus; cdecl; external
  'hasty';

// Writes a piece of the body, which is copied, and sends it.
function hasty_response_write(res: PHastyResponse; data: Pointer; len: SizeUInt): THastyStatus; cdecl; external 'hasty';

// Writes a server-sent event as a piece of the body: `text/event-stream`, with headers that keep caches from storing and proxies
// from buffering it.
function hasty_response_write_event(res: PHastyResponse; event: PAnsiChar; data: PAnsiChar; id: PAnsiChar): THastyStatus; cdecl;
  external 'hasty';

// Resets the response to an empty 200, and forgets the failure of a setter.
function hasty_response_reset(res: PHastyResponse): THastyStatus; cdecl; external 'hasty';

// Defers the answer: it may be given later, by any thread.
function hasty_response_defer(res: PHastyResponse; var out_: PHastyExchange): THastyStatus; cdecl; external 'hasty';

// Returns the request, as it was when it was deferred.
function hasty_exchange_request(exchange: PHastyExchange): PHastyRequest; cdecl; external 'hasty';

// Returns the response, to be filled in or written.
function hasty_exchange_response(exchange: PHastyExchange): PHastyResponse; cdecl; external 'hasty';

// Sends the answer, or the end of what was written, and ends the exchange.
function hasty_exchange_finish(exchange: PHastyExchange): THastyStatus; cdecl; external 'hasty';

// Tells whether the client still waits: 0 once it has closed its side, was answered by a time-out, or the app has stopped.
function hasty_exchange_alive(exchange: PHastyExchange): LongInt; cdecl; external 'hasty';

// Calls `gone` once when nobody waits for the answer any more: on one of the app's threads, or within this call if that is so
// already.
function hasty_exchange_on_close(exchange: PHastyExchange; gone: THastyNotifyFn; user_data: Pointer; drop: THastyDrop):
  THastyStatus; cdecl; external 'hasty';

// Calls `ready` once when there is room to write more: on one of the app's threads, or within this call if there is room
// already.
function hasty_exchange_on_ready(exchange: PHastyExchange; ready: THastyNotifyFn; user_data: Pointer; drop: THastyDrop):
  THastyStatus; cdecl; external 'hasty';

// Ends an exchange without an answer: the client gets a 503, or in the middle of a stream the connection is cut.
procedure hasty_exchange_free(exchange: PHastyExchange); cdecl; external 'hasty';

// Submits the answer in the slot, if one is owed, and takes the next request.
function hasty_slot_take(var slot: THastySlot): THastyStatus; cdecl; external 'hasty';

// The same as `hasty_slot_take()`, called with an object that refers to the slot.
function hasty_slot_take_object(var object_: THastySlotObject): THastyStatus; cdecl; external 'hasty';

// Waits until `hasty_slot_take()` would take a request.
function hasty_slot_wait(var slot: THastySlot; timeout_ms: LongInt): THastyStatus; cdecl; external 'hasty';

// Turns the request in the slot into an exchange, to be answered later; `ticket` becomes 0.
function hasty_slot_exchange(var slot: THastySlot; var out_: PHastyExchange): THastyStatus; cdecl; external 'hasty';

// Parses `len` bytes of JSON: one value, followed by nothing but white space.
function hasty_json_parse(text: Pointer; len: SizeUInt; var out_: PHastyJson): THastyStatus; cdecl; external 'hasty';

// Frees a value and all its parts.
procedure hasty_json_free(json: PHastyJson); cdecl; external 'hasty';

// Copies a value with all its parts, borrowed ones too.
function hasty_json_clone(json: PHastyJson; var out_: PHastyJson): THastyStatus; cdecl; external 'hasty';

// Tells what a value is: one of `HASTY_JSON_*`, or -1 for NULL.
function hasty_json_kind(json: PHastyJson): LongInt; cdecl; external 'hasty';

// Counts the items of an array or the members of an object; 0 for anything else.
function hasty_json_len(json: PHastyJson): SizeUInt; cdecl; external 'hasty';

// Returns the value of the member called `key`, or NULL: there is none, or `json` is no object.
function hasty_json_get(json: PHastyJson; key: PAnsiChar): PHastyJson; cdecl; external 'hasty';

// Returns the item of an array, or the value of a member of an object, at `index`; NULL beyond the last.
function hasty_json_at(json: PHastyJson; index: SizeUInt): PHastyJson; cdecl; external 'hasty';

// Returns the value that a JSON Pointer (RFC 6901) leads to, or NULL: it leads nowhere, or is malformed.
function hasty_json_find(json: PHastyJson; pointer: PAnsiChar): PHastyJson; cdecl; external 'hasty';

// Returns the key of the member at `index`; `hasty_json_at()` has its value.
function hasty_json_key_at(json: PHastyJson; index: SizeUInt): THastyStr; cdecl; external 'hasty';

// `hasty_json_key_at()` for languages that cannot take structs by value; an absent key is absent in `*out`.
function hasty_json_key_at_to(json: PHastyJson; index: SizeUInt; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Returns the text of a string, as UTF-8; absent (`data` NULL) if the value is not a string.
function hasty_json_as_string(json: PHastyJson): THastyStr; cdecl; external 'hasty';

// `hasty_json_as_string()` for languages that cannot take structs by value; what is no string is absent in `*out`.
function hasty_json_as_string_to(json: PHastyJson; var out_: THastyStr): THastyStatus; cdecl; external 'hasty';

// Reads a number as a signed 64-bit integer; 3.0 and 3e0 are whole too.
function hasty_json_as_int(json: PHastyJson; var out_: Int64): THastyStatus; cdecl; external 'hasty';

// Reads a number as the double nearest to it.
function hasty_json_as_double(json: PHastyJson; var out_: Double): THastyStatus; cdecl; external 'hasty';

// Reads `true` as 1 and `false` as 0.
function hasty_json_as_bool(json: PHastyJson; var out_: LongInt): THastyStatus; cdecl; external 'hasty';

// Makes an empty object.
function hasty_json_new_object: PHastyJson; cdecl; external 'hasty';

// Makes an empty array.
function hasty_json_new_array: PHastyJson; cdecl; external 'hasty';

// Makes a null.
function hasty_json_new_null: PHastyJson; cdecl; external 'hasty';

// Makes `false` of 0, and `true` of anything else.
function hasty_json_new_bool(value: LongInt): PHastyJson; cdecl; external 'hasty';

// Makes a whole number.
function hasty_json_new_int(value: Int64): PHastyJson; cdecl; external 'hasty';

// Makes a number.
function hasty_json_new_double(value: Double): PHastyJson; cdecl; external 'hasty';

// Makes a string of `len` bytes of UTF-8; invalid UTF-8 becomes U+FFFD.
function hasty_json_new_string(utf8: Pointer; len: SizeUInt): PHastyJson; cdecl; external 'hasty';

// Makes `value` the member `key` of an object: it replaces an earlier one, which is freed, or is added last.
function hasty_json_set(object_: PHastyJson; key: PAnsiChar; value: PHastyJson): THastyStatus; cdecl; external 'hasty';

// `hasty_json_set()` with a key of `len` bytes, which may hold NUL.
function hasty_json_set_bytes(object_: PHastyJson; key: Pointer; len: SizeUInt; value: PHastyJson): THastyStatus; cdecl; external
  'hasty';

// Makes `value` the last item of an array.
function hasty_json_push(array_: PHastyJson; value: PHastyJson): THastyStatus; cdecl; external 'hasty';

// Writes a value as JSON, without spaces and with a NUL at the end, into the `cap` bytes of `buf`.
function hasty_json_to_text(json: PHastyJson; buf: PAnsiChar; cap: SizeUInt; var needed: SizeUInt): THastyStatus; cdecl; external
  'hasty';

{ ---- end of what is generated }

// A view as a string of its own; empty when it is absent, which view.data = nil tells.
function HastyText(const view: THastyStr): RawByteString;

// What went wrong in this thread's last failing call.
function HastyMessage: RawByteString;

implementation

uses
  Math;

function HastyText(const view: THastyStr): RawByteString;
begin
  SetString(Result, view.data, view.len);
  SetCodePage(Result, CP_UTF8, False);
end;

function HastyMessage: RawByteString;
begin
  Result := HastyText(hasty_last_error());
end;

initialization
  SetExceptionMask([exInvalidOp, exDenormalized, exZeroDivide, exOverflow, exUnderflow, exPrecision]);
end.
