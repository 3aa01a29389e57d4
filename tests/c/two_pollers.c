/* Several threads of the host's in one app: what each of them does for the others, and that none is woken for nothing. */
#include "client.h"

#include <sched.h>
#include <sys/syscall.h>

enum { MOST = 4 };

/* ---- threads, and how they are ---- */

typedef struct poller {
    pthread_t thread;
    hasty_app *app;
    _Atomic pid_t id;
    _Atomic int ended;
    hasty_status status;
} poller;

static void *polls_once(void *data)
{
    poller *p = data;
    uint32_t served = 0;
    p->id = (pid_t)syscall(SYS_gettid);
    p->status = hasty_app_poll(p->app, 1, -1, &served);
    p->ended = 1;
    return NULL;
}

static void *polls_to_the_end(void *data)
{
    poller *p = data;
    uint32_t served = 0;
    p->id = (pid_t)syscall(SYS_gettid);
    while ((p->status = hasty_app_poll(p->app, 8, -1, &served)) == HASTY_OK)
        ;
    p->ended = 1;
    return NULL;
}

static void *runs_to_the_end(void *data)
{
    poller *p = data;
    p->id = (pid_t)syscall(SYS_gettid);
    p->status = hasty_app_run(p->app);
    p->ended = 1;
    return NULL;
}

static void start(poller *p, hasty_app *app, void *(*what)(void *))
{
    *p = (poller){.app = app, .status = -1};
    CHECK(pthread_create(&p->thread, NULL, what, p) == 0);
}

/* How often a thread has gone to sleep; -1 while it does not sleep. */
static long sleeps_of(const poller *p)
{
    char name[64], line[128];
    int sleeps = 0;
    long count = -1;
    snprintf(name, sizeof name, "/proc/self/task/%d/status", (int)p->id);
    FILE *file = fopen(name, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "State:", 6) == 0)
            sleeps = strchr(line, 'S') != NULL && strstr(line, "sleeping") != NULL;
        if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
            count = atol(line + 24);
    }
    if (file != NULL)
        fclose(file);
    return sleeps ? count : -1;
}

/* Until it has slept for a moment: it is where it waits. */
static int sleeps(const poller *p)
{
    long before = -2, now = -1;
    for (int64_t end = check_now_ms() + 10000; check_now_ms() < end && (now < 0 || now != before); now = sleeps_of(p)) {
        before = p->id != 0 ? sleeps_of(p) : -2;
        check_pause_ms(5);
    }
    return now >= 0;
}

/* ---- routes ---- */

static _Atomic int arrived, open_gate;

HANDLER(quick)
{
    return hasty_response_send_text(res, "quick");
}

HANDLER(holds)
{
    arrived++;
    CHECK(AWAIT(open_gate));
    return hasty_response_send_text(res, "held");
}

static hasty_app *new_app(uint32_t threads, const char *tick_us, int *port)
{
    hasty_options options = {.size = sizeof options, .threads = threads};
    hasty_app *app = check_app(&options);
    arrived = open_gate = 0;
    CHECK_OK(hasty_app_set_option(app, "tick_us", tick_us));
    CHECK_OK(hasty_app_get(app, "/quick", quick, NULL));
    CHECK_OK(hasty_app_get(app, "/holds", holds, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/holds", "blocking", "no"));
    CHECK_OK(hasty_app_get(app, "/mine", quick, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/mine", "dispatch", "caller"));
    *port = check_serve(app);
    return app;
}

#define QUICK request_text("GET", "/quick", NULL, NULL)
#define HOLDS request_text("GET", "/holds", NULL, NULL)

/* ---- wakes ---- */

/* As many wakes as wait, `us` microseconds apart. */
static void check_wakes(hasty_app *app, int count, int us)
{
    poller p[MOST];
    for (int i = 0; i < count; i++)
        start(&p[i], app, polls_once);
    for (int i = 0; i < count; i++)
        CHECK(sleeps(&p[i]));
    for (int i = 0; i < count; i++) {
        hasty_app_wake(app);
        for (int64_t waste = 0; waste < us * 50; waste++)
            atomic_signal_fence(memory_order_seq_cst);
    }
    for (int i = 0; i < count; i++)
        if (!CHECK(AWAIT(p[i].ended) && "as many wakes as threads end them all"))
            hasty_app_wake(app);
    for (int i = 0; i < count; i++) {
        pthread_join(p[i].thread, NULL);
        CHECK_STATUS(p[i].status, HASTY_ERR_TIMEOUT);
    }
}

TEST(as_many_wakes_as_threads_that_wait_end_them_all)
{
    static const uint32_t threads[] = {2, HASTY_NONE};
    for (int i = 0; i < 2; i++) {
        int port;
        hasty_app *app = new_app(threads[i], "2000", &port);
        for (int round = 0; round < (check_small() ? 3 : 40); round++)
            check_wakes(app, 2 + round % (MOST - 1), round);
        hasty_app_free(app);
    }
}

TEST(wakes_that_nobody_waits_for_end_one_call)
{
    static const uint32_t threads[] = {2, HASTY_NONE};
    for (int i = 0; i < 2; i++) {
        int port;
        uint32_t served = 7;
        hasty_app *app = new_app(threads[i], "2000", &port);
        hasty_app_wake(app); /* also before anybody ever waited */
        for (int round = 0; round < 3; round++) {
            hasty_app_wake(app);
            hasty_app_wake(app);
            CHECK_STATUS(hasty_app_poll(app, 1, -1, &served), HASTY_ERR_TIMEOUT);
            int64_t begin = check_now_ms();
            CHECK_STATUS(hasty_app_poll(app, 1, 60, &served), HASTY_ERR_TIMEOUT);
            CHECK(check_now_ms() - begin >= 59);
        }
        CHECK_INT(served, 7);
        hasty_app_free(app);
    }
}

/* ---- one does what another is too busy for ---- */

static void stay_on_one_processor(cpu_set_t *before)
{
    cpu_set_t one;
    sched_getaffinity(0, sizeof *before, before);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, before)) {
            CPU_SET(cpu, &one);
            break;
        }
    sched_setaffinity(0, sizeof one, &one);
}

/* Connections that are open, so that their requests are events of one batch. */
static void open_all(client *c, int count, int port)
{
    for (int i = 0; i < count; i++) {
        c[i] = client_open(port);
        CHECK_REPLY(client_ask(&c[i], QUICK), 200, "quick");
    }
}

/* Are all but the first answered before the timer, which looks at everything, would help? */
static int answers_soon(client *c, int count, const char *first)
{
    int64_t begin = check_now_ms();
    for (int i = 0; i < count; i++)
        client_send(&c[i], i == 0 ? first : QUICK);
    for (int i = 1; i < count; i++)
        CHECK_REPLY(client_read(&c[i]), 200, "quick");
    return check_now_ms() - begin < 150;
}

/* The same with a first one that is quick as well: the machine has time for this test. */
static int machine_is_quick(client *c, int count)
{
    int soon = answers_soon(c, count, QUICK);
    CHECK_REPLY(client_read(&c[0]), 200, "quick");
    return soon;
}

/* Is whoever comes behind a handler that takes long answered soon? */
static int answers_behind_soon(client *c, int count)
{
    arrived = open_gate = 0;
    int soon = answers_soon(c, count, HOLDS);
    CHECK(AWAIT(arrived));
    open_gate = 1;
    CHECK_REPLY(client_read(&c[0]), 200, "held");
    return soon;
}

TEST(what_comes_behind_a_handler_that_takes_long_is_another_threads)
{
    static void *(*const others[])(void *) = {polls_to_the_end, runs_to_the_end};
    enum { CLIENTS = 5, ROUNDS = 10, TRIES = 100 };
    for (int other = 0; other < 2; other++) {
        int port, soon = 0, rounds = 0;
        cpu_set_t before;
        client c[CLIENTS];
        poller p[2];
        hasty_app *app = new_app(HASTY_NONE, "2000", &port);
        /* On one processor nobody looks up in the moment in which there are events. */
        stay_on_one_processor(&before);
        start(&p[0], app, others[other]);
        start(&p[1], app, polls_to_the_end);
        open_all(c, CLIENTS, port);
        for (int tried = 0; rounds < ROUNDS && tried < TRIES; tried++) {
            int quick_before = machine_is_quick(c, CLIENTS);
            CHECK(sleeps(&p[0]) && sleeps(&p[1]));
            int behind = answers_behind_soon(c, CLIENTS);
            if (!(quick_before && machine_is_quick(c, CLIENTS)) && !check_valgrind())
                continue; /* this round tells of the machine */
            soon += behind;
            rounds++;
        }
        sched_setaffinity(0, sizeof before, &before);
        if (rounds < ROUNDS)
            check_skip("this machine is too busy to tell");
        else
            CHECK(soon > ROUNDS / 2 || check_valgrind());
        for (int i = 0; i < CLIENTS; i++)
            client_close(&c[i]);
        hasty_app_stop(app);
        for (int i = 0; i < 2; i++)
            pthread_join(p[i].thread, NULL);
        CHECK_STATUS(p[1].status, HASTY_ERR_CLOSED);
        hasty_app_free(app);
    }
}

/* However its neighbour came to be at rest, whoever waits serves others while a handler takes long. */
TEST(one_handler_that_takes_long_holds_up_nobody_while_another_thread_waits)
{
    static void *(*const others[])(void *) = {runs_to_the_end, polls_to_the_end};
    for (int other = 0; other < 2; other++) {
        int port;
        client c[2];
        poller p[2];
        hasty_app *app = new_app(HASTY_NONE, "2000", &port);
        start(&p[0], app, others[other]);
        CHECK(sleeps(&p[0]));
        start(&p[1], app, polls_to_the_end);
        open_all(c, 2, port);
        for (int round = 0; round < (check_small() ? 3 : 10); round++) {
            CHECK(sleeps(&p[0]) && sleeps(&p[1]));
            arrived = open_gate = 0;
            client_send(&c[0], HOLDS);
            CHECK(AWAIT(arrived));
            client_send(&c[1], QUICK);
            if (!CHECK(client_wait(&c[1], POLLIN, check_now_ms() + 10000) && "it is served meanwhile"))
                round = 100;
            open_gate = 1;
            CHECK_REPLY(client_read(&c[0]), 200, "held");
            CHECK_REPLY(client_read(&c[1]), 200, "quick");
        }
        client_close(&c[0]);
        client_close(&c[1]);
        hasty_app_stop(app);
        for (int i = 0; i < 2; i++)
            pthread_join(p[i].thread, NULL);
        hasty_app_free(app);
    }
}

/* ---- and nobody does anything where there is nothing to do ---- */

static void check_rest(void *(*first)(void *), void *(*second)(void *), const char *tick_us)
{
    int port;
    poller p[2];
    hasty_app *app = new_app(HASTY_NONE, tick_us, &port);
    start(&p[0], app, first);
    CHECK(sleeps(&p[0]));
    start(&p[1], app, second);
    CHECK(sleeps(&p[1]));
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, QUICK), 200, "quick");
    CHECK_REPLY(client_ask(&c, request_text("GET", "/mine", NULL, NULL)), 200, "quick");
    client_close(&c);
    CHECK(AWAIT(sleeps(&p[0]) && sleeps(&p[1])));
    long before[2], after[2];
    for (int i = 0; i < 2; i++)
        CHECK(AWAIT((before[i] = sleeps_of(&p[i])) >= 0));
    check_pause_ms(1000);
    for (int i = 0; i < 2; i++) {
        CHECK(AWAIT((after[i] = sleeps_of(&p[i])) >= 0));
        /* The timer may tick for the connection that has just ended; a thread that looks now and then sleeps hundreds of times. */
        CHECK(after[i] - before[i] <= 20);
    }
    hasty_app_stop(app);
    for (int i = 0; i < 2; i++)
        pthread_join(p[i].thread, NULL);
    hasty_app_free(app);
}

TEST(who_waits_beside_a_thread_that_runs_is_not_woken_for_nothing)
{
    check_rest(runs_to_the_end, polls_to_the_end, "2000");
    check_rest(runs_to_the_end, polls_to_the_end, "20");
}

TEST(two_that_wait_do_not_wake_each_other_for_nothing)
{
    check_rest(polls_to_the_end, polls_to_the_end, "2000");
    check_rest(polls_to_the_end, polls_to_the_end, "20");
}

CHECK_MAIN
