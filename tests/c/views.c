/* Views that middleware keeps for the handler stay good, whatever the request has to wait for meanwhile. */
#include "client.h"

enum { THREADS = 2, OTHERS = 6 };

static _Atomic int arrived, open_gate;

HANDLER(holds)
{
    arrived++;
    CHECK(AWAIT(open_gate));
    return hasty_response_send_text(res, "held");
}

HANDLER(quick)
{
    return hasty_response_send_text(res, "quick");
}

typedef struct views {
    hasty_str path, field, query;
} views;

HANDLER(keeps)
{
    views *kept = malloc(sizeof *kept);
    *kept = (views){hasty_request_raw_path(req), hasty_request_header(req, "x-secret"), hasty_request_query_string(req)};
    CHECK_OK(hasty_request_set_local(req, "views", kept, free));
    return HASTY_NEXT;
}

/* What the views show, and what the request says now. */
HANDLER(shows)
{
    const views *kept = hasty_request_local(req, "views");
    if (!CHECK(kept != NULL))
        return HASTY_ERR_STATE;
    char body[64] = "";
    size_t len = 0, got = 0;
    while (len < sizeof body - 1 && hasty_request_read(req, body + len, sizeof body - 1 - len, &got) == HASTY_OK && got > 0)
        len += got;
    CHECK_STR(hasty_request_header(req, "x-secret"), kept->field.data);
    return hasty_response_send_text(res, check_format("%s %s %s %s", kept->path.data, kept->query.data, kept->field.data, body));
}

/* All threads are in GET /holds, which blocks as `blocking` says; POST /shows reads its body. */
static hasty_app *busy_app(const char *tick_us, const char *blocking, int *port, client held[THREADS])
{
    hasty_options options = {.size = sizeof options, .threads = THREADS};
    hasty_app *app = check_app(&options);
    arrived = open_gate = 0;
    CHECK_OK(hasty_app_set_option(app, "tick_us", tick_us));
    CHECK_OK(hasty_app_use(app, "/shows", keeps, NULL, NULL));
    CHECK_OK(hasty_app_get(app, "/holds", holds, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/holds", "blocking", blocking));
    CHECK_OK(hasty_app_get(app, "/quick", quick, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/quick", "blocking", "no")); /* also on a slow machine */
    CHECK_OK(hasty_app_post(app, "/shows", shows, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/shows", "body", "stream"));
    *port = check_serve(app);
    for (int i = 0; i < THREADS; i++) {
        held[i] = client_open(*port);
        client_send(&held[i], request_text("GET", "/holds", NULL, NULL));
        CHECK(AWAIT(arrived > i));
    }
    return app;
}

static void check_views_that_wait(const char *tick_us, const char *blocking)
{
    int port;
    client held[THREADS], alice[OTHERS], bob;
    hasty_app *app = busy_app(tick_us, blocking, &port, held);
    int serves = strcmp(tick_us, "0") != 0; /* with 0, what is quick waits for a thread as well */
    for (int i = 0; i < OTHERS; i++) {
        alice[i] = client_open(port);
        client_send(&alice[i], check_format("POST /shows?nr=%d HTTP/1.1\r\nHost: a\r\nX-Secret: alice-%d\r\n"
                                            "Content-Length: 5\r\n\r\nhello", i, i));
        bob = client_open(port);
        client_send(&bob, check_format("GET /quick?%s HTTP/1.1\r\nHost: a\r\nX-Secret: %s\r\n\r\n", check_repeat("BOB", 30),
                                       check_repeat("BOB", 50)));
        /* The same thread serves somebody else, in what was Alice's memory. */
        if (serves)
            CHECK_REPLY(client_read(&bob), 200, "quick");
        client_close(&bob);
    }
    open_gate = 1;
    for (int i = 0; i < THREADS; i++) {
        CHECK_REPLY(client_read(&held[i]), 200, "held");
        client_close(&held[i]);
    }
    for (int i = 0; i < OTHERS; i++) {
        CHECK_REPLY(client_read(&alice[i]), 200, check_format("/shows nr=%d alice-%d hello", i, i));
        client_close(&alice[i]);
    }
    hasty_app_free(app);
}

TEST(views_outlive_the_wait_for_a_thread)
{
    check_views_that_wait("2000", "yes");
}

TEST(views_outlive_the_wait_for_a_thread_where_nobody_knew_that_there_is_one)
{
    check_views_that_wait("2000", "auto");
}

TEST(views_outlive_the_wait_for_a_thread_if_every_handler_is_taken_to_block)
{
    check_views_that_wait("0", "auto");
}

/* Many on one connection, so that what follows a request is in the same memory. */
TEST(views_are_those_of_their_own_request_behind_others)
{
    static const char *ticks[] = {"0", "20", "2000"};
    enum { ROUNDS = 20, EACH = 8 };
    for (int tick = 0; tick < 3; tick++) {
        hasty_options options = {.size = sizeof options, .threads = 3};
        hasty_app *app = check_app(&options);
        CHECK_OK(hasty_app_set_option(app, "tick_us", ticks[tick]));
        CHECK_OK(hasty_app_use(app, "/shows", keeps, NULL, NULL));
        CHECK_OK(hasty_app_get(app, "/quick", quick, NULL));
        CHECK_OK(hasty_app_post(app, "/shows", shows, NULL));
        CHECK_OK(hasty_app_set_route_option(app, "POST", "/shows", "body", "stream"));
        int port = check_serve(app);
        client c[4];
        for (int i = 0; i < 4; i++)
            c[i] = client_open(port);
        for (int round = 0; round < (check_small() ? 3 : ROUNDS); round++) {
            for (int i = 0; i < 4; i++)
                for (int k = 0; k < EACH; k++)
                    client_send(&c[i], check_format("%sPOST /shows?nr=%d HTTP/1.1\r\nHost: a\r\nX-Secret: user-%d-%d\r\n"
                                                    "Content-Length: 5\r\n\r\nhello",
                                                    k % 2 ? request_text("GET", "/quick", NULL, NULL) : "", k, i, round));
            for (int i = 0; i < 4; i++) {
                for (int k = 0; k < EACH; k++) {
                    if (k % 2)
                        CHECK_REPLY(client_read(&c[i]), 200, "quick");
                    CHECK_REPLY(client_read(&c[i]), 200, check_format("/shows nr=%d user-%d-%d hello", k, i, round));
                }
            }
        }
        for (int i = 0; i < 4; i++)
            client_close(&c[i]);
        hasty_app_free(app);
    }
}

CHECK_MAIN
