/* hasty in a loop around select(2): one more descriptor in the set.
 *
 *     cc -I include examples-c/embed-select.c -o embed-select target/release/libhasty.a -lpthread -ldl -lm
 *     ./embed-select 8080
 *
 *     curl http://127.0.0.1:8080/state
 */
#include "embed-host.h"
#include <sys/select.h>

int main(int argc, char **argv)
{
    if (!begin(argc, argv))
        return 1;

    int fd = hasty_app_fd(app);
    int running = 1;
    while (running) {
        struct timeval timeout = {.tv_usec = work() * 1000};
        fd_set readable; /* select() changes it, so it is made anew each time */
        FD_ZERO(&readable);
        FD_SET(fd, &readable);
        if (select(fd + 1, &readable, NULL, NULL, &timeout) > 0)
            running = serve();
    }
    end();
    return 0;
}
