/* A form with files: fields and files of a multipart body, saved under names of our own, and given back.
 *
 *     cc -I include examples-c/upload.c -o upload target/release/libhasty.a -lpthread -ldl -lm
 *     ./upload 8080 uploads
 *
 *     curl -F title=Letters -F files=@examples-c/public/notes/alpha.txt http://127.0.0.1:8080/upload
 *     curl http://127.0.0.1:8080/saved/1
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

static const char page[] =
    "<!doctype html>\n"
    "<meta charset=\"utf-8\">\n"
    "<title>Upload</title>\n"
    "<form method=\"post\" action=\"/upload\" enctype=\"multipart/form-data\">\n"
    "<p><input name=\"title\" placeholder=\"A title\">\n"
    "<p><input type=\"file\" name=\"files\" multiple>\n"
    "<p><button>Upload</button>\n"
    "</form>\n";

static const char *folder = "uploads";
static atomic_int latest; /* the number of the latest file; atomic, for handlers run in parallel */

static hasty_status form(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)req;
    (void)user_data;
    return hasty_response_send_html(res, page);
}

static hasty_json *json_of(hasty_str text)
{
    return hasty_json_new_string(text.data, text.len);
}

static hasty_json *describe(const hasty_file *file, int number)
{
    hasty_json *about = hasty_json_new_object();
    hasty_json_set(about, "name", json_of(file->filename));
    hasty_json_set(about, "type", json_of(file->content_type));
    hasty_json_set(about, "bytes", hasty_json_new_int((int64_t)file->length));
    hasty_json_set(about, "saved", hasty_json_new_int(number));
    return about;
}

/* Saves all files of the request, and appends what they are to `list`. */
static hasty_status save_files(const hasty_request *req, hasty_json *list)
{
    hasty_file file = {.size = sizeof file};
    for (size_t i = 0; hasty_request_file_at(req, i, &file) == HASTY_OK; i++) {
        /* A file name is client input: it may be shown, but never used as a path. */
        int number = atomic_fetch_add(&latest, 1) + 1;
        char path[4096];
        snprintf(path, sizeof path, "%s/%d", folder, number);
        hasty_status status = hasty_request_save_file(req, i, path); /* a copy: the temporary file goes with the request */
        if (status != HASTY_OK)
            return status;
        hasty_json_push(list, describe(&file, number));
    }
    return HASTY_OK;
}

static hasty_status upload(const hasty_request *req, hasty_response *res, void *user_data)
{
    (void)user_data;
    if (hasty_request_form_status(req) != HASTY_OK) { /* malformed; without this check the library answers 400 itself */
        hasty_response_set_status(res, 400);
        return hasty_response_send_text(res, hasty_last_error().data);
    }

    hasty_json *answer = hasty_json_new_object();
    hasty_json *files = hasty_json_new_array();
    hasty_status status = save_files(req, files);
    hasty_json_set(answer, "title", json_of(hasty_request_form(req, "title")));
    hasty_json_set(answer, "files", files); /* `answer` owns it from here on */
    if (status == HASTY_OK)
        status = hasty_response_send_json_value(res, answer);
    hasty_json_free(answer);
    return status;
}

int main(int argc, char **argv)
{
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    if (argc > 2)
        folder = argv[2];
    mkdir(folder, 0700); /* it may exist already; if it cannot be made, hasty_app_static() says so */

    /* Blocked before any thread starts, so in all of them: only sigwait() below receives these two. */
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);

    hasty_app *app;
    int failed = hasty_app_new(NULL, &app)
              || hasty_app_get(app, "/", form, NULL)
              || hasty_app_post(app, "/upload", upload, NULL)
              || hasty_app_set_route_option(app, "POST", "/upload", "max_body_bytes", "104857600") /* 100 MiB */
              || hasty_app_static(app, "/saved", folder, NULL)
              || hasty_app_listen(app, "127.0.0.1", port ? atoi(port) : 8080)
              || hasty_app_start(app);
    if (failed) {
        fprintf(stderr, "upload: %s\n", hasty_last_error().data);
    } else {
        printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app));
        fflush(stdout);
        int number;
        sigwait(&ends, &number);
        hasty_app_drain(app, 10000); /* refuses new connections; requests in progress have ten seconds */
    }
    hasty_app_free(app);
    return failed;
}
