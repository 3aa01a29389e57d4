/* user_data is given up exactly once, on every path. */
#include "client.h"

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

static void no_log(int32_t level, const hasty_str *message, void *user_data)
{
    (void)level, (void)message, (void)user_data;
}

/* ---- routes ---- */

TEST(a_route_drops_its_data_when_the_app_is_freed)
{
    thing used = {0}, unused = {0};
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_route(app, "GET", "/used", fine, &used, drop_thing));
    CHECK_OK(hasty_app_route(app, "GET", "/unused", fine, &unused, drop_thing));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/used"), 200, "fine");
    CHECK_REPLY(get(port, "/used"), 200, "fine");
    hasty_app_stop(app);
    CHECK_OK(hasty_app_wait(app, -1));
    NOT_DROPPED(used);
    NOT_DROPPED(unused);
    hasty_app_free(app);
    CHECK_INT(used.dropped, 1);
    CHECK_INT(unused.dropped, 1);
}

TEST(an_app_that_never_started_drops_all_the_same)
{
    thing route = {0}, error = {0}, log = {0};
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_route(app, "GET", "/", fine, &route, drop_thing));
    CHECK_OK(hasty_app_on_error(app, fine, &error, drop_thing));
    CHECK_OK(hasty_app_on_log(app, no_log, &log, drop_thing));
    hasty_app_free(app);
    CHECK_INT(route.dropped, 1);
    CHECK_INT(error.dropped, 1);
    CHECK_INT(log.dropped, 1);
}

TEST(a_route_that_is_refused_drops_before_the_call_returns)
{
    static const char *const patterns[] = {"", "no-slash", "/a/*/b", "/:", "/a/*rest/b", "/same", "/same/:y"};
    hasty_app *app = check_app(NULL);
    thing kept[2] = {{0}, {0}};
    CHECK_OK(hasty_app_route(app, "GET", "/same", fine, &kept[0], drop_thing));
    CHECK_OK(hasty_app_route(app, "GET", "/same/:x", fine, &kept[1], drop_thing));
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        thing refused = {0};
        CHECK_STATUS(hasty_app_route(app, "GET", patterns[i], fine, &refused, drop_thing), HASTY_ERR_INVALID);
        if (refused.dropped != 1)
            check_fail(__FILE__, __LINE__, "\"%s\" dropped %d times", patterns[i], refused.dropped);
    }
    thing refused = {0};
    CHECK_STATUS(hasty_app_route(app, "GE T", "/other", fine, &refused, drop_thing), HASTY_ERR_INVALID);
    CHECK_INT(refused.dropped, 1);
    NOT_DROPPED(kept[0]);
    NOT_DROPPED(kept[1]);
    hasty_app_free(app);
    CHECK_INT(kept[0].dropped, 1);
    CHECK_INT(kept[1].dropped, 1);
}

TEST(registration_after_start_drops_at_once)
{
    thing route = {0}, error = {0}, log = {0};
    hasty_app *app = check_app(NULL);
    check_serve(app);
    CHECK_STATUS(hasty_app_route(app, "GET", "/", fine, &route, drop_thing), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_on_error(app, fine, &error, drop_thing), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_on_log(app, no_log, &log, drop_thing), HASTY_ERR_STATE);
    CHECK_INT(route.dropped, 1);
    CHECK_INT(error.dropped, 1);
    CHECK_INT(log.dropped, 1);
    hasty_app_free(app);
    CHECK_INT(route.dropped, 1);
    CHECK_INT(error.dropped, 1);
    CHECK_INT(log.dropped, 1);
}

TEST(one_thing_may_be_given_to_many_routes_and_is_dropped_for_each)
{
    thing shared = {0};
    hasty_app *app = check_app(NULL);
    for (int i = 0; i < 10; i++)
        CHECK_OK(hasty_app_route(app, "GET", check_format("/%d", i), fine, &shared, drop_thing));
    hasty_app_free(app);
    CHECK_INT(shared.dropped, 10);
}

/* ---- on_error, on_log ---- */

TEST(a_second_on_error_drops_the_first)
{
    thing first = {0}, second = {0};
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_on_error(app, fine, &first, drop_thing));
    NOT_DROPPED(first);
    CHECK_OK(hasty_app_on_error(app, fine, &second, drop_thing));
    CHECK_INT(first.dropped, 1);
    NOT_DROPPED(second);
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/nowhere"), 404, "fine");
    hasty_app_free(app);
    CHECK_INT(first.dropped, 1);
    CHECK_INT(second.dropped, 1);
}

TEST(a_second_on_log_drops_the_first)
{
    thing first = {0}, second = {0};
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_on_log(app, no_log, &first, drop_thing));
    NOT_DROPPED(first);
    CHECK_OK(hasty_app_on_log(app, no_log, &second, drop_thing));
    CHECK_INT(first.dropped, 1);
    NOT_DROPPED(second);
    hasty_app_free(app);
    CHECK_INT(first.dropped, 1);
    CHECK_INT(second.dropped, 1);
}

/* ---- free inside a callback ---- */

HANDLER(frees_the_app)
{
    hasty_app_free(*(hasty_app **)user_data);
    return hasty_response_send_text(res, "the last words");
}

TEST(free_inside_a_handler_drops_once_when_the_handler_has_returned)
{
    static hasty_app *app;
    thing route = {0}, error = {0}, log = {0};
    app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/free", frees_the_app, &app));
    CHECK_OK(hasty_app_route(app, "GET", "/", fine, &route, drop_thing));
    CHECK_OK(hasty_app_on_error(app, fine, &error, drop_thing));
    CHECK_OK(hasty_app_on_log(app, no_log, &log, drop_thing));
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/free", NULL, NULL));
    CHECK(client_read_all(&c) != NULL && "the connection ends");
    client_close(&c);
    DROPPED_ONCE(route);
    DROPPED_ONCE(error);
    DROPPED_ONCE(log);
}

/* ---- locals ---- */

typedef struct locals {
    thing first, second, replaced, refused;
} locals;

HANDLER(sets_locals)
{
    locals *l = user_data;
    CHECK_OK(hasty_request_set_local(req, "first", &l->first, drop_thing));
    CHECK_OK(hasty_request_set_local(req, "second", &l->replaced, drop_thing));
    CHECK_OK(hasty_request_set_local(req, "second", &l->second, drop_thing));
    CHECK_STATUS(hasty_request_set_local(req, NULL, &l->refused, drop_thing), HASTY_ERR_NULL);
    CHECK_INT(l->refused.dropped, 1);
    CHECK(hasty_request_local(req, "second") == &l->second);
    NOT_DROPPED(l->first);
    NOT_DROPPED(l->second);
    return strcmp(hasty_request_path(req).data, "/fail") == 0 ? HASTY_ERR_IO : hasty_response_send_text(res, "fine");
}

TEST(locals_are_dropped_when_their_request_is_over)
{
    static const char *const paths[] = {"/", "/fail"};
    for (int i = 0; i < 2; i++) {
        locals l = {0};
        hasty_app *app = check_app(NULL);
        CHECK_OK(hasty_app_get(app, paths[i], sets_locals, &l));
        int port = check_serve(app);
        client c = client_open(port);
        CHECK_INT(client_ask(&c, request_text("GET", paths[i], NULL, NULL)).status, i == 0 ? 200 : 500);
        DROPPED_ONCE(l.first);
        DROPPED_ONCE(l.second);
        DROPPED_ONCE(l.replaced);
        CHECK_INT(l.refused.dropped, 1);
        client_close(&c);
        hasty_app_free(app);
        CHECK_INT(l.first.dropped, 1);
        CHECK_INT(l.second.dropped, 1);
        CHECK_INT(l.replaced.dropped, 1);
        CHECK_INT(l.refused.dropped, 1);
    }
}

typedef struct looker {
    const hasty_request *req;
    thing itself, added;
} looker;

/* The request is still there, its locals are not; what is added is given up too. */
static void drop_and_look(void *data)
{
    looker *l = data;
    CHECK(hasty_request_local(l->req, "first") == NULL);
    CHECK(hasty_request_local(l->req, "second") == NULL);
    CHECK_STR(hasty_request_query(l->req, "q"), "1");
    CHECK_OK(hasty_request_set_local(l->req, "added", &l->added, drop_thing));
    drop_thing(&l->itself);
}

static looker lookers[2];
static hasty_exchange *_Atomic looked_at;

HANDLER(sets_lookers)
{
    hasty_exchange *exchange = NULL;
    CHECK(hasty_request_local(req, "added") == NULL); /* nothing is left of an earlier request */
    if (user_data != NULL) {
        CHECK_OK(hasty_response_defer(res, &exchange));
        req = hasty_exchange_request(exchange);
    }
    for (int i = 0; i < 2; i++) {
        lookers[i] = (looker){.req = req};
        CHECK_OK(hasty_request_set_local(req, i == 0 ? "first" : "second", &lookers[i], drop_and_look));
    }
    looked_at = exchange;
    return user_data != NULL ? HASTY_OK : hasty_response_send_text(res, "fine");
}

TEST(the_drop_of_a_local_may_look_at_its_request)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", sets_lookers, NULL));
    CHECK_OK(hasty_app_get(app, "/deferred", sets_lookers, app));
    client c = client_open(check_serve(app));
    for (int i = 0; i < 4; i++) {
        looked_at = NULL;
        client_send(&c, request_text("GET", i % 2 ? "/deferred?q=1" : "/?q=1", NULL, NULL));
        if (i % 2) {
            CHECK(AWAIT(looked_at != NULL));
            CHECK_OK(hasty_exchange_finish(looked_at));
        }
        CHECK_REPLY(client_read(&c), 200, NULL);
        for (int k = 0; k < 2; k++) {
            DROPPED_ONCE(lookers[k].added);
            CHECK_INT(lookers[k].itself.dropped, 1);
        }
    }
    client_close(&c);
    hasty_app_free(app);
}

/* ---- send_owned, in all endings ---- */

typedef struct owned {
    thing body, other;
    char text[200000];
} owned;

static hasty_status send_it(hasty_response *res, owned *o)
{
    return hasty_response_send_owned(res, o->text, sizeof o->text, &o->body, drop_thing);
}

HANDLER(sends_owned)
{
    return send_it(res, user_data);
}

HANDLER(sends_owned_as_204)
{
    CHECK_OK(hasty_response_set_status(res, 204));
    return send_it(res, user_data);
}

HANDLER(sends_owned_and_fails)
{
    CHECK_OK(send_it(res, user_data));
    return HASTY_ERR_IO;
}

HANDLER(sends_owned_after_a_bad_header)
{
    CHECK_STATUS(hasty_response_set_header(res, "X-Bad", "\n"), HASTY_ERR_INVALID);
    send_it(res, user_data);
    return HASTY_OK;
}

HANDLER(sends_owned_before_a_bad_header)
{
    CHECK_OK(send_it(res, user_data));
    CHECK_STATUS(hasty_response_set_header(res, "X-Bad", "\n"), HASTY_ERR_INVALID);
    return HASTY_OK;
}

HANDLER(sends_owned_then_text)
{
    owned *o = user_data;
    CHECK_OK(send_it(res, o));
    CHECK_OK(hasty_response_send_text(res, "instead"));
    DROPPED_ONCE(o->body);
    return HASTY_OK;
}

HANDLER(sends_owned_twice)
{
    owned *o = user_data;
    CHECK_OK(hasty_response_send_owned(res, o->text, 10, &o->other, drop_thing));
    CHECK_OK(send_it(res, o));
    DROPPED_ONCE(o->other);
    NOT_DROPPED(o->body);
    return HASTY_OK;
}

HANDLER(sends_owned_and_resets)
{
    owned *o = user_data;
    CHECK_OK(send_it(res, o));
    CHECK_OK(hasty_response_reset(res));
    DROPPED_ONCE(o->body);
    return hasty_response_send_text(res, "after");
}

HANDLER(sends_owned_with_another_length)
{
    hasty_response_set_header(res, "Content-Length", "3");
    send_it(res, user_data);
    return HASTY_OK;
}

HANDLER(sends_owned_of_nothing)
{
    owned *o = user_data;
    return hasty_response_send_owned(res, NULL, 0, &o->body, drop_thing);
}

HANDLER(sends_owned_null)
{
    owned *o = user_data;
    CHECK_STATUS(hasty_response_send_owned(res, NULL, 5, &o->body, drop_thing), HASTY_ERR_NULL);
    CHECK_INT(o->body.dropped, 1);
    return HASTY_OK;
}

TEST(an_owned_body_is_dropped_once_in_every_ending)
{
    static const struct {
        hasty_handler handler;
        const char *method;
        int status;
    } endings[] = {
        {sends_owned, "GET", 200},
        {sends_owned, "HEAD", 200},
        {sends_owned_as_204, "GET", 204},
        {sends_owned_and_fails, "GET", 500},
        {sends_owned_after_a_bad_header, "GET", 500},
        {sends_owned_before_a_bad_header, "GET", 500},
        {sends_owned_then_text, "GET", 200},
        {sends_owned_twice, "GET", 200},
        {sends_owned_and_resets, "GET", 200},
        {sends_owned_with_another_length, "GET", 500},
        {sends_owned_of_nothing, "GET", 200},
        {sends_owned_null, "GET", 500},
    };
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        owned *o = check_keep(calloc(1, sizeof *o));
        memset(o->text, 'x', sizeof o->text);
        hasty_app *app = check_app(NULL);
        CHECK_OK(hasty_app_any(app, "/", endings[i].handler, o));
        int port = check_serve(app);
        client c = client_open(port);
        reply r = client_ask(&c, request_text(endings[i].method, "/", NULL, NULL));
        if (r.status != endings[i].status)
            check_fail(__FILE__, __LINE__, "ending %zu answers %d (%s)", i, r.status, r.problem ? r.problem : "");
        AWAIT(o->body.dropped > 0);
        if (o->body.dropped != 1 || o->other.dropped > 1)
            check_fail(__FILE__, __LINE__, "ending %zu dropped %d and %d times", i, o->body.dropped, o->other.dropped);
        client_close(&c);
        hasty_app_free(app);
        if (o->body.dropped != 1 || o->other.dropped > 1)
            check_fail(__FILE__, __LINE__, "ending %zu dropped again at the end", i);
    }
}

/* A body that no socket buffer takes at once. */
typedef struct huge {
    thing body;
    size_t len;
    char *text;
} huge;

HANDLER(sends_huge)
{
    huge *h = user_data;
    return hasty_response_send_owned(res, h->text, h->len, &h->body, drop_thing);
}

static huge *make_huge(void)
{
    huge *h = check_keep(calloc(1, sizeof *h));
    h->len = 32 << 20;
    h->text = check_keep(calloc(1, h->len));
    return h;
}

TEST(an_owned_body_is_dropped_when_the_client_leaves_in_the_middle)
{
    for (int with_reset = 0; with_reset < 2; with_reset++) {
        huge *h = make_huge();
        hasty_app *app = check_app(NULL);
        CHECK_OK(hasty_app_get(app, "/", sends_huge, h));
        int port = check_serve(app);
        client c = client_open(port);
        client_send(&c, request_text("GET", "/", NULL, NULL));
        CHECK(client_more(&c, check_now_ms() + 10000));
        NOT_DROPPED(h->body);
        if (with_reset)
            client_reset(&c);
        else
            client_close(&c);
        DROPPED_ONCE(h->body);
        hasty_app_free(app);
        CHECK_INT(h->body.dropped, 1);
    }
}

TEST(an_owned_body_is_dropped_when_the_app_is_freed_in_the_middle)
{
    huge *h = make_huge();
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", sends_huge, h));
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/", NULL, NULL));
    CHECK(client_more(&c, check_now_ms() + 10000));
    NOT_DROPPED(h->body);
    hasty_app_free(app);
    CHECK_INT(h->body.dropped, 1);
    client_close(&c);
}

HANDLER(sends_freed)
{
    char *text = strdup("made for this answer alone");
    return hasty_response_send_owned(res, text, strlen(text), text, free);
}

TEST(free_is_a_drop)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", sends_freed, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    for (int i = 0; i < 50; i++)
        client_send(&c, request_text("GET", "/", NULL, NULL));
    for (int i = 0; i < 50; i++)
        CHECK_REPLY(client_read(&c), 200, "made for this answer alone");
    client_close(&c);
    hasty_app_free(app);
}

/* ---- a drop may call the library ---- */

static void drop_and_call(void *user_data)
{
    hasty_json *json = hasty_json_new_int(1);
    hasty_json_free(json);
    hasty_status_name(HASTY_OK);
    drop_thing(user_data);
}

TEST(a_drop_may_call_the_library)
{
    thing route = {0}, refused = {0}, replaced = {0};
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_route(app, "GET", "/", fine, &route, drop_and_call));
    CHECK_STATUS(hasty_app_route(app, "GET", "/", fine, &refused, drop_and_call), HASTY_ERR_INVALID);
    CHECK_OK(hasty_app_on_error(app, fine, &replaced, drop_and_call));
    CHECK_OK(hasty_app_on_error(app, fine, &replaced, drop_and_call));
    hasty_app_free(app);
    CHECK_INT(route.dropped, 1);
    CHECK_INT(refused.dropped, 1);
    CHECK_INT(replaced.dropped, 2);
}

CHECK_MAIN
