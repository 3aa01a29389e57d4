/* The example site: one page that lists routes to try, and the routes. `make run` builds and starts it.
 *
 * The page is at the end of the handlers, in three parts: markup, style, script. Nothing is loaded from elsewhere.
 */
#include <hasty.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#define HANDLER(name) static hasty_status name(const hasty_request *req, hasty_response *res, void *user_data)
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wunused-parameter" /* not every handler needs all of its arguments */
#endif

static hasty_json *json_of(hasty_str text)
{
    return text.data ? hasty_json_new_string(text.data, text.len) : hasty_json_new_null();
}

/* Sends `value` and frees it. */
static hasty_status send_value(hasty_response *res, hasty_json *value)
{
    hasty_status status = hasty_response_send_json_value(res, value);
    hasty_json_free(value);
    return status;
}

/* ---- the routes ---- */

HANDLER(hello)
{
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "hello", json_of(hasty_request_param(req, "name")));
    hasty_json_set(answer, "route", json_of(hasty_request_route(req)));
    return send_value(res, answer);
}

HANDLER(files)
{
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "rest", json_of(hasty_request_param(req, "rest")));
    hasty_json_set(answer, "raw_path", json_of(hasty_request_raw_path(req)));
    return send_value(res, answer);
}

/* Reads one of the lists of a request: its header fields, its query, its cookies or its form. */
typedef hasty_status (*read_at)(const hasty_request *req, size_t index, hasty_str *name, hasty_str *value);

static hasty_json *pairs_of(const hasty_request *req, read_at at)
{
    hasty_json *pairs = hasty_json_new_array();
    hasty_str name, value;
    for (size_t i = 0; at(req, i, &name, &value) == HASTY_OK; i++) {
        hasty_json *pair = hasty_json_new_array();
        hasty_json_push(pair, json_of(name));
        hasty_json_push(pair, json_of(value));
        hasty_json_push(pairs, pair);
    }
    return pairs;
}

HANDLER(search)
{
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "q", json_of(hasty_request_query(req, "q")));
    hasty_json_set(answer, "all", pairs_of(req, hasty_request_query_at));
    return send_value(res, answer);
}

HANDLER(echo)
{
    const hasty_json *value; /* borrowed from the request */
    if (hasty_request_json(req, &value) == HASTY_OK)
        return hasty_response_send_json_value(res, value);
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "error", json_of(hasty_last_error()));
    hasty_response_set_status(res, 400);
    return send_value(res, answer);
}

HANDLER(greet)
{
    hasty_str name = hasty_request_form(req, "name");
    if (name.len == 0) {
        hasty_response_set_status(res, 422);
        return hasty_response_send_json(res, "{\"error\":\"a name, please\"}");
    }
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "greeted", json_of(name));
    hasty_json_set(answer, "form", pairs_of(req, hasty_request_form_at));
    return send_value(res, answer);
}

HANDLER(visits)
{
    hasty_str before = hasty_request_cookie(req, "visits");
    int count = before.data ? atoi(before.data) : 0;
    char text[16];
    snprintf(text, sizeof text, "%d", count < 0 || count > 999999 ? 1 : count + 1);
    hasty_cookie for_a_day = {.size = sizeof for_a_day, .max_age_s = 24 * 60 * 60};
    hasty_response_set_cookie(res, "visits", text, &for_a_day);
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "visits", hasty_json_new_int(atoi(text)));
    return send_value(res, answer);
}

HANDLER(forget)
{
    hasty_response_delete_cookie(res, "visits", NULL);
    return hasty_response_set_status(res, 204);
}

HANDLER(whoami)
{
    hasty_json *answer = hasty_json_new_object();
    hasty_json_set(answer, "address", json_of(hasty_request_remote_address(req)));
    hasty_json_set(answer, "id", json_of(hasty_request_id(req)));
    hasty_json_set(answer, "headers", pairs_of(req, hasty_request_header_at));
    return send_value(res, answer);
}

HANDLER(old)
{
    return hasty_response_send_redirect(res, 302, "/whoami");
}

HANDLER(slow)
{
    struct timespec second = {.tv_sec = 1};
    thrd_sleep(&second, NULL); /* a handler may block: it holds one thread and nobody's connection */
    return hasty_response_send_json(res, "{\"slept\":\"one second, and nobody else had to wait\"}");
}

HANDLER(fail)
{
    return HASTY_ERR_IO; /* anything but OK is logged and answered with 500 */
}

/* ---- the page ---- */

static const char page[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>hasty</title>\n"
    "<link rel=\"icon\" href=\"data:,\">\n"
    "<link rel=\"stylesheet\" href=\"/site.css\">\n"
    "<header>\n"
    "  <h1>hasty<span>an HTTP server inside your program</span></h1>\n"
    "  <p>This page and every route on it are one C file, <code>examples-c/site.c</code>.\n"
    "  Change a target or a body, send it, and read what comes back.</p>\n"
    "</header>\n"
    "<main>\n"
    "  <section id=\"routes\" aria-label=\"Routes to try\"></section>\n"
    "  <aside aria-live=\"polite\">\n"
    "    <h2>Answer</h2>\n"
    "    <p id=\"line\">Nothing sent yet.</p>\n"
    "    <pre id=\"head\"></pre>\n"
    "    <pre id=\"body\"></pre>\n"
    "  </aside>\n"
    "</main>\n"
    "<script src=\"/site.js\"></script>\n"
    "</html>\n";

static const char style[] =
    ":root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6b7c; --line: #dde3ea; --paper: #f6f8fa;\n"
    "  --card: #fff; --accent: #c2410c; --good: #15803d; --warn: #b45309; --bad: #b91c1c; }\n"
    "@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #93a1b3; --line: #2b3542;\n"
    "  --paper: #12171e; --card: #1a212b; --accent: #fb923c; --good: #4ade80; --warn: #fbbf24; --bad: #f87171; } }\n"
    "* { box-sizing: border-box; }\n"
    "body { margin: 0 auto; max-width: 76rem; padding: 2rem 1.25rem 3rem; background: var(--paper);\n"
    "  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }\n"
    "h1 { margin: 0; font-size: 2.25rem; letter-spacing: -.03em; color: var(--accent); }\n"
    "h1 span { margin-left: .75rem; font-size: 1rem; font-weight: 400; letter-spacing: 0; color: var(--soft); }\n"
    "h2 { margin: 0 0 .5rem; font-size: 1rem; }\n"
    "header p { margin: .25rem 0 1.75rem; color: var(--soft); }\n"
    "code, pre, input, textarea, .method { font: 14px/1.5 ui-monospace, monospace; }\n"
    "main { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 1.25rem; align-items: start; }\n"
    "form, aside { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;\n"
    "  padding: .75rem .9rem; }\n"
    "form { display: grid; grid-template-columns: 4.5rem minmax(0, 1fr) auto; gap: .35rem .6rem;\n"
    "  align-items: center; margin-bottom: .6rem; }\n"
    "form p { grid-column: 2 / -1; margin: 0; font-size: .875rem; color: var(--soft); }\n"
    ".method { font-weight: 700; color: var(--accent); }\n"
    "input, textarea { width: 100%; padding: .3rem .5rem; color: inherit; background: var(--paper);\n"
    "  border: 1px solid var(--line); border-radius: .35rem; }\n"
    "textarea { grid-column: 2 / 3; resize: vertical; }\n"
    "button { padding: .35rem .9rem; font: inherit; font-weight: 600; color: var(--card); cursor: pointer;\n"
    "  background: var(--accent); border: 0; border-radius: .35rem; }\n"
    "button:hover { filter: brightness(1.1); }\n"
    ":focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }\n"
    "aside { position: sticky; top: 1rem; }\n"
    "#line { margin: 0 0 .75rem; font-weight: 600; }\n"
    "#line.good { color: var(--good); } #line.warn { color: var(--warn); } #line.bad { color: var(--bad); }\n"
    "pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }\n"
    "#head { color: var(--soft); } #body:not(:empty) { margin-top: .75rem; padding-top: .75rem;\n"
    "  border-top: 1px solid var(--line); max-height: 50vh; overflow: auto; }\n"
    "@media (max-width: 52rem) { main { grid-template-columns: minmax(0, 1fr); }\n"
    "  aside { order: -1; z-index: 1; } #body { max-height: 30vh !important; }\n"
    "  h1 span { display: block; margin: 0; } }\n";

static const char script[] =
    "const form = 'application/x-www-form-urlencoded', json = 'application/json';\n"
    "const routes = [\n"
    "  ['GET', '/hello/Ada%20Lovelace', 'A parameter: its segment, decoded once.'],\n"
    "  ['GET', '/files/docs/a%2Fb.txt', 'A rest of the path. An escaped slash stays inside its segment.'],\n"
    "  ['GET', '/search?q=fast+http&tag=c&tag=python', 'A query: the first value by name, or all of them.'],\n"
    "  ['POST', '/echo', 'JSON there and back; members keep their order.', json,\n"
    "    '{\"name\": \"Ada\", \"languages\": [\"en\", \"fr\"]}'],\n"
    "  ['POST', '/echo', 'JSON that is malformed: 400, with line and column.', json, '{\\n  \"name\": Ada\\n}'],\n"
    "  ['POST', '/greet', 'A form, as a browser sends it.', form, 'name=Ada+Lovelace&city=London'],\n"
    "  ['GET', '/visits', 'A cookie that counts. It is HttpOnly and SameSite=Lax unless you say otherwise.'],\n"
    "  ['DELETE', '/visits', 'The cookie is deleted; 204 has no body.'],\n"
    "  ['GET', '/old', 'A redirect, which your browser follows.'],\n"
    "  ['GET', '/whoami', 'Your request as the handler sees it.'],\n"
    "  ['GET', '/slow', 'A handler that sleeps for a second. Send others meanwhile.'],\n"
    "  ['HEAD', '/whoami', 'Answered from GET, without the body.'],\n"
    "  ['OPTIONS', '/visits', 'Answered from the routes.'],\n"
    "  ['GET', '/nowhere', 'No route: 404.'],\n"
    "  ['PUT', '/visits', 'A path known under other methods: 405, with Allow.'],\n"
    "  ['GET', '/fail', 'A handler that fails: 500, and the connection lives on.'],\n"
    "];\n"
    "const $ = id => document.getElementById(id);\n"
    "const make = (name, more) => Object.assign(document.createElement(name), more);\n"
    "let latest = 0;\n"
    "async function send(method, target, type, text) {\n"
    "  const mine = ++latest, start = performance.now();\n"
    "  $('line').className = ''; $('line').textContent = `${method} ${target} ...`;\n"
    "  $('head').textContent = $('body').textContent = '';\n"
    "  let line, head = '', body = '', kind = 'bad';\n"
    "  try {\n"
    "    const options = text === undefined ? { method } : { method, body: text, headers: { 'Content-Type': type } };\n"
    "    const answer = await fetch(target, options);\n"
    "    body = await answer.text();\n"
    "    const took = (performance.now() - start).toFixed(1);\n"
    "    line = `${answer.status} ${answer.statusText} in ${took} ms`;\n"
    "    if (answer.redirected) line += `, after a redirect to ${new URL(answer.url).pathname}`;\n"
    "    head = [...answer.headers].map(pair => pair.join(': ')).join('\\n');\n"
    "    kind = answer.status < 400 ? 'good' : answer.status < 500 ? 'warn' : 'bad';\n"
    "    try { body = JSON.stringify(JSON.parse(body), null, 2); } catch { /* shown as it is */ }\n"
    "  } catch (error) { line = String(error); }\n"
    "  if (mine !== latest) return;\n"
    "  $('line').textContent = line; $('line').className = kind;\n"
    "  $('head').textContent = head; $('body').textContent = body;\n"
    "}\n"
    "for (const [method, target, about, type, text] of routes) {\n"
    "  const row = make('form'), where = make('input', { value: target, ariaLabel: 'Target', spellcheck: false });\n"
    "  row.append(make('span', { className: 'method', textContent: method }), where,\n"
    "    make('button', { textContent: 'Send' }));\n"
    "  const what = text === undefined ? undefined :\n"
    "    make('textarea', { value: text, ariaLabel: 'Body', rows: text.split('\\n').length, spellcheck: false });\n"
    "  if (what) row.append(what);\n"
    "  row.append(make('p', { textContent: about }));\n"
    "  row.onsubmit = event => { event.preventDefault(); send(method, where.value, type, what?.value); };\n"
    "  $('routes').append(row);\n"
    "}\n"
    "document.querySelector('form').requestSubmit();\n";

typedef struct part {
    const char *type, *text;
    size_t len;
} part;

static part parts[] = {
    {"text/html; charset=utf-8", page, sizeof page - 1},
    {"css", style, sizeof style - 1},
    {"js", script, sizeof script - 1},
};

HANDLER(send_part)
{
    const part *p = user_data;
    hasty_response_set_type(res, p->type);
    hasty_response_set_header(res, "Cache-Control", "no-cache");
    return hasty_response_send_owned(res, p->text, p->len, NULL, NULL); /* it lives as long as the program: no copy */
}

/* ---- the program ---- */

static hasty_app *app;

static void on_signal(int number)
{
    hasty_app_stop(app);
}

static void on_log(int32_t level, const hasty_str *message, void *user_data)
{
    static const char *const names[] = {"", "error", "warning", "info", "debug"};
    if (level <= HASTY_LOG_WARN)
        fprintf(stderr, "%s: %s\n", names[level], message->data);
}

/* The wanted port; without one 8080, or a free one where that is taken. */
static hasty_status listen_on(const char *wanted)
{
    if (wanted != NULL)
        return hasty_app_listen(app, "127.0.0.1", atoi(wanted));
    if (hasty_app_listen(app, "127.0.0.1", 8080) == HASTY_OK)
        return HASTY_OK;
    fprintf(stderr, "%s: taking a free port instead\n", hasty_last_error().data);
    return hasty_app_listen(app, "127.0.0.1", 0);
}

int main(int argc, char **argv)
{
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    int failed = hasty_app_new(NULL, &app)
              || hasty_app_on_log(app, on_log, NULL, NULL)
              || hasty_app_get(app, "/", send_part, &parts[0])
              || hasty_app_get(app, "/site.css", send_part, &parts[1])
              || hasty_app_get(app, "/site.js", send_part, &parts[2])
              || hasty_app_get(app, "/hello/:name", hello, NULL)
              || hasty_app_get(app, "/files/*rest", files, NULL)
              || hasty_app_get(app, "/search", search, NULL)
              || hasty_app_post(app, "/echo", echo, NULL)
              || hasty_app_post(app, "/greet", greet, NULL)
              || hasty_app_get(app, "/visits", visits, NULL)
              || hasty_app_delete(app, "/visits", forget, NULL)
              || hasty_app_get(app, "/old", old, NULL)
              || hasty_app_get(app, "/whoami", whoami, NULL)
              || hasty_app_get(app, "/slow", slow, NULL)
              || hasty_app_get(app, "/fail", fail, NULL)
              || listen_on(argc > 1 ? argv[1] : getenv("PORT"));
    if (!failed) {
        printf("http://127.0.0.1:%" PRId32 "/\n", hasty_app_port(app));
        fflush(stdout);
        failed = hasty_app_run(app) != HASTY_OK;
    }
    if (failed)
        fprintf(stderr, "site: %s\n", hasty_last_error().data);
    signal(SIGINT, SIG_DFL); /* nothing is left to stop */
    signal(SIGTERM, SIG_DFL);
    hasty_app_free(app);
    return failed;
}
