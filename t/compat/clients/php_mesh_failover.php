<?php
// libmemcached with fail-over: writes keys, waits for a line, and reads them again. Arguments: host:port of each node.
$client = new Memcached();
$client->setOptions([
    Memcached::OPT_DISTRIBUTION => Memcached::DISTRIBUTION_CONSISTENT,
    Memcached::OPT_LIBKETAMA_COMPATIBLE => true,
    Memcached::OPT_REMOVE_FAILED_SERVERS => true,
    Memcached::OPT_SERVER_FAILURE_LIMIT => 1,
    Memcached::OPT_RETRY_TIMEOUT => 1,
    Memcached::OPT_CONNECT_TIMEOUT => 200,
]);
foreach (array_slice($argv, 1) as $address) {
    [$host, $port] = explode(':', $address);
    $client->addServer($host, (int) $port);
}
for ($i = 0; $i < 1000; $i++) {
    $client->set("key$i", $i);
}
echo "written\n";
fgets(STDIN);
// The first requests to the node that is gone fail, and then it is removed.
$found = [];
for ($try = 0; $try < 5 && count($found) < 1000; $try++) {
    for ($i = 0; $i < 1000; $i++) {
        if ($client->get("key$i") === $i) {
            $found[$i] = true;
        }
    }
}
echo 'found ', count($found), " of 1000\n";
