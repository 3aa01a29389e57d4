/* A form with files: fields and files of a multipart body, saved under names of our own, and given back.
 *
 *     ./upload 8080 uploads
 *
 * It shuts down gracefully: uploads in progress when SIGTERM arrives are received completely, and answered.
 */
#define _POSIX_C_SOURCE 200809L /* for sigwait() and sigprocmask() */
#include <hasty.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#pragma GCC diagnostic ignored "-Wunused-parameter" /* not every handler needs all of its arguments */
#define HANDLER(name) static hasty_status name(const hasty_request *req, hasty_response *res, void *user_data)
#define STRING(str) hasty_json_new_string((str).data, (str).len)

static const char *folder = "uploads", page[] =
    "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Upload</title>\n"
    "<form method=\"post\" action=\"/upload\" enctype=\"multipart/form-data\">\n<p><input name=\"title\" placeholder=\"A title\">\n"
    "<p><input type=\"file\" name=\"files\" multiple>\n<p><button>Upload</button>\n</form>\n";
static atomic_int latest; /* handlers run in parallel */
static hasty_app *app;

HANDLER(form) { return hasty_response_send_html(res, page); }
HANDLER(upload)
{
    if (hasty_request_form_status(req)) /* malformed; without this check the library answers 400 itself */
        return hasty_response_set_status(res, 400), hasty_response_send_text(res, hasty_last_error().data);
    hasty_json *answer = hasty_json_new_object(), *files = hasty_json_new_array();
    hasty_file file = {.size = sizeof file};
    hasty_status status = HASTY_OK;
    for (size_t i = 0; !status && !hasty_request_file_at(req, i, &file); i++) {
        char path[4096]; /* a file name is client input: it may be shown, but never used as a path */
        int number = ++latest;
        snprintf(path, sizeof path, "%s/%d", folder, number);
        status = hasty_request_save_file(req, i, path); /* a copy; the temporary file is removed with the request */
        hasty_json *one = hasty_json_new_object();
        hasty_json_set(one, "name", STRING(file.filename)), hasty_json_set(one, "type", STRING(file.content_type));
        hasty_json_set(one, "bytes", hasty_json_new_int((int64_t)file.length));
        hasty_json_set(one, "saved", hasty_json_new_int(number)), hasty_json_push(files, one);
    }
    hasty_json_set(answer, "title", STRING(hasty_request_form(req, "title"))), hasty_json_set(answer, "files", files);
    status = status ? status : hasty_response_send_json_value(res, answer);
    return hasty_json_free(answer), status;
}

int main(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    mkdir(folder = argc > 2 ? argv[2] : folder, 0700); /* it may exist already */
    sigset_t ends;
    int number;
    sigemptyset(&ends), sigaddset(&ends, SIGINT), sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL); /* from here on only sigwait() receives them */
    int failed = hasty_app_new(NULL, &app) || hasty_app_get(app, "/", form, NULL) || hasty_app_post(app, "/upload", upload, NULL)
              || hasty_app_set_route_option(app, "POST", "/upload", "max_body_bytes", "104857600") /* 100 MiB */
              || hasty_app_static(app, "/saved", folder, NULL) || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080)
              || (printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app)), fflush(stdout)) || hasty_app_start(app);
    if (failed)
        fprintf(stderr, "upload: %s\n", hasty_last_error().data);
    else if (sigwait(&ends, &number) == 0)
        hasty_app_drain(app, 10000); /* refuses new connections; requests in progress have ten seconds */
    return hasty_app_free(app), failed;
}
