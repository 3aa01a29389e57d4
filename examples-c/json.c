/* JSON in, JSON out, and helpful errors: a malformed body is answered 400 with line and column.
 *
 *     cc -I include examples-c/json.c -o json target/release/libhasty.a -lpthread -ldl -lm
 *     ./json 8080
 *
 *     curl http://127.0.0.1:8080/users/7
 *     curl -d '{"numbers": [1, 2, 39]}' http://127.0.0.1:8080/sum
 *     curl -d '{"numbers": [1, 2, oops]}' http://127.0.0.1:8080/sum
 */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hasty_app *app; /* global for the signal handler */

static hasty_status user(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    if (strcmp(hasty_request_param(req, "id").data, "7") != 0) {
        hasty_response_set_status(res, 404);
        return hasty_response_send_json(res, "{\"error\":\"no such user\"}");
    }
    return hasty_response_send_json(res, "{\"id\":7,\"name\":\"Ada\",\"languages\":[\"en\",\"fr\"]}");
}

/* To be called right after hasty_request_json() has failed: the last error says where the text went wrong. */
static hasty_status send_malformed(hasty_response *res)
{
    hasty_response_set_status(res, 400);
    return hasty_response_send_text(res, hasty_last_error().data);
}

static hasty_status echo(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    const hasty_json *value; /* borrowed: valid until the request ends */
    if (hasty_request_json(req, &value) != HASTY_OK)
        return send_malformed(res);
    return hasty_response_send_json_value(res, value);
}

/* Adds up an array of integers. Returns 0 if it is not one, or if the sum does not fit. */
static int add_up(const hasty_json *numbers, int64_t *total)
{
    if (hasty_json_kind(numbers) != HASTY_JSON_ARRAY)
        return 0;
    *total = 0;
    for (size_t i = 0; i < hasty_json_len(numbers); i++) {
        int64_t number;
        if (hasty_json_as_int(hasty_json_at(numbers, i), &number) != HASTY_OK)
            return 0;
        int overflows = number > 0 ? *total > INT64_MAX - number : *total < INT64_MIN - number;
        if (overflows)
            return 0;
        *total += number;
    }
    return 1;
}

static hasty_status sum(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    const hasty_json *body;
    if (hasty_request_json(req, &body) != HASTY_OK)
        return send_malformed(res);

    const hasty_json *numbers = hasty_json_get(body, "numbers"); /* NULL if it is absent, and then not an array */
    int64_t total;
    if (!add_up(numbers, &total)) {
        hasty_response_set_status(res, 422);
        return hasty_response_send_json(res, "{\"error\":\"numbers must be an array of integers\"}");
    }

    hasty_json *answer = hasty_json_new_object(); /* ours to free; it owns what is set into it */
    hasty_json_set(answer, "count", hasty_json_new_int((int64_t)hasty_json_len(numbers)));
    hasty_json_set(answer, "sum", hasty_json_new_int(total));
    hasty_status status = hasty_response_send_json_value(res, answer);
    hasty_json_free(answer);
    return status;
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
              || hasty_app_post(app, "/echo", echo, NULL)
              || hasty_app_post(app, "/sum", sum, NULL)
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080);
    if (!failed) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app));
        fflush(stdout);
        failed = hasty_app_run(app) != HASTY_OK;
    }
    if (failed)
        fprintf(stderr, "json: %s\n", hasty_last_error().data);

    signal(SIGINT, SIG_DFL); /* the app is about to be freed */
    signal(SIGTERM, SIG_DFL);
    hasty_app_free(app);
    return failed;
}
