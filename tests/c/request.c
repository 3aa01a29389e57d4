/* hasty_request_*: what a handler reads of its request. */
#include "client.h"

/* Serves `handler` for every method on `pattern`; the handler makes its checks, and answers "seen". */
static hasty_app *serve(const char *pattern, hasty_handler handler, void *user_data, int *port)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_any(app, pattern, handler, user_data));
    *port = check_serve(app);
    return app;
}

static hasty_status seen(hasty_response *res)
{
    return hasty_response_send_text(res, "seen");
}

static char *form_request(const char *target, const char *body)
{
    return request_text("POST", target, "Content-Type: application/x-www-form-urlencoded\r\n", body);
}

/* ---- the request line ---- */

HANDLER(reads_the_line)
{
    CHECK_STR(hasty_request_method(req), "GET");
    CHECK_STR(hasty_request_target(req), "/caf%C3%A9/7?a=1&b=%20");
    CHECK_STR(hasty_request_raw_path(req), "/caf%C3%A9/7");
    CHECK_STR(hasty_request_path(req), "/café/7");
    CHECK_STR(hasty_request_query_string(req), "a=1&b=%20");
    CHECK_STR(hasty_request_route(req), "/:place/:id");
    CHECK_INT(hasty_request_minor_version(req), 1);
    return seen(res);
}

TEST(the_request_line_is_read_in_its_parts)
{
    int port;
    hasty_app *app = serve("/:place/:id", reads_the_line, NULL, &port);
    CHECK_REPLY(get(port, "/caf%C3%A9/7?a=1&b=%20"), 200, "seen");
    hasty_app_free(app);
}

HANDLER(reads_the_line_backwards)
{
    CHECK_STR(hasty_request_query_string(req), "a=1");
    CHECK_STR(hasty_request_raw_path(req), "/x%20y");
    CHECK_STR(hasty_request_target(req), "/x%20y?a=1");
    CHECK_STR(hasty_request_query(req, "a"), "1");
    CHECK_STR(hasty_request_path(req), "/x y");
    CHECK_STR(hasty_request_query_string(req), "a=1");
    CHECK_STR(hasty_request_method(req), "GET");
    CHECK_STR(hasty_request_header(req, "host"), "localhost");
    return seen(res);
}

TEST(views_that_overlap_each_end_in_nul_in_any_order)
{
    int port;
    hasty_app *app = serve("/:x", reads_the_line_backwards, NULL, &port);
    CHECK_REPLY(get(port, "/x%20y?a=1"), 200, "seen");
    hasty_app_free(app);
}

HANDLER(has_no_query)
{
    hasty_str query = hasty_request_query_string(req);
    CHECK_INT(query.len, 0);
    CHECK_INT(hasty_request_query_count(req), 0);
    CHECK_ABSENT(hasty_request_query(req, "a"));
    CHECK_STR(hasty_request_target(req), "/plain");
    return seen(res);
}

TEST(a_request_without_a_query_has_none)
{
    int port;
    hasty_app *app = serve("/plain", has_no_query, NULL, &port);
    CHECK_REPLY(get(port, "/plain"), 200, "seen");
    hasty_app_free(app);
}

HANDLER(is_http_1_0)
{
    CHECK_INT(hasty_request_minor_version(req), 0);
    CHECK_ABSENT(hasty_request_header(req, "Host"));
    return seen(res);
}

TEST(http_1_0_is_told_by_its_minor_version)
{
    int port;
    hasty_app *app = serve("/", is_http_1_0, NULL, &port);
    CHECK_REPLY(ask(port, "GET / HTTP/1.0\r\n\r\n"), 200, "seen");
    hasty_app_free(app);
}

/* RFC 9112 3.2.2: the host of an absolute target replaces the Host field, wherever that is looked at. */
HANDLER(is_absolute)
{
    hasty_str name, value;
    CHECK_STR(hasty_request_header(req, "Host"), "asked.example:81");
    CHECK_OK(hasty_request_header_at(req, 0, &name, &value));
    CHECK_STR(name, "Host");
    CHECK_STR(value, "asked.example:81");
    CHECK_STR(hasty_request_path(req), "/x/y");
    CHECK_STR(hasty_request_raw_path(req), "/x/y");
    CHECK_STR(hasty_request_query_string(req), "q=1");
    CHECK_STR(hasty_request_param(req, "y"), "y");
    return seen(res);
}

TEST(an_absolute_target_has_the_same_path)
{
    int port;
    hasty_app *app = serve("/x/:y", is_absolute, NULL, &port);
    CHECK_REPLY(ask(port, "GET http://asked.example:81/x/y?q=1 HTTP/1.1\r\nHost: other\r\n\r\n"), 200, "seen");
    hasty_app_free(app);
}

/* ---- params ---- */

HANDLER(reads_params)
{
    CHECK_STR(hasty_request_param(req, "id"), "42");
    CHECK_INT(atoi(hasty_request_param(req, "id").data), 42);
    CHECK_STR(hasty_request_param(req, "name"), "a/b c+d");
    CHECK_STR(hasty_request_param(req, "rest"), "x/y z/w");
    CHECK_ABSENT(hasty_request_param(req, "nothing"));
    CHECK_ABSENT(hasty_request_param(req, "ID"));
    CHECK_ABSENT(hasty_request_param(req, ""));
    CHECK_INT(hasty_request_param_count(req), 3);
    hasty_str name = {0}, value = {0};
    CHECK_OK(hasty_request_param_at(req, 0, &name, &value));
    CHECK_STR(name, "id");
    CHECK_STR(value, "42");
    CHECK_OK(hasty_request_param_at(req, 1, &name, &value));
    CHECK_STR(name, "name");
    CHECK_STR(value, "a/b c+d");
    CHECK_OK(hasty_request_param_at(req, 2, &name, &value));
    CHECK_STR(name, "rest");
    CHECK_STR(value, "x/y z/w");
    return seen(res);
}

TEST(a_param_is_its_segment_decoded_once)
{
    int port;
    hasty_app *app = serve("/:id/is/:name/*rest", reads_params, NULL, &port);
    CHECK_REPLY(get(port, "/42/is/a%2Fb%20c+d/x/y%20z/w"), 200, "seen");
    hasty_app_free(app);
}

HANDLER(reads_unnamed_rest)
{
    CHECK_STR(hasty_request_param(req, "*"), "a/b%41.txt");
    CHECK_INT(hasty_request_param_count(req), 1);
    return seen(res);
}

TEST(an_unnamed_rest_is_called_star)
{
    int port;
    hasty_app *app = serve("/files/*", reads_unnamed_rest, NULL, &port);
    CHECK_REPLY(get(port, "/files/a/b%2541.txt"), 200, "seen");
    hasty_app_free(app);
}

/* ---- an index beyond the end ---- */

HANDLER(looks_beyond_the_end)
{
    hasty_str name = {"untouched", 9}, value = {"untouched", 9};
    CHECK_INT(hasty_request_param_count(req), 0);
    CHECK(hasty_request_param_at(req, 0, &name, &value) != HASTY_OK);
    CHECK(hasty_request_header_at(req, hasty_request_header_count(req), &name, &value) != HASTY_OK);
    CHECK(hasty_request_query_at(req, 1, &name, &value) != HASTY_OK);
    CHECK(hasty_request_query_at(req, SIZE_MAX, &name, &value) != HASTY_OK);
    CHECK(hasty_request_cookie_at(req, 0, &name, &value) != HASTY_OK);
    CHECK(hasty_request_form_at(req, 0, &name, &value) != HASTY_OK);
    CHECK_TEXT(name.data, "untouched");
    CHECK_TEXT(value.data, "untouched");
    return seen(res);
}

TEST(an_index_beyond_the_end_writes_nothing)
{
    int port;
    hasty_app *app = serve("/", looks_beyond_the_end, NULL, &port);
    CHECK_REPLY(get(port, "/?one=1"), 200, "seen");
    hasty_app_free(app);
}

/* ---- the query ---- */

static void check_pair(hasty_status (*at)(const hasty_request *, size_t, hasty_str *, hasty_str *),
                       const hasty_request *req, size_t index, const char *name, const char *value)
{
    hasty_str n = {0}, v = {0};
    CHECK_OK(at(req, index, &n, &v));
    CHECK_STR(n, name);
    CHECK_STR(v, value);
}

HANDLER(reads_the_query)
{
    CHECK_STR(hasty_request_query(req, "a"), "first");
    CHECK_STR(hasty_request_query(req, "b c"), "1 + 1");
    CHECK_STR(hasty_request_query(req, "empty"), "");
    CHECK_STR(hasty_request_query(req, "bare"), "");
    CHECK_STR(hasty_request_query(req, "eq"), "x=y");
    CHECK_ABSENT(hasty_request_query(req, "absent"));
    CHECK_ABSENT(hasty_request_query(req, "A"));
    CHECK_INT(hasty_request_query_count(req), 6);
    check_pair(hasty_request_query_at, req, 0, "a", "first");
    check_pair(hasty_request_query_at, req, 1, "b c", "1 + 1");
    check_pair(hasty_request_query_at, req, 2, "a", "second");
    check_pair(hasty_request_query_at, req, 3, "empty", "");
    check_pair(hasty_request_query_at, req, 4, "bare", "");
    check_pair(hasty_request_query_at, req, 5, "eq", "x=y");
    return seen(res);
}

TEST(the_query_gives_first_values_and_iterates_over_all)
{
    int port;
    hasty_app *app = serve("/", reads_the_query, NULL, &port);
    CHECK_REPLY(get(port, "/?a=first&b+c=1+%2B+1&a=second&empty=&bare&eq=x=y"), 200, "seen");
    hasty_app_free(app);
}

HANDLER(reads_a_nul)
{
    hasty_str value = hasty_request_query(req, "v");
    CHECK_BYTES(value.data, value.len, "a\0b", 3);
    CHECK_INT(value.data[3], '\0');
    return seen(res);
}

TEST(a_value_may_hold_a_nul_byte)
{
    int port;
    hasty_app *app = serve("/", reads_a_nul, NULL, &port);
    CHECK_REPLY(get(port, "/?v=a%00b"), 200, "seen");
    hasty_app_free(app);
}

/* ---- headers ---- */

HANDLER(reads_headers)
{
    CHECK_STR(hasty_request_header(req, "x-one"), "first");
    CHECK_STR(hasty_request_header(req, "X-ONE"), "first");
    CHECK_STR(hasty_request_header(req, "X-Space"), "around  it");
    CHECK_STR(hasty_request_header(req, "X-Empty"), "");
    CHECK_STR(hasty_request_header(req, "X-Latin"), "caf\xe9");
    CHECK_ABSENT(hasty_request_header(req, "X-Absent"));
    CHECK_ABSENT(hasty_request_header(req, "X-On"));
    CHECK_ABSENT(hasty_request_header(req, ""));
    CHECK_ABSENT(hasty_request_header(req, "no such name"));
    CHECK_INT(hasty_request_header_count(req), 6);
    static const char *const names[] = {"Host", "X-One", "X-Space", "X-Empty", "X-ONE", "X-Latin"};
    static const char *const values[] = {"localhost", "first", "around  it", "", "second", "caf\xe9"};
    for (size_t i = 0; i < 6; i++) {
        hasty_str name = {0}, value = {0};
        CHECK_OK(hasty_request_header_at(req, i, &name, &value));
        CHECK_INT(name.len, strlen(names[i]));
        CHECK(name.data != NULL && strcasecmp(name.data, names[i]) == 0);
        CHECK_STR(value, values[i]);
    }
    return seen(res);
}

TEST(headers_are_found_in_any_case_and_iterated_in_order)
{
    int port;
    hasty_app *app = serve("/", reads_headers, NULL, &port);
    CHECK_REPLY(ask(port, request_text("GET", "/",
                                       "X-One: first\r\nX-Space: \t around  it \t\r\nX-Empty:\r\nX-ONE:second\r\n"
                                       "X-Latin: caf\xe9\r\n",
                                       NULL)),
                200, "seen");
    hasty_app_free(app);
}

HANDLER(reads_known_headers)
{
    CHECK_STR(hasty_request_header(req, "Accept"), "text/html");
    CHECK_STR(hasty_request_header(req, "User-Agent"), "test");
    CHECK_STR(hasty_request_header(req, "Content-Type"), "text/plain");
    CHECK_STR(hasty_request_header(req, "Content-Length"), "2");
    CHECK_STR(hasty_request_header(req, "Connection"), "keep-alive");
    CHECK_STR(hasty_request_header(req, "Authorization"), "Bearer x");
    return seen(res);
}

TEST(well_known_headers_are_read_like_others)
{
    int port;
    hasty_app *app = serve("/", reads_known_headers, NULL, &port);
    CHECK_REPLY(ask(port, request_text("POST", "/",
                                       "Accept: text/html\r\nUser-Agent: test\r\nContent-Type: text/plain\r\n"
                                       "Connection: keep-alive\r\nAuthorization: Bearer x\r\n",
                                       "ab")),
                200, "seen");
    hasty_app_free(app);
}

/* ---- cookies ---- */

HANDLER(reads_cookies)
{
    CHECK_STR(hasty_request_cookie(req, "a"), "1");
    CHECK_STR(hasty_request_cookie(req, "b"), "x=y");
    CHECK_STR(hasty_request_cookie(req, "empty"), "");
    CHECK_STR(hasty_request_cookie(req, "last"), "3");
    CHECK_ABSENT(hasty_request_cookie(req, "A"));
    CHECK_ABSENT(hasty_request_cookie(req, "absent"));
    CHECK_INT(hasty_request_cookie_count(req), 5);
    check_pair(hasty_request_cookie_at, req, 0, "a", "1");
    check_pair(hasty_request_cookie_at, req, 1, "b", "x=y");
    check_pair(hasty_request_cookie_at, req, 2, "a", "2");
    check_pair(hasty_request_cookie_at, req, 3, "empty", "");
    check_pair(hasty_request_cookie_at, req, 4, "last", "3");
    return seen(res);
}

TEST(cookies_give_first_values_and_iterate_over_all)
{
    int port;
    hasty_app *app = serve("/", reads_cookies, NULL, &port);
    CHECK_REPLY(ask(port, request_text("GET", "/", "Cookie: a=1; b=x=y; a=2; empty=\r\nCookie: last=3\r\n", NULL)), 200,
                "seen");
    hasty_app_free(app);
}

/* ---- the body ---- */

HANDLER(reads_body)
{
    hasty_str body = hasty_request_body(req);
    CHECK_BYTES(body.data, body.len, "a\0b\r\n", 5);
    CHECK_INT(body.data[5], '\0');
    return seen(res);
}

TEST(a_body_is_read_as_it_is)
{
    int port;
    hasty_app *app = serve("/", reads_body, NULL, &port);
    client c = client_open(port);
    static const char sized[] = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\na\0b\r\n";
    client_send_bytes(&c, sized, sizeof sized - 1);
    CHECK_REPLY(client_read(&c), 200, "seen");
    static const char chunked[] =
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\0\r\n3\r\nb\r\n\r\n0\r\n\r\n";
    client_send_bytes(&c, chunked, sizeof chunked - 1);
    CHECK_REPLY(client_read(&c), 200, "seen");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(reads_no_body)
{
    CHECK_INT(hasty_request_body(req).len, 0);
    CHECK_INT(hasty_request_form_count(req), 0);
    CHECK_ABSENT(hasty_request_form(req, "a"));
    CHECK_OK(hasty_request_form_status(req));
    const hasty_json *json = NULL;
    CHECK_STATUS(hasty_request_json(req, &json), HASTY_ERR_INVALID);
    CHECK(json == NULL);
    return seen(res);
}

TEST(an_absent_body_is_empty)
{
    int port;
    hasty_app *app = serve("/", reads_no_body, NULL, &port);
    CHECK_REPLY(get(port, "/"), 200, "seen");
    CHECK_REPLY(post(port, "/", NULL, ""), 200, "seen");
    hasty_app_free(app);
}

HANDLER(body_as_c_string)
{
    return hasty_response_send_text(res, hasty_request_body(req).data);
}

TEST(the_nul_after_a_body_does_not_harm_the_next_request)
{
    int port;
    hasty_app *app = serve("/", body_as_c_string, NULL, &port);
    client c = client_open(port);
    client_send(&c,
                check_format("%s%s%s", request_text("POST", "/", NULL, "one"), request_text("PUT", "/", NULL, "two"),
                             "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "3\r\nthr\r\n2\r\nee\r\n0\r\n\r\n"));
    client_send(&c, request_text("POST", "/", NULL, "four"));
    CHECK_REPLY(client_read(&c), 200, "one");
    CHECK_REPLY(client_read(&c), 200, "two");
    CHECK_REPLY(client_read(&c), 200, "three");
    CHECK_REPLY(client_read(&c), 200, "four");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(body_length)
{
    hasty_str body = hasty_request_body(req);
    size_t wrong = 0;
    for (size_t i = 0; i < body.len; i++)
        wrong += body.data[i] != (char)('a' + i % 26);
    CHECK_INT(wrong, 0);
    char text[32];
    snprintf(text, sizeof text, "%zu", body.len);
    return hasty_response_send_text(res, text);
}

TEST(a_large_body_arrives_whole)
{
    int port;
    hasty_app *app = serve("/", body_length, NULL, &port);
    size_t len = check_small() ? 300000 : 9000000;
    char *body = check_keep(malloc(len + 1));
    for (size_t i = 0; i < len; i++)
        body[i] = (char)('a' + i % 26);
    body[len] = '\0';
    CHECK_REPLY(post(port, "/", NULL, body), 200, check_format("%zu", len));
    hasty_app_free(app);
}

/* ---- forms ---- */

HANDLER(reads_form)
{
    CHECK_OK(hasty_request_form_status(req));
    CHECK_STR(hasty_request_form(req, "name"), "Ada Lovelace");
    CHECK_STR(hasty_request_form(req, "sum"), "1+1=2");
    CHECK_STR(hasty_request_form(req, "empty"), "");
    CHECK_ABSENT(hasty_request_form(req, "absent"));
    CHECK_ABSENT(hasty_request_form(req, "q"));
    CHECK_STR(hasty_request_query(req, "q"), "1");
    CHECK_ABSENT(hasty_request_query(req, "name"));
    CHECK_INT(hasty_request_form_count(req), 4);
    check_pair(hasty_request_form_at, req, 0, "name", "Ada Lovelace");
    check_pair(hasty_request_form_at, req, 1, "sum", "1+1=2");
    check_pair(hasty_request_form_at, req, 2, "name", "again");
    check_pair(hasty_request_form_at, req, 3, "empty", "");
    CHECK_STR(hasty_request_body(req), "name=Ada+Lovelace&sum=1%2B1%3D2&name=again&empty=");
    return seen(res);
}

TEST(a_form_gives_first_values_and_iterates_over_all)
{
    int port;
    hasty_app *app = serve("/", reads_form, NULL, &port);
    const char *body = "name=Ada+Lovelace&sum=1%2B1%3D2&name=again&empty=";
    CHECK_REPLY(ask(port, form_request("/?q=1", body)), 200, "seen");
    CHECK_REPLY(post(port, "/?q=1", "Application/X-WWW-Form-Urlencoded; charset=utf-8", body), 200, "seen");
    hasty_app_free(app);
}

HANDLER(has_no_form)
{
    CHECK_OK(hasty_request_form_status(req));
    CHECK_INT(hasty_request_form_count(req), 0);
    CHECK_ABSENT(hasty_request_form(req, "name"));
    return seen(res);
}

TEST(a_body_of_another_type_is_no_form)
{
    int port;
    hasty_app *app = serve("/", has_no_form, NULL, &port);
    CHECK_REPLY(post(port, "/", "text/plain", "name=Ada"), 200, "seen");
    CHECK_REPLY(post(port, "/", NULL, "name=Ada"), 200, "seen");
    hasty_app_free(app);
}

HANDLER(has_escapes_that_are_none)
{
    CHECK_OK(hasty_request_form_status(req));
    CHECK_STR(hasty_request_form(req, "a"), "%zz");
    CHECK_STR(hasty_request_form(req, "b"), "%4");
    CHECK_STR(hasty_request_form(req, "c"), "A%");
    CHECK_STR(hasty_request_query(req, "a"), "%zz");
    return seen(res);
}

TEST(in_forms_and_queries_escapes_that_are_none_stay_as_they_are)
{
    int port;
    hasty_app *app = serve("/", has_escapes_that_are_none, NULL, &port);
    CHECK_REPLY(ask(port, form_request("/?a=%zz", "a=%zz&b=%4&c=%41%")), 200, "seen");
    hasty_app_free(app);
}

/* ---- JSON ---- */

HANDLER(reads_json)
{
    const hasty_json *json = NULL, *again = NULL;
    CHECK_OK(hasty_request_json(req, &json));
    CHECK_STR(hasty_json_as_string(hasty_json_get(json, "name")), "Ada");
    CHECK_OK(hasty_request_json(req, &again));
    CHECK(json == again && "parsed once");
    return seen(res);
}

TEST(json_is_parsed_once_whatever_the_content_type)
{
    int port;
    hasty_app *app = serve("/", reads_json, NULL, &port);
    CHECK_REPLY(post(port, "/", "application/json", "{\"name\": \"Ada\"}"), 200, "seen");
    CHECK_REPLY(post(port, "/", "text/plain", "{\"name\": \"Ada\"}"), 200, "seen");
    CHECK_REPLY(post(port, "/", NULL, "{\"name\": \"Ada\"}"), 200, "seen");
    hasty_app_free(app);
}

HANDLER(reads_bad_json)
{
    static const char mark;
    const hasty_json *untouched = (const void *)&mark, *json = untouched;
    for (int i = 0; i < 2; i++) { /* the second time from the cache */
        CHECK_STATUS(hasty_request_json(req, &json), HASTY_ERR_INVALID);
        CHECK(json == untouched && "outputs are written on success only");
        CHECK_ERROR_NAMES("line 2");
        CHECK_ERROR_NAMES("column");
    }
    CHECK_STR(hasty_request_body(req), "{\"a\": 1,\n  b: 2}");
    return seen(res);
}

TEST(malformed_json_is_invalid_with_line_and_column)
{
    int port;
    hasty_app *app = serve("/", reads_bad_json, NULL, &port);
    CHECK_REPLY(post(port, "/", "application/json", "{\"a\": 1,\n  b: 2}"), 200, "seen");
    hasty_app_free(app);
}

/* ---- the client and the id ---- */

HANDLER(remote_address)
{
    return hasty_response_send_text(res, hasty_request_remote_address(req).data);
}

TEST(the_remote_address_has_no_port)
{
    int port;
    hasty_app *app = serve("/", remote_address, NULL, &port);
    CHECK_REPLY(get(port, "/"), 200, "127.0.0.1");
    hasty_app_free(app);
}

TEST(the_remote_address_may_be_ipv6)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_get(app, "/", remote_address, NULL));
    if (hasty_app_listen(app, "::1", 0) != HASTY_OK) {
        hasty_app_free(app);
        SKIP("no IPv6 loopback here");
    }
    REQUIRE_OK(hasty_app_start(app));
    client c = client_open_v6(hasty_app_port(app));
    CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 200, "::1");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(request_id)
{
    hasty_str id = hasty_request_id(req), again = hasty_request_id(req);
    CHECK(id.len > 0);
    CHECK_STR(again, id.data);
    return hasty_response_send_text(res, id.data);
}

static reply get_with_id(int port, const char *id)
{
    return ask(port, request_text("GET", "/", check_format("X-Request-ID: %s\r\n", id), NULL));
}

TEST(the_id_is_taken_from_the_client_where_it_is_sane)
{
    int port;
    hasty_app *app = serve("/", request_id, NULL, &port);
    CHECK_REPLY(get_with_id(port, "abc-123"), 200, "abc-123");
    CHECK_REPLY(get_with_id(port, check_repeat("i", 128)), 200, check_repeat("i", 128));
    reply too_long = get_with_id(port, check_repeat("i", 129));
    CHECK_INT(too_long.status, 200);
    CHECK(too_long.body_len > 0 && too_long.body_len <= 128);
    reply not_printable = get_with_id(port, "caf\xe9");
    CHECK_INT(not_printable.status, 200);
    CHECK(not_printable.body_len > 0 && strchr(not_printable.body, '\xe9') == NULL);
    reply empty = get_with_id(port, "");
    CHECK(empty.body_len > 0);
    hasty_app_free(app);
}

TEST(made_ids_differ)
{
    int port;
    hasty_app *app = serve("/", request_id, NULL, &port);
    reply one = get(port, "/"), two = get(port, "/");
    CHECK_INT(one.status, 200);
    CHECK_INT(two.status, 200);
    CHECK(one.body_len > 0 && strcmp(one.body, two.body) != 0);
    hasty_app_free(app);
}

/* ---- user data and locals ---- */

HANDLER(reads_user_data)
{
    CHECK(hasty_request_user_data(req) == user_data);
    CHECK_TEXT(hasty_request_user_data(req), "the route's");
    return seen(res);
}

TEST(user_data_is_the_routes)
{
    int port;
    hasty_app *app = serve("/", reads_user_data, "the route's", &port);
    CHECK_REPLY(get(port, "/"), 200, "seen");
    hasty_app_free(app);
}

HANDLER(keeps_locals)
{
    static int one, two;
    CHECK(hasty_request_local(req, "one") == NULL);
    CHECK_OK(hasty_request_set_local(req, "one", &one, NULL));
    CHECK_OK(hasty_request_set_local(req, "two", &two, NULL));
    CHECK(hasty_request_local(req, "one") == &one);
    CHECK(hasty_request_local(req, "two") == &two);
    CHECK_OK(hasty_request_set_local(req, "one", &two, NULL));
    CHECK(hasty_request_local(req, "one") == &two);
    CHECK(hasty_request_local(req, "One") == NULL);
    return seen(res);
}

TEST(locals_belong_to_one_request)
{
    int port;
    hasty_app *app = serve("/", keeps_locals, NULL, &port);
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 200, "seen");
    CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 200, "seen");
    client_close(&c);
    hasty_app_free(app);
}

/* ---- everything at once ---- */

HANDLER(reads_everything)
{
    hasty_str first = hasty_request_header(req, "X-First");
    const char *data = first.data;
    CHECK_STR(hasty_request_param(req, "id"), "7");
    CHECK_STR(hasty_request_query(req, "q"), "a b");
    CHECK_STR(hasty_request_cookie(req, "c"), "1");
    CHECK_STR(hasty_request_form(req, "f"), "x y");
    CHECK_STR(hasty_request_body(req), "f=x+y");
    CHECK_STR(hasty_request_remote_address(req), "127.0.0.1");
    CHECK_STR(hasty_request_id(req), "the-id");
    CHECK_STR(hasty_request_target(req), "/users/7?q=a+b");
    CHECK_STR(hasty_request_path(req), "/users/7");
    CHECK_STR(first, "stays");
    CHECK(hasty_request_header(req, "X-First").data == data);
    return seen(res);
}

TEST(a_view_stays_valid_whatever_is_read_after_it)
{
    int port;
    hasty_app *app = serve("/users/:id", reads_everything, NULL, &port);
    char *request = request_text("POST", "/users/7?q=a+b",
                                 "X-First: stays\r\nCookie: c=1\r\nX-Request-ID: the-id\r\n"
                                 "Content-Type: application/x-www-form-urlencoded\r\n",
                                 "f=x+y");
    client c = client_open(port);
    client_send_pieces(&c, request, 1);
    CHECK_REPLY(client_read(&c), 200, "seen");
    client_send(&c, check_format("%s%s", request, request));
    CHECK_REPLY(client_read(&c), 200, "seen");
    CHECK_REPLY(client_read(&c), 200, "seen");
    client_close(&c);
    hasty_app_free(app);
}

CHECK_MAIN
