/* Compression of answers: when it is done, when it must not be, and that it loses nothing. */
#include "client.h"

enum { LONG = 100000 };

/* What gzip makes of the bytes, and whether they were all there. */
static char *unpacked(const char *bytes, size_t len, int *whole)
{
    char name[] = "/tmp/hasty-c-compress-XXXXXX", *text = check_keep(malloc(4 * LONG));
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, len), len);
    close(fd);
    FILE *out = popen(check_format("gzip -dc <%s 2>/dev/null", name), "r");
    size_t got = out ? fread(text, 1, 4 * LONG - 1, out) : 0;
    text[got] = '\0';
    *whole = out != NULL && pclose(out) == 0;
    unlink(name);
    return text;
}

/* Text that packs well and in which every place is another. */
static char *long_text(void)
{
    static char *text;
    if (text == NULL) {
        static char room[LONG + 1];
        for (size_t at = 0; at < LONG; at += 10)
            snprintf(room + at, 11, "%09zu ", at);
        text = room;
    }
    return text;
}

HANDLER(sends_text)
{
    return hasty_response_send_text(res, long_text());
}

HANDLER(sends_type)
{
    CHECK_OK(hasty_response_set_type(res, user_data));
    return hasty_response_send(res, long_text(), LONG);
}

HANDLER(sends_little)
{
    return hasty_response_send_text(res, "little");
}

/* user_data is a field "Name: value" that forbids it. */
HANDLER(sends_with_a_field)
{
    char *field = check_keep(strdup(user_data)), *value = strchr(field, ':');
    *value = '\0';
    CHECK_OK(hasty_response_set_header(res, field, value + 2));
    return hasty_response_send_text(res, long_text());
}

HANDLER(writes_text)
{
    CHECK_OK(hasty_response_set_type(res, "txt"));
    for (size_t at = 0; at < LONG; at += 1000)
        CHECK_OK(hasty_response_write(res, long_text() + at, 1000));
    return HASTY_OK;
}

static _Atomic int gate_open;

HANDLER(writes_events)
{
    CHECK_OK(hasty_response_write_event(res, NULL, "first", NULL));
    AWAIT(gate_open);
    CHECK_OK(hasty_response_write_event(res, NULL, "second", NULL));
    return HASTY_OK;
}

static reply get_accepting(int port, const char *target, const char *codings)
{
    return ask(port, request_text("GET", target, check_format("Accept-Encoding: %s\r\n", codings), NULL));
}

static hasty_app *serve(hasty_handler handler, void *data, int *port)
{
    gate_open = 0;
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", handler, data));
    *port = check_serve(app);
    return app;
}

static void check_packed(const char *file, int line, const char *what, reply r)
{
    const char *coding = reply_header(&r, "Content-Encoding");
    if (r.status != 200 || coding == NULL || strcmp(coding, "gzip") != 0) {
        check_fail(file, line, "%s: %d, %s", what, r.status, r.head ? r.head : r.problem);
        return;
    }
    if (!reply_lists(&r, "Vary", "Accept-Encoding"))
        check_fail(file, line, "%s does not vary", what);
    int whole = 0;
    check_text(file, line, what, unpacked(r.body, r.body_len, &whole), long_text());
    check_that(file, line, "the packed body is whole", whole);
}

static void check_plain(const char *file, int line, const char *what, reply r)
{
    if (r.status != 200 || reply_header(&r, "Content-Encoding") != NULL || r.body_len != LONG)
        check_fail(file, line, "%s: %d, %s", what, r.status, r.head ? r.head : r.problem);
}

#define CHECK_PACKED(what, r) check_packed(__FILE__, __LINE__, what, r)
#define CHECK_PLAIN(what, r) check_plain(__FILE__, __LINE__, what, r)

TEST(a_long_text_is_packed_for_those_who_accept_it)
{
    static const char *const accepting[] = {"gzip", "GZIP", "gzip, deflate", "deflate, gzip;q=0.5", "identity;q=0.5, gzip;q=1.0", "x, gzip ; q=0.1"};
    static const char *const refusing[] = {"", "identity", "gzip;q=0", "deflate", "*;q=0, identity", "gzipped", "gzip;q=0.0"};
    int port;
    hasty_app *app = serve(sends_text, NULL, &port);
    for (size_t i = 0; i < sizeof accepting / sizeof accepting[0]; i++)
        CHECK_PACKED(accepting[i], get_accepting(port, "/", accepting[i]));
    for (size_t i = 0; i < sizeof refusing / sizeof refusing[0]; i++)
        CHECK_PLAIN(refusing[i], get_accepting(port, "/", refusing[i]));
    reply silent = get(port, "/");
    CHECK_PLAIN("without Accept-Encoding", silent);
    CHECK(reply_lists(&silent, "Vary", "Accept-Encoding")); /* a cache must know */
    hasty_app_free(app);
}

TEST(packed_answers_are_shorter_and_framed)
{
    int port;
    hasty_app *app = serve(sends_text, NULL, &port);
    client c = client_open(port);
    char *one = request_text("GET", "/", "Accept-Encoding: gzip\r\n", NULL);
    for (int i = 0; i < 3; i++) {
        reply r = client_ask(&c, one);
        CHECK_PACKED("on a kept connection", r);
        CHECK(r.body_len < LONG / 2);
    }
    reply head = client_ask(&c, request_text("HEAD", "/", "Accept-Encoding: gzip\r\n", NULL));
    CHECK_INT(head.status, 200);
    CHECK_PACKED("after HEAD", client_ask(&c, one));
    client_close(&c);
    hasty_app_free(app);
}

TEST(only_types_that_pack_well_are_packed)
{
    static const char *const packed[] = {"text/html", "css", "application/json", "js", "svg", "application/xml",
                                         "application/problem+json", "Text/Plain; charset=utf-8"};
    static const char *const plain[] = {"png", "jpg", "zip", "application/octet-stream", "mp4", "application/gzip"};
    for (int which = 0; which < 2; which++) {
        size_t count = which ? sizeof packed / sizeof packed[0] : sizeof plain / sizeof plain[0];
        for (size_t i = 0; i < count; i++) {
            int port;
            const char *type = which ? packed[i] : plain[i];
            hasty_app *app = serve(sends_type, (void *)type, &port);
            if (which)
                CHECK_PACKED(type, get_accepting(port, "/", "gzip"));
            else
                CHECK_PLAIN(type, get_accepting(port, "/", "gzip"));
            hasty_app_free(app);
        }
    }
}

TEST(a_short_text_is_not_worth_it)
{
    int port;
    hasty_app *app = serve(sends_little, NULL, &port);
    reply r = get_accepting(port, "/", "gzip");
    CHECK_REPLY(r, 200, "little");
    CHECK(reply_header(&r, "Content-Encoding") == NULL);
    hasty_app_free(app);
}

TEST(a_handler_can_forbid_it)
{
    static char *const fields[] = {"Cache-Control: no-transform", "Cache-Control: public, No-Transform", "Content-Encoding: identity"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        int port;
        hasty_app *app = serve(sends_with_a_field, fields[i], &port);
        reply r = get_accepting(port, "/", "gzip");
        CHECK_REPLY(r, 200, long_text());
        hasty_app_free(app);
    }
}

TEST(a_strong_tag_is_not_kept_for_other_bytes)
{
    int port;
    hasty_app *app = serve(sends_with_a_field, "ETag: \"strong\"", &port);
    reply plain = get(port, "/"), packed = get_accepting(port, "/", "gzip");
    CHECK_HEADER(plain, "ETag", "\"strong\"");
    const char *tag = reply_header(&packed, "ETag");
    CHECK(reply_header(&packed, "Content-Encoding") == NULL || tag == NULL || strcmp(tag, "\"strong\"") != 0);
    hasty_app_free(app);
}

TEST(compress_is_an_option)
{
    hasty_app *app = check_app(NULL);
    CHECK_STR(hasty_app_option(app, "compress"), "1");
    CHECK_OK(hasty_app_set_option(app, "compress", "0"));
    CHECK_OK(hasty_app_get(app, "/", sends_text, NULL));
    CHECK_PLAIN("compress=0", get_accepting(check_serve(app), "/", "gzip"));
    hasty_app_free(app);
}

TEST(streams_are_packed_too)
{
    int port;
    hasty_app *app = serve(writes_text, NULL, &port);
    CHECK_PACKED("a stream", get_accepting(port, "/", "gzip"));
    CHECK_PLAIN("a stream", get_accepting(port, "/", "identity"));
    hasty_app_free(app);
}

/* What can be read of a packed stream that has not ended. */
static char *unpacked_so_far(client *c, const char *until)
{
    char *packed = check_keep(malloc(1 << 16)), *text = "";
    size_t len = 0;
    int whole;
    while (strstr(text, until) == NULL) {
        int64_t deadline = check_now_ms() + CLIENT_WAIT_MS;
        char *stop;
        while ((stop = c->len > 0 ? memmem(c->input, c->len, "\r\n", 2) : NULL) == NULL && client_more(c, deadline)) {
        }
        if (stop == NULL)
            return text;
        size_t size = strtoul(c->input, NULL, 16), at = (size_t)(stop + 2 - c->input);
        while (c->len < at + size + 2 && client_more(c, deadline)) {
        }
        if (size == 0 || len + size > 1 << 16 || c->len < at + size + 2)
            return text;
        memcpy(packed + len, c->input + at, size);
        len += size;
        client_skip(c, at + size + 2);
        text = unpacked(packed, len, &whole);
    }
    return text;
}

HANDLER(writes_a_piece)
{
    CHECK_OK(hasty_response_set_type(res, "txt"));
    CHECK_OK(hasty_response_write(res, "first", 5));
    AWAIT(gate_open);
    return hasty_response_write(res, "second", 6);
}

TEST(pieces_are_not_held_back_for_the_sake_of_compression)
{
    hasty_handler handlers[] = {writes_events, writes_a_piece};
    for (int i = 0; i < 2; i++) {
        int port;
        hasty_app *app = serve(handlers[i], NULL, &port);
        client c = client_open(port);
        client_send(&c, request_text("GET", "/", "Accept-Encoding: gzip\r\nConnection: close\r\n", NULL));
        reply head = client_read_head(&c);
        CHECK_INT(head.status, 200);
        if (reply_header(&head, "Content-Encoding") != NULL)
            CHECK_CONTAINS(unpacked_so_far(&c, "first"), "first");
        else
            CHECK_CONTAINS(client_read_chunk(&c), "first");
        CHECK_INT(gate_open, 0);
        gate_open = 1;
        // The handler is to end before the app does: what is written after a stop is refused.
        CHECK(client_read_all(&c) != NULL);
        client_close(&c);
        hasty_app_free(app);
    }
}

CHECK_MAIN
