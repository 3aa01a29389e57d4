/* Every kind of pattern, and what a request carries: query, form, cookies; a redirect; automatic 404 and 405. */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#pragma GCC diagnostic ignored "-Wunused-parameter" /* not every handler needs all of its arguments */
#define HANDLER(name) static hasty_status name(const hasty_request *req, hasty_response *res, void *user_data)
#define PARAM(name) hasty_request_param(req, name).data
#define SAY(...) (snprintf(text, sizeof text, __VA_ARGS__), hasty_response_send_text(res, text))

static _Thread_local char text[32768]; /* handlers run in parallel; what is sent is copied; what is longer is cut */
static hasty_app *app;

HANDLER(user) { return SAY("user %s", PARAM("id")); }
HANDLER(me) { return SAY("%s", (char *)user_data); }
HANDLER(post) { return SAY("post %s by user %s", PARAM("post"), PARAM("id")); }
HANDLER(file) { return SAY("file %s", PARAM("*")); }
HANDLER(home) { return hasty_response_send_redirect(res, 302, "/users/me"); }
HANDLER(echo) { return SAY("%s %s", hasty_request_method(req).data, hasty_request_path(req).data); }
HANDLER(search)
{
    hasty_str name, value;
    size_t used = (size_t)snprintf(text, sizeof text, hasty_request_query_count(req) ? "" : "nothing to look for");
    for (size_t i = 0; used < sizeof text && hasty_request_query_at(req, i, &name, &value) == HASTY_OK; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s = %s", i ? "\n" : "", name.data, value.data);
    return hasty_response_send_text(res, text);
}
HANDLER(greet)
{
    hasty_str name = hasty_request_form(req, "name"), city = hasty_request_form(req, "city");
    if (name.data && city.data) /* absent is NULL, empty is not */
        return SAY("%s from %s", name.data, city.data);
    return hasty_response_set_status(res, 400), SAY("name and city, please");
}
HANDLER(visits)
{
    hasty_str before = hasty_request_cookie(req, "visits");
    snprintf(text, sizeof text, "%d", before.data ? atoi(before.data) + 1 : 1);
    hasty_response_set_cookie(res, "visits", text, NULL); /* if it fails, the answer becomes a 500 */
    return SAY("visit %d", atoi(text));
}
static void on_signal(int number) { hasty_app_stop(app); }

int main(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal);
    int failed = hasty_app_new(NULL, &app)
              || hasty_app_get(app, "/users/:id", user, NULL) || hasty_app_get(app, "/users/me", me, "yourself")
              || hasty_app_get(app, "/users/:id/posts/:post", post, NULL) || hasty_app_get(app, "/files/*", file, NULL)
              || hasty_app_get(app, "/search", search, NULL) || hasty_app_post(app, "/greet", greet, NULL)
              || hasty_app_get(app, "/visits", visits, NULL) || hasty_app_get(app, "/home", home, NULL)
              || hasty_app_any(app, "/echo", echo, NULL) || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080)
              || (printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app)), fflush(stdout)) || hasty_app_run(app);
    if (failed)
        fprintf(stderr, "routes: %s\n", hasty_last_error().data);
    signal(SIGINT, SIG_DFL), signal(SIGTERM, SIG_DFL); /* the app is about to be freed */
    return hasty_app_free(app), failed;
}
