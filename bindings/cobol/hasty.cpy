      *> The constants of hasty, and how its 139 functions are called.
      *> Generated from include/hasty.h by bindings/declare.py.
      *> SPDX-License-Identifier: MIT OR Apache-2.0
      *>
      *>   COPY "hasty.cpy".        in WORKING-STORAGE
      *>
      *> Build      with -fstatic-call and -lhasty: the linker then
      *>            reports a misspelt name, which would otherwise
      *>            stop the program when it is called.
      *> Handles    apps, requests and their like are USAGE POINTER.
      *> Text       goes in with a NUL at its end: z"/customers" BY
      *>            REFERENCE or BY CONTENT. Where a function takes a
      *>            length too, a field of PIC X will do, or a POINTER
      *>            BY VALUE. It comes out as a hasty-str: SET ADDRESS
      *>            OF a LINKAGE item TO its data, and use its len.
      *> Structs    have copybooks of their own. In those with a size,
      *>            MOVE FUNCTION LENGTH (name) TO name-size first.
      *> Outputs    are written on success only.
      *> NULL       is OMITTED where a field would go BY REFERENCE; BY
      *>            VALUE it is a POINTER that is NULL. (BY VALUE NULL
      *>            passes four bytes.)
      *> SIZE 8     belongs to BY VALUE BINARY-DOUBLE: without it only
      *>            four bytes go over, and no compiler says so.
      *> Callbacks  run on the library's threads, where COBOL cannot:
      *>            give NULL handlers, and take hasty_app_next.
      *> Methods    are HASTY-METHOD-GET where C has HASTY_GET, since
      *>            HASTY-OPTIONS is a struct too.
      *>
      *> In a 32-bit option: literally zero, none or off, where
      *> 0 means the default.
       78 HASTY-NONE VALUE 4294967295.
      *> In a 64-bit option: literally zero, none or off, where
      *> 0 means the default.
       78 HASTY-NONE64 VALUE 18446744073709551615.
      *> What the reply in a slot is: UTF-8 text.
       78 HASTY-KIND-TEXT VALUE 0.
      *> HTML.
       78 HASTY-KIND-HTML VALUE 1.
      *> JSON text.
       78 HASTY-KIND-JSON VALUE 2.
      *> Bytes.
       78 HASTY-KIND-BYTES VALUE 3.
      *> The path of a file.
       78 HASTY-KIND-FILE VALUE 4.
      *> No body.
       78 HASTY-KIND-NONE VALUE 5.
      *> Levels of log messages, the most severe first: a
      *> request or a thread failed.
       78 HASTY-LOG-ERROR VALUE 1.
      *> A problem that the library has recovered from.
       78 HASTY-LOG-WARN VALUE 2.
      *> Normal events.
       78 HASTY-LOG-INFO VALUE 3.
      *> Details for debugging.
       78 HASTY-LOG-DEBUG VALUE 4.
      *> Methods by number: any other token.
       78 HASTY-METHOD-OTHER VALUE 0.
      *> GET
       78 HASTY-METHOD-GET VALUE 1.
      *> HEAD
       78 HASTY-METHOD-HEAD VALUE 2.
      *> POST
       78 HASTY-METHOD-POST VALUE 3.
      *> PUT
       78 HASTY-METHOD-PUT VALUE 4.
      *> DELETE
       78 HASTY-METHOD-DELETE VALUE 5.
      *> CONNECT
       78 HASTY-METHOD-CONNECT VALUE 6.
      *> OPTIONS
       78 HASTY-METHOD-OPTIONS VALUE 7.
      *> TRACE
       78 HASTY-METHOD-TRACE VALUE 8.
      *> PATCH
       78 HASTY-METHOD-PATCH VALUE 9.
      *> What `hasty_json_kind()` answers for null.
       78 HASTY-JSON-NULL VALUE 0.
      *> `true` or `false`.
       78 HASTY-JSON-BOOL VALUE 1.
      *> A number.
       78 HASTY-JSON-NUMBER VALUE 2.
      *> A string.
       78 HASTY-JSON-STRING VALUE 3.
      *> An array.
       78 HASTY-JSON-ARRAY VALUE 4.
      *> An object.
       78 HASTY-JSON-OBJECT VALUE 5.
      *> Done.
       78 HASTY-OK VALUE 0.
      *> A required argument was NULL.
       78 HASTY-ERR-NULL VALUE 1.
      *> A value breaks a rule; `hasty_last_error()` names
      *> both.
       78 HASTY-ERR-INVALID VALUE 2.
      *> The call is not allowed now: registration after start,
      *> waiting inside a callback.
       78 HASTY-ERR-STATE VALUE 3.
      *> The operating system refused; `hasty_last_error()` has
      *> its reason.
       78 HASTY-ERR-IO VALUE 4.
      *> The client, or the app, is gone.
       78 HASTY-ERR-CLOSED VALUE 5.
      *> Nothing happened within the time allowed.
       78 HASTY-ERR-TIMEOUT VALUE 6.
      *> A bug in the library caused a panic, which was caught.
       78 HASTY-ERR-PANIC VALUE 7.
      *> A limit would be exceeded.
       78 HASTY-ERR-LIMIT VALUE 8.
      *> There is nothing of that name.
       78 HASTY-ERR-NOT-FOUND VALUE 9.
      *> This build or this machine cannot do it.
       78 HASTY-ERR-UNSUPPORTED VALUE 10.
      *> From middleware: go on to the next step.
       78 HASTY-NEXT VALUE 100.

      *> ---- How each function is called, and the usage of the fields.
      *>
      *> Returns the ABI's number.
      *> CALL "hasty_abi_version"
      *>     RETURNING BINARY-LONG UNSIGNED
      *>
      *> Returns the library's version, such as "0.1.0".
      *> CALL "hasty_version"
      *>     RETURNING POINTER
      *>
      *> Returns a status's name, such as "HASTY_ERR_INVALID";
      *> "unknown" for any other number.
      *> CALL "hasty_status_name"
      *>     USING BY VALUE status *> BINARY-LONG
      *>     RETURNING POINTER
      *>
      *> Like `hasty_last_error()`, for languages that cannot
      *> take structs by value.
      *> CALL "hasty_last_error_to"
      *>     USING BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Makes an app. `options` may be NULL: all defaults.
      *> CALL "hasty_app_new"
      *>     USING BY REFERENCE options *> hasty-options, or OMITTED
      *>           BY REFERENCE out *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Stops the app, waits for callbacks that run, and frees
      *> it.
      *> CALL "hasty_app_free"
      *>     USING BY VALUE app *> POINTER
      *>     RETURNING OMITTED
      *>
      *> Sets an option by name and text, literally: "0" is
      *> zero, none or off.
      *> CALL "hasty_app_set_option"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE key *> Z-text
      *>           BY REFERENCE value *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Sets an option of one route, identified by the method
      *> ("*" for any) and pattern it was registered with,
      *> before start.
      *> CALL "hasty_app_set_route_option"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE method *> Z-text
      *>           BY REFERENCE pattern *> Z-text
      *>           BY REFERENCE key *> Z-text
      *>           BY REFERENCE value *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_app_option()`, for languages that cannot
      *> take structs by value.
      *> CALL "hasty_app_option_to"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE key *> Z-text
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Adds `handler` for `method` and `pattern`.
      *> CALL "hasty_app_route"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE method *> Z-text
      *>           BY REFERENCE pattern *> Z-text
      *>           BY VALUE handler *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>           BY VALUE drop *> PROGRAM-POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Adds `handler` for GET, and for HEAD unless HEAD has a
      *> handler of its own. `user_data` must outlive the app.
      *> CALL "hasty_app_get"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE pattern *> Z-text
      *>           BY VALUE handler *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Adds `handler` for POST. `user_data` must outlive the
      *> app.
      *> CALL "hasty_app_post"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE pattern *> Z-text
      *>           BY VALUE handler *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Adds `handler` for PUT. `user_data` must outlive the
      *> app.
      *> CALL "hasty_app_put"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE pattern *> Z-text
      *>           BY VALUE handler *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Adds `handler` for PATCH. `user_data` must outlive the
      *> app.
      *> CALL "hasty_app_patch"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE pattern *> Z-text
      *>           BY VALUE handler *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Adds `handler` for DELETE. `user_data` must outlive
      *> the app.
      *> CALL "hasty_app_delete"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE pattern *> Z-text
      *>           BY VALUE handler *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Adds `handler` for every method that has no handler of
      *> its own. `user_data` must outlive the app.
      *> CALL "hasty_app_any"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE pattern *> Z-text
      *>           BY VALUE handler *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Serves the files below `directory` for GET and HEAD,
      *> at `prefix` and every path below it. `options` may be
      *> NULL.
      *> CALL "hasty_app_static"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE prefix *> Z-text
      *>           BY REFERENCE directory *> Z-text
      *>           BY REFERENCE options *> hasty-static, or OMITTED
      *>     RETURNING BINARY-LONG
      *>
      *> Runs `handler` before those of the routes, for every
      *> request at `prefix` and below, in the order of
      *> registration.
      *> CALL "hasty_app_use"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE prefix *> Z-text
      *>           BY VALUE handler *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>           BY VALUE drop *> PROGRAM-POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Runs `handler` after those of the routes, for every
      *> answer at `prefix` and below, in the reverse order of
      *> registration.
      *> CALL "hasty_app_after"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE prefix *> Z-text
      *>           BY VALUE handler *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>           BY VALUE drop *> PROGRAM-POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Lets scripts of other origins read answers at `prefix`
      *> and below.
      *> CALL "hasty_app_cors"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE prefix *> Z-text
      *>           BY REFERENCE policy *> hasty-cors, or OMITTED
      *>     RETURNING BINARY-LONG
      *>
      *> Limits the rate of each client's requests at `prefix`
      *> and below; excess ones are answered 429, with `Retry-
      *> After`.
      *> CALL "hasty_app_rate_limit"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE prefix *> Z-text
      *>           BY VALUE per-minute *> BINARY-LONG UNSIGNED
      *>           BY VALUE burst *> BINARY-LONG UNSIGNED
      *>           BY VALUE allow *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>           BY VALUE drop *> PROGRAM-POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Adds a header to every answer that has none of that
      *> name, `Vary` to all; both strings are copied.
      *> CALL "hasty_app_add_header"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE value *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Adds a set of common security headers to every answer,
      *> each unless the answer has one of that name.
      *> CALL "hasty_app_secure_headers"
      *>     USING BY VALUE app *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Lets `handler` change every answer from 400 to 599
      *> that the library itself gives.
      *> CALL "hasty_app_on_error"
      *>     USING BY VALUE app *> POINTER
      *>           BY VALUE handler *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>           BY VALUE drop *> PROGRAM-POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Passes log messages to `log`; without it they are
      *> discarded.
      *> CALL "hasty_app_on_log"
      *>     USING BY VALUE app *> POINTER
      *>           BY VALUE log *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>           BY VALUE drop *> PROGRAM-POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Passes `access` the record of each answered request,
      *> including those that could not be parsed.
      *> CALL "hasty_app_on_access"
      *>     USING BY VALUE app *> POINTER
      *>           BY VALUE access *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>           BY VALUE drop *> PROGRAM-POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Calls `start` on each thread of the app's pool before
      *> it serves, and `stop` before it ends.
      *> CALL "hasty_app_on_thread"
      *>     USING BY VALUE app *> POINTER
      *>           BY VALUE start *> PROGRAM-POINTER
      *>           BY VALUE stop *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>           BY VALUE drop *> PROGRAM-POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Answers GET at `pattern` with a health report in JSON:
      *> status 200, or 503 while the app drains.
      *> CALL "hasty_app_health"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE pattern *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Listens on a TCP port, at once; connections are
      *> accepted after start.
      *> CALL "hasty_app_listen"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE host *> Z-text, or OMITTED
      *>           BY VALUE port *> BINARY-LONG
      *>     RETURNING BINARY-LONG
      *>
      *> Listens on a Unix socket, at once.
      *> CALL "hasty_app_listen_unix"
      *>     USING BY VALUE app *> POINTER
      *>           BY REFERENCE path *> Z-text
      *>           BY VALUE mode *> BINARY-LONG UNSIGNED
      *>     RETURNING BINARY-LONG
      *>
      *> Listens on a socket that is listening already, such as
      *> one passed by a service manager.
      *> CALL "hasty_app_listen_fd"
      *>     USING BY VALUE app *> POINTER
      *>           BY VALUE fd *> BINARY-LONG
      *>     RETURNING BINARY-LONG
      *>
      *> Returns the port of the first TCP listener; 0 without
      *> one.
      *> CALL "hasty_app_port"
      *>     USING BY VALUE app *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Starts the app's threads, and returns.
      *> CALL "hasty_app_start"
      *>     USING BY VALUE app *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Starts the app unless it has started, and serves on
      *> this thread too until the app is stopped.
      *> CALL "hasty_app_run"
      *>     USING BY VALUE app *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Refuses new connections, lets requests in progress
      *> finish with `Connection: close`, and stops, at the
      *> latest after `timeout_ms`.
      *> CALL "hasty_app_drain"
      *>     USING BY VALUE app *> POINTER
      *>           BY VALUE timeout-ms *> BINARY-LONG
      *>     RETURNING BINARY-LONG
      *>
      *> Asks the app to drain, and returns at once:
      *> `hasty_app_drain()` for programs whose threads have
      *> other things to do.
      *> CALL "hasty_app_begin_drain"
      *>     USING BY VALUE app *> POINTER
      *>           BY VALUE timeout-ms *> BINARY-LONG
      *>     RETURNING OMITTED
      *>
      *> Asks the app to stop, and returns at once.
      *> CALL "hasty_app_stop"
      *>     USING BY VALUE app *> POINTER
      *>     RETURNING OMITTED
      *>
      *> Waits until the app has stopped and its last callback
      *> has returned.
      *> CALL "hasty_app_wait"
      *>     USING BY VALUE app *> POINTER
      *>           BY VALUE timeout-ms *> BINARY-LONG
      *>     RETURNING BINARY-LONG
      *>
      *> Returns a descriptor that is readable exactly while
      *> requests wait for `hasty_app_poll()` or its like.
      *> CALL "hasty_app_fd"
      *>     USING BY VALUE app *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Runs handlers of routes with `dispatch = caller` on
      *> this thread.
      *> CALL "hasty_app_poll"
      *>     USING BY VALUE app *> POINTER
      *>           BY VALUE max-requests *> BINARY-LONG UNSIGNED
      *>           BY VALUE timeout-ms *> BINARY-LONG
      *>           BY REFERENCE served *> BINARY-LONG UNSIGNED
      *>     RETURNING BINARY-LONG
      *>
      *> Takes a request of a route with `dispatch = caller`,
      *> or waits for one.
      *> CALL "hasty_app_next"
      *>     USING BY VALUE app *> POINTER
      *>           BY VALUE timeout-ms *> BINARY-LONG
      *>           BY REFERENCE out *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Ends a waiting call of `hasty_app_poll()`,
      *> `hasty_app_next()` or `hasty_slot_wait()`, or else the
      *> next one that would wait.
      *> CALL "hasty_app_wake"
      *>     USING BY VALUE app *> POINTER
      *>     RETURNING OMITTED
      *>
      *> Writes a record as one line of an access log, without
      *> line end.
      *> CALL "hasty_access_to_text"
      *>     USING BY REFERENCE record *> hasty-access, or OMITTED
      *>           BY REFERENCE format *> Z-text
      *>           BY REFERENCE buf *> PIC X(n), or OMITTED
      *>           BY VALUE SIZE 8 cap *> BINARY-DOUBLE UNSIGNED
      *>           BY REFERENCE needed *> BINARY-DOUBLE UNSIGNED
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_method()`, for languages that
      *> cannot take structs by value.
      *> CALL "hasty_request_method_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_path()`, for languages that cannot
      *> take structs by value.
      *> CALL "hasty_request_path_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_raw_path()`, for languages that
      *> cannot take structs by value.
      *> CALL "hasty_request_raw_path_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_query_string()`, for languages
      *> that cannot take structs by value.
      *> CALL "hasty_request_query_string_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_target()`, for languages that
      *> cannot take structs by value.
      *> CALL "hasty_request_target_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_route()`, for languages that
      *> cannot take structs by value.
      *> CALL "hasty_request_route_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_remote_address()`, for languages
      *> that cannot take structs by value.
      *> CALL "hasty_request_remote_address_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_id()`, for languages that cannot
      *> take structs by value.
      *> CALL "hasty_request_id_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_body()`, for languages that cannot
      *> take structs by value.
      *> CALL "hasty_request_body_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Returns 1 for HTTP/1.1, 0 for HTTP/1.0 (and for NULL).
      *> CALL "hasty_request_minor_version"
      *>     USING BY VALUE req *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_header()`, for languages that
      *> cannot take structs by value.
      *> CALL "hasty_request_header_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_param()`, for languages that
      *> cannot take structs by value.
      *> CALL "hasty_request_param_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_query()`, for languages that
      *> cannot take structs by value.
      *> CALL "hasty_request_query_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_cookie()`, for languages that
      *> cannot take structs by value.
      *> CALL "hasty_request_cookie_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_request_form()`, for languages that cannot
      *> take structs by value.
      *> CALL "hasty_request_form_to"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Returns how many header lines there are.
      *> CALL "hasty_request_header_count"
      *>     USING BY VALUE req *> POINTER
      *>     RETURNING BINARY-DOUBLE UNSIGNED
      *>
      *> Returns how many params there are.
      *> CALL "hasty_request_param_count"
      *>     USING BY VALUE req *> POINTER
      *>     RETURNING BINARY-DOUBLE UNSIGNED
      *>
      *> Returns how many parameters the query has, counting
      *> repeated names each time.
      *> CALL "hasty_request_query_count"
      *>     USING BY VALUE req *> POINTER
      *>     RETURNING BINARY-DOUBLE UNSIGNED
      *>
      *> Returns how many cookies there are.
      *> CALL "hasty_request_cookie_count"
      *>     USING BY VALUE req *> POINTER
      *>     RETURNING BINARY-DOUBLE UNSIGNED
      *>
      *> Returns how many fields a form has, urlencoded or
      *> multipart, counting repeated names each time; 0 for
      *> other bodies.
      *> CALL "hasty_request_form_count"
      *>     USING BY VALUE req *> POINTER
      *>     RETURNING BINARY-DOUBLE UNSIGNED
      *>
      *> Gives name and value number `index`, in order of
      *> arrival, names as sent.
      *> CALL "hasty_request_header_at"
      *>     USING BY VALUE req *> POINTER
      *>           BY VALUE SIZE 8 index *> BINARY-DOUBLE UNSIGNED
      *>           BY REFERENCE name *> hasty-str
      *>           BY REFERENCE value *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Gives name and value number `index`, in the order of
      *> the pattern.
      *> CALL "hasty_request_param_at"
      *>     USING BY VALUE req *> POINTER
      *>           BY VALUE SIZE 8 index *> BINARY-DOUBLE UNSIGNED
      *>           BY REFERENCE name *> hasty-str
      *>           BY REFERENCE value *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Gives name and value number `index`, in order,
      *> decoded.
      *> CALL "hasty_request_query_at"
      *>     USING BY VALUE req *> POINTER
      *>           BY VALUE SIZE 8 index *> BINARY-DOUBLE UNSIGNED
      *>           BY REFERENCE name *> hasty-str
      *>           BY REFERENCE value *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Gives name and value number `index`, in order.
      *> CALL "hasty_request_cookie_at"
      *>     USING BY VALUE req *> POINTER
      *>           BY VALUE SIZE 8 index *> BINARY-DOUBLE UNSIGNED
      *>           BY REFERENCE name *> hasty-str
      *>           BY REFERENCE value *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Gives name and value number `index`, in order,
      *> decoded.
      *> CALL "hasty_request_form_at"
      *>     USING BY VALUE req *> POINTER
      *>           BY VALUE SIZE 8 index *> BINARY-DOUBLE UNSIGNED
      *>           BY REFERENCE name *> hasty-str
      *>           BY REFERENCE value *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Tells whether the body is a form that could be read:
      *> `HASTY_ERR_INVALID` if a multipart form is malformed.
      *> CALL "hasty_request_form_status"
      *>     USING BY VALUE req *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Returns how many files a multipart form has; 0 for
      *> other bodies.
      *> CALL "hasty_request_file_count"
      *>     USING BY VALUE req *> POINTER
      *>     RETURNING BINARY-DOUBLE UNSIGNED
      *>
      *> Describes a file of a multipart form, in the order of
      *> the form.
      *> CALL "hasty_request_file_at"
      *>     USING BY VALUE req *> POINTER
      *>           BY VALUE SIZE 8 index *> BINARY-DOUBLE UNSIGNED
      *>           BY REFERENCE out *> hasty-file
      *>     RETURNING BINARY-LONG
      *>
      *> Describes the first file of a multipart form whose
      *> field is called `name`.
      *> CALL "hasty_request_file"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE out *> hasty-file
      *>     RETURNING BINARY-LONG
      *>
      *> Writes a copy of a file of a multipart form to `path`,
      *> in place of any file there.
      *> CALL "hasty_request_save_file"
      *>     USING BY VALUE req *> POINTER
      *>           BY VALUE SIZE 8 index *> BINARY-DOUBLE UNSIGNED
      *>           BY REFERENCE path *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Reads some bytes of the body, waiting for them: for
      *> routes with `body = stream`, whose handler runs before
      *> it is received.
      *> CALL "hasty_request_read"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE buf *> PIC X(n)
      *>           BY VALUE SIZE 8 len *> BINARY-DOUBLE UNSIGNED
      *>           BY REFERENCE got *> BINARY-DOUBLE UNSIGNED
      *>     RETURNING BINARY-LONG
      *>
      *> Parses the body as JSON, whatever its Content-Type.
      *> CALL "hasty_request_json"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE out *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Returns the `user_data` that the route was registered
      *> with; NULL if no route answers.
      *> CALL "hasty_request_user_data"
      *>     USING BY VALUE req *> POINTER
      *>     RETURNING POINTER
      *>
      *> Keeps `value` under `key` until the request ends, in
      *> place of an earlier one.
      *> CALL "hasty_request_set_local"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE key *> Z-text
      *>           BY VALUE value *> POINTER
      *>           BY VALUE drop *> PROGRAM-POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Returns the value set by `hasty_request_set_local()`
      *> under `key`; NULL if there is none.
      *> CALL "hasty_request_local"
      *>     USING BY VALUE req *> POINTER
      *>           BY REFERENCE key *> Z-text
      *>     RETURNING POINTER
      *>
      *> Sets the status code: 200 to 599.
      *> CALL "hasty_response_set_status"
      *>     USING BY VALUE res *> POINTER
      *>           BY VALUE code *> BINARY-LONG
      *>     RETURNING BINARY-LONG
      *>
      *> Returns the status code as it stands.
      *> CALL "hasty_response_status"
      *>     USING BY VALUE res *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Sets a header in place of any of that name; both
      *> strings are copied.
      *> CALL "hasty_response_set_header"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE value *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Adds a header beside any of that name; both strings
      *> are copied.
      *> CALL "hasty_response_add_header"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE value *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_response_set_header()`, with a value of
      *> `len` bytes that need not end with a NUL.
      *> CALL "hasty_response_set_header_bytes"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE value *> PIC X(n)
      *>           BY VALUE SIZE 8 len *> BINARY-DOUBLE UNSIGNED
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_response_add_header()`, with a value of
      *> `len` bytes that need not end with a NUL.
      *> CALL "hasty_response_add_header_bytes"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE value *> PIC X(n)
      *>           BY VALUE SIZE 8 len *> BINARY-DOUBLE UNSIGNED
      *>     RETURNING BINARY-LONG
      *>
      *> Removes all headers called `name`, compared without
      *> case; there need not be any.
      *> CALL "hasty_response_remove_header"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_response_header()`, for languages that
      *> cannot take structs by value.
      *> CALL "hasty_response_header_to"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Like `hasty_response_body()`, for languages that
      *> cannot take structs by value.
      *> CALL "hasty_response_body_to"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Sets the body's type.
      *> CALL "hasty_response_set_type"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE type *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Adds a cookie. `options` may be NULL: path "/",
      *> SameSite=Lax, HttpOnly, until the browser closes.
      *> CALL "hasty_response_set_cookie"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE value *> Z-text
      *>           BY REFERENCE options *> hasty-cookie, or OMITTED
      *>     RETURNING BINARY-LONG
      *>
      *> Tells the client to forget a cookie.
      *> CALL "hasty_response_delete_cookie"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE name *> Z-text
      *>           BY REFERENCE options *> hasty-cookie, or OMITTED
      *>     RETURNING BINARY-LONG
      *>
      *> Sends `len` bytes, which are copied.
      *> CALL "hasty_response_send"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE data *> PIC X(n)
      *>           BY VALUE SIZE 8 len *> BINARY-DOUBLE UNSIGNED
      *>     RETURNING BINARY-LONG
      *>
      *> Sends `len` bytes without copying them.
      *> CALL "hasty_response_send_owned"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE data *> PIC X(n)
      *>           BY VALUE SIZE 8 len *> BINARY-DOUBLE UNSIGNED
      *>           BY VALUE user-data *> POINTER
      *>           BY VALUE drop *> PROGRAM-POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Sends UTF-8 text, which is copied.
      *> CALL "hasty_response_send_text"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE text *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Sends UTF-8 HTML, which is copied.
      *> CALL "hasty_response_send_html"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE html *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Sends JSON text as it is, copied; it is not checked.
      *> CALL "hasty_response_send_json"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE json *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Sends a JSON value as text; the value stays yours.
      *> CALL "hasty_response_send_json_value"
      *>     USING BY VALUE res *> POINTER
      *>           BY VALUE value *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Sends a status with its phrase as text: "404 Not
      *> Found".
      *> CALL "hasty_response_send_status"
      *>     USING BY VALUE res *> POINTER
      *>           BY VALUE code *> BINARY-LONG
      *>     RETURNING BINARY-LONG
      *>
      *> Sends the client to `location`; `code` is 301, 302,
      *> 303, 307 or 308.
      *> CALL "hasty_response_send_redirect"
      *>     USING BY VALUE res *> POINTER
      *>           BY VALUE code *> BINARY-LONG
      *>           BY REFERENCE location *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Sends a file; its type follows from its name unless
      *> one was set.
      *> CALL "hasty_response_send_file"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE path *> Z-text
      *>     RETURNING BINARY-LONG
      *>
      *> Sends a file for the client to save as `filename`;
      *> NULL means the file's own name.
      *> CALL "hasty_response_send_download"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE path *> Z-text
      *>           BY REFERENCE filename *> Z-text, or OMITTED
      *>     RETURNING BINARY-LONG
      *>
      *> Writes a piece of the body, which is copied, and sends
      *> it.
      *> CALL "hasty_response_write"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE data *> PIC X(n)
      *>           BY VALUE SIZE 8 len *> BINARY-DOUBLE UNSIGNED
      *>     RETURNING BINARY-LONG
      *>
      *> Writes a server-sent event as a piece of the body:
      *> `text/event-stream`, with headers that keep caches
      *> from storing and proxies from buffering it.
      *> CALL "hasty_response_write_event"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE event *> Z-text, or OMITTED
      *>           BY REFERENCE data *> Z-text
      *>           BY REFERENCE id *> Z-text, or OMITTED
      *>     RETURNING BINARY-LONG
      *>
      *> Resets the response to an empty 200, and forgets the
      *> failure of a setter.
      *> CALL "hasty_response_reset"
      *>     USING BY VALUE res *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Defers the answer: it may be given later, by any
      *> thread.
      *> CALL "hasty_response_defer"
      *>     USING BY VALUE res *> POINTER
      *>           BY REFERENCE out *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Returns the request, as it was when it was deferred.
      *> CALL "hasty_exchange_request"
      *>     USING BY VALUE exchange *> POINTER
      *>     RETURNING POINTER
      *>
      *> Returns the response, to be filled in or written.
      *> CALL "hasty_exchange_response"
      *>     USING BY VALUE exchange *> POINTER
      *>     RETURNING POINTER
      *>
      *> Sends the answer, or the end of what was written, and
      *> ends the exchange.
      *> CALL "hasty_exchange_finish"
      *>     USING BY VALUE exchange *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Tells whether the client still waits: 0 once it has
      *> closed its side, was answered by a time-out, or the
      *> app has stopped.
      *> CALL "hasty_exchange_alive"
      *>     USING BY VALUE exchange *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Calls `gone` once when nobody waits for the answer any
      *> more: on one of the app's threads, or within this call
      *> if that is so already.
      *> CALL "hasty_exchange_on_close"
      *>     USING BY VALUE exchange *> POINTER
      *>           BY VALUE gone *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>           BY VALUE drop *> PROGRAM-POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Calls `ready` once when there is room to write more:
      *> on one of the app's threads, or within this call if
      *> there is room already.
      *> CALL "hasty_exchange_on_ready"
      *>     USING BY VALUE exchange *> POINTER
      *>           BY VALUE ready *> PROGRAM-POINTER
      *>           BY VALUE user-data *> POINTER
      *>           BY VALUE drop *> PROGRAM-POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Ends an exchange without an answer: the client gets a
      *> 503, or in the middle of a stream the connection is
      *> cut.
      *> CALL "hasty_exchange_free"
      *>     USING BY VALUE exchange *> POINTER
      *>     RETURNING OMITTED
      *>
      *> Submits the answer in the slot, if one is owed, and
      *> takes the next request.
      *> CALL "hasty_slot_take"
      *>     USING BY REFERENCE slot *> hasty-slot
      *>     RETURNING BINARY-LONG
      *>
      *> The same as `hasty_slot_take()`, called with an object
      *> that refers to the slot.
      *> CALL "hasty_slot_take_object"
      *>     USING BY REFERENCE object *> hasty-slot-object
      *>     RETURNING BINARY-LONG
      *>
      *> Waits until `hasty_slot_take()` would take a request.
      *> CALL "hasty_slot_wait"
      *>     USING BY REFERENCE slot *> hasty-slot
      *>           BY VALUE timeout-ms *> BINARY-LONG
      *>     RETURNING BINARY-LONG
      *>
      *> Turns the request in the slot into an exchange, to be
      *> answered later; `ticket` becomes 0.
      *> CALL "hasty_slot_exchange"
      *>     USING BY REFERENCE slot *> hasty-slot
      *>           BY REFERENCE out *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Parses `len` bytes of JSON: one value, followed by
      *> nothing but white space.
      *> CALL "hasty_json_parse"
      *>     USING BY REFERENCE text *> PIC X(n)
      *>           BY VALUE SIZE 8 len *> BINARY-DOUBLE UNSIGNED
      *>           BY REFERENCE out *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Frees a value and all its parts.
      *> CALL "hasty_json_free"
      *>     USING BY VALUE json *> POINTER
      *>     RETURNING OMITTED
      *>
      *> Copies a value with all its parts, borrowed ones too.
      *> CALL "hasty_json_clone"
      *>     USING BY VALUE json *> POINTER
      *>           BY REFERENCE out *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Tells what a value is: one of `HASTY_JSON_*`, or -1
      *> for NULL.
      *> CALL "hasty_json_kind"
      *>     USING BY VALUE json *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Counts the items of an array or the members of an
      *> object; 0 for anything else.
      *> CALL "hasty_json_len"
      *>     USING BY VALUE json *> POINTER
      *>     RETURNING BINARY-DOUBLE UNSIGNED
      *>
      *> Returns the value of the member called `key`, or NULL:
      *> there is none, or `json` is no object.
      *> CALL "hasty_json_get"
      *>     USING BY VALUE json *> POINTER
      *>           BY REFERENCE key *> Z-text
      *>     RETURNING POINTER
      *>
      *> Returns the item of an array, or the value of a member
      *> of an object, at `index`; NULL beyond the last.
      *> CALL "hasty_json_at"
      *>     USING BY VALUE json *> POINTER
      *>           BY VALUE SIZE 8 index *> BINARY-DOUBLE UNSIGNED
      *>     RETURNING POINTER
      *>
      *> Returns the value that a JSON Pointer (RFC 6901) leads
      *> to, or NULL: it leads nowhere, or is malformed.
      *> CALL "hasty_json_find"
      *>     USING BY VALUE json *> POINTER
      *>           BY REFERENCE pointer *> Z-text
      *>     RETURNING POINTER
      *>
      *> `hasty_json_key_at()` for languages that cannot take
      *> structs by value; an absent key is absent in `*out`.
      *> CALL "hasty_json_key_at_to"
      *>     USING BY VALUE json *> POINTER
      *>           BY VALUE SIZE 8 index *> BINARY-DOUBLE UNSIGNED
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> `hasty_json_as_string()` for languages that cannot
      *> take structs by value; what is no string is absent in
      *> `*out`.
      *> CALL "hasty_json_as_string_to"
      *>     USING BY VALUE json *> POINTER
      *>           BY REFERENCE out *> hasty-str
      *>     RETURNING BINARY-LONG
      *>
      *> Reads a number as a signed 64-bit integer; 3.0 and 3e0
      *> are whole too.
      *> CALL "hasty_json_as_int"
      *>     USING BY VALUE json *> POINTER
      *>           BY REFERENCE out *> BINARY-DOUBLE
      *>     RETURNING BINARY-LONG
      *>
      *> Reads a number as the double nearest to it.
      *> CALL "hasty_json_as_double"
      *>     USING BY VALUE json *> POINTER
      *>           BY REFERENCE out *> FLOAT-LONG
      *>     RETURNING BINARY-LONG
      *>
      *> Reads `true` as 1 and `false` as 0.
      *> CALL "hasty_json_as_bool"
      *>     USING BY VALUE json *> POINTER
      *>           BY REFERENCE out *> BINARY-LONG
      *>     RETURNING BINARY-LONG
      *>
      *> Makes an empty object.
      *> CALL "hasty_json_new_object"
      *>     RETURNING POINTER
      *>
      *> Makes an empty array.
      *> CALL "hasty_json_new_array"
      *>     RETURNING POINTER
      *>
      *> Makes a null.
      *> CALL "hasty_json_new_null"
      *>     RETURNING POINTER
      *>
      *> Makes `false` of 0, and `true` of anything else.
      *> CALL "hasty_json_new_bool"
      *>     USING BY VALUE value *> BINARY-LONG
      *>     RETURNING POINTER
      *>
      *> Makes a whole number.
      *> CALL "hasty_json_new_int"
      *>     USING BY VALUE SIZE 8 value *> BINARY-DOUBLE
      *>     RETURNING POINTER
      *>
      *> Makes a number.
      *> CALL "hasty_json_new_double"
      *>     USING BY VALUE value *> FLOAT-LONG
      *>     RETURNING POINTER
      *>
      *> Makes a string of `len` bytes of UTF-8; invalid UTF-8
      *> becomes U+FFFD.
      *> CALL "hasty_json_new_string"
      *>     USING BY REFERENCE utf8 *> PIC X(n)
      *>           BY VALUE SIZE 8 len *> BINARY-DOUBLE UNSIGNED
      *>     RETURNING POINTER
      *>
      *> Makes `value` the member `key` of an object: it
      *> replaces an earlier one, which is freed, or is added
      *> last.
      *> CALL "hasty_json_set"
      *>     USING BY VALUE object *> POINTER
      *>           BY REFERENCE key *> Z-text
      *>           BY VALUE value *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> `hasty_json_set()` with a key of `len` bytes, which
      *> may hold NUL.
      *> CALL "hasty_json_set_bytes"
      *>     USING BY VALUE object *> POINTER
      *>           BY REFERENCE key *> PIC X(n)
      *>           BY VALUE SIZE 8 len *> BINARY-DOUBLE UNSIGNED
      *>           BY VALUE value *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Makes `value` the last item of an array.
      *> CALL "hasty_json_push"
      *>     USING BY VALUE array *> POINTER
      *>           BY VALUE value *> POINTER
      *>     RETURNING BINARY-LONG
      *>
      *> Writes a value as JSON, without spaces and with a NUL
      *> at the end, into the `cap` bytes of `buf`.
      *> CALL "hasty_json_to_text"
      *>     USING BY VALUE json *> POINTER
      *>           BY REFERENCE buf *> PIC X(n), or OMITTED
      *>           BY VALUE SIZE 8 cap *> BINARY-DOUBLE UNSIGNED
      *>           BY REFERENCE needed *> BINARY-DOUBLE UNSIGNED
      *>     RETURNING BINARY-LONG
