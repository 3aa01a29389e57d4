/* Streams: a clock whose watchers, however many, share one thread, and a count that is sent bit by bit.
 *
 *     cc -I include examples-c/stream.c -o stream target/release/libhasty.a -lpthread -ldl -lm
 *     ./stream 8080
 *
 *     curl -N http://127.0.0.1:8080/clock
 *     curl -N http://127.0.0.1:8080/ten
 */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

enum { MOST_WATCHERS = 10000 };

static const char page[] =
    "<!doctype html>\n"
    "<meta charset=\"utf-8\">\n"
    "<title>Clock</title>\n"
    "<h1 id=\"clock\">...</h1>\n"
    "<script>\n"
    "new EventSource('/clock').addEventListener('time', event => { clock.textContent = event.data; });\n"
    "</script>\n";

static hasty_app *app; /* global for the signal handler */

static mtx_t lock; /* guards the three below */
static hasty_exchange *watchers[MOST_WATCHERS];
static size_t watcher_count;
static int done;

static hasty_status home(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    return hasty_response_send_html(res, page);
}

/* ---- the clock */

/* Deferred: the ticking thread owns the exchange from now on, and no thread waits. */
static hasty_status watch(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    hasty_status status = HASTY_ERR_LIMIT;
    mtx_lock(&lock);
    if (watcher_count < MOST_WATCHERS) {
        status = hasty_response_defer(res, &watchers[watcher_count]);
        if (status == HASTY_OK)
            watcher_count++;
    }
    mtx_unlock(&lock);
    return status;
}

/* The last takes its place. Requires the lock. */
static void remove_watcher(size_t i)
{
    hasty_exchange_free(watchers[i]);
    watcher_count--;
    watchers[i] = watchers[watcher_count];
}

/* Requires the lock. Backwards, so that removing one does not skip another. */
static void tell_watchers(const char *time)
{
    for (size_t i = watcher_count; i-- > 0;) {
        hasty_response *res = hasty_exchange_response(watchers[i]);
        /* A write to an exchange never waits: it fails if the watcher has left, or lags behind. */
        if (hasty_response_write_event(res, "time", time, NULL) != HASTY_OK)
            remove_watcher(i);
    }
}

/* Sleeps until the next full second, and returns it. */
static time_t next_second(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    struct timespec rest = {.tv_nsec = 1000000000 - now.tv_nsec};
    thrd_sleep(&rest, NULL);
    return now.tv_sec + 1;
}

/* Runs on a thread of its own, until `done` is set. */
static int tick(void *unused)
{
    (void)unused;
    int stop = 0;
    while (!stop) {
        time_t now = next_second();
        char time[16];
        strftime(time, sizeof time, "%H:%M:%S", gmtime(&now));

        mtx_lock(&lock);
        tell_watchers(time);
        stop = done;
        while (stop && watcher_count > 0)
            remove_watcher(watcher_count - 1);
        mtx_unlock(&lock);
    }
    return 0;
}

/* ---- a handler may also write by itself; it blocks its thread while the client is slow */

static hasty_status count_to_ten(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    hasty_response_set_type(res, "text/plain; charset=utf-8");
    for (int i = 1; i <= 10; i++) {
        char line[16];
        int length = snprintf(line, sizeof line, "%d\n", i);
        if (hasty_response_write(res, line, (size_t)length) != HASTY_OK)
            return HASTY_ERR_CLOSED; /* the client has gone */
    }
    return HASTY_OK;
}

/* ---- the program */

static void on_signal(int number)
{
    (void)number;
    hasty_app_stop(app);
}

int main(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");

    thrd_t ticker;
    if (mtx_init(&lock, mtx_plain) != thrd_success || thrd_create(&ticker, tick, NULL) != thrd_success) {
        fprintf(stderr, "stream: the clock does not start\n");
        return 1;
    }

    int failed = hasty_app_new(NULL, &app)
              || hasty_app_get(app, "/", home, NULL)
              || hasty_app_get(app, "/clock", watch, NULL)
              || hasty_app_get(app, "/ten", count_to_ten, NULL)
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080);
    if (!failed) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app));
        fflush(stdout);
        failed = hasty_app_run(app) != HASTY_OK;
    }
    if (failed)
        fprintf(stderr, "stream: %s\n", hasty_last_error().data);

    signal(SIGINT, SIG_DFL); /* the app is about to be freed */
    signal(SIGTERM, SIG_DFL);
    mtx_lock(&lock);
    done = 1;
    mtx_unlock(&lock);
    thrd_join(ticker, NULL);
    hasty_app_free(app);
    return failed;
}
