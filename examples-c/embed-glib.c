/* hasty in GLib's main loop, and so in GTK: one more source.
 *
 *     cc -I include examples-c/embed-glib.c -o embed-glib $(pkg-config --cflags --libs glib-2.0) \
 *         target/release/libhasty.a -lpthread -ldl -lm
 *     ./embed-glib 8080
 *
 *     curl http://127.0.0.1:8080/state
 */
#include "embed-host.h"
#include <glib-unix.h>

static gboolean on_requests(gint fd, GIOCondition condition, gpointer loop)
{
    (void)fd;
    (void)condition;
    if (serve())
        return G_SOURCE_CONTINUE;
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

static gboolean on_tick(gpointer user_data)
{
    (void)user_data;
    ticks++;
    return G_SOURCE_CONTINUE;
}

int main(int argc, char **argv)
{
    if (!begin(argc, argv))
        return 1;

    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    guint timer = g_timeout_add(TICK_MS, on_tick, NULL);
    g_unix_fd_add(hasty_app_fd(app), G_IO_IN, on_requests, loop);
    g_main_loop_run(loop);
    g_source_remove(timer);
    g_main_loop_unref(loop);
    end();
    return 0;
}
