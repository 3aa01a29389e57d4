/* Exchanges that stream: their buffer, on_ready, and very many of them at once. */
#include "parked.h"

#include <sys/resource.h>

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
    hasty_status status = HASTY_OK;
    size_t written = 0;
    /* The kernel finds room again for some time after it had none: full is what is refused so many times in a row. */
    for (int refused = 0; refused < 30 && written < (size_t)64 << 20;) {
        status = hasty_response_write(res, block, sizeof block);
        if (status == HASTY_OK) {
            written += sizeof block;
            refused = 0;
        } else {
            refused++;
            check_pause_ms(10);
        }
    }
    REQUIRE(CHECK_STATUS(status, HASTY_ERR_LIMIT));
    CHECK_OK(hasty_exchange_on_ready(exchange, notes, &ready, drop_thing));
    check_pause_ms(50);
    CHECK_INT(ready.called, 0);
    for (size_t read = 0; read < written / 2 && client_more(&c, check_now_ms() + 10000);)
        read = c.len;
    for (int64_t end = check_now_ms() + 10000; ready.called == 0 && client_more(&c, end);) {
    }
    CHECK(AWAIT(ready.called == 1));
    CHECK_OK(hasty_response_write(res, block, sizeof block)); /* what was refused has left no trace, and there is room */
    CHECK_OK(hasty_response_write(res, "more", 4));
    written += sizeof block;
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

static notice room_for_more;
static hasty_exchange *filled;

HANDLER(fills)
{
    static const char block[1024];
    CHECK_OK(hasty_response_defer(res, &filled));
    int pieces = 0;
    while (pieces < 4096 && hasty_response_write(hasty_exchange_response(filled), block, sizeof block) == HASTY_OK)
        pieces++;
    CHECK(pieces > 0 && pieces <= 256); /* of stream_buffer_bytes: a socket would have taken more */
    CHECK_OK(hasty_exchange_on_ready(filled, notes, &room_for_more, drop_thing));
    CHECK_INT(room_for_more.called, 0);
    return HASTY_OK;
}

TEST(nothing_of_a_deferred_answer_leaves_before_its_handler_has_returned)
{
    hasty_app *app = new_app(2);
    CHECK_OK(hasty_app_get(app, "/fill", fills, NULL));
    client c = client_open(check_serve(app));
    client_send(&c, request_text("GET", "/fill", NULL, NULL));
    for (int64_t end = check_now_ms() + 10000; room_for_more.called == 0 && client_more(&c, end);) {
    }
    CHECK(AWAIT(room_for_more.called == 1));
    CHECK_OK(hasty_exchange_finish(filled));
    reply r = client_read(&c);
    CHECK_REPLY(r, 200, NULL);
    CHECK(r.body_len > 0 && r.body_len % 1024 == 0);
    client_close(&c);
    hasty_app_free(app);
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

TEST(an_old_client_and_head_get_what_they_can)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    client_send(&c, "GET /later HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    hasty_exchange *exchange = take();
    CHECK_OK(hasty_response_write(hasty_exchange_response(exchange), "old", 3));
    CHECK_OK(hasty_response_write(hasty_exchange_response(exchange), "er", 2));
    CHECK_OK(hasty_exchange_finish(exchange));
    reply r = client_read(&c);
    CHECK_REPLY(r, 200, "older");
    CHECK(!r.chunked && !r.sized);
    client_close(&c);
    c = client_open(port);
    client_send(&c, request_text("HEAD", "/later", NULL, NULL));
    exchange = take();
    hasty_response_write(hasty_exchange_response(exchange), "nothing", 7);
    CHECK_STATUS(hasty_response_write(hasty_exchange_response(exchange), "nothing", 7), HASTY_ERR_CLOSED);
    hasty_exchange_finish(exchange);
    CHECK_INT(client_read_for(&c, "HEAD").status, 200);
    CHECK_REPLY(client_ask(&c, QUICK), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(the_time_out_ends_at_the_first_byte)
{
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_set_option(app, "exchange_timeout_ms", "1500"));
    int port = check_serve(app);
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    CHECK_OK(hasty_response_write(hasty_exchange_response(exchange), "a", 1));
    check_pause_ms(2200);
    CHECK_INT(hasty_exchange_alive(exchange), 1);
    CHECK_OK(hasty_response_write(hasty_exchange_response(exchange), "b", 1));
    CHECK_OK(hasty_exchange_finish(exchange));
    CHECK_REPLY(client_read(&c), 200, "ab");
    client_close(&c);
    hasty_app_free(app);
}

/* Adds to what waits until the client is given up or the time is over: the kernel goes on moving what it has been given, and finds
   room again for some time after it had none. */
static void write_until_given_up(hasty_exchange *exchange, size_t piece)
{
    static const char block[16384];
    hasty_response *res = hasty_exchange_response(exchange);
    int64_t end = check_now_ms() + 10000;
    while (hasty_exchange_alive(exchange) && check_now_ms() < end) {
        while (hasty_response_write(res, block, sizeof block) == HASTY_OK) {
        }
        hasty_response_write(res, block, piece);
        check_pause_ms(20);
    }
}

TEST(a_client_that_reads_nothing_is_gone_after_write_timeout)
{
    hasty_app *app = new_app(0);
    notice gone = {0};
    CHECK_OK(hasty_app_set_option(app, "write_timeout_ms", "300"));
    int port = check_serve(app);
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    CHECK_OK(hasty_exchange_on_close(exchange, notes, &gone, drop_thing));
    write_until_given_up(exchange, 0);
    CHECK(AWAIT(gone.called == 1));
    CHECK_INT(hasty_exchange_alive(exchange), 0);
    CHECK_STATUS(hasty_response_write(hasty_exchange_response(exchange), "x", 1), HASTY_ERR_CLOSED);
    CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
    client_close(&c);
    hasty_app_free(app);
    CHECK_INT(gone.data.dropped, 1);
}

TEST(pieces_that_nobody_takes_are_no_progress)
{
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_set_option(app, "write_timeout_ms", "400"));
    int port = check_serve(app);
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    write_until_given_up(exchange, 1);
    CHECK_INT(hasty_exchange_alive(exchange), 0);
    hasty_exchange_free(exchange);
    client_close(&c);
    hasty_app_free(app);
}

TEST(an_answer_that_nobody_takes_is_given_up)
{
    static char big[16 << 20];
    thing owned = {0};
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_set_option(app, "write_timeout_ms", "300"));
    int port = check_serve(app);
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    CHECK_OK(hasty_response_send_owned(hasty_exchange_response(exchange), big, sizeof big, &owned, drop_thing));
    CHECK_OK(hasty_exchange_finish(exchange));
    DROPPED_ONCE(owned);
    client_close(&c);
    hasty_app_free(app);
    CHECK_INT(owned.dropped, 1);
}

TEST(a_stream_that_is_finished_while_it_is_full_arrives_whole)
{
    static const char block[16384];
    int port;
    hasty_app *app = serve(&port);
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    size_t written = 0;
    while (hasty_response_write(hasty_exchange_response(exchange), block, sizeof block) == HASTY_OK)
        written += sizeof block;
    CHECK_OK(hasty_exchange_finish(exchange));
    client_send(&c, QUICK);
    CHECK_INT(client_read(&c).body_len, written);
    CHECK_REPLY(client_read(&c), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(what_a_client_sends_behind_a_stream_is_not_hoarded)
{
    int port;
    hasty_app *app = serve(&port);
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    size_t most = (size_t)64 << 20;
    CHECK(client_fill(&c, most, 200) < most / 2); /* what the kernel's buffers hold */
    hasty_exchange_free(exchange);
    client_close(&c);
    hasty_app_free(app);
}

/* ---- a pump: on_ready writes until LIMIT, and asks to be called again ---- */

typedef struct pump {
    thing data;
    hasty_exchange *_Atomic exchange;
    uint32_t next, last; /* numbers, so that the client can see that none is missing; touched by one thread at a time */
    _Atomic int rounds, finished;
} pump;

static void runs_the_pump(void *user_data)
{
    pump *p = user_data;
    hasty_response *res = hasty_exchange_response(p->exchange);
    hasty_status status = HASTY_OK;
    p->rounds++;
    while (p->next < p->last) {
        uint32_t block[4096];
        for (uint32_t i = 0; i < 4096; i++)
            block[i] = p->next + i;
        if ((status = hasty_response_write(res, block, sizeof block)) != HASTY_OK)
            break;
        p->next += 4096;
    }
    if (status == HASTY_ERR_LIMIT) {
        CHECK_OK(hasty_exchange_on_ready(p->exchange, runs_the_pump, p, drop_thing));
        return;
    }
    CHECK_OK(status);
    CHECK_OK(hasty_exchange_finish(p->exchange));
    p->finished = 1;
}

TEST(on_ready_can_pump_a_stream_of_any_length)
{
    int port;
    hasty_app *app = serve(&port);
    pump p = {.last = check_small() ? 4096 * 64 : 4096 * 1024}; /* 1 or 16 MiB */
    client c = client_open(port);
    client_send(&c, "GET /later HTTP/1.0\r\n\r\n");
    p.exchange = take();
    CHECK_OK(hasty_exchange_on_ready(p.exchange, runs_the_pump, &p, drop_thing)); /* there is room: it is called now */
    CHECK_INT(client_read_head(&c).status, 200);
    uint32_t next = 0;
    while (client_more(&c, check_now_ms() + 10000) || c.len >= 4) {
        size_t numbers = c.len / 4;
        for (size_t i = 0; i < numbers; i++) {
            uint32_t number;
            memcpy(&number, c.input + 4 * i, 4);
            if (number != next++)
                check_fail(__FILE__, __LINE__, "%u came where %u was due", number, next - 1);
        }
        client_skip(&c, 4 * numbers);
    }
    CHECK_INT(next, p.last);
    CHECK(AWAIT(p.finished));
    CHECK(p.rounds > 1 || check_small()); /* a little fits at once */
    client_close(&c);
    hasty_app_free(app);
    CHECK_INT(p.data.dropped, p.rounds);
}

/* ---- many ---- */

TEST(a_thousand_listeners_and_a_hundred_slow_readers_cost_no_thread)
{
    static const char block[16384];
    int listeners = check_small() ? 60 : 1000, slow = check_small() ? 10 : 100, count = listeners + slow;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < (rlim_t)(2 * count + 100))
        SKIP("there are too few descriptors");
    hasty_app *app = new_app(8);
    CHECK_OK(hasty_app_set_option(app, "write_timeout_ms", "0")); /* on a busy machine they wait for long */
    CHECK_OK(hasty_app_set_option(app, "min_rate_bytes", "0"));
    int port = check_serve(app);
    client *c = check_keep(calloc((size_t)count, sizeof *c));
    hasty_exchange **x = check_keep(calloc((size_t)count, sizeof(hasty_exchange *)));
    for (int i = 0; i < count; i++) {
        c[i] = ask_later(port);
        x[i] = take();
        parked_count = parked_taken = 0;
        hasty_response *res = hasty_exchange_response(x[i]);
        if (i < listeners)
            CHECK_OK(hasty_response_write_event(res, NULL, "welcome", NULL));
        else
            while (hasty_response_write(res, block, sizeof block) == HASTY_OK) {
            }
    }
    for (int round = 0; round < 5; round++) {
        char *news = check_format("news %d", round);
        for (int i = 0; i < listeners; i++)
            CHECK_OK(hasty_response_write_event(hasty_exchange_response(x[i]), "news", news, NULL));
        for (int i = 0; i < 20; i++)
            CHECK_REPLY(get(port, "/"), 200, "fine");
    }
    for (int i = 0; i < count; i++) {
        CHECK_INT(hasty_exchange_alive(x[i]), 1);
        CHECK_OK(hasty_exchange_finish(x[i]));
        reply r = client_read(&c[i]);
        CHECK_REPLY(r, 200, NULL);
        if (i < listeners)
            CHECK(strstr(r.body, "welcome") != NULL && strstr(r.body, "news 0") != NULL && strstr(r.body, "news 4") != NULL);
        client_close(&c[i]);
    }
    hasty_app_free(app);
}

CHECK_MAIN
