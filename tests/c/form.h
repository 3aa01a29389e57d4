/* Bodies of multipart forms, and a server that puts big ones aside in a directory of the test. */
#ifndef FORM_H
#define FORM_H

#include "client.h"

#include <dirent.h>

#define BOUNDARY "----test-7d2f"
static CHECK_UNUSED const char form_type[] = "multipart/form-data; boundary=" BOUNDARY;

/* ---- bodies ---- */

/* A body that grows part by part. */
typedef struct body {
    char *bytes;
    size_t len;
} body;

static CHECK_UNUSED void add_bytes(body *b, const void *bytes, size_t len)
{
    b->bytes = realloc(b->bytes, b->len + len + 1);
    if (b->bytes == NULL)
        abort();
    if (len > 0)
        memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
    b->bytes[b->len] = '\0';
}

static CHECK_UNUSED void add_text(body *b, const char *text)
{
    add_bytes(b, text, strlen(text));
}

static CHECK_UNUSED void add_field(body *b, const char *name, const char *value)
{
    add_text(b, check_format("--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n", name, value));
}

static CHECK_UNUSED void add_file(body *b, const char *name, const char *filename, const char *type, const void *bytes, size_t len)
{
    add_text(b, check_format("--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"%s\"\r\n", name, filename));
    if (type != NULL)
        add_text(b, check_format("Content-Type: %s\r\n", type));
    add_text(b, "\r\n");
    add_bytes(b, bytes, len);
    add_text(b, "\r\n");
}

static CHECK_UNUSED void end_body(body *b)
{
    add_text(b, "--" BOUNDARY "--\r\n");
    check_keep(b->bytes);
}

static CHECK_UNUSED char *head_of(const char *target, const char *type, size_t len)
{
    return check_format("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", target, type, len);
}

static CHECK_UNUSED void send_body(client *c, const char *target, const char *type, const void *bytes, size_t len)
{
    client_send(c, head_of(target, type, len));
    client_send_bytes(c, bytes, len);
}

static CHECK_UNUSED reply post_bytes(int port, const char *type, const void *bytes, size_t len)
{
    client c = client_open(port);
    send_body(&c, "/", type, bytes, len);
    reply r = client_read(&c);
    client_close(&c);
    return r;
}

static CHECK_UNUSED reply post_body(int port, const body *b)
{
    return post_bytes(port, form_type, b->bytes, b->len);
}

/* ---- the spool directory ---- */

static char spool[128];

static CHECK_UNUSED int spooled_files(void)
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
static CHECK_UNUSED hasty_app *serve(hasty_handler handler, void *data, const char *spool_bytes, int *port)
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

static CHECK_UNUSED void end(hasty_app *app)
{
    CHECK(AWAIT(spooled_files() == 0));
    hasty_app_free(app);
    CHECK_INT(spooled_files(), 0);
    CHECK_INT(rmdir(spool), 0);
}

/* ---- files as a handler sees them ---- */

static CHECK_UNUSED hasty_file file_out(void)
{
    return (hasty_file){.size = sizeof(hasty_file)};
}

/* The bytes of a file, wherever they are. */
static CHECK_UNUSED char *content_of(const hasty_file *file, size_t *len)
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

static CHECK_UNUSED int has_content(const hasty_file *file, const void *bytes, size_t len)
{
    size_t is = 0;
    char *content = content_of(file, &is);
    return CHECK_INT(file->length, len) && CHECK_INT(is, len) && CHECK(len == 0 || memcmp(content, bytes, len) == 0);
}

/* A form with three fields and three files; one of them is full of what looks like its end. */
static CHECK_UNUSED const unsigned char tricky[] = "\0\r\n------test-7d2x\r\n----test-7d2f\r\r\n\n--\r\n\xff--" BOUNDARY;
enum { TRICKY = sizeof tricky - 1 };

static CHECK_UNUSED body tricky_body(void)
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

static CHECK_UNUSED reply post_text(int port, const char *type, const char *text)
{
    return post_bytes(port, type, text, strlen(text));
}

#endif
