<?php
// Sessions of php-memcached with its default settings: binary protocol, ketama, locks. Arguments: host:port of each server.
// PHASE=write makes sessions with one replica each; PHASE=read reads them in another process, after a server has died.
require __DIR__ . '/check.php';

const SESSIONS = 20;

ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
ini_set('session.save_handler', 'memcached');
ini_set('session.save_path', implode(',', array_slice($argv, 1)));

function with_session(string $id, callable $body): void
{
    session_id($id);
    equal(session_start(), true);
    try {
        $body();
    } finally {
        session_write_close();
        $_SESSION = [];
    }
}

function replicated(): void
{
    ini_set('memcached.sess_number_of_replicas', '1');
    ini_set('memcached.sess_remove_failed_servers', '1');
    ini_set('memcached.sess_server_failure_limit', '1');
}

function write_sessions(array $argv, array $servers): void
{
    check('the default protocol of sessions is binary, and locks are on', function () {
        equal([ini_get('memcached.sess_binary_protocol'), ini_get('memcached.sess_locking')], ['1', '1']);
    });
    check('a session is written, closed and read again', function () {
        with_session('plain', fn() => $_SESSION['cart'] = ['apples' => 3, 'text' => "\0\r\nEND\r\n"]);
        with_session('plain', fn() => equal($_SESSION['cart'], ['apples' => 3, 'text' => "\0\r\nEND\r\n"]));
    });
    check('another process cannot open a locked session, and can after its end', function () use ($argv) {
        // The lock and the session are on the one server that both processes are given.
        ini_set('session.save_path', $argv[1]);
        $other = 'PHASE=lock ' . implode(' ', array_map('escapeshellarg', [
            PHP_BINARY, '-d', 'memcached.sess_lock_retries=1', __FILE__, $argv[1],
        ]));
        with_session('locked', function () use ($other) {
            $_SESSION['owner'] = 'first';
            equal(trim(shell_exec($other)), 'locked');
        });
        equal(trim(shell_exec($other)), 'opened by first');
        ini_set('session.save_path', implode(',', array_slice($argv, 1)));
    });
    check('a session is regenerated and destroyed', function () {
        with_session('old', fn() => $_SESSION['x'] = 1);
        with_session('old', fn() => equal(session_regenerate_id(true), true));
        with_session('old', fn() => equal($_SESSION, []));
        with_session('gone', fn() => $_SESSION['x'] = 1);
        session_id('gone');
        session_start();
        equal(session_destroy(), true);
        with_session('gone', fn() => equal($_SESSION, []));
    });
    check('sessions with one replica are on two servers each', function () use ($servers) {
        replicated();
        for ($i = 0; $i < SESSIONS; $i++) {
            with_session("replica$i", fn() => $_SESSION['n'] = $i);
        }
        $copies = 0;
        foreach ($servers as [$host, $port]) {
            $direct = new Memcached();
            $direct->addServer($host, $port);
            for ($i = 0; $i < SESSIONS; $i++) {
                $copies += $direct->get("memc.sess.key.replica$i") === false ? 0 : 1;
            }
        }
        equal($copies, 2 * SESSIONS);
    });
}

function read_sessions(): void
{
    check('every session is still there after the loss of one server', function () {
        replicated();
        // Locks have no replica: if the lost server had it, the client opens an empty session, whatever the server is.
        ini_set('memcached.sess_locking', '0');
        for ($i = 0; $i < SESSIONS; $i++) {
            with_session("replica$i", fn() => equal($_SESSION['n'] ?? null, $i));
        }
    });
}

function try_lock(): void
{
    session_id('locked');
    if (@session_start()) {
        echo 'opened by ', $_SESSION['owner'], "\n";
    } else {
        echo "locked\n";
    }
}

match (getenv('PHASE')) {
    'write' => write_sessions($argv, $servers),
    'read' => read_sessions(),
    'lock' => try_lock(),
};
exit($failures ? 1 : 0);
