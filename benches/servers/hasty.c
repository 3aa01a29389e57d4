/* hasty, as a program in C uses it: public functions, default options. */
#include "server.h"
#include <hasty.h>

#define HANDLER(name) static hasty_status name(const hasty_request *req, hasty_response *res, void *user_data)
#pragma GCC diagnostic ignored "-Wunused-parameter"

HANDLER(hello) { return hasty_response_send_text(res, HELLO); }
HANDLER(json) { return hasty_response_send_json(res, JSON); }
HANDLER(user) { return hasty_response_send_text(res, hasty_request_param(req, "id").data); }
HANDLER(nap) { return usleep(SLEEP_US), hasty_response_send_text(res, SLEPT); }
HANDLER(echo)
{
    hasty_str body = hasty_request_body(req);
    return hasty_response_send(res, body.data, body.len);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    hasty_app *app;
    const char *files = getenv("BENCH_FILES");
    hasty_options options = {.size = sizeof options, .threads = (uint32_t)atoi(argv[1])};
    if (hasty_app_new(&options, &app) || hasty_app_get(app, "/", hello, NULL) || hasty_app_get(app, "/json", json, NULL)
        || hasty_app_get(app, "/users/:id", user, NULL) || hasty_app_post(app, "/echo", echo, NULL)
        || hasty_app_get(app, "/sleep", nap, NULL) || (files && hasty_app_static(app, "/files", files, NULL))
        || hasty_app_listen(app, NULL, 0) || hasty_app_start(app)) {
        fprintf(stderr, "hasty: %s\n", hasty_last_error().data);
        return 1;
    }
    announce(hasty_app_port(app));
    return hasty_app_wait(app, -1);
}
