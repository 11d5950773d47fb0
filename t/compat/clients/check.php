<?php
// What the PHP client tests share: named checks, each with its own line. Arguments of a test: host:port of each server.

// Sessions cannot start after the first byte of output.
ob_start();
$failures = 0;

function check(string $name, callable $body): void
{
    global $failures;
    try {
        $body();
        echo "ok $name\n";
    } catch (Throwable $error) {
        $failures++;
        echo "not ok $name: ", $error->getMessage(), ' at line ', $error->getLine(), "\n";
    }
}

function equal($found, $wanted): void
{
    if ($found !== $wanted) {
        $short = fn($value) => substr(var_export($value, true), 0, 200);
        throw new Exception("found {$short($found)}, wanted {$short($wanted)}");
    }
}

/** Polls, because only the server's clock knows when a second is over. */
function wait_until(callable $fact): void
{
    $end = microtime(true) + 8;
    while (!$fact()) {
        if (microtime(true) > $end) {
            throw new Exception('not within 8 s');
        }
        usleep(50000);
    }
}

$servers = array_map(fn($address) => [explode(':', $address)[0], (int) explode(':', $address)[1]], array_slice($argv, 1));
