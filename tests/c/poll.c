/* hasty_app_fd and hasty_app_poll: a descriptor that is readable while work waits, and the call that does it. */
#include "caller.h"

#include <sys/epoll.h>
#include <sys/select.h>

static hasty_app *with_health(const hasty_options *options)
{
    hasty_app *app = caller_app(options);
    CHECK_OK(hasty_app_health(app, "/healthz"));
    return app;
}

/* ---- the descriptor ---- */

TEST(the_descriptor_is_one_and_the_same_all_its_life)
{
    hasty_app *app = caller_app(NULL);
    int fd = hasty_app_fd(app);
    CHECK(fd >= 0);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(!is_readable(app, 0)); /* before start */
    int port = check_serve(app);
    CHECK_INT(hasty_app_fd(app), fd);
    client c = ask_for(port, "/mine");
    CHECK(poll_for(app, 1));
    CHECK_REPLY(client_read(&c), 200, "mine");
    CHECK_INT(hasty_app_fd(app), fd);
    hasty_app_stop(app);
    CHECK_OK(hasty_app_wait(app, 10000));
    CHECK_INT(hasty_app_fd(app), fd);
    hasty_app_free(app);
    CHECK(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
    CHECK_INT(hasty_app_fd(NULL), -1);
    client_close(&c);
}

TEST(it_is_readable_exactly_while_requests_wait)
{
    hasty_app *app = with_health(NULL);
    int port = check_serve(app);
    CHECK(!is_readable(app, 30));
    CHECK_REPLY(get(port, "/theirs"), 200, "theirs");
    CHECK(!is_readable(app, 30)); /* that was none of this thread's */
    client c[3];
    for (int i = 0; i < 3; i++)
        c[i] = ask_for(port, "/mine");
    CHECK(AWAIT(queued(port) == 3));
    for (int i = 0; i < 3; i++) {
        uint32_t served = 0;
        for (int look = 0; look < 5; look++)
            CHECK(is_readable(app, 0)); /* looking takes nothing away */
        CHECK_OK(hasty_app_poll(app, 1, 0, &served));
        CHECK_INT(served, 1);
    }
    CHECK(!is_readable(app, 30));
    for (int i = 0; i < 3; i++) {
        CHECK_REPLY(client_read(&c[i]), 200, "mine");
        client_close(&c[i]);
    }
    hasty_app_free(app);
}

TEST(it_is_readable_from_the_stop_on)
{
    hasty_app *app = caller_app(NULL);
    check_serve(app);
    hasty_app_stop(app);
    CHECK(is_readable(app, 10000));
    CHECK_OK(hasty_app_wait(app, 10000));
    uint32_t served = 0;
    for (int i = 0; i < 3; i++) {
        CHECK(is_readable(app, 0));
        CHECK_STATUS(hasty_app_poll(app, 1, -1, &served), HASTY_ERR_CLOSED);
    }
    hasty_app_free(app);
}

TEST(a_wake_does_not_make_it_readable)
{
    hasty_app *app = caller_app(NULL);
    check_serve(app);
    hasty_app_wake(app);
    CHECK(!is_readable(app, 50));
    hasty_app_free(app);
}

TEST(what_timed_out_or_left_makes_it_quiet_again)
{
    hasty_options options = {.size = sizeof options, .exchange_timeout_ms = 1000};
    hasty_app *app = with_health(&options);
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/mine/:id", "exchange_timeout_ms", "60000"));
    int port = check_serve(app);
    client c = ask_for(port, "/mine");
    CHECK(is_readable(app, 10000));
    CHECK_REPLY(client_read(&c), 504, NULL);
    uint32_t served = 0;
    CHECK_STATUS(hasty_app_poll(app, 1, 0, &served), HASTY_ERR_TIMEOUT);
    CHECK(!is_readable(app, 30)); /* at the latest when somebody looked */
    client_close(&c);
    c = ask_for(port, "/mine/1");
    CHECK(is_readable(app, 10000));
    client_reset(&c);
    CHECK(AWAIT(queued(port) == 0));
    CHECK_STATUS(hasty_app_poll(app, 1, 0, &served), HASTY_ERR_TIMEOUT);
    CHECK(!is_readable(app, 30));
    hasty_app_free(app);
}

/* A loop of the host's, three times. */
enum { SELECT, EPOLL, POLL, LOOPS };

static int loop_turns(int kind, int fd, int epoll)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    struct timeval time = {10, 0};
    struct epoll_event event;
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    switch (kind) {
    case SELECT: return select(fd + 1, &set, NULL, NULL, &time);
    case EPOLL: return epoll_wait(epoll, &event, 1, 10000);
    default: return poll(&one, 1, 10000);
    }
}

static void *asks_a_hundred_times(void *app)
{
    client c = client_open(hasty_app_port(app));
    for (int i = 0; i < 100; i++)
        CHECK_REPLY(client_ask(&c, i % 3 ? MINE : THEIRS), 200, i % 3 ? "mine" : "theirs");
    client_close(&c);
    hasty_app_stop(app);
    return NULL;
}

TEST(select_epoll_and_poll_drive_it)
{
    for (int kind = 0; kind < LOOPS; kind++) {
        hasty_app *app = caller_app(NULL);
        check_serve(app);
        int fd = hasty_app_fd(app), epoll = epoll_create1(EPOLL_CLOEXEC);
        struct epoll_event event = {.events = EPOLLIN};
        REQUIRE(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, asks_a_hundred_times, app) == 0);
        hasty_status status = HASTY_OK;
        int idle = 0;
        while (status != HASTY_ERR_CLOSED) {
            uint32_t served = 0;
            if (!CHECK_INT(loop_turns(kind, fd, epoll), 1))
                break;
            status = hasty_app_poll(app, 4, 0, &served);
            idle += status == HASTY_ERR_TIMEOUT;
        }
        CHECK(idle < 5); /* it says so only when there is something */
        CHECK_INT(ran, 66);
        pthread_join(thread, NULL);
        close(epoll);
        hasty_app_free(app);
    }
}

/* ---- poll ---- */

TEST(poll_runs_what_waits_and_tells_how_many)
{
    hasty_app *app = with_health(NULL);
    int port = check_serve(app);
    client c[10];
    for (int i = 0; i < 10; i++)
        c[i] = ask_for(port, "/mine");
    CHECK(AWAIT(queued(port) == 10));
    uint32_t served = 0;
    CHECK_OK(hasty_app_poll(app, 4, -1, &served));
    CHECK_INT(served, 4);
    CHECK_INT(ran, 4);
    CHECK_OK(hasty_app_poll(app, 100, -1, &served)); /* it does not wait for more */
    CHECK_INT(served, 6);
    CHECK_STATUS(hasty_app_poll(app, 100, 0, &served), HASTY_ERR_TIMEOUT);
    CHECK_INT(served, 6); /* written on success only */
    for (int i = 0; i < 10; i++) {
        CHECK_REPLY(client_read(&c[i]), 200, "mine");
        client_close(&c[i]);
    }
    hasty_app_free(app);
}

TEST(requests_are_run_in_the_order_they_came)
{
    hasty_app *app = with_health(NULL);
    int port = check_serve(app);
    client first = ask_for(port, "/mine");
    CHECK(AWAIT(queued(port) == 1));
    client second = ask_for(port, "/mine/2");
    CHECK(AWAIT(queued(port) == 2));
    uint32_t served = 0;
    CHECK_OK(hasty_app_poll(app, 1, 0, &served));
    CHECK_REPLY(client_read(&first), 200, "mine");
    CHECK(!client_more(&second, check_now_ms() + 30));
    CHECK_OK(hasty_app_poll(app, 1, 0, &served));
    CHECK_REPLY(client_read(&second), 200, "with an id");
    client_close(&first);
    client_close(&second);
    hasty_app_free(app);
}

TEST(poll_waits_as_long_as_it_was_told)
{
    hasty_app *app = caller_app(NULL);
    check_serve(app);
    uint32_t served = 0;
    int64_t begin = check_now_ms();
    CHECK_STATUS(hasty_app_poll(app, 1, 0, &served), HASTY_ERR_TIMEOUT);
    CHECK(check_now_ms() - begin < 5000);
    CHECK_STATUS(hasty_app_poll(app, 1, 100, &served), HASTY_ERR_TIMEOUT);
    CHECK(check_now_ms() - begin >= 99 && check_now_ms() - begin < 10000);
    hasty_app_free(app);
}

static void ask_mine(hasty_app *app)
{
    CHECK_REPLY(get(hasty_app_port(app), "/mine"), 200, "mine");
}

static void stop_it(hasty_app *app)
{
    hasty_app_stop(app);
}

TEST(a_request_and_a_stop_end_its_waiting)
{
    hasty_app *app = caller_app(NULL);
    check_serve(app);
    uint32_t served = 0;
    later l;
    start_later(&l, app, ask_mine);
    CHECK_OK(hasty_app_poll(app, 5, -1, &served));
    CHECK_INT(served, 1);
    pthread_join(l.thread, NULL);
    start_later(&l, app, stop_it);
    CHECK_STATUS(hasty_app_poll(app, 5, -1, &served), HASTY_ERR_CLOSED);
    pthread_join(l.thread, NULL);
    hasty_app_free(app);
}

HANDLER(polls_inside)
{
    uint32_t served = 0;
    hasty_exchange *exchange = NULL;
    hasty_app *app = *(hasty_app **)user_data;
    CHECK_STATUS(hasty_app_poll(app, 1, 0, &served), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_poll(app, 1, -1, &served), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_next(app, -1, &exchange), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_wait(app, -1), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_drain(app, -1), HASTY_ERR_STATE);
    CHECK(hasty_app_fd(app) >= 0);
    return hasty_response_send_text(res, "refused");
}

TEST(what_poll_refuses)
{
    static hasty_app *app;
    uint32_t served = 7;
    app = caller_app(NULL);
    CHECK_OK(hasty_app_get(app, "/inside", polls_inside, &app));
    CHECK_OK(hasty_app_get(app, "/inside/too", polls_inside, &app));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/inside/too", "dispatch", "caller"));
    CHECK_STATUS(hasty_app_poll(app, 1, 0, &served), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("start");
    CHECK_STATUS(hasty_app_poll(NULL, 1, 0, &served), HASTY_ERR_NULL);
    int port = check_serve(app);
    CHECK_STATUS(hasty_app_poll(app, 1, 0, NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_app_poll(app, 0, 0, &served), HASTY_ERR_INVALID);
    CHECK_INT(served, 7);
    CHECK_REPLY(get(port, "/inside"), 200, "refused");
    client c = ask_for(port, "/inside/too");
    CHECK(poll_for(app, 1));
    CHECK_REPLY(client_read(&c), 200, "refused");
    client_close(&c);
    hasty_app_free(app);
}

static void *polls_until_the_end(void *app)
{
    hasty_status status;
    int *count = check_keep(calloc(1, sizeof *count));
    do {
        uint32_t served = 0;
        status = hasty_app_poll(app, 3, -1, &served);
        *count += (int)served;
    } while (status == HASTY_OK);
    CHECK_STATUS(status, HASTY_ERR_CLOSED);
    return count;
}

static _Atomic int counted;

HANDLER(counts)
{
    counted++;
    return hasty_response_send_text(res, "counted");
}

TEST(several_threads_poll_and_each_request_runs_once)
{
    enum { POLLERS = 4, CLIENTS = 8 };
    int rounds = check_small() ? 5 : 50, sum = 0;
    counted = 0;
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", counts, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/", "dispatch", "caller"));
    int port = check_serve(app);
    pthread_t threads[POLLERS];
    for (int i = 0; i < POLLERS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, polls_until_the_end, app) == 0);
    client c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        c[i] = client_open(port);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < CLIENTS; i++)
            client_send(&c[i], request_text("GET", "/", NULL, NULL));
        for (int i = 0; i < CLIENTS; i++)
            CHECK_REPLY(client_read(&c[i]), 200, "counted");
    }
    hasty_app_stop(app);
    for (int i = 0; i < POLLERS; i++) {
        void *count;
        pthread_join(threads[i], &count);
        sum += *(int *)count;
    }
    CHECK_INT(sum, rounds * CLIENTS);
    CHECK_INT(counted, rounds * CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
    hasty_app_free(app);
}

TEST(a_thousand_requests_wait_and_are_run)
{
    int count = check_small() ? 100 : 1000, pieces = 20;
    hasty_app *app = with_health(NULL);
    int port = check_serve(app);
    client *c = check_keep(calloc((size_t)(count / pieces), sizeof *c));
    for (int i = 0; i < count / pieces; i++)
        c[i] = ask_for(port, "/mine");
    CHECK(AWAIT(queued(port) == count / pieces));
    for (int piece = 0; piece < pieces; piece++) {
        CHECK(poll_for(app, count / pieces));
        for (int i = 0; i < count / pieces; i++) {
            CHECK_REPLY(client_read(&c[i]), 200, "mine");
            if (piece + 1 < pieces)
                client_send(&c[i], MINE);
            else
                client_close(&c[i]);
        }
    }
    CHECK_INT(ran, count);
    hasty_app_free(app);
}

/* As many at the same time as the queue takes; each is a connection. */
TEST(a_thousand_connections_wait_at_once)
{
    int count = check_small() ? 60 : 400;
    hasty_app *app = with_health(NULL);
    int port = check_serve(app);
    client *c = check_keep(calloc((size_t)count, sizeof *c));
    for (int i = 0; i < count; i++)
        c[i] = ask_for(port, i % 2 ? "/mine" : "/mine/1");
    CHECK(AWAIT(queued(port) == count));
    uint32_t served = 0;
    CHECK_OK(hasty_app_poll(app, 1000000, 0, &served));
    CHECK_INT(served, count);
    for (int i = 0; i < count; i++) {
        CHECK_REPLY(client_read(&c[i]), 200, i % 2 ? "mine" : "with an id");
        client_close(&c[i]);
    }
    hasty_app_free(app);
}

/* ---- what a handler under poll may do ---- */

static hasty_exchange *_Atomic held;

HANDLER(defers)
{
    hasty_exchange *exchange = NULL;
    CHECK_OK(hasty_response_defer(res, &exchange));
    held = exchange;
    return HASTY_OK;
}

HANDLER(writes)
{
    CHECK_OK(hasty_response_write(res, "one ", 4));
    CHECK_OK(hasty_response_write(res, "two", 3));
    return HASTY_OK;
}

HANDLER(writes_until_nobody_reads)
{
    static char block[65536];
    hasty_status status;
    while ((status = hasty_response_write(res, block, sizeof block)) == HASTY_OK) {
    }
    CHECK(status == HASTY_ERR_TIMEOUT || status == HASTY_ERR_CLOSED);
    return status;
}

HANDLER(fails)
{
    return HASTY_ERR_IO;
}

HANDLER(stops)
{
    hasty_app_stop(*(hasty_app **)user_data);
    return hasty_response_send_text(res, "the last one");
}

static hasty_app *one_route(const hasty_options *options, hasty_handler handler, void *user_data)
{
    hasty_app *app = check_app(options);
    polling = pthread_self();
    CHECK_OK(hasty_app_get(app, "/", handler, user_data));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/", "dispatch", "caller"));
    CHECK_OK(hasty_app_get(app, "/theirs", theirs, NULL));
    return app;
}

TEST(a_polled_handler_may_defer)
{
    hasty_app *app = one_route(NULL, defers, NULL);
    int port = check_serve(app);
    client c = ask_for(port, "/");
    CHECK(poll_for(app, 1));
    CHECK(held != NULL && !client_more(&c, check_now_ms() + 30));
    CHECK(!is_readable(app, 0));
    CHECK_OK(hasty_response_send_text(hasty_exchange_response(held), "late"));
    CHECK_OK(hasty_exchange_finish(held));
    CHECK_REPLY(client_read(&c), 200, "late");
    CHECK_REPLY(client_ask(&c, THEIRS), 200, "theirs");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_polled_handler_may_stream)
{
    hasty_app *app = one_route(NULL, writes, NULL);
    int port = check_serve(app);
    client c = ask_for(port, "/");
    CHECK(poll_for(app, 1));
    reply r = client_read(&c);
    CHECK_REPLY(r, 200, "one two");
    CHECK(r.chunked);
    CHECK_REPLY(client_ask(&c, THEIRS), 200, "theirs");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_client_that_reads_nothing_holds_poll_no_longer_than_write_timeout)
{
    hasty_options options = {.size = sizeof options, .write_timeout_ms = 200};
    hasty_app *app = one_route(&options, writes_until_nobody_reads, NULL);
    int port = check_serve(app);
    client c = ask_for(port, "/");
    int64_t begin = check_now_ms();
    CHECK(poll_for(app, 1));
    CHECK(check_now_ms() - begin < 10000);
    CHECK_REPLY(get(port, "/theirs"), 200, "theirs");
    client_close(&c);
    hasty_app_free(app);
}

static client asker;

HANDLER(asks_for_its_own_answer)
{
    hasty_exchange *exchange;
    CHECK_OK(hasty_response_defer(res, &exchange));
    CHECK_OK(hasty_response_write(hasty_exchange_response(exchange), "first", 5));
    CHECK_INT(client_read_head(&asker).status, 200);
    CHECK_TEXT(client_read_chunk(&asker), "first");
    return hasty_exchange_finish(exchange);
}

TEST(what_a_polled_handler_defers_and_writes_leaves_before_it_returns)
{
    hasty_app *app = caller_app(NULL);
    CHECK_OK(hasty_app_get(app, "/ask", asks_for_its_own_answer, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/ask", "dispatch", "caller"));
    asker = ask_for(check_serve(app), "/ask");
    CHECK(poll_for(app, 1));
    client_close(&asker);
    hasty_app_free(app);
}

TEST(a_polled_handler_that_fails_is_a_500)
{
    hasty_app *app = one_route(NULL, fails, NULL);
    int port = check_serve(app);
    client c = ask_for(port, "/");
    CHECK(poll_for(app, 1)); /* it ran */
    CHECK_REPLY(client_read(&c), 500, NULL);
    CHECK_REPLY(client_ask(&c, THEIRS), 200, "theirs");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_polled_handler_may_stop_the_app_and_is_answered)
{
    static hasty_app *app;
    app = one_route(NULL, stops, &app);
    int port = check_serve(app);
    client c = ask_for(port, "/");
    uint32_t served = 0;
    CHECK_OK(hasty_app_poll(app, 10, 10000, &served));
    CHECK_INT(served, 1);
    CHECK_REPLY(client_read(&c), 200, "the last one");
    CHECK_STATUS(hasty_app_poll(app, 10, 10000, &served), HASTY_ERR_CLOSED);
    CHECK_OK(hasty_app_wait(app, 10000));
    client_close(&c);
    hasty_app_free(app);
}

static _Atomic int logged;

static void counts_errors(int32_t level, CHECK_UNUSED const hasty_str *message, CHECK_UNUSED void *user_data)
{
    logged += level == HASTY_LOG_ERROR || level == HASTY_LOG_WARN;
}

TEST(a_route_without_handler_is_a_logged_500_under_poll)
{
    hasty_app *app = taken_app(NULL);
    CHECK_OK(hasty_app_on_log(app, counts_errors, NULL, NULL));
    int port = check_serve(app);
    logged = 0;
    client c = ask_for(port, "/taken");
    uint32_t served = 0;
    while (!client_wait(&c, POLLIN, check_now_ms() + 1))
        hasty_app_poll(app, 1, 100, &served);
    CHECK_REPLY(client_read(&c), 500, NULL);
    CHECK(AWAIT(logged >= 1));
    client_close(&c);
    hasty_app_free(app);
}

TEST(the_first_call_decides_how_requests_are_taken)
{
    for (int polls = 0; polls < 2; polls++) {
        hasty_app *app = caller_app(NULL);
        check_serve(app);
        uint32_t served = 0;
        hasty_exchange *exchange = NULL;
        CHECK_STATUS(polls ? hasty_app_poll(app, 1, 0, &served) : hasty_app_next(app, 0, &exchange), HASTY_ERR_TIMEOUT);
        hasty_slot slot = {.size = sizeof slot, .app = app};
        CHECK_STATUS(polls ? hasty_app_next(app, 0, &exchange) : hasty_app_poll(app, 1, 0, &served), HASTY_ERR_STATE);
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_STATE);
        CHECK_STATUS(polls ? hasty_app_poll(app, 1, 0, &served) : hasty_app_next(app, 0, &exchange), HASTY_ERR_TIMEOUT);
        hasty_app_free(app);
    }
    hasty_app *app = caller_app(NULL);
    check_serve(app);
    uint32_t served = 0;
    hasty_exchange *exchange = NULL;
    hasty_slot slot = {.size = sizeof slot, .app = app};
    CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_TIMEOUT);
    CHECK_STATUS(hasty_app_poll(app, 1, 0, &served), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_next(app, 0, &exchange), HASTY_ERR_STATE);
    hasty_app_free(app);
}

CHECK_MAIN
