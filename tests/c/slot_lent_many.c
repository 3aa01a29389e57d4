/* Many slots, many threads, many connections: whoever takes his time keeps nobody else waiting. */
#include "host.h"
#include "slot_lent.h"

/* ---- one thread ---- */

TEST(one_thread_answers_what_is_in_its_slots_in_any_order)
{
    static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slots[4];
        client c[4];
        for (int i = 0; i < 4; i++) {
            slots[i] = slot_of(app);
            c[i] = client_open(port);
        }
        for (int order = 0; order < 4; order++) {
            for (int i = 0; i < 4; i++) {
                client_send(&c[i], request_text("POST", check_format("/any/%d", i), NULL, check_format("body %d", i)));
                REQUIRE(slot_next_is(&slots[i], check_format("%d", i)));
            }
            for (int at = 0; at < 4; at++) {
                int i = orders[order][at];
                CHECK_TEXT((const char *)slots[i].body, check_format("body %d", i)); /* what the others did left it alone */
                CHECK_TEXT(slots[i].path, check_format("/any/%d", i));
                slot_answer(&slots[i], check_format("answer %d", i));
                CHECK_REPLY(client_read(&c[i]), 200, check_format("answer %d", i));
            }
        }
        for (int i = 0; i < 4; i++)
            client_close(&c[i]);
        hasty_app_free(app);
    }
}

TEST(each_connection_has_one_request_in_a_slot_at_a_time)
{
    enum { CLIENTS = 3, EACH = 4 };
    FOR_EACH_KIND(kind)
    {
        int port, next[CLIENTS] = {0};
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slots[CLIENTS + 1];
        client c[CLIENTS];
        for (int i = 0; i <= CLIENTS; i++)
            slots[i] = slot_of(app);
        for (int i = 0; i < CLIENTS; i++) {
            char *all = "";
            for (int k = 0; k < EACH; k++)
                all = check_format("%s%s", all, taken_by(check_format("%d", 10 * i + k)));
            c[i] = client_open(port);
            client_send(&c[i], all);
            REQUIRE(slot_next(&slots[i]));
        }
        for (int k = 0; k < CLIENTS * EACH; k++) {
            /* Every client has one request in a slot, or none left: there is nothing for another slot. */
            for (int again = 0; again < 3; again++)
                CHECK_STATUS(hasty_slot_take(&slots[CLIENTS]), HASTY_ERR_TIMEOUT);
            hasty_slot *slot = &slots[k % CLIENTS];
            if (slot->ticket == 0)
                break;
            int from = atoi(slot->params) / 10;
            CHECK_INT(atoi(slot->params) % 10, next[from]++);
            slot_reply(slot, check_format("%s", slot->params));
            hasty_status status = hasty_slot_take(slot);
            CHECK_REPLY(client_read(&c[from]), 200, check_format("%d", 10 * from + next[from] - 1));
            if (status == HASTY_ERR_TIMEOUT && next[from] < EACH)
                REQUIRE(slot_next(slot));
        }
        for (int i = 0; i < CLIENTS; i++) {
            CHECK_INT(next[i], EACH);
            client_close(&c[i]);
        }
        hasty_app_free(app);
    }
}

TEST(wait_with_a_request_in_the_slot_tells_of_the_next_one)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot one = slot_of(app), two = slot_of(app);
        client c = ask_for(port, "/taken/1"), d, e;
        REQUIRE(slot_next_is(&one, "1"));
        CHECK_STATUS(hasty_slot_wait(&one, 20), HASTY_ERR_TIMEOUT);
        d = ask_for(port, "/taken/2");
        CHECK_OK(hasty_slot_wait(&one, 10000));
        CHECK_OK(hasty_slot_wait(&one, 10000)); /* it takes nothing */
        CHECK_TEXT(one.params, "1");
        REQUIRE(slot_next_is(&two, "2"));
        CHECK_STATUS(hasty_slot_wait(&one, 20), HASTY_ERR_TIMEOUT);
        e = ask_for(port, "/taken/3");
        CHECK_OK(hasty_slot_wait(&two, 10000));
        slot_reply(&one, "one");
        REQUIRE(slot_next_is(&one, "3"));
        CHECK_REPLY(client_read(&c), 200, "one");
        slot_answer(&one, "three");
        slot_answer(&two, "two");
        CHECK_REPLY(client_read(&d), 200, "two");
        CHECK_REPLY(client_read(&e), 200, "three");
        client_close(&c);
        client_close(&d);
        client_close(&e);
        hasty_app_free(app);
    }
}

TEST(the_librarys_own_answers_are_given_while_requests_are_in_slots)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot one = slot_of(app), two = slot_of(app);
        client c = ask_for(port, "/taken"), others[20];
        for (int i = 0; i < 20; i++)
            others[i] = ask_for(port, i % 2 ? "/library" : "/nowhere"); /* perhaps in one batch with it */
        REQUIRE(slot_next(&one));
        for (int i = 0; i < 20; i++) {
            for (int64_t end = check_now_ms() + 10000; !client_wait(&others[i], POLLIN, 0) && check_now_ms() < end;)
                CHECK_STATUS(hasty_slot_wait(&two, 20), HASTY_ERR_TIMEOUT);
            CHECK_REPLY(client_read(&others[i]), i % 2 ? 200 : 404, NULL);
            client_close(&others[i]);
        }
        slot_answer(&one, "at last");
        CHECK_REPLY(client_read(&c), 200, "at last");
        client_close(&c);
        hasty_app_free(app);
    }
}

TEST(one_who_pipelines_keeps_nobody_waiting)
{
    enum { MANY = 200 };
    FOR_EACH_KIND(kind)
    {
        int port, before = 0;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slot = slot_of(app);
        client c = client_open(port), d;
        client_send(&c, check_repeat(taken_by("many"), MANY));
        REQUIRE(slot_next_is(&slot, "many"));
        d = ask_for(port, "/taken/one");
        if (kind == THREADED)
            CHECK_OK(hasty_slot_wait(&slot, 10000)); /* a thread of the library's has read it; without any, this one will */
        for (;;) {
            check_pause_ms(1); /* so that the route is not known to be quick */
            REQUIRE(slot_next(&slot));
            if (strcmp(slot.params, "one") == 0)
                break;
            before++;
        }
        CHECK(before < MANY / 4);
        client_close(&c);
        client_close(&d);
        hasty_app_free(app);
    }
}

TEST(an_answer_that_is_kept_back_waits_for_few_requests_of_others)
{
    enum { MANY = 200, FEW = 20 };
    int port, after = 0;
    hasty_app *app = lent_app(ALONE, &port);
    hasty_slot slot = slot_of(app);
    client c = client_open(port), d = client_open(port);
    REQUIRE(slot_has_quick_answer(&slot, &c));
    client_send(&d, check_repeat(TAKEN, MANY));
    REQUIRE(slot_next(&slot));
    while (!client_wait(&c, POLLIN, check_now_ms()) && after < MANY - 1) {
        slot_reply(&slot, "fine");
        REQUIRE(slot_next(&slot));
        after++;
    }
    CHECK(after <= FEW);
    CHECK_REPLY(client_read(&c), 200, "fine");
    client_close(&c);
    client_close(&d);
    hasty_app_free(app);
}

/* ---- several threads ---- */

enum { THREADS = 4 };

static hasty_app *start_threads(int kind, server *threads, int *port, void (*answer)(hasty_slot *))
{
    hasty_app *app = lent_app(kind, port);
    for (int i = 0; i < THREADS; i++)
        start_server(&threads[i], app, answer);
    return app;
}

static int stop_threads(server *threads)
{
    int sum = 0;
    hasty_app_stop(threads[0].app);
    for (int i = 0; i < THREADS; i++)
        sum += stop_server(&threads[i]);
    return sum;
}

static _Atomic int wanted, present;

/* Holds its thread until so many are held. */
static void answer_together(hasty_slot *slot)
{
    int together = wanted;
    present++;
    if (together > 0)
        CHECK(AWAIT(present >= together) && "each has a thread");
    slot_reply(slot, "together");
}

TEST(a_route_that_was_always_quick_may_block_in_all_threads_but_in_none_twice)
{
    int rounds = check_small() ? 20 : 200;
    FOR_EACH_KIND(kind)
    {
        int port;
        server threads[THREADS];
        wanted = present = 0;
        hasty_app *app = start_threads(kind, threads, &port, answer_together);
        client c[THREADS];
        for (int i = 0; i < THREADS; i++)
            c[i] = client_open(port);
        for (int round = 0; round < rounds && check_why[0] == '\0'; round++) {
            wanted = 0;
            for (int i = 0; i < 20; i++)
                CHECK_REPLY(client_ask(&c[i % THREADS], TAKEN), 200, "together");
            present = 0;
            wanted = THREADS;
            for (int i = 0; i < THREADS; i++)
                client_send(&c[i], TAKEN);
            for (int i = 0; i < THREADS; i++)
                CHECK_REPLY(client_read(&c[i]), 200, "together");
        }
        stop_threads(threads);
        for (int i = 0; i < THREADS; i++)
            client_close(&c[i]);
        hasty_app_free(app);
    }
}

static _Atomic int others;

/* "slow" is not answered before 20 others are. */
static void answer_the_slow_last(hasty_slot *slot)
{
    if (strcmp(slot->params, "slow") == 0)
        CHECK(AWAIT(others >= 20) && "the others go on");
    else if (strcmp(slot->params, "other") == 0)
        others++;
    answer_id(slot);
}

TEST(a_request_that_suddenly_blocks_holds_up_nobody_of_its_batch)
{
    int rounds = check_small() ? 5 : 50;
    FOR_EACH_KIND(kind)
    {
        int port;
        server threads[THREADS];
        hasty_app *app = start_threads(kind, threads, &port, answer_the_slow_last);
        client slow = client_open(port), c[20];
        for (int i = 0; i < 20; i++)
            c[i] = client_open(port);
        for (int round = 0; round < rounds && check_why[0] == '\0'; round++) {
            for (int i = 0; i < 20; i++)
                CHECK_REPLY(client_ask(&c[i], taken_by("quick")), 200, "quick");
            others = 0;
            client_send(&slow, taken_by("slow"));
            for (int i = 0; i < 20; i++)
                client_send(&c[i], taken_by("other"));
            CHECK_REPLY(client_read(&slow), 200, "slow");
            for (int i = 0; i < 20; i++)
                CHECK_REPLY(client_read(&c[i]), 200, "other");
        }
        stop_threads(threads);
        client_close(&slow);
        for (int i = 0; i < 20; i++)
            client_close(&c[i]);
        hasty_app_free(app);
    }
}

/* ---- threads that wait ---- */

enum { WAITERS = 5 };

typedef struct waiter {
    pthread_t thread;
    hasty_app *app;
    int timeout_ms;
    hasty_status status;
    _Atomic int returned;
} waiter;

static void *waits(void *data)
{
    waiter *w = data;
    hasty_slot slot = slot_of(w->app);
    w->status = hasty_slot_wait(&slot, w->timeout_ms);
    w->returned = 1;
    return NULL;
}

static void start_waiters(waiter *waiters, hasty_app *app, int timeout_ms)
{
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (waiter){.app = app, .timeout_ms = timeout_ms, .status = -1};
        CHECK(pthread_create(&waiters[i].thread, NULL, waits, &waiters[i]) == 0);
    }
}

static int returned(const waiter *waiters)
{
    int count = 0;
    for (int i = 0; i < WAITERS; i++)
        count += waiters[i].returned;
    return count;
}

static void join_waiters(waiter *waiters, hasty_status wanted)
{
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(waiters[i].thread, NULL);
        CHECK_STATUS(waiters[i].status, wanted);
    }
}

TEST(a_stop_ends_every_wait)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        waiter waiters[WAITERS];
        hasty_app *app = lent_app(kind, &port);
        start_waiters(waiters, app, -1);
        check_pause_ms(20); /* waiting, or about to: both have to be right */
        CHECK_INT(returned(waiters), 0);
        hasty_app_stop(app);
        join_waiters(waiters, HASTY_ERR_CLOSED);
        hasty_app_free(app);
    }
}

TEST(each_wake_ends_one_wait)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        waiter waiters[WAITERS];
        hasty_app *app = lent_app(kind, &port);
        start_waiters(waiters, app, -1);
        check_pause_ms(20);
        for (int i = 1; i <= WAITERS; i++) {
            hasty_app_wake(app);
            CHECK(AWAIT(returned(waiters) >= i));
            check_pause_ms(5);
            CHECK_INT(returned(waiters), i);
        }
        join_waiters(waiters, HASTY_ERR_TIMEOUT);
        hasty_app_free(app);
    }
}

static void only_interrupts(CHECK_UNUSED int number)
{
}

TEST(a_signal_ends_the_wait_of_its_thread_and_of_no_other)
{
    static const int order[WAITERS] = {2, 0, 4, 3, 1};
    struct sigaction action = {.sa_handler = only_interrupts}, old;
    sigaction(SIGUSR1, &action, &old);
    FOR_EACH_KIND(kind)
    {
        int port;
        waiter waiters[WAITERS];
        hasty_app *app = lent_app(kind, &port);
        start_waiters(waiters, app, -1);
        for (int i = 0; i < WAITERS; i++) {
            waiter *w = &waiters[order[i]];
            CHECK(AWAIT((w->returned || pthread_kill(w->thread, SIGUSR1) == 0) && w->returned)); /* it may not wait yet */
            CHECK_INT(returned(waiters), i + 1);
        }
        join_waiters(waiters, HASTY_ERR_TIMEOUT);
        hasty_app_free(app);
    }
    sigaction(SIGUSR1, &old, NULL);
}

TEST(every_wait_ends_when_its_time_is_up)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        waiter waiters[WAITERS];
        hasty_app *app = lent_app(kind, &port);
        int64_t begin = check_now_ms();
        start_waiters(waiters, app, 60);
        join_waiters(waiters, HASTY_ERR_TIMEOUT);
        CHECK(check_now_ms() - begin >= 59);
        hasty_app_free(app);
    }
}

TEST(threads_that_come_to_wait_and_go_leave_no_descriptors)
{
    FOR_EACH_KIND(kind)
    {
        int port, first = 0;
        waiter waiters[WAITERS];
        hasty_app *app = lent_app(kind, &port);
        for (int round = 0; round < 20; round++) {
            start_waiters(waiters, app, 5);
            join_waiters(waiters, HASTY_ERR_TIMEOUT);
            if (round == 1)
                first = fd_count();
        }
        CHECK(fd_count() <= first + 2 * WAITERS);
        hasty_app_free(app);
    }
}

TEST(what_a_wait_has_found_is_for_any_slot)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot waiting = slot_of(app), taking = slot_of(app);
        for (int i = 0; i < 3; i++) {
            client c = ask_for(port, "/taken/found");
            CHECK_OK(hasty_slot_wait(&waiting, 10000));
            CHECK_OK(hasty_slot_wait(&taking, 10000));
            CHECK_OK(hasty_slot_take(&taking));
            CHECK_TEXT(taking.params, "found");
            CHECK_STATUS(hasty_slot_take(&waiting), HASTY_ERR_TIMEOUT);
            slot_answer(&taking, "taken");
            CHECK_REPLY(client_read(&c), 200, "taken");
            client_close(&c);
        }
        hasty_app_free(app);
    }
}

/* Answers what it gets until nothing more is there, and ends. */
static void *comes_once(void *data)
{
    waiter *w = data;
    hasty_slot slot = slot_of(w->app);
    hasty_status status;
    while ((status = hasty_slot_take(&slot)) == HASTY_ERR_TIMEOUT)
        hasty_slot_wait(&slot, -1);
    while (status == HASTY_OK) {
        slot_reply(&slot, "once");
        status = hasty_slot_take(&slot);
    }
    w->returned = 1;
    return NULL;
}

TEST(threads_that_go_after_an_answer_leave_the_rest_to_those_that_stay)
{
    FOR_EACH_KIND(kind)
    {
        for (int round = 0; round < (check_small() ? 2 : 10); round++) {
            int port;
            waiter waiters[WAITERS];
            server stays;
            hasty_app *app = lent_app(kind, &port);
            for (int i = 0; i < WAITERS; i++) {
                waiters[i] = (waiter){.app = app};
                REQUIRE(pthread_create(&waiters[i].thread, NULL, comes_once, &waiters[i]) == 0);
            }
            start_server(&stays, app, answer_id);
            client c = client_open(port);
            for (int i = 0; i < 500 && returned(waiters) < WAITERS; i++)
                if (!CHECK_REPLY(client_ask(&c, TAKEN), 200, NULL))
                    break;
            stop_server(&stays);
            for (int i = 0; i < WAITERS; i++)
                pthread_join(waiters[i].thread, NULL);
            client_close(&c);
            hasty_app_free(app);
        }
    }
}

/* ---- everything at once ---- */

static pthread_mutex_t later_lock = PTHREAD_MUTEX_INITIALIZER;
static hasty_exchange *to_finish[4096]; /* guarded by later_lock */
static int to_finish_count;
static _Atomic int finisher_ends;

static void *finishes_all(CHECK_UNUSED void *data)
{
    for (;;) {
        pthread_mutex_lock(&later_lock);
        hasty_exchange *exchange = to_finish_count > 0 ? to_finish[--to_finish_count] : NULL;
        pthread_mutex_unlock(&later_lock);
        if (exchange == NULL && finisher_ends)
            return NULL;
        if (exchange == NULL) {
            check_pause_ms(1);
            continue;
        }
        hasty_str id = hasty_request_param(hasty_exchange_request(exchange), "id");
        CHECK_OK(hasty_response_send_text(hasty_exchange_response(exchange), id.data ? id.data : ""));
        CHECK_OK(hasty_exchange_finish(exchange));
    }
}

/* Some are answered here, some later, some by a file's part, some by their own body. */
static void answer_in_many_ways(hasty_slot *slot)
{
    hasty_exchange *exchange = NULL;
    int number = atoi(slot->params);
    if (slot->body_len > 0) {
        slot->reply = slot->body;
        slot->reply_len = slot->body_len;
    } else if (number % 5 == 1) {
        if (!CHECK_OK(hasty_slot_exchange(slot, &exchange)))
            return;
        pthread_mutex_lock(&later_lock);
        to_finish[to_finish_count++] = exchange;
        pthread_mutex_unlock(&later_lock);
    } else {
        answer_id(slot);
    }
}

typedef struct talker {
    pthread_t thread;
    int port, number, rounds;
} talker;

static void *talks(void *data)
{
    talker *t = data;
    client c = client_open(t->port);
    for (int round = 0; round < t->rounds && check_why[0] == '\0'; round++) {
        char ids[8][24], *all = "";
        int count = 1 + (round + t->number) % 8;
        for (int i = 0; i < count; i++) {
            snprintf(ids[i], sizeof ids[i], "%d", 1000 * t->number + 8 * round + i);
            char *next = i % 4 == 3 ? LIBRARY : i % 4 == 2 ? request_text("POST", check_format("/any/%s", ids[i]), NULL, ids[i]) : taken_by(ids[i]);
            all = check_format("%s%s", all, next);
        }
        client_send_pieces(&c, all, 1 + (size_t)(round * 37 % 300));
        for (int i = 0; i < count; i++)
            CHECK_REPLY(client_read(&c), 200, i % 4 == 3 ? "the library's" : ids[i]);
        if (round % 10 == 9) { /* and again from another place */
            round & 1 ? client_reset(&c) : client_close(&c);
            c = client_open(t->port);
        }
    }
    client_close(&c);
    return NULL;
}

TEST(whatever_is_done_with_slots_each_client_gets_its_own_answers_in_order)
{
    enum { TALKERS = 6, RUNNERS = 2 };
    FOR_EACH_KIND(kind)
    {
        for (int runs = 0; runs < 2; runs++) { /* with threads in hasty_app_run as well */
            int port;
            server threads[THREADS];
            talker talkers[TALKERS];
            runner runners[RUNNERS];
            pthread_t finisher;
            finisher_ends = to_finish_count = 0;
            hasty_app *app = start_threads(kind, threads, &port, answer_in_many_ways);
            REQUIRE(pthread_create(&finisher, NULL, finishes_all, NULL) == 0);
            for (int i = 0; runs && i < RUNNERS; i++)
                start_runner(&runners[i], app);
            for (int i = 0; i < TALKERS; i++) {
                talkers[i] = (talker){.port = port, .number = i, .rounds = check_small() ? 20 : 150};
                REQUIRE(pthread_create(&talkers[i].thread, NULL, talks, &talkers[i]) == 0);
            }
            for (int i = 0; i < TALKERS; i++)
                pthread_join(talkers[i].thread, NULL);
            finisher_ends = 1;
            pthread_join(finisher, NULL);
            stop_threads(threads);
            for (int i = 0; runs && i < RUNNERS; i++)
                join_runner(&runners[i]);
            hasty_app_free(app);
        }
    }
}

/* ---- the end, in the middle of it all ---- */

static _Atomic int whole, asks_no_more;

/* Whether there was a whole answer, after which the connection stays; nothing at all is right, half of one is not. */
static int gets_whole(client *c)
{
    reply r = client_read(c);
    if (r.status == 0)
        return !CHECK_INT(c->len, 0);
    whole++;
    CHECK(r.status == 200 || r.status == 503);
    return !reply_lists(&r, "Connection", "close");
}

static void *asks_on(void *data)
{
    int port = *(int *)data;
    while (!asks_no_more) {
        client c = client_open(port);
        int stays = c.fd >= 0;
        if (!stays)
            check_pause_ms(1);
        while (stays && !asks_no_more)
            stays = client_send(&c, check_format("%s%s", TAKEN, taken_by("2"))) && gets_whole(&c) && gets_whole(&c);
        client_close(&c);
    }
    return NULL;
}

TEST(an_app_that_ends_under_load_leaves_no_half_answers)
{
    enum { CLIENTS = 4 };
    FOR_EACH_KIND(kind)
    {
        for (int round = 0; round < (check_small() ? 4 : 30); round++) {
            int port;
            server threads[THREADS];
            pthread_t clients[CLIENTS];
            whole = asks_no_more = 0;
            hasty_app *app = start_threads(kind, threads, &port, answer_id);
            for (int i = 0; i < CLIENTS; i++)
                REQUIRE(pthread_create(&clients[i], NULL, asks_on, &port) == 0);
            CHECK(AWAIT(whole > 100));
            if (round & 1)
                hasty_app_stop(app);
            else
                CHECK_OK(hasty_app_drain(app, 20000));
            asks_no_more = 1;
            for (int i = 0; i < CLIENTS; i++)
                pthread_join(clients[i], NULL);
            stop_threads(threads);
            hasty_app_free(app);
        }
    }
}

CHECK_MAIN
