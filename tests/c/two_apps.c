/* Two apps in one process: neither knows of the other, whatever becomes of one, and a handler of one may use the other. */
#include "host.h"

HANDLER(says)
{
    return hasty_response_send_text(res, user_data);
}

static hasty_app *saying(const char *text, uint32_t threads)
{
    hasty_options options = {.size = sizeof options, .threads = threads};
    hasty_app *app = check_app(&options);
    CHECK_OK(hasty_app_get(app, "/who", says, (void *)text));
    return app;
}

/* ---- one ends, the other goes on ---- */

static _Atomic int gate_entered, gate_open;

HANDLER(waits_at_the_gate)
{
    gate_entered++;
    AWAIT(gate_open);
    return hasty_response_send_text(res, "through");
}

TEST(a_handler_of_one_runs_while_the_other_ends)
{
    for (int way = 0; way < 3; way++) {
        gate_entered = gate_open = 0;
        hasty_app *one = check_app(NULL), *two = saying("two", 0);
        CHECK_OK(hasty_app_get(one, "/gate", waits_at_the_gate, NULL));
        int port_one = check_serve(one), port_two = check_serve(two);
        client at_the_gate = client_open(port_one);
        client_send(&at_the_gate, request_text("GET", "/gate", NULL, NULL));
        CHECK(AWAIT(gate_entered == 1));
        CHECK_REPLY(get(port_two, "/who"), 200, "two");
        if (way == 0)
            hasty_app_stop(two);
        if (way == 0)
            CHECK_OK(hasty_app_wait(two, 10000)); /* it does not wait for the handler of the other */
        if (way == 1)
            CHECK_OK(hasty_app_drain(two, 10000));
        hasty_app_free(two);
        gate_open = 1;
        CHECK_REPLY(client_read(&at_the_gate), 200, "through");
        CHECK_REPLY(client_ask(&at_the_gate, request_text("GET", "/gate", NULL, NULL)), 200, "through");
        client_close(&at_the_gate);
        hasty_app_free(one);
    }
}

static void *hammers(void *port)
{
    for (int i = 0; i < (check_small() ? 20 : 400); i++)
        CHECK_REPLY(get(*(int *)port, "/who"), 200, "stays");
    return NULL;
}

TEST(one_is_served_without_a_gap_while_others_come_and_go)
{
    hasty_app *stays = saying("stays", 0);
    int port = check_serve(stays);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, hammers, &port) == 0);
    for (int i = 0; i < (check_small() ? 5 : 50); i++) {
        hasty_app *goes = saying("goes", i % 2 ? 1 : 0);
        CHECK_REPLY(get(check_serve(goes), "/who"), 200, "goes");
        hasty_app_free(goes);
    }
    pthread_join(thread, NULL);
    hasty_app_free(stays);
}

TEST(each_runs_on_the_threads_it_was_given)
{
    hasty_app *one = saying("one", HASTY_NONE), *two = saying("two", HASTY_NONE);
    CHECK_OK(hasty_app_listen(one, NULL, 0));
    CHECK_OK(hasty_app_listen(two, NULL, 0));
    runner run_one, run_two;
    start_runner(&run_one, one);
    start_runner(&run_two, two);
    CHECK_REPLY(get(hasty_app_port(one), "/who"), 200, "one");
    CHECK_REPLY(get(hasty_app_port(two), "/who"), 200, "two");
    hasty_app_stop(one);
    join_runner(&run_one);
    CHECK_REPLY(get(hasty_app_port(two), "/who"), 200, "two");
    CHECK(!run_two.returned);
    hasty_app_free(one);
    CHECK_REPLY(get(hasty_app_port(two), "/who"), 200, "two");
    hasty_app_stop(two);
    join_runner(&run_two);
    hasty_app_free(two);
}

/* ---- a handler of one uses the other ---- */

typedef struct pair {
    hasty_app *other;
    int port;
} pair;

HANDLER(asks_the_other)
{
    pair *p = user_data;
    reply r = get(p->port, "/who");
    CHECK_REPLY(r, 200, NULL);
    return hasty_response_send_text(res, check_format("it is %s", r.body ? r.body : "nobody"));
}

TEST(a_handler_may_be_a_client_of_the_other)
{
    static pair p;
    p.other = saying("two", 1);
    p.port = check_serve(p.other);
    hasty_options options = {.size = sizeof options, .threads = 1};
    hasty_app *one = check_app(&options);
    CHECK_OK(hasty_app_get(one, "/who", asks_the_other, &p));
    int port = check_serve(one);
    for (int i = 0; i < 10; i++)
        CHECK_REPLY(get(port, "/who"), 200, "it is two");
    hasty_app_free(one);
    hasty_app_free(p.other);
}

/* The whole life of another app, inside a handler. */
HANDLER(lives_another_life)
{
    hasty_app *other = saying("another", 2);
    CHECK_STATUS(hasty_app_wait(other, 0), HASTY_ERR_STATE); /* it was not started: that is all there is to say */
    CHECK_ERROR_NAMES("start");
    int port = check_serve(other);
    CHECK_REPLY(get(port, "/who"), 200, "another");
    CHECK_STATUS(hasty_app_wait(other, 0), HASTY_ERR_TIMEOUT);
    if (user_data != NULL) {
        CHECK_OK(hasty_app_drain(other, 10000));
        CHECK_OK(hasty_app_wait(other, -1));
    }
    hasty_app_free(other);
    return hasty_response_send_text(res, "lived");
}

TEST(a_handler_may_start_drain_and_free_another_app)
{
    int fds = fd_count(), threads = thread_count();
    hasty_app *one = check_app(NULL);
    CHECK_OK(hasty_app_get(one, "/drained", lives_another_life, "drained"));
    CHECK_OK(hasty_app_get(one, "/freed", lives_another_life, NULL));
    int port = check_serve(one);
    CHECK_REPLY(get(port, "/drained"), 200, "lived");
    CHECK_REPLY(get(port, "/freed"), 200, "lived");
    hasty_app_free(one);
    CHECK_INT(fd_count(), fds);
    CHECK(AWAIT(thread_count() == threads));
}

HANDLER(runs_the_other)
{
    CHECK_OK(hasty_app_run(((pair *)user_data)->other)); /* until somebody stops it */
    return hasty_response_send_text(res, "it ran");
}

TEST(a_handler_may_run_the_other)
{
    static pair p;
    p.other = saying("two", HASTY_NONE);
    CHECK_OK(hasty_app_listen(p.other, NULL, 0));
    hasty_app *one = check_app(NULL);
    CHECK_OK(hasty_app_get(one, "/run", runs_the_other, &p));
    int port = check_serve(one);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/run", NULL, NULL));
    CHECK_REPLY(get(hasty_app_port(p.other), "/who"), 200, "two");
    hasty_app_stop(p.other);
    CHECK_REPLY(client_read(&c), 200, "it ran");
    client_close(&c);
    hasty_app_free(one);
    hasty_app_free(p.other);
}

HANDLER(polls_the_other)
{
    uint32_t served = 0;
    hasty_status status = hasty_app_poll(((pair *)user_data)->other, 1, 10000, &served);
    return hasty_response_send_text(res, check_format("%s %u", hasty_status_name(status), served));
}

TEST(a_handler_may_poll_the_other)
{
    static pair p;
    p.other = saying("two", 0);
    CHECK_OK(hasty_app_set_route_option(p.other, "GET", "/who", "dispatch", "caller"));
    p.port = check_serve(p.other);
    hasty_app *one = check_app(NULL);
    CHECK_OK(hasty_app_get(one, "/poll", polls_the_other, &p));
    CHECK_OK(hasty_app_get(one, "/too", polls_the_other, &p));
    CHECK_OK(hasty_app_set_route_option(one, "GET", "/too", "dispatch", "caller"));
    int port = check_serve(one);
    client c = client_open(port), asks = client_open(p.port);
    client_send(&c, request_text("GET", "/poll", NULL, NULL));
    CHECK_REPLY(client_ask(&asks, request_text("GET", "/who", NULL, NULL)), 200, "two");
    CHECK_REPLY(client_read(&c), 200, "HASTY_OK 1");

    client_send(&c, request_text("GET", "/too", NULL, NULL)); /* a poll of one inside a poll of the other */
    client_send(&asks, request_text("GET", "/who", NULL, NULL));
    uint32_t served = 0;
    CHECK_OK(hasty_app_poll(one, 1, 10000, &served));
    CHECK_REPLY(client_read(&asks), 200, "two");
    CHECK_REPLY(client_read(&c), 200, "HASTY_OK 1");
    client_close(&c);
    client_close(&asks);
    hasty_app_free(one);
    hasty_app_free(p.other);
}

/* ---- what is each one's own ---- */

static hasty_exchange *_Atomic held;

HANDLER(defers)
{
    hasty_exchange *exchange = NULL;
    CHECK_OK(hasty_response_defer(res, &exchange));
    held = exchange;
    return HASTY_OK;
}

HANDLER(finishes_what_is_held)
{
    CHECK_OK(hasty_response_send_text(hasty_exchange_response(held), "across"));
    CHECK_OK(hasty_exchange_finish(held));
    held = NULL;
    return hasty_response_send_text(res, "done");
}

TEST(a_handler_may_finish_an_exchange_of_the_other)
{
    hasty_app *one = check_app(NULL), *two = check_app(NULL);
    CHECK_OK(hasty_app_get(one, "/", defers, NULL));
    CHECK_OK(hasty_app_get(two, "/", finishes_what_is_held, NULL));
    int port_one = check_serve(one), port_two = check_serve(two);
    client c = client_open(port_one);
    for (int i = 0; i < 10; i++) {
        client_send(&c, QUICK);
        CHECK(AWAIT(held != NULL));
        CHECK_REPLY(get(port_two, "/"), 200, "done");
        CHECK_REPLY(client_read(&c), 200, "across");
    }
    client_close(&c);
    hasty_app_free(two);
    hasty_app_free(one);
}

TEST(a_stop_a_wake_and_a_descriptor_are_those_of_one)
{
    hasty_app *one = saying("one", 0), *two = saying("two", 0);
    CHECK_OK(hasty_app_set_route_option(one, "GET", "/who", "dispatch", "caller"));
    CHECK_OK(hasty_app_set_route_option(two, "GET", "/who", "dispatch", "caller"));
    int port_two = (check_serve(one), check_serve(two));
    CHECK(hasty_app_fd(one) >= 0 && hasty_app_fd(two) >= 0 && hasty_app_fd(one) != hasty_app_fd(two));
    uint32_t served = 0;
    hasty_app_wake(one);
    hasty_app_stop(one);
    client c = client_open(port_two);
    client_send(&c, request_text("GET", "/who", NULL, NULL));
    CHECK_OK(hasty_app_poll(two, 1, 10000, &served));
    CHECK_REPLY(client_read(&c), 200, "two");
    CHECK_STATUS(hasty_app_poll(two, 1, 0, &served), HASTY_ERR_TIMEOUT);
    client_close(&c);
    hasty_app_free(one);
    hasty_app_free(two);
}

CHECK_MAIN
