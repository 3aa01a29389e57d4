/* JSON in, JSON out, and helpful errors: a malformed body is answered 400 with line and column. */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#pragma GCC diagnostic ignored "-Wunused-parameter" /* not every handler needs all of its arguments */
#define HANDLER(name) static hasty_status name(const hasty_request *req, hasty_response *res, void *user_data)

HANDLER(user)
{
    if (strcmp(hasty_request_param(req, "id").data, "7") == 0)
        return hasty_response_send_json(res, "{\"id\":7,\"name\":\"Ada\",\"languages\":[\"en\",\"fr\"]}");
    return hasty_response_set_status(res, 404), hasty_response_send_json(res, "{\"error\":\"no such user\"}");
}
static hasty_status malformed(hasty_response *res)
{
    return hasty_response_set_status(res, 400), hasty_response_send_text(res, hasty_last_error().data);
}
HANDLER(echo)
{
    const hasty_json *value; /* borrowed: valid until the request ends */
    return hasty_request_json(req, &value) ? malformed(res) : hasty_response_send_json_value(res, value);
}
HANDLER(sum)
{
    const hasty_json *body;
    int64_t total = 0, number;
    if (hasty_request_json(req, &body))
        return malformed(res);
    const hasty_json *numbers = hasty_json_get(body, "numbers"); /* NULL if it is absent, and then not an array */
    int good = hasty_json_kind(numbers) == HASTY_JSON_ARRAY;
    for (size_t i = 0; good && i < hasty_json_len(numbers); i++)
        good = !hasty_json_as_int(hasty_json_at(numbers, i), &number) && !__builtin_add_overflow(total, number, &total);
    if (!good)
        return hasty_response_set_status(res, 422),
               hasty_response_send_json(res, "{\"error\":\"numbers must be an array of integers\"}");
    hasty_json *answer = hasty_json_new_object(); /* ours to free; it owns what is set into it */
    hasty_json_set(answer, "count", hasty_json_new_int((int64_t)hasty_json_len(numbers)));
    hasty_json_set(answer, "sum", hasty_json_new_int(total));
    hasty_status status = hasty_response_send_json_value(res, answer);
    return hasty_json_free(answer), status;
}
static hasty_app *app;
static void on_signal(int number) { hasty_app_stop(app); }

int main(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal);
    int failed = hasty_app_new(NULL, &app) || hasty_app_get(app, "/users/:id", user, NULL)
              || hasty_app_post(app, "/echo", echo, NULL) || hasty_app_post(app, "/sum", sum, NULL)
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080)
              || (printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app)), fflush(stdout)) || hasty_app_run(app);
    if (failed)
        fprintf(stderr, "json: %s\n", hasty_last_error().data);
    signal(SIGINT, SIG_DFL), signal(SIGTERM, SIG_DFL); /* the app is about to be freed */
    return hasty_app_free(app), failed;
}
