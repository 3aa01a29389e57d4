/* What surrounds handlers: middleware that answers or lets pass, a value for the handler, a header on every answer, an access log. */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#pragma GCC diagnostic ignored "-Wunused-parameter" /* not every handler needs all of its arguments */
#define HANDLER(name) static hasty_status name(const hasty_request *req, hasty_response *res, void *user_data)
#define SAY(send, ...) (snprintf(text, sizeof text, __VA_ARGS__), hasty_response_send_##send(res, text))

static _Thread_local char text[32768]; /* handlers run in parallel; what is sent or set is copied */
static hasty_app *app;

static double now_ms(void)
{
    struct timespec now;
    return timespec_get(&now, TIME_UTC), (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}
HANDLER(start_clock) /* runs first: it was registered first, for "/" */
{
    double *start = malloc(sizeof *start);
    *start = now_ms();
    return hasty_request_set_local(req, "start", start, free), HASTY_NEXT; /* freed with the request */
}
HANDLER(members_only) /* it runs before the body is read, so that strangers cannot upload */
{
    hasty_str given = hasty_request_header(req, "Authorization");
    if (given.data && strcmp(given.data, user_data) == 0)
        return hasty_request_set_local(req, "user", "Ada", NULL), HASTY_NEXT;
    hasty_response_set_header(res, "WWW-Authenticate", "Bearer");
    return hasty_response_set_status(res, 401), SAY(text, "members only");
}
HANDLER(home) { return SAY(text, "open to all"); }
HANDLER(me) { return SAY(text, "welcome, %s", (char *)hasty_request_local(req, "user")); }
HANDLER(stop_clock) /* after every answer, also a 401 and a 404 */
{
    double *start = hasty_request_local(req, "start");
    snprintf(text, sizeof text, "total;dur=%.3f", start ? now_ms() - *start : 0.0);
    hasty_response_set_header(res, "X-Request-ID", hasty_request_id(req).data); /* the client's, or a new one */
    return hasty_response_set_header(res, "Server-Timing", text);
}
HANDLER(error_as_json) { return SAY(json, "{\"error\":%d}", (int)hasty_response_status(res)); }

static void on_access(const hasty_access *record, void *user_data)
{
    if (hasty_access_to_text(record, "combined", text, sizeof text, NULL) == HASTY_OK)
        fprintf(stderr, "%s\n", text);
}
static void on_signal(int number) { hasty_app_stop(app); }

int main(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal);
    int failed = hasty_app_new(NULL, &app) || hasty_app_secure_headers(app) || hasty_app_on_access(app, on_access, NULL, NULL)
              || hasty_app_use(app, "/", start_clock, NULL, NULL) || hasty_app_after(app, "/", stop_clock, NULL, NULL)
              || hasty_app_use(app, "/members", members_only, "Bearer open-sesame", NULL)
              || hasty_app_on_error(app, error_as_json, NULL, NULL)
              || hasty_app_get(app, "/", home, NULL) || hasty_app_get(app, "/members/me", me, NULL)
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080)
              || (printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app)), fflush(stdout)) || hasty_app_run(app);
    if (failed)
        fprintf(stderr, "middleware: %s\n", hasty_last_error().data);
    signal(SIGINT, SIG_DFL), signal(SIGTERM, SIG_DFL); /* the app is about to be freed */
    return hasty_app_free(app), failed;
}
