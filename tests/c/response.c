/* hasty_response_*: what a handler answers. */
#include "client.h"

static hasty_app *serve(hasty_handler handler, void *user_data, int *port)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_any(app, "/", handler, user_data));
    *port = check_serve(app);
    return app;
}

/* One GET to an app whose only route is `handler`. */
static reply answer_of(hasty_handler handler)
{
    int port;
    hasty_app *app = serve(handler, NULL, &port);
    reply r = get(port, "/");
    hasty_app_free(app);
    return r;
}

static reply answer_to(hasty_handler handler, const char *method)
{
    int port;
    hasty_app *app = serve(handler, NULL, &port);
    reply r = ask_method(port, method, "/");
    hasty_app_free(app);
    return r;
}

/* ---- the least ---- */

HANDLER(says_nothing)
{
    return HASTY_OK;
}

TEST(ok_without_a_body_is_200_and_empty)
{
    reply r = answer_of(says_nothing);
    CHECK_REPLY(r, 200, "");
    CHECK_HEADER(r, "Content-Length", "0");
}

HANDLER(only_status_and_header)
{
    CHECK_INT(hasty_response_status(res), 200);
    CHECK_OK(hasty_response_set_status(res, 202));
    CHECK_INT(hasty_response_status(res), 202);
    CHECK_OK(hasty_response_set_header(res, "X-Ticket", "42"));
    return HASTY_OK;
}

TEST(status_and_headers_are_sent_without_a_body)
{
    reply r = answer_of(only_status_and_header);
    CHECK_REPLY(r, 202, "");
    CHECK_HEADER(r, "X-Ticket", "42");
    CHECK_HEADER(r, "Content-Length", "0");
}

TEST(every_answer_has_a_date_and_a_server)
{
    reply r = answer_of(says_nothing);
    int day, year, hour, minute, second;
    char weekday[4], month[4];
    REQUIRE(reply_header(&r, "Date") != NULL);
    CHECK_INT(sscanf(reply_header(&r, "Date"), "%3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT", weekday, &day, month,
                     &year, &hour, &minute, &second),
              7);
    CHECK_INT(strlen(reply_header(&r, "Date")), strlen("Sun, 06 Nov 1994 08:49:37 GMT"));
    CHECK(reply_header_nth(&r, "Date", 1) == NULL);
    CHECK_HEADER(r, "Server", "hasty");
}

/* ---- status codes ---- */

HANDLER(tries_status_codes)
{
    static const int32_t refused[] = {-1, 0, 1, 99, 100, 101, 199, 600, 999, 1000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        CHECK_STATUS(hasty_response_set_status(res, refused[i]), HASTY_ERR_INVALID);
        CHECK_ERROR_NAMES(check_format("%d", (int)refused[i]));
        CHECK_INT(hasty_response_status(res), 200);
    }
    CHECK_OK(hasty_response_reset(res));
    for (int32_t code = 200; code < 600; code++)
        CHECK_OK(hasty_response_set_status(res, code));
    CHECK_OK(hasty_response_set_status(res, 299));
    return hasty_response_send_text(res, "unusual");
}

TEST(codes_are_200_to_599)
{
    CHECK_REPLY(answer_of(tries_status_codes), 299, "unusual");
}

HANDLER(sends_status_of_query)
{
    return hasty_response_send_status(res, atoi(hasty_request_query(req, "code").data));
}

TEST(send_status_gives_a_code_and_a_body_that_names_it)
{
    int port;
    hasty_app *app = serve(sends_status_of_query, NULL, &port);
    reply teapot = get(port, "/?code=404");
    CHECK_REPLY(teapot, 404, NULL);
    CHECK(teapot.body_len > 0);
    reply none = get(port, "/?code=204");
    CHECK_REPLY(none, 204, "");
    CHECK(reply_header(&none, "Content-Length") == NULL);
    CHECK_REPLY(get(port, "/?code=99"), 500, NULL);
    hasty_app_free(app);
}

/* ---- bodies and their types ---- */

HANDLER(sends_bytes)
{
    return hasty_response_send(res, "a\0b", 3);
}

HANDLER(sends_nothing)
{
    return hasty_response_send(res, NULL, 0);
}

HANDLER(sends_text)
{
    return hasty_response_send_text(res, "naïve");
}

HANDLER(sends_html)
{
    return hasty_response_send_html(res, "<b>hi</b>");
}

HANDLER(sends_json)
{
    return hasty_response_send_json(res, "{\"a\": 1}");
}

TEST(send_is_octet_stream_until_a_type_is_given)
{
    reply r = answer_of(sends_bytes);
    CHECK_INT(r.status, 200);
    CHECK_BYTES(r.body, r.body_len, "a\0b", 3);
    CHECK_HEADER(r, "Content-Type", "application/octet-stream");
    CHECK_HEADER(r, "Content-Length", "3");
    reply empty = answer_of(sends_nothing);
    CHECK_REPLY(empty, 200, "");
    CHECK_HEADER(empty, "Content-Length", "0");
}

TEST(text_and_html_are_utf_8)
{
    reply text = answer_of(sends_text);
    CHECK_REPLY(text, 200, "naïve");
    CHECK_HEADER(text, "Content-Type", "text/plain; charset=utf-8");
    reply html = answer_of(sends_html);
    CHECK_REPLY(html, 200, "<b>hi</b>");
    CHECK_HEADER(html, "Content-Type", "text/html; charset=utf-8");
}

TEST(json_text_is_sent_as_it_is)
{
    reply r = answer_of(sends_json);
    CHECK_REPLY(r, 200, "{\"a\": 1}");
    CHECK_HEADER(r, "Content-Type", "application/json");
}

HANDLER(sends_json_value)
{
    hasty_json *object = hasty_json_new_object();
    CHECK_OK(hasty_json_set(object, "id", hasty_json_new_int(7)));
    CHECK_OK(hasty_json_set(object, "name", hasty_json_new_string("Ada \"A\"", 7)));
    hasty_status status = hasty_response_send_json_value(res, object);
    hasty_json_free(object);
    return status;
}

TEST(a_json_value_is_written_and_still_the_callers)
{
    reply r = answer_of(sends_json_value);
    CHECK_REPLY(r, 200, "{\"id\":7,\"name\":\"Ada \\\"A\\\"\"}");
    CHECK_HEADER(r, "Content-Type", "application/json");
}

HANDLER(sends_twice)
{
    CHECK_OK(hasty_response_send_html(res, "first, and longer"));
    CHECK_OK(hasty_response_send_text(res, "second"));
    return HASTY_OK;
}

TEST(a_later_send_replaces_an_earlier_one)
{
    reply r = answer_of(sends_twice);
    CHECK_REPLY(r, 200, "second");
    CHECK_HEADER(r, "Content-Type", "text/plain; charset=utf-8");
    CHECK(reply_header_nth(&r, "Content-Type", 1) == NULL);
}

HANDLER(types_the_query)
{
    CHECK_OK(hasty_response_set_type(res, hasty_request_query(req, "type").data));
    return hasty_response_send(res, "x", 1);
}

TEST(a_type_is_verbatim_or_found_by_its_extension)
{
    int port;
    hasty_app *app = serve(types_the_query, NULL, &port);
    static const char *const types[][2] = {
        {"text/csv", "text/csv"},
        {"application/vnd.api%2Bjson", "application/vnd.api+json"},
        {"text/html;charset=latin1", "text/html;charset=latin1"},
        {"json", "application/json"},
        {".json", "application/json"},
        {"png", "image/png"},
        {".png", "image/png"},
        {"PNG", "image/png"},
        {"no-such-extension", "application/octet-stream"},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        reply r = get(port, check_format("/?type=%s", types[i][0]));
        CHECK_INT(r.status, 200);
        CHECK_HEADER(r, "Content-Type", types[i][1]);
    }
    reply html = get(port, "/?type=html");
    CHECK_CONTAINS(reply_header(&html, "Content-Type"), "text/html");
    hasty_app_free(app);
}

HANDLER(types_then_sends_text)
{
    CHECK_OK(hasty_response_set_header(res, "Content-Type", "text/markdown"));
    return hasty_response_send(res, "# x", 3);
}

TEST(a_content_type_header_is_a_type)
{
    reply r = answer_of(types_then_sends_text);
    CHECK_REPLY(r, 200, "# x");
    CHECK_HEADER(r, "Content-Type", "text/markdown");
    CHECK(reply_header_nth(&r, "Content-Type", 1) == NULL);
}

static char *long_text(size_t len)
{
    char *text = malloc(len + 1);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + i % 23);
    text[len] = '\0';
    return text;
}

HANDLER(sends_long)
{
    size_t len = (size_t)atol(hasty_request_query(req, "len").data);
    char *text = long_text(len);
    if (strcmp(user_data, "owned") == 0)
        return hasty_response_send_owned(res, text, len, text, free);
    hasty_status status = hasty_response_send(res, text, len);
    free(text);
    return status;
}

static void long_bodies_arrive_whole(char *how)
{
    int port;
    hasty_app *app = serve(sends_long, how, &port);
    static const size_t lens[] = {0, 1, 4095, 4096, 16384, 65535, 65536, 65537, 300000, 5000000};
    client c = client_open(port);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        if (check_small() && lens[i] > 1000000)
            continue;
        reply r = client_ask(&c, request_text("GET", check_format("/?len=%zu", lens[i]), NULL, NULL));
        char *expected = check_keep(long_text(lens[i]));
        CHECK_INT(r.status, 200);
        CHECK_BYTES(r.body, r.body_len, expected, lens[i]);
    }
    client_close(&c);
    hasty_app_free(app);
}

TEST(bodies_of_every_length_arrive_whole)
{
    long_bodies_arrive_whole("copied");
}

TEST(owned_bodies_of_every_length_arrive_whole)
{
    long_bodies_arrive_whole("owned");
}

TEST(pipelined_long_answers_arrive_in_order)
{
    int port;
    hasty_app *app = serve(sends_long, "copied", &port);
    client c = client_open(port);
    static const size_t lens[] = {200000, 10, 150000, 0, 70000, 1};
    enum { COUNT = sizeof lens / sizeof lens[0] };
    for (int i = 0; i < COUNT; i++)
        client_send(&c, request_text("GET", check_format("/?len=%zu", lens[i]), NULL, NULL));
    for (int i = 0; i < COUNT; i++) {
        reply r = client_read(&c);
        CHECK_INT(r.status, 200);
        CHECK_INT(r.body_len, lens[i]);
    }
    client_close(&c);
    hasty_app_free(app);
}

/* ---- HEAD, 204, 304 ---- */

TEST(head_keeps_the_length_and_drops_the_body)
{
    int port;
    hasty_app *app = serve(sends_text, NULL, &port);
    client c = client_open(port);
    reply r = client_ask(&c, request_text("HEAD", "/", NULL, NULL));
    CHECK_INT(r.status, 200);
    CHECK_HEADER(r, "Content-Length", "6");
    CHECK_HEADER(r, "Content-Type", "text/plain; charset=utf-8");
    CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 200, "naïve");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(sends_204_with_text)
{
    CHECK_OK(hasty_response_set_status(res, 204));
    return hasty_response_send_text(res, "never sent");
}

HANDLER(sends_304_with_text)
{
    CHECK_OK(hasty_response_set_status(res, 304));
    CHECK_OK(hasty_response_set_header(res, "ETag", "\"x\""));
    return hasty_response_send_text(res, "never sent");
}

TEST(a_204_and_a_304_drop_the_body)
{
    static const hasty_handler handlers[] = {sends_204_with_text, sends_304_with_text};
    for (int i = 0; i < 2; i++) {
        int port;
        hasty_app *app = serve(handlers[i], NULL, &port);
        client c = client_open(port);
        for (int j = 0; j < 2; j++) { /* the second answer shows that no body followed the first */
            reply r = client_ask(&c, request_text("GET", "/", NULL, NULL));
            CHECK_INT(r.status, i == 0 ? 204 : 304);
            CHECK(!r.chunked);
            CHECK(i == 1 || !r.sized); /* RFC 9110 8.6: no Content-Length in a 204 */
        }
        client_close(&c);
        hasty_app_free(app);
    }
}

/* ---- headers ---- */

HANDLER(works_with_headers)
{
    CHECK_ABSENT(hasty_response_header(res, "X-One"));
    CHECK_OK(hasty_response_add_header(res, "X-One", "a"));
    CHECK_OK(hasty_response_add_header(res, "x-one", "b"));
    CHECK_STR(hasty_response_header(res, "X-ONE"), "a");
    CHECK_OK(hasty_response_set_header(res, "X-One", "c"));
    CHECK_STR(hasty_response_header(res, "x-one"), "c");
    CHECK_OK(hasty_response_add_header(res, "X-Many", "1"));
    CHECK_OK(hasty_response_add_header(res, "X-Many", "2"));
    CHECK_OK(hasty_response_set_header(res, "X-Gone", "x"));
    CHECK_OK(hasty_response_add_header(res, "X-Gone", "y"));
    CHECK_OK(hasty_response_remove_header(res, "x-gone"));
    CHECK_OK(hasty_response_set_header(res, "X-Empty", ""));
    CHECK_STR(hasty_response_header(res, "X-Empty"), "");
    CHECK_OK(hasty_response_set_header_bytes(res, "X-Bytes", "caf\xe9!", 4));
    CHECK_OK(hasty_response_add_header_bytes(res, "X-Bytes", NULL, 0));
    return hasty_response_send_text(res, "done");
}

TEST(headers_are_set_added_and_removed)
{
    reply r = answer_of(works_with_headers);
    CHECK_REPLY(r, 200, "done");
    CHECK_HEADER(r, "X-One", "c");
    CHECK(reply_header_nth(&r, "X-One", 1) == NULL);
    CHECK_HEADER(r, "X-Many", "1");
    CHECK_TEXT(reply_header_nth(&r, "X-Many", 1), "2");
    CHECK(reply_header(&r, "X-Gone") == NULL);
    CHECK_HEADER(r, "X-Empty", "");
    CHECK_HEADER(r, "X-Bytes", "caf\xe9");
    CHECK_TEXT(reply_header_nth(&r, "X-Bytes", 1), "");
}

HANDLER(setters_copy)
{
    char name[] = "X-Copy", value[] = "copied", text[] = "the text";
    CHECK_OK(hasty_response_set_header(res, name, value));
    CHECK_OK(hasty_response_send_text(res, text));
    memset(name, 'z', sizeof name);
    memset(value, 'z', sizeof value);
    memset(text, 'z', sizeof text);
    return HASTY_OK;
}

TEST(setters_copy_their_arguments)
{
    reply r = answer_of(setters_copy);
    CHECK_REPLY(r, 200, "the text");
    CHECK_HEADER(r, "X-Copy", "copied");
}

HANDLER(refuses_headers)
{
    static const char *const names[] = {"", "a b", "a:b", "a\r\nb", "a\nb", "a\tb", "caf\xe9", "(a)", "a\x7f"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CHECK_STATUS(hasty_response_set_header(res, names[i], "x"), HASTY_ERR_INVALID);
        CHECK_STATUS(hasty_response_add_header(res, names[i], "x"), HASTY_ERR_INVALID);
    }
    static const char *const values[] = {"a\r\nSet-Cookie: x=1", "a\rb", "a\nb", "\n", "x\r\n"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        CHECK_STATUS(hasty_response_set_header(res, "X-Bad", values[i]), HASTY_ERR_INVALID);
        CHECK_ERROR_NAMES("X-Bad");
        CHECK_STATUS(hasty_response_add_header(res, "X-Bad", values[i]), HASTY_ERR_INVALID);
        CHECK_STATUS(hasty_response_set_header_bytes(res, "X-Bad", values[i], strlen(values[i])), HASTY_ERR_INVALID);
        CHECK_STATUS(hasty_response_add_header_bytes(res, "X-Bad", values[i], strlen(values[i])), HASTY_ERR_INVALID);
    }
    CHECK_STATUS(hasty_response_set_header_bytes(res, "X-Bad", "a\0b", 3), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_response_add_header_bytes(res, "X-Bad", "a\0b", 3), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_response_set_header(res, "Date", "today"), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("Date");
    CHECK_STATUS(hasty_response_add_header(res, "date", "today"), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_response_set_header(res, "Transfer-Encoding", "chunked"), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_response_add_header(res, "TRANSFER-encoding", "chunked"), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_response_set_type(res, "text/plain\r\nX-Bad: 1"), HASTY_ERR_INVALID);
    CHECK_ABSENT(hasty_response_header(res, "X-Bad"));
    CHECK_OK(hasty_response_reset(res));
    return hasty_response_send_text(res, "clean");
}

TEST(headers_that_could_split_the_answer_are_refused)
{
    reply r = answer_of(refuses_headers);
    CHECK_REPLY(r, 200, "clean");
    CHECK(reply_header(&r, "X-Bad") == NULL);
    CHECK(reply_header(&r, "Set-Cookie") == NULL);
    CHECK(reply_header_nth(&r, "Date", 1) == NULL);
}

HANDLER(closes)
{
    CHECK_OK(hasty_response_set_header(res, "Connection", "close"));
    return hasty_response_send_text(res, "bye");
}

TEST(connection_close_is_honoured)
{
    int port;
    hasty_app *app = serve(closes, NULL, &port);
    client c = client_open(port);
    reply r = client_ask(&c, request_text("GET", "/", NULL, NULL));
    CHECK_REPLY(r, 200, "bye");
    CHECK(reply_lists(&r, "Connection", "close"));
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(right_length)
{
    CHECK_OK(hasty_response_set_header(res, "Content-Length", "5"));
    return hasty_response_send(res, "right", 5);
}

HANDLER(wrong_length)
{
    hasty_response_set_header(res, "Content-Length", "500");
    hasty_response_send(res, "wrong", 5);
    return HASTY_OK;
}

TEST(content_length_is_checked_against_the_body)
{
    reply right = answer_of(right_length);
    CHECK_REPLY(right, 200, "right");
    CHECK(reply_header_nth(&right, "Content-Length", 1) == NULL);
    reply wrong = answer_of(wrong_length);
    CHECK_REPLY(wrong, 500, NULL);
    CHECK(reply_header_nth(&wrong, "Content-Length", 1) == NULL);
}

/* ---- the first failure is remembered ---- */

HANDLER(fails_then_sends)
{
    CHECK_STATUS(hasty_response_set_header(res, "X-Bad", "a\nb"), HASTY_ERR_INVALID);
    CHECK_OK(hasty_response_set_header(res, "X-Good", "secret"));
    hasty_response_send_text(res, "secret");
    return HASTY_OK;
}

TEST(a_setter_that_failed_makes_the_answer_a_500)
{
    reply r = answer_of(fails_then_sends);
    CHECK_REPLY(r, 500, NULL);
    CHECK(strstr(r.body, "secret") == NULL);
}

HANDLER(fails_resets_and_sends)
{
    CHECK_OK(hasty_response_set_status(res, 404));
    CHECK_OK(hasty_response_set_header(res, "X-Old", "old"));
    CHECK_OK(hasty_response_send_html(res, "old"));
    CHECK_STATUS(hasty_response_set_status(res, 42), HASTY_ERR_INVALID);
    CHECK_OK(hasty_response_reset(res));
    CHECK_INT(hasty_response_status(res), 200);
    CHECK_ABSENT(hasty_response_header(res, "X-Old"));
    CHECK_INT(hasty_response_body(res).len, 0);
    return hasty_response_send_text(res, "new");
}

TEST(reset_forgets_the_failure_and_everything_else)
{
    reply r = answer_of(fails_resets_and_sends);
    CHECK_REPLY(r, 200, "new");
    CHECK(reply_header(&r, "X-Old") == NULL);
    CHECK_HEADER(r, "Content-Type", "text/plain; charset=utf-8");
}

/* ---- what a handler returns ---- */

HANDLER(returns_user_data)
{
    hasty_response_send_text(res, "secret");
    return *(hasty_status *)user_data;
}

TEST(anything_but_ok_answers_500)
{
    static hasty_status statuses[] = {HASTY_ERR_NULL,
                                      HASTY_ERR_INVALID,
                                      HASTY_ERR_STATE,
                                      HASTY_ERR_IO,
                                      HASTY_ERR_CLOSED,
                                      HASTY_ERR_TIMEOUT,
                                      HASTY_NEXT,
                                      -1,
                                      12345};
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        int port;
        hasty_app *app = serve(returns_user_data, &statuses[i], &port);
        client c = client_open(port);
        reply r = client_ask(&c, request_text("GET", "/", NULL, NULL));
        CHECK_REPLY(r, 500, NULL);
        CHECK(r.body != NULL && strstr(r.body, "secret") == NULL);
        CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 500, NULL);
        client_close(&c);
        hasty_app_free(app);
    }
}

/* ---- reading back ---- */

HANDLER(reads_back)
{
    CHECK_INT(hasty_response_body(res).len, 0);
    CHECK_OK(hasty_response_send_text(res, "the body"));
    CHECK_STR(hasty_response_body(res), "the body");
    CHECK_STR(hasty_response_header(res, "content-type"), "text/plain; charset=utf-8");
    CHECK_ABSENT(hasty_response_header(res, "X-Absent"));
    return HASTY_OK;
}

TEST(the_body_and_the_type_can_be_read_back)
{
    CHECK_REPLY(answer_of(reads_back), 200, "the body");
}

HANDLER(gives_back_what_it_got)
{
    CHECK_OK(hasty_response_set_header(res, "X-One", "a value that is long enough to be on the heap"));
    CHECK_OK(hasty_response_set_header(res, "X-One", hasty_response_header(res, "X-One").data));
    for (int i = 0; i < 40; i++)
        CHECK_OK(hasty_response_add_header(res, "X-Many", hasty_response_header(res, "X-One").data));
    CHECK_OK(hasty_response_send_text(res, "the body goes round"));
    hasty_str body = hasty_response_body(res);
    CHECK_OK(hasty_response_send(res, body.data, body.len));
    CHECK_OK(hasty_response_send_text(res, hasty_response_body(res).data));
    return HASTY_OK;
}

TEST(what_was_read_from_a_response_may_be_set_in_it)
{
    reply r = answer_of(gives_back_what_it_got);
    CHECK_REPLY(r, 200, "the body goes round");
    CHECK_HEADER(r, "X-One", "a value that is long enough to be on the heap");
    CHECK_TEXT(reply_header_nth(&r, "X-Many", 39), "a value that is long enough to be on the heap");
}

HANDLER(reads_back_an_owned_body)
{
    static const char text[] = "not copied";
    CHECK_OK(hasty_response_send_owned(res, text, strlen(text), NULL, NULL));
    hasty_str body = hasty_response_body(res);
    CHECK_BYTES(body.data, body.len, text, strlen(text));
    return HASTY_OK;
}

TEST(an_owned_body_can_be_read_back_too)
{
    CHECK_REPLY(answer_of(reads_back_an_owned_body), 200, "not copied");
}

/* Sends 20,000 times the first character of the query, which is not copied, and reads it back. */
HANDLER(reads_back_what_is_long_and_owned)
{
    size_t len = 20000;
    char *text = long_text(len);
    memset(text, hasty_request_query_string(req).data[0], len);
    CHECK_OK(hasty_response_send_owned(res, text, len, text, free));
    hasty_str body = hasty_response_body(res);
    CHECK_BYTES(body.data, body.len, text, len);
    return HASTY_OK;
}

TEST(a_body_that_is_read_back_is_never_that_of_another_answer)
{
    int port;
    hasty_app *app = serve(reads_back_what_is_long_and_owned, NULL, &port);
    client c = client_open(port);
    for (const char *letter = "abcabc"; *letter; letter++) {
        client_send(&c, request_text("GET", check_format("/?%c", *letter), NULL, NULL));
        reply r = client_read(&c);
        CHECK_INT(r.status, 200);
        CHECK(r.body != NULL && r.body[0] == *letter);
    }
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(sets_many_long_headers)
{
    char *value = malloc(60001);
    memset(value, 'v', 60000);
    value[60000] = '\0';
    CHECK_OK(hasty_response_set_header(res, "X-Long", value));
    for (int i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "X-%d", i);
        CHECK_OK(hasty_response_set_header(res, name, "value"));
    }
    free(value);
    return hasty_response_send_text(res, "done");
}

TEST(an_answer_may_have_many_and_long_headers)
{
    reply r = answer_of(sets_many_long_headers);
    CHECK_REPLY(r, 200, "done");
    CHECK_HEADER(r, "X-299", "value");
    CHECK(reply_header(&r, "X-Long") != NULL && strlen(reply_header(&r, "X-Long")) == 60000);
}

/* ---- redirects ---- */

HANDLER(redirects)
{
    return hasty_response_send_redirect(res, atoi(hasty_request_query(req, "code").data),
                                        hasty_request_query(req, "to").data);
}

TEST(a_redirect_has_its_code_and_location)
{
    int port;
    hasty_app *app = serve(redirects, NULL, &port);
    static const int codes[] = {301, 302, 303, 307, 308};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        reply r = get(port, check_format("/?code=%d&to=/next?x=1%%26y=2", codes[i]));
        CHECK_REPLY(r, codes[i], NULL);
        CHECK_HEADER(r, "Location", "/next?x=1&y=2");
    }
    reply elsewhere = get(port, "/?code=302&to=https://example.org/");
    CHECK_HEADER(elsewhere, "Location", "https://example.org/");
    CHECK_REPLY(get(port, "/?code=200&to=/next"), 500, NULL);
    CHECK_REPLY(get(port, "/?code=404&to=/next"), 500, NULL);
    reply split = get(port, "/?code=302&to=/x%0d%0aSet-Cookie:%20a=b");
    CHECK_REPLY(split, 500, NULL);
    CHECK(reply_header(&split, "Set-Cookie") == NULL);
    hasty_app_free(app);
}

/* ---- cookies ---- */

/* Whether the `nth` Set-Cookie field has `part` between its semicolons, compared without case. */
static int cookie_has(const reply *r, int nth, const char *part)
{
    const char *at = reply_header_nth(r, "Set-Cookie", nth);
    while (at != NULL && *at != '\0') {
        at += strspn(at, "; ");
        size_t len = strcspn(at, ";");
        if (len == strlen(part) && strncasecmp(at, part, len) == 0)
            return 1;
        at += len;
    }
    return 0;
}

HANDLER(sets_cookies)
{
    CHECK_OK(hasty_response_set_cookie(res, "plain", "1", NULL));
    hasty_cookie all = {.size = sizeof all,
                        .path = "/app",
                        .domain = "example.org",
                        .same_site = "Strict",
                        .max_age_s = 3600,
                        .secure = 1,
                        .script_visible = 1};
    CHECK_OK(hasty_response_set_cookie(res, "full", "ab", &all));
    hasty_cookie defaults = {.size = sizeof defaults};
    CHECK_OK(hasty_response_set_cookie(res, "same", "x=y", &defaults));
    hasty_cookie none = {.size = sizeof none, .max_age_s = (int64_t)HASTY_NONE64};
    CHECK_OK(hasty_response_set_cookie(res, "none", "1", &none));
    return hasty_response_send_text(res, "set");
}

TEST(cookies_are_safe_by_default_and_follow_their_options)
{
    reply r = answer_of(sets_cookies);
    CHECK_REPLY(r, 200, "set");
    CHECK(cookie_has(&r, 0, "plain=1"));
    CHECK(cookie_has(&r, 0, "Path=/"));
    CHECK(cookie_has(&r, 0, "HttpOnly"));
    CHECK(cookie_has(&r, 0, "SameSite=Lax"));
    CHECK(!cookie_has(&r, 0, "Secure"));
    CHECK(strstr(reply_header_nth(&r, "Set-Cookie", 0), "Max-Age") == NULL);
    CHECK(strstr(reply_header_nth(&r, "Set-Cookie", 0), "Domain") == NULL);

    CHECK(cookie_has(&r, 1, "full=ab"));
    CHECK(cookie_has(&r, 1, "Path=/app"));
    CHECK(cookie_has(&r, 1, "Domain=example.org"));
    CHECK(cookie_has(&r, 1, "SameSite=Strict"));
    CHECK(cookie_has(&r, 1, "Max-Age=3600"));
    CHECK(cookie_has(&r, 1, "Secure"));
    CHECK(!cookie_has(&r, 1, "HttpOnly"));

    CHECK(cookie_has(&r, 2, "same=x=y"));
    CHECK(cookie_has(&r, 2, "HttpOnly"));
    CHECK(cookie_has(&r, 3, "none=1"));
    CHECK(strstr(reply_header_nth(&r, "Set-Cookie", 3), "Max-Age") == NULL);
    CHECK(reply_header_nth(&r, "Set-Cookie", 4) == NULL);
}

HANDLER(deletes_cookies)
{
    hasty_cookie where = {.size = sizeof where, .path = "/app", .domain = "example.org"};
    CHECK_OK(hasty_response_delete_cookie(res, "plain", NULL));
    CHECK_OK(hasty_response_delete_cookie(res, "there", &where));
    CHECK_OK(hasty_response_delete_cookie(res, "__Host-id", NULL));
    return hasty_response_send_text(res, "deleted");
}

TEST(a_deleted_cookie_is_empty_and_over)
{
    reply r = answer_of(deletes_cookies);
    CHECK_REPLY(r, 200, "deleted");
    CHECK(cookie_has(&r, 0, "plain="));
    CHECK(cookie_has(&r, 0, "Max-Age=0"));
    CHECK(cookie_has(&r, 0, "Path=/"));
    CHECK(cookie_has(&r, 1, "there="));
    CHECK(cookie_has(&r, 1, "Max-Age=0"));
    CHECK(cookie_has(&r, 1, "Path=/app"));
    CHECK(cookie_has(&r, 1, "Domain=example.org"));
    CHECK(cookie_has(&r, 2, "__Host-id="));
    CHECK(cookie_has(&r, 2, "Secure"));
}

HANDLER(refuses_cookies)
{
    static const char *const names[] = {"", "a b", "a=b", "a;b", "a\r\nb", "a,b", "caf\xe9"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_STATUS(hasty_response_set_cookie(res, names[i], "x", NULL), HASTY_ERR_INVALID);
    static const char *const values[] = {"a;b", "a\r\nb", "a\nb", "x; Secure"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        CHECK_STATUS(hasty_response_set_cookie(res, "name", values[i], NULL), HASTY_ERR_INVALID);
    hasty_cookie bad_path = {.size = sizeof bad_path, .path = "/; Secure"};
    CHECK_STATUS(hasty_response_set_cookie(res, "name", "x", &bad_path), HASTY_ERR_INVALID);
    hasty_cookie bad_domain = {.size = sizeof bad_domain, .domain = "x\r\ny"};
    CHECK_STATUS(hasty_response_set_cookie(res, "name", "x", &bad_domain), HASTY_ERR_INVALID);
    hasty_cookie bad_same_site = {.size = sizeof bad_same_site, .same_site = "Sometimes"};
    CHECK_STATUS(hasty_response_set_cookie(res, "name", "x", &bad_same_site), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("Sometimes");
    hasty_cookie relative = {.size = sizeof relative, .path = "app"};
    CHECK_STATUS(hasty_response_set_cookie(res, "name", "x", &relative), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("app");
    hasty_cookie url = {.size = sizeof url, .domain = "http://example.org"};
    CHECK_STATUS(hasty_response_set_cookie(res, "name", "x", &url), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("http://example.org");
    hasty_cookie everywhere = {.size = sizeof everywhere, .same_site = "None"};
    CHECK_STATUS(hasty_response_set_cookie(res, "name", "x", &everywhere), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("secure");
    CHECK_STATUS(hasty_response_set_cookie(res, "__Secure-name", "x", NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("__Secure-");
    hasty_cookie below = {.size = sizeof below, .path = "/app", .secure = 1};
    CHECK_STATUS(hasty_response_set_cookie(res, "__Host-name", "x", &below), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("__Host-");
    hasty_cookie none = {.size = sizeof none, .max_age_s = HASTY_NONE};
    CHECK_STATUS(hasty_response_set_cookie(res, "name", "x", &none), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("HASTY_NONE64");
    hasty_cookie too_small = {.size = 8};
    CHECK_STATUS(hasty_response_set_cookie(res, "name", "x", &too_small), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_response_delete_cookie(res, "a b", NULL), HASTY_ERR_INVALID);
    CHECK_OK(hasty_response_reset(res));
    return hasty_response_send_text(res, "clean");
}

TEST(cookies_that_could_be_read_as_others_are_refused)
{
    reply r = answer_of(refuses_cookies);
    CHECK_REPLY(r, 200, "clean");
    CHECK(reply_header(&r, "Set-Cookie") == NULL);
}

/* ---- old clients ---- */

TEST(an_http_1_0_client_gets_a_length_and_a_close)
{
    int port;
    hasty_app *app = serve(sends_text, NULL, &port);
    client c = client_open(port);
    reply r = client_ask(&c, "GET / HTTP/1.0\r\n\r\n");
    CHECK_REPLY(r, 200, "naïve");
    CHECK(!r.chunked);
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

TEST(the_answer_to_head_of_a_failing_handler_has_no_body)
{
    reply r = answer_to(fails_then_sends, "HEAD");
    CHECK_INT(r.status, 500);
}

CHECK_MAIN
