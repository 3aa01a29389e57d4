/* Routes whose handlers run in a thread of the host's: everything up to them, and everything else, goes on without it. */
#include "caller.h"

#include <sys/stat.h>

static hasty_app *with_health(const hasty_options *options)
{
    hasty_app *app = caller_app(options);
    CHECK_OK(hasty_app_health(app, "/healthz"));
    return app;
}

/* ---- where handlers run ---- */

HANDLER(passes_here)
{
    CHECK_HERE();
    trail_add("use");
    return HASTY_NEXT;
}

HANDLER(marks_here)
{
    CHECK_HERE();
    trail_add("after");
    return hasty_response_set_header(res, "X-After", "yes");
}

TEST(handler_middleware_and_after_run_in_the_thread_that_polls)
{
    hasty_app *app = caller_app(NULL);
    CHECK_OK(hasty_app_use(app, "/mine", passes_here, NULL, NULL));
    CHECK_OK(hasty_app_after(app, "/mine", marks_here, NULL, NULL));
    int port = check_serve(app);
    trail_clear();
    client c = client_open(port);
    for (int i = 0; i < 5; i++) {
        client_send(&c, MINE);
        CHECK(poll_for(app, 1));
        reply r = client_read(&c);
        CHECK_REPLY(r, 200, "mine");
        CHECK_HEADER(r, "X-After", "yes");
        CHECK_TEXT(trail_take(), "use after");
        CHECK_REPLY(client_ask(&c, THEIRS), 200, "theirs");
    }
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(answers_first)
{
    CHECK_HERE();
    return hasty_response_send_status(res, 401);
}

TEST(middleware_may_answer_in_place_of_the_handler)
{
    hasty_app *app = caller_app(NULL);
    CHECK_OK(hasty_app_use(app, "/mine", answers_first, NULL, NULL));
    int port = check_serve(app);
    client c = ask_for(port, "/mine");
    uint32_t served = 0;
    while (!client_wait(&c, POLLIN, check_now_ms() + 1))
        CHECK(hasty_app_poll(app, 1, 100, &served) != HASTY_ERR_STATE);
    CHECK_REPLY(client_read(&c), 401, NULL);
    CHECK_INT(ran, 0);
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(echoes)
{
    CHECK_HERE();
    hasty_str body = hasty_request_body(req);
    return hasty_response_send(res, body.data, body.len);
}

TEST(a_body_is_there_when_the_handler_runs)
{
    hasty_app *app = caller_app(NULL);
    CHECK_OK(hasty_app_put(app, "/echo", echoes, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "PUT", "/echo", "dispatch", "caller"));
    int port = check_serve(app);
    char *text = check_repeat("0123456789", 30000);
    client c = client_open(port);
    client_send(&c, request_text("PUT", "/echo", NULL, text));
    client_send(&c, "PUT /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    CHECK(poll_for(app, 1));
    CHECK_REPLY(client_read(&c), 200, text);
    CHECK(!is_readable(app, 30)); /* the second body is not whole yet */
    client_send(&c, "0\r\n\r\n");
    CHECK(poll_for(app, 1));
    CHECK_REPLY(client_read(&c), 200, "hello");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(looks_into_the_body)
{
    const hasty_json *json = NULL;
    CHECK_OK(hasty_request_form_status(req));
    if (hasty_request_header(req, "Content-Type").len == strlen("application/json"))
        CHECK_OK(hasty_request_json(req, &json));
    else
        CHECK_STR(hasty_request_form(req, "a"), "1");
    return HASTY_NEXT;
}

TEST(a_body_is_there_when_the_middleware_runs)
{
    hasty_app *app = caller_app(NULL);
    CHECK_OK(hasty_app_use(app, "/echo", looks_into_the_body, NULL, NULL));
    CHECK_OK(hasty_app_post(app, "/echo", echoes, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/echo", "dispatch", "caller"));
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, request_text("POST", "/echo", "Content-Type: application/json\r\n", "[1,2]"));
    CHECK(poll_for(app, 1));
    CHECK_REPLY(client_read(&c), 200, "[1,2]");
    client_send(&c, request_text("POST", "/echo", "Content-Type: application/x-www-form-urlencoded\r\n", "a=1"));
    CHECK(poll_for(app, 1));
    CHECK_REPLY(client_read(&c), 200, "a=1");
    client_close(&c);
    hasty_app_free(app);
}

TEST(head_and_pipelined_requests_come_in_their_order)
{
    hasty_app *app = caller_app(NULL);
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, check_format("%s%s%s%s%s", THEIRS, MINE, THEIRS, request_text("HEAD", "/mine", NULL, NULL), request_text("GET", "/mine/7", NULL, NULL)));
    CHECK_REPLY(client_read(&c), 200, "theirs"); /* what came before does not wait */
    CHECK(poll_for(app, 3));
    CHECK_REPLY(client_read(&c), 200, "mine");
    CHECK_REPLY(client_read(&c), 200, "theirs");
    reply r = client_read_for(&c, "HEAD");
    CHECK_HEADER(r, "Content-Length", "4");
    CHECK_REPLY(client_read(&c), 200, "with an id");
    client_close(&c);
    hasty_app_free(app);
}

/* ---- nobody polls ---- */

static char *directory_with_a_file(void)
{
    char *directory = check_keep(strdup("/tmp/hasty-test-XXXXXX"));
    CHECK(mkdtemp(directory) != NULL);
    FILE *file = fopen(check_format("%s/a.txt", directory), "w");
    if (CHECK(file != NULL)) {
        fputs("a file", file);
        fclose(file);
    }
    return directory;
}

TEST(everything_else_goes_on_while_nobody_polls)
{
    char *directory = directory_with_a_file();
    hasty_options options = {.size = sizeof options, .threads = 2, .header_timeout_ms = 800, .idle_timeout_ms = 800, .max_body_bytes = 1000};
    hasty_app *app = with_health(&options);
    CHECK_OK(hasty_app_static(app, "/files", directory, NULL));
    CHECK_OK(hasty_app_cors(app, "/", NULL));
    int port = check_serve(app);
    client waiting[20];
    for (int i = 0; i < 20; i++)
        waiting[i] = ask_for(port, i % 2 ? "/mine" : "/mine/1");
    CHECK(AWAIT(queued(port) == 20));
    client slow = client_open(port), idle = client_open(port); /* now: their time begins */
    client_send(&slow, "GET /mine HTT");
    CHECK_REPLY(client_ask(&idle, THEIRS), 200, "theirs");

    CHECK_REPLY(get(port, "/theirs"), 200, "theirs");
    CHECK_REPLY(get(port, "/files/a.txt"), 200, "a file");
    CHECK_REPLY(get(port, "/nowhere"), 404, NULL);
    CHECK_REPLY(ask_method(port, "DELETE", "/mine"), 405, NULL);
    CHECK_REPLY(ask_method(port, "OPTIONS", "/mine"), 204, NULL);
    reply preflight = ask(port, request_text("OPTIONS", "/mine", "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n", NULL));
    CHECK(preflight.status == 204 || preflight.status == 200);
    CHECK(reply_header(&preflight, "Access-Control-Allow-Origin") != NULL);
    CHECK_REPLY(post(port, "/mine", "text/plain", check_repeat("x", 2000)), 413, NULL);
    CHECK_REPLY(ask(port, "GET /mine HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400, NULL);
    CHECK_REPLY(client_read(&slow), 408, NULL);
    CHECK(client_is_closed(&idle));
    CHECK_INT(ran, 0);

    CHECK(poll_for(app, 20));
    for (int i = 0; i < 20; i++) {
        CHECK_REPLY(client_read(&waiting[i]), 200, i % 2 ? "mine" : "with an id");
        client_close(&waiting[i]);
    }
    CHECK_INT(ran, 20);
    client_close(&slow);
    client_close(&idle);
    hasty_app_free(app);
    unlink(check_format("%s/a.txt", directory));
    rmdir(directory);
}

TEST(rate_limits_are_kept_by_the_librarys_threads)
{
    hasty_app *app = with_health(NULL);
    CHECK_OK(hasty_app_rate_limit(app, "/mine", 1, 2, NULL, NULL, NULL));
    int port = check_serve(app);
    client one = ask_for(port, "/mine"), two = ask_for(port, "/mine");
    CHECK(AWAIT(queued(port) == 2));
    for (int i = 0; i < 3; i++)
        CHECK_REPLY(get(port, "/mine"), 429, NULL); /* though nobody polls */
    CHECK_INT(queued(port), 2);
    client_close(&one);
    client_close(&two);
    hasty_app_free(app);
}

TEST(a_request_that_nobody_takes_is_a_504_and_its_handler_never_runs)
{
    hasty_options options = {.size = sizeof options, .exchange_timeout_ms = 200};
    hasty_app *app = caller_app(&options);
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/mine/:id", "exchange_timeout_ms", "60000"));
    int port = check_serve(app);
    client short_of_time = ask_for(port, "/mine"), patient = ask_for(port, "/mine/1");
    int64_t begin = check_now_ms();
    CHECK_REPLY(client_read(&short_of_time), 504, NULL);
    CHECK(check_now_ms() - begin < 10000);
    CHECK(poll_for(app, 1));
    CHECK_INT(ran, 1);
    CHECK_REPLY(client_read(&patient), 200, "with an id");
    uint32_t served = 7;
    CHECK_STATUS(hasty_app_poll(app, 10, 0, &served), HASTY_ERR_TIMEOUT);
    CHECK_INT(served, 7);
    client_close(&short_of_time);
    client_close(&patient);
    hasty_app_free(app);
}

TEST(a_client_that_left_is_not_served)
{
    hasty_app *app = with_health(NULL);
    int port = check_serve(app);
    client gone[5], stays;
    for (int i = 0; i < 5; i++)
        gone[i] = ask_for(port, "/mine");
    stays = ask_for(port, "/mine/1");
    CHECK(AWAIT(queued(port) == 6));
    for (int i = 0; i < 5; i++)
        client_reset(&gone[i]);
    CHECK(AWAIT(queued(port) == 1)); /* the resets have arrived */
    uint32_t served = 0;
    CHECK_OK(hasty_app_poll(app, 10, 10000, &served));
    CHECK_REPLY(client_read(&stays), 200, "with an id");
    CHECK_INT(ran, 1);
    CHECK_INT(served, 1);
    CHECK_STATUS(hasty_app_poll(app, 10, 0, &served), HASTY_ERR_TIMEOUT);
    client_close(&stays);
    hasty_app_free(app);
}

TEST(too_many_in_the_queue_are_a_503)
{
    hasty_app *app = with_health(NULL);
    CHECK_OK(hasty_app_set_option(app, "max_queued", "3"));
    int port = check_serve(app);
    client c[3];
    for (int i = 0; i < 3; i++)
        c[i] = ask_for(port, "/mine");
    CHECK(AWAIT(queued(port) == 3));
    for (int i = 0; i < 3; i++) {
        reply r = get(port, "/mine/1");
        CHECK_REPLY(r, 503, NULL);
        CHECK(reply_header(&r, "Retry-After") != NULL);
    }
    CHECK_REPLY(get(port, "/theirs"), 200, "theirs");
    CHECK(poll_for(app, 3));
    client late = ask_for(port, "/mine"); /* there is room again */
    CHECK(poll_for(app, 1));
    CHECK_REPLY(client_read(&late), 200, "mine");
    for (int i = 0; i < 3; i++) {
        CHECK_REPLY(client_read(&c[i]), 200, "mine");
        client_close(&c[i]);
    }
    client_close(&late);
    hasty_app_free(app);
}

TEST(what_waits_is_a_503_at_the_stop)
{
    for (int freed = 0; freed < 2; freed++) {
        hasty_app *app = with_health(NULL);
        int port = check_serve(app);
        client c[4];
        for (int i = 0; i < 4; i++)
            c[i] = ask_for(port, "/mine");
        CHECK(AWAIT(queued(port) == 4));
        if (freed) {
            hasty_app_free(app);
        } else {
            hasty_app_stop(app);
            CHECK_OK(hasty_app_wait(app, 10000));
            uint32_t served = 0;
            CHECK_STATUS(hasty_app_poll(app, 10, -1, &served), HASTY_ERR_CLOSED);
            hasty_app_free(app);
        }
        for (int i = 0; i < 4; i++) {
            CHECK_REPLY(client_read(&c[i]), 503, NULL);
            client_close(&c[i]);
        }
        CHECK_INT(ran, 0);
    }
}

/* ---- what is refused ---- */

TEST(caller_and_stream_do_not_go_together)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_post(app, "/a", mine, NULL));
    CHECK_OK(hasty_app_post(app, "/b", mine, NULL));
    CHECK_OK(hasty_app_route(app, "POST", "/c", NULL, NULL, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/a", "dispatch", "caller"));
    CHECK_STATUS(hasty_app_set_route_option(app, "POST", "/a", "body", "stream"), HASTY_ERR_INVALID);
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/b", "body", "stream"));
    CHECK_STATUS(hasty_app_set_route_option(app, "POST", "/b", "dispatch", "caller"), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_set_route_option(app, "POST", "/c", "body", "stream"), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_set_route_option(app, "POST", "/a", "dispatch", "me"), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("me");
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/a", "dispatch", "pool"));
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/a", "body", "stream"));
    hasty_app_free(app);
}

TEST(a_route_without_handler_cannot_go_to_the_pool)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_route(app, "GET", "/", NULL, NULL, NULL));
    CHECK_STATUS(hasty_app_set_route_option(app, "GET", "/", "dispatch", "pool"), HASTY_ERR_INVALID);
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/", "dispatch", "caller"));
    hasty_app_free(app);
}

TEST(a_handler_may_be_null_for_routes_alone)
{
    thing t = {0};
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_route(app, "GET", "/", NULL, &t, drop_thing));
    CHECK_OK(hasty_app_get(app, "/a", NULL, NULL));
    CHECK_OK(hasty_app_any(app, "/b", NULL, NULL));
    CHECK_STATUS(hasty_app_use(app, "/", NULL, NULL, NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_app_after(app, "/", NULL, NULL, NULL), HASTY_ERR_NULL);
    NOT_DROPPED(t);
    hasty_app_free(app);
    DROPPED_ONCE(t);
}

CHECK_MAIN
