/* A folder of files: index, listing, types, caching, conditions and ranges come with one call; a download with another.
 *
 *     ./static 8080 examples-c/public
 */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#pragma GCC diagnostic ignored "-Wunused-parameter" /* not every handler needs all of its arguments */
#define HANDLER(name) static hasty_status name(const hasty_request *req, hasty_response *res, void *user_data)

static hasty_app *app;

/* The program chooses this path. Paths that clients choose are for hasty_app_static(), which never leaves its folder. */
HANDLER(report) { return hasty_response_send_download(res, user_data, "Résumé of letters.txt"); }

static void on_signal(int number) { hasty_app_stop(app); }

int main(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT"), *folder = argc > 2 ? argv[2] : "examples-c/public";
    hasty_static options = {.size = sizeof options, .cache_control = "max-age=60", .list = 1};
    hasty_static assets = {.size = sizeof assets, .cache_control = "max-age=31536000, immutable"};
    hasty_static one_page = {.size = sizeof one_page, .fallback = "index.html"}; /* its script does the routing */
    char file[4096];
    snprintf(file, sizeof file, "%s/notes/alpha.txt", folder);
    signal(SIGINT, on_signal), signal(SIGTERM, on_signal);
    int failed = hasty_app_new(NULL, &app)
              || hasty_app_static(app, "/", folder, &options)
              || hasty_app_static(app, "/assets", folder, &assets)
              || hasty_app_static(app, "/app", folder, &one_page)
              || hasty_app_get(app, "/report", report, file) /* a route of its own wins over the folder at "/" */
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080)
              || (printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app)), fflush(stdout)) || hasty_app_run(app);
    if (failed)
        fprintf(stderr, "static: %s\n", hasty_last_error().data);
    signal(SIGINT, SIG_DFL), signal(SIGTERM, SIG_DFL); /* the app is about to be freed */
    return hasty_app_free(app), failed;
}
