/* Every function that returns a hasty_str has a twin ending in _to, for languages that cannot take a struct by value:
 * both say the same. */
#include "client.h"

/* Absent is no error: the twin succeeds, with no data. */
static void agree(const char *file, int line, const char *what, hasty_str value, hasty_status status, hasty_str out)
{
    check_status(file, line, what, status, HASTY_OK);
    if (value.data == NULL) {
        if (out.data != NULL || out.len != 0)
            check_fail(file, line, "%s is absent, its twin gives \"%s\"", what, out.data);
        return;
    }
    check_bytes(file, line, what, out.data, out.len, value.data, value.len);
    if (out.data != NULL && out.data[out.len] != '\0')
        check_fail(file, line, "what the twin of %s gives has no NUL byte behind it", what);
}

#define AGREE(name, ...)                                                                                               \
    do {                                                                                                               \
        hasty_str out = {"untouched", 9};                                                                              \
        hasty_status status = name##_to(__VA_ARGS__, &out);                                                            \
        agree(__FILE__, __LINE__, #name, name(__VA_ARGS__), status, out);                                              \
    } while (0)

HANDLER(compares_the_request)
{
    AGREE(hasty_request_method, req);
    AGREE(hasty_request_path, req);
    AGREE(hasty_request_raw_path, req);
    AGREE(hasty_request_query_string, req);
    AGREE(hasty_request_target, req);
    AGREE(hasty_request_route, req);
    AGREE(hasty_request_remote_address, req);
    AGREE(hasty_request_id, req);
    AGREE(hasty_request_body, req);
    AGREE(hasty_request_header, req, "host");
    AGREE(hasty_request_header, req, "x-empty");
    AGREE(hasty_request_header, req, "absent");
    AGREE(hasty_request_param, req, "id");
    AGREE(hasty_request_param, req, "absent");
    AGREE(hasty_request_query, req, "q");
    AGREE(hasty_request_query, req, "empty");
    AGREE(hasty_request_query, req, "absent");
    AGREE(hasty_request_cookie, req, "c");
    AGREE(hasty_request_cookie, req, "absent");
    AGREE(hasty_request_form, req, "f");
    AGREE(hasty_request_form, req, "absent");
    AGREE(hasty_response_header, res, "X-Set");
    AGREE(hasty_response_body, res);
    CHECK_OK(hasty_response_set_header(res, "X-Set", "value"));
    CHECK_OK(hasty_response_send_text(res, "compared"));
    AGREE(hasty_response_header, res, "x-set");
    AGREE(hasty_response_header, res, "content-type");
    AGREE(hasty_response_header, res, "absent");
    AGREE(hasty_response_body, res);

    return HASTY_OK;
}

HANDLER(reads_through_twins_alone)
{
    hasty_str out;
    CHECK_OK(hasty_request_query_string_to(req, &out));
    CHECK_STR(out, "q=a+b&empty=");
    CHECK_OK(hasty_request_target_to(req, &out));
    CHECK_STR(out, "/users/7?q=a+b&empty=");
    CHECK_OK(hasty_request_raw_path_to(req, &out));
    CHECK_STR(out, "/users/7");
    CHECK_OK(hasty_request_param_to(req, "id", &out));
    CHECK_STR(out, "7");
    CHECK_OK(hasty_request_query_to(req, "q", &out));
    CHECK_STR(out, "a b");
    CHECK_OK(hasty_request_cookie_to(req, "c", &out));
    CHECK_STR(out, "1");
    CHECK_OK(hasty_request_form_to(req, "f", &out));
    CHECK_STR(out, "x y");
    CHECK_OK(hasty_request_body_to(req, &out));
    CHECK_STR(out, "f=x+y");
    CHECK_OK(hasty_request_header_to(req, "HOST", &out));
    CHECK_STR(out, "localhost");
    CHECK_OK(hasty_request_method_to(req, &out));
    CHECK_STR(out, "POST");
    CHECK_OK(hasty_request_route_to(req, &out));
    CHECK_STR(out, "/users/:id");
    CHECK_OK(hasty_request_remote_address_to(req, &out));
    CHECK_STR(out, "127.0.0.1");
    return hasty_response_send_text(res, "compared");
}

TEST(the_twins_of_requests_and_responses_agree)
{
    static const hasty_handler handlers[] = {compares_the_request, reads_through_twins_alone};
    for (int i = 0; i < 2; i++) {
        hasty_app *app = check_app(NULL);
        CHECK_OK(hasty_app_post(app, "/users/:id", handlers[i], NULL));
        int port = check_serve(app);
        CHECK_REPLY(
            ask(port, request_text("POST", "/users/7?q=a+b&empty=",
                                   "Cookie: c=1\r\nX-Empty:\r\nContent-Type: application/x-www-form-urlencoded\r\n",
                                   "f=x+y")),
            200, "compared");
        hasty_app_free(app);
    }
}

TEST(the_twins_of_options_agree)
{
    hasty_app *app = check_app(NULL);
    static const char *const names[] = {"threads", "max_body_bytes", "server_header", "max_connections",
                                        "no_such_option"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        AGREE(hasty_app_option, app, names[i]);
    CHECK_OK(hasty_app_set_option(app, "server_header", ""));
    AGREE(hasty_app_option, app, "server_header");
    hasty_app_free(app);
}

TEST(the_twins_of_json_agree)
{
    hasty_json *json = NULL;
    const char *text = "{\"a\":\"x\",\"\":\"\",\"n\":1}";
    REQUIRE_OK(hasty_json_parse(text, strlen(text), &json));
    for (size_t i = 0; i < 4; i++) {
        AGREE(hasty_json_key_at, json, i);
        if (hasty_json_at(json, i) != NULL)
            AGREE(hasty_json_as_string, hasty_json_at(json, i));
    }
    AGREE(hasty_json_as_string, json);
    hasty_json_free(json);
}

TEST(the_twin_of_the_last_error_agrees_and_is_no_failing_call)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_set_option(app, "max_headers", "several"), HASTY_ERR_INVALID);
    hasty_str out = {NULL, 0};
    CHECK_OK(hasty_last_error_to(&out));
    CHECK_STR(out, hasty_last_error().data);
    CHECK(out.data == hasty_last_error().data);
    hasty_app_free(app);
}

CHECK_MAIN
