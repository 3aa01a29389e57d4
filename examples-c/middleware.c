/* What surrounds handlers: middleware that answers or lets pass, a value for the handler, a header on every answer,
 * errors as JSON, an access log.
 *
 *     cc -I include examples-c/middleware.c -o middleware target/release/libhasty.a -lpthread -ldl -lm
 *     ./middleware 8080
 *
 *     curl -i http://127.0.0.1:8080/
 *     curl -i http://127.0.0.1:8080/members/me
 *     curl -H 'Authorization: Bearer open-sesame' http://127.0.0.1:8080/members/me
 *     curl http://127.0.0.1:8080/nowhere
 */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static hasty_app *app; /* global for the signal handler */

static double now_ms(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- before the handler */

/* Runs first: it was registered first, for "/". */
static hasty_status start_clock(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)res;
    (void)user_data;
    double *start = malloc(sizeof *start);
    if (start == NULL)
        return HASTY_ERR_LIMIT;
    *start = now_ms();
    hasty_status status = hasty_request_set_local(req, "start", start, free); /* freed with the request */
    if (status != HASTY_OK)
        return status;
    return HASTY_NEXT; /* go on to what comes next: other middleware, then the handler */
}

/* Runs before the body is read, so that strangers cannot upload. */
static hasty_status members_only(const hasty_request *req, hasty_response *res, void *user_data)
{
    const char *expected = user_data;
    hasty_str given = hasty_request_header(req, "Authorization");
    if (given.data != NULL && strcmp(given.data, expected) == 0) {
        hasty_request_set_local(req, "user", "Ada", NULL);
        return HASTY_NEXT;
    }
    hasty_response_set_header(res, "WWW-Authenticate", "Bearer");
    hasty_response_set_status(res, 401);
    return hasty_response_send_text(res, "members only"); /* answered: the handler does not run */
}

/* ---- the handlers */

static hasty_status home(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    return hasty_response_send_text(res, "open to all");
}

static hasty_status me(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    const char *user = hasty_request_local(req, "user");
    char text[100];
    snprintf(text, sizeof text, "welcome, %s", user);
    return hasty_response_send_text(res, text);
}

/* ---- after the handler */

/* Runs after every answer, also a 401 and a 404. */
static hasty_status stop_clock(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    const double *start = hasty_request_local(req, "start");
    char timing[64];
    snprintf(timing, sizeof timing, "total;dur=%.3f", start ? now_ms() - *start : 0.0);
    hasty_response_set_header(res, "X-Request-ID", hasty_request_id(req).data); /* the client's, or a new one */
    return hasty_response_set_header(res, "Server-Timing", timing);
}

/* Gives the errors of the library itself, such as 404, a body in the style of this program. */
static hasty_status error_as_json(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    char json[32];
    snprintf(json, sizeof json, "{\"error\":%d}", (int)hasty_response_status(res));
    return hasty_response_send_json(res, json);
}

static void on_access(const hasty_access *record, void *user_data)
{
    (void)user_data;
    char line[32768];
    if (hasty_access_to_text(record, "combined", line, sizeof line, NULL) == HASTY_OK)
        fprintf(stderr, "%s\n", line);
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

    int failed = hasty_app_new(NULL, &app)
              || hasty_app_secure_headers(app)
              || hasty_app_on_access(app, on_access, NULL, NULL)
              || hasty_app_on_error(app, error_as_json, NULL, NULL)
              || hasty_app_use(app, "/", start_clock, NULL, NULL)
              || hasty_app_use(app, "/members", members_only, "Bearer open-sesame", NULL)
              || hasty_app_after(app, "/", stop_clock, NULL, NULL)
              || hasty_app_get(app, "/", home, NULL)
              || hasty_app_get(app, "/members/me", me, NULL)
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080);
    if (!failed) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app));
        fflush(stdout);
        failed = hasty_app_run(app) != HASTY_OK;
    }
    if (failed)
        fprintf(stderr, "middleware: %s\n", hasty_last_error().data);

    signal(SIGINT, SIG_DFL); /* the app is about to be freed */
    signal(SIGTERM, SIG_DFL);
    hasty_app_free(app);
    return failed;
}
