/* Exchanges whose client leaves, whose time is up, or whose app ends. */
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
    CHECK(check_now_ms() - begin >= 250 && check_now_ms() - begin < 10000);
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

/* ---- app and exchange at once ---- */

static void *finishes(void *exchange)
{
    hasty_response_send_text(hasty_exchange_response(exchange), "racing");
    hasty_status status = hasty_exchange_finish(exchange);
    CHECK(status == HASTY_OK || status == HASTY_ERR_CLOSED);
    return NULL;
}

TEST(a_finish_races_with_the_end_of_the_app)
{
    int rounds = check_small() ? 10 : 100;
    for (int i = 0; i < rounds; i++) {
        int port;
        hasty_app *app = serve(&port);
        notice n = {0};
        client c = ask_later(port);
        hasty_exchange *exchange = take();
        CHECK_OK(hasty_exchange_on_close(exchange, notes, &n, drop_thing));
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, finishes, exchange) == 0);
        for (volatile int spin = 0; spin < (i % 10) * 3000; spin++) {
        }
        hasty_app_free(app);
        pthread_join(thread, NULL);
        reply r = client_read(&c);
        CHECK(r.status == 200 || r.status == 503);
        CHECK_INT(n.data.dropped, 1);
        client_close(&c);
    }
}

/* A file part that is put aside lives as long as the exchange, and no longer. */
HANDLER(parks_with_a_local)
{
    CHECK_INT(hasty_request_file_count(req), 1);
    return parks(req, res, user_data);
}

TEST(a_spooled_file_lives_as_long_as_the_exchange)
{
    char spool[] = "/tmp/hasty-c-exchange-XXXXXX";
    REQUIRE(mkdtemp(spool) != NULL);
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_set_option(app, "spool_directory", spool));
    CHECK_OK(hasty_app_set_option(app, "spool_bytes", "1000"));
    CHECK_OK(hasty_app_post(app, "/upload", parks_with_a_local, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    char *body = check_format("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n%s\r\n--b--\r\n",
                              check_repeat("0123456789", 1000));
    client_send(&c, request_text("POST", "/upload", "Content-Type: multipart/form-data; boundary=b\r\n", body));
    hasty_exchange *exchange = take();
    hasty_file file = {.size = sizeof file};
    CHECK_OK(hasty_request_file(hasty_exchange_request(exchange), "f", &file));
    REQUIRE(file.path != NULL);
    char *path = check_keep(strdup(file.path));
    CHECK_INT(file.length, 10000);
    CHECK_INT(access(path, R_OK), 0);
    CHECK_OK(finish_with(exchange, "taken"));
    CHECK_REPLY(client_read(&c), 200, "taken");
    CHECK(AWAIT(access(path, F_OK) != 0));
    client_close(&c);
    hasty_app_free(app);
    CHECK_INT(rmdir(spool), 0);
}

CHECK_MAIN
