/* Two policies for scripts of other origins: one open to all, one for a site that is trusted with cookies.
 *
 *     cc -I include examples-c/cors.c -o cors target/release/libhasty.a -lpthread -ldl -lm
 *     ./cors 8080 https://app.example.org
 *
 *     curl -i -H 'Origin: https://anywhere.example' http://127.0.0.1:8080/public/greeting
 *     curl -i -H 'Origin: https://app.example.org' http://127.0.0.1:8080/account/me
 *     curl -i -H 'Origin: https://app.example.org' http://127.0.0.1:8080/private
 */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static hasty_app *app; /* global for the signal handler */

static hasty_status greeting(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    return hasty_response_send_json(res, "{\"hello\":\"whoever you are\"}");
}

static hasty_status notes(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    hasty_status status = hasty_response_set_header(res, "X-Total-Count", "2");
    if (status != HASTY_OK)
        return status;
    return hasty_response_send_json(res, "[\"a note\",\"another note\"]");
}

static hasty_status login(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    hasty_cookie lasting = {.size = sizeof lasting, .max_age_s = 400 * 24 * 60 * 60}; /* browsers keep none for longer */
    hasty_status status = hasty_response_set_cookie(res, "name", "Ada", &lasting);
    if (status != HASTY_OK)
        return status;
    return hasty_response_send_status(res, 204);
}

static hasty_status me(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_str name = hasty_request_cookie(req, "name");
    char text[8300];
    snprintf(text, sizeof text, "you are %s", name.data ? name.data : "nobody I know");
    return hasty_response_send_text(res, text);
}

static void on_signal(int number)
{
    (void)number;
    hasty_app_stop(app);
}

int main(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    const char *trusted = argc > 2 ? argv[2] : "https://app.example.org, https://*.example.net";

    hasty_cors open = {.size = sizeof open, .expose = "X-Total-Count"}; /* any origin, and so no cookies */
    hasty_cors trusting = {
        .size = sizeof trusting,
        .origins = trusted,
        .methods = "GET, PUT",
        .headers = "X-Reason",
        .max_age_s = 600,
        .credentials = 1,
    };

    int failed = hasty_app_new(NULL, &app)
              || hasty_app_cors(app, "/public", &open)
              || hasty_app_cors(app, "/account", &trusting)
              || hasty_app_get(app, "/public/greeting", greeting, NULL)
              || hasty_app_any(app, "/public/notes", notes, NULL)
              || hasty_app_put(app, "/account/login", login, NULL)
              || hasty_app_get(app, "/account/me", me, NULL)
              || hasty_app_get(app, "/private", greeting, NULL) /* no policy covers it: other origins cannot read it */
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080);
    if (!failed) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app));
        fflush(stdout);
        failed = hasty_app_run(app) != HASTY_OK;
    }
    if (failed)
        fprintf(stderr, "cors: %s\n", hasty_last_error().data);

    signal(SIGINT, SIG_DFL); /* the app is about to be freed */
    signal(SIGTERM, SIG_DFL);
    hasty_app_free(app);
    return failed;
}
