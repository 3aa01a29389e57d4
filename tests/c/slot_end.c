/* The end of an app while its requests are in slots, or in the hands of callbacks that the host's own thread runs. */
#include "slot.h"

static const uint32_t kinds_of_threads[] = {2, HASTY_NONE};

enum { KINDS = 2 };

static hasty_app *ending; /* what the callbacks below free */
static _Atomic int freed;

/* Once: it may be called again on the way. */
static void free_it(void)
{
    if (freed++ == 0)
        hasty_app_free(ending);
}

static hasty_app *new_app(uint32_t threads)
{
    hasty_options options = {.size = sizeof options, .threads = threads};
    freed = 0;
    return ending = taken_app(&options);
}

/* ---- a request that is in a slot ---- */

TEST(the_client_of_a_request_in_a_slot_is_told_that_the_app_ends)
{
    for (int kind = 0; kind < KINDS; kind++) {
        hasty_app *app = new_app(kinds_of_threads[kind]);
        int port = check_serve(app);
        hasty_slot one = slot_of(app), two = slot_of(app);
        client c = ask_for(port, "/taken"), d, e;
        REQUIRE(slot_next(&one));
        d = ask_for(port, "/taken/2"); /* not before: the slots are to be these two's */
        REQUIRE(slot_next(&two));
        e = ask_for(port, "/taken/3");
        hasty_app_free(app); /* the third waits, or has not even been read */
        CHECK_REPLY(client_read(&c), 503, NULL);
        CHECK(client_is_closed(&c));
        CHECK_REPLY(client_read(&d), 503, NULL);
        CHECK(client_is_closed(&d));
        CHECK(client_read_all(&e) != NULL);
        client_close(&c);
        client_close(&d);
        client_close(&e);
    }
}

TEST(an_answer_to_what_was_in_a_slot_at_the_stop_is_no_trouble)
{
    for (int kind = 0; kind < KINDS; kind++) {
        hasty_app *app = new_app(kinds_of_threads[kind]);
        int port = check_serve(app);
        hasty_slot slot = slot_of(app);
        client c = ask_for(port, "/taken");
        REQUIRE(slot_next(&slot));
        hasty_app_stop(app);
        slot_reply(&slot, "late");
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_CLOSED);
        CHECK_INT(slot.ticket, 0);
        hasty_app_free(app);
        char *all = client_read_all(&c);
        if (CHECK(all != NULL))
            CHECK(strncmp(all, "HTTP/1.1 ", 9) == 0); /* a 503, or the answer: both may be first */
        client_close(&c);
    }
}

/* ---- callbacks of a take that free the app ---- */

HANDLER(frees_and_goes_on)
{
    free_it();
    return HASTY_NEXT;
}

HANDLER(frees_and_answers)
{
    free_it();
    return hasty_response_send_text(res, "last words");
}

HANDLER(frees_and_is_done)
{
    free_it();
    return HASTY_OK;
}

static void frees_at_access(CHECK_UNUSED const hasty_access *record, CHECK_UNUSED void *user_data)
{
    free_it();
}

static void frees_at_log(CHECK_UNUSED int32_t level, CHECK_UNUSED const hasty_str *message, CHECK_UNUSED void *user_data)
{
    free_it();
}

/* Takes until something else than "nothing yet" comes; the app may be gone then. */
static hasty_status take_one(hasty_slot *slot)
{
    hasty_status status = HASTY_ERR_TIMEOUT;
    for (int64_t end = check_now_ms() + 10000; status == HASTY_ERR_TIMEOUT && !freed && check_now_ms() < end;) {
        hasty_slot_wait(slot, 1000);
        status = hasty_slot_take(slot);
    }
    return status;
}

TEST(middleware_that_take_runs_may_free_the_app)
{
    static const hasty_handler ways[] = {frees_and_goes_on, frees_and_answers};
    for (int kind = 0; kind < KINDS; kind++) {
        for (int way = 0; way < 2; way++) {
            hasty_app *app = new_app(kinds_of_threads[kind]);
            CHECK_OK(hasty_app_use(app, "/taken", ways[way], NULL, NULL));
            client c = ask_for(check_serve(app), "/taken");
            hasty_slot slot = slot_of(app);
            take_one(&slot);
            CHECK_INT(freed, 1);
            char *all = client_read_all(&c);
            CHECK(all != NULL && "the connection ends");
            if (all != NULL && way == 0)
                CHECK_CONTAINS(all, " 503 ");
            client_close(&c);
        }
    }
}

/* What frees the app while an answer is given. */
enum { AT_ACCESS, AT_AFTER, AT_LOG, AT_ERROR, MOMENTS };

TEST(what_an_answer_calls_may_free_the_app)
{
    for (int kind = 0; kind < KINDS; kind++) {
        for (int moment = 0; moment < MOMENTS; moment++) {
            hasty_app *app = new_app(kinds_of_threads[kind]);
            if (moment == AT_ACCESS)
                CHECK_OK(hasty_app_on_access(app, frees_at_access, NULL, NULL));
            if (moment == AT_AFTER)
                CHECK_OK(hasty_app_after(app, "/", frees_and_is_done, NULL, NULL));
            if (moment == AT_LOG)
                CHECK_OK(hasty_app_on_log(app, frees_at_log, NULL, NULL));
            if (moment == AT_ERROR)
                CHECK_OK(hasty_app_on_error(app, frees_and_is_done, NULL, NULL));
            client c = ask_for(check_serve(app), "/taken");
            hasty_slot slot = slot_of(app);
            REQUIRE(slot_next(&slot));
            slot_reply(&slot, "the answer");
            if (moment == AT_LOG || moment == AT_ERROR)
                slot.kind = 99; /* a 500, and a line in the log */
            hasty_slot_take(&slot);
            CHECK_INT(slot.ticket, 0);
            CHECK(freed > 0);
            char *all = client_read_all(&c);
            CHECK(all != NULL && "the connection ends");
            client_close(&c);
        }
    }
}

/* ---- handlers under poll that free the app ---- */

static hasty_exchange *left_open;

HANDLER(leaves_open)
{
    CHECK_OK(hasty_response_defer(res, &left_open));
    return HASTY_OK;
}

TEST(a_handler_that_frees_the_app_leaves_nobody_without_an_answer)
{
    static const char *const paths[] = {"/here", "/pool"};
    for (int kind = 0; kind < KINDS; kind++) {
        for (int path = 0; path < 2; path++) {
            hasty_app *app = new_app(kinds_of_threads[kind]);
            uint32_t served = 0;
            left_open = NULL;
            CHECK_OK(hasty_app_get(app, "/open", leaves_open, NULL));
            CHECK_OK(hasty_app_get(app, "/here", frees_and_answers, NULL));
            CHECK_OK(hasty_app_set_route_option(app, "GET", "/here", "dispatch", "caller"));
            CHECK_OK(hasty_app_get(app, "/pool", frees_and_answers, NULL));
            int port = check_serve(app);
            client open = ask_for(port, "/open");
            for (int64_t end = check_now_ms() + 10000; left_open == NULL && check_now_ms() < end;)
                hasty_app_poll(app, 1, 20, &served);
            REQUIRE(left_open != NULL);
            client frees = ask_for(port, paths[path]);
            if (kinds_of_threads[kind] != HASTY_NONE && path == 1) /* a thread of the library's frees it: nobody may call it meanwhile */
                CHECK(AWAIT(freed));
            while (!freed) {
                hasty_status status = hasty_app_poll(app, 1, 20, &served);
                if (status != HASTY_OK && status != HASTY_ERR_TIMEOUT && status != HASTY_ERR_CLOSED)
                    CHECK_STATUS(status, HASTY_OK);
            }
            CHECK_REPLY(client_read(&frees), 200, "last words");
            CHECK_REPLY(client_read(&open), 503, NULL);
            CHECK_STATUS(hasty_exchange_finish(left_open), HASTY_ERR_CLOSED);
            client_close(&open);
            client_close(&frees);
        }
    }
}

CHECK_MAIN
