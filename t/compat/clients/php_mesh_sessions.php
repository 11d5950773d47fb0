<?php
// A worker of a web server: raises a number in random sessions for some seconds. Prints a line for each request: its
// end, the session, the number that was written or `locked`, and milliseconds.
// Arguments: seconds, sessions, host:port of each node.
[, $seconds, $sessions] = $argv;

ini_set('session.use_cookies', '0');
ini_set('session.cache_limiter', '');
ini_set('session.save_handler', 'memcached');
ini_set('session.save_path', implode(',', array_slice($argv, 3)));
ini_set('memcached.sess_remove_failed_servers', '1');
ini_set('memcached.sess_server_failure_limit', '1');
ini_set('memcached.sess_connect_timeout', '200');
ini_set('memcached.sess_lock_wait_min', '50');
ini_set('memcached.sess_lock_wait_max', '100');
ini_set('memcached.sess_lock_retries', '15');
ini_set('memcached.sess_lock_expire', '2');

$end = microtime(true) + (float) $seconds;
while (($began = microtime(true)) < $end) {
    $session = 'session' . random_int(1, (int) $sessions);
    session_id($session);
    $written = 'locked';
    if (@session_start()) {
        $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
        $number = $_SESSION['n'];
        if (@session_write_close()) {
            $written = $number;
        }
    }
    $_SESSION = [];
    $now = microtime(true);
    fwrite(STDOUT, sprintf("%.6f %s %s %.1f\n", $now, $session, $written, ($now - $began) * 1000));
    usleep(20000);
}
