/* Every limit: what it lets through at its boundary, and the status of what lies beyond it. */
#include "client.h"

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

HANDLER(length)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", hasty_request_body(req).len);
    return hasty_response_send_text(res, text);
}

/* An app with the option `name` set to `value`; GET / is fine, POST / tells the length of its body. */
static hasty_app *limited(const char *name, const char *value, int *port)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_post(app, "/", length, NULL));
    CHECK_OK(hasty_app_get(app, "/*", fine, NULL));
    if (name != NULL)
        CHECK_OK(hasty_app_set_option(app, name, value));
    *port = check_serve(app);
    return app;
}

static char *get_text(void)
{
    return request_text("GET", "/", NULL, NULL);
}

/* ---- max_body_bytes: 413 ---- */

TEST(a_body_of_exactly_max_body_bytes_is_taken)
{
    int port;
    hasty_app *app = limited("max_body_bytes", "1000", &port);
    CHECK_REPLY(post(port, "/", NULL, check_repeat("x", 1000)), 200, "1000");
    reply r = post(port, "/", NULL, check_repeat("x", 1001));
    CHECK_REPLY(r, 413, NULL);
    CHECK(r.body_len > 0 && reply_header(&r, "Date") != NULL);
    hasty_app_free(app);
}

static char *chunked(size_t first, size_t second)
{
    return check_format(
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n%zx\r\n%s\r\n0\r\n\r\n", first,
        check_repeat("x", first), second, check_repeat("y", second));
}

TEST(chunks_are_added_up)
{
    int port;
    hasty_app *app = limited("max_body_bytes", "1000", &port);
    CHECK_REPLY(ask(port, chunked(600, 400)), 200, "1000");
    CHECK_REPLY(ask(port, chunked(600, 401)), 413, NULL);
    hasty_app_free(app);
}

TEST(too_long_a_body_is_refused_by_its_announcement)
{
    int port;
    hasty_app *app = limited("max_body_bytes", "1000", &port);
    client c = client_open(port);
    client_send(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n");
    CHECK_REPLY(client_read(&c), 413, NULL);
    client_close(&c);
    c = client_open(port);
    client_send(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n");
    reply r = client_read(&c);
    CHECK(r.status == 413 || r.status == 400);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_client_that_goes_on_sending_can_read_why_it_was_refused)
{
    int port;
    hasty_app *app = limited("max_body_bytes", "1000", &port);
    client c = client_open(port);
    size_t len = 2 << 20;
    client_send(&c, check_format("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", len));
    char *body = check_repeat("x", len);
    client_send_bytes(&c, body, len); /* it may fail in the middle; the answer must be there all the same */
    reply r = client_read(&c);
    CHECK_REPLY(r, 413, NULL);
    client_close(&c);
    hasty_app_free(app);
}

TEST(no_body_bytes_means_no_body)
{
    int port;
    hasty_app *app = limited("max_body_bytes", "0", &port);
    CHECK_REPLY(post(port, "/", NULL, ""), 200, "0");
    CHECK_REPLY(post(port, "/", NULL, "x"), 413, NULL);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    hasty_app_free(app);
}

/* ---- max_header_bytes and max_headers: 431; max_target_bytes: 414 ---- */

/* A request whose head, the empty line included, has exactly `len` bytes. */
static char *head_of(size_t len)
{
    const char *start = "GET / HTTP/1.1\r\nHost: x\r\nX-Fill: ";
    return check_format("%s%s\r\n\r\n", start, check_repeat("f", len - strlen(start) - 4));
}

TEST(the_whole_head_counts_against_max_header_bytes)
{
    int port;
    hasty_app *app = limited("max_header_bytes", "2000", &port);
    CHECK_REPLY(ask(port, head_of(2000)), 200, "fine");
    reply r = ask(port, head_of(2003)); /* without the empty line 2001 */
    CHECK_REPLY(r, 431, NULL);
    CHECK(r.body_len > 0);
    hasty_app_free(app);
}

TEST(the_default_head_may_have_16_kib)
{
    int port;
    hasty_app *app = limited(NULL, NULL, &port);
    CHECK_REPLY(ask(port, head_of(16384)), 200, "fine");
    CHECK_REPLY(ask(port, head_of(16387)), 431, NULL);
    hasty_app_free(app);
}

TEST(a_head_that_never_ends_is_refused_at_the_limit)
{
    int port;
    hasty_app *app = limited("max_header_bytes", "2000", &port);
    client c = client_open(port);
    client_send(&c, "GET / HTTP/1.1\r\nHost: x\r\nX-Fill: ");
    client_send(&c, check_repeat("f", 5000));
    reply r = client_read(&c);
    CHECK_REPLY(r, 431, NULL);
    CHECK(client_is_closed(&c));
    client_close(&c);

    c = client_open(port);
    client_send_pieces(&c, head_of(5000), 7);
    CHECK_REPLY(client_read(&c), 431, NULL);
    client_close(&c);
    hasty_app_free(app);
}

static char *headers_of(size_t count)
{
    return check_format("GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", check_repeat("X: y\r\n", count - 1));
}

TEST(more_than_max_headers_is_431)
{
    int port;
    hasty_app *app = limited(NULL, NULL, &port);
    CHECK_REPLY(ask(port, headers_of(100)), 200, "fine");
    CHECK_REPLY(ask(port, headers_of(101)), 431, NULL);
    hasty_app_free(app);
    app = limited("max_headers", "3", &port);
    CHECK_REPLY(ask(port, headers_of(3)), 200, "fine");
    CHECK_REPLY(ask(port, headers_of(4)), 431, NULL);
    hasty_app_free(app);
}

static char *target_of(size_t len)
{
    return check_format("GET /%s HTTP/1.1\r\nHost: x\r\n\r\n", check_repeat("t", len - 1));
}

TEST(a_target_longer_than_max_target_bytes_is_414)
{
    int port;
    hasty_app *app = limited("max_target_bytes", "200", &port);
    CHECK_REPLY(ask(port, target_of(200)), 200, "fine");
    CHECK_REPLY(ask(port, target_of(201)), 414, NULL);
    hasty_app_free(app);
    app = limited(NULL, NULL, &port);
    CHECK_REPLY(ask(port, target_of(8192)), 200, "fine");
    CHECK_REPLY(ask(port, target_of(8193)), 414, NULL);
    hasty_app_free(app);
}

TEST(a_target_that_never_ends_is_414)
{
    int port;
    hasty_app *app = limited("max_target_bytes", "200", &port);
    client c = client_open(port);
    client_send(&c, check_format("GET /%s", check_repeat("t", 1000)));
    CHECK_REPLY(client_read(&c), 414, NULL);
    client_close(&c);
    hasty_app_free(app);
}

/* ---- header_timeout_ms: 408, absolute from the first byte ---- */

/* How long a small time-out may be late: sweeps are coarse, and machines are slow. */
enum { LATE_MS = 8000 };

TEST(a_head_that_is_not_whole_in_time_is_408)
{
    int port;
    hasty_app *app = limited("header_timeout_ms", "300", &port);
    client c = client_open(port);
    int64_t start = check_now_ms();
    client_send(&c, "GET / HTTP/1.1\r\nHo");
    reply r = client_read(&c);
    CHECK_REPLY(r, 408, NULL);
    CHECK(r.body_len > 0);
    CHECK(reply_lists(&r, "Connection", "close"));
    CHECK(client_is_closed(&c));
    int64_t took = check_now_ms() - start;
    CHECK(took >= 250 && took < LATE_MS);
    client_close(&c);
    hasty_app_free(app);
}

TEST(sending_slowly_does_not_move_the_header_timeout)
{
    int port;
    hasty_app *app = limited("header_timeout_ms", "400", &port);
    client c = client_open(port);
    int64_t start = check_now_ms();
    client_send(&c, "GET / HTTP/1.1\r\n");
    while (!client_wait(&c, POLLIN, check_now_ms() + 50) && check_now_ms() - start < LATE_MS)
        client_send(&c, "X: y\r\n");
    CHECK_REPLY(client_read(&c), 408, NULL);
    CHECK(check_now_ms() - start < LATE_MS);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_second_request_has_its_own_header_timeout)
{
    int port;
    hasty_app *app = limited("header_timeout_ms", "300", &port);
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    check_pause_ms(600); /* idle, which is another matter */
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    client_send(&c, "GET /");
    CHECK_REPLY(client_read(&c), 408, NULL);
    client_close(&c);
    hasty_app_free(app);
}

/* ---- body_timeout_ms: 408, without progress; min_rate_bytes ---- */

TEST(a_body_that_stands_still_is_408)
{
    int port;
    hasty_app *app = limited("body_timeout_ms", "300", &port);
    client c = client_open(port);
    int64_t start = check_now_ms();
    client_send(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345");
    reply r = client_read(&c);
    CHECK_REPLY(r, 408, NULL);
    CHECK(reply_lists(&r, "Connection", "close"));
    CHECK(client_is_closed(&c));
    int64_t took = check_now_ms() - start;
    CHECK(took >= 250 && took < LATE_MS);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_body_that_makes_progress_is_waited_for)
{
    int port;
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_post(app, "/", length, NULL));
    CHECK_OK(hasty_app_set_option(app, "body_timeout_ms", "3000"));
    CHECK_OK(hasty_app_set_option(app, "min_rate_bytes", "0")); /* which is another matter */
    port = check_serve(app);
    client c = client_open(port);
    client_send(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
    for (int i = 0; i < 10; i++) { /* 4 s in all */
        check_pause_ms(400);
        client_send(&c, "x");
    }
    CHECK_REPLY(client_read(&c), 200, "10");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_body_below_the_minimum_rate_is_408)
{
    if (check_small())
        SKIP("takes more than five seconds");
    int port;
    hasty_app *app = limited("min_rate_bytes", "240", &port);
    client c = client_open(port);
    int64_t start = check_now_ms();
    client_send(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    while (!client_wait(&c, POLLIN, check_now_ms() + 200) && check_now_ms() - start < 15000)
        client_send(&c, "x");
    int64_t took = check_now_ms() - start;
    CHECK_REPLY(client_read(&c), 408, NULL);
    CHECK(took >= 4000 && took < 5000 + LATE_MS);
    client_close(&c);
    hasty_app_free(app);
}

/* ---- idle_timeout_ms: closed without a word ---- */

TEST(an_idle_connection_is_closed_silently)
{
    int port;
    hasty_app *app = limited("idle_timeout_ms", "300", &port);
    client c = client_open(port);
    int64_t start = check_now_ms();
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    CHECK(client_is_closed(&c));
    int64_t took = check_now_ms() - start;
    CHECK(took >= 250 && took < LATE_MS);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_connection_that_is_used_is_not_idle)
{
    int port;
    hasty_app *app = limited("idle_timeout_ms", "3000", &port);
    client c = client_open(port);
    for (int i = 0; i < 8; i++) { /* 4 s in all */
        CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
        check_pause_ms(500);
    }
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_connection_that_never_says_anything_is_closed_silently)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_set_option(app, "idle_timeout_ms", "300"));
    CHECK_OK(hasty_app_set_option(app, "header_timeout_ms", "300"));
    CHECK_OK(hasty_app_set_option(app, "defer_accept_s", "0"));
    client c = client_open(check_serve(app));
    CHECK(client_is_closed_within(&c, LATE_MS));
    client_close(&c);
    hasty_app_free(app);
}

TEST(timeouts_that_are_none_do_not_end_anything)
{
    hasty_options options = {.size = sizeof options,
                             .header_timeout_ms = HASTY_NONE,
                             .body_timeout_ms = HASTY_NONE,
                             .idle_timeout_ms = HASTY_NONE,
                             .write_timeout_ms = HASTY_NONE};
    hasty_app *app = check_app(&options);
    CHECK_OK(hasty_app_post(app, "/", length, NULL));
    client c = client_open(check_serve(app));
    static const char *const pieces[] = {"POST / HT", "TP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12", "345"};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            client_send(&c, pieces[i]);
            check_pause_ms(100);
        }
        CHECK_REPLY(client_read(&c), 200, "5");
    }
    client_close(&c);
    hasty_app_free(app);
}

/* ---- write_timeout_ms ---- */

enum { MUCH = 32 << 20 };

HANDLER(much)
{
    static char zeros[MUCH];
    return hasty_response_send_owned(res, zeros, sizeof zeros, NULL, NULL);
}

TEST(a_client_that_does_not_read_is_left)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", much, NULL));
    CHECK_OK(hasty_app_set_option(app, "write_timeout_ms", "300"));
    client c = client_open(check_serve(app));
    client_send(&c, get_text());
    CHECK(client_wait(&c, POLLIN, check_now_ms() + CLIENT_WAIT_MS));
    /* the connection is in the end reset or closed, which shows without reading as an error or a hang-up */
    int64_t deadline = check_now_ms() + LATE_MS;
    int left = 0;
    while (!left && check_now_ms() < deadline) {
        struct pollfd one = {.fd = c.fd, .events = POLLRDHUP};
        poll(&one, 1, 50);
        left = one.revents != 0;
    }
    size_t got = 0;
    while (client_more(&c, check_now_ms() + CLIENT_WAIT_MS)) {
        got += c.len;
        c.len = 0;
    }
    CHECK(c.ended);
    CHECK(got < MUCH);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_client_that_reads_slowly_is_served_to_the_end)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", much, NULL));
    CHECK_OK(hasty_app_set_option(app, "write_timeout_ms", "3000"));
    client c = client_open(check_serve(app));
    client_send(&c, get_text());
    size_t got = 0;
    char *buffer = check_keep(malloc(MUCH / 8));
    for (int i = 0; i < 8; i++) { /* 4 s in all */
        check_pause_ms(500);
        ssize_t some = recv(c.fd, buffer, MUCH / 8, MSG_WAITALL);
        got += some > 0 ? (size_t)some : 0;
    }
    while (got <= MUCH && client_more(&c, check_now_ms() + CLIENT_WAIT_MS)) {
        got += c.len;
        c.len = 0;
    }
    CHECK(got > MUCH); /* the body and its head */
    client_close(&c);
    hasty_app_free(app);
}

/* ---- max_connections and max_connections_per_ip: 503 ---- */

static void one_too_many(const char *option)
{
    int port;
    hasty_app *app = limited(option, "2", &port);
    client one = client_open(port);
    CHECK_REPLY(client_ask(&one, get_text()), 200, "fine");
    client two = client_open(port);
    CHECK_REPLY(client_ask(&two, get_text()), 200, "fine");
    client three = client_open(port);
    reply r = client_ask(&three, get_text());
    CHECK_REPLY(r, 503, NULL);
    CHECK(reply_lists(&r, "Connection", "close"));
    CHECK(client_is_closed(&three));
    if (strcmp(option, "max_connections") == 0)
        CHECK(reply_header(&r, "Retry-After") != NULL && atoi(reply_header(&r, "Retry-After")) > 0);
    client_close(&three);
    CHECK_REPLY(client_ask(&one, get_text()), 200, "fine");

    client_close(&two);
    int served = 0;
    for (int64_t deadline = check_now_ms() + 10000; !served && check_now_ms() < deadline;) {
        client four = client_open(port);
        served = client_ask(&four, get_text()).status == 200;
        client_close(&four);
    }
    CHECK(served);
    client_close(&one);
    hasty_app_free(app);
}

TEST(one_connection_too_many_is_503)
{
    one_too_many("max_connections");
}

TEST(one_connection_too_many_of_an_address_is_503)
{
    one_too_many("max_connections_per_ip");
}

/* ---- max_requests_per_connection ---- */

TEST(the_last_request_of_a_connection_is_answered_with_close)
{
    int port;
    hasty_app *app = limited("max_requests_per_connection", "3", &port);
    client c = client_open(port);
    for (int i = 1; i <= 3; i++) {
        reply r = client_ask(&c, get_text());
        CHECK_REPLY(r, 200, "fine");
        CHECK_INT(reply_lists(&r, "Connection", "close"), i == 3);
    }
    CHECK(client_is_closed(&c));
    client_close(&c);

    c = client_open(port); /* the same where they are pipelined: what lies beyond is not answered */
    client_send(&c, check_repeat(get_text(), 5));
    for (int i = 0; i < 3; i++)
        CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

TEST(without_that_limit_a_connection_goes_on)
{
    int port;
    hasty_app *app = limited(NULL, NULL, &port);
    client c = client_open(port);
    for (int i = 0; i < (check_small() ? 100 : 2000); i++)
        if (!CHECK_REPLY(client_ask(&c, get_text()), 200, "fine"))
            break;
    client_close(&c);
    hasty_app_free(app);
}

/* ---- max_buffered_bytes: 503 ---- */

TEST(bodies_beyond_max_buffered_bytes_are_503)
{
    int port;
    hasty_app *app = limited("max_buffered_bytes", "1000000", &port);
    client refused = client_open(port); /* it stays, and what was buffered for it must not */
    CHECK_REPLY(client_ask(&refused, request_text("POST", "/", NULL, check_repeat("x", 3000000))), 503, NULL);
    CHECK_REPLY(post(port, "/", NULL, check_repeat("x", 1000)), 200, "1000");
    CHECK_REPLY(post(port, "/", NULL, check_repeat("x", 300000)), 200, "300000");
    client_close(&refused);
    hasty_app_free(app);
}

TEST(what_is_buffered_is_given_back)
{
    int port;
    hasty_app *app = limited("max_buffered_bytes", "1000000", &port);
    for (int i = 0; i < 20; i++) {
        client c = client_open(port);
        client_send(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n");
        client_send(&c, check_repeat("x", 200000));
        client_close(&c); /* leaves in the middle */
    }
    int served = 0;
    for (int64_t deadline = check_now_ms() + 10000; !served && check_now_ms() < deadline;)
        served = post(port, "/", NULL, check_repeat("x", 400000)).status == 200;
    CHECK(served);
    hasty_app_free(app);
}

CHECK_MAIN
