/* Routes for Tcl programs, answered in Tcl's event loop, on Tcl's thread: what customers.tcl loads.
 *
 *     hasty::route METHOD PATTERN COMMAND   evaluates COMMAND NUMBER BODY for each request; it returns {STATUS JSON ?LOCATION?}
 *     hasty::start PORT                     returns the port; from here on requests are events, like timers
 *     hasty::end                            ends the app; requests that still wait are answered 503
 *
 * NUMBER is the path parameter. BODY is {malformed SENTENCE}, {object NAME {KIND VALUE} ...} or {other}. Texts are bytes, as received.
 */
#include <hasty.h>
#include <tcl.h>

static hasty_app *app;
static Tcl_Interp *tcl;

static Tcl_Obj *bytes(hasty_str view)
{
    return Tcl_NewByteArrayObj((const unsigned char *)view.data, (int)view.len);
}

static Tcl_Obj *pair(const char *kind, Tcl_Obj *value)
{
    Tcl_Obj *elements[] = {Tcl_NewStringObj(kind, -1), value};
    return Tcl_NewListObj(2, elements);
}

/* A member of a JSON object, as {KIND VALUE}. */
static Tcl_Obj *member(const hasty_json *value)
{
    int64_t number;
    if (hasty_json_as_int(value, &number) == HASTY_OK)
        return pair("int", Tcl_NewWideIntObj(number));
    const char *kind = hasty_json_kind(value) == HASTY_JSON_STRING ? "text" : "other";
    return pair(kind, bytes(hasty_json_as_string(value))); /* empty for what is no string */
}

static Tcl_Obj *body(const hasty_request *req)
{
    const hasty_json *json;
    if (hasty_request_json(req, &json) != HASTY_OK)
        return pair("malformed", bytes(hasty_last_error()));
    Tcl_Obj *list = Tcl_NewStringObj(hasty_json_kind(json) == HASTY_JSON_OBJECT ? "object" : "other", -1);
    for (size_t i = 0; i < hasty_json_len(json); i++) {
        Tcl_ListObjAppendElement(tcl, list, bytes(hasty_json_key_at(json, i)));
        Tcl_ListObjAppendElement(tcl, list, member(hasty_json_at(json, i)));
    }
    return list;
}

/* Runs in hasty_app_poll(), so on the thread of the interpreter. */
static hasty_status on_request(const hasty_request *req, hasty_response *res, void *command)
{
    Tcl_Obj *call = Tcl_DuplicateObj(command);
    Tcl_IncrRefCount(call);
    Tcl_ListObjAppendElement(tcl, call, bytes(hasty_request_param(req, "number")));
    Tcl_ListObjAppendElement(tcl, call, body(req));

    Tcl_Obj **answer;
    int count;
    int code;
    hasty_status status = HASTY_ERR_INVALID; /* a script that fails: 500 for the client, and Tcl's own report */
    if (Tcl_EvalObjEx(tcl, call, TCL_EVAL_GLOBAL) != TCL_OK
        || Tcl_ListObjGetElements(tcl, Tcl_GetObjResult(tcl), &count, &answer) != TCL_OK
        || count < 2
        || Tcl_GetIntFromObj(tcl, answer[0], &code) != TCL_OK) {
        Tcl_BackgroundException(tcl, TCL_ERROR);
    } else {
        hasty_response_set_status(res, code);
        hasty_response_set_type(res, "json");
        if (count > 2)
            hasty_response_set_header(res, "Location", Tcl_GetString(answer[2]));
        int length;
        const unsigned char *json = Tcl_GetByteArrayFromObj(answer[1], &length);
        status = hasty_response_send(res, json, (size_t)length);
    }
    Tcl_DecrRefCount(call);
    return status;
}

static void on_readable(void *unused, int events)
{
    (void)unused;
    (void)events;
    uint32_t served;
    hasty_app_poll(app, 16, 0, &served);
}

static void release(void *command)
{
    Tcl_DecrRefCount((Tcl_Obj *)command);
}

/* The script is told what has failed. */
static int fail(void)
{
    Tcl_SetObjResult(tcl, bytes(hasty_last_error()));
    return TCL_ERROR;
}

static int route(void *unused, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
    (void)unused;
    if (count != 4) {
        Tcl_WrongNumArgs(interp, 1, words, "METHOD PATTERN COMMAND");
        return TCL_ERROR;
    }
    const char *method = Tcl_GetString(words[1]);
    const char *pattern = Tcl_GetString(words[2]);
    Tcl_Obj *command = words[3];
    Tcl_IncrRefCount(command);
    if (hasty_app_route(app, method, pattern, on_request, command, release) != HASTY_OK)
        return fail();
    if (hasty_app_set_route_option(app, method, pattern, "dispatch", "caller") != HASTY_OK)
        return fail();
    return TCL_OK;
}

static int start(void *unused, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
    (void)unused;
    int port;
    if (count != 2 || Tcl_GetIntFromObj(interp, words[1], &port) != TCL_OK) {
        Tcl_WrongNumArgs(interp, 1, words, "PORT");
        return TCL_ERROR;
    }
    int failed = hasty_app_health(app, "/healthz")
              || hasty_app_listen(app, "127.0.0.1", port)
              || hasty_app_start(app)
              || hasty_app_fd(app) < 0;
    if (failed)
        return fail();
    Tcl_CreateFileHandler(hasty_app_fd(app), TCL_READABLE, on_readable, NULL);
    Tcl_SetObjResult(interp, Tcl_NewIntObj(hasty_app_port(app)));
    return TCL_OK;
}

static int end(void *unused, Tcl_Interp *interp, int count, Tcl_Obj *const words[])
{
    (void)unused;
    (void)interp;
    (void)count;
    (void)words;
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
    if (hasty_app_new(NULL, &app) != HASTY_OK)
        return fail();
    return TCL_OK;
}
