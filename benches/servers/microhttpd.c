/* libmicrohttpd: epoll, "turbo"; more threads are its own pool. */
#include "server.h"
#include <microhttpd.h>

struct body {
    size_t len;
    char bytes[65536];
};

static struct MHD_Response *fixed[3];
static const char *const fixed_path[] = {"/", "/json", "/sleep"};
static const char *const fixed_body[] = {HELLO, JSON, SLEPT};
static const char *const fixed_type[] = {"text/plain; charset=utf-8", "application/json", "text/plain; charset=utf-8"};
static int no_body; /* its address tells a request without one */

static enum MHD_Result answer(struct MHD_Connection *connection, const void *bytes, size_t len, const char *type)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, (void *)bytes, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", type);
    enum MHD_Result result = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result handle(void *unused, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *len, void **state)
{
    (void)unused, (void)version;
    if (!*state) { /* the head alone */
        *state = strcmp(method, "POST") ? (void *)&no_body : calloc(1, sizeof(struct body));
        return *state ? MHD_YES : MHD_NO;
    }
    if (*state != &no_body) {
        struct body *body = *state;
        if (*len == 0)
            return answer(connection, body->bytes, body->len, "application/octet-stream");
        if (body->len + *len > sizeof body->bytes)
            return MHD_NO;
        memcpy(body->bytes + body->len, data, *len);
        body->len += *len;
        *len = 0;
        return MHD_YES;
    }
    if (!strncmp(url, "/users/", 7))
        return answer(connection, url + 7, strlen(url + 7), fixed_type[0]);
    for (int i = 0; i < 3; i++)
        if (!strcmp(url, fixed_path[i])) {
            if (i == 2)
                usleep(SLEEP_US);
            return MHD_queue_response(connection, 200, fixed[i]);
        }
    return MHD_NO;
}

static void completed(void *unused, struct MHD_Connection *connection, void **state, enum MHD_RequestTerminationCode why)
{
    (void)unused, (void)connection, (void)why;
    if (*state != &no_body)
        free(*state);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    for (int i = 0; i < 3; i++) {
        fixed[i] = MHD_create_response_from_buffer(strlen(fixed_body[i]), (void *)fixed_body[i], MHD_RESPMEM_PERSISTENT);
        MHD_add_response_header(fixed[i], "Content-Type", fixed_type[i]);
    }
    int threads = threads_wanted(argv[1]), port = 0, socket = listen_on(&port);
    struct MHD_OptionItem more[] = {
        {MHD_OPTION_CONNECTION_LIMIT, 16000, NULL},
        {MHD_OPTION_LISTEN_SOCKET, socket, NULL},
        {threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    if (!MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, NULL, NULL, handle, NULL,
                          MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_ARRAY, more, MHD_OPTION_END))
        return 1;
    announce(port);
    for (;;)
        pause();
}
