<?php
// Symfony's cache on php-memcached. Its connections use the binary protocol by default. Arguments: host:port of each server.
require __DIR__ . '/check.php';
require '/usr/share/php/Symfony/Component/Cache/autoload.php';

use Symfony\Component\Cache\Adapter\MemcachedAdapter;
use Symfony\Component\Cache\Adapter\TagAwareAdapter;
use Symfony\Contracts\Cache\ItemInterface;

$connection = MemcachedAdapter::createConnection(array_map(fn($s) => "memcached://$s[0]:$s[1]", $servers));
$cache = new MemcachedAdapter($connection, 'shop');

check('its default protocol is binary', function () use ($connection) {
    equal((bool) $connection->getOption(Memcached::OPT_BINARY_PROTOCOL), true);
});

check('get computes once', function () use ($cache) {
    $computed = 0;
    for ($i = 0; $i < 3; $i++) {
        equal($cache->get('price', function () use (&$computed) {
            $computed++;
            return ['eur' => 42];
        }), ['eur' => 42]);
    }
    equal($computed, 1);
});

check('items: missing, saved, deferred, fetched together, deleted', function () use ($cache) {
    equal($cache->getItem('nothing')->isHit(), false);
    for ($i = 0; $i < 300; $i++) {
        $cache->saveDeferred($cache->getItem("deferred$i")->set("value $i"));
    }
    equal($cache->commit(), true);
    $hits = 0;
    foreach ($cache->getItems(array_map(fn($i) => "deferred$i", range(0, 599))) as $key => $item) {
        $hits += $item->isHit() && $item->get() === 'value ' . substr($key, 8) ? 1 : 0;
    }
    equal($hits, 300);
    equal($cache->deleteItems(['deferred0', 'deferred1', 'nothing']), true);
    equal([$cache->hasItem('deferred0'), $cache->hasItem('deferred2')], [false, true]);
});

check('a value of 900,000 bytes', function () use ($cache) {
    mt_srand(7);
    $large = '';
    while (strlen($large) < 900000) {
        $large .= pack('N', mt_rand());
    }
    equal($cache->save($cache->getItem('large')->set($large)), true);
    equal($cache->getItem('large')->get() === $large, true);
});

check('an item expires', function () use ($cache) {
    $cache->save($cache->getItem('brief')->set(1)->expiresAfter(1));
    wait_until(fn() => !$cache->getItem('brief')->isHit());
});

check('tags invalidate what carries them', function () use ($cache) {
    $tagged = new TagAwareAdapter($cache);
    foreach (['apple' => 'fruit', 'pear' => 'fruit', 'bread' => 'bakery'] as $key => $tag) {
        $tagged->get($key, function (ItemInterface $item) use ($tag) {
            $item->tag($tag);
            return 1;
        });
    }
    equal($tagged->invalidateTags(['fruit']), true);
    $hits = array_map(fn($key) => $tagged->getItem($key)->isHit(), ['apple', 'pear', 'bread']);
    equal($hits, [false, false, true]);
});

check('clear empties the namespace', function () use ($cache) {
    $cache->save($cache->getItem('left')->set(1));
    equal($cache->clear(), true);
    wait_until(fn() => !$cache->getItem('left')->isHit());
});

exit($failures ? 1 : 0);
