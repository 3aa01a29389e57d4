/* Server-sent events: what hasty_response_write_event writes, read as a browser does. */
#include "client.h"

/* The handler waits at the gate, so that the test can look at what has been sent until then. */
static _Atomic int gate_open, handler_done;

static hasty_app *serve(hasty_handler handler, int *port)
{
    gate_open = handler_done = 0;
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", handler, NULL));
    *port = check_serve(app);
    return app;
}

typedef struct event {
    char *name, *id, *data; /* NULL where there was no such field; name and id as last given */
    int comments;
} event;

/* The next event as a browser reads it; the stream is one chunk after another. */
static event next_event(client *c, char **rest)
{
    event e = {0};
    for (;;) {
        char *end = strchr(*rest, '\n');
        if (end == NULL) {
            char *more = client_read_chunk(c);
            if (more == NULL || *more == '\0')
                return e;
            *rest = check_format("%s%s", *rest, more);
            continue;
        }
        char *line = check_keep(strndup(*rest, (size_t)(end - *rest)));
        *rest = end + 1;
        CHECK(strchr(line, '\r') == NULL);
        char *value = strchr(line, ':');
        if (*line == '\0') {
            if (e.data != NULL || e.comments > 0)
                return e;
            continue;
        }
        if (value == line) {
            e.comments++;
            continue;
        }
        if (value != NULL)
            *value++ = '\0';
        value = value == NULL ? "" : *value == ' ' ? value + 1 : value;
        if (strcmp(line, "event") == 0)
            e.name = value;
        else if (strcmp(line, "id") == 0)
            e.id = value;
        else if (strcmp(line, "data") == 0)
            e.data = e.data ? check_format("%s\n%s", e.data, value) : value;
        else
            check_fail(__FILE__, __LINE__, "a line \"%s\" in an event", line);
    }
}

HANDLER(writes_events)
{
    CHECK_OK(hasty_response_write_event(res, NULL, "plain", NULL));
    AWAIT(gate_open);
    CHECK_OK(hasty_response_write_event(res, "named", "x", "7"));
    CHECK_OK(hasty_response_write_event(res, NULL, "one\ntwo\r\nthree\rfour\n", NULL));
    CHECK_OK(hasty_response_write_event(res, NULL, " spaced: x", ""));
    CHECK_OK(hasty_response_write_event(res, NULL, "", NULL));
    CHECK_OK(hasty_response_write_event(res, NULL, NULL, NULL));
    CHECK_OK(hasty_response_write_event(res, "caf\xc3\xa9", "id: 1\nevent: no", "\xe2\x82\xac"));
    return HASTY_OK;
}

#define CHECK_EVENT(e, name_, data_, id_)                                                                              \
    do {                                                                                                               \
        event is = (e);                                                                                                \
        CHECK_TEXT(is.name ? is.name : "-", (name_) ? (name_) : "-");                                                  \
        CHECK_TEXT(is.data ? is.data : "-", data_);                                                                    \
        CHECK_TEXT(is.id ? is.id : "-", (id_) ? (id_) : "-");                                                          \
    } while (0)

TEST(events_are_as_a_browser_reads_them)
{
    int port;
    hasty_app *app = serve(writes_events, &port);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/", "Accept: text/event-stream\r\n", NULL));
    reply head = client_read_head(&c);
    CHECK_INT(head.status, 200);
    CHECK_CONTAINS(reply_header(&head, "Content-Type"), "text/event-stream");
    char *rest = "";
    CHECK_EVENT(next_event(&c, &rest), NULL, "plain", NULL); /* it is not held back */
    CHECK_INT(gate_open, 0);
    gate_open = 1;
    CHECK_EVENT(next_event(&c, &rest), "named", "x", "7");
    CHECK_EVENT(next_event(&c, &rest), NULL, "one\ntwo\nthree\nfour\n", NULL);
    CHECK_EVENT(next_event(&c, &rest), NULL, " spaced: x", "");
    CHECK_EVENT(next_event(&c, &rest), NULL, "", NULL);
    event ping = next_event(&c, &rest);
    CHECK(ping.comments == 1 && ping.data == NULL && ping.name == NULL);
    CHECK_EVENT(next_event(&c, &rest), "caf\xc3\xa9", "id: 1\nevent: no", "\xe2\x82\xac");
    CHECK_TEXT(rest, "");
    client_close(&c);
    hasty_app_free(app);
}

HANDLER(injects)
{
    CHECK_STATUS(hasty_response_write_event(res, "a\ndata: b", "x", NULL), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_response_write_event(res, "a\rb", "x", NULL), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_response_write_event(res, NULL, "x", "1\n"), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_response_write_event(res, NULL, "x", "1\r"), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_response_write_event(NULL, NULL, "x", NULL), HASTY_ERR_NULL);
    handler_done = 1;
    return hasty_response_write_event(res, NULL, "good", NULL);
}

TEST(line_ends_in_event_and_id_are_refused)
{
    int port;
    hasty_app *app = serve(injects, &port);
    client c = client_open(port);
    client_send(&c, request_text("GET", "/", NULL, NULL));
    CHECK(AWAIT(handler_done));
    CHECK_INT(client_read_head(&c).status, 200);
    char *rest = "";
    CHECK_EVENT(next_event(&c, &rest), NULL, "good", NULL); /* the first that was sent at all */
    client_close(&c);
    hasty_app_free(app);
}

CHECK_MAIN
