/* The contract of hasty's C ABI: every name, argument and layout that programs are compiled against.
 *
 * The real header, include/hasty.h, is generated and documented; it must agree with this one and may hold more.
 * Check:  cc -std=c17 -Wall -Wextra -Werror -fsyntax-only -I include contract_check.c
 * (contract_check.c includes the real header first, so that each line below is a re-declaration.)
 * What each function means stands in include/hasty.h.
 */

/* library */
uint32_t     hasty_abi_version(void);
const char  *hasty_version(void);
const char  *hasty_status_name(hasty_status status);
hasty_str    hasty_last_error(void);

/* app: options, routes */
hasty_status hasty_app_new(const hasty_options *options, hasty_app **out);
void         hasty_app_free(hasty_app *app);
hasty_status hasty_app_set_option(hasty_app *app, const char *key, const char *value);
hasty_status hasty_app_set_route_option(hasty_app *app, const char *method, const char *pattern, const char *key, const char *value);
hasty_str    hasty_app_option(const hasty_app *app, const char *key);

hasty_status hasty_app_route(hasty_app *app, const char *method, const char *pattern, hasty_handler handler, void *user_data, hasty_drop drop);
hasty_status hasty_app_get(hasty_app *app, const char *pattern, hasty_handler handler, void *user_data);
hasty_status hasty_app_post(hasty_app *app, const char *pattern, hasty_handler handler, void *user_data);
hasty_status hasty_app_put(hasty_app *app, const char *pattern, hasty_handler handler, void *user_data);
hasty_status hasty_app_patch(hasty_app *app, const char *pattern, hasty_handler handler, void *user_data);
hasty_status hasty_app_delete(hasty_app *app, const char *pattern, hasty_handler handler, void *user_data);
hasty_status hasty_app_any(hasty_app *app, const char *pattern, hasty_handler handler, void *user_data);
hasty_status hasty_app_use(hasty_app *app, const char *prefix, hasty_handler handler, void *user_data, hasty_drop drop);
hasty_status hasty_app_after(hasty_app *app, const char *prefix, hasty_handler handler, void *user_data, hasty_drop drop);
hasty_status hasty_app_on_error(hasty_app *app, hasty_handler handler, void *user_data, hasty_drop drop);
hasty_status hasty_app_on_log(hasty_app *app, hasty_log_fn log, void *user_data, hasty_drop drop);
hasty_status hasty_app_on_access(hasty_app *app, hasty_access_fn access, void *user_data, hasty_drop drop);
hasty_status hasty_app_on_thread(hasty_app *app, hasty_notify_fn start, hasty_notify_fn stop, void *user_data, hasty_drop drop);
hasty_status hasty_app_static(hasty_app *app, const char *prefix, const char *directory, const hasty_static *options);
hasty_status hasty_app_cors(hasty_app *app, const char *prefix, const hasty_cors *policy);
hasty_status hasty_app_rate_limit(hasty_app *app, const char *prefix, uint32_t per_minute, uint32_t burst, hasty_allow_fn allow, void *user_data, hasty_drop drop);
hasty_status hasty_app_add_header(hasty_app *app, const char *name, const char *value);
hasty_status hasty_app_secure_headers(hasty_app *app);
hasty_status hasty_app_health(hasty_app *app, const char *pattern);

/* app: listen, run, stop */
hasty_status hasty_app_listen(hasty_app *app, const char *host, int32_t port);
hasty_status hasty_app_listen_unix(hasty_app *app, const char *path, uint32_t mode);
hasty_status hasty_app_listen_fd(hasty_app *app, int32_t fd);
int32_t      hasty_app_port(const hasty_app *app);
hasty_status hasty_app_start(hasty_app *app);
hasty_status hasty_app_run(hasty_app *app);
hasty_status hasty_app_drain(hasty_app *app, int32_t timeout_ms);
void         hasty_app_stop(hasty_app *app);
hasty_status hasty_app_wait(hasty_app *app, int32_t timeout_ms);

/* app: the host's own thread */
int32_t      hasty_app_fd(const hasty_app *app);
hasty_status hasty_app_poll(hasty_app *app, uint32_t max_requests, int32_t timeout_ms, uint32_t *served);
hasty_status hasty_app_next(hasty_app *app, int32_t timeout_ms, hasty_exchange **out);
void         hasty_app_wake(hasty_app *app);

/* request */
hasty_str    hasty_request_method(const hasty_request *req);
hasty_str    hasty_request_path(const hasty_request *req);
hasty_str    hasty_request_raw_path(const hasty_request *req);
hasty_str    hasty_request_query_string(const hasty_request *req);
hasty_str    hasty_request_target(const hasty_request *req);
hasty_str    hasty_request_route(const hasty_request *req);
hasty_str    hasty_request_remote_address(const hasty_request *req);
hasty_str    hasty_request_id(const hasty_request *req);
hasty_str    hasty_request_body(const hasty_request *req);
int32_t      hasty_request_minor_version(const hasty_request *req);
hasty_str    hasty_request_header(const hasty_request *req, const char *name);
hasty_str    hasty_request_param(const hasty_request *req, const char *name);
hasty_str    hasty_request_query(const hasty_request *req, const char *name);
hasty_str    hasty_request_cookie(const hasty_request *req, const char *name);
hasty_str    hasty_request_form(const hasty_request *req, const char *name);
size_t       hasty_request_header_count(const hasty_request *req);
size_t       hasty_request_param_count(const hasty_request *req);
size_t       hasty_request_query_count(const hasty_request *req);
size_t       hasty_request_cookie_count(const hasty_request *req);
size_t       hasty_request_form_count(const hasty_request *req);
hasty_status hasty_request_header_at(const hasty_request *req, size_t index, hasty_str *name, hasty_str *value);
hasty_status hasty_request_param_at(const hasty_request *req, size_t index, hasty_str *name, hasty_str *value);
hasty_status hasty_request_query_at(const hasty_request *req, size_t index, hasty_str *name, hasty_str *value);
hasty_status hasty_request_cookie_at(const hasty_request *req, size_t index, hasty_str *name, hasty_str *value);
hasty_status hasty_request_form_at(const hasty_request *req, size_t index, hasty_str *name, hasty_str *value);
hasty_status hasty_request_form_status(const hasty_request *req);
size_t       hasty_request_file_count(const hasty_request *req);
hasty_status hasty_request_file_at(const hasty_request *req, size_t index, hasty_file *out);
hasty_status hasty_request_file(const hasty_request *req, const char *name, hasty_file *out);
hasty_status hasty_request_save_file(const hasty_request *req, size_t index, const char *path);
hasty_status hasty_request_json(const hasty_request *req, const hasty_json **out);
hasty_status hasty_request_read(const hasty_request *req, void *buf, size_t len, size_t *got);
void        *hasty_request_user_data(const hasty_request *req);
hasty_status hasty_request_set_local(const hasty_request *req, const char *key, void *value, hasty_drop drop);
void        *hasty_request_local(const hasty_request *req, const char *key);

/* response */
hasty_status hasty_response_set_status(hasty_response *res, int32_t code);
int32_t      hasty_response_status(const hasty_response *res);
hasty_status hasty_response_set_header(hasty_response *res, const char *name, const char *value);
hasty_status hasty_response_add_header(hasty_response *res, const char *name, const char *value);
hasty_status hasty_response_set_header_bytes(hasty_response *res, const char *name, const void *value, size_t len);
hasty_status hasty_response_add_header_bytes(hasty_response *res, const char *name, const void *value, size_t len);
hasty_status hasty_response_remove_header(hasty_response *res, const char *name);
hasty_str    hasty_response_header(const hasty_response *res, const char *name);
hasty_str    hasty_response_body(const hasty_response *res);
hasty_status hasty_response_set_type(hasty_response *res, const char *type);
hasty_status hasty_response_set_cookie(hasty_response *res, const char *name, const char *value, const hasty_cookie *options);
hasty_status hasty_response_delete_cookie(hasty_response *res, const char *name, const hasty_cookie *options);
hasty_status hasty_response_send(hasty_response *res, const void *data, size_t len);
hasty_status hasty_response_send_owned(hasty_response *res, const void *data, size_t len, void *user_data, hasty_drop drop);
hasty_status hasty_response_send_text(hasty_response *res, const char *text);
hasty_status hasty_response_send_html(hasty_response *res, const char *html);
hasty_status hasty_response_send_json(hasty_response *res, const char *json);
hasty_status hasty_response_send_json_value(hasty_response *res, const hasty_json *value);
hasty_status hasty_response_send_status(hasty_response *res, int32_t code);
hasty_status hasty_response_send_redirect(hasty_response *res, int32_t code, const char *location);
hasty_status hasty_response_send_file(hasty_response *res, const char *path);
hasty_status hasty_response_send_download(hasty_response *res, const char *path, const char *filename);
hasty_status hasty_response_write(hasty_response *res, const void *data, size_t len);
hasty_status hasty_response_write_event(hasty_response *res, const char *event, const char *data, const char *id);
hasty_status hasty_response_reset(hasty_response *res);

/* exchange */
hasty_status         hasty_response_defer(hasty_response *res, hasty_exchange **out);
const hasty_request *hasty_exchange_request(const hasty_exchange *exchange);
hasty_response      *hasty_exchange_response(hasty_exchange *exchange);
hasty_status         hasty_exchange_finish(hasty_exchange *exchange);
int32_t              hasty_exchange_alive(const hasty_exchange *exchange);
hasty_status         hasty_exchange_on_close(hasty_exchange *exchange, hasty_notify_fn gone, void *user_data, hasty_drop drop);
hasty_status         hasty_exchange_on_ready(hasty_exchange *exchange, hasty_notify_fn ready, void *user_data, hasty_drop drop);
void                 hasty_exchange_free(hasty_exchange *exchange);

/* slot */
hasty_status hasty_slot_take(hasty_slot *slot);
hasty_status hasty_slot_wait(hasty_slot *slot, int32_t timeout_ms);
hasty_status hasty_slot_exchange(hasty_slot *slot, hasty_exchange **out);

/* json */
hasty_status      hasty_json_parse(const void *text, size_t len, hasty_json **out);
void              hasty_json_free(hasty_json *json);
hasty_status      hasty_json_clone(const hasty_json *json, hasty_json **out);
int32_t           hasty_json_kind(const hasty_json *json);
size_t            hasty_json_len(const hasty_json *json);
const hasty_json *hasty_json_get(const hasty_json *json, const char *key);
const hasty_json *hasty_json_at(const hasty_json *json, size_t index);
const hasty_json *hasty_json_find(const hasty_json *json, const char *pointer);
hasty_str         hasty_json_key_at(const hasty_json *json, size_t index);
hasty_str         hasty_json_as_string(const hasty_json *json);
hasty_status      hasty_json_as_int(const hasty_json *json, int64_t *out);
hasty_status      hasty_json_as_double(const hasty_json *json, double *out);
hasty_status      hasty_json_as_bool(const hasty_json *json, int32_t *out);
hasty_json       *hasty_json_new_object(void);
hasty_json       *hasty_json_new_array(void);
hasty_json       *hasty_json_new_null(void);
hasty_json       *hasty_json_new_bool(int32_t value);
hasty_json       *hasty_json_new_int(int64_t value);
hasty_json       *hasty_json_new_double(double value);
hasty_json       *hasty_json_new_string(const void *utf8, size_t len);
hasty_status      hasty_json_set(hasty_json *object, const char *key, hasty_json *value);
hasty_status      hasty_json_set_bytes(hasty_json *object, const void *key, size_t len, hasty_json *value);
hasty_status      hasty_json_push(hasty_json *array, hasty_json *value);
hasty_status      hasty_json_to_text(const hasty_json *json, char *buf, size_t cap, size_t *needed);
