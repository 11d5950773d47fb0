# What the Perl client tests share: named checks, each with its own line.
use strict;
use warnings;
use Time::HiRes ();

our $failures = 0;

sub check {
    my ($name, $body) = @_;
    if (eval { $body->(); 1 }) { print "ok $name\n"; return }
    my $why = $@ =~ s/\s+$//r;
    $failures++;
    print "not ok $name: $why\n";
}

sub equal {
    my ($found, $wanted) = @_;
    $_ = defined $_ ? $_ : 'undef' for $found, $wanted;
    return if $found eq $wanted;
    die sprintf "found %.200s, wanted %.200s at line %d\n", $found, $wanted, (caller)[2];
}

sub holds { my ($fact, $what) = @_; $fact or die "$what does not hold at line " . (caller)[2] . "\n" }

# Polls, because only the server's clock knows when a second is over.
sub wait_until {
    my ($fact) = @_;
    my $end = Time::HiRes::time() + 8;
    until ($fact->()) {
        die "not within 8 s\n" if Time::HiRes::time() > $end;
        Time::HiRes::sleep(0.05);
    }
}

# The checks both clients share. They differ in what a failed store returns, so results are tested for truth.
sub classic_commands {
    my ($client) = @_;

    check 'set, get, missing, delete' => sub {
        holds $client->set(colour => 'blue'), 'set';
        equal $client->get('colour'), 'blue';
        equal $client->get('nothing'), undef;
        holds $client->delete('colour'), 'delete';
        holds !$client->delete('colour'), 'delete of a missing key fails';
        equal $client->get('colour'), undef;
    };

    check 'add and replace' => sub {
        holds $client->add(once => 1), 'add';
        holds !$client->add(once => 2), 'second add fails';
        holds $client->replace(once => 3), 'replace';
        holds !$client->replace(nothing => 3), 'replace of a missing key fails';
        equal $client->get('once'), 3;
    };

    check 'incr and decr' => sub {
        $client->set(n => 10);
        equal $client->incr('n', 5), 15;
        equal $client->decr('n', 20) + 0, 0;
        holds !$client->incr('nothing', 1), 'incr of a missing key fails';
    };

    check 'get_multi of 1,000 keys of which half are missing' => sub {
        $client->set("many$_" => "value $_") for grep { $_ % 2 } 1 .. 1000;
        my $found = $client->get_multi(map { "many$_" } 1 .. 1000);
        equal scalar(keys %$found), 500;
        equal $found->{"many$_"}, "value $_" for grep { $_ % 2 } 1 .. 1000;
    };

    check 'flags: a structure and a compressed text come back as they went' => sub {
        holds $client->set(struct => { a => [1, 2, undef], b => { c => 'd' } }), 'set of a structure';
        equal $client->get('struct')->{b}{c}, 'd';
        equal $client->get('struct')->{a}[1], 2;
        my $text = 'compressible ' x 20000;
        holds $client->set(zipped => $text), 'set of a long text';
        equal $client->get('zipped'), $text;
    };

    check 'a value of about 1,000,000 bytes that does not compress' => sub {
        my $state = 1;
        my $large = pack 'N*', map { $state = ($state * 1103515245 + 12345) & 0xffffffff } 1 .. 250_000;
        holds $client->set(large => $large), 'set';
        holds $client->get('large') eq $large, 'the same bytes come back';
    };

    check 'a value with line ends and zero bytes' => sub {
        my $value = "VALUE x 0 1\r\nEND\r\n\0\r\n";
        holds $client->set(lines => $value), 'set';
        equal $client->get('lines'), $value;
    };

    check 'exptime passes' => sub {
        holds $client->set(brief => 1, 1), 'set for a second';
        wait_until sub { !defined $client->get('brief') };
    };
}

1;
