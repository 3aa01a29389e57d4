/* use and after: which requests they see, in which order, and what they may change. */
#include "client.h"

HANDLER(fine)
{
    trail_add("handler");
    return hasty_response_send_text(res, "fine");
}

/* Middleware that leaves its name and goes on. */
HANDLER(passes)
{
    trail_add(user_data);
    return HASTY_NEXT;
}

/* The same for `after`, which has nothing to go on to. */
HANDLER(looks)
{
    trail_add(user_data);
    return HASTY_OK;
}

HANDLER(refuses)
{
    trail_add("refuses");
    CHECK_OK(hasty_response_set_status(res, 403));
    return hasty_response_send_text(res, "refused");
}

HANDLER(fails)
{
    trail_add("fails");
    return HASTY_ERR_IO;
}

static void use(hasty_app *app, const char *prefix, hasty_handler handler, void *data)
{
    CHECK_OK(hasty_app_use(app, prefix, handler, data, NULL));
}

static void after(hasty_app *app, const char *prefix, hasty_handler handler, void *data)
{
    CHECK_OK(hasty_app_after(app, prefix, handler, data, NULL));
}

/* What `target` is answered with, and whom it met on the way. */
static void check_way(const char *file, int line, int port, const char *method, const char *target, int status,
                      const char *way)
{
    trail_clear();
    check_reply(file, line, target, ask_method(port, method, target), status, NULL);
    check_text(file, line, target, trail_take(), way);
}

#define CHECK_WAY(port, target, status, way) check_way(__FILE__, __LINE__, port, "GET", target, status, way)

/* ---- order and prefixes ---- */

TEST(use_runs_in_order_of_registration_and_after_in_reverse)
{
    hasty_app *app = check_app(NULL);
    use(app, "/a", passes, "one");
    after(app, "/a", looks, "end-one");
    CHECK_OK(hasty_app_get(app, "/a/x", fine, NULL));
    use(app, "/", passes, "two");
    after(app, "/", looks, "end-two");
    use(app, "/a/x", passes, "three");
    after(app, "/a/x", looks, "end-three");
    use(app, "/a", passes, "four");
    int port = check_serve(app);
    CHECK_WAY(port, "/a/x", 200, "one two three four handler end-three end-two end-one");
    hasty_app_free(app);
}

TEST(a_prefix_is_of_whole_decoded_segments)
{
    hasty_app *app = check_app(NULL);
    use(app, "/api", passes, "use");
    after(app, "/api/", looks, "after");
    CHECK_OK(hasty_app_get(app, "/*", fine, NULL));
    int port = check_serve(app);
    static const char *const inside[] = {"/api", "/api/", "/api/x", "/api/x/y", "/%61pi/x", "/api/%2F", "/api?q", "/api//x"};
    static const char *const outside[] = {"/apix", "/ap", "/x/api", "/API/x", "/api%2Fx", "/api.html", "/x?/api"};
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++)
        CHECK_WAY(port, inside[i], 200, "use handler after");
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        CHECK_WAY(port, outside[i], 200, "handler");
    hasty_app_free(app);
}

TEST(a_prefix_may_have_many_segments_and_escapes)
{
    hasty_app *app = check_app(NULL);
    use(app, "/a b/c", passes, "deep");
    CHECK_OK(hasty_app_get(app, "/*", fine, NULL));
    int port = check_serve(app);
    CHECK_WAY(port, "/a%20b/c", 200, "deep handler");
    CHECK_WAY(port, "/a%20b/%63/d", 200, "deep handler");
    CHECK_WAY(port, "/a%20b", 200, "handler");
    CHECK_WAY(port, "/a%20b/cc", 200, "handler");
    hasty_app_free(app);
}

TEST(a_slash_is_everything)
{
    hasty_app *app = check_app(NULL);
    use(app, "/", passes, "use");
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_get(app, "/x", fine, NULL));
    int port = check_serve(app);
    CHECK_WAY(port, "/", 200, "use handler");
    CHECK_WAY(port, "/x", 200, "use handler");
    CHECK_WAY(port, "/nowhere", 404, "use");
    hasty_app_free(app);
}

/* ---- what they are run for ---- */

TEST(the_librarys_own_answers_are_seen_too)
{
    hasty_options options = {.size = sizeof options, .max_body_bytes = 100};
    hasty_app *app = check_app(&options);
    use(app, "/", passes, "use");
    after(app, "/", looks, "after");
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_static(app, "/include", "include", NULL));
    CHECK_OK(hasty_app_get(app, "/fails", fails, NULL));
    int port = check_serve(app);
    CHECK_WAY(port, "/nowhere", 404, "use after");
    check_way(__FILE__, __LINE__, port, "POST", "/", 405, "use after");
    CHECK_WAY(port, "/include/hasty.h", 200, "use after");
    CHECK_WAY(port, "/include/none", 404, "use after");
    CHECK_WAY(port, "/fails", 500, "use fails after");
    check_way(__FILE__, __LINE__, port, "HEAD", "/", 200, "use handler after");
    trail_clear();
    CHECK_REPLY(post(port, "/", NULL, check_repeat("x", 101)), 405, NULL);
    CHECK_TEXT(trail_take(), "use after");
    hasty_app_free(app);
}

TEST(a_body_that_is_too_long_can_be_refused_for_another_reason)
{
    hasty_options options = {.size = sizeof options, .max_body_bytes = 100};
    hasty_app *app = check_app(&options);
    use(app, "/open", passes, "use");
    use(app, "/shut", refuses, NULL);
    after(app, "/", looks, "after");
    CHECK_OK(hasty_app_post(app, "/*", fine, NULL));
    int port = check_serve(app);
    CHECK_REPLY(post(port, "/open", NULL, check_repeat("x", 101)), 413, NULL);
    CHECK_TEXT(trail_take(), "use after");
    CHECK_REPLY(post(port, "/shut", NULL, check_repeat("x", 101)), 403, "refused");
    CHECK_TEXT(trail_take(), "refuses after");
    hasty_app_free(app);
}

TEST(what_is_no_request_is_not_seen)
{
    hasty_app *app = check_app(NULL);
    use(app, "/", passes, "use");
    CHECK_OK(hasty_app_get(app, "/*", fine, NULL));
    int port = check_serve(app);
    static const char *const broken[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "nonsense\r\n\r\n",
    };
    trail_clear();
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        CHECK_REPLY(ask(port, broken[i]), 400, NULL);
    CHECK_TEXT(trail_take(), "");
    hasty_app_free(app);
}

TEST(after_is_not_run_for_what_could_not_be_parsed)
{
    hasty_app *app = check_app(NULL);
    after(app, "/", looks, "after");
    int port = check_serve(app);
    trail_clear();
    CHECK_REPLY(ask(port, "GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n"), 400, NULL);
    CHECK_REPLY(ask(port, "GET / HTTP/9.9\r\nHost: x\r\n\r\n"), 505, NULL);
    CHECK_TEXT(trail_take(), "");
    hasty_app_free(app);
}

/* ---- answering and failing ---- */

TEST(middleware_that_answers_ends_the_chain)
{
    hasty_app *app = check_app(NULL);
    use(app, "/", passes, "first");
    use(app, "/shut", refuses, NULL);
    use(app, "/", passes, "last");
    after(app, "/", looks, "after");
    CHECK_OK(hasty_app_get(app, "/*", fine, NULL));
    int port = check_serve(app);
    CHECK_WAY(port, "/shut", 403, "first refuses after");
    CHECK_WAY(port, "/shut/too", 403, "first refuses after");
    CHECK_WAY(port, "/open", 200, "first last handler after");
    CHECK_REPLY(get(port, "/shut"), 403, "refused");
    hasty_app_free(app);
}

TEST(middleware_that_fails_is_a_500)
{
    hasty_app *app = check_app(NULL);
    use(app, "/", fails, NULL);
    after(app, "/", looks, "after");
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    int port = check_serve(app);
    CHECK_WAY(port, "/", 500, "fails after");
    hasty_app_free(app);
}

HANDLER(answers_and_goes_on)
{
    CHECK_OK(hasty_response_set_status(res, 202));
    CHECK_OK(hasty_response_set_header(res, "X-First", "1"));
    CHECK_OK(hasty_response_send_text(res, "given up"));
    return HASTY_NEXT;
}

TEST(the_handler_has_the_last_word_on_the_body)
{
    hasty_app *app = check_app(NULL);
    use(app, "/", answers_and_goes_on, NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    int port = check_serve(app);
    reply r = get(port, "/");
    CHECK_TEXT(r.body, "fine");
    CHECK_HEADER(r, "X-First", "1");
    hasty_app_free(app);
}

HANDLER(goes_on_from_the_end)
{
    return HASTY_NEXT;
}

TEST(next_from_a_route_handler_is_a_500)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", goes_on_from_the_end, NULL));
    CHECK_OK(hasty_app_get(app, "/*", fine, NULL));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 500, NULL);
    hasty_app_free(app);
}

/* ---- what middleware sees ---- */

HANDLER(sees_the_route)
{
    int *seen = user_data;
    (*seen)++;
    CHECK_STR(hasty_request_route(req), "/users/:id");
    CHECK_STR(hasty_request_param(req, "id"), "7 8");
    CHECK_STR(hasty_request_query(req, "q"), "1");
    CHECK_STR(hasty_request_method(req), "PUT");
    CHECK_STR(hasty_request_header(req, "x-key"), "secret");
    CHECK_STR(hasty_request_remote_address(req), "127.0.0.1");
    CHECK_ABSENT(hasty_request_body(req));
    return HASTY_NEXT;
}

HANDLER(sees_the_body)
{
    CHECK_STR(hasty_request_body(req), "hello");
    return hasty_response_send(res, hasty_request_body(req).data, hasty_request_body(req).len);
}

TEST(middleware_sees_the_route_and_not_yet_the_body)
{
    int seen = 0;
    hasty_app *app = check_app(NULL);
    use(app, "/", sees_the_route, &seen);
    CHECK_OK(hasty_app_put(app, "/users/:id", sees_the_body, NULL));
    int port = check_serve(app);
    CHECK_REPLY(ask(port, request_text("PUT", "/users/7%208?q=1", "X-Key: secret\r\n", "hello")), 200, "hello");
    CHECK_INT(seen, 1);
    hasty_app_free(app);
}

/* ---- uploads ---- */

static char *announced(size_t len, const char *fields)
{
    return check_format("POST /shut HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n", fields, len);
}

static hasty_app *serve_shut(int *port)
{
    hasty_app *app = check_app(NULL);
    use(app, "/shut", refuses, NULL);
    use(app, "/open", passes, "open");
    CHECK_OK(hasty_app_post(app, "/shut", fine, NULL));
    CHECK_OK(hasty_app_post(app, "/open", sees_the_body, NULL));
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    *port = check_serve(app);
    return app;
}

TEST(an_upload_is_refused_before_it_is_sent)
{
    int port;
    hasty_app *app = serve_shut(&port);
    client c = client_open(port);
    client_send(&c, announced(5000000, "Expect: 100-continue\r\n"));
    CHECK_REPLY(client_read(&c), 403, "refused"); /* a 100 would have come first */
    CHECK(client_is_closed(&c));
    client_close(&c);
    c = client_open(port);
    client_send(&c, announced(5000000, ""));
    CHECK_REPLY(client_read(&c), 403, "refused");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_welcome_upload_is_asked_for)
{
    int port;
    hasty_app *app = serve_shut(&port);
    client c = client_open(port);
    client_send(&c, "POST /open HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    CHECK_REPLY(client_read(&c), 100, NULL);
    client_send(&c, "hello");
    CHECK_REPLY(client_read(&c), 200, "hello");
    CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_small_refused_body_costs_no_connection)
{
    int port;
    hasty_app *app = serve_shut(&port);
    client c = client_open(port);
    client_send(&c, check_format("%s%s", announced(100000, ""), check_repeat("x", 100000)));
    client_send(&c, request_text("GET", "/", NULL, NULL));
    CHECK_REPLY(client_read(&c), 403, "refused");
    CHECK_REPLY(client_read(&c), 200, "fine");
    client_send(&c, "POST /shut HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    CHECK_REPLY(client_read(&c), 403, "refused");
    client_send(&c, "0\r\n\r\n");
    CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_client_that_goes_on_uploading_can_read_why_it_was_refused)
{
    int port;
    hasty_app *app = serve_shut(&port);
    client c = client_open(port);
    client_send(&c, announced(5000000, ""));
    client_fill(&c, 5000000, 1000);
    CHECK_REPLY(client_read(&c), 403, "refused");
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

/* ---- what after may change ---- */

HANDLER(rewrites)
{
    CHECK_INT(hasty_response_status(res), 200);
    CHECK_STR(hasty_response_body(res), "fine");
    CHECK_STR(hasty_response_header(res, "Content-Type"), "text/plain; charset=utf-8");
    CHECK_OK(hasty_response_set_header(res, "X-After", "yes"));
    char *text = check_format("%s indeed", hasty_response_body(res).data);
    return hasty_response_send_html(res, text);
}

HANDLER(rewrites_again)
{
    CHECK_STR(hasty_response_body(res), "fine indeed");
    CHECK_OK(hasty_response_remove_header(res, "X-After"));
    CHECK_OK(hasty_response_set_status(res, 203));
    return HASTY_OK;
}

TEST(after_changes_status_headers_and_body)
{
    hasty_app *app = check_app(NULL);
    after(app, "/twice", rewrites_again, NULL);
    after(app, "/", rewrites, NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_get(app, "/twice", fine, NULL));
    int port = check_serve(app);
    reply once = get(port, "/");
    CHECK_REPLY(once, 200, "fine indeed");
    CHECK_HEADER(once, "X-After", "yes");
    CHECK_HEADER(once, "Content-Type", "text/html; charset=utf-8");
    reply head = ask_method(port, "HEAD", "/");
    CHECK_HEADER(head, "Content-Length", "11");
    reply twice = get(port, "/twice");
    CHECK_REPLY(twice, 203, "fine indeed");
    CHECK(reply_header(&twice, "X-After") == NULL);
    hasty_app_free(app);
}

HANDLER(marks)
{
    trail_add(check_format("%d%s", hasty_response_status(res), hasty_response_body(res).data ? "" : "-"));
    return hasty_response_set_header(res, "X-After", "yes");
}

HANDLER(shapes)
{
    trail_add("shapes");
    return hasty_response_send_text(res, "shaped");
}

TEST(after_sees_errors_as_they_were_shaped_and_files_without_a_body)
{
    hasty_app *app = check_app(NULL);
    after(app, "/", marks, NULL);
    CHECK_OK(hasty_app_on_error(app, shapes, NULL, NULL));
    CHECK_OK(hasty_app_static(app, "/include", "include", NULL));
    int port = check_serve(app);
    trail_clear();
    reply missed = get(port, "/none"), file = get(port, "/include/hasty.h");
    CHECK_REPLY(missed, 404, "shaped");
    CHECK_HEADER(missed, "X-After", "yes");
    CHECK_HEADER(file, "X-After", "yes");
    CHECK(file.body_len > 1000);
    const char *tag = reply_header(&file, "ETag");
    REQUIRE(tag != NULL);
    reply same = ask(port, request_text("GET", "/include/hasty.h", check_format("If-None-Match: %s\r\n", tag), NULL));
    CHECK_INT(same.status, 304);
    CHECK_HEADER(same, "X-After", "yes");
    CHECK_TEXT(trail_take(), "shapes 404 200- 304-");
    hasty_app_free(app);
}

TEST(after_that_fails_is_a_500)
{
    hasty_app *app = check_app(NULL);
    after(app, "/", fails, NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 500, NULL);
    CHECK_REPLY(client_ask(&c, request_text("GET", "/none", NULL, NULL)), 500, NULL);
    client_close(&c);
    hasty_app_free(app);
}

/* ---- locals ---- */

HANDLER(keeps_a_local)
{
    CHECK(hasty_request_local(req, "it") == NULL);
    CHECK_OK(hasty_request_set_local(req, "it", user_data, drop_thing));
    return HASTY_NEXT;
}

HANDLER(finds_the_local)
{
    CHECK(hasty_request_local(req, "it") == user_data);
    NOT_DROPPED(*(thing *)user_data);
    return HASTY_OK;
}

TEST(locals_pass_from_use_to_handler_to_after_and_are_dropped_once)
{
    static const struct {
        const char *target;
        int status;
    } cases[] = {{"/ok", 200}, {"/fails", 500}, {"/shut", 403}, {"/none", 404}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        thing local = {0};
        hasty_app *app = check_app(NULL);
        use(app, "/", keeps_a_local, &local);
        use(app, "/shut", refuses, NULL);
        after(app, "/", finds_the_local, &local);
        CHECK_OK(hasty_app_get(app, "/ok", finds_the_local, &local));
        CHECK_OK(hasty_app_get(app, "/fails", fails, NULL));
        int port = check_serve(app);
        CHECK_REPLY(get(port, cases[i].target), cases[i].status, NULL);
        DROPPED_ONCE(local);
        hasty_app_free(app);
        CHECK_INT(local.dropped, 1);
    }
}

TEST(the_local_of_an_upload_that_never_comes_is_dropped)
{
    thing local = {0};
    hasty_app *app = check_app(NULL);
    use(app, "/", keeps_a_local, &local);
    CHECK_OK(hasty_app_post(app, "/", fine, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n");
    CHECK_REPLY(client_read(&c), 100, NULL);
    NOT_DROPPED(local);
    client_reset(&c);
    DROPPED_ONCE(local);
    hasty_app_free(app);
    CHECK_INT(local.dropped, 1);
}

/* ---- ownership ---- */

typedef hasty_status (*registers)(hasty_app *, const char *, hasty_handler, void *, hasty_drop);

static void check_ownership(registers add)
{
    thing data = {0}, refused = {0};
    hasty_app *app = check_app(NULL);
    CHECK_OK(add(app, "/", passes, &data, drop_thing));
    CHECK_OK(add(app, "/", passes, &data, drop_thing)); /* twice is twice, no conflict */
    CHECK_STATUS(add(app, "no-slash", passes, &refused, drop_thing), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("no-slash");
    CHECK_STATUS(add(app, "", passes, &refused, drop_thing), HASTY_ERR_INVALID);
    CHECK_STATUS(add(app, NULL, passes, &refused, drop_thing), HASTY_ERR_NULL);
    CHECK_STATUS(add(app, "/", NULL, &refused, drop_thing), HASTY_ERR_NULL);
    CHECK_STATUS(add(NULL, "/", passes, &refused, drop_thing), HASTY_ERR_NULL);
    CHECK_INT(refused.dropped, 5);
    check_serve(app);
    CHECK_STATUS(add(app, "/", passes, &refused, drop_thing), HASTY_ERR_STATE);
    CHECK_INT(refused.dropped, 6);
    NOT_DROPPED(data);
    hasty_app_free(app);
    CHECK_INT(data.dropped, 2);
    CHECK_INT(refused.dropped, 6);
}

TEST(use_takes_its_data_also_on_failure)
{
    check_ownership(hasty_app_use);
}

TEST(after_takes_its_data_also_on_failure)
{
    check_ownership(hasty_app_after);
}

/* ---- reading early ---- */

/* Everything that looks at the body, before there is one. */
HANDLER(looks_too_early)
{
    const hasty_json *json = NULL;
    hasty_file file = {.size = sizeof file};
    hasty_str name, value;
    CHECK_ABSENT(hasty_request_body(req));
    CHECK_ABSENT(hasty_request_form(req, "a"));
    CHECK_INT(hasty_request_form_count(req), 0);
    CHECK_STATUS(hasty_request_form_at(req, 0, &name, &value), HASTY_ERR_NOT_FOUND);
    int is_form = strstr(hasty_request_header(req, "Content-Type").data, "form") != NULL;
    CHECK_STATUS(hasty_request_form_status(req), is_form ? HASTY_ERR_STATE : HASTY_OK);
    CHECK_INT(hasty_request_file_count(req), 0);
    CHECK_STATUS(hasty_request_file(req, "f", &file), HASTY_ERR_NOT_FOUND);
    CHECK_STATUS(hasty_request_json(req, &json), HASTY_ERR_STATE);
    CHECK(strstr(hasty_last_error().data, "middleware runs before it is received") != NULL);
    return HASTY_NEXT;
}

/* Nothing is to come where a request has no body. */
HANDLER(looks_for_nothing)
{
    const hasty_json *json = NULL;
    CHECK_OK(hasty_request_form_status(req));
    CHECK_STATUS(hasty_request_json(req, &json), HASTY_ERR_INVALID);
    return HASTY_NEXT;
}

HANDLER(sees_all_the_same)
{
    const hasty_json *json = NULL;
    trail_add("handler");
    if (user_data != NULL) {
        CHECK_OK(hasty_request_json(req, &json));
        CHECK_INT(hasty_json_len(json), 2);
    } else {
        CHECK_OK(hasty_request_form_status(req));
        CHECK_STR(hasty_request_form(req, "a"), "1");
    }
    return hasty_response_send_text(res, "fine");
}

TEST(looking_at_the_body_too_early_does_not_hide_it)
{
    hasty_app *app = check_app(NULL);
    use(app, "/", looks_too_early, NULL);
    CHECK_OK(hasty_app_post(app, "/json", sees_all_the_same, app));
    CHECK_OK(hasty_app_post(app, "/form", sees_all_the_same, NULL));
    int port = check_serve(app);
    CHECK_REPLY(post(port, "/json", "application/json", "[1,2]"), 200, "fine");
    CHECK_REPLY(post(port, "/form", "application/x-www-form-urlencoded", "a=1&b=2"), 200, "fine");
    CHECK_REPLY(post(port, "/form", "multipart/form-data; boundary=b",
                     "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n"), 200, "fine");
    CHECK_REPLY(ask(port, "POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "5\r\n[1,2]\r\n0\r\n\r\n"), 200, "fine");
    hasty_app_free(app);
}

TEST(a_request_without_a_body_has_none_to_wait_for)
{
    hasty_app *app = check_app(NULL);
    use(app, "/", looks_for_nothing, NULL);
    CHECK_OK(hasty_app_post(app, "/", fine, "fine"));
    int port = check_serve(app);
    const char *form = "Content-Type: application/x-www-form-urlencoded\r\n";
    CHECK_REPLY(ask(port, check_format("POST / HTTP/1.1\r\nHost: x\r\n%s\r\n", form)), 200, NULL);
    CHECK_REPLY(ask(port, check_format("POST / HTTP/1.1\r\nHost: x\r\n%sContent-Length: 0\r\n\r\n", form)), 200, NULL);
    hasty_app_free(app);
}

HANDLER(sets_a_header)
{
    CHECK_OK(hasty_response_set_header(res, "X-Use", "set"));
    CHECK_OK(hasty_response_set_cookie(res, "seen", "1", NULL));
    return HASTY_NEXT;
}

TEST(what_middleware_set_stays_whoever_answers)
{
    hasty_app *app = check_app(NULL);
    use(app, "/", sets_a_header, NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_static(app, "/include", "include", NULL));
    int port = check_serve(app);
    static const char *const targets[] = {"/", "/none", "/include/hasty.h", "/include/none"};
    for (int i = 0; i < 4; i++) {
        reply r = get(port, targets[i]);
        CHECK_HEADER(r, "X-Use", "set");
        CHECK(reply_header(&r, "Set-Cookie") != NULL);
    }
    hasty_app_free(app);
}

HANDLER(writes_itself)
{
    CHECK_OK(hasty_response_write(res, "from ", 5));
    CHECK_OK(hasty_response_write(res, "use", 3));
    return user_data ? HASTY_NEXT : HASTY_OK;
}

TEST(middleware_may_stream_an_answer_of_its_own)
{
    hasty_app *app = check_app(NULL);
    use(app, "/", writes_itself, NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    int port = check_serve(app);
    trail_clear();
    CHECK_REPLY(get(port, "/"), 200, "from use");
    CHECK_TEXT(trail_take(), "");
    hasty_app_free(app);
}

/* ---- views kept for the handler ---- */

static int looked;

/* Looks at the view when the request ends. */
static void looks_again(void *view)
{
    looked += strncmp(view, "user-", 5) == 0;
}

HANDLER(keeps_a_view)
{
    char *who = (char *)hasty_request_header(req, "X-User").data;
    if (who)
        CHECK_OK(hasty_request_set_local(req, "who", who, looks_again));
    return HASTY_NEXT;
}

HANDLER(reads_the_view)
{
    return hasty_response_send_text(res, hasty_request_local(req, "who"));
}

static hasty_app *keeping_app(void)
{
    hasty_options options = {.size = sizeof options, .threads = 1};
    hasty_app *app = check_app(&options);
    use(app, "/", keeps_a_view, NULL);
    CHECK_OK(hasty_app_get(app, "/fine", fine, NULL));
    CHECK_OK(hasty_app_post(app, "/", reads_the_view, NULL));
    CHECK_OK(hasty_app_post(app, "/streamed", fine, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/streamed", "body", "stream"));
    looked = 0;
    return app;
}

TEST(a_view_kept_in_a_local_outlives_the_wait_for_a_body)
{
    hasty_app *app = keeping_app();
    int port = check_serve(app);
    for (size_t cut = 1; cut <= 4; cut++) {
        client c = client_open(port);
        CHECK(client_send(&c, "POST / HTTP/1.1\r\nHost: a\r\nX-User: user-1\r\nContent-Length: 8\r\n\r\n"));
        CHECK(client_send_bytes(&c, "12345678", cut));
        /* The same thread serves others meanwhile, in the same memory. */
        for (int i = 0; i < 3; i++)
            CHECK_REPLY(ask(port, "GET /fine HTTP/1.1\r\nHost: a\r\nX-User: user-another-with-a-long-name\r\n\r\n"), 200, "fine");
        CHECK(client_send_bytes(&c, "12345678" + cut, 8 - cut));
        CHECK_REPLY(client_read(&c), 200, "user-1");
        client_close(&c);
    }
    hasty_app_free(app);
    CHECK_INT(looked, 4 * 4);
}

TEST(a_view_kept_in_a_local_is_good_behind_pipelined_requests)
{
    hasty_app *app = keeping_app();
    int port = check_serve(app);
    client c = client_open(port);
    CHECK(client_send(&c, "GET /fine HTTP/1.1\r\nHost: a\r\n\r\n"
                          "POST / HTTP/1.1\r\nHost: a\r\nX-User: user-2\r\nContent-Length: 3\r\n\r\nabc"));
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK_REPLY(client_read(&c), 200, "user-2");
    client_close(&c);
    hasty_app_free(app);
    CHECK_INT(looked, 1);
}

CHECK_MAIN
