/* A blocking HTTP client on a raw socket: it sends exactly the bytes it is given and reads answers by their framing.
 *
 * Nothing blocks for ever: each wait ends after CLIENT_WAIT_MS, and is then an answer with status 0 that says why.
 * Memory belongs to the test (check_keep).
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "check.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { CLIENT_WAIT_MS = CHECK_WAIT_MS };

typedef struct client {
    int fd;
    char *input; /* received and not yet read as part of an answer */
    size_t len, room;
    int ended; /* the server closed, or reset, its side */
} client;

typedef struct reply {
    int status; /* 0: no whole answer came, and `problem` says why */
    int minor;
    const char *problem;
    char *head; /* status line and fields, as received, without the empty line */
    char *body;
    size_t body_len;
    int chunked, sized; /* how the body was framed; neither: by the end of the connection, or it has none */
} reply;

/* ---- the socket ---- */

static CHECK_UNUSED client client_take(int fd)
{
    return (client){.fd = fd};
}

static CHECK_UNUSED client client_connect(int family, const void *address, socklen_t len)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, address, len) < 0) {
        close(fd);
        fd = -1;
    }
    if (fd >= 0 && family != AF_UNIX) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return client_take(fd);
}

static CHECK_UNUSED client client_open(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return client_connect(AF_INET, &address, sizeof address);
}

/* From one of the many addresses of the loopback: another client, to the server. */
static CHECK_UNUSED client client_open_from(const char *from, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    inet_pton(AF_INET, from, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        address.sin_port = htons((uint16_t)port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return client_take(fd);
    }
    close(fd);
    return client_take(-1);
}

static CHECK_UNUSED client client_open_v6(int port)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    address.sin6_addr = in6addr_loopback;
    return client_connect(AF_INET6, &address, sizeof address);
}

static CHECK_UNUSED client client_open_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return client_connect(AF_UNIX, &address, sizeof address);
}

static CHECK_UNUSED void client_close(client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    free(c->input);
    c->input = NULL;
    c->len = c->room = 0;
}

/* Is the port closed? To be awaited: a number that was just freed may be given to another program, for a moment. */
static CHECK_UNUSED int client_refused(int port)
{
    client c = client_open(port);
    int refused = c.fd < 0;
    client_close(&c);
    return refused;
}

/* Closes with a reset instead of a FIN. */
static CHECK_UNUSED void client_reset(client *c)
{
    struct linger now = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    client_close(c);
}

static CHECK_UNUSED int client_wait(client *c, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - check_now_ms();
        struct pollfd one = {.fd = c->fd, .events = events};
        int ready = poll(&one, 1, left > 0 ? (int)left : 0);
        if (ready > 0)
            return 1;
        if (ready == 0 || errno != EINTR)
            return 0;
    }
}

/* Sends all of it; 0 when the server would not take it. */
static CHECK_UNUSED int client_send_bytes(client *c, const void *bytes, size_t len)
{
    const char *at = bytes;
    int64_t deadline = check_now_ms() + CLIENT_WAIT_MS;
    while (len > 0) {
        if (c->fd < 0 || !client_wait(c, POLLOUT, deadline))
            return 0;
        ssize_t sent = send(c->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (sent < 0)
            return 0;
        at += sent;
        len -= (size_t)sent;
    }
    return 1;
}

static CHECK_UNUSED int client_send(client *c, const char *text)
{
    return client_send_bytes(c, text, strlen(text));
}

/* Sends it in pieces, each its own segment, so that the server sees every boundary. */
static CHECK_UNUSED int client_send_pieces(client *c, const char *text, size_t piece)
{
    size_t len = strlen(text);
    for (size_t at = 0; at < len; at += piece) {
        if (!client_send_bytes(c, text + at, len - at < piece ? len - at : piece))
            return 0;
        sched_yield();
    }
    return 1;
}

/* Sends until nothing more is taken for `ms`; how much it was, at most `most`. */
static CHECK_UNUSED size_t client_fill(client *c, size_t most, int ms)
{
    static const char filler[65536];
    size_t sent = 0;
    while (sent < most && client_wait(c, POLLOUT, check_now_ms() + ms)) {
        size_t len = most - sent < sizeof filler ? most - sent : sizeof filler;
        ssize_t now = send(c->fd, filler, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (now > 0)
            sent += (size_t)now;
        else if (errno != EAGAIN && errno != EINTR)
            break;
    }
    return sent;
}

/* "I have said all I had to say": a FIN, while answers can still come. */
static CHECK_UNUSED void client_half_close(client *c)
{
    shutdown(c->fd, SHUT_WR);
}

/* Receives some more; 0 at the end of the connection or when the time is up. */
static CHECK_UNUSED int client_more(client *c, int64_t deadline)
{
    while (!c->ended && c->fd >= 0 && client_wait(c, POLLIN, deadline)) {
        if (c->room - c->len < 65536) {
            c->room = c->room ? 2 * c->room : 131072;
            c->input = realloc(c->input, c->room);
            if (c->input == NULL)
                abort();
        }
        ssize_t got = recv(c->fd, c->input + c->len, c->room - c->len - 1, MSG_DONTWAIT);
        if (got > 0) {
            c->len += (size_t)got;
            c->input[c->len] = '\0';
            return 1;
        }
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        c->ended = 1;
    }
    return 0;
}

/* Whether the server closes within `ms` without another byte. */
static CHECK_UNUSED int client_is_closed_within(client *c, int ms)
{
    int64_t deadline = check_now_ms() + ms;
    while (client_more(c, deadline)) {
    }
    return c->ended && c->len == 0;
}

static CHECK_UNUSED int client_is_closed(client *c)
{
    return client_is_closed_within(c, CLIENT_WAIT_MS);
}

/* Everything until the server closes, as one string; NULL when it does not. */
static CHECK_UNUSED char *client_read_all(client *c)
{
    int64_t deadline = check_now_ms() + CLIENT_WAIT_MS;
    while (client_more(c, deadline)) {
    }
    if (!c->ended)
        return NULL;
    char *text = check_keep(malloc(c->len + 1));
    if (c->len > 0)
        memcpy(text, c->input, c->len);
    text[c->len] = '\0';
    c->len = 0;
    return text;
}

/* ---- answers ---- */

/* The value of the `nth` field called `name`, or NULL. */
static CHECK_UNUSED char *reply_header_nth(const reply *r, const char *name, int nth)
{
    size_t len = strlen(name);
    for (const char *line = r->head ? strstr(r->head, "\r\n") : NULL; line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, len) != 0 || line[len] != ':' || nth-- > 0)
            continue;
        const char *value = line + len + 1 + strspn(line + len + 1, " \t");
        return check_keep(strndup(value, strcspn(value, "\r")));
    }
    return NULL;
}

static CHECK_UNUSED char *reply_header(const reply *r, const char *name)
{
    return reply_header_nth(r, name, 0);
}

/* Whether a comma-separated field holds `member`, compared without case. */
static CHECK_UNUSED int reply_lists(const reply *r, const char *name, const char *member)
{
    for (int nth = 0;; nth++) {
        const char *value = reply_header_nth(r, name, nth);
        if (value == NULL)
            return 0;
        while (*value != '\0') {
            value += strspn(value, " \t,");
            size_t len = strcspn(value, ",");
            size_t used = len;
            while (used > 0 && (value[used - 1] == ' ' || value[used - 1] == '\t'))
                used--;
            if (used == strlen(member) && strncasecmp(value, member, used) == 0)
                return 1;
            value += len;
        }
    }
}

static CHECK_UNUSED void client_skip(client *c, size_t len)
{
    if (len == 0)
        return;
    c->len -= len;
    memmove(c->input, c->input + len, c->len);
    c->input[c->len] = '\0';
}

static CHECK_UNUSED reply client_no_reply(client *c, const char *problem)
{
    char *seen = check_keep(malloc(c->len + 1));
    if (c->len > 0)
        memcpy(seen, c->input, c->len);
    seen[c->len] = '\0';
    return (reply){.problem = problem, .body = seen, .body_len = c->len};
}

/* Walks the chunks of the input to `*end` and adds up their length; copies them where `into` is not NULL.
 * 0 when more input is needed, -1 when they are wrong. */
static CHECK_UNUSED int client_chunks(client *c, char *into, size_t *len, size_t *end)
{
    size_t at = 0;
    *len = 0;
    for (;;) {
        char *line = c->input + at, *stop = memmem(line, c->len - at, "\r\n", 2);
        if (stop == NULL)
            return 0;
        char *after;
        size_t size = strtoul(line, &after, 16);
        if (after == line)
            return -1;
        at = (size_t)(stop + 2 - c->input);
        if (size == 0)
            break;
        if (c->len - at < size + 2)
            return 0;
        if (into != NULL)
            memcpy(into + *len, c->input + at, size);
        *len += size;
        at += size;
        if (memcmp(c->input + at, "\r\n", 2) != 0)
            return -1;
        at += 2;
    }
    for (;;) { /* trailers, up to the empty line */
        char *stop = memmem(c->input + at, c->len - at, "\r\n", 2);
        if (stop == NULL)
            return 0;
        size_t line_len = (size_t)(stop - c->input) - at;
        at += line_len + 2;
        if (line_len == 0)
            break;
    }
    *end = at;
    return 1;
}

/* Reads the head of an answer; what follows it stays in the input. */
static CHECK_UNUSED reply client_read_head(client *c)
{
    int64_t deadline = check_now_ms() + CLIENT_WAIT_MS;
    char *blank;
    while ((blank = c->len > 0 ? memmem(c->input, c->len, "\r\n\r\n", 4) : NULL) == NULL)
        if (!client_more(c, deadline))
            return client_no_reply(c, c->fd < 0  ? "there is no connection"
                                      : c->ended ? "closed before the head was whole"
                                                 : "no head came in time");
    reply r = {0};
    size_t head_len = (size_t)(blank - c->input);
    r.head = check_keep(strndup(c->input, head_len));
    if (sscanf(r.head, "HTTP/1.%1d %3d", &r.minor, &r.status) != 2)
        return client_no_reply(c, "the status line is malformed");
    r.sized = reply_header(&r, "Content-Length") != NULL;
    r.chunked = reply_lists(&r, "Transfer-Encoding", "chunked");
    r.body = check_keep(calloc(1, 1));
    client_skip(c, head_len + 4);
    return r;
}

/* Reads the next chunk as text, "" for the last one; NULL when it is cut short or malformed. */
static CHECK_UNUSED char *client_read_chunk(client *c)
{
    int64_t deadline = check_now_ms() + CLIENT_WAIT_MS;
    for (;;) {
        char *stop = c->len > 0 ? memmem(c->input, c->len, "\r\n", 2) : NULL, *after;
        if (stop != NULL) {
            size_t size = strtoul(c->input, &after, 16), at = (size_t)(stop + 2 - c->input);
            if (after == c->input)
                return NULL;
            if (c->len - at >= size + 2) {
                char *text = check_keep(strndup(c->input + at, size));
                int whole = memcmp(c->input + at + size, "\r\n", 2) == 0;
                client_skip(c, at + size + 2);
                return whole ? text : NULL;
            }
        }
        if (!client_more(c, deadline))
            return NULL;
    }
}

/* Reads one answer. `method` is that of its request: an answer to HEAD has no body, whatever its head says. */
static CHECK_UNUSED reply client_read_for(client *c, const char *method)
{
    reply r = client_read_head(c);
    int64_t deadline = check_now_ms() + CLIENT_WAIT_MS;
    if (r.status == 0 || strcmp(method, "HEAD") == 0 || r.status < 200 || r.status == 204 || r.status == 304)
        return r;
    if (r.chunked) {
        int whole;
        size_t end = 0;
        while ((whole = client_chunks(c, NULL, &r.body_len, &end)) == 0)
            if (!client_more(c, deadline))
                return client_no_reply(c, "the last chunk did not come");
        if (whole < 0)
            return client_no_reply(c, "a chunk is malformed");
        r.body = check_keep(calloc(1, r.body_len + 1));
        client_chunks(c, r.body, &r.body_len, &end);
        client_skip(c, end);
        return r;
    }
    if (r.sized) {
        r.body_len = strtoul(reply_header(&r, "Content-Length"), NULL, 10);
        while (c->len < r.body_len)
            if (!client_more(c, deadline))
                return client_no_reply(c, "the body is shorter than its Content-Length");
    } else {
        while (client_more(c, deadline)) {
        }
        if (!c->ended)
            return client_no_reply(c, "no length, and the connection stayed open");
        r.body_len = c->len;
    }
    r.body = check_keep(malloc(r.body_len + 1));
    if (r.body_len > 0)
        memcpy(r.body, c->input, r.body_len);
    r.body[r.body_len] = '\0';
    client_skip(c, r.body_len);
    return r;
}

static CHECK_UNUSED reply client_read(client *c)
{
    return client_read_for(c, "GET");
}

/* Sends a request that is whole and reads its answer, on a connection that stays open. */
static CHECK_UNUSED reply client_ask(client *c, const char *request)
{
    client_send(c, request);
    return client_read_for(c, strncmp(request, "HEAD ", 5) == 0 ? "HEAD" : "GET");
}

/* The same on a connection of its own. */
static CHECK_UNUSED reply ask(int port, const char *request)
{
    client c = client_open(port);
    reply r = client_ask(&c, request);
    client_close(&c);
    return r;
}

/* A request with a Host field; `fields` are lines that end in CRLF, `body` gets a Content-Length, both may be NULL. */
static CHECK_UNUSED char *request_text(const char *method, const char *target, const char *fields, const char *body)
{
    if (body == NULL)
        return check_format("%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", method, target, fields ? fields : "");
    return check_format("%s %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s", method, target,
                        fields ? fields : "", strlen(body), body);
}

static CHECK_UNUSED reply ask_method(int port, const char *method, const char *target)
{
    return ask(port, request_text(method, target, NULL, NULL));
}

static CHECK_UNUSED reply get(int port, const char *target)
{
    return ask_method(port, "GET", target);
}

static CHECK_UNUSED reply post(int port, const char *target, const char *type, const char *body)
{
    return ask(port, request_text("POST", target, type ? check_format("Content-Type: %s\r\n", type) : NULL, body));
}

static CHECK_UNUSED int check_reply(const char *file, int line, const char *what, reply r, int status, const char *body)
{
    if (r.status != status)
        return check_fail(file, line, "%s answers %d, not %d (%s%s%s)", what, r.status, status,
                          r.problem ? r.problem : "", r.problem && r.body_len ? ": " : "", r.body ? r.body : "");
    return body == NULL || check_bytes(file, line, what, r.body, r.body_len, body, strlen(body));
}

/* The answer has this status, and this body where it is not NULL. */
#define CHECK_REPLY(reply_, status_, body_) check_reply(__FILE__, __LINE__, #reply_, reply_, status_, body_)
#define CHECK_HEADER(reply_, name_, value_)                                                                            \
    check_text(__FILE__, __LINE__, name_, reply_header(&(reply_), name_), value_)

#endif
