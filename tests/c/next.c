/* hasty_app_next: requests are handed out as exchanges, and no handler runs. */
#include "caller.h"

static hasty_status end_with(hasty_exchange *exchange, const char *text)
{
    CHECK_OK(hasty_response_send_text(hasty_exchange_response(exchange), text));
    return hasty_exchange_finish(exchange);
}

static hasty_exchange *next(hasty_app *app)
{
    hasty_exchange *exchange = NULL;
    CHECK_OK(hasty_app_next(app, 10000, &exchange));
    return exchange;
}

TEST(an_exchange_tells_its_route_and_its_user_data)
{
    static const char *const paths[] = {"/taken", "/taken/a%20b"}, *const patterns[] = {"/taken", "/taken/:id"}, *const data[] = {"first", "third"};
    hasty_app *app = taken_app(NULL);
    int port = check_serve(app);
    for (int i = 0; i < 2; i++) {
        client c = ask_for(port, paths[i]);
        hasty_exchange *exchange = next(app);
        REQUIRE(exchange != NULL);
        const hasty_request *req = hasty_exchange_request(exchange);
        CHECK_STR(hasty_request_route(req), patterns[i]);
        CHECK_TEXT((const char *)hasty_request_user_data(req), data[i]);
        CHECK_STR(hasty_request_target(req), paths[i]);
        CHECK_INT(hasty_exchange_alive(exchange), 1);
        if (i == 1)
            CHECK_STR(hasty_request_param(req, "id"), "a b");
        CHECK_OK(end_with(exchange, "done"));
        CHECK_REPLY(client_read(&c), 200, "done");
        CHECK_REPLY(client_ask(&c, THEIRS), 200, "theirs");
        client_close(&c);
    }
    hasty_app_free(app);
}

TEST(a_handler_that_is_there_does_not_run)
{
    hasty_app *app = caller_app(NULL);
    int port = check_serve(app);
    client c = ask_for(port, "/mine/7");
    hasty_exchange *exchange = next(app);
    CHECK_TEXT((const char *)hasty_request_user_data(hasty_exchange_request(exchange)), "with an id");
    CHECK_OK(end_with(exchange, "next's"));
    CHECK_REPLY(client_read(&c), 200, "next's");
    CHECK_INT(ran, 0);
    client_close(&c);
    hasty_app_free(app);
}

TEST(the_whole_body_is_there)
{
    hasty_app *app = taken_app(NULL);
    int port = check_serve(app);
    char *text = check_repeat("0123456789", 30000);
    client c = client_open(port);
    client_send(&c, request_text("POST", "/taken", NULL, text));
    hasty_exchange *exchange = next(app);
    CHECK_STR(hasty_request_body(hasty_exchange_request(exchange)), text);
    CHECK_OK(end_with(exchange, "read"));
    CHECK_REPLY(client_read(&c), 200, "read");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(lets_some_through)
{
    CHECK_HERE();
    trail_add("use");
    hasty_str name = hasty_request_query(req, "name");
    if (name.data == NULL)
        return hasty_response_send_status(res, 401);
    CHECK_OK(hasty_response_set_header(res, "X-Use", "yes"));
    return HASTY_NEXT;
}

HANDLER(marks)
{
    trail_add("after");
    return hasty_response_set_header(res, "X-After", "yes");
}

TEST(middleware_runs_in_next_and_what_it_answers_is_not_handed_out)
{
    hasty_app *app = taken_app(NULL);
    CHECK_OK(hasty_app_use(app, "/taken", lets_some_through, NULL, NULL));
    CHECK_OK(hasty_app_after(app, "/taken", marks, NULL, NULL));
    int port = check_serve(app);
    trail_clear();
    client refused = ask_for(port, "/taken");
    CHECK(AWAIT(is_readable(app, 0)));
    client welcome = ask_for(port, "/taken?name=a");
    hasty_exchange *exchange = next(app); /* goes on to the second */
    CHECK_STR(hasty_request_query(hasty_exchange_request(exchange), "name"), "a");
    CHECK_REPLY(client_read(&refused), 401, NULL);
    CHECK_OK(end_with(exchange, "in"));
    reply r = client_read(&welcome);
    CHECK_REPLY(r, 200, "in");
    CHECK_HEADER(r, "X-Use", "yes");
    CHECK_HEADER(r, "X-After", "yes");
    CHECK_TEXT(trail_take(), "use after use after");
    client_close(&refused);
    client_close(&welcome);
    hasty_app_free(app);
}

/* Each of three is finished or freed, in each of the six orders, on this thread and on another. */
typedef struct ending {
    hasty_exchange *exchange;
    int frees;
} ending;

static void *ends(void *data)
{
    ending *e = data;
    if (e->frees)
        hasty_exchange_free(e->exchange);
    else
        CHECK_OK(end_with(e->exchange, "ended"));
    return NULL;
}

TEST(exchanges_are_ended_in_any_order_and_by_any_thread)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    hasty_app *app = taken_app(NULL);
    int port = check_serve(app);
    for (int order = 0; order < 6; order++)
        for (int frees = 0; frees < 8; frees++) {
            client c[3];
            ending e[3];
            for (int i = 0; i < 3; i++) {
                c[i] = ask_for(port, "/taken");
                e[i] = (ending){next(app), frees >> i & 1};
            }
            for (int i = 0; i < 3; i++) {
                pthread_t thread;
                if ((order + i) % 2 == 0)
                    ends(&e[orders[order][i]]);
                else if (CHECK(pthread_create(&thread, NULL, ends, &e[orders[order][i]]) == 0))
                    pthread_join(thread, NULL);
            }
            for (int i = 0; i < 3; i++) {
                CHECK_REPLY(client_read(&c[i]), e[i].frees ? 503 : 200, NULL);
                client_close(&c[i]);
            }
        }
    hasty_app_free(app);
}

TEST(exchanges_outlive_the_stop_and_the_app)
{
    for (int way = 0; way < 4; way++) {
        hasty_app *app = taken_app(NULL);
        int port = check_serve(app);
        client c = ask_for(port, "/taken"), queued = ask_for(port, "/taken");
        hasty_exchange *exchange = next(app), *more = NULL;
        CHECK(is_readable(app, 10000)); /* the other is queued */
        if (way < 2) {
            hasty_app_stop(app);
            CHECK_OK(hasty_app_wait(app, 10000));
            CHECK_STATUS(hasty_app_next(app, -1, &more), HASTY_ERR_CLOSED);
        } else {
            hasty_app_free(app);
        }
        CHECK_REPLY(client_read(&c), 503, NULL);
        CHECK_REPLY(client_read(&queued), 503, NULL); /* nobody took it */
        CHECK_INT(hasty_exchange_alive(exchange), 0);
        CHECK_STR(hasty_request_target(hasty_exchange_request(exchange)), "/taken");
        hasty_response_send_text(hasty_exchange_response(exchange), "too late");
        if (way % 2)
            hasty_exchange_free(exchange);
        else
            CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
        if (way < 2)
            hasty_app_free(app);
        client_close(&c);
        client_close(&queued);
    }
}

TEST(an_exchange_may_stream_and_be_told_of_its_client)
{
    hasty_app *app = taken_app(NULL);
    int port = check_serve(app);
    client c = ask_for(port, "/taken");
    hasty_exchange *exchange = next(app);
    CHECK_OK(hasty_response_write(hasty_exchange_response(exchange), "some", 4));
    CHECK_INT(client_read_head(&c).status, 200);
    CHECK_TEXT(client_read_chunk(&c), "some");
    thing t = {0};
    CHECK_OK(hasty_exchange_on_close(exchange, drop_thing, &t, NULL)); /* counts its call */
    client_reset(&c);
    CHECK(AWAIT(t.dropped == 1));
    CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
    hasty_app_free(app);
}

TEST(a_request_whose_time_is_up_is_not_handed_out)
{
    hasty_options options = {.size = sizeof options, .exchange_timeout_ms = 150};
    hasty_app *app = taken_app(&options);
    int port = check_serve(app);
    client c = ask_for(port, "/taken");
    CHECK_REPLY(client_read(&c), 504, NULL);
    hasty_exchange *exchange = NULL;
    CHECK_STATUS(hasty_app_next(app, 0, &exchange), HASTY_ERR_TIMEOUT);
    CHECK(exchange == NULL);
    client_close(&c);
    hasty_app_free(app);
}

TEST(time_counts_from_the_request_also_when_it_is_taken_late)
{
    hasty_options options = {.size = sizeof options, .exchange_timeout_ms = 2000};
    hasty_app *app = taken_app(&options);
    int port = check_serve(app);
    int64_t begin = check_now_ms();
    client c = ask_for(port, "/taken");
    check_pause_ms(200);
    hasty_exchange *exchange = next(app);
    CHECK_REPLY(client_read(&c), 504, NULL);
    CHECK(check_now_ms() - begin < 10000);
    CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
    client_close(&c);
    hasty_app_free(app);
}

TEST(what_next_refuses)
{
    hasty_app *app = taken_app(NULL);
    hasty_exchange *exchange = NULL;
    CHECK_STATUS(hasty_app_next(app, 0, &exchange), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("start");
    CHECK_STATUS(hasty_app_next(NULL, 0, &exchange), HASTY_ERR_NULL);
    check_serve(app);
    CHECK_STATUS(hasty_app_next(app, 0, NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_app_next(app, 20, &exchange), HASTY_ERR_TIMEOUT);
    CHECK(exchange == NULL);
    hasty_app_free(app);
}

static void *takes_until_the_end(void *app)
{
    hasty_exchange *exchange;
    int *count = check_keep(calloc(1, sizeof *count));
    hasty_status status;
    while ((status = hasty_app_next(app, -1, &exchange)) == HASTY_OK) {
        CHECK_OK(end_with(exchange, "taken"));
        ++*count;
    }
    CHECK_STATUS(status, HASTY_ERR_CLOSED);
    return count;
}

TEST(several_threads_take_and_each_request_is_handed_out_once)
{
    enum { TAKERS = 4, CLIENTS = 8 };
    int rounds = check_small() ? 5 : 50, sum = 0;
    hasty_app *app = taken_app(NULL);
    int port = check_serve(app);
    pthread_t threads[TAKERS];
    for (int i = 0; i < TAKERS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, takes_until_the_end, app) == 0);
    client c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        c[i] = client_open(port);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < CLIENTS; i++)
            client_send(&c[i], TAKEN);
        for (int i = 0; i < CLIENTS; i++)
            CHECK_REPLY(client_read(&c[i]), 200, "taken");
    }
    hasty_app_stop(app);
    for (int i = 0; i < TAKERS; i++) {
        void *count;
        pthread_join(threads[i], &count);
        sum += *(int *)count;
    }
    CHECK_INT(sum, rounds * CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
    hasty_app_free(app);
}

CHECK_MAIN
