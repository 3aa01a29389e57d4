/* hasty in a loop around epoll: one more descriptor in the set, level-triggered, beside the host's timer. */
#include "embed-host.h"
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (!begin(argc, argv))
        return 1;
    int set = epoll_create1(EPOLL_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec period = {.it_interval.tv_nsec = TICK_MS * 1000000, .it_value.tv_nsec = TICK_MS * 1000000};
    struct epoll_event of_timer = {.events = EPOLLIN, .data.fd = timer};
    struct epoll_event of_app = {.events = EPOLLIN, .data.fd = hasty_app_fd(app)};
    if (timerfd_settime(timer, 0, &period, NULL) || epoll_ctl(set, EPOLL_CTL_ADD, of_timer.data.fd, &of_timer)
        || epoll_ctl(set, EPOLL_CTL_ADD, of_app.data.fd, &of_app))
        return perror("embed-epoll"), end(), 1;

    uint32_t served;
    for (hasty_status status = HASTY_OK; status != HASTY_ERR_CLOSED;) {
        struct epoll_event events[2];
        int count = epoll_wait(set, events, 2, -1);
        for (int i = 0; i < count; i++) {
            uint64_t periods;
            if (events[i].data.fd != timer)
                wakeups++, status = hasty_app_poll(app, MOST, 0, &served);
            else if (read(timer, &periods, sizeof periods) == sizeof periods)
                ticks++;
        }
    }
    return close(set), close(timer), end();
}
