/* A child that lives keeps no client of its parent's waiting, and one that comes back from a handler is told where it is. */
#include "host.h"

static _Atomic int begun, go_on;
static _Atomic pid_t child_of_handler;

/* ---- what the child has of a stream ---- */

HANDLER(is_cut)
{
    CHECK_OK(hasty_response_write(res, "some\n", 5));
    begun = 1;
    CHECK(AWAIT(go_on));
    return HASTY_ERR_IO;
}

HANDLER(ends)
{
    CHECK_OK(hasty_response_set_header(res, "Connection", "close"));
    CHECK_OK(hasty_response_write(res, "some\n", 5));
    begun = 1;
    CHECK(AWAIT(go_on));
    return hasty_response_write(res, "more\n", 5);
}

/* Reads a part of its body and leaves the rest. */
HANDLER(reads_some)
{
    char some[4];
    size_t len = 0;
    CHECK_OK(hasty_request_read(req, some, sizeof some, &len));
    begun = 1;
    CHECK(AWAIT(go_on));
    return HASTY_ERR_IO;
}

static hasty_app *forking_app(uint32_t threads)
{
    hasty_app *app = new_app(threads);
    begun = go_on = 0;
    child_of_handler = 0;
    CHECK_OK(hasty_app_get(app, "/cut", is_cut, NULL));
    CHECK_OK(hasty_app_get(app, "/ends", ends, NULL));
    CHECK_OK(hasty_app_post(app, "/read", reads_some, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/read", "body", "stream"));
    return app;
}

/* A child is made while the handler of `request` holds what it holds; the client hears of the end while the child lives. */
static char *all_although_a_child_lives(uint32_t threads, const char *request)
{
    hasty_app *app = forking_app(threads);
    int port = check_serve(app);
    runner r;
    if (threads == HASTY_NONE)
        start_runner(&r, app);
    client c = client_open(port);
    client_send(&c, request);
    CHECK(AWAIT(begun));
    pid_t child = fork();
    if (child == 0)
        wait_to_be_killed();
    go_on = 1;
    char *all = client_read_all(&c);
    CHECK(all != NULL && "the client sees an end");
    CHECK_REPLY(ask(port, QUICK), 200, "fine");
    kill_child(child);
    client_close(&c);
    hasty_app_stop(app);
    if (threads == HASTY_NONE)
        join_runner(&r);
    hasty_app_free(app);
    return all ? all : "";
}

static const uint32_t kinds_of_threads[] = {2, HASTY_NONE};

TEST(a_stream_that_is_cut_ends_although_a_child_lives)
{
    for (int kind = 0; kind < 2; kind++) {
        char *all = all_although_a_child_lives(kinds_of_threads[kind], request_text("GET", "/cut", NULL, NULL));
        CHECK_CONTAINS(all, "some\n");
        CHECK(strstr(all, "\r\n0\r\n") == NULL && "it is cut");
    }
}

TEST(a_stream_that_is_complete_ends_although_a_child_lives)
{
    for (int kind = 0; kind < 2; kind++) {
        char *all = all_although_a_child_lives(kinds_of_threads[kind], request_text("GET", "/ends", NULL, NULL));
        CHECK_CONTAINS(all, "more\n\r\n0\r\n\r\n");
    }
}

TEST(a_body_that_nobody_reads_to_its_end_keeps_no_client_waiting_although_a_child_lives)
{
    for (int kind = 0; kind < 2; kind++) {
        char *all = all_although_a_child_lives(kinds_of_threads[kind], "POST /read HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                                                       "Content-Length: 20\r\n\r\n0123456789");
        CHECK_CONTAINS(all, "HTTP/1.1 500 ");
    }
}

/* ---- handlers under poll, and their copies ---- */

/* Both processes return from it. */
HANDLER(forks)
{
    pid_t child = fork();
    if (child != 0)
        child_of_handler = child;
    return hasty_response_send_text(res, child ? "from the parent" : "from the child");
}

/* Polls until the handler has forked; the child says how that was. `ran`: its handler has run for poll itself. */
static void poll_and_fork(hasty_app *app, client *c, int ran)
{
    int pipes[2];
    char told = '?';
    if (!CHECK(pipe2(pipes, O_CLOEXEC) == 0))
        return;
    pid_t parent = getpid();
    uint32_t served = 77;
    hasty_status status = HASTY_ERR_TIMEOUT;
    for (int64_t end = check_now_ms() + 10000; child_of_handler == 0 && getpid() == parent && check_now_ms() < end;)
        status = hasty_app_poll(app, 1, 100, &served);
    if (getpid() != parent) {
        int first = status == HASTY_ERR_STATE || (ran && status == HASTY_OK && served == 1);
        int second = hasty_app_poll(app, 1, -1, &served) == HASTY_ERR_STATE && strstr(check_last_error(), "fork") != NULL;
        hasty_app_stop(app);
        hasty_app_free(app);
        told = !first ? '1' : !second ? '2' : 'y';
        if (write(pipes[1], &told, 1) == 1)
            wait_to_be_killed();
        _exit(9);
    }
    close(pipes[1]);
    if (!CHECK(child_of_handler > 0))
        return;
    CHECK(read(pipes[0], &told, 1) == 1 && told == 'y' && "it was told where it is, each time");
    close(pipes[0]);
    kill_child(child_of_handler);
    while (!client_wait(c, POLLIN, check_now_ms()))
        hasty_app_poll(app, 1, 10, &served);
    CHECK_REPLY(client_read(c), 200, "from the parent");
}

TEST(a_handler_under_poll_that_forks_has_poll_tell_its_child)
{
    static const char *const paths[] = {"/pool", "/here"};
    for (int kind = 0; kind < 2; kind++) {
        for (int path = 0; path < 2; path++) {
            if (kinds_of_threads[kind] != HASTY_NONE && path == 0)
                continue; /* that handler runs in a thread of the library's: fork.c */
            hasty_app *app = forking_app(kinds_of_threads[kind]);
            CHECK_OK(hasty_app_get(app, "/pool", forks, NULL));
            CHECK_OK(hasty_app_get(app, "/here", forks, NULL));
            CHECK_OK(hasty_app_set_route_option(app, "GET", "/here", "dispatch", "caller"));
            int port = check_serve(app);
            client c = client_open(port);
            client_send(&c, request_text("GET", paths[path], NULL, NULL));
            poll_and_fork(app, &c, path == 1);
            client_close(&c);
            hasty_app_free(app);
        }
    }
}

CHECK_MAIN
