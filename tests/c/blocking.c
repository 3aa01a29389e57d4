/* Handlers that block: whoever waits for nothing is served meanwhile, whether or not the host said which ones they are. */
#include "client.h"

static _Atomic int inside, most_inside, gate_open, quick_ran, gate_ran;

HANDLER(quick)
{
    quick_ran++;
    return hasty_response_send_text(res, "quick");
}

HANDLER(waits_at_the_gate)
{
    int now = ++inside;
    if (now > most_inside)
        most_inside = now;
    gate_ran++;
    AWAIT(gate_open);
    inside--;
    return hasty_response_send_text(res, "through");
}

/* GET / is quick, GET /gate/:id waits until the gate is open. */
static hasty_app *gated(uint32_t threads, const char *blocking, int *port)
{
    hasty_options options = {.size = sizeof options, .threads = threads};
    hasty_app *app = check_app(&options);
    inside = most_inside = gate_open = quick_ran = gate_ran = 0;
    CHECK_OK(hasty_app_get(app, "/", quick, NULL));
    CHECK_OK(hasty_app_get(app, "/gate/:id", waits_at_the_gate, NULL));
    if (blocking != NULL)
        CHECK_OK(hasty_app_set_route_option(app, "GET", "/gate/:id", "blocking", blocking));
    CHECK_OK(hasty_app_health(app, "/healthz"));
    /* On a busy machine they may seem to take long, and would wait for a thread then. */
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/", "blocking", "no"));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/healthz", "blocking", "no"));
    if (port != NULL)
        *port = check_serve(app);
    return app;
}

static client ask_at_the_gate(int port, int number)
{
    client c = client_open(port);
    client_send(&c, request_text("GET", check_format("/gate/%d", number), NULL, NULL));
    return c;
}

static const char *const manners[] = {NULL, "auto", "yes", "no"};

TEST(quick_routes_are_served_while_handlers_block)
{
    for (int manner = 0; manner < 4; manner++) {
        int port, count = 3;
        hasty_app *app = gated(4, manners[manner], &port);
        client c[3];
        for (int i = 0; i < count; i++)
            c[i] = ask_at_the_gate(port, i);
        CHECK(AWAIT(inside == count));
        for (int i = 0; i < 50; i++)
            CHECK_REPLY(get(port, "/"), 200, "quick");
        CHECK_INT(inside, count);
        gate_open = 1;
        for (int i = 0; i < count; i++) {
            CHECK_REPLY(client_read(&c[i]), 200, "through");
            client_close(&c[i]);
        }
        hasty_app_free(app);
    }
}

/* More than there are threads: all are in their handlers, and yet somebody serves. */
TEST(a_route_that_blocks_every_thread_leaves_one_for_the_others)
{
    for (int manner = 0; manner < 3; manner++) {
        enum { THREADS = 4, CLIENTS = 12 };
        int port;
        hasty_app *app = gated(THREADS, manners[manner], &port);
        client c[CLIENTS];
        for (int i = 0; i < CLIENTS; i++)
            c[i] = ask_at_the_gate(port, i);
        CHECK(AWAIT(inside >= THREADS));
        for (int i = 0; i < 20; i++)
            CHECK_REPLY(get(port, "/"), 200, "quick");
        reply r = get(port, "/healthz");
        CHECK_REPLY(r, 200, NULL);
        CHECK(most_inside <= THREADS); /* the one that was added enters no such handler */
        gate_open = 1;
        for (int i = 0; i < CLIENTS; i++) {
            CHECK_REPLY(client_read(&c[i]), 200, "through");
            client_close(&c[i]);
        }
        CHECK_INT(gate_ran, CLIENTS);
        hasty_app_free(app);
    }
}

TEST(what_was_answered_before_a_handler_that_blocks_has_left)
{
    int port;
    hasty_app *app = gated(2, "yes", &port);
    client c = client_open(port);
    char *one = request_text("GET", "/", NULL, NULL), *gate = request_text("GET", "/gate/1", NULL, NULL);
    client_send(&c, check_format("%s%s%s%s", one, one, gate, one));
    CHECK_REPLY(client_read(&c), 200, "quick");
    CHECK_REPLY(client_read(&c), 200, "quick");
    CHECK(AWAIT(inside == 1));
    CHECK_INT(quick_ran, 2); /* what comes behind waits for its turn */
    gate_open = 1;
    CHECK_REPLY(client_read(&c), 200, "through");
    CHECK_REPLY(client_read(&c), 200, "quick");
    client_close(&c);
    hasty_app_free(app);
}

static int queued(int port)
{
    reply r = get(port, "/healthz");
    const char *at = r.body ? strstr(r.body, "\"queued\":") : NULL;
    return at != NULL ? atoi(at + 9) : -1;
}

TEST(no_more_wait_for_a_thread_than_max_queued)
{
    enum { THREADS = 2, QUEUED = 3 };
    int port;
    hasty_app *app = gated(THREADS, "yes", NULL);
    CHECK_OK(hasty_app_set_option(app, "max_queued", "3"));
    port = check_serve(app);
    client c[THREADS + QUEUED];
    for (int i = 0; i < THREADS + QUEUED; i++) {
        c[i] = ask_at_the_gate(port, i);
        CHECK(AWAIT(i < THREADS ? inside == i + 1 : queued(port) == i + 1 - THREADS));
    }
    for (int i = 0; i < 3; i++) {
        reply r = get(port, "/gate/more");
        CHECK_REPLY(r, 503, NULL);
        CHECK(reply_header(&r, "Retry-After") != NULL);
    }
    CHECK_REPLY(get(port, "/"), 200, "quick");
    gate_open = 1;
    for (int i = 0; i < THREADS + QUEUED; i++) {
        CHECK_REPLY(client_read(&c[i]), 200, "through");
        client_close(&c[i]);
    }
    CHECK_INT(gate_ran, THREADS + QUEUED);
    CHECK_REPLY(get(port, "/gate/again"), 200, "through");
    hasty_app_free(app);
}

TEST(a_client_that_left_the_queue_is_skipped)
{
    int port;
    hasty_app *app = gated(2, "yes", &port);
    client busy[2], gone[4], stays;
    for (int i = 0; i < 2; i++)
        busy[i] = ask_at_the_gate(port, i);
    CHECK(AWAIT(inside == 2));
    for (int i = 0; i < 4; i++)
        gone[i] = ask_at_the_gate(port, i);
    CHECK(AWAIT(queued(port) == 4));
    stays = ask_at_the_gate(port, 5);
    CHECK(AWAIT(queued(port) == 5));
    for (int i = 0; i < 4; i++)
        client_reset(&gone[i]);
    CHECK(AWAIT(queued(port) == 1)); /* the resets have arrived */
    gate_open = 1;
    CHECK_REPLY(client_read(&stays), 200, "through");
    CHECK_INT(gate_ran, 3);
    for (int i = 0; i < 2; i++)
        client_close(&busy[i]);
    client_close(&stays);
    hasty_app_free(app);
}

/* Everything is handed over, or everything is looked at every 50 us: nobody notices. */
TEST(every_tick_is_right)
{
    static const char *const ticks[] = {"0", "50", "2000", "100000"}, *const lanes[] = {"1", "2"};
    for (int tick = 0; tick < 4; tick++)
        for (int lane = 0; lane < 2; lane++) {
            enum { CLIENTS = 6 };
            hasty_app *app = gated(3, NULL, NULL);
            CHECK_OK(hasty_app_set_option(app, "tick_us", ticks[tick]));
            CHECK_OK(hasty_app_set_option(app, "lanes", lanes[lane]));
            int port = check_serve(app);
            gate_open = 1;
            client c[CLIENTS];
            for (int i = 0; i < CLIENTS; i++)
                c[i] = client_open(port);
            char *both = check_format("%s%s", request_text("GET", "/", NULL, NULL), request_text("GET", "/gate/1", NULL, NULL));
            for (int round = 0; round < (check_small() ? 3 : 20); round++) {
                for (int i = 0; i < CLIENTS; i++)
                    client_send(&c[i], both);
                for (int i = 0; i < CLIENTS; i++) {
                    CHECK_REPLY(client_read(&c[i]), 200, "quick");
                    CHECK_REPLY(client_read(&c[i]), 200, "through");
                }
            }
            for (int i = 0; i < CLIENTS; i++)
                client_close(&c[i]);
            hasty_app_free(app);
        }
}

TEST(one_thread_alone_does_one_thing_after_the_other)
{
    static _Atomic int answered;
    int port;
    hasty_app *app = gated(1, "yes", &port);
    client c = ask_at_the_gate(port, 1), d = client_open(port);
    CHECK(AWAIT(inside == 1));
    client_send(&d, request_text("GET", "/", NULL, NULL));
    answered = client_wait(&d, POLLIN, check_now_ms() + 50);
    CHECK_INT(answered, 0);
    gate_open = 1;
    CHECK_REPLY(client_read(&c), 200, "through");
    CHECK_REPLY(client_read(&d), 200, "quick");
    client_close(&c);
    client_close(&d);
    hasty_app_free(app);
}

TEST(a_stop_lets_what_blocks_finish)
{
    int port;
    hasty_app *app = gated(4, NULL, &port);
    client c = ask_at_the_gate(port, 1);
    CHECK(AWAIT(inside == 1));
    CHECK_REPLY(get(port, "/"), 200, "quick");
    hasty_app_stop(app);
    CHECK_STATUS(hasty_app_wait(app, 20), HASTY_ERR_TIMEOUT);
    gate_open = 1;
    CHECK_REPLY(client_read(&c), 200, "through");
    CHECK_OK(hasty_app_wait(app, 10000));
    client_close(&c);
    hasty_app_free(app);
}

TEST(what_blocking_may_be)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", quick, NULL));
    for (int i = 1; i < 4; i++)
        CHECK_OK(hasty_app_set_route_option(app, "GET", "/", "blocking", manners[i]));
    CHECK_STATUS(hasty_app_set_route_option(app, "GET", "/", "blocking", "maybe"), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("maybe");
    CHECK_STATUS(hasty_app_set_route_option(app, "GET", "/other", "blocking", "yes"), HASTY_ERR_NOT_FOUND);
    CHECK_STATUS(hasty_app_set_option(app, "tick_us", "soon"), HASTY_ERR_INVALID);
    CHECK_STR(hasty_app_option(app, "tick_us"), "2000");
    CHECK_STR(hasty_app_option(app, "max_queued"), "1024");
    hasty_app_free(app);
}

CHECK_MAIN
