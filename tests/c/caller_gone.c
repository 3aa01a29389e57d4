/* Clients that leave while their requests wait for a thread of the host's: nothing of them stays. */
#include "caller.h"

#include <malloc.h>

enum { CLIENTS = 40, BODY = 1000000 };

/* Bytes that malloc has given out; 0 where it does not say. */
static size_t bytes_in_use(void)
{
    if (CHECK_SANITIZED || check_valgrind())
        return 0;
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static hasty_app *slow_host(const char *max_buffered, int *port)
{
    hasty_app *app = caller_app(NULL);
    CHECK_OK(hasty_app_set_option(app, "max_buffered_bytes", max_buffered));
    CHECK_OK(hasty_app_health(app, "/healthz"));
    *port = check_serve(app);
    return app;
}

static client upload(int port)
{
    static char body[BODY];
    client c = client_open(port);
    client_send(&c, check_format("POST /mine HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", BODY));
    client_send_bytes(&c, body, sizeof body);
    return c;
}

TEST(bodies_of_those_who_have_left_are_let_go_of)
{
    int port, count = check_small() ? 5 : CLIENTS;
    hasty_app *app = slow_host("100000000", &port);
    uint32_t served = 7;
    size_t before = bytes_in_use();
    CHECK(!is_readable(app, 0));
    for (int i = 0; i < count; i++) {
        client c = upload(port);
        CHECK(AWAIT(queued(port) == 1));
        CHECK(is_readable(app, 0));
        client_reset(&c);
        CHECK(AWAIT(queued(port) == 0));
    }
    CHECK(!is_readable(app, 0) && "there is nothing to do");
    CHECK(AWAIT(bytes_in_use() < before + 5 * BODY));
    CHECK_STATUS(hasty_app_poll(app, 10, 0, &served), HASTY_ERR_TIMEOUT);
    CHECK_INT(ran, 0);
    hasty_app_free(app);
}

TEST(so_are_those_of_many_that_leave_at_once)
{
    int port, count = check_small() ? 5 : CLIENTS;
    client c[CLIENTS];
    hasty_app *app = slow_host("100000000", &port);
    size_t before = bytes_in_use();
    for (int i = 0; i < count; i++)
        c[i] = upload(port);
    CHECK(AWAIT(queued(port) == count));
    for (int i = 0; i < count; i++)
        client_reset(&c[i]);
    CHECK(AWAIT(queued(port) == 0));
    CHECK(!is_readable(app, 0));
    CHECK(AWAIT(bytes_in_use() < before + 5 * BODY));
    hasty_app_free(app);
}

TEST(a_limit_of_memory_is_for_those_who_are_still_there)
{
    int port;
    hasty_app *app = slow_host("2500000", &port);
    for (int i = 0; i < 5; i++) {
        client c[2] = {upload(port), upload(port)};
        CHECK(AWAIT(queued(port) == 2));
        client_reset(&c[0]);
        client_reset(&c[1]);
        CHECK(AWAIT(queued(port) == 0));
        CHECK(AWAIT(told(port, "connections") == 1)); /* its own: what the others held counts no more */
    }
    client c = upload(port);
    CHECK_INT(poll_for(app, 1), 1);
    CHECK_REPLY(client_read(&c), 200, "mine");
    client_close(&c);
    hasty_app_free(app);
}

CHECK_MAIN
