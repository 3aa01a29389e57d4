/* NULL for every pointer of every function: a status, an absent string, zero, or nothing. */
#include "client.h"

static _Atomic int dropped;

static void count_drop(void *user_data)
{
    (void)user_data;
    dropped++;
}

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

static void ignore_log(int32_t level, const hasty_str *message, void *user_data)
{
    (void)level, (void)message, (void)user_data;
}

#define IS_NULL(call) CHECK_STATUS(call, HASTY_ERR_NULL)

/* ---- the library ---- */

TEST(last_error_to_wants_an_out)
{
    IS_NULL(hasty_last_error_to(NULL));
}

/* ---- the app ---- */

TEST(every_app_function_takes_no_app_for_null)
{
    IS_NULL(hasty_app_new(NULL, NULL));
    hasty_app_free(NULL);
    hasty_app_stop(NULL);
    CHECK_INT(hasty_app_port(NULL), 0);
    CHECK_ABSENT(hasty_app_option(NULL, "threads"));
    hasty_str untouched = {"untouched", 9};
    IS_NULL(hasty_app_option_to(NULL, "threads", &untouched));
    CHECK_TEXT(untouched.data, "untouched");
    IS_NULL(hasty_app_set_option(NULL, "threads", "1"));
    IS_NULL(hasty_app_set_route_option(NULL, "GET", "/", "blocking", "yes"));
    IS_NULL(hasty_app_get(NULL, "/", fine, NULL));
    IS_NULL(hasty_app_post(NULL, "/", fine, NULL));
    IS_NULL(hasty_app_put(NULL, "/", fine, NULL));
    IS_NULL(hasty_app_patch(NULL, "/", fine, NULL));
    IS_NULL(hasty_app_delete(NULL, "/", fine, NULL));
    IS_NULL(hasty_app_any(NULL, "/", fine, NULL));
    IS_NULL(hasty_app_listen(NULL, "127.0.0.1", 0));
    IS_NULL(hasty_app_listen_unix(NULL, "/tmp/never", 0600));
    IS_NULL(hasty_app_listen_fd(NULL, 0));
    IS_NULL(hasty_app_start(NULL));
    IS_NULL(hasty_app_run(NULL));
    IS_NULL(hasty_app_drain(NULL, 0));
    IS_NULL(hasty_app_wait(NULL, 0));
}

TEST(every_app_function_wants_its_strings)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_ABSENT(hasty_app_option(app, NULL));
    hasty_str untouched = {"untouched", 9};
    IS_NULL(hasty_app_option_to(app, NULL, &untouched));
    IS_NULL(hasty_app_option_to(app, "threads", NULL));
    CHECK_TEXT(untouched.data, "untouched");
    IS_NULL(hasty_app_set_option(app, NULL, "1"));
    IS_NULL(hasty_app_set_option(app, "threads", NULL));
    IS_NULL(hasty_app_set_route_option(app, NULL, "/", "blocking", "yes"));
    IS_NULL(hasty_app_set_route_option(app, "GET", NULL, "blocking", "yes"));
    IS_NULL(hasty_app_set_route_option(app, "GET", "/", NULL, "yes"));
    IS_NULL(hasty_app_set_route_option(app, "GET", "/", "blocking", NULL));
    IS_NULL(hasty_app_get(app, NULL, fine, NULL));
    IS_NULL(hasty_app_post(app, NULL, fine, NULL));
    IS_NULL(hasty_app_put(app, NULL, fine, NULL));
    IS_NULL(hasty_app_patch(app, NULL, fine, NULL));
    IS_NULL(hasty_app_delete(app, NULL, fine, NULL));
    IS_NULL(hasty_app_any(app, NULL, fine, NULL));
    IS_NULL(hasty_app_listen_unix(app, NULL, 0600));
    hasty_app_free(app);
}

TEST(user_data_is_dropped_even_where_something_is_null)
{
    hasty_app *app = check_app(NULL);
    dropped = 0;
    IS_NULL(hasty_app_route(NULL, "GET", "/", fine, app, count_drop));
    CHECK_INT(dropped, 1);
    IS_NULL(hasty_app_route(app, NULL, "/", fine, app, count_drop));
    CHECK_INT(dropped, 2);
    IS_NULL(hasty_app_route(app, "GET", NULL, fine, app, count_drop));
    CHECK_INT(dropped, 3);
    IS_NULL(hasty_app_on_error(NULL, fine, app, count_drop));
    CHECK_INT(dropped, 4);
    IS_NULL(hasty_app_on_error(app, NULL, app, count_drop));
    CHECK_INT(dropped, 5);
    IS_NULL(hasty_app_on_log(NULL, ignore_log, app, count_drop));
    CHECK_INT(dropped, 6);
    IS_NULL(hasty_app_on_log(app, NULL, app, count_drop));
    CHECK_INT(dropped, 7);
    IS_NULL(hasty_request_set_local(NULL, "key", app, count_drop));
    CHECK_INT(dropped, 8);
    IS_NULL(hasty_response_send_owned(NULL, "x", 1, app, count_drop));
    CHECK_INT(dropped, 9);
    hasty_app_free(app);
    CHECK_INT(dropped, 9);
}

TEST(null_options_null_host_and_null_drop_are_allowed)
{
    hasty_app *app = NULL;
    REQUIRE_OK(hasty_app_new(NULL, &app));
    CHECK_OK(hasty_app_route(app, "GET", "/", fine, NULL, NULL));
    CHECK_OK(hasty_app_on_error(app, fine, NULL, NULL));
    CHECK_OK(hasty_app_on_log(app, ignore_log, NULL, NULL));
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    CHECK_OK(hasty_app_start(app));
    CHECK_REPLY(get(hasty_app_port(app), "/"), 200, "fine");
    hasty_app_free(app);
}

/* ---- the request ---- */

TEST(every_request_function_takes_no_request_for_null)
{
    hasty_str name = {"untouched", 9}, value = {"untouched", 9};
    CHECK_ABSENT(hasty_request_method(NULL));
    CHECK_ABSENT(hasty_request_path(NULL));
    CHECK_ABSENT(hasty_request_raw_path(NULL));
    CHECK_ABSENT(hasty_request_query_string(NULL));
    CHECK_ABSENT(hasty_request_target(NULL));
    CHECK_ABSENT(hasty_request_route(NULL));
    CHECK_ABSENT(hasty_request_remote_address(NULL));
    CHECK_ABSENT(hasty_request_id(NULL));
    CHECK_ABSENT(hasty_request_body(NULL));
    CHECK_INT(hasty_request_minor_version(NULL), 0);
    CHECK_ABSENT(hasty_request_header(NULL, "a"));
    CHECK_ABSENT(hasty_request_param(NULL, "a"));
    CHECK_ABSENT(hasty_request_query(NULL, "a"));
    CHECK_ABSENT(hasty_request_cookie(NULL, "a"));
    CHECK_ABSENT(hasty_request_form(NULL, "a"));
    CHECK_INT(hasty_request_header_count(NULL), 0);
    CHECK_INT(hasty_request_param_count(NULL), 0);
    CHECK_INT(hasty_request_query_count(NULL), 0);
    CHECK_INT(hasty_request_cookie_count(NULL), 0);
    CHECK_INT(hasty_request_form_count(NULL), 0);
    IS_NULL(hasty_request_header_at(NULL, 0, &name, &value));
    IS_NULL(hasty_request_param_at(NULL, 0, &name, &value));
    IS_NULL(hasty_request_query_at(NULL, 0, &name, &value));
    IS_NULL(hasty_request_cookie_at(NULL, 0, &name, &value));
    IS_NULL(hasty_request_form_at(NULL, 0, &name, &value));
    IS_NULL(hasty_request_form_status(NULL));
    const hasty_json *json = NULL;
    IS_NULL(hasty_request_json(NULL, &json));
    CHECK(hasty_request_user_data(NULL) == NULL);
    IS_NULL(hasty_request_set_local(NULL, "a", NULL, NULL));
    CHECK(hasty_request_local(NULL, "a") == NULL);
    CHECK_TEXT(name.data, "untouched");
    CHECK_TEXT(value.data, "untouched");
}

TEST(every_request_twin_takes_no_request_for_null)
{
    hasty_str out = {"untouched", 9};
    IS_NULL(hasty_request_method_to(NULL, &out));
    IS_NULL(hasty_request_path_to(NULL, &out));
    IS_NULL(hasty_request_raw_path_to(NULL, &out));
    IS_NULL(hasty_request_query_string_to(NULL, &out));
    IS_NULL(hasty_request_target_to(NULL, &out));
    IS_NULL(hasty_request_route_to(NULL, &out));
    IS_NULL(hasty_request_remote_address_to(NULL, &out));
    IS_NULL(hasty_request_id_to(NULL, &out));
    IS_NULL(hasty_request_body_to(NULL, &out));
    IS_NULL(hasty_request_header_to(NULL, "a", &out));
    IS_NULL(hasty_request_param_to(NULL, "a", &out));
    IS_NULL(hasty_request_query_to(NULL, "a", &out));
    IS_NULL(hasty_request_cookie_to(NULL, "a", &out));
    IS_NULL(hasty_request_form_to(NULL, "a", &out));
    CHECK_TEXT(out.data, "untouched");
}

HANDLER(reads_with_null)
{
    hasty_str name = {"untouched", 9}, value = {"untouched", 9};
    CHECK_ABSENT(hasty_request_header(req, NULL));
    CHECK_ABSENT(hasty_request_param(req, NULL));
    CHECK_ABSENT(hasty_request_query(req, NULL));
    CHECK_ABSENT(hasty_request_cookie(req, NULL));
    CHECK_ABSENT(hasty_request_form(req, NULL));
    IS_NULL(hasty_request_header_at(req, 0, NULL, &value));
    IS_NULL(hasty_request_header_at(req, 0, &name, NULL));
    IS_NULL(hasty_request_param_at(req, 0, NULL, &value));
    IS_NULL(hasty_request_param_at(req, 0, &name, NULL));
    IS_NULL(hasty_request_query_at(req, 0, NULL, &value));
    IS_NULL(hasty_request_query_at(req, 0, &name, NULL));
    IS_NULL(hasty_request_cookie_at(req, 0, NULL, &value));
    IS_NULL(hasty_request_cookie_at(req, 0, &name, NULL));
    IS_NULL(hasty_request_form_at(req, 0, NULL, &value));
    IS_NULL(hasty_request_form_at(req, 0, &name, NULL));
    CHECK_TEXT(name.data, "untouched");
    CHECK_TEXT(value.data, "untouched");
    IS_NULL(hasty_request_json(req, NULL));
    CHECK(hasty_request_local(req, NULL) == NULL);
    dropped = 0;
    IS_NULL(hasty_request_set_local(req, NULL, &name, count_drop));
    CHECK_INT(dropped, 1);
    CHECK_OK(hasty_request_set_local(req, "null value", NULL, NULL));

    IS_NULL(hasty_request_method_to(req, NULL));
    IS_NULL(hasty_request_path_to(req, NULL));
    IS_NULL(hasty_request_raw_path_to(req, NULL));
    IS_NULL(hasty_request_query_string_to(req, NULL));
    IS_NULL(hasty_request_target_to(req, NULL));
    IS_NULL(hasty_request_route_to(req, NULL));
    IS_NULL(hasty_request_remote_address_to(req, NULL));
    IS_NULL(hasty_request_id_to(req, NULL));
    IS_NULL(hasty_request_body_to(req, NULL));
    IS_NULL(hasty_request_header_to(req, NULL, &value));
    IS_NULL(hasty_request_header_to(req, "Host", NULL));
    IS_NULL(hasty_request_param_to(req, NULL, &value));
    IS_NULL(hasty_request_param_to(req, "p", NULL));
    IS_NULL(hasty_request_query_to(req, NULL, &value));
    IS_NULL(hasty_request_query_to(req, "q", NULL));
    IS_NULL(hasty_request_cookie_to(req, NULL, &value));
    IS_NULL(hasty_request_cookie_to(req, "c", NULL));
    IS_NULL(hasty_request_form_to(req, NULL, &value));
    IS_NULL(hasty_request_form_to(req, "f", NULL));
    CHECK_TEXT(value.data, "untouched");
    return hasty_response_send_text(res, "fine");
}

TEST(every_request_function_wants_its_names_and_outs)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_post(app, "/:p", reads_with_null, NULL));
    int port = check_serve(app);
    CHECK_REPLY(ask(port, request_text("POST", "/x?q=1",
                                       "Cookie: c=1\r\nContent-Type: application/x-www-form-urlencoded\r\n", "f=1")),
                200, "fine");
    hasty_app_free(app);
}

/* ---- the response ---- */

TEST(every_response_function_takes_no_response_for_null)
{
    IS_NULL(hasty_response_set_status(NULL, 200));
    CHECK_INT(hasty_response_status(NULL), 0);
    IS_NULL(hasty_response_set_header(NULL, "a", "b"));
    IS_NULL(hasty_response_add_header(NULL, "a", "b"));
    IS_NULL(hasty_response_set_header_bytes(NULL, "a", "b", 1));
    IS_NULL(hasty_response_add_header_bytes(NULL, "a", "b", 1));
    IS_NULL(hasty_response_remove_header(NULL, "a"));
    CHECK_ABSENT(hasty_response_header(NULL, "a"));
    CHECK_ABSENT(hasty_response_body(NULL));
    IS_NULL(hasty_response_set_type(NULL, "json"));
    IS_NULL(hasty_response_set_cookie(NULL, "a", "b", NULL));
    IS_NULL(hasty_response_delete_cookie(NULL, "a", NULL));
    IS_NULL(hasty_response_send(NULL, "a", 1));
    IS_NULL(hasty_response_send_owned(NULL, "a", 1, NULL, NULL));
    IS_NULL(hasty_response_send_text(NULL, "a"));
    IS_NULL(hasty_response_send_html(NULL, "a"));
    IS_NULL(hasty_response_send_json(NULL, "1"));
    hasty_json *json = hasty_json_new_null();
    IS_NULL(hasty_response_send_json_value(NULL, json));
    hasty_json_free(json);
    IS_NULL(hasty_response_send_status(NULL, 200));
    IS_NULL(hasty_response_send_redirect(NULL, 302, "/"));
    IS_NULL(hasty_response_reset(NULL));
    hasty_str out = {"untouched", 9};
    IS_NULL(hasty_response_header_to(NULL, "a", &out));
    IS_NULL(hasty_response_body_to(NULL, &out));
    CHECK_TEXT(out.data, "untouched");
}

HANDLER(writes_with_null)
{
    IS_NULL(hasty_response_set_header(res, NULL, "b"));
    IS_NULL(hasty_response_set_header(res, "a", NULL));
    IS_NULL(hasty_response_add_header(res, NULL, "b"));
    IS_NULL(hasty_response_add_header(res, "a", NULL));
    IS_NULL(hasty_response_set_header_bytes(res, NULL, "b", 1));
    IS_NULL(hasty_response_set_header_bytes(res, "a", NULL, 1));
    IS_NULL(hasty_response_add_header_bytes(res, NULL, "b", 1));
    IS_NULL(hasty_response_add_header_bytes(res, "a", NULL, 1));
    IS_NULL(hasty_response_remove_header(res, NULL));
    CHECK_ABSENT(hasty_response_header(res, NULL));
    IS_NULL(hasty_response_set_type(res, NULL));
    IS_NULL(hasty_response_set_cookie(res, NULL, "b", NULL));
    IS_NULL(hasty_response_set_cookie(res, "a", NULL, NULL));
    IS_NULL(hasty_response_delete_cookie(res, NULL, NULL));
    IS_NULL(hasty_response_send(res, NULL, 1));
    dropped = 0;
    IS_NULL(hasty_response_send_owned(res, NULL, 1, &dropped, count_drop));
    CHECK_INT(dropped, 1);
    IS_NULL(hasty_response_send_text(res, NULL));
    IS_NULL(hasty_response_send_html(res, NULL));
    IS_NULL(hasty_response_send_json(res, NULL));
    IS_NULL(hasty_response_send_json_value(res, NULL));
    IS_NULL(hasty_response_send_redirect(res, 302, NULL));
    hasty_str out = {"untouched", 9};
    IS_NULL(hasty_response_header_to(res, NULL, &out));
    IS_NULL(hasty_response_header_to(res, "a", NULL));
    IS_NULL(hasty_response_body_to(res, NULL));
    CHECK_TEXT(out.data, "untouched");
    CHECK_OK(hasty_response_reset(res));
    CHECK_OK(hasty_response_send(res, NULL, 0));
    CHECK_OK(hasty_response_send_owned(res, NULL, 0, NULL, NULL));
    CHECK_OK(hasty_response_set_header_bytes(res, "a", NULL, 0));
    return hasty_response_send_text(res, "fine");
}

TEST(every_response_function_wants_its_arguments)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_get(app, "/", writes_with_null, NULL));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    hasty_app_free(app);
}

HANDLER(sends_null)
{
    return hasty_response_send_text(res, NULL);
}

TEST(sending_null_is_a_500)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_get(app, "/", sends_null, NULL));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 500, NULL);
    hasty_app_free(app);
}

/* ---- lengths that no memory has ---- */

#define IS_TOO_LONG(call) (CHECK_STATUS(call, HASTY_ERR_INVALID), CHECK_ERROR_NAMES(check_format("%zu", SIZE_MAX)))

HANDLER(passes_lengths)
{
    char byte = 'x';
    size_t got = 7;
    dropped = 0;
    IS_TOO_LONG(hasty_response_send(res, &byte, SIZE_MAX));
    IS_TOO_LONG(hasty_response_send_owned(res, &byte, SIZE_MAX, &dropped, count_drop));
    CHECK_INT(dropped, 1);
    IS_TOO_LONG(hasty_response_set_header_bytes(res, "a", &byte, SIZE_MAX));
    IS_TOO_LONG(hasty_response_add_header_bytes(res, "a", &byte, SIZE_MAX));
    CHECK_OK(hasty_response_reset(res));
    IS_TOO_LONG(hasty_response_write(res, &byte, SIZE_MAX));
    IS_TOO_LONG(hasty_request_read(req, &byte, SIZE_MAX, &got));
    CHECK(got == 7 && byte == 'x');
    return hasty_response_send_text(res, "fine");
}

TEST(a_length_that_no_memory_has_is_refused)
{
    hasty_app *app = check_app(NULL);
    REQUIRE_OK(hasty_app_post(app, "/", passes_lengths, NULL));
    REQUIRE_OK(hasty_app_set_route_option(app, "POST", "/", "body", "stream"));
    int port = check_serve(app);
    CHECK_REPLY(post(port, "/", NULL, "body"), 200, "fine");
    hasty_app_free(app);

    hasty_json *out = NULL, *object = hasty_json_new_object();
    IS_TOO_LONG(hasty_json_parse("1", SIZE_MAX, &out));
    IS_TOO_LONG(hasty_json_set_bytes(object, "a", SIZE_MAX, hasty_json_new_null()));
    CHECK(out == NULL && hasty_json_new_string("a", SIZE_MAX) == NULL);
    CHECK_ERROR_NAMES(check_format("%zu", SIZE_MAX));
    char text[4] = "old";
    size_t needed = 0;
    CHECK_OK(hasty_json_to_text(object, text, SIZE_MAX, &needed)); /* no more is written than there is to write */
    CHECK_TEXT(text, "{}");
    hasty_json_free(object);
}

/* ---- JSON ---- */

TEST(every_json_function_takes_no_value_for_null)
{
    int64_t integer = 7;
    double number = 7;
    int32_t truth = 7;
    size_t needed = 7;
    char text[8] = "same";
    hasty_str key = {"untouched", 9};
    static const char mark;
    hasty_json *untouched = (hasty_json *)(uintptr_t)&mark, *out = untouched;
    hasty_json_free(NULL);
    IS_NULL(hasty_json_parse(NULL, 3, &out));
    IS_NULL(hasty_json_parse("1", 1, NULL));
    CHECK_STATUS(hasty_json_parse(NULL, 0, &out), HASTY_ERR_INVALID);
    IS_NULL(hasty_json_clone(NULL, &out));
    CHECK_INT(hasty_json_kind(NULL), -1);
    CHECK_INT(hasty_json_len(NULL), 0);
    CHECK(hasty_json_get(NULL, "a") == NULL);
    CHECK(hasty_json_at(NULL, 0) == NULL);
    CHECK(hasty_json_find(NULL, "") == NULL);
    CHECK_ABSENT(hasty_json_key_at(NULL, 0));
    CHECK_ABSENT(hasty_json_as_string(NULL));
    IS_NULL(hasty_json_key_at_to(NULL, 0, &key));
    IS_NULL(hasty_json_as_string_to(NULL, &key));
    IS_NULL(hasty_json_as_int(NULL, &integer));
    IS_NULL(hasty_json_as_double(NULL, &number));
    IS_NULL(hasty_json_as_bool(NULL, &truth));
    IS_NULL(hasty_json_to_text(NULL, text, sizeof text, &needed));
    CHECK(hasty_json_new_string(NULL, 1) == NULL);
    CHECK(out == untouched && integer == 7 && number == 7 && truth == 7 && needed == 7);
    CHECK_TEXT(text, "same");
    CHECK_TEXT(key.data, "untouched");
}

TEST(every_json_function_wants_its_arguments)
{
    hasty_json *object = hasty_json_new_object(), *array = hasty_json_new_array(), *one = hasty_json_new_int(1);
    hasty_json *text = hasty_json_new_string(NULL, 0);
    char buffer[16];
    CHECK_STR(hasty_json_as_string(text), "");
    IS_NULL(hasty_json_clone(object, NULL));
    CHECK(hasty_json_get(object, NULL) == NULL);
    CHECK(hasty_json_find(object, NULL) == NULL);
    IS_NULL(hasty_json_as_int(one, NULL));
    IS_NULL(hasty_json_as_double(one, NULL));
    IS_NULL(hasty_json_as_bool(one, NULL));
    IS_NULL(hasty_json_as_string_to(text, NULL));
    IS_NULL(hasty_json_set(NULL, "a", hasty_json_new_int(1)));
    IS_NULL(hasty_json_set(object, NULL, hasty_json_new_int(1)));
    IS_NULL(hasty_json_set(object, "a", NULL));
    IS_NULL(hasty_json_set_bytes(NULL, "a", 1, hasty_json_new_int(1)));
    IS_NULL(hasty_json_set_bytes(object, NULL, 1, hasty_json_new_int(1)));
    IS_NULL(hasty_json_set_bytes(object, "a", 1, NULL));
    IS_NULL(hasty_json_push(NULL, hasty_json_new_int(1)));
    IS_NULL(hasty_json_push(array, NULL));
    CHECK_OK(hasty_json_set_bytes(object, NULL, 0, hasty_json_new_int(1)));
    IS_NULL(hasty_json_key_at_to(object, 0, NULL));
    IS_NULL(hasty_json_to_text(one, NULL, 4, &(size_t){0}));
    IS_NULL(hasty_json_to_text(one, buffer, sizeof buffer, NULL));
    CHECK_INT(hasty_json_len(object), 1);
    CHECK_INT(hasty_json_len(array), 0);
    hasty_json_free(object);
    hasty_json_free(array);
    hasty_json_free(one);
    hasty_json_free(text);
}

CHECK_MAIN
