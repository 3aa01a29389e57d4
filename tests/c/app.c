/* hasty_app_*: making an app, registering on it, shaping its errors, reading its log; and the library's own facts. */
#include "client.h"

/* ---- the library ---- */

TEST(the_abi_version_is_that_of_the_shared_librarys_name)
{
    CHECK_INT(hasty_abi_version(), 0); /* libhasty.so.0 */
}

TEST(the_version_is_three_numbers)
{
    int major, minor, patch;
    REQUIRE(hasty_version() != NULL);
    CHECK_INT(sscanf(hasty_version(), "%d.%d.%d", &major, &minor, &patch), 3);
}

TEST(every_status_has_its_own_name)
{
    static const hasty_status all[] = {
        HASTY_OK,        HASTY_ERR_NULL,      HASTY_ERR_INVALID,     HASTY_ERR_STATE,
        HASTY_ERR_IO,    HASTY_ERR_CLOSED,    HASTY_ERR_TIMEOUT,     HASTY_ERR_PANIC,
        HASTY_ERR_LIMIT, HASTY_ERR_NOT_FOUND, HASTY_ERR_UNSUPPORTED, HASTY_NEXT,
    };
    enum { COUNT = sizeof all / sizeof all[0] };
    for (int i = 0; i < COUNT; i++) {
        REQUIRE(hasty_status_name(all[i]) != NULL);
        CHECK(strlen(hasty_status_name(all[i])) > 0);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(hasty_status_name(all[i]), hasty_status_name(all[j])) != 0);
    }
}

TEST(a_number_that_is_no_status_has_a_name_too)
{
    CHECK(hasty_status_name(-1) != NULL);
    CHECK(hasty_status_name(12345) != NULL);
    CHECK(hasty_status_name(INT32_MIN) != NULL);
}

/* ---- routes by method ---- */

HANDLER(echo_method)
{
    return hasty_response_send_text(res, hasty_request_method(req).data);
}

HANDLER(say)
{
    return hasty_response_send_text(res, user_data);
}

TEST(each_verb_registers_its_method)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_get(app, "/get", echo_method, NULL));
    REQUIRE_OK(hasty_app_post(app, "/post", echo_method, NULL));
    REQUIRE_OK(hasty_app_put(app, "/put", echo_method, NULL));
    REQUIRE_OK(hasty_app_patch(app, "/patch", echo_method, NULL));
    REQUIRE_OK(hasty_app_delete(app, "/delete", echo_method, NULL));
    REQUIRE_OK(hasty_app_route(app, "PURGE", "/purge", echo_method, NULL, NULL));
    int port = check_serve(app);
    CHECK_REPLY(ask_method(port, "GET", "/get"), 200, "GET");
    CHECK_REPLY(ask_method(port, "POST", "/post"), 200, "POST");
    CHECK_REPLY(ask_method(port, "PUT", "/put"), 200, "PUT");
    CHECK_REPLY(ask_method(port, "PATCH", "/patch"), 200, "PATCH");
    CHECK_REPLY(ask_method(port, "DELETE", "/delete"), 200, "DELETE");
    CHECK_REPLY(ask_method(port, "PURGE", "/purge"), 200, "PURGE");
    CHECK_REPLY(ask_method(port, "GET", "/post"), 405, NULL);
    CHECK_REPLY(ask_method(port, "POST", "/purge"), 405, NULL);
    hasty_app_free(app);
}

TEST(any_takes_every_method)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_any(app, "/any", echo_method, NULL));
    int port = check_serve(app);
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "PURGE", "TRACE"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        CHECK_REPLY(ask_method(port, methods[i], "/any"), 200, methods[i]);
    hasty_app_free(app);
}

TEST(a_registered_method_beats_any)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_any(app, "/x", say, "any"));
    REQUIRE_OK(hasty_app_put(app, "/x", say, "put"));
    int port = check_serve(app);
    CHECK_REPLY(ask_method(port, "PUT", "/x"), 200, "put");
    CHECK_REPLY(ask_method(port, "POST", "/x"), 200, "any");
    hasty_app_free(app);
}

TEST(user_data_reaches_its_own_handler)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_get(app, "/one", say, "first"));
    REQUIRE_OK(hasty_app_get(app, "/two", say, "second"));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/one"), 200, "first");
    CHECK_REPLY(get(port, "/two"), 200, "second");
    hasty_app_free(app);
}

TEST(a_method_that_is_no_token_is_refused)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_route(app, "", "/x", say, NULL, NULL), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_route(app, "GE T", "/x", say, NULL, NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("GE T");
    CHECK_STATUS(hasty_app_route(app, "GET\r\n", "/x", say, NULL, NULL), HASTY_ERR_INVALID);
    hasty_app_free(app);
}

/* ---- options of routes ---- */

TEST(a_route_may_have_its_own_body_limit)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_set_option(app, "max_body_bytes", "100"));
    REQUIRE_OK(hasty_app_post(app, "/usual", say, "usual"));
    REQUIRE_OK(hasty_app_post(app, "/small", say, "small"));
    REQUIRE_OK(hasty_app_post(app, "/big/:id", say, "big"));
    REQUIRE_OK(hasty_app_set_route_option(app, "POST", "/small", "max_body_bytes", "10"));
    REQUIRE_OK(hasty_app_set_route_option(app, "POST", "/big/:id", "max_body_bytes", "1000"));
    int port = check_serve(app);
    CHECK_REPLY(post(port, "/usual", NULL, check_repeat("x", 100)), 200, "usual");
    CHECK_REPLY(post(port, "/usual", NULL, check_repeat("x", 101)), 413, NULL);
    CHECK_REPLY(post(port, "/small", NULL, check_repeat("x", 10)), 200, "small");
    CHECK_REPLY(post(port, "/small", NULL, check_repeat("x", 11)), 413, NULL);
    CHECK_REPLY(post(port, "/big/1", NULL, check_repeat("x", 1000)), 200, "big");
    CHECK_REPLY(post(port, "/big/1", NULL, check_repeat("x", 1001)), 413, NULL);
    hasty_app_free(app);
}

TEST(an_option_of_a_route_that_is_not_there_is_refused_and_named)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_post(app, "/here", say, "here"));
    CHECK_STATUS(hasty_app_set_route_option(app, "POST", "/there", "max_body_bytes", "10"), HASTY_ERR_NOT_FOUND);
    CHECK_ERROR_NAMES("/there");
    CHECK_STATUS(hasty_app_set_route_option(app, "GET", "/here", "max_body_bytes", "10"), HASTY_ERR_NOT_FOUND);
    CHECK_STATUS(hasty_app_set_route_option(app, "POST", "/here", "colour", "red"), HASTY_ERR_NOT_FOUND);
    CHECK_ERROR_NAMES("colour");
    CHECK_STATUS(hasty_app_set_route_option(app, "POST", "/here", "max_body_bytes", "many"), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("many");
    hasty_app_free(app);
}

TEST(registration_after_start_is_refused)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_post(app, "/here", say, "here"));
    check_serve(app);
    CHECK_STATUS(hasty_app_get(app, "/late", say, "late"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_post(app, "/late", say, "late"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_put(app, "/late", say, "late"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_patch(app, "/late", say, "late"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_delete(app, "/late", say, "late"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_any(app, "/late", say, "late"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_route(app, "GET", "/late", say, "late", NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_on_error(app, say, "late", NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_set_option(app, "max_body_bytes", "10"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_set_route_option(app, "POST", "/here", "max_body_bytes", "10"), HASTY_ERR_STATE);
    hasty_app_free(app);
}

/* ---- on_error ---- */

typedef struct seen_errors {
    _Atomic int count, status, why_len;
} seen_errors;

HANDLER(shape_error)
{
    seen_errors *seen = user_data;
    seen->count++;
    seen->status = hasty_response_status(res);
    seen->why_len = (int)hasty_last_error().len;
    char text[64];
    snprintf(text, sizeof text, "shaped %d", (int)hasty_response_status(res));
    return hasty_response_send_text(res, text);
}

HANDLER(fail)
{
    return HASTY_ERR_IO;
}

HANDLER(own_404)
{
    CHECK_OK(hasty_response_set_status(res, 404));
    return hasty_response_send_text(res, "mine");
}

TEST(on_error_shapes_what_the_library_answers)
{
    seen_errors seen = {0};
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_set_option(app, "max_body_bytes", "10"));
    REQUIRE_OK(hasty_app_on_error(app, shape_error, &seen, NULL));
    REQUIRE_OK(hasty_app_post(app, "/post", say, "posted"));
    REQUIRE_OK(hasty_app_get(app, "/fail", fail, NULL));
    REQUIRE_OK(hasty_app_get(app, "/own", own_404, NULL));
    int port = check_serve(app);

    reply missing = get(port, "/nowhere");
    CHECK_REPLY(missing, 404, "shaped 404");
    CHECK_HEADER(missing, "Content-Type", "text/plain; charset=utf-8");
    CHECK_INT(seen.status, 404);
    CHECK(seen.why_len > 0 && "hasty_last_error says why");

    reply wrong = get(port, "/post");
    CHECK_REPLY(wrong, 405, "shaped 405");
    CHECK(reply_lists(&wrong, "Allow", "POST"));
    CHECK_REPLY(post(port, "/post", NULL, "more than ten bytes"), 413, "shaped 413");
    CHECK_REPLY(get(port, "/fail"), 500, "shaped 500");
    CHECK_REPLY(get(port, "/%zz"), 400, "shaped 400");
    int so_far = seen.count;
    CHECK_INT(so_far, 5);
    CHECK_REPLY(get(port, "/own"), 404, "mine");
    CHECK_INT(seen.count, so_far);
    hasty_app_free(app);
}

HANDLER(says_why)
{
    return hasty_response_send_text(res, hasty_last_error().data);
}

HANDLER(puts_off)
{
    CHECK_OK(hasty_response_defer(res, user_data));
    return HASTY_OK;
}

TEST(on_error_is_told_why_also_where_the_time_is_up)
{
    hasty_exchange *exchange = NULL;
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_set_option(app, "threads", "1"));
    REQUIRE_OK(hasty_app_set_option(app, "exchange_timeout_ms", "100"));
    REQUIRE_OK(hasty_app_on_error(app, says_why, NULL, NULL));
    REQUIRE_OK(hasty_app_get(app, "/later", puts_off, &exchange));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/nowhere"), 404, "there is no route for this path");
    CHECK_REPLY(get(port, "/later"), 504, "the handler did not answer within exchange_timeout_ms");
    hasty_exchange_free(exchange);
    hasty_app_free(app);
}

/* Reads all there is to read; what it is does not matter, only that it may be asked for. */
HANDLER(reads_all_then_shapes)
{
    hasty_str name, value;
    const hasty_json *json;
    size_t seen = hasty_request_method(req).len + hasty_request_path(req).len + hasty_request_raw_path(req).len +
                  hasty_request_query_string(req).len + hasty_request_target(req).len + hasty_request_route(req).len +
                  hasty_request_remote_address(req).len + hasty_request_id(req).len + hasty_request_body(req).len +
                  hasty_request_header(req, "Host").len + hasty_request_param(req, "id").len +
                  hasty_request_query(req, "q").len + hasty_request_cookie(req, "c").len +
                  hasty_request_form(req, "f").len + hasty_request_param_count(req) + hasty_request_query_count(req) +
                  hasty_request_cookie_count(req) + hasty_request_form_count(req);
    for (size_t i = 0; hasty_request_header_at(req, i, &name, &value) == HASTY_OK; i++)
        seen += name.len + value.len;
    hasty_request_json(req, &json);
    hasty_request_form_status(req);
    CHECK_OK(hasty_request_set_local(req, "key", user_data, NULL));
    CHECK(hasty_request_local(req, "key") == user_data);
    CHECK(hasty_request_minor_version(req) <= 1);
    CHECK(seen > 0);
    return hasty_response_send_text(res, "read");
}

TEST(on_error_may_read_whatever_there_is_of_the_request)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_set_option(app, "max_body_bytes", "10"));
    REQUIRE_OK(hasty_app_set_option(app, "header_timeout_ms", "700"));
    REQUIRE_OK(hasty_app_set_option(app, "body_timeout_ms", "700"));
    REQUIRE_OK(hasty_app_on_error(app, reads_all_then_shapes, app, NULL));
    REQUIRE_OK(hasty_app_post(app, "/post/:id", say, "posted"));
    REQUIRE_OK(hasty_app_get(app, "/fail", fail, NULL));
    int port = check_serve(app);
    static const struct {
        const char *request;
        int status;
    } wrong[] = {
        {"GET /nowhere?q=1 HTTP/1.1\r\nHost: x\r\nCookie: c=1\r\n\r\n", 404},
        {"GET /post/7?q=1 HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n", 500},
        {"POST /post/7 HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n01234567890", 413},
        {"POST /post/7 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n", 413},
        {"POST /post/7 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        {"POST /post/7 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: zip\r\n\r\n", 501},
        {"POST /post/7 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12", 408},
        {"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505},
        {"GET / HTTP/1.1\r\nHost: x\r\nbad\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n", 408},
        {"nonsense\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (!CHECK_REPLY(ask(port, wrong[i].request), wrong[i].status, "read"))
            check_fail(__FILE__, __LINE__, "number %zu", i);
    reply large = ask(port, check_format("GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", check_repeat("x", 20000)));
    CHECK_REPLY(large, 431, "read");
    hasty_app_free(app);
}

/* Says which of the request line's views are there, and how many characters the id has. */
HANDLER(tells_which_views_there_are)
{
    hasty_str views[] = {hasty_request_method(req), hasty_request_path(req), hasty_request_raw_path(req), hasty_request_target(req),
                         hasty_request_query_string(req), hasty_request_route(req), hasty_request_body(req)};
    hasty_str by_pointer[4];
    CHECK_OK(hasty_request_method_to(req, &by_pointer[0]));
    CHECK_OK(hasty_request_path_to(req, &by_pointer[1]));
    CHECK_OK(hasty_request_raw_path_to(req, &by_pointer[2]));
    CHECK_OK(hasty_request_target_to(req, &by_pointer[3]));
    char there[8] = "";
    for (size_t i = 0; i < 7; i++)
        there[i] = views[i].data == NULL ? '-' : '+';
    for (size_t i = 0; i < 4; i++)
        CHECK((by_pointer[i].data == NULL) == (views[i].data == NULL));
    CHECK_STR(hasty_request_remote_address(req), "127.0.0.1");
    return hasty_response_send_text(res, check_format("%s %zu", there, hasty_request_id(req).len));
}

TEST(views_of_a_request_that_could_not_be_parsed_are_absent)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_set_option(app, "header_timeout_ms", "300"));
    REQUIRE_OK(hasty_app_on_error(app, tells_which_views_there_are, NULL, NULL));
    int port = check_serve(app);
    CHECK_REPLY(ask(port, "GET /nowhere?q HTTP/1.1\r\nHost: x\r\n\r\n"), 404, "+++++-- 32");
    CHECK_REPLY(ask(port, "GET /nowhere?q HTTP/1.1\r\nHost: a b\r\n\r\n"), 400, "------- 32");
    CHECK_REPLY(ask(port, "GET / HTTP/3.0\r\nHost: x\r\n\r\n"), 505, "------- 32");
    CHECK_REPLY(ask(port, "GET /nowhere HTTP/1.1\r\n"), 408, "------- 32");
    hasty_app_free(app);
}

HANDLER(error_that_fails)
{
    return HASTY_ERR_IO;
}

TEST(an_on_error_that_fails_leaves_the_librarys_answer_or_500)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_on_error(app, error_that_fails, NULL, NULL));
    REQUIRE_OK(hasty_app_get(app, "/", say, "well"));
    int port = check_serve(app);
    client c = client_open(port);
    reply r = client_ask(&c, request_text("GET", "/nowhere", NULL, NULL));
    CHECK(r.status == 404 || r.status == 500);
    CHECK_REPLY(get(port, "/"), 200, "well");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(shape_again)
{
    return hasty_response_send_text(res, "second");
}

TEST(a_second_on_error_replaces_the_first)
{
    seen_errors seen = {0};
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_on_error(app, shape_error, &seen, NULL));
    REQUIRE_OK(hasty_app_on_error(app, shape_again, NULL, NULL));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/nowhere"), 404, "second");
    CHECK_INT(seen.count, 0);
    hasty_app_free(app);
}

TEST(without_on_error_an_error_says_what_is_wrong_in_the_form_that_is_asked_for)
{
    hasty_app *app = check_app(NULL);
    int port = check_serve(app);
    reply text = ask(port, request_text("GET", "/nowhere", "Accept: text/plain\r\n", NULL));
    CHECK_REPLY(text, 404, NULL);
    CHECK_CONTAINS(reply_header(&text, "Content-Type"), "text/plain");
    CHECK(text.body_len > 0);

    reply json = ask(port, request_text("GET", "/nowhere", "Accept: application/json\r\n", NULL));
    CHECK_REPLY(json, 404, NULL);
    CHECK_CONTAINS(reply_header(&json, "Content-Type"), "application/json");
    hasty_json *value = NULL;
    CHECK_OK(hasty_json_parse(json.body, json.body_len, &value));
    CHECK_INT(hasty_json_kind(value), HASTY_JSON_OBJECT);
    hasty_json_free(value);
    hasty_app_free(app);
}

/* ---- on_log ---- */

typedef struct log_book {
    pthread_mutex_t lock;
    int lines;
    int32_t level;
    char text[512];
} log_book;

static void write_log(int32_t level, const hasty_str *message, void *user_data)
{
    log_book *book = user_data;
    pthread_mutex_lock(&book->lock);
    if (level <= HASTY_LOG_WARN) {
        book->lines++;
        book->level = level;
        snprintf(book->text, sizeof book->text, "%s", message->data);
        CHECK_INT(strlen(message->data), message->len);
    }
    pthread_mutex_unlock(&book->lock);
}

static int lines_of(log_book *book)
{
    pthread_mutex_lock(&book->lock);
    int lines = book->lines;
    pthread_mutex_unlock(&book->lock);
    return lines;
}

HANDLER(client_left)
{
    return HASTY_ERR_CLOSED;
}

HANDLER(bad_header)
{
    hasty_response_set_header(res, "X-Split", "a\r\nb: c");
    return hasty_response_send_text(res, "never sent");
}

TEST(a_failing_handler_is_logged_and_closed_is_not)
{
    log_book book = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_on_log(app, write_log, &book, NULL));
    REQUIRE_OK(hasty_app_get(app, "/closed", client_left, NULL));
    REQUIRE_OK(hasty_app_get(app, "/fail", fail, NULL));
    REQUIRE_OK(hasty_app_get(app, "/header", bad_header, NULL));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/closed"), 500, NULL);
    CHECK_INT(lines_of(&book), 0);
    CHECK_REPLY(get(port, "/fail"), 500, NULL);
    CHECK(AWAIT(lines_of(&book) == 1));
    CHECK_CONTAINS(book.text, "/fail");
    CHECK_REPLY(get(port, "/header"), 500, NULL);
    CHECK(AWAIT(lines_of(&book) == 2));
    CHECK_CONTAINS(book.text, "X-Split");
    hasty_app_free(app);
}

TEST(a_second_on_log_replaces_the_first)
{
    log_book first = {.lock = PTHREAD_MUTEX_INITIALIZER}, second = {.lock = PTHREAD_MUTEX_INITIALIZER};
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_on_log(app, write_log, &first, NULL));
    REQUIRE_OK(hasty_app_on_log(app, write_log, &second, NULL));
    REQUIRE_OK(hasty_app_get(app, "/fail", fail, NULL));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/fail"), 500, NULL);
    CHECK(AWAIT(lines_of(&second) == 1));
    CHECK_INT(lines_of(&first), 0);
    hasty_app_free(app);
}

/* ---- a handler that fails harms nobody ---- */

TEST(after_a_failing_handler_the_connection_and_the_threads_are_healthy)
{
    hasty_options options = {.size = sizeof options, .threads = 2};
    hasty_app *app = check_app(&options);
    REQUIRE_OK(hasty_app_get(app, "/fail", fail, NULL));
    REQUIRE_OK(hasty_app_get(app, "/", say, "well"));
    int port = check_serve(app);
    client c = client_open(port);
    for (int i = 0; i < 20; i++) {
        CHECK_REPLY(client_ask(&c, request_text("GET", "/fail", NULL, NULL)), 500, NULL);
        CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 200, "well");
    }
    client_close(&c);
    hasty_app_free(app);
}

CHECK_MAIN
