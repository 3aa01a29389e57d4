{ A table of customers with an HTTP endpoint, in Free Pascal. ../README.md describes what it does.

    $ fpc -O2 -Fubindings/pascal -Fltarget/release -FEtarget examples-c/legacy/pascal/customers.pas
    $ LD_LIBRARY_PATH=target/release target/customers 8080 }
program customers;

{$mode objfpc}{$H+}
{$hints off} // some handlers do not use all of their parameters

uses
  SysUtils, hasty;

const
  Room = 50;
  Largest = 999999999;

type
  TCustomer = record
    number: LongInt;
    name: string[30];
    city: string[20];
    balance: LongInt; // cents
  end;

var
  // Nothing here needs a lock: only the main thread uses it.
  table: array[1..Room] of TCustomer;
  count: Integer = 0;
  stopping: Boolean = False;
  app: PHastyApp = nil;

procedure Fill(number: LongInt; const name, city: ShortString; balance: LongInt);
begin
  Inc(count);
  table[count].number := number;
  table[count].name := name;
  table[count].city := city;
  table[count].balance := balance;
end;

// ---- the table as JSON

function JsonText(const text: ShortString): PHastyJson;
begin
  Result := hasty_json_new_string(@text[1], Length(text));
end;

function JsonCustomer(const row: TCustomer): PHastyJson;
begin
  Result := hasty_json_new_object();
  hasty_json_set(Result, 'number', hasty_json_new_int(row.number));
  hasty_json_set(Result, 'name', JsonText(row.name));
  hasty_json_set(Result, 'city', JsonText(row.city));
  hasty_json_set(Result, 'balance', hasty_json_new_int(row.balance));
end;

// Sends a value and frees it.
function Send(res: PHastyResponse; code: LongInt; value: PHastyJson): THastyStatus;
begin
  hasty_response_set_status(res, code);
  Result := hasty_response_send_json_value(res, value);
  hasty_json_free(value);
end;

function SendError(res: PHastyResponse; code: LongInt; const sentence: RawByteString): THastyStatus;
var
  answer: PHastyJson;
begin
  answer := hasty_json_new_object();
  hasty_json_set(answer, 'error', hasty_json_new_string(PAnsiChar(sentence), Length(sentence)));
  Result := Send(res, code, answer);
end;

// ---- JSON as a row of the table

// Reads a text column from the member `key`. False if it is wrong, or missing in a new row.
function TakeText(body: PHastyJson; key: PAnsiChar; width: Integer; isNew: Boolean; var changed: Boolean; var column: ShortString): Boolean;
var
  value: PHastyJson;
  text: RawByteString;
  byte: AnsiChar;
begin
  value := hasty_json_get(body, key);
  if value = nil then
    Exit(not isNew);
  text := HastyText(hasty_json_as_string(value)); // what is no string is empty
  while (text <> '') and (text[Length(text)] = ' ') do
    SetLength(text, Length(text) - 1);
  for byte in text do
    if byte < ' ' then
      Exit(False);
  Result := (Length(text) >= 1) and (Length(text) <= width);
  if Result then
  begin
    column := text;
    changed := True;
  end;
end;

// Fills `row` from the body of a request. Returns what is wrong with it, or nothing if `row` can be used.
function TakeRow(req: PHastyRequest; isNew: Boolean; var row: TCustomer): RawByteString;
var
  body, value: PHastyJson;
  cents: Int64;
  text: ShortString;
  changed: Boolean;
begin
  changed := False;
  if hasty_request_json(req, body) <> HASTY_OK then // body is borrowed: it ends with the request
    Exit(HastyMessage);
  if hasty_json_kind(body) <> HASTY_JSON_OBJECT then
    Exit('the body must be an object');
  text := row.name;
  if not TakeText(body, 'name', 30, isNew, changed, text) then
    Exit('name must be a text of 1 to 30 bytes');
  row.name := text;
  text := row.city;
  if not TakeText(body, 'city', 20, isNew, changed, text) then
    Exit('city must be a text of 1 to 20 bytes');
  row.city := text;
  value := hasty_json_get(body, 'balance');
  if (value <> nil) or isNew then
  begin
    if (hasty_json_as_int(value, cents) <> HASTY_OK) or (cents < -Largest) or (cents > Largest) then
      Exit('balance must be a whole number of cents, at most 999999999');
    row.balance := cents;
    changed := True;
  end;
  if changed then
    Result := ''
  else
    Result := 'nothing to change';
end;

// The row that `:number` names, or 0.
function FindRow(req: PHastyRequest): Integer;
var
  text: RawByteString;
  digit: AnsiChar;
  number: LongInt;
begin
  text := HastyText(hasty_request_param(req, 'number'));
  if Length(text) > 9 then
    Exit(0);
  for digit in text do
    if not (digit in ['0'..'9']) then
      Exit(0);
  number := StrToInt(text);
  Result := count;
  while (Result > 0) and (table[Result].number <> number) do
    Dec(Result);
end;

// ---- the routes: hasty_app_poll calls these, so they run on the main thread

function ListAll(req: PHastyRequest; res: PHastyResponse; user_data: Pointer): THastyStatus; cdecl;
var
  all: PHastyJson;
  index: Integer;
begin
  all := hasty_json_new_array();
  for index := 1 to count do
    hasty_json_push(all, JsonCustomer(table[index]));
  Result := Send(res, 200, all);
end;

function ShowOne(req: PHastyRequest; res: PHastyResponse; user_data: Pointer): THastyStatus; cdecl;
var
  index: Integer;
begin
  index := FindRow(req);
  if index = 0 then
    Exit(SendError(res, 404, 'no such customer'));
  Result := Send(res, 200, JsonCustomer(table[index]));
end;

function Add(req: PHastyRequest; res: PHastyResponse; user_data: Pointer): THastyStatus; cdecl;
var
  row: TCustomer;
  wrong: RawByteString;
begin
  if count = Room then
    Exit(SendError(res, 507, 'the table is full'));
  row := Default(TCustomer);
  wrong := TakeRow(req, True, row);
  if wrong <> '' then
    Exit(SendError(res, 400, wrong));
  row.number := table[count].number + 1;
  Inc(count);
  table[count] := row;
  hasty_response_set_header(res, 'Location', PAnsiChar('/customers/' + IntToStr(row.number)));
  Result := Send(res, 201, JsonCustomer(row));
end;

function Change(req: PHastyRequest; res: PHastyResponse; user_data: Pointer): THastyStatus; cdecl;
var
  index: Integer;
  row: TCustomer;
  wrong: RawByteString;
begin
  index := FindRow(req);
  if index = 0 then
    Exit(SendError(res, 404, 'no such customer'));
  row := table[index];
  wrong := TakeRow(req, False, row);
  if wrong <> '' then
    Exit(SendError(res, 400, wrong));
  table[index] := row;
  Result := Send(res, 200, JsonCustomer(row));
end;

function Stop(req: PHastyRequest; res: PHastyResponse; user_data: Pointer): THastyStatus; cdecl;
var
  answer: PHastyJson;
begin
  stopping := True;
  answer := hasty_json_new_object();
  hasty_json_set(answer, 'stopping', hasty_json_new_bool(1));
  Result := Send(res, 200, answer);
end;

// ---- the main program

// Ends the program after a call of the set-up has failed.
procedure Need(status: THastyStatus);
begin
  if status = HASTY_OK then
    Exit;
  WriteLn(StdErr, 'customers: ', HastyMessage);
  hasty_app_free(app);
  Halt(1);
end;

procedure Route(method, pattern: PAnsiChar; handler: THastyHandler);
begin
  Need(hasty_app_route(app, method, pattern, handler, nil, nil));
  Need(hasty_app_set_route_option(app, method, pattern, 'dispatch', 'caller'));
end;

function WantedPort: LongInt;
var
  text: string;
begin
  text := ParamStr(1);
  if text = '' then
    text := GetEnvironmentVariable('PORT');
  Result := StrToIntDef(text, 8080);
end;

var
  served: LongWord;
begin
  Fill(1001, 'Ada Lovelace', 'London', 12550);
  Fill(1002, 'Grace Hopper', 'New York', 0);
  Fill(1003, 'Konrad Zuse', 'Berlin', -4200);

  Need(hasty_app_new(nil, app));
  Route('GET', '/customers', @ListAll);
  Route('POST', '/customers', @Add);
  Route('GET', '/customers/:number', @ShowOne);
  Route('POST', '/customers/:number', @Change);
  Route('POST', '/stop', @Stop);
  Need(hasty_app_health(app, '/healthz'));
  Need(hasty_app_listen(app, '127.0.0.1', WantedPort));
  Need(hasty_app_start(app));
  WriteLn('http://127.0.0.1:', hasty_app_port(app), '/');
  Flush(Output);

  // A program with other work to do passes a time-out in place of -1, and does that work after HASTY_ERR_TIMEOUT.
  while not stopping do
    if hasty_app_poll(app, 1, -1, served) = HASTY_ERR_CLOSED then
      Break;

  hasty_app_free(app); // requests that still wait are answered 503
  WriteLn(StdErr, 'stopped with ', count, ' customers');
end.
