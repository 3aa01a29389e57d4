/* Cross-origin requests: policies by prefix, preflights, and the fields of every kind of answer. */
#include "client.h"

HANDLER(fine)
{
    trail_add("handler");
    return hasty_response_send_text(res, "fine");
}

HANDLER(fails)
{
    return HASTY_ERR_IO;
}

static void no_fields(const char *file, int line, const reply *r)
{
    if (r->head != NULL && strcasestr(r->head, "\r\nAccess-Control-") != NULL)
        check_fail(file, line, "there are fields of CORS: %s", r->head);
}

#define CHECK_NO_CORS(r) no_fields(__FILE__, __LINE__, &(r))
#define CHECK_NO_HEADER(r, name) CHECK(reply_header(&(r), name) == NULL)
/* The field is there, and only once. */
#define CHECK_ONE(r, name, value)                                                                                      \
    (CHECK_HEADER(r, name, value), CHECK(reply_header_nth(&(r), name, 1) == NULL && name " is there once"))

/* A simple request from `origin`. */
static reply from(int port, const char *origin, const char *method, const char *target)
{
    return ask(port, request_text(method, target, check_format("Origin: %s\r\n", origin), NULL));
}

/* What a browser asks before `method`, with more fields. */
static reply preflight(int port, const char *origin, const char *target, const char *method, const char *fields)
{
    return ask(port, request_text("OPTIONS", target,
                                  check_format("Origin: %s\r\nAccess-Control-Request-Method: %s\r\n%s", origin, method,
                                               fields ? fields : ""),
                                  NULL));
}

/* GET and PUT on /x, POST on /y, something that fails, and files. */
static hasty_app *new_site(void)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_set_option(app, "max_body_bytes", "10"));
    CHECK_OK(hasty_app_get(app, "/x", fine, NULL));
    CHECK_OK(hasty_app_put(app, "/x", fine, NULL));
    CHECK_OK(hasty_app_post(app, "/y", fine, NULL));
    CHECK_OK(hasty_app_get(app, "/fails", fails, NULL));
    CHECK_OK(hasty_app_static(app, "/files", "include", NULL));
    return app;
}

static hasty_cors policy_of(const char *origins)
{
    return (hasty_cors){.size = sizeof(hasty_cors), .origins = origins};
}

/* The site with one policy for everything. */
static hasty_app *serve(const hasty_cors *policy, int *port)
{
    hasty_app *app = new_site();
    CHECK_OK(hasty_app_cors(app, "/", policy));
    *port = check_serve(app);
    return app;
}

/* ---- the default policy ---- */

TEST(without_a_policy_there_are_no_fields)
{
    hasty_app *app = new_site();
    int port = check_serve(app);
    reply r = from(port, "https://a.example", "GET", "/x"), asked = preflight(port, "https://a.example", "/x", "PUT", NULL);
    CHECK_NO_CORS(r);
    CHECK_NO_CORS(asked);
    CHECK(reply_lists(&asked, "Allow", "PUT"));
    hasty_app_free(app);
}

TEST(the_default_policy_lets_any_origin_in_without_credentials)
{
    int port;
    hasty_app *app = serve(NULL, &port);
    reply r = from(port, "https://a.example", "GET", "/x");
    CHECK_REPLY(r, 200, "fine");
    CHECK_ONE(r, "Access-Control-Allow-Origin", "*");
    CHECK_NO_HEADER(r, "Access-Control-Allow-Credentials");
    CHECK_NO_HEADER(r, "Access-Control-Expose-Headers");
    CHECK_NO_HEADER(r, "Access-Control-Allow-Methods");
    CHECK_NO_HEADER(r, "Access-Control-Max-Age");
    reply opaque = from(port, "null", "GET", "/x");
    CHECK_HEADER(opaque, "Access-Control-Allow-Origin", "*");
    hasty_app_free(app);
}

TEST(the_default_preflight_allows_the_methods_of_the_path_and_what_is_asked_for)
{
    int port;
    hasty_app *app = serve(NULL, &port);
    client c = client_open(port);
    for (int round = 0; round < 2; round++) {
        reply r = client_ask(&c, request_text("OPTIONS", "/x",
                                              "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n"
                                              "Access-Control-Request-Headers: content-type,x-one\r\n",
                                              NULL));
        CHECK_REPLY(r, 204, "");
        CHECK_ONE(r, "Access-Control-Allow-Origin", "*");
        CHECK_ONE(r, "Access-Control-Max-Age", "86400");
        CHECK(reply_lists(&r, "Access-Control-Allow-Methods", "GET"));
        CHECK(reply_lists(&r, "Access-Control-Allow-Methods", "PUT"));
        CHECK(!reply_lists(&r, "Access-Control-Allow-Methods", "POST"));
        CHECK(reply_lists(&r, "Access-Control-Allow-Headers", "content-type"));
        CHECK(reply_lists(&r, "Access-Control-Allow-Headers", "x-one"));
        CHECK_NO_HEADER(r, "Access-Control-Allow-Credentials");
        CHECK_NO_HEADER(r, "Access-Control-Allow-Private-Network");
        CHECK_NO_HEADER(r, "Content-Length"); /* RFC 9110 8.6: not in a 204 */
    }
    CHECK_REPLY(client_ask(&c, request_text("GET", "/x", NULL, NULL)), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_preflight_without_headers_is_answered_without)
{
    int port;
    hasty_app *app = serve(NULL, &port);
    reply r = preflight(port, "https://a.example", "/y", "POST", NULL);
    CHECK_INT(r.status, 204);
    CHECK(reply_lists(&r, "Access-Control-Allow-Methods", "POST"));
    CHECK_NO_HEADER(r, "Access-Control-Allow-Headers");
    hasty_app_free(app);
}

TEST(what_is_asked_for_is_echoed_only_where_it_is_a_list_of_names)
{
    int port;
    hasty_app *app = serve(NULL, &port);
    reply r = preflight(port, "https://a.example", "/y", "POST", "Access-Control-Request-Headers: a b, <x>, good\r\n");
    const char *allowed = reply_header(&r, "Access-Control-Allow-Headers");
    CHECK(allowed == NULL || (strchr(allowed, '<') == NULL && strstr(allowed, "a b") == NULL));
    CHECK(r.status == 204 || r.status == 400 || r.status == 403);
    hasty_app_free(app);
}

TEST(options_that_is_no_preflight_is_answered_from_the_routes)
{
    int port;
    hasty_app *app = serve(NULL, &port);
    reply r = from(port, "https://a.example", "OPTIONS", "/x");
    CHECK(reply_lists(&r, "Allow", "PUT"));
    CHECK_HEADER(r, "Access-Control-Allow-Origin", "*");
    CHECK_NO_HEADER(r, "Access-Control-Allow-Methods");
    hasty_app_free(app);
}

/* ---- origins ---- */

static const char two[] = "https://a.example, http://b.example:8080";

TEST(a_listed_origin_is_echoed)
{
    int port;
    hasty_cors policy = policy_of(two);
    hasty_app *app = serve(&policy, &port);
    static const char *const listed[] = {"https://a.example", "http://b.example:8080"};
    for (int i = 0; i < 2; i++) {
        reply r = from(port, listed[i], "GET", "/x"), asked = preflight(port, listed[i], "/x", "PUT", NULL);
        CHECK_REPLY(r, 200, "fine");
        CHECK_ONE(r, "Access-Control-Allow-Origin", listed[i]);
        CHECK(reply_lists(&r, "Vary", "Origin"));
        CHECK_INT(asked.status, 204);
        CHECK_ONE(asked, "Access-Control-Allow-Origin", listed[i]);
        CHECK(reply_lists(&asked, "Vary", "Origin"));
    }
    hasty_app_free(app);
}

static void check_refused(const char *file, int line, int port, const char *origin)
{
    reply r = from(port, origin, "GET", "/x"), asked = preflight(port, origin, "/x", "PUT", NULL);
    if (r.status != 200 || reply_header(&r, "Access-Control-Allow-Origin") != NULL || !reply_lists(&r, "Vary", "Origin"))
        check_fail(file, line, "from %s: %d, %s", origin, r.status, r.head ? r.head : r.problem);
    if ((asked.status != 204 && asked.status != 403) || strcasestr(asked.head, "\r\nAccess-Control-Allow-Origin"))
        check_fail(file, line, "preflight of %s: %d, %s", origin, asked.status, asked.head ? asked.head : asked.problem);
    if (!reply_lists(&asked, "Vary", "Origin"))
        check_fail(file, line, "preflight of %s does not vary", origin);
}

TEST(another_origin_gets_the_answer_without_the_permission)
{
    int port;
    hasty_cors policy = policy_of(two);
    hasty_app *app = serve(&policy, &port);
    static const char *const others[] = {
        "http://a.example",      "https://a.example:8443", "https://a.example.evil.test", "https://evila.example",
        "https://b.example",     "http://b.example",       "https://a.exampl",            "null",
        "https://a.example/",    "*",                      "",                            "https://a.example, http://b.example:8080",
        "https://sub.a.example", "https://a.example http://b.example:8080",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        check_refused(__FILE__, __LINE__, port, others[i]);
    hasty_app_free(app);
}

TEST(with_a_list_answers_vary_also_without_an_origin)
{
    int port;
    hasty_cors policy = policy_of(two);
    hasty_app *app = serve(&policy, &port);
    reply r = get(port, "/x"), missed = get(port, "/none"), file = get(port, "/files/hasty.h");
    CHECK(reply_lists(&r, "Vary", "Origin") && reply_lists(&missed, "Vary", "Origin"));
    CHECK(reply_lists(&file, "Vary", "Origin"));
    CHECK_NO_CORS(r);
    hasty_app_free(app);
}

TEST(a_wildcard_stands_for_subdomains_only)
{
    int port;
    hasty_cors policy = policy_of("https://*.example.org,https://lone.test");
    hasty_app *app = serve(&policy, &port);
    static const char *const inside[] = {"https://a.example.org", "https://a.b.example.org", "https://x-1.example.org",
                                         "https://lone.test"};
    static const char *const outside[] = {
        "https://example.org",           "https://.example.org",          "https://evilexample.org",  "http://a.example.org",
        "https://a.example.org:8443",    "https://a.example.org.evil.test", "https://evil.test/.example.org",
        "https://evil.test?.example.org", "https://evil.test#.example.org", "https://u@a.example.org",  "https://a.lone.test",
        "https://evil.test:1.example.org", "https://*.example.org",         "https://a b.example.org",
    };
    for (size_t i = 0; i < sizeof inside / sizeof inside[0]; i++) {
        reply r = from(port, inside[i], "GET", "/x");
        CHECK_ONE(r, "Access-Control-Allow-Origin", inside[i]);
        CHECK(reply_lists(&r, "Vary", "Origin"));
    }
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        check_refused(__FILE__, __LINE__, port, outside[i]);
    hasty_app_free(app);
}

/* ---- the other fields ---- */

TEST(credentials_are_allowed_to_listed_origins)
{
    int port;
    hasty_cors policy = policy_of(two);
    policy.credentials = 1;
    hasty_app *app = serve(&policy, &port);
    reply r = from(port, "https://a.example", "GET", "/x");
    CHECK_ONE(r, "Access-Control-Allow-Origin", "https://a.example");
    CHECK_ONE(r, "Access-Control-Allow-Credentials", "true");
    reply asked = preflight(port, "https://a.example", "/x", "PUT", "Access-Control-Request-Headers: x-one\r\n");
    CHECK_ONE(asked, "Access-Control-Allow-Credentials", "true");
    CHECK(reply_lists(&asked, "Access-Control-Allow-Headers", "x-one")); /* "*" would mean a field of that name */
    reply other = from(port, "https://c.example", "GET", "/x");
    CHECK_NO_HEADER(other, "Access-Control-Allow-Credentials");
    hasty_app_free(app);
}

TEST(methods_headers_expose_and_age_are_what_the_policy_says)
{
    int port;
    hasty_cors policy = {.size = sizeof policy, .methods = "PUT,DELETE", .headers = "X-One, X-Two", .expose = "X-Seen , ETag",
                         .max_age_s = 600};
    hasty_app *app = serve(&policy, &port);
    reply asked = preflight(port, "https://a.example", "/x", "PUT", "Access-Control-Request-Headers: x-one, x-three\r\n");
    CHECK_INT(asked.status, 204);
    CHECK(reply_lists(&asked, "Access-Control-Allow-Methods", "PUT"));
    CHECK(reply_lists(&asked, "Access-Control-Allow-Methods", "DELETE"));
    CHECK(!reply_lists(&asked, "Access-Control-Allow-Methods", "GET"));
    CHECK(reply_lists(&asked, "Access-Control-Allow-Headers", "X-One"));
    CHECK(reply_lists(&asked, "Access-Control-Allow-Headers", "X-Two"));
    CHECK(!reply_lists(&asked, "Access-Control-Allow-Headers", "x-three"));
    CHECK_ONE(asked, "Access-Control-Max-Age", "600");
    reply r = from(port, "https://a.example", "GET", "/x");
    CHECK(reply_lists(&r, "Access-Control-Expose-Headers", "X-Seen"));
    CHECK(reply_lists(&r, "Access-Control-Expose-Headers", "ETag"));
    hasty_app_free(app);
}

TEST(an_age_of_none_is_zero)
{
    int port;
    hasty_cors policy = {.size = sizeof policy, .max_age_s = HASTY_NONE};
    hasty_app *app = serve(&policy, &port);
    reply asked = preflight(port, "https://a.example", "/x", "PUT", NULL);
    CHECK_ONE(asked, "Access-Control-Max-Age", "0");
    hasty_app_free(app);
}

TEST(a_private_network_is_opened_when_the_policy_says_so_and_the_browser_asks)
{
    static const char asks[] = "Access-Control-Request-Private-Network: true\r\n";
    for (int opened = 0; opened < 2; opened++) {
        int port;
        hasty_cors policy = {.size = sizeof policy, .private_network = opened};
        hasty_app *app = serve(&policy, &port);
        reply asked = preflight(port, "https://a.example", "/x", "PUT", asks);
        if (opened)
            CHECK_ONE(asked, "Access-Control-Allow-Private-Network", "true");
        else
            CHECK_NO_HEADER(asked, "Access-Control-Allow-Private-Network");
        reply silent = preflight(port, "https://a.example", "/x", "PUT", NULL);
        CHECK_NO_HEADER(silent, "Access-Control-Allow-Private-Network");
        hasty_app_free(app);
    }
}

/* ---- every kind of answer ---- */

TEST(the_fields_are_on_errors_and_files_too)
{
    int port;
    hasty_cors policy = policy_of(two);
    policy.credentials = 1;
    hasty_app *app = serve(&policy, &port);
    static const struct {
        const char *method, *target, *fields;
        int status;
    } cases[] = {
        {"GET", "/none", "", 404},          {"DELETE", "/x", "", 405},
        {"POST", "/y", "Content-Length: 100\r\n", 413}, {"GET", "/fails", "", 500},
        {"GET", "/files/hasty.h", "", 200}, {"GET", "/files/none", "", 404},
        {"HEAD", "/x", "", 200},            {"GET", "/files/hasty.h", "Range: bytes=0-9\r\n", 206},
        {"GET", "/files/hasty.h", "Range: bytes=99999999-\r\n", 416},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reply r = ask(port, request_text(cases[i].method, cases[i].target,
                                         check_format("Origin: https://a.example\r\n%s", cases[i].fields), NULL));
        const char *origin = reply_header(&r, "Access-Control-Allow-Origin");
        if (r.status != cases[i].status || origin == NULL || !reply_lists(&r, "Vary", "Origin") ||
            reply_header(&r, "Access-Control-Allow-Credentials") == NULL)
            check_fail(__FILE__, __LINE__, "%s %s: %d %s", cases[i].method, cases[i].target, r.status, r.head ? r.head : r.problem);
    }
    hasty_app_free(app);
}

HANDLER(has_its_own)
{
    CHECK_OK(hasty_response_set_header(res, "Access-Control-Allow-Origin", "https://own.example"));
    CHECK_OK(hasty_response_set_header(res, "Vary", "Accept-Language"));
    return hasty_response_send_text(res, "own");
}

TEST(what_the_handler_set_stays)
{
    hasty_app *app = check_app(NULL);
    hasty_cors policy = policy_of(two);
    CHECK_OK(hasty_app_cors(app, "/", &policy));
    CHECK_OK(hasty_app_get(app, "/", has_its_own, NULL));
    int port = check_serve(app);
    reply r = from(port, "https://a.example", "GET", "/");
    CHECK_ONE(r, "Access-Control-Allow-Origin", "https://own.example");
    CHECK(reply_lists(&r, "Vary", "Accept-Language") && reply_lists(&r, "Vary", "Origin"));
    hasty_app_free(app);
}

/* ---- prefixes ---- */

TEST(the_longest_prefix_alone_applies)
{
    hasty_app *app = check_app(NULL);
    hasty_cors inner = policy_of("https://a.example"), deep = policy_of("https://deep.example");
    CHECK_OK(hasty_app_cors(app, "/api", &inner));
    CHECK_OK(hasty_app_cors(app, "/", NULL));
    CHECK_OK(hasty_app_cors(app, "/api/deep/", &deep));
    CHECK_OK(hasty_app_get(app, "/*", fine, NULL));
    int port = check_serve(app);
    static const struct {
        const char *target, *allowed;
    } cases[] = {
        {"/", "*"},          {"/apix", "*"},      {"/api", NULL},       {"/api/", NULL},
        {"/api/x", NULL},    {"/%61pi/x", NULL},  {"/api%2Fx", "*"},    {"/api/deeper", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reply r = from(port, "https://c.example", "GET", cases[i].target), asked = preflight(port, "https://c.example", cases[i].target, "GET", NULL);
        const char *is = reply_header(&r, "Access-Control-Allow-Origin"), *then = reply_header(&asked, "Access-Control-Allow-Origin");
        if ((is == NULL) != (cases[i].allowed == NULL) || (then == NULL) != (cases[i].allowed == NULL))
            check_fail(__FILE__, __LINE__, "%s: %s, preflight %s", cases[i].target, is ? is : "none", then ? then : "none");
    }
    reply shallow = from(port, "https://a.example", "GET", "/api/deep"), right = from(port, "https://deep.example", "GET", "/api/deep/x");
    CHECK_NO_HEADER(shallow, "Access-Control-Allow-Origin");
    CHECK_HEADER(right, "Access-Control-Allow-Origin", "https://deep.example");
    hasty_app_free(app);
}

TEST(outside_its_prefix_a_policy_says_nothing)
{
    hasty_app *app = new_site();
    CHECK_OK(hasty_app_cors(app, "/api", NULL));
    int port = check_serve(app);
    reply r = from(port, "https://a.example", "GET", "/x"), asked = preflight(port, "https://a.example", "/x", "PUT", NULL);
    CHECK_NO_CORS(r);
    CHECK_NO_CORS(asked);
    hasty_app_free(app);
}

/* ---- who answers a preflight ---- */

HANDLER(passes)
{
    trail_add("use");
    return HASTY_NEXT;
}

HANDLER(looks)
{
    trail_add("after");
    return HASTY_OK;
}

HANDLER(answers_options)
{
    trail_add("options");
    CHECK_OK(hasty_response_set_header(res, "Access-Control-Allow-Methods", "PATCH"));
    return hasty_response_send_status(res, 200);
}

TEST(use_is_not_run_for_preflights_and_a_handler_for_options_wins)
{
    hasty_app *app = new_site();
    CHECK_OK(hasty_app_cors(app, "/", NULL));
    CHECK_OK(hasty_app_use(app, "/", passes, NULL, NULL));
    CHECK_OK(hasty_app_after(app, "/", looks, NULL, NULL));
    CHECK_OK(hasty_app_route(app, "OPTIONS", "/own", answers_options, NULL, NULL));
    int port = check_serve(app);
    trail_clear();
    CHECK_INT(preflight(port, "https://a.example", "/x", "PUT", NULL).status, 204);
    CHECK_TEXT(trail_take(), "after");
    reply own = preflight(port, "https://a.example", "/own", "PATCH", NULL);
    CHECK_INT(own.status, 200);
    CHECK_ONE(own, "Access-Control-Allow-Methods", "PATCH");
    CHECK_ONE(own, "Access-Control-Allow-Origin", "*");
    CHECK_TEXT(trail_take(), "use options after");
    hasty_app_free(app);
}

/* ---- set-up ---- */

TEST(any_origin_with_credentials_is_refused_at_set_up)
{
    hasty_app *app = check_app(NULL);
    hasty_cors policy = {.size = sizeof policy, .credentials = 1};
    CHECK_STATUS(hasty_app_cors(app, "/", &policy), HASTY_ERR_INVALID);
    policy.origins = "*";
    CHECK_STATUS(hasty_app_cors(app, "/", &policy), HASTY_ERR_INVALID);
    policy.origins = "https://a.example, *";
    CHECK_STATUS(hasty_app_cors(app, "/", &policy), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("credentials");
    policy.credentials = 0;
    CHECK_OK(hasty_app_cors(app, "/", &policy)); /* nothing was left behind */
    hasty_app_free(app);
}

TEST(a_second_policy_for_a_prefix_is_refused)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_cors(app, "/api", NULL));
    CHECK_STATUS(hasty_app_cors(app, "/api", NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("/api");
    CHECK_STATUS(hasty_app_cors(app, "/api/", NULL), HASTY_ERR_INVALID);
    CHECK_OK(hasty_app_cors(app, "/api/x", NULL));
    CHECK_OK(hasty_app_cors(app, "/", NULL));
    CHECK_STATUS(hasty_app_cors(app, "/", NULL), HASTY_ERR_INVALID);
    hasty_app_free(app);
}

TEST(a_policy_that_cannot_be_is_refused)
{
    hasty_app *app = check_app(NULL);
    static const char *const origins[] = {"a.example", "https://", "https://a.example/", "https://a.example/path", "https://a b",
                                          "https://a.example\r\nX: y", "https://*", "https://a.*.example", ""};
    for (size_t i = 0; i < sizeof origins / sizeof origins[0]; i++) {
        hasty_cors policy = policy_of(origins[i]);
        if (hasty_app_cors(app, "/", &policy) != HASTY_ERR_INVALID)
            check_fail(__FILE__, __LINE__, "the origin \"%s\" is taken", origins[i]);
    }
    hasty_cors methods = {.size = sizeof methods, .methods = "GE T"}, headers = {.size = sizeof headers, .headers = "a b"};
    hasty_cors expose = {.size = sizeof expose, .expose = "a\r\nb"}, small = policy_of("*");
    CHECK_STATUS(hasty_app_cors(app, "/", &methods), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_cors(app, "/", &headers), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_cors(app, "/", &expose), HASTY_ERR_INVALID);
    small.size -= 8;
    CHECK_STATUS(hasty_app_cors(app, "/", &small), HASTY_ERR_INVALID);
    struct {
        hasty_cors known;
        uint64_t beyond;
    } newer = {.known = {.size = sizeof newer}, .beyond = 1};
    CHECK_STATUS(hasty_app_cors(app, "/", &newer.known), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_cors(app, "no-slash", NULL), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_cors(app, NULL, NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_app_cors(NULL, "/", NULL), HASTY_ERR_NULL);
    newer.beyond = 0;
    CHECK_OK(hasty_app_cors(app, "/", &newer.known));
    check_serve(app);
    CHECK_STATUS(hasty_app_cors(app, "/late", NULL), HASTY_ERR_STATE);
    hasty_app_free(app);
}

CHECK_MAIN
