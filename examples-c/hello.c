/* The smallest complete server: an app, a parameter in a path, a clean shutdown.
 *
 *     cc -I include examples-c/hello.c -o hello target/release/libhasty.a -lpthread -ldl -lm
 *     ./hello 8080
 *
 *     curl http://127.0.0.1:8080/
 *     curl http://127.0.0.1:8080/hello/Ada
 */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static hasty_app *app; /* global for the signal handler */

static hasty_status hello(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    return hasty_response_send_text(res, user_data);
}

static hasty_status hello_name(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    char text[8300]; /* a target has at most 8192 bytes */
    snprintf(text, sizeof text, "Hello, %s!", hasty_request_param(req, "name").data);
    return hasty_response_send_text(res, text);
}

static void on_log(int32_t level, const hasty_str *message, void *user_data)
{
    (void)user_data;
    if (level <= HASTY_LOG_WARN)
        fprintf(stderr, "%s\n", message->data);
}

static void on_signal(int number)
{
    (void)number;
    hasty_app_stop(app); /* allowed in a signal handler; hasty_app_run() then returns */
}

int main(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");

    /* Each call returns HASTY_OK, which is 0, or says why it failed; the first failure ends the chain. */
    int failed = hasty_app_new(NULL, &app)
              || hasty_app_on_log(app, on_log, NULL, NULL)
              || hasty_app_get(app, "/", hello, "Hello, World!")
              || hasty_app_get(app, "/hello/:name", hello_name, NULL)
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080);
    if (!failed) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app));
        fflush(stdout); /* a pipe would otherwise hold the line back */
        failed = hasty_app_run(app) != HASTY_OK;
    }
    if (failed)
        fprintf(stderr, "hello: %s\n", hasty_last_error().data);

    signal(SIGINT, SIG_DFL); /* the app is about to be freed */
    signal(SIGTERM, SIG_DFL);
    hasty_app_free(app);
    return failed;
}
