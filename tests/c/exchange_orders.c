/* Exchanges in every order: what their holder does to them, against what becomes of handler, client, time and app.
 *
 * An order is a row of steps. The holder's are N, W, F and X, in this order and not all of them; the others come at most once:
 *   N  asks to be told when the client leaves     R  the handler that deferred returns
 *   W  writes "some", which begins the answer     -  the client ends its side     !  it resets
 *   F  finishes the exchange     X  frees it      T  time is up     D  a drain begins     d  one without patience
 *                                                 S  the app is stopped           A  it is freed
 * Steps are made one after the other, each when what the one before did can be seen; while the handler has not returned that may have to
 * wait for R, and until then both outcomes are right. `hasty` orders wait for nothing. What holder and client saw has to fit, always.
 */
#include "client.h"

enum { HANDLERS_THREAD, ANOTHER_THREAD, OWN_THREAD, HOLDERS };
enum { TIME_OUT_MS = 150, STEPS = 7 };

typedef struct order {
    char steps[STEPS + 1];
    int holder, hasty;
    int number; /* among all orders */
} order;

/* One order as it is carried out. The conductor is the thread that walks the steps. */
typedef struct play {
    const order *order;
    pthread_mutex_t lock;
    pthread_cond_t told;
    char cue[2]; /* for the handler's thread and for the other one; 0 when there is none. Guarded by lock */
    hasty_app *app;
    hasty_exchange *exchange; /* guarded by lock until it is there */
    client client, idle;
    int64_t began;
    /* What the holder did, one step at a time. */
    thing data;
    _Atomic int called;
    int asked, called_at_the_end, ended;
    hasty_status wrote, finished; /* -1: not tried */
    /* What happened around it. `due` holds the events whose effect may not be there yet. */
    char happened[STEPS + 1], due[STEPS + 1];
    char closed_by; /* the event that is known to have closed it */
    int returned, app_is_freed, closing_runs;
    pthread_t closing; /* the thread that drains or frees */
    hasty_status drained;
} play;

__attribute__((format(printf, 3, 4))) static void wrong(const play *p, int line, const char *format, ...)
{
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    static const char *const holders[] = {"its handler's thread", "another thread", "the thread that conducts"};
    check_fail(__FILE__, line, "%s%s, held by %s: %s", p->order->steps, p->order->hasty ? " (hasty)" : "", holders[p->order->holder], what);
}

#define WRONG(play_, ...) wrong(play_, __LINE__, __VA_ARGS__)

static int has(const char *steps, const char *any)
{
    return strpbrk(steps, any) != NULL;
}

static void add(char *steps, char step)
{
    size_t len = strlen(steps);
    steps[len] = step;
    steps[len + 1] = '\0';
}

/* ---- what may be expected ---- */

/* The server closed it. Time closes only what nobody has begun to answer. */
static int is_closed_by(const play *p, const char *events)
{
    return has(events, "SAd") || (has(events, "T") && p->wrote != HASTY_OK);
}

static int is_over(const play *p, const char *events)
{
    return has(events, "!") || is_closed_by(p, events);
}

/* Time runs for itself: late enough, it may be up before its step. */
static int may_be_closed(const play *p)
{
    if (is_closed_by(p, p->happened) || is_closed_by(p, p->due))
        return 1;
    return has(p->order->steps, "T") && p->wrote != HASTY_OK && check_now_ms() - p->began > TIME_OUT_MS / 2;
}

static int may_be_over(const play *p)
{
    return may_be_closed(p) || has(p->happened, "!") || has(p->due, "!");
}

static void judge(const play *p, const char *what, hasty_status status, int over, int may)
{
    if (status != HASTY_OK && status != HASTY_ERR_CLOSED)
        WRONG(p, "%s gives %s (%s)", what, hasty_status_name(status), check_last_error());
    else if (status == HASTY_OK && over)
        WRONG(p, "%s gives OK after it was over", what);
    else if (status == HASTY_ERR_CLOSED && !may)
        WRONG(p, "%s gives CLOSED too early", what);
}

/* ---- the holder's steps ---- */

static void is_told(void *user_data)
{
    play *p = user_data;
    p->called++;
}

static void is_dropped(void *user_data)
{
    play *p = user_data;
    p->data.dropped++;
}

static void holder_does(play *p, char step)
{
    int over = is_over(p, p->happened) && !p->order->hasty, may = may_be_over(p);
    hasty_response *res = hasty_exchange_response(p->exchange);
    switch (step) {
    case 'N':
        p->asked = 1;
        if (hasty_exchange_on_close(p->exchange, is_told, p, is_dropped) != HASTY_OK)
            WRONG(p, "on_close fails: %s", check_last_error());
        break;
    case 'W':
        p->wrote = hasty_response_write(res, "some", 4);
        judge(p, "write", p->wrote, over, may || may_be_over(p));
        break;
    case 'F':
        if (p->wrote < 0)
            hasty_response_send_text(res, "late");
        p->finished = hasty_exchange_finish(p->exchange);
        judge(p, "finish", p->finished, over, may || may_be_over(p));
        break;
    case 'X':
        hasty_exchange_free(p->exchange);
        break;
    }
    if (step == 'F' || step == 'X') {
        p->called_at_the_end = p->called;
        p->ended = 1;
    }
}

/* Does what it is told until that is `last`. */
static void follows(play *p, int who, char last)
{
    char step;
    pthread_mutex_lock(&p->lock);
    do {
        while ((step = p->cue[who]) == '\0')
            pthread_cond_wait(&p->told, &p->lock);
        pthread_mutex_unlock(&p->lock);
        if (step != last)
            holder_does(p, step);
        pthread_mutex_lock(&p->lock);
        p->cue[who] = '\0';
        pthread_cond_broadcast(&p->told);
    } while (step != last);
    pthread_mutex_unlock(&p->lock);
}

static void tell(play *p, int who, char step)
{
    pthread_mutex_lock(&p->lock);
    p->cue[who] = step;
    pthread_cond_broadcast(&p->told);
    while (p->cue[who] != '\0')
        pthread_cond_wait(&p->told, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

HANDLER(defers)
{
    play *p = user_data;
    hasty_exchange *exchange = NULL;
    CHECK_OK(hasty_response_defer(res, &exchange));
    pthread_mutex_lock(&p->lock);
    p->exchange = exchange;
    pthread_cond_broadcast(&p->told);
    pthread_mutex_unlock(&p->lock);
    follows(p, HANDLERS_THREAD, 'R');
    return HASTY_OK;
}

static void *holds(void *play_)
{
    follows(play_, ANOTHER_THREAD, 'Q');
    return NULL;
}

/* ---- what happens around it ---- */

static void *drains(void *play_)
{
    play *p = play_;
    p->drained = hasty_app_drain(p->app, strchr(p->order->steps, 'd') ? 0 : 20000);
    return NULL;
}

static void *frees(void *play_)
{
    hasty_app_free(((play *)play_)->app);
    return NULL;
}

static void close_in_a_thread(play *p, void *(*close_it)(void *))
{
    p->closing_runs = pthread_create(&p->closing, NULL, close_it, p) == 0;
    if (!p->closing_runs)
        WRONG(p, "no thread");
}

static void join_closing(play *p)
{
    if (p->closing_runs)
        pthread_join(p->closing, NULL);
    p->closing_runs = 0;
}

static void event_happens(play *p, char event)
{
    switch (event) {
    case 'R': tell(p, HANDLERS_THREAD, 'R'), p->returned = 1; break;
    case '-': client_half_close(&p->client); break;
    case '!': client_reset(&p->client); break;
    case 'S': hasty_app_stop(p->app); break;
    case 'D':
    case 'd': close_in_a_thread(p, drains); break;
    case 'A': p->app_is_freed = 1, close_in_a_thread(p, frees); break;
    }
}

/* Waits for what `event` does, which is only certain when the handler has returned. */
static void see(play *p, char event)
{
    int open = !p->ended && !is_over(p, p->happened);
    switch (event) {
    case '-':
    case '!':
        if (open && !AWAIT(!hasty_exchange_alive(p->exchange)))
            WRONG(p, "the client's leaving is not noticed");
        if (open && p->asked && !may_be_closed(p) && !AWAIT(p->called == 1))
            WRONG(p, "nobody is told that the client left");
        break;
    case 'T':
        if (has(p->due, "!"))
            return; /* nobody is there to see it */
        if (open && p->wrote != HASTY_OK && !client_wait(&p->client, POLLIN, check_now_ms() + 10000))
            WRONG(p, "time is never up");
        break;
    case 'S':
        if (hasty_app_wait(p->app, 10000) != HASTY_OK)
            WRONG(p, "the app does not stop");
        break;
    case 'D':
        if (!client_is_closed(&p->idle))
            WRONG(p, "the drain does not close what is idle");
        break;
    case 'd':
    case 'A': join_closing(p); break;
    }
    if (open && p->due[1] == '\0' && strchr("TSAd", event) != NULL)
        p->closed_by = event;
    add(p->happened, event);
}

static void walk(play *p)
{
    for (const char *step = p->order->steps; *step != '\0'; step++) {
        if (strchr("NWFX", *step) != NULL) {
            if (p->order->holder == OWN_THREAD)
                holder_does(p, *step);
            else
                tell(p, p->order->holder, *step);
            if (*step == 'N' && (has(p->happened, "-!") || is_over(p, p->happened)) && !p->order->hasty && p->called != 1)
                WRONG(p, "who asks after the fact is told %d times", p->called);
            continue;
        }
        event_happens(p, *step);
        if (*step != 'R')
            add(p->due, *step);
        if (!p->returned || p->order->hasty)
            continue;
        for (const char *event = p->due; *event != '\0'; event++)
            see(p, *event);
        p->due[0] = '\0';
    }
}

/* ---- what the client saw ---- */

static int client_has(client *c, const char *body)
{
    size_t len = strlen(body);
    while (c->len < len && client_more(c, check_now_ms() + 10000)) {
    }
    return c->len >= len && memcmp(c->input, body, len) == 0;
}

static void client_saw(play *p)
{
    if (has(p->order->steps, "!"))
        return;
    char *all = NULL;
    reply r = client_read_head(&p->client);
    if (r.status == 200 && p->wrote == HASTY_OK) {
        all = client_read_chunk(&p->client);
        if (all == NULL || strcmp(all, "some") != 0)
            WRONG(p, "the client got \"%s\" of what was written", all ? all : "nothing");
        char *last = client_read_chunk(&p->client);
        if (p->finished == HASTY_OK && (last == NULL || *last != '\0'))
            WRONG(p, "a finished stream has no end");
        if (p->finished != HASTY_OK && last != NULL)
            WRONG(p, "a stream that was given up has an end");
        return;
    }
    /* What was written while the handler ran leaves after it; an end of the app may come first, if the holder is told. */
    if (r.status == 0 && p->client.ended && p->wrote == HASTY_OK && p->finished != HASTY_OK && has(p->order->steps, "SA"))
        return;
    /* Without patience, a drain cuts the connections of handlers that have not returned, and R is only their last word before. */
    if (r.status == 0 && p->client.ended && has(p->order->steps, "d"))
        return;
    if (p->wrote == HASTY_OK || p->finished == HASTY_OK) {
        if (r.status != 200)
            WRONG(p, "the holder's answer did not arrive: %d, %s", r.status, r.problem ? r.problem : "");
        else if (!client_has(&p->client, "late"))
            WRONG(p, "the answer's body is not the holder's");
        return;
    }
    int late = r.status == 504 && has(p->order->steps, "T") && (p->closed_by == 0 || p->closed_by == 'T');
    int given_up = r.status == 503 && p->closed_by != 'T' && (p->finished < 0 || has(p->order->steps, "SAd"));
    if (!late && !given_up)
        WRONG(p, "the client got %d (%s)", r.status, r.problem ? r.problem : "an answer");
}

static void is_settled(play *p)
{
    int gone = has(p->order->steps, "-!"), closed = has(p->order->steps, "TSAd");
    if (p->called != p->called_at_the_end)
        WRONG(p, "on_close ran after the end");
    if (p->called > 1 || (p->called > 0 && !gone && !closed))
        WRONG(p, "on_close ran %d times", p->called);
    if (p->data.dropped != p->asked)
        WRONG(p, "what on_close was given is dropped %d times", p->data.dropped);
}

/* ---- a play ---- */

static void perform(const order *o)
{
    play p = {.order = o, .wrote = -1, .finished = -1, .drained = -1, .idle = {.fd = -1}, .lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};
    hasty_options options = {.size = sizeof options, .threads = has(o->steps, "Dd") ? 2 : 1 + (uint32_t)o->number % 2};
    if (has(o->steps, "T"))
        options.exchange_timeout_ms = TIME_OUT_MS;
    p.app = check_app(&options);
    CHECK_OK(hasty_app_get(p.app, "/", defers, &p));
    int port = check_serve(p.app);
    if (has(o->steps, "D")) {
        p.idle = client_open(port);
        client_ask(&p.idle, request_text("GET", "/nothing", NULL, NULL));
    }
    pthread_t other;
    if (o->holder == ANOTHER_THREAD && pthread_create(&other, NULL, holds, &p) != 0)
        return WRONG(&p, "no thread");

    p.client = client_open(port);
    p.began = check_now_ms();
    client_send(&p.client, request_text("GET", "/", NULL, NULL));
    pthread_mutex_lock(&p.lock);
    while (p.exchange == NULL)
        pthread_cond_wait(&p.told, &p.lock);
    pthread_mutex_unlock(&p.lock);
    walk(&p);
    client_saw(&p);
    client_close(&p.client); /* a drain gives clients some time to leave */

    if (o->holder == ANOTHER_THREAD) {
        tell(&p, ANOTHER_THREAD, 'Q');
        pthread_join(other, NULL);
    }
    join_closing(&p);
    if (has(o->steps, "D") && p.drained != HASTY_OK)
        WRONG(&p, "drain gives %s", hasty_status_name(p.drained));
    if (!p.app_is_freed)
        hasty_app_free(p.app);
    is_settled(&p);
    client_close(&p.idle);
}

/* ---- all orders ---- */

typedef struct orders {
    order *all;
    int count, room;
    _Atomic int next;
    int stride; /* every so many-th is performed */
} orders;

static void note(orders *list, const char *steps, int holder, int hasty)
{
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 1024;
        list->all = realloc(list->all, (size_t)list->room * sizeof *list->all);
        if (list->all == NULL)
            abort();
    }
    order *o = &list->all[list->count];
    *o = (order){.holder = holder, .hasty = hasty, .number = list->count};
    memcpy(o->steps, steps, strlen(steps));
    list->count++;
}

/* Every way to put the holder's steps, in their order, between those of the others. */
static void interleave(orders *list, char *steps, const char *holders, const char *others, int holder, int hasty)
{
    size_t at = strlen(steps), left = strlen(others);
    if (*holders == '\0' && left == 0) {
        note(list, steps, holder, hasty);
        return;
    }
    if (*holders != '\0' && !(holder == HANDLERS_THREAD && strchr(steps, 'R') != NULL)) {
        add(steps, *holders);
        interleave(list, steps, holders + 1, others, holder, hasty);
        steps[at] = '\0';
    }
    for (size_t i = 0; i < left; i++) {
        char fewer[STEPS] = "";
        if (others[i] == 'R' && holder == HANDLERS_THREAD && *holders != '\0')
            continue; /* what its own thread does, it does before it returns */
        memcpy(fewer, others, i);
        memcpy(fewer + i, others + i + 1, left - i - 1);
        add(steps, others[i]);
        interleave(list, steps, holders, fewer, holder, hasty);
        steps[at] = '\0';
    }
}

static void *performs(void *list_)
{
    orders *list = list_;
    for (int number; (number = list->next++ * list->stride) < list->count;)
        perform(&list->all[number]);
    return NULL;
}

/* Performs every order that has this event of the app or of time ("" for none), or a share of them that is spread over all. */
static void in_every_order(const char *event, int hasty)
{
    enum { PLAYERS = 16 };
    static const char *const holders[] = {"NF", "NX", "NWF", "NWX"}, *const clients[] = {"", "-", "!"};
    orders list = {0};
    for (int holder = 0; holder < HOLDERS; holder++)
        for (size_t i = 0; i < sizeof holders / sizeof holders[0]; i++)
            for (size_t j = 0; j < sizeof clients / sizeof clients[0]; j++) {
                char steps[STEPS + 1] = "", others[STEPS];
                snprintf(others, sizeof others, "R%s%s", clients[j], event);
                interleave(&list, steps, holders[i], others, holder, hasty);
            }
    int all = getenv("HASTY_TEST_ALL") != NULL && *getenv("HASTY_TEST_ALL") != '\0';
    int most = check_small() ? 30 : all ? 1500 : 400; /* each takes a port or two, and ports rest for a minute after use */
    list.stride = list.count > most ? list.count / most : 1;
    while (list.stride > 1 && list.count % list.stride == 0)
        list.stride++; /* so that the share has something of each kind */
    pthread_t threads[PLAYERS];
    for (int i = 1; i < PLAYERS; i++)
        CHECK(pthread_create(&threads[i], NULL, performs, &list) == 0);
    performs(&list);
    for (int i = 1; i < PLAYERS; i++)
        pthread_join(threads[i], NULL);
    free(list.all);
}

TEST(an_exchange_may_be_ended_in_every_order_with_its_handler_and_its_client)
{
    in_every_order("", 0);
}

TEST(and_with_a_time_out)
{
    in_every_order("T", 0);
}

TEST(and_with_a_drain)
{
    in_every_order("D", 0);
}

TEST(and_with_a_drain_whose_time_is_up)
{
    in_every_order("d", 0);
}

TEST(and_with_a_stop)
{
    in_every_order("S", 0);
}

TEST(and_with_the_end_of_the_app)
{
    in_every_order("A", 0);
}

TEST(and_when_nobody_waits_for_anybody)
{
    static const char *const events[] = {"", "D", "d", "S", "A"};
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        in_every_order(events[i], 1);
}

CHECK_MAIN
