# Perl Cache::Memcached, the first memcached client there was. Arguments: host:port of each server.
use strict;
use warnings;
use FindBin;
use Cache::Memcached;
BEGIN { require "$FindBin::Bin/check.pl" }
our $failures;

my $client = Cache::Memcached->new({ servers => [@ARGV], compress_threshold => 10_000 });
classic_commands($client);

check 'keys are spread over all servers' => sub {
    $client->set("spread$_" => $_) for 1 .. 600;
    equal scalar(keys %{ $client->get_multi(map { "spread$_" } 1 .. 600) }), 600;
    my $hosts = $client->stats('misc')->{hosts};
    equal scalar(keys %$hosts), scalar @ARGV;
    holds $hosts->{$_}{misc}{curr_items} > 50, "$_ holds some keys" for keys %$hosts;
};

check 'stats: misc, maps of slabs and items' => sub {
    my $stats = $client->stats(['misc', 'items', 'slabs', 'self']);
    holds $stats->{total}{cmd_get} > 0, 'cmd_get in total';
    holds $stats->{total}{bytes} > 0, 'bytes in total';
};

check 'flush_all' => sub {
    holds $client->flush_all, 'flush_all';
    wait_until sub { !defined $client->get('once') };
};

check 'disconnect_all and back' => sub {
    $client->disconnect_all;
    holds $client->set(back => 1), 'set';
    equal $client->get('back'), 1;
};

exit($failures ? 1 : 0);
