"""meta-memcache, which speaks only the meta protocol. Arguments: host:port of each server."""

import sys

from meta_memcache import CacheClient, LeasePolicy, ServerAddress, SetMode, connection_pool_factory_builder

from check import check, equal, finish, wait_until

servers = [ServerAddress(host, int(port)) for host, port in (a.rsplit(":", 1) for a in sys.argv[1:])]
client = CacheClient.cache_client_from_servers(servers, connection_pool_factory_builder(recv_timeout=10))


@check("set, get, missing, delete")
def _():
    equal(client.set("colour", "blue", ttl=100), True)
    equal(client.get("colour"), "blue")
    equal(client.get("nothing"), None)
    equal(client.delete("colour"), True)
    equal(client.get("colour"), None)


@check("add, append, prepend, replace")
def _():
    equal(client.set("once", "-", ttl=100, set_mode=SetMode.ADD), True)
    equal(client.set("once", "x", ttl=100, set_mode=SetMode.ADD), False)
    equal(client.set("once", "right", ttl=100, set_mode=SetMode.APPEND), True)
    equal(client.set("once", "left", ttl=100, set_mode=SetMode.PREPEND), True)
    equal(client.get("once"), "left-right")
    equal(client.set("nothing", "x", ttl=100, set_mode=SetMode.REPLACE), False)


@check("cas: stored, then stale")
def _():
    client.set("token", "one", ttl=100)
    value, cas = client.get_cas("token")
    equal(value, "one")
    equal(client.set("token", "two", ttl=100, cas_token=cas), True)
    equal(client.set("token", "three", ttl=100, cas_token=cas), False)
    equal(client.get("token"), "two")


@check("multi_get of 600 keys over all servers, half of them missing")
def _():
    for i in range(300):
        client.set(f"many{i}", i, ttl=100, no_reply=True)
    found = client.multi_get([f"many{i}" for i in range(600)])
    equal(sorted(value for value in found.values() if value is not None), list(range(300)))


@check("counters")
def _():
    equal(client.delta_initialize_and_get("hits", delta=1, initial_value=10, initial_ttl=100), 10)
    equal(client.delta_and_get("hits", delta=5), 15)
    equal(client.delta_and_get("hits", delta=-3), 12)


@check("types, compressed text, 1,000,000 bytes")
def _():
    for value in (1, "text", b"bytes", {"a": [1, None]}, "z" * 200_000, bytes(range(256)) * 3906):
        equal(client.set("typed", value, ttl=100), True)
        equal(client.get("typed"), value)


@check("keys with blanks and other alphabets, and a long key")
def _():
    for key in ("two words", "café", "x" * 240):
        equal(client.set(key, key, ttl=100), True)
        equal(client.get(key), key)


@check("a lease: one client computes, the others wait for it")
def _():
    policy = LeasePolicy(ttl=30, miss_retries=1)
    equal(client.get_or_lease("page", lease_policy=policy), None)
    client.set("page", "computed", ttl=100)
    equal(client.get_or_lease("page", lease_policy=policy), "computed")


@check("touch prolongs, a TTL passes")
def _():
    for key in ("brief", "prolonged"):
        client.set(key, key, ttl=1)
    equal(client.touch("prolonged", ttl=1000), True)
    wait_until(lambda: client.get("brief") is None)
    equal(client.get("prolonged"), "prolonged")


finish()
