/* What goes through a slot is HTTP as anywhere: order, framing, hooks; with library threads and without it is the same. */
#include "slot_lent.h"

/* ---- pipelined ---- */

TEST(pipelined_requests_come_one_by_one_and_each_answer_is_sent_before_what_may_take_long)
{
    enum { COUNT = 5 };
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slot = slot_of(app);
        client c = client_open(port);
        char *all = "";
        for (int i = 0; i < COUNT; i++)
            all = check_format("%s%s", all, taken_by(check_format("%d", i)));
        client_send(&c, all);
        for (int i = 0; i < COUNT; i++) {
            REQUIRE(slot_next_is(&slot, check_format("%d", i)));
            if (i > 0) /* nobody knows yet how long this one takes */
                CHECK_REPLY(client_read(&c), 200, check_format("it was %d", i - 1));
            slot_reply(&slot, check_format("it was %d", i));
        }
        slot_submit(&slot);
        CHECK_REPLY(client_read(&c), 200, check_format("it was %d", COUNT - 1));
        client_close(&c);
        hasty_app_free(app);
    }
}

TEST(answers_are_not_kept_for_a_request_that_may_take_long)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slot = slot_of(app);
        client c = client_open(port);
        make_it_quick(&slot, &c);
        client_send(&c, check_format("%s%s%s", TAKEN, TAKEN, taken_by("unknown")));
        for (int i = 0; i < 2; i++) {
            REQUIRE(slot_next(&slot));
            slot_reply(&slot, "known");
        }
        REQUIRE(slot_next_is(&slot, "unknown"));
        CHECK_REPLY(client_read(&c), 200, "known"); /* while the third is in the slot */
        CHECK_REPLY(client_read(&c), 200, "known");
        slot_reply(&slot, "known now");
        slot_submit(&slot);
        CHECK_REPLY(client_read(&c), 200, "known now");
        client_close(&c);
        hasty_app_free(app);
    }
}

TEST(a_route_that_was_slow_once_is_not_waited_for_any_more)
{
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        hasty_slot slot = slot_of(app);
        client c = client_open(port);
        make_it_quick(&slot, &c);
        client_send(&c, check_format("%s%s%s", TAKEN, TAKEN, TAKEN));
        REQUIRE(slot_next(&slot));
        check_pause_ms(5); /* it takes its time */
        slot_reply(&slot, "slow");
        REQUIRE(slot_next(&slot));
        CHECK_REPLY(client_read(&c), 200, "slow");
        slot_reply(&slot, "quick");
        REQUIRE(slot_next(&slot));
        CHECK_REPLY(client_read(&c), 200, "quick");
        slot_submit(&slot);
        CHECK_REPLY(client_read(&c), 200, "");
        client_close(&c);
        hasty_app_free(app);
    }
}

static client *waits; /* whose answer is to be there before anything else runs that may take long */

HANDLER(looks_for_the_answer)
{
    if (waits != NULL)
        CHECK(client_wait(waits, POLLIN, check_now_ms() + 10000));
    return hasty_response_send_text(res, "shaped");
}

TEST(answers_are_not_kept_while_an_error_is_shaped)
{
    hasty_app *app = lent_app_with(ALONE, NULL);
    CHECK_OK(hasty_app_on_error(app, looks_for_the_answer, NULL, NULL));
    int port = check_serve(app);
    hasty_slot slot = slot_of(app);
    client c = client_open(port), d = client_open(port);
    waits = NULL;
    REQUIRE(slot_has_quick_answer(&slot, &c));
    waits = &c;
    client_send(&d, request_text("GET", "/nowhere", NULL, NULL));
    CHECK_STATUS(hasty_slot_take(&slot), HASTY_ERR_TIMEOUT);
    CHECK_REPLY(client_read(&c), 200, "fine");
    while (!client_wait(&d, POLLIN, check_now_ms()))
        hasty_slot_wait(&slot, 1);
    CHECK_REPLY(client_read(&d), 404, "shaped");
    client_close(&c);
    client_close(&d);
    hasty_app_free(app);
}

HANDLER(takes_its_time)
{
    check_pause_ms(1);
    return HASTY_OK;
}

TEST(answers_are_not_kept_for_a_route_whose_answers_take_long)
{
    hasty_app *app = lent_app_with(ALONE, NULL);
    CHECK_OK(hasty_app_after(app, "/taken", takes_its_time, NULL, NULL));
    int port = check_serve(app);
    hasty_slot slot = slot_of(app);
    client c = client_open(port), d = client_open(port);
    REQUIRE(slot_has_quick_answer(&slot, &c));
    client_send(&d, TAKEN);
    REQUIRE_OK(hasty_slot_take(&slot));
    CHECK_REPLY(client_read(&c), 200, "fine"); /* while the other is in the slot */
    slot_submit(&slot);
    CHECK_REPLY(client_read(&d), 200, "");
    client_close(&c);
    client_close(&d);
    hasty_app_free(app);
}

HANDLER(lets_pass)
{
    return HASTY_NEXT;
}

HANDLER(refuses)
{
    return hasty_response_send_status(res, 403);
}

TEST(the_order_of_answers_is_that_of_the_requests_whoever_gives_them)
{
    FOR_EACH_KIND(kind)
    {
        hasty_app *app = lent_app_with(kind, NULL);
        CHECK_OK(hasty_app_use(app, "/any", lets_pass, NULL, NULL));
        CHECK_OK(hasty_app_use(app, "/any/no", refuses, NULL, NULL));
        int port = check_serve(app);
        server s;
        start_server(&s, app, answer_id);
        for (int round = 0; round < 40; round++) { /* in the later ones routes are known to be quick */
            client c = client_open(port);
            char *passes = request_text("PUT", "/any/passes", NULL, "a body"), *stays = request_text("GET", "/any/no", NULL, NULL);
            client_send(&c, check_format("%s%s%s%s%s%s%s%s", taken_by("1"), LIBRARY, taken_by("2"), passes, taken_by("3"), stays, request_text("GET", "/nowhere", NULL, NULL), taken_by("4")));
            CHECK_REPLY(client_read(&c), 200, "1");
            CHECK_REPLY(client_read(&c), 200, "the library's");
            CHECK_REPLY(client_read(&c), 200, "2");
            CHECK_REPLY(client_read(&c), 200, "passes");
            CHECK_REPLY(client_read(&c), 200, "3");
            CHECK_REPLY(client_read(&c), 403, NULL);
            CHECK_REPLY(client_read(&c), 404, NULL);
            CHECK_REPLY(client_read(&c), 200, "4");
            client_close(&c);
        }
        CHECK_INT(stop_server(&s), 5 * 40);
        hasty_app_free(app);
    }
}

TEST(more_pipelined_requests_than_fit_into_any_buffer_are_all_answered)
{
    int count = check_small() ? 500 : 5000;
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        server s;
        start_server(&s, app, answer_id);
        char *fields = check_format("X-Filler: %s\r\n", check_repeat("0123456789", 50));
        client c = client_open(port);
        for (int at = 0; at < count; at += 100) {
            char *all = check_keep(malloc(100 * 1024));
            size_t used = 0;
            for (int i = at; i < at + 100; i++)
                used += (size_t)sprintf(all + used, "GET /taken/%d HTTP/1.1\r\nHost: a\r\n%s\r\n", i, fields);
            REQUIRE(client_send_bytes(&c, all, used));
        }
        for (int i = 0; i < count; i++)
            if (!CHECK_REPLY(client_read(&c), 200, check_format("%d", i)))
                break;
        CHECK_INT(stop_server(&s), count);
        client_close(&c);
        hasty_app_free(app);
    }
}

/* ---- bodies ---- */

static char *chunked(const char *text, size_t piece)
{
    size_t len = strlen(text), used = 0;
    char *all = check_keep(malloc(len + (len / piece + 2) * 16));
    for (size_t at = 0; at < len; at += piece) {
        size_t now = len - at < piece ? len - at : piece;
        used += (size_t)sprintf(all + used, "%zx\r\n%.*s\r\n", now, (int)now, text + at);
    }
    strcpy(all + used, "0\r\n\r\n");
    return all;
}

static char *numbers(int count)
{
    char *text = check_keep(malloc((size_t)count * 10 + 1));
    for (int i = 0; i < count; i++)
        sprintf(text + 10 * i, "%09d,", i);
    return text;
}

static void echo(hasty_slot *slot)
{
    CHECK_INT(slot->body[slot->body_len], 0);
    CHECK_BYTES(hasty_request_body(slot->request).data, hasty_request_body(slot->request).len, slot->body, slot->body_len);
    slot->reply = slot->body; /* it is valid until the next take */
    slot->reply_len = slot->body_len;
}

TEST(a_body_is_whole_in_the_slot_however_it_comes_and_what_follows_it_is_the_next_request)
{
    static const size_t chunks[] = {7, 4096, 100000}, pieces[] = {1000, 65536, 1000000};
    char *text = numbers(check_small() ? 5000 : 50000), *requests[4];
    for (int i = 0; i < 3; i++)
        requests[i] = check_format("POST /taken HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%s", chunked(text, chunks[i]));
    requests[3] = request_text("POST", "/taken", NULL, text);
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        server s;
        start_server(&s, app, echo);
        client c = client_open(port);
        for (int way = 0; way < 4; way++)
            for (int piece = 0; piece < 3; piece++) {
                client_send_pieces(&c, check_format("%s%s%s", requests[way], request_text("POST", "/any/2", NULL, "short"), TAKEN), pieces[piece]);
                CHECK_REPLY(client_read(&c), 200, text);
                CHECK_REPLY(client_read(&c), 200, "short");
                CHECK_REPLY(client_read(&c), 200, "");
            }
        CHECK_INT(stop_server(&s), 36);
        client_close(&c);
        hasty_app_free(app);
    }
}

TEST(a_client_that_asks_before_it_sends_its_body_is_told_to_go_on)
{
    static const char head[] = "POST /taken HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n";
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        server s;
        start_server(&s, app, echo);
        client c = client_open(port);
        for (int way = 0; way < 4; way++) { /* with a request before it, and with its body along */
            if (way & 1)
                client_send(&c, TAKEN);
            client_send(&c, check_format("%sContent-Length: 5\r\n\r\n%s", head, way & 2 ? "hello" : ""));
            if (way & 1)
                CHECK_REPLY(client_read(&c), 200, "");
            if (!(way & 2)) {
                CHECK_INT(client_read_head(&c).status, 100);
                client_send(&c, "hello");
            }
            CHECK_REPLY(client_read(&c), 200, "hello");
        }
        client_send(&c, check_format("%sTransfer-Encoding: chunked\r\n\r\n", head));
        CHECK_INT(client_read_head(&c).status, 100);
        client_send(&c, "3\r\nbit\r\n0\r\n\r\n");
        CHECK_REPLY(client_read(&c), 200, "bit");
        CHECK_INT(stop_server(&s), 7);
        client_close(&c);
        hasty_app_free(app);
    }
}

/* ---- the end of connections ---- */

TEST(a_connection_ends_behind_the_answer_where_the_client_wants_it)
{
    static const char *const requests[] = {"GET /taken/bye HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /taken/bye HTTP/1.0\r\n\r\n"};
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        server s;
        start_server(&s, app, answer_id);
        for (int way = 0; way < 2; way++)
            for (int behind = 0; behind < 2; behind++) {
                client c = client_open(port);
                client_send(&c, check_format("%s%s%s", TAKEN, requests[way], behind ? TAKEN : ""));
                CHECK_REPLY(client_read(&c), 200, "");
                CHECK_REPLY(client_read(&c), 200, "bye");
                CHECK(client_is_closed(&c)); /* what is behind it gets no answer */
                client_close(&c);
            }
        client c = client_open(port);
        for (int i = 0; i < 3; i++) {
            reply r = client_ask(&c, "GET /taken/on HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
            CHECK_REPLY(r, 200, "on");
            CHECK_HEADER(r, "Connection", "keep-alive");
        }
        CHECK_INT(stop_server(&s), 4 * 2 + 3);
        client_close(&c);
        hasty_app_free(app);
    }
}

TEST(the_last_request_that_a_connection_may_have_says_so)
{
    hasty_options options = {.size = sizeof options, .max_requests_per_connection = 3};
    FOR_EACH_KIND(kind)
    {
        hasty_app *app = lent_app_with(kind, &options);
        int port = check_serve(app);
        server s;
        start_server(&s, app, answer_id);
        client c = client_open(port);
        client_send(&c, check_format("%s%s%s%s%s", taken_by("1"), taken_by("2"), taken_by("3"), taken_by("4"), taken_by("5")));
        for (int i = 1; i <= 3; i++) {
            reply r = client_read(&c);
            CHECK_REPLY(r, 200, check_format("%d", i));
            CHECK_INT(reply_lists(&r, "Connection", "close"), i == 3);
        }
        CHECK(client_is_closed(&c));
        CHECK_INT(stop_server(&s), 3);
        client_close(&c);
        hasty_app_free(app);
    }
}

/* ---- the answer is the same with library threads and without ---- */

static char *long_text;

static void answer_case(hasty_slot *slot)
{
    int way = atoi(slot->params);
    slot_reply(slot, "an answer");
    switch (way) {
    case 1: slot->kind = HASTY_KIND_HTML, slot->status = 404; break;
    case 2: slot->kind = HASTY_KIND_JSON, slot_reply(slot, long_text); break;
    case 3: slot->kind = HASTY_KIND_NONE, slot->status = 204; break;
    case 4: slot->kind = HASTY_KIND_FILE, slot_reply(slot, "include/hasty.h"); break;
    case 5: slot->kind = HASTY_KIND_FILE, slot_reply(slot, "/no/such/file"); break;
    case 6: slot->extra_headers = "X-One: 1\nSet-Cookie: a=b\nSet-Cookie: c=d\n", slot->extra_headers_len = strlen(slot->extra_headers); break;
    case 7: slot->extra_headers = "Connection: close\n", slot->extra_headers_len = strlen(slot->extra_headers); break;
    case 8: slot->extra_headers = "no colon\n", slot->extra_headers_len = strlen(slot->extra_headers); break;
    case 9: slot->status = 304; break;
    case 10: slot->status = 700; break;
    case 11: slot_reply(slot, long_text); break;
    case 12: slot->content_type = "image/png", slot->kind = HASTY_KIND_BYTES; break;
    default: break;
    }
}

enum { CASES = 13 };

HANDLER(shapes)
{
    return hasty_response_send_text(res, check_format("shaped, %d", hasty_response_status(res)));
}

HANDLER(marks)
{
    return hasty_response_set_header(res, "X-After", check_format("%s of %s", hasty_request_method(req).data, hasty_request_route(req).data));
}

static char *without_date(reply r)
{
    char *date = r.head ? strstr(r.head, "\r\nDate: ") : NULL;
    if (date != NULL)
        memset(date + 8, '-', strlen("Sun, 06 Nov 1994 08:49:37 GMT"));
    return check_format("%s\n%s", r.head ? r.head : r.problem, r.body && r.body_len < 1000 ? r.body : "");
}

TEST(an_answer_is_the_same_with_library_threads_and_without)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "OPTIONS"};
    static const char *const fields[] = {NULL, "Accept-Encoding: gzip\r\n", "Origin: https://a.example\r\n", "Range: bytes=3-9\r\n", "If-None-Match: *\r\n", "Connection: close\r\n", "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n"};
    enum { METHODS = sizeof methods / sizeof methods[0], FIELDS = sizeof fields / sizeof fields[0] };
    char *texts[KINDS][CASES * METHODS * FIELDS];
    size_t lens[KINDS][CASES * METHODS * FIELDS];
    hasty_cors policy = {.size = sizeof policy, .origins = "https://a.example", .credentials = 1, .expose = "X-One"};
    long_text = check_repeat("text that packs well, ", 3000);
    FOR_EACH_KIND(kind)
    {
        hasty_app *app = lent_app_with(kind, NULL);
        CHECK_OK(hasty_app_cors(app, "/any", &policy));
        CHECK_OK(hasty_app_after(app, "/any", marks, NULL, NULL));
        CHECK_OK(hasty_app_on_error(app, shapes, NULL, NULL));
        CHECK_OK(hasty_app_secure_headers(app));
        int port = check_serve(app), at = 0;
        server s;
        start_server(&s, app, answer_case);
        client c = client_open(port);
        for (int way = 0; way < CASES; way++)
            for (int method = 0; method < METHODS; method++)
                for (int field = 0; field < FIELDS; field++) {
                    client_send(&c, request_text(methods[method], check_format("/any/%d", way), fields[field], method == 2 ? "a body" : NULL));
                    reply r = client_read_for(&c, methods[method]);
                    lens[kind][at] = r.body_len;
                    texts[kind][at++] = without_date(r);
                    if (reply_lists(&r, "Connection", "close")) {
                        CHECK(client_is_closed(&c));
                        client_close(&c);
                        c = client_open(port);
                    }
                }
        stop_server(&s);
        client_close(&c);
        hasty_app_free(app);
    }
    for (int at = 0; at < CASES * METHODS * FIELDS; at++) {
        CHECK_INT(lens[ALONE][at], lens[THREADED][at]);
        if (!CHECK_TEXT(texts[ALONE][at], texts[THREADED][at]))
            return;
        CHECK(strncmp(texts[ALONE][at], "HTTP/1.1 ", 9) == 0);
    }
}

/* ---- the access log ---- */

static char record[2][512];
static _Atomic int records;

static void notes_record(const hasty_access *r, CHECK_UNUSED void *user_data)
{
    if (records < 2)
        snprintf(record[records], sizeof record[0], "%s %s %s %d in %llu out %llu", r->method.data, r->target.data, r->route.data ? r->route.data : "-",
                 r->status, (unsigned long long)r->bytes_in, (unsigned long long)r->bytes_out);
    CHECK(r->duration_us >= 20000); /* from the head's end to the answer: what it was in the slot counts */
    records++;
}

TEST(the_access_log_knows_of_each_request_once)
{
    FOR_EACH_KIND(kind)
    {
        hasty_app *app = lent_app_with(kind, NULL);
        records = 0;
        CHECK_OK(hasty_app_on_access(app, notes_record, NULL, NULL));
        int port = check_serve(app);
        hasty_slot slot = slot_of(app);
        client c = client_open(port);
        char *post = request_text("POST", "/any/x?y", NULL, "12345");
        client_send(&c, post);
        REQUIRE(slot_next(&slot));
        CHECK_INT(records, 0);
        check_pause_ms(20);
        slot.status = 201;
        slot_reply(&slot, "1234567");
        slot_submit(&slot);
        CHECK_REPLY(client_read(&c), 201, "1234567");
        CHECK(AWAIT(records == 1));
        CHECK_TEXT(record[0], check_format("POST /any/x?y /any/:id 201 in %zu out 7", strlen(post)));
        client_send(&c, taken_by("2")); /* and one that is answered later */
        hasty_exchange *exchange = NULL;
        REQUIRE(slot_next(&slot));
        CHECK_OK(hasty_slot_exchange(&slot, &exchange));
        check_pause_ms(20);
        CHECK_OK(hasty_response_send_text(hasty_exchange_response(exchange), "later"));
        CHECK_OK(hasty_exchange_finish(exchange));
        CHECK_REPLY(client_read(&c), 200, "later");
        CHECK(AWAIT(records == 2));
        CHECK_TEXT(record[1], check_format("GET /taken/2 /taken/:id 200 in %zu out 5", strlen(taken_by("2"))));
        client_close(&c);
        hasty_app_free(app);
        CHECK_INT(records, 2);
    }
}

/* ---- large files ---- */

static char big_path[] = "/tmp/hasty-slot-lent-XXXXXX";
static char *big;
static size_t big_len;

static void answer_file(hasty_slot *slot)
{
    slot->kind = HASTY_KIND_FILE;
    slot_reply(slot, big_path);
}

TEST(large_files_reach_slow_readers_whole_while_others_are_served)
{
    enum { SLOW = 3 };
    strcpy(big_path, "/tmp/hasty-slot-lent-XXXXXX");
    int file = mkstemp(big_path);
    big = numbers(check_small() ? 200000 : 1000000); /* more than a socket holds */
    big_len = strlen(big);
    REQUIRE(file >= 0 && write(file, big, big_len) == (ssize_t)big_len);
    close(file);
    FOR_EACH_KIND(kind)
    {
        int port;
        hasty_app *app = lent_app(kind, &port);
        server s;
        start_server(&s, app, answer_file);
        client slow[SLOW];
        for (int i = 0; i < SLOW; i++) { /* two each, pipelined */
            slow[i] = client_open(port);
            client_send(&slow[i], check_format("%s%s", TAKEN, request_text("GET", "/any/1", "Range: bytes=9999-\r\n", NULL)));
        }
        CHECK(AWAIT(s.count >= SLOW));
        for (int i = 0; i < 5; i++) { /* nobody waits for them */
            reply r = ask(port, request_text("GET", "/taken", "Range: bytes=0-9\r\n", NULL));
            CHECK_REPLY(r, 206, "000000000,");
        }
        for (int i = SLOW - 1; i >= 0; i--) {
            reply r = client_read(&slow[i]);
            CHECK_INT(r.status, 200);
            CHECK_BYTES(r.body, r.body_len, big, big_len);
            r = client_read(&slow[i]);
            CHECK_INT(r.status, 206);
            CHECK_BYTES(r.body, r.body_len, big + 9999, big_len - 9999);
            client_close(&slow[i]);
        }
        CHECK_INT(stop_server(&s), 2 * SLOW + 5);
        hasty_app_free(app);
    }
    unlink(big_path);
}

CHECK_MAIN
