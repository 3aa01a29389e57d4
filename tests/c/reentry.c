/* Callbacks that call the app they belong to: what waits for its end is refused there, registration too, and it may be freed. */
#include "host.h"
#include "slot.h"

enum { A_HANDLER, MIDDLEWARE, AFTER, AN_ERROR, ACCESS, ALLOW, A_LOG, THREAD_STARTS, THREAD_STOPS, BODY_DROP, LOCAL_DROP, GONE, CALLBACKS };

static hasty_app *app;
static void (*inside)(void); /* what the callback of this turn calls */
static _Atomic int entered;

static void call_inside(void)
{
    if (entered++ == 0)
        inside();
}

HANDLER(answers_inside)
{
    call_inside();
    return hasty_response_send_text(res, "fine");
}

HANDLER(passes_inside)
{
    call_inside();
    return HASTY_NEXT;
}

HANDLER(does_inside)
{
    call_inside();
    return HASTY_OK;
}

static void access_inside(CHECK_UNUSED const hasty_access *record, CHECK_UNUSED void *user_data)
{
    call_inside();
}

static int32_t allow_inside(CHECK_UNUSED const hasty_str *key, CHECK_UNUSED void *user_data)
{
    call_inside();
    return 1;
}

static void log_inside(CHECK_UNUSED int32_t level, CHECK_UNUSED const hasty_str *message, CHECK_UNUSED void *user_data)
{
    call_inside();
}

static void notify_inside(CHECK_UNUSED void *user_data)
{
    call_inside();
}

HANDLER(fails)
{
    return HASTY_ERR_IO;
}

HANDLER(owns)
{
    static const char bytes[100000];
    return hasty_response_send_owned(res, bytes, sizeof bytes, NULL, notify_inside);
}

HANDLER(has_a_local)
{
    CHECK_OK(hasty_request_set_local(req, "key", NULL, notify_inside));
    return hasty_response_send_text(res, "fine");
}

static hasty_exchange *_Atomic held;

HANDLER(defers)
{
    hasty_exchange *exchange = NULL;
    CHECK_OK(hasty_response_defer(res, &exchange));
    CHECK_OK(hasty_exchange_on_close(exchange, notify_inside, NULL, NULL));
    held = exchange;
    return HASTY_OK;
}

static hasty_handler handler_for(int callback)
{
    switch (callback) {
    case A_HANDLER: return answers_inside;
    case A_LOG: return fails;
    case BODY_DROP: return owns;
    case LOCAL_DROP: return has_a_local;
    case GONE: return defers;
    default: return fine;
    }
}

/* An app with a route that this handler answers, and with this callback. */
static void set_up(int callback, uint32_t threads, hasty_handler handler, thing *dropped)
{
    hasty_options options = {.size = sizeof options, .threads = threads};
    app = check_app(&options);
    entered = 0;
    held = NULL;
    CHECK_OK(hasty_app_route(app, "GET", "/", handler, dropped, drop_thing));
    switch (callback) {
    case MIDDLEWARE: CHECK_OK(hasty_app_use(app, "/", passes_inside, NULL, NULL)); break;
    case AFTER: CHECK_OK(hasty_app_after(app, "/", does_inside, NULL, NULL)); break;
    case AN_ERROR: CHECK_OK(hasty_app_on_error(app, does_inside, NULL, NULL)); break;
    case ACCESS: CHECK_OK(hasty_app_on_access(app, access_inside, NULL, NULL)); break;
    case ALLOW: CHECK_OK(hasty_app_rate_limit(app, "/", 1, 1, allow_inside, NULL, NULL)); break;
    case A_LOG: CHECK_OK(hasty_app_on_log(app, log_inside, NULL, NULL)); break;
    case THREAD_STARTS: CHECK_OK(hasty_app_on_thread(app, notify_inside, NULL, NULL, NULL)); break;
    case THREAD_STOPS: CHECK_OK(hasty_app_on_thread(app, NULL, notify_inside, NULL, NULL)); break;
    }
}

/* Starts it, without library threads on a thread of the host's. */
static int serve(int callback, uint32_t threads, runner *r, thing *dropped)
{
    set_up(callback, threads, handler_for(callback), dropped);
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    int port = hasty_app_port(app);
    if (threads == HASTY_NONE)
        start_runner(r, app);
    else
        CHECK_OK(hasty_app_start(app));
    return port;
}

/* A client whose connection ends in any case. */
static client ask_once(int port, const char *path)
{
    client c = client_open(port);
    client_send(&c, request_text("GET", path, "Connection: close\r\n", NULL));
    return c;
}

/* A request, or the end of one, or of the app, that leads to the callback. */
static void provoke(int callback, int port)
{
    client c = ask_once(port, callback == AN_ERROR ? "/nowhere" : "/");
    if (callback == GONE) {
        CHECK(AWAIT(held != NULL));
        client_half_close(&c);
    } else if (callback == THREAD_STOPS) {
        CHECK_REPLY(client_read(&c), 200, "fine");
        hasty_app_stop(app);
    } else {
        client_read_all(&c); /* an answer or, where the app ends first, none */
    }
    CHECK(AWAIT(entered > 0));
    client_close(&c);
}

static int is_possible(int callback, uint32_t threads)
{
    return threads != HASTY_NONE || (callback != THREAD_STARTS && callback != THREAD_STOPS);
}

#define FOR_EACH_KIND(threads_) for (uint32_t threads_ = 2, kind = 0; kind < 2; kind++, threads_ = HASTY_NONE)

/* ---- refused ---- */

static void ask_what_is_refused(void)
{
    uint32_t served = 7;
    hasty_exchange *exchange = NULL;
    hasty_slot slot = slot_of(app);
    CHECK_STATUS(hasty_app_wait(app, 0), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("a callback of this app");
    CHECK_STATUS(hasty_app_drain(app, 0), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("a callback of this app");
    CHECK_STATUS(hasty_app_run(app), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("a callback of this app");
    CHECK_STATUS(hasty_app_poll(app, 1, 0, &served), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("a callback of this app");
    CHECK_STATUS(hasty_app_next(app, 0, &exchange), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_slot_wait(&slot, 0), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_slot_exchange(&slot, &exchange), HASTY_ERR_STATE);
    CHECK(served == 7 && exchange == NULL && slot.ticket == 0);

    CHECK_STATUS(hasty_app_start(app), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("started already");
    CHECK_STATUS(hasty_app_get(app, "/late", fine, NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_set_option(app, "threads", "1"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_set_route_option(app, "GET", "/", "blocking", "yes"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_use(app, "/", fine, NULL, NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_after(app, "/", fine, NULL, NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_cors(app, "/", NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_rate_limit(app, "/", 1, 1, NULL, NULL, NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_add_header(app, "X", "y"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_secure_headers(app), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_static(app, "/files", "include", NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_health(app, "/healthz"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_on_error(app, fine, NULL, NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_on_log(app, log_inside, NULL, NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_on_access(app, access_inside, NULL, NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_on_thread(app, NULL, NULL, NULL, NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_listen(app, NULL, 0), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_listen_unix(app, "/nowhere/at/all", 0), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_listen_fd(app, 0), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("started already");

    hasty_app_wake(app);
    CHECK(hasty_app_fd(app) >= 0 && hasty_app_port(app) > 0);
    CHECK(hasty_app_option(app, "threads").data != NULL);
}

TEST(what_waits_or_registers_is_refused_inside_every_callback)
{
    for (int callback = 0; callback < CALLBACKS; callback++) {
        FOR_EACH_KIND(threads)
        {
            thing dropped = {0};
            runner r;
            if (!is_possible(callback, threads))
                continue;
            inside = ask_what_is_refused;
            provoke(callback, serve(callback, threads, &r, &dropped));
            hasty_app_stop(app);
            if (threads == HASTY_NONE)
                join_runner(&r);
            hasty_exchange_free(held);
            hasty_app_free(app);
            CHECK_INT(dropped.dropped, 1);
        }
    }
}

/* ---- freed ---- */

static void free_the_app(void)
{
    hasty_app_free(app);
}

TEST(every_callback_may_free_the_app)
{
    int fds = fd_count(), tasks = thread_count();
    for (int callback = 0; callback < CALLBACKS; callback++) {
        FOR_EACH_KIND(threads)
        {
            thing dropped = {0};
            runner r;
            if (!is_possible(callback, threads))
                continue;
            inside = free_the_app;
            int port = serve(callback, threads, &r, &dropped);
            provoke(callback, port);
            if (threads == HASTY_NONE)
                join_runner(&r);
            DROPPED_ONCE(dropped);
            CHECK(AWAIT(client_refused(port)));
            hasty_exchange_free(held);
            CHECK(AWAIT(thread_count() == tasks));
            CHECK(AWAIT(fd_count() == fds));
        }
    }
}

/* ---- on the thread that finishes an exchange ---- */

HANDLER(only_defers)
{
    hasty_exchange *exchange = NULL;
    CHECK_OK(hasty_response_defer(res, &exchange));
    held = exchange;
    return HASTY_OK;
}

TEST(what_a_finish_calls_may_free_the_app_and_may_not_wait_for_it)
{
    static void (*const ways[])(void) = {ask_what_is_refused, free_the_app};
    for (int callback = AFTER; callback <= A_LOG; callback++) {
        for (int way = 0; way < 2; way++) {
            thing dropped = {0};
            if (callback == ALLOW)
                continue; /* it was asked long before */
            inside = ways[way];
            set_up(callback, 2, only_defers, &dropped);
            client c = ask_once(check_serve(app), "/");
            CHECK(AWAIT(held != NULL));
            hasty_response *res = hasty_exchange_response(held);
            if (callback == AN_ERROR || callback == A_LOG)
                CHECK_STATUS(hasty_response_set_status(res, 99), HASTY_ERR_INVALID);
            hasty_exchange_finish(held); /* OK, or CLOSED where the app has ended first */
            CHECK(entered > 0);
            client_read_all(&c);
            client_close(&c);
            if (way == 0)
                hasty_app_free(app);
            DROPPED_ONCE(dropped);
        }
    }
}

CHECK_MAIN
