"""python-memcached, the oldest Python client, over all servers. Arguments: host:port of each server."""

import sys

import memcache

from check import check, equal, finish, wait_until

client = memcache.Client(sys.argv[1:], cache_cas=True)


@check("set, get, missing, delete")
def _():
    equal(client.set("colour", "blue"), True)
    equal(client.get("colour"), "blue")
    equal(client.get("nothing"), None)
    equal(client.delete("colour"), 1)
    equal(client.get("colour"), None)


@check("add, replace, append, prepend")
def _():
    equal(client.add("once", "1"), True)
    equal(client.add("once", "2"), False)
    equal(client.replace("once", "-"), True)
    equal(client.append("once", "right"), True)
    equal(client.prepend("once", "left"), True)
    equal(client.get("once"), "left-right")


@check("gets and cas: stored, then stale")
def _():
    client.set("token", "1")
    equal(client.gets("token"), "1")
    other = memcache.Client(sys.argv[1:])
    equal(other.set("token", "2"), True)
    equal(bool(client.cas("token", "3")), False)
    equal(client.gets("token"), "2")
    equal(client.cas("token", "3"), True)
    equal(other.get("token"), "3")


@check("incr and decr")
def _():
    client.set("n", "10")
    equal(client.incr("n", 5), 15)
    equal(client.decr("n", 20), 0)
    equal(client.incr("nothing"), None)


@check("set_multi, get_multi, delete_multi over all servers")
def _():
    wanted = {f"many{i}": i for i in range(1000)}
    equal(client.set_multi(wanted), [])
    equal(client.get_multi(list(wanted)), wanted)
    equal(client.delete_multi(list(wanted)), 1)
    equal(client.get_multi(list(wanted)), {})


@check("flags: types and compression")
def _():
    for value in (1, "text", b"bytes", {"a": 1}):
        equal(client.set("typed", value), True)
        equal(client.get("typed"), value)
    equal(client.set("zipped", "z" * 200000, min_compress_len=1000), True)
    equal(client.get("zipped"), "z" * 200000)


@check("exptime passes, touch prolongs")
def _():
    client.set("brief", "1", time=1)
    client.set("prolonged", "1", time=1)
    equal(client.touch("prolonged", 1000), 1)
    wait_until(lambda: client.get("brief") is None)
    equal(client.get("prolonged"), "1")


@check("noreply sets arrive")
def _():
    for i in range(100):
        client.set(f"quiet{i}", i, noreply=True)
    equal(len(client.get_multi([f"quiet{i}" for i in range(100)])), 100)


@check("stats, slabs, settings, flush_all")
def _():
    equal(len(client.get_stats()), len(sys.argv) - 1)
    equal("maxbytes" in client.get_stats("settings")[0][1], True)
    equal(len(client.get_slab_stats()), len(sys.argv) - 1)
    client.flush_all()
    wait_until(lambda: client.get("once") is None)


finish()
