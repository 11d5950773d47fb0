<?php
// php-memcached (pecl memcached on libmemcached), libketama-compatible ring. BINARY=1 asks for the binary protocol,
// and SASL_USER and SASL_PASSWORD for authentication.
require __DIR__ . '/check.php';

function client(array $servers): Memcached
{
    $client = new Memcached();
    $client->setOptions([
        Memcached::OPT_BINARY_PROTOCOL => getenv('BINARY') === '1',
        Memcached::OPT_LIBKETAMA_COMPATIBLE => true,
        Memcached::OPT_TCP_NODELAY => true,
    ]);
    if (getenv('SASL_USER') !== false) {
        $client->setSaslAuthData(getenv('SASL_USER'), getenv('SASL_PASSWORD'));
    }
    $client->addServers($servers);
    return $client;
}

$ring = client($servers);

check('libketama over three servers: 3,000 keys, each server holds some, none is lost', function () use ($ring, $servers) {
    equal(count($servers), 3);
    $wanted = [];
    for ($i = 0; $i < 3000; $i++) {
        $wanted["ketama$i"] = "value $i";
    }
    equal($ring->setMulti($wanted), true);
    $found = $ring->getMulti(array_keys($wanted));
    ksort($found);
    ksort($wanted);
    equal($found, $wanted);
    $counts = array_column($ring->getStats(), 'curr_items');
    equal(array_sum($counts), 3000);
    equal(min($counts) > 300, true);
});

check('set, get, missing, delete and their result codes', function () use ($ring) {
    equal($ring->set('colour', 'blue'), true);
    equal($ring->get('colour'), 'blue');
    equal($ring->get('nothing'), false);
    equal($ring->getResultCode(), Memcached::RES_NOTFOUND);
    equal($ring->delete('colour'), true);
    equal($ring->delete('colour'), false);
    equal($ring->getResultCode(), Memcached::RES_NOTFOUND);
});

check('add, replace, append, prepend', function () use ($ring) {
    equal($ring->add('once', 1), true);
    equal($ring->add('once', 2), false);
    // The binary protocol has a status of its own for this.
    equal($ring->getResultCode(), getenv('BINARY') === '1' ? Memcached::RES_DATA_EXISTS : Memcached::RES_NOTSTORED);
    equal($ring->replace('once', 3), true);
    equal($ring->replace('nothing', 3), false);
    $ring->setOption(Memcached::OPT_COMPRESSION, false);
    $ring->set('middle', '-');
    equal($ring->append('middle', 'right'), true);
    equal($ring->prepend('middle', 'left'), true);
    equal($ring->get('middle'), 'left-right');
    $ring->setOption(Memcached::OPT_COMPRESSION, true);
});

check('cas: stored, then stale', function () use ($ring) {
    $ring->set('token', 'one');
    $extended = $ring->get('token', null, Memcached::GET_EXTENDED);
    equal($extended['value'], 'one');
    equal($ring->cas($extended['cas'], 'token', 'two'), true);
    equal($ring->cas($extended['cas'], 'token', 'three'), false);
    equal($ring->getResultCode(), Memcached::RES_DATA_EXISTS);
    equal($ring->get('token'), 'two');
});

check('increment, decrement, missing key', function () use ($ring) {
    $ring->set('n', 10);
    equal($ring->increment('n', 5), 15);
    equal($ring->decrement('n', 20), 0);
    equal($ring->increment('nothing'), false);
});

check('flags: every PHP type comes back as it went', function () use ($ring) {
    foreach ([1, -7, 1.5, true, false, null, 'text', '', ['a' => [1, 2]], "\0\r\nEND\r\n"] as $value) {
        equal($ring->set('typed', $value), true);
        equal($ring->get('typed'), $value);
        equal($ring->getResultCode(), Memcached::RES_SUCCESS);
    }
    equal($ring->set('zipped', str_repeat('compressible ', 20000)), true);
    equal($ring->get('zipped'), str_repeat('compressible ', 20000));
});

check('a value of 1,000,000 bytes, and one above the limit', function () use ($ring) {
    $ring->setOption(Memcached::OPT_COMPRESSION, false);
    mt_srand(7);
    $large = '';
    while (strlen($large) < 1000000) {
        $large .= pack('N', mt_rand());
    }
    equal($ring->set('large', $large), true);
    equal($ring->get('large') === $large, true);
    equal($ring->set('large', str_repeat('x', 2 << 20)), false);
    $ring->setOption(Memcached::OPT_COMPRESSION, true);
    equal($ring->set('after', 1), true);
    equal($ring->get('after'), 1);
});

check('getMulti keeps order, getDelayed fetches all', function () use ($ring) {
    $ring->setMulti(['x' => 1, 'y' => 2, 'z' => 3]);
    $found = $ring->getMulti(['z', 'none', 'x'], Memcached::GET_PRESERVE_ORDER);
    equal(array_keys($found), ['z', 'none', 'x']);
    equal($found['none'], null);
    equal($ring->getDelayed(['x', 'y', 'z'], true), true);
    $values = array_column($ring->fetchAll(), 'value', 'key');
    ksort($values);
    equal($values, ['x' => 1, 'y' => 2, 'z' => 3]);
    equal($ring->deleteMulti(['x', 'y']), ['x' => true, 'y' => true]);
});

check('exptime passes, touch prolongs', function () use ($ring) {
    $ring->set('brief', 1, 1);
    $ring->set('prolonged', 1, 1);
    equal($ring->touch('prolonged', 1000), true);
    wait_until(fn() => $ring->get('brief') === false);
    equal($ring->get('prolonged'), 1);
});

check('noreply: 500 sets without an answer are all there', function () use ($ring, $servers) {
    $quiet = client($servers);
    $quiet->setOption(Memcached::OPT_NOREPLY, true);
    for ($i = 0; $i < 500; $i++) {
        $quiet->set("quiet$i", $i);
    }
    $quiet->quit();
    $keys = array_map(fn($i) => "quiet$i", range(0, 499));
    wait_until(fn() => count($ring->getMulti($keys)) === 500);
});

check('getVersion, getStats by type, flush', function () use ($ring, $servers) {
    equal(count($ring->getVersion()), count($servers));
    foreach ($ring->getVersion() as $version) {
        equal($version, '1.6.45');
    }
    equal(count($ring->getStats('slabs')), count($servers));
    equal($ring->flush(), true);
    wait_until(fn() => $ring->get('once') === false);
});

exit($failures ? 1 : 0);
