/* hasty_app_health: how an app is, told by the library's threads while the host's is busy. */
#include "caller.h"

static hasty_app *healthy(void)
{
    hasty_app *app = caller_app(NULL);
    CHECK_OK(hasty_app_health(app, "/healthz"));
    return app;
}

/* A number of the answer; -1 for null, -2 when it is none. */
static int64_t number(reply r, const char *key)
{
    hasty_json *json = NULL;
    int64_t value = -2;
    if (hasty_json_parse(r.body, r.body_len, &json) == HASTY_OK) {
        const hasty_json *member = hasty_json_get(json, key);
        if (hasty_json_kind(member) == HASTY_JSON_NULL)
            value = -1;
        else
            hasty_json_as_int(member, &value);
    }
    hasty_json_free(json);
    return value;
}

static char *status_of(reply r)
{
    hasty_json *json = NULL;
    char *text = "(none)";
    if (hasty_json_parse(r.body, r.body_len, &json) == HASTY_OK)
        text = check_format("%s", hasty_json_as_string(hasty_json_get(json, "status")).data);
    hasty_json_free(json);
    return text;
}

TEST(it_tells_how_the_app_is)
{
    hasty_app *app = healthy();
    int port = check_serve(app);
    check_pause_ms(20);
    client idle = client_open(port);
    for (int i = 0; i < 5; i++)
        CHECK_REPLY(client_ask(&idle, THEIRS), 200, "theirs");
    reply r = get(port, "/healthz");
    CHECK_REPLY(r, 200, NULL);
    CHECK_HEADER(r, "Content-Type", "application/json");
    CHECK_TEXT(status_of(r), "ok");
    CHECK(number(r, "uptime_ms") >= 20 && number(r, "uptime_ms") < 60000);
    CHECK(number(r, "requests") >= 5 && number(r, "requests") <= 6);
    CHECK_INT(number(r, "connections"), 2);
    CHECK_INT(number(r, "queued"), 0);
    CHECK_INT(number(r, "caller_idle_ms"), -1);
    CHECK(reply_lists(&r, "Cache-Control", "no-store") || reply_header(&r, "Cache-Control") == NULL);
    CHECK_REPLY(ask_method(port, "HEAD", "/healthz"), 200, NULL);
    CHECK_REPLY(ask_method(port, "POST", "/healthz"), 405, NULL);
    client_close(&idle);
    hasty_app_free(app);
}

TEST(it_tells_what_waits_and_for_how_long_nobody_came)
{
    hasty_app *app = healthy();
    int port = check_serve(app);
    client c[3];
    for (int i = 0; i < 3; i++)
        c[i] = ask_for(port, "/mine");
    CHECK(AWAIT(number(get(port, "/healthz"), "queued") == 3));
    CHECK_INT(number(get(port, "/healthz"), "caller_idle_ms"), -1);
    CHECK(poll_for(app, 2));
    CHECK_INT(number(get(port, "/healthz"), "queued"), 1);
    int64_t idle = number(get(port, "/healthz"), "caller_idle_ms");
    CHECK(idle >= 0 && idle < 5000);
    check_pause_ms(300);
    int64_t grown = number(get(port, "/healthz"), "caller_idle_ms");
    CHECK(grown >= idle + 250); /* it grows while nobody comes; its clock is a coarse one */
    int64_t polled = check_now_ms();
    CHECK(poll_for(app, 1));
    idle = number(get(port, "/healthz"), "caller_idle_ms");
    CHECK(idle >= 0 && idle <= check_now_ms() - polled + 50); /* it has begun anew */
    CHECK_INT(number(get(port, "/healthz"), "queued"), 0);
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
    hasty_app_free(app);
}

static void *polls(void *app)
{
    uint32_t served;
    while (hasty_app_poll(app, 1, -1, &served) != HASTY_ERR_CLOSED) {
    }
    return NULL;
}

TEST(a_thread_that_waits_for_work_is_not_idle)
{
    hasty_app *app = healthy();
    int port = check_serve(app);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, polls, app) == 0);
    CHECK(AWAIT(number(get(port, "/healthz"), "caller_idle_ms") == 0));
    check_pause_ms(300);
    CHECK_INT(number(get(port, "/healthz"), "caller_idle_ms"), 0); /* it is in poll all the time */
    hasty_app_stop(app);
    pthread_join(thread, NULL);
    hasty_app_free(app);
}

static void *drains(void *app)
{
    CHECK_OK(hasty_app_drain(app, 20000));
    return NULL;
}

HANDLER(shapes)
{
    return hasty_response_send_text(res, "shaped");
}

TEST(it_is_a_503_while_the_app_drains)
{
    hasty_app *app = healthy();
    CHECK_OK(hasty_app_on_error(app, shapes, NULL, NULL)); /* it is a report, and no error */
    int port = check_serve(app);
    client c = client_open(port), pipelined = client_open(port);
    client_send(&c, MINE);
    CHECK(AWAIT(number(get(port, "/healthz"), "queued") == 1));
    client_send(&pipelined, check_format("%sGET /hea", THEIRS)); /* a request on its way is none that is idle */
    CHECK_REPLY(client_read(&pipelined), 200, "theirs"); /* so both have been read */
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, drains, app) == 0);
    CHECK(AWAIT(client_refused(port)));
    client_send(&pipelined, "lthz HTTP/1.1\r\nHost: x\r\n\r\n");
    reply r = client_read(&pipelined);
    CHECK_REPLY(r, 503, NULL);
    CHECK_TEXT(status_of(r), "draining");
    CHECK_INT(number(r, "queued"), 1);
    CHECK(poll_for(app, 1));
    CHECK_REPLY(client_read(&c), 200, "mine");
    client_close(&c);
    client_close(&pipelined);
    pthread_join(thread, NULL);
    hasty_app_free(app);
}

TEST(it_is_a_route_like_others)
{
    hasty_app *app = healthy();
    CHECK_STATUS(hasty_app_health(app, "/healthz"), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("/healthz");
    CHECK_STATUS(hasty_app_health(app, "no-slash"), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_health(app, NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_app_health(NULL, "/x"), HASTY_ERR_NULL);
    CHECK_OK(hasty_app_health(app, "/live/:probe"));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/live/readiness"), 200, NULL);
    CHECK_STATUS(hasty_app_health(app, "/late"), HASTY_ERR_STATE);
    hasty_app_free(app);
}

CHECK_MAIN
