/* The life of an app: listen, start, run, stop, wait, drain, free; and what it leaves of its process. */
#include "client.h"
#include "drainer.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

HANDLER(say)
{
    return hasty_response_send_text(res, user_data);
}

static hasty_app *new_app(uint32_t threads)
{
    hasty_options options = {.size = sizeof options, .threads = threads};
    hasty_app *app = check_app(&options);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    return app;
}

static char *get_text(void)
{
    return request_text("GET", "/", NULL, NULL);
}

static int entries(const char *directory)
{
    int count = 0;
    DIR *dir = opendir(directory);
    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count;
}

static int fd_count(void)
{
    return entries("/proc/self/fd");
}

static int thread_count(void)
{
    return entries("/proc/self/task");
}

/* A thread that runs an app, and what run gave it. */
typedef struct runner {
    pthread_t thread;
    hasty_app *app;
    _Atomic int returned;
    hasty_status status;
} runner;

static void *runs(void *data)
{
    runner *r = data;
    r->status = hasty_app_run(r->app);
    r->returned = 1;
    return NULL;
}

static void start_runner(runner *r, hasty_app *app)
{
    *r = (runner){.app = app, .status = -1};
    CHECK(pthread_create(&r->thread, NULL, runs, r) == 0);
}

static void join_runner(runner *r)
{
    pthread_join(r->thread, NULL);
    CHECK_OK(r->status);
}

/* ---- start, stop, wait, free ---- */

TEST(start_returns_at_once_and_wait_tells_when_it_is_over)
{
    hasty_app *app = new_app(0);
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_STATUS(hasty_app_wait(app, 0), HASTY_ERR_TIMEOUT);
    CHECK_STATUS(hasty_app_wait(app, 20), HASTY_ERR_TIMEOUT);
    hasty_app_stop(app);
    CHECK_OK(hasty_app_wait(app, -1));
    CHECK_OK(hasty_app_wait(app, 0));
    CHECK(AWAIT(client_refused(port)));
    hasty_app_free(app);
}

TEST(stop_may_be_repeated)
{
    hasty_app *app = new_app(0);
    check_serve(app);
    for (int i = 0; i < 100; i++)
        hasty_app_stop(app);
    CHECK_OK(hasty_app_wait(app, 10000));
    hasty_app_stop(app);
    hasty_app_free(app);
}

TEST(an_app_runs_once)
{
    hasty_app *app = new_app(0);
    check_serve(app);
    CHECK_STATUS(hasty_app_start(app), HASTY_ERR_STATE);
    hasty_app_stop(app);
    CHECK_OK(hasty_app_wait(app, 10000));
    CHECK_STATUS(hasty_app_start(app), HASTY_ERR_STATE);
    hasty_app_free(app);
}

TEST(stop_before_run_is_remembered)
{
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    hasty_app_stop(app);
    CHECK_OK(hasty_app_run(app));
    CHECK_OK(hasty_app_wait(app, 10000));
    hasty_app_free(app);
}

TEST(run_after_stop_returns_at_once)
{
    hasty_app *app = new_app(0);
    check_serve(app);
    hasty_app_stop(app);
    CHECK_OK(hasty_app_run(app));
    CHECK_OK(hasty_app_wait(app, 10000));
    CHECK_OK(hasty_app_run(app));
    hasty_app_free(app);
}

TEST(free_stops_what_runs)
{
    hasty_app *app = new_app(0);
    int port = check_serve(app);
    client idle = client_open(port), fresh = client_open(port);
    CHECK_REPLY(client_ask(&idle, get_text()), 200, "fine");
    hasty_app_free(app);
    CHECK(client_is_closed(&idle));
    client_send(&fresh, get_text()); /* until then the kernel may hold it for nobody: TCP_DEFER_ACCEPT */
    CHECK(client_is_closed(&fresh));
    CHECK(AWAIT(client_refused(port)));
    client_close(&idle);
    client_close(&fresh);
}

TEST(an_app_that_only_listened_is_freed_with_its_descriptors)
{
    int before = fd_count();
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    int port = hasty_app_port(app);
    hasty_app_free(app);
    CHECK_INT(fd_count(), before);
    CHECK(AWAIT(client_refused(port)));
    hasty_app_free(check_app(NULL));
    CHECK_INT(fd_count(), before);
}

/* Every order of these calls ends in an app that can be freed, with nothing left behind. */
enum { LISTEN, START, STOP, RUN, WAIT, DRAIN, STEPS };

static void live(const int *order)
{
    hasty_app *app = new_app(2);
    int stopped = 0;
    for (int i = 0; i < STEPS; i++) {
        hasty_status status = HASTY_OK;
        switch (order[i]) {
        case LISTEN: status = hasty_app_listen(app, NULL, 0); break;
        case START: status = hasty_app_start(app); break;
        case STOP: hasty_app_stop(app), stopped = 1; break;
        case RUN: status = stopped ? hasty_app_run(app) : HASTY_OK; break; /* it would not return */
        case WAIT: status = hasty_app_wait(app, 0); break;
        case DRAIN: status = hasty_app_drain(app, 0); break;
        }
        if (status == HASTY_ERR_PANIC || status == HASTY_ERR_NULL || status < 0)
            check_fail(__FILE__, __LINE__, "step %d as number %d gives %s: %s", order[i], i, hasty_status_name(status),
                       check_last_error());
    }
    hasty_app_free(app);
}

static void live_in_every_order(int *order, int chosen)
{
    if (chosen == STEPS) {
        live(order);
        return;
    }
    for (int step = 0; step < STEPS; step++) {
        int used = 0;
        for (int i = 0; i < chosen; i++)
            used |= order[i] == step;
        if (used || (check_small() && chosen == 0 && step != RUN))
            continue;
        order[chosen] = step;
        live_in_every_order(order, chosen + 1);
    }
}

TEST(its_life_may_be_lived_in_every_order)
{
    int fds = fd_count(), threads = thread_count(), order[STEPS];
    live_in_every_order(order, 0);
    CHECK_INT(fd_count(), fds);
    CHECK(AWAIT(thread_count() == threads)); /* a joined thread may linger in /proc for a moment */
}

TEST(two_hundred_lives_leave_no_descriptor_and_no_thread)
{
    int lives = check_small() ? 10 : 200, fds = fd_count(), threads = thread_count();
    for (int i = 0; i < lives; i++) {
        hasty_app *app = new_app(i % 2 ? 2 : 0);
        int port = check_serve(app);
        client c = client_open(port);
        CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
        if (i % 3 == 0) {
            hasty_app_stop(app);
            CHECK_OK(hasty_app_wait(app, 10000));
        }
        hasty_app_free(app);
        client_close(&c);
    }
    CHECK_INT(fd_count(), fds);
    CHECK(AWAIT(thread_count() == threads)); /* a joined thread may linger in /proc for a moment */
}

/* ---- run ---- */

TEST(run_serves_on_the_threads_that_call_it)
{
    static const uint32_t threads[] = {0, 1, HASTY_NONE};
    for (int i = 0; i < 3; i++) {
        hasty_app *app = new_app(threads[i]);
        CHECK_OK(hasty_app_listen(app, NULL, 0));
        int port = hasty_app_port(app);
        runner runners[4];
        for (int j = 0; j < 4; j++)
            start_runner(&runners[j], app);
        for (int j = 0; j < 20; j++)
            CHECK_REPLY(get(port, "/"), 200, "fine");
        for (int j = 0; j < 4; j++)
            CHECK(!runners[j].returned);
        hasty_app_stop(app);
        for (int j = 0; j < 4; j++)
            join_runner(&runners[j]);
        CHECK_OK(hasty_app_wait(app, 10000));
        hasty_app_free(app);
    }
}

HANDLER(meets_another)
{
    static _Atomic int inside;
    inside++;
    AWAIT(inside >= 2); /* both run at the same time, or neither is ever answered in time */
    return hasty_response_send_text(res, inside >= 2 ? "met" : "alone");
}

TEST(threads_that_run_serve_at_the_same_time)
{
    hasty_options options = {.size = sizeof options, .threads = HASTY_NONE};
    hasty_app *app = check_app(&options);
    CHECK_OK(hasty_app_get(app, "/", meets_another, NULL));
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    runner runners[2];
    for (int i = 0; i < 2; i++)
        start_runner(&runners[i], app);
    client one = client_open(hasty_app_port(app)), two = client_open(hasty_app_port(app));
    client_send(&one, get_text());
    client_send(&two, get_text());
    CHECK_REPLY(client_read(&one), 200, "met");
    CHECK_REPLY(client_read(&two), 200, "met");
    hasty_app_stop(app);
    for (int i = 0; i < 2; i++)
        join_runner(&runners[i]);
    client_close(&one);
    client_close(&two);
    hasty_app_free(app);
}

/* ---- stop, from everywhere ---- */

HANDLER(stops)
{
    hasty_app_stop(*(hasty_app **)user_data);
    return hasty_response_send_text(res, "stopped");
}

TEST(stop_from_a_handler_still_answers)
{
    static hasty_app *app;
    app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", stops, &app));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 200, "stopped");
    CHECK_OK(hasty_app_wait(app, 10000));
    hasty_app_free(app);

    hasty_options options = {.size = sizeof options, .threads = HASTY_NONE};
    app = check_app(&options);
    CHECK_OK(hasty_app_get(app, "/", stops, &app));
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    runner r;
    start_runner(&r, app);
    CHECK_REPLY(get(hasty_app_port(app), "/"), 200, "stopped");
    join_runner(&r);
    hasty_app_free(app);
}

static void *stops_from_outside(void *app)
{
    check_pause_ms(10);
    hasty_app_stop(app);
    return NULL;
}

TEST(stop_from_another_thread_ends_run_and_wait)
{
    for (int i = 0; i < 2; i++) {
        hasty_app *app = new_app(0);
        CHECK_OK(hasty_app_listen(app, NULL, 0));
        if (i == 0)
            CHECK_OK(hasty_app_start(app));
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, stops_from_outside, app) == 0);
        CHECK_OK(i == 0 ? hasty_app_wait(app, -1) : hasty_app_run(app));
        pthread_join(thread, NULL);
        hasty_app_free(app);
    }
}

static void *waits(void *app)
{
    CHECK_OK(hasty_app_wait(app, -1));
    return NULL;
}

TEST(any_number_of_threads_may_wait)
{
    hasty_app *app = new_app(0);
    check_serve(app);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, waits, app) == 0);
    check_pause_ms(10);
    hasty_app_stop(app);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    hasty_app_free(app);
}

static hasty_app *signalled;
static volatile sig_atomic_t kept_errno;

static void on_signal(int number)
{
    (void)number;
    errno = 1234;
    hasty_app_stop(signalled);
    kept_errno = errno == 1234;
}

typedef struct signaller {
    pthread_t target;
    int port;
} signaller;

static void *signals(void *data)
{
    signaller *s = data;
    CHECK_REPLY(get(s->port, "/"), 200, "fine");
    pthread_kill(s->target, SIGUSR1);
    return NULL;
}

TEST(stop_from_a_signal_handler_ends_run_and_wait_and_keeps_errno)
{
    struct sigaction action = {.sa_handler = on_signal}, old;
    sigaction(SIGUSR1, &action, &old);
    static const uint32_t threads[] = {0, HASTY_NONE, 0};
    for (int i = 0; i < 3; i++) {
        signalled = new_app(threads[i]);
        CHECK_OK(hasty_app_listen(signalled, NULL, 0));
        if (i == 2)
            CHECK_OK(hasty_app_start(signalled));
        kept_errno = 0;
        signaller s = {pthread_self(), hasty_app_port(signalled)};
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, signals, &s) == 0);
        CHECK_OK(i == 2 ? hasty_app_wait(signalled, -1) : hasty_app_run(signalled));
        pthread_join(thread, NULL);
        CHECK(kept_errno);
        hasty_app_free(signalled);
    }
    sigaction(SIGUSR1, &old, NULL);
}

static _Atomic int signals_seen;

static void only_count(int number)
{
    (void)number;
    signals_seen++;
}

typedef struct bother {
    pthread_t target;
    hasty_app *app;
} bother;

static void *bothers(void *data)
{
    bother *b = data;
    for (int i = 1; i <= 20; i++) {
        pthread_kill(b->target, SIGUSR2);
        AWAIT(signals_seen >= i);
    }
    CHECK_REPLY(get(hasty_app_port(b->app), "/"), 200, "fine");
    hasty_app_stop(b->app);
    return NULL;
}

TEST(a_signal_that_means_nothing_to_it_ends_neither_run_nor_wait)
{
    struct sigaction action = {.sa_handler = only_count}, old; /* without SA_RESTART: system calls end with EINTR */
    sigaction(SIGUSR2, &action, &old);
    for (int with_wait = 0; with_wait < 2; with_wait++) {
        signals_seen = 0;
        bother b = {pthread_self(), new_app(with_wait ? 0 : HASTY_NONE)};
        CHECK_OK(hasty_app_listen(b.app, NULL, 0));
        if (with_wait)
            CHECK_OK(hasty_app_start(b.app));
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, bothers, &b) == 0);
        CHECK_OK(with_wait ? hasty_app_wait(b.app, -1) : hasty_app_run(b.app));
        CHECK_INT(signals_seen, 20);
        pthread_join(thread, NULL);
        hasty_app_free(b.app);
    }
    sigaction(SIGUSR2, &old, NULL);
}

TEST(an_app_that_listens_nowhere_does_not_start)
{
    hasty_app *app = new_app(0);
    CHECK_STATUS(hasty_app_start(app), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("listen");
    CHECK_STATUS(hasty_app_run(app), HASTY_ERR_STATE);
    CHECK_OK(hasty_app_listen(app, NULL, 0)); /* and can still be helped */
    CHECK_OK(hasty_app_start(app));
    CHECK_REPLY(get(hasty_app_port(app), "/"), 200, "fine");
    hasty_app_free(app);
}

/* ---- inside callbacks ---- */

HANDLER(waits_and_drains)
{
    hasty_app *app = *(hasty_app **)user_data;
    CHECK_STATUS(hasty_app_wait(app, 0), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_wait(app, -1), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_drain(app, 0), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_start(app), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_run(app), HASTY_ERR_STATE);
    return hasty_response_send_text(res, "refused");
}

TEST(wait_and_drain_inside_a_callback_are_refused)
{
    static hasty_app *app;
    app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", waits_and_drains, &app));
    CHECK_OK(hasty_app_on_error(app, waits_and_drains, &app, NULL));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 200, "refused");
    CHECK_REPLY(get(port, "/nowhere"), 404, "refused");
    CHECK_REPLY(get(port, "/"), 200, "refused");
    hasty_app_free(app);
}

HANDLER(frees)
{
    hasty_app_free(*(hasty_app **)user_data);
    return HASTY_OK;
}

static void set_flag(void *flag)
{
    (*(_Atomic int *)flag)++;
}

TEST(free_inside_a_callback_is_completed_when_it_returns)
{
    static hasty_app *app;
    static const uint32_t threads[] = {0, 1, HASTY_NONE};
    int fds = fd_count(), tasks = thread_count();
    for (int i = 0; i < 3; i++) {
        _Atomic int dropped = 0;
        hasty_options options = {.size = sizeof options, .threads = threads[i]};
        app = check_app(&options);
        CHECK_OK(hasty_app_get(app, "/", frees, &app));
        CHECK_OK(hasty_app_route(app, "GET", "/other", fine, &dropped, set_flag));
        CHECK_OK(hasty_app_listen(app, NULL, 0));
        int port = hasty_app_port(app);
        runner r;
        if (threads[i] == HASTY_NONE)
            start_runner(&r, app);
        else
            CHECK_OK(hasty_app_start(app));
        client c = client_open(port);
        client_send(&c, get_text());
        CHECK(client_read_all(&c) != NULL && "the connection ends");
        client_close(&c);
        if (threads[i] == HASTY_NONE)
            join_runner(&r);
        CHECK(AWAIT(dropped == 1));
        CHECK(AWAIT(thread_count() == tasks));
        CHECK(AWAIT(fd_count() == fds));
        CHECK(AWAIT(client_refused(port)));
        CHECK_INT(dropped, 1);
    }
}

/* ---- drain ---- */

static _Atomic int gate_entered, gate_open;

HANDLER(waits_at_the_gate)
{
    gate_entered++;
    AWAIT(gate_open);
    return hasty_response_send_text(res, "finished");
}

TEST(drain_finishes_what_runs_and_takes_nothing_new)
{
    gate_entered = gate_open = 0;
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_get(app, "/gate", waits_at_the_gate, NULL));
    int port = check_serve(app);
    client busy = client_open(port), idle = client_open(port);
    CHECK_REPLY(client_ask(&idle, get_text()), 200, "fine");
    client_send(&busy, request_text("GET", "/gate", NULL, NULL));
    CHECK(AWAIT(gate_entered == 1));

    drainer d;
    start_drainer(&d, app, 20000);
    CHECK(client_is_closed(&idle));
    CHECK(AWAIT(client_refused(port)));
    CHECK(!d.returned);
    gate_open = 1;
    reply r = client_read(&busy);
    CHECK_REPLY(r, 200, "finished");
    CHECK(reply_lists(&r, "Connection", "close"));
    CHECK(client_is_closed(&busy));
    pthread_join(d.thread, NULL);
    CHECK_OK(d.status);
    CHECK_OK(hasty_app_wait(app, 10000));
    client_close(&busy);
    client_close(&idle);
    hasty_app_free(app);
}

TEST(drain_with_nothing_to_do_returns_at_once)
{
    hasty_app *app = new_app(0);
    int port = check_serve(app);
    client idle = client_open(port);
    CHECK_REPLY(client_ask(&idle, get_text()), 200, "fine");
    int64_t start = check_now_ms();
    CHECK_OK(hasty_app_drain(app, 10000));
    CHECK(check_now_ms() - start < 8000);
    CHECK_OK(hasty_app_wait(app, 10000));
    CHECK(client_is_closed(&idle));
    client_close(&idle);
    hasty_app_free(app);
}

TEST(drain_stops_at_its_deadline)
{
    gate_entered = gate_open = 0;
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/gate", waits_at_the_gate, NULL));
    int port = check_serve(app);
    client busy = client_open(port);
    client_send(&busy, request_text("GET", "/gate", NULL, NULL));
    CHECK(AWAIT(gate_entered == 1));
    drainer d;
    start_drainer(&d, app, 100);
    CHECK(AWAIT(d.returned)); /* well before the gate opens */
    CHECK(d.took_ms >= 90);
    CHECK(d.status == HASTY_OK || d.status == HASTY_ERR_TIMEOUT);
    gate_open = 1;
    pthread_join(d.thread, NULL);
    CHECK_OK(hasty_app_wait(app, 10000));
    CHECK(client_read_all(&busy) != NULL && "the connection ends");
    client_close(&busy);
    hasty_app_free(app);
}

static void *opens_the_gate(void *released)
{
    check_pause_ms(50);
    *(_Atomic int *)released = 1;
    gate_open = 1;
    return NULL;
}

TEST(free_waits_for_callbacks)
{
    gate_entered = gate_open = 0;
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/gate", waits_at_the_gate, NULL));
    int port = check_serve(app);
    client busy = client_open(port);
    client_send(&busy, request_text("GET", "/gate", NULL, NULL));
    CHECK(AWAIT(gate_entered == 1));
    _Atomic int released = 0;
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, opens_the_gate, (void *)&released) == 0);
    hasty_app_free(app);
    CHECK(released && "free returned while a handler was still running");
    pthread_join(thread, NULL);
    client_close(&busy);
}

static void *hammers(void *port)
{
    for (int i = 0; i < 100000; i++) {
        client c = client_open(*(int *)port);
        if (c.fd < 0)
            break;
        client_send(&c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        client_more(&c, check_now_ms() + 5000);
        client_close(&c);
    }
    return NULL;
}

TEST(free_under_load_harms_nobody)
{
    for (int i = 0; i < (check_small() ? 2 : 10); i++) {
        hasty_app *app = new_app(0);
        int port = check_serve(app);
        pthread_t threads[4];
        for (int j = 0; j < 4; j++)
            CHECK(pthread_create(&threads[j], NULL, hammers, &port) == 0);
        check_pause_ms(20);
        hasty_app_free(app);
        for (int j = 0; j < 4; j++)
            pthread_join(threads[j], NULL);
    }
}

/* ---- listen ---- */

TEST(the_port_is_that_of_the_first_tcp_listener)
{
    hasty_app *app = new_app(0);
    CHECK_INT(hasty_app_port(app), 0);
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    int port = hasty_app_port(app);
    CHECK(port > 0 && port < 65536);
    CHECK_OK(hasty_app_listen(app, "127.0.0.1", 0));
    CHECK_INT(hasty_app_port(app), port);
    CHECK_OK(hasty_app_start(app));
    CHECK_INT(hasty_app_port(app), port);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    hasty_app_free(app);
}

TEST(listen_binds_at_once)
{
    hasty_app *app = new_app(0), *other = new_app(0);
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    client early = client_open(hasty_app_port(app)); /* waits in the backlog until start */
    CHECK(early.fd >= 0);
    CHECK_STATUS(hasty_app_listen(other, NULL, hasty_app_port(app)), HASTY_ERR_IO);
    CHECK_OK(hasty_app_start(app));
    CHECK_REPLY(client_ask(&early, get_text()), 200, "fine");
    client_close(&early);
    hasty_app_free(app);
    hasty_app_free(other);
}

TEST(a_port_is_free_again_when_its_app_is)
{
    hasty_app *app = new_app(0);
    int port = check_serve(app);
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    hasty_app_free(app);
    client_close(&c);
    app = new_app(0);
    CHECK_OK(hasty_app_listen(app, NULL, port));
    CHECK_OK(hasty_app_start(app));
    CHECK_REPLY(get(port, "/"), 200, "fine");
    hasty_app_free(app);
}

TEST(an_address_that_is_none_is_refused)
{
    hasty_app *app = new_app(0);
    CHECK(hasty_app_listen(app, "not an address", 0) != HASTY_OK);
    CHECK_ERROR_NAMES("not an address");
    CHECK(hasty_app_listen(app, "127.0.0.1.1", 0) != HASTY_OK);
    CHECK(hasty_app_listen(app, "192.0.2.1", 0) != HASTY_OK); /* RFC 5737: nobody's own address */
    CHECK_STATUS(hasty_app_listen(app, NULL, -1), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("-1");
    CHECK_STATUS(hasty_app_listen(app, NULL, 65536), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("65536");
    CHECK_INT(hasty_app_port(app), 0);
    hasty_app_free(app);
}

TEST(two_colons_are_both_families)
{
    hasty_app *app = new_app(0);
    if (hasty_app_listen(app, "::", 0) != HASTY_OK) {
        hasty_app_free(app);
        SKIP("no IPv6 here");
    }
    CHECK_OK(hasty_app_start(app));
    client v6 = client_open_v6(hasty_app_port(app));
    CHECK_REPLY(client_ask(&v6, get_text()), 200, "fine");
    CHECK_REPLY(get(hasty_app_port(app), "/"), 200, "fine");
    client_close(&v6);
    hasty_app_free(app);
}

static char *temporary_path(void)
{
    char *directory = check_keep(strdup("/tmp/hasty-test-XXXXXX"));
    CHECK(mkdtemp(directory) != NULL);
    return check_format("%s/socket", directory);
}

static void remove_temporary(const char *path)
{
    char *directory = check_keep(strdup(path));
    *strrchr(directory, '/') = '\0';
    unlink(path);
    CHECK(rmdir(directory) == 0);
}

TEST(a_unix_socket_is_served_with_its_mode_and_unlinked)
{
    char *path = temporary_path();
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_listen_unix(app, path, 0600));
    struct stat is;
    CHECK(stat(path, &is) == 0 && S_ISSOCK(is.st_mode));
    CHECK_INT(is.st_mode & 0777, 0600);
    CHECK_INT(hasty_app_port(app), 0);
    CHECK_OK(hasty_app_start(app));
    client c = client_open_unix(path);
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    hasty_app_stop(app);
    CHECK_OK(hasty_app_wait(app, 10000));
    CHECK(stat(path, &is) < 0 && errno == ENOENT);
    hasty_app_free(app);
    client_close(&c);
    remove_temporary(path);
}

TEST(an_app_that_never_started_unlinks_its_unix_socket)
{
    char *path = temporary_path();
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_listen_unix(app, path, 0600));
    hasty_app_free(app);
    struct stat is;
    CHECK(stat(path, &is) < 0 && errno == ENOENT);
    remove_temporary(path);
}

TEST(a_stale_unix_socket_is_replaced_and_a_live_one_is_not)
{
    char *path = temporary_path();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int stale = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(stale, (struct sockaddr *)&address, sizeof address) == 0 && listen(stale, 1) == 0);
    close(stale);
    hasty_app *app = new_app(0), *other = new_app(0);
    CHECK_OK(hasty_app_listen_unix(app, path, 0600));
    CHECK_OK(hasty_app_start(app));
    CHECK(hasty_app_listen_unix(other, path, 0600) != HASTY_OK);
    CHECK_ERROR_NAMES(path);
    hasty_app_free(other);
    client c = client_open_unix(path);
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
    remove_temporary(path);
}

TEST(a_file_in_the_place_of_a_unix_socket_is_left_alone)
{
    char *path = temporary_path();
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    fclose(file);
    hasty_app *app = new_app(0);
    CHECK(hasty_app_listen_unix(app, path, 0600) != HASTY_OK);
    CHECK_ERROR_NAMES(path);
    CHECK(hasty_app_listen_unix(app, check_format("/tmp/%s", check_repeat("long", 100)), 0600) != HASTY_OK);
    CHECK(hasty_app_listen_unix(app, "/no/such/directory/socket", 0600) != HASTY_OK);
    hasty_app_free(app);
    struct stat is;
    CHECK(stat(path, &is) == 0 && S_ISREG(is.st_mode));
    remove_temporary(path);
}

static int listening_socket(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* without CLOEXEC, as it comes from a parent */
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 16) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

TEST(an_inherited_listener_is_taken_and_served)
{
    int port, fd = listening_socket(&port);
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_listen_fd(app, fd));
    CHECK_INT(hasty_app_port(app), port);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK_OK(hasty_app_start(app));
    CHECK_REPLY(get(port, "/"), 200, "fine");
    hasty_app_free(app);
    CHECK(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
    CHECK(AWAIT(client_refused(port)));
}

TEST(two_listeners_are_both_served)
{
    int port, fd = listening_socket(&port);
    char *path = temporary_path();
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    CHECK_OK(hasty_app_listen_fd(app, fd));
    CHECK_OK(hasty_app_listen_unix(app, path, 0600));
    CHECK_OK(hasty_app_start(app));
    CHECK(hasty_app_port(app) != port);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_REPLY(get(hasty_app_port(app), "/"), 200, "fine");
    client c = client_open_unix(path);
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
    remove_temporary(path);
}

TEST(a_descriptor_that_is_no_listener_is_refused_and_stays_the_callers)
{
    int pipes[2], udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    REQUIRE(pipe(pipes) == 0);
    hasty_app *app = new_app(0);
    CHECK_STATUS(hasty_app_listen_fd(app, -1), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_listen_fd(app, 1000000), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_listen_fd(app, pipes[0]), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_listen_fd(app, udp), HASTY_ERR_INVALID);
    hasty_app_free(app);
    CHECK(fcntl(pipes[0], F_GETFD) >= 0);
    CHECK(fcntl(udp, F_GETFD) >= 0);
    close(pipes[0]);
    close(pipes[1]);
    close(udp);
}

TEST(an_app_has_at_most_1024_listeners)
{
    struct rlimit limit, before;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    limit = before;
    limit.rlim_cur = limit.rlim_max < 2000 ? limit.rlim_max : 2000;
    if (limit.rlim_cur < 1200 || check_valgrind() || setrlimit(RLIMIT_NOFILE, &limit) < 0)
        SKIP("there are too few descriptors");
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    int first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(listen(first, 10) == 0);
    for (int i = 1; i < 1024; i++)
        CHECK_OK(hasty_app_listen_fd(app, fcntl(first, F_DUPFD_CLOEXEC, 0)));
    CHECK_STATUS(hasty_app_listen_fd(app, first), HASTY_ERR_LIMIT);
    CHECK_ERROR_NAMES("1024");
    CHECK_STATUS(hasty_app_listen(app, NULL, 0), HASTY_ERR_LIMIT);
    CHECK_STATUS(hasty_app_listen_unix(app, "/tmp/hasty-one-too-many", 0), HASTY_ERR_LIMIT);
    CHECK(access("/tmp/hasty-one-too-many", F_OK) < 0);
    CHECK_OK(hasty_app_start(app));
    CHECK_REPLY(get(hasty_app_port(app), "/"), 200, "fine");
    hasty_app_free(app);
    CHECK(fcntl(first, F_GETFD) >= 0); /* what was refused is still ours */
    close(first);
    setrlimit(RLIMIT_NOFILE, &before);
}

/* ---- good company in a process ---- */

TEST(two_apps_live_in_one_process)
{
    hasty_app *one = check_app(NULL), *two = check_app(NULL);
    CHECK_OK(hasty_app_get(one, "/who", say, "one"));
    CHECK_OK(hasty_app_get(two, "/who", say, "two"));
    int port_one = check_serve(one), port_two = check_serve(two);
    CHECK_REPLY(get(port_one, "/who"), 200, "one");
    CHECK_REPLY(get(port_two, "/who"), 200, "two");
    hasty_app_free(one);
    CHECK_REPLY(get(port_two, "/who"), 200, "two");
    hasty_app_free(two);
}

enum { MANY = 1024 };

static void note_descriptors(char *open)
{
    for (int fd = 0; fd < MANY; fd++)
        open[fd] = fcntl(fd, F_GETFD) >= 0;
}

TEST(every_descriptor_is_close_on_exec)
{
    static char before[MANY], now[MANY];
    char *path = temporary_path();
    note_descriptors(before);
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_listen_unix(app, path, 0600));
    int port = check_serve(app);
    client c = client_open(port), d = client_open_unix(path);
    CHECK_REPLY(client_ask(&c, get_text()), 200, "fine");
    CHECK_REPLY(client_ask(&d, get_text()), 200, "fine");
    note_descriptors(now);
    int made = 0;
    for (int fd = 0; fd < MANY; fd++) {
        if (before[fd] || !now[fd])
            continue;
        made++;
        char line[256];
        unsigned long flags = 0;
        FILE *info = fopen(check_format("/proc/self/fdinfo/%d", fd), "r");
        while (info != NULL && fgets(line, sizeof line, info) != NULL)
            sscanf(line, "flags: %lo", &flags);
        if (info != NULL)
            fclose(info);
        if (!(flags & O_CLOEXEC))
            check_fail(__FILE__, __LINE__, "descriptor %d has flags %lo", fd, flags);
    }
    CHECK(made >= 6); /* two listeners, two connections with both ends */
    client_close(&c);
    client_close(&d);
    hasty_app_free(app);
    remove_temporary(path);
}

static void note_signals(struct sigaction *actions, sigset_t *mask)
{
    for (int number = 1; number < 65; number++)
        if (sigaction(number, NULL, &actions[number]) < 0)
            actions[number].sa_handler = SIG_ERR; /* the few that belong to the C library */
    pthread_sigmask(SIG_SETMASK, NULL, mask);
}

TEST(signals_are_left_alone)
{
    static struct sigaction before[65], during[65];
    sigset_t mask_before, mask_during;
    note_signals(before, &mask_before);
    CHECK(before[SIGPIPE].sa_handler == SIG_DFL);
    hasty_app *app = new_app(0);
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    note_signals(during, &mask_during);
    for (int number = 1; number < 65; number++)
        if (before[number].sa_handler != during[number].sa_handler ||
            before[number].sa_flags != during[number].sa_flags)
            check_fail(__FILE__, __LINE__, "the disposition of signal %d was changed", number);
    for (int number = 1; number < 65; number++)
        CHECK_INT(sigismember(&mask_before, number), sigismember(&mask_during, number));
    hasty_app_free(app);
}

TEST(library_threads_run_with_signals_blocked)
{
    hasty_app *app = new_app(3);
    CHECK_REPLY(get(check_serve(app), "/"), 200, "fine");
    int looked = 0;
    DIR *dir = opendir("/proc/self/task");
    for (struct dirent *task; dir != NULL && (task = readdir(dir)) != NULL;) {
        if (task->d_name[0] == '.' || atoi(task->d_name) == getpid())
            continue;
        char line[256];
        unsigned long long blocked = 0;
        FILE *status = fopen(check_format("/proc/self/task/%s/status", task->d_name), "r");
        while (status != NULL && fgets(line, sizeof line, status) != NULL)
            sscanf(line, "SigBlk: %llx", &blocked);
        if (status != NULL)
            fclose(status);
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCHLD, SIGALRM, SIGPIPE};
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
            CHECK(blocked >> (signals[i] - 1) & 1);
        looked++;
    }
    if (dir != NULL)
        closedir(dir);
    CHECK(looked >= 3);
    hasty_app_free(app);
}

HANDLER(sends_much)
{
    static char much[8 << 20];
    return hasty_response_send_owned(res, much, sizeof much, NULL, NULL);
}

TEST(a_client_that_leaves_raises_no_sigpipe)
{
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_get(app, "/much", sends_much, NULL));
    int port = check_serve(app);
    for (int i = 0; i < 10; i++) {
        client c = client_open(port);
        client_send(&c, request_text("GET", "/much", NULL, NULL));
        if (i % 2)
            client_more(&c, check_now_ms() + 5000);
        if (i % 3)
            client_reset(&c);
        else
            client_close(&c);
    }
    CHECK_REPLY(get(port, "/"), 200, "fine");
    hasty_app_free(app);
}

TEST(a_forked_child_is_told_and_the_parent_goes_on)
{
    hasty_app *app = new_app(0);
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    int told[2];
    REQUIRE(pipe(told) == 0);
    pid_t child = fork();
    if (child == 0) {
        hasty_status answer = hasty_app_wait(app, 0);
        ssize_t written = write(told[1], &answer, sizeof answer);
        raise(written > 0 ? SIGKILL : SIGABRT); /* no exit: what the child holds is its parent's */
    }
    hasty_status answer = -1;
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK(read(told[0], &answer, sizeof answer) == sizeof answer);
    CHECK_INT(answer, HASTY_ERR_STATE);
    close(told[0]);
    close(told[1]);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    hasty_app_free(app);
}

/* ---- no descriptors left ---- */

static int64_t cpu_ms(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

TEST(without_free_descriptors_it_serves_on_and_later_accepts_again)
{
    enum { WAITING = 5, SPARE = 16 };
    if (check_valgrind())
        SKIP("valgrind accepts and closes what the limit does not allow");
    hasty_app *app = new_app(0);
    int port = check_serve(app);
    client known = client_open(port), waiting[WAITING];
    CHECK_REPLY(client_ask(&known, get_text()), 200, "fine");
    for (int i = 0; i < WAITING; i++)
        waiting[i] = client_take(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

    struct rlimit limit, lower;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    int held[MANY], count = 0, highest = 0;
    while (count < SPARE)
        highest = held[count++] = fcntl(known.fd, F_DUPFD_CLOEXEC, 0);
    lower = limit;
    lower.rlim_cur = (rlim_t)highest + 1;
    REQUIRE(setrlimit(RLIMIT_NOFILE, &lower) == 0);
    for (int fd; count < MANY && (fd = fcntl(known.fd, F_DUPFD_CLOEXEC, 0)) >= 0;)
        held[count++] = fd;

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < WAITING; i++) {
        CHECK(connect(waiting[i].fd, (struct sockaddr *)&address, sizeof address) == 0);
        client_send(&waiting[i], get_text());
    }
    int64_t cpu = cpu_ms(), start = check_now_ms();
    while (check_now_ms() - start < 400) {
        CHECK_REPLY(client_ask(&known, get_text()), 200, "fine");
        check_pause_ms(20);
    }
    if (!check_valgrind() && !CHECK_SANITIZED)
        CHECK(cpu_ms() - cpu < 200); /* it does not spin on the listener meanwhile */

    while (count > 0)
        close(held[--count]);
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < WAITING; i++) {
        CHECK_REPLY(client_read(&waiting[i]), 200, "fine");
        client_close(&waiting[i]);
    }
    CHECK_REPLY(get(port, "/"), 200, "fine");
    client_close(&known);
    hasty_app_free(app);
}

CHECK_MAIN
