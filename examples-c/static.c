/* A folder of files: index, listing, types, caching, conditions and ranges come with one call; a download with another.
 *
 *     cc -I include examples-c/static.c -o static target/release/libhasty.a -lpthread -ldl -lm
 *     ./static 8080 examples-c/public
 *
 *     curl http://127.0.0.1:8080/notes/
 *     curl -i -H 'Range: bytes=2-5' http://127.0.0.1:8080/notes/alpha.txt
 *     curl -OJ http://127.0.0.1:8080/report
 */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static hasty_app *app; /* global for the signal handler */

/* The program chooses this path. Paths that clients choose are for hasty_app_static(), which never leaves its folder. */
static hasty_status report(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    const char *path = user_data;
    return hasty_response_send_download(res, path, "Résumé of letters.txt");
}

static void on_signal(int number)
{
    (void)number;
    hasty_app_stop(app);
}

int main(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    const char *folder = argc > 2 ? argv[2] : "examples-c/public";

    hasty_static listed = {.size = sizeof listed, .cache_control = "max-age=60", .list = 1};
    hasty_static assets = {.size = sizeof assets, .cache_control = "max-age=31536000, immutable"};
    hasty_static one_page = {.size = sizeof one_page, .fallback = "index.html"}; /* its script does the routing */
    char report_path[4096];
    snprintf(report_path, sizeof report_path, "%s/notes/alpha.txt", folder);

    int failed = hasty_app_new(NULL, &app)
              || hasty_app_static(app, "/", folder, &listed)
              || hasty_app_static(app, "/assets", folder, &assets)
              || hasty_app_static(app, "/app", folder, &one_page)
              || hasty_app_get(app, "/report", report, report_path) /* a route of its own wins over the folder at "/" */
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080);
    if (!failed) {
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app));
        fflush(stdout);
        failed = hasty_app_run(app) != HASTY_OK;
    }
    if (failed)
        fprintf(stderr, "static: %s\n", hasty_last_error().data);

    signal(SIGINT, SIG_DFL); /* the app is about to be freed */
    signal(SIGTERM, SIG_DFL);
    hasty_app_free(app);
    return failed;
}
