/* hasty in a loop around poll(2): one more descriptor to wait for.
 *
 *     cc -I include examples-c/embed-poll.c -o embed-poll target/release/libhasty.a -lpthread -ldl -lm
 *     ./embed-poll 8080
 *
 *     curl http://127.0.0.1:8080/state
 */
#include "embed-host.h"
#include <poll.h>

int main(int argc, char **argv)
{
    if (!begin(argc, argv))
        return 1;

    struct pollfd waiting = {.fd = hasty_app_fd(app), .events = POLLIN}; /* beside the host's own, if it has any */
    int running = 1;
    while (running) {
        int timeout_ms = work();
        if (poll(&waiting, 1, timeout_ms) > 0)
            running = serve();
    }
    end();
    return 0;
}
