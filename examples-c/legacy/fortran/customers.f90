! A table of customers with an HTTP endpoint, in Fortran. ../README.md describes what it does.
!
!   $ gfortran -O2 -J target -o target/customers bindings/fortran/hasty.f90 \
!       examples-c/legacy/fortran/customers.f90 -L target/release -lhasty
!   $ LD_LIBRARY_PATH=target/release target/customers 8080
program customers
  use, intrinsic :: iso_c_binding
  use, intrinsic :: iso_fortran_env, only: error_unit, output_unit
  use hasty
  implicit none

  integer, parameter :: room = 50
  integer(c_int64_t), parameter :: largest = 999999999
  character, parameter :: nul = c_null_char

  type :: customer
    integer(c_int64_t) :: number = 0
    character(30) :: name = ''
    character(20) :: city = ''
    integer(c_int64_t) :: balance = 0 ! cents
  end type customer

  ! Nothing here needs a lock: only the main thread uses it.
  type(customer) :: table(room)
  integer :: rows = 3
  logical :: stopping = .false.

  type(c_ptr) :: app = c_null_ptr, exchange, req, res
  integer(c_int32_t) :: status

  table(1) = customer(1001, 'Ada Lovelace', 'London', 12550)
  table(2) = customer(1002, 'Grace Hopper', 'New York', 0)
  table(3) = customer(1003, 'Konrad Zuse', 'Berlin', -4200)

  call need(hasty_app_new(out=app))
  call route('GET', '/customers')
  call route('POST', '/customers')
  call route('GET', '/customers/:number')
  call route('POST', '/customers/:number')
  call route('POST', '/stop')
  call need(hasty_app_health(app, '/healthz'//nul))
  call need(hasty_app_listen(app, '127.0.0.1'//nul, wanted_port()))
  call need(hasty_app_start(app))
  write (output_unit, '(a, i0, a)') 'http://127.0.0.1:', hasty_app_port(app), '/'
  flush (output_unit)

  ! A program with other work to do passes a time-out in place of -1, and does that work after HASTY_ERR_TIMEOUT.
  do while (.not. stopping)
    status = hasty_app_next(app, -1, exchange)
    if (status == HASTY_ERR_CLOSED) exit
    if (status /= HASTY_OK) cycle
    req = hasty_exchange_request(exchange)
    res = hasty_exchange_response(exchange)
    select case (hasty_text(hasty_request_method(req))//' '//hasty_text(hasty_request_route(req)))
    case ('GET /customers', 'HEAD /customers')
      call list_all()
    case ('POST /customers')
      call add()
    case ('GET /customers/:number', 'HEAD /customers/:number')
      call show_one()
    case ('POST /customers/:number')
      call change()
    case ('POST /stop')
      call stop_serving()
    end select
    status = hasty_exchange_finish(exchange) ! sends the answer; req and res end here
  end do

  call hasty_app_free(app) ! requests that still wait are answered 503
  write (error_unit, '(a, i0, a)') 'stopped with ', rows, ' customers'

contains

  ! ---- the routes: each fills `res`

  subroutine list_all()
    type(c_ptr) :: all
    integer :: row

    all = hasty_json_new_array()
    do row = 1, rows
      status = hasty_json_push(all, json_customer(table(row)))
    end do
    call send(200, all)
  end subroutine list_all

  subroutine show_one()
    integer :: row

    row = find_row()
    if (row == 0) then
      call send_error(404, 'no such customer')
    else
      call send(200, json_customer(table(row)))
    end if
  end subroutine show_one

  subroutine add()
    type(customer) :: new
    character(:), allocatable :: wrong
    character(40) :: location

    if (rows == room) then
      call send_error(507, 'the table is full')
      return
    end if
    wrong = take_row(.true., new)
    if (wrong /= '') then
      call send_error(400, wrong)
      return
    end if
    new%number = table(rows)%number + 1
    rows = rows + 1
    table(rows) = new
    write (location, '(a, i0)') '/customers/', new%number
    status = hasty_response_set_header(res, 'Location'//nul, trim(location)//nul)
    call send(201, json_customer(new))
  end subroutine add

  subroutine change()
    type(customer) :: new
    character(:), allocatable :: wrong
    integer :: row

    row = find_row()
    if (row == 0) then
      call send_error(404, 'no such customer')
      return
    end if
    new = table(row)
    wrong = take_row(.false., new)
    if (wrong /= '') then
      call send_error(400, wrong)
      return
    end if
    table(row) = new
    call send(200, json_customer(new))
  end subroutine change

  subroutine stop_serving()
    type(c_ptr) :: answer

    stopping = .true.
    answer = hasty_json_new_object()
    status = hasty_json_set(answer, 'stopping'//nul, hasty_json_new_bool(1))
    call send(200, answer)
  end subroutine stop_serving

  ! The row that `:number` names, or 0.
  integer function find_row()
    character(:), allocatable :: text
    integer(c_int64_t) :: number

    find_row = 0
    text = hasty_text(hasty_request_param(req, 'number'//nul))
    if (len(text) > 9 .or. verify(text, '0123456789') /= 0) return
    read (text, *) number
    do find_row = rows, 1, -1
      if (table(find_row)%number == number) return
    end do
  end function find_row

  ! ---- the table as JSON

  function json_customer(row) result(value)
    type(customer), intent(in) :: row
    type(c_ptr) :: value

    value = hasty_json_new_object()
    status = hasty_json_set(value, 'number'//nul, hasty_json_new_int(row%number))
    status = hasty_json_set(value, 'name'//nul, hasty_json_new_text(trim(row%name)))
    status = hasty_json_set(value, 'city'//nul, hasty_json_new_text(trim(row%city)))
    status = hasty_json_set(value, 'balance'//nul, hasty_json_new_int(row%balance))
  end function json_customer

  ! Answers with a value, and frees it.
  subroutine send(code, value)
    integer, intent(in) :: code
    type(c_ptr), intent(in) :: value

    status = hasty_response_set_status(res, code)
    status = hasty_response_send_json_value(res, value)
    call hasty_json_free(value)
  end subroutine send

  subroutine send_error(code, sentence)
    integer, intent(in) :: code
    character(*), intent(in) :: sentence
    type(c_ptr) :: answer

    answer = hasty_json_new_object()
    status = hasty_json_set(answer, 'error'//nul, hasty_json_new_text(sentence))
    call send(code, answer)
  end subroutine send_error

  ! ---- JSON as a row of the table

  ! Fills `row` from the request's body. Returns what is wrong with it, or nothing if `row` can be used.
  function take_row(is_new, row) result(wrong)
    logical, intent(in) :: is_new
    type(customer), intent(inout) :: row
    character(:), allocatable :: wrong
    type(c_ptr) :: body, value
    integer(c_int64_t) :: cents
    logical :: changed, good

    changed = .false.
    wrong = ''
    if (hasty_request_json(req, body) /= HASTY_OK) then ! body is borrowed: it ends with the request
      wrong = hasty_message()
      return
    end if
    if (hasty_json_kind(body) /= HASTY_JSON_OBJECT) wrong = 'the body must be an object'
    if (wrong /= '') return
    if (.not. take_text(body, 'name', is_new, changed, row%name)) wrong = 'name must be a text of 1 to 30 bytes'
    if (wrong /= '') return
    if (.not. take_text(body, 'city', is_new, changed, row%city)) wrong = 'city must be a text of 1 to 20 bytes'
    if (wrong /= '') return
    value = hasty_json_get(body, 'balance'//nul)
    if (c_associated(value) .or. is_new) then
      good = hasty_json_as_int(value, cents) == HASTY_OK
      if (good) good = -largest <= cents .and. cents <= largest
      if (good) row%balance = cents
      if (.not. good) wrong = 'balance must be a whole number of cents, at most 999999999'
      changed = .true.
    end if
    if (.not. changed) wrong = 'nothing to change'
  end function take_row

  ! Reads a text column from the member `key`. False if it is wrong, or missing in a new row.
  logical function take_text(body, key, is_new, changed, column)
    type(c_ptr), intent(in) :: body
    character(*), intent(in) :: key
    logical, intent(in) :: is_new
    logical, intent(inout) :: changed
    character(*), intent(inout) :: column
    type(c_ptr) :: value
    character(:), allocatable :: text
    integer :: at

    value = hasty_json_get(body, key//nul)
    take_text = .not. is_new
    if (.not. c_associated(value)) return
    text = trim(hasty_text(hasty_json_as_string(value))) ! what is no string is empty
    take_text = len(text) >= 1 .and. len(text) <= len(column)
    do at = 1, len(text)
      if (iachar(text(at:at)) < iachar(' ')) take_text = .false.
    end do
    if (.not. take_text) return
    column = text
    changed = .true.
  end function take_text

  ! ---- setting up

  ! Adds a route without a handler: its requests wait for hasty_app_next.
  subroutine route(method, pattern)
    character(*), intent(in) :: method, pattern

    call need(hasty_app_route(app, method//nul, pattern//nul, c_null_funptr, c_null_ptr, c_null_funptr))
  end subroutine route

  ! Ends the program after a call of the set-up has failed.
  subroutine need(status)
    integer(c_int32_t), intent(in) :: status

    if (status == HASTY_OK) return
    write (error_unit, '(2a)') 'customers: ', hasty_message()
    call hasty_app_free(app)
    stop 1, quiet=.true.
  end subroutine need

  integer(c_int32_t) function wanted_port()
    character(20) :: text
    integer :: failed

    call get_command_argument(1, text)
    if (text == '') call get_environment_variable('PORT', text)
    read (text, *, iostat=failed) wanted_port
    if (failed /= 0) wanted_port = 8080
  end function wanted_port

end program customers
