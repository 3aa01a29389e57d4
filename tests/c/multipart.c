/* Multipart bodies as they may be written, and as they may not. */
#include "form.h"

HANDLER(tells_the_form_status)
{
    hasty_status status = hasty_request_form_status(req);
    if (status == HASTY_OK)
        return hasty_response_send_text(res, check_format("%zu fields, %zu files", hasty_request_form_count(req),
                                                          hasty_request_file_count(req)));
    CHECK_STATUS(status, HASTY_ERR_INVALID);
    return hasty_response_send_text(res, "malformed");
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

TEST(heads_of_parts_are_bounded)
{
    static const char *const sizes[] = {NULL, "16"};
    for (int big = 0; big < 2; big++) {
        int port;
        hasty_app *app = serve(trusts_the_form, NULL, sizes[big], &port);
        char *long_name = check_format("--b\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n1\r\n--b--\r\n", check_repeat("n", 100000));
        char *many = check_format("--b\r\n%sContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n", check_repeat("X-Field: x\r\n", 10000));
        char *endless = check_format("--b\r\nX: %s", check_repeat("x", 100000));
        const char *bodies[] = {long_name, many, endless};
        for (int i = 0; i < 3; i++) {
            reply r = post_text(port, "multipart/form-data; boundary=b", bodies[i]);
            if (r.status != 400 && r.status != 413)
                check_fail(__FILE__, __LINE__, "case %d is answered with %d", i, r.status);
        }
        end(app);
    }
}

HANDLER(tells_names)
{
    hasty_file file = file_out();
    CHECK_OK(hasty_request_form_status(req));
    if (hasty_request_file_at(req, 0, &file) != HASTY_OK)
        return hasty_response_send_text(res, "no file");
    return hasty_response_send_text(res, check_format("%s|%s", file.name.data, file.filename.data));
}

TEST(names_are_read_as_browsers_write_them)
{
    static const char *const cases[][2] = {
        {"name=\"f\"; filename=\"a.txt\"", "f|a.txt"},
        {"name=f; filename=a.txt", "f|a.txt"},
        {"filename=\"a.txt\"; name=\"f\"", "f|a.txt"},
        {"name=\"f\"; filename=\"a;b=c.txt\"", "f|a;b=c.txt"},
        {"name=\"f;\";filename=\"name=x\"", "f;|name=x"},
        {"NAME=\"f\"; FileName=\"a.txt\"", "f|a.txt"},
        {"name=\"f\"; filename=\"\xe4\xb8\xad.txt\"", "f|\xe4\xb8\xad.txt"},
        {"name=\"f\"; filename=\"../../etc/passwd\"", "f|../../etc/passwd"}, /* never a path: as the client gives it */
    };
    int port;
    hasty_app *app = serve(tells_names, NULL, NULL, &port);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = check_format("--b\r\nContent-Disposition: form-data; %s\r\n\r\nx\r\n--b--\r\n", cases[i][0]);
        CHECK_REPLY(post_text(port, "multipart/form-data; boundary=b", text), 200, cases[i][1]);
    }
    end(app);
}

CHECK_MAIN
