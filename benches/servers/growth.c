/* hasty with as many routes as are asked for, as a program in C uses it: growth THREADS ROUTES.
 *
 * A third of the routes each is literal, has one parameter, and has two. POST /echo gives back what it gets. */
#include "server.h"
#include <hasty.h>

#define HANDLER(name) static hasty_status name(const hasty_request *req, hasty_response *res, void *user_data)
#pragma GCC diagnostic ignored "-Wunused-parameter"

enum { MOST_BODY = 64 << 20 };

HANDLER(hello) { return hasty_response_send_text(res, HELLO); }
HANDLER(echo)
{
    hasty_str body = hasty_request_body(req);
    return hasty_response_send(res, body.data, body.len);
}

/* All of one length, so that what is read is the same however many there are. */
static hasty_status add_routes(hasty_app *app, int routes)
{
    static const char *const ends[] = {"list", ":id", ":id/parts/:part"};
    char pattern[64];
    hasty_status status = HASTY_OK;
    for (int i = 0; i < routes && status == HASTY_OK; i++) {
        snprintf(pattern, sizeof pattern, "/v%d/things%05d/%s", i % 7, i, ends[i % 3]);
        status = hasty_app_get(app, pattern, hello, NULL);
    }
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    hasty_app *app;
    hasty_options options = {.size = sizeof options, .threads = (uint32_t)atoi(argv[1]), .max_body_bytes = MOST_BODY};
    if (hasty_app_new(&options, &app) || hasty_app_get(app, "/", hello, NULL) || hasty_app_post(app, "/echo", echo, NULL)
        || add_routes(app, atoi(argv[2])) || hasty_app_listen(app, NULL, 0) || hasty_app_start(app)) {
        fprintf(stderr, "growth: %s\n", hasty_last_error().data);
        return 1;
    }
    announce(hasty_app_port(app));
    return hasty_app_wait(app, -1);
}
