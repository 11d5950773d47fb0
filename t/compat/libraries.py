"""Client libraries. Each has a script in clients/ that prints `ok NAME` or `not ok NAME: why` for every check it makes."""

import os

import install
from kit import CLIENTS, run


def pymemcache(report, servers):
    client_script(report, [install.PYTHON, CLIENTS / "pymemcache_client.py"], servers)


def pylibmc(report, servers):
    client_script(report, [install.PYTHON, CLIENTS / "pylibmc_client.py"], servers)


def python_memcached(report, servers):
    client_script(report, [install.PYTHON, CLIENTS / "python_memcached_client.py"], servers)


def perl_cache_memcached(report, servers):
    client_script(report, ["perl", CLIENTS / "cache_memcached.pl"], servers)


def perl_cache_memcached_fast(report, servers):
    client_script(report, ["perl", CLIENTS / "cache_memcached_fast.pl"], servers)


def php_memcached(report, servers):
    client_script(report, ["php", CLIENTS / "memcached.php"], servers)


def node_memcached(report, servers):
    client_script(report, ["node", CLIENTS / "memcached.js"], servers, NODE_PATH=str(install.NODE_MODULES))


def rust_memcache(report, servers):
    client_script(report, [install.RUST_CLIENT], servers)


def client_script(report, command, servers, **environment):
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    code, printed = run([*command, *(server.address for server in servers)], env=environment)
    passed = failed = 0
    for line in printed.splitlines():
        if line.startswith("ok "):
            passed += 1
            report.ok(line[3:])
        elif line.startswith("not ok "):
            failed += 1
            name, _, why = line[7:].partition(": ")
            report.fault(name, why)
    # A script that stops half way has told nothing about the rest.
    if code != (1 if failed else 0) or passed + failed == 0:
        report.fault("the script runs to its end", f"exit code {code}")
        failed += 1
    if failed:
        print(printed, flush=True)
