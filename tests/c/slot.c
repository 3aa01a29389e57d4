/* Slots: a request and its answer in a struct at a fixed address, with library threads. slot_alone.c is without. */
#include "slot.h"

static hasty_app *slot_app(int *port)
{
    hasty_app *app = taken_app(NULL); /* routes 0 to 2, and /theirs, which is 3 */
    CHECK_OK(hasty_app_route(app, "GET", "/files/*rest", NULL, "fourth", NULL));
    CHECK_STATUS(hasty_app_route(app, "GET", "/taken", NULL, NULL, NULL), HASTY_ERR_INVALID); /* has no number */
    CHECK_OK(hasty_app_route(app, "*", "/a/:one/:two", NULL, "fifth", NULL));
    *port = check_serve(app);
    return app;
}

#define CHECK_SLOT_TEXT(text, len, wanted) (CHECK_TEXT(text, wanted), CHECK_INT(len, strlen(wanted)))

/* ---- the request ---- */

TEST(the_request_is_in_the_slot)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    client c = client_open(port);
    client_send(&c, "PATCH /a/x%20y/%C3%A9?q=%31&r HTTP/1.1\r\nHost: here\r\nX-Two: 2\r\nX-ONE: a: b\r\nX-Empty:\r\nx-two: again\r\nContent-Length: 4\r\n\r\nbo");
    client_send_bytes(&c, "\0y", 2);
    REQUIRE(slot_next(&slot));
    CHECK_INT(slot.route, 5);
    CHECK_INT(slot.method, HASTY_PATCH);
    CHECK_TEXT((const char *)slot.user_data, "fifth");
    CHECK_TEXT(slot.method_text, "PATCH");
    CHECK_SLOT_TEXT(slot.path, slot.path_len, "/a/x y/\xc3\xa9");
    CHECK_SLOT_TEXT(slot.query, slot.query_len, "q=%31&r");
    CHECK_SLOT_TEXT(slot.params, slot.params_len, "x%20y\n%C3%A9");
    CHECK_TEXT(slot.header_names, "host\nx-two\nx-one\nx-empty\nx-two\ncontent-length");
    CHECK_TEXT(slot.header_values, "here\n2\na: b\n\nagain\n4");
    CHECK_INT(slot.header_count, 6);
    CHECK_BYTES(slot.body, slot.body_len, "bo\0y", 4);
    CHECK_INT(slot.body[slot.body_len], 0);
    CHECK_INT(slot.status, 200);
    CHECK_INT(slot.kind, HASTY_KIND_TEXT);
    CHECK(slot.content_type == NULL && slot.extra_headers_len == 0 && slot.reply_len == 0);
    CHECK_STR(hasty_request_param(slot.request, "one"), "x y");
    CHECK_STR(hasty_request_header(slot.request, "X-Two"), "2");
    CHECK_STR(hasty_request_query(slot.request, "q"), "1");
    CHECK_STR(hasty_request_route(slot.request), "/a/:one/:two");
    slot_submit(&slot);
    reply r = client_read(&c);
    CHECK_REPLY(r, 200, "");
    CHECK_HEADER(r, "Content-Type", "text/plain; charset=utf-8");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_route_has_the_number_of_the_call_that_registered_it)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/0", NULL, NULL));
    CHECK_OK(hasty_app_static(app, "/1", "include", NULL)); /* two routes, one call */
    CHECK_OK(hasty_app_use(app, "/none", theirs, NULL, NULL)); /* no route */
    CHECK_STATUS(hasty_app_static(app, "/0", "include", NULL), HASTY_ERR_INVALID);
    CHECK_OK(hasty_app_health(app, "/2"));
    CHECK_OK(hasty_app_get(app, "/3", NULL, NULL));
    int port = check_serve(app);
    hasty_slot slot = slot_of(app);
    for (int i = 0; i < 4; i += 3) {
        client c = ask_for(port, i == 0 ? "/0" : "/3");
        REQUIRE(slot_next(&slot));
        CHECK_INT(slot.route, i);
        slot_submit(&slot);
        CHECK_REPLY(client_read(&c), 200, "");
        client_close(&c);
    }
    hasty_app_free(app);
}

TEST(a_longer_slot_tells_who_asks_and_how)
{
    int port;
    hasty_app *app = slot_app(&port);
    struct { hasty_slot_more more; uint64_t behind; } slot = {.more.slot = {.size = sizeof slot.more, .app = app}, .behind = 7};
    client c = client_open(port);
    const int32_t versions[] = {1, 0};
    for (int i = 0; i < 2; i++) {
        client_send(&c, check_format("GET /taken HTTP/1.%d\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", versions[i]));
        REQUIRE(slot_next(&slot.more.slot));
        CHECK_INT(slot.more.minor_version, versions[i]);
        CHECK_INT(slot.more.remote_v4, 0x7f000001);
        CHECK(slot.more.alike != 0);
        CHECK_INT(slot.behind, 7);
        slot_reply(&slot.more.slot, "fine");
        slot_submit(&slot.more.slot);
        CHECK_REPLY(client_read(&c), 200, "fine");
    }
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_slot_is_told_as_much_as_it_has_room_for)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot_more slot = {.slot = {.size = offsetof(hasty_slot_more, alike), .app = app}, .alike = 7};
    client c = ask_for(port, "/taken");
    REQUIRE(slot_next(&slot.slot));
    CHECK_INT(slot.minor_version, 1);
    CHECK_INT(slot.remote_v4, 0x7f000001);
    CHECK_INT(slot.alike, 7);
    slot_submit(&slot.slot);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_longer_slot_tells_requests_alike_from_others)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot_more more = {.slot = {.size = sizeof more, .app = app}};
    client c = client_open(port);
    const char *const ways[] = {"/taken", "/taken", "/taken?x", "/taken?x", "/taken"};
    uint64_t alike[5];
    for (int i = 0; i < 5; i++) {
        client_send(&c, check_format("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n%d", ways[i], i));
        REQUIRE(slot_next(&more.slot));
        CHECK_SLOT_TEXT((const char *)more.slot.body, more.slot.body_len, check_format("%d", i));
        CHECK_SLOT_TEXT(more.slot.query, more.slot.query_len, strchr(ways[i], '?') ? "x" : "");
        CHECK_TEXT(more.slot.header_values, "a\n1");
        alike[i] = more.alike;
        slot_submit(&more.slot);
        CHECK_REPLY(client_read(&c), 200, "");
    }
    CHECK(alike[0] != 0 && alike[0] == alike[1]);
    CHECK(alike[2] != alike[1] && alike[2] == alike[3]);
    CHECK(alike[4] != alike[3] && alike[4] != alike[0]);
    client_close(&c);
    hasty_app_free(app);
}

/* As the objects of a host may be: with a length and bytes somewhere in them. */
struct text {
    char name[5];
    uint64_t length;
    char bytes[8];
};

TEST(an_object_of_the_hosts_stands_for_a_slot)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    hasty_slot_object object = {
        .first = app,
        .second = &slot,
        .slot = &slot,
        .length_at = offsetof(struct text, length),
        .bytes_at = offsetof(struct text, bytes),
    };
    CHECK_STATUS(hasty_slot_take_object(&object), HASTY_ERR_TIMEOUT);
    CHECK_INT(object.status, HASTY_ERR_TIMEOUT);
    const struct text text = {"text", 4, "lent\1"};
    const struct { const void *object; const char *slot, *answer; } replies[] = {
        {&text, NULL, "lent"},
        {&text, "own", "own"},
        {NULL, "own", "own"},
        {NULL, NULL, ""},
    };
    for (int i = 0; i < 4; i++) {
        client c = ask_for(port, "/taken");
        CHECK_STATUS(hasty_slot_wait(&slot, 10000), HASTY_OK);
        CHECK_STATUS(hasty_slot_take_object(&object), HASTY_OK);
        CHECK_INT(object.status, HASTY_OK);
        object.reply = replies[i].object;
        if (replies[i].slot)
            slot_reply(&slot, replies[i].slot);
        CHECK_STATUS(hasty_slot_take_object(&object), HASTY_ERR_TIMEOUT);
        CHECK(object.reply == replies[i].object);
        CHECK(object.first == app && object.second == &slot);
        CHECK_REPLY(client_read(&c), 200, replies[i].answer);
        client_close(&c);
    }
    /* A call that fails leaves nothing of the object in the slot. */
    client c = ask_for(port, "/taken");
    REQUIRE(slot_next(&slot));
    object.reply = &text;
    slot.app = NULL;
    CHECK_STATUS(hasty_slot_take_object(&object), HASTY_ERR_NULL);
    CHECK(slot.reply == NULL && slot.reply_len == 0);
    slot.app = app;
    const struct text other = {"text", 5, "other"};
    object.reply = &other;
    CHECK_STATUS(hasty_slot_take_object(&object), HASTY_ERR_TIMEOUT);
    CHECK_REPLY(client_read(&c), 200, "other");
    client_close(&c);
    CHECK_STATUS(hasty_slot_take_object(NULL), HASTY_ERR_NULL);
    object.slot = NULL;
    CHECK_STATUS(hasty_slot_take_object(&object), HASTY_ERR_NULL);
    CHECK_INT(object.status, HASTY_ERR_NULL);
    hasty_app_free(app);
}

TEST(what_a_request_does_not_have_is_empty)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    client c = ask_for(port, "/taken");
    REQUIRE(slot_next(&slot));
    CHECK_INT(slot.route, 0);
    CHECK_INT(slot.method, HASTY_GET);
    CHECK_TEXT((const char *)slot.user_data, "first");
    CHECK_SLOT_TEXT(slot.query, slot.query_len, "");
    CHECK_SLOT_TEXT(slot.params, slot.params_len, "");
    CHECK_INT(slot.body_len, 0);
    CHECK_TEXT(slot.header_names, "host");
    CHECK_TEXT(slot.header_values, "localhost");
    slot_submit(&slot);
    CHECK_REPLY(client_read(&c), 200, "");
    client_send(&c, "GET /files/a/b%2Fc HTTP/1.0\r\n\r\n");
    REQUIRE(slot_next(&slot));
    CHECK_INT(slot.route, 4);
    CHECK_SLOT_TEXT(slot.params, slot.params_len, "a/b%2Fc");
    CHECK_SLOT_TEXT(slot.path, slot.path_len, "/files/a/b/c");
    CHECK_INT(slot.header_count, 0);
    CHECK_TEXT(slot.header_names, "");
    CHECK_TEXT(slot.header_values, "");
    slot_submit(&slot);
    client_close(&c);
    hasty_app_free(app);
}

TEST(methods_have_their_numbers_and_others_none)
{
    static const struct {
        const char *name;
        int number;
    } methods[] = {{"GET", HASTY_GET}, {"HEAD", HASTY_HEAD}, {"POST", HASTY_POST}, {"PUT", HASTY_PUT}, {"DELETE", HASTY_DELETE}, {"OPTIONS", HASTY_OPTIONS}, {"PATCH", HASTY_PATCH}, {"PURGE", HASTY_METHOD_OTHER}};
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_route(app, "*", "/", NULL, NULL, NULL));
    CHECK_OK(hasty_app_route(app, "OPTIONS", "/", NULL, NULL, NULL));
    int port = check_serve(app);
    hasty_slot slot = slot_of(app);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        client c = client_open(port);
        client_send(&c, request_text(methods[i].name, "/", NULL, NULL));
        REQUIRE(slot_next(&slot));
        CHECK_INT(slot.method, methods[i].number);
        CHECK_TEXT(slot.method_text, methods[i].name);
        slot_reply(&slot, "seen");
        slot_submit(&slot);
        CHECK_REPLY(client_read_for(&c, methods[i].name), 200, i == 1 ? NULL : "seen");
        client_close(&c);
    }
    hasty_app_free(app);
}

TEST(a_large_body_and_many_headers_fit)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    char *text = check_repeat("0123456789", 100000);
    char *fields = check_repeat("X-Many: 12345678901234567890\r\n", 90);
    client c = client_open(port);
    client_send(&c, request_text("POST", "/taken", fields, text));
    REQUIRE(slot_next(&slot));
    CHECK_INT(slot.route, 1);
    CHECK_BYTES(slot.body, slot.body_len, text, strlen(text));
    CHECK_INT(slot.header_count, 92);
    int lines = 1;
    for (const char *at = slot.header_values; *at != '\0'; at++)
        lines += *at == '\n';
    CHECK_INT(lines, 92);
    slot.reply = slot.body; /* it is valid until the next take */
    slot.reply_len = slot.body_len;
    slot.kind = HASTY_KIND_BYTES;
    CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_TIMEOUT);
    CHECK_REPLY(client_read(&c), 200, text);
    client_close(&c);
    hasty_app_free(app);
}

/* ---- the answer ---- */

TEST(kinds_say_what_the_reply_is)
{
    static const struct {
        int kind;
        const char *type;
    } kinds[] = {{HASTY_KIND_TEXT, "text/plain; charset=utf-8"}, {HASTY_KIND_HTML, "text/html; charset=utf-8"}, {HASTY_KIND_JSON, "application/json"}, {HASTY_KIND_BYTES, "application/octet-stream"}};
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    client c = client_open(port);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int typed = 0; typed < 2; typed++) {
            client_send(&c, TAKEN);
            REQUIRE(slot_next(&slot));
            slot.kind = kinds[i].kind;
            slot.status = 201;
            slot.content_type = typed ? "image/png" : NULL;
            slot.extra_headers = "X-One: 1\nX-Two: a: b\nSet-Cookie: a=b\nSet-Cookie: c=d\n";
            slot.extra_headers_len = strlen(slot.extra_headers);
            slot_reply(&slot, "{}");
            slot_submit(&slot);
            reply r = client_read(&c);
            CHECK_REPLY(r, 201, "{}");
            CHECK_HEADER(r, "Content-Type", typed ? "image/png" : kinds[i].type);
            CHECK_HEADER(r, "X-One", "1");
            CHECK_HEADER(r, "X-Two", "a: b");
            CHECK_TEXT(reply_header_nth(&r, "Set-Cookie", 1), "c=d");
        }
    /* The next one starts anew. */
    client_send(&c, TAKEN);
    REQUIRE(slot_next(&slot));
    CHECK_INT(slot.status, 200);
    CHECK(slot.content_type == NULL && slot.extra_headers_len == 0 && slot.reply_len == 0);
    slot_submit(&slot);
    reply r = client_read(&c);
    CHECK_REPLY(r, 200, "");
    CHECK(reply_header(&r, "X-One") == NULL);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_reply_may_hold_any_bytes_and_be_large)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    size_t len = (size_t)8 << 20;
    uint8_t *big = check_keep(malloc(len));
    for (size_t i = 0; i < len; i++)
        big[i] = (uint8_t)(i * 31 >> 3);
    client c = client_open(port);
    for (int i = 0; i < 2; i++) {
        client_send(&c, TAKEN);
        REQUIRE(slot_next(&slot));
        slot.kind = HASTY_KIND_BYTES;
        slot.reply = big;
        slot.reply_len = len;
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_TIMEOUT); /* at once, though the client has not read */
        reply r = client_read(&c);
        CHECK_BYTES(r.body, r.body_len, big, len);
    }
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_borrowed_reply_is_not_read_after_the_take_that_follows_it)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    size_t len = (size_t)4 << 20;
    client c = ask_for(port, "/taken");
    REQUIRE(slot_next(&slot));
    char *reply_text = malloc(len);
    memset(reply_text, 'a', len);
    slot.reply = (const uint8_t *)reply_text;
    slot.reply_len = len;
    slot_submit(&slot);
    hasty_slot_take(&slot);
    memset(reply_text, 'b', len);
    free(reply_text);
    reply r = client_read(&c);
    CHECK_INT(r.body_len, len);
    CHECK(memchr(r.body, 'b', r.body_len) == NULL);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_file_may_be_the_answer)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    client c = client_open(port);
    client_send(&c, TAKEN);
    REQUIRE(slot_next(&slot));
    slot.kind = HASTY_KIND_FILE;
    slot_reply(&slot, "include/hasty.h");
    slot_submit(&slot);
    reply r = client_read(&c);
    CHECK_REPLY(r, 200, NULL);
    CHECK_CONTAINS(r.body, "hasty_slot_take");
    CHECK(reply_header(&r, "ETag") != NULL);
    client_send(&c, request_text("GET", "/taken", "Range: bytes=0-3\r\n", NULL));
    REQUIRE(slot_next(&slot));
    slot.kind = HASTY_KIND_FILE;
    slot.content_type = "text/x-part";
    slot_reply(&slot, "include/hasty.h");
    slot_submit(&slot);
    r = client_read(&c);
    CHECK_REPLY(r, 206, NULL);
    CHECK_INT(r.body_len, 4);
    CHECK_HEADER(r, "Content-Type", "text/x-part");
    client_close(&c);
    hasty_app_free(app);
}

static _Atomic int logged;

static void counts_errors(int32_t level, CHECK_UNUSED const hasty_str *message, CHECK_UNUSED void *user_data)
{
    logged += level == HASTY_LOG_ERROR || level == HASTY_LOG_WARN;
}

/* Each of these spoils an answer. */
static void spoil(hasty_slot *slot, int way)
{
    static const char *const lines[] = {"no colon\n", "a b: c\n", "X: \r\n", "Date: now\n", "Transfer-Encoding: chunked\n", ": x\n", "X: a\rb\n", "Content-Length: 5\n"};
    slot_reply(slot, "never sent");
    if (way < 8) {
        slot->extra_headers = lines[way];
        slot->extra_headers_len = strlen(lines[way]);
    } else {
        switch (way) {
        case 8: slot->status = 99; break;
        case 9: slot->status = 600; break;
        case 10: slot->status = -200; break;
        case 11: slot->kind = 6; break;
        case 12: slot->kind = -1; break;
        case 13: slot->content_type = "a\r\nb: c"; break;
        case 14: slot->kind = HASTY_KIND_FILE, slot_reply(slot, "/no/such/file"); break;
        case 15: slot->kind = HASTY_KIND_FILE, slot_reply(slot, "/tmp"); break;
        case 16: slot->kind = HASTY_KIND_FILE, slot_reply(slot, ""); break;
        case 17: slot->reply = NULL, slot->reply_len = 5; break;
        case 18: slot->extra_headers = NULL, slot->extra_headers_len = 5; break;
        case 19: slot->kind = HASTY_KIND_FILE, slot->reply = (const uint8_t *)"include/hasty.h\0x", slot->reply_len = 17; break;
        }
    }
}

TEST(an_answer_that_cannot_be_sent_is_a_500_and_a_line_in_the_log)
{
    hasty_app *app = taken_app(NULL);
    CHECK_OK(hasty_app_on_log(app, counts_errors, NULL, NULL));
    int port = check_serve(app);
    hasty_slot slot = slot_of(app);
    for (int way = 0; way < 20; way++) {
        logged = 0;
        client c = ask_for(port, "/taken");
        REQUIRE(slot_next(&slot));
        spoil(&slot, way);
        slot_submit(&slot); /* the take itself is fine */
        reply r = client_read(&c);
        if (way != 2 && r.status != 500) /* a line may end in CR LF, or not: both are right */
            check_fail(__FILE__, __LINE__, "spoilt in way %d the answer is %d, not 500", way, r.status);
        if (way != 2 && !AWAIT(logged == 1))
            check_fail(__FILE__, __LINE__, "spoilt in way %d the answer is logged %d times", way, logged);
        CHECK_REPLY(get(port, "/theirs"), 200, "theirs");
        client_close(&c);
    }
    hasty_app_free(app);
}

TEST(some_answers_have_no_body)
{
    static const int statuses[] = {204, 304, 200, 404};
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    client c = client_open(port);
    for (int i = 0; i < 4; i++) {
        client_send(&c, TAKEN);
        REQUIRE(slot_next(&slot));
        slot.status = statuses[i];
        if (i >= 2)
            slot.kind = HASTY_KIND_NONE;
        slot_reply(&slot, "ignored");
        slot_submit(&slot);
        reply r = client_read(&c);
        CHECK_REPLY(r, statuses[i], "");
        CHECK(i < 2 || reply_header(&r, "Content-Type") == NULL);
    }
    client_send(&c, request_text("HEAD", "/taken", NULL, NULL));
    REQUIRE(slot_next(&slot));
    CHECK_INT(slot.method, HASTY_HEAD);
    slot_reply(&slot, "seven b");
    slot_submit(&slot);
    reply r = client_read_for(&c, "HEAD");
    CHECK_HEADER(r, "Content-Length", "7");
    CHECK_REPLY(client_ask(&c, THEIRS), 200, "theirs"); /* and nothing came in between */
    client_close(&c);
    hasty_app_free(app);
}

TEST(connection_close_and_hooks_hold_for_slots_too)
{
    hasty_app *app = taken_app(NULL);
    CHECK_OK(hasty_app_add_header(app, "X-Every", "one"));
    CHECK_OK(hasty_app_cors(app, "/", NULL));
    int port = check_serve(app);
    hasty_slot slot = slot_of(app);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/taken", "Connection: close\r\nOrigin: https://a.example\r\n", NULL));
    REQUIRE(slot_next(&slot));
    slot_reply(&slot, "bye");
    slot_submit(&slot);
    reply r = client_read(&c);
    CHECK_REPLY(r, 200, "bye");
    CHECK_HEADER(r, "X-Every", "one");
    CHECK_HEADER(r, "Access-Control-Allow-Origin", "*");
    CHECK(client_is_closed(&c));
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(guards)
{
    CHECK_HERE();
    if (hasty_request_query(req, "name").data == NULL)
        return hasty_response_send_status(res, 401);
    CHECK_OK(hasty_response_set_header(res, "X-Use", "yes"));
    return HASTY_NEXT;
}

HANDLER(marks)
{
    return hasty_response_set_header(res, "X-After", "yes");
}

TEST(middleware_runs_in_take_and_what_it_answers_never_is_in_a_slot)
{
    hasty_app *app = taken_app(NULL);
    CHECK_OK(hasty_app_use(app, "/taken", guards, NULL, NULL));
    CHECK_OK(hasty_app_after(app, "/taken", marks, NULL, NULL));
    int port = check_serve(app);
    hasty_slot slot = slot_of(app);
    client refused = ask_for(port, "/taken");
    CHECK(AWAIT(is_readable(app, 0)));
    client welcome = ask_for(port, "/taken?name=a");
    REQUIRE(slot_next(&slot));
    CHECK_TEXT(slot.query, "name=a");
    slot_reply(&slot, "in");
    slot_submit(&slot);
    CHECK_REPLY(client_read(&refused), 401, NULL);
    reply r = client_read(&welcome);
    CHECK_REPLY(r, 200, "in");
    CHECK_HEADER(r, "X-Use", "yes");
    CHECK_HEADER(r, "X-After", "yes");
    client_close(&refused);
    client_close(&welcome);
    hasty_app_free(app);
}

/* ---- later ---- */

static void *finishes(void *exchange)
{
    check_pause_ms(10);
    CHECK_OK(hasty_response_send_text(hasty_exchange_response(exchange), "later"));
    CHECK_OK(hasty_exchange_finish(exchange));
    return NULL;
}

TEST(a_request_in_a_slot_may_become_an_exchange)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    hasty_exchange *exchange = NULL, *none = NULL;
    CHECK_STATUS(hasty_slot_exchange(&slot, &none), HASTY_ERR_STATE);
    client late = ask_for(port, "/taken/late"), soon;
    REQUIRE(slot_next(&slot));
    CHECK_OK(hasty_slot_exchange(&slot, &exchange));
    CHECK_INT(slot.ticket, 0);
    CHECK_STATUS(hasty_slot_exchange(&slot, &none), HASTY_ERR_STATE);
    CHECK(none == NULL);
    slot_reply(&slot, "not this one's");
    soon = ask_for(port, "/taken");
    REQUIRE(slot_next(&slot)); /* the slot takes the next, and sends nothing for the one before */
    slot_reply(&slot, "soon");
    slot_submit(&slot);
    CHECK_REPLY(client_read(&soon), 200, "soon");
    CHECK_STR(hasty_request_param(hasty_exchange_request(exchange), "id"), "late");
    CHECK_TEXT((const char *)hasty_request_user_data(hasty_exchange_request(exchange)), "third");
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, finishes, exchange) == 0);
    CHECK_REPLY(client_read(&late), 200, "later");
    pthread_join(thread, NULL);
    client_close(&late);
    client_close(&soon);
    hasty_app_free(app);
}

TEST(an_exchange_of_a_slot_outlives_the_app_and_may_be_freed)
{
    for (int way = 0; way < 3; way++) {
        int port;
        hasty_app *app = slot_app(&port);
        hasty_slot slot = slot_of(app);
        hasty_exchange *exchange = NULL;
        client c = ask_for(port, "/taken");
        REQUIRE(slot_next(&slot));
        CHECK_OK(hasty_slot_exchange(&slot, &exchange));
        if (way == 0)
            hasty_exchange_free(exchange);
        else
            hasty_app_free(app);
        CHECK_REPLY(client_read(&c), 503, NULL);
        if (way == 1)
            CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
        if (way == 2)
            hasty_exchange_free(exchange);
        if (way == 0)
            hasty_app_free(app);
        client_close(&c);
    }
}

/* ---- the end of things ---- */

TEST(an_answer_given_after_the_stop_has_an_end)
{
    for (int frees = 0; frees < 2; frees++) {
        int port;
        hasty_app *app = slot_app(&port);
        hasty_slot slot = slot_of(app);
        client c = ask_for(port, "/taken");
        REQUIRE(slot_next(&slot));
        hasty_app_stop(app);
        slot_reply(&slot, "the last one");
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_CLOSED); /* submitted all the same */
        CHECK_INT(slot.ticket, 0);
        reply r = client_read(&c);
        CHECK(r.status == 200 || r.status == 503); /* the stop may have been quicker than the answer */
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_CLOSED);
        CHECK_STATUS(hasty_slot_wait(&slot, -1), HASTY_ERR_CLOSED);
        if (frees == 0)
            CHECK_OK(hasty_app_wait(app, 10000));
        hasty_app_free(app);
        client_close(&c);
    }
}

TEST(an_app_with_a_request_in_a_slot_may_be_freed)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    client c = ask_for(port, "/taken");
    REQUIRE(slot_next(&slot));
    hasty_app_free(app);
    CHECK_REPLY(client_read(&c), 503, NULL);
    client_close(&c);
}

TEST(a_client_that_left_and_one_whose_time_is_up_harm_no_slot)
{
    hasty_options options = {.size = sizeof options, .exchange_timeout_ms = 1500};
    hasty_app *app = taken_app(&options);
    int port = check_serve(app);
    hasty_slot slot = slot_of(app);
    client c = ask_for(port, "/taken");
    REQUIRE(slot_next(&slot));
    CHECK_REPLY(client_read(&c), 504, NULL);
    CHECK_TEXT(slot.path, "/taken"); /* what is in the slot stays */
    slot_reply(&slot, "too late");
    slot_submit(&slot);
    CHECK(client_is_closed_within(&c, 200) || c.len == 0); /* no second answer */
    client_close(&c);
    c = ask_for(port, "/taken");
    REQUIRE(slot_next(&slot));
    client_reset(&c);
    check_pause_ms(20);
    CHECK_STR(hasty_request_target(slot.request), "/taken");
    slot_reply(&slot, "to nobody");
    slot_submit(&slot);
    CHECK_REPLY(get(port, "/theirs"), 200, "theirs");
    hasty_app_free(app);
}

/* ---- wait ---- */

static void ask_taken(hasty_app *app)
{
    client c = client_open(hasty_app_port(app));
    CHECK_REPLY(client_ask(&c, TAKEN), 200, "waited for");
    client_close(&c);
}

static void stop_it(hasty_app *app)
{
    hasty_app_stop(app);
}

static void only_count(int number)
{
    (void)number;
}

static pthread_t waiting;
static _Atomic int waited;

/* Until the wait has ended: it may not have begun at the first. */
static void interrupt(CHECK_UNUSED hasty_app *app)
{
    while (!waited) {
        pthread_kill(waiting, SIGUSR1);
        check_pause_ms(5);
    }
}

TEST(wait_ends_when_there_is_something_to_take)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    int64_t begin = check_now_ms();
    CHECK_STATUS(hasty_slot_wait(&slot, 0), HASTY_ERR_TIMEOUT);
    CHECK_STATUS(hasty_slot_wait(&slot, 50), HASTY_ERR_TIMEOUT);
    CHECK(check_now_ms() - begin >= 49);
    later l;
    start_later(&l, app, ask_taken);
    CHECK_OK(hasty_slot_wait(&slot, -1));
    CHECK_OK(hasty_slot_wait(&slot, -1)); /* it takes nothing */
    CHECK_OK(hasty_slot_take(&slot));
    slot_reply(&slot, "waited for");
    slot_submit(&slot);
    pthread_join(l.thread, NULL);
    start_later(&l, app, stop_it);
    CHECK_STATUS(hasty_slot_wait(&slot, -1), HASTY_ERR_CLOSED);
    pthread_join(l.thread, NULL);
    hasty_app_free(app);
}

TEST(a_signal_ends_wait_early)
{
    struct sigaction action = {.sa_handler = only_count}, old;
    int port;
    sigaction(SIGUSR1, &action, &old);
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    waiting = pthread_self();
    for (int i = 0; i < 3; i++) {
        later l;
        waited = 0;
        start_later(&l, app, interrupt);
        int64_t begin = check_now_ms();
        CHECK_STATUS(hasty_slot_wait(&slot, 20000), HASTY_ERR_TIMEOUT);
        waited = 1;
        CHECK(check_now_ms() - begin < 10000);
        pthread_join(l.thread, NULL);
    }
    hasty_app_free(app);
    sigaction(SIGUSR1, &old, NULL);
}

/* ---- what is refused ---- */

HANDLER(takes_inside)
{
    hasty_slot slot = slot_of(*(hasty_app **)user_data);
    CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_slot_wait(&slot, -1), HASTY_ERR_STATE);
    return hasty_response_send_text(res, "refused");
}

TEST(what_slots_refuse)
{
    static hasty_app *app;
    app = taken_app(NULL);
    CHECK_OK(hasty_app_get(app, "/inside", takes_inside, &app));
    hasty_slot slot = slot_of(app);
    hasty_exchange *exchange = NULL;
    CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("start");
    CHECK_STATUS(hasty_slot_wait(&slot, -1), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_slot_take(NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_slot_wait(NULL, 0), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_slot_exchange(NULL, &exchange), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_slot_exchange(&slot, NULL), HASTY_ERR_NULL);
    hasty_slot nobodys = slot_of(NULL);
    CHECK_STATUS(hasty_slot_take(&nobodys), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_slot_wait(&nobodys, 0), HASTY_ERR_NULL);
    int port = check_serve(app);
    static const size_t sizes[] = {0, 8, sizeof slot - 8};
    for (int i = 0; i < 3; i++) {
        slot.size = sizes[i];
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_INVALID);
        CHECK_ERROR_NAMES("size");
        CHECK_STATUS(hasty_slot_wait(&slot, -1), HASTY_ERR_INVALID);
        CHECK_STATUS(hasty_slot_exchange(&slot, &exchange), HASTY_ERR_INVALID);
    }
    slot.size = sizeof slot;
    CHECK_REPLY(get(port, "/inside"), 200, "refused");
    hasty_app_free(app);
}

TEST(a_ticket_that_was_never_given_is_refused_and_nothing_happens)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    hasty_exchange *exchange = NULL;
    client c = ask_for(port, "/taken");
    REQUIRE(slot_next(&slot));
    uint64_t ticket = slot.ticket, wrong[] = {ticket + 1, ticket - 1 ? ticket - 1 : UINT64_MAX, UINT64_MAX, (uint64_t)(uintptr_t)&slot};
    for (int i = 0; i < 4; i++) {
        slot.ticket = wrong[i];
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_INVALID);
        CHECK_STATUS(hasty_slot_exchange(&slot, &exchange), HASTY_ERR_INVALID);
    }
    CHECK(exchange == NULL);
    slot.ticket = ticket;
    slot_reply(&slot, "the right one");
    slot_submit(&slot);
    CHECK_REPLY(client_read(&c), 200, "the right one");
    slot.ticket = ticket; /* once is enough */
    CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_INVALID);
    slot.ticket = 0;
    CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_TIMEOUT);
    client_close(&c);
    hasty_app_free(app);
}

/* ---- many ---- */

static void *serves(void *app)
{
    hasty_slot slot = slot_of(app);
    int *count = check_keep(calloc(1, sizeof *count));
    *count = slot_serve(&slot, "served");
    return count;
}

TEST(several_threads_have_a_slot_each)
{
    enum { THREADS = 4, CLIENTS = 8 };
    int port, rounds = check_small() ? 5 : 60, sum = 0;
    hasty_app *app = slot_app(&port);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, serves, app) == 0);
    client c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        c[i] = client_open(port);
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < CLIENTS; i++)
            client_send(&c[i], check_format("%s%s%s", TAKEN, THEIRS, TAKEN));
        for (int i = 0; i < CLIENTS; i++) {
            CHECK_REPLY(client_read(&c[i]), 200, "served");
            CHECK_REPLY(client_read(&c[i]), 200, "theirs");
            CHECK_REPLY(client_read(&c[i]), 200, "served");
        }
    }
    hasty_app_stop(app);
    for (int i = 0; i < THREADS; i++) {
        void *count;
        pthread_join(threads[i], &count);
        sum += *(int *)count;
    }
    CHECK_INT(sum, 2 * rounds * CLIENTS);
    for (int i = 0; i < CLIENTS; i++)
        client_close(&c[i]);
    hasty_app_free(app);
}

TEST(one_thread_may_have_several_slots)
{
    int port;
    hasty_app *app = slot_app(&port);
    hasty_slot one = slot_of(app), two = slot_of(app);
    client first = ask_for(port, "/taken/1");
    REQUIRE(slot_next(&one));
    client second = ask_for(port, "/taken/2");
    REQUIRE(slot_next(&two));
    CHECK_TEXT(one.params, "1"); /* the other take left it alone */
    CHECK_TEXT(two.params, "2");
    slot_reply(&one, "one");
    slot_reply(&two, "two");
    slot_submit(&two);
    CHECK_REPLY(client_read(&second), 200, "two");
    slot_submit(&one);
    CHECK_REPLY(client_read(&first), 200, "one");
    client_close(&first);
    client_close(&second);
    hasty_app_free(app);
}

TEST(pipelined_requests_are_answered_in_their_order)
{
    int port, count = 50;
    hasty_app *app = slot_app(&port);
    hasty_slot slot = slot_of(app);
    char *all = check_format("%s", "");
    for (int i = 0; i < count; i++)
        all = check_format("%s%s", all, request_text("GET", check_format("/taken/%d", i), NULL, NULL));
    client c = client_open(port);
    client_send(&c, all);
    for (int i = 0; i < count; i++) {
        REQUIRE(slot_next(&slot));
        slot_reply(&slot, check_format("it was %s", slot.params));
    }
    slot_submit(&slot);
    for (int i = 0; i < count; i++)
        CHECK_REPLY(client_read(&c), 200, check_format("it was %d", i));
    client_close(&c);
    hasty_app_free(app);
}

CHECK_MAIN
