/* Forms with files: what a handler sees of them, where big ones are kept, and what is left of them: nothing. */
#include "client.h"

#include <dirent.h>
#include <stddef.h>
#include <sys/stat.h>

#define BOUNDARY "----test-7d2f"
static const char form_type[] = "multipart/form-data; boundary=" BOUNDARY;

/* ---- bodies ---- */

/* A body that grows part by part. */
typedef struct body {
    char *bytes;
    size_t len;
} body;

static void add_bytes(body *b, const void *bytes, size_t len)
{
    b->bytes = realloc(b->bytes, b->len + len + 1);
    if (b->bytes == NULL)
        abort();
    if (len > 0)
        memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
    b->bytes[b->len] = '\0';
}

static void add_text(body *b, const char *text)
{
    add_bytes(b, text, strlen(text));
}

static void add_field(body *b, const char *name, const char *value)
{
    add_text(b, check_format("--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", name, value));
}

static void add_file(body *b, const char *name, const char *filename, const char *type, const void *bytes, size_t len)
{
    add_text(b, check_format("--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\n", name, filename));
    if (type != NULL)
        add_text(b, check_format("Content-Type: %s\r\n", type));
    add_text(b, "\r\n");
    add_bytes(b, bytes, len);
    add_text(b, "\r\n");
}

static void end_body(body *b)
{
    add_text(b, "--" BOUNDARY "--\r\n");
    check_keep(b->bytes);
}

static char *head_of(const char *target, const char *type, size_t len)
{
    return check_format("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", target, type, len);
}

static void send_body(client *c, const char *target, const char *type, const void *bytes, size_t len)
{
    client_send(c, head_of(target, type, len));
    client_send_bytes(c, bytes, len);
}

static reply post_bytes(int port, const char *type, const void *bytes, size_t len)
{
    client c = client_open(port);
    send_body(&c, "/", type, bytes, len);
    reply r = client_read(&c);
    client_close(&c);
    return r;
}

static reply post_body(int port, const body *b)
{
    return post_bytes(port, form_type, b->bytes, b->len);
}

/* ---- the spool directory ---- */

static char spool[128];

static int spooled_files(void)
{
    int count = -2; /* . and .. */
    DIR *dir = opendir(spool);
    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count;
}

/* POST / goes to the handler; what is beyond `spool_bytes` goes to a directory of the test's own. */
static hasty_app *serve(hasty_handler handler, void *data, const char *spool_bytes, int *port)
{
    snprintf(spool, sizeof spool, "%s/hasty-c-upload-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (mkdtemp(spool) == NULL)
        CHECK(!"a directory can be made");
    hasty_app *app = check_app(NULL);
    CHECK_OK(hasty_app_set_option(app, "spool_directory", spool));
    if (spool_bytes != NULL)
        CHECK_OK(hasty_app_set_option(app, "spool_bytes", spool_bytes));
    CHECK_OK(hasty_app_post(app, "/", handler, data));
    *port = check_serve(app);
    return app;
}

static void end(hasty_app *app)
{
    CHECK(AWAIT(spooled_files() == 0));
    hasty_app_free(app);
    CHECK_INT(spooled_files(), 0);
    CHECK_INT(rmdir(spool), 0);
}

/* ---- files as a handler sees them ---- */

static hasty_file file_out(void)
{
    return (hasty_file){.size = sizeof(hasty_file)};
}

/* The bytes of a file, wherever they are. */
static char *content_of(const hasty_file *file, size_t *len)
{
    *len = file->data.len;
    if (file->data.data != NULL) {
        CHECK(file->path == NULL);
        CHECK_INT(file->data.data[file->data.len], '\0');
        return (char *)file->data.data;
    }
    char *bytes = check_keep(calloc(1, file->length + 1));
    FILE *stream = file->path ? fopen(file->path, "rb") : NULL;
    CHECK(stream != NULL);
    *len = stream ? fread(bytes, 1, file->length + 1, stream) : 0;
    if (stream != NULL)
        fclose(stream);
    return bytes;
}

static int has_content(const hasty_file *file, const void *bytes, size_t len)
{
    size_t is = 0;
    char *content = content_of(file, &is);
    return CHECK_INT(file->length, len) && CHECK_INT(is, len) && CHECK(len == 0 || memcmp(content, bytes, len) == 0);
}

static const unsigned char tricky[] = "\0\r\n------test-7d2x\r\n----test-7d2f\r\r\n\n--\r\n\xff--" BOUNDARY;
enum { TRICKY = sizeof tricky - 1 };

HANDLER(sees_a_form)
{
    hasty_file file = file_out();
    hasty_str name, value;
    CHECK_OK(hasty_request_form_status(req));
    CHECK_INT(hasty_request_form_count(req), 3);
    CHECK_STR(hasty_request_form(req, "title"), "caf\xc3\xa9 & more");
    CHECK_STR(hasty_request_form(req, "empty"), "");
    CHECK_ABSENT(hasty_request_form(req, "photo"));
    CHECK_ABSENT(hasty_request_form(req, "none"));
    CHECK_OK(hasty_request_form_at(req, 2, &name, &value));
    CHECK_STR(name, "title");
    CHECK_STR(value, "second");
    CHECK_INT(hasty_request_file_count(req), 3);
    CHECK_OK(hasty_request_file_at(req, 0, &file));
    CHECK_STR(file.name, "photo");
    CHECK_STR(file.filename, "a b.png");
    CHECK_STR(file.content_type, "image/png");
    has_content(&file, tricky, TRICKY);
    CHECK_OK(hasty_request_file(req, "text", &file));
    CHECK_STR(file.filename, "\xe2\x82\xac.txt");
    has_content(&file, "hello", 5);
    CHECK_OK(hasty_request_file_at(req, 2, &file));
    CHECK_STR(file.name, "photo");
    CHECK_INT(file.length, 0);
    CHECK(file.data.data != NULL && file.path == NULL); /* empty, not absent */
    CHECK_OK(hasty_request_file(req, "photo", &file));
    CHECK_STR(file.filename, "a b.png"); /* the first of that name */
    hasty_file before = file;
    CHECK_STATUS(hasty_request_file_at(req, 3, &file), HASTY_ERR_NOT_FOUND);
    CHECK_STATUS(hasty_request_file(req, "title", &file), HASTY_ERR_NOT_FOUND);
    CHECK_STATUS(hasty_request_file(req, NULL, &file), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_request_file(req, "photo", NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_request_file_at(NULL, 0, &file), HASTY_ERR_NULL);
    CHECK_INT(hasty_request_file_count(NULL), 0);
    CHECK(memcmp(&before, &file, sizeof file) == 0);
    return hasty_response_send_text(res, hasty_request_body(req).len ? "with body" : "without body");
}

static body tricky_body(void)
{
    body b = {0};
    add_field(&b, "title", "caf\xc3\xa9 & more");
    add_file(&b, "photo", "a b.png", "image/png", tricky, TRICKY);
    add_field(&b, "empty", "");
    add_file(&b, "text", "\xe2\x82\xac.txt", NULL, "hello", 5);
    add_field(&b, "title", "second");
    add_file(&b, "photo", "empty.bin", "application/octet-stream", "", 0);
    end_body(&b);
    return b;
}

TEST(fields_and_files_are_told_apart_and_keep_their_order)
{
    int port;
    hasty_app *app = serve(sees_a_form, NULL, NULL, &port);
    body b = tricky_body();
    CHECK_REPLY(post_body(port, &b), 200, "with body");
    end(app);
}

TEST(a_form_is_the_same_however_it_is_cut)
{
    int port;
    body b = tricky_body();
    for (int big = 0; big < 2; big++) { /* parsed on demand, and as it arrives */
        hasty_app *app = serve(sees_a_form, NULL, big ? "100" : NULL, &port);
        client c = client_open(port);
        const char *head = head_of("/", form_type, b.len);
        for (size_t cut = 1; cut < b.len; cut += check_small() ? 7 : 1) {
            client_send(&c, head);
            client_send_bytes(&c, b.bytes, cut);
            sched_yield();
            client_send_bytes(&c, b.bytes + cut, b.len - cut);
            reply r = client_read(&c);
            if (r.status != 200)
                check_fail(__FILE__, __LINE__, "cut at %zu: %d %s", cut, r.status, r.status ? r.body : r.problem);
        }
        client_send(&c, head);
        for (size_t at = 0; at < b.len; at++)
            client_send_bytes(&c, b.bytes + at, 1);
        CHECK_REPLY(client_read(&c), 200, NULL);
        client_send(&c, check_format("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", form_type));
        for (size_t at = 0; at < b.len; at += 3) {
            size_t len = b.len - at < 3 ? b.len - at : 3;
            client_send(&c, check_format("%zx\r\n", len));
            client_send_bytes(&c, b.bytes + at, len);
            client_send(&c, "\r\n");
        }
        client_send(&c, "0\r\n\r\n");
        CHECK_REPLY(client_read(&c), 200, NULL);
        client_close(&c);
        end(app);
    }
}

/* ---- big ones ---- */

static char kept_path[512];
static const char *big_file;
enum { BIG = 300000 };

HANDLER(sees_a_spooled_file)
{
    hasty_file file = file_out();
    CHECK_OK(hasty_request_form_status(req));
    CHECK_STR(hasty_request_form(req, "title"), "big");
    CHECK_STR(hasty_request_body(req), ""); /* it went elsewhere as it came */
    CHECK_OK(hasty_request_file(req, "file", &file));
    CHECK_INT(file.length, BIG);
    CHECK_ABSENT(file.data);
    CHECK_STR(file.filename, "big.bin");
    CHECK(file.path != NULL && access(file.path, R_OK) == 0);
    CHECK(file.path != NULL && strncmp(file.path, spool, strlen(spool)) == 0);
    struct stat about;
    CHECK(file.path != NULL && stat(file.path, &about) == 0 && (about.st_mode & 077) == 0); /* nobody else's */
    snprintf(kept_path, sizeof kept_path, "%s", file.path ? file.path : "");
    has_content(&file, big_file, BIG);
    CHECK_OK(hasty_request_file(req, "small", &file));
    has_content(&file, "little", 6);
    return user_data ? HASTY_ERR_IO : hasty_response_send_text(res, "seen");
}

static body big_body(void)
{
    char *bytes = check_keep(malloc(BIG));
    for (uint32_t i = 0; i < BIG; i++)
        bytes[i] = (char)(i * 2654435761u >> 24);
    big_file = bytes;
    body b = {0};
    add_field(&b, "title", "big");
    add_file(&b, "file", "big.bin", "application/x-big", bytes, BIG);
    add_file(&b, "small", "s.txt", "text/plain", "little", 6);
    end_body(&b);
    return b;
}

TEST(a_big_file_is_spooled_and_gone_with_its_request)
{
    for (int fails = 0; fails < 2; fails++) {
        int port;
        hasty_app *app = serve(sees_a_spooled_file, fails ? kept_path : NULL, "10000", &port);
        body b = big_body();
        client c = client_open(port);
        for (int i = 0; i < 3; i++) {
            kept_path[0] = '\0';
            send_body(&c, "/", form_type, b.bytes, b.len);
            CHECK_REPLY(client_read(&c), fails ? 500 : 200, NULL);
            CHECK(kept_path[0] == '/');
            CHECK(AWAIT(access(kept_path, F_OK) != 0));
        }
        client_close(&c);
        end(app);
    }
}

TEST(many_uploads_at_once_are_not_mixed_up)
{
    enum { CLIENTS = 8 };
    int port;
    hasty_app *app = serve(sees_a_spooled_file, NULL, "10000", &port);
    body b = big_body();
    client c[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        c[i] = client_open(port);
        client_send(&c[i], head_of("/", form_type, b.len));
    }
    for (size_t at = 0; at < b.len; at += 50000)
        for (int i = 0; i < CLIENTS; i++)
            client_send_bytes(&c[i], b.bytes + at, b.len - at < 50000 ? b.len - at : 50000);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_REPLY(client_read(&c[i]), 200, "seen");
        client_close(&c[i]);
    }
    end(app);
}

TEST(a_client_that_leaves_in_the_middle_leaves_nothing)
{
    int port;
    hasty_app *app = serve(sees_a_spooled_file, NULL, "10000", &port);
    body b = big_body();
    for (int way = 0; way < 3; way++) {
        client c = client_open(port);
        client_send(&c, head_of("/", form_type, b.len));
        client_send_bytes(&c, b.bytes, b.len / 2);
        CHECK(AWAIT(spooled_files() == 1));
        if (way == 0)
            client_reset(&c);
        else if (way == 1)
            client_close(&c);
        else
            client_half_close(&c);
        CHECK(AWAIT(spooled_files() == 0));
        client_close(&c);
    }
    client c = client_open(port);
    client_send(&c, head_of("/", form_type, b.len));
    client_send_bytes(&c, b.bytes, b.len / 2);
    CHECK(AWAIT(spooled_files() == 1));
    hasty_app_free(app); /* so does an app that ends in the middle */
    CHECK_INT(spooled_files(), 0);
    client_close(&c);
    CHECK_INT(rmdir(spool), 0);
}

HANDLER(saves_files)
{
    const char *target = user_data;
    CHECK_STATUS(hasty_request_save_file(req, 9, target), HASTY_ERR_NOT_FOUND);
    CHECK_STATUS(hasty_request_save_file(req, 0, NULL), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_request_save_file(NULL, 0, target), HASTY_ERR_NULL);
    CHECK_STATUS(hasty_request_save_file(req, 0, "/nowhere/at/all"), HASTY_ERR_IO);
    for (size_t i = 0; i < 2; i++) {
        hasty_file file = file_out(), saved = file_out();
        CHECK_OK(hasty_request_save_file(req, i, target));
        CHECK_OK(hasty_request_save_file(req, i, target)); /* again, over the first */
        CHECK_OK(hasty_request_file_at(req, i, &file));
        saved.path = target;
        saved.length = file.length;
        has_content(&saved, i == 0 ? big_file : "little", i == 0 ? BIG : 6);
        has_content(&file, i == 0 ? big_file : "little", i == 0 ? BIG : 6); /* and the file is still there */
    }
    return hasty_response_send_text(res, "saved");
}

TEST(files_are_saved_from_memory_and_from_the_spool)
{
    static const char *const sizes[] = {"10000", "10000000"};
    for (int i = 0; i < 2; i++) {
        int port;
        char *target = check_format("%s/hasty-c-saved-%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (int)getpid());
        hasty_app *app = serve(saves_files, target, sizes[i], &port);
        body b = big_body();
        CHECK_REPLY(post_body(port, &b), 200, "saved");
        end(app);
        CHECK_INT(access(target, R_OK), 0); /* it outlives the request and the app */
        CHECK_INT(unlink(target), 0);
    }
}

/* ---- the struct ---- */

HANDLER(tries_sizes)
{
    struct {
        hasty_file known;
        unsigned char beyond[64];
    } newer;
    memset(&newer, 0xaa, sizeof newer);
    newer.known.size = sizeof newer;
    CHECK_OK(hasty_request_file_at(req, 0, &newer.known));
    CHECK_STR(newer.known.name, "f");
    CHECK_INT(newer.known.length, 5);
    for (size_t size = 0; size < sizeof(hasty_file); size += 8) {
        memset(&newer, 0xaa, sizeof newer);
        newer.known.size = size;
        hasty_status status = hasty_request_file_at(req, 0, &newer.known);
        CHECK(status == HASTY_OK || status == HASTY_ERR_INVALID);
        for (size_t at = size > 8 ? size : 8; at < sizeof newer; at++) /* never beyond the size that was said */
            CHECK_INT(((unsigned char *)&newer)[at], 0xaa);
    }
    newer.known.size = 0;
    CHECK_STATUS(hasty_request_file(req, "f", &newer.known), HASTY_ERR_INVALID);
    return hasty_response_send_text(res, "fine");
}

TEST(no_more_of_the_struct_is_written_than_it_has)
{
    int port;
    hasty_app *app = serve(tries_sizes, NULL, NULL, &port);
    body b = {0};
    add_file(&b, "f", "f.txt", "text/plain", "hello", 5);
    end_body(&b);
    CHECK_REPLY(post_body(port, &b), 200, "fine");
    end(app);
}

/* ---- odd and malformed ones ---- */

HANDLER(tells_the_form_status)
{
    hasty_status status = hasty_request_form_status(req);
    if (status == HASTY_OK)
        return hasty_response_send_text(res, check_format("%zu fields, %zu files", hasty_request_form_count(req),
                                                          hasty_request_file_count(req)));
    CHECK_STATUS(status, HASTY_ERR_INVALID);
    return hasty_response_send_text(res, "malformed");
}

static reply post_text(int port, const char *type, const char *text)
{
    return post_bytes(port, type, text, strlen(text));
}

#define PART "Content-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n"

TEST(what_is_allowed_around_and_in_parts_is_taken)
{
    int port;
    hasty_app *app = serve(tells_the_form_status, NULL, NULL, &port);
    static const struct {
        const char *type, *text, *says;
    } cases[] = {
        {"multipart/form-data; boundary=b", "--b\r\n" PART "--b--\r\n", "1 fields, 0 files"},
        {"multipart/form-data; boundary=b", "--b\r\n" PART "--b--", "1 fields, 0 files"},
        {"Multipart/Form-Data;Boundary=\"b\"", "--b\r\n" PART "--b--\r\n", "1 fields, 0 files"},
        {"multipart/form-data; charset=utf-8; boundary=\"b ?=b\"", "--b ?=b\r\n" PART "--b ?=b--\r\n", "1 fields, 0 files"},
        {"multipart/form-data; boundary=b", "preamble\r\n--b\r\n" PART "--b--\r\nepilogue --b\r\n", "1 fields, 0 files"},
        {"multipart/form-data; boundary=b", "--b \t\r\n" PART "--b-- \r\n", "1 fields, 0 files"},
        {"multipart/form-data; boundary=b", "--b--\r\n", "0 fields, 0 files"},
        {"multipart/form-data; boundary=b", "--b\r\ncontent-DISPOSITION:form-data;name=a\r\nX-Other: y\r\n\r\n1\r\n--b--\r\n", "1 fields, 0 files"},
        {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"f\"\r\n\r\n\r\n--b--\r\n", "0 fields, 1 files"},
        {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n--b--\r\n", "1 fields, 0 files"},
        {"application/x-www-form-urlencoded", "a=1&b=2", "2 fields, 0 files"},
        {"text/plain", "--b\r\n" PART "--b--\r\n", "0 fields, 0 files"},
        {"application/json", "{}", "0 fields, 0 files"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reply r = post_text(port, cases[i].type, cases[i].text);
        if (r.status != 200 || strcmp(r.body, cases[i].says) != 0)
            check_fail(__FILE__, __LINE__, "case %zu: %d %s", i, r.status, r.status ? r.body : r.problem);
    }
    /* What browsers send for an input without a chosen file is no malformed form. */
    reply unchosen = post_text(port, "multipart/form-data; boundary=b",
                               "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n"
                               "Content-Type: application/octet-stream\r\n\r\n\r\n--b\r\n" PART "--b--\r\n");
    CHECK_INT(unchosen.status, 200);
    CHECK_CONTAINS(unchosen.body, "1 fields, ");
    end(app);
}

static const struct {
    const char *type, *text;
} malformed[] = {
    {"multipart/form-data", "--b\r\n" PART "--b--\r\n"},
    {"multipart/form-data; boundary=", "--\r\n" PART "----\r\n"},
    {"multipart/form-data; boundary=b", "this is no form, whatever its type says; it is long enough"},
    {"multipart/form-data; boundary=b", "--b\r\n" PART "--c--\r\n"},
    {"multipart/form-data; boundary=b", "--b\r\n" PART "--b\r\n"},
    {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition form-data\r\n\r\n1\r\n--b--\r\n"},
    {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data\r\n\r\nno name\r\n--b--\r\n"},
    {"multipart/form-data; boundary=b", "--b\r\nContent-Type: text/plain\r\n\r\nno disposition\r\n--b--\r\n"},
    {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--b--\r\n"},
    {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n--b--\r\n"},
};
enum { MALFORMED = sizeof malformed / sizeof malformed[0] };

TEST(a_small_malformed_form_is_told_by_its_status)
{
    int port;
    hasty_app *app = serve(tells_the_form_status, NULL, NULL, &port);
    for (size_t i = 0; i < MALFORMED; i++) {
        reply r = post_text(port, malformed[i].type, malformed[i].text);
        if (r.status != 200 || strcmp(r.body, "malformed") != 0)
            check_fail(__FILE__, __LINE__, "case %zu: %d %s", i, r.status, r.status ? r.body : r.problem);
    }
    end(app);
}

HANDLER(trusts_the_form)
{
    hasty_file file = file_out();
    hasty_request_file(req, "f", &file);
    return hasty_response_send_text(res, hasty_request_form(req, "a").data ? "a" : "nothing");
}

TEST(a_handler_that_does_not_ask_for_the_status_is_answered_for)
{
    static const char *const sizes[] = {NULL, "16"}; /* on demand, and as it arrives */
    for (int big = 0; big < 2; big++) {
        int port;
        hasty_app *app = serve(trusts_the_form, NULL, sizes[big], &port);
        for (size_t i = 0; i < MALFORMED; i++) {
            reply r = post_text(port, malformed[i].type, malformed[i].text);
            if (r.status != 400)
                check_fail(__FILE__, __LINE__, "case %zu: %d %s", i, r.status, r.status ? r.body : r.problem);
        }
        CHECK_REPLY(post_text(port, "multipart/form-data; boundary=b", "--b\r\n" PART "--b--\r\n"), 200, "a");
        end(app);
    }
}

TEST(a_form_that_is_cut_short_is_malformed_wherever_it_is_cut)
{
    body b = tricky_body();
    size_t whole = b.len - 2; /* the last line end may be missing */
    for (int big = 0; big < 2; big++) {
        int port;
        hasty_app *app = serve(tells_the_form_status, NULL, big ? "100" : NULL, &port);
        for (size_t len = big ? 101 : 0; len < whole; len += check_small() ? 11 : 1) {
            reply r = post_bytes(port, form_type, b.bytes, len);
            if (big ? r.status != 400 : r.status != 200 || strcmp(r.body, "malformed") != 0)
                check_fail(__FILE__, __LINE__, "%zu of %zu: %d %s", len, b.len, r.status, r.status ? r.body : r.problem);
        }
        CHECK_REPLY(post_bytes(port, form_type, b.bytes, whole), 200, "3 fields, 3 files");
        end(app);
    }
}

TEST(there_are_only_so_many_parts)
{
    for (int big = 0; big < 2; big++) {
        int port;
        snprintf(spool, sizeof spool, "/tmp/hasty-c-upload-XXXXXX");
        REQUIRE(mkdtemp(spool) != NULL);
        hasty_app *app = check_app(NULL);
        CHECK_OK(hasty_app_set_option(app, "max_parts", "3"));
        CHECK_OK(hasty_app_set_option(app, "spool_directory", spool));
        CHECK_OK(hasty_app_set_option(app, "spool_bytes", big ? "16" : "100000"));
        CHECK_OK(hasty_app_post(app, "/", trusts_the_form, NULL));
        port = check_serve(app);
        body b = {0};
        add_field(&b, "a", "1");
        add_file(&b, "f", "f", NULL, check_repeat("x", 1000), 1000);
        add_field(&b, "c", "3");
        body more = {0};
        add_bytes(&more, b.bytes, b.len);
        end_body(&b);
        CHECK_REPLY(post_body(port, &b), 200, "a");
        add_field(&more, "d", "4");
        end_body(&more);
        reply r = post_body(port, &more);
        if (r.status != 400 && r.status != 413)
            check_fail(__FILE__, __LINE__, "four parts are answered with %d", r.status);
        end(app);
    }
}

CHECK_MAIN
