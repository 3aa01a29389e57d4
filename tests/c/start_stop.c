/* Many lives of an app in one process leave no thread, no descriptor and no byte; and a stop that has only so much time. */
#include "drainer.h"
#include "host.h"

/* ---- what a life may be cut off in ---- */

static hasty_exchange *_Atomic held;
static _Atomic int streaming, sleeping, wake_up;

HANDLER(defers)
{
    hasty_exchange *exchange = NULL;
    CHECK_OK(hasty_response_defer(res, &exchange));
    held = exchange;
    return HASTY_OK;
}

/* Writes until nobody listens any more. */
HANDLER(streams)
{
    hasty_status status;
    while ((status = hasty_response_write(res, "tick\n", 5)) == HASTY_OK) {
        streaming = 1;
        check_pause_ms(1);
    }
    return status;
}

HANDLER(sleeps)
{
    sleeping++;
    AWAIT(wake_up);
    return hasty_response_send_text(res, "slept");
}

HANDLER(passes)
{
    return HASTY_NEXT;
}

static void drop_count(void *count)
{
    (*(_Atomic int *)count)++;
}

static client ask_for(int port, const char *path)
{
    client c = client_open(port);
    client_send(&c, request_text("GET", path, NULL, NULL));
    return c;
}

static hasty_app *with_everything(uint32_t threads, _Atomic int *dropped)
{
    hasty_app *app = new_app(threads);
    CHECK_OK(hasty_app_route(app, "GET", "/deferred/:id", defers, (void *)dropped, drop_count));
    CHECK_OK(hasty_app_get(app, "/stream", streams, NULL));
    CHECK_OK(hasty_app_get(app, "/sleep", sleeps, NULL));
    CHECK_OK(hasty_app_get(app, "/mine", fine, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/mine", "dispatch", "caller"));
    CHECK_OK(hasty_app_use(app, "/", passes, NULL, NULL));
    CHECK_OK(hasty_app_static(app, "/files", "include", NULL));
    CHECK_OK(hasty_app_health(app, "/healthz"));
    CHECK_OK(hasty_app_cors(app, "/", NULL));
    return app;
}

enum { ANSWERED, DEFERRED, FINISHED_LATE, STREAMED, POLLED, ABANDONED, RESET, DRAINED, LIVES };

static void live(int kind, uint32_t threads)
{
    _Atomic int dropped = 0;
    uint32_t served = 0;
    hasty_app *app = with_everything(threads, &dropped);
    int port = check_serve(app);
    hasty_exchange *late = NULL;
    held = NULL;
    streaming = 0;
    client c = ask_for(port, kind == POLLED || kind == ABANDONED           ? "/mine"
                             : kind == STREAMED                            ? "/stream"
                             : kind == DEFERRED || kind == FINISHED_LATE   ? "/deferred/1"
                                                                           : "/files/hasty.h");
    switch (kind) {
    case ANSWERED: CHECK_REPLY(client_read(&c), 200, NULL); break;
    case DEFERRED:
    case FINISHED_LATE:
        CHECK(AWAIT(held != NULL));
        late = held;
        break;
    case STREAMED: CHECK(AWAIT(streaming)); break; /* its handler writes on until the stop */
    case POLLED: CHECK_OK(hasty_app_poll(app, 10, 10000, &served)), CHECK_REPLY(client_read(&c), 200, "fine"); break;
    case RESET: client_reset(&c); break;
    case DRAINED: CHECK_REPLY(client_read(&c), 200, NULL), client_close(&c), CHECK_OK(hasty_app_drain(app, 10000)); break;
    }
    if (kind == DEFERRED)
        hasty_exchange_free(late);
    hasty_app_free(app);
    if (kind == FINISHED_LATE)
        CHECK_STATUS(hasty_exchange_finish(late), HASTY_ERR_CLOSED);
    CHECK_INT(dropped, 1);
    client_close(&c);
    forget_what_is_kept();
}

TEST(a_thousand_lives_leave_no_thread_no_descriptor_and_no_byte)
{
    int lives = check_small() ? 2 * LIVES : is_long() ? 1000 : 200;
    for (int i = 0; i < 4 * LIVES; i++)
        live(i % LIVES, i / LIVES % 2 ? 0 : 2); /* what is made once per process is there now */
    int fds = fd_count(), threads = thread_count();
    size_t bytes = bytes_in_use();
    for (int i = 0; i < lives; i++)
        live(i % LIVES, i / LIVES % 2 ? 0 : 2);
    CHECK_INT(fd_count(), fds);
    CHECK(AWAIT(thread_count() == threads)); /* a joined thread may linger in /proc for a moment */
    /* What malloc keeps for threads to come grows to some 80 KB and no more: a kilobyte in each life would be seen. */
    if (bytes_in_use() > bytes + 150000)
        check_fail(__FILE__, __LINE__, "%zu bytes more after %d lives", bytes_in_use() - bytes, lives);
}

/* ---- a stop with a deadline ---- */

/* At its deadline a drain cuts what a thread has in its hands, even if that is the 503. */
static int is_refused_or_cut(client *c)
{
    reply r = client_read(c);
    return r.status == 503 || (r.status == 0 && c->ended && c->len == 0);
}

TEST(a_drain_ends_in_time_whatever_goes_on)
{
    for (int with_threads = 0; with_threads < 2; with_threads++) {
        _Atomic int dropped = 0;
        held = NULL;
        streaming = sleeping = wake_up = 0;
        hasty_app *app = with_everything(with_threads ? 4 : HASTY_NONE, &dropped);
        CHECK_OK(hasty_app_listen(app, NULL, 0));
        int port = hasty_app_port(app);
        runner runners[4];
        for (int i = 0; i < 4; i++)
            start_runner(&runners[i], app);
        client sleeper = ask_for(port, "/sleep"), stream = ask_for(port, "/stream"), deferred = ask_for(port, "/deferred/1"),
               queued = ask_for(port, "/mine");
        CHECK(AWAIT(sleeping && streaming && held != NULL));
        drainer d;
        start_drainer(&d, app, 300);
        CHECK(AWAIT(d.returned)); /* though a handler goes on for as long as it likes */
        CHECK(d.took_ms >= 290 && d.took_ms < 10000);
        CHECK_INT(d.status, HASTY_ERR_TIMEOUT);
        wake_up = 1;
        CHECK(is_refused_or_cut(&deferred));
        CHECK(is_refused_or_cut(&queued));
        char *all = client_read_all(&stream);
        CHECK(all != NULL && strstr(all, "tick") != NULL && strstr(all, "\r\n0\r\n") == NULL); /* cut, not ended */
        CHECK(client_read_all(&sleeper) != NULL);
        hasty_exchange *late = held;
        CHECK_STATUS(hasty_exchange_finish(late), HASTY_ERR_CLOSED);
        pthread_join(d.thread, NULL);
        for (int i = 0; i < 4; i++)
            join_runner(&runners[i]);
        CHECK_OK(hasty_app_wait(app, 10000));
        client_close(&sleeper);
        client_close(&stream);
        client_close(&deferred);
        client_close(&queued);
        hasty_app_free(app);
        CHECK_INT(dropped, 1);
    }
}

TEST(a_drain_lets_everything_end_that_ends_in_time)
{
    _Atomic int dropped = 0;
    held = NULL;
    sleeping = wake_up = 0;
    hasty_app *app = with_everything(0, &dropped);
    int port = check_serve(app);
    client sleeper = ask_for(port, "/sleep"), deferred = ask_for(port, "/deferred/1"), mine = ask_for(port, "/mine");
    CHECK(AWAIT(sleeping && held != NULL));
    struct pollfd work = {.fd = hasty_app_fd(app), .events = POLLIN};
    CHECK_INT(poll(&work, 1, 10000), 1);
    drainer d;
    start_drainer(&d, app, 20000);
    CHECK(AWAIT(client_refused(port)));
    uint32_t served = 0;
    CHECK_OK(hasty_app_poll(app, 10, 10000, &served)); /* the host's own thread goes on as well */
    CHECK_REPLY(client_read(&mine), 200, "fine");
    client_close(&mine);
    CHECK_OK(hasty_response_send_text(hasty_exchange_response(held), "late"));
    CHECK_OK(hasty_exchange_finish(held));
    reply r = client_read(&deferred);
    CHECK_REPLY(r, 200, "late");
    CHECK(reply_lists(&r, "Connection", "close"));
    client_close(&deferred);
    CHECK(!d.returned);
    wake_up = 1;
    CHECK_REPLY(client_read(&sleeper), 200, "slept");
    client_close(&sleeper);
    pthread_join(d.thread, NULL);
    CHECK_INT(d.status, HASTY_OK);
    hasty_app_free(app);
}

TEST(a_second_drain_may_be_more_patient_or_less)
{
    _Atomic int dropped = 0;
    sleeping = wake_up = 0;
    hasty_app *app = with_everything(0, &dropped);
    client sleeper = ask_for(check_serve(app), "/sleep");
    CHECK(AWAIT(sleeping));
    drainer patient, hurried;
    start_drainer(&patient, app, 30000);
    start_drainer(&hurried, app, 100);
    CHECK(AWAIT(hurried.returned));
    CHECK_INT(hurried.status, HASTY_ERR_TIMEOUT);
    wake_up = 1;
    pthread_join(hurried.thread, NULL);
    pthread_join(patient.thread, NULL);
    CHECK(patient.took_ms < 20000);
    client_close(&sleeper);
    hasty_app_free(app);
}

TEST(a_stop_ends_a_drain)
{
    _Atomic int dropped = 0;
    held = NULL;
    hasty_app *app = with_everything(0, &dropped);
    client deferred = ask_for(check_serve(app), "/deferred/1");
    CHECK(AWAIT(held != NULL));
    drainer d;
    start_drainer(&d, app, 30000);
    check_pause_ms(20);
    hasty_app_stop(app);
    CHECK_REPLY(client_read(&deferred), 503, NULL);
    pthread_join(d.thread, NULL);
    CHECK(d.took_ms < 20000);
    hasty_exchange_free(held);
    client_close(&deferred);
    hasty_app_free(app);
}

TEST(a_stop_ends_streams)
{
    _Atomic int dropped = 0;
    streaming = 0;
    hasty_app *app = with_everything(0, &dropped);
    client stream = ask_for(check_serve(app), "/stream");
    CHECK(AWAIT(streaming));
    hasty_app_stop(app);
    CHECK_OK(hasty_app_wait(app, 10000));
    client_close(&stream);
    hasty_app_free(app);
}

TEST(a_stop_closes_exchanges_and_doors_though_a_handler_runs)
{
    for (int drained = 0; drained < 2; drained++) {
        _Atomic int dropped = 0;
        held = NULL;
        sleeping = wake_up = 0;
        hasty_app *app = with_everything(4, &dropped);
        int port = check_serve(app);
        client sleeper = ask_for(port, "/sleep"), deferred = ask_for(port, "/deferred/1"), idle = client_open(port);
        CHECK_REPLY(client_ask(&idle, QUICK), 200, "fine");
        CHECK(AWAIT(sleeping && held != NULL));
        if (drained)
            CHECK_STATUS(hasty_app_drain(app, 50), HASTY_ERR_TIMEOUT);
        else
            hasty_app_stop(app);
        int64_t begin = check_now_ms();
        CHECK(client_is_closed(&idle));
        CHECK(client_wait(&deferred, POLLIN, begin + CLIENT_WAIT_MS));
        CHECK(AWAIT(client_refused(port)));
        CHECK(check_now_ms() < begin + 10000); /* long before the handler ends */
        wake_up = 1;
        CHECK(drained ? is_refused_or_cut(&deferred) : CHECK_REPLY(client_read(&deferred), 503, NULL));
        client_close(&sleeper);
        client_close(&deferred);
        client_close(&idle);
        hasty_exchange_free(held);
        hasty_app_free(app);
    }
}

CHECK_MAIN
