/* hasty in a loop around select(2): one more descriptor in the set. */
#include "embed-host.h"
#include <sys/select.h>

int main(int argc, char **argv)
{
    if (!begin(argc, argv))
        return 1;
    int fd = hasty_app_fd(app);
    uint32_t served;
    for (hasty_status status = HASTY_OK; status != HASTY_ERR_CLOSED;) {
        struct timeval timeout = {.tv_usec = work() * 1000};
        fd_set readable;
        FD_ZERO(&readable);
        FD_SET(fd, &readable);
        if (select(fd + 1, &readable, NULL, NULL, &timeout) > 0)
            wakeups++, status = hasty_app_poll(app, MOST, 0, &served);
    }
    return end();
}
