/* Rate limits: what a client may ask for, what it is told, and a hook that decides instead. */
#include "client.h"

HANDLER(fine)
{
    trail_add("handler");
    return hasty_response_send_text(res, "fine");
}

HANDLER(passes)
{
    trail_add("use");
    return HASTY_NEXT;
}

HANDLER(looks)
{
    trail_add(check_format("after-%d", hasty_response_status(res)));
    return HASTY_OK;
}

static hasty_app *new_app(void)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/*", fine, NULL));
    CHECK_OK(hasty_app_post(app, "/*", fine, NULL));
    return app;
}

static hasty_app *serve(const char *prefix, uint32_t per_minute, uint32_t burst, int *port)
{
    hasty_app *app = new_app();
    CHECK_OK(hasty_app_rate_limit(app, prefix, per_minute, burst, NULL, NULL, NULL));
    *port = check_serve(app);
    return app;
}

/* A field that is a number and nothing else; -1 when it is not. */
static long number_of(const reply *r, const char *name)
{
    const char *text = reply_header(r, name);
    if (text == NULL || *text == '\0' || text[strspn(text, "0123456789")] != '\0')
        return -1;
    return strtol(text, NULL, 10);
}

static reply get_from(const char *address, int port, const char *target)
{
    client c = client_open_from(address, port);
    reply r = client_ask(&c, request_text("GET", target, NULL, NULL));
    client_close(&c);
    return r;
}

/* ---- the bucket ---- */

TEST(a_burst_is_served_and_then_429)
{
    int port;
    hasty_app *app = serve("/", 2, 5, &port);
    long before = 6;
    for (int i = 0; i < 5; i++) {
        reply r = get(port, "/");
        CHECK_REPLY(r, 200, "fine");
        CHECK(number_of(&r, "RateLimit-Limit") > 0);
        CHECK(number_of(&r, "RateLimit-Reset") >= 0);
        CHECK(number_of(&r, "RateLimit-Remaining") >= 0 && number_of(&r, "RateLimit-Remaining") < before);
        before = number_of(&r, "RateLimit-Remaining");
        CHECK(reply_header(&r, "Retry-After") == NULL);
    }
    CHECK_INT(before, 0);
    for (int i = 0; i < 3; i++) {
        reply r = get(port, "/");
        CHECK_REPLY(r, 429, NULL);
        CHECK(r.body_len > 0);
        CHECK(number_of(&r, "Retry-After") >= 1 && number_of(&r, "Retry-After") <= 31); /* a token every 30 s */
        CHECK_INT(number_of(&r, "RateLimit-Remaining"), 0);
        CHECK(number_of(&r, "RateLimit-Limit") > 0 && number_of(&r, "RateLimit-Reset") >= 0);
    }
    hasty_app_free(app);
}

TEST(tokens_come_back_with_time)
{
    int port;
    hasty_app *app = serve("/", 1200, 1, &port); /* a token every 50 ms */
    client c = client_open(port);
    char *one = request_text("GET", "/", NULL, NULL), *two = check_format("%s%s", one, one);
    int refused = 0, served = 0;
    for (int64_t end = check_now_ms() + 20000; check_now_ms() < end && (served < 4 || refused == 0);) {
        client_send(&c, two); /* the second comes too soon for a token, however slow this machine is */
        for (int i = 0; i < 2; i++) {
            reply r = client_read(&c); /* a refusal costs no connection */
            CHECK(r.status == 200 || r.status == 429);
            refused += r.status == 429;
            served += r.status == 200;
        }
        check_pause_ms(2);
    }
    CHECK(refused > 0);
    CHECK(served >= 4);
    client_close(&c);
    hasty_app_free(app);
}

TEST(waiting_as_long_as_was_said_is_enough)
{
    int port;
    hasty_app *app = serve("/", 60, 1, &port);
    client c = client_open(port);
    char *one = request_text("GET", "/", NULL, NULL);
    client_send(&c, check_format("%s%s", one, one)); /* at once: a second later there would be a token */
    CHECK_REPLY(client_read(&c), 200, "fine");
    reply refused = client_read(&c);
    CHECK_REPLY(refused, 429, NULL);
    CHECK_INT(number_of(&refused, "Retry-After"), 1);
    check_pause_ms(1050);
    CHECK_REPLY(client_ask(&c, one), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(without_a_burst_it_is_what_a_minute_allows)
{
    int port;
    hasty_app *app = serve("/", 3, 0, &port);
    for (int i = 0; i < 3; i++)
        CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_REPLY(get(port, "/"), 429, NULL);
    hasty_app_free(app);
}

TEST(every_client_has_a_bucket_of_its_own)
{
    int port;
    hasty_app *app = serve("/", 1, 2, &port);
    for (int i = 2; i < 6; i++) {
        char *address = check_format("127.0.0.%d", i);
        CHECK_REPLY(get_from(address, port, "/"), 200, "fine");
        CHECK_REPLY(get_from(address, port, "/"), 200, "fine");
        CHECK_REPLY(get_from(address, port, "/"), 429, NULL);
    }
    CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_REPLY(get_from("127.0.0.2", port, "/"), 429, NULL);
    hasty_app_free(app);
}

TEST(many_clients_do_not_make_one_forgotten)
{
    int port, others = check_small() ? 100 : 1000;
    hasty_app *app = serve("/", 1, 1, &port);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    for (int i = 0; i < others; i++)
        CHECK_REPLY(get_from(check_format("127.1.%d.%d", i / 250, i % 250 + 1), port, "/"), 200, "fine");
    CHECK_REPLY(get(port, "/"), 429, NULL);
    hasty_app_free(app);
}

TEST(requests_of_many_threads_are_counted_exactly)
{
    int port;
    hasty_app *app = serve("/", 1, 50, &port);
    client c[8];
    char *one = request_text("GET", "/", NULL, NULL);
    for (int i = 0; i < 8; i++)
        c[i] = client_open(port);
    int served = 0;
    for (int round = 0; round < 10; round++)
        for (int i = 0; i < 8; i++)
            client_send(&c[i], one);
    for (int round = 0; round < 10; round++)
        for (int i = 0; i < 8; i++)
            served += client_read(&c[i]).status == 200;
    CHECK_INT(served, 50);
    for (int i = 0; i < 8; i++)
        client_close(&c[i]);
    hasty_app_free(app);
}

/* ---- where it applies ---- */

TEST(a_limit_applies_below_its_prefix_only)
{
    int port;
    hasty_app *app = serve("/api/", 1, 2, &port);
    CHECK_REPLY(get(port, "/api"), 200, "fine");
    CHECK_REPLY(get(port, "/%61pi/x"), 200, "fine");
    CHECK_REPLY(get(port, "/api/y"), 429, NULL);
    static const char *const outside[] = {"/", "/apix", "/x/api", "/api%2Fx"};
    for (int i = 0; i < 4; i++) {
        reply r = get(port, outside[i]);
        CHECK_REPLY(r, 200, "fine");
        CHECK(reply_header(&r, "RateLimit-Limit") == NULL && reply_header(&r, "RateLimit-Remaining") == NULL);
    }
    hasty_app_free(app);
}

TEST(whatever_is_below_the_prefix_counts)
{
    int port;
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_static(app, "/files", "include", NULL));
    CHECK_OK(hasty_app_rate_limit(app, "/", 1, 4, NULL, NULL, NULL));
    port = check_serve(app);
    CHECK_INT(ask_method(port, "HEAD", "/").status, 200);
    reply missed = get(port, "/none"), wrong = ask_method(port, "DELETE", "/");
    CHECK_REPLY(missed, 404, NULL);
    CHECK(number_of(&missed, "RateLimit-Remaining") >= 0); /* the fields are on every answer */
    CHECK_REPLY(wrong, 405, NULL);
    CHECK_REPLY(get(port, "/files/hasty.h"), 200, NULL);
    CHECK_REPLY(get(port, "/files/hasty.h"), 429, NULL);
    CHECK_REPLY(get(port, "/none"), 429, NULL);
    hasty_app_free(app);
}

HANDLER(shapes)
{
    CHECK_INT(hasty_response_status(res), 429);
    return hasty_response_send_text(res, "slowly, please");
}

TEST(the_limit_is_asked_before_middleware_and_shaped_by_on_error)
{
    hasty_app *app = new_app();
    CHECK_OK(hasty_app_use(app, "/", passes, NULL, NULL));
    CHECK_OK(hasty_app_after(app, "/", looks, NULL, NULL));
    CHECK_OK(hasty_app_on_error(app, shapes, NULL, NULL));
    CHECK_OK(hasty_app_rate_limit(app, "/", 1, 1, NULL, NULL, NULL));
    int port = check_serve(app);
    trail_clear();
    CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_TEXT(trail_take(), "use handler after-200");
    reply refused = get(port, "/");
    CHECK_REPLY(refused, 429, "slowly, please");
    CHECK(number_of(&refused, "Retry-After") > 0);
    CHECK_TEXT(trail_take(), "after-429");
    hasty_app_free(app);
}

TEST(a_refused_upload_is_not_asked_for_and_cors_is_on_the_answer)
{
    hasty_app *app = new_app();
    CHECK_OK(hasty_app_cors(app, "/", NULL));
    CHECK_OK(hasty_app_rate_limit(app, "/", 1, 1, NULL, NULL, NULL));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    client c = client_open(port);
    client_send(&c, "POST / HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nExpect: 100-continue\r\nContent-Length: 5000000\r\n\r\n");
    reply r = client_read(&c);
    CHECK_REPLY(r, 429, NULL); /* a 100 would have come first */
    CHECK_HEADER(r, "Access-Control-Allow-Origin", "*");
    client_close(&c);
    hasty_app_free(app);
}

/* ---- the hook ---- */

typedef struct store {
    thing data;
    _Atomic int asked, left;
} store;

static int32_t allows(const hasty_str *key, void *user_data)
{
    store *s = user_data;
    CHECK(key != NULL && key->data != NULL && key->len > 0 && key->data[key->len] == '\0');
    CHECK_CONTAINS(key->data, "127.0.0.");
    s->asked++;
    return s->left-- > 0;
}

TEST(a_shared_store_decides_instead)
{
    store s = {.left = 20};
    hasty_app *app = new_app();
    CHECK_OK(hasty_app_rate_limit(app, "/api", 1, 1, allows, &s, drop_thing));
    int port = check_serve(app);
    for (int i = 0; i < 20; i++)
        CHECK_REPLY(get(port, "/api"), 200, "fine"); /* far beyond what the numbers allow */
    reply refused = get_from("127.0.0.9", port, "/api");
    CHECK_REPLY(refused, 429, NULL);
    CHECK(number_of(&refused, "Retry-After") > 0);
    CHECK_INT(s.asked, 21);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_INT(s.asked, 21);
    s.left = 1;
    CHECK_REPLY(get(port, "/api"), 200, "fine");
    NOT_DROPPED(s.data);
    hasty_app_free(app);
    CHECK_INT(s.data.dropped, 1);
}

static char key_seen[2][128];

static int32_t notes_the_key(const hasty_str *key, void *user_data)
{
    _Atomic int *count = user_data;
    snprintf(key_seen[(*count)++ % 2], sizeof key_seen[0], "%s", key->data);
    return 1;
}

TEST(the_key_tells_clients_apart_and_not_their_ports)
{
    _Atomic int count = 0;
    hasty_app *app = new_app();
    CHECK_OK(hasty_app_rate_limit(app, "/", 1, 1, notes_the_key, &count, NULL));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_TEXT(key_seen[0], key_seen[1]);
    CHECK_REPLY(get_from("127.0.0.2", port, "/"), 200, "fine");
    CHECK(strcmp(key_seen[0], key_seen[1]) != 0);
    hasty_app_free(app);
}

TEST(a_limit_takes_its_data_also_on_failure)
{
    store kept = {0}, refused = {0};
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_rate_limit(app, "/", 10, 10, allows, &kept, drop_thing));
    CHECK_STATUS(hasty_app_rate_limit(app, "no-slash", 10, 10, allows, &refused, drop_thing), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_rate_limit(app, "/none", 0, 10, allows, &refused, drop_thing), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_rate_limit(app, NULL, 10, 10, allows, &refused, drop_thing), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_app_rate_limit(NULL, "/", 10, 10, allows, &refused, drop_thing), HASTY_ERR_NULL);
    check_serve(app);
    CHECK_STATUS(hasty_app_rate_limit(app, "/late", 10, 10, allows, &refused, drop_thing), HASTY_ERR_STATE);
    CHECK_INT(refused.data.dropped, 5);
    NOT_DROPPED(kept.data);
    hasty_app_free(app);
    CHECK_INT(kept.data.dropped, 1);
    CHECK_INT(refused.data.dropped, 5);
}

CHECK_MAIN
