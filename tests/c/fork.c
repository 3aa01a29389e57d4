/* A process that forks: the child is told that the app is not its own, the parent goes on as if nothing had been. */
#include "host.h"

/* Everything a child may try on an app that its parent started; each call says no, and why, and none waits. */
static void tries_everything(void *app_)
{
    hasty_app *app = app_;
    CHECK_STATUS(hasty_app_start(app), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("fork");
    CHECK_STATUS(hasty_app_run(app), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("fork");
    CHECK_STATUS(hasty_app_wait(app, -1), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("fork");
    CHECK_STATUS(hasty_app_drain(app, -1), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("fork");
    CHECK_STATUS(hasty_app_listen(app, NULL, 0), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_listen_unix(app, "/tmp/hasty-never", 0600), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_listen_fd(app, 0), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_get(app, "/more", fine, NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_use(app, "/", fine, NULL, NULL), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_set_option(app, "threads", "3"), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_app_static(app, "/files", "/", NULL), HASTY_ERR_STATE);
    hasty_app_stop(app); /* no effect: the parent's test asks the parent's app afterwards */
}

static void tries_the_callers_side(void *app_)
{
    hasty_app *app = app_;
    hasty_exchange *exchange = NULL;
    uint32_t served = 0;
    CHECK_STATUS(hasty_app_poll(app, 1, -1, &served), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("fork");
    CHECK_STATUS(hasty_app_next(app, -1, &exchange), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("fork");
    CHECK(exchange == NULL);
    hasty_app_wake(app);
}

static void takes_a_slot(void *app_)
{
    hasty_slot slot = {.size = sizeof slot, .app = app_};
    CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("fork");
    CHECK_STATUS(hasty_slot_wait(&slot, -1), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("fork");
}

static void frees_it(void *app)
{
    hasty_app_stop(app);
    hasty_app_free(app);
}

TEST(a_child_is_told_by_every_call_and_the_parent_goes_on)
{
    static const uint32_t threads[] = {0, 1, HASTY_NONE};
    for (int i = 0; i < 3; i++) {
        hasty_app *app = new_app(threads[i]);
        CHECK_OK(hasty_app_listen(app, NULL, 0));
        int port = hasty_app_port(app);
        runner r;
        start_runner(&r, app);
        CHECK_REPLY(get(port, "/"), 200, "fine");
        client kept = client_open(port);
        CHECK_REPLY(client_ask(&kept, QUICK), 200, "fine");
        IN_A_CHILD(tries_everything, app);
        IN_A_CHILD(frees_it, app);
        CHECK_REPLY(client_ask(&kept, QUICK), 200, "fine");
        CHECK_REPLY(get(port, "/"), 200, "fine");
        CHECK(!r.returned);
        hasty_app_stop(app);
        join_runner(&r);
        client_close(&kept);
        hasty_app_free(app);
    }
}

TEST(a_child_neither_polls_nor_wakes_what_its_parent_polls)
{
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_set_route_option(app, "GET", "/", "dispatch", "caller"));
    int port = check_serve(app);
    uint32_t served = 0;
    CHECK_STATUS(hasty_app_poll(app, 1, 0, &served), HASTY_ERR_TIMEOUT);
    IN_A_CHILD(tries_the_callers_side, app);
    IN_A_CHILD(tries_everything, app);
    client c = client_open(port);
    client_send(&c, QUICK);
    CHECK_OK(hasty_app_poll(app, 1, 10000, &served)); /* a wake of the child's would have ended it with a time-out */
    CHECK_REPLY(client_read(&c), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_child_takes_nothing_out_of_its_parents_slots)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_route(app, "GET", "/", NULL, NULL, NULL));
    int port = check_serve(app);
    hasty_slot slot = {.size = sizeof slot, .app = app};
    CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_TIMEOUT);
    client c = client_open(port);
    client_send(&c, QUICK);
    CHECK_OK(hasty_slot_wait(&slot, 10000));
    IN_A_CHILD(takes_a_slot, app);
    CHECK_OK(hasty_slot_take(&slot));
    slot.reply = (const uint8_t *)"mine";
    slot.reply_len = 4;
    CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_TIMEOUT);
    CHECK_REPLY(client_read(&c), 200, "mine");
    client_close(&c);
    hasty_app_free(app);
}

static void starts_it_here(void *app_)
{
    CHECK_STATUS(hasty_app_start(app_), HASTY_ERR_STATE);
    CHECK_ERROR_NAMES("fork");
    CHECK_STATUS(hasty_app_run(app_), HASTY_ERR_STATE);
    CHECK(hasty_app_fd(app_) < 0);
    CHECK_ERROR_NAMES("fork");
    hasty_app_free(app_);
}

TEST(an_app_that_was_not_started_is_its_parents_too)
{
    hasty_app *app = new_app(0);
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    IN_A_CHILD(starts_it_here, app);
    CHECK_OK(hasty_app_start(app));
    CHECK_REPLY(get(hasty_app_port(app), "/"), 200, "fine");
    hasty_app_free(app);
}

static void makes_its_own(void *parents)
{
    hasty_app *app = new_app(2);
    CHECK_REPLY(get(check_serve(app), "/"), 200, "fine");
    hasty_app_free(app);
    hasty_app_free(parents);
}

/*
 * The allocator of the AddressSanitizer, unlike that of the C library, is not made whole in a child (before GCC 14): what another
 * thread had locked in it stays so for ever, and whoever allocates much there hangs.
 */
#define ALLOCATOR_OF_CHILDREN "the sanitizer's allocator is not made for children that go on"

TEST(a_child_may_make_an_app_of_its_own)
{
    if (CHECK_SANITIZED)
        SKIP(ALLOCATOR_OF_CHILDREN);
    hasty_app *app = new_app(0);
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    IN_A_CHILD(makes_its_own, app);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    hasty_app_free(app);
}

/* ---- what the child inherits ---- */

/* A child that lives, with everything it inherited, until it is killed. */
static pid_t idle_child(void)
{
    pid_t child = fork();
    if (child == 0)
        wait_to_be_killed();
    return child;
}

TEST(a_connection_ends_although_a_child_lives)
{
    hasty_app *app = new_app(0);
    int port = check_serve(app);
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, QUICK), 200, "fine");
    pid_t child = idle_child();
    CHECK_REPLY(client_ask(&c, request_text("GET", "/", "Connection: close\r\n", NULL)), 200, "fine");
    CHECK(client_is_closed(&c)); /* the child holds no copy that would keep it open */
    kill_child(child);
    client_close(&c);
    hasty_app_free(app);
}

TEST(a_port_is_free_again_although_a_child_lives)
{
    hasty_app *app = new_app(0);
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    pid_t child = idle_child();
    hasty_app_free(app);
    CHECK(AWAIT(client_refused(port))); /* the child closes its copies when it first runs */
    kill_child(child);
}

/* Descriptors that the child has and that the parent did not have before its app; -1: more than it can count. */
typedef struct inheritance {
    char before[256];
    int kept;
} inheritance;

static void looks_around(void *data)
{
    inheritance *i = data;
    for (int fd = 0; fd < 256; fd++)
        if (!i->before[fd] && fcntl(fd, F_GETFD) >= 0)
            i->kept++;
    CHECK_INT(i->kept, 4); /* both ends of the pipe of this test kit, and the two clients' */
}

TEST(a_child_inherits_none_of_its_descriptors)
{
    inheritance i = {0};
    for (int fd = 0; fd < 256; fd++)
        i.before[fd] = fcntl(fd, F_GETFD) >= 0;
    hasty_app *app = new_app(2);
    int port = check_serve(app);
    client one = client_open(port), two = client_open(port);
    CHECK_REPLY(client_ask(&one, QUICK), 200, "fine");
    CHECK_REPLY(client_ask(&two, QUICK), 200, "fine");
    IN_A_CHILD(looks_around, &i);
    CHECK_REPLY(client_ask(&one, QUICK), 200, "fine");
    client_close(&one);
    client_close(&two);
    hasty_app_free(app);
}

/* ---- forks in handlers ---- */

enum { LIVES, ANSWERS, RETURNS };

static _Atomic int forked;
static _Atomic pid_t child_of_handler;

HANDLER(forks)
{
    int way = *(int *)user_data;
    pid_t child = fork();
    if (child == 0 && way == ANSWERS)
        hasty_response_write(res, "from the child", 14);
    if (child == 0 && way != RETURNS)
        wait_to_be_killed();
    if (child == 0) /* as careless programs do */
        return hasty_response_send_text(res, "from the child");
    child_of_handler = child;
    forked = 1;
    return hasty_response_send_text(res, "from the parent");
}

TEST(a_handler_may_fork_and_the_client_gets_one_answer)
{
    static int ways[] = {LIVES, ANSWERS, RETURNS};
    for (int i = 0; i < 3; i++) {
        if (ways[i] == RETURNS && (CHECK_SANITIZED || check_valgrind()))
            continue; /* that child ends as a process ends: what it got from its parent counts as lost, or is locked */
        hasty_app *app = check_app(NULL);
        CHECK_OK(hasty_app_get(app, "/", fine, NULL));
        CHECK_OK(hasty_app_get(app, "/fork", forks, &ways[i]));
        int port = check_serve(app);
        forked = 0;
        client c = client_open(port);
        CHECK_REPLY(client_ask(&c, request_text("GET", "/fork", NULL, NULL)), 200, "from the parent");
        CHECK(forked);
        if (ways[i] == RETURNS)
            CHECK(end_of_child(child_of_handler) >= 0); /* by itself: no thread there goes on serving */
        else
            kill_child(child_of_handler);
        CHECK_REPLY(client_ask(&c, QUICK), 200, "fine"); /* nothing came in between */
        CHECK_REPLY(get(port, "/"), 200, "fine");
        client_close(&c);
        hasty_app_free(app);
    }
}

HANDLER(runs_a_program)
{
    int code = system("exit 7");
    return hasty_response_send_text(res, check_format("%d", WIFEXITED(code) ? WEXITSTATUS(code) : -1));
}

TEST(a_handler_may_run_programs)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", runs_a_program, NULL));
    int port = check_serve(app);
    for (int i = 0; i < (check_small() ? 3 : 20); i++)
        CHECK_REPLY(get(port, "/"), 200, "7");
    hasty_app_free(app);
}

/* ---- exchanges ---- */

static hasty_exchange *_Atomic held;

HANDLER(defers)
{
    hasty_exchange *exchange = NULL;
    CHECK_OK(hasty_response_defer(res, &exchange));
    held = exchange;
    return HASTY_OK;
}

static void gone(void *called)
{
    (*(_Atomic int *)called)++;
}

static void finishes_it(CHECK_UNUSED void *nothing)
{
    _Atomic int called = 0;
    hasty_response *res = hasty_exchange_response(held);
    CHECK_STATUS(hasty_response_write(res, "x", 1), HASTY_ERR_CLOSED);
    CHECK_INT(hasty_exchange_alive(held), 0);
    hasty_exchange_on_close(held, gone, (void *)&called, NULL);
    CHECK_STATUS(hasty_exchange_finish(held), HASTY_ERR_CLOSED);
}

static void frees_the_exchange(CHECK_UNUSED void *nothing)
{
    hasty_exchange_free(held);
}

TEST(an_exchange_is_closed_in_the_child_and_open_in_the_parent)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", defers, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, QUICK);
    REQUIRE(AWAIT(held != NULL));
    IN_A_CHILD(finishes_it, NULL);
    IN_A_CHILD(frees_the_exchange, NULL);
    CHECK_INT(hasty_exchange_alive(held), 1);
    CHECK_OK(hasty_response_send_text(hasty_exchange_response(held), "the parent's"));
    CHECK_OK(hasty_exchange_finish(held));
    CHECK_REPLY(client_read(&c), 200, "the parent's");
    client_close(&c);
    hasty_app_free(app);
}

/* ---- many forks ---- */

static void *asks_on(void *port)
{
    for (int i = 0; i < (check_small() ? 20 : 300); i++)
        CHECK_REPLY(get(*(int *)port, "/"), 200, "fine");
    return NULL;
}

TEST(forks_under_load_hang_nobody)
{
    hasty_app *app = new_app(0);
    int port = check_serve(app);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&threads[i], NULL, asks_on, &port) == 0);
    for (int i = 0; i < (check_small() ? 5 : 100); i++)
        IN_A_CHILD(frees_it, app);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    hasty_app_free(app);
}

CHECK_MAIN
