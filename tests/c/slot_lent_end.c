/* The end of what is in a slot: clients that leave, apps that end, exchanges, forks, and wrong tickets. */
#include "drainer.h"
#include "host.h"
#include "slot_lent.h"

/* ---- the app ends before the request is taken ---- */

enum { STOP_AND_TAKE, STOP_AND_FREE, DRAIN, FREE, ENDS };

TEST(a_client_whose_request_wait_has_found_is_told_that_the_app_ends)
{
    FOR_EACH_KIND(kind)
    {
        for (int end = 0; end < ENDS; end++) {
            int port;
            hasty_app *app = lent_app(kind, &port);
            hasty_slot slot = slot_of(app);
            client c = ask_for(port, "/taken");
            REQUIRE_OK(hasty_slot_wait(&slot, 10000));
            if (end == STOP_AND_TAKE || end == STOP_AND_FREE)
                hasty_app_stop(app);
            if (end == STOP_AND_TAKE)
                CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_CLOSED);
            if (end == DRAIN)
                CHECK_STATUS(hasty_app_drain(app, 50), HASTY_ERR_TIMEOUT);
            CHECK_INT(slot.ticket, 0);
            hasty_app_free(app);
            CHECK_REPLY(client_read(&c), 503, NULL);
            CHECK(client_is_closed(&c));
            client_close(&c);
        }
    }
}

/* ---- the app ends while it is in the slot ---- */

TEST(an_answer_that_is_given_after_the_stop_is_sent)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slot = slot_of(app);
        client c = client_open(port);
        client_send(&c, check_format("%s%s", TAKEN, TAKEN));
        REQUIRE(slot_next(&slot));
        hasty_app_stop(app);
        slot_reply(&slot, "the last one");
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_CLOSED);
        CHECK_INT(slot.ticket, 0);
        CHECK_STATUS(hasty_slot_wait(&slot, -1), HASTY_ERR_CLOSED);
        reply r = client_read(&c);
        if (kind == ALONE) { /* nobody else could have told the client anything */
            CHECK_REPLY(r, 200, "the last one");
            CHECK(reply_lists(&r, "Connection", "close"));
        } else {
            CHECK(r.status == 200 || r.status == 503);
        }
        CHECK(client_is_closed(&c));
        CHECK_OK(hasty_app_wait(app, 10000));
        hasty_app_free(app);
        client_close(&c);
    }
}

TEST(a_drain_waits_for_what_is_in_slots)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot one = slot_of(app), two = slot_of(app);
        client c = ask_for(port, "/taken"), d;
        REQUIRE(slot_next(&one));
        d = ask_for(port, "/taken"); /* not before: which is in which slot matters */
        REQUIRE(slot_next(&two));
        drainer drain;
        start_drainer(&drain, app, 20000);
        CHECK(AWAIT(client_refused(port)));
        slot_answer(&two, "the first to be answered");
        reply r = client_read(&d);
        CHECK_REPLY(r, 200, "the first to be answered");
        CHECK(reply_lists(&r, "Connection", "close"));
        CHECK(client_is_closed(&d));
        CHECK_INT(drain.returned, 0);
        slot_answer(&one, "the last to be answered");
        CHECK_REPLY(client_read(&c), 200, "the last to be answered");
        client_close(&c); /* as it was told to */
        client_close(&d);
        pthread_join(drain.thread, NULL);
        CHECK_STATUS(drain.status, HASTY_OK);
        CHECK_STATUS(hasty_slot_take(&one), HASTY_ERR_CLOSED);
        hasty_app_free(app);
    }
}

TEST(a_drain_whose_deadline_passes_says_so_and_what_is_in_the_slot_stays)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slot = slot_of(app);
        client c = client_open(port);
        client_send(&c, request_text("POST", "/taken?q", NULL, "a body"));
        REQUIRE(slot_next(&slot));
        CHECK_STATUS(hasty_app_drain(app, 50), HASTY_ERR_TIMEOUT);
        CHECK_TEXT(slot.path, "/taken");
        CHECK_TEXT(slot.query, "q");
        CHECK_BYTES(slot.body, slot.body_len, "a body", 6);
        CHECK_STR(hasty_request_header(slot.request, "host"), "localhost");
        slot_reply(&slot, "too late");
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_CLOSED);
        CHECK_INT(slot.ticket, 0);
        CHECK(client_read_all(&c) != NULL); /* cut, or answered: it has an end */
        client_close(&c);
        hasty_app_free(app);
    }
}

TEST(an_app_may_be_freed_with_requests_in_many_slots)
{
    enum { SLOTS = 5 };
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slots[SLOTS];
        client c[SLOTS];
        for (int i = 0; i < SLOTS; i++) {
            c[i] = client_open(port);
            client_send(&c[i], check_format("%s%s", taken_by(check_format("%d", i)), TAKEN)); /* with one behind it */
            slots[i] = slot_of(app);
            REQUIRE(slot_next_is(&slots[i], check_format("%d", i)));
        }
        hasty_app_free(app);
        for (int i = 0; i < SLOTS; i++) {
            CHECK_REPLY(client_read(&c[i]), 503, NULL);
            CHECK(client_read_all(&c[i]) != NULL); /* the one behind it may be told so as well */
            client_close(&c[i]);
        }
    }
}

/* ---- the client ends ---- */

/* Lets the library see what has happened to its connections; nothing is to be taken. */
static void look_around(hasty_app *app)
{
    hasty_slot slot = slot_of(app);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(hasty_slot_wait(&slot, 10), HASTY_ERR_TIMEOUT);
}

TEST(a_client_that_has_nothing_more_to_say_gets_its_answers)
{
    FOR_EACH_KIND(kind)
    {
        for (int seen = 0; seen < 2; seen++) {
            int port;
            hasty_app *app = lent_app(kind, &port);
            hasty_slot slot = slot_of(app);
            client c = client_open(port);
            client_send(&c, check_format("%s%s", taken_by("1"), taken_by("2")));
            REQUIRE(slot_next_is(&slot, "1"));
            client_half_close(&c);
            if (seen)
                look_around(app);
            slot_reply(&slot, "one");
            REQUIRE(slot_next_is(&slot, "2"));
            CHECK_REPLY(client_read(&c), 200, "one");
            slot_reply(&slot, "two");
            slot_submit(&slot);
            CHECK_REPLY(client_read(&c), 200, "two");
            look_around(app);
            CHECK(client_is_closed(&c));
            client_close(&c);
            hasty_app_free(app);
        }
    }
}

TEST(a_client_that_is_gone_harms_neither_the_slot_nor_others)
{
    FOR_EACH_KIND(kind)
    {
        for (int way = 0; way < 8; way++) {
            int resets = way & 1, seen = way & 2, pipelined = way & 4, port;
            hasty_app *app = lent_app(kind, &port);
            hasty_slot slot = slot_of(app), other = slot_of(app);
            client c = client_open(port);
            client_send(&c, check_format("%s%s", request_text("POST", "/taken?q", "X-Kept: yes\r\n", "a body"), pipelined ? TAKEN : ""));
            REQUIRE(slot_next(&slot));
            if (resets)
                client_reset(&c);
            else
                client_close(&c);
            if (seen)
                look_around(app);
            client d = ask_for(port, "/taken/other");
            REQUIRE(slot_next_is(&other, "other"));
            CHECK_STR(hasty_request_header(slot.request, "x-kept"), "yes");
            CHECK_BYTES(slot.body, slot.body_len, "a body", 6);
            slot_reply(&slot, "to nobody");
            hasty_status status = hasty_slot_take(&slot);
            if (pipelined && status == HASTY_OK) /* what it had sent may be served, or not */
                CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_TIMEOUT);
            else
                CHECK_STATUS(status, HASTY_ERR_TIMEOUT);
            CHECK_INT(slot.ticket, 0);
            slot_answer(&other, "to somebody");
            CHECK_REPLY(client_read(&d), 200, "to somebody");
            client_close(&d);
            hasty_app_free(app);
        }
    }
}

/* ---- exchanges of what is in a slot ---- */

static void *finishes(void *exchange)
{
    CHECK_OK(hasty_response_send_text(hasty_exchange_response(exchange), "later"));
    CHECK_OK(hasty_exchange_finish(exchange));
    return NULL;
}

TEST(an_exchange_has_all_of_the_request_and_what_is_behind_it_waits)
{
    char *text = check_repeat("0123456789", 100000);
    FOR_EACH_KIND(kind)
    {
        for (int way = 0; way < 3; way++) {
            const char *body = way == 0 ? NULL : way == 1 ? "small" : text;
            int port;
            hasty_app *app = lent_app(kind, &port);
            server s;
            hasty_slot slot = slot_of(app), other = slot_of(app);
            hasty_exchange *exchange = NULL;
            client c = client_open(port), d;
            char *both = check_format("%s%s", request_text("POST", "/any/a%20b?q=1", "X-One: 1\r\nCookie: k=v\r\n", body), taken_by("behind"));
            for (size_t at = 0, len = strlen(both); at < len; at += 50000) {
                REQUIRE(client_send_bytes(&c, both + at, len - at < 50000 ? len - at : 50000));
                if (len - at > 50000)
                    hasty_slot_wait(&slot, 0);
            }
            REQUIRE(slot_next(&slot));
            CHECK_STR(hasty_request_id(slot.request), hasty_request_id(slot.request).data);
            char *id = check_format("%s", hasty_request_id(slot.request).data);
            CHECK_OK(hasty_slot_exchange(&slot, &exchange));
            CHECK_INT(slot.ticket, 0);
            d = ask_for(port, "/taken/meanwhile");
            REQUIRE(slot_next_is(&other, "meanwhile"));
            const hasty_request *request = hasty_exchange_request(exchange);
            CHECK_STR(hasty_request_path(request), "/any/a b");
            CHECK_STR(hasty_request_query(request, "q"), "1");
            CHECK_STR(hasty_request_param(request, "id"), "a b");
            CHECK_STR(hasty_request_header(request, "x-one"), "1");
            CHECK_STR(hasty_request_cookie(request, "k"), "v");
            CHECK_STR(hasty_request_id(request), id);
            if (body != NULL)
                CHECK_STR(hasty_request_body(request), body);
            slot_answer(&other, "meanwhile");
            CHECK_REPLY(client_read(&d), 200, "meanwhile");
            CHECK_INT(hasty_exchange_alive(exchange), 1);
            pthread_t thread;
            REQUIRE(pthread_create(&thread, NULL, finishes, exchange) == 0);
            pthread_join(thread, NULL);
            CHECK_REPLY(client_read(&c), 200, "later");
            start_server(&s, app, answer_id);
            CHECK_REPLY(client_read(&c), 200, "behind");
            stop_server(&s);
            client_close(&c);
            client_close(&d);
            hasty_app_free(app);
        }
    }
}

TEST(texts_in_the_slot_are_valid_until_the_next_take_also_when_it_became_an_exchange)
{
    FOR_EACH_KIND(kind)
    {
        for (int way = 0; way < 2; way++) {
            int port;
            hasty_app *app = lent_app(kind, &port);
            hasty_slot slot = slot_of(app), other = slot_of(app);
            hasty_exchange *exchange = NULL;
            char *text = check_repeat("0123456789", way ? 100000 : 10);
            client c = client_open(port), d = client_open(port);
            char *request = request_text("POST", "/taken?q=1", "X-A: b\r\n", text);
            for (size_t at = 0, len = strlen(request); at < len; at += 50000) {
                REQUIRE(client_send_bytes(&c, request + at, len - at < 50000 ? len - at : 50000));
                if (len - at > 50000)
                    hasty_slot_wait(&slot, 0);
            }
            REQUIRE(slot_next(&slot));
            CHECK_OK(hasty_slot_exchange(&slot, &exchange));
            client_send(&d, request_text("PUT", "/any/other?zzzzzzz=yyyyyyyyyy", "X-Many: bbbbbbbbbbbbbbbbbbbbbb\r\n", check_repeat("abcdefghij", 20)));
            REQUIRE(slot_next(&other));
            CHECK_TEXT(slot.method_text, "POST");
            CHECK_TEXT(slot.path, "/taken");
            CHECK_TEXT(slot.query, "q=1");
            CHECK_TEXT(slot.params, "");
            CHECK_TEXT(slot.header_names, "host\nx-a\ncontent-length");
            CHECK_BYTES(slot.body, slot.body_len, text, strlen(text));
            CHECK_STR(hasty_request_header(slot.request, "x-a"), "b");
            CHECK_OK(hasty_response_send_text(hasty_exchange_response(exchange), "later"));
            CHECK_OK(hasty_exchange_finish(exchange));
            CHECK_REPLY(client_read(&c), 200, "later");
            client_close(&c);
            client_close(&d);
            hasty_app_free(app);
        }
    }
}

TEST(a_form_with_a_file_moves_with_its_request)
{
    char *big = check_repeat("0123456789", 20000), *fields = "Content-Type: multipart/form-data; boundary=b\r\n";
    char *body = check_format("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\n"
                              "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n%s\r\n--b--\r\n",
                              big);
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slot = slot_of(app), other = slot_of(app);
        hasty_exchange *exchange = NULL;
        hasty_file file = {.size = sizeof file};
        char *request = request_text("POST", "/taken", fields, body);
        client c = client_open(port), d;
        for (size_t at = 0, len = strlen(request); at < len; at += 50000) {
            REQUIRE(client_send_bytes(&c, request + at, len - at < 50000 ? len - at : 50000));
            if (len - at > 50000)
                hasty_slot_wait(&slot, 0);
        }
        REQUIRE(slot_next(&slot));
        d = ask_for(port, "/taken/other");
        REQUIRE(slot_next_is(&other, "other"));
        CHECK_STR(hasty_request_form(slot.request, "a"), "one");
        CHECK_OK(hasty_request_file(slot.request, "f", &file));
        CHECK_INT(file.length, 200000);
        CHECK_OK(hasty_slot_exchange(&slot, &exchange));
        slot_answer(&other, "other");
        CHECK_STR(hasty_request_form(hasty_exchange_request(exchange), "a"), "one");
        CHECK_OK(hasty_request_file(hasty_exchange_request(exchange), "f", &file));
        CHECK_INT(file.length, 200000);
        CHECK_OK(hasty_response_send_text(hasty_exchange_response(exchange), "received"));
        CHECK_OK(hasty_exchange_finish(exchange));
        CHECK_REPLY(client_read(&c), 200, "received");
        CHECK_REPLY(client_read(&d), 200, "other");
        client_close(&c);
        client_close(&d);
        hasty_app_free(app);
    }
}

static void note_it(void *user_data)
{
    (*(_Atomic int *)user_data)++;
}

TEST(an_exchange_whose_client_is_gone_hears_of_it)
{
    FOR_EACH_KIND(kind)
    {
        for (int way = 0; way < 4; way++) { /* gone before it became an exchange, or after; by a reset, or not */
            static _Atomic int gone;
            int port;
            gone = 0;
            hasty_app *app = lent_app(kind, &port);
            hasty_slot slot = slot_of(app), other = slot_of(app);
            hasty_exchange *exchange = NULL;
            client c = ask_for(port, "/taken");
            REQUIRE(slot_next(&slot));
            if (way < 2)
                way & 1 ? client_reset(&c) : client_close(&c);
            CHECK_OK(hasty_slot_exchange(&slot, &exchange));
            CHECK_OK(hasty_exchange_on_close(exchange, note_it, (void *)&gone, NULL));
            if (way >= 2)
                way & 1 ? client_reset(&c) : client_close(&c);
            for (int64_t end = check_now_ms() + 10000; !gone && check_now_ms() < end;)
                hasty_slot_wait(&other, 5);
            CHECK_INT(gone, 1);
            CHECK_INT(hasty_exchange_alive(exchange), 0);
            hasty_exchange_free(exchange);
            CHECK_INT(gone, 1);
            hasty_app_free(app);
        }
    }
}

TEST(an_exchange_outlives_everything)
{
    enum { FINISHED_LATE, FREED_LATE, FREED_FIRST, STOPPED, WAYS };
    FOR_EACH_KIND(kind)
    {
        for (int way = 0; way < WAYS; way++) {
            int port;
            hasty_app *app = lent_app(kind, &port);
            hasty_slot slot = slot_of(app);
            hasty_exchange *exchange = NULL;
            client c = ask_for(port, "/taken");
            REQUIRE(slot_next(&slot));
            CHECK_OK(hasty_slot_exchange(&slot, &exchange));
            if (way == FREED_FIRST)
                hasty_exchange_free(exchange);
            if (way == STOPPED) {
                hasty_app_stop(app);
                CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_CLOSED);
                CHECK(AWAIT(!hasty_exchange_alive(exchange)));
                CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
            }
            hasty_app_free(app);
            CHECK_REPLY(client_read(&c), 503, NULL);
            CHECK(client_is_closed(&c));
            if (way == FINISHED_LATE)
                CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
            if (way == FREED_LATE)
                hasty_exchange_free(exchange);
            client_close(&c);
        }
    }
}

TEST(an_exchange_that_takes_too_long_is_answered_for)
{
    hasty_options options = {.size = sizeof options, .exchange_timeout_ms = 1000};
    FOR_EACH_KIND(kind)
    {
        hasty_app *app = lent_app_with(kind, &options);
        int port = check_serve(app);
        hasty_slot slot = slot_of(app);
        hasty_exchange *exchange = NULL;
        client c = ask_for(port, "/taken");
        REQUIRE(slot_next(&slot));
        CHECK_OK(hasty_slot_exchange(&slot, &exchange));
        for (int64_t end = check_now_ms() + 10000; hasty_exchange_alive(exchange) && check_now_ms() < end;)
            hasty_slot_wait(&slot, 20);
        CHECK_REPLY(client_read(&c), 504, NULL);
        CHECK_STR(hasty_request_target(hasty_exchange_request(exchange)), "/taken");
        CHECK_STATUS(hasty_exchange_finish(exchange), HASTY_ERR_CLOSED);
        client_close(&c);
        hasty_app_free(app);
    }
}

TEST(an_exchange_of_a_slot_may_stream)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slot = slot_of(app);
        hasty_exchange *exchange = NULL;
        client c = client_open(port);
        client_send(&c, check_format("%s%s", TAKEN, taken_by("behind")));
        REQUIRE(slot_next(&slot));
        CHECK_OK(hasty_slot_exchange(&slot, &exchange));
        for (int i = 0; i < 3; i++) {
            CHECK_OK(hasty_response_write(hasty_exchange_response(exchange), "piece", 5));
            if (i == 0)
                CHECK_INT(client_read_head(&c).status, 200);
            CHECK_TEXT(client_read_chunk(&c), "piece");
        }
        CHECK_OK(hasty_exchange_finish(exchange));
        CHECK_TEXT(client_read_chunk(&c), "");
        client_more(&c, check_now_ms() + 10000); /* the empty line behind the last chunk */
        REQUIRE(slot_next_is(&slot, "behind"));
        slot_answer(&slot, "behind");
        char *rest = NULL;
        client_half_close(&c);
        look_around(app);
        rest = client_read_all(&c);
        CHECK_CONTAINS(rest, "HTTP/1.1 200 OK");
        CHECK_CONTAINS(rest, "\r\n\r\nbehind");
        client_close(&c);
        hasty_app_free(app);
    }
}

/* ---- time ---- */

TEST(requests_that_come_as_their_connections_time_is_up_are_each_answered_for_themselves)
{
    enum { CLIENTS = 4 };
    hasty_options options = {.size = sizeof options, .idle_timeout_ms = 3000};
    hasty_app *app = lent_app_with(ALONE, &options);
    int port = check_serve(app);
    hasty_slot slot = slot_of(app);
    client c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        c[i] = client_open(port);
        client_send(&c[i], TAKEN);
        REQUIRE(slot_next(&slot));
        slot_submit(&slot);
        CHECK_REPLY(client_read(&c[i]), 200, "");
    }
    check_pause_ms(3500); /* this thread has other things to do, and there is no other */
    for (int i = 0; i < CLIENTS; i++)
        client_send(&c[i], taken_by(check_format("%d", i)));
    int count = 0;
    for (int64_t end = check_now_ms() + 10000; count < CLIENTS && check_now_ms() < end;) {
        if (hasty_slot_take(&slot) == HASTY_OK) {
            count++;
            slot_reply(&slot, check_format("it was %s", slot.params));
        } else {
            hasty_slot_wait(&slot, 1000);
        }
    }
    CHECK_INT(count, CLIENTS);
    slot_submit(&slot);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_REPLY(client_read(&c[i]), 200, check_format("it was %d", i));
        client_close(&c[i]);
    }
    hasty_app_free(app);
}

/* ---- forks ---- */

static void tries_the_slot(void *slot_)
{
    hasty_slot *slot = slot_, fresh = slot_of(slot->app);
    hasty_exchange *exchange = NULL;
    slot_reply(slot, "from the child");
    CHECK_STATUS(hasty_slot_take(slot), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_slot_wait(slot, -1), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_slot_exchange(slot, &exchange), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_slot_take(&fresh), HASTY_ERR_STATE);
    CHECK_STATUS(hasty_slot_wait(&fresh, -1), HASTY_ERR_STATE);
    CHECK(exchange == NULL);
    if (slot->ticket != 0)
        CHECK_TEXT(slot->params, "mine"); /* it may look at it */
}

static void frees_the_app(void *slot_)
{
    hasty_app_free(((hasty_slot *)slot_)->app);
}

TEST(a_child_leaves_its_parents_slots_alone)
{
    static void (*const tasks[])(void *) = {tries_the_slot, frees_the_app};
    FOR_EACH_KIND(kind)
    {
        for (int way = 0; way < 4; way++) {
            int port, in_slot = way & 1;
            hasty_app *app = lent_app(kind, &port);
            hasty_slot slot = slot_of(app);
            client c = ask_for(port, "/taken/mine");
            if (in_slot)
                REQUIRE(slot_next_is(&slot, "mine"));
            else
                REQUIRE_OK(hasty_slot_wait(&slot, 10000));
            IN_A_CHILD(tasks[way / 2], &slot);
            if (!in_slot)
                REQUIRE(slot_next_is(&slot, "mine"));
            slot_reply(&slot, "from the parent");
            slot_submit(&slot);
            CHECK_REPLY(client_read(&c), 200, "from the parent");
            CHECK_INT(c.len, 0);
            client_close(&c);
            hasty_app_free(app);
        }
    }
}

/* ---- wrong tickets ---- */

TEST(a_wrong_ticket_changes_nothing)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slot = slot_of(app), other = slot_of(app);
        hasty_exchange *exchange = NULL;
        client c = ask_for(port, "/taken/1"), d;
        REQUIRE(slot_next_is(&slot, "1"));
        d = ask_for(port, "/taken/2");
        REQUIRE(slot_next_is(&other, "2"));
        uint64_t ticket = slot.ticket, wrong[] = {ticket + 100, UINT64_MAX, other.ticket};
        for (int i = 0; i < 3; i++) {
            slot.ticket = wrong[i];
            CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_INVALID);
            CHECK_ERROR_NAMES("ticket");
            CHECK_STATUS(hasty_slot_exchange(&slot, &exchange), HASTY_ERR_INVALID);
        }
        CHECK(exchange == NULL);
        slot.ticket = ticket;
        slot_answer(&slot, "one");
        slot.ticket = ticket; /* once is enough */
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_INVALID);
        CHECK_STATUS(hasty_slot_exchange(&slot, &exchange), HASTY_ERR_INVALID);
        slot_answer(&other, "two");
        CHECK_REPLY(client_read(&c), 200, "one");
        CHECK_REPLY(client_read(&d), 200, "two");
        client_close(&c);
        client_close(&d);
        hasty_app_free(app);
    }
}

TEST(a_wrong_ticket_loses_nothing_that_wait_has_found)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slot = slot_of(app);
        hasty_exchange *exchange = NULL;
        client c = ask_for(port, "/taken/found");
        REQUIRE_OK(hasty_slot_wait(&slot, 10000));
        slot.ticket = 77;
        CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_INVALID);
        CHECK_STATUS(hasty_slot_exchange(&slot, &exchange), HASTY_ERR_INVALID);
        slot.ticket = 0;
        REQUIRE(slot_next_is(&slot, "found"));
        slot_answer(&slot, "taken");
        CHECK_REPLY(client_read(&c), 200, "taken");
        client_close(&c);
        hasty_app_free(app);
    }
}

/* A host that forgets what is in its slot has given it up. */
TEST(a_slot_that_is_made_anew_gives_up_what_was_in_it)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slot = slot_of(app);
        client c = ask_for(port, "/taken/1");
        REQUIRE(slot_next_is(&slot, "1"));
        slot = slot_of(app);
        client d = ask_for(port, "/taken/2");
        REQUIRE(slot_next_is(&slot, "2"));
        CHECK_REPLY(client_read(&c), 503, NULL);
        slot_answer(&slot, "two");
        CHECK_REPLY(client_read(&d), 200, "two");
        client_close(&c);
        client_close(&d);
        hasty_app_free(app);
    }
}

CHECK_MAIN
