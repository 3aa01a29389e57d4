/* What a browser is asked to fetch from another origin: the same handlers below several policies.
 *
 *     origins PORT ORIGINS-OF-LIST ORIGINS-OF-WILD
 */
#include <hasty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define HANDLER(name) static hasty_status name(const hasty_request *req, hasty_response *res, void *user_data)

static hasty_app *app;

/* The requests that were answered, a line each, since the last look. */
static struct {
    mtx_t lock;
    char lines[65536];
    size_t len;
} seen;

static hasty_json *json_of(hasty_str text)
{
    return text.data ? hasty_json_new_string(text.data, text.len) : hasty_json_new_null();
}

HANDLER(answer)
{
    hasty_json *told = hasty_json_new_object();
    hasty_json_set(told, "method", json_of(hasty_request_method(req)));
    hasty_json_set(told, "cookie", json_of(hasty_request_cookie(req, "who")));
    hasty_json_set(told, "reason", json_of(hasty_request_header(req, "X-Reason")));
    hasty_json_set(told, "body", json_of(hasty_request_body(req)));
    hasty_response_set_header(res, "X-Exposed", "for pages");
    hasty_response_set_header(res, "X-Hidden", "not for pages");
    hasty_status status = hasty_response_send_json_value(res, told);
    hasty_json_free(told);
    return status;
}

/* A cache may keep it: whether it then serves one origin with the answer for another is what Vary decides. */
HANDLER(cached)
{
    hasty_response_set_header(res, "Cache-Control", "max-age=600");
    return hasty_response_send_text(res, "kept");
}

HANDLER(set_cookie)
{
    hasty_response_set_cookie(res, "who", "Ada", NULL);
    return hasty_response_send_text(res, "set");
}

HANDLER(fails)
{
    return HASTY_ERR_IO;
}

HANDLER(moved)
{
    char target[64];
    snprintf(target, sizeof target, "%s/answer", (const char *)user_data);
    return hasty_response_send_redirect(res, 307, target);
}

/* The first says who watches, the second that it is over: an EventSource would come again after the end. */
HANDLER(events)
{
    hasty_str cookie = hasty_request_cookie(req, "who");
    if (hasty_response_write_event(res, "who", cookie.data ? cookie.data : "nobody", NULL) != HASTY_OK)
        return HASTY_ERR_CLOSED;
    return hasty_response_write_event(res, "over", "", NULL);
}

HANDLER(look)
{
    mtx_lock(&seen.lock);
    hasty_status status = hasty_response_send(res, seen.lines, seen.len);
    seen.len = 0;
    mtx_unlock(&seen.lock);
    return status;
}

static void on_access(const hasty_access *record, void *user_data)
{
    char line[512];
    int len = snprintf(line, sizeof line, "%s %s %d\n", record->method.data, record->target.data, (int)record->status);
    mtx_lock(&seen.lock);
    if (len > 0 && (size_t)len < sizeof line && seen.len + (size_t)len <= sizeof seen.lines) {
        memcpy(seen.lines + seen.len, line, (size_t)len);
        seen.len += (size_t)len;
    }
    mtx_unlock(&seen.lock);
}

static void on_signal(int number)
{
    hasty_app_stop(app);
}

static int add(const char *prefix, const char *method, const char *name, hasty_handler handler)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "%s/%s", prefix, name);
    return hasty_app_route(app, method, pattern, handler, (void *)prefix, NULL);
}

/* Everything that each policy has below its prefix. */
static int add_routes(const char *prefix)
{
    char small[64], limited[64], files[64];
    snprintf(small, sizeof small, "%s/small", prefix);
    snprintf(limited, sizeof limited, "%s/limited", prefix);
    snprintf(files, sizeof files, "%s/files", prefix);
    return add(prefix, "*", "answer", answer) || add(prefix, "GET", "cached", cached) || add(prefix, "POST", "cookie", set_cookie)
        || add(prefix, "GET", "fails", fails) || add(prefix, "*", "moved", moved) || add(prefix, "GET", "events", events)
        || add(prefix, "POST", "small", answer) || hasty_app_set_route_option(app, "POST", small, "max_body_bytes", "10")
        || add(prefix, "GET", "limited", answer) || hasty_app_rate_limit(app, limited, 1, 1, NULL, NULL, NULL)
        || hasty_app_static(app, files, "examples-c/public/notes", NULL);
}

int main(int argc, char **argv)
{
    if (argc < 4 || mtx_init(&seen.lock, mtx_plain) != thrd_success)
        return 2;
    hasty_cors any = {.size = sizeof any, .expose = "X-Exposed"};
    hasty_cors list = {.size = sizeof list, .origins = argv[2], .methods = "GET, POST, PUT", .headers = "X-Reason, Content-Type",
                       .expose = "X-Exposed", .max_age_s = 600, .credentials = 1};
    hasty_cors wild = {.size = sizeof wild, .origins = argv[3], .max_age_s = HASTY_NONE};
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    int failed = hasty_app_new(NULL, &app) || hasty_app_on_access(app, on_access, NULL, NULL)
              || hasty_app_cors(app, "/any", &any) || hasty_app_cors(app, "/list", &list) || hasty_app_cors(app, "/wild", &wild)
              || add_routes("/any") || add_routes("/list") || add_routes("/wild") || add_routes("/none")
              || hasty_app_get(app, "/seen", look, NULL)
              || hasty_app_listen(app, "127.0.0.1", atoi(argv[1]));
    if (!failed) {
        printf("http://127.0.0.1:%d/\n", (int)hasty_app_port(app));
        fflush(stdout);
        failed = hasty_app_run(app) != HASTY_OK;
    }
    if (failed)
        fprintf(stderr, "origins: %s\n", hasty_last_error().data);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    hasty_app_free(app);
    return failed;
}
