/* Routes for Tcl programs, answered in Tcl's event loop, on Tcl's thread: what customers.tcl loads.
 *
 *     hasty::route METHOD PATTERN COMMAND   evaluates COMMAND NUMBER BODY for each request; it gives {STATUS JSON ?LOCATION?}
 *     hasty::start PORT                     gives the port; from here on requests are events, like timers
 *     hasty::end                            ends the app; requests that still wait are answered 503
 *
 * NUMBER is the path's. BODY is {malformed SENTENCE}, {object NAME {KIND VALUE} ...} or {other}. Texts are bytes, as they came.
 */
#include <hasty.h>
#include <tcl.h>
#define COMMAND(name) static int name(void *unused, Tcl_Interp *interp, int count, Tcl_Obj *const words[])

static hasty_app *app;
static Tcl_Interp *tcl;

static Tcl_Obj *bytes(hasty_str view) { return Tcl_NewByteArrayObj((const unsigned char *)view.data, (int)view.len); }

static Tcl_Obj *pair(const char *kind, Tcl_Obj *value) { return Tcl_NewListObj(2, (Tcl_Obj *[]){Tcl_NewStringObj(kind, -1), value}); }

static Tcl_Obj *body(const hasty_request *req)
{
    const hasty_json *json;
    if (hasty_request_json(req, &json) != HASTY_OK)
        return pair("malformed", bytes(hasty_last_error()));
    Tcl_Obj *list = Tcl_NewStringObj(hasty_json_kind(json) == HASTY_JSON_OBJECT ? "object" : "other", -1);
    for (size_t i = 0; i < hasty_json_len(json); i++) {
        const hasty_json *value = hasty_json_at(json, i);
        int64_t number;
        int is_text = hasty_json_kind(value) == HASTY_JSON_STRING, is_int = hasty_json_as_int(value, &number) == HASTY_OK;
        const char *kind = is_text ? "text" : is_int ? "int" : "other";
        Tcl_Obj *known = pair(kind, is_int ? Tcl_NewWideIntObj(number) : bytes(hasty_json_as_string(value)));
        Tcl_ListObjAppendElement(tcl, list, bytes(hasty_json_key_at(json, i)));
        Tcl_ListObjAppendElement(tcl, list, known);
    }
    return list;
}

/* Runs in hasty_app_poll(), so on the thread of the interpreter. */
static hasty_status on_request(const hasty_request *req, hasty_response *res, void *command)
{
    Tcl_Obj *call = Tcl_DuplicateObj(command), **answer;
    int count, code, length;
    Tcl_IncrRefCount(call);
    Tcl_ListObjAppendElement(tcl, call, bytes(hasty_request_param(req, "number")));
    Tcl_ListObjAppendElement(tcl, call, body(req));
    hasty_status status = HASTY_ERR_INVALID; /* a script that fails: 500 for the client, and Tcl's own report */
    if (Tcl_EvalObjEx(tcl, call, TCL_EVAL_GLOBAL) != TCL_OK
        || Tcl_ListObjGetElements(tcl, Tcl_GetObjResult(tcl), &count, &answer) != TCL_OK || count < 2
        || Tcl_GetIntFromObj(tcl, answer[0], &code) != TCL_OK) {
        Tcl_BackgroundException(tcl, TCL_ERROR);
    } else {
        hasty_response_set_status(res, code);
        hasty_response_set_type(res, "json");
        if (count > 2)
            hasty_response_set_header(res, "Location", Tcl_GetString(answer[2]));
        const unsigned char *json = Tcl_GetByteArrayFromObj(answer[1], &length);
        status = hasty_response_send(res, json, (size_t)length);
    }
    Tcl_DecrRefCount(call);
    return status;
}

static void on_readable(void *unused, int events)
{
    uint32_t served;
    hasty_app_poll(app, 16, 0, &served);
}

static void release(void *command) { Tcl_DecrRefCount((Tcl_Obj *)command); }

static int done(int failed)
{
    if (failed)
        Tcl_SetObjResult(tcl, bytes(hasty_last_error()));
    return failed ? TCL_ERROR : TCL_OK;
}

COMMAND(route)
{
    if (count != 4)
        return Tcl_WrongNumArgs(interp, 1, words, "METHOD PATTERN COMMAND"), TCL_ERROR;
    const char *method = Tcl_GetString(words[1]), *pattern = Tcl_GetString(words[2]);
    Tcl_IncrRefCount(words[3]);
    return done(hasty_app_route(app, method, pattern, on_request, words[3], release)
                || hasty_app_set_route_option(app, method, pattern, "dispatch", "caller"));
}

COMMAND(start)
{
    int port;
    if (count != 2 || Tcl_GetIntFromObj(interp, words[1], &port) != TCL_OK)
        return Tcl_WrongNumArgs(interp, 1, words, "PORT"), TCL_ERROR;
    if (hasty_app_health(app, "/healthz") || hasty_app_listen(app, "127.0.0.1", port) || hasty_app_start(app) || hasty_app_fd(app) < 0)
        return done(1);
    Tcl_CreateFileHandler(hasty_app_fd(app), TCL_READABLE, on_readable, NULL);
    Tcl_SetObjResult(interp, Tcl_NewIntObj(hasty_app_port(app)));
    return TCL_OK;
}

COMMAND(end)
{
    Tcl_DeleteFileHandler(hasty_app_fd(app));
    hasty_app_free(app); /* requests that still wait are answered 503 */
    return TCL_OK;
}

int Hasty_Init(Tcl_Interp *interp)
{
    tcl = interp;
    if (!Tcl_InitStubs(interp, "8.6", 0))
        return TCL_ERROR;
    Tcl_CreateObjCommand(interp, "hasty::route", route, NULL, NULL);
    Tcl_CreateObjCommand(interp, "hasty::start", start, NULL, NULL);
    Tcl_CreateObjCommand(interp, "hasty::end", end, NULL, NULL);
    return done(hasty_app_new(NULL, &app));
}
