/* Requests in slots, in an app without library threads, where each stays in its connection meanwhile, and in one with some. */
#ifndef SLOT_LENT_H
#define SLOT_LENT_H

#include "slot.h"

enum { ALONE, THREADED, KINDS };

#define FOR_EACH_KIND(kind_) for (int kind_ = 0; kind_ < KINDS; kind_++)

HANDLER(library)
{
    return hasty_response_send_text(res, "the library's");
}

/* GET and POST /taken, GET /taken/:id, any method of /any/:id for slots; GET /library for the library. */
static CHECK_UNUSED hasty_app *lent_app_with(int kind, const hasty_options *options)
{
    hasty_app *app = taken_app(options);
    CHECK_OK(hasty_app_set_option(app, "threads", kind == ALONE ? "0" : "2"));
    CHECK_OK(hasty_app_route(app, "*", "/any/:id", NULL, NULL, NULL));
    CHECK_OK(hasty_app_get(app, "/library", library, NULL));
    return app;
}

static CHECK_UNUSED hasty_app *lent_app(int kind, int *port)
{
    hasty_app *app = lent_app_with(kind, NULL);
    *port = check_serve(app);
    return app;
}

static CHECK_UNUSED char *taken_by(const char *id)
{
    return request_text("GET", check_format("/taken/%s", id), NULL, NULL);
}

#define LIBRARY request_text("GET", "/library", NULL, NULL)

/* Takes the next request, which is to be for /taken/`id`. */
static CHECK_UNUSED int slot_next_is(hasty_slot *slot, const char *id)
{
    return slot_next(slot) && CHECK_TEXT(slot->params, id);
}

/* Gives the answer, and whatever comes of it; the next request is to be taken with another slot. */
static CHECK_UNUSED void slot_answer(hasty_slot *slot, const char *text)
{
    slot_reply(slot, text);
    hasty_status status = hasty_slot_take(slot);
    if (status != HASTY_ERR_CLOSED)
        CHECK_STATUS(status, HASTY_ERR_TIMEOUT);
    CHECK_INT(slot->ticket, 0);
}

/* Lets the library learn that /taken is quick. */
static CHECK_UNUSED void make_it_quick(hasty_slot *slot, client *c)
{
    for (int i = 0; i < 40; i++) {
        client_send(c, TAKEN);
        if (!slot_next(slot))
            return;
        slot_answer(slot, "quick");
        CHECK_REPLY(client_read(c), 200, "quick");
    }
}

/* Has an answer for `c` in the slot, of a route that is known to be quick: the next take may keep it back. */
static CHECK_UNUSED int slot_has_quick_answer(hasty_slot *slot, client *c)
{
    make_it_quick(slot, c);
    client_send(c, TAKEN);
    if (!slot_next(slot))
        return 0;
    slot_reply(slot, "fine");
    return 1;
}

/* A thread that answers by a slot until the app has stopped, while the test is its client. */
typedef struct server {
    pthread_t thread;
    hasty_app *app;
    void (*answer)(hasty_slot *);
    _Atomic int count;
} server;

static CHECK_UNUSED void *server_serves(void *data)
{
    server *s = data;
    hasty_slot slot = slot_of(s->app);
    hasty_status status;
    while ((status = hasty_slot_take(&slot)) != HASTY_ERR_CLOSED) {
        if (status == HASTY_OK) {
            s->count++;
            s->answer(&slot);
        } else if (CHECK_STATUS(status, HASTY_ERR_TIMEOUT)) {
            hasty_slot_wait(&slot, -1);
        } else {
            break;
        }
    }
    return NULL;
}

static CHECK_UNUSED void start_server(server *s, hasty_app *app, void (*answer)(hasty_slot *))
{
    *s = (server){.app = app, .answer = answer};
    CHECK(pthread_create(&s->thread, NULL, server_serves, s) == 0);
}

/* Stops the app, and gives how many requests this thread has had. */
static CHECK_UNUSED int stop_server(server *s)
{
    hasty_app_stop(s->app);
    pthread_join(s->thread, NULL);
    return s->count;
}

static CHECK_UNUSED void answer_id(hasty_slot *slot)
{
    slot_reply(slot, slot->params);
}

#endif
