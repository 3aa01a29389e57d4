/* Apps whose requests wait for a thread of the host's. */
#ifndef CALLER_H
#define CALLER_H

#include "client.h"

static pthread_t polling; /* the thread that handlers have to run in */

static CHECK_UNUSED void check_here(const char *file, int line)
{
    if (!pthread_equal(pthread_self(), polling))
        check_fail(file, line, "it runs in another thread");
}

#define CHECK_HERE() check_here(__FILE__, __LINE__)

static _Atomic int ran; /* calls of `mine` */

HANDLER(mine)
{
    CHECK_HERE();
    ran++;
    return hasty_response_send_text(res, user_data ? user_data : "mine");
}

HANDLER(theirs)
{
    CHECK(!pthread_equal(pthread_self(), polling));
    return hasty_response_send_text(res, "theirs");
}

/* GET /mine, POST /mine and GET /mine/:id wait for this thread, GET /theirs does not. */
static CHECK_UNUSED hasty_app *caller_app(const hasty_options *options)
{
    hasty_app *app = check_app(options);
    polling = pthread_self();
    ran = 0;
    CHECK_OK(hasty_app_get(app, "/mine", mine, NULL));
    CHECK_OK(hasty_app_post(app, "/mine", mine, NULL));
    CHECK_OK(hasty_app_get(app, "/mine/:id", mine, "with an id"));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/mine", "dispatch", "caller"));
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/mine", "dispatch", "caller"));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/mine/:id", "dispatch", "caller"));
    CHECK_OK(hasty_app_get(app, "/theirs", theirs, NULL));
    return app;
}

/* GET /taken, POST /taken and GET /taken/:id, which have no handler. */
static CHECK_UNUSED hasty_app *taken_app(const hasty_options *options)
{
    hasty_app *app = check_app(options);
    polling = pthread_self();
    CHECK_OK(hasty_app_route(app, "GET", "/taken", NULL, "first", NULL));
    CHECK_OK(hasty_app_route(app, "POST", "/taken", NULL, "second", NULL));
    CHECK_OK(hasty_app_route(app, "GET", "/taken/:id", NULL, "third", NULL));
    CHECK_OK(hasty_app_get(app, "/theirs", theirs, NULL));
    return app;
}

#define MINE request_text("GET", "/mine", NULL, NULL)
#define THEIRS request_text("GET", "/theirs", NULL, NULL)
#define TAKEN request_text("GET", "/taken", NULL, NULL)

static CHECK_UNUSED client ask_for(int port, const char *path)
{
    client c = client_open(port);
    client_send(&c, request_text("GET", path, NULL, NULL));
    return c;
}

/* Is there something to do, now or within `ms`? */
static CHECK_UNUSED int is_readable(const hasty_app *app, int ms)
{
    struct pollfd one = {.fd = hasty_app_fd(app), .events = POLLIN};
    int ready = poll(&one, 1, ms);
    return ready > 0 && (one.revents & POLLIN);
}

/* A number that the app tells of itself by /healthz; -1 for none. */
static CHECK_UNUSED int told(int port, const char *name)
{
    reply r = get(port, "/healthz");
    const char *key = check_format("\"%s\":", name);
    const char *at = r.body ? strstr(r.body, key) : NULL;
    return at != NULL ? atoi(at + strlen(key)) : -1;
}

/* How many requests wait for the caller's thread. */
static CHECK_UNUSED int queued(int port)
{
    return told(port, "queued");
}

/* Polls until `count` handlers ran, CHECK_WAIT_MS at most. */
static CHECK_UNUSED int poll_for(hasty_app *app, int count)
{
    int sum = 0;
    int64_t end = check_now_ms() + CHECK_WAIT_MS;
    while (sum < count && check_now_ms() < end) {
        uint32_t served = 0;
        hasty_status status = hasty_app_poll(app, (uint32_t)(count - sum), 1000, &served);
        if (status != HASTY_OK && status != HASTY_ERR_TIMEOUT)
            return check_fail(__FILE__, __LINE__, "poll gives %s (%s)", hasty_status_name(status), check_last_error());
        sum += (int)served;
    }
    return sum == count || check_fail(__FILE__, __LINE__, "%d of %d requests came", sum, count);
}

/* A thread that calls something soon: it is to be blocked, or not yet, and both have to be right. */
typedef struct later {
    pthread_t thread;
    hasty_app *app;
    void (*what)(hasty_app *);
} later;

static CHECK_UNUSED void *does_it_later(void *data)
{
    later *l = data;
    check_pause_ms(30);
    l->what(l->app);
    return NULL;
}

static CHECK_UNUSED void start_later(later *l, hasty_app *app, void (*what)(hasty_app *))
{
    *l = (later){.app = app, .what = what};
    CHECK(pthread_create(&l->thread, NULL, does_it_later, l) == 0);
}

#endif
