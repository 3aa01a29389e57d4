/* hasty in Tcl's event loop, and so in Tk: one more file handler. The host's work is a script.
 *
 *     cc -I include examples-c/embed-tcl.c -o embed-tcl $(pkg-config --cflags --libs tcl) \
 *         target/release/libhasty.a -lpthread -ldl -lm
 *     ./embed-tcl 8080
 *
 *     curl http://127.0.0.1:8080/state
 */
#include "embed-host.h"
#include <tcl.h>

static const char work_script[] =
    "proc work {} {\n"
    "    incr ::ticks\n"
    "    after 10 work\n"
    "}\n"
    "work\n";

static int running = 1;

static void on_requests(void *user_data, int events)
{
    (void)user_data;
    (void)events;
    running = serve();
}

int main(int argc, char **argv)
{
    if (!begin(argc, argv))
        return 1;

    Tcl_FindExecutable(argv[0]);
    Tcl_Interp *interp = Tcl_CreateInterp();
    /* Handlers and scripts may share data: one thread runs both. */
    Tcl_LinkVar(interp, "ticks", (char *)&ticks, TCL_LINK_WIDE_INT);
    Tcl_CreateFileHandler(hasty_app_fd(app), TCL_READABLE, on_requests, NULL);

    int failed = Tcl_Eval(interp, work_script) != TCL_OK;
    if (failed)
        fprintf(stderr, "embed-tcl: %s\n", Tcl_GetStringResult(interp));
    while (running && !failed)
        Tcl_DoOneEvent(TCL_ALL_EVENTS);

    Tcl_DeleteFileHandler(hasty_app_fd(app));
    Tcl_DeleteInterp(interp);
    Tcl_Finalize();
    end();
    return failed;
}
