/* Which handler a request reaches, and what is answered where none is. */
#include "client.h"

HANDLER(say)
{
    return hasty_response_send_text(res, user_data);
}

HANDLER(say_route)
{
    return hasty_response_send_text(res, hasty_request_route(req).data);
}

/* An app that answers each of these GET patterns with the pattern itself. */
static hasty_app *serve(int *port, const char *const *patterns)
{
    hasty_app *app = check_app(NULL);
    for (; *patterns != NULL; patterns++)
        CHECK_OK(hasty_app_get(app, *patterns, say_route, NULL));
    *port = check_serve(app);
    return app;
}

#define SERVE(port, ...) serve(port, (const char *const[]){__VA_ARGS__, NULL})
#define REACHES(port, target, pattern) CHECK_REPLY(get(port, target), 200, pattern)
#define REACHES_NOTHING(port, target) CHECK_REPLY(get(port, target), 404, NULL)

/* ---- precedence ---- */

TEST(a_literal_wins_over_a_name_and_a_name_over_a_rest)
{
    int port;
    hasty_app *app = SERVE(&port, "/users/*", "/users/:id", "/users/me", "/*all");
    REACHES(port, "/users/me", "/users/me");
    REACHES(port, "/users/7", "/users/:id");
    REACHES(port, "/users/7/posts", "/users/*");
    REACHES(port, "/users/", "/users/*");
    REACHES(port, "/users", "/*all");
    REACHES(port, "/elsewhere", "/*all");
    REACHES(port, "/", "/*all");
    hasty_app_free(app);
}

TEST(the_order_of_registration_does_not_matter)
{
    int port;
    hasty_app *app = SERVE(&port, "/*all", "/users/me", "/users/:id", "/users/*");
    REACHES(port, "/users/me", "/users/me");
    REACHES(port, "/users/7", "/users/:id");
    REACHES(port, "/users/7/posts", "/users/*");
    REACHES(port, "/elsewhere", "/*all");
    hasty_app_free(app);
}

TEST(a_branch_that_leads_nowhere_is_left_again)
{
    int port;
    hasty_app *app = SERVE(&port, "/a/b/c", "/a/:x/d", "/:x/:y/e", "/a/*rest", "/:x/b/:z/f");
    REACHES(port, "/a/b/c", "/a/b/c");
    REACHES(port, "/a/b/d", "/a/:x/d");
    REACHES(port, "/a/q/d", "/a/:x/d");
    REACHES(port, "/a/b/e", "/a/*rest");
    REACHES(port, "/q/b/e", "/:x/:y/e");
    REACHES(port, "/a/b/g/f", "/a/*rest");
    REACHES(port, "/q/b/g/f", "/:x/b/:z/f");
    REACHES_NOTHING(port, "/q/b/d");
    hasty_app_free(app);
}

TEST(literals_decide_from_the_left)
{
    int port;
    hasty_app *app = SERVE(&port, "/:a/x", "/y/:b");
    REACHES(port, "/y/x", "/y/:b");
    REACHES(port, "/z/x", "/:a/x");
    REACHES(port, "/y/q", "/y/:b");
    REACHES_NOTHING(port, "/z/q");
    hasty_app_free(app);
}

TEST(many_names_with_many_ways_are_searched_in_good_time)
{
    int port;
    hasty_app *app =
        SERVE(&port, "/:a/:b/:c/:d/:e/:f/:g/:h/end", "/a/:b/:c/:d/:e/:f/:g/:h/no", "/:a/a/:c/:d/:e/:f/:g/:h/no",
              "/a/a/:c/:d/:e/:f/:g/:h/no", "/:a/:b/a/:d/:e/:f/:g/:h/no", "/a/:b/a/:d/:e/:f/:g/:h/no");
    int64_t start = check_now_ms();
    for (int i = 0; i < 50; i++)
        REACHES(port, "/a/a/a/a/a/a/a/a/end", "/:a/:b/:c/:d/:e/:f/:g/:h/end");
    CHECK(check_now_ms() - start < 10000);
    hasty_app_free(app);
}

TEST(each_of_a_thousand_routes_is_found)
{
    int count = check_small() ? 200 : 1000;
    hasty_app *app = check_app(NULL);
    for (int i = 0; i < count; i++) {
        CHECK_OK(hasty_app_get(app, check_format("/r%d/fixed", i), say_route, NULL));
        CHECK_OK(hasty_app_get(app, check_format("/r%d/:id/x", i), say_route, NULL));
    }
    int port = check_serve(app);
    client c = client_open(port);
    for (int i = 0; i < count; i += 13) {
        char *fixed = check_format("/r%d/fixed", i);
        CHECK_REPLY(client_ask(&c, request_text("GET", fixed, NULL, NULL)), 200, fixed);
        CHECK_REPLY(client_ask(&c, request_text("GET", check_format("/r%d/7/x", i), NULL, NULL)), 200,
                    check_format("/r%d/:id/x", i));
    }
    client_close(&c);
    hasty_app_free(app);
}

/* ---- segments ---- */

TEST(a_trailing_slash_is_its_own_path)
{
    int port;
    hasty_app *app = SERVE(&port, "/plain", "/slash/", "/both", "/both/", "/users/:id");
    REACHES(port, "/plain", "/plain");
    REACHES_NOTHING(port, "/plain/");
    REACHES(port, "/slash/", "/slash/");
    REACHES_NOTHING(port, "/slash");
    REACHES(port, "/both", "/both");
    REACHES(port, "/both/", "/both/");
    REACHES(port, "/users/7", "/users/:id");
    REACHES_NOTHING(port, "/users/7/");
    hasty_app_free(app);
}

TEST(names_and_rests_match_no_empty_segment)
{
    int port;
    hasty_app *app = SERVE(&port, "/users/:id", "/a/:b/c", "/files/*");
    REACHES_NOTHING(port, "/users/");
    REACHES_NOTHING(port, "/users");
    REACHES_NOTHING(port, "/a//c");
    REACHES_NOTHING(port, "/files");
    REACHES(port, "/files/", "/files/*");
    REACHES(port, "/files/a/b/c", "/files/*");
    hasty_app_free(app);
}

TEST(an_empty_segment_is_not_nothing)
{
    int port;
    hasty_app *app = SERVE(&port, "/a/b", "/");
    REACHES(port, "/a/b", "/a/b");
    REACHES_NOTHING(port, "/a//b");
    REACHES_NOTHING(port, "//a/b");
    REACHES_NOTHING(port, "//");
    REACHES(port, "/", "/");
    hasty_app_free(app);
}

TEST(letters_are_compared_with_case)
{
    int port;
    hasty_app *app = SERVE(&port, "/Users");
    REACHES(port, "/Users", "/Users");
    REACHES_NOTHING(port, "/users");
    hasty_app_free(app);
}

HANDLER(say_id)
{
    return hasty_response_send_text(res, hasty_request_param(req, "id").data);
}

TEST(segments_are_split_first_and_decoded_once)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/users/:id", say_id, NULL));
    CHECK_OK(hasty_app_get(app, "/hello", say, "hello"));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/users/a%2Fb"), 200, "a/b");
    CHECK_REPLY(get(port, "/users/a%2fb"), 200, "a/b");
    CHECK_REPLY(get(port, "/users/%2541"), 200, "%41");
    CHECK_REPLY(get(port, "/users/a+b"), 200, "a+b");
    CHECK_REPLY(get(port, "/users/%20"), 200, " ");
    CHECK_REPLY(get(port, "/users/caf%C3%A9"), 200, "café");
    CHECK_REPLY(get(port, "/users%2F7"), 404, NULL);
    CHECK_REPLY(get(port, "/h%65llo"), 200, "hello");
    CHECK_REPLY(get(port, "/%68%65%6c%6C%6f"), 200, "hello");
    hasty_app_free(app);
}

TEST(a_dot_segment_is_a_segment_like_others)
{
    int port;
    hasty_app *app = SERVE(&port, "/files/:name", "/secret");
    REACHES(port, "/files/..", "/files/:name");
    REACHES_NOTHING(port, "/files/../secret");
    REACHES(port, "/files/%2e%2e%2Fsecret", "/files/:name");
    hasty_app_free(app);
}

TEST(an_invalid_escape_and_a_nul_are_400)
{
    int port;
    hasty_app *app = SERVE(&port, "/*");
    static const char *const targets[] = {"/%zz", "/%4", "/%", "/a%2", "/%00", "/a%00b", "/%-1", "/a/%g0/b"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        if (!CHECK_REPLY(get(port, targets[i]), 400, NULL))
            check_fail(__FILE__, __LINE__, "%s was taken", targets[i]);
    hasty_app_free(app);
}

/* ---- what may not be registered ---- */

static void refuse(hasty_app *app, const char *method, const char *pattern, const char *other)
{
    if (!CHECK_STATUS(hasty_app_route(app, method, pattern, say, NULL, NULL), HASTY_ERR_INVALID))
        check_fail(__FILE__, __LINE__, "\"%s\" was taken", pattern);
    CHECK_ERROR_NAMES(pattern);
    if (other != NULL)
        CHECK_ERROR_NAMES(other);
}

TEST(a_pattern_that_is_malformed_is_refused_and_named)
{
    static const char *const patterns[] = {"",   "users", "users/:id", "/a/*/b", "/a/*rest/b",
                                           "/:", "/:/a",  "/a/:/b",    "/*/",    "/:id/x/:id"};
    hasty_app *app = check_app(NULL);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        refuse(app, "GET", patterns[i], NULL);
    hasty_app_free(app);
}

TEST(a_route_that_no_request_could_find_is_refused_with_the_words_for_it)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_route(app, "get", "/a", say, NULL, NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("GET");
    CHECK_STATUS(hasty_app_route(app, "CONNECT", "/a", say, NULL, NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("proxies");
    CHECK_STATUS(hasty_app_get(app, "/users/{id}", say, NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES(":name");
    CHECK_STATUS(hasty_app_get(app, "/users/<id>", say, NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES(":name");
    CHECK_OK(hasty_app_get(app, "/x:id", say, "a colon inside a segment"));
    CHECK_REPLY(get(check_serve(app), "/x:id"), 200, "a colon inside a segment");
    hasty_app_free(app);
}

TEST(duplicates_and_ambiguities_are_refused_naming_both)
{
    static const char *const pairs[][2] = {
        {"/same", "/same"},   {"/a/:x", "/a/:x"},     {"/b/:x", "/b/:y"},           {"/c/*", "/c/*"},
        {"/d/*", "/d/*rest"}, {"/e/*one", "/e/*two"}, {"/f/:x/g/:y", "/f/:z/g/:w"},
    };
    hasty_app *app = check_app(NULL);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        CHECK_OK(hasty_app_get(app, pairs[i][0], say, NULL));
        refuse(app, "GET", pairs[i][1], pairs[i][0]);
    }
    CHECK_OK(hasty_app_any(app, "/any/:x", say, NULL));
    CHECK_STATUS(hasty_app_any(app, "/any/:y", say, NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("/any/:x");
    CHECK_ERROR_NAMES("/any/:y");
    hasty_app_free(app);
}

TEST(a_refused_route_leaves_the_others_as_they_were)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/users/:id", say, "first"));
    CHECK_STATUS(hasty_app_get(app, "/users/:name", say, "second"), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_get(app, "/deep/new/branch/*/x", say, "bad"), HASTY_ERR_INVALID);
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/users/7"), 200, "first");
    CHECK_REPLY(get(port, "/deep/new/branch"), 404, NULL);
    hasty_app_free(app);
}

HANDLER(say_both)
{
    char text[64];
    snprintf(text, sizeof text, "%s=%s", (const char *)user_data, hasty_request_param(req, user_data).data);
    return hasty_response_send_text(res, text);
}

TEST(names_may_differ_where_patterns_do)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/a/:x/b", say_both, "x"));
    CHECK_OK(hasty_app_get(app, "/a/:y/c", say_both, "y"));
    CHECK_OK(hasty_app_get(app, "/m/:get", say_both, "get"));
    CHECK_OK(hasty_app_post(app, "/m/:post", say_both, "post"));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/a/1/b"), 200, "x=1");
    CHECK_REPLY(get(port, "/a/2/c"), 200, "y=2");
    CHECK_REPLY(get(port, "/m/3"), 200, "get=3");
    CHECK_REPLY(ask_method(port, "POST", "/m/4"), 200, "post=4");
    hasty_app_free(app);
}

/* ---- 404, 405, HEAD, OPTIONS ---- */

static hasty_app *serve_methods(int *port)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/get", say, "got"));
    CHECK_OK(hasty_app_post(app, "/post", say, "posted"));
    CHECK_OK(hasty_app_get(app, "/both/:id", say, "got"));
    CHECK_OK(hasty_app_put(app, "/both/:id", say, "put"));
    CHECK_OK(hasty_app_any(app, "/any", say, "any"));
    CHECK_OK(hasty_app_get(app, "/head", say, "got"));
    CHECK_OK(hasty_app_route(app, "HEAD", "/head", say, "a longer text for HEAD", NULL));
    CHECK_OK(hasty_app_get(app, "/options", say, "got"));
    CHECK_OK(hasty_app_route(app, "OPTIONS", "/options", say, "my options", NULL));
    *port = check_serve(app);
    return app;
}

TEST(a_path_that_no_method_knows_is_404)
{
    int port;
    hasty_app *app = serve_methods(&port);
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PURGE"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        CHECK_REPLY(ask_method(port, methods[i], "/nowhere"), 404, NULL);
    hasty_app_free(app);
}

TEST(a_path_known_under_other_methods_is_405_with_allow)
{
    int port;
    hasty_app *app = serve_methods(&port);
    reply r = ask_method(port, "DELETE", "/get");
    CHECK_REPLY(r, 405, NULL);
    CHECK(reply_lists(&r, "Allow", "GET"));
    CHECK(reply_lists(&r, "Allow", "HEAD"));
    CHECK(!reply_lists(&r, "Allow", "DELETE"));
    CHECK(!reply_lists(&r, "Allow", "POST"));
    r = ask_method(port, "GET", "/post");
    CHECK_REPLY(r, 405, NULL);
    CHECK(reply_lists(&r, "Allow", "POST"));
    CHECK(!reply_lists(&r, "Allow", "GET"));
    CHECK(!reply_lists(&r, "Allow", "HEAD"));
    r = ask_method(port, "PURGE", "/both/7");
    CHECK_REPLY(r, 405, NULL);
    CHECK(reply_lists(&r, "Allow", "GET"));
    CHECK(reply_lists(&r, "Allow", "PUT"));
    r = ask_method(port, "HEAD", "/post");
    CHECK_INT(r.status, 405);
    CHECK_REPLY(ask_method(port, "DELETE", "/any"), 200, "any");
    hasty_app_free(app);
}

TEST(head_falls_back_to_get)
{
    int port;
    hasty_app *app = serve_methods(&port);
    reply r = ask_method(port, "HEAD", "/get");
    CHECK_INT(r.status, 200);
    CHECK_HEADER(r, "Content-Length", "3");
    r = ask_method(port, "HEAD", "/head");
    CHECK_INT(r.status, 200);
    CHECK_HEADER(r, "Content-Length", "22");
    hasty_app_free(app);
}

TEST(options_is_answered_from_the_routes_unless_registered)
{
    int port;
    hasty_app *app = serve_methods(&port);
    client c = client_open(port);
    for (int i = 0; i < 2; i++) {
        reply r = client_ask(&c, request_text("OPTIONS", "/both/7", NULL, NULL));
        CHECK(r.status == 204 || r.status == 200);
        CHECK(reply_lists(&r, "Allow", "GET"));
        CHECK(reply_lists(&r, "Allow", "HEAD"));
        CHECK(reply_lists(&r, "Allow", "PUT"));
        CHECK(reply_lists(&r, "Allow", "OPTIONS"));
        CHECK(!reply_lists(&r, "Allow", "POST"));
    }
    client_close(&c);
    CHECK_REPLY(ask_method(port, "OPTIONS", "/options"), 200, "my options");
    reply any = ask_method(port, "OPTIONS", "/any");
    CHECK(any.status == 204 || any.status == 200);
    reply all = ask_method(port, "OPTIONS", "*");
    CHECK(all.status == 204 || all.status == 200);
    hasty_app_free(app);
}

TEST(the_query_is_no_part_of_the_path)
{
    int port;
    hasty_app *app = SERVE(&port, "/plain", "/users/:id");
    REACHES(port, "/plain?a=1", "/plain");
    REACHES(port, "/plain?", "/plain");
    REACHES(port, "/users/7?x=/y/z", "/users/:id");
    hasty_app_free(app);
}

TEST(an_app_without_routes_answers_404)
{
    hasty_app *app = check_app(NULL);
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 404, NULL);
    hasty_app_free(app);
}

CHECK_MAIN
