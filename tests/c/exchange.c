/* Exchanges: answers that are given later, by whoever holds them. exchange_end.c has what can come in between. */
#include "parked.h"

/* ---- answering ---- */

TEST(an_exchange_is_answered_after_its_handler)
{
    int port;
    hasty_app *app = serve(&port);
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    CHECK_INT(hasty_exchange_alive(exchange), 1);
    CHECK(!client_more(&c, check_now_ms() + 50) && !c.ended);
    hasty_response *res = hasty_exchange_response(exchange);
    CHECK_INT(hasty_response_status(res), 200);
    CHECK_OK(hasty_response_set_status(res, 201));
    CHECK_OK(hasty_response_set_header(res, "X-Late", "yes"));
    CHECK_OK(finish_with(exchange, "later"));
    reply r = client_read(&c);
    CHECK_REPLY(r, 201, "later");
    CHECK_HEADER(r, "X-Late", "yes");
    CHECK_REPLY(client_ask(&c, QUICK), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(finishes_at_once)
{
    hasty_exchange *exchange = NULL, *second = NULL;
    CHECK_OK(hasty_response_set_header(res, "X-Before", "defer"));
    CHECK_OK(hasty_response_defer(res, &exchange));
    CHECK_STATUS(hasty_response_defer(res, &second), HASTY_ERR_STATE);
    CHECK(second == NULL);
    CHECK_OK(finish_with(exchange, "at once"));
    return HASTY_OK;
}

TEST(finish_inside_the_handler_is_fine)
{
    hasty_app *app = new_app(1);
    CHECK_OK(hasty_app_get(app, "/at-once", finishes_at_once, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    char *one = request_text("GET", "/at-once", NULL, NULL);
    client_send(&c, check_format("%s%s%s%s", one, QUICK, one, QUICK));
    for (int i = 0; i < 2; i++) {
        reply r = client_read(&c);
        CHECK_REPLY(r, 200, "at once");
        CHECK_HEADER(r, "X-Before", "defer");
        CHECK_REPLY(client_read(&c), 200, "fine");
    }
    client_close(&c);
    hasty_app_free(app);
}

TEST(an_exchange_given_up_is_a_503)
{
    int port;
    hasty_app *app = serve(&port);
    client c = ask_later(port);
    hasty_exchange_free(take());
    CHECK_REPLY(client_read(&c), 503, NULL);
    client_close(&c);
    c = ask_later(port);
    hasty_exchange *exchange = take();
    CHECK_OK(hasty_response_send_text(hasty_exchange_response(exchange), "never sent"));
    hasty_exchange_free(exchange);
    CHECK_REPLY(client_read(&c), 503, NULL);
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(gives_up_at_once)
{
    hasty_exchange *exchange = NULL;
    CHECK_OK(hasty_response_defer(res, &exchange));
    hasty_exchange_free(exchange);
    return HASTY_OK;
}

TEST(free_inside_the_handler_is_a_503_too)
{
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_get(app, "/gone", gives_up_at_once, NULL));
    CHECK_REPLY(get(check_serve(app), "/gone"), 503, NULL);
    hasty_app_free(app);
}

TEST(null_has_an_answer)
{
    notice n = {0};
    hasty_exchange *exchange = NULL;
    CHECK_STATUS(hasty_response_defer(NULL, &exchange), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_exchange_finish(NULL), HASTY_ERR_NULL);
    CHECK(hasty_exchange_request(NULL) == NULL);
    CHECK(hasty_exchange_response(NULL) == NULL);
    CHECK_INT(hasty_exchange_alive(NULL), 0);
    hasty_exchange_free(NULL);
    CHECK_STATUS(hasty_exchange_on_close(NULL, notes, &n, drop_thing), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_exchange_on_ready(NULL, notes, &n, drop_thing), HASTY_ERR_NULL);
    CHECK_INT(n.data.dropped, 2);
    CHECK_INT(n.called, 0);
}

TEST(a_failed_setter_makes_the_answer_a_500)
{
    int port;
    hasty_app *app = serve(&port);
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    CHECK_STATUS(hasty_response_set_header(hasty_exchange_response(exchange), "a b", "x"), HASTY_ERR_INVALID);
    hasty_exchange_finish(exchange);
    CHECK_REPLY(client_read(&c), 500, NULL);
    CHECK_REPLY(client_ask(&c, QUICK), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

/* ---- the request ---- */

TEST(the_request_lives_as_long_as_the_exchange)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    char *text = check_repeat("0123456789", 20000);
    char *one = request_text("POST", "/later/a%20b?q=%31", "X-One: first\r\nCookie: k=v\r\n", text);
    client_send(&c, check_format("%s%s", one, request_text("POST", "/later/other", "X-One: second\r\n", "other")));
    hasty_exchange *exchange = take();
    for (int i = 0; i < 20; i++)
        CHECK_REPLY(get(port, "/"), 200, "fine"); /* other requests do not disturb it */
    const hasty_request *req = hasty_exchange_request(exchange);
    CHECK_STR(hasty_request_method(req), "POST");
    CHECK_STR(hasty_request_target(req), "/later/a%20b?q=%31");
    CHECK_STR(hasty_request_path(req), "/later/a b");
    CHECK_STR(hasty_request_route(req), "/later/:id");
    CHECK_STR(hasty_request_param(req, "id"), "a b");
    CHECK_STR(hasty_request_query(req, "q"), "1");
    CHECK_STR(hasty_request_header(req, "x-one"), "first");
    CHECK_STR(hasty_request_cookie(req, "k"), "v");
    CHECK_STR(hasty_request_remote_address(req), "127.0.0.1");
    CHECK_STR(hasty_request_body(req), text);
    CHECK_OK(finish_with(exchange, "one"));
    CHECK_REPLY(client_read(&c), 200, "one");
    exchange = take();
    CHECK_STR(hasty_request_body(hasty_exchange_request(exchange)), "other");
    CHECK_STR(hasty_request_header(hasty_exchange_request(exchange), "x-one"), "second");
    CHECK_OK(finish_with(exchange, "two"));
    CHECK_REPLY(client_read(&c), 200, "two");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(keeps_and_parks)
{
    CHECK_OK(hasty_request_set_local(req, "it", user_data, drop_thing));
    return parks(req, res, NULL);
}

TEST(locals_are_dropped_with_the_exchange)
{
    for (int way = 0; way < 3; way++) {
        thing local = {0};
        hasty_app *app = new_app(0);
        CHECK_OK(hasty_app_get(app, "/kept", keeps_and_parks, &local));
        int port = check_serve(app);
        client c = client_open(port);
        client_send(&c, request_text("GET", "/kept", NULL, NULL));
        hasty_exchange *exchange = take();
        CHECK(hasty_request_local(hasty_exchange_request(exchange), "it") == &local);
        if (way == 2) {
            hasty_app_free(app);
            NOT_DROPPED(local);
            CHECK(hasty_request_local(hasty_exchange_request(exchange), "it") == &local);
        }
        NOT_DROPPED(local);
        if (way == 0)
            CHECK_OK(finish_with(exchange, "x"));
        else
            hasty_exchange_free(exchange);
        DROPPED_ONCE(local);
        client_close(&c);
        if (way != 2)
            hasty_app_free(app);
        CHECK_INT(local.dropped, 1);
    }
}

HANDLER(marks)
{
    trail_add(check_format("after-%d", hasty_response_status(res)));
    return hasty_response_set_header(res, "X-After", "yes");
}

TEST(defer_in_middleware_ends_the_chain_and_after_runs_at_the_finish)
{
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_use(app, "/guarded", parks, NULL, NULL));
    CHECK_OK(hasty_app_after(app, "/guarded", marks, NULL, NULL));
    CHECK_OK(hasty_app_get(app, "/guarded", fine, NULL));
    int port = check_serve(app);
    trail_clear();
    client c = client_open(port);
    client_send(&c, request_text("GET", "/guarded", NULL, NULL));
    hasty_exchange *exchange = take();
    CHECK_TEXT(trail_take(), "");
    CHECK_OK(hasty_response_set_status(hasty_exchange_response(exchange), 401));
    CHECK_OK(finish_with(exchange, "who are you?"));
    reply r = client_read(&c);
    CHECK_REPLY(r, 401, "who are you?");
    CHECK_HEADER(r, "X-After", "yes");
    CHECK_TEXT(trail_take(), "after-401");
    client_close(&c);
    hasty_app_free(app);
}

/* ---- the connection ---- */

TEST(what_was_pipelined_behind_an_exchange_waits_for_it)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    client_send(&c, check_format("%s%s%s%s", QUICK, LATER, QUICK, LATER));
    CHECK_REPLY(client_read(&c), 200, "fine"); /* what came before it does not wait */
    hasty_exchange *exchange = take();
    CHECK(!client_more(&c, check_now_ms() + 50) && !c.ended);
    CHECK_INT(parked_count, 1);
    CHECK_OK(finish_with(exchange, "first"));
    CHECK_REPLY(client_read(&c), 200, "first");
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK_OK(finish_with(take(), "second"));
    CHECK_REPLY(client_read(&c), 200, "second");
    client_close(&c);
    hasty_app_free(app);
}

static pthread_t main_thread;

HANDLER(runs_elsewhere)
{
    CHECK(!pthread_equal(pthread_self(), main_thread));
    return hasty_response_send_text(res, "elsewhere");
}

TEST(finish_runs_no_other_handler)
{
    hasty_app *app = new_app(0);
    main_thread = pthread_self();
    CHECK_OK(hasty_app_get(app, "/elsewhere", runs_elsewhere, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    for (int i = 0; i < 20; i++) {
        client_send(&c, check_format("%s%s", LATER, request_text("GET", "/elsewhere", NULL, NULL)));
        CHECK_OK(finish_with(take(), "here"));
        CHECK_REPLY(client_read(&c), 200, "here");
        CHECK_REPLY(client_read(&c), 200, "elsewhere");
    }
    client_close(&c);
    hasty_app_free(app);
}

TEST(an_exchange_of_middleware_may_be_answered_before_its_body_is_there)
{
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_use(app, "/guarded", parks, NULL, NULL));
    CHECK_OK(hasty_app_post(app, "/guarded", fine, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, check_format("%s%s", request_text("POST", "/guarded", NULL, check_repeat("x", 1000)), QUICK));
    hasty_exchange *exchange = take();
    CHECK_ABSENT(hasty_request_body(hasty_exchange_request(exchange)));
    CHECK_OK(finish_with(exchange, "no"));
    CHECK_REPLY(client_read(&c), 200, "no");
    CHECK_REPLY(client_read(&c), 200, "fine"); /* the body was skipped */
    client_send(&c, "POST /guarded HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    CHECK_OK(finish_with(take(), "no"));
    CHECK_REPLY(client_read(&c), 200, "no");
    client_send(&c, check_format("5\r\nworld\r\n0\r\n\r\n%s", QUICK));
    CHECK_REPLY(client_read(&c), 200, "fine");
    client_send(&c, "POST /guarded HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n");
    CHECK_OK(finish_with(take(), "no"));
    CHECK_REPLY(client_read(&c), 200, "no"); /* a 100 would have come first */
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

TEST(head_and_close_are_honoured_later_too)
{
    int port;
    hasty_app *app = serve(&port);
    client c = client_open(port);
    client_send(&c, request_text("HEAD", "/later", NULL, NULL));
    CHECK_OK(finish_with(take(), "five!"));
    reply r = client_read_for(&c, "HEAD");
    CHECK_HEADER(r, "Content-Length", "5");
    client_send(&c, request_text("GET", "/later", "Connection: close\r\n", NULL));
    CHECK_OK(finish_with(take(), "bye"));
    CHECK_REPLY(client_read(&c), 200, "bye");
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

TEST(finish_does_not_wait_for_a_slow_client)
{
    int port;
    hasty_app *app = serve(&port);
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    size_t len = (size_t)16 << 20;
    char *big = check_keep(calloc(1, len));
    CHECK_OK(hasty_response_send(hasty_exchange_response(exchange), big, len));
    int64_t begin = check_now_ms();
    CHECK_OK(hasty_exchange_finish(exchange)); /* the client has read nothing yet */
    CHECK(check_now_ms() - begin < 10000);
    CHECK_INT(client_read(&c).body_len, len);
    client_close(&c);
    hasty_app_free(app);
}

static void *answers_all(void *count)
{
    for (int i = 0; i < *(int *)count; i++) {
        hasty_exchange *exchange = take();
        hasty_str id = hasty_request_param(hasty_exchange_request(exchange), "id");
        CHECK_OK(finish_with(exchange, id.data));
    }
    return NULL;
}

TEST(two_hundred_wait_on_two_threads_while_others_are_served)
{
    int port, count = check_small() ? 40 : 200;
    hasty_app *app = new_app(2);
    port = check_serve(app);
    client *c = check_keep(calloc((size_t)count, sizeof *c));
    for (int i = 0; i < count; i++) {
        c[i] = client_open(port);
        client_send(&c[i], request_text("GET", check_format("/later/%d", i), NULL, NULL));
    }
    CHECK(AWAIT(parked_count == count));
    for (int i = 0; i < 50; i++)
        CHECK_REPLY(get(port, "/"), 200, "fine");
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, answers_all, &count) == 0);
    for (int i = 0; i < count; i++) {
        CHECK_REPLY(client_read(&c[i]), 200, check_format("%d", i));
        CHECK_REPLY(client_ask(&c[i], QUICK), 200, "fine");
        client_close(&c[i]);
    }
    pthread_join(thread, NULL);
    hasty_app_free(app);
}

/* ---- what belongs to every answer ---- */

TEST(a_late_answer_has_what_every_answer_has)
{
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_cors(app, "/", NULL));
    CHECK_OK(hasty_app_add_header(app, "X-Every", "one"));
    int port = check_serve(app);
    for (int way = 0; way < 3; way++) {
        client c = client_open(port);
        client_send(&c, request_text("GET", "/later", "Origin: https://a.example\r\n", NULL));
        hasty_exchange *exchange = take();
        if (way == 0)
            CHECK_OK(finish_with(exchange, "late"));
        else if (way == 1)
            CHECK_OK(hasty_response_write(hasty_exchange_response(exchange), "late", 4));
        if (way == 1)
            CHECK_OK(hasty_exchange_finish(exchange));
        else if (way == 2)
            hasty_exchange_free(exchange);
        reply r = client_read(&c);
        CHECK_REPLY(r, way == 2 ? 503 : 200, way == 2 ? NULL : "late");
        CHECK_HEADER(r, "X-Every", "one");
        CHECK_HEADER(r, "Access-Control-Allow-Origin", "*");
        client_close(&c);
    }
    hasty_app_free(app);
}

TEST(a_file_and_an_owned_body_may_be_the_late_answer)
{
    int port;
    hasty_app *app = serve(&port);
    thing owned = {0};
    client c = ask_later(port);
    hasty_exchange *exchange = take();
    CHECK_OK(hasty_response_send_file(hasty_exchange_response(exchange), "include/hasty.h"));
    CHECK_OK(hasty_exchange_finish(exchange));
    reply r = client_read(&c);
    CHECK_REPLY(r, 200, NULL);
    CHECK_CONTAINS(r.body, "hasty_exchange_finish");
    client_send(&c, LATER);
    exchange = take();
    CHECK_OK(hasty_response_send_owned(hasty_exchange_response(exchange), "owned", 5, &owned, drop_thing));
    NOT_DROPPED(owned);
    CHECK_OK(hasty_exchange_finish(exchange));
    CHECK_REPLY(client_read(&c), 200, "owned");
    DROPPED_ONCE(owned);
    client_send(&c, LATER);
    exchange = take();
    owned.dropped = 0;
    CHECK_OK(hasty_response_send_owned(hasty_exchange_response(exchange), "owned", 5, &owned, drop_thing));
    hasty_exchange_free(exchange);
    CHECK_REPLY(client_read(&c), 503, NULL);
    DROPPED_ONCE(owned);
    client_close(&c);
    hasty_app_free(app);
    CHECK_INT(owned.dropped, 1);
}

/* ---- where it is refused ---- */

HANDLER(tries_to_defer)
{
    hasty_exchange *exchange = NULL;
    CHECK_STATUS(hasty_response_defer(res, &exchange), HASTY_ERR_STATE);
    CHECK(exchange == NULL);
    trail_add("tried");
    return HASTY_OK;
}

TEST(only_handlers_and_middleware_may_defer)
{
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_after(app, "/", tries_to_defer, NULL, NULL));
    CHECK_OK(hasty_app_on_error(app, tries_to_defer, NULL, NULL));
    int port = check_serve(app);
    trail_clear();
    get(port, "/");
    get(port, "/none");
    CHECK_TEXT(trail_take(), "tried tried tried");
    hasty_app_free(app);
}

HANDLER(defers_and_fails)
{
    CHECK_OK(parks(req, res, user_data));
    return HASTY_ERR_IO;
}

TEST(a_handler_that_fails_after_deferring_is_answered_once)
{
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_get(app, "/fails", defers_and_fails, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/fails", NULL, NULL));
    hasty_exchange *exchange = take();
    hasty_response_send_text(hasty_exchange_response(exchange), "later");
    hasty_status status = hasty_exchange_finish(exchange);
    reply r = client_read(&c);
    CHECK(status == HASTY_OK ? r.status == 200 : status == HASTY_ERR_CLOSED && r.status == 500);
    CHECK_REPLY(client_ask(&c, QUICK), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

CHECK_MAIN
