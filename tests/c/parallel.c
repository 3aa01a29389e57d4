/* Many connections and many threads: nobody waits for another's handler, and nobody gets another's answer. */
#include "client.h"

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

/* ---- a handler that blocks ---- */

static _Atomic int gate_entered, gate_open;

HANDLER(waits_at_the_gate)
{
    gate_entered++;
    AWAIT(gate_open);
    return hasty_response_send_text(res, "through");
}

TEST(a_handler_that_blocks_holds_one_thread_and_nobodys_connection)
{
    enum { QUICK = 40 };
    static const uint32_t threads[] = {2, 4, 0};
    for (size_t round = 0; round < sizeof threads / sizeof threads[0]; round++) {
        gate_entered = gate_open = 0;
        hasty_options options = {.size = sizeof options, .threads = threads[round]};
        hasty_app *app = check_app(&options);
        CHECK_OK(hasty_app_get(app, "/", fine, NULL));
        CHECK_OK(hasty_app_get(app, "/gate", waits_at_the_gate, NULL));
        int port = check_serve(app);
        client blocked = client_open(port), quick[QUICK];
        for (int i = 0; i < QUICK; i++) {
            quick[i] = client_open(port);
            CHECK_REPLY(client_ask(&quick[i], request_text("GET", "/", NULL, NULL)), 200, "fine");
        }
        /* all at once, so that whoever takes the blocking request may well have taken others with it */
        for (int i = 0; i < QUICK / 2; i++)
            client_send(&quick[i], request_text("GET", "/", NULL, NULL));
        client_send(&blocked, request_text("GET", "/gate", NULL, NULL));
        for (int i = QUICK / 2; i < QUICK; i++)
            client_send(&quick[i], request_text("GET", "/", NULL, NULL));
        for (int i = 0; i < QUICK; i++)
            CHECK_REPLY(client_read(&quick[i]), 200, "fine");
        CHECK(AWAIT(gate_entered == 1));
        CHECK(!gate_open);
        for (int i = 0; i < QUICK; i++) {
            CHECK_REPLY(client_ask(&quick[i], request_text("GET", "/", NULL, NULL)), 200, "fine");
            client_close(&quick[i]);
        }
        gate_open = 1;
        CHECK_REPLY(client_read(&blocked), 200, "through");
        client_close(&blocked);
        hasty_app_free(app);
    }
}

HANDLER(meets_the_others)
{
    int all = *(int *)user_data;
    gate_entered++;
    AWAIT(gate_entered >= all);
    return hasty_response_send_text(res, gate_entered >= all ? "met" : "alone");
}

/* As many clients as there are threads: their handlers must all be running at the same time. Where one of them is
 * held up by another's, nobody ever gets through; that would be a matter of luck, so it is tried many times. */
enum { TOGETHER = 4 };

static void meet_many_times(int before_start)
{
    int all = TOGETHER;
    for (int round = 0; round < (check_small() ? 5 : 60); round++) {
        gate_entered = 0;
        hasty_options options = {.size = sizeof options, .threads = TOGETHER};
        hasty_app *app = check_app(&options);
        CHECK_OK(hasty_app_get(app, "/", meets_the_others, &all));
        CHECK_OK(hasty_app_listen(app, NULL, 0));
        if (!before_start)
            CHECK_OK(hasty_app_start(app));
        client clients[TOGETHER];
        for (int i = 0; i < TOGETHER; i++) {
            clients[i] = client_open(hasty_app_port(app));
            client_send(&clients[i], request_text("GET", "/", NULL, NULL));
        }
        if (before_start) /* all of them are in the backlog when the first thread looks */
            CHECK_OK(hasty_app_start(app));
        int met = 1;
        for (int i = 0; i < TOGETHER; i++) {
            met &= CHECK_REPLY(client_read(&clients[i]), 200, "met");
            client_close(&clients[i]);
        }
        hasty_app_free(app);
        if (!met)
            break;
    }
}

TEST(as_many_handlers_run_at_once_as_there_are_threads)
{
    meet_many_times(0);
}

TEST(a_handler_that_blocks_holds_up_nobody_who_waits_to_be_accepted)
{
    meet_many_times(1);
}

/* ---- one connection is one thing at a time ---- */

HANDLER(is_alone)
{
    _Atomic int *inside = user_data;
    CHECK_INT(++*inside, 1);
    check_pause_ms(1);
    --*inside;
    return hasty_response_send_text(res, hasty_request_param(req, "n").data);
}

TEST(the_requests_of_one_connection_are_handled_one_after_the_other)
{
    _Atomic int inside = 0;
    int count = check_small() ? 20 : 200;
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/:n", is_alone, (void *)&inside));
    client c = client_open(check_serve(app));
    for (int i = 0; i < count; i++)
        client_send(&c, request_text("GET", check_format("/%d", i), NULL, NULL));
    for (int i = 0; i < count; i++)
        if (!CHECK_REPLY(client_read(&c), 200, check_format("%d", i)))
            break;
    client_close(&c);
    hasty_app_free(app);
}

/* ---- nobody gets another's answer ---- */

HANDLER(tells_all_it_knows)
{
    char text[1024];
    hasty_str body = hasty_request_body(req);
    snprintf(text, sizeof text, "%s|%s|%s|%s|%.*s", hasty_request_param(req, "who").data,
             hasty_request_query(req, "n").data, hasty_request_header(req, "X-Who").data,
             hasty_request_cookie(req, "who").data, (int)body.len, body.data);
    hasty_response_set_header(res, "X-Who", hasty_request_param(req, "who").data);
    return hasty_response_send_text(res, text);
}

typedef struct talker {
    pthread_t thread;
    int port, who, rounds;
} talker;

static char *saying(const talker *t, int n, const char *body)
{
    return check_format(
        "POST /%d?n=%d HTTP/1.1\r\nHost: x\r\nX-Who: %d\r\nCookie: who=%d\r\nContent-Length: %zu\r\n\r\n%s", t->who, n,
        t->who, t->who, strlen(body), body);
}

static void *talks(void *data)
{
    talker *t = data;
    for (int round = 0; round < t->rounds; round++) {
        client c = client_open(t->port);
        for (int n = 0; n < 8; n++) { /* alone, then as many at once as the round has */
            int burst = n % 4 == 0 ? 1 + round % 6 : 1;
            for (int i = 0; i < burst; i++)
                client_send(&c, saying(t, n * 100 + i, check_format("%d says %d", t->who, i)));
            for (int i = 0; i < burst; i++) {
                reply r = client_read(&c);
                CHECK_REPLY(r, 200,
                            check_format("%d|%d|%d|%d|%d says %d", t->who, n * 100 + i, t->who, t->who, t->who, i));
                CHECK_HEADER(r, "X-Who", check_format("%d", t->who));
            }
        }
        if (round % 5 == 4) { /* somebody who leaves in the middle */
            client_send(&c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n12345");
            client_reset(&c);
        }
        client_close(&c);
    }
    return NULL;
}

TEST(answers_are_never_mixed_up)
{
    enum { TALKERS = 8 };
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_post(app, "/:who", tells_all_it_knows, NULL));
    int port = check_serve(app);
    talker talkers[TALKERS];
    for (int i = 0; i < TALKERS; i++) {
        talkers[i] = (talker){.port = port, .who = 1000 + i, .rounds = check_small() ? 2 : 40};
        CHECK(pthread_create(&talkers[i].thread, NULL, talks, &talkers[i]) == 0);
    }
    for (int i = 0; i < TALKERS; i++)
        pthread_join(talkers[i].thread, NULL);
    hasty_app_free(app);
}

/* ---- clients that leave ---- */

static int fd_count(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

TEST(clients_that_leave_at_any_moment_cost_nothing)
{
    hasty_options options = {.size = sizeof options, .max_connections = 64};
    hasty_app *app = check_app(&options);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_post(app, "/", fine, NULL));
    int port = check_serve(app), before = fd_count();
    const char *request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789";
    size_t len = strlen(request);
    for (size_t i = 0; i < (check_small() ? 100u : 600u); i++) { /* ten times as many as may be there at once */
        client c = client_open(port);
        client_send_bytes(&c, request, i % (len + 1));
        if (i % 3 == 0)
            client_reset(&c);
        else
            client_close(&c);
    }
    int served = 0;
    for (int64_t deadline = check_now_ms() + 10000; !served && check_now_ms() < deadline;)
        served = get(port, "/").status == 200;
    CHECK(served);
    CHECK(AWAIT(fd_count() == before)); /* every one of them was closed here too */
    hasty_app_free(app);
}

/* ---- clients that ask and ask and do not listen ---- */

static long resident_kib(void)
{
    long kib = 0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "VmRSS: %ld kB", &kib);
    if (status != NULL)
        fclose(status);
    return kib;
}

HANDLER(long_answer)
{
    static char text[100000];
    memset(text, 'x', sizeof text);
    return hasty_response_send(res, text, sizeof text);
}

TEST(who_does_not_read_answers_is_not_read_from)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/long", long_answer, NULL));
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    int port = check_serve(app);
    client c = client_open(port);
    char *requests = check_repeat(request_text("GET", "/long", NULL, NULL), 1000);
    long before = resident_kib();
    size_t sent = 0, len = strlen(requests);
    int quiet = 0;
    while (quiet < 20 && sent < ((size_t)64 << 20)) { /* until the server has taken nothing for a second */
        ssize_t some = send(c.fd, requests + sent % len, len - sent % len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (some > 0) {
            sent += (size_t)some;
            quiet = 0;
        } else {
            check_pause_ms(50);
            quiet++;
        }
    }
    CHECK(quiet == 20 && "the server stopped reading");
    CHECK(CHECK_SANITIZED || check_valgrind() || resident_kib() - before < 32 << 10);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    client_close(&c);
    hasty_app_free(app);
}

/* ---- waiting costs no time of the processor ---- */

static int64_t cpu_ms(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

HANDLER(huge_answer)
{
    static char text[16 << 20];
    return hasty_response_send_owned(res, text, sizeof text, NULL, NULL);
}

TEST(nothing_spins_while_clients_take_their_time)
{
    gate_entered = gate_open = 0;
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    CHECK_OK(hasty_app_post(app, "/", fine, NULL));
    CHECK_OK(hasty_app_get(app, "/gate", waits_at_the_gate, NULL));
    CHECK_OK(hasty_app_get(app, "/huge", huge_answer, NULL));
    CHECK_OK(hasty_app_set_option(app, "max_body_bytes", "1000"));
    int port = check_serve(app);
    const char *const states[] = {
        "",                                                                        /* nothing said */
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",                                       /* idle after an answer */
        "GET / HT",                                                                /* half a head */
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123",             /* half a body */
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12", /* half a chunk */
        "GET /huge HTTP/1.1\r\nHost: x\r\n\r\n",                                   /* an answer nobody reads */
        "GET /huge HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",  /* and more waits behind it */
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n", /* refused, and not closed by the client */
        "GET /gate HTTP/1.1\r\nHost: x\r\n\r\n",                      /* in its handler */
        "GET /gate HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", /* with more behind it */
    };
    enum { STATES = sizeof states / sizeof states[0] };
    client open[STATES], half[STATES];
    for (int i = 0; i < STATES; i++) {
        open[i] = client_open(port);
        half[i] = client_open(port);
        client_send(&open[i], states[i]);
        client_send(&half[i], states[i]);
        client_half_close(&half[i]);
    }
    CHECK(AWAIT(gate_entered == 4));
    gate_entered = 0;
    check_pause_ms(200); /* what is to be done at once has been done */
    int64_t before = cpu_ms();
    struct timespec second = {1, 0};
    nanosleep(&second, NULL); /* the handlers at the gate poll it every millisecond: that is all there is to do */
    int64_t used = cpu_ms() - before;
    if (!check_valgrind() && !CHECK_SANITIZED && used > 300)
        check_fail(__FILE__, __LINE__, "%lld ms of the processor were used in a second of waiting", (long long)used);
    gate_open = 1;
    for (int i = 0; i < STATES; i++) {
        client_close(&open[i]);
        client_close(&half[i]);
    }
    CHECK_REPLY(get(port, "/"), 200, "fine");
    hasty_app_free(app);
}

CHECK_MAIN
