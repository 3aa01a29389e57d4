/* Two policies for scripts of other origins: one open to all, one for a site that is trusted with cookies.
 *
 *     ./cors 8080 https://app.example.org
 */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#pragma GCC diagnostic ignored "-Wunused-parameter" /* not every handler needs all of its arguments */
#define HANDLER(name) static hasty_status name(const hasty_request *req, hasty_response *res, void *user_data)

static hasty_app *app;

HANDLER(greeting) { return hasty_response_send_json(res, "{\"hello\":\"whoever you are\"}"); }
HANDLER(notes)
{
    hasty_response_set_header(res, "X-Total-Count", "2");
    return hasty_response_send_json(res, "[\"a note\",\"another note\"]");
}
HANDLER(login)
{
    hasty_cookie forever = {.size = sizeof forever, .max_age_s = 400 * 24 * 60 * 60};
    hasty_response_set_cookie(res, "name", "Ada", &forever);
    return hasty_response_send_status(res, 204);
}
HANDLER(me)
{
    char text[8300];
    hasty_str name = hasty_request_cookie(req, "name");
    snprintf(text, sizeof text, "you are %s", name.data ? name.data : "nobody I know");
    return hasty_response_send_text(res, text);
}
static void on_signal(int number) { hasty_app_stop(app); }

int main(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    hasty_cors open = {.size = sizeof open, .expose = "X-Total-Count"}; /* any origin, and so no cookies */
    hasty_cors trusting = {.size = sizeof trusting, .origins = argc > 2 ? argv[2] : "https://app.example.org, https://*.example.net",
                           .methods = "GET, PUT", .headers = "X-Reason", .max_age_s = 600, .credentials = 1};
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal);
    int failed = hasty_app_new(NULL, &app)
              || hasty_app_cors(app, "/public", &open) || hasty_app_cors(app, "/account", &trusting)
              || hasty_app_get(app, "/public/greeting", greeting, NULL) || hasty_app_any(app, "/public/notes", notes, NULL)
              || hasty_app_put(app, "/account/login", login, NULL) || hasty_app_get(app, "/account/me", me, NULL)
              || hasty_app_get(app, "/private", greeting, NULL) /* no policy covers it: other origins cannot read it */
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080)
              || (printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app)), fflush(stdout)) || hasty_app_run(app);
    if (failed)
        fprintf(stderr, "cors: %s\n", hasty_last_error().data);
    signal(SIGINT, SIG_DFL), signal(SIGTERM, SIG_DFL); /* the app is about to be freed */
    return hasty_app_free(app), failed;
}
