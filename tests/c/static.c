/* Folders of files, and files that handlers send. */
#include "client.h"

#include <dirent.h>
#include <sys/stat.h>

/* A folder for one test; every test makes it with make_folder and ends with remove_folder. */
static char folder[128];

static char *in_folder(const char *name)
{
    return check_format("%s/%s", folder, name);
}

/* A file that was last changed an hour ago: what changed just now has a weak tag. */
static void make_file(const char *name, const void *bytes, size_t len)
{
    char *path = in_folder(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, bytes, len), len);
    struct timespec times[2] = {{time(NULL) - 3600, 0}, {time(NULL) - 3600, 0}};
    CHECK_INT(futimens(fd, times), 0);
    close(fd);
}

static void make_text(const char *name, const char *text)
{
    make_file(name, text, strlen(text));
}

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "%s/hasty-c-static-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (mkdtemp(folder) == NULL)
        CHECK(!"a folder can be made");
    CHECK_INT(mkdir(in_folder("site"), 0755), 0);
    CHECK_INT(mkdir(in_folder("site/docs"), 0755), 0);
    make_text("secret.txt", "SECRET");
    make_text("site/index.html", "<p>index</p>");
    make_text("site/a.txt", "abcdefghijklmnopqrstuvwxyz");
    make_text("site/docs/b.txt", "b");
    make_text("site/.hidden", "SECRET");
}

static void remove_all(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *below = check_format("%s/%s", path, entry->d_name);
        if (unlink(below) != 0)
            remove_all(below);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(path);
}

static void remove_folder(void)
{
    remove_all(folder);
}

static hasty_static files_options(void)
{
    return (hasty_static){.size = sizeof(hasty_static)};
}

static char *get_with(const char *target, const char *fields)
{
    return request_text("GET", target, fields, NULL);
}

#define CHECK_NO_HEADER(r, name) CHECK(reply_header(&(r), name) == NULL)

/* ---- folders ---- */

TEST(a_folder_is_served)
{
    make_folder();
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_static(app, "/s", in_folder("site"), NULL));
    int port = check_serve(app);
    for (int round = 0; round < 3; round++) {
        reply r = get(port, "/s/a.txt");
        CHECK_REPLY(r, 200, "abcdefghijklmnopqrstuvwxyz");
        CHECK_HEADER(r, "Content-Type", "text/plain; charset=utf-8");
        CHECK_HEADER(r, "Accept-Ranges", "bytes");
        CHECK(reply_header(&r, "ETag") != NULL && reply_header(&r, "Last-Modified") != NULL);
        CHECK_NO_HEADER(r, "Cache-Control");
        CHECK_REPLY(get(port, "/s/"), 200, "<p>index</p>");
        CHECK_REPLY(get(port, "/s/docs/b.txt"), 200, "b");
        CHECK_INT(get(port, "/s/none").status, 404);
        CHECK_INT(get(port, "/s/.hidden").status, 404);
        CHECK_INT(get(port, "/s/docs/").status, 404);
        CHECK_INT(ask_method(port, "POST", "/s/a.txt").status, 405);
        reply moved = get(port, "/s/docs?q=1");
        CHECK_INT(moved.status, 301);
        CHECK_HEADER(moved, "Location", "/s/docs/?q=1");
    }
    hasty_app_free(app);
    remove_folder();
}

TEST(the_options_of_a_folder_count)
{
    make_folder();
    hasty_app *app = check_app(NULL);
    hasty_static options = files_options();
    options.index = "a.txt";
    options.fallback = "docs/b.txt";
    options.cache_control = "max-age=60";
    options.list = 1;
    options.dotfiles = 1;
    CHECK_OK(hasty_app_static(app, "/s", in_folder("site"), &options));
    options = files_options();
    options.index = "";
    CHECK_OK(hasty_app_static(app, "/bare", in_folder("site"), &options));
    memset(&options, 0xff, sizeof options);
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/s/"), 200, "abcdefghijklmnopqrstuvwxyz");
    CHECK_REPLY(get(port, "/s/nowhere/at/all"), 200, "b");
    CHECK_REPLY(get(port, "/s/.hidden"), 200, "SECRET");
    reply r = get(port, "/s/a.txt");
    CHECK_HEADER(r, "Cache-Control", "max-age=60");
    reply list = get(port, "/s/docs/");
    CHECK_INT(list.status, 200);
    CHECK_HEADER(list, "Content-Type", "text/html; charset=utf-8");
    CHECK_CONTAINS(list.body, "<a href=\"./b.txt\">b.txt</a>");
    CHECK_INT(get(port, "/bare/").status, 404);
    hasty_app_free(app);
    remove_folder();
}

TEST(a_folder_that_cannot_be_served_is_refused)
{
    make_folder();
    hasty_app *app = check_app(NULL);
    const char *site = in_folder("site");
    CHECK_STATUS(hasty_app_static(app, "/s", in_folder("none"), NULL), HASTY_ERR_IO);
    CHECK_ERROR_NAMES("none");
    CHECK_STATUS(hasty_app_static(app, "/s", in_folder("secret.txt"), NULL), HASTY_ERR_IO);
    CHECK_ERROR_NAMES("secret.txt");
    CHECK_STATUS(hasty_app_static(app, "/s", "", NULL), HASTY_ERR_IO);
    CHECK_STATUS(hasty_app_static(NULL, "/s", site, NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_app_static(app, NULL, site, NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_app_static(app, "/s", NULL, NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_app_static(app, "s", site, NULL), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_static(app, "", site, NULL), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_app_static(app, "/s\xff", site, NULL), HASTY_ERR_INVALID);
    hasty_static options = files_options();
    options.index = "../secret.txt";
    CHECK_STATUS(hasty_app_static(app, "/s", site, &options), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("../secret.txt");
    options = files_options();
    options.fallback = "../secret.txt";
    CHECK_STATUS(hasty_app_static(app, "/s", site, &options), HASTY_ERR_INVALID);
    options.fallback = "none.html";
    CHECK_STATUS(hasty_app_static(app, "/s", site, &options), HASTY_ERR_IO);
    CHECK_ERROR_NAMES("none.html");
    options = files_options();
    options.cache_control = "a\r\nb";
    CHECK_STATUS(hasty_app_static(app, "/s", site, &options), HASTY_ERR_INVALID);
    /* None of these has left anything behind. */
    CHECK_OK(hasty_app_static(app, "/s", site, NULL));
    CHECK_STATUS(hasty_app_static(app, "/s/", site, NULL), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("/s");
    check_serve(app);
    CHECK_STATUS(hasty_app_static(app, "/late", site, NULL), HASTY_ERR_STATE);
    hasty_app_free(app);
    remove_folder();
}

TEST(the_struct_of_options_keeps_the_rules_of_sizes)
{
    make_folder();
    hasty_app *app = check_app(NULL);
    const char *site = in_folder("site");
    struct {
        hasty_static known;
        uint64_t beyond;
    } newer = {.known = {.size = sizeof newer, .cache_control = "max-age=1"}};
    CHECK_OK(hasty_app_static(app, "/newer", site, &newer.known));
    newer.beyond = 1;
    CHECK_STATUS(hasty_app_static(app, "/unknown", site, &newer.known), HASTY_ERR_INVALID);
    hasty_static small = files_options();
    small.size--;
    CHECK_STATUS(hasty_app_static(app, "/small", site, &small), HASTY_ERR_INVALID);
    small.size = 0;
    CHECK_STATUS(hasty_app_static(app, "/none", site, &small), HASTY_ERR_INVALID);
    CHECK_ERROR_NAMES("hasty_static.size");
    hasty_app_free(app);
    remove_folder();
}

TEST(nothing_leaves_the_folder)
{
    make_folder();
    CHECK_INT(symlink("../secret.txt", in_folder("site/out")), 0);
    CHECK_INT(symlink("/etc", in_folder("site/etc")), 0);
    CHECK_INT(symlink("..", in_folder("site/up")), 0);
    CHECK_INT(symlink("a.txt", in_folder("site/in")), 0);
    CHECK_INT(mkfifo(in_folder("site/fifo"), 0644), 0);
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_static(app, "/s", in_folder("site"), NULL));
    int port = check_serve(app);
    static const char *const targets[] = {
        "/s/out",    "/s/etc/passwd",      "/s/up/secret.txt",    "/s/../secret.txt",        "/s/%2e%2e/secret.txt",
        "/s/fifo",   "/s/..%2fsecret.txt", "/s/%2fetc%2fpasswd",  "/s/%c0%ae./secret.txt",   "/s/..\\secret.txt",
        "/s/%2ehidden", "/s/docs/../a.txt", "/s/docs/..",         "/s/%252e%252e/secret.txt", "/s//a.txt",
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        reply r = get(port, targets[i]);
        if (r.status != 404 || strstr(r.body, "SECRET") != NULL)
            check_fail(__FILE__, __LINE__, "%s gives %d %s", targets[i], r.status, r.status ? r.body : r.problem);
    }
    CHECK_INT(get(port, "/s/a.txt%00").status, 400);
    CHECK_INT(get(port, "/s/in").status, 200);
    hasty_app_free(app);
    remove_folder();
}

HANDLER(shape)
{
    return hasty_response_send_text(res, check_format("shaped: %s", check_last_error()));
}

TEST(a_miss_is_shaped_by_on_error)
{
    make_folder();
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_static(app, "/s", in_folder("site"), NULL));
    CHECK_OK(hasty_app_on_error(app, shape, NULL, NULL));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/s/none"), 404, "shaped: there is no such file");
    hasty_app_free(app);
    remove_folder();
}

TEST(cache_ms_is_an_option)
{
    make_folder();
    hasty_app *app = check_app(NULL);
    CHECK_STR(hasty_app_option(app, "cache_ms"), "1000");
    CHECK_OK(hasty_app_set_option(app, "cache_ms", "0"));
    CHECK_OK(hasty_app_static(app, "/s", in_folder("site"), NULL));
    int port = check_serve(app);
    CHECK_REPLY(get(port, "/s/docs/b.txt"), 200, "b");
    make_text("site/docs/b.txt", "changed");
    CHECK_REPLY(get(port, "/s/docs/b.txt"), 200, "changed");
    CHECK_INT(unlink(in_folder("site/docs/b.txt")), 0);
    CHECK_INT(get(port, "/s/docs/b.txt").status, 404);
    hasty_app_free(app);
    remove_folder();
}

/* ---- files that handlers send ---- */

HANDLER(send_it)
{
    return hasty_response_send_file(res, user_data);
}

HANDLER(send_it_and_look)
{
    CHECK_OK(hasty_response_send_text(res, "before"));
    CHECK_OK(hasty_response_send_file(res, user_data));
    CHECK_ABSENT(hasty_response_body(res));
    CHECK_STR(hasty_response_header(res, "Content-Type"), "text/plain; charset=utf-8");
    return HASTY_OK;
}

TEST(a_handler_sends_a_file)
{
    make_folder();
    hasty_app *app = check_app(NULL);
    char *path = in_folder("site/a.txt");
    CHECK_OK(hasty_app_get(app, "/file", send_it, path));
    CHECK_OK(hasty_app_get(app, "/look", send_it_and_look, path));
    int port = check_serve(app);
    reply r = get(port, "/file");
    CHECK_REPLY(r, 200, "abcdefghijklmnopqrstuvwxyz");
    CHECK_REPLY(get(port, "/look"), 200, "abcdefghijklmnopqrstuvwxyz");
    const char *tag = reply_header(&r, "ETag");
    REQUIRE(tag != NULL);
    reply same = ask(port, get_with("/file", check_format("If-None-Match: %s\r\n", tag)));
    CHECK_INT(same.status, 304);
    CHECK_HEADER(same, "ETag", tag);
    CHECK_INT(ask(port, get_with("/file", "If-Match: \"other\"\r\n")).status, 412);
    reply part = ask(port, get_with("/file", "Range: bytes=5-9\r\n"));
    CHECK_REPLY(part, 206, "fghij");
    CHECK_HEADER(part, "Content-Range", "bytes 5-9/26");
    reply beyond = ask(port, get_with("/file", "Range: bytes=26-\r\n"));
    CHECK_INT(beyond.status, 416);
    CHECK_HEADER(beyond, "Content-Range", "bytes */26");
    reply parts = ask(port, get_with("/file", "Range: bytes=0-0,25-25\r\n"));
    CHECK_INT(parts.status, 206);
    CHECK_CONTAINS(reply_header(&parts, "Content-Type"), "multipart/byteranges; boundary=");
    CHECK_CONTAINS(parts.body, "Content-Range: bytes 0-0/26\r\n\r\na\r\n--");
    CHECK_CONTAINS(parts.body, "Content-Range: bytes 25-25/26\r\n\r\nz\r\n--");
    reply head = ask_method(port, "HEAD", "/file");
    CHECK_INT(head.status, 200);
    CHECK_HEADER(head, "Content-Length", "26");
    hasty_app_free(app);
    remove_folder();
}

HANDLER(download_it)
{
    return hasty_response_send_download(res, user_data, "J\xc3\xa4hrlich \"1\".csv");
}

HANDLER(download_it_as_it_is)
{
    return hasty_response_send_download(res, user_data, NULL);
}

TEST(a_download_has_a_name)
{
    make_folder();
    hasty_app *app = check_app(NULL);
    char *path = in_folder("site/a.txt");
    CHECK_OK(hasty_app_get(app, "/named", download_it, path));
    CHECK_OK(hasty_app_get(app, "/plain", download_it_as_it_is, path));
    int port = check_serve(app);
    reply named = get(port, "/named");
    CHECK_REPLY(named, 200, "abcdefghijklmnopqrstuvwxyz");
    CHECK_HEADER(named, "Content-Type", "text/csv; charset=utf-8");
    CHECK_HEADER(named, "Content-Disposition",
                 "attachment; filename=\"J_hrlich \\\"1\\\".csv\"; filename*=UTF-8''J%C3%A4hrlich%20%221%22.csv");
    reply plain = get(port, "/plain");
    CHECK_HEADER(plain, "Content-Disposition", "attachment; filename=\"a.txt\"");
    CHECK_HEADER(plain, "Content-Type", "text/plain; charset=utf-8");
    hasty_app_free(app);
    remove_folder();
}

HANDLER(send_what_is_not_there)
{
    CHECK_STATUS(hasty_response_send_file(res, in_folder("none")), HASTY_ERR_NOT_FOUND);
    CHECK_ERROR_NAMES("none");
    CHECK_STATUS(hasty_response_send_file(res, folder), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_response_send_file(res, in_folder("fifo")), HASTY_ERR_INVALID);
    CHECK_STATUS(hasty_response_send_file(res, in_folder("secret.txt/x")), HASTY_ERR_IO);
    CHECK_STATUS(hasty_response_send_file(res, NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_response_send_file(NULL, folder), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_response_send_download(res, NULL, "a"), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_response_send_download(res, in_folder("none"), NULL), HASTY_ERR_NOT_FOUND);
    if (user_data != NULL) {
        CHECK_OK(hasty_response_reset(res));
        CHECK_OK(hasty_response_set_status(res, 410));
        return hasty_response_send_text(res, "it is gone");
    }
    return HASTY_OK;
}

TEST(a_file_that_cannot_be_sent_is_a_500_unless_the_handler_resets)
{
    make_folder();
    CHECK_INT(mkfifo(in_folder("fifo"), 0644), 0);
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/fails", send_what_is_not_there, NULL));
    CHECK_OK(hasty_app_get(app, "/resets", send_what_is_not_there, app));
    int port = check_serve(app);
    CHECK_INT(get(port, "/fails").status, 500);
    CHECK_REPLY(get(port, "/resets"), 410, "it is gone");
    hasty_app_free(app);
    remove_folder();
}

/* Path and name are views of the response that is about to change. */
HANDLER(send_what_a_header_names)
{
    CHECK_OK(hasty_response_set_header(res, "X-Path", user_data));
    CHECK_OK(hasty_response_set_header(res, "X-Name", "name.txt"));
    return hasty_response_send_download(res, hasty_response_header(res, "X-Path").data,
                                        hasty_response_header(res, "X-Name").data);
}

TEST(a_view_of_the_response_can_name_a_file)
{
    make_folder();
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", send_what_a_header_names, in_folder("site/a.txt")));
    int port = check_serve(app);
    reply r = get(port, "/");
    CHECK_REPLY(r, 200, "abcdefghijklmnopqrstuvwxyz");
    CHECK_HEADER(r, "Content-Disposition", "attachment; filename=\"name.txt\"");
    hasty_app_free(app);
    remove_folder();
}

HANDLER(think_again)
{
    CHECK_OK(hasty_response_send_download(res, user_data, NULL));
    return hasty_response_send_text(res, "text");
}

TEST(what_is_sent_after_a_file_takes_its_place)
{
    make_folder();
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_get(app, "/", think_again, in_folder("site/a.txt")));
    int port = check_serve(app);
    reply r = get(port, "/");
    CHECK_REPLY(r, 200, "text");
    CHECK_NO_HEADER(r, "ETag");
    CHECK_NO_HEADER(r, "Content-Disposition");
    hasty_app_free(app);
    remove_folder();
}

/* ---- large files ---- */

static long anonymous_kib(void)
{
    long kib = -1;
    char line[256];
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        sscanf(line, "RssAnon: %ld", &kib);
    if (status != NULL)
        fclose(status);
    return kib;
}

TEST(ten_gibibytes_take_no_memory)
{
    make_folder();
    make_text("site/huge.bin", "");
    CHECK_INT(truncate(in_folder("site/huge.bin"), 10LL << 30), 0);
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_static(app, "/s", in_folder("site"), NULL));
    CHECK_OK(hasty_app_get(app, "/sent", send_it, in_folder("site/huge.bin")));
    int port = check_serve(app);
    static const char *const targets[] = {"/s/huge.bin", "/sent"};
    static char piece[1 << 20];
    long before = anonymous_kib();
    for (size_t i = 0; i < 2; i++) {
        reply head = ask_method(port, "HEAD", targets[i]);
        CHECK_HEADER(head, "Content-Length", "10737418240");
        reply end = ask(port, get_with(targets[i], "Range: bytes=-3\r\n"));
        CHECK_INT(end.status, 206);
        CHECK_INT(end.body_len, 3);
        CHECK_HEADER(end, "Content-Range", "bytes 10737418237-10737418239/10737418240");
        client c = client_open(port);
        client_send(&c, get_with(targets[i], ""));
        ssize_t got = 0;
        for (long long sum = 0, wanted = (check_small() ? 8LL : 128LL) << 20; sum < wanted; sum += got) {
            got = recv(c.fd, piece, sizeof piece, 0);
            REQUIRE(got > 0);
        }
        client_close(&c);
    }
    /* Sanitizers and valgrind have books of their own. */
    if (!check_valgrind() && !CHECK_SANITIZED)
        CHECK(anonymous_kib() - before < 16 * 1024);
    hasty_app_free(app);
    remove_folder();
}

TEST(a_file_that_shrinks_ends_the_connection)
{
    make_folder();
    size_t len = 8 << 20;
    char *bytes = check_repeat("0123456789abcdef", len / 16);
    make_file("site/shrinks.bin", bytes, len);
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_static(app, "/s", in_folder("site"), NULL));
    int port = check_serve(app);
    client c = client_open(port);
    client_send(&c, get_with("/s/shrinks.bin", ""));
    char first[64];
    CHECK(recv(c.fd, first, sizeof first, MSG_WAITALL) == sizeof first);
    CHECK_INT(truncate(in_folder("site/shrinks.bin"), 1 << 20), 0);
    size_t sum = sizeof first;
    static char piece[1 << 20];
    ssize_t got = 1;
    while (got > 0 && client_wait(&c, POLLIN, check_now_ms() + CLIENT_WAIT_MS)) {
        got = recv(c.fd, piece, sizeof piece, 0);
        sum += got > 0 ? (size_t)got : 0;
    }
    CHECK(got <= 0);
    CHECK(sum < len);
    client_close(&c);
    CHECK_REPLY(get(port, "/s/a.txt"), 200, "abcdefghijklmnopqrstuvwxyz");
    hasty_app_free(app);
    remove_folder();
}

CHECK_MAIN
