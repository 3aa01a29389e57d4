/* on_access and its line formats, on_thread, and the headers of every answer. */
#include "client.h"

enum { BODY = 1000, MOST = 32 };

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

HANDLER(sends_a_thousand)
{
    return hasty_response_send(res, check_repeat("x", BODY), BODY);
}

HANDLER(answers_with)
{
    return hasty_response_send_status(res, *(int *)user_data);
}

HANDLER(fails)
{
    return HASTY_ERR_IO;
}

HANDLER(sleeps)
{
    check_pause_ms(60);
    return hasty_response_send_text(res, "rested");
}

HANDLER(streams)
{
    for (int i = 0; i < 10; i++)
        CHECK_OK(hasty_response_write(res, check_repeat("x", BODY / 10), BODY / 10));
    return HASTY_OK;
}

/* ---- records ---- */

/* A record whose views are copied: they belong to the call. */
static struct {
    hasty_access records[MOST];
    char *common[MOST], *combined[MOST], *json[MOST];
    _Atomic int count;
} seen;

static hasty_str copied(hasty_str text)
{
    if (text.data == NULL)
        return text;
    CHECK_INT(text.data[text.len], '\0');
    return (hasty_str){check_keep(strndup(text.data, text.len)), text.len};
}

static char *as(const hasty_access *record, const char *format)
{
    char text[4096];
    size_t needed = 0;
    CHECK_OK(hasty_access_to_text(record, format, text, sizeof text, &needed));
    CHECK_INT(needed, strlen(text) + 1);
    return check_keep(strdup(text));
}

static void keeps(const hasty_access *record, void *user_data)
{
    (void)user_data;
    int at = seen.count;
    CHECK(record->size >= sizeof *record);
    if (at >= MOST || record->size < sizeof *record)
        return;
    hasty_access kept = *record;
    kept.method = copied(record->method);
    kept.target = copied(record->target);
    kept.route = copied(record->route);
    kept.remote_address = copied(record->remote_address);
    kept.user_agent = copied(record->user_agent);
    kept.referer = copied(record->referer);
    kept.id = copied(record->id);
    seen.records[at] = kept;
    seen.common[at] = as(record, "common");
    seen.combined[at] = as(record, "combined");
    seen.json[at] = as(record, "json");
    seen.count++;
}

static hasty_app *watched(void)
{
    seen.count = 0;
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_on_access(app, keeps, NULL, NULL));
    return app;
}

/* Asks, waits for the record, and returns it. */
static hasty_access recorded(int port, const char *request, int status)
{
    int before = seen.count;
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, request), status, NULL);
    CHECK(AWAIT(seen.count == before + 1));
    client_close(&c);
    CHECK_INT(seen.records[before].status, status);
    return seen.records[before];
}

TEST(a_record_says_what_was_asked_and_answered)
{
    hasty_app *app = watched();
    CHECK_OK(hasty_app_post(app, "/users/:id", sends_a_thousand, NULL));
    int port = check_serve(app);
    char *request = request_text("POST", "/users/7?q=1%20",
                                 "User-Agent: test/1.0\r\nReferer: http://localhost/from\r\nX-Request-ID: id-123\r\n", "hello");
    hasty_access record = recorded(port, request, 200);
    CHECK_STR(record.method, "POST");
    CHECK_STR(record.target, "/users/7?q=1%20");
    CHECK_STR(record.route, "/users/:id");
    CHECK_STR(record.remote_address, "127.0.0.1");
    CHECK_STR(record.user_agent, "test/1.0");
    CHECK_STR(record.referer, "http://localhost/from");
    CHECK_STR(record.id, "id-123");
    CHECK(record.bytes_in >= 5 && record.bytes_in <= strlen(request));
    CHECK(record.bytes_out >= BODY && record.bytes_out <= BODY + 1000);
    CHECK(record.duration_us < 10000000);
    CHECK(llabs(record.time_us / 1000000 - (int64_t)time(NULL)) < 60);
    hasty_app_free(app);
    CHECK_INT(seen.count, 1);
}

TEST(what_is_not_there_is_absent_in_a_record)
{
    hasty_app *app = watched();
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    int port = check_serve(app);
    hasty_access record = recorded(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200);
    CHECK_ABSENT(record.user_agent);
    CHECK_ABSENT(record.referer);
    record = recorded(port, "GET /none HTTP/1.1\r\nHost: x\r\n\r\n", 404);
    CHECK_ABSENT(record.route);
    CHECK_STR(record.target, "/none");
    record = recorded(port, "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent:\r\n\r\n", 200);
    CHECK_STR(record.user_agent, "");
    hasty_app_free(app);
}

TEST(every_status_is_recorded)
{
    static int codes[] = {201, 204, 301, 304, 403, 404, 500, 503, 599};
    hasty_app *app = watched();
    CHECK_OK(hasty_app_set_option(app, "max_body_bytes", "10"));
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        CHECK_OK(hasty_app_get(app, check_format("/%d", codes[i]), answers_with, &codes[i]));
    CHECK_OK(hasty_app_post(app, "/", fine, NULL));
    CHECK_OK(hasty_app_get(app, "/fails", fails, NULL));
    int port = check_serve(app);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        recorded(port, request_text("GET", check_format("/%d", codes[i]), NULL, NULL), codes[i]);
    recorded(port, request_text("GET", "/", NULL, NULL), 405);
    recorded(port, request_text("POST", "/", NULL, "more than ten"), 413);
    recorded(port, request_text("GET", "/fails", NULL, NULL), 500);
    hasty_app_free(app);
}

TEST(the_bytes_of_a_body_are_counted_where_it_is_sent)
{
    hasty_app *app = watched();
    CHECK_OK(hasty_app_get(app, "/", sends_a_thousand, NULL));
    CHECK_OK(hasty_app_get(app, "/stream", streams, NULL));
    int port = check_serve(app);
    hasty_access whole = recorded(port, request_text("GET", "/", NULL, NULL), 200);
    hasty_access head = recorded(port, request_text("HEAD", "/", NULL, NULL), 200);
    hasty_access stream = recorded(port, request_text("GET", "/stream", NULL, NULL), 200);
    CHECK_INT(whole.bytes_out - head.bytes_out, BODY);
    CHECK(stream.bytes_out >= BODY && stream.bytes_out < BODY + 1000);
    CHECK_STR(head.method, "HEAD");
    hasty_app_free(app);
}

TEST(the_duration_is_that_of_the_handler_at_least)
{
    hasty_app *app = watched();
    CHECK_OK(hasty_app_get(app, "/", sleeps, NULL));
    int port = check_serve(app);
    hasty_access record = recorded(port, request_text("GET", "/", NULL, NULL), 200);
    CHECK(record.duration_us >= 60000 && record.duration_us < 5000000);
    hasty_app_free(app);
}

TEST(what_could_not_be_parsed_is_recorded_too)
{
    hasty_app *app = watched();
    int port = check_serve(app);
    hasty_access record = recorded(port, "GET / HTTP/1.1\r\nA b: c\r\n\r\n", 400);
    CHECK_STR(record.remote_address, "127.0.0.1");
    CHECK_ABSENT(record.route);
    recorded(port, "GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505);
    recorded(port, "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    hasty_app_free(app);
}

HANDLER(parks)
{
    return hasty_response_defer(res, user_data);
}

TEST(an_exchange_is_recorded_when_it_ends)
{
    for (int leaves = 0; leaves < 2; leaves++) {
        hasty_exchange *exchange = NULL;
        hasty_app *app = watched();
        CHECK_OK(hasty_app_get(app, "/later", parks, &exchange));
        int port = check_serve(app);
        client c = client_open(port);
        client_send(&c, request_text("GET", "/later", NULL, NULL));
        CHECK(AWAIT(*(hasty_exchange *volatile *)&exchange != NULL));
        CHECK_INT(seen.count, 0);
        if (leaves)
            client_reset(&c);
        CHECK(AWAIT(!leaves || !hasty_exchange_alive(exchange)));
        hasty_response_send_text(hasty_exchange_response(exchange), "late");
        CHECK_STATUS(hasty_exchange_finish(exchange), leaves ? HASTY_ERR_CLOSED : HASTY_OK);
        CHECK(AWAIT(seen.count == 1));
        CHECK_INT(seen.records[0].status, leaves ? 499 : 200);
        CHECK_STR(seen.records[0].route, "/later");
        client_close(&c);
        hasty_app_free(app);
        CHECK_INT(seen.count, 1);
    }
}

TEST(an_exchange_that_the_library_answers_is_recorded_then)
{
    for (int stops = 0; stops < 2; stops++) {
        hasty_exchange *exchange = NULL;
        hasty_app *app = watched();
        CHECK_OK(hasty_app_set_option(app, "exchange_timeout_ms", stops ? "60000" : "200"));
        CHECK_OK(hasty_app_get(app, "/later", parks, &exchange));
        int port = check_serve(app);
        client c = client_open(port);
        client_send(&c, request_text("GET", "/later", NULL, NULL));
        CHECK(AWAIT(*(hasty_exchange *volatile *)&exchange != NULL));
        if (stops)
            hasty_app_stop(app);
        CHECK_REPLY(client_read(&c), stops ? 503 : 504, NULL);
        CHECK(AWAIT(seen.count == 1));
        CHECK_INT(seen.records[0].status, stops ? 503 : 504);
        client_close(&c);
        hasty_exchange_free(exchange);
        hasty_app_free(app);
        CHECK_INT(seen.count, 1);
    }
}

TEST(pipelined_requests_are_recorded_one_by_one_in_order)
{
    hasty_app *app = watched();
    CHECK_OK(hasty_app_get(app, "/*", fine, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    for (int i = 0; i < 20; i++)
        client_send(&c, request_text("GET", check_format("/%d", i), NULL, NULL));
    for (int i = 0; i < 20; i++)
        CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK(AWAIT(seen.count == 20));
    for (int i = 0; i < 20; i++)
        CHECK_STR(seen.records[i].target, check_format("/%d", i));
    client_close(&c);
    hasty_app_free(app);
}

TEST(on_access_takes_its_data_and_a_second_one_replaces_the_first)
{
    thing first = {0}, second = {0}, refused = {0};
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_on_access(app, keeps, &first, drop_thing));
    CHECK_OK(hasty_app_on_access(app, keeps, &second, drop_thing));
    CHECK_INT(first.dropped, 1);
    CHECK_STATUS(hasty_app_on_access(NULL, keeps, &refused, drop_thing), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_app_on_access(app, NULL, &refused, drop_thing), HASTY_ERR_NULL);
    check_serve(app);
    CHECK_STATUS(hasty_app_on_access(app, keeps, &refused, drop_thing), HASTY_ERR_STATE);
    CHECK_INT(refused.dropped, 3);
    NOT_DROPPED(second);
    hasty_app_free(app);
    CHECK_INT(first.dropped, 1);
    CHECK_INT(second.dropped, 1);
}

/* ---- lines ---- */

static hasty_str text_of(const char *text)
{
    return (hasty_str){text, text ? strlen(text) : 0};
}

/* Received on 2000-10-10 13:55:36 UTC, and answered a little later. */
static hasty_access example(const char *target, const char *agent, const char *referer)
{
    return (hasty_access){.size = sizeof(hasty_access), .method = text_of("GET"), .target = text_of(target),
                          .route = text_of("/x"), .remote_address = text_of("192.0.2.1"), .user_agent = text_of(agent),
                          .referer = text_of(referer), .bytes_in = 10, .bytes_out = 2326, .duration_us = 1500,
                          .time_us = 971186136001500, .status = 200};
}

TEST(the_common_format_is_that_of_web_servers)
{
    hasty_access record = example("/x?y=1", "agent", "from");
    CHECK_TEXT(as(&record, "common"), "192.0.2.1 - - [10/Oct/2000:13:55:36 +0000] \"GET /x?y=1 HTTP/1.1\" 200 2326");
}

TEST(the_combined_format_adds_referer_and_agent)
{
    hasty_access record = example("/x", "agent/1 (a; b)", "http://from/");
    CHECK_TEXT(as(&record, "combined"), "192.0.2.1 - - [10/Oct/2000:13:55:36 +0000] \"GET /x HTTP/1.1\" 200 2326 "
                                        "\"http://from/\" \"agent/1 (a; b)\"");
    record = example("/x", NULL, NULL);
    CHECK_TEXT(as(&record, "combined"), "192.0.2.1 - - [10/Oct/2000:13:55:36 +0000] \"GET /x HTTP/1.1\" 200 2326 \"-\" \"-\"");
}

TEST(the_json_format_is_one_object_on_one_line)
{
    hasty_access record = example("/x", "a \"quoted\" one\\", NULL);
    char *line = as(&record, "json");
    CHECK(strchr(line, '\n') == NULL);
    hasty_json *json = NULL;
    REQUIRE_OK(hasty_json_parse(line, strlen(line), &json));
    int64_t number = 0;
    CHECK_STR(hasty_json_as_string(hasty_json_get(json, "method")), "GET");
    CHECK_STR(hasty_json_as_string(hasty_json_get(json, "target")), "/x");
    CHECK_STR(hasty_json_as_string(hasty_json_get(json, "remote_address")), "192.0.2.1");
    CHECK_STR(hasty_json_as_string(hasty_json_get(json, "user_agent")), "a \"quoted\" one\\");
    CHECK_OK(hasty_json_as_int(hasty_json_get(json, "status"), &number));
    CHECK_INT(number, 200);
    CHECK_OK(hasty_json_as_int(hasty_json_get(json, "bytes_out"), &number));
    CHECK_INT(number, 2326);
    hasty_json_free(json);
}

/* Whatever a client sends, a line is one line, its quotes pair up, and JSON is JSON. */
TEST(nothing_in_a_request_breaks_a_line)
{
    static const char *const nasty[] = {"\"",     "\\",      "\\\"",       "a\nb", "a\r\nb", "\x1b[31m", "\x7f",
                                        "\xff\xfe", "caf\xc3\xa9", "\xe2\x80\xa8", "\t", "",     "% %s %n"};
    for (size_t i = 0; i < sizeof nasty / sizeof nasty[0]; i++) {
        hasty_access record = example(nasty[i], nasty[i], nasty[i]);
        const char *formats[] = {"common", "combined", "json"};
        for (size_t j = 0; j < 3; j++) {
            char *line = as(&record, formats[j]);
            int quotes = 0;
            for (char *at = line; *at != '\0'; at++) {
                CHECK((unsigned char)*at >= ' ' && *at != '\x7f');
                if (*at == '\\' && at[1] != '\0')
                    at++;
                else if (*at == '"')
                    quotes++;
            }
            if (j < 2 && quotes != (j == 0 ? 2 : 6))
                check_fail(__FILE__, __LINE__, "%zu: %d quotes in %s", i, quotes, line);
            hasty_json *json = NULL;
            if (j == 2)
                CHECK_OK(hasty_json_parse(line, strlen(line), &json));
            hasty_json_free(json);
        }
    }
}

TEST(lines_are_made_for_real_requests)
{
    hasty_app *app = watched();
    CHECK_OK(hasty_app_get(app, "/a", fine, NULL));
    int port = check_serve(app);
    recorded(port, "GET /a?\"x\" HTTP/1.1\r\nHost: x\r\nUser-Agent: an \"agent\" \xff\r\nReferer: \\\r\n\r\n", 200);
    char *end = strrchr(seen.common[0], ']');
    REQUIRE(end != NULL);
    CHECK(strncmp(seen.common[0], "127.0.0.1 - - [", 15) == 0);
    CHECK(strncmp(end, "] \"GET /a?", 10) == 0);
    CHECK(strncmp(seen.combined[0], seen.common[0], strlen(seen.common[0])) == 0);
    hasty_json *json = NULL;
    REQUIRE_OK(hasty_json_parse(seen.json[0], strlen(seen.json[0]), &json));
    CHECK_STR(hasty_json_as_string(hasty_json_get(json, "route")), "/a");
    hasty_json_free(json);
    hasty_app_free(app);
}

TEST(a_line_is_written_where_there_is_room)
{
    hasty_access record = example("/x", "agent", NULL);
    char *wanted = as(&record, "common"), text[256];
    size_t needed = 0, again = 0;
    CHECK_STATUS(hasty_access_to_text(&record, "common", NULL, 0, &needed), HASTY_ERR_LIMIT);
    CHECK_INT(needed, strlen(wanted) + 1);
    memset(text, 'x', sizeof text);
    CHECK_STATUS(hasty_access_to_text(&record, "common", text, needed - 1, &again), HASTY_ERR_LIMIT);
    CHECK_INT(again, needed);
    CHECK_INT(text[needed - 1], 'x');
    CHECK_OK(hasty_access_to_text(&record, "common", text, needed, &again));
    CHECK_TEXT(text, wanted);
    CHECK_INT(text[needed], 'x');
    CHECK_OK(hasty_access_to_text(&record, "common", text, sizeof text, NULL));
    CHECK_STATUS(hasty_access_to_text(&record, "other", text, sizeof text, &needed), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("other");
    CHECK_STATUS(hasty_access_to_text(NULL, "common", text, sizeof text, &needed), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_access_to_text(&record, NULL, text, sizeof text, &needed), HASTY_ERR_NULL);
    record.size = 8;
    CHECK_STATUS(hasty_access_to_text(&record, "common", text, sizeof text, &needed), HASTY_ERR_INVALID);
}

/* ---- threads ---- */

typedef struct threads {
    thing data;
    _Atomic int started, stopped, strangers;
} threads;

static _Thread_local threads *here;

static void thread_starts(void *user_data)
{
    threads *t = user_data;
    CHECK(here == NULL);
    here = t;
    t->started++;
}

static void thread_stops(void *user_data)
{
    threads *t = user_data;
    CHECK(here == t);
    CHECK_INT(t->data.dropped, 0);
    t->stopped++;
}

HANDLER(knows_its_thread)
{
    if (here != user_data)
        ((threads *)user_data)->strangers++;
    return hasty_response_send_text(res, "fine");
}

TEST(every_thread_of_the_pool_starts_and_stops_once)
{
    threads t = {0};
    hasty_options options = {.size = sizeof options, .threads = 3};
    hasty_app *app = check_app(&options);
    CHECK_OK(hasty_app_on_thread(app, thread_starts, thread_stops, &t, drop_thing));
    CHECK_OK(hasty_app_get(app, "/", knows_its_thread, &t));
    int port = check_serve(app);
    for (int i = 0; i < 20; i++)
        CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_INT(t.strangers, 0);
    CHECK(AWAIT(t.started >= 3));
    CHECK_INT(t.stopped, 0);
    hasty_app_stop(app);
    CHECK_OK(hasty_app_wait(app, -1));
    hasty_app_free(app);
    CHECK_INT(t.stopped, t.started);
    CHECK(t.started <= 4); /* and the standby, if it was needed */
    CHECK_INT(t.data.dropped, 1);
}

TEST(either_end_of_a_thread_may_be_left_out)
{
    threads t = {0};
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_on_thread(app, thread_starts, NULL, &t, drop_thing));
    check_serve(app);
    CHECK(AWAIT(t.started > 0));
    hasty_app_free(app);
    app = check_app(NULL);
    CHECK_OK(hasty_app_on_thread(app, NULL, NULL, &t, drop_thing));
    check_serve(app);
    hasty_app_free(app);
    CHECK_INT(t.stopped, 0);
    CHECK_INT(t.data.dropped, 2);
}

TEST(on_thread_takes_its_data_also_on_failure)
{
    threads first = {0}, second = {0}, refused = {0};
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_on_thread(app, thread_starts, thread_stops, &first, drop_thing));
    CHECK_OK(hasty_app_on_thread(app, thread_starts, thread_stops, &second, drop_thing));
    CHECK_INT(first.data.dropped, 1);
    CHECK_STATUS(hasty_app_on_thread(NULL, thread_starts, thread_stops, &refused, drop_thing), HASTY_ERR_NULL);
    check_serve(app);
    CHECK_STATUS(hasty_app_on_thread(app, thread_starts, thread_stops, &refused, drop_thing), HASTY_ERR_STATE);
    CHECK_INT(refused.data.dropped, 2);
    hasty_app_free(app);
    CHECK_INT(second.data.dropped, 1);
    CHECK_INT(second.started, second.stopped);
    CHECK_INT(first.started + refused.started, 0);
}

/* ---- headers of every answer ---- */

HANDLER(has_its_own)
{
    CHECK_OK(hasty_response_set_header(res, "X-Frame-Options", "DENY"));
    CHECK_OK(hasty_response_set_header(res, "X-Powered-By", "itself"));
    return hasty_response_send_text(res, "fine");
}

/* Every kind of answer, each with this field and value, once. */
static void check_everywhere(int port, const char *name, const char *value)
{
    static const char *const requests[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",       "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /none HTTP/1.1\r\nHost: x\r\n\r\n",   "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "GET /fails HTTP/1.1\r\nHost: x\r\n\r\n",  "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n",   "GET /files/hasty.h HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nA b: c\r\n\r\n",        "GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        reply r = ask(port, requests[i]);
        const char *is = reply_header(&r, name);
        if (is == NULL || strcmp(is, value) != 0 || reply_header_nth(&r, name, 1) != NULL)
            check_fail(__FILE__, __LINE__, "%.40s answers %d with %s %s", requests[i], r.status, name, is ? is : "absent");
    }
}

static hasty_app *new_site(void)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_get(app, "/fails", fails, NULL));
    CHECK_OK(hasty_app_get(app, "/stream", streams, NULL));
    CHECK_OK(hasty_app_get(app, "/own", has_its_own, NULL));
    CHECK_OK(hasty_app_static(app, "/files", "include", NULL));
    return app;
}

TEST(an_added_header_is_on_every_answer)
{
    hasty_app *app = new_site();
    CHECK_OK(hasty_app_add_header(app, "X-Powered-By", "hasty things"));
    CHECK_OK(hasty_app_add_header(app, "X-Second", ""));
    int port = check_serve(app);
    check_everywhere(port, "X-Powered-By", "hasty things");
    check_everywhere(port, "X-Second", "");
    reply own = get(port, "/own");
    CHECK_HEADER(own, "X-Powered-By", "itself");
    CHECK(reply_header_nth(&own, "X-Powered-By", 1) == NULL);
    hasty_app_free(app);
}

TEST(one_name_may_be_added_twice)
{
    hasty_app *app = new_site();
    CHECK_OK(hasty_app_add_header(app, "Link", "<a>; rel=preload"));
    CHECK_OK(hasty_app_add_header(app, "Link", "<b>; rel=preload"));
    int port = check_serve(app);
    reply r = get(port, "/");
    CHECK_HEADER(r, "Link", "<a>; rel=preload");
    CHECK_TEXT(reply_header_nth(&r, "Link", 1), "<b>; rel=preload");
    hasty_app_free(app);
}

TEST(headers_that_cannot_be_are_refused)
{
    hasty_app *app = check_app(NULL);
    static const char *const names[] = {"", "a b", "a:", "a\r\nb", "Date", "Transfer-Encoding", "date", "Content-Length"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_STATUS(hasty_app_add_header(app, names[i], "x"), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_add_header(app, "X-A", "a\r\nX-B: c"), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_add_header(app, "X-A", "a\nb"), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_add_header(app, NULL, "x"), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_app_add_header(app, "X-A", NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_app_add_header(NULL, "X-A", "x"), HASTY_ERR_NULL);
    check_serve(app);
    CHECK_STATUS(hasty_app_add_header(app, "X-A", "x"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_secure_headers(app), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_secure_headers(NULL), HASTY_ERR_NULL);
    hasty_app_free(app);
}

HANDLER(shapes)
{
    CHECK_OK(hasty_response_set_header(res, "Referrer-Policy", "origin"));
    return hasty_response_send_text(res, "shaped");
}

TEST(secure_headers_are_on_every_answer_unless_it_has_its_own)
{
    hasty_app *app = new_site();
    CHECK_OK(hasty_app_secure_headers(app));
    CHECK_OK(hasty_app_secure_headers(app)); /* twice is once */
    CHECK_OK(hasty_app_on_error(app, shapes, NULL, NULL));
    int port = check_serve(app);
    check_everywhere(port, "X-Content-Type-Options", "nosniff");
    reply r = get(port, "/"), own = get(port, "/own"), missed = get(port, "/none");
    CHECK(reply_header(&r, "X-Frame-Options") != NULL && reply_header(&r, "Referrer-Policy") != NULL);
    CHECK_HEADER(own, "X-Frame-Options", "DENY");
    CHECK(reply_header_nth(&own, "X-Frame-Options", 1) == NULL);
    CHECK_REPLY(missed, 404, "shaped");
    CHECK_HEADER(missed, "Referrer-Policy", "origin");
    CHECK(reply_header_nth(&missed, "Referrer-Policy", 1) == NULL);
    hasty_app_free(app);
}

CHECK_MAIN
