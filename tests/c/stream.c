/* Answers that are written piece by piece. */
#include "client.h"

/* A handler waits at the gate, so that the test can look at what has been sent until then. */
static _Atomic int gate_reached, gate_open, seen_status, handler_done;

static void close_gate(void)
{
    gate_reached = gate_open = handler_done = 0;
    seen_status = -1;
}

static hasty_app *serve(const char *option, const char *value, hasty_handler handler, void *data, int *port)
{
    close_gate();
    hasty_app *app = check_app(NULL);
    if (option != NULL)
        CHECK_OK(hasty_app_set_option(app, option, value));
    CHECK_OK(hasty_app_get(app, "/", handler, data));
    *port = check_serve(app);
    return app;
}

static hasty_status write_text(hasty_response *res, const char *text)
{
    return hasty_response_write(res, text, strlen(text));
}

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

/* ---- pieces ---- */

HANDLER(writes_two)
{
    CHECK_OK(hasty_response_set_status(res, 202));
    CHECK_OK(hasty_response_set_type(res, "txt"));
    CHECK_OK(hasty_response_set_header(res, "X-Set", "before"));
    CHECK_OK(write_text(res, "first"));
    gate_reached = 1;
    AWAIT(gate_open);
    CHECK_OK(write_text(res, "second"));
    return HASTY_OK;
}

TEST(a_piece_reaches_the_client_while_the_handler_goes_on)
{
    int port;
    hasty_app *app = serve(NULL, NULL, writes_two, NULL, &port);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/", NULL, NULL));
    reply head = client_read_head(&c);
    CHECK_INT(head.status, 202);
    CHECK(head.chunked && !head.sized);
    CHECK_HEADER(head, "X-Set", "before");
    CHECK_CONTAINS(reply_header(&head, "Content-Type"), "text/plain");
    CHECK(reply_header(&head, "Date") != NULL);
    CHECK_TEXT(client_read_chunk(&c), "first");
    CHECK_INT(gate_open, 0);
    gate_open = 1;
    CHECK_TEXT(client_read_chunk(&c), "second");
    CHECK_TEXT(client_read_chunk(&c), "");
    gate_open = 1;
    CHECK_INT(client_ask(&c, request_text("GET", "/none", NULL, NULL)).status, 404); /* the connection lives on */
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(writes_nothing_in_between)
{
    CHECK_OK(hasty_response_write(res, "", 0));
    CHECK_OK(write_text(res, "a"));
    CHECK_OK(hasty_response_write(res, NULL, 0)); /* an empty chunk would be the last one */
    CHECK_OK(write_text(res, "b"));
    CHECK_STATUS(hasty_response_write(res, NULL, 5), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_response_write(NULL, "x", 1), HASTY_ERR_NULL);
    return HASTY_OK;
}

TEST(an_empty_piece_is_not_the_end)
{
    int port;
    hasty_app *app = serve(NULL, NULL, writes_nothing_in_between, NULL, &port);
    CHECK_REPLY(get(port, "/"), 200, "ab");
    hasty_app_free(app);
}

HANDLER(writes_only_the_head)
{
    return hasty_response_write(res, "", 0);
}

TEST(an_empty_stream_is_a_whole_answer)
{
    int port;
    hasty_app *app = serve(NULL, NULL, writes_only_the_head, NULL, &port);
    client c = client_open(port);
    for (int i = 0; i < 3; i++)
        CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 200, "");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(writes_bytes)
{
    unsigned char every[256];
    for (int i = 0; i < 256; i++)
        every[i] = (unsigned char)i;
    for (size_t at = 0; at < sizeof every; at += 64)
        CHECK_OK(hasty_response_write(res, every + at, 64));
    memset(every, 0, sizeof every); /* what was given is copied */
    return HASTY_OK;
}

TEST(every_byte_passes)
{
    int port;
    hasty_app *app = serve(NULL, NULL, writes_bytes, NULL, &port);
    reply r = get(port, "/");
    CHECK_INT(r.body_len, 256);
    for (size_t i = 0; i < r.body_len; i++)
        CHECK_INT((unsigned char)r.body[i], i);
    hasty_app_free(app);
}

/* ---- a length that was set ---- */

HANDLER(sets_a_length)
{
    const char *const *pieces = user_data;
    CHECK_OK(hasty_response_set_header(res, "Content-Length", "10"));
    for (; *pieces != NULL; pieces++)
        seen_status = write_text(res, *pieces);
    handler_done = 1;
    return HASTY_OK;
}

TEST(a_set_length_that_is_met_needs_no_chunks)
{
    int port;
    const char *pieces[] = {"01234", "", "56789", NULL};
    hasty_app *app = serve(NULL, NULL, sets_a_length, pieces, &port);
    client c = client_open(port);
    for (int i = 0; i < 3; i++) {
        reply r = client_ask(&c, request_text("GET", "/", NULL, NULL));
        CHECK_REPLY(r, 200, "0123456789");
        CHECK(r.sized && !r.chunked);
    }
    client_close(&c);
    hasty_app_free(app);
}

static _Atomic int logged;

static void counts_lines(int32_t level, const hasty_str *message, void *user_data)
{
    (void)message, (void)user_data;
    if (level <= HASTY_LOG_WARN)
        logged++;
}

/* What the client gets, head and all, until the connection ends. */
static char *until_the_end(int port)
{
    client c = client_open(port);
    client_send(&c, request_text("GET", "/", NULL, NULL));
    client_send(&c, request_text("GET", "/", NULL, NULL)); /* must not be answered after a broken answer */
    char *all = client_read_all(&c);
    client_close(&c);
    CHECK(all != NULL);
    return all ? all : "";
}

static char *served_until_the_end(hasty_handler handler, void *data)
{
    logged = 0;
    close_gate();
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_on_log(app, counts_lines, NULL, NULL));
    CHECK_OK(hasty_app_get(app, "/", handler, data));
    char *all = until_the_end(check_serve(app));
    CHECK(AWAIT(logged > 0));
    hasty_app_free(app);
    return all;
}

static void ends_with(const char *text, const char *end)
{
    CHECK(strlen(text) >= strlen(end));
    if (strlen(text) >= strlen(end))
        CHECK_TEXT(text + strlen(text) - strlen(end), end);
}

TEST(too_few_bytes_end_the_connection_and_are_logged)
{
    const char *pieces[] = {"01234", NULL};
    ends_with(served_until_the_end(sets_a_length, pieces), "\r\n\r\n01234");
}

TEST(too_many_bytes_are_not_sent_and_are_logged)
{
    const char *pieces[] = {"01234", "5678901234", NULL};
    char *all = served_until_the_end(sets_a_length, pieces);
    CHECK(seen_status != HASTY_OK);
    CHECK(strstr(all, "901234") == NULL);
    CHECK(strstr(strstr(all, "HTTP/1.1 ") + 1, "HTTP/1.1 ") == NULL);
}

/* ---- failing ---- */

HANDLER(fails_after_a_piece)
{
    CHECK_OK(write_text(res, "begun"));
    return HASTY_ERR_IO;
}

TEST(a_handler_that_fails_in_the_middle_cuts_the_connection)
{
    char *all = served_until_the_end(fails_after_a_piece, NULL);
    ends_with(all, "5\r\nbegun\r\n");
    CHECK(strstr(all, "HTTP/1.1 500") == NULL);
}

HANDLER(fails_before_a_piece)
{
    CHECK_STATUS(hasty_response_set_header(res, "b d", "x"), HASTY_ERR_INVALID);
    hasty_status status = write_text(res, "never");
    CHECK(status != HASTY_OK);
    return status;
}

TEST(a_stream_after_a_failed_setter_is_a_500)
{
    int port;
    hasty_app *app = serve(NULL, NULL, fails_before_a_piece, NULL, &port);
    reply r = get(port, "/");
    CHECK_REPLY(r, 500, NULL);
    CHECK(strstr(r.body, "never") == NULL);
    hasty_app_free(app);
}

HANDLER(sets_after_the_head)
{
    CHECK_OK(write_text(res, "a"));
    CHECK_STATUS(hasty_response_set_status(res, 404), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_response_set_header(res, "X-Late", "1"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_response_add_header(res, "X-Late", "1"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_response_remove_header(res, "Content-Type"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_response_set_type(res, "html"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_response_set_cookie(res, "a", "b", NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_response_send_text(res, "other"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_response_send_file(res, "include/hasty.h"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_response_send_status(res, 404), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_response_reset(res), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("head");
    CHECK_ABSENT(hasty_response_body(res));
    CHECK_INT(hasty_response_status(res), 200);
    handler_done = 1;
    return HASTY_OK;
}

TEST(after_the_head_setters_are_too_late)
{
    int port;
    hasty_app *app = serve(NULL, NULL, sets_after_the_head, NULL, &port);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/", NULL, NULL));
    CHECK_INT(client_read_head(&c).status, 200);
    CHECK_TEXT(client_read_chunk(&c), "a");
    CHECK(AWAIT(handler_done));
    client_close(&c);
    hasty_app_free(app);
}

/* ---- who asks ---- */

HANDLER(writes_until_told)
{
    for (int i = 0; i < 3 && (seen_status = write_text(res, "piece")) == HASTY_OK; i++) {
    }
    handler_done = 1;
    return HASTY_OK;
}

TEST(an_old_client_gets_the_stream_until_the_connection_ends)
{
    int port;
    hasty_app *app = serve(NULL, NULL, writes_until_told, NULL, &port);
    static const char *const requests[] = {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"};
    for (int i = 0; i < 2; i++) {
        reply r = ask(port, requests[i]);
        CHECK_REPLY(r, 200, "piecepiecepiece");
        CHECK(!r.chunked && !r.sized);
        CHECK(!reply_lists(&r, "Connection", "keep-alive"));
    }
    const char *pieces[] = {"0123456789", NULL};
    hasty_app_free(app);
    app = serve(NULL, NULL, sets_a_length, pieces, &port);
    client c = client_open(port);
    for (int i = 0; i < 2; i++)
        CHECK_REPLY(client_ask(&c, requests[1]), 200, "0123456789");
    client_close(&c);
    hasty_app_free(app);
}

TEST(head_gets_the_head_and_the_handler_is_told)
{
    int port;
    hasty_app *app = serve(NULL, NULL, writes_until_told, NULL, &port);
    client c = client_open(port);
    for (int i = 0; i < 2; i++) {
        handler_done = 0;
        reply r = client_ask(&c, request_text("HEAD", "/", NULL, NULL));
        CHECK_INT(r.status, 200);
        CHECK(AWAIT(handler_done));
        CHECK_STATUS(seen_status, HASTY_ERR_CLOSED);
    }
    CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 200, "piecepiecepiece");
    client_close(&c);
    hasty_app_free(app);
}

TEST(pipelined_answers_before_and_after_a_stream_stay_in_order)
{
    close_gate();
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/quick", fine, NULL));
    CHECK_OK(hasty_app_get(app, "/stream", writes_two, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    char *quick = request_text("GET", "/quick", NULL, NULL), *stream = request_text("GET", "/stream", NULL, NULL);
    client_send(&c, check_format("%s%s%s%s%s", quick, quick, stream, quick, stream));
    CHECK_REPLY(client_read(&c), 200, "fine"); /* before the gate opens */
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK(AWAIT(gate_reached));
    CHECK_INT(gate_open, 0);
    gate_open = 1;
    CHECK_REPLY(client_read(&c), 202, "firstsecond");
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK_REPLY(client_read(&c), 202, "firstsecond");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(adds_a_header)
{
    CHECK_ABSENT(hasty_response_body(res));
    return hasty_response_set_header(res, "X-After", "yes");
}

TEST(after_sees_a_stream_before_its_head_is_sent)
{
    close_gate();
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", writes_until_told, NULL));
    CHECK_OK(hasty_app_after(app, "/", adds_a_header, NULL, NULL));
    CHECK_OK(hasty_app_cors(app, "/", NULL));
    CHECK_OK(hasty_app_add_header(app, "X-Every", "one"));
    int port = check_serve(app);
    reply r = ask(port, request_text("GET", "/", "Origin: https://a.example\r\n", NULL));
    CHECK_REPLY(r, 200, "piecepiecepiece");
    CHECK_HEADER(r, "X-After", "yes");
    CHECK_HEADER(r, "X-Every", "one");
    CHECK_HEADER(r, "Access-Control-Allow-Origin", "*");
    hasty_app_free(app);
}

/* ---- slow clients, and those that left ---- */

static _Atomic size_t written;

HANDLER(writes_for_ever)
{
    static const char block[65536];
    gate_reached = 1;
    hasty_status status;
    while ((status = hasty_response_write(res, block, sizeof block)) == HASTY_OK && written < (size_t)1 << 30)
        written += sizeof block;
    seen_status = status;
    handler_done = 1;
    return status;
}

TEST(a_client_that_left_ends_the_stream)
{
    for (int with_reset = 0; with_reset < 2; with_reset++) {
        int port;
        written = 0;
        hasty_app *app = serve(NULL, NULL, writes_for_ever, NULL, &port);
        client c = client_open(port);
        client_send(&c, request_text("GET", "/", NULL, NULL));
        CHECK_INT(client_read_head(&c).status, 200);
        if (with_reset)
            client_reset(&c);
        else
            client_close(&c);
        CHECK(AWAIT(handler_done));
        CHECK_STATUS(seen_status, HASTY_ERR_CLOSED);
        CHECK_INT(get(port, "/none").status, 404);
        hasty_app_free(app);
    }
}

TEST(a_client_that_reads_nothing_is_waited_for_no_longer_than_write_timeout)
{
    int port;
    written = 0;
    hasty_app *app = serve("write_timeout_ms", "300", writes_for_ever, NULL, &port);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/", NULL, NULL));
    CHECK(AWAIT(handler_done));
    CHECK_STATUS(seen_status, HASTY_ERR_TIMEOUT);
    CHECK(written < (size_t)64 << 20); /* what the kernel holds, not what the handler has */
    while (client_more(&c, check_now_ms() + 10000)) {
    }
    CHECK(c.ended);
    CHECK(c.len < 5 || memcmp(c.input + c.len - 5, "0\r\n\r\n", 5) != 0);
    client_close(&c);
    hasty_app_free(app);
}

TEST(stop_ends_a_write_that_waits)
{
    int port;
    size_t before = 1;
    written = 0;
    hasty_app *app = serve(NULL, NULL, writes_for_ever, NULL, &port);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/", NULL, NULL));
    CHECK(AWAIT(gate_reached));
    while (written != before) { /* until nothing more is taken */
        before = written;
        check_pause_ms(50);
    }
    int64_t begin = check_now_ms();
    hasty_app_free(app);
    CHECK_INT(handler_done, 1);
    CHECK(seen_status != HASTY_OK);
    CHECK(check_now_ms() - begin < 10000); /* well below write_timeout_ms */
    client_close(&c);
}

enum { BLOCK = 50000 };

HANDLER(writes_numbers)
{
    static uint32_t block[BLOCK];
    uint32_t next = 0, blocks = check_small() ? 10 : 80;
    for (uint32_t i = 0; i < blocks; i++) {
        for (int j = 0; j < BLOCK; j++)
            block[j] = next++;
        CHECK_OK(hasty_response_write(res, block, sizeof block));
    }
    return HASTY_OK;
}

TEST(a_slow_client_gets_everything)
{
    int port;
    hasty_app *app = serve(NULL, NULL, writes_numbers, NULL, &port);
    client c = client_open(port);
    client_send(&c, "GET / HTTP/1.0\r\n\r\n"); /* no chunks: the bytes follow one another */
    CHECK_INT(client_read_head(&c).status, 200);
    uint32_t next = 0, wanted = BLOCK * (check_small() ? 10 : 80);
    check_pause_ms(200);
    while (client_more(&c, check_now_ms() + 10000) || c.len >= 4) {
        size_t numbers = c.len / 4;
        for (size_t i = 0; i < numbers; i++) {
            uint32_t number;
            memcpy(&number, c.input + 4 * i, 4);
            if (number != next++)
                check_fail(__FILE__, __LINE__, "%u came where %u was due", number, next - 1);
        }
        client_skip(&c, 4 * numbers);
        if (next % 7 == 0)
            check_pause_ms(1);
    }
    CHECK_INT(next, wanted);
    client_close(&c);
    hasty_app_free(app);
}

/* ---- pieces that are packed ---- */

HANDLER(writes_a_set_length)
{
    char *text = check_repeat("0123456789", 1000);
    CHECK_OK(hasty_response_set_type(res, "txt"));
    CHECK_OK(hasty_response_set_header(res, "Content-Length", "10000"));
    for (int i = 0; i < 10; i++)
        CHECK_OK(hasty_response_write(res, text + i * 1000, 1000));
    return HASTY_OK;
}

TEST(a_set_length_is_that_of_what_is_sent)
{
    int port;
    hasty_app *app = serve(NULL, NULL, writes_a_set_length, NULL, &port);
    client c = client_open(port);
    for (int i = 0; i < 3; i++) {
        reply r = client_ask(&c, request_text("GET", "/", i ? "Accept-Encoding: gzip\r\n" : NULL, NULL));
        CHECK_INT(r.status, 200);
        if (reply_header(&r, "Content-Encoding") == NULL)
            CHECK(r.sized && r.body_len == 10000);
        else
            CHECK(r.body_len > 0 && r.body_len < 10000);
    }
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(writes_without_a_body)
{
    CHECK_OK(hasty_response_set_status(res, *(int *)user_data));
    hasty_response_write(res, "nothing", 7);
    seen_status = hasty_response_write(res, "nothing", 7);
    handler_done = 1;
    return HASTY_OK;
}

TEST(a_status_without_body_has_none_in_pieces_either)
{
    static int codes[] = {204, 304};
    for (int i = 0; i < 2; i++) {
        int port;
        hasty_app *app = serve(NULL, NULL, writes_without_a_body, &codes[i], &port);
        client c = client_open(port);
        for (int round = 0; round < 2; round++) {
            handler_done = 0;
            reply r = client_ask(&c, request_text("GET", "/", NULL, NULL));
            CHECK_INT(r.status, codes[i]);
            CHECK(!r.chunked);
            CHECK(AWAIT(handler_done));
            CHECK_STATUS(seen_status, HASTY_ERR_CLOSED);
        }
        client_close(&c);
        hasty_app_free(app);
    }
}

/* With user_data it changes over. */
HANDLER(writes_after_sending)
{
    CHECK_OK(hasty_response_send_text(res, "given up"));
    CHECK_STATUS(write_text(res, "instead"), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("a body was set already");
    if (user_data == NULL)
        return HASTY_OK;
    CHECK_OK(hasty_response_reset(res));
    return write_text(res, "instead");
}

HANDLER(writes_after_sending_a_file)
{
    CHECK_OK(hasty_response_send_file(res, "/proc/self/exe"));
    return hasty_response_write_event(res, NULL, "event", NULL);
}

HANDLER(sends_and_goes_on)
{
    CHECK_OK(hasty_response_send_text(res, "left by middleware"));
    return HASTY_NEXT;
}

HANDLER(writes_once)
{
    return write_text(res, "written");
}

TEST(a_body_that_was_given_is_not_thrown_away_for_a_piece)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/fails", writes_after_sending, NULL));
    CHECK_OK(hasty_app_get(app, "/changes", writes_after_sending, app));
    CHECK_OK(hasty_app_get(app, "/file", writes_after_sending_a_file, NULL));
    CHECK_OK(hasty_app_use(app, "/middleware", sends_and_goes_on, NULL, NULL));
    CHECK_OK(hasty_app_get(app, "/middleware", writes_once, NULL));
    int port = check_serve(app);
    CHECK_INT(get(port, "/fails").status, 500);
    CHECK_REPLY(get(port, "/changes"), 200, "instead");
    CHECK_INT(get(port, "/file").status, 500);
    CHECK_REPLY(get(port, "/middleware"), 200, "written");
    hasty_app_free(app);
}

CHECK_MAIN
