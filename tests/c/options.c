/* Options: every one by struct and by name, their defaults, their sizes, and what is refused. */
#include "client.h"

/* The fields of hasty_options; `fallback` is the default as text, NULL where it depends on the machine. */
static const struct {
    const char *name;
    size_t offset;
    const char *fallback;
} fields[] = {
    {"threads", offsetof(hasty_options, threads), NULL},
    {"max_connections", offsetof(hasty_options, max_connections), NULL},
    {"max_connections_per_ip", offsetof(hasty_options, max_connections_per_ip), "0"},
    {"max_header_bytes", offsetof(hasty_options, max_header_bytes), "16384"},
    {"max_headers", offsetof(hasty_options, max_headers), "100"},
    {"max_target_bytes", offsetof(hasty_options, max_target_bytes), "8192"},
    {"header_timeout_ms", offsetof(hasty_options, header_timeout_ms), "10000"},
    {"body_timeout_ms", offsetof(hasty_options, body_timeout_ms), "30000"},
    {"idle_timeout_ms", offsetof(hasty_options, idle_timeout_ms), "30000"},
    {"write_timeout_ms", offsetof(hasty_options, write_timeout_ms), "30000"},
    {"exchange_timeout_ms", offsetof(hasty_options, exchange_timeout_ms), "60000"},
    {"max_requests_per_connection", offsetof(hasty_options, max_requests_per_connection), "0"},
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

static void set_field(hasty_options *options, size_t field, uint32_t value)
{
    memcpy((char *)options + fields[field].offset, &value, sizeof value);
}

/* What an app made with `options` says of `name`. */
static char *option_of(const hasty_options *options, const char *name)
{
    hasty_app *app = check_app(options);
    hasty_str value = hasty_app_option(app, name);
    char *text = value.data ? check_keep(strdup(value.data)) : NULL;
    hasty_app_free(app);
    return text;
}

HANDLER(says_fine)
{
    return hasty_response_send_text(res, "fine");
}

/* ---- defaults ---- */

TEST(defaults_are_readable_by_name)
{
    hasty_options zero = {.size = sizeof zero};
    for (int by_struct = 0; by_struct < 2; by_struct++) {
        hasty_app *app = check_app(by_struct ? &zero : NULL);
        CHECK_STR(hasty_app_option(app, "max_body_bytes"), "10485760");
        CHECK_STR(hasty_app_option(app, "server_header"), "hasty");
        for (size_t i = 0; i < FIELDS; i++)
            if (fields[i].fallback != NULL)
                check_str(__FILE__, __LINE__, fields[i].name, hasty_app_option(app, fields[i].name),
                          fields[i].fallback);
        hasty_app_free(app);
    }
}

TEST(the_default_pool_has_two_threads_per_cpu_and_at_least_eight)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    char *threads = option_of(NULL, "threads");
    REQUIRE(threads != NULL);
    CHECK(atol(threads) >= 8);
    CHECK(atol(threads) <= (2 * cpus > 8 ? 2 * cpus : 8));
}

TEST(the_default_number_of_connections_comes_from_the_descriptor_limit)
{
    char *connections = option_of(NULL, "max_connections");
    REQUIRE(connections != NULL);
    CHECK(atol(connections) > 0);
    CHECK(atol(connections) <= sysconf(_SC_OPEN_MAX));
}

TEST(options_by_name_alone_have_their_defaults)
{
    static const char *const options[][2] = {
        {"min_rate_bytes", "240"},
        {"max_buffered_bytes", "268435456"},
        {"defer_accept_s", "1"},
        {"spool_bytes", "262144"},
        {"max_parts", "1000"},
        {"compress", "1"},
        {"stream_buffer_bytes", "262144"},
    };
    hasty_app *app = check_app(NULL);
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        check_str(__FILE__, __LINE__, options[i][0], hasty_app_option(app, options[i][0]), options[i][1]);
    CHECK(hasty_app_option(app, "backlog").len > 0);
    CHECK(hasty_app_option(app, "reuse_port").len > 0);
    hasty_app_free(app);
}

TEST(an_option_that_does_not_exist_reads_as_absent)
{
    hasty_app *app = check_app(NULL);
    CHECK_ABSENT(hasty_app_option(app, "max_colours"));
    CHECK_ABSENT(hasty_app_option(app, ""));
    CHECK_ABSENT(hasty_app_option(app, "THREADS"));
    CHECK_ABSENT(hasty_app_option(app, "size"));
    hasty_app_free(app);
}

/* ---- by struct ---- */

TEST(every_field_of_the_struct_is_taken)
{
    for (size_t i = 0; i < FIELDS; i++) {
        hasty_options options = {.size = sizeof options};
        set_field(&options, i, 1234 + (uint32_t)i);
        check_text(__FILE__, __LINE__, fields[i].name, option_of(&options, fields[i].name),
                   check_format("%zu", 1234 + i));
    }
    hasty_options options = {
        .size = sizeof options, .max_body_bytes = UINT64_C(5000000000), .server_header = "mine/1.0"};
    CHECK_TEXT(option_of(&options, "max_body_bytes"), "5000000000");
    CHECK_TEXT(option_of(&options, "server_header"), "mine/1.0");
}

TEST(none_in_the_struct_is_literally_zero)
{
    for (size_t i = 0; i < FIELDS; i++) {
        hasty_options options = {.size = sizeof options};
        set_field(&options, i, HASTY_NONE);
        check_text(__FILE__, __LINE__, fields[i].name, option_of(&options, fields[i].name), "0");
    }
    hasty_options options = {.size = sizeof options, .max_body_bytes = HASTY_NONE64};
    CHECK_TEXT(option_of(&options, "max_body_bytes"), "0");
}

/* The status of a small request with a body, where `name` is none; 0 where there is no answer. */
static int status_without(const char *name)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_set_option(app, name, "0"));
    CHECK_OK(hasty_app_post(app, "/", says_fine, NULL));
    int status = post(check_serve(app), "/", "text/plain", "body").status;
    hasty_app_free(app);
    return status;
}

TEST(none_lifts_a_limit_on_times_and_connections_and_lets_nothing_pass_one_on_bytes)
{
    static const char *const lifted[] = {"max_connections", "max_connections_per_ip", "max_requests_per_connection", "header_timeout_ms",
                                         "body_timeout_ms", "idle_timeout_ms", "write_timeout_ms", "exchange_timeout_ms"};
    for (size_t i = 0; i < sizeof lifted / sizeof *lifted; i++)
        check_int(__FILE__, __LINE__, lifted[i], status_without(lifted[i]), 200);
    CHECK_INT(status_without("max_body_bytes"), 413);
    CHECK_INT(status_without("max_header_bytes"), 431);
    CHECK_INT(status_without("max_headers"), 431);
    CHECK_INT(status_without("max_target_bytes"), 414);
}

TEST(none_of_32_bits_is_refused_where_there_are_64)
{
    hasty_options options = {.size = sizeof options, .max_body_bytes = HASTY_NONE};
    hasty_app *app = NULL;
    CHECK_STATUS(hasty_app_new(&options, &app), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("max_body_bytes");
    CHECK_ERROR_NAMES("HASTY_NONE64");
    options.max_body_bytes = HASTY_NONE - 1ull;
    CHECK_TEXT(option_of(&options, "max_body_bytes"), "4294967294");
    app = check_app(NULL);
    CHECK_OK(hasty_app_set_option(app, "max_body_bytes", "4294967295")); /* by name all is literal */
    hasty_app_free(app);
}

TEST(the_struct_and_its_strings_are_copied)
{
    char server[] = "mine";
    hasty_options options = {.size = sizeof options, .max_headers = 77, .server_header = server};
    hasty_app *app = check_app(&options);
    memset(server, 'z', sizeof server - 1);
    memset(&options, 0xee, sizeof options);
    CHECK_STR(hasty_app_option(app, "server_header"), "mine");
    CHECK_STR(hasty_app_option(app, "max_headers"), "77");
    hasty_app_free(app);
}

/* ---- by name ---- */

TEST(every_option_is_set_by_name)
{
    hasty_app *app = check_app(NULL);
    for (size_t i = 0; i < FIELDS; i++) {
        char *value = check_format("%zu", 321 + i);
        check_status(__FILE__, __LINE__, fields[i].name, hasty_app_set_option(app, fields[i].name, value), HASTY_OK);
        check_str(__FILE__, __LINE__, fields[i].name, hasty_app_option(app, fields[i].name), value);
    }
    CHECK_OK(hasty_app_set_option(app, "max_body_bytes", "5000000000"));
    CHECK_STR(hasty_app_option(app, "max_body_bytes"), "5000000000");
    CHECK_OK(hasty_app_set_option(app, "server_header", "mine/1.0 (test)"));
    CHECK_STR(hasty_app_option(app, "server_header"), "mine/1.0 (test)");
    CHECK_OK(hasty_app_set_option(app, "min_rate_bytes", "100"));
    CHECK_STR(hasty_app_option(app, "min_rate_bytes"), "100");
    CHECK_OK(hasty_app_set_option(app, "max_buffered_bytes", "1000000"));
    CHECK_STR(hasty_app_option(app, "max_buffered_bytes"), "1000000");
    CHECK_OK(hasty_app_set_option(app, "backlog", "64"));
    CHECK_STR(hasty_app_option(app, "backlog"), "64");
    hasty_app_free(app);
}

TEST(by_name_zero_is_zero)
{
    hasty_app *app = check_app(NULL);
    for (size_t i = 0; i < FIELDS; i++) {
        check_status(__FILE__, __LINE__, fields[i].name, hasty_app_set_option(app, fields[i].name, "0"), HASTY_OK);
        check_str(__FILE__, __LINE__, fields[i].name, hasty_app_option(app, fields[i].name), "0");
    }
    CHECK_OK(hasty_app_set_option(app, "max_body_bytes", "0"));
    CHECK_STR(hasty_app_option(app, "max_body_bytes"), "0");
    CHECK_OK(hasty_app_set_option(app, "server_header", ""));
    CHECK_STR(hasty_app_option(app, "server_header"), "");
    hasty_app_free(app);
}

TEST(what_an_option_reads_as_stays_while_others_are_read_and_may_be_set_again)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_set_option(app, "server_header", "a server with quite a long name, longer than most"));
    hasty_str server = hasty_app_option(app, "server_header"), headers = hasty_app_option(app, "max_headers");
    for (size_t i = 0; i < FIELDS; i++)
        CHECK(hasty_app_option(app, fields[i].name).data != NULL);
    CHECK_STR(server, "a server with quite a long name, longer than most");
    CHECK_STR(headers, "100");
    CHECK_OK(hasty_app_set_option(app, "server_header", hasty_app_option(app, "server_header").data));
    CHECK_STR(hasty_app_option(app, "server_header"), "a server with quite a long name, longer than most");
    hasty_app_free(app);
}

TEST(two_apps_may_share_a_port_where_reuse_port_is_on)
{
    hasty_app *one = check_app(NULL), *two = check_app(NULL);
    CHECK_OK(hasty_app_set_option(one, "reuse_port", "1"));
    CHECK_OK(hasty_app_set_option(two, "reuse_port", "1"));
    CHECK_OK(hasty_app_listen(one, NULL, 0));
    CHECK_OK(hasty_app_listen(two, NULL, hasty_app_port(one)));
    hasty_app_free(one);
    hasty_app_free(two);
}

TEST(a_later_value_wins)
{
    hasty_options options = {.size = sizeof options, .max_headers = 10};
    hasty_app *app = check_app(&options);
    CHECK_OK(hasty_app_set_option(app, "max_headers", "20"));
    CHECK_OK(hasty_app_set_option(app, "max_headers", "30"));
    CHECK_STR(hasty_app_option(app, "max_headers"), "30");
    hasty_app_free(app);
}

TEST(a_value_that_is_no_number_is_refused_and_changes_nothing)
{
    static const char *const wrong[] = {
        "", "many", "-1", "1x", "0x10", "1.5", "1 2", "4294967296", "99999999999999999999999"};
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_set_option(app, "max_headers", "55"));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (!CHECK_STATUS(hasty_app_set_option(app, "max_headers", wrong[i]), HASTY_ERR_INVALID))
            check_fail(__FILE__, __LINE__, "max_headers took \"%s\"", wrong[i]);
        CHECK_ERROR_NAMES("max_headers");
        CHECK_STR(hasty_app_option(app, "max_headers"), "55");
    }
    CHECK_STATUS(hasty_app_set_option(app, "max_body_bytes", "18446744073709551616"), HASTY_ERR_INVALID);
    CHECK_STR(hasty_app_option(app, "max_body_bytes"), "10485760");
    hasty_app_free(app);
}

TEST(a_name_that_is_no_option_is_refused)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_set_option(app, "max_colours", "1"), HASTY_ERR_NOT_FOUND);
    CHECK_STATUS(hasty_app_set_option(app, "", "1"), HASTY_ERR_NOT_FOUND);
    CHECK_STATUS(hasty_app_set_option(app, "size", "72"), HASTY_ERR_NOT_FOUND);
    hasty_app_free(app);
}

TEST(a_server_header_that_could_split_an_answer_is_refused)
{
    hasty_app *app = check_app(NULL);
    CHECK_STATUS(hasty_app_set_option(app, "server_header", "a\r\nX-Bad: 1"), HASTY_ERR_INVALID);
    CHECK_STR(hasty_app_option(app, "server_header"), "hasty");
    hasty_app_free(app);
    hasty_options options = {.size = sizeof options, .server_header = "a\r\nX-Bad: 1"};
    app = NULL;
    CHECK_STATUS(hasty_app_new(&options, &app), HASTY_ERR_INVALID);
    CHECK(app == NULL);
}

TEST(options_are_readable_after_start_and_not_writable)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_set_option(app, "max_headers", "42"));
    check_serve(app);
    CHECK_STR(hasty_app_option(app, "max_headers"), "42");
    CHECK_STATUS(hasty_app_set_option(app, "max_headers", "43"), HASTY_ERR_STATE);
    CHECK_STR(hasty_app_option(app, "max_headers"), "42");
    hasty_app_free(app);
}

/* ---- sizes ---- */

TEST(a_size_below_the_first_release_is_invalid)
{
    static const size_t sizes[] = {0, 1, 8, 64, sizeof(hasty_options) - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        hasty_options options = {.size = sizes[i]};
        hasty_app *app = NULL;
        CHECK_STATUS(hasty_app_new(&options, &app), HASTY_ERR_INVALID);
        CHECK_ERROR_NAMES(check_format("%zu", sizes[i]));
        CHECK(app == NULL);
    }
}

TEST(a_larger_struct_is_taken_while_its_unknown_tail_is_zero)
{
    struct {
        hasty_options known;
        unsigned char tail[24];
    } larger = {.known = {.size = sizeof larger, .max_headers = 12}};
    hasty_app *app = NULL;
    REQUIRE_OK(hasty_app_new(&larger.known, &app));
    CHECK_STR(hasty_app_option(app, "max_headers"), "12");
    hasty_app_free(app);
    for (size_t i = 0; i < sizeof larger.tail; i += 23) {
        memset(larger.tail, 0, sizeof larger.tail);
        larger.tail[i] = 1;
        app = NULL;
        hasty_status status = hasty_app_new(&larger.known, &app);
        CHECK(status == HASTY_ERR_INVALID || status == HASTY_ERR_UNSUPPORTED);
        CHECK(app == NULL);
    }
}

static hasty_status cookie_status;

HANDLER(sets_a_cookie)
{
    cookie_status = hasty_response_set_cookie(res, "name", "value", user_data);
    hasty_response_reset(res);
    return HASTY_OK;
}

static hasty_status status_of_cookie(const void *options)
{
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", sets_a_cookie, (void *)(uintptr_t)options));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/"), 200, NULL);
    hasty_app_free(app);
    return cookie_status;
}

TEST(the_same_holds_for_the_options_of_a_cookie)
{
    hasty_cookie small = {.size = sizeof small - 1};
    CHECK_STATUS(status_of_cookie(&small), HASTY_ERR_INVALID);
    struct {
        hasty_cookie known;
        uint64_t tail;
    } larger = {.known = {.size = sizeof larger}};
    CHECK_STATUS(status_of_cookie(&larger), HASTY_OK);
    larger.tail = UINT64_C(1) << 63;
    CHECK(status_of_cookie(&larger) != HASTY_OK);
}

/* ---- what they do, where limits.c does not tell ---- */

HANDLER(fine)
{
    return hasty_response_send_text(res, "fine");
}

TEST(the_server_header_is_what_was_set_or_none)
{
    static const char *const values[] = {"mine/1.0", ""};
    for (int by_name = 0; by_name < 2; by_name++)
        for (int i = 0; i < 2; i++) {
            hasty_options options = {.size = sizeof options, .server_header = by_name ? NULL : values[i]};
            hasty_app *app = check_app(&options);
            CHECK_OK(hasty_app_get(app, "/", fine, NULL));
            if (by_name)
                CHECK_OK(hasty_app_set_option(app, "server_header", values[i]));
            reply r = get(check_serve(app), "/");
            CHECK_REPLY(r, 200, "fine");
            if (i == 0)
                CHECK_HEADER(r, "Server", "mine/1.0");
            else
                CHECK(reply_header(&r, "Server") == NULL);
            hasty_app_free(app);
        }
}

static int thread_count(void)
{
    int count = 0;
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "Threads: %d", &count);
    if (status != NULL)
        fclose(status);
    return count;
}

TEST(threads_is_the_number_of_threads_and_a_standby)
{
    /* Threads that were joined leave /proc a moment later. */
    CHECK(AWAIT(thread_count() == 1));
    int before = thread_count();
    for (uint32_t threads = 1; threads <= 4; threads++) {
        hasty_options options = {.size = sizeof options, .threads = threads};
        hasty_app *app = check_app(&options);
        CHECK_OK(hasty_app_get(app, "/", fine, NULL));
        CHECK_REPLY(get(check_serve(app), "/"), 200, "fine");
        int made = thread_count() - before;
        CHECK(made >= 1 && made <= (int)threads + 1);
        hasty_app_free(app);
        CHECK(AWAIT(thread_count() == before));
    }
}

static void *runs(void *app)
{
    CHECK_OK(hasty_app_run(app));
    return NULL;
}

TEST(without_threads_only_those_that_run_it_serve)
{
    /* Threads that were joined leave /proc a moment later. */
    CHECK(AWAIT(thread_count() == 1));
    int before = thread_count();
    hasty_options options = {.size = sizeof options, .threads = HASTY_NONE};
    hasty_app *app = check_app(&options);
    CHECK_OK(hasty_app_get(app, "/", fine, NULL));
    int port = check_serve(app);
    CHECK_INT(thread_count(), before);
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, runs, app) == 0);
    CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_REPLY(get(port, "/"), 200, "fine");
    CHECK_INT(thread_count(), before + 1);
    hasty_app_stop(app);
    pthread_join(thread, NULL);
    hasty_app_free(app);
}

CHECK_MAIN
