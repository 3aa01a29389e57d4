/* hasty in a loop around poll(2): one more descriptor to wait for. */
#include "embed-host.h"
#include <poll.h>

int main(int argc, char **argv)
{
    if (!begin(argc, argv))
        return 1;
    struct pollfd waiting = {.fd = hasty_app_fd(app), .events = POLLIN}; /* beside the host's own, if it has any */
    uint32_t served;
    for (hasty_status status = HASTY_OK; status != HASTY_ERR_CLOSED;)
        if (poll(&waiting, 1, work()) > 0)
            wakeups++, status = hasty_app_poll(app, MOST, 0, &served);
    return end();
}
