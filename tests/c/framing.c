/* Where messages begin and end: keep-alive, pipelining, lengths, chunks, and what is refused because two readers
 * could disagree about it. */
#include "client.h"

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

HANDLER(echo)
{
    hasty_str body = hasty_request_body(req);
    return hasty_response_send(res, body.data, body.len);
}

static hasty_app *serve(int *port)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_post(app, "/", echo, NULL));
    *port = check_serve(app);
    return app;
}

static char *get_text(void)
{
    return request_text("GET", "/", NULL, NULL);
}

/* A request with these lines after the request line; the Host field is among them or not. */
static char *with_fields(const char *line, const char *fields, const char *body)
{
    return check_format("%s\r\n%s\r\n%s", line, fields, body);
}

/* Each is answered with `status`, after which the connection is closed. */
static void are_refused(int status, const char *const *requests, size_t count)
{
    int port;
    hasty_app *app = serve(&port);
    for (size_t i = 0; i < count; i++) {
        client c = client_open(port);
        client_send(&c, requests[i]);
        reply r = client_read(&c);
        if (r.status != status)
            check_fail(__FILE__, __LINE__, "number %zu is answered %d, not %d (%s)", i, r.status, status,
                       r.problem ? r.problem : r.body);
        else if (!reply_lists(&r, "Connection", "close") || !client_is_closed(&c))
            check_fail(__FILE__, __LINE__, "number %zu is not closed after its %d", i, status);
        else if (reply_header(&r, "Date") == NULL || !(r.sized || r.chunked) || r.body_len == 0)
            check_fail(__FILE__, __LINE__, "number %zu is answered without a date, a length or a reason", i);
        client_close(&c);
    }
    CHECK_REPLY(get(port, "/"), 200, "fine");
    hasty_app_free(app);
}

#define ARE_REFUSED(status, ...)                                                                                       \
    do {                                                                                                               \
        const char *const requests[] = {__VA_ARGS__};                                                                  \
        are_refused(status, requests, sizeof requests / sizeof requests[0]);                                           \
    } while (0)

/* ---- keep-alive ---- */

TEST(http_1_1_keeps_the_connection)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    for (int i = 0; i < 10; i++) {
        reply r = client_ask(&c, get_text());
        CHECK_REPLY(r, 200, "fine");
        CHECK(!reply_lists(&r, "Connection", "close"));
    }
    client_close(&c);
    hasty_app_free(app);
}

TEST(http_1_1_closes_when_asked_to)
{
    int port;
    hasty_app *app = serve(&port);
    static const char *const fields[] = {"Connection: close\r\n", "Connection: Close\r\n",
                                         "Connection: keep-alive, close\r\n", "Connection: x\r\nConnection: close\r\n"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        client c = client_open(port);
        reply r = client_ask(&c, request_text("GET", "/", fields[i], NULL));
        CHECK_REPLY(r, 200, "fine");
        CHECK(reply_lists(&r, "Connection", "close"));
        CHECK(client_is_closed(&c));
        client_close(&c);
    }
    hasty_app_free(app);
}

TEST(http_1_0_closes_unless_keep_alive_is_asked_for)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, "GET / HTTP/1.0\r\n\r\n"), 200, "fine");
    CHECK(client_is_closed(&c));
    client_close(&c);
    c = client_open(port);
    for (int i = 0; i < 3; i++) {
        reply r = client_ask(&c, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        CHECK_REPLY(r, 200, "fine");
        CHECK(r.sized);
        CHECK(reply_lists(&r, "Connection", "keep-alive"));
    }
    client_close(&c);
    hasty_app_free(app);
}

TEST(errors_that_leave_the_framing_clear_keep_the_connection)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, request_text("GET", "/nowhere", NULL, NULL)), 404, NULL);
    CHECK_REPLY(client_ask(&c, request_text("DELETE", "/", NULL, NULL)), 405, NULL);
    CHECK_REPLY(client_ask(&c, request_text("POST", "/nowhere", NULL, check_repeat("x", 10000))), 404, NULL);
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

/* ---- pipelining ---- */

TEST(pipelined_requests_are_answered_in_order)
{
    int port, count = check_small() ? 50 : 1000;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    size_t len = 0;
    char *all = check_keep(malloc((size_t)count * 128));
    for (int i = 0; i < count; i++)
        len += (size_t)sprintf(all + len, "%s", request_text("POST", "/", NULL, check_format("%d", i)));
    client_send(&c, all);
    for (int i = 0; i < count; i++)
        if (!CHECK_REPLY(client_read(&c), 200, check_format("%d", i)))
            break;
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_mixture_of_methods_may_be_pipelined)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    client_send(&c, check_format("%s%s%s%s%s", request_text("HEAD", "/", NULL, NULL),
                                 request_text("POST", "/", NULL, "one"), request_text("GET", "/nowhere", NULL, NULL),
                                 request_text("POST", "/", NULL, ""), get_text()));
    CHECK_INT(client_read_for(&c, "HEAD").status, 200);
    CHECK_REPLY(client_read(&c), 200, "one");
    CHECK_REPLY(client_read(&c), 404, NULL);
    CHECK_REPLY(client_read(&c), 200, "");
    CHECK_REPLY(client_read(&c), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(what_follows_a_close_is_not_answered)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    char *last = request_text("GET", "/", "Connection: close\r\n", NULL);
    client_send(&c, check_format("%s%s%s", get_text(), last, get_text()));
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

TEST(what_was_pipelined_before_an_error_is_answered_first)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    client_send(&c, check_format("%s%sGET /\r\n\r\n", get_text(), request_text("POST", "/", NULL, "two")));
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK_REPLY(client_read(&c), 200, "two");
    CHECK_REPLY(client_read(&c), 400, NULL);
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_half_closed_client_is_answered)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    client_send(&c, get_text());
    client_half_close(&c);
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK(client_is_closed(&c));
    client_close(&c);

    c = client_open(port);
    client_send(&c, check_format("%s%s%s", get_text(), request_text("POST", "/", NULL, "two"), get_text()));
    client_half_close(&c);
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK_REPLY(client_read(&c), 200, "two");
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_client_that_says_nothing_at_all_is_told_nothing)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    client_half_close(&c);
    CHECK(client_is_closed(&c));
    client_close(&c);
    c = client_open(port);
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    client_half_close(&c);
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_client_that_closes_in_the_middle_of_a_request_is_not_answered_200)
{
    int port;
    hasty_app *app = serve(&port);
    static const char *const halves[] = {"GET / HT", "GET / HTTP/1.1\r\nHost: x\r\n",
                                         "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
                                         "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123"};
    for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++) {
        client c = client_open(port);
        client_send(&c, halves[i]);
        client_half_close(&c);
        char *all = client_read_all(&c);
        CHECK(all != NULL && strstr(all, " 200 ") == NULL);
        client_close(&c);
    }
    hasty_app_free(app);
}

/* ---- bytes at any boundary ---- */

TEST(a_request_may_come_in_any_pieces)
{
    int port;
    hasty_app *app = serve(&port);
    static const char *const requests[] = {
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n",
    };
    for (int i = 0; i < 2; i++) {
        client c = client_open(port);
        size_t len = strlen(requests[i]);
        for (size_t piece = 1; piece <= len; piece = piece < 8 ? piece + 1 : piece * 2) {
            client_send_pieces(&c, requests[i], piece);
            if (!CHECK_REPLY(client_read(&c), 200, "hello world"))
                check_fail(__FILE__, __LINE__, "in pieces of %zu", piece);
        }
        for (size_t cut = 1; cut < len; cut += check_small() ? 9 : 1) { /* in two, at every boundary */
            client_send_bytes(&c, requests[i], cut);
            sched_yield();
            client_send_bytes(&c, requests[i] + cut, len - cut);
            if (!CHECK_REPLY(client_read(&c), 200, "hello world"))
                check_fail(__FILE__, __LINE__, "cut at %zu", cut);
        }
        client_close(&c);
    }
    hasty_app_free(app);
}

TEST(a_long_head_may_come_byte_by_byte)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_set_option(app, "header_timeout_ms", "0")); /* on a busy machine it takes its time */
    client c = client_open(check_serve(app));
    char *field = check_format("X-Long: %s\r\n", check_repeat("l", check_small() ? 2000 : 16000));
    client_send_pieces(&c, request_text("GET", "/", field, NULL), 1);
    CHECK_REPLY(client_read(&c), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(an_empty_line_before_a_request_is_forgiven)
{
    /* RFC 9112 2.2: a server SHOULD ignore at least one empty line received prior to the request-line. */
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    client_send(&c, check_format("\r\n%s\r\n%s", get_text(), get_text()));
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK_REPLY(client_read(&c), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

/* ---- chunks ---- */

static char *chunked(const char *chunks)
{
    return with_fields("POST / HTTP/1.1", "Host: x\r\nTransfer-Encoding: chunked\r\n", chunks);
}

TEST(chunks_are_put_together)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, chunked("0\r\n\r\n")), 200, "");
    CHECK_REPLY(client_ask(&c, chunked("3\r\nabc\r\n0\r\n\r\n")), 200, "abc");
    CHECK_REPLY(client_ask(&c, chunked("00003\r\nabc\r\n000\r\n\r\n")), 200, "abc");
    CHECK_REPLY(client_ask(&c, chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n")), 200,
                "01234567890123456789");
    CHECK_REPLY(client_ask(&c, chunked("3;x=y;z=\"q\"\r\nabc\r\n0;end\r\n\r\n")), 200, "abc");
    CHECK_REPLY(client_ask(&c, chunked("3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n")), 200, "abc");
    CHECK_REPLY(client_ask(&c, chunked("2\r\n\r\n\r\n0\r\n\r\n")), 200, "\r\n");
    CHECK_REPLY(client_ask(&c, with_fields("POST / HTTP/1.1", "Host: x\r\ntransfer-encoding: Chunked\r\n",
                                           "1\r\na\r\n0\r\n\r\n")),
                200, "a");
    client_close(&c);
    hasty_app_free(app);
}

TEST(many_small_chunks_make_one_body)
{
    int port;
    size_t count = check_small() ? 500 : 20000;
    hasty_app *app = serve(&port);
    char *chunks = check_format("%s0\r\n\r\n", check_repeat("1\r\nx\r\n", count));
    CHECK_REPLY(ask(port, chunked(chunks)), 200, check_repeat("x", count));
    hasty_app_free(app);
}

TEST(chunks_that_are_wrong_are_400)
{
    ARE_REFUSED(400, chunked("x\r\nabc\r\n0\r\n\r\n"), chunked("\r\nabc\r\n0\r\n\r\n"),
                chunked("-3\r\nabc\r\n0\r\n\r\n"), chunked("0x3\r\nabc\r\n0\r\n\r\n"),
                chunked("+3\r\nabc\r\n0\r\n\r\n"), chunked(" 3\r\nabc\r\n0\r\n\r\n"), chunked("3\nabc\r\n0\r\n\r\n"),
                chunked("3\r\nabc\n0\r\n\r\n"), chunked("3\r\nabcd\r\n0\r\n\r\n"), chunked("3 x\r\nabc\r\n0\r\n\r\n"),
                chunked("3\rabc\r\n0\r\n\r\n"));
}

TEST(a_chunk_size_that_overflows_is_refused)
{
    int port;
    hasty_app *app = serve(&port);
    static const char *const sizes[] = {"ffffffffffffffff", "10000000000000000", "fffffffffffffffff3",
                                        "8000000000000000", "7fffffffffffffff"};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        client c = client_open(port);
        reply r = client_ask(&c, chunked(check_format("%s\r\nabc\r\n0\r\n\r\n", sizes[i])));
        CHECK(r.status == 400 || r.status == 413);
        CHECK(client_is_closed(&c));
        client_close(&c);
    }
    hasty_app_free(app);
}

TEST(what_surrounds_a_body_has_its_limits_too)
{
    int port;
    hasty_app *app = serve(&port);
    size_t much = 300000;
    const char *const long_ones[] = {
        chunked(check_format("3;%s\r\nabc\r\n0\r\n\r\n", check_repeat("x", much))),
        chunked(check_format("%s3\r\nabc\r\n0\r\n\r\n", check_repeat("0", much))),
        chunked(check_format("3\r\nabc\r\n0\r\nX: %s\r\n\r\n", check_repeat("x", much))),
        chunked(check_format("3\r\nabc\r\n0\r\n%s\r\n", check_repeat("X: y\r\n", much / 6))),
        check_format("%s%s", check_repeat("\r\n", much / 2), get_text()),
        check_format("%s / HTTP/1.1\r\nHost: x\r\n\r\n", check_repeat("G", much)),
    };
    for (size_t i = 0; i < sizeof long_ones / sizeof long_ones[0]; i++) {
        client c = client_open(port);
        client_send(&c, long_ones[i]);
        reply r = client_read(&c);
        if (r.status < 400 || (r.status > 499 && r.status != 501)) /* RFC 9112 3: 501 for a long method */
            check_fail(__FILE__, __LINE__, "number %zu is answered %d", i, r.status);
        CHECK(client_is_closed(&c));
        client_close(&c);
    }
    hasty_app_free(app);
}

/* ---- one framing only ---- */

TEST(two_framings_are_400)
{
    /* RFC 9112 6.1 and 6.3: it might indicate an attempt to smuggle a request. */
    ARE_REFUSED(
        400,
        with_fields("POST / HTTP/1.1", "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        with_fields("POST / HTTP/1.1", "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
        with_fields("POST / HTTP/1.1", "Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n", "123456"),
        with_fields("POST / HTTP/1.1", "Host: x\r\nContent-Length: 5, 6\r\n", "123456"),
        with_fields("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"));
}

TEST(a_length_that_is_no_number_is_400)
{
    ARE_REFUSED(400, with_fields("POST / HTTP/1.1", "Host: x\r\nContent-Length: five\r\n", "12345"),
                with_fields("POST / HTTP/1.1", "Host: x\r\nContent-Length: -5\r\n", "12345"),
                with_fields("POST / HTTP/1.1", "Host: x\r\nContent-Length: +5\r\n", "12345"),
                with_fields("POST / HTTP/1.1", "Host: x\r\nContent-Length: 0x5\r\n", "12345"),
                with_fields("POST / HTTP/1.1", "Host: x\r\nContent-Length: 5 5\r\n", "12345"),
                with_fields("POST / HTTP/1.1", "Host: x\r\nContent-Length:\r\n", "12345"),
                with_fields("POST / HTTP/1.1", "Host: x\r\nContent-Length: 5;\r\n", "12345"),
                with_fields("POST / HTTP/1.1", "Host: x\r\nContent-Length: 99999999999999999999999\r\n", "12345"));
}

TEST(a_coding_that_is_unknown_is_501)
{
    ARE_REFUSED(501, with_fields("POST / HTTP/1.1", "Host: x\r\nTransfer-Encoding: sdch, chunked\r\n", "0\r\n\r\n"),
                with_fields("POST / HTTP/1.1", "Host: x\r\nTransfer-Encoding: xchunked\r\n", "0\r\n\r\n"));
}

TEST(chunked_must_be_final_and_alone)
{
    ARE_REFUSED(400, with_fields("POST / HTTP/1.1", "Host: x\r\nTransfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
                with_fields("POST / HTTP/1.1", "Host: x\r\nTransfer-Encoding:\r\n", "0\r\n\r\n"),
                with_fields("POST / HTTP/1.1",
                            "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"));
}

/* ---- request lines and fields ---- */

TEST(a_request_line_that_is_malformed_is_400)
{
    ARE_REFUSED(400, "GET /\r\nHost: x\r\n\r\n", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
                " GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
                "GET / HTTP/1.1\nHost: x\r\n\r\n", "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
                "GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n", "GET / http/1.1\r\nHost: x\r\n\r\n",
                "GET / HTTP/1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1.1\r\nHost: x\r\n\r\n",
                "GET / HTTP/one\r\nHost: x\r\n\r\n", "GET no-slash HTTP/1.1\r\nHost: x\r\n\r\n",
                "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
                "GET /# HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\r\n\r\n", "GET * HTTP/1.1\r\nHost: x\r\n\r\n");
}

TEST(another_major_version_is_505)
{
    ARE_REFUSED(505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n", "GET / HTTP/3.1\r\nHost: x\r\n\r\n");
}

TEST(fields_that_are_malformed_are_400)
{
    ARE_REFUSED(400, "GET / HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nX\t: y\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n X: y\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n: empty\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nX: a\nY: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\n\n",
                "GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nX: a\001b\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nX(Y): z\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nX: a\x7f\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\ncaf\xe9: y\r\n\r\n");
}

TEST(a_nul_in_a_value_is_400)
{
    int port;
    hasty_app *app = serve(&port);
    static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n";
    client c = client_open(port);
    client_send_bytes(&c, request, sizeof request - 1);
    CHECK_REPLY(client_read(&c), 400, NULL);
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

TEST(http_1_1_needs_one_good_host)
{
    ARE_REFUSED(400, "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "GET / HTTP/1.1\r\nHost: x:port\r\n\r\n",
                "GET / HTTP/1.1\r\nHost: user@x\r\n\r\n");
}

TEST(hosts_of_every_good_shape_are_taken)
{
    int port;
    hasty_app *app = serve(&port);
    static const char *const hosts[] = {"localhost",    "127.0.0.1:8080", "[::1]", "[::1]:8080",
                                        "example.org:", "a-b.c_d",        "X"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (!CHECK_REPLY(ask(port, check_format("GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i])), 200, "fine"))
            check_fail(__FILE__, __LINE__, "Host: %s", hosts[i]);
    hasty_app_free(app);
}

/* ---- Expect: 100-continue ---- */

TEST(continue_is_sent_once_the_head_is_accepted)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    for (int i = 0; i < 2; i++) {
        client_send(&c, request_text("POST", "/", "Expect: 100-continue\r\nContent-Length: 5\r\n", NULL));
        CHECK_INT(client_read(&c).status, 100);
        client_send(&c, "hello");
        CHECK_REPLY(client_read(&c), 200, "hello");
    }
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_body_that_does_not_wait_for_continue_is_taken)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    client_send(&c, request_text("POST", "/", "Expect: 100-continue\r\n", "hello"));
    reply r = client_read(&c);
    if (r.status == 100)
        r = client_read(&c);
    CHECK_REPLY(r, 200, "hello");
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_refusal_comes_instead_of_continue_and_closes)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_post(app, "/", echo, NULL));
    CHECK_OK(hasty_app_set_option(app, "max_body_bytes", "10"));
    int port = check_serve(app);
    static const struct {
        const char *method, *target;
        int status;
    } refused[] = {{"POST", "/nowhere", 404}, {"PUT", "/", 405}, {"POST", "/", 413}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        client c = client_open(port);
        client_send(&c, request_text(refused[i].method, refused[i].target,
                                     "Expect: 100-continue\r\nContent-Length: 5000\r\n", NULL));
        CHECK_REPLY(client_read(&c), refused[i].status, NULL);
        CHECK(client_is_closed(&c));
        client_close(&c);
    }
    hasty_app_free(app);
}

TEST(continue_comes_after_the_answers_to_what_was_pipelined_before)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    client_send(&c, check_format("%s%s", get_text(),
                                 request_text("POST", "/", "Expect: 100-continue\r\nContent-Length: 2\r\n", NULL)));
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK_INT(client_read(&c).status, 100);
    client_send(&c, "ok");
    CHECK_REPLY(client_read(&c), 200, "ok");
    client_close(&c);
    hasty_app_free(app);
}

TEST(http_1_0_gets_no_continue)
{
    /* RFC 9110 10.1.1: a server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore it. */
    int port;
    hasty_app *app = serve(&port);
    CHECK_REPLY(ask(port, "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok"), 200, "ok");
    hasty_app_free(app);
}

/* ---- bodies nobody asked for ---- */

TEST(a_get_may_have_a_body)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, "surprise")), 200, "fine");
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(an_unread_body_is_drained_or_the_connection_closed_but_never_read_as_a_request)
{
    int port;
    hasty_app *app = serve(&port);
    static const size_t lens[] = {1000, 200000, 3000000};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        client c = client_open(port);
        client_send(&c, check_format("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", lens[i]));
        char *body = check_repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", lens[i] / 27 + 1);
        client_send_bytes(&c, body, lens[i]);
        reply r = client_read(&c);
        CHECK_REPLY(r, 404, NULL);
        if (reply_lists(&r, "Connection", "close"))
            CHECK(client_is_closed(&c));
        else
            CHECK_REPLY(client_ask(&c, request_text("POST", "/", NULL, "after")), 200, "after");
        CHECK(i > 0 || !reply_lists(&r, "Connection", "close"));
        client_close(&c);
    }
    hasty_app_free(app);
}

CHECK_MAIN
