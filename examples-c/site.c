/* The example site: one page to try everything on, and what is behind it. `make run` builds and starts it.
 *
 *     cc -I include examples-c/site.c -o site target/release/libhasty.a -lpthread -ldl -lm
 *     ./site 8080 examples-c
 *
 * The second argument is the folder that has site/ (the page) and public/ (some files). Open the address that
 * it prints in a browser, or:
 *
 *     curl http://127.0.0.1:8080/hello/Ada
 *     curl -N http://127.0.0.1:8080/events
 */
#include <hasty.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <time.h>

static hasty_app *app; /* global for the signal handler */

static hasty_json *json_of(hasty_str text)
{
    return text.data ? hasty_json_new_string(text.data, text.len) : hasty_json_new_null();
}

static hasty_json *json_text(const char *text)
{
    return hasty_json_new_string(text, strlen(text));
}

/* Sends `value` and frees it. */
static hasty_status send_value(hasty_response *res, hasty_json *value)
{
    hasty_status status = hasty_response_send_json_value(res, value);
    hasty_json_free(value);
    return status;
}

static hasty_status send_error(hasty_response *res, int32_t code, hasty_str reason)
{
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "error", json_of(reason));
    hasty_response_set_status(res, code);
    return send_value(res, answer);
}

static void pause_ms(int ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    thrd_sleep(&pause, NULL); /* a handler may block: it holds one thread and nobody's connection */
}

/* ---- routes ---- */

static hasty_status hello(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "hello", json_of(hasty_request_param(req, "name")));
    hasty_json_set(answer, "route", json_of(hasty_request_route(req)));
    return send_value(res, answer);
}

static hasty_status rest(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "rest", json_of(hasty_request_param(req, "rest")));
    hasty_json_set(answer, "raw_path", json_of(hasty_request_raw_path(req)));
    return send_value(res, answer);
}

/* Reads one of the lists of a request: its header fields, its query, its cookies or its form. */
typedef hasty_status (*read_at)(const hasty_request *req, size_t index, hasty_str *name, hasty_str *value);

static hasty_json *pairs_of(const hasty_request *req, read_at at)
{
    hasty_json *pairs = hasty_json_new_array();
    hasty_str name, value;
    for (size_t i = 0; at(req, i, &name, &value) == HASTY_OK; i++) {
        hasty_json *pair = hasty_json_new_array();
        hasty_json_push(pair, json_of(name));
        hasty_json_push(pair, json_of(value));
        hasty_json_push(pairs, pair);
    }
    return pairs;
}

static hasty_status search(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "q", json_of(hasty_request_query(req, "q")));
    hasty_json_set(answer, "all", pairs_of(req, hasty_request_query_at));
    return send_value(res, answer);
}

static hasty_status echo(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    const hasty_json *value; /* borrowed from the request */
    if (hasty_request_json(req, &value) == HASTY_OK)
        return hasty_response_send_json_value(res, value);
    return send_error(res, 400, hasty_last_error());
}

static hasty_status greet(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_str name = hasty_request_form(req, "name");
    if (name.len == 0) {
        hasty_response_set_status(res, 422);
        return hasty_response_send_json(res, "{\"error\":\"a name, please\"}");
    }
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "greeted", json_of(name));
    hasty_json_set(answer, "form", pairs_of(req, hasty_request_form_at));
    return send_value(res, answer);
}

static hasty_status visits(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_str before = hasty_request_cookie(req, "visits");
    int count = before.data ? atoi(before.data) : 0;
    if (count < 0 || count > 999999)
        count = 0; /* a cookie is client input: it may hold anything */
    count++;
    char text[16];
    snprintf(text, sizeof text, "%d", count);
    hasty_cookie for_a_day = {.size = sizeof for_a_day, .max_age_s = 24 * 60 * 60};
    hasty_response_set_cookie(res, "visits", text, &for_a_day);
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "visits", hasty_json_new_int(count));
    return send_value(res, answer);
}

static hasty_status forget(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    hasty_response_delete_cookie(res, "visits", NULL);
    return hasty_response_set_status(res, 204);
}

static hasty_status whoami(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "address", json_of(hasty_request_remote_address(req)));
    hasty_json_set(answer, "id", json_of(hasty_request_id(req)));
    hasty_json_set(answer, "headers", pairs_of(req, hasty_request_header_at));
    return send_value(res, answer);
}

static hasty_status old(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    return hasty_response_send_redirect(res, 302, "/whoami");
}

static hasty_status fail(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)res;
    (void)user_data;
    return HASTY_ERR_IO; /* anything but OK is logged and answered with 500 */
}

static hasty_status text(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    return hasty_response_send_json(res, user_data);
}

/* Long answers of compressible types are sent compressed to clients that accept it. */
static hasty_status words(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    static const char line[] = "The same words over and over again are what a compressor likes best.\n";
    const size_t line_length = sizeof line - 1;
    const size_t total = 1500 * line_length;
    char *all = malloc(total);
    if (all == NULL)
        return HASTY_ERR_LIMIT;
    for (size_t at = 0; at < total; at += line_length)
        memcpy(all + at, line, line_length);
    hasty_response_set_type(res, "text/plain; charset=utf-8");
    return hasty_response_send_owned(res, all, total, all, free); /* not copied; freed when it was sent */
}

/* ---- middleware ---- */

static hasty_status members_only(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_str given = hasty_request_header(req, "Authorization");
    if (given.data && strcmp(given.data, "Bearer open-sesame") == 0) {
        hasty_request_set_local(req, "member", "Ada", NULL);
        return HASTY_NEXT;
    }
    hasty_response_set_header(res, "WWW-Authenticate", "Bearer");
    hasty_response_set_status(res, 401);
    return hasty_response_send_json(res, "{\"error\":\"members only\"}");
}

static hasty_status member(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "welcome", json_text(hasty_request_local(req, "member")));
    return send_value(res, answer);
}

/* All error answers of the library itself, in the style of this site. */
static hasty_status error_as_json(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    return send_error(res, hasty_response_status(res), hasty_last_error());
}

/* ---- uploads ---- */

static hasty_status upload(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_json *answer = hasty_json_new_object();
    hasty_json *files = hasty_json_new_array();
    hasty_file file = {.size = sizeof file};
    for (size_t i = 0; hasty_request_file_at(req, i, &file) == HASTY_OK; i++) {
        hasty_json *one = hasty_json_new_object();
        hasty_json_set(one, "name", json_of(file.filename));
        hasty_json_set(one, "type", json_of(file.content_type));
        hasty_json_set(one, "bytes", hasty_json_new_int((int64_t)file.length));
        hasty_json_set(one, "kept", json_text(file.path ? "in a file" : "in memory")); /* until the request ends */
        hasty_json_push(files, one);
    }
    hasty_json_set(answer, "title", json_of(hasty_request_form(req, "title")));
    hasty_json_set(answer, "files", files);
    return send_value(res, answer);
}

/* Reads a body of any length in pieces: the client is slowed down to the pace of this loop. */
static hasty_status measure(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    char piece[16384];
    size_t got = 1;
    int64_t bytes = 0, pieces = 0;
    while (got != 0) {
        if (hasty_request_read(req, piece, sizeof piece, &got) != HASTY_OK)
            return HASTY_ERR_CLOSED; /* the client has gone, or was too slow */
        bytes += (int64_t)got;
        if (got != 0)
            pieces++;
    }
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "bytes", hasty_json_new_int(bytes));
    hasty_json_set(answer, "pieces", hasty_json_new_int(pieces));
    return send_value(res, answer);
}

/* ---- streams ---- */

static hasty_status slow(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    pause_ms(1000);
    return hasty_response_send_json(res, "{\"slept\":\"one second, and nobody else had to wait\"}");
}

static hasty_status countdown(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    static const char *const pieces[] = {"three\n", "two\n", "one\n", "almost\n", "now\n"};
    hasty_response_set_type(res, "text/plain; charset=utf-8");
    for (int i = 0; i < 5; i++) {
        if (i > 0)
            pause_ms(200);
        if (hasty_response_write(res, pieces[i], strlen(pieces[i])) != HASTY_OK)
            return HASTY_ERR_CLOSED; /* the client has gone */
    }
    return HASTY_OK;
}

static void let_go(void *exchange)
{
    hasty_exchange_free(exchange);
}

/* Defers an answer and never gives it. After the library's 504 the exchange only needs to be freed. */
static hasty_status forgotten(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    hasty_exchange *exchange;
    if (hasty_response_defer(res, &exchange) != HASTY_OK)
        return HASTY_ERR_STATE;
    hasty_exchange_on_close(exchange, let_go, exchange, NULL);
    return HASTY_OK;
}

/* ---- events: a clock and the access log, for any number of watchers on one thread ---- */

enum { MOST_WATCHERS = 1000, MOST_LINES = 64, REMEMBERED = 16 };

/* Log lines, passed from the threads that answer to the one that sends them to watchers. */
static struct {
    mtx_t lock;
    cnd_t more;
    char *lines[MOST_LINES];
    size_t count;
    uint64_t served;
    int done;
} news;

/* The watchers, and what each is sent first: the latest time, and the latest lines. */
static struct {
    mtx_t lock;
    hasty_exchange *all[MOST_WATCHERS];
    size_t count;
    char time[128];
    char *lines[REMEMBERED];
    size_t told;
} watchers;

/* Writing to an exchange never waits. It fails when the watcher has gone or reads too slowly: then it is removed. */
static hasty_status tell_one(hasty_exchange *watcher, const char *event, const char *data)
{
    return hasty_response_write_event(hasty_exchange_response(watcher), event, data, NULL);
}

/* Requires watchers.lock. */
static void tell(const char *event, const char *data)
{
    for (size_t i = watchers.count; i-- > 0;) { /* backwards, so that removing one does not skip another */
        if (tell_one(watchers.all[i], event, data) == HASTY_OK)
            continue;
        hasty_exchange_free(watchers.all[i]);
        watchers.count--;
        watchers.all[i] = watchers.all[watchers.count]; /* the last takes its place */
    }
}

/* The stream lasts until the watcher leaves, and holds no thread. */
static hasty_status watch(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    hasty_exchange *watcher;
    mtx_lock(&watchers.lock);
    if (watchers.count == MOST_WATCHERS) {
        mtx_unlock(&watchers.lock);
        return hasty_response_send_status(res, 503);
    }
    hasty_status status = hasty_response_defer(res, &watcher);
    if (status == HASTY_OK) {
        watchers.all[watchers.count++] = watcher;
        if (watchers.time[0] != 0)
            tell_one(watcher, "time", watchers.time);
        size_t oldest = watchers.told < REMEMBERED ? 0 : watchers.told - REMEMBERED;
        for (size_t i = oldest; i < watchers.told; i++)
            tell_one(watcher, "access", watchers.lines[i % REMEMBERED]);
    }
    mtx_unlock(&watchers.lock);
    return status;
}

/* Runs on whichever thread has answered, possibly one that holds watchers.lock; so it only queues a line. */
static void on_access(const hasty_access *record, void *user_data)
{
    (void)user_data;
    size_t needed = 0;
    hasty_access_to_text(record, "json", NULL, 0, &needed);
    char *line = malloc(needed);
    if (line == NULL || hasty_access_to_text(record, "json", line, needed, NULL) != HASTY_OK) {
        free(line);
        return;
    }
    mtx_lock(&news.lock);
    news.served++;
    if (news.count < MOST_LINES) {
        news.lines[news.count++] = line;
        line = NULL;
    }
    cnd_signal(&news.more);
    mtx_unlock(&news.lock);
    free(line); /* under load the log shows a part only */
}

/* Takes ownership of `line`. */
static void tell_line(char *line)
{
    mtx_lock(&watchers.lock);
    tell("access", line);
    size_t place = watchers.told % REMEMBERED; /* of the oldest, which it replaces */
    free(watchers.lines[place]);
    watchers.lines[place] = line;
    watchers.told++;
    mtx_unlock(&watchers.lock);
}

static void tell_time(time_t seconds, uint64_t served)
{
    int s = (int)(seconds % 86400);
    mtx_lock(&watchers.lock);
    snprintf(watchers.time, sizeof watchers.time, "{\"time\":\"%02d:%02d:%02d\",\"watching\":%zu,\"served\":%" PRIu64 "}",
             s / 3600, s / 60 % 60, s % 60, watchers.count, served);
    tell("time", watchers.time);
    mtx_unlock(&watchers.lock);
}

/* Sends log lines as they arrive, and the time every second. */
static int tell_all(void *unused)
{
    (void)unused;
    struct timespec next; /* the next full second */
    timespec_get(&next, TIME_UTC);
    next.tv_nsec = 0;
    for (;;) {
        char *lines[MOST_LINES];
        mtx_lock(&news.lock);
        while (news.count == 0 && !news.done) {
            if (cnd_timedwait(&news.more, &news.lock, &next) != thrd_success)
                break; /* time is up */
        }
        size_t count = news.count;
        memcpy(lines, news.lines, count * sizeof *lines);
        news.count = 0;
        uint64_t served = news.served;
        int done = news.done;
        mtx_unlock(&news.lock);

        for (size_t i = 0; i < count; i++)
            tell_line(lines[i]);
        if (done)
            return 0;
        struct timespec now;
        timespec_get(&now, TIME_UTC);
        if (now.tv_sec >= next.tv_sec) {
            tell_time(now.tv_sec, served);
            next.tv_sec = now.tv_sec + 1;
        }
    }
}

static void stop_telling(thrd_t teller)
{
    mtx_lock(&news.lock);
    news.done = 1;
    cnd_signal(&news.more);
    mtx_unlock(&news.lock);
    thrd_join(teller, NULL);
    for (size_t i = 0; i < watchers.count; i++)
        hasty_exchange_free(watchers.all[i]);
    watchers.count = 0;
    for (size_t i = 0; i < REMEMBERED; i++)
        free(watchers.lines[i]);
    for (size_t i = 0; i < news.count; i++)
        free(news.lines[i]); /* about the watchers just removed */
    news.count = 0;
}

/* ---- the program ---- */

static void on_signal(int number)
{
    (void)number;
    hasty_app_stop(app);
}

static void on_log(int32_t level, const hasty_str *message, void *user_data)
{
    (void)user_data;
    static const char *const names[] = {"", "error", "warning", "info", "debug"};
    if (level <= HASTY_LOG_WARN)
        fprintf(stderr, "%s: %s\n", names[level], message->data);
}

static hasty_status add_folders(const char *folder)
{
    char page[4096];
    char files[4096];
    snprintf(page, sizeof page, "%s/site", folder);
    snprintf(files, sizeof files, "%s/public", folder);
    hasty_static fresh = {.size = sizeof fresh, .cache_control = "no-cache"};
    hasty_static listed = {.size = sizeof listed, .cache_control = "max-age=60", .list = 1};
    hasty_status status = hasty_app_static(app, "/", page, &fresh);
    if (status != HASTY_OK)
        return status;
    return hasty_app_static(app, "/public", files, &listed);
}

static int add_routes(void)
{
    return hasty_app_get(app, "/hello/:name", hello, NULL)
        || hasty_app_get(app, "/rest/*rest", rest, NULL)
        || hasty_app_get(app, "/search", search, NULL)
        || hasty_app_post(app, "/echo", echo, NULL)
        || hasty_app_post(app, "/greet", greet, NULL)
        || hasty_app_get(app, "/visits", visits, NULL)
        || hasty_app_delete(app, "/visits", forget, NULL)
        || hasty_app_get(app, "/old", old, NULL)
        || hasty_app_get(app, "/whoami", whoami, NULL)
        || hasty_app_get(app, "/words", words, NULL)
        || hasty_app_get(app, "/fail", fail, NULL)
        || hasty_app_use(app, "/members", members_only, NULL, NULL)
        || hasty_app_get(app, "/members/me", member, NULL)
        || hasty_app_post(app, "/upload", upload, NULL)
        || hasty_app_set_route_option(app, "POST", "/upload", "max_body_bytes", "104857600") /* 100 MiB */
        || hasty_app_post(app, "/measure", measure, NULL)
        || hasty_app_set_route_option(app, "POST", "/measure", "body", "stream")
        || hasty_app_post(app, "/small", text, "{}")
        || hasty_app_set_route_option(app, "POST", "/small", "max_body_bytes", "65536")
        || hasty_app_get(app, "/slow", slow, NULL)
        || hasty_app_get(app, "/countdown", countdown, NULL)
        || hasty_app_get(app, "/forgotten", forgotten, NULL)
        || hasty_app_set_route_option(app, "GET", "/forgotten", "exchange_timeout_ms", "1000")
        || hasty_app_get(app, "/events", watch, NULL)
        || hasty_app_get(app, "/limited", text, "{\"knock\":\"come in\"}")
        || hasty_app_rate_limit(app, "/limited", 10, 5, NULL, NULL, NULL) /* a minute, at once */
        || hasty_app_any(app, "/open/greeting", text, "{\"hello\":\"whoever you are\"}")
        || hasty_app_any(app, "/trusting/greeting", text, "{\"hello\":\"somebody I trust\"}");
}

/* The page fetches from its own server under another name: localhost for 127.0.0.1 and the reverse. */
static int add_policies(void)
{
    char origins[128];
    int32_t port = hasty_app_port(app);
    snprintf(origins, sizeof origins, "http://127.0.0.1:%" PRId32 ", http://localhost:%" PRId32, port, port);
    hasty_cors open = {.size = sizeof open, .expose = "Server"};
    hasty_cors trusting = {.size = sizeof trusting, .origins = origins, .methods = "GET", .credentials = 1};
    return hasty_app_cors(app, "/open", &open) || hasty_app_cors(app, "/trusting", &trusting);
}

/* The requested port; by default 8080, or a free one if that is taken. */
static hasty_status listen_on(const char *wanted)
{
    if (wanted != NULL)
        return hasty_app_listen(app, "127.0.0.1", atoi(wanted));
    if (hasty_app_listen(app, "127.0.0.1", 8080) == HASTY_OK)
        return HASTY_OK;
    fprintf(stderr, "%s: taking a free port instead\n", hasty_last_error().data);
    return hasty_app_listen(app, "127.0.0.1", 0);
}

int main(int argc, char **argv)
{
    thrd_t teller;
    if (mtx_init(&news.lock, mtx_plain) != thrd_success
        || mtx_init(&watchers.lock, mtx_plain) != thrd_success
        || cnd_init(&news.more) != thrd_success
        || thrd_create(&teller, tell_all, NULL) != thrd_success) {
        fprintf(stderr, "site: the thread that tells the watchers does not start\n");
        return 1;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    int failed = hasty_app_new(NULL, &app)
              || hasty_app_on_log(app, on_log, NULL, NULL)
              || hasty_app_on_access(app, on_access, NULL, NULL)
              || hasty_app_on_error(app, error_as_json, NULL, NULL)
              || hasty_app_secure_headers(app)
              || add_folders(argc > 2 ? argv[2] : "examples-c")
              || add_routes()
              || listen_on(argc > 1 ? argv[1] : getenv("PORT"))
              || add_policies();
    if (!failed) {
        printf("http://127.0.0.1:%" PRId32 "/\n", hasty_app_port(app));
        fflush(stdout);
        failed = hasty_app_run(app) != HASTY_OK;
    }
    if (failed)
        fprintf(stderr, "site: %s\n", hasty_last_error().data);
    signal(SIGINT, SIG_DFL); /* the app is about to be freed */
    signal(SIGTERM, SIG_DFL);
    stop_telling(teller);
    hasty_app_free(app);
    return failed;
}
