/* Slots of an app without library threads: take and wait do all of its work. */
#include "slot.h"

HANDLER(pool)
{
    CHECK_HERE(); /* there is no other thread */
    return hasty_response_send_text(res, "the pool's");
}

/* GET /taken, POST /taken, GET /taken/:id for the slot, /pool and /files for the library. */
static hasty_app *alone(const hasty_options *more, int *port)
{
    hasty_options options = {.size = sizeof options};
    if (more != NULL)
        options = *more;
    options.threads = HASTY_NONE;
    hasty_app *app = taken_app(&options);
    CHECK_OK(hasty_app_get(app, "/pool", pool, NULL));
    CHECK_OK(hasty_app_static(app, "/files", "include", NULL));
    CHECK_OK(hasty_app_health(app, "/healthz"));
    *port = check_serve(app);
    return app;
}

/* Clients in a thread of their own, since this one serves. */
typedef struct asker {
    pthread_t thread;
    hasty_app *app;
    void (*asks)(int port);
} asker;

static void *asks(void *data)
{
    asker *a = data;
    a->asks(hasty_app_port(a->app));
    hasty_app_stop(a->app);
    return NULL;
}

/* Serves the slot's routes here while `what` asks, and tells how many there were. */
static int serve_while(hasty_app *app, void (*what)(int port))
{
    asker a = {.app = app, .asks = what};
    hasty_slot slot = slot_of(app);
    CHECK(pthread_create(&a.thread, NULL, asks, &a) == 0);
    int count = slot_serve(&slot, "taken");
    pthread_join(a.thread, NULL);
    return count;
}

static void asks_for_everything(int port)
{
    client c = client_open(port);
    for (int i = 0; i < 10; i++) {
        CHECK_REPLY(client_ask(&c, TAKEN), 200, "taken");
        CHECK_REPLY(client_ask(&c, request_text("GET", "/pool", NULL, NULL)), 200, "the pool's");
        CHECK_REPLY(get(port, "/files/hasty.h"), 200, NULL);
        CHECK_REPLY(get(port, "/nowhere"), 404, NULL);
        CHECK_REPLY(get(port, "/healthz"), 200, NULL);
        CHECK_REPLY(ask_method(port, "OPTIONS", "/taken"), 204, NULL);
    }
    client_close(&c);
}

TEST(one_thread_does_everything)
{
    int port;
    hasty_app *app = alone(NULL, &port);
    CHECK_INT(serve_while(app, asks_for_everything), 10);
    hasty_app_free(app);
}

static void asks_pipelined(int port)
{
    client c = client_open(port);
    char *pool_route = request_text("GET", "/pool", NULL, NULL);
    for (int round = 0; round < 5; round++) {
        client_send(&c, check_format("%s%s%s%s%s", TAKEN, TAKEN, pool_route, TAKEN, pool_route));
        CHECK_REPLY(client_read(&c), 200, "taken");
        CHECK_REPLY(client_read(&c), 200, "taken");
        CHECK_REPLY(client_read(&c), 200, "the pool's");
        CHECK_REPLY(client_read(&c), 200, "taken");
        CHECK_REPLY(client_read(&c), 200, "the pool's");
    }
    client_close(&c);
}

TEST(pipelined_requests_are_answered_in_their_order)
{
    int port;
    hasty_app *app = alone(NULL, &port);
    CHECK_INT(serve_while(app, asks_pipelined), 15);
    hasty_app_free(app);
}

static void asks_on_many_connections(int port)
{
    enum { CLIENTS = 50 };
    client c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        c[i] = client_open(port);
    for (int round = 0; round < (check_small() ? 3 : 20); round++) {
        for (int i = 0; i < CLIENTS; i++)
            client_send(&c[i], TAKEN);
        for (int i = 0; i < CLIENTS; i++)
            CHECK_REPLY(client_read(&c[i]), 200, "taken");
    }
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
}

TEST(many_connections_are_served_by_one_thread)
{
    int port;
    hasty_app *app = alone(NULL, &port);
    CHECK_INT(serve_while(app, asks_on_many_connections), 50 * (check_small() ? 3 : 20));
    hasty_app_free(app);
}

static void asks_with_bodies(int port)
{
    char *text = check_repeat("0123456789", 100000);
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, request_text("POST", "/taken", NULL, text)), 200, "taken");
    client_send_pieces(&c, request_text("POST", "/taken", NULL, "in small pieces"), 3);
    CHECK_REPLY(client_read(&c), 200, "taken");
    client_send(&c, "POST /taken HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    CHECK_INT(client_read_head(&c).status, 100);
    client_send(&c, "hello");
    CHECK_REPLY(client_read(&c), 200, "taken");
    client_close(&c);
}

TEST(bodies_are_received_between_takes)
{
    int port;
    hasty_app *app = alone(NULL, &port);
    CHECK_INT(serve_while(app, asks_with_bodies), 3);
    hasty_app_free(app);
}

/* ---- time-outs ---- */

static void waits_to_be_dismissed(int port)
{
    client silent = client_open(port), slow = client_open(port), idle = client_open(port);
    client_send(&slow, "GET /taken HTT");
    CHECK_REPLY(client_ask(&idle, TAKEN), 200, "taken");
    CHECK_REPLY(client_read(&slow), 408, NULL);
    CHECK(client_is_closed(&idle));
    client_close(&silent);
    client_close(&slow);
    client_close(&idle);
}

TEST(time_outs_come_while_the_thread_waits)
{
    hasty_options options = {.size = sizeof options, .header_timeout_ms = 800, .idle_timeout_ms = 800};
    int port;
    hasty_app *app = alone(&options, &port);
    CHECK_INT(serve_while(app, waits_to_be_dismissed), 1);
    hasty_app_free(app);
}

/* ---- several threads, none of the library's ---- */

static void *serves(void *app)
{
    hasty_slot slot = slot_of(app);
    int *count = check_keep(calloc(1, sizeof *count));
    *count = slot_serve(&slot, "taken");
    return count;
}

TEST(several_threads_share_the_work)
{
    enum { THREADS = 3 };
    int port, sum = 0;
    hasty_options options = {.size = sizeof options, .threads = HASTY_NONE};
    hasty_app *app = taken_app(&options);
    port = check_serve(app);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, serves, app) == 0);
    asks_on_many_connections(port);
    hasty_app_stop(app);
    for (int i = 0; i < THREADS; i++) {
        void *count;
        pthread_join(threads[i], &count);
        sum += *(int *)count;
    }
    CHECK_INT(sum, 50 * (check_small() ? 3 : 20));
    hasty_app_free(app);
}

static _Atomic int answered;

static void *asks_once(void *app)
{
    CHECK_REPLY(get(hasty_app_port(app), "/taken"), 200, "a slow one");
    answered = 1;
    return NULL;
}

static void *asks_the_other_route(void *app)
{
    CHECK_REPLY(get(hasty_app_port(app), "/theirs"), 200, "theirs");
    answered = 2;
    return NULL;
}

static _Atomic int others_end;

static void *waits_beside(void *app)
{
    hasty_slot slot = slot_of(app);
    while (!others_end)
        hasty_slot_wait(&slot, 20);
    return NULL;
}

TEST(a_thread_in_wait_serves_the_librarys_routes_while_another_computes)
{
    hasty_options options = {.size = sizeof options, .threads = HASTY_NONE};
    hasty_app *app = taken_app(&options);
    check_serve(app);
    answered = others_end = 0;
    pthread_t slow, quick, beside;
    hasty_slot slot = slot_of(app);
    REQUIRE(pthread_create(&slow, NULL, asks_once, app) == 0);
    REQUIRE(slot_next(&slot));
    REQUIRE(pthread_create(&beside, NULL, waits_beside, app) == 0);
    REQUIRE(pthread_create(&quick, NULL, asks_the_other_route, app) == 0);
    CHECK(AWAIT(answered == 2)); /* while this thread has a request in its hands */
    slot_reply(&slot, "a slow one");
    hasty_slot_take(&slot);
    CHECK(AWAIT(answered == 1));
    others_end = 1;
    pthread_join(beside, NULL);
    pthread_join(quick, NULL);
    pthread_join(slow, NULL);
    hasty_app_free(app);
}

/* ---- later, and the end ---- */

TEST(an_exchange_of_a_slot_is_finished_by_another_thread)
{
    int port;
    hasty_app *app = alone(NULL, &port);
    hasty_slot slot = slot_of(app);
    hasty_exchange *exchange = NULL;
    client c = ask_for(port, "/taken");
    REQUIRE(slot_next(&slot));
    CHECK_OK(hasty_slot_exchange(&slot, &exchange));
    CHECK_OK(hasty_response_send_text(hasty_exchange_response(exchange), "later"));
    CHECK_OK(hasty_exchange_finish(exchange)); /* sends, though nobody is in take or wait */
    CHECK_REPLY(client_read(&c), 200, "later");
    client_close(&c);
    hasty_app_free(app);
}

TEST(the_descriptor_tells_when_to_take)
{
    int port;
    hasty_app *app = alone(NULL, &port);
    hasty_slot slot = slot_of(app);
    CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_TIMEOUT);
    client c = ask_for(port, "/taken");
    int taken = 0;
    for (int64_t end = check_now_ms() + 10000; !taken && check_now_ms() < end;) {
        CHECK(is_readable(app, 10000));
        taken = hasty_slot_take(&slot) == HASTY_OK;
    }
    REQUIRE(taken);
    slot_reply(&slot, "told");
    slot_submit(&slot);
    CHECK_REPLY(client_read(&c), 200, "told");
    int rests = 0; /* a timer ticks while there are connections, but not all the time */
    for (int look = 0; look < 5 && !rests; look++) {
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_TIMEOUT);
        rests = !is_readable(app, 50);
    }
    CHECK(rests);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_stop_and_a_free_end_it)
{
    for (int way = 0; way < 3; way++) {
        int port;
        hasty_app *app = alone(NULL, &port);
        hasty_slot slot = slot_of(app);
        client c = ask_for(port, "/taken");
        REQUIRE(slot_next(&slot));
        if (way < 2)
            hasty_app_stop(app);
        if (way == 0) {
            slot_reply(&slot, "the last one");
            CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_CLOSED);
            CHECK_INT(slot.ticket, 0);
            CHECK_STATUS(hasty_slot_wait(&slot, -1), HASTY_ERR_CLOSED);
            CHECK_OK(hasty_app_wait(app, 10000));
        }
        hasty_app_free(app);
        char *all = client_read_all(&c);
        CHECK(all != NULL);
        if (way == 0 && all != NULL)
            CHECK_CONTAINS(all, "the last one");
        client_close(&c);
    }
}

CHECK_MAIN
