/* Routes with body=stream: hasty_request_read, and what becomes of what is not read. */
#include "client.h"

enum { PIECE = 65536 };

/* What the handler saw of the last body, and a gate that it may wait at. */
static _Atomic int entered, gate_open, returned;
static _Atomic hasty_status ended_with;
static _Atomic size_t total;
static _Atomic uint32_t sum;

static uint32_t add_up(uint32_t so_far, const unsigned char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        so_far = so_far * 31 + bytes[i];
    return so_far;
}

/* Reads to the end, or to what is in its place, in steps of `step`. */
static hasty_status read_all(const hasty_request *req, size_t step)
{
    unsigned char *buffer = malloc(step);
    size_t got = 0;
    hasty_status status;
    total = sum = 0;
    while ((status = hasty_request_read(req, buffer, step, &got)) == HASTY_OK && got > 0) {
        CHECK(got <= step);
        sum = add_up(sum, buffer, got);
        total += got;
    }
    if (status == HASTY_OK) { /* the end stays the end */
        got = 7;
        CHECK_OK(hasty_request_read(req, buffer, step, &got));
        CHECK_INT(got, 0);
    }
    free(buffer);
    ended_with = status;
    return status;
}

HANDLER(reads)
{
    entered++;
    CHECK_ABSENT(hasty_request_body(req));
    hasty_status status = read_all(req, user_data ? *(size_t *)user_data : PIECE);
    returned++;
    return status == HASTY_OK ? hasty_response_send_text(res, check_format("%zu %u", (size_t)total, (uint32_t)sum)) : status;
}

HANDLER(waits_and_reads)
{
    entered++;
    AWAIT(gate_open);
    hasty_status status = read_all(req, PIECE);
    returned++;
    return status == HASTY_OK ? hasty_response_send_text(res, "read") : status;
}

HANDLER(answers_at_once)
{
    entered++;
    return hasty_response_send_text(res, "early");
}

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

static hasty_app *new_app(hasty_handler handler, void *data)
{
    entered = gate_open = returned = 0;
    ended_with = -1;
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_any(app, "/", handler, data));
    CHECK_OK(hasty_app_set_route_option(app, "*", "/", "body", "stream"));
    CHECK_OK(hasty_app_get(app, "/fine", fine, NULL));
    return app;
}

static hasty_app *serve(hasty_handler handler, void *data, int *port)
{
    hasty_app *app = new_app(handler, data);
    *port = check_serve(app);
    return app;
}

static char *head_of(size_t len, const char *fields)
{
    return check_format("POST / HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n", fields, len);
}

static const char chunked_head[] = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

static char *sum_of(const char *text)
{
    return check_format("%zu %u", strlen(text), add_up(0, (const unsigned char *)text, strlen(text)));
}

#define FINE request_text("GET", "/fine", NULL, NULL)

/* ---- bodies of every framing ---- */

TEST(a_body_is_read_whatever_its_framing_and_the_step)
{
    size_t steps[] = {1, 7, PIECE};
    for (int i = 0; i < 3; i++) {
        int port;
        hasty_app *app = serve(reads, &steps[i], &port);
        client c = client_open(port);
        char *text = check_repeat("abcdefghij", 100);
        CHECK_REPLY(client_ask(&c, request_text("POST", "/", NULL, text)), 200, sum_of(text));
        CHECK_REPLY(client_ask(&c, request_text("PUT", "/", NULL, "")), 200, "0 0");
        CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 200, "0 0");
        client_send(&c, chunked_head);
        client_send(&c, "5;ext=\"1\"\r\nhello\r\n06\r\n world\r\n0\r\nTrailer: 1\r\n\r\n");
        CHECK_REPLY(client_read(&c), 200, sum_of("hello world"));
        client_send_pieces(&c, check_format("%s5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", chunked_head), 1);
        CHECK_REPLY(client_read(&c), 200, sum_of("hello world"));
        CHECK_REPLY(client_ask(&c, FINE), 200, "fine");
        client_close(&c);
        CHECK_REPLY(ask(port, "POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"), 200, sum_of("hello"));
        hasty_app_free(app);
    }
}

TEST(the_handler_runs_before_the_body_is_there)
{
    int port;
    hasty_app *app = serve(reads, NULL, &port);
    client c = client_open(port);
    client_send(&c, head_of(10, ""));
    CHECK(AWAIT(entered == 1));
    client_send(&c, "01234");
    CHECK(AWAIT(total == 5)); /* what is there is handed out */
    CHECK_INT(returned, 0);
    client_send(&c, "56789");
    CHECK_REPLY(client_read(&c), 200, sum_of("0123456789"));
    client_close(&c);
    hasty_app_free(app);
}

TEST(pipelined_requests_follow_the_body_that_was_read)
{
    int port;
    hasty_app *app = serve(reads, NULL, &port);
    client c = client_open(port);
    client_send(&c, check_format("%shello%s%s5\r\nworld\r\n0\r\n\r\n%s", head_of(5, ""), FINE, chunked_head, FINE));
    CHECK_REPLY(client_read(&c), 200, sum_of("hello"));
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK_REPLY(client_read(&c), 200, sum_of("world"));
    CHECK_REPLY(client_read(&c), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(tries_arguments)
{
    char byte[4] = "";
    size_t got = 7;
    CHECK_STATUS(hasty_request_read(NULL, byte, 1, &got), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_request_read(req, NULL, 1, &got), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_request_read(req, byte, 1, NULL), HASTY_ERR_NULL);
    CHECK_INT(got, 7);
    CHECK_OK(hasty_request_read(req, NULL, 0, &got));
    CHECK_INT(got, 0);
    CHECK_OK(hasty_request_read(req, byte, 3, &got)); /* nothing was lost */
    CHECK_INT(got, 3);
    CHECK_TEXT(byte, "abc");
    return hasty_response_send_text(res, "tried");
}

TEST(the_arguments_are_checked)
{
    int port;
    hasty_app *app = serve(tries_arguments, NULL, &port);
    CHECK_REPLY(post(port, "/", NULL, "abc"), 200, "tried");
    hasty_app_free(app);
}

HANDLER(reads_where_it_is_buffered)
{
    char byte[8];
    size_t got = 7;
    CHECK_STATUS(hasty_request_read(req, byte, sizeof byte, &got), HASTY_ERR_STATE);
    CHECK_INT(got, 7);
    return hasty_response_send(res, hasty_request_body(req).data, hasty_request_body(req).len);
}

TEST(a_buffered_body_is_not_read)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_post(app, "/", reads_where_it_is_buffered, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/", "body", "buffer"));
    CHECK_REPLY(post(check_serve(app), "/", NULL, "hello"), 200, "hello");
    hasty_app_free(app);
}

TEST(the_option_belongs_to_one_route)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_post(app, "/a", reads, NULL));
    CHECK_OK(hasty_app_put(app, "/a", reads_where_it_is_buffered, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/a", "body", "stream"));
    CHECK_STATUS(hasty_app_set_route_option(app, "POST", "/a", "body", "other"), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("other");
    CHECK_STATUS(hasty_app_set_route_option(app, "POST", "/a", "nobody", "stream"), HASTY_ERR_NOT_FOUND);
    CHECK_STATUS(hasty_app_set_route_option(app, "POST", "/none", "body", "stream"), HASTY_ERR_NOT_FOUND);
    CHECK_STATUS(hasty_app_set_route_option(app, "GET", "/a", "body", "stream"), HASTY_ERR_NOT_FOUND);
    int port = check_serve(app);
    CHECK_STATUS(hasty_app_set_route_option(app, "POST", "/a", "body", "buffer"), HASTY_ERR_STATE);
    CHECK_REPLY(post(port, "/a", NULL, "hello"), 200, sum_of("hello"));
    CHECK_REPLY(ask(port, request_text("PUT", "/a", NULL, "hello")), 200, "hello");
    hasty_app_free(app);
}

/* ---- Expect: 100-continue ---- */

TEST(the_body_is_asked_for_at_the_first_read)
{
    int port;
    hasty_app *app = serve(waits_and_reads, NULL, &port);
    client c = client_open(port);
    client_send(&c, head_of(5, "Expect: 100-continue\r\n"));
    CHECK(AWAIT(entered == 1));
    CHECK(!client_more(&c, check_now_ms() + 100) && !c.ended); /* nothing is said before */
    gate_open = 1;
    CHECK_REPLY(client_read(&c), 100, NULL);
    client_send(&c, "hello");
    CHECK_REPLY(client_read(&c), 200, "read");
    CHECK_REPLY(client_ask(&c, FINE), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_100_does_not_overtake_an_earlier_answer)
{
    int port;
    hasty_app *app = serve(reads, NULL, &port);
    client c = client_open(port);
    client_send(&c, check_format("%s%s", FINE, head_of(5, "Expect: 100-continue\r\n")));
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK_REPLY(client_read(&c), 100, NULL);
    client_send(&c, "hello");
    CHECK_REPLY(client_read(&c), 200, sum_of("hello"));
    client_close(&c);
    hasty_app_free(app);
}

TEST(an_answer_without_a_read_needs_no_100_and_closes)
{
    int port;
    hasty_app *app = serve(answers_at_once, NULL, &port);
    client c = client_open(port);
    client_send(&c, head_of(5000000, "Expect: 100-continue\r\n"));
    CHECK_REPLY(client_read(&c), 200, "early");
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

/* ---- what is not read ---- */

TEST(a_short_rest_is_skipped)
{
    int port;
    hasty_app *app = serve(answers_at_once, NULL, &port);
    client c = client_open(port);
    client_send(&c, check_format("%s%s%s", head_of(200000, ""), check_repeat("x", 200000), FINE));
    CHECK_REPLY(client_read(&c), 200, "early");
    CHECK_REPLY(client_read(&c), 200, "fine");
    client_send(&c, check_format("%s5\r\nhello\r\n", chunked_head));
    CHECK_REPLY(client_read(&c), 200, "early"); /* before the body is whole */
    client_send(&c, check_format("5\r\nworld\r\n0\r\n\r\n%s", FINE));
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK_INT(entered, 2);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_long_rest_ends_the_connection_after_the_answer)
{
    int port;
    hasty_app *app = serve(answers_at_once, NULL, &port);
    client c = client_open(port);
    client_send(&c, head_of(9000000, ""));
    client_fill(&c, 9000000, 500);
    CHECK_REPLY(client_read(&c), 200, "early");
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

/* ---- clients that leave, wait, or say too much ---- */

TEST(a_client_that_leaves_is_noticed)
{
    for (int way = 0; way < 6; way++) {
        int port;
        hasty_app *app = serve(reads, NULL, &port);
        client c = client_open(port);
        client_send(&c, way % 2 ? chunked_head : head_of(10, ""));
        client_send(&c, way % 2 ? "8\r\nhello" : "hello");
        CHECK(AWAIT(total == 5));
        if (way / 2 == 0)
            client_reset(&c);
        else if (way / 2 == 1)
            client_close(&c);
        else
            client_half_close(&c);
        CHECK(AWAIT(returned == 1));
        CHECK_STATUS(ended_with, HASTY_ERR_CLOSED);
        client_close(&c);
        CHECK_REPLY(get(port, "/fine"), 200, "fine");
        hasty_app_free(app);
    }
}

TEST(a_client_that_says_nothing_is_waited_for_no_longer_than_body_timeout)
{
    hasty_app *app = new_app(reads, NULL);
    CHECK_OK(hasty_app_set_option(app, "body_timeout_ms", "300"));
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, head_of(10, ""));
    int64_t begin = check_now_ms();
    client_send(&c, "hello");
    CHECK(AWAIT(total == 5));
    CHECK(AWAIT(returned == 1));
    CHECK(check_now_ms() - begin >= 200 && check_now_ms() - begin < 10000);
    CHECK_STATUS(ended_with, HASTY_ERR_TIMEOUT);
    CHECK_REPLY(client_read(&c), 408, NULL);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_body_that_makes_progress_is_waited_for)
{
    hasty_app *app = new_app(reads, NULL);
    CHECK_OK(hasty_app_set_option(app, "body_timeout_ms", "3000"));
    CHECK_OK(hasty_app_set_option(app, "min_rate_bytes", "0")); /* which is another matter */
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, head_of(10, ""));
    for (int i = 0; i < 10; i++) { /* 4 s in all */
        check_pause_ms(400);
        client_send(&c, "x");
    }
    CHECK_REPLY(client_read(&c), 200, sum_of("xxxxxxxxxx"));
    client_close(&c);
    hasty_app_free(app);
}

TEST(more_than_max_body_bytes_is_413_or_limit)
{
    hasty_app *app = new_app(reads, NULL);
    CHECK_OK(hasty_app_set_option(app, "max_body_bytes", "1000"));
    int port = check_serve(app);
    CHECK_REPLY(post(port, "/", NULL, check_repeat("x", 1000)), 200, NULL);
    CHECK_INT(entered, 1);
    client c = client_open(port);
    client_send(&c, head_of(1001, ""));
    CHECK_REPLY(client_read(&c), 413, NULL); /* announced: the handler need not run */
    CHECK_INT(entered, 1);
    client_close(&c);
    c = client_open(port);
    client_send(&c, check_format("%s200\r\n%s\r\n", chunked_head, check_repeat("x", 0x200)));
    CHECK(AWAIT(total == 0x200 && entered == 2));
    client_send(&c, check_format("200\r\n%s\r\n0\r\n\r\n", check_repeat("y", 0x200)));
    CHECK(AWAIT(returned == 2));
    CHECK_STATUS(ended_with, HASTY_ERR_LIMIT);
    CHECK(total <= 1000);
    CHECK_REPLY(client_read(&c), 413, NULL);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_route_may_have_a_limit_of_its_own)
{
    hasty_app *app = new_app(reads, NULL);
    CHECK_OK(hasty_app_set_option(app, "max_body_bytes", "10"));
    CHECK_OK(hasty_app_set_route_option(app, "*", "/", "max_body_bytes", "1000"));
    CHECK_OK(hasty_app_post(app, "/other", fine, NULL));
    int port = check_serve(app);
    CHECK_REPLY(post(port, "/", NULL, check_repeat("x", 1000)), 200, NULL);
    CHECK_REPLY(post(port, "/", NULL, check_repeat("x", 1001)), 413, NULL);
    CHECK_REPLY(post(port, "/other", NULL, check_repeat("x", 11)), 413, NULL);
    hasty_app_free(app);
}

TEST(malformed_chunks_are_invalid)
{
    static const char *const broken[] = {"5\r\nhelloX", "zz\r\n", "5\nhello\r\n", "-1\r\n", "5 x\r\n"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        int port;
        hasty_app *app = serve(reads, NULL, &port);
        client c = client_open(port);
        client_send(&c, check_format("%s3\r\nabc\r\n", chunked_head));
        CHECK(AWAIT(total == 3));
        client_send(&c, broken[i]);
        CHECK(AWAIT(returned == 1));
        CHECK_STATUS(ended_with, HASTY_ERR_INVALID);
        CHECK_REPLY(client_read(&c), 400, NULL);
        CHECK(client_is_closed(&c));
        client_close(&c);
        hasty_app_free(app);
    }
}

/* ---- big ones ---- */

static long peak_kib(void)
{
    long kib = 0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "VmHWM: %ld kB", &kib);
    if (status != NULL)
        fclose(status);
    return kib;
}

TEST(a_big_body_passes_in_constant_memory)
{
    size_t len = check_small() ? (size_t)4 << 20 : (size_t)64 << 20;
    hasty_app *app = new_app(reads, NULL);
    CHECK_OK(hasty_app_set_option(app, "max_body_bytes", "1000000000"));
    int port = check_serve(app);
    CHECK_REPLY(post(port, "/", NULL, "warm"), 200, NULL);
    long before = peak_kib();
    client c = client_open(port);
    client_send(&c, head_of(len, ""));
    CHECK_INT(client_fill(&c, len, CLIENT_WAIT_MS), len);
    reply r = client_read(&c);
    CHECK_REPLY(r, 200, check_format("%zu 0", len));
    if (!CHECK_SANITIZED && !check_valgrind())
        CHECK(peak_kib() - before < 8 * 1024);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_handler_that_does_not_read_slows_the_client_down)
{
    hasty_app *app = new_app(waits_and_reads, NULL);
    size_t len = (size_t)32 << 20;
    CHECK_OK(hasty_app_set_option(app, "max_body_bytes", "1000000000"));
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, head_of(len, ""));
    CHECK(AWAIT(entered == 1));
    size_t sent = client_fill(&c, len, 300);
    CHECK(sent < len / 2); /* what the kernel's buffers hold */
    CHECK_REPLY(get(port, "/fine"), 200, "fine");
    gate_open = 1;
    CHECK_INT(sent + client_fill(&c, len - sent, CLIENT_WAIT_MS), len);
    CHECK_REPLY(client_read(&c), 200, "read");
    CHECK_INT(total, len);
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(echoes)
{
    char buffer[1000];
    size_t got;
    hasty_status status;
    while ((status = hasty_request_read(req, buffer, sizeof buffer, &got)) == HASTY_OK && got > 0)
        if ((status = hasty_response_write(res, buffer, got)) != HASTY_OK)
            return status;
    return status;
}

TEST(reading_and_writing_take_turns)
{
    int port;
    hasty_app *app = serve(echoes, NULL, &port);
    client c = client_open(port);
    for (int round = 0; round < 2; round++) {
        client_send(&c, chunked_head);
        client_send(&c, "5\r\nhello\r\n");
        CHECK_INT(client_read_head(&c).status, 200);
        CHECK_TEXT(client_read_chunk(&c), "hello");
        client_send(&c, "5\r\nworld\r\n");
        CHECK_TEXT(client_read_chunk(&c), "world");
        client_send(&c, "0\r\n\r\n");
        CHECK_TEXT(client_read_chunk(&c), "");
    }
    client_close(&c);
    hasty_app_free(app);
}

TEST(readers_that_wait_hold_up_nobody_else)
{
    enum { SLOW = 6 };
    hasty_options options = {.size = sizeof options, .threads = 8};
    hasty_app *app = check_app(&options);
    entered = returned = 0;
    CHECK_OK(hasty_app_post(app, "/", reads, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/", "body", "stream"));
    CHECK_OK(hasty_app_get(app, "/fine", fine, NULL));
    int port = check_serve(app);
    client c[SLOW];
    for (int i = 0; i < SLOW; i++) {
        c[i] = client_open(port);
        client_send(&c[i], head_of(5, ""));
    }
    CHECK(AWAIT(entered == SLOW));
    for (int i = 0; i < 50; i++)
        CHECK_REPLY(get(port, "/fine"), 200, "fine");
    for (int i = 0; i < SLOW; i++)
        client_send(&c[i], "hello");
    for (int i = 0; i < SLOW; i++) {
        CHECK_INT(client_read(&c[i]).status, 200);
        client_close(&c[i]);
    }
    hasty_app_free(app);
}

TEST(stop_ends_a_read_that_waits)
{
    int port;
    hasty_app *app = serve(reads, NULL, &port);
    client c = client_open(port);
    client_send(&c, head_of(10, ""));
    CHECK(AWAIT(entered == 1));
    int64_t begin = check_now_ms();
    hasty_app_free(app);
    CHECK_INT(returned, 1);
    CHECK(ended_with != HASTY_OK);
    CHECK(check_now_ms() - begin < 10000); /* well below body_timeout_ms */
    client_close(&c);
}

HANDLER(reads_three)
{
    char bytes[4] = "";
    size_t got = 0;
    CHECK_OK(hasty_request_read(req, bytes, 3, &got));
    return hasty_response_send_text(res, bytes);
}

TEST(the_rest_of_what_was_read_in_part_is_skipped)
{
    int port;
    hasty_app *app = serve(reads_three, NULL, &port);
    client c = client_open(port);
    client_send(&c, check_format("%sabcdefghij%s%s3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n%s", head_of(10, ""), FINE, chunked_head, FINE));
    for (int i = 0; i < 2; i++) {
        CHECK_REPLY(client_read(&c), 200, "abc");
        CHECK_REPLY(client_read(&c), 200, "fine");
    }
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(looks_at_the_body)
{
    const hasty_json *json = NULL;
    CHECK_STATUS(hasty_request_json(req, &json), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("the handler reads it itself");
    CHECK_ABSENT(hasty_request_form(req, "a"));
    CHECK_INT(hasty_request_file_count(req), 0);
    hasty_status status = read_all(req, PIECE); /* and it is still there to be read */
    return status == HASTY_OK ? hasty_response_send_text(res, check_format("%zu", (size_t)total)) : status;
}

TEST(forms_and_json_of_a_streamed_body_are_not_here)
{
    int port;
    hasty_app *app = serve(looks_at_the_body, NULL, &port);
    CHECK_REPLY(post(port, "/", "application/x-www-form-urlencoded", "a=1"), 200, "3");
    CHECK_REPLY(post(port, "/", "application/json", "[1]"), 200, "3");
    CHECK_REPLY(post(port, "/", "multipart/form-data; boundary=b", "--b--\r\n"), 200, "7");
    hasty_app_free(app);
}

HANDLER(defers_with_a_body)
{
    hasty_exchange *exchange = NULL;
    char byte;
    size_t got = 0;
    CHECK_OK(hasty_response_defer(res, &exchange));
    CHECK_STATUS(hasty_request_read(hasty_exchange_request(exchange), &byte, 1, &got), HASTY_ERR_STATE);
    CHECK_OK(hasty_response_send_text(hasty_exchange_response(exchange), "later"));
    CHECK_OK(hasty_exchange_finish(exchange));
    return HASTY_OK;
}

TEST(a_body_is_not_read_after_defer)
{
    int port;
    hasty_app *app = serve(defers_with_a_body, NULL, &port);
    client c = client_open(port);
    client_send(&c, check_format("%shello%s", head_of(5, ""), FINE));
    CHECK_REPLY(client_read(&c), 200, "later");
    CHECK_REPLY(client_read(&c), 200, "fine");
    client_send(&c, head_of(9000000, ""));
    client_fill(&c, 9000000, 500);
    CHECK_REPLY(client_read(&c), 200, "later");
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

CHECK_MAIN
