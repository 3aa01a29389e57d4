/* Handlers that defer, and the exchanges on their way from them to the test. */
#ifndef PARKED_H
#define PARKED_H

#include "client.h"

enum { ROOM = 512 };

static hasty_exchange *parked[ROOM];
static _Atomic int parked_count;
static int parked_taken;
static pthread_mutex_t parked_lock = PTHREAD_MUTEX_INITIALIZER;

HANDLER(parks)
{
    hasty_exchange *exchange = NULL;
    CHECK_OK(hasty_response_defer(res, &exchange));
    pthread_mutex_lock(&parked_lock);
    parked[parked_count] = exchange;
    parked_count++;
    pthread_mutex_unlock(&parked_lock);
    return HASTY_OK;
}

/* The next one that a handler has parked. */
static CHECK_UNUSED hasty_exchange *take(void)
{
    if (!CHECK(AWAIT(parked_count > parked_taken)))
        return NULL;
    return parked[parked_taken++];
}

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

static CHECK_UNUSED hasty_app *new_app(uint32_t threads)
{
    hasty_options options = {.size = sizeof options, .threads = threads};
    hasty_app *app = check_app(&options);
    parked_count = parked_taken = 0;
    CHECK_OK(hasty_app_any(app, "/later", parks, NULL));
    CHECK_OK(hasty_app_any(app, "/later/:id", parks, NULL));
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    return app;
}

static CHECK_UNUSED hasty_app *serve(int *port)
{
    hasty_app *app = new_app(0);
    *port = check_serve(app);
    return app;
}

#define QUICK request_text("GET", "/", NULL, NULL)
#define LATER request_text("GET", "/later", NULL, NULL)

static CHECK_UNUSED client ask_later(int port)
{
    client c = client_open(port);
    client_send(&c, LATER);
    return c;
}

static CHECK_UNUSED hasty_status finish_with(hasty_exchange *exchange, const char *text)
{
    CHECK_OK(hasty_response_send_text(hasty_exchange_response(exchange), text));
    return hasty_exchange_finish(exchange);
}

/* A counting callback and its data's drop. */
typedef struct notice {
    thing data;
    _Atomic int called;
} notice;

static CHECK_UNUSED void notes(void *user_data)
{
    notice *n = user_data;
    CHECK_INT(n->data.dropped, 0);
    n->called++;
}

#endif
