/* libh2o with its own event loop: handlers in process, one loop a thread, all on one port. */
#define H2O_USE_EPOLL 1
#define H2O_USE_LIBUV 0
#include "server.h"
#include <h2o.h>

#define TEXT "text/plain; charset=utf-8"
#define HANDLER(name) static int name(h2o_handler_t *self, h2o_req_t *req)
#pragma GCC diagnostic ignored "-Wunused-parameter"

static h2o_globalconf_t config;
static int port;

struct loop {
    h2o_context_t context;
    h2o_accept_ctx_t accept;
};

static int answer(h2o_req_t *req, const char *type, const char *bytes, size_t len)
{
    static h2o_generator_t nothing_more;
    h2o_iovec_t body = h2o_iovec_init(bytes, len);
    req->res.status = 200;
    req->res.reason = "OK";
    req->res.content_length = len;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, type, strlen(type));
    h2o_start_response(req, &nothing_more);
    h2o_send(req, &body, 1, H2O_SEND_STATE_FINAL);
    return 0;
}

HANDLER(hello) { return req->path_normalized.len == 1 ? answer(req, TEXT, H2O_STRLIT(HELLO)) : -1; }
HANDLER(json) { return answer(req, "application/json", H2O_STRLIT(JSON)); }
HANDLER(user) { return answer(req, TEXT, req->path_normalized.base + 7, req->path_normalized.len - 7); }
HANDLER(echo) { return answer(req, "application/octet-stream", req->entity.base, req->entity.len); }
HANDLER(nap) { return usleep(SLEEP_US), answer(req, TEXT, H2O_STRLIT(SLEPT)); }

static void accepted(h2o_socket_t *listener, const char *error)
{
    struct loop *loop = listener->data;
    h2o_socket_t *socket;
    while (!error && (socket = h2o_evloop_socket_accept(listener)))
        h2o_accept(&loop->accept, socket);
}

static void *run(void *descriptor)
{
    struct loop *loop = calloc(1, sizeof *loop);
    h2o_context_init(&loop->context, h2o_evloop_create(), &config);
    loop->accept = (h2o_accept_ctx_t){.ctx = &loop->context, .hosts = config.hosts};
    int fd = descriptor ? *(int *)descriptor : listen_on(&port);
    h2o_socket_t *listener = h2o_evloop_socket_create(loop->context.loop, fd, H2O_SOCKET_FLAG_DONT_READ);
    listener->data = loop;
    h2o_socket_read_start(listener, accepted);
    for (;;)
        h2o_evloop_run(loop->context.loop, INT32_MAX);
    return NULL;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        int (*handler)(h2o_handler_t *, h2o_req_t *);
    } routes[] = {{"/json", json}, {"/users/", user}, {"/echo", echo}, {"/sleep", nap}, {"/", hello}};
    if (argc < 2)
        return 2;
    int first = listen_on(&port), threads = threads_wanted(argv[1]);
    pthread_t thread;
    h2o_config_init(&config);
    config.http1.req_timeout = 3600 * 1000; /* it is the idle time-out too */
    h2o_hostconf_t *host = h2o_config_register_host(&config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    /* Before "/", since the first that matches is taken. */
    if (getenv("BENCH_FILES"))
        h2o_file_register(h2o_config_register_path(host, "/files", 0), getenv("BENCH_FILES"), NULL, NULL, 0);
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        h2o_create_handler(h2o_config_register_path(host, routes[i].path, 0), sizeof(h2o_handler_t))->on_req = routes[i].handler;
    announce(port);
    for (int i = 1; i < threads; i++)
        if (pthread_create(&thread, NULL, run, NULL))
            fail("pthread_create");
    run(&first);
}
