"""Client libraries. Each has a script in clients/ that prints `ok NAME` or `not ok NAME: why` for every check it makes."""

import os
import pathlib
import tempfile

import install
from kit import CLIENTS, certificate, run, servers


def pymemcache(report, servers):
    client_script(report, [install.PYTHON, CLIENTS / "pymemcache_client.py"], servers)


def pylibmc(report, servers):
    client_script(report, [install.PYTHON, CLIENTS / "pylibmc_client.py"], servers)


def pylibmc_binary(report, servers):
    client_script(report, [install.PYTHON, CLIENTS / "pylibmc_client.py"], servers, BINARY="1")


def python_memcached(report, servers):
    client_script(report, [install.PYTHON, CLIENTS / "python_memcached_client.py"], servers)


def perl_cache_memcached(report, servers):
    client_script(report, ["perl", CLIENTS / "cache_memcached.pl"], servers)


def perl_cache_memcached_fast(report, servers):
    client_script(report, ["perl", CLIENTS / "cache_memcached_fast.pl"], servers)


def php_memcached(report, servers):
    client_script(report, ["php", CLIENTS / "memcached.php"], servers)


def php_memcached_binary(report, servers):
    client_script(report, ["php", CLIENTS / "memcached.php"], servers, BINARY="1")


def php_memcached_sessions(report, servers):
    script = ["php", CLIENTS / "php_session.php"]
    client_script(report, script, servers, PHASE="write")
    servers[0].kill()
    client_script(report, script, servers, PHASE="read")


def php_memcache(report, servers):
    client_script(report, ["php", CLIENTS / "memcache.php"], servers)


def symfony_cache(report, servers):
    client_script(report, ["php", CLIENTS / "symfony_cache.php"], servers)


def dalli(report, servers):
    client_script(report, ["ruby", CLIENTS / "dalli.rb"], servers)


def dalli_newest(report, servers):
    client_script(report, ["ruby", "-I", install.newest_dalli(), CLIENTS / "dalli.rb"], servers)


def rails_cache(report, servers):
    client_script(report, ["ruby", CLIENTS / "rails_cache.rb"], servers)


def binary_memcached(report, servers):
    client_script(report, [install.PYTHON, CLIENTS / "binary_memcached_client.py"], servers)


def pymemcache_meta(report, servers):
    client_script(report, [install.PYTHON, CLIENTS / "pymemcache_meta_client.py"], servers)


def pymemcache_tls(report, _servers):
    """The same checks over TLS, with a certificate of its own."""
    with tempfile.TemporaryDirectory() as folder:
        chain, key = certificate(folder, "server")
        with servers(report, 3, ["-Z", "-o", f"ssl_chain_cert={chain},ssl_key={key}"]) as running:
            client_script(report, [install.PYTHON, CLIENTS / "pymemcache_client.py"], running, TLS_CA=str(chain))


def meta_memcache(report, servers):
    client_script(report, [install.PYTHON, CLIENTS / "meta_memcache_client.py"], servers)


def memjs(report, servers):
    client_script(report, ["node", CLIENTS / "memjs_client.js"], servers, NODE_PATH=str(install.NODE_MODULES))


def gomemcache(report, servers):
    client_script(report, ["go", "run", CLIENTS / "gomemcache.go"], servers, GO111MODULE="off", GOPATH="/usr/share/gocode")


def spymemcached(report, servers):
    client_script(report, ["java", "-cp", "/usr/share/java/spymemcached.jar", CLIENTS / "Spymemcached.java"], servers)


def node_memcached(report, servers):
    client_script(report, ["node", CLIENTS / "memcached.js"], servers, NODE_PATH=str(install.NODE_MODULES))


def rust_memcache(report, servers):
    client_script(report, [install.RUST_CLIENT], servers)


def rust_async_memcached(report, servers):
    client_script(report, [install.RUST_ASYNC_CLIENT], servers)


def sasl(report, _servers):
    """The clients that can authenticate, with a file of users."""
    with tempfile.TemporaryDirectory() as folder:
        secret = {"SASL_USER": "shop", "SASL_PASSWORD": "secret"}
        # The library that pylibmc brings looks for mechanisms in a folder that Debian does not have.
        mechanisms = str(next(pathlib.Path("/usr/lib").glob("*/sasl2")))
        users = pathlib.Path(folder) / "users"
        users.write_text(":".join(secret.values()) + "\n")
        users.chmod(0o600)
        # memcached reads its mechanisms from a file in a folder; larder has only PLAIN.
        (pathlib.Path(folder) / "memcached.conf").write_text("mech_list: plain\n")
        environment = {"MEMCACHED_SASL_PWDB": str(users), "SASL_CONF_PATH": folder}
        with servers(report, 3, ["-S"], environment) as running:
            client_script(report, [install.PYTHON, CLIENTS / "binary_memcached_client.py"], running, **secret)
            client_script(report, [install.PYTHON, CLIENTS / "pylibmc_client.py"], running, BINARY="1",
                          SASL_PATH=mechanisms, **secret)
            client_script(report, ["php", CLIENTS / "memcached.php"], running, BINARY="1", **secret)


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
