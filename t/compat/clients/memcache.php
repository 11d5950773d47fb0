<?php
// pecl memcache (not memcached): its default protocol and its session handler. Arguments: host:port of each server.
require __DIR__ . '/check.php';

$cache = new Memcache();
foreach ($servers as [$host, $port]) {
    $cache->addServer($host, $port);
}

check('set, get, missing, delete', function () use ($cache) {
    equal($cache->set('colour', 'blue'), true);
    equal($cache->get('colour'), 'blue');
    equal($cache->get('nothing'), false);
    equal($cache->delete('colour'), true);
    equal($cache->delete('colour'), false);
});

check('add, replace, append, increment, decrement', function () use ($cache) {
    equal($cache->add('once', 'a'), true);
    equal($cache->add('once', 'b'), false);
    equal($cache->replace('once', 'c'), true);
    equal($cache->replace('nothing', 'c'), false);
    $cache->set('n', 10);
    equal($cache->increment('n', 5), 15);
    equal($cache->decrement('n', 20), 0);
    equal($cache->increment('nothing'), false);
});

check('300 keys over all servers, fetched at once', function () use ($cache, $servers) {
    $wanted = [];
    for ($i = 0; $i < 300; $i++) {
        $wanted["many$i"] = "value $i";
        $cache->set("many$i", "value $i");
    }
    $found = $cache->get(array_keys($wanted));
    ksort($found);
    ksort($wanted);
    equal($found, $wanted);
    $stats = $cache->getExtendedStats();
    equal(count($stats), count($servers));
    equal(min(array_column($stats, 'curr_items')) > 30, true);
});

check('flags: types and compressed values come back as they went', function () use ($cache) {
    foreach ([1, 1.5, true, 'text', ['a' => [1, 2]], "\0\r\nEND\r\n"] as $value) {
        equal($cache->set('typed', $value), true);
        equal($cache->get('typed'), $value);
    }
    equal($cache->set('zipped', str_repeat('compressible ', 20000), MEMCACHE_COMPRESSED), true);
    equal($cache->get('zipped'), str_repeat('compressible ', 20000));
});

check('sessions', function () {
    ini_set('session.use_cookies', '0');
    ini_set('session.cache_limiter', '');
    ini_set('session.save_handler', 'memcache');
    ini_set('session.save_path', implode(',', array_map(fn($a) => "tcp://$a", array_slice($GLOBALS['argv'], 1))));
    session_id('pecl');
    equal(session_start(), true);
    $_SESSION['cart'] = [1, 2, 3];
    session_write_close();
    $_SESSION = [];
    equal(session_start(), true);
    equal($_SESSION, ['cart' => [1, 2, 3]]);
    equal(session_destroy(), true);
});

check('version and flush', function () use ($cache) {
    equal($cache->getVersion(), '1.6.45');
    equal($cache->flush(), true);
    wait_until(fn() => $cache->get('once') === false);
});

exit($failures ? 1 : 0);
