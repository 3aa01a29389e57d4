#!/usr/bin/tclsh
# A table of customers, and an endpoint for it. Requests are events of Tcl's own loop: each calls a procedure.
#
# $ cc -shared -fPIC -DUSE_TCL_STUBS -I include $(pkg-config --cflags tcl) examples-c/legacy/tcl/hasty.c \
#   $(pkg-config --libs tcl) -L target/release -lhasty -o hasty.so
# $ LD_LIBRARY_PATH=target/release tclsh examples-c/legacy/tcl/customers.tcl 8080
load ./hasty.so Hasty

# ---- the table: number -> {name city balance}; texts are bytes

set room 50
set customers [dict create \
    1001 {"Ada Lovelace" London 12550} \
    1002 {"Grace Hopper" "New York" 0} \
    1003 {"Konrad Zuse" Berlin -4200}]

# ---- JSON

proc quoted {text} {
    return "\"[string map {\\ \\\\ \" \\\"} $text]\""
}

proc as_json {number} {
    lassign [dict get $::customers $number] name city balance
    return "{\"number\":$number,\"name\":[quoted $name],\"city\":[quoted $city],\"balance\":$balance}"
}

proc failed {status sentence} {
    return [list $status "{\"error\":[quoted $sentence]}"]
}

# ---- JSON from the client: if it is wrong, these throw a sentence for the client

proc wrong {sentence} {
    return -code error -errorcode WRONG $sentence
}

proc text {name longest pair} {
    lassign $pair kind value
    set value [string trimright $value " "]
    if {$kind ne "text" || [string length $value] == 0 || [string length $value] > $longest || [regexp {[\x00-\x1f]} $value]} {
        wrong "$name must be a text of 1 to $longest bytes"
    }
    return $value
}

proc cents {pair} {
    lassign $pair kind value
    if {$kind ne "int" || abs($value) > 999999999} {
        wrong "balance must be a whole number of cents, at most 999999999"
    }
    return $value
}

# Returns the row with the changes of the body. A new row must have all columns.
proc changed {body {row {}}} {
    set members [lassign $body kind]
    switch $kind {
        malformed { wrong [lindex $members 0] }
        other     { wrong "the body must be an object" }
    }
    set changes 0
    foreach column {0 1 2} name {name city balance} {
        if {![dict exists $members $name]} {
            if {[llength $row] == 3} continue
            dict set members $name absent
        }
        set pair [dict get $members $name]
        set value [switch $name {
            name    { text name 30 $pair }
            city    { text city 20 $pair }
            balance { cents $pair }
        }]
        lset row $column $value
        incr changes
    }
    if {$changes == 0} { wrong "nothing to change" }
    return $row
}

# ---- the routes: each returns status and JSON

proc known {number} {
    return [expr {[regexp {^[0-9]{1,9}$} $number] && [dict exists $::customers [scan $number %d]]}]
}

proc list_all {number body} {
    return [list 200 "\[[join [lmap number [dict keys $::customers] {as_json $number}] ,]\]"]
}

proc show {number body} {
    if {![known $number]} { return [failed 404 "no such customer"] }
    return [list 200 [as_json [scan $number %d]]]
}

proc add {number body} {
    set count [dict size $::customers]
    if {$count >= $::room} { return [failed 507 "the table is full"] }
    set number [expr {1001 + $count}]
    try {
        dict set ::customers $number [changed $body]
    } trap WRONG sentence {
        return [failed 400 $sentence]
    }
    return [list 201 [as_json $number] "/customers/$number"]
}

proc change {number body} {
    if {![known $number]} { return [failed 404 "no such customer"] }
    set number [scan $number %d]
    try {
        dict set ::customers $number [changed $body [dict get $::customers $number]]
    } trap WRONG sentence {
        return [failed 400 $sentence]
    }
    return [list 200 [as_json $number]]
}

proc stop {number body} {
    set ::stopping 1
    return {200 {{"stopping":true}}}
}

# ---- the program

proc serve {port} {
    hasty::route GET  /customers         list_all
    hasty::route GET  /customers/:number show
    hasty::route POST /customers         add
    hasty::route POST /customers/:number change
    hasty::route POST /stop              stop
    return [hasty::start $port]
}

set port [expr {$argc > 0 ? [lindex $argv 0] : [info exists env(PORT)] ? $env(PORT) : 8080}]
if {[catch {serve $port} answer]} {
    puts stderr "customers: $answer"
    exit 1
}
puts "http://127.0.0.1:$answer/"
flush stdout

# The program's own timers and windows go on beside the requests.
vwait stopping
hasty::end
puts stderr "stopped with [dict size $customers] customers"
