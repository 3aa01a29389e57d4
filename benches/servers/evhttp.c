/* libevent's evhttp: one event base a thread, all on one port. */
#include "server.h"
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

static int port;

static void answer(struct evhttp_request *request, const char *type, const void *bytes, size_t len)
{
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", type);
    evbuffer_add(evhttp_request_get_output_buffer(request), bytes, len);
    evhttp_send_reply(request, 200, "OK", NULL);
}

static void hello(struct evhttp_request *request, void *unused)
{
    (void)unused;
    answer(request, "text/plain; charset=utf-8", HELLO, strlen(HELLO));
}

static void json(struct evhttp_request *request, void *unused)
{
    (void)unused;
    answer(request, "application/json", JSON, strlen(JSON));
}

static void nap(struct evhttp_request *request, void *unused)
{
    (void)unused;
    usleep(SLEEP_US);
    answer(request, "text/plain; charset=utf-8", SLEPT, strlen(SLEPT));
}

static void echo(struct evhttp_request *request, void *unused)
{
    (void)unused;
    evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "application/octet-stream");
    evbuffer_add_buffer(evhttp_request_get_output_buffer(request), evhttp_request_get_input_buffer(request));
    evhttp_send_reply(request, 200, "OK", NULL);
}

static void other(struct evhttp_request *request, void *unused)
{
    (void)unused;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
    if (strncmp(path, "/users/", 7))
        evhttp_send_error(request, 404, NULL);
    else
        answer(request, "text/plain; charset=utf-8", path + 7, strlen(path + 7));
}

static void *loop(void *listener)
{
    struct event_base *base = event_base_new();
    struct evhttp *http = evhttp_new(base);
    evhttp_set_cb(http, "/", hello, NULL);
    evhttp_set_cb(http, "/json", json, NULL);
    evhttp_set_cb(http, "/sleep", nap, NULL);
    evhttp_set_cb(http, "/echo", echo, NULL);
    evhttp_set_gencb(http, other, NULL);
    if (evhttp_accept_socket(http, listener ? *(int *)listener : listen_on(&port)))
        fail("evhttp_accept_socket");
    event_base_dispatch(base);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    int first = listen_on(&port), threads = threads_wanted(argv[1]);
    pthread_t thread;
    announce(port);
    for (int i = 1; i < threads; i++)
        if (pthread_create(&thread, NULL, loop, NULL))
            fail("pthread_create");
    loop(&first);
}
