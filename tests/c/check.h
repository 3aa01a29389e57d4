/* A tiny test kit: a test is TEST(a_sentence_that_is_true) { ... }, a program ends with CHECK_MAIN.
 *
 * CHECK* note the first thing that is wrong and go on; they may be used in any thread, handlers too.
 * REQUIRE* are the same and leave the test, for what the rest of it cannot do without.
 * A program prints `ok NAME`, `not ok NAME: why` or `skip NAME: why` per test and `N passed, N failed` last;
 * it exits with 0 when none failed. With an argument it runs only tests whose name contains it.
 *
 * HASTY_TEST_SMALL=1, or valgrind, asks for smaller numbers: check_small() says so.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE /* memmem, vasprintf */
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <hasty.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define CHECK_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECK_SANITIZED 1
#endif
#endif
#ifndef CHECK_SANITIZED
#define CHECK_SANITIZED 0
#endif

#define CHECK_UNUSED __attribute__((unused))

/* No test may take longer, whatever it waits for: a hang is a failure that names its test. Machines may be slow and busy. */
enum { CHECK_SECONDS_PER_TEST = 200, CHECK_SECONDS_WHEN_SLOW = 300 };

/* What a test waits for comes within this time, or never: less than the time after which an idle connection is closed by itself. */
enum { CHECK_WAIT_MS = 25000 };

typedef struct check_test {
    const char *name;
    void (*run)(void);
    struct check_test *next;
} check_test;

static check_test *check_first, **check_last = &check_first;
static const char *check_name = "(none)"; /* the running test, for the alarm handler */
static pthread_mutex_t check_lock = PTHREAD_MUTEX_INITIALIZER;
static char check_why[2048], check_skip_why[512]; /* guarded by check_lock; empty means none */
static void **check_kept;                         /* guarded by check_lock: freed when the test ends */
static size_t check_kept_count, check_kept_room;

#define TEST(name_)                                                                                                    \
    static void name_(void);                                                                                           \
    __attribute__((constructor)) static void check_register_##name_(void)                                              \
    {                                                                                                                  \
        static check_test test = {#name_, name_, NULL};                                                                \
        *check_last = &test;                                                                                           \
        check_last = &test.next;                                                                                       \
    }                                                                                                                  \
    static void name_(void)

/* ---- what went wrong ---- */

__attribute__((format(printf, 3, 4))) static int check_fail(const char *file, int line, const char *format, ...)
{
    pthread_mutex_lock(&check_lock);
    if (check_why[0] == '\0') {
        const char *base = strrchr(file, '/');
        int used = snprintf(check_why, sizeof check_why, "%s:%d: ", base ? base + 1 : file, line);
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(check_why + used, sizeof check_why - (size_t)used, format, arguments);
        va_end(arguments);
        for (char *at = check_why; *at != '\0'; at++) /* a reason is one line */
            if ((unsigned char)*at < ' ')
                *at = ' ';
    }
    pthread_mutex_unlock(&check_lock);
    return 0;
}

static CHECK_UNUSED void check_skip(const char *why)
{
    pthread_mutex_lock(&check_lock);
    snprintf(check_skip_why, sizeof check_skip_why, "%s", why);
    pthread_mutex_unlock(&check_lock);
}

static CHECK_UNUSED const char *check_last_error(void)
{
    hasty_str error = hasty_last_error();
    return error.data ? error.data : "(no error text)";
}

static CHECK_UNUSED int check_that(const char *file, int line, const char *what, int holds)
{
    return holds || check_fail(file, line, "%s does not hold", what);
}

static CHECK_UNUSED int check_int(const char *file, int line, const char *what, long long is, long long wanted)
{
    return is == wanted || check_fail(file, line, "%s is %lld, not %lld", what, is, wanted);
}

static CHECK_UNUSED int check_status(const char *file, int line, const char *what, hasty_status is, hasty_status wanted)
{
    if (is == wanted)
        return 1;
    return check_fail(file, line, "%s gives %s, not %s (last error: %s)", what, hasty_status_name(is),
                      hasty_status_name(wanted), check_last_error());
}

static CHECK_UNUSED int check_bytes(const char *file, int line, const char *what, const void *is, size_t is_len,
                                    const void *wanted, size_t wanted_len)
{
    if (is != NULL && is_len == wanted_len && memcmp(is, wanted, is_len) == 0)
        return 1;
    return check_fail(file, line, "%s is %s%.*s%s (%zu bytes), not \"%.*s\" (%zu bytes)", what, is ? "\"" : "absent",
                      is ? (int)(is_len < 400 ? is_len : 400) : 0, is ? (const char *)is : "", is ? "\"" : "", is_len,
                      (int)(wanted_len < 400 ? wanted_len : 400), (const char *)wanted, wanted_len);
}

/* A present view with these bytes, and the NUL byte that follows every one handed out. */
static CHECK_UNUSED int check_str(const char *file, int line, const char *what, hasty_str is, const char *wanted)
{
    if (!check_bytes(file, line, what, is.data, is.len, wanted, strlen(wanted)))
        return 0;
    return is.data[is.len] == '\0' || check_fail(file, line, "%s is not followed by a NUL byte", what);
}

static CHECK_UNUSED int check_text(const char *file, int line, const char *what, const char *is, const char *wanted)
{
    return check_bytes(file, line, what, is, is ? strlen(is) : 0, wanted, strlen(wanted));
}

static CHECK_UNUSED int check_contains(const char *file, int line, const char *what, const char *is, const char *part)
{
    if (is != NULL && strstr(is, part) != NULL)
        return 1;
    return check_fail(file, line, "%s is \"%s\", without \"%s\"", what, is ? is : "(absent)", part);
}

/* ---- statements ---- */

#define CHECK(condition) check_that(__FILE__, __LINE__, #condition, (condition) ? 1 : 0)
#define CHECK_INT(is, wanted) check_int(__FILE__, __LINE__, #is, (long long)(is), (long long)(wanted))
#define CHECK_STATUS(call, wanted) check_status(__FILE__, __LINE__, #call, call, wanted)
#define CHECK_OK(call) CHECK_STATUS(call, HASTY_OK)
#define CHECK_STR(is, wanted) check_str(__FILE__, __LINE__, #is, is, wanted)
#define CHECK_ABSENT(is) CHECK((is).data == NULL && "absent")
#define CHECK_TEXT(is, wanted) check_text(__FILE__, __LINE__, #is, is, wanted)
#define CHECK_BYTES(is, is_len, wanted, wanted_len) check_bytes(__FILE__, __LINE__, #is, is, is_len, wanted, wanted_len)
#define CHECK_CONTAINS(is, part) check_contains(__FILE__, __LINE__, #is, is, part)
/* The last error of this thread names `part`. */
#define CHECK_ERROR_NAMES(part) check_contains(__FILE__, __LINE__, "the last error", check_last_error(), part)

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!CHECK(condition))                                                                                         \
            return;                                                                                                    \
    } while (0)
#define REQUIRE_OK(call)                                                                                               \
    do {                                                                                                               \
        if (!CHECK_OK(call))                                                                                           \
            return;                                                                                                    \
    } while (0)
#define SKIP(why)                                                                                                      \
    do {                                                                                                               \
        check_skip(why);                                                                                               \
        return;                                                                                                        \
    } while (0)

/* ---- helpers ---- */

static CHECK_UNUSED int check_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");
    return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

static CHECK_UNUSED int check_small(void)
{
    const char *small = getenv("HASTY_TEST_SMALL");
    return check_valgrind() || (small != NULL && strcmp(small, "1") == 0);
}

/* Frees `memory` when the test ends, so that tests need not. */
static CHECK_UNUSED void *check_keep(void *memory)
{
    pthread_mutex_lock(&check_lock);
    if (check_kept_count == check_kept_room) {
        check_kept_room = check_kept_room ? 2 * check_kept_room : 64;
        check_kept = realloc(check_kept, check_kept_room * sizeof *check_kept);
        if (check_kept == NULL)
            abort();
    }
    check_kept[check_kept_count++] = memory;
    pthread_mutex_unlock(&check_lock);
    return memory;
}

/* `count` times `unit`, as a string; freed when the test ends. */
static CHECK_UNUSED char *check_repeat(const char *unit, size_t count)
{
    size_t len = strlen(unit);
    char *text = check_keep(malloc(len * count + 1));
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * len, unit, len);
    text[len * count] = '\0';
    return text;
}

__attribute__((format(printf, 1, 2))) static CHECK_UNUSED char *check_format(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        abort();
    va_end(arguments);
    return check_keep(text);
}

static CHECK_UNUSED int64_t check_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static CHECK_UNUSED void check_pause_ms(int ms)
{
    struct timespec pause = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&pause, &pause) < 0 && errno == EINTR) {
    }
}

/* Waits until `condition` holds, CHECK_WAIT_MS at most; its value is whether it does. */
#define AWAIT(condition)                                                                                               \
    __extension__({                                                                                                    \
        int64_t check_end = check_now_ms() + CHECK_WAIT_MS;                                                            \
        int check_met;                                                                                                 \
        while (!(check_met = (condition) ? 1 : 0) && check_now_ms() < check_end)                                       \
            check_pause_ms(1);                                                                                         \
        check_met;                                                                                                     \
    })

/* A thing with a drop: dropped 1 is given up once, 2 is the error. */
typedef struct thing {
    _Atomic int dropped;
} thing;

static CHECK_UNUSED void drop_thing(void *user_data)
{
    ((thing *)user_data)->dropped++;
}

#define NOT_DROPPED(t) CHECK_INT((t).dropped, 0)
#define DROPPED_ONCE(t) (AWAIT((t).dropped > 0), CHECK_INT((t).dropped, 1))

/* What happened, word by word, in order; callbacks add to it. */
static char check_trail[4096]; /* guarded by check_lock */

static CHECK_UNUSED void trail_clear(void)
{
    pthread_mutex_lock(&check_lock);
    check_trail[0] = '\0';
    pthread_mutex_unlock(&check_lock);
}

static CHECK_UNUSED void trail_add(const char *word)
{
    pthread_mutex_lock(&check_lock);
    size_t used = strlen(check_trail);
    snprintf(check_trail + used, sizeof check_trail - used, "%s%s", used ? " " : "", word);
    pthread_mutex_unlock(&check_lock);
}

/* What there is so far; the next begins anew. */
static CHECK_UNUSED char *trail_take(void)
{
    pthread_mutex_lock(&check_lock);
    char *text = strdup(check_trail);
    check_trail[0] = '\0';
    pthread_mutex_unlock(&check_lock);
    return check_keep(text);
}

/* A callback's signature in one word; its arguments need not all be used. */
#define HANDLER(name)                                                                                                  \
    static hasty_status name(CHECK_UNUSED const hasty_request *req, CHECK_UNUSED hasty_response *res,                  \
                             CHECK_UNUSED void *user_data)

/* An app with options, or NULL with the failure noted. */
static CHECK_UNUSED hasty_app *check_app(const hasty_options *options)
{
    hasty_app *app = NULL;
    CHECK_OK(hasty_app_new(options, &app));
    return app;
}

/* Listens on a free loopback port, starts, and tells the port. */
static CHECK_UNUSED int check_serve(hasty_app *app)
{
    CHECK_OK(hasty_app_listen(app, NULL, 0));
    CHECK_OK(hasty_app_start(app));
    int port = hasty_app_port(app);
    CHECK(port > 0);
    return port;
}

/* ---- the program ---- */

static void check_on_alarm(int number)
{
    (void)number;
    static const char head[] = "not ok ", tail[] = ": still running when its time was up\n0 passed, 1 failed\n";
    ssize_t written = write(STDOUT_FILENO, head, sizeof head - 1);
    written += write(STDOUT_FILENO, check_name, strlen(check_name));
    written += write(STDOUT_FILENO, tail, sizeof tail - 1);
    _exit(written < 0 ? 3 : 2);
}

static int check_main(int argc, char **argv)
{
    int passed = 0, failed = 0, skipped = 0;
    const char *only = argc > 1 ? argv[1] : "";
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGALRM, check_on_alarm);
    for (check_test *test = check_first; test != NULL; test = test->next) {
        if (strstr(test->name, only) == NULL)
            continue;
        check_why[0] = check_skip_why[0] = '\0';
        check_name = test->name;
        alarm(check_valgrind() ? CHECK_SECONDS_WHEN_SLOW : CHECK_SECONDS_PER_TEST);
        test->run();
        alarm(0);
        if (check_why[0] != '\0') {
            failed++;
            printf("not ok %s: %s\n", test->name, check_why);
        } else if (check_skip_why[0] != '\0') {
            skipped++;
            printf("skip %s: %s\n", test->name, check_skip_why);
        } else {
            passed++;
            printf("ok %s\n", test->name);
        }
        while (check_kept_count > 0)
            free(check_kept[--check_kept_count]);
    }
    free(check_kept);
    printf("%d passed, %d failed", passed, failed);
    if (skipped > 0)
        printf(", %d skipped", skipped);
    printf("\n");
    return failed > 0 || passed + skipped == 0;
}

#define CHECK_MAIN                                                                                                     \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        return check_main(argc, argv);                                                                                 \
    }

#endif
