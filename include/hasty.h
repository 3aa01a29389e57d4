/* hasty: an embeddable HTTP/1.1 server. Generated from src/ffi/ by `make header`; do not edit.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * What holds everywhere:
 *
 * Names      hasty_<noun>_<verb>. A bare noun reads, set_ replaces, add_ appends, send_ gives the answer,
 *            new and free pair up.
 * Errors     Functions that can fail return a hasty_status: HASTY_OK (0) or one of HASTY_ERR_*, whose
 *            numbers never change. hasty_last_error() explains this thread's last failing call in words;
 *            success does not touch it, TIMEOUT and CLOSED do not set it.
 * Outputs    Written on success only: after a failure your variable is as it was.
 * NULL       Has an answer everywhere: a status call says HASTY_ERR_NULL, a view is absent, a count is 0,
 *            free(NULL) does nothing. (NULL, 0) is an empty buffer.
 * Ownership  `T **out` is yours to free. `const T **out` and every hasty_str are borrowed: from a request
 *            until its handler returns. What you pass in is copied unless the function says otherwise.
 * user_data  Taken even when the call fails; its `drop` (may be NULL) runs exactly once, on every path.
 * hasty_str  Absent is data == NULL, empty is len == 0. A NUL byte follows every one handed out, so data
 *            is a C string too; len is the truth where the value holds NUL bytes itself.
 * _to        Every function that returns a hasty_str by value has a twin ending in _to that writes it to
 *            `out` and returns a status, for languages that cannot take structs by value.
 * Options    Structs begin with `size`: zero-initialise them and set size = sizeof x. 0 or NULL means the
 *            default, HASTY_NONE (HASTY_NONE64) means literally zero, none or off. Booleans are int32_t.
 * Time       `int32_t timeout_ms`: negative waits for ever, 0 looks once.
 * Threads    Handlers run in parallel on several threads. A request and its response belong to one thread
 *            at a time. No lock of the library is held while a callback of yours runs.
 * Callbacks  Let no exception, longjmp or thread cancellation leave one. A Rust panic never crosses.
 * Process    The library touches no signals, never exits and never prints.
 */

#ifndef HASTY_H
#define HASTY_H

#include <stddef.h>
#include <stdint.h>

/**
 * In a 32-bit option: literally zero, none or off, where 0 means the default.
 */
#define HASTY_NONE UINT32_MAX

/**
 * In a 64-bit option: literally zero, none or off, where 0 means the default.
 */
#define HASTY_NONE64 UINT64_MAX

/**
 * What the reply in a slot is: UTF-8 text.
 */
#define HASTY_KIND_TEXT 0

/**
 * HTML.
 */
#define HASTY_KIND_HTML 1

/**
 * JSON text.
 */
#define HASTY_KIND_JSON 2

/**
 * Bytes.
 */
#define HASTY_KIND_BYTES 3

/**
 * The path of a file.
 */
#define HASTY_KIND_FILE 4

/**
 * No body.
 */
#define HASTY_KIND_NONE 5

/**
 * Levels of log messages, the gravest first.
 */
#define HASTY_LOG_ERROR 1

/**
 * Something is not as it should be, and was survived.
 */
#define HASTY_LOG_WARN 2

/**
 * Worth knowing.
 */
#define HASTY_LOG_INFO 3

/**
 * For whoever looks for a mistake.
 */
#define HASTY_LOG_DEBUG 4

/**
 * Methods by number: any other token.
 */
#define HASTY_METHOD_OTHER 0

/**
 * GET
 */
#define HASTY_GET 1

/**
 * HEAD
 */
#define HASTY_HEAD 2

/**
 * POST
 */
#define HASTY_POST 3

/**
 * PUT
 */
#define HASTY_PUT 4

/**
 * DELETE
 */
#define HASTY_DELETE 5

/**
 * CONNECT
 */
#define HASTY_CONNECT 6

/**
 * OPTIONS
 */
#define HASTY_OPTIONS 7

/**
 * TRACE
 */
#define HASTY_TRACE 8

/**
 * PATCH
 */
#define HASTY_PATCH 9

/**
 * What `hasty_json_kind()` answers for null.
 */
#define HASTY_JSON_NULL 0

/**
 * `true` or `false`.
 */
#define HASTY_JSON_BOOL 1

/**
 * A number.
 */
#define HASTY_JSON_NUMBER 2

/**
 * A string.
 */
#define HASTY_JSON_STRING 3

/**
 * An array.
 */
#define HASTY_JSON_ARRAY 4

/**
 * An object.
 */
#define HASTY_JSON_OBJECT 5

/**
 * A server with its routes and options. Owned by you: `hasty_app_new()`, `hasty_app_free()`.
 */
typedef struct hasty_app hasty_app;

/**
 * One request and the answer that is owed for it. Owned by you.
 */
typedef struct hasty_exchange hasty_exchange;

/**
 * A JSON value. Owned by you, or borrowed from a request or from the value it is part of.
 */
typedef struct hasty_json hasty_json;

/**
 * One request, read only. Borrowed: valid until the handler returns.
 */
typedef struct hasty_request hasty_request;

/**
 * The answer being prepared. Borrowed: valid until the handler returns.
 */
typedef struct hasty_response hasty_response;

/**
 * The outcome of a call: `HASTY_OK`, one of `HASTY_ERR_*`, or `HASTY_NEXT` from middleware. Numbers are permanent.
 */
typedef int32_t hasty_status;

/**
 * A piece of text or bytes that belongs to somebody else.
 *
 * Absent is `data == NULL`, empty is `len == 0`. A NUL byte follows every one handed out, so `data` is
 * a C string too; values may hold NUL themselves, `len` is the truth.
 */
typedef struct hasty_str {
    /**
     * The bytes, or NULL.
     */
    const char *data;
    /**
     * How many there are, without the NUL.
     */
    size_t len;
} hasty_str;

/**
 * Options of an app. Zero-initialise it and set `size`; 0 or NULL is the default, `HASTY_NONE` is literally zero, none or off.
 *
 * What `HASTY_NONE` is here, "0" is by `hasty_app_set_option()`.
 */
typedef struct hasty_options {
    /**
     * `sizeof(hasty_options)`.
     */
    size_t size;
    /**
     * Bytes of a request's body; 0 means 10485760. More is answered 413; with `HASTY_NONE64` any body is.
     */
    uint64_t max_body_bytes;
    /**
     * Threads of the pool; 0 means two for each processor, at least 8; one more stands by once handlers block. `HASTY_NONE`: only
     * threads that call `hasty_app_run()`, `hasty_app_poll()` or its like serve.
     */
    uint32_t threads;
    /**
     * Connections at a time; 0 means what RLIMIT_NOFILE allows, less some for the host; `HASTY_NONE` is 1048576. More are answered
     * 503 and closed.
     */
    uint32_t max_connections;
    /**
     * Connections at a time from one address, or one /64 network of IPv6; 0 and `HASTY_NONE` mean no limit. More are answered 503 and
     * closed.
     */
    uint32_t max_connections_per_ip;
    /**
     * Bytes of a head: request line, fields and blank line; 0 means 16384. More is answered 431; with `HASTY_NONE` every head is.
     */
    uint32_t max_header_bytes;
    /**
     * Field lines of a head; 0 means 100. More is answered 431; with `HASTY_NONE` every head is that has a field, as all of
     * HTTP/1.1 have.
     */
    uint32_t max_headers;
    /**
     * Bytes of a request target; 0 means 8192. More is answered 414; with `HASTY_NONE` every target is.
     */
    uint32_t max_target_bytes;
    /**
     * Longest time for a head, from its first byte, in milliseconds; 0 means 10000, `HASTY_NONE` for ever. Then 408 and the connection is closed.
     */
    uint32_t header_timeout_ms;
    /**
     * Longest pause in a body, in milliseconds; 0 means 30000, `HASTY_NONE` for ever. Then 408 and the connection is closed.
     */
    uint32_t body_timeout_ms;
    /**
     * Longest pause between two requests, in milliseconds; 0 means 30000, `HASTY_NONE` for ever. Then the connection is closed.
     */
    uint32_t idle_timeout_ms;
    /**
     * Longest pause of a client in taking its answer, in milliseconds; 0 means 30000, `HASTY_NONE` for ever. Then the connection is closed.
     */
    uint32_t write_timeout_ms;
    /**
     * Longest time to the first byte of a deferred answer, from the end of its handler, or of one that your own thread gives, from the
     * request; in milliseconds, 0 means 60000, `HASTY_NONE` for ever. Then 504. With `threads` none it is noticed only while a thread
     * is in `hasty_app_poll()` or its like, as all time-outs are.
     */
    uint32_t exchange_timeout_ms;
    /**
     * Requests on one connection; 0 and `HASTY_NONE` mean no limit. The last answer says `Connection: close`.
     */
    uint32_t max_requests_per_connection;
    /**
     * What the Server field says; NULL means "hasty", "" sends none.
     */
    const char *server_header;
} hasty_options;

/**
 * Answers one request.
 *
 * Called once per request, on a thread that serves; different requests run at the same time, so shared
 * state behind `user_data` needs its own lock. `req` and `res` are valid until it returns. Return
 * `HASTY_OK` to send `res`, or after `hasty_response_defer()`; anything else is logged and answers 500.
 * `HASTY_ERR_CLOSED` answers 500 as well, if anybody is there, but is not logged: it says that the client has left.
 * Middleware returns `HASTY_NEXT` to go on.
 *
 * It may block: that holds one thread. Let no exception and no `longjmp` leave the function.
 */
typedef hasty_status (*hasty_handler)(const struct hasty_request *req,
                                      struct hasty_response *res,
                                      void *user_data);

/**
 * Ends the life of a `user_data`. Runs exactly once, on any thread.
 */
typedef void (*hasty_drop)(void *user_data);

/**
 * How a folder of files is served. Zero-initialise it and set `size`.
 */
typedef struct hasty_static {
    /**
     * `sizeof(hasty_static)`.
     */
    size_t size;
    /**
     * The file that stands for a directory; NULL means "index.html", "" none.
     */
    const char *index;
    /**
     * The file, below the directory, that answers where there is none; NULL means 404. It must be there at registration.
     */
    const char *fallback;
    /**
     * The Cache-Control field; NULL means none.
     */
    const char *cache_control;
    /**
     * Not 0: directories without index are listed.
     */
    int32_t list;
    /**
     * Not 0: names that begin with a dot are served too.
     */
    int32_t dotfiles;
} hasty_static;

/**
 * Who may read answers from scripts of other origins. Lists are separated by commas; NULL means the default.
 */
typedef struct hasty_cors {
    /**
     * `sizeof(hasty_cors)`.
     */
    size_t size;
    /**
     * Origins such as `https://example.org`; a host of "*." and a domain is all its subdomains. NULL means any.
     */
    const char *origins;
    /**
     * Methods; NULL means those that the path has.
     */
    const char *methods;
    /**
     * Request headers; NULL means those that are asked for.
     */
    const char *headers;
    /**
     * Response headers that scripts may read besides the common ones; NULL means none.
     */
    const char *expose;
    /**
     * Seconds for which a preflight's answer may be kept; 0 means 86400.
     */
    uint32_t max_age_s;
    /**
     * Not 0: with cookies and credentials.
     */
    int32_t credentials;
    /**
     * Not 0: from public pages to this private network.
     */
    int32_t private_network;
    /**
     * 0.
     */
    uint32_t reserved;
} hasty_cors;

/**
 * Decides whether one more request of `key` is allowed: 1 allows, 0 refuses. Called on any thread, several at a time.
 */
typedef int32_t (*hasty_allow_fn)(const struct hasty_str *key, void *user_data);

/**
 * Receives one log message; `level` is one of `HASTY_LOG_*`. Called on any thread, several at a time.
 */
typedef void (*hasty_log_fn)(int32_t level, const struct hasty_str *message, void *user_data);

/**
 * One finished request, for an access log. Its views are borrowed until the callback returns.
 */
typedef struct hasty_access {
    /**
     * How much of the struct the library has filled.
     */
    size_t size;
    /**
     * The method as sent.
     */
    struct hasty_str method;
    /**
     * The target as sent.
     */
    struct hasty_str target;
    /**
     * The route's pattern; absent where none answered.
     */
    struct hasty_str route;
    /**
     * The client's address.
     */
    struct hasty_str remote_address;
    /**
     * The User-Agent field.
     */
    struct hasty_str user_agent;
    /**
     * The Referer field.
     */
    struct hasty_str referer;
    /**
     * The request's id.
     */
    struct hasty_str id;
    /**
     * Bytes of the request, head and body.
     */
    uint64_t bytes_in;
    /**
     * Bytes of the answer's body.
     */
    uint64_t bytes_out;
    /**
     * From the end of the request's head to the end of the answer as it was made, in microseconds.
     */
    uint64_t duration_us;
    /**
     * When the answer was complete, in microseconds since 1970.
     */
    int64_t time_us;
    /**
     * The answer's status.
     */
    int32_t status;
    /**
     * 0.
     */
    uint32_t reserved;
} hasty_access;

/**
 * Receives the record of one finished request. Called on any thread, several at a time.
 */
typedef void (*hasty_access_fn)(const struct hasty_access *record, void *user_data);

/**
 * Hears that something has happened.
 */
typedef void (*hasty_notify_fn)(void *user_data);

/**
 * One file of a multipart body. Its views are borrowed from the request.
 */
typedef struct hasty_file {
    /**
     * `sizeof(hasty_file)`, set by you.
     */
    size_t size;
    /**
     * The form field's name.
     */
    struct hasty_str name;
    /**
     * The file's name, as the client gives it.
     */
    struct hasty_str filename;
    /**
     * The file's type, as the client gives it.
     */
    struct hasty_str content_type;
    /**
     * The file; absent when it was spooled.
     */
    struct hasty_str data;
    /**
     * The spool file, gone with the request; NULL when the file is in memory.
     */
    const char *path;
    /**
     * Bytes of the file.
     */
    uint64_t length;
} hasty_file;

/**
 * How a cookie is set. Zero-initialise it and set `size`.
 */
typedef struct hasty_cookie {
    /**
     * `sizeof(hasty_cookie)`.
     */
    size_t size;
    /**
     * The paths it is sent to; NULL means "/".
     */
    const char *path;
    /**
     * The domain it is sent to, with its subdomains; NULL means this host alone.
     */
    const char *domain;
    /**
     * "Lax", "Strict" or "None"; NULL means "Lax".
     */
    const char *same_site;
    /**
     * Seconds it lives; 0 and HASTY_NONE64 mean until the browser closes.
     */
    int64_t max_age_s;
    /**
     * Not 0: it is sent over TLS only.
     */
    int32_t secure;
    /**
     * Not 0: scripts of the page may read it.
     */
    int32_t script_visible;
} hasty_cookie;

/**
 * A request and its answer at a fixed address, for languages that pay for every call.
 */
typedef struct hasty_slot {
    /**
     * `sizeof(hasty_slot)`, set by you.
     */
    size_t size;
    /**
     * Yours.
     */
    struct hasty_app *app;
    /**
     * The request that an answer is owed for; 0 is none.
     */
    uint64_t ticket;
    /**
     * The number of the route's registration, from 0.
     */
    int32_t route;
    /**
     * One of HASTY_GET and its like.
     */
    int32_t method;
    /**
     * The route's.
     */
    void *user_data;
    /**
     * Everything else, read when asked for.
     */
    const struct hasty_request *request;
    /**
     * The method as sent.
     */
    const char *method_text;
    /**
     * The decoded path.
     */
    const char *path;
    /**
     * What follows the `?`, as sent.
     */
    const char *query;
    /**
     * The params' values, percent-encoded, separated by line feeds.
     */
    const char *params;
    /**
     * The headers' names in lower case, separated by line feeds.
     */
    const char *header_names;
    /**
     * The headers' values, separated by line feeds.
     */
    const char *header_values;
    /**
     * Bytes of `path`.
     */
    uint64_t path_len;
    /**
     * Bytes of `query`.
     */
    uint64_t query_len;
    /**
     * Bytes of `params`.
     */
    uint64_t params_len;
    /**
     * Lines of `header_names` and of `header_values`.
     */
    uint64_t header_count;
    /**
     * The body.
     */
    const uint8_t *body;
    /**
     * Bytes of `body`.
     */
    uint64_t body_len;
    /**
     * The answer's status; 200 at first.
     */
    int32_t status;
    /**
     * One of HASTY_KIND_TEXT and its like.
     */
    int32_t kind;
    /**
     * In place of what `kind` says; NULL means that.
     */
    const char *content_type;
    /**
     * Lines of "Name: value", each ended by a line feed.
     */
    const char *extra_headers;
    /**
     * Bytes of `extra_headers`.
     */
    uint64_t extra_headers_len;
    /**
     * The answer's body.
     */
    const uint8_t *reply;
    /**
     * Bytes of `reply`.
     */
    uint64_t reply_len;
} hasty_slot;

/**
 * An object of the host's that stands for a slot: see `hasty_slot_take_object()`.
 */
typedef struct hasty_slot_object {
    /**
     * The host's own: what its objects begin with.
     */
    void *first;
    /**
     * The host's own too.
     */
    void *second;
    /**
     * The slot.
     */
    struct hasty_slot *slot;
    /**
     * What the last `hasty_slot_take_object()` returned.
     */
    hasty_status status;
    /**
     * Where `reply` has its length, 8 bytes.
     */
    uint32_t length_at;
    /**
     * Where `reply` has its bytes.
     */
    uint32_t bytes_at;
    /**
     * 0.
     */
    uint32_t reserved;
    /**
     * NULL, or an object of the host's that is the answer's body where the slot has none. It is not changed.
     */
    const void *reply;
} hasty_slot_object;

/**
 * A slot that tells more: pass `&more.slot`, with `more.slot.size = sizeof more`.
 */
typedef struct hasty_slot_more {
    /**
     * The slot.
     */
    struct hasty_slot slot;
    /**
     * 1 for HTTP/1.1, 0 for HTTP/1.0.
     */
    int32_t minor_version;
    /**
     * The client's IPv4 address, 127.0.0.1 as 0x7f000001; 0 where it has none, and `hasty_request_remote_address()` tells.
     */
    uint32_t remote_v4;
    /**
     * As long as it and the app are the same, requests of this slot have the same head and come from the same address: what the slot
     * tells of them is the same but for the ticket and the body.
     */
    uint64_t alike;
} hasty_slot_more;

/**
 * Done.
 */
#define HASTY_OK 0

/**
 * A required argument was NULL.
 */
#define HASTY_ERR_NULL 1

/**
 * A value breaks a rule; `hasty_last_error()` names both.
 */
#define HASTY_ERR_INVALID 2

/**
 * The call does not fit the moment: registration after start, waiting inside a callback.
 */
#define HASTY_ERR_STATE 3

/**
 * The operating system refused; `hasty_last_error()` has its words.
 */
#define HASTY_ERR_IO 4

/**
 * The client, or the app, is gone. Does not set the last error.
 */
#define HASTY_ERR_CLOSED 5

/**
 * Nothing happened within the time allowed. Does not set the last error.
 */
#define HASTY_ERR_TIMEOUT 6

/**
 * A panic inside the library was caught at the border.
 */
#define HASTY_ERR_PANIC 7

/**
 * A limit would be exceeded.
 */
#define HASTY_ERR_LIMIT 8

/**
 * There is nothing of that name.
 */
#define HASTY_ERR_NOT_FOUND 9

/**
 * This build or this machine cannot do it.
 */
#define HASTY_ERR_UNSUPPORTED 10

/**
 * From middleware: go on to the next step. From the handler of a route it is a failure.
 */
#define HASTY_NEXT 100

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/**
 * Returns the number of the ABI. Programs compiled for the same number go with this library.
 */
uint32_t hasty_abi_version(void);

/**
 * Returns the library's version, such as "0.1.0". Static.
 */
const char *hasty_version(void);

/**
 * Returns a status's name, such as "HASTY_ERR_INVALID"; "unknown" for a number that is none. Static.
 */
const char *hasty_status_name(hasty_status status);

/**
 * Returns what went wrong in this thread's last failing call, naming the value and the rule.
 *
 * Only a call that returns a failing status changes it; success neither clears nor moves it, and neither do
 * `HASTY_ERR_TIMEOUT` and `HASTY_ERR_CLOSED`. Absent before the first failure. Valid until the next one.
 *
 * Threads: each has its own.
 */
struct hasty_str hasty_last_error(void);

/**
 * Like `hasty_last_error()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `out` is NULL or writable.
 */
hasty_status hasty_last_error_to(struct hasty_str *out);

/**
 * Makes an app. `options` may be NULL: all defaults.
 *
 * Ownership: `*out` is yours; end it with `hasty_app_free()`.
 *
 * Errors: `HASTY_ERR_INVALID` if an option is out of bounds or `options->size` is wrong; `HASTY_ERR_IO` if
 * descriptors are short; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `options` is NULL or a struct of `options->size` bytes; `out` is NULL or writable.
 */
hasty_status hasty_app_new(const struct hasty_options *options, struct hasty_app **out);

/**
 * Stops the app, waits for callbacks that run, and frees it. Nothing happens for NULL.
 *
 * Inside one of the app's own callbacks it returns at once, and the rest is done when the last callback has
 * returned. Otherwise no callback and no drop of the app runs any more after it. The user_data of handlers
 * registered with a drop end here.
 *
 * Threads: any, once; nobody uses `app` any more, except threads still in `hasty_app_run()`, which it ends.
 *
 * # Safety
 * `app` is NULL or came from `hasty_app_new()` and was not freed.
 */
void hasty_app_free(struct hasty_app *app);

/**
 * Sets an option by name and text, literally: "0" is zero, none or off. Before start; for what listening uses, before listen.
 *
 * Besides the fields of `hasty_options` there are: `backlog` (4096), `reuse_port` (0), `min_rate_bytes` (240 a
 * second, after 5 s of grace), `max_buffered_bytes` (268435456), `defer_accept_s` (1), `cache_ms` (1000), `compress` (1), `max_queued`
 * (1024 requests that wait for a thread), `lanes` (one for each processor), `tick_us` (2000),
 * `spool_bytes` (262144), `spool_directory` (the system's for temporary files), `max_parts` (1000) and
 * `stream_buffer_bytes` (262144).
 *
 * "0" is off for `reuse_port`, `min_rate_bytes`, `defer_accept_s`, `cache_ms` and `compress`. With `max_queued` "0" no request waits: it
 * is answered 503 where no thread is free, and always on a route of your own thread. `max_parts` "0" refuses every part of a form,
 * `spool_bytes` "0" every field, and puts files on disk. `stream_buffer_bytes` "0" keeps one piece at a time, `max_buffered_bytes` "0"
 * answers 503 while anything is kept. `tick_us` "0" takes every handler to block. `lanes` "0" is refused.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` for an unknown name (the message lists those there are); `HASTY_ERR_INVALID`
 * for a value out of bounds; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `key` and `value` are NULL or NUL-terminated.
 */
hasty_status hasty_app_set_option(struct hasty_app *app,
                                  const char *key,
                                  const char *value);

/**
 * Sets an option of one route, named by the words it was registered with ("*" for any method), before start.
 *
 * `blocking` is "auto", the default, "yes" or "no": a handler that blocks is best run where nobody waits for its thread; which ones
 * do is learned, so to say it only spares the first few stumbles.
 *
 * There are `max_body_bytes` and `exchange_timeout_ms`, in place of the app's ("0": no body; no limit), and `body`: with "buffer", the default, the
 * handler runs when all of the body is here; with "stream" it runs when the head is, and calls `hasty_request_read()`.
 * `dispatch` is "pool", the default, or "caller": the handler runs in a thread of yours, one that calls `hasty_app_poll()`.
 * Everything up to it goes on in the app's own threads, only middleware runs where the handler does.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` for an unknown route or option; `HASTY_ERR_INVALID` for a value out of bounds;
 * `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; the strings are NULL or NUL-terminated.
 */
hasty_status hasty_app_set_route_option(struct hasty_app *app,
                                        const char *method,
                                        const char *pattern,
                                        const char *key,
                                        const char *value);

/**
 * Returns an option's value as text, defaults included. Absent for an unknown name. Valid until free.
 *
 * # Safety
 * `app` is NULL or live; `key` is NULL or NUL-terminated.
 */
struct hasty_str hasty_app_option(const struct hasty_app *app, const char *key);

/**
 * Like `hasty_app_option()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An unknown name is no error: `out->data` is NULL.
 *
 * # Safety
 * `app` is NULL or live; `key` is NULL or NUL-terminated; `out` is NULL or writable.
 */
hasty_status hasty_app_option_to(const struct hasty_app *app, const char *key, struct hasty_str *out);

/**
 * Adds `handler` for `method` and `pattern`.
 *
 * A NULL `handler` leaves the requests to your own thread, which gets them from `hasty_app_next()` or `hasty_slot_take()`;
 * `hasty_app_poll()` has nothing to run for them, and answers 500.
 *
 * `method` is a token such as "GET" or "PURGE", or "*" for any. Segments of `pattern` are literal, `:name`,
 * or a final `*` or `*rest`; at the first segment where two patterns differ, a literal beats a name and a name
 * beats a rest. A named method beats "*". HEAD falls back to GET.
 *
 * Ownership: takes `user_data`, also on failure. `drop` (may be NULL) runs on it exactly once: at
 * `hasty_app_free()`, or before a failing call returns.
 *
 * Errors: `HASTY_ERR_INVALID` if the method or pattern is malformed or conflicts with an earlier one (the message
 * names both); `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `handler` runs on many at a time.
 *
 * # Safety
 * `app` is NULL or live; `method` and `pattern` are NULL or NUL-terminated; `handler` bears several threads.
 */
hasty_status hasty_app_route(struct hasty_app *app,
                             const char *method,
                             const char *pattern,
                             hasty_handler handler,
                             void *user_data,
                             hasty_drop drop);

/**
 * Adds `handler` for GET, and for HEAD unless that has one of its own. `user_data` must outlive the app.
 *
 * A NULL `handler` is as in `hasty_app_route()`: your own thread takes the requests.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` bears several threads.
 */
hasty_status hasty_app_get(struct hasty_app *app,
                           const char *pattern,
                           hasty_handler handler,
                           void *user_data);

/**
 * Adds `handler` for POST. `user_data` must outlive the app.
 *
 * A NULL `handler` is as in `hasty_app_route()`: your own thread takes the requests.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` bears several threads.
 */
hasty_status hasty_app_post(struct hasty_app *app,
                            const char *pattern,
                            hasty_handler handler,
                            void *user_data);

/**
 * Adds `handler` for PUT. `user_data` must outlive the app.
 *
 * A NULL `handler` is as in `hasty_app_route()`: your own thread takes the requests.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` bears several threads.
 */
hasty_status hasty_app_put(struct hasty_app *app,
                           const char *pattern,
                           hasty_handler handler,
                           void *user_data);

/**
 * Adds `handler` for PATCH. `user_data` must outlive the app.
 *
 * A NULL `handler` is as in `hasty_app_route()`: your own thread takes the requests.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` bears several threads.
 */
hasty_status hasty_app_patch(struct hasty_app *app,
                             const char *pattern,
                             hasty_handler handler,
                             void *user_data);

/**
 * Adds `handler` for DELETE. `user_data` must outlive the app.
 *
 * A NULL `handler` is as in `hasty_app_route()`: your own thread takes the requests.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` bears several threads.
 */
hasty_status hasty_app_delete(struct hasty_app *app,
                              const char *pattern,
                              hasty_handler handler,
                              void *user_data);

/**
 * Adds `handler` for every method that has no handler of its own. `user_data` must outlive the app.
 *
 * A NULL `handler` is as in `hasty_app_route()`: your own thread takes the requests.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` bears several threads.
 */
hasty_status hasty_app_any(struct hasty_app *app,
                           const char *pattern,
                           hasty_handler handler,
                           void *user_data);

/**
 * Serves the files below `directory` for GET and HEAD, at `prefix` and every path below it. `options` may be NULL.
 *
 * A directory without slash is redirected to the one with it, and is answered with its index. Names that begin
 * with a dot, and whatever leads out of the directory, are 404; so is all that is no regular file. A link may lead
 * to another place below the directory, by a relative path. ETag, Last-Modified, conditional requests and ranges
 * are looked after. Where "page.html.br" or "page.html.gz" lie beside "page.html", clients that take them get those.
 *
 * The directory is looked up by its name again and again, so it may be replaced by renaming. Small files are
 * served from memory for `cache_ms` milliseconds (an option of the app) before they are looked at again.
 *
 * Errors: `HASTY_ERR_IO` if the directory or its `fallback` cannot be opened (the message names it); `HASTY_ERR_INVALID` if the
 * prefix is malformed or conflicts with an earlier route, or an option or `options->size` is wrong;
 * `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `prefix` and `directory` are NULL or NUL-terminated; `options` is NULL or a struct of
 * `options->size` bytes, whose strings are NULL or NUL-terminated.
 */
hasty_status hasty_app_static(struct hasty_app *app,
                              const char *prefix,
                              const char *directory,
                              const struct hasty_static *options);

/**
 * Runs `handler` before those of the routes, for every request at `prefix` and below, in the order of registration.
 *
 * It returns `HASTY_NEXT` to go on to the next one, and then to the route; or `HASTY_OK` when it has answered, or deferred.
 * The headers that it has set in `res` stay, on errors too, but for those about a content (`Content-*` without a
 * `Content-Security-Policy`, `Cache-Control`, `Expires`, `ETag`, `Last-Modified`). It runs before the body is read, which is absent to it, and also before static files and
 * the library's own 404, 405 and 413; not for requests that cannot be parsed, nor for preflights that the library answers.
 * `prefix` counts by whole decoded segments, a slash at its end is ignored, "/" is everything.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_INVALID` for a malformed prefix; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `handler` runs on many at a time.
 *
 * # Safety
 * `app` is NULL or live; `prefix` is NULL or NUL-terminated; `handler` bears several threads.
 */
hasty_status hasty_app_use(struct hasty_app *app,
                           const char *prefix,
                           hasty_handler handler,
                           void *user_data,
                           hasty_drop drop);

/**
 * Runs `handler` after those of the routes, for every answer at `prefix` and below, in the reverse order of registration.
 *
 * It may change status, headers and, unless the answer is written piece by piece, the body; also of static files, redirects
 * and the library's own errors, but not where the request could not be parsed, or is in the hands of an exchange. Of an
 * answer that is written piece by piece it runs when the first piece is. Anything but `HASTY_OK` is logged and answers
 * 500.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_INVALID` for a malformed prefix; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `handler` runs on many at a time, for a deferred answer on the one that finishes it.
 *
 * # Safety
 * `app` is NULL or live; `prefix` is NULL or NUL-terminated; `handler` bears several threads.
 */
hasty_status hasty_app_after(struct hasty_app *app,
                             const char *prefix,
                             hasty_handler handler,
                             void *user_data,
                             hasty_drop drop);

/**
 * Lets pages of other origins read what is at `prefix` and below.
 *
 * `policy` may be NULL: any origin, without credentials, with the methods that the path has and the headers that are asked
 * for. Preflights are answered 204, unless a handler for OPTIONS is registered on that path. Errors have the headers too.
 * Of several policies the one of the longest prefix applies, alone.
 *
 * Errors: `HASTY_ERR_INVALID` for a prefix that is malformed or has a policy already, for a malformed origin, method or
 * header, and for "*" together with credentials; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `prefix` is NULL or NUL-terminated; `policy` is NULL or a struct of `policy->size` bytes, whose
 * strings are NULL or NUL-terminated.
 */
hasty_status hasty_app_cors(struct hasty_app *app,
                            const char *prefix,
                            const struct hasty_cors *policy);

/**
 * Lets each client ask so often at `prefix` and below; more is answered 429, with `Retry-After`.
 *
 * A client is an address; of IPv6 the first 64 bits of it. `per_minute` is what it may ask in the long run, `burst` at once; 0
 * is as many as `per_minute`. Every answer tells how much is left (`RateLimit-Limit`, `-Remaining`, `-Reset`).
 * Preflights that the library answers do not count. Behind a proxy all clients have its address: let the proxy limit
 * them, or `allow` decide.
 *
 * `allow` (may be NULL) decides instead, so that several processes can share a count: it is called for each request with
 * the client's address, and returns 1 to allow it and 0 to refuse it.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_INVALID` for a malformed prefix or 0 per minute; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `allow` runs on many at a time.
 *
 * # Safety
 * `app` is NULL or live; `prefix` is NULL or NUL-terminated; `allow` bears several threads.
 */
hasty_status hasty_app_rate_limit(struct hasty_app *app,
                                  const char *prefix,
                                  uint32_t per_minute,
                                  uint32_t burst,
                                  hasty_allow_fn allow,
                                  void *user_data,
                                  hasty_drop drop);

/**
 * Adds a header to every answer that has none of that name, `Vary` to all; both strings are copied. May be repeated.
 *
 * Errors: `HASTY_ERR_INVALID` if the name is no token, if the value holds a control character, or if the server itself sets
 * that header; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `name` and `value` are NULL or NUL-terminated.
 */
hasty_status hasty_app_add_header(struct hasty_app *app,
                                  const char *name,
                                  const char *value);

/**
 * Adds to every answer the headers that keep pages of other sites from doing harm, unless it has one of that name.
 *
 * `X-Content-Type-Options: nosniff`, `X-Frame-Options: SAMEORIGIN`, `Referrer-Policy: strict-origin-when-cross-origin`,
 * `Cross-Origin-Opener-Policy: same-origin`, `X-Permitted-Cross-Domain-Policies: none`.
 *
 * Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live.
 */
hasty_status hasty_app_secure_headers(struct hasty_app *app);

/**
 * Lets `handler` shape every answer from 400 to 599 that the library itself makes.
 *
 * `res` arrives with its status, headers and a body set; `hasty_last_error()` says why. Where the request could not be parsed, the
 * views of `req` are absent, but for its id and the address. Where an exchange has it, `req` is a copy of its head: body and
 * locals stay there. Where `handler` fails, the library's own answer is sent. A second call replaces the first.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `handler` runs on many at a time.
 *
 * # Safety
 * `app` is NULL or live; `handler` bears several threads.
 */
hasty_status hasty_app_on_error(struct hasty_app *app,
                                hasty_handler handler,
                                void *user_data,
                                hasty_drop drop);

/**
 * Gives log messages to `log`. Without it they go nowhere. A second call replaces the first.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `log` runs on many at a time.
 *
 * # Safety
 * `app` is NULL or live; `log` bears several threads.
 */
hasty_status hasty_app_on_log(struct hasty_app *app, hasty_log_fn log, void *user_data, hasty_drop drop);

/**
 * Gives `access` the record of each request that was answered, also of those that could not be parsed.
 *
 * A second call replaces the first. It is called when the answer is complete, before it leaves; for one written piece by
 * piece, at its end. The record is valid until it returns; `hasty_access_to_text()` makes a line of it. An exchange
 * whose client left has status 499.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `access` runs on many at a time.
 *
 * # Safety
 * `app` is NULL or live; `access` bears several threads.
 */
hasty_status hasty_app_on_access(struct hasty_app *app,
                                 hasty_access_fn access,
                                 void *user_data,
                                 hasty_drop drop);

/**
 * Calls `start` on each thread of the app's pool before it serves, and `stop` before it ends.
 *
 * Either may be NULL. A second call replaces the first. It is for what a thread must do before it may run handlers, such
 * as attaching to another language's runtime. Threads that call `hasty_app_run()` are the host's own and not told of.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `start` and `stop` bear several threads.
 */
hasty_status hasty_app_on_thread(struct hasty_app *app,
                                 hasty_notify_fn start,
                                 hasty_notify_fn stop,
                                 void *user_data,
                                 hasty_drop drop);

/**
 * Answers GET at `pattern` with how the app is, as JSON; 200, or 503 while it drains.
 *
 * The members are `status` ("ok" or "draining"), `uptime_ms`, `requests` (that have come), `connections`, `queued` (requests that
 * wait for a thread), and `caller_idle_ms`: for how many milliseconds no thread of yours has looked for requests by
 * `hasty_app_poll()` or its like; 0 while one waits for them, null if none ever did. It is answered by the app's own threads, also
 * while yours is busy.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated.
 */
hasty_status hasty_app_health(struct hasty_app *app,
                              const char *pattern);

/**
 * Listens on a TCP port, at once; connections are accepted from start on. May be repeated.
 *
 * `host` is an address or a name; NULL means "127.0.0.1", "0.0.0.0" is every IPv4 address, "::" every address
 * of both kinds. Port 0 takes a free one, which `hasty_app_port()` tells.
 *
 * Errors: `HASTY_ERR_IO` if the system refuses (the message has its words); `HASTY_ERR_INVALID` for a port that is
 * none; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `host` is NULL or NUL-terminated.
 */
hasty_status hasty_app_listen(struct hasty_app *app,
                              const char *host,
                              int32_t port);

/**
 * Listens on a Unix socket, at once. A socket that nobody listens on any more is replaced; the file goes when the app stops.
 *
 * `mode` is the file's, such as 0660; 0 leaves what the umask makes of it.
 *
 * Errors: `HASTY_ERR_IO` if the system refuses, another program listens there, or the file is no socket;
 * `HASTY_ERR_INVALID` for an empty path or a mode above 0777; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `path` is NULL or NUL-terminated.
 */
hasty_status hasty_app_listen_unix(struct hasty_app *app,
                                   const char *path,
                                   uint32_t mode);

/**
 * Takes over a socket that listens already, such as one that a service manager passes.
 *
 * Ownership: takes `fd` on success; on failure it stays yours.
 *
 * Errors: `HASTY_ERR_INVALID` if it is no listening socket; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `fd` belongs to nobody else.
 */
hasty_status hasty_app_listen_fd(struct hasty_app *app, int32_t fd);

/**
 * Returns the port of the first TCP listener; 0 without one.
 *
 * # Safety
 * `app` is NULL or live.
 */
int32_t hasty_app_port(const struct hasty_app *app);

/**
 * Starts the app's threads, and returns.
 *
 * Errors: `HASTY_ERR_STATE` if it was started or stopped before, or listens nowhere; `HASTY_ERR_IO` if descriptors
 * or threads are short; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live.
 */
hasty_status hasty_app_start(struct hasty_app *app);

/**
 * Starts the app if that was not done, and serves on this thread too until it is stopped.
 *
 * Errors: as `hasty_app_start()`, but for a second start; `HASTY_ERR_STATE` inside a callback of the app. After a
 * stop it returns `HASTY_OK` at once.
 *
 * Threads: any number at a time.
 *
 * # Safety
 * `app` is NULL or live.
 */
hasty_status hasty_app_run(struct hasty_app *app);

/**
 * Refuses new connections, lets what runs finish with `Connection: close`, and stops; at the deadline in any case. Blocks.
 *
 * Idle connections are closed at once. It is for no signal handler: that wakes a thread which calls it.
 *
 * Requests that wait for a thread of yours are waited for as well, so call it from another thread than the one that polls; or stop
 * polling and call `hasty_app_stop()`, which answers them 503.
 *
 * Errors: `HASTY_ERR_TIMEOUT` if something had to be cut off; `HASTY_ERR_STATE` inside a callback of the app, and
 * before start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live.
 */
hasty_status hasty_app_drain(struct hasty_app *app,
                             int32_t timeout_ms);

/**
 * Asks the app to stop, and returns at once.
 *
 * New connections are refused, running handlers finish and are answered; what they write from then on is refused with
 * `HASTY_ERR_CLOSED`, or a stream without end would never let the app stop. Open exchanges and requests that wait get a 503.
 * `hasty_app_wait()` reports completion. A stop before start is remembered.
 *
 * Threads: any, any number of times, inside handlers, and inside signal handlers (it keeps errno).
 *
 * # Safety
 * `app` is NULL or live.
 */
void hasty_app_stop(struct hasty_app *app);

/**
 * Waits until the app was stopped and its last callback has returned.
 *
 * Errors: `HASTY_ERR_TIMEOUT`; `HASTY_ERR_STATE` inside a callback of the app, and before start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live.
 */
hasty_status hasty_app_wait(struct hasty_app *app,
                            int32_t timeout_ms);

/**
 * Returns a descriptor that is readable exactly while requests wait for `hasty_app_poll()` or its like.
 *
 * With `threads` none it is also readable while the app has other work to do, unless a thread in `hasty_app_run()` is there to do it;
 * and it is from the stop on. -1 is a failure, see `hasty_last_error()`. It is for `poll`, `select`, `epoll` and the loops built on
 * them, and level-triggered. It is the same each time, and there before start, too. Neither read nor close it: it is the app's, until
 * free.
 *
 * Threads: any.
 *
 * # Safety
 * `app` is NULL or live.
 */
int32_t hasty_app_fd(const struct hasty_app *app);

/**
 * Runs handlers of routes with `dispatch = caller` on this thread.
 *
 * It runs those whose requests wait, `max_requests` of them at most, and returns; if none waits, it waits for one. With
 * `threads` none it does the app's other work as well: accepting, receiving, all other routes, time-outs.
 *
 * `timeout_ms` is for that wait alone: a handler comes to its end, and one whose `hasty_response_write()` waits for a slow client keeps
 * this call as long, up to `write_timeout_ms` without progress. Such an answer is better deferred, and goes on by
 * `hasty_exchange_on_ready()`.
 *
 * `*served` is how many handlers ran, those of other routes not counted.
 *
 * Errors: `HASTY_ERR_TIMEOUT` if no request for them came within `timeout_ms`, or somebody called `hasty_app_wake()`; `HASTY_ERR_CLOSED`
 * once the app has stopped; `HASTY_ERR_INVALID` if `max_requests` is 0; `HASTY_ERR_STATE` before start, inside a callback of the
 * app, and for an app whose requests are taken by `hasty_app_next()` or slots; `HASTY_ERR_NULL`.
 *
 * Threads: any, also several.
 *
 * # Safety
 * `app` is NULL or live; `served` is NULL or writable.
 */
hasty_status hasty_app_poll(struct hasty_app *app,
                            uint32_t max_requests,
                            int32_t timeout_ms,
                            uint32_t *served);

/**
 * Takes a request of a route with `dispatch = caller`, or waits for one.
 *
 * `hasty_request_route()` and `hasty_request_user_data()` tell which route it is. Its middleware runs here; its handler does not.
 * With `threads` none this does the app's other work as well.
 *
 * Ownership: `*out` is yours; end it with `hasty_exchange_finish()` or `hasty_exchange_free()`.
 *
 * Errors: as `hasty_app_poll()`.
 *
 * Threads: any, also several.
 *
 * # Safety
 * `app` is NULL or live; `out` is NULL or writable.
 */
hasty_status hasty_app_next(struct hasty_app *app,
                            int32_t timeout_ms,
                            struct hasty_exchange **out);

/**
 * Ends a call of `hasty_app_poll()` or its like that waits, or the next one that would.
 *
 * It returns `HASTY_ERR_TIMEOUT` then. `hasty_app_fd()` does not become readable by it: whoever waits for that in a loop of his own has
 * another way to be woken, such as a pipe.
 *
 * Threads: any, also signal handlers. Nothing happens for NULL.
 *
 * # Safety
 * `app` is NULL or live.
 */
void hasty_app_wake(struct hasty_app *app);

/**
 * Writes a record as one line of an access log, without line end.
 *
 * `format` is "common" or "combined", as Apache writes them, or "json": an object with the fields of the record. What a
 * client has chosen is escaped, so that nobody can forge a line. At most `cap` bytes go to `buf`, with a NUL at the end;
 * `*needed` (may be NULL) is what it takes, with the NUL.
 *
 * Errors: `HASTY_ERR_LIMIT` if `cap` is too small (`*needed` is written all the same, `buf` is not); `HASTY_ERR_INVALID` for
 * another format; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `record` is NULL or one that a callback was given and has not returned from; `format` is NULL or NUL-terminated; `buf` is
 * NULL with `cap` 0, or has room for `cap` bytes; `needed` is NULL or writable.
 */
hasty_status hasty_access_to_text(const struct hasty_access *record,
                                  const char *format,
                                  char *buf,
                                  size_t cap,
                                  size_t *needed);

/**
 * Returns the method as sent, such as "GET".
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
struct hasty_str hasty_request_method(const struct hasty_request *req);

/**
 * Like `hasty_request_method()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `out` is NULL or writable.
 */
hasty_status hasty_request_method_to(const struct hasty_request *req, struct hasty_str *out);

/**
 * Returns the path, percent-decoded, for display.
 *
 * Authorise by prefix or param instead: `%2F` decodes to a slash.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
struct hasty_str hasty_request_path(const struct hasty_request *req);

/**
 * Like `hasty_request_path()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `out` is NULL or writable.
 */
hasty_status hasty_request_path_to(const struct hasty_request *req, struct hasty_str *out);

/**
 * Returns the path as sent, without the query.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
struct hasty_str hasty_request_raw_path(const struct hasty_request *req);

/**
 * Like `hasty_request_raw_path()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `out` is NULL or writable.
 */
hasty_status hasty_request_raw_path_to(const struct hasty_request *req, struct hasty_str *out);

/**
 * Returns what follows the `?` as sent.
 *
 * Absent where the target has no `?`, empty where nothing follows it.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
struct hasty_str hasty_request_query_string(const struct hasty_request *req);

/**
 * Like `hasty_request_query_string()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `out` is NULL or writable.
 */
hasty_status hasty_request_query_string_to(const struct hasty_request *req, struct hasty_str *out);

/**
 * Returns the whole request target as sent.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
struct hasty_str hasty_request_target(const struct hasty_request *req);

/**
 * Like `hasty_request_target()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `out` is NULL or writable.
 */
hasty_status hasty_request_target_to(const struct hasty_request *req, struct hasty_str *out);

/**
 * Returns the pattern of the route that answers, as registered.
 *
 * Absent where no route does: in `hasty_app_on_error()` callbacks for 404, for instance. Middleware knows it already.
 *
 * Valid as long as the app; in an exchange that outlives it until that ends.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
struct hasty_str hasty_request_route(const struct hasty_request *req);

/**
 * Like `hasty_request_route()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `out` is NULL or writable.
 */
hasty_status hasty_request_route_to(const struct hasty_request *req, struct hasty_str *out);

/**
 * Returns the client's address, without port, such as "127.0.0.1"; "unix" for a Unix socket.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
struct hasty_str hasty_request_remote_address(const struct hasty_request *req);

/**
 * Like `hasty_request_remote_address()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `out` is NULL or writable.
 */
hasty_status hasty_request_remote_address_to(const struct hasty_request *req, struct hasty_str *out);

/**
 * Returns the request's id: its X-Request-ID where that is printable and at most 128 bytes long, else 32 hexadecimal digits made now.
 *
 * It is for logs, and no secret to make sessions of: a client may choose it, and the digits are only meant to differ.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
struct hasty_str hasty_request_id(const struct hasty_request *req);

/**
 * Like `hasty_request_id()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `out` is NULL or writable.
 */
hasty_status hasty_request_id_to(const struct hasty_request *req, struct hasty_str *out);

/**
 * Returns the body, as received.
 *
 * Empty where there is none. What came in chunks is put together. Absent (`data` NULL) in middleware, which runs before
 * it is received, on routes with `body = stream`, and where a large form was parsed as it came.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
struct hasty_str hasty_request_body(const struct hasty_request *req);

/**
 * Like `hasty_request_body()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `out` is NULL or writable.
 */
hasty_status hasty_request_body_to(const struct hasty_request *req, struct hasty_str *out);

/**
 * Returns 1 for HTTP/1.1, 0 for HTTP/1.0 (and for NULL).
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
int32_t hasty_request_minor_version(const struct hasty_request *req);

/**
 * Returns the first header called `name`, compared without case.
 *
 * Absent where there is none; an empty header has `len` 0. Bytes are as received, without the spaces around them.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated.
 */
struct hasty_str hasty_request_header(const struct hasty_request *req,
                                      const char *name);

/**
 * Like `hasty_request_header()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated; `out` is NULL or writable.
 */
hasty_status hasty_request_header_to(const struct hasty_request *req,
                                     const char *name,
                                     struct hasty_str *out);

/**
 * Returns the segment that `:name` of the route stands for, percent-decoded once.
 *
 * "*" names an unnamed rest. Absent where the route has no such name. Middleware knows it already.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated.
 */
struct hasty_str hasty_request_param(const struct hasty_request *req, const char *name);

/**
 * Like `hasty_request_param()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated; `out` is NULL or writable.
 */
hasty_status hasty_request_param_to(const struct hasty_request *req,
                                    const char *name,
                                    struct hasty_str *out);

/**
 * Returns the first value of `name` in the query, decoded; `+` is a space.
 *
 * Absent where there is none; `?name` and `?name=` are empty.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated.
 */
struct hasty_str hasty_request_query(const struct hasty_request *req, const char *name);

/**
 * Like `hasty_request_query()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated; `out` is NULL or writable.
 */
hasty_status hasty_request_query_to(const struct hasty_request *req,
                                    const char *name,
                                    struct hasty_str *out);

/**
 * Returns the first cookie called `name`, as received, without quotes around it.
 *
 * Absent where there is none.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated.
 */
struct hasty_str hasty_request_cookie(const struct hasty_request *req, const char *name);

/**
 * Like `hasty_request_cookie()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated; `out` is NULL or writable.
 */
hasty_status hasty_request_cookie_to(const struct hasty_request *req,
                                     const char *name,
                                     struct hasty_str *out);

/**
 * Returns the first value of `name` in an `application/x-www-form-urlencoded` body, decoded.
 *
 * Absent where there is none, and for bodies of other types.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated.
 */
struct hasty_str hasty_request_form(const struct hasty_request *req, const char *name);

/**
 * Like `hasty_request_form()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated; `out` is NULL or writable.
 */
hasty_status hasty_request_form_to(const struct hasty_request *req,
                                   const char *name,
                                   struct hasty_str *out);

/**
 * Returns how many header lines there are.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
size_t hasty_request_header_count(const struct hasty_request *req);

/**
 * Returns how many params there are.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
size_t hasty_request_param_count(const struct hasty_request *req);

/**
 * Returns how many names in the query, repeated ones counted each time there are.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
size_t hasty_request_query_count(const struct hasty_request *req);

/**
 * Returns how many cookies there are.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
size_t hasty_request_cookie_count(const struct hasty_request *req);

/**
 * Returns how many fields of an urlencoded body, repeated ones counted each time there are.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
size_t hasty_request_form_count(const struct hasty_request *req);

/**
 * Gives name and value number `index`, in order of arrival, names as sent.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_header_count()`; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` and `value` are NULL or writable.
 */
hasty_status hasty_request_header_at(const struct hasty_request *req,
                                     size_t index,
                                     struct hasty_str *name,
                                     struct hasty_str *value);

/**
 * Gives name and value number `index`, in the order of the pattern.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_param_count()`; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` and `value` are NULL or writable.
 */
hasty_status hasty_request_param_at(const struct hasty_request *req,
                                    size_t index,
                                    struct hasty_str *name,
                                    struct hasty_str *value);

/**
 * Gives name and value number `index`, in order, decoded.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_query_count()`; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` and `value` are NULL or writable.
 */
hasty_status hasty_request_query_at(const struct hasty_request *req,
                                    size_t index,
                                    struct hasty_str *name,
                                    struct hasty_str *value);

/**
 * Gives name and value number `index`, in order.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_cookie_count()`; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` and `value` are NULL or writable.
 */
hasty_status hasty_request_cookie_at(const struct hasty_request *req,
                                     size_t index,
                                     struct hasty_str *name,
                                     struct hasty_str *value);

/**
 * Gives name and value number `index`, in order, decoded.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_form_count()`; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` and `value` are NULL or writable.
 */
hasty_status hasty_request_form_at(const struct hasty_request *req,
                                   size_t index,
                                   struct hasty_str *name,
                                   struct hasty_str *value);

/**
 * Tells whether the body is a form that could be read: `HASTY_ERR_INVALID` when a multipart form is malformed.
 *
 * `HASTY_OK` with no fields where the body is of another type. Escapes that are none stay as they are in urlencoded forms, so
 * these are never malformed. A handler that reads fields or files of a form that could not be read, and has not asked this,
 * is answered for with a 400 or 413.
 *
 * Errors: `HASTY_ERR_INVALID`; `HASTY_ERR_LIMIT` for more than `max_parts`, or fields of more than `spool_bytes`;
 * `HASTY_ERR_IO` if files could not be put aside; `HASTY_ERR_STATE` for a form that is not here yet, as to middleware;
 * `HASTY_ERR_NULL`.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
hasty_status hasty_request_form_status(const struct hasty_request *req);

/**
 * Returns how many files a multipart form has; 0 for other bodies.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
size_t hasty_request_file_count(const struct hasty_request *req);

/**
 * Describes a file of a multipart form, in the order of the form.
 *
 * Set `out->size = sizeof *out` first. A file of a form of at most `spool_bytes` is in memory (`data`), others may be in a
 * file of their own (`path`) that goes with the request. `filename` is what the client says: never use it as a path.
 *
 * Ownership: the views are borrowed, until the handler returns or the exchange ends.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_file_count()`; `HASTY_ERR_INVALID` for a wrong
 * size; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `out` is NULL or has `out->size` writable bytes.
 */
hasty_status hasty_request_file_at(const struct hasty_request *req,
                                   size_t index,
                                   struct hasty_file *out);

/**
 * Describes the first file of a multipart form whose field is called `name`.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` if there is none; otherwise as `hasty_request_file_at()`.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated; `out` is NULL or has `out->size`
 * writable bytes.
 */
hasty_status hasty_request_file(const struct hasty_request *req,
                                const char *name,
                                struct hasty_file *out);

/**
 * Writes a copy of a file of a multipart form to `path`, in place of any file there.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` for an index that is not below `hasty_request_file_count()`; `HASTY_ERR_IO` if it cannot be
 * written; `HASTY_ERR_INVALID` if `path` is a folder or a device; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `path` is NULL or NUL-terminated.
 */
hasty_status hasty_request_save_file(const struct hasty_request *req,
                                     size_t index,
                                     const char *path);

/**
 * Reads some bytes of the body, waiting for them: for routes with `body = stream`, whose handler runs before it is received.
 *
 * `*got` is how many were read, at most `len`; 0 is the end. The client is slowed to the speed at which it is read. The
 * first call tells a client that asked for it (`Expect: 100-continue`) to go on.
 *
 * Errors: `HASTY_ERR_CLOSED` if the client has left before the end; `HASTY_ERR_TIMEOUT` if nothing came for
 * `body_timeout_ms`; `HASTY_ERR_LIMIT` beyond `max_body_bytes`; `HASTY_ERR_INVALID` if the body is malformed;
 * `HASTY_ERR_STATE` on other routes and after `hasty_response_defer()`; `HASTY_ERR_NULL`. A handler that then fails is
 * answered for with 400, 408 or 413.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `buf` has room for `len` bytes; `got` is NULL or writable.
 */
hasty_status hasty_request_read(const struct hasty_request *req,
                                void *buf,
                                size_t len,
                                size_t *got);

/**
 * Parses the body as JSON, whatever its type says; once, however often it is called.
 *
 * At most 128 arrays and objects may be open inside one another. An empty body is malformed.
 *
 * Ownership: `*out` is borrowed, until the handler returns.
 *
 * Errors: `HASTY_ERR_INVALID` if the body is malformed; the message has line and column. `HASTY_ERR_STATE` if it is not here:
 * middleware runs before it is received, but for routes with `dispatch = caller`, and with `body = stream` the handler reads it.
 * `HASTY_ERR_NULL`.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `out` is NULL or writable.
 */
hasty_status hasty_request_json(const struct hasty_request *req,
                                const struct hasty_json **out);

/**
 * Returns the `user_data` that the route was registered with; NULL where no route answers. Middleware knows it already.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
void *hasty_request_user_data(const struct hasty_request *req);

/**
 * Keeps `value` under `key` until the request ends, in place of any before.
 *
 * Ownership: takes `value`, also on failure. `drop` (may be NULL) runs on it exactly once: when it is
 * replaced, when the request ends, or before a failing call returns.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `key` is NULL or NUL-terminated.
 */
hasty_status hasty_request_set_local(const struct hasty_request *req,
                                     const char *key,
                                     void *value,
                                     hasty_drop drop);

/**
 * Returns what `hasty_request_set_local()` keeps under `key`; NULL where there is nothing.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `key` is NULL or NUL-terminated.
 */
void *hasty_request_local(const struct hasty_request *req, const char *key);

/**
 * Sets the status code: 200 to 599. Without it the status is 200.
 *
 * Errors: `HASTY_ERR_INVALID` for other codes; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call.
 */
hasty_status hasty_response_set_status(struct hasty_response *res, int32_t code);

/**
 * Returns the status code as it stands.
 *
 * # Safety
 * `res` is NULL or the response of the current call.
 */
int32_t hasty_response_status(const struct hasty_response *res);

/**
 * Sets a header in place of any of that name; both strings are copied.
 *
 * Errors: `HASTY_ERR_INVALID` if the name is no token, if the value holds CR, LF, NUL or another control,
 * or if the server itself sets that header (Date, Transfer-Encoding). Content-Length must be the body's;
 * `Connection: close` ends the connection after this answer. `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `name` and `value` are NULL or NUL-terminated.
 */
hasty_status hasty_response_set_header(struct hasty_response *res, const char *name, const char *value);

/**
 * Adds a header beside any of that name; both strings are copied.
 *
 * Errors: as `hasty_response_set_header()`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `name` and `value` are NULL or NUL-terminated.
 */
hasty_status hasty_response_add_header(struct hasty_response *res, const char *name, const char *value);

/**
 * Like `hasty_response_set_header()`, with a value of `len` bytes that need not end with a NUL.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated; `value` has `len` bytes.
 */
hasty_status hasty_response_set_header_bytes(struct hasty_response *res,
                                             const char *name,
                                             const void *value,
                                             size_t len);

/**
 * Like `hasty_response_add_header()`, with a value of `len` bytes that need not end with a NUL.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated; `value` has `len` bytes.
 */
hasty_status hasty_response_add_header_bytes(struct hasty_response *res,
                                             const char *name,
                                             const void *value,
                                             size_t len);

/**
 * Takes away all headers called `name`, in any case; there need not be any.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated.
 */
hasty_status hasty_response_remove_header(struct hasty_response *res, const char *name);

/**
 * Returns the first header called `name` that was set so far, in any case. Absent where there is none.
 *
 * Valid until the response is changed.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated.
 */
struct hasty_str hasty_response_header(const struct hasty_response *res, const char *name);

/**
 * Like `hasty_response_header()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent value is no error: `out->data` is NULL.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated; `out` is NULL or writable.
 */
hasty_status hasty_response_header_to(const struct hasty_response *res,
                                      const char *name,
                                      struct hasty_str *out);

/**
 * Returns the body given so far. Absent where there is none.
 *
 * Valid until the response is changed.
 *
 * # Safety
 * `res` is NULL or the response of the current call.
 */
struct hasty_str hasty_response_body(const struct hasty_response *res);

/**
 * Like `hasty_response_body()`, for languages that cannot take structs by value.
 *
 * Errors: `HASTY_ERR_NULL`. An absent body is no error: `out->data` is NULL.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `out` is NULL or writable.
 */
hasty_status hasty_response_body_to(const struct hasty_response *res, struct hasty_str *out);

/**
 * Sets the body's type.
 *
 * `type` with a slash is taken as it is, else it is an extension such as "json" or ".png"; an unknown one is
 * `application/octet-stream`. Text types by extension are UTF-8.
 *
 * Errors: `HASTY_ERR_INVALID` if it is empty or holds controls; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `type` is NULL or NUL-terminated.
 */
hasty_status hasty_response_set_type(struct hasty_response *res, const char *type);

/**
 * Adds a cookie. `options` may be NULL: path "/", SameSite=Lax, HttpOnly, until the browser closes.
 *
 * One that is set twice is sent twice, and browsers keep the last. `hasty_response_remove_header(res, "Set-Cookie")` takes back all
 * that were set so far.
 *
 * Errors: `HASTY_ERR_INVALID` if the name is no token, the value or an attribute holds what a cookie cannot (encode it then), or
 * browsers would reject or ignore it: a path that does not begin with "/", a domain that is no name of a host, SameSite=None without
 * `secure`, names that begin with `__Secure-` or `__Host-` and break their promise. `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; the strings are NULL or NUL-terminated; `options` is NULL
 * or a struct of `options->size` bytes.
 */
hasty_status hasty_response_set_cookie(struct hasty_response *res,
                                       const char *name,
                                       const char *value,
                                       const struct hasty_cookie *options);

/**
 * Tells the client to forget a cookie. Path and domain of `options` must be those it was set with; NULL means "/".
 *
 * It is added like one that is set. A name that begins with `__Secure-` or `__Host-` is forgotten with `secure`, as browsers want it.
 *
 * Errors: as `hasty_response_set_cookie()`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated; `options` is NULL or a
 * struct of `options->size` bytes.
 */
hasty_status hasty_response_delete_cookie(struct hasty_response *res,
                                          const char *name,
                                          const struct hasty_cookie *options);

/**
 * Sends `len` bytes, which are copied. Without a type they are `application/octet-stream`.
 *
 * Like all of `send*` it replaces what was given before. Nothing leaves until the handler returns.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `data` has `len` bytes.
 */
hasty_status hasty_response_send(struct hasty_response *res, const void *data, size_t len);

/**
 * Sends `len` bytes without copying them.
 *
 * Ownership: `data` must stay as it is until `drop` (may be NULL) runs on `user_data`, exactly once: when the
 * bytes are written or given up, on any thread, or before a failing call returns.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `data` has `len` bytes until `drop` runs.
 */
hasty_status hasty_response_send_owned(struct hasty_response *res,
                                       const void *data,
                                       size_t len,
                                       void *user_data,
                                       hasty_drop drop);

/**
 * Sends UTF-8 text, which is copied.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `text` is NULL or NUL-terminated.
 */
hasty_status hasty_response_send_text(struct hasty_response *res, const char *text);

/**
 * Sends UTF-8 HTML, which is copied.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `html` is NULL or NUL-terminated.
 */
hasty_status hasty_response_send_html(struct hasty_response *res, const char *html);

/**
 * Sends JSON text as it is, copied; it is not checked.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `json` is NULL or NUL-terminated.
 */
hasty_status hasty_response_send_json(struct hasty_response *res, const char *json);

/**
 * Sends a JSON value as text; the value stays yours.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `value` is NULL or live.
 */
hasty_status hasty_response_send_json_value(struct hasty_response *res, const struct hasty_json *value);

/**
 * Sends a status with its phrase as text: "404 Not Found".
 *
 * Errors: `HASTY_ERR_INVALID` for a code that is not in 200 to 599; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call.
 */
hasty_status hasty_response_send_status(struct hasty_response *res, int32_t code);

/**
 * Sends the client to `location`; `code` is 301, 302, 303, 307 or 308.
 *
 * Bytes that a URL cannot hold, such as spaces and non-ASCII, are percent-encoded. Never pass on a location
 * that a client chose: check it against those you know.
 *
 * Errors: `HASTY_ERR_INVALID` for other codes, and for a location that is empty or holds controls; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `location` is NULL or NUL-terminated.
 */
hasty_status hasty_response_send_redirect(struct hasty_response *res,
                                          int32_t code,
                                          const char *location);

/**
 * Sends a file, with the type that its name tells unless one was set.
 *
 * With status 200 it has an ETag and Last-Modified, and conditional requests and ranges are honoured: the client
 * may get a 304, 206, 412 or 416 instead. The file is opened now and sent when the handler has returned; large ones
 * never pass through memory.
 *
 * `path` is the program's own. Never build it from what a client sends: `hasty_app_static()` is for that.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` if there is no such file; `HASTY_ERR_IO` if it cannot be opened;
 * `HASTY_ERR_INVALID` if it is no regular file; `HASTY_ERR_NULL`. To answer something else then, call
 * `hasty_response_reset()` first.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `path` is NULL or NUL-terminated.
 */
hasty_status hasty_response_send_file(struct hasty_response *res,
                                      const char *path);

/**
 * Sends a file for the client to save as `filename`; NULL means the name that it has.
 *
 * `filename` is UTF-8; slashes and controls in it become "_". Its extension tells the type, unless one was set.
 *
 * Errors: as `hasty_response_send_file()`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `path` and `filename` are NULL or NUL-terminated.
 */
hasty_status hasty_response_send_download(struct hasty_response *res,
                                          const char *path,
                                          const char *filename);

/**
 * Writes a piece of the body, which is copied, and sends it. The first call sends the head.
 *
 * The body is chunked, or has the Content-Length that was set; for HTTP/1.0 clients it ends with the connection. From
 * the first call on setters return `HASTY_ERR_STATE`, and a handler that fails cuts the connection, so that the client
 * sees that the end is missing. Fewer bytes than a set Content-Length cut it too, and are logged.
 *
 * In a handler it blocks while the client takes nothing, at most `write_timeout_ms`; others are served by other threads meanwhile. Where
 * no thread is left for them it keeps what the client has not taken, up to `stream_buffer_bytes`, and then is `HASTY_ERR_LIMIT`: with
 * `blocking` = "yes" handlers of a route begin only when they may wait (which is learned, too), but for apps with one thread or none.
 * With `dispatch` = "caller" it blocks as well, and with it `hasty_app_poll()`, whatever its time-out: defer there.
 *
 * On a deferred response it does not block: what the client has not taken waits, up to `stream_buffer_bytes`, and
 * `hasty_exchange_on_ready()` tells when there is room. Until the handler that deferred has returned, all of it waits.
 *
 * Errors: `HASTY_ERR_CLOSED` once the client has left or the app has stopped, and after the head where there is no body (HEAD, 204, 304);
 * `HASTY_ERR_TIMEOUT` if it took nothing for too long; `HASTY_ERR_LIMIT` if too much waits already (nothing was taken, and it may be
 * written again later); `HASTY_ERR_INVALID` for more than the Content-Length that was set, or if a setter failed before;
 * `HASTY_ERR_STATE` outside of handlers, middleware and exchanges, and where a body was given already by one of `send*`;
 * `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `data` has `len` bytes.
 */
hasty_status hasty_response_write(struct hasty_response *res,
                                  const void *data,
                                  size_t len);

/**
 * Writes a server-sent event as a piece of the body: `text/event-stream`, not kept by caches nor held back by proxies.
 *
 * `event` is its name and `id` its id, both optional; each line of `data` becomes a line of the event. With `data` NULL
 * it is a comment, which keeps the connection alive. All are UTF-8.
 *
 * Errors: as `hasty_response_write()`; `HASTY_ERR_INVALID` if `event` or `id` holds a line end.
 *
 * # Safety
 * `res` is NULL or the response of the current call; the strings are NULL or NUL-terminated.
 */
hasty_status hasty_response_write_event(struct hasty_response *res,
                                        const char *event,
                                        const char *data,
                                        const char *id);

/**
 * Makes the response what it was at first: an empty 200. A setter that failed is forgotten.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call.
 */
hasty_status hasty_response_reset(struct hasty_response *res);

/**
 * Takes the answer out of the handler's hands: it may be given later, by any thread.
 *
 * The handler then returns `HASTY_OK` and touches neither `req` nor `res` any more: the exchange has copies of both.
 * Views taken of `req` before end with the handler; take them anew from `hasty_exchange_request()`. In middleware it ends
 * the chain. An open exchange costs no thread. If it has sent nothing within `exchange_timeout_ms`, the client gets a 504.
 *
 * Before the handler has returned nothing of the answer leaves, no time-out runs and no notice is called: never wait there for
 * the exchange. With `dispatch = caller` the request was an exchange before: bytes leave at once, and its time has run since it came.
 *
 * Ownership: `*out` is yours; end it with `hasty_exchange_finish()` or `hasty_exchange_free()`.
 *
 * Errors: `HASTY_ERR_STATE` if it was deferred before, and outside of handlers and middleware; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `out` is NULL or writable.
 */
hasty_status hasty_response_defer(struct hasty_response *res,
                                  struct hasty_exchange **out);

/**
 * Returns the request, as it was when it was deferred. Borrowed: valid until finish or free.
 *
 * # Safety
 * `exchange` is NULL or live.
 */
const struct hasty_request *hasty_exchange_request(const struct hasty_exchange *exchange);

/**
 * Returns the answer, to be filled or written. Borrowed: valid until finish or free.
 *
 * # Safety
 * `exchange` is NULL or live.
 */
struct hasty_response *hasty_exchange_response(struct hasty_exchange *exchange);

/**
 * Sends the answer, or the end of what was written, and ends the exchange.
 *
 * It sends on this thread what the client takes at once, and leaves the rest to the app's threads. It runs no other handler.
 * Where the handler that deferred has not returned yet, all of it is sent when it has.
 *
 * Ownership: takes `exchange`, also on failure.
 *
 * Errors: `HASTY_ERR_CLOSED` if nobody waits any more: the client has left, was answered by a time-out, or the app has
 * stopped. `HASTY_ERR_NULL`.
 *
 * Threads: any, also the handler's own before it returns, and after `hasty_app_free()`.
 *
 * # Safety
 * `exchange` is NULL or live, and nobody else uses it.
 */
hasty_status hasty_exchange_finish(struct hasty_exchange *exchange);

/**
 * Tells whether the client still waits: 0 once it has ended its side, was answered by a time-out, or the app has stopped.
 *
 * # Safety
 * `exchange` is NULL or live.
 */
int32_t hasty_exchange_alive(const struct hasty_exchange *exchange);

/**
 * Calls `gone` once when nobody waits for the answer any more: on one of the app's threads, or here and now if that is so already.
 *
 * That is when the client has ended its side or its connection; and, with the client still there, when `exchange_timeout_ms` is
 * over (it gets a 504), when it takes a stream more slowly than `write_timeout_ms` or `min_rate_bytes` allow (it is cut off), and when
 * the app stops, by a free or a drain as well (it gets a 503, or the stream is cut). It is not noticed before the handler that
 * deferred has returned.
 *
 * It never runs after `hasty_exchange_finish()` or `hasty_exchange_free()` has returned; those wait for one that runs on
 * another thread, so hold no lock then that `gone` takes. It may itself finish or free the exchange. A second
 * registration replaces the first. After a mere end of the client's side an answer is still tried.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `exchange` is NULL or live.
 */
hasty_status hasty_exchange_on_close(struct hasty_exchange *exchange,
                                     hasty_notify_fn gone,
                                     void *user_data,
                                     hasty_drop drop);

/**
 * Calls `ready` once when there is room for more of what is written: on one of the app's threads, or here and now.
 *
 * To be called after `hasty_response_write()` has returned `HASTY_ERR_LIMIT`. It is called, too, when nobody waits any
 * more. It never runs after finish or free has returned. A second registration replaces the first. What was written in the
 * handler that deferred makes room when that has returned, not before.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `exchange` is NULL or live.
 */
hasty_status hasty_exchange_on_ready(struct hasty_exchange *exchange,
                                     hasty_notify_fn ready,
                                     void *user_data,
                                     hasty_drop drop);

/**
 * Ends an exchange without an answer: the client gets a 503, or sees that the end of a stream is missing.
 *
 * Nothing happens for NULL.
 *
 * Threads: any, also after `hasty_app_free()`.
 *
 * # Safety
 * `exchange` is NULL or live, and nobody else uses it.
 */
void hasty_exchange_free(struct hasty_exchange *exchange);

/**
 * Gives the answer in the slot, if one is owed, and takes the next request. It never waits.
 *
 * `slot->size` and `slot->app` are yours to set; begin with all else 0, and leave the slot at its address. On `HASTY_OK` it holds a
 * request: `ticket` is not 0, `route` is the number of the route's successful registration from 0, the texts end with NUL and
 * are valid until the next take, and the answer's fields are preset to 200, UTF-8 text, empty. Fill those and call again.
 *
 * `kind` says what `reply` is; with `HASTY_KIND_FILE` it is a path, with `HASTY_KIND_NONE` there is no body. `content_type`
 * overrides the type, `extra_headers` is lines of "Name: value". Both and `reply` are borrowed until the next take. An answer that
 * cannot be sent becomes a 500 and a message of the log. Answers are kept back only while the next request is one that is known
 * to be answered quickly; never for one whose route has the option `blocking` "yes".
 *
 * A `hasty_slot_more`, by its `size`, tells who asks and in which version of HTTP as well.
 *
 * Errors: `HASTY_ERR_TIMEOUT` if no request waits, `HASTY_ERR_CLOSED` once the app has stopped: the answer was given all the
 * same, and `ticket` is 0. `HASTY_ERR_INVALID` for a wrong size or ticket; `HASTY_ERR_STATE` before start, inside a callback of
 * the app, and for an app whose requests are taken by `hasty_app_poll()` or `hasty_app_next()`; `HASTY_ERR_NULL`.
 *
 * With `threads` none the request has no `exchange_timeout_ms`: nobody else looks at its connection.
 *
 * Threads: any, each with a slot of its own.
 *
 * # Safety
 * `slot` is NULL or a struct of `slot->size` bytes whose pointers are as said above, and nobody else uses it.
 */
hasty_status hasty_slot_take(struct hasty_slot *slot);

/**
 * The same as `hasty_slot_take()`, by an object that stands for the slot.
 *
 * For hosts whose runtimes call a function of C with one of their own objects for much less than with an address. In CPython it can
 * be what tells an object's truth, which takes a twentieth of a call by way of libffi.
 *
 * Where the slot has no `reply`, and `object->reply` is not NULL, the reply is what the latter says. `object->status` is what is
 * returned.
 *
 * Errors: as `hasty_slot_take()`; `HASTY_ERR_NULL`.
 *
 * Threads: any, each with a slot of its own.
 *
 * # Safety
 * `object` is NULL or a struct whose `slot` is as `hasty_slot_take()` wants it and whose `reply` is as said at the fields, and
 * nobody else uses it.
 */
hasty_status hasty_slot_take_object(struct hasty_slot_object *object);

/**
 * Waits until `hasty_slot_take()` would take a request. A signal ends it early.
 *
 * With `threads` none it does the app's work meanwhile.
 *
 * Errors: `HASTY_ERR_TIMEOUT` if none came within `timeout_ms`, or a signal or `hasty_app_wake()` did; otherwise as
 * `hasty_slot_take()`.
 *
 * Threads: any, each with a slot of its own.
 *
 * # Safety
 * `slot` is NULL or a struct of `slot->size` bytes, and nobody else uses it.
 */
hasty_status hasty_slot_wait(struct hasty_slot *slot,
                             int32_t timeout_ms);

/**
 * Makes an exchange of the request in the slot, to be answered later; `ticket` becomes 0.
 *
 * The slot's texts stay: `request`, `method_text`, `path`, `query` and `body` are the exchange's from now on. Views that were taken
 * of the request before are to be taken anew.
 *
 * Ownership: `*out` is yours; end it with `hasty_exchange_finish()` or `hasty_exchange_free()`.
 *
 * Errors: `HASTY_ERR_STATE` if there is no request in the slot; `HASTY_ERR_INVALID` for a wrong size or ticket; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `slot` is NULL or a struct of `slot->size` bytes, and nobody else uses it; `out` is NULL or writable.
 */
hasty_status hasty_slot_exchange(struct hasty_slot *slot,
                                 struct hasty_exchange **out);

/**
 * Reads `len` bytes of JSON: one value with nothing after it but spaces.
 *
 * Of members with the same key the last one's value counts, in the place of the first; others keep their
 * order. At most 128 arrays and objects may be open inside one another. Whole numbers from -2^63 to
 * 2^64-1 are exact, others become the nearest double. An empty text is an error.
 *
 * Ownership: `*out` is yours; end it with `hasty_json_free()`, or give it away with `hasty_json_set()` or
 * `hasty_json_push()`. `text` is copied.
 *
 * Errors: `HASTY_ERR_INVALID` if the text is malformed or too deep (the message has line and column, in
 * bytes, from 1); `HASTY_ERR_NULL`.
 *
 * # Safety
 * `text` is NULL or has `len` bytes; `out` is NULL or writable.
 */
hasty_status hasty_json_parse(const void *text, size_t len, struct hasty_json **out);

/**
 * Frees a value and all its parts.
 *
 * Nothing happens for NULL, and for a value that is part of another or of a request: its owner frees it.
 *
 * # Safety
 * `json` is NULL or live, and is not used any more, nor are its parts.
 */
void hasty_json_free(struct hasty_json *json);

/**
 * Copies a value with all its parts, borrowed ones too.
 *
 * Ownership: `*out` is yours; end it with `hasty_json_free()`, or give it away with `hasty_json_set()` or
 * `hasty_json_push()`.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `json` is NULL or live; `out` is NULL or writable.
 */
hasty_status hasty_json_clone(const struct hasty_json *json, struct hasty_json **out);

/**
 * Tells what a value is: one of `HASTY_JSON_*`, or -1 for NULL.
 *
 * Threads: any number at a time may read a value, while none changes it.
 *
 * # Safety
 * `json` is NULL or live.
 */
int32_t hasty_json_kind(const struct hasty_json *json);

/**
 * Counts the items of an array or the members of an object; 0 for anything else.
 *
 * # Safety
 * `json` is NULL or live.
 */
size_t hasty_json_len(const struct hasty_json *json);

/**
 * Returns the value of the member called `key`, or NULL: there is none, or `json` is no object.
 *
 * Borrowed: valid until that member is set anew or `json` is freed. Other members may come meanwhile.
 *
 * # Safety
 * `json` is NULL or live; `key` is NULL or NUL-terminated.
 */
const struct hasty_json *hasty_json_get(const struct hasty_json *json, const char *key);

/**
 * Returns the item of an array, or the value of a member of an object, at `index`; NULL beyond the last.
 *
 * Borrowed: valid until it is set anew or `json` is freed. Others may be added meanwhile.
 *
 * # Safety
 * `json` is NULL or live.
 */
const struct hasty_json *hasty_json_at(const struct hasty_json *json, size_t index);

/**
 * Returns the value that a JSON Pointer (RFC 6901) leads to, or NULL: it leads nowhere, or is malformed.
 *
 * "" is `json` itself; "/items/0/price" goes by keys and by positions from 0. In a key, "~1" stands for
 * "/" and "~0" for "~". Borrowed: valid until it is set anew or `json` is freed.
 *
 * # Safety
 * `json` is NULL or live; `pointer` is NULL or NUL-terminated.
 */
const struct hasty_json *hasty_json_find(const struct hasty_json *json, const char *pointer);

/**
 * Returns the key of the member at `index`; `hasty_json_at()` has its value.
 *
 * Absent (`data` NULL) beyond the last member, and if `json` is no object. Keys may hold NUL: `len` is the
 * truth. Valid until `json` is freed.
 *
 * # Safety
 * `json` is NULL or live.
 */
struct hasty_str hasty_json_key_at(const struct hasty_json *json, size_t index);

/**
 * `hasty_json_key_at()` for languages that cannot take structs by value; an absent key is absent in `*out`.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `json` is NULL or live; `out` is NULL or writable.
 */
hasty_status hasty_json_key_at_to(const struct hasty_json *json, size_t index, struct hasty_str *out);

/**
 * Returns the text of a string, as UTF-8; absent (`data` NULL) if the value is no string.
 *
 * It may hold NUL ("\u0000"): `len` is the truth. Valid until the value is freed, or set anew in its parent.
 *
 * # Safety
 * `json` is NULL or live.
 */
struct hasty_str hasty_json_as_string(const struct hasty_json *json);

/**
 * `hasty_json_as_string()` for languages that cannot take structs by value; what is no string is absent in `*out`.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `json` is NULL or live; `out` is NULL or writable.
 */
hasty_status hasty_json_as_string_to(const struct hasty_json *json,
                                     struct hasty_str *out);

/**
 * Reads a number as a whole one of 64 bits with a sign; 3.0 and 3e0 are whole too.
 *
 * Errors: `HASTY_ERR_INVALID` if it has a fraction or is too large (the message names it), and if the value
 * is no number; `HASTY_ERR_NULL`. With a point or an exponent, numbers from 2^53 on are too large: they may
 * have been rounded.
 *
 * # Safety
 * `json` is NULL or live; `out` is NULL or writable.
 */
hasty_status hasty_json_as_int(const struct hasty_json *json, int64_t *out);

/**
 * Reads a number as the double nearest to it.
 *
 * Errors: `HASTY_ERR_INVALID` if the value is no number; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `json` is NULL or live; `out` is NULL or writable.
 */
hasty_status hasty_json_as_double(const struct hasty_json *json, double *out);

/**
 * Reads `true` as 1 and `false` as 0.
 *
 * Errors: `HASTY_ERR_INVALID` if the value is neither; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `json` is NULL or live; `out` is NULL or writable.
 */
hasty_status hasty_json_as_bool(const struct hasty_json *json, int32_t *out);

/**
 * Makes an empty object.
 *
 * Ownership: it is yours, as is everything that a `hasty_json_new_*()` makes; end it with
 * `hasty_json_free()`, or give it away with `hasty_json_set()` or `hasty_json_push()`. A value given away
 * may still be filled through its pointer, as long as the one it belongs to lives.
 */
struct hasty_json *hasty_json_new_object(void);

/**
 * Makes an empty array.
 *
 * Ownership: it is yours.
 */
struct hasty_json *hasty_json_new_array(void);

/**
 * Makes a null.
 *
 * Ownership: it is yours.
 */
struct hasty_json *hasty_json_new_null(void);

/**
 * Makes `false` of 0, and `true` of anything else.
 *
 * Ownership: it is yours.
 */
struct hasty_json *hasty_json_new_bool(int32_t value);

/**
 * Makes a whole number.
 *
 * Ownership: it is yours.
 */
struct hasty_json *hasty_json_new_int(int64_t value);

/**
 * Makes a number.
 *
 * Ownership: it is yours.
 *
 * Errors: NULL for NaN and the infinities, which JSON does not have; `hasty_last_error()` says so.
 */
struct hasty_json *hasty_json_new_double(double value);

/**
 * Makes a string of `len` bytes of UTF-8; what is not UTF-8 becomes U+FFFD.
 *
 * Ownership: it is yours; the bytes are copied.
 *
 * Errors: NULL if `utf8` is NULL and `len` is not 0; `hasty_last_error()` says so.
 *
 * # Safety
 * `utf8` is NULL or has `len` bytes.
 */
struct hasty_json *hasty_json_new_string(const void *utf8, size_t len);

/**
 * Makes `value` the member `key` of an object, in the place of an earlier one, which is freed; else it comes last.
 *
 * Ownership: takes `value`, also on failure, but for one that has an owner: if it is part of something
 * already, or `object` is part of it, nothing is freed. The key is copied; what is not UTF-8 in it becomes U+FFFD.
 *
 * Errors: `HASTY_ERR_INVALID` if `object` is no object, if `value` is already part of another value or of
 * a request, or would become part of itself; `HASTY_ERR_NULL`.
 *
 * Threads: one at a time per tree.
 *
 * Example: `hasty_json_set(user, "age", hasty_json_new_int(41));`
 *
 * # Safety
 * `object` and `value` are NULL or live; `key` is NULL or NUL-terminated.
 */
hasty_status hasty_json_set(struct hasty_json *object,
                            const char *key,
                            struct hasty_json *value);

/**
 * `hasty_json_set()` with a key of `len` bytes, which may hold NUL.
 *
 * # Safety
 * `object` and `value` are NULL or live; `key` is NULL or has `len` bytes.
 */
hasty_status hasty_json_set_bytes(struct hasty_json *object,
                                  const void *key,
                                  size_t len,
                                  struct hasty_json *value);

/**
 * Makes `value` the last item of an array.
 *
 * Ownership: takes `value`, also on failure, but for one that has an owner: if it is part of something
 * already, or `array` is part of it, nothing is freed.
 *
 * Errors: `HASTY_ERR_INVALID` if `array` is no array, if `value` is already part of another value or of a
 * request, or would become part of itself; `HASTY_ERR_NULL`.
 *
 * Threads: one at a time per tree.
 *
 * # Safety
 * `array` and `value` are NULL or live.
 */
hasty_status hasty_json_push(struct hasty_json *array, struct hasty_json *value);

/**
 * Writes a value as JSON, without spaces and with a NUL at the end, into the `cap` bytes of `buf`.
 *
 * `*needed` becomes the room that the text takes, with its NUL, so that `(NULL, 0)` asks how much to
 * allocate; it is written also when `cap` is too small, but then `buf` stays as it was.
 *
 * Errors: `HASTY_ERR_LIMIT` if `cap` is less than `*needed`; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `json` is NULL or live; `buf` is NULL or has `cap` writable bytes; `needed` is NULL or writable.
 */
hasty_status hasty_json_to_text(const struct hasty_json *json, char *buf, size_t cap, size_t *needed);

#ifdef __cplusplus
} /* extern "C" */
#endif /* __cplusplus */

#endif  /* HASTY_H */
