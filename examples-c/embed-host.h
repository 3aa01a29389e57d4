/* The part that all embed-*.c share: some data, some work of the program's own, and routes that use both.
 *
 * Everything but the two atomics belongs to the main thread, the one that runs the loop, and has no lock: handlers of
 * routes with dispatch = caller run there too, when the loop calls hasty_app_poll(). What differs is the loop.
 *
 * README.md lists the routes; this is a way to try them:
 *
 *     curl -X POST http://127.0.0.1:8080/add/5
 *     curl http://127.0.0.1:8080/compute/2000 &
 *     curl http://127.0.0.1:8080/progress
 */
#define _POSIX_C_SOURCE 200809L /* for nanosleep() and clock_gettime() */
#include <hasty.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    TICK_MS = 10,      /* how often the host does its own work */
    MOST_AT_ONCE = 16, /* how many requests it answers in between */
};

static hasty_app *app;
static pthread_t main_thread;

/* Data of the main thread. */
static int64_t total;    /* what clients add up */
static int64_t ticks;    /* how often the host has worked */
static int64_t wakeups;  /* how often the loop was woken for requests */
static int64_t computed; /* how many computations have ended */

/* Data of all threads. */
static atomic_int computing;
static atomic_int cancelled;

static const char *here(void)
{
    return pthread_equal(pthread_self(), main_thread) ? "main" : "other";
}

/* ---- routes of the main thread */

static hasty_status state(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    char json[200];
    snprintf(json, sizeof json,
             "{\"thread\":\"%s\",\"total\":%lld,\"ticks\":%lld,\"wakeups\":%lld,\"computed\":%lld}",
             here(), (long long)total, (long long)ticks, (long long)wakeups, (long long)computed);
    return hasty_response_send_json(res, json);
}

static hasty_status add(const hasty_request *req, hasty_response *res, void *user_data)
{
    total += atoi(hasty_request_param(req, "number").data);
    return state(req, res, user_data);
}

/* Stands for long work that only this thread can do. */
static hasty_status compute(const hasty_request *req, hasty_response *res, void *user_data)
{
    const struct timespec one_ms = {.tv_nsec = 1000000};
    atomic_store(&cancelled, 0);
    atomic_store(&computing, 1);
    for (int ms = atoi(hasty_request_param(req, "ms").data); ms > 0 && !atomic_load(&cancelled); ms--)
        nanosleep(&one_ms, NULL);
    atomic_store(&computing, 0);
    computed++;
    return state(req, res, user_data);
}

static hasty_status quit(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    hasty_app_stop(app); /* makes the descriptor readable; hasty_app_poll() then returns HASTY_ERR_CLOSED */
    return hasty_response_send_text(res, "goodbye\n");
}

/* ---- routes of the library's threads: they answer also while the main thread computes */

static hasty_status progress(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    char json[80];
    snprintf(json, sizeof json, "{\"thread\":\"%s\",\"computing\":%s}", here(), atomic_load(&computing) ? "true" : "false");
    return hasty_response_send_json(res, json);
}

static hasty_status cancel(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    atomic_store(&cancelled, 1);
    return hasty_response_send_status(res, 204);
}

/* ---- the host */

static void on_log(int32_t level, const hasty_str *message, void *user_data)
{
    (void)user_data;
    if (level <= HASTY_LOG_WARN)
        fprintf(stderr, "%s\n", message->data);
}

static void on_signal(int number)
{
    (void)number;
    atomic_store(&cancelled, 1);
    hasty_app_stop(app); /* allowed here; it wakes the loop like a request */
}

static hasty_status add_main_thread_route(const char *method, const char *pattern, hasty_handler handler)
{
    hasty_status status = hasty_app_route(app, method, pattern, handler, NULL, NULL);
    if (status != HASTY_OK)
        return status;
    return hasty_app_set_route_option(app, method, pattern, "dispatch", "caller");
}

/* Starts the app, and returns: from here on the library's threads serve. Returns 0 on failure, and has said why. */
static int begin(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    main_thread = pthread_self();

    int failed = hasty_app_new(NULL, &app)
              || hasty_app_on_log(app, on_log, NULL, NULL)
              || add_main_thread_route("GET", "/state", state)
              || add_main_thread_route("POST", "/add/:number", add)
              || add_main_thread_route("GET", "/compute/:ms", compute)
              || add_main_thread_route("POST", "/quit", quit)
              || hasty_app_get(app, "/progress", progress, NULL)
              || hasty_app_post(app, "/cancel", cancel, NULL)
              || hasty_app_health(app, "/healthz")
              || hasty_app_fd(app) < 0 /* what the loop is going to watch */
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080)
              || hasty_app_start(app);
    if (failed) {
        fprintf(stderr, "embed: %s\n", hasty_last_error().data);
        hasty_app_free(app);
        return 0;
    }

    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app));
    fflush(stdout);
    return 1;
}

/* Runs the handlers of requests that wait. To be called when the descriptor is readable; returns 0 once the app has stopped. */
static int serve(void)
{
    uint32_t served;
    wakeups++;
    return hasty_app_poll(app, MOST_AT_ONCE, 0, &served) != HASTY_ERR_CLOSED;
}

/* To be called after the loop, which must no longer watch the descriptor. */
static void end(void)
{
    signal(SIGINT, SIG_DFL); /* the app is about to be freed */
    signal(SIGTERM, SIG_DFL);
    hasty_app_free(app);
}

/* For loops that have no timers: works if it is due, and returns the milliseconds until it is due again. */
static inline int work(void)
{
    static int64_t next;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t now = (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
    if (now >= next) {
        ticks++;
        next = now + TICK_MS;
    }
    return (int)(next - now);
}
