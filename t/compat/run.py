#!/usr/bin/env python3
"""Real clients against larder: `make compat`.

    t/compat/run.py [PART OF A GROUP'S NAME...]

Installs every client by its package name, starts fresh servers on free loopback ports for each group of checks, and
prints one line per named check. Nothing is ever skipped: what cannot be installed is a failure. LARDER_SERVER names
another server to run against, such as memcached itself.
"""

import sys

import daemons
import install
import libraries
import mesh
import proxies
import tools
import web
from kit import SERVER, Report, servers

# Name, how many servers, Debian packages, other installs, the checks.
GROUPS = [
    ("pymemcache", 3, [], [install.python_packages], libraries.pymemcache),
    ("pylibmc", 3, [], [install.python_packages], libraries.pylibmc),
    ("pylibmc, binary", 3, [], [install.python_packages], libraries.pylibmc_binary),
    ("python-binary-memcached", 1, [], [install.python_packages], libraries.binary_memcached),
    ("pymemcache, TLS", 0, ["openssl"], [install.python_packages], libraries.pymemcache_tls),
    ("pymemcache, meta", 1, [], [install.python_packages], libraries.pymemcache_meta),
    ("meta-memcache", 3, [], [install.python_packages], libraries.meta_memcache),
    ("python-memcached", 3, [], [install.python_packages], libraries.python_memcached),
    ("Cache::Memcached", 3, ["libcache-memcached-perl"], [], libraries.perl_cache_memcached),
    ("Cache::Memcached::Fast", 3, ["libcache-memcached-fast-perl"], [], libraries.perl_cache_memcached_fast),
    ("php-memcached", 3, ["php-cli", "php-memcached"], [], libraries.php_memcached),
    ("php-memcached, binary", 3, ["php-cli", "php-memcached"], [], libraries.php_memcached_binary),
    ("SASL", 0, ["php-cli", "php-memcached", "libsasl2-modules"], [install.python_packages], libraries.sasl),
    ("php-memcached, sessions", 3, ["php-cli", "php-memcached"], [], libraries.php_memcached_sessions),
    ("pecl memcache", 3, ["php-cli", "php-memcache"], [], libraries.php_memcache),
    ("Symfony's cache", 3, ["php-cli", "php-memcached", "php-symfony-cache"], [], libraries.symfony_cache),
    ("Dalli", 3, ["ruby", "ruby-dalli"], [], libraries.dalli),
    ("Dalli, newest", 3, ["ruby"], [install.newest_dalli], libraries.dalli_newest),
    ("Rails' MemCacheStore", 3, ["ruby", "ruby-activesupport", "ruby-dalli"], [], libraries.rails_cache),
    ("gomemcache", 3, ["golang-go", "golang-github-bradfitz-gomemcache-dev"], [], libraries.gomemcache),
    ("spymemcached", 3, ["default-jdk-headless", "libspymemcached-java"], [], libraries.spymemcached),
    ("memjs", 3, [], [install.node_packages], libraries.memjs),
    ("node memcached", 3, [], [install.node_packages], libraries.node_memcached),
    ("rust memcache", 3, [], [install.rust_client], libraries.rust_memcache),
    ("rust async-memcached", 1, [], [install.rust_client], libraries.rust_async_memcached),
    ("libmemcached tools", 3, ["libmemcached-tools"], [], tools.libmemcached_tools),
    ("memcslap", 3, ["libmemcached-tools"], [], tools.memcslap),
    ("memcaslap", 1, ["libmemcached-tools"], [], tools.memcaslap),
    ("UDP", 0, ["libmemcached-tools"], [], tools.udp),
    ("memccapable", 1, ["libmemcached-tools"], [], tools.memccapable),
    ("monit", 1, ["monit"], [], tools.monit),
    ("memcached-tool", 1, [], [install.memcached_scripts], tools.memcached_tool),
    ("dump readers", 1, [], [install.memcached_scripts], tools.dump_readers),
    ("scraping", 1, [], [], tools.scraping),
    ("curl", 0, ["curl"], [], web.curl),
    ("curl, TLS", 0, ["curl", "openssl"], [], web.curl_tls),
    ("Prometheus", 0, ["prometheus"], [], web.prometheus),
    ("check_tcp", 1, ["monitoring-plugins-basic"], [], tools.nagios_check_tcp),
    ("mesh, haproxy", 0, ["haproxy"], [], mesh.haproxy_failover),
    ("mesh, php sessions", 0, ["php-cli", "php-memcached"], [], mesh.php_sessions),
    ("mesh, php locks", 0, ["php-cli", "php-memcached"], [], mesh.php_locks),
    ("mesh, libmemcached", 0, ["php-cli", "php-memcached"], [], mesh.libmemcached_failover),
    ("twemproxy", 3, ["nutcracker"], [], proxies.twemproxy),
    ("memcached's router", 3, [], [install.newest_memcached], proxies.router),
    ("daemontools", 0, ["daemontools"], [], daemons.daemontools),
    ("systemd", 0, [], [], daemons.systemd),
    ("Kubernetes", 0, ["curl"], [install.python_packages], daemons.kubernetes),
]


def main(parts):
    chosen = [group for group in GROUPS if not parts or any(part in group[0] for part in parts)]
    if not chosen:
        sys.exit(f"run.py: no group is called like {' or '.join(parts)}: {', '.join(group[0] for group in GROUPS)}")
    if not SERVER.exists():
        sys.exit(f"run.py: no server at {SERVER}: run `cargo build --release` first, or set LARDER_SERVER")
    report = Report()
    report.group = "install"
    packages = {package for group in chosen for package in group[2]}
    with report.check("Debian packages " + (", ".join(sorted(packages)) or "(none)")):
        install.apt(packages)
    for step in dict.fromkeys(step for group in chosen for step in group[3]):
        with report.check(step.__name__.replace("_", " ")):
            step()
    for name, count, _, _, checks in chosen:
        report.group = name
        try:
            with servers(report, count) as running:
                checks(report, running)
        except Exception as error:  # A group that breaks is a failure; the others still run.
            report.fault("the group runs to its end", repr(error))
    print(f"{report.passed} passed, {report.failed} failed", flush=True)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
