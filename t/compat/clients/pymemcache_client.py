"""pymemcache: the plain client on one server, HashClient over three. Arguments: host:port of each server. TLS_CA: the
authority of the servers' certificates, if they use TLS."""

import os
import ssl
import sys

from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.exceptions import MemcacheClientError, MemcacheIllegalInputError, MemcacheServerError
from pymemcache import serde

from check import check, equal, finish, raises, wait_until

addresses = [(host, int(port)) for host, port in (a.rsplit(":", 1) for a in sys.argv[1:])]
tls = {"tls_context": ssl.create_default_context(cafile=os.environ["TLS_CA"])} if "TLS_CA" in os.environ else {}
client = Client(addresses[0], default_noreply=False, timeout=10, **tls)


@check("set, get and a missing key")
def _():
    equal(client.set("colour", b"blue"), True)
    equal(client.get("colour"), b"blue")
    equal(client.get("nothing"), None)
    equal(client.get("nothing", default=b"x"), b"x")


@check("an empty value is not a missing one")
def _():
    equal(client.set("empty", b""), True)
    equal(client.get("empty"), b"")


@check("delete, and delete what is not there")
def _():
    client.set("gone", b"1")
    equal(client.delete("gone"), True)
    equal(client.delete("gone"), False)
    equal(client.get("gone"), None)


@check("add and replace")
def _():
    client.delete("once")
    equal(client.replace("once", b"0"), False)
    equal(client.add("once", b"1"), True)
    equal(client.add("once", b"2"), False)
    equal(client.replace("once", b"3"), True)
    equal(client.get("once"), b"3")


@check("append and prepend")
def _():
    client.delete("middle")
    equal(client.append("middle", b"x"), False)
    client.set("middle", b"-")
    equal(client.append("middle", b"right"), True)
    equal(client.prepend("middle", b"left"), True)
    equal(client.get("middle"), b"left-right")


@check("gets and cas: stored, stale, missing")
def _():
    client.set("token", b"1")
    value, cas = client.gets("token")
    equal(value, b"1")
    equal(client.cas("token", b"2", cas), True)
    equal(client.cas("token", b"3", cas), False)
    equal(client.get("token"), b"2")
    client.delete("token")
    equal(client.cas("token", b"4", cas), None)
    found = client.gets_many(["colour", "empty", "nothing"])
    equal({key: pair[0] for key, pair in found.items()}, {"colour": b"blue", "empty": b""})


@check("incr and decr: value, floor at zero, wrap, not a number, missing")
def _():
    client.set("n", b"10")
    equal(client.incr("n", 5), 15)
    equal(client.decr("n", 20), 0)
    client.set("n", b"18446744073709551615")
    equal(client.incr("n", 2), 1)
    equal(client.incr("nothing", 1), None)
    client.set("n", b"ten")
    raises(MemcacheClientError, lambda: client.incr("n", 1))
    equal(client.get("colour"), b"blue")


@check("get_many of 1,000 keys of which every third is missing")
def _():
    wanted = {f"many{i}": str(i).encode() * 5 for i in range(1000) if i % 3}
    equal(client.set_many(wanted), [])
    equal(client.get_many([f"many{i}" for i in range(1000)]), wanted)


@check("a value of 1,000,000 bytes comes back whole")
def _():
    large = bytes(range(256)) * 3906 + b"\r\nEND\r\n"
    equal(client.set("large", large), True)
    equal(client.get("large"), large)


@check("a value above the item size limit is refused and the connection stays in step")
def _():
    raises(MemcacheServerError, lambda: client.set("large", b"x" * (2 << 20)))
    equal(client.get("colour"), b"blue")
    equal(client.get("large"), None)


@check("a value that holds protocol lines comes back as it was")
def _():
    equal(client.set("lines", b"VALUE x 0 1\r\nEND\r\n\0\xff"), True)
    equal(client.get("lines"), b"VALUE x 0 1\r\nEND\r\n\0\xff")


@check("keys of 250 bytes, and of any byte above blank")
def _():
    long_key = "k" * 250
    equal(client.set(long_key, b"v"), True)
    equal(client.get(long_key), b"v")
    raises(MemcacheIllegalInputError, lambda: client.set("k" * 251, b"v"))
    loose = Client(addresses[0], default_noreply=False, timeout=10, allow_unicode_keys=True, **tls)
    equal(loose.set("Schlüssel", b"v"), True)
    equal(loose.get("Schlüssel"), b"v")


@check("exptime: one second passes, the past is gone at once, touch prolongs")
def _():
    client.set("brief", b"1", expire=1)
    client.set("prolonged", b"1", expire=1)
    equal(client.touch("prolonged", 1000), True)
    equal(client.touch("nothing", 1000), False)
    client.set("past", b"1", expire=-1)
    equal(client.get("past"), None)
    wait_until(lambda: client.get("brief") is None)
    equal(client.get("prolonged"), b"1")


@check("noreply on every command that has it, then in step")
def _():
    client.set("q", b"1", noreply=True)
    client.add("q", b"2", noreply=True)
    client.replace("q", b"3", noreply=True)
    client.append("q", b"4", noreply=True)
    client.prepend("q", b"2", noreply=True)
    equal(client.get("q"), b"234")
    client.incr("q", 6, noreply=True)
    client.decr("q", 40, noreply=True)
    client.touch("q", 1000, noreply=True)
    equal(client.get("q"), b"200")
    client.delete("q", noreply=True)
    equal(client.get("q"), None)


@check("flags: a serializer's types come back as they went")
def _():
    typed = Client(addresses[0], default_noreply=False, timeout=10, serde=serde.pickle_serde, **tls)
    for value in ("text", 12, {"a": [1, 2]}, b"raw"):
        equal(typed.set("typed", value), True)
        equal(typed.get("typed"), value)
    zipped = Client(addresses[0], default_noreply=False, timeout=10, serde=serde.compressed_serde, **tls)
    equal(zipped.set("zipped", "z" * 100000), True)
    equal(zipped.get("zipped"), "z" * 100000)


@check("stats, version, flush_all")
def _():
    stats = client.stats()
    equal(stats[b"curr_connections"] >= 1, True)
    equal(int(stats[b"cmd_get"]) > 0, True)
    equal(b"maxbytes" in client.stats("settings"), True)
    equal(client.version(), b"1.6.45")
    equal(client.flush_all(), True)
    wait_until(lambda: client.get("colour") is None)


@check("a pool of connections")
def _():
    pool = PooledClient(addresses[0], max_pool_size=4, default_noreply=False, timeout=10, **tls)
    equal(pool.set("pooled", b"1"), True)
    equal(pool.get("pooled"), b"1")


@check("HashClient over three servers: 3,000 keys, each server holds some, none is lost")
def _():
    ring = HashClient(addresses, default_noreply=False, timeout=10, use_pooling=True, **tls)
    wanted = {f"ring{i}": f"value {i}".encode() for i in range(3000)}
    equal(ring.set_many(wanted), [])
    equal(ring.get_many(list(wanted)), wanted)
    equal(ring.get("ring7"), b"value 7")
    equal(ring.incr("absent", 1), None)
    equal(ring.delete("ring7"), True)
    equal(ring.get("ring7"), None)
    counts = [int(Client(a, timeout=10, **tls).stats()[b"curr_items"]) for a in addresses]
    equal(len(addresses), 3)
    equal(min(counts) > 300, True)


finish()
