/* What a host sees of itself: descriptors, threads, memory, signals, and the other processes that it makes. */
#ifndef HOST_H
#define HOST_H

#include "client.h"

#include <dirent.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

static CHECK_UNUSED hasty_app *new_app(uint32_t threads)
{
    hasty_options options = {.size = sizeof options, .threads = threads};
    hasty_app *app = check_app(&options);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    return app;
}

#define QUICK request_text("GET", "/", NULL, NULL)

static CHECK_UNUSED int is_long(void)
{
    const char *all = getenv("HASTY_TEST_ALL");
    return all != NULL && *all != '\0' && !check_small();
}

/* ---- what it has ---- */

static CHECK_UNUSED int entries(const char *directory)
{
    int count = 0;
    DIR *dir = opendir(directory);
    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count;
}

static CHECK_UNUSED int fd_count(void)
{
    return entries("/proc/self/fd");
}

static CHECK_UNUSED int thread_count(void)
{
    return entries("/proc/self/task");
}

/* Bytes that malloc has given out; 0 where it does not say. */
static CHECK_UNUSED size_t bytes_in_use(void)
{
    if (CHECK_SANITIZED || check_valgrind())
        return 0;
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* What check_keep would free at the end of the test. */
static CHECK_UNUSED void forget_what_is_kept(void)
{
    while (check_kept_count > 0)
        free(check_kept[--check_kept_count]);
}

/* ---- its signals ---- */

typedef struct signals {
    struct sigaction actions[65];
    sigset_t mask;
} signals;

static CHECK_UNUSED void note_signals(signals *s)
{
    memset(s, 0, sizeof *s);
    for (int number = 1; number < 65; number++)
        if (sigaction(number, NULL, &s->actions[number]) < 0)
            s->actions[number].sa_handler = SIG_ERR; /* the few that belong to the C library */
    pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
}

static CHECK_UNUSED void check_signals(const char *file, int line, const signals *before)
{
    static signals now;
    note_signals(&now);
    for (int number = 1; number < 65; number++) {
        const struct sigaction *was = &before->actions[number], *is = &now.actions[number];
        if (was->sa_handler != is->sa_handler || was->sa_flags != is->sa_flags)
            check_fail(file, line, "what signal %d does was changed", number);
        if (sigismember(&before->mask, number) != sigismember(&now.mask, number))
            check_fail(file, line, "whether signal %d is blocked was changed", number);
    }
}

/* Handlers, flags and this thread's mask are as they were. */
#define CHECK_SIGNALS(before) check_signals(__FILE__, __LINE__, before)

/* ---- a thread of it that runs an app ---- */

typedef struct runner {
    pthread_t thread;
    hasty_app *app;
    _Atomic int returned;
    hasty_status status;
} runner;

static CHECK_UNUSED void *runs(void *data)
{
    runner *r = data;
    r->status = hasty_app_run(r->app);
    r->returned = 1;
    return NULL;
}

static CHECK_UNUSED void start_runner(runner *r, hasty_app *app)
{
    *r = (runner){.app = app, .status = -1};
    CHECK(pthread_create(&r->thread, NULL, runs, r) == 0);
}

static CHECK_UNUSED void join_runner(runner *r)
{
    pthread_join(r->thread, NULL);
    CHECK_OK(r->status);
}

/* ---- other processes ---- */

/* How the child ended, within CLIENT_WAIT_MS: its exit code, 1000 + the signal, or -1 for one that hung and was killed. */
static CHECK_UNUSED int end_of_child(pid_t child)
{
    int status;
    for (int64_t end = check_now_ms() + CLIENT_WAIT_MS; check_now_ms() < end; check_pause_ms(1)) {
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return -1;
}

/* Lives on, doing nothing, until the parent ends it: what a child holds of the parent's is not its to let go of. */
static CHECK_UNUSED void wait_to_be_killed(void)
{
    for (;;)
        pause();
}

static CHECK_UNUSED void kill_child(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* Runs `task` in a forked child, whose CHECKs count here. */
static CHECK_UNUSED void in_a_child(const char *file, int line, void (*task)(void *), void *data)
{
    int pipes[2];
    char told[sizeof check_why + 1];
    if (!CHECK(pipe2(pipes, O_CLOEXEC) == 0))
        return;
    pid_t child = fork();
    if (child == 0) {
        task(data);
        int len = snprintf(told, sizeof told, "%s\n", check_why);
        if (write(pipes[1], told, (size_t)len) == len)
            wait_to_be_killed();
        _exit(1);
    }
    close(pipes[1]);
    struct pollfd report = {.fd = pipes[0], .events = POLLIN};
    ssize_t len = poll(&report, 1, CLIENT_WAIT_MS) > 0 ? read(pipes[0], told, sizeof told) : -1;
    close(pipes[0]);
    kill_child(child);
    if (len > 1)
        check_fail(file, line, "in the child: %.*s", (int)len, told);
    else if (len < 1)
        check_fail(file, line, len < 0 ? "the child hangs" : "the child ended without a word");
}

#define IN_A_CHILD(task, data) in_a_child(__FILE__, __LINE__, task, data)

#endif
