/* The floor: what the kernel takes for this traffic, whoever serves it. No HTTP server.
 *
 * An epoll loop that counts bytes: as often as the length of one request came in, it sends one recorded answer.
 * It parses nothing, looks at nothing and handles no error, so that no server can be cheaper on sockets and epoll.
 *
 *     floor THREADS REQUEST_FILE ANSWER_FILE [close]
 *
 * It has one thread whatever THREADS says: it is the measure for those that have more.
 */
#include "server.h"
#include <sys/epoll.h>

enum { EVENTS = 256, BATCH = 64 };

struct connection {
    int fd;
    size_t received; /* of a request that is not whole yet */
};

static char *answers; /* BATCH times the answer */
static size_t answer_len, request_len;
static int closes;

static char *content(const char *path, size_t *len, size_t copies)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) || (*len = (size_t)ftell(file)) == 0)
        fail(path);
    char *bytes = malloc(*len * copies);
    rewind(file);
    if (!bytes || fread(bytes, 1, *len, file) != *len)
        fail(path);
    for (size_t i = 1; i < copies; i++)
        memcpy(bytes + i * *len, bytes, *len);
    fclose(file);
    return bytes;
}

static void end(struct connection *c)
{
    close(c->fd);
    free(c);
}

/* What one event asks for; 0 when the connection is to be closed. */
static int serve(struct connection *c)
{
    static char input[65536];
    ssize_t n = recv(c->fd, input, sizeof input, 0);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    c->received += (size_t)n;
    size_t due = c->received / request_len;
    c->received %= request_len;
    for (size_t now; due; due -= now) {
        now = due < BATCH ? due : BATCH;
        if (send(c->fd, answers, now * answer_len, MSG_NOSIGNAL) != (ssize_t)(now * answer_len))
            return 0;
        if (closes)
            return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    free(content(argv[2], &request_len, 1));
    answers = content(argv[3], &answer_len, BATCH);
    closes = argc > 4;
    int port = 0, listener = listen_on(&port), epoll = epoll_create1(EPOLL_CLOEXEC), one = 1;
    /* So that a new connection has its request with it, and one that closes need never enter the epoll. */
    setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof one);
    struct epoll_event event = {.events = EPOLLIN}, events[EVENTS];
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event))
        fail("epoll");
    announce(port);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            if (c) {
                if (!serve(c))
                    end(c);
                continue;
            }
            for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
                c = malloc(sizeof *c);
                *c = (struct connection){.fd = fd};
                event = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
                if (!serve(c) || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
                    end(c);
            }
        }
    }
}
