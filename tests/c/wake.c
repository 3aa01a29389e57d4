/* hasty_app_wake: a call that waits is ended, from any thread and from signal handlers. */
#include "caller.h"

enum { POLL, NEXT, SLOT, CALLS };

/* Each of the calls that wait, for ever. */
static hasty_status wait_in(int call, hasty_app *app, int timeout_ms)
{
    uint32_t served;
    hasty_exchange *exchange;
    hasty_slot slot = {.size = sizeof slot, .app = app};
    switch (call) {
    case POLL: return hasty_app_poll(app, 1, timeout_ms, &served);
    case NEXT: return hasty_app_next(app, timeout_ms, &exchange);
    default: return hasty_slot_wait(&slot, timeout_ms);
    }
}

static void wake(hasty_app *app)
{
    hasty_app_wake(app);
}

static hasty_app *waking;
static volatile sig_atomic_t kept_errno;

static void wakes(int number)
{
    (void)number;
    errno = 1234;
    hasty_app_wake(waking);
    kept_errno = errno == 1234;
}

static const uint32_t threads[] = {0, HASTY_NONE};

static hasty_app *serving(int with_threads)
{
    hasty_options options = {.size = sizeof options, .threads = threads[with_threads]};
    hasty_app *app = caller_app(&options);
    check_serve(app);
    return app;
}

TEST(a_wake_from_another_thread_ends_what_waits)
{
    for (int call = 0; call < CALLS; call++)
        for (int i = 0; i < 2; i++) {
            hasty_app *app = serving(i);
            for (int round = 0; round < 3; round++) {
                later l;
                start_later(&l, app, wake);
                CHECK_STATUS(wait_in(call, app, -1), HASTY_ERR_TIMEOUT);
                pthread_join(l.thread, NULL);
            }
            hasty_app_free(app);
        }
}

TEST(a_wake_that_comes_early_is_remembered_once)
{
    for (int call = 0; call < CALLS; call++)
        for (int i = 0; i < 2; i++) {
            hasty_app *app = serving(i);
            for (int many = 0; many < 3; many++)
                hasty_app_wake(app);
            CHECK_STATUS(wait_in(call, app, -1), HASTY_ERR_TIMEOUT);
            int64_t begin = check_now_ms();
            CHECK_STATUS(wait_in(call, app, 100), HASTY_ERR_TIMEOUT);
            CHECK(check_now_ms() - begin >= 95); /* the three were one */
            hasty_app_free(app);
        }
}

static pthread_t target;

static void interrupt(CHECK_UNUSED hasty_app *app)
{
    pthread_kill(target, SIGUSR1);
}

TEST(a_wake_from_a_signal_handler_ends_what_waits_and_keeps_errno)
{
    struct sigaction action = {.sa_handler = wakes, .sa_flags = SA_RESTART}, old;
    sigaction(SIGUSR1, &action, &old);
    target = pthread_self();
    for (int call = 0; call < CALLS; call++)
        for (int i = 0; i < 2; i++) {
            waking = serving(i);
            kept_errno = 0;
            later l;
            start_later(&l, waking, interrupt);
            CHECK_STATUS(wait_in(call, waking, -1), HASTY_ERR_TIMEOUT);
            pthread_join(l.thread, NULL);
            CHECK(kept_errno);
            hasty_app_free(waking);
        }
    sigaction(SIGUSR1, &old, NULL);
}

TEST(a_wake_takes_no_request_away)
{
    for (int i = 0; i < 2; i++) {
        hasty_app *app = serving(i);
        client c = ask_for(hasty_app_port(app), "/mine");
        hasty_app_wake(app);
        CHECK(poll_for(app, 1));
        CHECK_REPLY(client_read(&c), 200, "mine");
        client_close(&c);
        hasty_app_free(app);
    }
}

TEST(a_wake_of_nothing_and_of_what_does_not_run_is_nothing)
{
    hasty_app_wake(NULL);
    hasty_app *app = caller_app(NULL);
    hasty_app_wake(app);
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    CHECK_OK(hasty_app_start(app));
    hasty_app_stop(app);
    CHECK_OK(hasty_app_wait(app, 10000));
    hasty_app_wake(app);
    CHECK_STATUS(wait_in(POLL, app, -1), HASTY_ERR_CLOSED);
    hasty_app_free(app);
}

CHECK_MAIN
