"""python-binary-memcached, which speaks only the binary protocol. Arguments: host:port of each server. With SASL_USER and
SASL_PASSWORD it authenticates."""

import os
import sys

import bmemcached

from check import check, equal, finish, raises, wait_until

servers = sys.argv[1:]
secret = os.environ.get("SASL_USER"), os.environ.get("SASL_PASSWORD")
client = bmemcached.Client(servers[:1], *secret, socket_timeout=10)


@check("set, get, missing, delete")
def _():
    equal(client.set("colour", "blue"), True)
    equal(client.get("colour"), "blue")
    equal(client.get("nothing"), None)
    equal(client.delete("colour"), True)
    equal(client.get("colour"), None)


@check("add, replace, incr, decr")
def _():
    equal(client.add("once", "1"), True)
    equal(client.add("once", "2"), False)
    equal(client.replace("once", "3"), True)
    equal(client.replace("nothing", "3"), False)
    equal(client.incr("n", 5, default=10), 10)
    equal(client.incr("n", 5), 15)
    equal(client.decr("n", 20), 0)


@check("gets and cas: stored, then stale")
def _():
    client.set("token", "1")
    value, cas = client.gets("token")
    equal(value, "1")
    equal(client.cas("token", "2", cas), True)
    equal(client.cas("token", "3", cas), False)
    equal(client.get("token"), "2")


@check("set_multi and get_multi of 600 keys, half of them missing")
def _():
    equal(client.set_multi({f"many{i}": f"value {i}" for i in range(300)}), [])
    found = client.get_multi([f"many{i}" for i in range(600)])
    equal(found, {f"many{i}": f"value {i}" for i in range(300)})
    equal(client.delete_multi(["many0", "many1"]), True)
    equal(client.get("many0"), None)


@check("flags: types, compressed text, 1,000,000 bytes that do not compress")
def _():
    for value in (1, "text", b"bytes", {"a": [1, None]}, "z" * 200_000, os.urandom(1_000_000)):
        equal(client.set("typed", value), True)
        equal(client.get("typed"), value)


@check("a value above the limit is refused and the connection stays in step")
def _():
    raises(bmemcached.exceptions.MemcachedException, lambda: client.set("large", os.urandom(2 << 20)))
    equal(client.set("after", "1"), True)
    equal(client.get("after"), "1")


@check("exptime passes")
def _():
    equal(client.set("brief", "x", time=1), True)
    wait_until(lambda: client.get("brief") is None)


@check("stats and flush_all")
def _():
    stats = client.stats()
    equal([rows["version"] for rows in stats.values()], [b"1.6.45"])
    equal(client.flush_all(), True)
    wait_until(lambda: client.get("once") is None)


if secret[0]:

    @check("a wrong password and a missing one are refused")
    def _():
        wrong = bmemcached.Client(servers[:1], secret[0], secret[1] + "x", socket_timeout=10)
        without = bmemcached.Client(servers[:1], socket_timeout=10)
        for other in (wrong, without):
            raises(bmemcached.exceptions.MemcachedException, lambda: other.set("unauthenticated", "1"))
        equal(client.get("unauthenticated"), None)


finish()
