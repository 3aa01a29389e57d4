/* What the C servers of this benchmark share.
 *
 * SERVER THREADS: serves on a free port of 127.0.0.1, prints the port, and ends by SIGTERM.
 * THREADS 0 is the server's own default; where it has none, it is hasty's: two for each processor, at least 8. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELLO "Hello, World!"
#define JSON "{\"message\":\"Hello, World!\"}"
#define SLEPT "slept"
#define SLEEP_US 10000

static inline void fail(const char *what)
{
    perror(what);
    exit(1);
}

static inline int threads_wanted(const char *argument)
{
    int threads = atoi(argument), processors = (int)sysconf(_SC_NPROCESSORS_CONF);
    return threads ? threads : processors * 2 > 8 ? processors * 2 : 8;
}

static inline void announce(int port)
{
    printf("%d\n", port);
    fflush(stdout);
}

/* A socket that listens on *port; 0 is replaced by the port that it got, so that a second call joins the first. */
static inline int listen_on(int *port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    signal(SIGPIPE, SIG_IGN); /* a client that leaves early ends servers that write to it; hasty needs no such help */
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* inherited by what is accepted */
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096) || getsockname(fd, (struct sockaddr *)&at, &size))
        fail("listen");
    *port = ntohs(at.sin_port);
    return fd;
}

#endif
