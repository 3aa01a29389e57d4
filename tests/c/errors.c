/* hasty_last_error: what it says, and when it changes. */
#include "client.h"

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

static void *in_a_new_thread(void *run)
{
    ((void (*)(void)) * (void (**)(void))run)();
    return NULL;
}

static void run_in_a_new_thread(void (*run)(void))
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, in_a_new_thread, &run) == 0);
    pthread_join(thread, NULL);
}

/* The last error is text for C and for others: present, with a NUL byte at its length and none before. */
static void check_is_text(void)
{
    hasty_str error = hasty_last_error();
    REQUIRE(error.data != NULL && error.len > 0);
    CHECK_INT(strlen(error.data), error.len);
}

static void there_is_none(void)
{
    CHECK_INT(hasty_last_error().len, 0);
}

TEST(a_thread_without_a_failing_call_has_no_error)
{
    run_in_a_new_thread(there_is_none);
}

static void success_says_nothing(void)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_set_option(app, "max_headers", "50"));
    check_serve(app);
    hasty_app_stop(app);
    CHECK_OK(hasty_app_wait(app, -1));
    hasty_app_free(app);
    there_is_none();
}

TEST(a_whole_life_without_a_failing_call_sets_no_error)
{
    run_in_a_new_thread(success_says_nothing);
}

TEST(success_neither_clears_nor_moves_it)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_get(app, "no-slash", fine, NULL), HASTY_ERR_INVALID);
    hasty_str before = hasty_last_error();
    char *text = check_keep(strdup(before.data));
    check_is_text();

    hasty_json *json = NULL;
    CHECK_OK(hasty_app_get(app, "/a/:b", fine, NULL));
    CHECK_OK(hasty_app_set_option(app, "max_headers", "50"));
    CHECK_STR(hasty_app_option(app, "max_headers"), "50");
    CHECK_OK(hasty_json_parse("[1,2]", 5, &json));
    hasty_json_free(json);
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/nowhere"), 404, NULL);
    CHECK(hasty_version() != NULL && hasty_status_name(HASTY_OK) != NULL);

    hasty_str after = hasty_last_error();
    CHECK(after.data == before.data);
    CHECK_STR(after, text);
    hasty_app_free(app);
    CHECK_STR(hasty_last_error(), text);
}

TEST(the_next_failing_call_replaces_it)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_get(app, "first", fine, NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("first");
    CHECK_STATUS(hasty_app_get(app, "second", fine, NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("second");
    CHECK(strstr(check_last_error(), "first") == NULL);
    hasty_app_free(app);
}

TEST(a_timeout_does_not_set_it)
{
    hasty_app *app = check_app(NULL);
    check_serve(app);
    CHECK_STATUS(hasty_app_get(app, "kept", fine, NULL), HASTY_ERR_STATE);
    char *text = check_keep(strdup(check_last_error()));
    CHECK_STATUS(hasty_app_wait(app, 0), HASTY_ERR_TIMEOUT);
    CHECK_STATUS(hasty_app_wait(app, 10), HASTY_ERR_TIMEOUT);
    CHECK_STR(hasty_last_error(), text);
    hasty_app_free(app);
}

static void fails_elsewhere(void)
{
    there_is_none();
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_get(app, "elsewhere", fine, NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("elsewhere");
    hasty_app_free(app);
}

TEST(each_thread_has_its_own)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_get(app, "here", fine, NULL), HASTY_ERR_INVALID);
    run_in_a_new_thread(fails_elsewhere);
    CHECK_ERROR_NAMES("here");
    CHECK(strstr(check_last_error(), "elsewhere") == NULL);
    hasty_app_free(app);
}

HANDLER(fails_inside)
{
    CHECK_STATUS(hasty_response_set_status(res, 42), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("42");
    CHECK_OK(hasty_response_reset(res));
    CHECK_ERROR_NAMES("42");
    return hasty_response_send_text(res, "fine");
}

TEST(a_failure_in_a_handler_stays_on_its_thread)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_get(app, "here", fine, NULL), HASTY_ERR_INVALID);
    REQUIRE_OK(hasty_app_get(app, "/", fails_inside, NULL));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_ERROR_NAMES("here");
    hasty_app_free(app);
}

/* ---- it names the value and the rule ---- */

TEST(it_names_the_pattern)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_get(app, "/a/*/b", fine, NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("/a/*/b");
    hasty_app_free(app);
}

TEST(it_names_both_routes_of_a_conflict)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/users/:id", fine, NULL));
    CHECK_STATUS(hasty_app_get(app, "/users/:name", fine, NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("/users/:id");
    CHECK_ERROR_NAMES("/users/:name");
    hasty_app_free(app);
}

TEST(it_names_the_option_and_its_value)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_set_option(app, "max_headers", "several"), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("max_headers");
    CHECK_ERROR_NAMES("several");
    CHECK(hasty_app_set_option(app, "max_colours", "7") != HASTY_OK);
    CHECK_ERROR_NAMES("max_colours");
    hasty_app_free(app);
}

TEST(it_names_the_address_that_is_in_use)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_listen(app, "127.0.0.1", 0));
    int port = hasty_app_port(app);
    hasty_app *other = check_app(NULL);
    CHECK_STATUS(hasty_app_listen(other, "127.0.0.1", port), HASTY_ERR_IO);
    CHECK_ERROR_NAMES("127.0.0.1");
    CHECK_ERROR_NAMES(check_format("%d", port));
    hasty_app_free(app);
    hasty_app_free(other);
}

TEST(it_quotes_an_address_that_is_empty)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_listen(app, "", 0), HASTY_ERR_IO);
    CHECK_ERROR_NAMES("listen on \"\" port 0");
    hasty_app_free(app);
}

TEST(it_names_the_bounds_of_the_option_at_once)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_set_option(app, "threads", "-3"), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("\"-3\" is not a whole number from 0 to 4096");
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_STATUS(hasty_app_set_route_option(app, "GET", "/", "exchange_timeout_ms", "soon"), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("\"soon\" is not a whole number from 0 to 2147483647");
    hasty_app_free(app);
}

TEST(it_names_the_argument_that_is_null)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_get(app, NULL, fine, NULL), HASTY_ERR_NULL);
    CHECK_ERROR_NAMES("pattern");
    CHECK_STATUS(hasty_app_set_option(app, "max_headers", NULL), HASTY_ERR_NULL);
    CHECK_ERROR_NAMES("value");
    CHECK_STATUS(hasty_app_start(NULL), HASTY_ERR_NULL);
    CHECK_ERROR_NAMES("app");
    hasty_app_free(app);
}

TEST(it_says_what_may_not_be_done_now)
{
    hasty_app *app = check_app(NULL);
    check_serve(app);
    CHECK_STATUS(hasty_app_get(app, "/late", fine, NULL), HASTY_ERR_STATE);
    check_is_text();
    CHECK_STATUS(hasty_app_set_option(app, "max_headers", "5"), HASTY_ERR_STATE);
    check_is_text();
    hasty_app_free(app);
}

TEST(it_says_where_json_is_wrong)
{
    hasty_json *json = NULL;
    CHECK_STATUS(hasty_json_parse("[1,\n2,\nx]", 9, &json), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("line 3");
    CHECK_ERROR_NAMES("column 1");
}

TEST(it_is_text_whatever_the_value_was)
{
    hasty_app *app = check_app(NULL);
    CHECK(hasty_app_set_option(app, "max_headers", "\xff\xfe\x01\r\n") != HASTY_OK);
    check_is_text();
    CHECK(hasty_app_set_option(app, check_repeat("k", 100000), "1") != HASTY_OK);
    check_is_text();
    CHECK_STATUS(hasty_app_get(app, check_repeat("p", 100000), fine, NULL), HASTY_ERR_INVALID);
    check_is_text();
    hasty_app_free(app);
}

#define IS_NO_UTF_8(call) (CHECK_STATUS(call, HASTY_ERR_INVALID), CHECK_ERROR_NAMES("\\xff"), CHECK_ERROR_NAMES("not UTF-8"), check_is_text())

static int32_t allow(CHECK_UNUSED const hasty_str *key, CHECK_UNUSED void *user_data)
{
    return 1;
}

TEST(text_that_is_not_utf_8_is_refused_and_shown)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    IS_NO_UTF_8(hasty_app_get(app, "/\xff", fine, NULL));
    IS_NO_UTF_8(hasty_app_route(app, "G\xff", "/a", fine, NULL, NULL));
    IS_NO_UTF_8(hasty_app_use(app, "/\xff", fine, NULL, NULL));
    IS_NO_UTF_8(hasty_app_after(app, "/\xff", fine, NULL, NULL));
    IS_NO_UTF_8(hasty_app_cors(app, "/\xff", NULL));
    IS_NO_UTF_8(hasty_app_cors(app, "/", &(hasty_cors){.size = sizeof(hasty_cors), .origins = "\xff"}));
    IS_NO_UTF_8(hasty_app_cors(app, "/", &(hasty_cors){.size = sizeof(hasty_cors), .methods = "\xff"}));
    IS_NO_UTF_8(hasty_app_cors(app, "/", &(hasty_cors){.size = sizeof(hasty_cors), .headers = "\xff"}));
    IS_NO_UTF_8(hasty_app_cors(app, "/", &(hasty_cors){.size = sizeof(hasty_cors), .expose = "\xff"}));
    IS_NO_UTF_8(hasty_app_rate_limit(app, "/\xff", 1, 1, allow, NULL, NULL));
    IS_NO_UTF_8(hasty_app_health(app, "/\xff"));
    IS_NO_UTF_8(hasty_app_static(app, "/\xff", "include", NULL));
    IS_NO_UTF_8(hasty_app_static(app, "/f", "include", &(hasty_static){.size = sizeof(hasty_static), .index = "\xff"}));
    IS_NO_UTF_8(hasty_app_static(app, "/f", "include", &(hasty_static){.size = sizeof(hasty_static), .fallback = "\xff"}));
    IS_NO_UTF_8(hasty_app_static(app, "/f", "include", &(hasty_static){.size = sizeof(hasty_static), .cache_control = "\xff"}));
    IS_NO_UTF_8(hasty_app_set_option(app, "\xff", "1"));
    IS_NO_UTF_8(hasty_app_set_option(app, "server_header", "\xff"));
    IS_NO_UTF_8(hasty_app_set_route_option(app, "\xff", "/", "blocking", "yes"));
    IS_NO_UTF_8(hasty_app_set_route_option(app, "GET", "/\xff", "blocking", "yes"));
    IS_NO_UTF_8(hasty_app_set_route_option(app, "GET", "/", "\xff", "yes"));
    IS_NO_UTF_8(hasty_app_set_route_option(app, "GET", "/", "blocking", "\xff"));
    IS_NO_UTF_8(hasty_app_listen(app, "\xff", 0));
    CHECK_STATUS(hasty_app_static(app, "/f", "/no/\xff", NULL), HASTY_ERR_IO); /* names of files need not be UTF-8 */
    CHECK_ERROR_NAMES("/no/\\xff");
    CHECK_STATUS(hasty_app_listen_unix(app, "/no/\xff", 0), HASTY_ERR_IO);
    CHECK_ABSENT(hasty_app_option(app, "\xff"));
    hasty_app_free(app);
}

/* ---- on_error learns why ---- */

HANDLER(says_why)
{
    check_is_text();
    return hasty_response_send_text(res, hasty_last_error().data);
}

HANDLER(returns_io)
{
    return HASTY_ERR_IO;
}

TEST(on_error_is_told_why)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_on_error(app, says_why, NULL, NULL));
    REQUIRE_OK(hasty_app_set_option(app, "max_body_bytes", "10"));
    REQUIRE_OK(hasty_app_post(app, "/post", fine, NULL));
    REQUIRE_OK(hasty_app_get(app, "/fails", returns_io, NULL));
    int port = check_serve(app);
    reply missing = get(port, "/nowhere");
    CHECK_REPLY(missing, 404, NULL);
    CHECK_CONTAINS(missing.body, "route");
    reply large = post(port, "/post", NULL, "eleven bytes");
    CHECK_REPLY(large, 413, NULL);
    CHECK_CONTAINS(large.body, "10");
    reply wrong = get(port, "/post");
    CHECK_REPLY(wrong, 405, NULL);
    CHECK_CONTAINS(wrong.body, "method");
    CHECK_REPLY(get(port, "/fails"), 500, NULL);
    hasty_app_free(app);
}

static hasty_exchange *_Atomic held;

HANDLER(defers)
{
    hasty_exchange *exchange = NULL;
    CHECK_OK(hasty_response_defer(res, &exchange));
    held = exchange;
    return HASTY_OK;
}

TEST(what_on_error_was_told_is_not_the_last_error_of_its_thread)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_on_error(app, says_why, NULL, NULL));
    REQUIRE_OK(hasty_app_get(app, "/", defers, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/", NULL, NULL));
    REQUIRE(AWAIT(held != NULL));
    CHECK_STATUS(hasty_response_send_file(hasty_exchange_response(held), "/no/such/file"), HASTY_ERR_NOT_FOUND);
    const char *before = hasty_last_error().data;
    hasty_exchange_free(held); /* on_error runs in here */
    reply r = client_read(&c);
    CHECK_REPLY(r, 503, NULL);
    CHECK_CONTAINS(r.body, "gave up");
    CHECK_ERROR_NAMES("/no/such/file");
    CHECK(hasty_last_error().data == before);
    client_close(&c);
    hasty_app_free(app);
}

CHECK_MAIN
