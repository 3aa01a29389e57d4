/* hasty_app_begin_drain: an app that ends by itself when all is answered, in every kind of host, with and without library threads. */
#include "host.h"
#include "slot.h"

static hasty_exchange *_Atomic held;

HANDLER(defers)
{
    hasty_exchange *exchange = NULL;
    CHECK_OK(hasty_response_defer(res, &exchange));
    held = exchange;
    return HASTY_OK;
}

static void finish_held(const char *text)
{
    CHECK_OK(hasty_response_send_text(hasty_exchange_response(held), text));
    CHECK_OK(hasty_exchange_finish(held));
}

/* GET / is for whoever serves, GET /deferred is answered by the test, GET /taken waits for the host's own thread. */
static hasty_app *app_with(uint32_t threads)
{
    hasty_app *app = new_app(threads);
    held = NULL;
    CHECK_OK(hasty_app_get(app, "/deferred", defers, NULL));
    CHECK_OK(hasty_app_get(app, "/taken", NULL, NULL));
    CHECK_OK(hasty_app_health(app, "/healthz"));
    return app;
}

#define FOR_EACH_KIND(threads_) for (uint32_t threads_ = 0, kind = 0; kind < 2; kind++, threads_ = HASTY_NONE)

static client hold_one(int port)
{
    client c = ask_for(port, "/deferred");
    CHECK(AWAIT(held != NULL));
    return c;
}

/* The last answer of its connection, and the end of that. */
static void check_ended(client *c, int status, const char *body)
{
    reply r = client_read(c);
    CHECK_REPLY(r, status, body);
    CHECK(reply_lists(&r, "Connection", "close"));
    client_close(c);
}

/* ---- hosts whose threads run or wait ---- */

TEST(the_app_ends_when_the_last_request_is_answered)
{
    FOR_EACH_KIND(threads)
    {
        hasty_app *app = app_with(threads);
        CHECK_OK(hasty_app_listen(app, NULL, 0));
        int port = hasty_app_port(app);
        runner r;
        start_runner(&r, app);
        client c = hold_one(port), idle = client_open(port), begun = client_open(port);
        CHECK_REPLY(client_ask(&idle, QUICK), 200, "fine");
        client_send(&begun, check_format("%sGET /hea", QUICK)); /* a request that is on its way */
        CHECK_REPLY(client_read(&begun), 200, "fine");
        hasty_app_begin_drain(app, 60000);
        CHECK(client_is_closed(&idle));
        CHECK(AWAIT(client_refused(port)));
        client_send(&begun, "lthz HTTP/1.1\r\nHost: x\r\n\r\n");
        check_ended(&begun, 503, NULL); /* the report of a draining app */
        CHECK_STATUS(hasty_app_wait(app, 100), HASTY_ERR_TIMEOUT);
        CHECK(!r.returned && hasty_exchange_alive(held));
        finish_held("late");
        check_ended(&c, 200, "late");
        CHECK_OK(hasty_app_wait(app, CHECK_WAIT_MS));
        pthread_join(r.thread, NULL);
        CHECK_OK(r.status);
        client_close(&idle);
        hasty_app_free(app);
    }
}

TEST(with_nothing_to_do_it_ends_at_once)
{
    hasty_app *app = app_with(0);
    int port = check_serve(app);
    client idle = client_open(port);
    CHECK_REPLY(client_ask(&idle, QUICK), 200, "fine");
    hasty_app_begin_drain(app, -1);
    CHECK_OK(hasty_app_wait(app, CHECK_WAIT_MS));
    CHECK(client_is_closed(&idle));
    client_close(&idle);
    hasty_app_free(app);
}

TEST(at_the_end_of_its_time_it_is_a_stop)
{
    FOR_EACH_KIND(threads)
    {
        hasty_app *app = app_with(threads);
        CHECK_OK(hasty_app_listen(app, NULL, 0));
        int port = hasty_app_port(app);
        runner r;
        start_runner(&r, app);
        client c = hold_one(port);
        int64_t begin = check_now_ms();
        hasty_app_begin_drain(app, 300);
        CHECK_OK(hasty_app_wait(app, CHECK_WAIT_MS));
        CHECK(check_now_ms() - begin >= 300 && check_now_ms() - begin < 10000);
        check_ended(&c, 503, NULL);
        CHECK_STATUS(hasty_exchange_finish(held), HASTY_ERR_CLOSED);
        pthread_join(r.thread, NULL);
        hasty_app_free(app);
    }
}

TEST(a_later_call_sets_another_time)
{
    static const int times[][2] = {{-1, 100}, {60000, 0}, {200, -1}};
    for (int i = 0; i < 3; i++) {
        hasty_app *app = app_with(0);
        client c = hold_one(check_serve(app));
        hasty_app_begin_drain(app, times[i][0]);
        hasty_app_begin_drain(app, times[i][1]);
        if (i < 2) {
            CHECK_OK(hasty_app_wait(app, CHECK_WAIT_MS));
            check_ended(&c, 503, NULL);
            hasty_exchange_free(held);
        } else {
            CHECK_STATUS(hasty_app_wait(app, 1000), HASTY_ERR_TIMEOUT); /* the earlier time has passed */
            finish_held("late");
            check_ended(&c, 200, "late");
            CHECK_OK(hasty_app_wait(app, CHECK_WAIT_MS));
        }
        hasty_app_free(app);
    }
}

TEST(a_stop_and_a_drain_that_is_waited_for_may_follow)
{
    for (int stopped = 0; stopped < 2; stopped++) {
        hasty_app *app = app_with(0);
        client c = hold_one(check_serve(app));
        hasty_app_begin_drain(app, -1);
        if (stopped)
            hasty_app_stop(app);
        else
            CHECK_STATUS(hasty_app_drain(app, 100), HASTY_ERR_TIMEOUT);
        CHECK_OK(hasty_app_wait(app, CHECK_WAIT_MS));
        client_close(&c);
        hasty_exchange_free(held);
        hasty_app_free(app);
    }
}

/* ---- hosts that take requests by themselves ---- */

/* One turn of a host's loop, in one of three ways; whether the app has ended. `*count` is raised for each answer. */
static int turn(int way, hasty_app *app, hasty_slot *slot, int *count)
{
    hasty_exchange *exchange = NULL;
    hasty_status status;
    uint32_t served = 0;
    switch (way) {
    case 0:
        status = hasty_app_poll(app, 10, 0, &served);
        *count += status == HASTY_OK ? (int)served : 0;
        break;
    case 1:
        status = hasty_app_next(app, 0, &exchange);
        if (status == HASTY_OK) {
            *count += 1;
            CHECK_OK(hasty_exchange_finish(exchange));
        }
        break;
    default:
        status = hasty_slot_take(slot);
        *count += status == HASTY_OK;
    }
    CHECK(status == HASTY_OK || status == HASTY_ERR_TIMEOUT || status == HASTY_ERR_CLOSED);
    return status == HASTY_ERR_CLOSED;
}

/* Turns whenever the descriptor says so, until `count` answers were given or, if that is less than 0, until the end. */
static void turn_until(int way, hasty_app *app, hasty_slot *slot, int count)
{
    int given = 0, ended = 0;
    for (int64_t end = check_now_ms() + CHECK_WAIT_MS; !ended && given != count && check_now_ms() < end;)
        if (slot->ticket != 0 || is_readable(app, 100))
            ended = turn(way, app, slot, &given);
    CHECK_INT(ended, count < 0);
}

TEST(a_host_goes_on_taking_requests_until_the_end)
{
    for (int way = 0; way < 3; way++) {
        FOR_EACH_KIND(threads)
        {
            hasty_app *app = app_with(threads);
            CHECK_OK(hasty_app_set_option(app, "compress", "0"));
            if (way == 0) {
                CHECK_OK(hasty_app_get(app, "/mine", fine, NULL));
                CHECK_OK(hasty_app_set_route_option(app, "GET", "/mine", "dispatch", "caller"));
            }
            int port = check_serve(app);
            hasty_slot slot = slot_of(app);
            client c = ask_for(port, way == 0 ? "/mine" : "/taken");
            hasty_app_begin_drain(app, -1);
            turn_until(way, app, &slot, 1);
            if (way == 2)
                CHECK(!turn(way, app, &slot, &(int){0})); /* submits the answer */
            check_ended(&c, 200, way == 0 ? "fine" : "");
            turn_until(way, app, &slot, -1);
            CHECK_OK(hasty_app_wait(app, CHECK_WAIT_MS));
            hasty_app_free(app);
        }
    }
}

TEST(a_time_that_is_up_makes_the_descriptor_readable)
{
    for (int way = 0; way < 3; way++) {
        FOR_EACH_KIND(threads)
        {
            hasty_app *app = app_with(threads);
            int port = check_serve(app), given = 0;
            hasty_slot slot = slot_of(app);
            client c = ask_for(port, "/deferred");
            for (int64_t end = check_now_ms() + CHECK_WAIT_MS; held == NULL && check_now_ms() < end;)
                if (is_readable(app, 10))
                    turn(way, app, &slot, &given);
            int64_t begin = check_now_ms();
            hasty_app_begin_drain(app, 200);
            turn_until(way, app, &slot, -1);
            CHECK(check_now_ms() - begin >= 200);
            CHECK_OK(hasty_app_wait(app, CHECK_WAIT_MS));
            check_ended(&c, 503, NULL);
            hasty_exchange_free(held);
            hasty_app_free(app);
        }
    }
}

/* ---- from everywhere ---- */

static hasty_app *draining;

HANDLER(begins)
{
    hasty_app_begin_drain(draining, 60000);
    return user_data == NULL ? hasty_response_send_text(res, "the last") : HASTY_OK;
}

HANDLER(begins_and_goes_on)
{
    hasty_app_begin_drain(draining, 60000);
    return HASTY_NEXT;
}

static void access_begins(CHECK_UNUSED const hasty_access *record, CHECK_UNUSED void *user_data)
{
    hasty_app_begin_drain(draining, 60000);
}

static int32_t allow_begins(CHECK_UNUSED const hasty_str *key, CHECK_UNUSED void *user_data)
{
    hasty_app_begin_drain(draining, 60000);
    return 1;
}

static void log_begins(CHECK_UNUSED int32_t level, CHECK_UNUSED const hasty_str *message, CHECK_UNUSED void *user_data)
{
    hasty_app_begin_drain(draining, 60000);
}

static void thread_begins(CHECK_UNUSED void *user_data)
{
    hasty_app_begin_drain(draining, 60000);
}

static void drop_begins(void *bytes)
{
    hasty_app_begin_drain(draining, 60000);
    free(bytes);
}

HANDLER(fails)
{
    return HASTY_ERR_IO;
}

HANDLER(sends_owned)
{
    char *bytes = calloc(1, 100000);
    return hasty_response_send_owned(res, bytes, 100000, bytes, drop_begins);
}

TEST(every_callback_may_begin_it)
{
    enum { A_HANDLER, MIDDLEWARE, AFTER, AN_ERROR, ACCESS, ALLOW, A_LOG, A_THREAD, A_DROP, CALLBACKS };
    for (int i = 0; i < CALLBACKS; i++) {
        hasty_app *app = draining = check_app(NULL);
        CHECK_OK(hasty_app_get(app, "/", i == A_HANDLER ? begins : i == A_LOG ? fails : i == A_DROP ? sends_owned : fine, NULL));
        switch (i) {
        case MIDDLEWARE: CHECK_OK(hasty_app_use(app, "/", begins_and_goes_on, NULL, NULL)); break;
        case AFTER: CHECK_OK(hasty_app_after(app, "/", begins, app, NULL)); break;
        case AN_ERROR: CHECK_OK(hasty_app_on_error(app, begins, app, NULL)); break;
        case ACCESS: CHECK_OK(hasty_app_on_access(app, access_begins, NULL, NULL)); break;
        case ALLOW: CHECK_OK(hasty_app_rate_limit(app, "/", 1, 1, allow_begins, NULL, NULL)); break;
        case A_LOG: CHECK_OK(hasty_app_on_log(app, log_begins, NULL, NULL)); break;
        case A_THREAD: CHECK_OK(hasty_app_on_thread(app, thread_begins, NULL, NULL, NULL)); break;
        }
        CHECK_OK(hasty_app_listen(app, NULL, 0));
        client c = ask_for(hasty_app_port(app), i == AN_ERROR ? "/nowhere" : "/");
        CHECK_OK(hasty_app_start(app));
        CHECK_REPLY(client_read(&c), i == AN_ERROR ? 404 : i == A_LOG ? 500 : 200, NULL);
        client_close(&c);
        CHECK_OK(hasty_app_wait(app, CHECK_WAIT_MS));
        hasty_app_free(app);
    }
}

static volatile sig_atomic_t kept_errno;

static void on_signal(int number)
{
    (void)number;
    errno = 1234;
    hasty_app_begin_drain(draining, 60000);
    kept_errno = errno == 1234;
}

typedef struct asker {
    pthread_t thread, target;
    int port;
} asker;

static void *asks_and_signals(void *data)
{
    asker *a = data;
    client c = client_open(a->port);
    CHECK_REPLY(client_ask(&c, QUICK), 200, "fine");
    pthread_kill(a->target, SIGUSR1);
    CHECK(client_is_closed(&c));
    client_close(&c);
    return NULL;
}

TEST(a_signal_handler_may_begin_it_and_errno_is_kept)
{
    struct sigaction action = {.sa_handler = on_signal}, old;
    sigaction(SIGUSR1, &action, &old);
    for (int polls = 0; polls < 2; polls++) {
        FOR_EACH_KIND(threads)
        {
            uint32_t served = 0;
            hasty_app *app = draining = app_with(threads);
            kept_errno = 0;
            asker a = {.target = pthread_self(), .port = check_serve(app)};
            REQUIRE(pthread_create(&a.thread, NULL, asks_and_signals, &a) == 0);
            if (polls)
                CHECK_STATUS(hasty_app_poll(app, 1, -1, &served), HASTY_ERR_CLOSED);
            else
                CHECK_OK(hasty_app_run(app));
            pthread_join(a.thread, NULL);
            CHECK(kept_errno);
            hasty_app_free(app);
        }
    }
    sigaction(SIGUSR1, &old, NULL);
}

TEST(before_start_it_is_remembered_and_who_has_come_is_answered)
{
    FOR_EACH_KIND(threads)
    {
        hasty_app *app = app_with(threads);
        hasty_app_begin_drain(app, -1);
        CHECK_OK(hasty_app_listen(app, NULL, 0));
        client c = ask_for(hasty_app_port(app), "/");
        runner r;
        start_runner(&r, app);
        check_ended(&c, 200, "fine");
        pthread_join(r.thread, NULL);
        CHECK_OK(r.status);
        hasty_app_free(app);
    }
}

static void begins_in_the_child(void *app)
{
    hasty_app_begin_drain(app, 0);
}

TEST(nothing_happens_for_null_after_the_end_and_in_a_child)
{
    hasty_app_begin_drain(NULL, 0);
    hasty_app *app = app_with(0);
    int port = check_serve(app);
    IN_A_CHILD(begins_in_the_child, app);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_STATUS(hasty_app_wait(app, 100), HASTY_ERR_TIMEOUT);
    hasty_app_stop(app);
    CHECK_OK(hasty_app_wait(app, CHECK_WAIT_MS));
    hasty_app_begin_drain(app, 0);
    CHECK_OK(hasty_app_wait(app, 0));
    CHECK_STATUS(hasty_app_start(app), HASTY_ERR_STATE);
    hasty_app_free(app);
}

CHECK_MAIN
