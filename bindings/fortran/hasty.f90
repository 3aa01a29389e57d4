! hasty for Fortran: the whole of include/hasty.h, and helpers for text.
! SPDX-License-Identifier: MIT OR Apache-2.0
!
!   use hasty
!
! Conventions:
!
! Handles     apps, requests, responses, exchanges and JSON values are type(c_ptr); NULL is c_null_ptr.
! Text        goes in with a NUL at its end: '/customers'//c_null_char. It comes out as a hasty_str, of which hasty_text
!             makes a Fortran string. Where data and len are asked for, c_loc(text) and len(text) need no NUL.
! Outputs     are written on success only; hence they are intent(inout), and your variable is as it was after a failure.
! Options     structs of options are optional arguments. Set size = c_sizeof(options); 0 is the default, HASTY_NONE none.
! Callbacks   bind(C) procedures with the interface of that name (hasty_handler), given as c_funloc(handler); c_null_funptr
!             is none. They run on the library's threads unless the route has dispatch = caller.
! Numbers     Fortran has no unsigned integers: values in the upper half of the range are negative here.
! Methods     the constant is HASTY_METHOD_GET where C has HASTY_GET, since HASTY_OPTIONS is a type too.
module hasty
  use, intrinsic :: iso_c_binding
  implicit none
  private

  public :: hasty_text, hasty_c_text, hasty_message, hasty_json_new_text

  ! ---- generated from include/hasty.h

  ! In a 32-bit option: literally zero, none or off, where 0 means the default.
  integer(c_int32_t), parameter, public :: HASTY_NONE = -1_c_int32_t
  ! In a 64-bit option: literally zero, none or off, where 0 means the default.
  integer(c_int64_t), parameter, public :: HASTY_NONE64 = -1_c_int64_t
  ! What the reply in a slot is: UTF-8 text.
  integer(c_int32_t), parameter, public :: HASTY_KIND_TEXT = 0_c_int32_t
  ! HTML.
  integer(c_int32_t), parameter, public :: HASTY_KIND_HTML = 1_c_int32_t
  ! JSON text.
  integer(c_int32_t), parameter, public :: HASTY_KIND_JSON = 2_c_int32_t
  ! Bytes.
  integer(c_int32_t), parameter, public :: HASTY_KIND_BYTES = 3_c_int32_t
  ! The path of a file.
  integer(c_int32_t), parameter, public :: HASTY_KIND_FILE = 4_c_int32_t
  ! No body.
  integer(c_int32_t), parameter, public :: HASTY_KIND_NONE = 5_c_int32_t
  ! Levels of log messages, the most severe first: a request or a thread failed.
  integer(c_int32_t), parameter, public :: HASTY_LOG_ERROR = 1_c_int32_t
  ! A problem that the library has recovered from.
  integer(c_int32_t), parameter, public :: HASTY_LOG_WARN = 2_c_int32_t
  ! Normal events.
  integer(c_int32_t), parameter, public :: HASTY_LOG_INFO = 3_c_int32_t
  ! Details for debugging.
  integer(c_int32_t), parameter, public :: HASTY_LOG_DEBUG = 4_c_int32_t
  ! Methods by number: any other token.
  integer(c_int32_t), parameter, public :: HASTY_METHOD_OTHER = 0_c_int32_t
  ! GET
  integer(c_int32_t), parameter, public :: HASTY_METHOD_GET = 1_c_int32_t
  ! HEAD
  integer(c_int32_t), parameter, public :: HASTY_METHOD_HEAD = 2_c_int32_t
  ! POST
  integer(c_int32_t), parameter, public :: HASTY_METHOD_POST = 3_c_int32_t
  ! PUT
  integer(c_int32_t), parameter, public :: HASTY_METHOD_PUT = 4_c_int32_t
  ! DELETE
  integer(c_int32_t), parameter, public :: HASTY_METHOD_DELETE = 5_c_int32_t
  ! CONNECT
  integer(c_int32_t), parameter, public :: HASTY_METHOD_CONNECT = 6_c_int32_t
  ! OPTIONS
  integer(c_int32_t), parameter, public :: HASTY_METHOD_OPTIONS = 7_c_int32_t
  ! TRACE
  integer(c_int32_t), parameter, public :: HASTY_METHOD_TRACE = 8_c_int32_t
  ! PATCH
  integer(c_int32_t), parameter, public :: HASTY_METHOD_PATCH = 9_c_int32_t
  ! What `hasty_json_kind()` answers for null.
  integer(c_int32_t), parameter, public :: HASTY_JSON_NULL = 0_c_int32_t
  ! `true` or `false`.
  integer(c_int32_t), parameter, public :: HASTY_JSON_BOOL = 1_c_int32_t
  ! A number.
  integer(c_int32_t), parameter, public :: HASTY_JSON_NUMBER = 2_c_int32_t
  ! A string.
  integer(c_int32_t), parameter, public :: HASTY_JSON_STRING = 3_c_int32_t
  ! An array.
  integer(c_int32_t), parameter, public :: HASTY_JSON_ARRAY = 4_c_int32_t
  ! An object.
  integer(c_int32_t), parameter, public :: HASTY_JSON_OBJECT = 5_c_int32_t
  ! Done.
  integer(c_int32_t), parameter, public :: HASTY_OK = 0_c_int32_t
  ! A required argument was NULL.
  integer(c_int32_t), parameter, public :: HASTY_ERR_NULL = 1_c_int32_t
  ! A value breaks a rule; `hasty_last_error()` names both.
  integer(c_int32_t), parameter, public :: HASTY_ERR_INVALID = 2_c_int32_t
  ! The call is not allowed now: registration after start, waiting inside a callback.
  integer(c_int32_t), parameter, public :: HASTY_ERR_STATE = 3_c_int32_t
  ! The operating system refused; `hasty_last_error()` has its reason.
  integer(c_int32_t), parameter, public :: HASTY_ERR_IO = 4_c_int32_t
  ! The client, or the app, is gone.
  integer(c_int32_t), parameter, public :: HASTY_ERR_CLOSED = 5_c_int32_t
  ! Nothing happened within the time allowed.
  integer(c_int32_t), parameter, public :: HASTY_ERR_TIMEOUT = 6_c_int32_t
  ! A bug in the library caused a panic, which was caught.
  integer(c_int32_t), parameter, public :: HASTY_ERR_PANIC = 7_c_int32_t
  ! A limit would be exceeded.
  integer(c_int32_t), parameter, public :: HASTY_ERR_LIMIT = 8_c_int32_t
  ! There is nothing of that name.
  integer(c_int32_t), parameter, public :: HASTY_ERR_NOT_FOUND = 9_c_int32_t
  ! This build or this machine cannot do it.
  integer(c_int32_t), parameter, public :: HASTY_ERR_UNSUPPORTED = 10_c_int32_t
  ! From middleware: go on to the next step.
  integer(c_int32_t), parameter, public :: HASTY_NEXT = 100_c_int32_t

  ! A piece of text or bytes that belongs to somebody else.
  type, bind(C), public :: hasty_str
    type(c_ptr) :: data = c_null_ptr
    integer(c_size_t) :: len = 0
  end type hasty_str

  ! Options of an app.
  type, bind(C), public :: hasty_options
    integer(c_size_t) :: size = 0
    integer(c_int64_t) :: max_body_bytes = 0
    integer(c_int32_t) :: threads = 0
    integer(c_int32_t) :: max_connections = 0
    integer(c_int32_t) :: max_connections_per_ip = 0
    integer(c_int32_t) :: max_header_bytes = 0
    integer(c_int32_t) :: max_headers = 0
    integer(c_int32_t) :: max_target_bytes = 0
    integer(c_int32_t) :: header_timeout_ms = 0
    integer(c_int32_t) :: body_timeout_ms = 0
    integer(c_int32_t) :: idle_timeout_ms = 0
    integer(c_int32_t) :: write_timeout_ms = 0
    integer(c_int32_t) :: exchange_timeout_ms = 0
    integer(c_int32_t) :: max_requests_per_connection = 0
    type(c_ptr) :: server_header = c_null_ptr
  end type hasty_options

  ! How a folder of files is served.
  type, bind(C), public :: hasty_static
    integer(c_size_t) :: size = 0
    type(c_ptr) :: index = c_null_ptr
    type(c_ptr) :: fallback = c_null_ptr
    type(c_ptr) :: cache_control = c_null_ptr
    integer(c_int32_t) :: list = 0
    integer(c_int32_t) :: dotfiles = 0
  end type hasty_static

  ! Which other origins' scripts may read answers.
  type, bind(C), public :: hasty_cors
    integer(c_size_t) :: size = 0
    type(c_ptr) :: origins = c_null_ptr
    type(c_ptr) :: methods = c_null_ptr
    type(c_ptr) :: headers = c_null_ptr
    type(c_ptr) :: expose = c_null_ptr
    integer(c_int32_t) :: max_age_s = 0
    integer(c_int32_t) :: credentials = 0
    integer(c_int32_t) :: private_network = 0
    integer(c_int32_t) :: reserved = 0
  end type hasty_cors

  ! One finished request, for an access log.
  type, bind(C), public :: hasty_access
    integer(c_size_t) :: size = 0
    type(hasty_str) :: method
    type(hasty_str) :: target
    type(hasty_str) :: route
    type(hasty_str) :: remote_address
    type(hasty_str) :: user_agent
    type(hasty_str) :: referer
    type(hasty_str) :: id
    integer(c_int64_t) :: bytes_in = 0
    integer(c_int64_t) :: bytes_out = 0
    integer(c_int64_t) :: duration_us = 0
    integer(c_int64_t) :: time_us = 0
    integer(c_int32_t) :: status = 0
    integer(c_int32_t) :: reserved = 0
  end type hasty_access

  ! One file of a multipart body.
  type, bind(C), public :: hasty_file
    integer(c_size_t) :: size = 0
    type(hasty_str) :: name
    type(hasty_str) :: filename
    type(hasty_str) :: content_type
    type(hasty_str) :: data
    type(c_ptr) :: path = c_null_ptr
    integer(c_int64_t) :: length = 0
  end type hasty_file

  ! How a cookie is set.
  type, bind(C), public :: hasty_cookie
    integer(c_size_t) :: size = 0
    type(c_ptr) :: path = c_null_ptr
    type(c_ptr) :: domain = c_null_ptr
    type(c_ptr) :: same_site = c_null_ptr
    integer(c_int64_t) :: max_age_s = 0
    integer(c_int32_t) :: secure = 0
    integer(c_int32_t) :: script_visible = 0
  end type hasty_cookie

  ! A request and its answer at a fixed address, for languages in which every call is expensive.
  type, bind(C), public :: hasty_slot
    integer(c_size_t) :: size = 0
    type(c_ptr) :: app = c_null_ptr
    integer(c_int64_t) :: ticket = 0
    integer(c_int32_t) :: route = 0
    integer(c_int32_t) :: method = 0
    type(c_ptr) :: user_data = c_null_ptr
    type(c_ptr) :: request = c_null_ptr
    type(c_ptr) :: method_text = c_null_ptr
    type(c_ptr) :: path = c_null_ptr
    type(c_ptr) :: query = c_null_ptr
    type(c_ptr) :: params = c_null_ptr
    type(c_ptr) :: header_names = c_null_ptr
    type(c_ptr) :: header_values = c_null_ptr
    integer(c_int64_t) :: path_len = 0
    integer(c_int64_t) :: query_len = 0
    integer(c_int64_t) :: params_len = 0
    integer(c_int64_t) :: header_count = 0
    type(c_ptr) :: body = c_null_ptr
    integer(c_int64_t) :: body_len = 0
    integer(c_int32_t) :: status = 0
    integer(c_int32_t) :: kind = 0
    type(c_ptr) :: content_type = c_null_ptr
    type(c_ptr) :: extra_headers = c_null_ptr
    integer(c_int64_t) :: extra_headers_len = 0
    type(c_ptr) :: reply = c_null_ptr
    integer(c_int64_t) :: reply_len = 0
  end type hasty_slot

  ! An object of the host's that stands for a slot: see `hasty_slot_take_object()`.
  type, bind(C), public :: hasty_slot_object
    type(c_ptr) :: first = c_null_ptr
    type(c_ptr) :: second = c_null_ptr
    type(c_ptr) :: slot = c_null_ptr
    integer(c_int32_t) :: status = 0
    integer(c_int32_t) :: length_at = 0
    integer(c_int32_t) :: bytes_at = 0
    integer(c_int32_t) :: reserved = 0
    type(c_ptr) :: reply = c_null_ptr
  end type hasty_slot_object

  ! A slot with more fields: pass `&more.slot`, with `more.slot.size = sizeof more`.
  type, bind(C), public :: hasty_slot_more
    type(hasty_slot) :: slot
    integer(c_int32_t) :: minor_version = 0
    integer(c_int32_t) :: remote_v4 = 0
    integer(c_int64_t) :: alike = 0
  end type hasty_slot_more

  abstract interface

    ! Answers one request.
    function hasty_handler(req, res, user_data) bind(C) result(answer)
      import
      type(c_ptr), value :: req
      type(c_ptr), value :: res
      type(c_ptr), value :: user_data
      integer(c_int32_t) :: answer
    end function hasty_handler

    ! Frees a `user_data`.
    subroutine hasty_drop(user_data) bind(C)
      import
      type(c_ptr), value :: user_data
    end subroutine hasty_drop

    ! Decides whether one more request of `key` is allowed: 1 allows, 0 refuses.
    function hasty_allow_fn(key, user_data) bind(C) result(answer)
      import
      type(hasty_str), intent(in) :: key
      type(c_ptr), value :: user_data
      integer(c_int32_t) :: answer
    end function hasty_allow_fn

    ! Receives one log message; `level` is one of `HASTY_LOG_*`.
    subroutine hasty_log_fn(level, message, user_data) bind(C)
      import
      integer(c_int32_t), value :: level
      type(hasty_str), intent(in) :: message
      type(c_ptr), value :: user_data
    end subroutine hasty_log_fn

    ! Receives the record of one finished request.
    subroutine hasty_access_fn(record, user_data) bind(C)
      import
      type(hasty_access), intent(in) :: record
      type(c_ptr), value :: user_data
    end subroutine hasty_access_fn

    ! Reports an event; the function that registers it says which, when, and on which thread.
    subroutine hasty_notify_fn(user_data) bind(C)
      import
      type(c_ptr), value :: user_data
    end subroutine hasty_notify_fn
  end interface

  interface

    ! Returns the ABI's number.
    function hasty_abi_version() bind(C, name='hasty_abi_version') result(answer)
      import
      integer(c_int32_t) :: answer
    end function hasty_abi_version

    ! Returns the library's version, such as "0.1.0".
    function hasty_version() bind(C, name='hasty_version') result(answer)
      import
      type(c_ptr) :: answer
    end function hasty_version

    ! Returns a status's name, such as "HASTY_ERR_INVALID"; "unknown" for any other number.
    function hasty_status_name(status) bind(C, name='hasty_status_name') result(answer)
      import
      integer(c_int32_t), value :: status
      type(c_ptr) :: answer
    end function hasty_status_name

    ! Returns what went wrong in this thread's last failing call, naming the value and the rule.
    function hasty_last_error() bind(C, name='hasty_last_error') result(answer)
      import
      type(hasty_str) :: answer
    end function hasty_last_error

    ! Like `hasty_last_error()`, for languages that cannot take structs by value.
    function hasty_last_error_to(out) bind(C, name='hasty_last_error_to') result(answer)
      import
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_last_error_to

    ! Makes an app. `options` may be NULL: all defaults.
    function hasty_app_new(options, out) bind(C, name='hasty_app_new') result(answer)
      import
      type(hasty_options), intent(in), optional :: options
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_app_new

    ! Stops the app, waits for callbacks that run, and frees it.
    subroutine hasty_app_free(app) bind(C, name='hasty_app_free')
      import
      type(c_ptr), value :: app
    end subroutine hasty_app_free

    ! Sets an option by name and text, literally: "0" is zero, none or off.
    function hasty_app_set_option(app, key, value) bind(C, name='hasty_app_set_option') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: key(*)
      character(kind=c_char), intent(in) :: value(*)
      integer(c_int32_t) :: answer
    end function hasty_app_set_option

    ! Sets an option of one route, identified by the method ("*" for any) and pattern it was registered with, before start.
    function hasty_app_set_route_option(app, method, pattern, key, value) bind(C, name='hasty_app_set_route_option') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: method(*)
      character(kind=c_char), intent(in) :: pattern(*)
      character(kind=c_char), intent(in) :: key(*)
      character(kind=c_char), intent(in) :: value(*)
      integer(c_int32_t) :: answer
    end function hasty_app_set_route_option

    ! Returns an option's value as text, or its default.
    function hasty_app_option(app, key) bind(C, name='hasty_app_option') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: key(*)
      type(hasty_str) :: answer
    end function hasty_app_option

    ! Like `hasty_app_option()`, for languages that cannot take structs by value.
    function hasty_app_option_to(app, key, out) bind(C, name='hasty_app_option_to') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: key(*)
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_app_option_to

    ! Adds `handler` for `method` and `pattern`.
    function hasty_app_route(app, method, pattern, handler, user_data, drop) bind(C, name='hasty_app_route') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: method(*)
      character(kind=c_char), intent(in) :: pattern(*)
      type(c_funptr), value :: handler
      type(c_ptr), value :: user_data
      type(c_funptr), value :: drop
      integer(c_int32_t) :: answer
    end function hasty_app_route

    ! Adds `handler` for GET, and for HEAD unless HEAD has a handler of its own. `user_data` must outlive the app.
    function hasty_app_get(app, pattern, handler, user_data) bind(C, name='hasty_app_get') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: pattern(*)
      type(c_funptr), value :: handler
      type(c_ptr), value :: user_data
      integer(c_int32_t) :: answer
    end function hasty_app_get

    ! Adds `handler` for POST. `user_data` must outlive the app.
    function hasty_app_post(app, pattern, handler, user_data) bind(C, name='hasty_app_post') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: pattern(*)
      type(c_funptr), value :: handler
      type(c_ptr), value :: user_data
      integer(c_int32_t) :: answer
    end function hasty_app_post

    ! Adds `handler` for PUT. `user_data` must outlive the app.
    function hasty_app_put(app, pattern, handler, user_data) bind(C, name='hasty_app_put') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: pattern(*)
      type(c_funptr), value :: handler
      type(c_ptr), value :: user_data
      integer(c_int32_t) :: answer
    end function hasty_app_put

    ! Adds `handler` for PATCH. `user_data` must outlive the app.
    function hasty_app_patch(app, pattern, handler, user_data) bind(C, name='hasty_app_patch') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: pattern(*)
      type(c_funptr), value :: handler
      type(c_ptr), value :: user_data
      integer(c_int32_t) :: answer
    end function hasty_app_patch

    ! Adds `handler` for DELETE. `user_data` must outlive the app.
    function hasty_app_delete(app, pattern, handler, user_data) bind(C, name='hasty_app_delete') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: pattern(*)
      type(c_funptr), value :: handler
      type(c_ptr), value :: user_data
      integer(c_int32_t) :: answer
    end function hasty_app_delete

    ! Adds `handler` for every method that has no handler of its own. `user_data` must outlive the app.
    function hasty_app_any(app, pattern, handler, user_data) bind(C, name='hasty_app_any') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: pattern(*)
      type(c_funptr), value :: handler
      type(c_ptr), value :: user_data
      integer(c_int32_t) :: answer
    end function hasty_app_any

    ! Serves the files below `directory` for GET and HEAD, at `prefix` and every path below it. `options` may be NULL.
    function hasty_app_static(app, prefix, directory, options) bind(C, name='hasty_app_static') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: prefix(*)
      character(kind=c_char), intent(in) :: directory(*)
      type(hasty_static), intent(in), optional :: options
      integer(c_int32_t) :: answer
    end function hasty_app_static

    ! Runs `handler` before those of the routes, for every request at `prefix` and below, in the order of registration.
    function hasty_app_use(app, prefix, handler, user_data, drop) bind(C, name='hasty_app_use') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: prefix(*)
      type(c_funptr), value :: handler
      type(c_ptr), value :: user_data
      type(c_funptr), value :: drop
      integer(c_int32_t) :: answer
    end function hasty_app_use

    ! Runs `handler` after those of the routes, for every answer at `prefix` and below, in the reverse order of registration.
    function hasty_app_after(app, prefix, handler, user_data, drop) bind(C, name='hasty_app_after') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: prefix(*)
      type(c_funptr), value :: handler
      type(c_ptr), value :: user_data
      type(c_funptr), value :: drop
      integer(c_int32_t) :: answer
    end function hasty_app_after

    ! Lets scripts of other origins read answers at `prefix` and below.
    function hasty_app_cors(app, prefix, policy) bind(C, name='hasty_app_cors') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: prefix(*)
      type(hasty_cors), intent(in), optional :: policy
      integer(c_int32_t) :: answer
    end function hasty_app_cors

    ! Limits the rate of each client's requests at `prefix` and below; excess ones are answered 429, with `Retry-After`.
    function hasty_app_rate_limit(app, prefix, per_minute, burst, allow, user_data, drop) bind(C, name='hasty_app_rate_limit') &
        result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: prefix(*)
      integer(c_int32_t), value :: per_minute
      integer(c_int32_t), value :: burst
      type(c_funptr), value :: allow
      type(c_ptr), value :: user_data
      type(c_funptr), value :: drop
      integer(c_int32_t) :: answer
    end function hasty_app_rate_limit

    ! Adds a header to every answer that has none of that name, `Vary` to all; both strings are copied.
    function hasty_app_add_header(app, name, value) bind(C, name='hasty_app_add_header') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: name(*)
      character(kind=c_char), intent(in) :: value(*)
      integer(c_int32_t) :: answer
    end function hasty_app_add_header

    ! Adds a set of common security headers to every answer, each unless the answer has one of that name.
    function hasty_app_secure_headers(app) bind(C, name='hasty_app_secure_headers') result(answer)
      import
      type(c_ptr), value :: app
      integer(c_int32_t) :: answer
    end function hasty_app_secure_headers

    ! Lets `handler` change every answer from 400 to 599 that the library itself gives.
    function hasty_app_on_error(app, handler, user_data, drop) bind(C, name='hasty_app_on_error') result(answer)
      import
      type(c_ptr), value :: app
      type(c_funptr), value :: handler
      type(c_ptr), value :: user_data
      type(c_funptr), value :: drop
      integer(c_int32_t) :: answer
    end function hasty_app_on_error

    ! Passes log messages to `log`; without it they are discarded.
    function hasty_app_on_log(app, log, user_data, drop) bind(C, name='hasty_app_on_log') result(answer)
      import
      type(c_ptr), value :: app
      type(c_funptr), value :: log
      type(c_ptr), value :: user_data
      type(c_funptr), value :: drop
      integer(c_int32_t) :: answer
    end function hasty_app_on_log

    ! Passes `access` the record of each answered request, including those that could not be parsed.
    function hasty_app_on_access(app, access, user_data, drop) bind(C, name='hasty_app_on_access') result(answer)
      import
      type(c_ptr), value :: app
      type(c_funptr), value :: access
      type(c_ptr), value :: user_data
      type(c_funptr), value :: drop
      integer(c_int32_t) :: answer
    end function hasty_app_on_access

    ! Calls `start` on each thread of the app's pool before it serves, and `stop` before it ends.
    function hasty_app_on_thread(app, start, stop, user_data, drop) bind(C, name='hasty_app_on_thread') result(answer)
      import
      type(c_ptr), value :: app
      type(c_funptr), value :: start
      type(c_funptr), value :: stop
      type(c_ptr), value :: user_data
      type(c_funptr), value :: drop
      integer(c_int32_t) :: answer
    end function hasty_app_on_thread

    ! Answers GET at `pattern` with a health report in JSON: status 200, or 503 while the app drains.
    function hasty_app_health(app, pattern) bind(C, name='hasty_app_health') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: pattern(*)
      integer(c_int32_t) :: answer
    end function hasty_app_health

    ! Listens on a TCP port, at once; connections are accepted after start.
    function hasty_app_listen(app, host, port) bind(C, name='hasty_app_listen') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in), optional :: host(*)
      integer(c_int32_t), value :: port
      integer(c_int32_t) :: answer
    end function hasty_app_listen

    ! Listens on a Unix socket, at once.
    function hasty_app_listen_unix(app, path, mode) bind(C, name='hasty_app_listen_unix') result(answer)
      import
      type(c_ptr), value :: app
      character(kind=c_char), intent(in) :: path(*)
      integer(c_int32_t), value :: mode
      integer(c_int32_t) :: answer
    end function hasty_app_listen_unix

    ! Listens on a socket that is listening already, such as one passed by a service manager.
    function hasty_app_listen_fd(app, fd) bind(C, name='hasty_app_listen_fd') result(answer)
      import
      type(c_ptr), value :: app
      integer(c_int32_t), value :: fd
      integer(c_int32_t) :: answer
    end function hasty_app_listen_fd

    ! Returns the port of the first TCP listener; 0 without one.
    function hasty_app_port(app) bind(C, name='hasty_app_port') result(answer)
      import
      type(c_ptr), value :: app
      integer(c_int32_t) :: answer
    end function hasty_app_port

    ! Starts the app's threads, and returns.
    function hasty_app_start(app) bind(C, name='hasty_app_start') result(answer)
      import
      type(c_ptr), value :: app
      integer(c_int32_t) :: answer
    end function hasty_app_start

    ! Starts the app unless it has started, and serves on this thread too until the app is stopped.
    function hasty_app_run(app) bind(C, name='hasty_app_run') result(answer)
      import
      type(c_ptr), value :: app
      integer(c_int32_t) :: answer
    end function hasty_app_run

    ! Refuses new connections, lets requests in progress finish with `Connection: close`, and stops, at the latest after
    ! `timeout_ms`.
    function hasty_app_drain(app, timeout_ms) bind(C, name='hasty_app_drain') result(answer)
      import
      type(c_ptr), value :: app
      integer(c_int32_t), value :: timeout_ms
      integer(c_int32_t) :: answer
    end function hasty_app_drain

    ! Asks the app to drain, and returns at once: `hasty_app_drain()` for programs whose threads have other things to do.
    subroutine hasty_app_begin_drain(app, timeout_ms) bind(C, name='hasty_app_begin_drain')
      import
      type(c_ptr), value :: app
      integer(c_int32_t), value :: timeout_ms
    end subroutine hasty_app_begin_drain

    ! Asks the app to stop, and returns at once.
    subroutine hasty_app_stop(app) bind(C, name='hasty_app_stop')
      import
      type(c_ptr), value :: app
    end subroutine hasty_app_stop

    ! Waits until the app has stopped and its last callback has returned.
    function hasty_app_wait(app, timeout_ms) bind(C, name='hasty_app_wait') result(answer)
      import
      type(c_ptr), value :: app
      integer(c_int32_t), value :: timeout_ms
      integer(c_int32_t) :: answer
    end function hasty_app_wait

    ! Returns a descriptor that is readable exactly while requests wait for `hasty_app_poll()` or its like.
    function hasty_app_fd(app) bind(C, name='hasty_app_fd') result(answer)
      import
      type(c_ptr), value :: app
      integer(c_int32_t) :: answer
    end function hasty_app_fd

    ! Runs handlers of routes with `dispatch = caller` on this thread.
    function hasty_app_poll(app, max_requests, timeout_ms, served) bind(C, name='hasty_app_poll') result(answer)
      import
      type(c_ptr), value :: app
      integer(c_int32_t), value :: max_requests
      integer(c_int32_t), value :: timeout_ms
      integer(c_int32_t), intent(inout) :: served
      integer(c_int32_t) :: answer
    end function hasty_app_poll

    ! Takes a request of a route with `dispatch = caller`, or waits for one.
    function hasty_app_next(app, timeout_ms, out) bind(C, name='hasty_app_next') result(answer)
      import
      type(c_ptr), value :: app
      integer(c_int32_t), value :: timeout_ms
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_app_next

    ! Ends a waiting call of `hasty_app_poll()`, `hasty_app_next()` or `hasty_slot_wait()`, or else the next one that would
    ! wait.
    subroutine hasty_app_wake(app) bind(C, name='hasty_app_wake')
      import
      type(c_ptr), value :: app
    end subroutine hasty_app_wake

    ! Writes a record as one line of an access log, without line end.
    function hasty_access_to_text(record, format, buf, cap, needed) bind(C, name='hasty_access_to_text') result(answer)
      import
      type(hasty_access), intent(in) :: record
      character(kind=c_char), intent(in) :: format(*)
      character(kind=c_char), intent(inout), optional :: buf(*)
      integer(c_size_t), value :: cap
      integer(c_size_t), intent(inout) :: needed
      integer(c_int32_t) :: answer
    end function hasty_access_to_text

    ! Returns the method as sent, such as "GET".
    function hasty_request_method(req) bind(C, name='hasty_request_method') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str) :: answer
    end function hasty_request_method

    ! Like `hasty_request_method()`, for languages that cannot take structs by value.
    function hasty_request_method_to(req, out) bind(C, name='hasty_request_method_to') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_method_to

    ! Returns the path, percent-decoded, for display.
    function hasty_request_path(req) bind(C, name='hasty_request_path') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str) :: answer
    end function hasty_request_path

    ! Like `hasty_request_path()`, for languages that cannot take structs by value.
    function hasty_request_path_to(req, out) bind(C, name='hasty_request_path_to') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_path_to

    ! Returns the path as sent, without the query.
    function hasty_request_raw_path(req) bind(C, name='hasty_request_raw_path') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str) :: answer
    end function hasty_request_raw_path

    ! Like `hasty_request_raw_path()`, for languages that cannot take structs by value.
    function hasty_request_raw_path_to(req, out) bind(C, name='hasty_request_raw_path_to') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_raw_path_to

    ! Returns what follows the `?` as sent.
    function hasty_request_query_string(req) bind(C, name='hasty_request_query_string') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str) :: answer
    end function hasty_request_query_string

    ! Like `hasty_request_query_string()`, for languages that cannot take structs by value.
    function hasty_request_query_string_to(req, out) bind(C, name='hasty_request_query_string_to') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_query_string_to

    ! Returns the whole request target as sent.
    function hasty_request_target(req) bind(C, name='hasty_request_target') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str) :: answer
    end function hasty_request_target

    ! Like `hasty_request_target()`, for languages that cannot take structs by value.
    function hasty_request_target_to(req, out) bind(C, name='hasty_request_target_to') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_target_to

    ! Returns the pattern of the route that answers, as registered.
    function hasty_request_route(req) bind(C, name='hasty_request_route') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str) :: answer
    end function hasty_request_route

    ! Like `hasty_request_route()`, for languages that cannot take structs by value.
    function hasty_request_route_to(req, out) bind(C, name='hasty_request_route_to') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_route_to

    ! Returns the client's address, without port, such as "127.0.0.1"; "unix" for a Unix socket.
    function hasty_request_remote_address(req) bind(C, name='hasty_request_remote_address') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str) :: answer
    end function hasty_request_remote_address

    ! Like `hasty_request_remote_address()`, for languages that cannot take structs by value.
    function hasty_request_remote_address_to(req, out) bind(C, name='hasty_request_remote_address_to') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_remote_address_to

    ! Returns the request's id: its X-Request-ID if that is printable and at most 128 bytes long, else 32 hexadecimal digits
    ! generated on first use.
    function hasty_request_id(req) bind(C, name='hasty_request_id') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str) :: answer
    end function hasty_request_id

    ! Like `hasty_request_id()`, for languages that cannot take structs by value.
    function hasty_request_id_to(req, out) bind(C, name='hasty_request_id_to') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_id_to

    ! Returns the body, as received.
    function hasty_request_body(req) bind(C, name='hasty_request_body') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str) :: answer
    end function hasty_request_body

    ! Like `hasty_request_body()`, for languages that cannot take structs by value.
    function hasty_request_body_to(req, out) bind(C, name='hasty_request_body_to') result(answer)
      import
      type(c_ptr), value :: req
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_body_to

    ! Returns 1 for HTTP/1.1, 0 for HTTP/1.0 (and for NULL).
    function hasty_request_minor_version(req) bind(C, name='hasty_request_minor_version') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_int32_t) :: answer
    end function hasty_request_minor_version

    ! Returns the first header called `name`, compared without case.
    function hasty_request_header(req, name) bind(C, name='hasty_request_header') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_str) :: answer
    end function hasty_request_header

    ! Like `hasty_request_header()`, for languages that cannot take structs by value.
    function hasty_request_header_to(req, name, out) bind(C, name='hasty_request_header_to') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_header_to

    ! Returns the segment that matched `:name` of the route's pattern, or the rest that matched `*name`, percent-decoded once.
    function hasty_request_param(req, name) bind(C, name='hasty_request_param') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_str) :: answer
    end function hasty_request_param

    ! Like `hasty_request_param()`, for languages that cannot take structs by value.
    function hasty_request_param_to(req, name, out) bind(C, name='hasty_request_param_to') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_param_to

    ! Returns the first value of `name` in the query, decoded; `+` is a space.
    function hasty_request_query(req, name) bind(C, name='hasty_request_query') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_str) :: answer
    end function hasty_request_query

    ! Like `hasty_request_query()`, for languages that cannot take structs by value.
    function hasty_request_query_to(req, name, out) bind(C, name='hasty_request_query_to') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_query_to

    ! Returns the first cookie called `name`, as received, without quotes around it.
    function hasty_request_cookie(req, name) bind(C, name='hasty_request_cookie') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_str) :: answer
    end function hasty_request_cookie

    ! Like `hasty_request_cookie()`, for languages that cannot take structs by value.
    function hasty_request_cookie_to(req, name, out) bind(C, name='hasty_request_cookie_to') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_cookie_to

    ! Returns the first value of `name` among the fields of a form, urlencoded (decoded) or multipart; files are not fields.
    function hasty_request_form(req, name) bind(C, name='hasty_request_form') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_str) :: answer
    end function hasty_request_form

    ! Like `hasty_request_form()`, for languages that cannot take structs by value.
    function hasty_request_form_to(req, name, out) bind(C, name='hasty_request_form_to') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_form_to

    ! Returns how many header lines there are.
    function hasty_request_header_count(req) bind(C, name='hasty_request_header_count') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t) :: answer
    end function hasty_request_header_count

    ! Returns how many params there are.
    function hasty_request_param_count(req) bind(C, name='hasty_request_param_count') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t) :: answer
    end function hasty_request_param_count

    ! Returns how many parameters the query has, counting repeated names each time.
    function hasty_request_query_count(req) bind(C, name='hasty_request_query_count') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t) :: answer
    end function hasty_request_query_count

    ! Returns how many cookies there are.
    function hasty_request_cookie_count(req) bind(C, name='hasty_request_cookie_count') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t) :: answer
    end function hasty_request_cookie_count

    ! Returns how many fields a form has, urlencoded or multipart, counting repeated names each time; 0 for other bodies.
    function hasty_request_form_count(req) bind(C, name='hasty_request_form_count') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t) :: answer
    end function hasty_request_form_count

    ! Gives name and value number `index`, in order of arrival, names as sent.
    function hasty_request_header_at(req, index, name, value) bind(C, name='hasty_request_header_at') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t), value :: index
      type(hasty_str), intent(inout) :: name
      type(hasty_str), intent(inout) :: value
      integer(c_int32_t) :: answer
    end function hasty_request_header_at

    ! Gives name and value number `index`, in the order of the pattern.
    function hasty_request_param_at(req, index, name, value) bind(C, name='hasty_request_param_at') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t), value :: index
      type(hasty_str), intent(inout) :: name
      type(hasty_str), intent(inout) :: value
      integer(c_int32_t) :: answer
    end function hasty_request_param_at

    ! Gives name and value number `index`, in order, decoded.
    function hasty_request_query_at(req, index, name, value) bind(C, name='hasty_request_query_at') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t), value :: index
      type(hasty_str), intent(inout) :: name
      type(hasty_str), intent(inout) :: value
      integer(c_int32_t) :: answer
    end function hasty_request_query_at

    ! Gives name and value number `index`, in order.
    function hasty_request_cookie_at(req, index, name, value) bind(C, name='hasty_request_cookie_at') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t), value :: index
      type(hasty_str), intent(inout) :: name
      type(hasty_str), intent(inout) :: value
      integer(c_int32_t) :: answer
    end function hasty_request_cookie_at

    ! Gives name and value number `index`, in order, decoded.
    function hasty_request_form_at(req, index, name, value) bind(C, name='hasty_request_form_at') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t), value :: index
      type(hasty_str), intent(inout) :: name
      type(hasty_str), intent(inout) :: value
      integer(c_int32_t) :: answer
    end function hasty_request_form_at

    ! Tells whether the body is a form that could be read: `HASTY_ERR_INVALID` if a multipart form is malformed.
    function hasty_request_form_status(req) bind(C, name='hasty_request_form_status') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_int32_t) :: answer
    end function hasty_request_form_status

    ! Returns how many files a multipart form has; 0 for other bodies.
    function hasty_request_file_count(req) bind(C, name='hasty_request_file_count') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t) :: answer
    end function hasty_request_file_count

    ! Describes a file of a multipart form, in the order of the form.
    function hasty_request_file_at(req, index, out) bind(C, name='hasty_request_file_at') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t), value :: index
      type(hasty_file), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_file_at

    ! Describes the first file of a multipart form whose field is called `name`.
    function hasty_request_file(req, name, out) bind(C, name='hasty_request_file') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_file), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_file

    ! Writes a copy of a file of a multipart form to `path`, in place of any file there.
    function hasty_request_save_file(req, index, path) bind(C, name='hasty_request_save_file') result(answer)
      import
      type(c_ptr), value :: req
      integer(c_size_t), value :: index
      character(kind=c_char), intent(in) :: path(*)
      integer(c_int32_t) :: answer
    end function hasty_request_save_file

    ! Reads some bytes of the body, waiting for them: for routes with `body = stream`, whose handler runs before it is
    ! received.
    function hasty_request_read(req, buf, len, got) bind(C, name='hasty_request_read') result(answer)
      import
      type(c_ptr), value :: req
      type(c_ptr), value :: buf
      integer(c_size_t), value :: len
      integer(c_size_t), intent(inout) :: got
      integer(c_int32_t) :: answer
    end function hasty_request_read

    ! Parses the body as JSON, whatever its Content-Type.
    function hasty_request_json(req, out) bind(C, name='hasty_request_json') result(answer)
      import
      type(c_ptr), value :: req
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_request_json

    ! Returns the `user_data` that the route was registered with; NULL if no route answers.
    function hasty_request_user_data(req) bind(C, name='hasty_request_user_data') result(answer)
      import
      type(c_ptr), value :: req
      type(c_ptr) :: answer
    end function hasty_request_user_data

    ! Keeps `value` under `key` until the request ends, in place of an earlier one.
    function hasty_request_set_local(req, key, value, drop) bind(C, name='hasty_request_set_local') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr), value :: value
      type(c_funptr), value :: drop
      integer(c_int32_t) :: answer
    end function hasty_request_set_local

    ! Returns the value set by `hasty_request_set_local()` under `key`; NULL if there is none.
    function hasty_request_local(req, key) bind(C, name='hasty_request_local') result(answer)
      import
      type(c_ptr), value :: req
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr) :: answer
    end function hasty_request_local

    ! Sets the status code: 200 to 599.
    function hasty_response_set_status(res, code) bind(C, name='hasty_response_set_status') result(answer)
      import
      type(c_ptr), value :: res
      integer(c_int32_t), value :: code
      integer(c_int32_t) :: answer
    end function hasty_response_set_status

    ! Returns the status code as it stands.
    function hasty_response_status(res) bind(C, name='hasty_response_status') result(answer)
      import
      type(c_ptr), value :: res
      integer(c_int32_t) :: answer
    end function hasty_response_status

    ! Sets a header in place of any of that name; both strings are copied.
    function hasty_response_set_header(res, name, value) bind(C, name='hasty_response_set_header') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: name(*)
      character(kind=c_char), intent(in) :: value(*)
      integer(c_int32_t) :: answer
    end function hasty_response_set_header

    ! Adds a header beside any of that name; both strings are copied.
    function hasty_response_add_header(res, name, value) bind(C, name='hasty_response_add_header') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: name(*)
      character(kind=c_char), intent(in) :: value(*)
      integer(c_int32_t) :: answer
    end function hasty_response_add_header

    ! Like `hasty_response_set_header()`, with a value of `len` bytes that need not end with a NUL.
    function hasty_response_set_header_bytes(res, name, value, len) bind(C, name='hasty_response_set_header_bytes') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: name(*)
      type(c_ptr), value :: value
      integer(c_size_t), value :: len
      integer(c_int32_t) :: answer
    end function hasty_response_set_header_bytes

    ! Like `hasty_response_add_header()`, with a value of `len` bytes that need not end with a NUL.
    function hasty_response_add_header_bytes(res, name, value, len) bind(C, name='hasty_response_add_header_bytes') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: name(*)
      type(c_ptr), value :: value
      integer(c_size_t), value :: len
      integer(c_int32_t) :: answer
    end function hasty_response_add_header_bytes

    ! Removes all headers called `name`, compared without case; there need not be any.
    function hasty_response_remove_header(res, name) bind(C, name='hasty_response_remove_header') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: name(*)
      integer(c_int32_t) :: answer
    end function hasty_response_remove_header

    ! Returns the first header called `name` that was set so far, compared without case.
    function hasty_response_header(res, name) bind(C, name='hasty_response_header') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_str) :: answer
    end function hasty_response_header

    ! Like `hasty_response_header()`, for languages that cannot take structs by value.
    function hasty_response_header_to(res, name, out) bind(C, name='hasty_response_header_to') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_response_header_to

    ! Returns the body set so far.
    function hasty_response_body(res) bind(C, name='hasty_response_body') result(answer)
      import
      type(c_ptr), value :: res
      type(hasty_str) :: answer
    end function hasty_response_body

    ! Like `hasty_response_body()`, for languages that cannot take structs by value.
    function hasty_response_body_to(res, out) bind(C, name='hasty_response_body_to') result(answer)
      import
      type(c_ptr), value :: res
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_response_body_to

    ! Sets the body's type.
    function hasty_response_set_type(res, type) bind(C, name='hasty_response_set_type') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: type(*)
      integer(c_int32_t) :: answer
    end function hasty_response_set_type

    ! Adds a cookie. `options` may be NULL: path "/", SameSite=Lax, HttpOnly, until the browser closes.
    function hasty_response_set_cookie(res, name, value, options) bind(C, name='hasty_response_set_cookie') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: name(*)
      character(kind=c_char), intent(in) :: value(*)
      type(hasty_cookie), intent(in), optional :: options
      integer(c_int32_t) :: answer
    end function hasty_response_set_cookie

    ! Tells the client to forget a cookie.
    function hasty_response_delete_cookie(res, name, options) bind(C, name='hasty_response_delete_cookie') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: name(*)
      type(hasty_cookie), intent(in), optional :: options
      integer(c_int32_t) :: answer
    end function hasty_response_delete_cookie

    ! Sends `len` bytes, which are copied.
    function hasty_response_send(res, data, len) bind(C, name='hasty_response_send') result(answer)
      import
      type(c_ptr), value :: res
      type(c_ptr), value :: data
      integer(c_size_t), value :: len
      integer(c_int32_t) :: answer
    end function hasty_response_send

    ! Sends `len` bytes without copying them.
    function hasty_response_send_owned(res, data, len, user_data, drop) bind(C, name='hasty_response_send_owned') result(answer)
      import
      type(c_ptr), value :: res
      type(c_ptr), value :: data
      integer(c_size_t), value :: len
      type(c_ptr), value :: user_data
      type(c_funptr), value :: drop
      integer(c_int32_t) :: answer
    end function hasty_response_send_owned

    ! Sends UTF-8 text, which is copied.
    function hasty_response_send_text(res, text) bind(C, name='hasty_response_send_text') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: text(*)
      integer(c_int32_t) :: answer
    end function hasty_response_send_text

    ! Sends UTF-8 HTML, which is copied.
    function hasty_response_send_html(res, html) bind(C, name='hasty_response_send_html') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: html(*)
      integer(c_int32_t) :: answer
    end function hasty_response_send_html

    ! Sends JSON text as it is, copied; it is not checked.
    function hasty_response_send_json(res, json) bind(C, name='hasty_response_send_json') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: json(*)
      integer(c_int32_t) :: answer
    end function hasty_response_send_json

    ! Sends a JSON value as text; the value stays yours.
    function hasty_response_send_json_value(res, value) bind(C, name='hasty_response_send_json_value') result(answer)
      import
      type(c_ptr), value :: res
      type(c_ptr), value :: value
      integer(c_int32_t) :: answer
    end function hasty_response_send_json_value

    ! Sends a status with its phrase as text: "404 Not Found".
    function hasty_response_send_status(res, code) bind(C, name='hasty_response_send_status') result(answer)
      import
      type(c_ptr), value :: res
      integer(c_int32_t), value :: code
      integer(c_int32_t) :: answer
    end function hasty_response_send_status

    ! Sends the client to `location`; `code` is 301, 302, 303, 307 or 308.
    function hasty_response_send_redirect(res, code, location) bind(C, name='hasty_response_send_redirect') result(answer)
      import
      type(c_ptr), value :: res
      integer(c_int32_t), value :: code
      character(kind=c_char), intent(in) :: location(*)
      integer(c_int32_t) :: answer
    end function hasty_response_send_redirect

    ! Sends a file; its type follows from its name unless one was set.
    function hasty_response_send_file(res, path) bind(C, name='hasty_response_send_file') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: path(*)
      integer(c_int32_t) :: answer
    end function hasty_response_send_file

    ! Sends a file for the client to save as `filename`; NULL means the file's own name.
    function hasty_response_send_download(res, path, filename) bind(C, name='hasty_response_send_download') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in) :: path(*)
      character(kind=c_char), intent(in), optional :: filename(*)
      integer(c_int32_t) :: answer
    end function hasty_response_send_download

    ! Writes a piece of the body, which is copied, and sends it.
    function hasty_response_write(res, data, len) bind(C, name='hasty_response_write') result(answer)
      import
      type(c_ptr), value :: res
      type(c_ptr), value :: data
      integer(c_size_t), value :: len
      integer(c_int32_t) :: answer
    end function hasty_response_write

    ! Writes a server-sent event as a piece of the body: `text/event-stream`, with headers that keep caches from storing and
    ! proxies from buffering it.
    function hasty_response_write_event(res, event, data, id) bind(C, name='hasty_response_write_event') result(answer)
      import
      type(c_ptr), value :: res
      character(kind=c_char), intent(in), optional :: event(*)
      character(kind=c_char), intent(in) :: data(*)
      character(kind=c_char), intent(in), optional :: id(*)
      integer(c_int32_t) :: answer
    end function hasty_response_write_event

    ! Resets the response to an empty 200, and forgets the failure of a setter.
    function hasty_response_reset(res) bind(C, name='hasty_response_reset') result(answer)
      import
      type(c_ptr), value :: res
      integer(c_int32_t) :: answer
    end function hasty_response_reset

    ! Defers the answer: it may be given later, by any thread.
    function hasty_response_defer(res, out) bind(C, name='hasty_response_defer') result(answer)
      import
      type(c_ptr), value :: res
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_response_defer

    ! Returns the request, as it was when it was deferred.
    function hasty_exchange_request(exchange) bind(C, name='hasty_exchange_request') result(answer)
      import
      type(c_ptr), value :: exchange
      type(c_ptr) :: answer
    end function hasty_exchange_request

    ! Returns the response, to be filled in or written.
    function hasty_exchange_response(exchange) bind(C, name='hasty_exchange_response') result(answer)
      import
      type(c_ptr), value :: exchange
      type(c_ptr) :: answer
    end function hasty_exchange_response

    ! Sends the answer, or the end of what was written, and ends the exchange.
    function hasty_exchange_finish(exchange) bind(C, name='hasty_exchange_finish') result(answer)
      import
      type(c_ptr), value :: exchange
      integer(c_int32_t) :: answer
    end function hasty_exchange_finish

    ! Tells whether the client still waits: 0 once it has closed its side, was answered by a time-out, or the app has stopped.
    function hasty_exchange_alive(exchange) bind(C, name='hasty_exchange_alive') result(answer)
      import
      type(c_ptr), value :: exchange
      integer(c_int32_t) :: answer
    end function hasty_exchange_alive

    ! Calls `gone` once when nobody waits for the answer any more: on one of the app's threads, or within this call if that is
    ! so already.
    function hasty_exchange_on_close(exchange, gone, user_data, drop) bind(C, name='hasty_exchange_on_close') result(answer)
      import
      type(c_ptr), value :: exchange
      type(c_funptr), value :: gone
      type(c_ptr), value :: user_data
      type(c_funptr), value :: drop
      integer(c_int32_t) :: answer
    end function hasty_exchange_on_close

    ! Calls `ready` once when there is room to write more: on one of the app's threads, or within this call if there is room
    ! already.
    function hasty_exchange_on_ready(exchange, ready, user_data, drop) bind(C, name='hasty_exchange_on_ready') result(answer)
      import
      type(c_ptr), value :: exchange
      type(c_funptr), value :: ready
      type(c_ptr), value :: user_data
      type(c_funptr), value :: drop
      integer(c_int32_t) :: answer
    end function hasty_exchange_on_ready

    ! Ends an exchange without an answer: the client gets a 503, or in the middle of a stream the connection is cut.
    subroutine hasty_exchange_free(exchange) bind(C, name='hasty_exchange_free')
      import
      type(c_ptr), value :: exchange
    end subroutine hasty_exchange_free

    ! Submits the answer in the slot, if one is owed, and takes the next request.
    function hasty_slot_take(slot) bind(C, name='hasty_slot_take') result(answer)
      import
      type(hasty_slot), intent(inout) :: slot
      integer(c_int32_t) :: answer
    end function hasty_slot_take

    ! The same as `hasty_slot_take()`, called with an object that refers to the slot.
    function hasty_slot_take_object(object) bind(C, name='hasty_slot_take_object') result(answer)
      import
      type(hasty_slot_object), intent(inout) :: object
      integer(c_int32_t) :: answer
    end function hasty_slot_take_object

    ! Waits until `hasty_slot_take()` would take a request.
    function hasty_slot_wait(slot, timeout_ms) bind(C, name='hasty_slot_wait') result(answer)
      import
      type(hasty_slot), intent(inout) :: slot
      integer(c_int32_t), value :: timeout_ms
      integer(c_int32_t) :: answer
    end function hasty_slot_wait

    ! Turns the request in the slot into an exchange, to be answered later; `ticket` becomes 0.
    function hasty_slot_exchange(slot, out) bind(C, name='hasty_slot_exchange') result(answer)
      import
      type(hasty_slot), intent(inout) :: slot
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_slot_exchange

    ! Parses `len` bytes of JSON: one value, followed by nothing but white space.
    function hasty_json_parse(text, len, out) bind(C, name='hasty_json_parse') result(answer)
      import
      type(c_ptr), value :: text
      integer(c_size_t), value :: len
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_json_parse

    ! Frees a value and all its parts.
    subroutine hasty_json_free(json) bind(C, name='hasty_json_free')
      import
      type(c_ptr), value :: json
    end subroutine hasty_json_free

    ! Copies a value with all its parts, borrowed ones too.
    function hasty_json_clone(json, out) bind(C, name='hasty_json_clone') result(answer)
      import
      type(c_ptr), value :: json
      type(c_ptr), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_json_clone

    ! Tells what a value is: one of `HASTY_JSON_*`, or -1 for NULL.
    function hasty_json_kind(json) bind(C, name='hasty_json_kind') result(answer)
      import
      type(c_ptr), value :: json
      integer(c_int32_t) :: answer
    end function hasty_json_kind

    ! Counts the items of an array or the members of an object; 0 for anything else.
    function hasty_json_len(json) bind(C, name='hasty_json_len') result(answer)
      import
      type(c_ptr), value :: json
      integer(c_size_t) :: answer
    end function hasty_json_len

    ! Returns the value of the member called `key`, or NULL: there is none, or `json` is no object.
    function hasty_json_get(json, key) bind(C, name='hasty_json_get') result(answer)
      import
      type(c_ptr), value :: json
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr) :: answer
    end function hasty_json_get

    ! Returns the item of an array, or the value of a member of an object, at `index`; NULL beyond the last.
    function hasty_json_at(json, index) bind(C, name='hasty_json_at') result(answer)
      import
      type(c_ptr), value :: json
      integer(c_size_t), value :: index
      type(c_ptr) :: answer
    end function hasty_json_at

    ! Returns the value that a JSON Pointer (RFC 6901) leads to, or NULL: it leads nowhere, or is malformed.
    function hasty_json_find(json, pointer) bind(C, name='hasty_json_find') result(answer)
      import
      type(c_ptr), value :: json
      character(kind=c_char), intent(in) :: pointer(*)
      type(c_ptr) :: answer
    end function hasty_json_find

    ! Returns the key of the member at `index`; `hasty_json_at()` has its value.
    function hasty_json_key_at(json, index) bind(C, name='hasty_json_key_at') result(answer)
      import
      type(c_ptr), value :: json
      integer(c_size_t), value :: index
      type(hasty_str) :: answer
    end function hasty_json_key_at

    ! `hasty_json_key_at()` for languages that cannot take structs by value; an absent key is absent in `*out`.
    function hasty_json_key_at_to(json, index, out) bind(C, name='hasty_json_key_at_to') result(answer)
      import
      type(c_ptr), value :: json
      integer(c_size_t), value :: index
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_json_key_at_to

    ! Returns the text of a string, as UTF-8; absent (`data` NULL) if the value is not a string.
    function hasty_json_as_string(json) bind(C, name='hasty_json_as_string') result(answer)
      import
      type(c_ptr), value :: json
      type(hasty_str) :: answer
    end function hasty_json_as_string

    ! `hasty_json_as_string()` for languages that cannot take structs by value; what is no string is absent in `*out`.
    function hasty_json_as_string_to(json, out) bind(C, name='hasty_json_as_string_to') result(answer)
      import
      type(c_ptr), value :: json
      type(hasty_str), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_json_as_string_to

    ! Reads a number as a signed 64-bit integer; 3.0 and 3e0 are whole too.
    function hasty_json_as_int(json, out) bind(C, name='hasty_json_as_int') result(answer)
      import
      type(c_ptr), value :: json
      integer(c_int64_t), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_json_as_int

    ! Reads a number as the double nearest to it.
    function hasty_json_as_double(json, out) bind(C, name='hasty_json_as_double') result(answer)
      import
      type(c_ptr), value :: json
      real(c_double), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_json_as_double

    ! Reads `true` as 1 and `false` as 0.
    function hasty_json_as_bool(json, out) bind(C, name='hasty_json_as_bool') result(answer)
      import
      type(c_ptr), value :: json
      integer(c_int32_t), intent(inout) :: out
      integer(c_int32_t) :: answer
    end function hasty_json_as_bool

    ! Makes an empty object.
    function hasty_json_new_object() bind(C, name='hasty_json_new_object') result(answer)
      import
      type(c_ptr) :: answer
    end function hasty_json_new_object

    ! Makes an empty array.
    function hasty_json_new_array() bind(C, name='hasty_json_new_array') result(answer)
      import
      type(c_ptr) :: answer
    end function hasty_json_new_array

    ! Makes a null.
    function hasty_json_new_null() bind(C, name='hasty_json_new_null') result(answer)
      import
      type(c_ptr) :: answer
    end function hasty_json_new_null

    ! Makes `false` of 0, and `true` of anything else.
    function hasty_json_new_bool(value) bind(C, name='hasty_json_new_bool') result(answer)
      import
      integer(c_int32_t), value :: value
      type(c_ptr) :: answer
    end function hasty_json_new_bool

    ! Makes a whole number.
    function hasty_json_new_int(value) bind(C, name='hasty_json_new_int') result(answer)
      import
      integer(c_int64_t), value :: value
      type(c_ptr) :: answer
    end function hasty_json_new_int

    ! Makes a number.
    function hasty_json_new_double(value) bind(C, name='hasty_json_new_double') result(answer)
      import
      real(c_double), value :: value
      type(c_ptr) :: answer
    end function hasty_json_new_double

    ! Makes a string of `len` bytes of UTF-8; invalid UTF-8 becomes U+FFFD.
    function hasty_json_new_string(utf8, len) bind(C, name='hasty_json_new_string') result(answer)
      import
      type(c_ptr), value :: utf8
      integer(c_size_t), value :: len
      type(c_ptr) :: answer
    end function hasty_json_new_string

    ! Makes `value` the member `key` of an object: it replaces an earlier one, which is freed, or is added last.
    function hasty_json_set(object, key, value) bind(C, name='hasty_json_set') result(answer)
      import
      type(c_ptr), value :: object
      character(kind=c_char), intent(in) :: key(*)
      type(c_ptr), value :: value
      integer(c_int32_t) :: answer
    end function hasty_json_set

    ! `hasty_json_set()` with a key of `len` bytes, which may hold NUL.
    function hasty_json_set_bytes(object, key, len, value) bind(C, name='hasty_json_set_bytes') result(answer)
      import
      type(c_ptr), value :: object
      type(c_ptr), value :: key
      integer(c_size_t), value :: len
      type(c_ptr), value :: value
      integer(c_int32_t) :: answer
    end function hasty_json_set_bytes

    ! Makes `value` the last item of an array.
    function hasty_json_push(array, value) bind(C, name='hasty_json_push') result(answer)
      import
      type(c_ptr), value :: array
      type(c_ptr), value :: value
      integer(c_int32_t) :: answer
    end function hasty_json_push

    ! Writes a value as JSON, without spaces and with a NUL at the end, into the `cap` bytes of `buf`.
    function hasty_json_to_text(json, buf, cap, needed) bind(C, name='hasty_json_to_text') result(answer)
      import
      type(c_ptr), value :: json
      character(kind=c_char), intent(inout), optional :: buf(*)
      integer(c_size_t), value :: cap
      integer(c_size_t), intent(inout) :: needed
      integer(c_int32_t) :: answer
    end function hasty_json_to_text
  end interface

  public :: hasty_handler
  public :: hasty_drop
  public :: hasty_allow_fn
  public :: hasty_log_fn
  public :: hasty_access_fn
  public :: hasty_notify_fn
  public :: hasty_abi_version
  public :: hasty_version
  public :: hasty_status_name
  public :: hasty_last_error
  public :: hasty_last_error_to
  public :: hasty_app_new
  public :: hasty_app_free
  public :: hasty_app_set_option
  public :: hasty_app_set_route_option
  public :: hasty_app_option
  public :: hasty_app_option_to
  public :: hasty_app_route
  public :: hasty_app_get
  public :: hasty_app_post
  public :: hasty_app_put
  public :: hasty_app_patch
  public :: hasty_app_delete
  public :: hasty_app_any
  public :: hasty_app_static
  public :: hasty_app_use
  public :: hasty_app_after
  public :: hasty_app_cors
  public :: hasty_app_rate_limit
  public :: hasty_app_add_header
  public :: hasty_app_secure_headers
  public :: hasty_app_on_error
  public :: hasty_app_on_log
  public :: hasty_app_on_access
  public :: hasty_app_on_thread
  public :: hasty_app_health
  public :: hasty_app_listen
  public :: hasty_app_listen_unix
  public :: hasty_app_listen_fd
  public :: hasty_app_port
  public :: hasty_app_start
  public :: hasty_app_run
  public :: hasty_app_drain
  public :: hasty_app_begin_drain
  public :: hasty_app_stop
  public :: hasty_app_wait
  public :: hasty_app_fd
  public :: hasty_app_poll
  public :: hasty_app_next
  public :: hasty_app_wake
  public :: hasty_access_to_text
  public :: hasty_request_method
  public :: hasty_request_method_to
  public :: hasty_request_path
  public :: hasty_request_path_to
  public :: hasty_request_raw_path
  public :: hasty_request_raw_path_to
  public :: hasty_request_query_string
  public :: hasty_request_query_string_to
  public :: hasty_request_target
  public :: hasty_request_target_to
  public :: hasty_request_route
  public :: hasty_request_route_to
  public :: hasty_request_remote_address
  public :: hasty_request_remote_address_to
  public :: hasty_request_id
  public :: hasty_request_id_to
  public :: hasty_request_body
  public :: hasty_request_body_to
  public :: hasty_request_minor_version
  public :: hasty_request_header
  public :: hasty_request_header_to
  public :: hasty_request_param
  public :: hasty_request_param_to
  public :: hasty_request_query
  public :: hasty_request_query_to
  public :: hasty_request_cookie
  public :: hasty_request_cookie_to
  public :: hasty_request_form
  public :: hasty_request_form_to
  public :: hasty_request_header_count
  public :: hasty_request_param_count
  public :: hasty_request_query_count
  public :: hasty_request_cookie_count
  public :: hasty_request_form_count
  public :: hasty_request_header_at
  public :: hasty_request_param_at
  public :: hasty_request_query_at
  public :: hasty_request_cookie_at
  public :: hasty_request_form_at
  public :: hasty_request_form_status
  public :: hasty_request_file_count
  public :: hasty_request_file_at
  public :: hasty_request_file
  public :: hasty_request_save_file
  public :: hasty_request_read
  public :: hasty_request_json
  public :: hasty_request_user_data
  public :: hasty_request_set_local
  public :: hasty_request_local
  public :: hasty_response_set_status
  public :: hasty_response_status
  public :: hasty_response_set_header
  public :: hasty_response_add_header
  public :: hasty_response_set_header_bytes
  public :: hasty_response_add_header_bytes
  public :: hasty_response_remove_header
  public :: hasty_response_header
  public :: hasty_response_header_to
  public :: hasty_response_body
  public :: hasty_response_body_to
  public :: hasty_response_set_type
  public :: hasty_response_set_cookie
  public :: hasty_response_delete_cookie
  public :: hasty_response_send
  public :: hasty_response_send_owned
  public :: hasty_response_send_text
  public :: hasty_response_send_html
  public :: hasty_response_send_json
  public :: hasty_response_send_json_value
  public :: hasty_response_send_status
  public :: hasty_response_send_redirect
  public :: hasty_response_send_file
  public :: hasty_response_send_download
  public :: hasty_response_write
  public :: hasty_response_write_event
  public :: hasty_response_reset
  public :: hasty_response_defer
  public :: hasty_exchange_request
  public :: hasty_exchange_response
  public :: hasty_exchange_finish
  public :: hasty_exchange_alive
  public :: hasty_exchange_on_close
  public :: hasty_exchange_on_ready
  public :: hasty_exchange_free
  public :: hasty_slot_take
  public :: hasty_slot_take_object
  public :: hasty_slot_wait
  public :: hasty_slot_exchange
  public :: hasty_json_parse
  public :: hasty_json_free
  public :: hasty_json_clone
  public :: hasty_json_kind
  public :: hasty_json_len
  public :: hasty_json_get
  public :: hasty_json_at
  public :: hasty_json_find
  public :: hasty_json_key_at
  public :: hasty_json_key_at_to
  public :: hasty_json_as_string
  public :: hasty_json_as_string_to
  public :: hasty_json_as_int
  public :: hasty_json_as_double
  public :: hasty_json_as_bool
  public :: hasty_json_new_object
  public :: hasty_json_new_array
  public :: hasty_json_new_null
  public :: hasty_json_new_bool
  public :: hasty_json_new_int
  public :: hasty_json_new_double
  public :: hasty_json_new_string
  public :: hasty_json_set
  public :: hasty_json_set_bytes
  public :: hasty_json_push
  public :: hasty_json_to_text

  ! ---- end of what is generated

  interface
    pure function strlen(text) bind(C, name='strlen')
      import :: c_ptr, c_size_t
      type(c_ptr), value :: text
      integer(c_size_t) :: strlen
    end function strlen
  end interface

contains

  ! A view as a string of its own; empty when it is absent, which c_associated(view%data) tells.
  function hasty_text(view) result(text)
    type(hasty_str), intent(in) :: view
    character(:), allocatable :: text
    character(kind=c_char), pointer :: bytes(:)
    integer(c_size_t) :: at

    if (.not. c_associated(view%data)) then
      text = ''
      return
    end if
    call c_f_pointer(view%data, bytes, [view%len])
    allocate (character(view%len) :: text)
    do at = 1, view%len
      text(at:at) = bytes(at)
    end do
  end function hasty_text

  ! A string of C that the library keeps, such as hasty_version(), as a string of its own.
  function hasty_c_text(pointer) result(text)
    type(c_ptr), intent(in) :: pointer
    character(:), allocatable :: text

    if (c_associated(pointer)) then
      text = hasty_text(hasty_str(pointer, strlen(pointer)))
    else
      text = ''
    end if
  end function hasty_c_text

  ! What went wrong in this thread's last failing call.
  function hasty_message() result(text)
    character(:), allocatable :: text

    text = hasty_text(hasty_last_error())
  end function hasty_message

  ! A JSON string of a Fortran string: all of it, spaces at its end too.
  function hasty_json_new_text(text) result(value)
    character(*), intent(in), target :: text
    type(c_ptr) :: value

    value = hasty_json_new_string(c_loc(text), len(text, c_size_t))
  end function hasty_json_new_text

end module hasty
