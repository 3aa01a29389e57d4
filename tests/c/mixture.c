/* All kinds of answers on the same connections at the same time: every request gets its own answer, whole and in order. */
#include "client.h"

enum { CLIENTS = 6, BATCH = 8, ROOM = 256, PIECE = 1000 };

/* Every handler answers with the id it was asked for, so often that the length tells the kinds apart. */
static hasty_status say(hasty_response *res, const hasty_request *req, int times)
{
    char *text = malloc((size_t)times * 32 + 1);
    size_t len = 0;
    for (int i = 0; i < times; i++)
        len += (size_t)sprintf(text + len, "%s;", hasty_request_query(req, "id").data);
    hasty_status status = hasty_response_send(res, text, len);
    free(text);
    return status;
}

HANDLER(at_once)
{
    return say(res, req, 1);
}

HANDLER(at_length)
{
    return say(res, req, 20000);
}

HANDLER(in_pieces)
{
    hasty_str id = hasty_request_query(req, "id");
    char piece[64];
    int len = snprintf(piece, sizeof piece, "%s;", id.data);
    for (int i = 0; i < PIECE; i++) {
        hasty_status status = hasty_response_write(res, piece, (size_t)len);
        if (status != HASTY_OK)
            return status;
    }
    return HASTY_OK;
}

/* The body is the id, a thousand times; what comes is compared with what was asked for. */
HANDLER(from_a_body)
{
    hasty_str body = hasty_request_body(req), id = hasty_request_query(req, "id");
    CHECK(body.len == PIECE * (id.len + 1) && memcmp(body.data, id.data, id.len) == 0);
    return hasty_response_send(res, body.data, body.len);
}

HANDLER(from_a_stream)
{
    char buffer[777];
    size_t got;
    hasty_status status;
    while ((status = hasty_request_read(req, buffer, sizeof buffer, &got)) == HASTY_OK && got > 0)
        if ((status = hasty_response_write(res, buffer, got)) != HASTY_OK)
            return status;
    return status;
}

/* ---- answers that are given later, in any order, by two other threads ---- */

static hasty_exchange *waiting[ROOM];
static int waiting_count, finishing; /* guarded by the lock */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

HANDLER(later)
{
    hasty_exchange *exchange = NULL;
    hasty_status status = hasty_response_defer(res, &exchange);
    if (status != HASTY_OK)
        return status;
    pthread_mutex_lock(&lock);
    if (CHECK(waiting_count < ROOM))
        waiting[waiting_count++] = exchange;
    pthread_mutex_unlock(&lock);
    return HASTY_OK;
}

static void *finishes(void *number)
{
    unsigned seed = (unsigned)(uintptr_t)number;
    for (;;) {
        hasty_exchange *exchange = NULL;
        pthread_mutex_lock(&lock);
        int go_on = finishing;
        if (waiting_count > 0) {
            int at = rand_r(&seed) % waiting_count;
            exchange = waiting[at];
            waiting[at] = waiting[--waiting_count];
        }
        pthread_mutex_unlock(&lock);
        if (exchange == NULL && !go_on)
            return NULL;
        if (exchange == NULL) {
            check_pause_ms(1);
            continue;
        }
        const hasty_request *req = hasty_exchange_request(exchange);
        hasty_response *res = hasty_exchange_response(exchange);
        CHECK_OK(rand_r(&seed) % 2 ? say(res, req, PIECE) : in_pieces(req, res, NULL));
        CHECK_OK(hasty_exchange_finish(exchange));
    }
}

/* ---- clients ---- */

static const struct {
    const char *path;
    int times, with_body;
} kinds[] = {
    {"/at-once", 1, 0}, {"/at-length", 20000, 0}, {"/in-pieces", PIECE, 0},
    {"/later", PIECE, 0}, {"/body", PIECE, 1}, {"/stream", PIECE, 1},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

typedef struct asker {
    pthread_t thread;
    int port, number, rounds, answers;
    char *batch, *wanted;
} asker;

static size_t repeat_id(char *into, const char *id, int times)
{
    size_t len = strlen(id), at = 0;
    for (int i = 0; i < times; i++) {
        memcpy(into + at, id, len);
        into[at + len] = ';';
        at += len + 1;
    }
    return at;
}

/* Sends some requests at once, cut wherever it falls, and reads their answers. */
static int ask_batch(asker *a, client *c, unsigned *seed, int round)
{
    int kind[BATCH], count = 1 + rand_r(seed) % BATCH;
    char ids[BATCH][32];
    size_t len = 0;
    for (int i = 0; i < count; i++) {
        kind[i] = rand_r(seed) % KINDS;
        snprintf(ids[i], sizeof ids[i], "%d-%d-%d", a->number, round, i);
        size_t body = kinds[kind[i]].with_body ? repeat_id(a->wanted, ids[i], PIECE) : 0;
        len += (size_t)sprintf(a->batch + len, "%s %s?id=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                               body ? "POST" : "GET", kinds[kind[i]].path, ids[i], body);
        memcpy(a->batch + len, a->wanted, body);
        len += body;
    }
    size_t cut = (size_t)rand_r(seed) % len;
    client_send_bytes(c, a->batch, cut);
    sched_yield();
    client_send_bytes(c, a->batch + cut, len - cut);
    for (int i = 0; i < count; i++) {
        reply r = client_read(c);
        size_t wanted = repeat_id(a->wanted, ids[i], kinds[kind[i]].times);
        if (r.status != 200 || r.body_len != wanted || memcmp(r.body, a->wanted, wanted) != 0)
            return check_fail(__FILE__, __LINE__, "%s of %s: %d (%s), %zu bytes: %.60s", kinds[kind[i]].path, ids[i], r.status,
                              r.problem ? r.problem : "whole", r.body_len, r.body);
        a->answers++;
    }
    return 1;
}

static void *asks(void *data)
{
    asker *a = data;
    unsigned seed = (unsigned)a->number;
    client c = client_open(a->port);
    for (int round = 0; round < a->rounds; round++) {
        if (!ask_batch(a, &c, &seed, round))
            break;
        if (rand_r(&seed) % 8 == 0) {
            client_close(&c);
            c = client_open(a->port);
        }
    }
    client_close(&c);
    return NULL;
}

static void mix(uint32_t threads)
{
    hasty_options options = {.size = sizeof options, .threads = threads};
    hasty_app *app = check_app(&options);
    CHECK_OK(hasty_app_get(app, "/at-once", at_once, NULL));
    CHECK_OK(hasty_app_get(app, "/at-length", at_length, NULL));
    CHECK_OK(hasty_app_get(app, "/in-pieces", in_pieces, NULL));
    CHECK_OK(hasty_app_get(app, "/later", later, NULL));
    CHECK_OK(hasty_app_post(app, "/body", from_a_body, NULL));
    CHECK_OK(hasty_app_post(app, "/stream", from_a_stream, NULL));
    CHECK_OK(hasty_app_set_route_option(app, "POST", "/stream", "body", "stream"));
    asker askers[CLIENTS];
    pthread_t finishers[2];
    int port = check_serve(app), sum = 0, rounds = check_small() ? 5 : 60;
    finishing = 1;
    for (uintptr_t i = 0; i < 2; i++)
        REQUIRE(pthread_create(&finishers[i], NULL, finishes, (void *)(i + 1)) == 0);
    for (int i = 0; i < CLIENTS; i++) {
        askers[i] = (asker){.port = port, .number = i + 1, .rounds = rounds};
        askers[i].batch = check_keep(malloc(BATCH * (PIECE * 32 + 256)));
        askers[i].wanted = check_keep(malloc(20000 * 32));
        REQUIRE(pthread_create(&askers[i].thread, NULL, asks, &askers[i]) == 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(askers[i].thread, NULL);
        sum += askers[i].answers;
    }
    pthread_mutex_lock(&lock);
    finishing = 0;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 2; i++)
        pthread_join(finishers[i], NULL);
    CHECK(sum >= CLIENTS * rounds);
    hasty_app_free(app);
}

TEST(every_request_gets_its_own_answer_from_one_thread)
{
    mix(1);
}

TEST(every_request_gets_its_own_answer_from_two_threads)
{
    mix(2);
}

TEST(every_request_gets_its_own_answer_from_eight_threads)
{
    mix(8);
}

CHECK_MAIN
