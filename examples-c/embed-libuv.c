/* hasty in libuv's loop: one more poll handle.
 *
 *     cc -I include examples-c/embed-libuv.c -o embed-libuv $(pkg-config --cflags --libs libuv) \
 *         target/release/libhasty.a -lpthread -ldl -lm
 *     ./embed-libuv 8080
 *
 *     curl http://127.0.0.1:8080/state
 */
#include "embed-host.h"
#include <uv.h>

static uv_poll_t requests;
static uv_timer_t timer;

static void on_requests(uv_poll_t *handle, int failure, int events)
{
    (void)handle;
    (void)failure;
    (void)events;
    if (serve())
        return;
    uv_close((uv_handle_t *)&requests, NULL); /* with nothing left to wait for, uv_run() returns */
    uv_close((uv_handle_t *)&timer, NULL);
}

static void on_tick(uv_timer_t *handle)
{
    (void)handle;
    ticks++;
}

int main(int argc, char **argv)
{
    if (!begin(argc, argv))
        return 1;

    uv_loop_t *loop = uv_default_loop();
    int failed = uv_timer_init(loop, &timer)
              || uv_timer_start(&timer, on_tick, TICK_MS, TICK_MS)
              || uv_poll_init(loop, &requests, hasty_app_fd(app))
              || uv_poll_start(&requests, UV_READABLE, on_requests)
              || uv_run(loop, UV_RUN_DEFAULT)
              || uv_loop_close(loop);
    if (failed)
        fprintf(stderr, "embed-libuv: the loop failed\n");
    end();
    return failed;
}
