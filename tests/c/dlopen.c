/* A host that loads the library when it needs it, and lets go of it: again and again, with nothing left running. */
#include "client.h"

#include <dirent.h>
#include <dlfcn.h>
#include <sys/stat.h>

/* This program is linked with the library, so what it loads is a copy, which the dynamic linker takes for another. */
static char *copy_of_the_library(void)
{
    const char *named = getenv("HASTY_LIBRARY"), *target = getenv("CARGO_TARGET_DIR");
    char *path = check_format("%s", named ? named : check_format("%s/release/libhasty.so", target ? target : "target"));
    char *copy = check_keep(strdup("/tmp/hasty-test-XXXXXX.so"));
    char block[65536];
    FILE *from = fopen(path, "rb");
    int to = mkstemps(copy, 3);
    size_t len = 0;
    while (from != NULL && to >= 0 && (len = fread(block, 1, sizeof block, from)) > 0)
        CHECK(write(to, block, len) == (ssize_t)len);
    int found = from != NULL;
    if (found)
        fclose(from);
    if (to >= 0)
        close(to);
    if (found)
        return copy;
    unlink(copy);
    return NULL;
}

/* What a host that was not linked would look up. */
typedef struct library {
    void *handle;
    __typeof__(hasty_app_new) *app_new;
    __typeof__(hasty_app_get) *app_get;
    __typeof__(hasty_app_listen) *app_listen;
    __typeof__(hasty_app_port) *app_port;
    __typeof__(hasty_app_start) *app_start;
    __typeof__(hasty_app_free) *app_free;
    __typeof__(hasty_response_send_text) *send_text;
    __typeof__(hasty_last_error) *last_error;
} library;

/* The C standard has no way from void * to a function, POSIX has. */
#define LOOK_UP(l, member, name) (CHECK((*(void **)&(l)->member = dlsym((l)->handle, name)) != NULL))

static int load(library *l, const char *path)
{
    l->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (l->handle == NULL)
        return check_fail(__FILE__, __LINE__, "dlopen: %s", dlerror());
    return LOOK_UP(l, app_new, "hasty_app_new") & LOOK_UP(l, app_get, "hasty_app_get") & LOOK_UP(l, app_listen, "hasty_app_listen") &
           LOOK_UP(l, app_port, "hasty_app_port") & LOOK_UP(l, app_start, "hasty_app_start") & LOOK_UP(l, app_free, "hasty_app_free") &
           LOOK_UP(l, send_text, "hasty_response_send_text") & LOOK_UP(l, last_error, "hasty_last_error");
}

HANDLER(fine)
{
    return ((library *)user_data)->send_text(res, "fine");
}

static void live(library *l)
{
    hasty_app *app = NULL;
    CHECK_INT(l->app_new(NULL, &app), HASTY_OK);
    CHECK_INT(l->app_get(app, "/", fine, l), HASTY_OK);
    CHECK_INT(l->app_listen(app, NULL, 0), HASTY_OK);
    CHECK_INT(l->app_start(app), HASTY_OK);
    client c = client_open(l->app_port(app));
    for (int i = 0; i < 3; i++)
        CHECK_REPLY(client_ask(&c, request_text("GET", "/", NULL, NULL)), 200, "fine");
    l->app_free(app);
    client_close(&c);
}

static int entries(const char *directory)
{
    int count = 0;
    DIR *dir = opendir(directory);
    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count;
}

TEST(it_may_be_loaded_used_and_let_go_of_again_and_again)
{
    char *path = copy_of_the_library();
    if (path == NULL)
        SKIP("libhasty.so is not where it is looked for");
    int threads = entries("/proc/self/task"), fds = entries("/proc/self/fd");
    for (int i = 0; i < 10; i++) {
        library l = {0};
        if (load(&l, path)) {
            CHECK((void *)l.app_new != (void *)hasty_app_new); /* it is the copy */
            live(&l);
            CHECK_INT(dlclose(l.handle), 0);
        }
        CHECK(AWAIT(entries("/proc/self/task") == threads));
        CHECK_INT(entries("/proc/self/fd"), fds);
    }
    unlink(path);
}

/* What a thread has of the library's is let go of when the thread ends, which may be later. */
static void *loads_lives_and_leaves(void *path)
{
    library l = {0};
    if (load(&l, path)) {
        live(&l);
        CHECK(l.app_new(NULL, NULL) == HASTY_ERR_NULL); /* there is a last error of this thread now */
        CHECK(l.last_error().len > 0);
        CHECK_INT(dlclose(l.handle), 0);
    }
    return NULL;
}

TEST(a_thread_that_used_it_may_end_after_it_was_let_go_of)
{
    char *path = copy_of_the_library();
    if (path == NULL)
        SKIP("libhasty.so is not where it is looked for");
    int threads = entries("/proc/self/task");
    for (int i = 0; i < 5; i++) {
        pthread_t two[2];
        for (int j = 0; j < 2; j++)
            REQUIRE(pthread_create(&two[j], NULL, loads_lives_and_leaves, path) == 0);
        for (int j = 0; j < 2; j++)
            pthread_join(two[j], NULL);
    }
    CHECK(AWAIT(entries("/proc/self/task") == threads));
    unlink(path);
}

CHECK_MAIN
