/*
 * libhasty with canned requests: what a binding costs, without sockets.
 *
 * A binding loads this library in place of libhasty, which it is linked with: every function is the real one but for
 * two. `hasty_slot_take` hands each request out many times over, as if it had come again, and looks at each answer.
 * Only the last answer leaves. So requests are real ones, with all that hangs on them, and what passes between two of
 * them is the binding's own time.
 *
 * A loop in C answers the same request as many times just before, through the same functions: that is the base line.
 *
 * One thread takes requests, one at a time. The figures are for whoever has seen the answer.
 */
#include <dlfcn.h>
#include <hasty.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Under callgrind, each of the two loops leaves a profile of its own. */
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#define CALLGRIND_DUMP_STATS_AT(name)
#endif

/* What one request has cost. */
struct canned_figures {
    /* Answers seen; the request was not handed out again after one that did not come through the slot. */
    uint64_t answers;
    /* Of these, how many were unlike the first. */
    uint64_t wrong;
    uint64_t nanoseconds;
    /* The same number of answers, given in C. */
    uint64_t native_nanoseconds;
};

enum { LONGEST = 4096 };

/* A request that is handed out, and the answer to it. */
struct canned {
    struct hasty_slot given;
    /* The ticket it came with. Every time it is handed out it has another one, as requests do. */
    uint64_t ticket;
    uint64_t left;
    uint64_t began;
    struct canned_figures *figures;
    int32_t status, kind;
    char content_type[128];
    uint64_t headers_len, reply_len;
    char headers[LONGEST], reply[LONGEST];
};

static uint64_t times = 1;
static struct canned_figures figures;
/* The slot whose request is handed out, if any is. */
static struct hasty_slot *held;
static struct canned canned;

__attribute__((visibility("default"))) void canned_repeat(uint64_t count) { times = count; }
__attribute__((visibility("default"))) void canned_last(struct canned_figures *out) { *out = figures; }

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000U + (uint64_t)time.tv_nsec;
}

static bool same(const void *kept, uint64_t kept_len, const void *bytes, uint64_t len)
{
    return kept_len == len && (len == 0 || memcmp(kept, bytes, len) == 0);
}

static void keep(char *kept, const void *bytes, uint64_t len)
{
    if (len > LONGEST) {
        fprintf(stderr, "canned: an answer has a part of %llu bytes, there is room for %d\n", (unsigned long long)len, LONGEST);
        abort();
    }
    if (len != 0)
        memcpy(kept, bytes, len);
}

/* Keeps the first answer; compares every other with it. */
static void look(const struct hasty_slot *slot)
{
    const char *type = slot->content_type ? slot->content_type : "";
    if (canned.figures->answers++ == 0) {
        canned.status = slot->status;
        canned.kind = slot->kind;
        snprintf(canned.content_type, sizeof canned.content_type, "%s", type);
        keep(canned.headers, slot->extra_headers, canned.headers_len = slot->extra_headers_len);
        keep(canned.reply, slot->reply, canned.reply_len = slot->reply_len);
    } else if (slot->status != canned.status || slot->kind != canned.kind || strcmp(type, canned.content_type) != 0
               || !same(canned.headers, canned.headers_len, slot->extra_headers, slot->extra_headers_len)
               || !same(canned.reply, canned.reply_len, slot->reply, slot->reply_len))
        canned.figures->wrong++;
}

static void hold(const struct hasty_slot *slot, struct canned_figures *to)
{
    canned.given = *slot;
    canned.ticket = slot->ticket;
    canned.left = times;
    canned.figures = to;
    canned.began = now();
    CALLGRIND_START_INSTRUMENTATION;
}

static void end(void)
{
    canned.figures->nanoseconds = now() - canned.began;
    CALLGRIND_DUMP_STATS_AT(canned.figures == &figures ? "binding" : "native");
    CALLGRIND_STOP_INSTRUMENTATION;
}

/* Takes an answer, and hands the request out once more; false after the last. Not inlined: both loops call it. */
static __attribute__((noinline)) bool again(struct hasty_slot *slot)
{
    if (slot->ticket != canned.given.ticket)
        return false;
    look(slot);
    if (--canned.left == 0) {
        end();
        slot->ticket = canned.ticket;
        return false;
    }
    canned.given.ticket++;
    *slot = canned.given;
    return true;
}

/* What a handler in C would do: the params if there are any, else a constant. */
static __attribute__((noinline)) void answer(struct hasty_slot *slot)
{
    static const char hello[] = "Hello, World!";
    slot->reply = (const uint8_t *)(slot->params_len ? slot->params : hello);
    slot->reply_len = slot->params_len ? slot->params_len : sizeof hello - 1;
}

static uint64_t native(const struct hasty_slot *slot)
{
    struct hasty_slot own = *slot;
    struct canned_figures mine = {0};
    hold(&own, &mine);
    do
        answer(&own);
    while (again(&own));
    return mine.nanoseconds;
}

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        fprintf(stderr, "canned: there is no libhasty with %s behind this one\n", name);
        abort();
    }
    return found;
}

__attribute__((visibility("default"))) hasty_status hasty_slot_take(struct hasty_slot *slot)
{
    if (held && held == slot) {
        if (again(slot))
            return HASTY_OK;
        held = NULL;
    }
    static hasty_status (*take)(struct hasty_slot *);
    if (!take)
        take = (hasty_status(*)(struct hasty_slot *))(uintptr_t)real("hasty_slot_take");
    hasty_status status = take(slot);
    if (status == HASTY_OK && times > 1) {
        figures = (struct canned_figures){.native_nanoseconds = native(slot)};
        held = slot;
        hold(slot, &figures);
    }
    return status;
}

/* As the real one does it, with the other take. */
__attribute__((visibility("default"))) hasty_status hasty_slot_take_object(struct hasty_slot_object *object)
{
    if (object->reply && !object->slot->reply) {
        object->slot->reply = (const uint8_t *)object->reply + object->bytes_at;
        memcpy(&object->slot->reply_len, (const uint8_t *)object->reply + object->length_at, sizeof object->slot->reply_len);
    }
    return object->status = hasty_slot_take(object->slot);
}

/* A request that is to be answered elsewhere is not handed out again: the figures tell so. */
__attribute__((visibility("default"))) hasty_status hasty_slot_exchange(struct hasty_slot *slot, struct hasty_exchange **out)
{
    if (held && held == slot) {
        CALLGRIND_STOP_INSTRUMENTATION;
        slot->ticket = canned.ticket;
        held = NULL;
    }
    return ((hasty_status(*)(struct hasty_slot *, struct hasty_exchange **))(uintptr_t)real("hasty_slot_exchange"))(slot, out);
}
