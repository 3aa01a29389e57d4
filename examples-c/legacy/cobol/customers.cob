      *> A table of customers with an HTTP endpoint, in COBOL.
      *> ../README.md describes what it does.
      *>
      *>   $ cobc -x -fstatic-call -I bindings/cobol \
      *>       -o target/customers \
      *>       examples-c/legacy/cobol/customers.cob \
      *>       -L target/release -lhasty
      *>   $ LD_LIBRARY_PATH=target/release target/customers 8080
       IDENTIFICATION DIVISION.
       PROGRAM-ID. customers.

       DATA DIVISION.
       WORKING-STORAGE SECTION.
       COPY "hasty.cpy".

      *> The table. Nothing here needs a lock: only the main thread
      *> uses it.
       78 table-room VALUE 50.
       01 customer-table.
           05 customer-count PIC 9(4) COMP VALUE 0.
           05 customer OCCURS table-room TIMES.
               10 customer-number PIC 9(9).
               10 customer-name PIC X(30).
               10 customer-city PIC X(20).
               10 customer-balance PIC S9(7)V99 COMP-3.
       01 current PIC 9(4) COMP.
       01 entry-fields.
           05 entry-number PIC 9(9).
           05 entry-name PIC X(30).
           05 entry-city PIC X(20).
           05 entry-balance PIC S9(7)V99 COMP-3.

      *> What the library returns.
       01 app USAGE POINTER VALUE NULL.
       01 exchange USAGE POINTER.
       01 request USAGE POINTER.
       01 response USAGE POINTER.
       01 outcome USAGE BINARY-LONG.
       COPY "hasty-str.cpy" REPLACING ==:TAG:== BY ==view==.

      *> A route carries its number as user_data.
       78 list-all VALUE 1.
       78 show-one VALUE 2.
       78 add-one VALUE 3.
       78 change-one VALUE 4.
       78 stop-serving VALUE 5.
       01 route-method PIC X(8).
       01 route-path PIC X(40).
       01 no-handler USAGE PROGRAM-POINTER VALUE NULL.
       01 no-drop USAGE PROGRAM-POINTER VALUE NULL.
       01 route-data USAGE POINTER.
       01 route-number REDEFINES route-data USAGE BINARY-DOUBLE.

      *> JSON values, written and read.
       01 answer USAGE POINTER.
       01 answer-row USAGE POINTER.
       01 answer-code USAGE BINARY-LONG.
       01 json-part USAGE POINTER.
       01 json-body USAGE POINTER.
       01 json-kind USAGE BINARY-LONG.
       01 json-number USAGE BINARY-DOUBLE.
       01 field-name PIC X(20).
       01 field-text PIC X(30).
       01 field-width PIC 9(4) COMP.
       01 text-length USAGE BINARY-DOUBLE UNSIGNED.
       01 text-at USAGE BINARY-DOUBLE UNSIGNED.
       01 field-state PIC 9.
           88 field-missing VALUE 0.
           88 field-good VALUE 1.
           88 field-wrong VALUE 2.
       01 wrong-pointer USAGE POINTER.
       01 complaint PIC X(80).
           88 nothing-wrong VALUE SPACES.
       01 flags.
           05 is-new PIC X.
               88 new-entry VALUE "Y" FALSE "N".
           05 is-changed PIC X.
               88 entry-changed VALUE "Y" FALSE "N".
           05 is-stopping PIC X VALUE "N".
               88 stopping VALUE "Y".

       01 port USAGE BINARY-LONG.
       01 port-text PIC X(20).
       01 number-shown PIC Z(8)9.
       01 location-field PIC X(30).

       LINKAGE SECTION.
      *> The library's bytes that a view points to.
       01 view-bytes PIC X(10485760).

       PROCEDURE DIVISION.
       main-program.
           PERFORM fill-table
           PERFORM set-up
      *>   A program with other work to do passes a time-out in place
      *>   of -1, and does that work after HASTY-ERR-TIMEOUT.
           PERFORM UNTIL stopping
               CALL "hasty_app_next" USING BY VALUE app
                   BY VALUE -1 BY REFERENCE exchange
                   RETURNING outcome
               EVALUATE outcome
                   WHEN HASTY-OK PERFORM answer-request
                   WHEN HASTY-ERR-CLOSED SET stopping TO TRUE
               END-EVALUATE
           END-PERFORM
      *>   Requests that still wait are answered 503.
           CALL "hasty_app_free" USING BY VALUE app
               RETURNING OMITTED
           MOVE customer-count TO number-shown
           DISPLAY "stopped with " FUNCTION TRIM (number-shown)
               " customers" UPON SYSERR
           STOP RUN RETURNING 0.

      *> ---- one request

       answer-request.
           CALL "hasty_exchange_request" USING BY VALUE exchange
               RETURNING request
           CALL "hasty_exchange_response" USING BY VALUE exchange
               RETURNING response
           CALL "hasty_request_user_data" USING BY VALUE request
               RETURNING route-data
           EVALUATE route-number
               WHEN list-all PERFORM answer-all
               WHEN show-one PERFORM answer-one
               WHEN add-one PERFORM add-customer
               WHEN change-one PERFORM change-customer
               WHEN stop-serving PERFORM answer-stop
           END-EVALUATE
      *>   Sends the answer; request and response end here.
           CALL "hasty_exchange_finish" USING BY VALUE exchange
               RETURNING outcome.

       answer-all.
           CALL "hasty_json_new_array" RETURNING answer
           PERFORM VARYING current FROM 1 BY 1
                   UNTIL current > customer-count
               PERFORM make-json-row
               CALL "hasty_json_push" USING BY VALUE answer
                   BY VALUE answer-row RETURNING outcome
           END-PERFORM
           MOVE 200 TO answer-code
           PERFORM send-answer.

       answer-one.
           PERFORM find-customer
           IF current = 0
               PERFORM answer-absent
           ELSE
               MOVE 200 TO answer-code
               PERFORM send-customer
           END-IF.

       answer-absent.
           MOVE "no such customer" TO complaint
           MOVE 404 TO answer-code
           PERFORM send-error.

       add-customer.
           IF customer-count = table-room
               MOVE "the table is full" TO complaint
               MOVE 507 TO answer-code
               PERFORM send-error
           ELSE
               SET new-entry TO TRUE
               PERFORM take-entry
               IF nothing-wrong
                   PERFORM store-new
               ELSE
                   MOVE 400 TO answer-code
                   PERFORM send-error
               END-IF
           END-IF.

       store-new.
           COMPUTE entry-number =
               customer-number (customer-count) + 1
           ADD 1 TO customer-count
           MOVE customer-count TO current
           MOVE entry-fields TO customer (current)
           MOVE entry-number TO number-shown
           STRING "/customers/" FUNCTION TRIM (number-shown) X"00"
               DELIMITED BY SIZE INTO location-field
           CALL "hasty_response_set_header" USING BY VALUE response
               BY CONTENT z"Location" BY REFERENCE location-field
               RETURNING outcome
           MOVE 201 TO answer-code
           PERFORM send-customer.

       change-customer.
           PERFORM find-customer
           IF current = 0
               PERFORM answer-absent
           ELSE
               SET new-entry TO FALSE
               MOVE customer (current) TO entry-fields
               PERFORM take-entry
               IF nothing-wrong
                   MOVE entry-fields TO customer (current)
                   MOVE 200 TO answer-code
                   PERFORM send-customer
               ELSE
                   MOVE 400 TO answer-code
                   PERFORM send-error
               END-IF
           END-IF.

       answer-stop.
           SET stopping TO TRUE
           CALL "hasty_json_new_object" RETURNING answer
           CALL "hasty_json_new_bool" USING BY VALUE 1
               RETURNING json-part
           CALL "hasty_json_set" USING BY VALUE answer
               BY CONTENT z"stopping" BY VALUE json-part
               RETURNING outcome
           MOVE 200 TO answer-code
           PERFORM send-answer.

      *> current becomes the row that :number names, or 0.
       find-customer.
           MOVE 0 TO current
           CALL "hasty_request_param_to" USING BY VALUE request
               BY CONTENT z"number" BY REFERENCE view
               RETURNING outcome
           SET ADDRESS OF view-bytes TO view-data
           IF view-len <= 9 AND view-bytes (1:view-len) IS NUMERIC
               MOVE view-bytes (1:view-len) TO entry-number
               PERFORM VARYING current FROM customer-count BY -1
                       UNTIL current = 0
                       OR customer-number (current) = entry-number
                   CONTINUE
               END-PERFORM
           END-IF.

      *> ---- the table as JSON

       make-json-row.
           CALL "hasty_json_new_object" RETURNING answer-row
           MOVE customer-number (current) TO json-number
           MOVE z"number" TO field-name
           PERFORM add-json-number
           MOVE customer-name (current) TO field-text
           MOVE z"name" TO field-name
           PERFORM add-json-text
           MOVE customer-city (current) TO field-text
           MOVE z"city" TO field-name
           PERFORM add-json-text
      *>   Cents: what a PIC with V99 holds is exact, a double is not.
           COMPUTE json-number = customer-balance (current) * 100
           MOVE z"balance" TO field-name
           PERFORM add-json-number.

       add-json-number.
           CALL "hasty_json_new_int" USING
                   BY VALUE SIZE 8 json-number
               RETURNING json-part
           PERFORM add-json-part.

       add-json-text.
           COMPUTE text-length = FUNCTION LENGTH
               (FUNCTION TRIM (field-text TRAILING))
           CALL "hasty_json_new_string" USING BY REFERENCE field-text
               BY VALUE SIZE 8 text-length RETURNING json-part
           PERFORM add-json-part.

       add-json-part.
           CALL "hasty_json_set" USING BY VALUE answer-row
               BY REFERENCE field-name BY VALUE json-part
               RETURNING outcome.

       send-customer.
           PERFORM make-json-row
           SET answer TO answer-row
           PERFORM send-answer.

      *> The text is ours, or the library's if there is a view.
       send-error.
           CALL "hasty_json_new_object" RETURNING answer
           IF wrong-pointer = NULL
               COMPUTE text-length = FUNCTION LENGTH
                   (FUNCTION TRIM (complaint TRAILING))
               CALL "hasty_json_new_string" USING
                   BY REFERENCE complaint
                   BY VALUE SIZE 8 text-length
                   RETURNING json-part
           ELSE
               CALL "hasty_json_new_string" USING
                   BY VALUE wrong-pointer
                   BY VALUE SIZE 8 view-len
                   RETURNING json-part
               SET wrong-pointer TO NULL
           END-IF
           CALL "hasty_json_set" USING BY VALUE answer
               BY CONTENT z"error" BY VALUE json-part
               RETURNING outcome
           PERFORM send-answer.

      *> Answers with a value, and frees it.
       send-answer.
           CALL "hasty_response_set_status" USING BY VALUE response
               BY VALUE answer-code RETURNING outcome
           CALL "hasty_response_send_json_value" USING
               BY VALUE response BY VALUE answer
               RETURNING outcome
           CALL "hasty_json_free" USING BY VALUE answer
               RETURNING OMITTED.

      *> ---- JSON as a row of the table

      *> Fills entry-fields from the request's body; complaint says
      *> what is wrong with it. The body is borrowed: it is valid
      *> until the request ends.
       take-entry.
           MOVE SPACES TO complaint
           SET entry-changed TO FALSE
           CALL "hasty_request_json" USING BY VALUE request
               BY REFERENCE json-body RETURNING outcome
           IF outcome NOT = HASTY-OK
               CALL "hasty_last_error_to" USING BY REFERENCE view
                   RETURNING outcome
               SET wrong-pointer TO view-data
               MOVE "the library's" TO complaint
               EXIT PARAGRAPH
           END-IF
           CALL "hasty_json_kind" USING BY VALUE json-body
               RETURNING json-kind
           IF json-kind NOT = HASTY-JSON-OBJECT
               MOVE "the body must be an object" TO complaint
               EXIT PARAGRAPH
           END-IF
           MOVE z"name" TO field-name
           MOVE FUNCTION LENGTH (entry-name) TO field-width
           PERFORM take-text
           EVALUATE TRUE
               WHEN field-good MOVE field-text TO entry-name
               WHEN field-wrong
                   MOVE "name must be a text of 1 to 30 bytes"
                       TO complaint
                   EXIT PARAGRAPH
           END-EVALUATE
           MOVE z"city" TO field-name
           MOVE FUNCTION LENGTH (entry-city) TO field-width
           PERFORM take-text
           EVALUATE TRUE
               WHEN field-good MOVE field-text TO entry-city
               WHEN field-wrong
                   MOVE "city must be a text of 1 to 20 bytes"
                       TO complaint
                   EXIT PARAGRAPH
           END-EVALUATE
           PERFORM take-balance
           IF field-wrong
               STRING "balance must be a whole number of cents, "
                   "at most 999999999"
                   DELIMITED BY SIZE INTO complaint
           ELSE
               IF NOT entry-changed
                   MOVE "nothing to change" TO complaint
               END-IF
           END-IF.

      *> Finds the member field-name. Missing is wrong in a new entry.
       take-part.
           CALL "hasty_json_get" USING BY VALUE json-body
               BY REFERENCE field-name RETURNING json-part
           IF json-part NOT = NULL
               SET field-good TO TRUE
               SET entry-changed TO TRUE
           ELSE
               IF new-entry
                   SET field-wrong TO TRUE
               ELSE
                   SET field-missing TO TRUE
               END-IF
           END-IF.

       take-text.
           PERFORM take-part
           IF NOT field-good
               EXIT PARAGRAPH
           END-IF
      *>   A value that is not a string has no data and length 0.
           CALL "hasty_json_as_string_to" USING BY VALUE json-part
               BY REFERENCE view RETURNING outcome
           SET ADDRESS OF view-bytes TO view-data
           PERFORM VARYING text-length FROM view-len BY -1
                   UNTIL text-length = 0
                   OR view-bytes (text-length:1) NOT = SPACE
               CONTINUE
           END-PERFORM
           IF text-length = 0 OR text-length > field-width
               SET field-wrong TO TRUE
               EXIT PARAGRAPH
           END-IF
           PERFORM VARYING text-at FROM 1 BY 1
                   UNTIL text-at > text-length
               IF view-bytes (text-at:1) < SPACE
                   SET field-wrong TO TRUE
               END-IF
           END-PERFORM
           MOVE view-bytes (1:text-length) TO field-text.

       take-balance.
           MOVE z"balance" TO field-name
           PERFORM take-part
           IF NOT field-good
               EXIT PARAGRAPH
           END-IF
           CALL "hasty_json_as_int" USING BY VALUE json-part
               BY REFERENCE json-number RETURNING outcome
           IF outcome = HASTY-OK AND json-number >= -999999999
                   AND json-number <= 999999999
               COMPUTE entry-balance = json-number / 100
           ELSE
               SET field-wrong TO TRUE
           END-IF.

      *> ---- setting up

       fill-table.
           MOVE 3 TO customer-count
           MOVE 1001 TO customer-number (1)
           MOVE "Ada Lovelace" TO customer-name (1)
           MOVE "London" TO customer-city (1)
           MOVE 125.50 TO customer-balance (1)
           MOVE 1002 TO customer-number (2)
           MOVE "Grace Hopper" TO customer-name (2)
           MOVE "New York" TO customer-city (2)
           MOVE 0 TO customer-balance (2)
           MOVE 1003 TO customer-number (3)
           MOVE "Konrad Zuse" TO customer-name (3)
           MOVE "Berlin" TO customer-city (3)
           MOVE -42.00 TO customer-balance (3).

       set-up.
           SET wrong-pointer TO NULL
           CALL "hasty_app_new" USING OMITTED BY REFERENCE app
               RETURNING outcome
           PERFORM need-outcome
           MOVE z"GET" TO route-method
           MOVE z"/customers" TO route-path
           MOVE list-all TO route-number
           PERFORM add-route
           MOVE z"GET" TO route-method
           MOVE z"/customers/:number" TO route-path
           MOVE show-one TO route-number
           PERFORM add-route
           MOVE z"POST" TO route-method
           MOVE z"/customers" TO route-path
           MOVE add-one TO route-number
           PERFORM add-route
           MOVE z"POST" TO route-method
           MOVE z"/customers/:number" TO route-path
           MOVE change-one TO route-number
           PERFORM add-route
           MOVE z"POST" TO route-method
           MOVE z"/stop" TO route-path
           MOVE stop-serving TO route-number
           PERFORM add-route
           CALL "hasty_app_health" USING BY VALUE app
               BY CONTENT z"/healthz" RETURNING outcome
           PERFORM need-outcome
           PERFORM choose-port
           CALL "hasty_app_listen" USING BY VALUE app
               BY CONTENT z"127.0.0.1" BY VALUE port
               RETURNING outcome
           PERFORM need-outcome
           CALL "hasty_app_start" USING BY VALUE app
               RETURNING outcome
           PERFORM need-outcome
           CALL "hasty_app_port" USING BY VALUE app
               RETURNING port
           MOVE port TO number-shown
           DISPLAY "http://127.0.0.1:" FUNCTION TRIM (number-shown)
               "/"
           CALL "fflush" USING OMITTED RETURNING outcome.

      *> Adds a route without a handler, for hasty_app_next.
       add-route.
           CALL "hasty_app_route" USING BY VALUE app
               BY REFERENCE route-method BY REFERENCE route-path
               BY VALUE no-handler BY VALUE route-data
               BY VALUE no-drop RETURNING outcome
           PERFORM need-outcome.

       choose-port.
           MOVE 8080 TO port
           MOVE SPACES TO port-text
           ACCEPT port-text FROM COMMAND-LINE
           IF port-text = SPACES
               ACCEPT port-text FROM ENVIRONMENT "PORT"
           END-IF
           IF port-text NOT = SPACES
               COMPUTE port = FUNCTION NUMVAL (port-text)
           END-IF.

      *> Ends the program after a call of the set-up has failed.
       need-outcome.
           IF outcome NOT = HASTY-OK
               CALL "hasty_last_error_to" USING BY REFERENCE view
                   RETURNING outcome
               SET ADDRESS OF view-bytes TO view-data
               DISPLAY "customers: " view-bytes (1:view-len)
                   UPON SYSERR
               CALL "hasty_app_free" USING BY VALUE app
                   RETURNING OMITTED
               STOP RUN RETURNING 1
           END-IF.
