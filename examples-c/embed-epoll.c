/* hasty in a loop around epoll: one more descriptor in the set, level-triggered, beside the host's timer.
 *
 *     cc -I include examples-c/embed-epoll.c -o embed-epoll target/release/libhasty.a -lpthread -ldl -lm
 *     ./embed-epoll 8080
 *
 *     curl http://127.0.0.1:8080/state
 */
#include "embed-host.h"
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Returns a descriptor that is readable every TICK_MS, or -1. */
static int new_timer(void)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (timer < 0)
        return -1;
    struct timespec tick = {.tv_nsec = TICK_MS * 1000000};
    struct itimerspec period = {.it_interval = tick, .it_value = tick};
    if (timerfd_settime(timer, 0, &period, NULL) != 0) {
        close(timer);
        return -1;
    }
    return timer;
}

static int watch(int set, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv)
{
    if (!begin(argc, argv))
        return 1;

    int set = epoll_create1(EPOLL_CLOEXEC);
    int timer = new_timer();
    if (set < 0 || timer < 0 || watch(set, timer) != 0 || watch(set, hasty_app_fd(app)) != 0) {
        perror("embed-epoll");
        end();
        return 1;
    }

    int running = 1;
    while (running) {
        struct epoll_event events[2];
        int count = epoll_wait(set, events, 2, -1); /* -1 if a signal interrupts it: then nothing is ready */
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == timer) {
                uint64_t periods;
                if (read(timer, &periods, sizeof periods) == sizeof periods)
                    ticks++;
            } else {
                running = serve();
            }
        }
    }
    close(set);
    close(timer);
    end();
    return 0;
}
