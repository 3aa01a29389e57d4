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
 * NULL       Handled everywhere: calls that return a status return HASTY_ERR_NULL, a view is absent, a count
 *            is 0, free(NULL) does nothing. (NULL, 0) is an empty buffer.
 * Ownership  `T **out` is yours to free. `const T **out` and every hasty_str are borrowed: from a request
 *            until its handler returns. What you pass in is copied unless the function says otherwise.
 * user_data  Taken even when the call fails; its `drop` (may be NULL) runs exactly once, on every path.
 * hasty_str  Absent is data == NULL, empty is len == 0. A NUL byte follows every one handed out, so data
 *            is a C string too; if the value itself holds NUL bytes, rely on len.
 * _to        Every function that returns a hasty_str by value has a variant ending in _to that writes it to
 *            `out` and returns a status, for languages that cannot take structs by value.
 * Options    Structs begin with `size`: zero-initialise them and set size = sizeof x. 0 or NULL means the
 *            default, HASTY_NONE (HASTY_NONE64) means literally zero, none or off. Booleans are int32_t.
 * Time       `int32_t timeout_ms`: negative waits for ever, 0 does not wait.
 * Threads    Handlers run in parallel on several threads. A request and its response belong to one thread
 *            at a time. The library holds no lock while a callback of yours runs.
 * Callbacks  Let no exception, longjmp or thread cancellation leave one. No Rust panic ever reaches your code.
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
 * Levels of log messages, the most severe first: a request or a thread failed.
 */
#define HASTY_LOG_ERROR 1

/**
 * A problem that the library has recovered from.
 */
#define HASTY_LOG_WARN 2

/**
 * Normal events.
 */
#define HASTY_LOG_INFO 3

/**
 * Details for debugging.
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
     * Threads of the pool; 0 means two per processor, at least 8; one more is on standby once handlers block. `HASTY_NONE`: only
     * threads that call `hasty_app_run()`, `hasty_app_poll()` or its like serve.
     */
    uint32_t threads;
    /**
     * Concurrent connections; 0 means what RLIMIT_NOFILE allows, less some for the host; `HASTY_NONE` is 1048576. More are answered
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
     * Field lines of a head; 0 means 100. More is answered 431; with `HASTY_NONE` every head with a field is, and every HTTP/1.1
     * request has one.
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
     * Longest pause in sending an answer while the client takes nothing, in milliseconds; 0 means 30000, `HASTY_NONE` for ever. Then the
     * connection is closed.
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
 * Frees a `user_data`. Runs exactly once, on any thread.
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
     * The file that is sent for a directory; NULL means "index.html", "" none.
     */
    const char *index;
    /**
     * A file below the directory that is sent, with status 200, for paths without a file; NULL means 404. It must exist at registration.
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
 * Which other origins' scripts may read answers. Lists are separated by commas; NULL means the default.
 */
typedef struct hasty_cors {
    /**
     * `sizeof(hasty_cors)`.
     */
    size_t size;
    /**
     * Origins such as `https://example.org`; a host of "*." and a domain means all its subdomains. NULL means any origin.
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
     * Response headers that scripts may read besides the CORS-safelisted ones; NULL means none.
     */
    const char *expose;
    /**
     * Seconds for which a preflight's answer may be kept; 0 means 86400.
     */
    uint32_t max_age_s;
    /**
     * Not 0: requests may carry cookies and HTTP authentication.
     */
    int32_t credentials;
    /**
     * Not 0: pages from the public network may call this server on a private one.
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
     * From the end of the request's head to the complete answer, in microseconds.
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
 * Reports an event; the function that registers it says which, when, and on which thread.
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
     * The file's bytes; absent when they went to disk.
     */
    struct hasty_str data;
    /**
     * The file on disk, removed when the request ends; NULL when the file is in memory.
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
 * A request and its answer at a fixed address, for languages in which every call is expensive.
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
     * Identifies the request that an answer is owed for; 0 if there is none. Set by the library.
     */
    uint64_t ticket;
    /**
     * The number of the call that registered the route, from 0.
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
     * The host's own: the words that its objects begin with.
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
     * Offset of the length, 8 bytes, in `reply`.
     */
    uint32_t length_at;
    /**
     * Offset of the bytes in `reply`.
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
 * A slot with more fields: pass `&more.slot`, with `more.slot.size = sizeof more`.
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
     * The client's IPv4 address, 127.0.0.1 as 0x7f000001; 0 if it has none: `hasty_request_remote_address()` then has what it is.
     */
    uint32_t remote_v4;
    /**
     * While this value and the app stay the same, the requests in this slot have the same head and come from the same address: only
     * `ticket` and the body differ.
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
 * The call is not allowed now: registration after start, waiting inside a callback.
 */
#define HASTY_ERR_STATE 3

/**
 * The operating system refused; `hasty_last_error()` has its reason.
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
 * A bug in the library caused a panic, which was caught.
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
 * Returns the ABI's number. Programs compiled for the same number work with this library.
 */
uint32_t hasty_abi_version(void);

/**
 * Returns the library's version, such as "0.1.0". Static.
 */
const char *hasty_version(void);

/**
 * Returns a status's name, such as "HASTY_ERR_INVALID"; "unknown" for any other number. Static.
 */
const char *hasty_status_name(hasty_status status);

/**
 * Returns what went wrong in this thread's last failing call, naming the value and the rule.
 *
 * Only a call that returns a failing status changes it; success neither clears nor moves it, and neither do
 * `HASTY_ERR_TIMEOUT` and `HASTY_ERR_CLOSED`. Absent before the first failure. Valid until the next one.
 *
 * Threads: each thread has its own.
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
 * returned. Otherwise no callback and no drop of the app runs after it has returned: it runs the `drop` of every
 * registered user_data.
 *
 * Threads: any, once; no other thread may use `app`, except those still in `hasty_app_start()` or `hasty_app_run()`, which it ends.
 *
 * # Safety
 * `app` is NULL or came from `hasty_app_new()` and was not freed.
 */
void hasty_app_free(struct hasty_app *app);

/**
 * Sets an option by name and text, literally: "0" is zero, none or off. Before start; options of listeners, before listen.
 *
 * Besides the fields of `hasty_options` there are: `backlog` (4096), `reuse_port` (0), `min_rate_bytes` (240 a
 * second, after 5 s of grace), `max_buffered_bytes` (268435456), `defer_accept_s` (1), `cache_ms` (1000), `compress` (1), `max_queued`
 * (1024 requests that wait for a thread), `lanes` (one for each processor), `tick_us` (2000),
 * `spool_bytes` (262144), `spool_directory` (the system's for temporary files), `max_parts` (1000) and
 * `stream_buffer_bytes` (262144).
 *
 * "0" is off for `reuse_port`, `min_rate_bytes`, `defer_accept_s`, `cache_ms` and `compress`. With `max_queued` "0" no request waits: it
 * is answered 503 if no thread is free, and always on a route of your own thread (unless slots take it without library threads, where
 * none is queued). `max_parts` "0" refuses every part of a form;
 * `spool_bytes` "0" refuses every field, and puts all files on disk. `stream_buffer_bytes` "0" keeps one piece at a time,
 * `max_buffered_bytes` "0" answers 503 while anything is kept. `tick_us` "0" treats every handler as blocking. `lanes` "0" is refused.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` for an unknown name (the message lists the known ones); `HASTY_ERR_INVALID`
 * for a value out of bounds; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `key` and `value` are NULL or NUL-terminated.
 */
hasty_status hasty_app_set_option(struct hasty_app *app,
                                  const char *key,
                                  const char *value);

/**
 * Sets an option of one route, identified by the method ("*" for any) and pattern it was registered with, before start.
 *
 * - `max_body_bytes` and `exchange_timeout_ms` replace the app's ("0": no body; no limit).
 * - `body` is "buffer", the default: the handler runs when the whole body has arrived; "whole": likewise, but a form longer than
 *   `spool_bytes` stays in memory as it was sent, for handlers that parse forms themselves; or "stream": it runs when the head
 *   has, and calls `hasty_request_read()`.
 * - `dispatch` is "pool", the default, or "caller": the handler and its middleware run on a thread of yours that calls
 *   `hasty_app_poll()`. Everything before them happens on the app's own threads.
 * - `blocking` is "auto", the default, "yes" or "no": whether the handler is known to block. With "auto" this is learned, at
 *   the cost of some milliseconds for the first requests behind such a handler.
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
 * Returns an option's value as text, or its default. Absent for an unknown name. Valid until `hasty_app_free()`.
 *
 * # Safety
 * `app` is NULL or live; `key` is NULL or NUL-terminated.
 */
struct hasty_str hasty_app_option(const struct hasty_app *app,
                                  const char *key);

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
 * With a NULL `handler` the route's requests wait for your own thread, which gets them from `hasty_app_next()` or
 * `hasty_slot_take()`; `hasty_app_poll()` has nothing to run for them, and answers 500.
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
 * Threads: `handler` runs on several at a time.
 *
 * # Safety
 * `app` is NULL or live; `method` and `pattern` are NULL or NUL-terminated; `handler` may be called on several threads at once.
 */
hasty_status hasty_app_route(struct hasty_app *app,
                             const char *method,
                             const char *pattern,
                             hasty_handler handler,
                             void *user_data,
                             hasty_drop drop);

/**
 * Adds `handler` for GET, and for HEAD unless HEAD has a handler of its own. `user_data` must outlive the app.
 *
 * `handler` may be NULL, as in `hasty_app_route()`: your own thread takes the requests.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` may be called on several threads at once.
 */
hasty_status hasty_app_get(struct hasty_app *app,
                           const char *pattern,
                           hasty_handler handler,
                           void *user_data);

/**
 * Adds `handler` for POST. `user_data` must outlive the app.
 *
 * `handler` may be NULL, as in `hasty_app_route()`: your own thread takes the requests.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` may be called on several threads at once.
 */
hasty_status hasty_app_post(struct hasty_app *app,
                            const char *pattern,
                            hasty_handler handler,
                            void *user_data);

/**
 * Adds `handler` for PUT. `user_data` must outlive the app.
 *
 * `handler` may be NULL, as in `hasty_app_route()`: your own thread takes the requests.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` may be called on several threads at once.
 */
hasty_status hasty_app_put(struct hasty_app *app,
                           const char *pattern,
                           hasty_handler handler,
                           void *user_data);

/**
 * Adds `handler` for PATCH. `user_data` must outlive the app.
 *
 * `handler` may be NULL, as in `hasty_app_route()`: your own thread takes the requests.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` may be called on several threads at once.
 */
hasty_status hasty_app_patch(struct hasty_app *app,
                             const char *pattern,
                             hasty_handler handler,
                             void *user_data);

/**
 * Adds `handler` for DELETE. `user_data` must outlive the app.
 *
 * `handler` may be NULL, as in `hasty_app_route()`: your own thread takes the requests.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` may be called on several threads at once.
 */
hasty_status hasty_app_delete(struct hasty_app *app,
                              const char *pattern,
                              hasty_handler handler,
                              void *user_data);

/**
 * Adds `handler` for every method that has no handler of its own. `user_data` must outlive the app.
 *
 * `handler` may be NULL, as in `hasty_app_route()`: your own thread takes the requests.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated; `handler` may be called on several threads at once.
 */
hasty_status hasty_app_any(struct hasty_app *app,
                           const char *pattern,
                           hasty_handler handler,
                           void *user_data);

/**
 * Serves the files below `directory` for GET and HEAD, at `prefix` and every path below it. `options` may be NULL.
 *
 * A directory is answered with its index; a path to it without a final slash is redirected to the one with it. Names
 * that begin with a dot, paths that lead out of the directory, and anything but regular files are answered 404. A
 * symbolic link may lead to another place below the directory, by a relative path. ETag, Last-Modified, conditional
 * requests and ranges are supported. If "page.html.br" or "page.html.gz" exists beside "page.html", clients that accept
 * it get that one.
 *
 * The directory is opened by name again from time to time, so it may be replaced by renaming. Small files are
 * served from memory for `cache_ms` milliseconds (an option of the app) before they are checked on disk again.
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
 * `Content-Security-Policy`, `Cache-Control`, `Expires`, `ETag`, `Last-Modified`). It also runs before static files and the library's
 * own 404, 405 and 413; not for requests that cannot be parsed, nor for preflights that the library answers. `prefix` is compared
 * by whole decoded segments; a slash at its end is ignored; "/" covers everything.
 *
 * It runs before the body is read, which is absent to it. For routes with `dispatch = caller` it runs with the handler, when the body
 * is there.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_INVALID` for a malformed prefix; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `handler` runs on several at a time.
 *
 * # Safety
 * `app` is NULL or live; `prefix` is NULL or NUL-terminated; `handler` may be called on several threads at once.
 */
hasty_status hasty_app_use(struct hasty_app *app,
                           const char *prefix,
                           hasty_handler handler,
                           void *user_data,
                           hasty_drop drop);

/**
 * Runs `handler` after those of the routes, for every answer at `prefix` and below, in the reverse order of registration.
 *
 * It may change status, headers and, unless the answer is written piece by piece, the body. It also runs for static files,
 * redirects and the library's own errors, but not if the request could not be parsed, nor for the 504 or 503 of an exchange whose
 * time is up or that the end of the app has left open. For an answer that is written piece by piece it runs before the first piece.
 * Anything but `HASTY_OK` is logged and answers 500.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_INVALID` for a malformed prefix; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `handler` runs on several at a time; for a deferred answer, on the one that finishes it.
 *
 * # Safety
 * `app` is NULL or live; `prefix` is NULL or NUL-terminated; `handler` may be called on several threads at once.
 */
hasty_status hasty_app_after(struct hasty_app *app,
                             const char *prefix,
                             hasty_handler handler,
                             void *user_data,
                             hasty_drop drop);

/**
 * Lets scripts of other origins read answers at `prefix` and below.
 *
 * `policy` may be NULL: any origin, without credentials, with the methods that the path has and the headers that are asked
 * for. Preflights are answered 204, unless a handler for OPTIONS is registered on that path. Errors have the headers too.
 * If several policies match, only the one with the longest prefix applies.
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
 * Limits the rate of each client's requests at `prefix` and below; excess ones are answered 429, with `Retry-After`.
 *
 * A client is an address, or the first 64 bits of an IPv6 address. `per_minute` is its sustained rate, `burst` the most
 * requests at once; 0 means `per_minute`. Every answer reports the state (`RateLimit-Limit`, `-Remaining`, `-Reset`).
 * Preflights that the library answers do not count. Behind a proxy all clients have the proxy's address: let the proxy
 * limit them, or pass `allow`.
 *
 * `allow` (may be NULL) decides instead, so that several processes can share a count: it is called for each request with
 * the client's address, and returns 1 to allow it or 0 to refuse it. Then only refusals report a state.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_INVALID` for a malformed prefix or 0 per minute; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `allow` runs on several at a time.
 *
 * # Safety
 * `app` is NULL or live; `prefix` is NULL or NUL-terminated; `allow` may be called on several threads at once.
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
 * Errors: `HASTY_ERR_INVALID` if the name is not a token, if the value holds a control character, or if the server itself sets
 * that header; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `name` and `value` are NULL or NUL-terminated.
 */
hasty_status hasty_app_add_header(struct hasty_app *app,
                                  const char *name,
                                  const char *value);

/**
 * Adds a set of common security headers to every answer, each unless the answer has one of that name.
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
 * Lets `handler` change every answer from 400 to 599 that the library itself gives.
 *
 * `res` has its status, headers and body set; `hasty_last_error()` has the reason. If the request could not be parsed, all
 * views of `req` but its id and the remote address are absent. If an exchange owns the request, `req` is a copy of its head,
 * without body and locals. If `handler` fails, the library's own answer is sent. A second call replaces the first.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `handler` runs on several at a time.
 *
 * # Safety
 * `app` is NULL or live; `handler` may be called on several threads at once.
 */
hasty_status hasty_app_on_error(struct hasty_app *app,
                                hasty_handler handler,
                                void *user_data,
                                hasty_drop drop);

/**
 * Passes log messages to `log`; without it they are discarded. A second call replaces the first.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `log` runs on several at a time.
 *
 * # Safety
 * `app` is NULL or live; `log` may be called on several threads at once.
 */
hasty_status hasty_app_on_log(struct hasty_app *app, hasty_log_fn log, void *user_data, hasty_drop drop);

/**
 * Passes `access` the record of each answered request, including those that could not be parsed.
 *
 * It is called when the answer is complete, before it is sent; for one written piece by piece, at its end. The record is
 * valid until it returns; `hasty_access_to_text()` formats it as a line. An exchange whose client left has status 499. A
 * second call replaces the first.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * Threads: `access` runs on several at a time.
 *
 * # Safety
 * `app` is NULL or live; `access` may be called on several threads at once.
 */
hasty_status hasty_app_on_access(struct hasty_app *app,
                                 hasty_access_fn access,
                                 void *user_data,
                                 hasty_drop drop);

/**
 * Calls `start` on each thread of the app's pool before it serves, and `stop` before it ends.
 *
 * Either may be NULL. A second call replaces the first. Use it for what a thread must do before it may run handlers, such
 * as attaching to another language's runtime. It is not called for your own threads in `hasty_app_run()`.
 *
 * Ownership: takes `user_data`, also on failure; `drop` (may be NULL) runs on it exactly once.
 *
 * Errors: `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `start` and `stop` may be called on several threads at once.
 */
hasty_status hasty_app_on_thread(struct hasty_app *app,
                                 hasty_notify_fn start,
                                 hasty_notify_fn stop,
                                 void *user_data,
                                 hasty_drop drop);

/**
 * Answers GET at `pattern` with a health report in JSON: status 200, or 503 while the app drains.
 *
 * The members are `status` ("ok" or "draining"), `uptime_ms`, `requests` (received so far), `connections` (open now), `queued`
 * (requests waiting for a thread), and `caller_idle_ms`: how long ago, in milliseconds, a thread of yours last asked for requests
 * with `hasty_app_poll()`, `hasty_app_next()` or a slot; 0 while one waits for them, null if none ever did. The app's own threads
 * answer it, also while yours is busy. Its 503 is a report, not an error: `hasty_app_on_error()` is not asked.
 *
 * Errors: as `hasty_app_route()`.
 *
 * # Safety
 * `app` is NULL or live; `pattern` is NULL or NUL-terminated.
 */
hasty_status hasty_app_health(struct hasty_app *app,
                              const char *pattern);

/**
 * Listens on a TCP port, at once; connections are accepted after start. May be repeated, up to 1024 listeners of all kinds.
 *
 * `host` is an address or a name; NULL means "127.0.0.1", "0.0.0.0" every IPv4 address, "::" every IPv4 and IPv6
 * address. Port 0 picks a free one; `hasty_app_port()` returns it.
 *
 * Errors: `HASTY_ERR_IO` if the system refuses (the message has its reason); `HASTY_ERR_INVALID` for a port outside
 * 0 to 65535; `HASTY_ERR_LIMIT` for too many listeners; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `host` is NULL or NUL-terminated.
 */
hasty_status hasty_app_listen(struct hasty_app *app,
                              const char *host,
                              int32_t port);

/**
 * Listens on a Unix socket, at once. A stale socket is replaced; the file is removed when the app stops.
 *
 * `mode` is the file's mode, such as 0660; 0 leaves it to the umask.
 *
 * Errors: `HASTY_ERR_IO` if the system refuses, another program listens there, or the file is not a socket;
 * `HASTY_ERR_INVALID` for an empty path or a mode above 0777; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `path` is NULL or NUL-terminated.
 */
hasty_status hasty_app_listen_unix(struct hasty_app *app,
                                   const char *path,
                                   uint32_t mode);

/**
 * Listens on a socket that is listening already, such as one passed by a service manager.
 *
 * Ownership: takes `fd` on success; on failure it stays yours.
 *
 * Errors: `HASTY_ERR_INVALID` if it is not a listening socket; `HASTY_ERR_STATE` after start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live; `fd` belongs to nobody else.
 */
hasty_status hasty_app_listen_fd(struct hasty_app *app,
                                 int32_t fd);

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
 * Errors: `HASTY_ERR_STATE` if it was started or stopped before, or has no listener; `HASTY_ERR_IO` if descriptors
 * or threads cannot be created; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live.
 */
hasty_status hasty_app_start(struct hasty_app *app);

/**
 * Starts the app unless it has started, and serves on this thread too until the app is stopped.
 *
 * Errors: as `hasty_app_start()`, except that the app may have started before; `HASTY_ERR_STATE` inside a callback of the
 * app. After a stop it returns `HASTY_OK` at once.
 *
 * Threads: any number at a time.
 *
 * # Safety
 * `app` is NULL or live.
 */
hasty_status hasty_app_run(struct hasty_app *app);

/**
 * Refuses new connections, lets requests in progress finish with `Connection: close`, and stops, at the latest after `timeout_ms`. Blocks.
 *
 * Idle connections are closed at once. It also waits for requests that wait for your own thread: a program whose thread polls calls
 * `hasty_app_begin_drain()` instead, as does a signal handler.
 *
 * Errors: `HASTY_ERR_TIMEOUT` if requests had to be cut off; `HASTY_ERR_STATE` inside a callback of the app, and
 * before start; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `app` is NULL or live.
 */
hasty_status hasty_app_drain(struct hasty_app *app,
                             int32_t timeout_ms);

/**
 * Asks the app to drain, and returns at once: `hasty_app_drain()` for programs whose threads have other things to do.
 *
 * The threads that serve, in `hasty_app_poll()` or its like too, refuse new connections, close idle ones, and let requests in progress
 * finish with `Connection: close`, also those that wait for your own thread. When no connection is left, or after `timeout_ms`, the app
 * stops as by `hasty_app_stop()`: `hasty_app_run()` returns, `hasty_app_poll()` and its like return `HASTY_ERR_CLOSED`,
 * `hasty_app_fd()` is readable, and `hasty_app_wait()` reports completion. So go on polling until then.
 *
 * A later call sets a new time; its end is noticed up to half a second late, and with `threads` none only while a thread is in
 * `hasty_app_poll()` or its like. A call before start is remembered: the app stops when it has started. Nothing happens for NULL.
 *
 * Threads: any, any number of times, inside handlers and other callbacks, and inside signal handlers (it preserves errno).
 *
 * # Safety
 * `app` is NULL or live.
 */
void hasty_app_begin_drain(struct hasty_app *app,
                           int32_t timeout_ms);

/**
 * Asks the app to stop, and returns at once.
 *
 * New connections are refused. Running handlers finish and their answers are sent, but `hasty_response_write()` returns
 * `HASTY_ERR_CLOSED`, since an endless stream would never let the app stop. Open exchanges and waiting requests get a 503.
 * `hasty_app_wait()` reports completion. A stop before start is remembered.
 *
 * Threads: any, any number of times, inside handlers, and inside signal handlers (it preserves errno).
 *
 * # Safety
 * `app` is NULL or live.
 */
void hasty_app_stop(struct hasty_app *app);

/**
 * Waits until the app has stopped and its last callback has returned.
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
 * With `threads` none it is also readable while the app has other work to do, unless a thread in `hasty_app_run()` does it. After
 * a stop it stays readable. It is level-triggered, for `poll`, `select`, `epoll` and the loops built on them. It is the same in every
 * call, also before start. Neither read from it nor close it: it belongs to the app, until free.
 *
 * Errors: -1; `hasty_last_error()` says why.
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
 * It serves the waiting requests, at most `max_requests` of them, and returns; if none waits, it waits for one. With
 * `threads` none it does the app's other work as well: accepting, receiving, all other routes, time-outs.
 *
 * `timeout_ms` limits only that wait: a running handler is let finish, and one whose `hasty_response_write()` waits for a slow client
 * delays this call as long, up to `write_timeout_ms` without progress. Defer such an answer, and go on writing when
 * `hasty_exchange_on_ready()` says so.
 *
 * `*served` is how many handlers ran, those of other routes not counted.
 *
 * Errors: `HASTY_ERR_TIMEOUT` if no such request came within `timeout_ms`, or `hasty_app_wake()` was called; `HASTY_ERR_CLOSED`
 * once the app has stopped; `HASTY_ERR_INVALID` if `max_requests` is 0; `HASTY_ERR_STATE` before start, inside a callback of the
 * app, and for an app whose requests are taken by `hasty_app_next()` or slots; `HASTY_ERR_NULL`.
 *
 * Threads: any, several at a time.
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
 * Threads: any, several at a time.
 *
 * # Safety
 * `app` is NULL or live; `out` is NULL or writable.
 */
hasty_status hasty_app_next(struct hasty_app *app,
                            int32_t timeout_ms,
                            struct hasty_exchange **out);

/**
 * Ends a waiting call of `hasty_app_poll()`, `hasty_app_next()` or `hasty_slot_wait()`, or else the next one that would wait.
 *
 * That call returns `HASTY_ERR_TIMEOUT`. `hasty_app_fd()` does not become readable: a loop that waits for it needs another way
 * to be woken, such as a pipe. Nothing happens for NULL.
 *
 * Threads: any, also in signal handlers.
 *
 * # Safety
 * `app` is NULL or live.
 */
void hasty_app_wake(struct hasty_app *app);

/**
 * Writes a record as one line of an access log, without line end.
 *
 * `format` is "common" or "combined", as Apache writes them, or "json": an object with the fields of the record. Client
 * input is escaped, so that nobody can forge a line. At most `cap` bytes are written to `buf`, including a final NUL;
 * `needed` may be NULL, else `*needed` is the size required, including the NUL.
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
 * Absent if no route does, as in an `hasty_app_on_error()` callback for 404. It is known in middleware already.
 *
 * Valid as long as the app; in an exchange that outlives the app, until the exchange ends.
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
 * Returns the request's id: its X-Request-ID if that is printable and at most 128 bytes long, else 32 hexadecimal digits generated on first use.
 *
 * It is meant for logs. It is not secret, so never use it as a session key: a client may choose it, and generated ids are merely distinct.
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
 * Empty if there is none. Chunks are joined. Absent (`data` NULL) in middleware, which runs before the body is received (except for
 * routes with `dispatch = caller`), on routes with `body = stream`, and if a large form was parsed while it arrived.
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
 * Absent if there is none; an empty header has `len` 0. Bytes are as received, without the spaces around them.
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
 * Returns the segment that matched `:name` of the route's pattern, or the rest that matched `*name`, percent-decoded once.
 *
 * "*" names an unnamed rest. Absent if the pattern has no such name. It is known in middleware already.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated.
 */
struct hasty_str hasty_request_param(const struct hasty_request *req,
                                     const char *name);

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
 * Absent if there is none; `?name` and `?name=` are empty.
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
 * Absent if there is none.
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
 * Returns the first value of `name` among the fields of a form, urlencoded (decoded) or multipart; files are not fields.
 *
 * Absent if there is none, and for bodies of other types.
 *
 * Valid until the handler returns.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `name` is NULL or NUL-terminated.
 */
struct hasty_str hasty_request_form(const struct hasty_request *req,
                                    const char *name);

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
 * Returns how many parameters the query has, counting repeated names each time.
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
 * Returns how many fields a form has, urlencoded or multipart, counting repeated names each time; 0 for other bodies.
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
 * Tells whether the body is a form that could be read: `HASTY_ERR_INVALID` if a multipart form is malformed.
 *
 * `HASTY_OK`, with no fields, if the body is of another type. An urlencoded form is never malformed: invalid escapes are kept
 * as they are. If a handler reads fields or files of a form that could not be read, and has not called this function, the
 * client gets a 400 or 413 instead of its answer.
 *
 * Errors: `HASTY_ERR_INVALID`; `HASTY_ERR_LIMIT` for more than `max_parts`, or fields of more than `spool_bytes`;
 * `HASTY_ERR_IO` if files could not be written to disk; `HASTY_ERR_STATE` for a form that has not arrived yet, as in middleware;
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
 * Set `out->size = sizeof *out` first. The files of a form of at most `spool_bytes` are in memory (`data`); others may be in a
 * temporary file (`path`) that is removed when the request ends. `filename` is client input: never use it as a path.
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
 * `*got` is how many were read, at most `len`; 0 is the end. The client is slowed down to the speed of the reader. The
 * first call sends 100 Continue to a client that expects it.
 *
 * Errors: `HASTY_ERR_CLOSED` if the client has left before the end; `HASTY_ERR_TIMEOUT` if nothing came for
 * `body_timeout_ms`; `HASTY_ERR_LIMIT` beyond `max_body_bytes`; `HASTY_ERR_INVALID` if the body is malformed;
 * `HASTY_ERR_STATE` on other routes and after `hasty_response_defer()`; `HASTY_ERR_NULL`. If the handler then fails, the client
 * gets a 400, 408 or 413 accordingly.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `buf` has room for `len` bytes; `got` is NULL or writable.
 */
hasty_status hasty_request_read(const struct hasty_request *req,
                                void *buf,
                                size_t len,
                                size_t *got);

/**
 * Parses the body as JSON, whatever its Content-Type. Later calls return the same value.
 *
 * Arrays and objects may be nested at most 128 deep. An empty body is malformed.
 *
 * The values take up to 50 times the memory of the text, in the worst case, which is one of many small arrays; `max_buffered_bytes`
 * does not count them. What bounds them is the route's `max_body_bytes`.
 *
 * Ownership: `*out` is borrowed, until the handler returns.
 *
 * Errors: `HASTY_ERR_INVALID` if the body is malformed; the message has line and column. `HASTY_ERR_STATE` if it has not been
 * received: in middleware (except for routes with `dispatch = caller`), and with `body = stream`. `HASTY_ERR_NULL`.
 *
 * # Safety
 * `req` is NULL or the request of the current call; `out` is NULL or writable.
 */
hasty_status hasty_request_json(const struct hasty_request *req,
                                const struct hasty_json **out);

/**
 * Returns the `user_data` that the route was registered with; NULL if no route answers. It is known in middleware already.
 *
 * # Safety
 * `req` is NULL or the request of the current call.
 */
void *hasty_request_user_data(const struct hasty_request *req);

/**
 * Keeps `value` under `key` until the request ends, in place of an earlier one.
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
 * Returns the value set by `hasty_request_set_local()` under `key`; NULL if there is none.
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
 * Content-Length must match the body; `Connection: close` ends the connection after this answer.
 * The server itself adds the `Connection: upgrade` that an `Upgrade` needs.
 *
 * Errors: `HASTY_ERR_INVALID` if the name is not a token, if the value holds CR, LF, NUL or another control character,
 * or if the server itself sets that header (Date, Transfer-Encoding); `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `name` and `value` are NULL or NUL-terminated.
 */
hasty_status hasty_response_set_header(struct hasty_response *res,
                                       const char *name,
                                       const char *value);

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
 * Removes all headers called `name`, compared without case; there need not be any.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `name` is NULL or NUL-terminated.
 */
hasty_status hasty_response_remove_header(struct hasty_response *res, const char *name);

/**
 * Returns the first header called `name` that was set so far, compared without case. Absent if there is none.
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
 * Returns the body set so far. Absent if there is none, and for files and streams.
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
 * A cookie that is set twice is sent twice, and browsers keep the last. `hasty_response_remove_header(res, "Set-Cookie")` removes
 * all cookies set so far.
 *
 * Errors: `HASTY_ERR_INVALID` if the name is not a token, if the value or an attribute holds bytes that a cookie cannot (encode
 * them then), or if browsers would reject or ignore the cookie: a path that does not begin with "/", a domain that is not a host
 * name, SameSite=None without `secure`, a name with the prefix `__Secure-` or `__Host-` that breaks its rules. `HASTY_ERR_NULL`.
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
 * This adds a Set-Cookie header, too. For names that begin with `__Secure-` or `__Host-` it has the Secure attribute, which browsers require.
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
 * Like all `send*` functions it replaces an earlier body. Nothing is sent until the handler returns.
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
 * Bytes that a URL cannot hold, such as spaces and non-ASCII, are percent-encoded. Never redirect to a location
 * that a client chose without checking it against those you know.
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
 * Sends a file; its type follows from its name unless one was set.
 *
 * With status 200 it has an ETag and Last-Modified, and conditional requests and ranges are honoured: the client
 * may get a 304, 206, 412 or 416 instead. The file is opened now and sent when the handler has returned; large ones
 * never pass through the program's memory.
 *
 * Never build `path` from client input: `hasty_app_static()` is for that.
 *
 * Errors: `HASTY_ERR_NOT_FOUND` if there is no such file; `HASTY_ERR_IO` if it cannot be opened;
 * `HASTY_ERR_INVALID` if it is not a regular file; `HASTY_ERR_NULL`. To answer something else then, call
 * `hasty_response_reset()` first.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `path` is NULL or NUL-terminated.
 */
hasty_status hasty_response_send_file(struct hasty_response *res,
                                      const char *path);

/**
 * Sends a file for the client to save as `filename`; NULL means the file's own name.
 *
 * `filename` is UTF-8; slashes and control characters in it become "_". Its extension gives the type, unless one was set.
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
 * the first call on setters return `HASTY_ERR_STATE`, and if the handler fails the connection is cut, so that the client
 * notices that the end is missing. If fewer bytes than the Content-Length are written it is cut too, and this is logged.
 *
 * In a handler it blocks while the client takes nothing, at most `write_timeout_ms`; other threads serve other requests meanwhile.
 * If no thread is left for them, it buffers what the client has not taken, up to `stream_buffer_bytes`, and then returns
 * `HASTY_ERR_LIMIT`. Handlers of a route with `blocking` = "yes" start only when they may wait (which is learned, too), except in
 * apps with one thread or none. With `dispatch` = "caller" it blocks as well, and so does `hasty_app_poll()`, whatever its time-out:
 * defer there.
 *
 * On a deferred response it does not block: what the client has not taken is buffered, up to `stream_buffer_bytes`, and
 * `hasty_exchange_on_ready()` reports when there is room. Nothing is sent before the handler that deferred has returned.
 *
 * Errors: `HASTY_ERR_CLOSED` once the client has left or the app has stopped, and after the head if there is no body (HEAD, 204, 304);
 * `HASTY_ERR_TIMEOUT` if the client took nothing for too long; `HASTY_ERR_LIMIT` if the buffer is full (nothing was taken; the piece
 * may be written again later); `HASTY_ERR_INVALID` for more than the Content-Length that was set, or if a setter failed before;
 * `HASTY_ERR_STATE` outside of handlers, middleware and exchanges, and if a body was set already by one of `send*`;
 * `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call; `data` has `len` bytes.
 */
hasty_status hasty_response_write(struct hasty_response *res,
                                  const void *data,
                                  size_t len);

/**
 * Writes a server-sent event as a piece of the body: `text/event-stream`, with headers that keep caches from storing and proxies from buffering it.
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
 * Resets the response to an empty 200, and forgets the failure of a setter.
 *
 * Errors: `HASTY_ERR_NULL`.
 *
 * # Safety
 * `res` is NULL or the response of the current call.
 */
hasty_status hasty_response_reset(struct hasty_response *res);

/**
 * Defers the answer: it may be given later, by any thread.
 *
 * The handler must then return `HASTY_OK` without touching `req` and `res` again: the exchange has its own. Views of `req`
 * expire when the handler returns; take them again from `hasty_exchange_request()`. In middleware it ends the chain. An open
 * exchange holds no thread. If nothing is sent within `exchange_timeout_ms`, the client gets a 504.
 *
 * Until the handler has returned, nothing of the answer is sent, no time-out runs and no callback of the exchange is called:
 * never wait for the exchange there. With `dispatch = caller` bytes are sent at once, and the time-out counts from the arrival
 * of the request.
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
 * Returns the response, to be filled in or written. Borrowed: valid until finish or free.
 *
 * # Safety
 * `exchange` is NULL or live.
 */
struct hasty_response *hasty_exchange_response(struct hasty_exchange *exchange);

/**
 * Sends the answer, or the end of what was written, and ends the exchange.
 *
 * It sends on this thread what the client takes at once, and leaves the rest to the app's threads. It runs no handler.
 * If the handler that deferred has not returned yet, the answer is sent when it has.
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
 * Tells whether the client still waits: 0 once it has closed its side, was answered by a time-out, or the app has stopped.
 *
 * # Safety
 * `exchange` is NULL or live.
 */
int32_t hasty_exchange_alive(const struct hasty_exchange *exchange);

/**
 * Calls `gone` once when nobody waits for the answer any more: on one of the app's threads, or within this call if that is so already.
 *
 * That is when the client has closed its side or the connection; and, with the client still there, when `exchange_timeout_ms` has
 * passed (it gets a 504), when it takes a stream more slowly than `write_timeout_ms` or `min_rate_bytes` allow (it is cut off), and
 * when the app stops, is drained or freed (it gets a 503, or the stream is cut). None of this is noticed before the handler that
 * deferred has returned.
 *
 * `gone` never runs after `hasty_exchange_finish()` or `hasty_exchange_free()` has returned: those wait for a call in progress on
 * another thread, so do not hold a lock that `gone` takes. It may itself finish or free the exchange. A second registration
 * replaces the first. If the client has only closed its side, `hasty_exchange_finish()` still tries to send the answer.
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
 * Calls `ready` once when there is room to write more: on one of the app's threads, or within this call if there is room already.
 *
 * Use it after `hasty_response_write()` has returned `HASTY_ERR_LIMIT`. `ready` is also called when nobody waits for the answer
 * any more. It never runs after finish or free has returned. A second registration replaces the first. No room is made before
 * the handler that deferred has returned.
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
 * Ends an exchange without an answer: the client gets a 503, or in the middle of a stream the connection is cut.
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
 * Submits the answer in the slot, if one is owed, and takes the next request. It never waits.
 *
 * Set `slot->size` and `slot->app`, initialise all other fields to 0, and do not move the slot. On `HASTY_OK` it holds a
 * request: `ticket` is not 0, `route` is the number of the successful call that registered the route, from 0 (folders and health
 * reports count), the texts end with NUL and are valid until the next take, and the answer's fields are preset to 200, UTF-8 text,
 * empty. Fill those in and call again.
 *
 * `kind` says what `reply` is; with `HASTY_KIND_FILE` it is a path, with `HASTY_KIND_NONE` there is no body. `content_type`
 * overrides the type, `extra_headers` is lines of "Name: value". All three are borrowed until the next take. An answer that
 * cannot be sent becomes a 500 and a log message. Answers are held back only while the next request is known to be answered
 * quickly, and never before one whose route has the option `blocking` "yes".
 *
 * A `hasty_slot_more`, recognised by its `size`, also has the client's address and the version of HTTP.
 *
 * Errors: `HASTY_ERR_TIMEOUT` if no request waits, `HASTY_ERR_CLOSED` once the app has stopped: in both cases the answer was
 * submitted, and `ticket` is 0. `HASTY_ERR_INVALID` for a wrong size or ticket; `HASTY_ERR_STATE` before start, inside a callback of
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
 * The same as `hasty_slot_take()`, called with an object that refers to the slot.
 *
 * It is for hosts whose runtime can call a C function with one of its own objects at much lower cost than with an address. In CPython
 * it can serve as a type's truth-value slot (`nb_bool`), whose call takes a twentieth of one through libffi.
 *
 * If the slot has no `reply` and `object->reply` is not NULL, the latter gives the reply. The returned status is also stored in
 * `object->status`.
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
 * Turns the request in the slot into an exchange, to be answered later; `ticket` becomes 0.
 *
 * The slot's `request`, `method_text`, `path`, `query` and `body` now refer to the exchange. Other views of the request expire:
 * take them again.
 *
 * Ownership: `*out` is yours; end it with `hasty_exchange_finish()` or `hasty_exchange_free()`.
 *
 * Errors: `HASTY_ERR_STATE` if there is no request in the slot, and inside a callback of the app; `HASTY_ERR_INVALID` for a wrong
 * size or ticket; `HASTY_ERR_NULL`.
 *
 * # Safety
 * `slot` is NULL or a struct of `slot->size` bytes, and nobody else uses it; `out` is NULL or writable.
 */
hasty_status hasty_slot_exchange(struct hasty_slot *slot,
                                 struct hasty_exchange **out);

/**
 * Parses `len` bytes of JSON: one value, followed by nothing but white space.
 *
 * Members keep their order; of several with the same key the last value wins, at the first one's position. Arrays
 * and objects may be nested at most 128 deep. Whole numbers from -2^63 to 2^64-1 are exact, others become the
 * nearest double. An empty text is an error.
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
hasty_status hasty_json_parse(const void *text,
                              size_t len,
                              struct hasty_json **out);

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
 * Borrowed: valid until that member is replaced or `json` is freed. Other members may be added meanwhile.
 *
 * # Safety
 * `json` is NULL or live; `key` is NULL or NUL-terminated.
 */
const struct hasty_json *hasty_json_get(const struct hasty_json *json, const char *key);

/**
 * Returns the item of an array, or the value of a member of an object, at `index`; NULL beyond the last.
 *
 * Borrowed: valid until it is replaced or `json` is freed. Others may be added meanwhile.
 *
 * # Safety
 * `json` is NULL or live.
 */
const struct hasty_json *hasty_json_at(const struct hasty_json *json, size_t index);

/**
 * Returns the value that a JSON Pointer (RFC 6901) leads to, or NULL: it leads nowhere, or is malformed.
 *
 * "" is `json` itself; "/items/0/price" goes by keys and by positions from 0. In a key, "~1" stands for
 * "/" and "~0" for "~". Borrowed: valid until it is replaced or `json` is freed.
 *
 * # Safety
 * `json` is NULL or live; `pointer` is NULL or NUL-terminated.
 */
const struct hasty_json *hasty_json_find(const struct hasty_json *json, const char *pointer);

/**
 * Returns the key of the member at `index`; `hasty_json_at()` has its value.
 *
 * Absent (`data` NULL) beyond the last member, and if `json` is no object. Keys may hold NUL: rely on
 * `len`. Valid until `json` is freed.
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
 * Returns the text of a string, as UTF-8; absent (`data` NULL) if the value is not a string.
 *
 * It may hold NUL ("\u0000"): rely on `len`. Valid until the value is freed, or replaced in its parent.
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
 * Reads a number as a signed 64-bit integer; 3.0 and 3e0 are whole too.
 *
 * Errors: `HASTY_ERR_INVALID` if it has a fraction or is too large (the message names it), and if the value
 * is not a number; `HASTY_ERR_NULL`. Numbers written with a point or an exponent are too large from 2^53 on, since
 * they may have been rounded.
 *
 * # Safety
 * `json` is NULL or live; `out` is NULL or writable.
 */
hasty_status hasty_json_as_int(const struct hasty_json *json,
                               int64_t *out);

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
 * Makes a string of `len` bytes of UTF-8; invalid UTF-8 becomes U+FFFD.
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
 * Makes `value` the member `key` of an object: it replaces an earlier one, which is freed, or is added last.
 *
 * Ownership: takes `value`, also on failure, unless it has an owner: if it is part of something already, or
 * `object` is part of it, nothing is freed. The key is copied; invalid UTF-8 in it becomes U+FFFD.
 *
 * Errors: `HASTY_ERR_INVALID` if `object` is not an object, if `value` is already part of another value or of
 * a request, or would become part of itself; `HASTY_ERR_NULL`.
 *
 * Threads: one at a time per tree.
 *
 * Example: `hasty_json_set(user, "age", hasty_json_new_int(41));`
 *
 * # Safety
 * `object` and `value` are NULL or live; `key` is NULL or NUL-terminated.
 */
hasty_status hasty_json_set(struct hasty_json *object, const char *key, struct hasty_json *value);

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
 * Ownership: takes `value`, also on failure, unless it has an owner: if it is part of something already, or
 * `array` is part of it, nothing is freed.
 *
 * Errors: `HASTY_ERR_INVALID` if `array` is not an array, if `value` is already part of another value or of a
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
 * `*needed` becomes the size that the text takes, with its NUL, so that `(NULL, 0)` asks how much to
 * allocate; it is written also if `cap` is too small, but then `buf` is left as it was.
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
