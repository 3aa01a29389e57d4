/* Streams: a clock whose watchers, however many, share one thread, and a count that is sent bit by bit. */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>
#pragma GCC diagnostic ignored "-Wunused-parameter" /* not every handler needs all of its arguments */
#define HANDLER(name) static hasty_status name(const hasty_request *req, hasty_response *res, void *user_data)

static const char page[] = "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Clock</title>\n<h1 id=\"clock\">...</h1>\n<script>\n"
    "new EventSource('/clock').addEventListener('time', event => { clock.textContent = event.data; });\n</script>\n";
static hasty_exchange *watchers[10000]; /* guarded by lock, as count and done are */
static size_t count;
static int done;
static mtx_t lock;
static hasty_app *app;

HANDLER(home) { return hasty_response_send_html(res, page); }
HANDLER(watch) /* deferred: the ticking thread owns the exchange from now on, and no thread waits */
{
    mtx_lock(&lock);
    hasty_status status = count < sizeof watchers / sizeof *watchers ? hasty_response_defer(res, &watchers[count]) : HASTY_ERR_LIMIT;
    count += status == HASTY_OK;
    return mtx_unlock(&lock), status;
}
static int tick(void *unused)
{
    for (int stop = 0; !stop;) {
        struct timespec now;
        char text[16];
        timespec_get(&now, TIME_UTC);
        thrd_sleep(&(struct timespec){.tv_nsec = 1000000000 - now.tv_nsec}, NULL); /* to the full second */
        strftime(text, sizeof text, "%H:%M:%S", gmtime(&(time_t){now.tv_sec + 1}));
        mtx_lock(&lock);
        for (size_t i = count; i-- > 0;) /* a write to an exchange never waits: it fails if the watcher left or lags behind */
            if (done || hasty_response_write_event(hasty_exchange_response(watchers[i]), "time", text, NULL))
                hasty_exchange_free(watchers[i]), watchers[i] = watchers[--count];
        stop = done;
        mtx_unlock(&lock);
    }
    return 0;
}
HANDLER(to_ten) /* a handler may also write by itself; this blocks its thread while the client is slow */
{
    char line[16];
    hasty_response_set_type(res, "text/plain; charset=utf-8");
    for (int i = 1; i <= 10; i++)
        if (hasty_response_write(res, line, (size_t)snprintf(line, sizeof line, "%d\n", i)))
            return HASTY_ERR_CLOSED; /* the client has gone */
    return HASTY_OK;
}
static void on_signal(int number) { hasty_app_stop(app); }

int main(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    thrd_t ticker;
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal);
    int failed = mtx_init(&lock, mtx_plain) || thrd_create(&ticker, tick, NULL) || hasty_app_new(NULL, &app)
              || hasty_app_get(app, "/", home, NULL) || hasty_app_get(app, "/clock", watch, NULL)
              || hasty_app_get(app, "/ten", to_ten, NULL) || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080)
              || (printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app)), fflush(stdout)) || hasty_app_run(app);
    if (failed)
        fprintf(stderr, "stream: %s\n", hasty_last_error().data);
    signal(SIGINT, SIG_DFL), signal(SIGTERM, SIG_DFL); /* the app is about to be freed */
    mtx_lock(&lock), done = 1, mtx_unlock(&lock);
    return thrd_join(ticker, NULL), hasty_app_free(app), failed;
}
