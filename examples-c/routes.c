/* Every kind of pattern, and what a request carries: query, form, cookies; a redirect; automatic 404 and 405.
 *
 *     cc -I include examples-c/routes.c -o routes target/release/libhasty.a -lpthread -ldl -lm
 *     ./routes 8080
 *
 *     curl http://127.0.0.1:8080/users/7/posts/42
 *     curl 'http://127.0.0.1:8080/search?q=fast+http&tag=c'
 *     curl -d 'name=Ada&city=London' http://127.0.0.1:8080/greet
 *     curl -i -H 'Cookie: visits=41' http://127.0.0.1:8080/visits
 */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_SIZE = 32768 }; /* longer answers are cut */

static hasty_app *app; /* global for the signal handler */

static hasty_status user(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "user %s", hasty_request_param(req, "id").data);
    return hasty_response_send_text(res, text);
}

/* The last argument of hasty_app_get() arrives as `user_data`. */
static hasty_status me(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    return hasty_response_send_text(res, user_data);
}

static hasty_status post(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_str id = hasty_request_param(req, "id");
    hasty_str number = hasty_request_param(req, "post");
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "post %s by user %s", number.data, id.data);
    return hasty_response_send_text(res, text);
}

/* A catch-all takes the rest of the path, slashes included. */
static hasty_status file(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "file %s", hasty_request_param(req, "*").data);
    return hasty_response_send_text(res, text);
}

static hasty_status search(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    if (hasty_request_query_count(req) == 0)
        return hasty_response_send_text(res, "nothing to look for");

    char text[TEXT_SIZE];
    size_t used = 0;
    hasty_str name;
    hasty_str value;
    for (size_t i = 0; hasty_request_query_at(req, i, &name, &value) == HASTY_OK; i++) {
        const char *line_break = i > 0 ? "\n" : "";
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s = %s", line_break, name.data, value.data);
        if (used >= sizeof text)
            break; /* snprintf() returns what it would have written: the text is full */
    }
    return hasty_response_send_text(res, text);
}

static hasty_status greet(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_str name = hasty_request_form(req, "name");
    hasty_str city = hasty_request_form(req, "city");
    if (name.data == NULL || city.data == NULL) { /* absent is NULL, empty is not */
        hasty_response_set_status(res, 400);
        return hasty_response_send_text(res, "name and city, please");
    }
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "%s from %s", name.data, city.data);
    return hasty_response_send_text(res, text);
}

static hasty_status visits(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    hasty_str before = hasty_request_cookie(req, "visits");
    int count = before.data ? atoi(before.data) : 0;
    if (count < 0 || count > 999999)
        count = 0; /* a cookie is client input: it may hold anything */
    count++;

    char value[16];
    snprintf(value, sizeof value, "%d", count);
    hasty_status status = hasty_response_set_cookie(res, "visits", value, NULL);
    if (status != HASTY_OK)
        return status; /* the answer becomes a 500, and the log says why */

    char text[32];
    snprintf(text, sizeof text, "visit %d", count);
    return hasty_response_send_text(res, text);
}

static hasty_status home(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    return hasty_response_send_redirect(res, 302, "/users/me");
}

static hasty_status echo(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "%s %s", hasty_request_method(req).data, hasty_request_path(req).data);
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

    int failed = hasty_app_new(NULL, &app)
              || hasty_app_get(app, "/users/:id", user, NULL)
              || hasty_app_get(app, "/users/me", me, "yourself") /* fixed text wins over a parameter */
              || hasty_app_get(app, "/users/:id/posts/:post", post, NULL)
              || hasty_app_get(app, "/files/*", file, NULL)
              || hasty_app_get(app, "/search", search, NULL)
              || hasty_app_post(app, "/greet", greet, NULL)
              || hasty_app_get(app, "/visits", visits, NULL)
              || hasty_app_get(app, "/home", home, NULL)
              || hasty_app_any(app, "/echo", echo, NULL) /* whatever the method */
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080);
    if (!failed) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app));
        fflush(stdout);
        failed = hasty_app_run(app) != HASTY_OK;
    }
    if (failed)
        fprintf(stderr, "routes: %s\n", hasty_last_error().data);

    signal(SIGINT, SIG_DFL); /* the app is about to be freed */
    signal(SIGTERM, SIG_DFL);
    hasty_app_free(app);
    return failed;
}
