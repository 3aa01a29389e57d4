#!/usr/bin/perl
# A table of customers, and an endpoint for it. Each route is a sub that hasty_app_poll() calls, on Perl's only thread.
#
# $ HASTY_LIBRARY=target/release/libhasty.so perl examples-c/legacy/perl/customers.pl 8080
#
# FFI::Platypus is Debian's libffi-platypus-perl, and CPAN's.
use strict;
use warnings;
use FFI::Platypus;
use FFI::Platypus::Buffer qw(buffer_to_scalar scalar_to_buffer);

# ---- the functions of include/hasty.h that are used here

package Hasty::Str {    # bytes that belong to somebody else; absent is undef
    use FFI::Platypus::Record;
    record_layout_1(opaque => 'data', size_t => 'len');
    sub bytes { my ($self) = @_; return defined $self->data ? FFI::Platypus::Buffer::buffer_to_scalar($self->data, $self->len) : undef }
}

use constant { OK => 0, CLOSED => 5, STRING => 3, OBJECT => 5 };

my $ffi = FFI::Platypus->new(api => 2, lib => $ENV{HASTY_LIBRARY} // 'libhasty.so.0');
$ffi->type('record(Hasty::Str)' => 'str');
$ffi->type('(opaque, opaque, opaque)->sint32' => 'handler');
my %functions = (
    last_error               => [[] => 'str'],
    app_new                  => [[qw(opaque opaque*)] => 'sint32'],
    app_route                => [[qw(opaque string string handler opaque opaque)] => 'sint32'],
    app_set_route_option     => [[qw(opaque string string string string)] => 'sint32'],
    app_health               => [[qw(opaque string)] => 'sint32'],
    app_listen               => [[qw(opaque string sint32)] => 'sint32'],
    app_port                 => [[qw(opaque)] => 'sint32'],
    app_start                => [[qw(opaque)] => 'sint32'],
    app_poll                 => [[qw(opaque uint32 sint32 uint32*)] => 'sint32'],
    app_free                 => [[qw(opaque)] => 'void'],
    request_param            => [[qw(opaque string)] => 'str'],
    request_json             => [[qw(opaque opaque*)] => 'sint32'],
    response_set_status      => [[qw(opaque sint32)] => 'sint32'],
    response_set_header      => [[qw(opaque string string)] => 'sint32'],
    response_send_json       => [[qw(opaque string)] => 'sint32'],
    response_send_json_value => [[qw(opaque opaque)] => 'sint32'],
    json_free                => [[qw(opaque)] => 'void'],
    json_kind                => [[qw(opaque)] => 'sint32'],
    json_get                 => [[qw(opaque string)] => 'opaque'],
    json_as_string           => [[qw(opaque)] => 'str'],
    json_as_int              => [[qw(opaque sint64*)] => 'sint32'],
    json_new_object          => [[] => 'opaque'],
    json_new_array           => [[] => 'opaque'],
    json_new_int             => [[qw(sint64)] => 'opaque'],
    json_new_string          => [[qw(opaque size_t)] => 'opaque'],
    json_set                 => [[qw(opaque string opaque)] => 'sint32'],
    json_push                => [[qw(opaque opaque)] => 'sint32'],
);
$ffi->attach(["hasty_$_" => $_] => @{$functions{$_}}) for keys %functions;

# ---- the table

my $ROOM = 50;
my %LONGEST = (name => 30, city => 20);
my @customers = (
    {number => 1001, name => 'Ada Lovelace', city => 'London',   balance => 12550},
    {number => 1002, name => 'Grace Hopper', city => 'New York', balance => 0},
    {number => 1003, name => 'Konrad Zuse',  city => 'Berlin',   balance => -4200},
);

sub find {
    my ($number) = @_;
    return unless $number =~ /\A[0-9]{1,9}\z/;
    my ($found) = grep { $_->{number} == $number } @customers;
    return $found;
}

# ---- JSON from the client: if it is wrong, these die with a reference to a sentence for the client

sub text {
    my ($value, $name) = @_;
    my $text = json_kind($value) == STRING ? json_as_string($value)->bytes : '';
    $text =~ s/ +\z//;
    return $text if $text =~ /\A[^\x00-\x1f]{1,$LONGEST{$name}}\z/;
    die \"$name must be a text of 1 to $LONGEST{$name} bytes";
}

sub cents {
    my ($value) = @_;
    my $cents = 0;
    return $cents if json_as_int($value, \$cents) == OK && abs $cents <= 999_999_999;
    die \'balance must be a whole number of cents, at most 999999999';
}

# The columns that a request has, or must have, for a customer.
sub columns {
    my ($req, $all) = @_;
    request_json($req, \my $body) == OK or die \last_error()->bytes;
    json_kind($body) == OBJECT or die \'the body must be an object';
    my %columns;
    for my $name (qw(name city balance)) {
        my $value = json_get($body, $name);    # undef where there is none
        next unless $value || $all;
        $columns{$name} = $name eq 'balance' ? cents($value) : text($value, $name);
    }
    return %columns ? %columns : die \'nothing to change';
}

# ---- JSON for the client

sub as_json {
    my ($what) = @_;
    return json_new_string(scalar_to_buffer($$what)) if ref $what eq 'SCALAR';
    return json_new_int($what) unless ref $what;
    if (ref $what eq 'ARRAY') {
        my $array = json_new_array();
        json_push($array, as_json($_)) for @$what;
        return $array;
    }
    my $object = json_new_object();
    for my $name (grep { exists $what->{$_} } qw(number name city balance error)) {
        json_set($object, $name, as_json($name =~ /name|city|error/ ? \$what->{$name} : $what->{$name}));
    }
    return $object;
}

sub answer {
    my ($res, $status, $what) = @_;
    my $json = as_json($what);
    response_set_status($res, $status);
    my $sent = response_send_json_value($res, $json);
    json_free($json);
    return $sent;
}

# ---- the routes: each takes request and response, and returns the status of the last call that answers

my $stopping = 0;

sub list { my ($req, $res) = @_; return answer($res, 200, \@customers) }

sub show {
    my ($req, $res) = @_;
    my $customer = find(request_param($req, 'number')->bytes) or return answer($res, 404, {error => 'no such customer'});
    return answer($res, 200, $customer);
}

sub add {
    my ($req, $res) = @_;
    return answer($res, 507, {error => 'the table is full'}) if @customers >= $ROOM;
    my $customer = {columns($req, 'all'), number => 1001 + @customers};
    push @customers, $customer;
    response_set_header($res, 'Location', "/customers/$customer->{number}");
    return answer($res, 201, $customer);
}

sub change {
    my ($req, $res) = @_;
    my $customer = find(request_param($req, 'number')->bytes) or return answer($res, 404, {error => 'no such customer'});
    my %columns = columns($req);
    @$customer{keys %columns} = values %columns;
    return answer($res, 200, $customer);
}

sub stop {
    my ($req, $res) = @_;
    $stopping = 1;
    return response_send_json($res, '{"stopping":true}');
}

# ---- the program

my ($app, @closures, $served);

sub must { my ($status) = @_; $status == OK or die 'customers: ' . last_error()->bytes . "\n"; return }

sub route {
    my ($method, $pattern, $sub) = @_;
    my $closure = $ffi->closure(sub {
        my ($req, $res) = @_;
        my $status = eval { $sub->($req, $res) };    # no exception may leave a handler
        return $status if defined $status;
        return answer($res, 400, {error => ${$@}}) if ref $@ eq 'SCALAR';
        warn $@;
        return -1;    # our own mistake: 500
    });
    push @closures, $closure;    # the library has only its address
    must(app_route($app, $method, $pattern, $closure, undef, undef));
    must(app_set_route_option($app, $method, $pattern, 'dispatch', 'caller'));
    return;
}

must(app_new(undef, \$app));
route(GET  => '/customers',         \&list);
route(GET  => '/customers/:number', \&show);
route(POST => '/customers',         \&add);
route(POST => '/customers/:number', \&change);
route(POST => '/stop',              \&stop);
must(app_health($app, '/healthz'));
must(app_listen($app, '127.0.0.1', $ARGV[0] // $ENV{PORT} // 8080));
must(app_start($app));
$| = 1;
printf "http://127.0.0.1:%d/\n", app_port($app);

# The program's other work would go here; it may ask for requests whenever it likes.
until ($stopping) {
    last if app_poll($app, 16, 1000, \$served) == CLOSED;
}

app_free($app);    # requests that still wait are answered 503
printf STDERR "stopped with %d customers\n", scalar @customers;
