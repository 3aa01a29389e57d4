/* hasty_app_fd beside slots: it is readable whenever something can be taken, and a host that sleeps by it never oversleeps. */
#include "slot_lent.h"

#include <sys/epoll.h>
#include <sys/resource.h>

enum { CLIENTS = 60 };

/* Takes as long as something is told of, which is nothing to be taken; whether that has an end. */
static int take_in_vain(hasty_app *app)
{
    hasty_slot slot = slot_of(app);
    for (int i = 0; i < 100; i++) {
        if (!is_readable(app, 0))
            return 1;
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_TIMEOUT);
    }
    return 0;
}

/* Whose answer is there: with threads of the library's, requests come into the slots in any order. NULL: nobody's. */
static client *who_is_answered(client *clients)
{
    struct pollfd all[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        all[i] = (struct pollfd){.fd = clients[i].fd, .events = POLLIN};
    for (int i = 0; poll(all, CLIENTS, i == 0 ? CLIENT_WAIT_MS : 0) > 0 && i < CLIENTS; i++)
        if (all[i].revents != 0)
            return &clients[i];
    return NULL;
}

TEST(it_is_readable_as_long_as_anything_can_be_taken_and_no_longer)
{
    FOR_EACH_KIND(kind)
    {
        for (int quick = 0; quick < 2; quick++) {
            int port, in_vain = 0, answers[CLIENTS] = {0};
            hasty_app *app = lent_app(kind, &port);
            hasty_slot slots[CLIENTS], first = slot_of(app);
            client c[CLIENTS];
            for (int i = 0; i < CLIENTS; i++) {
                slots[i] = slot_of(app);
                c[i] = client_open(port);
            }
            if (quick)
                make_it_quick(&first, &c[0]);
            for (int i = 0; i < CLIENTS; i++)
                client_send(&c[i], TAKEN);
            for (int taken = 0; taken < CLIENTS;) { /* none is answered meanwhile */
                REQUIRE(is_readable(app, 10000));
                hasty_status status = hasty_slot_take(&slots[taken]);
                if (status == HASTY_OK)
                    taken++;
                else if (CHECK_STATUS(status, HASTY_ERR_TIMEOUT))
                    in_vain++;
            }
            CHECK(in_vain <= CLIENTS + 10); /* once for each connection that came, at most, and for a timer now and then */
            CHECK(take_in_vain(app));
            for (int i = 0; i < CLIENTS; i++) {
                slot_reply(&slots[i], "answered");
                CHECK_STATUS(hasty_slot_take(&slots[i]), HASTY_ERR_TIMEOUT);
                client *who = who_is_answered(c);
                REQUIRE(who != NULL);
                CHECK_REPLY(client_read(who), 200, "answered");
                CHECK_INT(++answers[who - c], 1);
            }
            CHECK(take_in_vain(app));
            hasty_app_stop(app);
            CHECK(is_readable(app, 0));
            CHECK_STATUS(hasty_slot_take(&first), HASTY_ERR_CLOSED);
            CHECK(is_readable(app, 0));
            for (int i = 0; i < CLIENTS; i++)
                client_close(&c[i]);
            hasty_app_free(app);
        }
    }
}

TEST(it_tells_of_what_came_before_it_was_asked_for)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot one = slot_of(app), two = slot_of(app);
        client c = ask_for(port, "/taken"), d = ask_for(port, "/taken");
        REQUIRE(slot_next(&one)); /* the other came perhaps along with it */
        for (hasty_status status = HASTY_ERR_TIMEOUT; status != HASTY_OK; status = hasty_slot_take(&two))
            REQUIRE(is_readable(app, 10000));
        slot_answer(&two, "two");
        slot_answer(&one, "one");
        client_close(&c);
        client_close(&d);
        hasty_app_free(app);
    }
}

TEST(it_tells_of_what_wait_has_found)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slot = slot_of(app), other = slot_of(app);
        client c = ask_for(port, "/taken");
        REQUIRE_OK(hasty_slot_wait(&slot, 10000));
        for (int i = 0; i < 20 && other.ticket == 0; i++) {
            CHECK(is_readable(app, 0));
            hasty_slot_take(&other);
        }
        REQUIRE(other.ticket != 0);
        slot_answer(&other, "taken");
        CHECK_REPLY(client_read(&c), 200, "taken");
        client_close(&c);
        hasty_app_free(app);
    }
}

/* ---- a host with a loop of its own, which takes once for each time that it is told ---- */

typedef struct guest {
    client c;
    int asked, got;
} guest;

enum { GUESTS = 20, EACH = 30 };

static char *guest_asks(int guest, int number)
{
    return number % 3 == 1 ? LIBRARY : number % 7 == 2 ? request_text("POST", check_format("/any/%d", 100 * guest + number), NULL, "a body")
                                                       : taken_by(check_format("%d", 100 * guest + number));
}

/* Sends the next few, pipelined. */
static void guest_sends(guest *guests, int i)
{
    guest *g = &guests[i];
    for (int count = 1 + g->asked % 4; count > 0 && g->asked < EACH; count--)
        client_send(&g->c, guest_asks(i, g->asked++));
}

static int guest_reads(guest *guests, int i)
{
    guest *g = &guests[i];
    for (; g->got < g->asked; g->got++) {
        while (g->c.len == 0 || memmem(g->c.input, g->c.len, "\r\n\r\n", 4) == NULL)
            if (!client_more(&g->c, check_now_ms()))
                return CHECK(!g->c.ended);
        char *wanted = g->got % 3 == 1 ? "the library's" : check_format("%d", 100 * i + g->got);
        if (!CHECK_REPLY(client_read(&g->c), 200, wanted))
            return 0;
    }
    guest_sends(guests, i);
    return 1;
}

TEST(a_loop_that_takes_once_each_time_it_is_told_serves_everybody)
{
    FOR_EACH_KIND(kind)
    {
        for (int held = 1; held <= 5; held += 4) { /* so many slots are full before the first is answered */
            int port, done = 0, at = 0, loop = epoll_create1(EPOLL_CLOEXEC);
            hasty_app *app = lent_app(kind, &port);
            hasty_slot slots[5];
            guest guests[GUESTS] = {0};
            struct epoll_event event = {.events = EPOLLIN, .data.u32 = GUESTS};
            for (int i = 0; i < 5; i++)
                slots[i] = slot_of(app);
            epoll_ctl(loop, EPOLL_CTL_ADD, hasty_app_fd(app), &event);
            for (int i = 0; i < GUESTS; i++) {
                event.data.u32 = (uint32_t)i;
                guests[i].c = client_open(port);
                epoll_ctl(loop, EPOLL_CTL_ADD, guests[i].c.fd, &event);
                guest_sends(guests, i);
            }
            while (done < GUESTS && check_why[0] == '\0') {
                int full = 0;
                for (int i = 0; i < held; i++)
                    full += slots[i].ticket != 0;
                /* What is in its slots it answers when nothing else happens. */
                int ready = epoll_wait(loop, &event, 1, full > 0 ? 0 : 10000);
                if (ready == 0 && full == 0) {
                    check_fail(__FILE__, __LINE__, "nobody was told, and %d of %d are done", done, GUESTS);
                } else if (ready == 1 && event.data.u32 < GUESTS) {
                    guest *g = &guests[event.data.u32];
                    guest_reads(guests, (int)event.data.u32);
                    if (g->got == EACH) {
                        done++;
                        epoll_ctl(loop, EPOLL_CTL_DEL, g->c.fd, NULL);
                    }
                } else if (ready == 0 || full == held) {
                    while (slots[at = (at + 1) % held].ticket == 0) {
                    }
                    slot_reply(&slots[at], check_format("%s", slots[at].params));
                    hasty_slot_take(&slots[at]);
                } else {
                    while (slots[at = (at + 1) % held].ticket != 0) {
                    }
                    hasty_slot_take(&slots[at]);
                }
            }
            for (int i = 0; i < GUESTS; i++)
                client_close(&guests[i].c);
            close(loop);
            hasty_app_free(app);
        }
    }
}

/* ---- nothing spins ---- */

static int64_t processor_ms(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000 + (use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1000;
}

static void *runs(void *app)
{
    CHECK_OK(hasty_app_run(app));
    return NULL;
}

TEST(waiting_takes_no_processor_time_whoever_has_served_what_was_left)
{
    for (int way = 0; way < 3; way++) { /* left to nobody, to this thread, and to one that runs the app */
        int port;
        hasty_app *app = lent_app(ALONE, &port);
        hasty_slot slots[3];
        client c[3];
        pthread_t runner;
        for (int i = 0; i < 3; i++) {
            slots[i] = slot_of(app);
            c[i] = ask_for(port, "/taken");
        }
        REQUIRE(slot_next(&slots[0]));
        if (way == 2)
            REQUIRE(pthread_create(&runner, NULL, runs, app) == 0);
        for (int i = 1; way > 0 && i < 3; i++)
            REQUIRE(slot_next(&slots[i]));
        for (int i = 0; way > 0 && i < 3; i++) {
            slot_answer(&slots[i], "answered");
            CHECK_REPLY(client_read(&c[i]), 200, "answered");
        }
        hasty_slot waits = slot_of(app);
        if (way == 0) {
            REQUIRE(slot_next(&slots[1]));
            REQUIRE(slot_next(&slots[2]));
        }
        int64_t before = processor_ms();
        CHECK_STATUS(hasty_slot_wait(&waits, 1000), HASTY_ERR_TIMEOUT);
        CHECK(processor_ms() - before < 300);
        hasty_app_stop(app);
        if (way == 2)
            pthread_join(runner, NULL);
        hasty_app_free(app);
        for (int i = 0; i < 3; i++)
            client_close(&c[i]);
    }
}

static _Atomic int arrived, open_gate;

HANDLER(holds)
{
    arrived++;
    CHECK(AWAIT(open_gate));
    return hasty_response_send_text(res, "held");
}

TEST(what_was_left_is_not_told_of_while_another_thread_goes_on_with_it)
{
    int port;
    pthread_t runner;
    hasty_app *app = lent_app_with(ALONE, NULL);
    arrived = open_gate = 0;
    CHECK_OK(hasty_app_get(app, "/holds", holds, NULL));
    port = check_serve(app);
    hasty_slot slot = slot_of(app);
    client c = ask_for(port, "/taken"), d = ask_for(port, "/holds"), e = ask_for(port, "/library");
    REQUIRE(slot_next(&slot)); /* the others came along with it */
    CHECK(is_readable(app, 0));
    REQUIRE(pthread_create(&runner, NULL, runs, app) == 0);
    CHECK(AWAIT(arrived));
    CHECK(take_in_vain(app));
    open_gate = 1;
    CHECK_REPLY(client_read(&d), 200, "held");
    CHECK_REPLY(client_read(&e), 200, "the library's");
    slot_answer(&slot, "answered");
    CHECK_REPLY(client_read(&c), 200, "answered");
    hasty_app_stop(app);
    pthread_join(runner, NULL);
    hasty_app_free(app);
    client_close(&c);
    client_close(&d);
    client_close(&e);
}

CHECK_MAIN
