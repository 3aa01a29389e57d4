/* hasty in Tcl's event loop, and so in Tk: one more file handler. The host's work is a script.
 *
 *     cc -I include examples-c/embed-tcl.c $(pkg-config --cflags --libs tcl) target/release/libhasty.a -lpthread -ldl -lm
 */
#include "embed-host.h"
#include <tcl.h>

static int stopped;

static void on_requests(void *unused, int events)
{
    uint32_t served;
    wakeups++;
    stopped = hasty_app_poll(app, MOST, 0, &served) == HASTY_ERR_CLOSED;
}

int main(int argc, char **argv)
{
    if (!begin(argc, argv))
        return 1;
    Tcl_FindExecutable(argv[0]);
    Tcl_Interp *interp = Tcl_CreateInterp();
    Tcl_LinkVar(interp, "ticks", (char *)&ticks, TCL_LINK_WIDE_INT); /* handlers and scripts may share data: one thread runs both */
    Tcl_CreateFileHandler(hasty_app_fd(app), TCL_READABLE, on_requests, NULL);
    int failed = Tcl_Eval(interp, "proc work {} { incr ::ticks; after 10 work }; work") != TCL_OK;
    if (failed)
        fprintf(stderr, "embed-tcl: %s\n", Tcl_GetStringResult(interp));
    while (!stopped && !failed)
        Tcl_DoOneEvent(TCL_ALL_EVENTS);
    Tcl_DeleteFileHandler(hasty_app_fd(app));
    Tcl_DeleteInterp(interp);
    Tcl_Finalize();
    return end() || failed;
}
