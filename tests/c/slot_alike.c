/* How a longer slot tells that a request is like the one before it. */
#include "slot_lent.h"

/* What the slot says of the next request; it is answered. */
static uint64_t alike_next(hasty_slot_more *more, client *c, const char *request, const char *header, const char *value)
{
    client_send(c, request);
    if (!slot_next(&more->slot))
        return 0;
    uint64_t alike = more->alike;
    CHECK_TEXT(more->slot.header_names, header);
    CHECK_TEXT(more->slot.header_values, value);
    slot_reply(&more->slot, "fine");
    CHECK_STATUS(hasty_slot_take(&more->slot), HASTY_ERR_TIMEOUT);
    CHECK_REPLY(client_read(c), 200, "fine");
    return alike;
}

TEST(requests_with_the_same_head_are_alike_and_others_are_not)
{
    static const char head[] = "POST /taken/1 HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nContent-Length: 1\r\n\r\n1";
    /* One byte differs: of the path, of a name, of a value, of the version. */
    static const char *const others[] = {
        "POST /taken/2 HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nContent-Length: 1\r\n\r\n1",
        "POST /taken/1 HTTP/1.1\r\nHost: a\r\nX-B: 1\r\nContent-Length: 1\r\n\r\n1",
        "POST /taken/1 HTTP/1.1\r\nHost: a\r\nX-A: 2\r\nContent-Length: 1\r\n\r\n1",
        "POST /taken/1 HTTP/1.0\r\nHost: a\r\nX-A: 1\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n1",
    };
    static const char *const names[] = {"host\nx-a\ncontent-length", "host\nx-b\ncontent-length", "host\nx-a\ncontent-length",
                                        "host\nx-a\ncontent-length\nconnection"};
    static const char *const values[] = {"a\n1\n1", "a\n1\n1", "a\n2\n1", "a\n1\n1\nkeep-alive"};
    FOR_EACH_KIND(kind)
    {
        hasty_app *app = lent_app_with(kind, NULL);
        CHECK_OK(hasty_app_post(app, "/taken/:id", NULL, NULL));
        int port = check_serve(app);
        hasty_slot_more more = {.slot = {.size = sizeof more, .app = app}};
        client c = client_open(port), other = client_open(port);
        uint64_t alike = alike_next(&more, &c, head, "host\nx-a\ncontent-length", "a\n1\n1");
        CHECK(alike != 0);
        /* The body is no part of it, nor is the connection. */
        client_send(&c, "POST /taken/1 HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nContent-Length: 1\r\n\r\n2");
        REQUIRE(slot_next(&more.slot));
        CHECK(more.alike == alike);
        CHECK_TEXT((const char *)more.slot.body, "2");
        slot_reply(&more.slot, "fine");
        CHECK_STATUS(hasty_slot_take(&more.slot), HASTY_ERR_TIMEOUT);
        CHECK_REPLY(client_read(&c), 200, "fine");
        CHECK(alike_next(&more, &other, head, "host\nx-a\ncontent-length", "a\n1\n1") == alike);
        for (int i = 0; i < 4; i++) {
            uint64_t next = alike_next(&more, &c, others[i], names[i], values[i]);
            CHECK(next != alike && next != 0);
            uint64_t back = alike_next(&more, &c, head, "host\nx-a\ncontent-length", "a\n1\n1");
            CHECK(back != next && back != alike);
            alike = back;
        }
        client_close(&c);
        client_close(&other);
        hasty_app_free(app);
    }
}

CHECK_MAIN
