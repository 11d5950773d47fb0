# Perl Cache::Memcached::Fast, which pipelines and has its own C parser. Arguments: host:port of each server.
use strict;
use warnings;
use FindBin;
use Cache::Memcached::Fast;
BEGIN { require "$FindBin::Bin/check.pl" }
our $failures;

my $client = Cache::Memcached::Fast->new({
    servers => [@ARGV], ketama_points => 150, compress_threshold => 10_000, io_timeout => 10, nowait => 0,
});
classic_commands($client);

check 'append and prepend' => sub {
    $client->set(middle => '-');
    holds $client->append(middle => 'right'), 'append';
    holds $client->prepend(middle => 'left'), 'prepend';
    equal $client->get('middle'), 'left-right';
    holds !$client->append(nothing => 'x'), 'append to a missing key fails';
};

check 'gets and cas: stored, stale, missing' => sub {
    $client->set(token => 1);
    my $pair = $client->gets('token');
    equal $pair->[1], 1;
    holds $client->cas(token => $pair->[0], 2), 'cas';
    holds !$client->cas(token => $pair->[0], 3), 'stale cas fails';
    equal $client->get('token'), 2;
    my $many = $client->gets_multi(qw(token nothing));
    equal join(',', keys %$many), 'token';
};

check 'set_multi, cas_multi, incr_multi, delete_multi' => sub {
    my $set = $client->set_multi(map { ["multi$_" => $_, 100] } 1 .. 500);
    equal scalar(grep { $_ } values %$set), 500;
    my $incr = $client->incr_multi(map { ["multi$_" => 1000] } 1 .. 500);
    equal $incr->{"multi$_"}, 1000 + $_ for 1 .. 500;
    my $gone = $client->delete_multi(map { "multi$_" } 1 .. 500);
    equal scalar(grep { $_ } values %$gone), 500;
    equal scalar(keys %{ $client->get_multi(map { "multi$_" } 1 .. 500) }), 0;
};

check 'touch prolongs' => sub {
    $client->set(prolonged => 1, 1);
    holds $client->touch('prolonged', 1000), 'touch';
    holds !$client->touch('nothing', 1000), 'touch of a missing key fails';
    $client->set(brief => 1, 1);
    wait_until sub { !defined $client->get('brief') };
    equal $client->get('prolonged'), 1;
};

check 'gat fetches and prolongs' => sub {
    $client->set(seen => 1, 1);
    equal $client->gat(1000, 'seen'), 1;
    equal $client->gat(1000, 'nothing'), undef;
};

check 'no reply: 1,000 sets in void context with nowait are all there' => sub {
    my $quiet = Cache::Memcached::Fast->new({ servers => [@ARGV], ketama_points => 150, nowait => 1, io_timeout => 10 });
    $quiet->set("quiet$_" => $_) for 1 .. 1000;
    $quiet->nowait_push;
    equal scalar(keys %{ $quiet->get_multi(map { "quiet$_" } 1 .. 1000) }), 1000;
};

check 'server_versions and flush_all' => sub {
    my $versions = $client->server_versions;
    equal join(' ', values %$versions), join(' ', ('1.6.45') x @ARGV);
    $client->flush_all;
    wait_until sub { !defined $client->get('once') };
};

exit($failures ? 1 : 0);
