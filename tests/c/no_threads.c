/* Apps without library threads whose host polls: accepting, parsing, all routes and all time-outs are done in poll and next. */
#include "caller.h"

#include <dirent.h>

static hasty_app *alone(hasty_options options)
{
    options.size = sizeof options;
    options.threads = HASTY_NONE;
    return check_app(&options);
}

HANDLER(here)
{
    CHECK_HERE();
    return hasty_response_send_text(res, "here");
}

/* GET /mine for the caller, GET /pool for whoever serves: it is this thread all the same. */
static hasty_app *polled(hasty_options options, int *port)
{
    hasty_app *app = alone(options);
    polling = pthread_self();
    CHECK_OK(hasty_app_get(app, "/mine", here, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/mine", "dispatch", "caller"));
    CHECK_OK(hasty_app_get(app, "/pool", here, NULL));
    CHECK_OK(hasty_app_static(app, "/files", "include", NULL));
    *port = check_serve(app);
    return app;
}

/* Polls, never waiting, until this client has something to read. */
static int poll_until_answered(hasty_app *app, client *c)
{
    int64_t end = check_now_ms() + CHECK_WAIT_MS;
    uint32_t served;
    while (!client_wait(c, POLLIN, 0)) {
        hasty_status status = hasty_app_poll(app, 10, 1, &served);
        if ((status != HASTY_OK && status != HASTY_ERR_TIMEOUT) || check_now_ms() > end)
            return check_fail(__FILE__, __LINE__, "no answer, poll gives %s", hasty_status_name(status));
    }
    return 1;
}

static int threads(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count;
}

TEST(no_thread_is_made)
{
    int port, before = threads();
    hasty_app *app = polled((hasty_options){0}, &port);
    client c = ask_for(port, "/pool");
    CHECK(poll_until_answered(app, &c));
    CHECK_REPLY(client_read(&c), 200, "here");
    CHECK_INT(threads(), before);
    client_close(&c);
    hasty_app_free(app);
}

TEST(poll_does_all_the_work)
{
    static const char *const paths[] = {"/mine", "/pool", "/files/hasty.h", "/nowhere"};
    static const int statuses[] = {200, 200, 200, 404};
    int port;
    hasty_app *app = polled((hasty_options){0}, &port);
    for (int i = 0; i < 4; i++) {
        client c = ask_for(port, paths[i]);
        CHECK(!client_more(&c, check_now_ms() + 20)); /* nobody does it behind our back */
        CHECK(poll_until_answered(app, &c));
        CHECK_REPLY(client_read(&c), statuses[i], i < 2 ? "here" : NULL);
        client_close(&c);
    }
    hasty_app_free(app);
}

TEST(poll_counts_the_handlers_of_this_threads_routes)
{
    int port;
    hasty_app *app = polled((hasty_options){0}, &port);
    client c = ask_for(port, "/mine");
    uint32_t served = 0;
    CHECK_OK(hasty_app_poll(app, 10, 10000, &served));
    CHECK_INT(served, 1);
    CHECK_REPLY(client_read(&c), 200, "here");
    client_close(&c);
    hasty_app_free(app);
}

/* Whether there is an end of what is to be done: a timer ticks while there are connections, but not all the time. */
static int comes_to_rest(hasty_app *app)
{
    uint32_t served;
    for (int look = 0; look < 5; look++) {
        hasty_app_poll(app, 10, 0, &served);
        if (!is_readable(app, 50))
            return 1;
    }
    return 0;
}

TEST(the_descriptor_is_readable_for_a_connection_and_for_a_request)
{
    int port;
    hasty_app *app = polled((hasty_options){0}, &port);
    client c = ask_for(port, "/mine");
    CHECK(is_readable(app, 10000));
    CHECK(poll_until_answered(app, &c));
    CHECK_REPLY(client_read(&c), 200, "here");
    for (int i = 0; i < 3; i++) {
        CHECK(comes_to_rest(app)); /* a connection that is idle is no work */
        client_send(&c, i % 2 ? MINE : request_text("GET", "/pool", NULL, NULL));
        CHECK(is_readable(app, CHECK_WAIT_MS));
        CHECK(is_readable(app, 0));
        CHECK(poll_until_answered(app, &c));
        CHECK_REPLY(client_read(&c), 200, "here");
    }
    client_close(&c);
    hasty_app_free(app);
}

/* A loop of the host's that only ever polls when the descriptor says so. */
static int turn_until_answered(hasty_app *app, client *c)
{
    int64_t end = check_now_ms() + CHECK_WAIT_MS;
    uint32_t served;
    while (!client_wait(c, POLLIN, 0)) {
        if (check_now_ms() > end)
            return check_fail(__FILE__, __LINE__, "the descriptor never said so");
        if (is_readable(app, 20))
            hasty_app_poll(app, 10, 0, &served);
    }
    return 1;
}

TEST(the_descriptor_alone_drives_everything)
{
    int port;
    hasty_app *app = polled((hasty_options){0}, &port);
    client c = client_open(port);
    for (int i = 0; i < 20; i++) {
        client_send(&c, i % 2 ? MINE : request_text("GET", "/files/hasty.h", NULL, NULL));
        CHECK(turn_until_answered(app, &c));
        reply r = client_read_head(&c);
        CHECK_INT(r.status, 200);
        size_t len = strtoul(reply_header(&r, "Content-Length"), NULL, 10);
        while (c.len < len && turn_until_answered(app, &c) && client_more(&c, check_now_ms() + CLIENT_WAIT_MS)) {
        }
        client_skip(&c, len);
    }
    client_close(&c);
    hasty_app_free(app);
}

/* ---- time ---- */

TEST(time_outs_that_are_due_make_it_readable)
{
    int port;
    hasty_app *app = polled((hasty_options){.header_timeout_ms = 800, .idle_timeout_ms = 800}, &port);
    client slow = client_open(port), idle = ask_for(port, "/mine");
    client_send(&slow, "GET /mine HTT");
    CHECK(turn_until_answered(app, &idle));
    CHECK_REPLY(client_read(&idle), 200, "here");
    int64_t begin = check_now_ms();
    CHECK(turn_until_answered(app, &slow));
    CHECK_REPLY(client_read(&slow), 408, NULL);
    CHECK(turn_until_answered(app, &idle)); /* the end of it */
    CHECK(client_is_closed(&idle));
    CHECK(check_now_ms() - begin < 8000);
    client_close(&slow);
    client_close(&idle);
    hasty_app_free(app);
}

TEST(an_exchange_whose_time_is_up_is_a_504)
{
    hasty_app *app = alone((hasty_options){.exchange_timeout_ms = 1000});
    CHECK_OK(hasty_app_route(app, "GET", "/taken", NULL, NULL, NULL));
    int port = check_serve(app);
    client c = ask_for(port, "/taken");
    hasty_exchange *exchange = NULL, *none = NULL;
    CHECK_OK(hasty_app_next(app, 10000, &exchange));
    for (int64_t end = check_now_ms() + CHECK_WAIT_MS; !client_wait(&c, POLLIN, 0) && check_now_ms() < end;)
        if (is_readable(app, 20))
            CHECK_STATUS(hasty_app_next(app, 0, &none), HASTY_ERR_TIMEOUT);
    CHECK_REPLY(client_read(&c), 504, NULL);
    CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
    client_close(&c);
    hasty_app_free(app);
}

/* ---- next, stop, run ---- */

TEST(next_does_the_work_and_hands_requests_out)
{
    hasty_app *app = alone((hasty_options){0});
    polling = pthread_self();
    CHECK_OK(hasty_app_route(app, "GET", "/taken", NULL, "first", NULL));
    CHECK_OK(hasty_app_get(app, "/pool", here, NULL));
    int port = check_serve(app);
    client c = ask_for(port, "/pool"), d = ask_for(port, "/taken");
    for (int i = 0; i < 5; i++) {
        hasty_exchange *exchange = NULL;
        CHECK_OK(hasty_app_next(app, 10000, &exchange));
        CHECK_OK(hasty_response_send_text(hasty_exchange_response(exchange), "taken"));
        CHECK_OK(hasty_exchange_finish(exchange)); /* sent at once, by this thread */
        CHECK_REPLY(client_read(&d), 200, "taken");
        client_send(&d, TAKEN);
    }
    CHECK_REPLY(client_read(&c), 200, "here");
    client_close(&c);
    client_close(&d);
    hasty_app_free(app);
}

TEST(a_stop_closes_everything_without_anybody_polling)
{
    for (int freed = 0; freed < 2; freed++) {
        int port;
        uint32_t served = 0;
        hasty_app *app = polled((hasty_options){0}, &port);
        client idle = ask_for(port, "/mine"), early = client_open(port);
        CHECK(poll_until_answered(app, &idle));
        CHECK_REPLY(client_read(&idle), 200, "here");
        if (!freed) {
            hasty_app_stop(app);
            CHECK(is_readable(app, 0));
            CHECK_STATUS(hasty_app_poll(app, 1, -1, &served), HASTY_ERR_CLOSED);
            CHECK_OK(hasty_app_wait(app, 10000));
        }
        hasty_app_free(app);
        CHECK(client_is_closed(&idle));
        client_close(&idle);
        client_close(&early);
    }
}

static void *runs(void *app)
{
    CHECK_OK(hasty_app_run(app));
    return NULL;
}

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

TEST(one_thread_may_run_while_another_polls)
{
    hasty_app *app = alone((hasty_options){0});
    polling = pthread_self();
    CHECK_OK(hasty_app_get(app, "/mine", here, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/mine", "dispatch", "caller"));
    CHECK_OK(hasty_app_get(app, "/pool", fine, NULL));
    int port = check_serve(app);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, runs, app) == 0);
    for (int i = 0; i < 10; i++) {
        CHECK_REPLY(get(port, "/pool"), 200, "fine"); /* while nobody polls */
        client c = ask_for(port, "/mine");
        CHECK(poll_for(app, 1));
        CHECK_REPLY(client_read(&c), 200, "here");
        client_close(&c);
    }
    hasty_app_stop(app);
    pthread_join(thread, NULL);
    hasty_app_free(app);
}

TEST(a_request_for_the_caller_waits_while_another_runs)
{
    hasty_app *app = alone((hasty_options){0});
    polling = pthread_self();
    CHECK_OK(hasty_app_get(app, "/mine", here, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/mine", "dispatch", "caller"));
    int port = check_serve(app);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, runs, app) == 0);
    client c = ask_for(port, "/mine");
    CHECK(is_readable(app, 10000));
    CHECK(!client_more(&c, check_now_ms() + 50)); /* run is no poll */
    CHECK(poll_for(app, 1));
    CHECK_REPLY(client_read(&c), 200, "here");
    client_close(&c);
    hasty_app_stop(app);
    pthread_join(thread, NULL);
    hasty_app_free(app);
}

CHECK_MAIN
