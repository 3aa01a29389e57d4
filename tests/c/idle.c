/* What ten thousand idle keep-alive connections cost. The clients are a process of their own, since one process may
 * not have enough descriptors for both ends. */
#include "client.h"

#include <sys/resource.h>
#include <sys/wait.h>

enum { BYTES_EACH = 512, SAMPLE = 97 };

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

static long resident_bytes(void)
{
    long kib = 0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "VmRSS: %ld kB", &kib);
    if (status != NULL)
        fclose(status);
    return kib * 1024;
}

/* Raises the limit as far as it goes, and tells how far that is. */
static long descriptors(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max == RLIM_INFINITY ? 1000000 : (long)limit.rlim_max;
}

/* ---- the process of the clients: told what to do by one byte, answers with one ---- */

static const char one_request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/* One request and its answer, without memory of its own: 1 when the answer was 200. */
static int ask_on(int fd)
{
    char answer[1024];
    size_t len = 0;
    if (send(fd, one_request, sizeof one_request - 1, MSG_NOSIGNAL) != sizeof one_request - 1)
        return 0;
    while (len < sizeof answer - 1) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        ssize_t got = poll(&one, 1, 20000) > 0 ? recv(fd, answer + len, sizeof answer - 1 - len, 0) : 0;
        if (got <= 0)
            return 0;
        len += (size_t)got;
        answer[len] = '\0';
        if (strstr(answer, "\r\n\r\nfine") != NULL)
            return strncmp(answer, "HTTP/1.1 200 ", 13) == 0;
    }
    return 0;
}

/* Opens connections until there are `wanted`, each with one request answered. */
static int open_until(int *fds, int have, int wanted, int port)
{
    for (; have < wanted; have++) {
        client c = client_open(port);
        fds[have] = c.fd;
        if (c.fd < 0 || !ask_on(c.fd))
            return 0;
    }
    return 1;
}

static void be_the_clients(int commands, int answers, int warm, int all)
{
    int port = 0, good = 1, have = 0;
    int *fds = calloc((size_t)all, sizeof *fds);
    char command;
    good &= read(commands, &port, sizeof port) == sizeof port;
    while (read(commands, &command, 1) == 1) {
        if (command == 'w')
            good &= open_until(fds, have, warm, port), have = warm;
        if (command == 'a')
            good &= open_until(fds, have, all, port), have = all;
        if (command == 'c') /* are they all still there? */
            for (int i = 0; i < have; i += SAMPLE)
                good &= ask_on(fds[i]);
        char answer = good ? 'y' : 'n';
        if (write(answers, &answer, 1) != 1)
            break;
    }
    free(fds);
    _exit(0);
}

static int tell(int commands, int answers, char command)
{
    char answer = 'n';
    return write(commands, &command, 1) == 1 && read(answers, &answer, 1) == 1 && answer == 'y';
}

TEST(an_idle_connection_costs_less_than_512_bytes)
{
    int warm = 500, count = check_small() || CHECK_SANITIZED ? 500 : 10000;
    if (descriptors() < warm + count + 200)
        SKIP(check_format("the descriptor limit of %ld is too low", descriptors()));
    int commands[2], answers[2], port;
    REQUIRE(pipe(commands) == 0 && pipe(answers) == 0);
    pid_t clients = fork(); /* before the library has made any thread */
    REQUIRE(clients >= 0);
    if (clients == 0) {
        close(commands[1]);
        close(answers[0]);
        be_the_clients(commands[0], answers[1], warm, warm + count);
    }
    close(commands[0]);
    close(answers[1]);

    hasty_options options = {.size = sizeof options, .idle_timeout_ms = 600000};
    hasty_app *app = check_app(&options);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    port = check_serve(app);
    CHECK(write(commands[1], &port, sizeof port) == sizeof port);

    CHECK(tell(commands[1], answers[0], 'w'));
    long before = resident_bytes();
    CHECK(tell(commands[1], answers[0], 'a'));
    long each = (resident_bytes() - before) / count;
    CHECK(tell(commands[1], answers[0], 'c'));
    printf("# %ld bytes for each of %d connections\n", each, count);
    if (!check_valgrind() && !CHECK_SANITIZED && !check_small() && each >= BYTES_EACH)
        check_fail(__FILE__, __LINE__, "an idle connection costs %ld bytes", each);

    close(commands[1]);
    close(answers[0]);
    int status = -1;
    CHECK(waitpid(clients, &status, 0) == clients && status == 0);
    hasty_app_free(app);
}

CHECK_MAIN
