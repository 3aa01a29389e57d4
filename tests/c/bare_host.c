/* Hosts that lack what most have: a locale, HOME, a current directory, the first three descriptors, a stack worth the name. */
#include "host.h"

#include <locale.h>

HANDLER(echoes_json)
{
    const hasty_json *json = NULL;
    hasty_status status = hasty_request_json(req, &json);
    return status == HASTY_OK ? hasty_response_send_json_value(res, json) : status;
}

HANDLER(counts_files)
{
    hasty_file file = {.size = sizeof file};
    CHECK_OK(hasty_request_file(req, "f", &file));
    return hasty_response_send_text(res, check_format("%d %s", (int)file.length, hasty_request_form(req, "a").data));
}

HANDLER(streams)
{
    for (int i = 0; i < 100; i++)
        if (hasty_response_write(res, "0123456789", 10) != HASTY_OK)
            return HASTY_ERR_CLOSED;
    return HASTY_OK;
}

static char *directory; /* with a file; absolute, since there may be no other */

static void make_directory(void)
{
    directory = check_keep(strdup("/tmp/hasty-test-XXXXXX"));
    CHECK(mkdtemp(directory) != NULL);
    FILE *file = fopen(check_format("%s/a.txt", directory), "w");
    if (CHECK(file != NULL)) {
        for (int i = 0; i < 1000; i++)
            fputs("a line of the file\n", file);
        fclose(file);
    }
}

static void remove_directory(void)
{
    unlink(check_format("%s/a.txt", directory));
    CHECK(rmdir(directory) == 0);
}

static hasty_app *with_everything(uint32_t threads)
{
    hasty_app *app = new_app(threads);
    hasty_static listing = {.size = sizeof listing, .list = 1};
    CHECK_OK(hasty_app_post(app, "/json", echoes_json, NULL));
    CHECK_OK(hasty_app_post(app, "/form", counts_files, NULL));
    CHECK_OK(hasty_app_get(app, "/stream", streams, NULL));
    CHECK_OK(hasty_app_static(app, "/files", directory, &listing));
    CHECK_OK(hasty_app_health(app, "/healthz"));
    CHECK_OK(hasty_app_set_option(app, "spool_bytes", "1000"));
    return app;
}

static char *nested(size_t depth)
{
    return check_format("%s%s", check_repeat("[", depth), check_repeat("]", depth));
}

static void ask_for_everything(int port)
{
    client c = client_open(port);
    CHECK_REPLY(client_ask(&c, QUICK), 200, "fine");
    CHECK_REPLY(client_ask(&c, request_text("POST", "/json", NULL, "{\"a\":[1.5,\"\xc3\xa9\"]}")), 200, "{\"a\":[1.5,\"\xc3\xa9\"]}");
    CHECK_REPLY(client_ask(&c, request_text("POST", "/json", NULL, nested(128))), 200, nested(128)); /* as deep as it may be */
    char *form = check_format("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nfield\r\n--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\n%s\r\n--b--\r\n",
                              check_repeat("0123456789", 1000));
    CHECK_REPLY(client_ask(&c, request_text("POST", "/form", "Content-Type: multipart/form-data; boundary=b\r\n", form)), 200, "10000 field");
    CHECK_REPLY(client_ask(&c, request_text("GET", "/stream", NULL, NULL)), 200, check_repeat("0123456789", 100));
    CHECK_INT(client_ask(&c, request_text("GET", "/files/a.txt", NULL, NULL)).body_len, 19000);
    CHECK_REPLY(client_ask(&c, request_text("GET", "/files/a.txt", "Accept-Encoding: gzip\r\n", NULL)), 200, NULL);
    CHECK_REPLY(client_ask(&c, request_text("GET", "/stream", "Accept-Encoding: gzip\r\n", NULL)), 200, NULL);
    reply listing = client_ask(&c, request_text("GET", "/files/", NULL, NULL));
    CHECK_REPLY(listing, 200, NULL);
    CHECK_CONTAINS(listing.body, "a.txt");
    CHECK_REPLY(client_ask(&c, request_text("GET", "/nowhere", NULL, NULL)), 404, NULL);
    CHECK_REPLY(client_ask(&c, request_text("GET", "/healthz", NULL, NULL)), 200, NULL);
    client_close(&c);
}

static void serve_everything(void)
{
    hasty_app *app = with_everything(0);
    ask_for_everything(check_serve(app));
    hasty_app_free(app);
}

/* ---- no locale, no environment, no directory ---- */

static void without_locale(CHECK_UNUSED void *nothing)
{
    setenv("LC_ALL", "xx_XX.NONSENSE", 1);
    setenv("LANG", "\xff\xfe", 1);
    serve_everything();
    CHECK_TEXT(setlocale(LC_ALL, NULL), "C"); /* nobody has set one */
}

/* A decimal comma is the host's business, and none of JSON's. */
static void with_another_locale(CHECK_UNUSED void *nothing)
{
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL && setlocale(LC_ALL, "de_DE") == NULL && setlocale(LC_ALL, "C.UTF-8") == NULL)
        return;
    char *before = check_keep(strdup(setlocale(LC_ALL, NULL)));
    serve_everything();
    CHECK_TEXT(setlocale(LC_ALL, NULL), before);
}

static void without_environment(CHECK_UNUSED void *nothing)
{
    clearenv();
    serve_everything();
}

static void without_a_current_directory(CHECK_UNUSED void *nothing)
{
    char gone[] = "/tmp/hasty-test-XXXXXX";
    CHECK(mkdtemp(gone) != NULL && chdir(gone) == 0 && rmdir(gone) == 0);
    serve_everything();
    hasty_app *app = check_app(NULL);
    CHECK(hasty_app_static(app, "/", "relative", NULL) != HASTY_OK); /* an answer, and no crash */
    hasty_app_free(app);
}

TEST(a_host_without_locale_home_or_directory_is_served)
{
    make_directory();
    IN_A_CHILD(without_locale, NULL);
    IN_A_CHILD(with_another_locale, NULL);
    IN_A_CHILD(without_environment, NULL);
    IN_A_CHILD(without_a_current_directory, NULL);
    remove_directory();
}

/* ---- the first three descriptors ---- */

/* What the library opens is 0, 1 or 2 then, and as good as any other. */
static void without_descriptors(void *which_)
{
    int which = *(int *)which_;
    for (int fd = 0; fd < 3; fd++)
        if (which >> fd & 1)
            close(fd);
    serve_everything();
}

TEST(a_host_without_standard_streams_is_served)
{
    make_directory();
    for (int which = 1; which < 8; which++)
        IN_A_CHILD(without_descriptors, &which);
    remove_directory();
}

/* ---- a small stack ---- */

/* This program again, in a process whose threads get `kib` by default, with one test. */
static int again_with_a_stack_of(int kib, const char *test)
{
    char program[4096], *arguments[] = {program, (char *)test, NULL}, *environment[] = {"HASTY_TEST_BARE=yes", NULL};
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    if (!CHECK(len > 0))
        return -1;
    program[len] = '\0';
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {(rlim_t)kib * 1024, (rlim_t)kib * 1024};
        setrlimit(RLIMIT_STACK, &limit);
        int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, STDOUT_FILENO);
        execve(program, arguments, environment);
        _exit(99);
    }
    return end_of_child(child);
}

TEST(a_process_with_a_tiny_stack_limit_is_served)
{
    if (getenv("HASTY_TEST_BARE") != NULL) { /* the process that is started below */
        make_directory();
        serve_everything();
        remove_directory();
        return;
    }
    if (CHECK_SANITIZED || check_valgrind())
        SKIP("sanitizers and valgrind need a stack of their own");
    CHECK_INT(again_with_a_stack_of(256, "a_process_with_a_tiny_stack_limit_is_served"), 0);
    CHECK_INT(again_with_a_stack_of(128, "a_process_with_a_tiny_stack_limit_is_served"), 0);
}

TEST(threads_of_the_hosts_may_have_small_stacks)
{
    if (CHECK_SANITIZED || check_valgrind())
        SKIP("sanitizers and valgrind need a stack of their own");
    static const size_t sizes[] = {256, 128, 64};
    make_directory();
    for (int i = 0; i < 3; i++) {
        hasty_app *app = with_everything(HASTY_NONE);
        CHECK_OK(hasty_app_listen(app, NULL, 0));
        runner r = {.app = app, .status = -1};
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        CHECK_INT(pthread_attr_setstacksize(&attributes, sizes[i] * 1024), 0);
        REQUIRE(pthread_create(&r.thread, &attributes, runs, &r) == 0);
        ask_for_everything(hasty_app_port(app));
        hasty_app_stop(app);
        join_runner(&r);
        pthread_attr_destroy(&attributes);
        hasty_app_free(app);
    }
    remove_directory();
}

TEST(a_small_default_stack_of_the_hosts_is_not_the_librarys)
{
    if (CHECK_SANITIZED || check_valgrind())
        SKIP("sanitizers and valgrind need a stack of their own");
    pthread_attr_t small, before;
    pthread_getattr_default_np(&before);
    pthread_attr_init(&small);
    CHECK_INT(pthread_attr_setstacksize(&small, 64 * 1024), 0);
    CHECK_INT(pthread_setattr_default_np(&small), 0);
    make_directory();
    serve_everything();
    remove_directory();
    size_t now = 0;
    pthread_attr_t after;
    pthread_getattr_default_np(&after);
    pthread_attr_getstacksize(&after, &now);
    CHECK_INT(now, 64 * 1024);
    pthread_setattr_default_np(&before);
    pthread_attr_destroy(&small);
    pthread_attr_destroy(&before);
    pthread_attr_destroy(&after);
}

/* ---- other limits ---- */

static void without_descriptors_to_spare(CHECK_UNUSED void *nothing)
{
    hasty_app *app = NULL;
    for (rlim_t most = 3; most < 40; most++) { /* whatever step it fails at, it says so and leaves nothing */
        struct rlimit limit = {most, 4096};
        int before = fd_count();
        setrlimit(RLIMIT_NOFILE, &limit);
        hasty_status made = hasty_app_new(NULL, &app), listens = HASTY_ERR_STATE, started = HASTY_ERR_STATE;
        if (made == HASTY_OK) {
            hasty_app_get(app, "/", fine, NULL);
            listens = hasty_app_listen(app, NULL, 0);
            started = hasty_app_start(app);
            hasty_app_fd(app);
            hasty_app_free(app);
        }
        limit.rlim_cur = 4096;
        setrlimit(RLIMIT_NOFILE, &limit);
        CHECK(made == HASTY_OK || made == HASTY_ERR_IO);
        CHECK(listens == HASTY_OK || listens == HASTY_ERR_IO || listens == HASTY_ERR_STATE);
        CHECK(started == HASTY_OK || started == HASTY_ERR_IO || started == HASTY_ERR_STATE);
        CHECK_INT(fd_count(), before);
    }
    serve_everything();
}

TEST(a_host_without_descriptors_is_told)
{
    if (check_valgrind())
        SKIP("valgrind keeps descriptors to itself");
    make_directory();
    IN_A_CHILD(without_descriptors_to_spare, NULL);
    remove_directory();
}

CHECK_MAIN
