/* A drain on a thread of its own, since it blocks. */
#ifndef DRAINER_H
#define DRAINER_H

#include "check.h"
#include <pthread.h>

typedef struct drainer {
    pthread_t thread;
    hasty_app *app;
    int timeout_ms;
    _Atomic int returned;
    hasty_status status;
    int64_t took_ms;
} drainer;

static CHECK_UNUSED void *drains(void *data)
{
    drainer *d = data;
    int64_t start = check_now_ms();
    d->status = hasty_app_drain(d->app, d->timeout_ms);
    d->took_ms = check_now_ms() - start;
    d->returned = 1;
    return NULL;
}

static CHECK_UNUSED void start_drainer(drainer *d, hasty_app *app, int timeout_ms)
{
    *d = (drainer){.app = app, .timeout_ms = timeout_ms, .status = -1};
    CHECK(pthread_create(&d->thread, NULL, drains, d) == 0);
}

#endif
