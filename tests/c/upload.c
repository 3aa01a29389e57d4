/* Forms with files: what a handler sees of them, where big ones are kept, and what is left of them: nothing. */
#include "form.h"

#include <sys/stat.h>

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
    CHECK_ABSENT(hasty_request_body(req)); /* it went elsewhere as it came */
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

/* ---- what ends in the middle ---- */

TEST(an_upload_that_is_refused_in_the_middle_leaves_nothing)
{
    int port;
    hasty_app *app = serve(sees_a_spooled_file, NULL, "10000", &port);
    body b = big_body();
    hasty_app_free(app);
    rmdir(spool);
    snprintf(spool, sizeof spool, "/tmp/hasty-c-upload-XXXXXX");
    REQUIRE(mkdtemp(spool) != NULL);
    app = check_app(NULL);
    CHECK_OK(hasty_app_set_option(app, "spool_directory", spool));
    CHECK_OK(hasty_app_set_option(app, "spool_bytes", "10000"));
    CHECK_OK(hasty_app_set_option(app, "max_body_bytes", "200000"));
    CHECK_OK(hasty_app_set_option(app, "body_timeout_ms", "2000"));
    CHECK_OK(hasty_app_post(app, "/", sees_a_spooled_file, NULL));
    port = check_serve(app);
    client c = client_open(port); /* too long, and not announced */
    client_send(&c, check_format("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n", form_type));
    for (size_t at = 0; at < b.len; at += 30000) {
        size_t len = b.len - at < 30000 ? b.len - at : 30000;
        client_send(&c, check_format("%zx\r\n", len));
        client_send_bytes(&c, b.bytes + at, len);
        client_send(&c, "\r\n");
    }
    CHECK_REPLY(client_read(&c), 413, NULL);
    CHECK(AWAIT(spooled_files() == 0));
    client_close(&c);
    c = client_open(port); /* too slow */
    client_send(&c, head_of("/", form_type, 150000));
    client_send_bytes(&c, b.bytes, 100000);
    CHECK(AWAIT(spooled_files() == 1));
    CHECK_REPLY(client_read(&c), 408, NULL);
    CHECK(AWAIT(spooled_files() == 0));
    client_close(&c);
    end(app);
}

TEST(files_that_cannot_be_put_aside_are_a_500)
{
    int port;
    hasty_app *app = serve(sees_a_spooled_file, NULL, "10000", &port);
    body b = big_body();
    CHECK_INT(rmdir(spool), 0);
    CHECK_REPLY(post_body(port, &b), 500, NULL);
    CHECK_INT(mkdir(spool, 0700), 0);
    CHECK_REPLY(post_body(port, &b), 200, "seen"); /* and it recovers */
    end(app);
}

TEST(nothing_is_put_aside_for_what_is_refused_anyway)
{
    int port;
    hasty_app *app = serve(sees_a_spooled_file, NULL, "10000", &port);
    body b = big_body();
    client c = client_open(port);
    client_send(&c, head_of("/none", form_type, b.len));
    client_send_bytes(&c, b.bytes, 100000);
    CHECK_REPLY(client_read(&c), 404, NULL);
    CHECK_INT(spooled_files(), 0);
    client_close(&c);
    end(app);
}

TEST(a_request_may_follow_a_form)
{
    int port;
    hasty_app *app = serve(sees_a_form, NULL, "200", &port);
    body b = tricky_body();
    client c = client_open(port);
    for (int i = 0; i < 5; i++)
        send_body(&c, "/", form_type, b.bytes, b.len);
    for (int i = 0; i < 5; i++)
        CHECK_REPLY(client_read(&c), 200, "without body");
    client_send(&c, check_format("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                                 form_type, b.len));
    CHECK_REPLY(client_read(&c), 100, NULL);
    client_send_bytes(&c, b.bytes, b.len);
    CHECK_REPLY(client_read(&c), 200, "without body");
    client_close(&c);
    end(app);
}

CHECK_MAIN
