/* Signals belong to the host: what it ignores, handles, blocks and times goes on as without the library. */
#include "host.h"

#include <sys/time.h>

static pthread_t main_thread;
static _Atomic int alarms, elsewhere, children;

static void count_alarm(int number)
{
    (void)number;
    if (++alarms > 1000 * CHECK_SECONDS_PER_TEST)
        check_on_alarm(number); /* whose place this has taken */
    elsewhere += !pthread_equal(pthread_self(), main_thread);
}

static void reap(int number)
{
    (void)number;
    int kept = errno;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        children++;
    errno = kept;
}

/* SIGALRM every millisecond instead of this test kit's own at the end of a test's time; `on` 0 gives that back. */
static void alarm_all_the_time(int on, int flags)
{
    static struct sigaction old;
    struct sigaction action = {.sa_handler = count_alarm, .sa_flags = flags};
    struct itimerval every = {{0, on ? 1000 : 0}, {0, on ? 1000 : 0}};
    if (on) {
        alarms = elsewhere = 0;
        main_thread = pthread_self();
        alarm(0);
        sigaction(SIGALRM, &action, &old);
    }
    setitimer(ITIMER_REAL, &every, NULL);
    if (!on) {
        signal(SIGALRM, SIG_IGN); /* one may still be on its way */
        check_pause_ms(5);
        sigaction(SIGALRM, &old, NULL);
        alarm(check_valgrind() ? CHECK_SECONDS_WHEN_SLOW : CHECK_SECONDS_PER_TEST);
    }
}

/* A client in a thread of its own, which stops the app when it has what it wanted. Signals are not for it. */
typedef struct asker {
    pthread_t thread;
    hasty_app *app;
    int times;
    _Atomic int done;
} asker;

static void *asks(void *data)
{
    asker *a = data;
    char *big = check_repeat("0123456789", 20000);
    client c = client_open(hasty_app_port(a->app));
    for (int i = 0; i < a->times; i++) {
        CHECK_REPLY(client_ask(&c, QUICK), 200, "fine");
        CHECK_REPLY(client_ask(&c, request_text("POST", "/echo", NULL, big)), 200, big);
    }
    client_close(&c);
    a->done = 1;
    hasty_app_stop(a->app);
    return NULL;
}

static void start_asker(asker *a, hasty_app *app, int times)
{
    *a = (asker){.app = app, .times = times};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    CHECK(pthread_create(&a->thread, NULL, asks, a) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

HANDLER(echo)
{
    hasty_str body = hasty_request_body(req);
    check_pause_ms(1); /* long enough for an alarm */
    return hasty_response_send(res, body.data, body.len);
}

static hasty_app *echoing(uint32_t threads)
{
    hasty_app *app = new_app(threads);
    CHECK_OK(hasty_app_post(app, "/echo", echo, NULL));
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    return app;
}

/* ---- dispositions and masks ---- */

TEST(what_the_host_ignores_handles_and_blocks_stays_so)
{
    static const int numbers[] = {SIGPIPE, SIGCHLD, SIGALRM, SIGINT, SIGTERM, SIGHUP, SIGSEGV, SIGUSR1};
    enum { COUNT = sizeof numbers / sizeof numbers[0] };
    for (int way = 0; way < 3; way++) { /* the default; ignored; handled */
        struct sigaction old[COUNT], own = {.sa_handler = way == 0 ? SIG_DFL : way == 1 ? SIG_IGN : count_alarm, .sa_flags = way == 2 ? SA_RESTART : 0};
        sigset_t blocked, before;
        static signals during;
        for (int i = 0; i < COUNT; i++)
            if (numbers[i] != SIGALRM && !(CHECK_SANITIZED && numbers[i] == SIGSEGV))
                sigaction(numbers[i], &own, &old[i]);
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR2);
        sigaddset(&blocked, SIGWINCH);
        pthread_sigmask(SIG_BLOCK, &blocked, &before);
        note_signals(&during);

        hasty_app *app = echoing(way == 1 ? HASTY_NONE : 0);
        CHECK_SIGNALS(&during);
        asker a;
        start_asker(&a, app, 3);
        CHECK_OK(hasty_app_run(app));
        CHECK_SIGNALS(&during);
        pthread_join(a.thread, NULL);
        hasty_app_free(app);
        CHECK_SIGNALS(&during);

        pthread_sigmask(SIG_SETMASK, &before, NULL);
        for (int i = 0; i < COUNT; i++)
            if (numbers[i] != SIGALRM && !(CHECK_SANITIZED && numbers[i] == SIGSEGV))
                sigaction(numbers[i], &old[i], NULL);
    }
}

static signals in_main;

HANDLER(looks_at_its_mask)
{
    CHECK(pthread_equal(pthread_self(), main_thread));
    CHECK_SIGNALS(&in_main);
    return hasty_response_send_text(res, "fine");
}

TEST(a_thread_of_the_hosts_keeps_its_mask_in_handlers)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", looks_at_its_mask, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/", "dispatch", "caller"));
    main_thread = pthread_self();
    note_signals(&in_main);
    client c = client_open(check_serve(app));
    client_send(&c, QUICK);
    uint32_t served = 0;
    CHECK_OK(hasty_app_poll(app, 1, 10000, &served));
    CHECK_REPLY(client_read(&c), 200, "fine");
    CHECK_SIGNALS(&in_main);
    client_close(&c);
    hasty_app_free(app);
}

/* A thread's blocked signals, as the kernel has them. */
static unsigned long long blocked_in(const char *task)
{
    char line[256];
    unsigned long long blocked = 0;
    FILE *status = fopen(check_format("/proc/self/task/%s/status", task), "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "SigBlk: %llx", &blocked);
    if (status != NULL)
        fclose(status);
    return blocked;
}

TEST(the_librarys_threads_block_every_signal)
{
    if (check_valgrind())
        SKIP("under valgrind the kernel sees valgrind's masks");
    hasty_app *app = echoing(5);
    CHECK_OK(hasty_app_start(app));
    CHECK_REPLY(get(hasty_app_port(app), "/"), 200, "fine");
    int looked = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *task; dir != NULL && (task = readdir(dir)) != NULL;) {
        if (task->d_name[0] == '.' || atoi(task->d_name) == getpid())
            continue;
        looked++;
        for (int number = 1; number < 65; number++) /* nobody can block two of them; two are the C library's own */
            if (number != SIGKILL && number != SIGSTOP && number != 32 && number != 33 && !(blocked_in(task->d_name) >> (number - 1) & 1))
                check_fail(__FILE__, __LINE__, "thread %s does not block signal %d", task->d_name, number);
    }
    if (dir != NULL)
        closedir(dir);
    CHECK(looked >= 5);
    hasty_app_free(app);
}

/* ---- alarms all the time ---- */

TEST(alarms_in_the_main_thread_disturb_neither_run_nor_wait)
{
    static const int flags[] = {0, SA_RESTART}; /* without, each system call may end with EINTR */
    for (int i = 0; i < 6; i++) {
        hasty_app *app = echoing(i < 2 ? HASTY_NONE : i < 4 ? 1 : 0);
        asker a;
        start_asker(&a, app, check_small() ? 5 : 50);
        alarm_all_the_time(1, flags[i % 2]);
        hasty_status status = i < 4 ? hasty_app_run(app) : hasty_app_start(app);
        if (i >= 4)
            status = hasty_app_wait(app, -1);
        alarm_all_the_time(0, 0);
        CHECK_STATUS(status, HASTY_OK);
        pthread_join(a.thread, NULL);
        CHECK(alarms > 0);
        CHECK_INT(elsewhere, 0);
        hasty_app_free(app);
    }
}

TEST(alarms_in_the_main_thread_do_not_disturb_poll)
{
    for (int i = 0; i < 2; i++) {
        hasty_app *app = echoing(i == 0 ? 0 : HASTY_NONE);
        CHECK_OK(hasty_app_set_route_option(app, "GET", "/", "dispatch", "caller"));
        CHECK_OK(hasty_app_set_route_option(app, "POST", "/echo", "dispatch", "caller"));
        CHECK_OK(hasty_app_start(app));
        asker a;
        start_asker(&a, app, check_small() ? 5 : 50);
        alarm_all_the_time(1, 0);
        uint32_t sum = 0, served;
        hasty_status status;
        do {
            served = 0;
            status = hasty_app_poll(app, 4, 10000, &served);
            sum += served;
        } while (status == HASTY_OK || status == HASTY_ERR_TIMEOUT);
        alarm_all_the_time(0, 0);
        CHECK_STATUS(status, HASTY_ERR_CLOSED);
        CHECK_INT(sum, 2 * a.times);
        pthread_join(a.thread, NULL);
        CHECK(a.done && alarms > 0);
        hasty_app_free(app);
    }
}

TEST(time_goes_on_for_poll_however_many_alarms_there_are)
{
    hasty_app *app = echoing(0);
    CHECK_OK(hasty_app_start(app));
    uint32_t served = 0;
    alarm_all_the_time(1, 0);
    int64_t begin = check_now_ms();
    hasty_status status = hasty_app_poll(app, 1, 200, &served);
    int64_t took = check_now_ms() - begin;
    hasty_status waited = hasty_app_wait(app, 200);
    int64_t both = check_now_ms() - begin;
    alarm_all_the_time(0, 0);
    CHECK_STATUS(status, HASTY_ERR_TIMEOUT);
    CHECK_STATUS(waited, HASTY_ERR_TIMEOUT);
    CHECK(took >= 195 && took < 10000);
    CHECK(both >= 390 && both < 20000);
    hasty_app_free(app);
}

/* ---- children and pipes ---- */

TEST(the_hosts_children_are_the_hosts)
{
    struct sigaction action = {.sa_handler = reap, .sa_flags = SA_RESTART}, old;
    sigaction(SIGCHLD, &action, &old);
    children = 0;
    hasty_app *app = echoing(0);
    CHECK_OK(hasty_app_start(app));
    int count = check_small() ? 3 : 20;
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0)
            wait_to_be_killed();
        CHECK_REPLY(get(hasty_app_port(app), "/"), 200, "fine");
        kill(child, SIGKILL);
        CHECK(AWAIT(children == i + 1));
    }
    hasty_app_free(app);
    CHECK_INT(children, count);
    sigaction(SIGCHLD, &old, NULL);
}

HANDLER(sends_much)
{
    static char much[4 << 20];
    return hasty_response_send_owned(res, much, sizeof much, NULL, NULL);
}

HANDLER(streams_much)
{
    static char much[65536];
    hasty_status status = HASTY_OK;
    for (int i = 0; i < 200 && status == HASTY_OK; i++)
        status = hasty_response_write(res, much, sizeof much);
    return status;
}

/* SIGPIPE at its default would end the process; handled, it must not come. */
TEST(clients_that_leave_are_no_signal_on_any_thread)
{
    for (int way = 0; way < 2; way++) {
        struct sigaction action = {.sa_handler = way == 0 ? SIG_DFL : count_alarm}, old;
        alarms = 0;
        sigaction(SIGPIPE, &action, &old);
        hasty_app *app = echoing(way == 0 ? 0 : HASTY_NONE);
        CHECK_OK(hasty_app_get(app, "/much", sends_much, NULL));
        CHECK_OK(hasty_app_get(app, "/stream", streams_much, NULL));
        runner r;
        start_runner(&r, app);
        for (int i = 0; i < 8; i++) {
            client c = client_open(hasty_app_port(app));
            client_send(&c, request_text("GET", i % 2 ? "/much" : "/stream", NULL, NULL));
            if (i % 3)
                client_more(&c, check_now_ms() + 5000);
            if (i % 4 < 2)
                client_reset(&c);
            else
                client_close(&c);
        }
        CHECK_REPLY(get(hasty_app_port(app), "/"), 200, "fine");
        hasty_app_stop(app);
        join_runner(&r);
        hasty_app_free(app);
        CHECK_INT(alarms, 0);
        sigaction(SIGPIPE, &old, NULL);
    }
}

CHECK_MAIN
