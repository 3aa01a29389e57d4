/* The part that all embed-*.c share: some data, some work of the program's own, and routes that use both.
 *
 * Everything but the two atomics belongs to the main thread, the one that runs the loop, and has no lock: handlers of
 * routes with dispatch = caller run there too, when the loop calls hasty_app_poll(). What differs is the loop.
 */
#define _POSIX_C_SOURCE 200809L /* for nanosleep() and clock_gettime() */
#include <hasty.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#pragma GCC diagnostic ignored "-Wunused-parameter" /* not every handler needs all of its arguments */
#define HANDLER(name) static hasty_status name(const hasty_request *req, hasty_response *res, void *user_data)
enum { TICK_MS = 10, MOST = 16 }; /* how often the host works, and how many requests it answers in between */

static hasty_app *app;
static pthread_t main_thread;
static int64_t total, ticks, wakeups, computed; /* what clients add up; the host's work; calls of hasty_app_poll(); computations */
static atomic_int computing, cancelled;         /* these two are for every thread */

static const char *here(void) { return pthread_equal(pthread_self(), main_thread) ? "main" : "other"; }

/* ---- routes of the main thread */

HANDLER(state)
{
    char json[200];
    snprintf(json, sizeof json, "{\"thread\":\"%s\",\"total\":%lld,\"ticks\":%lld,\"wakeups\":%lld,\"computed\":%lld}", here(),
             (long long)total, (long long)ticks, (long long)wakeups, (long long)computed);
    return hasty_response_send_json(res, json);
}
HANDLER(add)
{
    total += atoi(hasty_request_param(req, "number").data);
    return state(req, res, NULL);
}
HANDLER(compute) /* stands for long work that only this thread can do */
{
    atomic_store(&cancelled, 0);
    atomic_store(&computing, 1);
    for (int ms = atoi(hasty_request_param(req, "ms").data); ms > 0 && !atomic_load(&cancelled); ms--)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    atomic_store(&computing, 0);
    computed++;
    return state(req, res, NULL);
}
HANDLER(quit)
{
    hasty_app_stop(app); /* makes the descriptor readable; hasty_app_poll() then returns HASTY_ERR_CLOSED */
    return hasty_response_send_text(res, "goodbye\n");
}

/* ---- routes of the library's threads: they answer also while the main thread computes */

HANDLER(progress)
{
    char json[80];
    snprintf(json, sizeof json, "{\"thread\":\"%s\",\"computing\":%s}", here(), atomic_load(&computing) ? "true" : "false");
    return hasty_response_send_json(res, json);
}
HANDLER(cancel)
{
    atomic_store(&cancelled, 1);
    return hasty_response_send_status(res, 204);
}

/* ---- the host */

static void on_log(int32_t level, const hasty_str *message, void *user_data)
{
    if (level <= HASTY_LOG_WARN)
        fprintf(stderr, "%s\n", message->data);
}
static void on_signal(int number)
{
    atomic_store(&cancelled, 1);
    hasty_app_stop(app); /* allowed here; it wakes the loop like a request */
}
static int on_main_thread(const char *method, const char *pattern, hasty_handler handler)
{
    return hasty_app_route(app, method, pattern, handler, NULL, NULL)
        || hasty_app_set_route_option(app, method, pattern, "dispatch", "caller");
}
/* Starts the app, and returns; 0 on failure. From here on the library's threads serve. */
static int begin(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    main_thread = pthread_self();
    int failed = hasty_app_new(NULL, &app) || hasty_app_on_log(app, on_log, NULL, NULL)
              || on_main_thread("GET", "/state", state) || on_main_thread("POST", "/add/:number", add)
              || on_main_thread("GET", "/compute/:ms", compute) || on_main_thread("POST", "/quit", quit)
              || hasty_app_get(app, "/progress", progress, NULL) || hasty_app_post(app, "/cancel", cancel, NULL)
              || hasty_app_health(app, "/healthz") || hasty_app_fd(app) < 0
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080) || hasty_app_start(app);
    if (failed)
        return fprintf(stderr, "embed: %s\n", hasty_last_error().data), hasty_app_free(app), 0;
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal);
    printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app));
    return fflush(stdout), 1;
}
/* To be called after the loop, which must no longer watch the descriptor. */
static int end(void)
{
    signal(SIGINT, SIG_DFL), signal(SIGTERM, SIG_DFL); /* the app is about to be freed */
    return hasty_app_free(app), 0;
}
/* For loops that have no timers: works if it is due, and returns the milliseconds until it is due again. */
static inline int work(void)
{
    static int64_t next;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t now = (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
    if (now >= next)
        ticks++, next = now + TICK_MS;
    return (int)(next - now);
}
