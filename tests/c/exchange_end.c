/* Exchanges whose client leaves, whose time is up, or whose app ends; and those that stream. */
#include "parked.h"

/* ---- clients that leave ---- */

TEST(a_client_that_resets_is_gone)
{
    int port;
    hasty_app *app = serve(&port);
    notice n = {0}, late = {0};
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    CHECK_OK(hasty_exchange_on_close(exchange, notes, &n, drop_thing));
    CHECK_INT(n.called, 0);
    client_reset(&c);
    CHECK(AWAIT(n.called == 1));
    CHECK_INT(hasty_exchange_alive(exchange), 0);
    CHECK_OK(hasty_exchange_on_close(exchange, notes, &late, drop_thing)); /* at once, after the fact */
    CHECK_INT(late.called, 1);
    hasty_response_send_text(hasty_exchange_response(exchange), "to nobody");
    CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
    DROPPED_ONCE(n.data);
    DROPPED_ONCE(late.data);
    hasty_app_free(app);
    CHECK_INT(n.called + late.called, 2);
    CHECK_INT(n.data.dropped + late.data.dropped, 2);
}

TEST(a_client_that_only_ended_its_side_is_answered)
{
    int port;
    hasty_app *app = serve(&port);
    notice n = {0};
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    CHECK_OK(hasty_exchange_on_close(exchange, notes, &n, drop_thing));
    client_half_close(&c);
    CHECK(AWAIT(n.called == 1));
    CHECK_INT(hasty_exchange_alive(exchange), 0);
    CHECK_OK(finish_with(exchange, "still here?"));
    CHECK_REPLY(client_read(&c), 200, "still here?");
    CHECK(client_is_closed(&c));
    client_close(&c);
    CHECK_INT(n.called, 1);
    DROPPED_ONCE(n.data);
    hasty_app_free(app);
    CHECK_INT(n.data.dropped, 1);
}

TEST(on_close_is_not_called_for_what_was_answered)
{
    for (int freed = 0; freed < 2; freed++) {
        int port;
        hasty_app *app = serve(&port);
        notice n = {0}, ready = {0};
        client c = ask_later(port);
        hasty_exchange *exchange = take();
        CHECK_OK(hasty_exchange_on_close(exchange, notes, &n, drop_thing));
        CHECK_OK(hasty_exchange_on_ready(exchange, notes, &ready, drop_thing));
        if (freed)
            hasty_exchange_free(exchange);
        else
            CHECK_OK(finish_with(exchange, "answered"));
        int called = ready.called;
        CHECK_REPLY(client_read(&c), freed ? 503 : 200, NULL);
        client_close(&c);
        CHECK_REPLY(get(port, "/"), 200, "fine");
        hasty_app_free(app);
        CHECK_INT(n.called, 0);
        CHECK_INT(ready.called, called); /* never after finish or free has returned */
        CHECK_INT(n.data.dropped, 1);
        CHECK_INT(ready.data.dropped, 1);
    }
}

typedef struct self {
    notice n;
    hasty_exchange *_Atomic exchange;
    int frees;
} self;

static void ends_itself(void *user_data)
{
    self *s = user_data;
    s->n.called++;
    if (s->frees)
        hasty_exchange_free(s->exchange);
    else
        CHECK_STATUS(hasty_exchange_finish(s->exchange), HASTY_ERR_CLOSED);
}

TEST(an_exchange_may_be_ended_by_its_own_on_close)
{
    for (int frees = 0; frees < 2; frees++) {
        int port;
        hasty_app *app = serve(&port);
        self s = {.frees = frees};
        client c = ask_later(port);
        s.exchange = take();
        CHECK_OK(hasty_exchange_on_close(s.exchange, ends_itself, &s, drop_thing));
        client_reset(&c);
        CHECK(AWAIT(s.n.called == 1));
        DROPPED_ONCE(s.n.data);
        CHECK_REPLY(get(port, "/"), 200, "fine");
        hasty_app_free(app);
        CHECK_INT(s.n.called, 1);
        CHECK_INT(s.n.data.dropped, 1);
    }
}

TEST(a_finish_races_with_the_client)
{
    int port, rounds = check_small() ? 20 : 300;
    hasty_app *app = serve(&port);
    notice *n = check_keep(calloc((size_t)rounds, sizeof *n));
    for (int i = 0; i < rounds; i++) {
        client c = ask_later(port);
        hasty_exchange *exchange = take();
        parked_count = parked_taken = 0;
        CHECK_OK(hasty_exchange_on_close(exchange, notes, &n[i], drop_thing));
        client_reset(&c);
        for (volatile int spin = 0; spin < (i % 10) * 2000; spin++) {
        }
        hasty_response_send_text(hasty_exchange_response(exchange), "racing");
        hasty_status status = i % 3 ? hasty_exchange_finish(exchange) : (hasty_exchange_free(exchange), HASTY_OK);
        int called = n[i].called;
        CHECK(status == HASTY_OK || status == HASTY_ERR_CLOSED);
        CHECK(called <= 1);
        if (i % 16 == 0)
            CHECK_REPLY(get(port, "/"), 200, "fine");
        CHECK_INT(n[i].called, called);
    }
    hasty_app_free(app);
    for (int i = 0; i < rounds; i++)
        CHECK_INT(n[i].data.dropped, 1);
}

/* ---- time ---- */

TEST(an_exchange_that_takes_too_long_is_a_504)
{
    hasty_app *app = new_app(0);
    notice n = {0};
    CHECK_OK(hasty_app_set_option(app, "exchange_timeout_ms", "60000"));
    CHECK_OK(hasty_app_set_route_option(app, "*", "/later", "exchange_timeout_ms", "300"));
    int port = check_serve(app);
    int64_t begin = check_now_ms();
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    CHECK_OK(hasty_exchange_on_close(exchange, notes, &n, drop_thing));
    reply r = client_read(&c);
    CHECK_REPLY(r, 504, NULL);
    CHECK(r.body_len > 0);
    CHECK(check_now_ms() - begin >= 250 && check_now_ms() - begin < 5000);
    CHECK_STR(hasty_request_target(hasty_exchange_request(exchange)), "/later"); /* the objects stay */
    CHECK_STATUS(hasty_response_write(hasty_exchange_response(exchange), "x", 1), HASTY_ERR_CLOSED);
    CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
    client other = client_open(port);
    client_send(&other, request_text("GET", "/later/x", NULL, NULL)); /* another route, another time */
    CHECK_OK(finish_with(take(), "in time"));
    CHECK_REPLY(client_read(&other), 200, "in time");
    client_close(&other);
    client_close(&c);
    hasty_app_free(app);
    CHECK(n.called <= 1);
    CHECK_INT(n.data.dropped, 1);
}

/* ---- the end of the app ---- */

TEST(stop_answers_503_and_finish_comes_too_late)
{
    for (int way = 0; way < 3; way++) {
        int port;
        hasty_app *app = serve(&port);
        notice n = {0};
        client c = ask_later(port);
        hasty_exchange *exchange = take();
        CHECK_OK(hasty_exchange_on_close(exchange, notes, &n, drop_thing));
        hasty_app_stop(app);
        CHECK_REPLY(client_read(&c), 503, NULL);
        CHECK_OK(hasty_app_wait(app, 10000));
        if (way > 0)
            hasty_app_free(app);
        CHECK_INT(hasty_exchange_alive(exchange), 0);
        CHECK_STR(hasty_request_target(hasty_exchange_request(exchange)), "/later");
        hasty_response_send_text(hasty_exchange_response(exchange), "too late");
        if (way == 2)
            hasty_exchange_free(exchange);
        else
            CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
        if (way == 0)
            hasty_app_free(app);
        client_close(&c);
        CHECK(n.called <= 1);
        CHECK_INT(n.data.dropped, 1);
    }
}

TEST(after_free_an_exchange_can_still_be_used)
{
    int port;
    notice route = {0}, close = {0}, ready = {0};
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_route(app, "GET", "/own", parks, &route, drop_thing));
    port = check_serve(app);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/own", NULL, NULL));
    hasty_exchange *exchange = take();
    hasty_app_free(app);
    CHECK_INT(route.data.dropped, 1);
    hasty_response *res = hasty_exchange_response(exchange);
    CHECK_STATUS(hasty_response_write(res, "x", 1), HASTY_ERR_CLOSED);
    CHECK_OK(hasty_exchange_on_close(exchange, notes, &close, drop_thing));
    CHECK_INT(close.called, 1);
    hasty_exchange_on_ready(exchange, notes, &ready, drop_thing);
    CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
    CHECK_INT(close.data.dropped, 1);
    CHECK_INT(ready.data.dropped, 1);
    client_close(&c);
}

static void *finishes_soon(void *exchange)
{
    check_pause_ms(100);
    CHECK_OK(finish_with(exchange, "drained"));
    return NULL;
}

TEST(drain_waits_for_open_exchanges)
{
    int port;
    hasty_app *app = serve(&port);
    client c = ask_later(port);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, finishes_soon, take()) == 0);
    CHECK_OK(hasty_app_drain(app, 10000));
    reply r = client_read(&c);
    CHECK_REPLY(r, 200, "drained");
    CHECK(reply_lists(&r, "Connection", "close"));
    pthread_join(thread, NULL);
    client_close(&c);
    hasty_app_free(app);
}

/* ---- streaming ---- */

TEST(an_exchange_may_stream)
{
    int port;
    hasty_app *app = serve(&port);
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    hasty_response *res = hasty_exchange_response(exchange);
    CHECK_OK(hasty_response_set_type(res, "txt"));
    CHECK_OK(hasty_response_write(res, "one", 3));
    CHECK_INT(client_read_head(&c).status, 200);
    CHECK_TEXT(client_read_chunk(&c), "one");
    CHECK_STATUS(hasty_response_set_status(res, 404), HASTY_ERR_STATE);
    CHECK_OK(hasty_response_write(res, "two", 3));
    CHECK_TEXT(client_read_chunk(&c), "two");
    CHECK_OK(hasty_response_write_event(res, NULL, "three", NULL));
    CHECK_CONTAINS(client_read_chunk(&c), "data: three\n");
    CHECK_OK(hasty_exchange_finish(exchange));
    CHECK_TEXT(client_read_chunk(&c), "");
    CHECK_REPLY(client_ask(&c, QUICK), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_stream_given_up_is_cut)
{
    int port;
    hasty_app *app = serve(&port);
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    CHECK_OK(hasty_response_write(hasty_exchange_response(exchange), "begun", 5));
    hasty_exchange_free(exchange);
    char *all = client_read_all(&c);
    REQUIRE(all != NULL);
    CHECK(strlen(all) > 10 && strcmp(all + strlen(all) - 10, "5\r\nbegun\r\n") == 0);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_full_stream_says_limit_and_tells_once_when_there_is_room)
{
    static const char block[16384];
    int port;
    hasty_app *app = serve(&port);
    notice ready = {0};
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    hasty_response *res = hasty_exchange_response(exchange);
    hasty_status status;
    size_t written = 0;
    while ((status = hasty_response_write(res, block, sizeof block)) == HASTY_OK && written < (size_t)64 << 20)
        written += sizeof block;
    REQUIRE(CHECK_STATUS(status, HASTY_ERR_LIMIT));
    CHECK_STATUS(hasty_response_write(res, block, sizeof block), HASTY_ERR_LIMIT);
    CHECK_OK(hasty_exchange_on_ready(exchange, notes, &ready, drop_thing));
    check_pause_ms(50);
    CHECK_INT(ready.called, 0);
    for (size_t read = 0; read < written / 2 && client_more(&c, check_now_ms() + 10000);)
        read = c.len;
    for (int64_t end = check_now_ms() + 10000; ready.called == 0 && client_more(&c, end);) {
    }
    CHECK(AWAIT(ready.called == 1));
    CHECK_OK(hasty_response_write(res, "more", 4)); /* what was refused has left no trace, and there is room */
    CHECK_OK(hasty_exchange_finish(exchange));
    reply r = client_read(&c);
    CHECK_REPLY(r, 200, NULL);
    CHECK_INT(r.body_len, written + 4);
    CHECK(r.body_len > 4 && memcmp(r.body + r.body_len - 4, "more", 4) == 0);
    client_close(&c);
    hasty_app_free(app);
    CHECK_INT(ready.called, 1);
    CHECK_INT(ready.data.dropped, 1);
}

TEST(a_stream_whose_client_left_is_closed)
{
    static const char block[16384];
    int port;
    hasty_app *app = serve(&port);
    notice gone = {0};
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    hasty_response *res = hasty_exchange_response(exchange);
    CHECK_OK(hasty_exchange_on_close(exchange, notes, &gone, drop_thing));
    CHECK_OK(hasty_response_write(res, block, sizeof block));
    CHECK_INT(client_read_head(&c).status, 200);
    client_reset(&c);
    CHECK(AWAIT(gone.called == 1));
    CHECK_STATUS(hasty_response_write(res, block, sizeof block), HASTY_ERR_CLOSED);
    CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
    DROPPED_ONCE(gone.data);
    hasty_app_free(app);
    CHECK_INT(gone.called, 1);
}

CHECK_MAIN
