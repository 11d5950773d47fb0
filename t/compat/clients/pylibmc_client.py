"""pylibmc (libmemcached) with the ketama ring over three servers. Arguments: host:port of each server. BINARY=1 asks for
the binary protocol, and SASL_USER and SASL_PASSWORD for authentication."""

import os
import sys

import pylibmc

from check import check, equal, finish, raises, wait_until

servers = sys.argv[1:]
PROTOCOL = {"binary": os.environ.get("BINARY") == "1"}
if "SASL_USER" in os.environ:
    PROTOCOL |= {"username": os.environ["SASL_USER"], "password": os.environ["SASL_PASSWORD"]}
ring = pylibmc.Client(servers, **PROTOCOL, behaviors={"ketama": True, "tcp_nodelay": True, "cas": True})


def holding(key):
    """The servers that hold `key`, asked one by one."""
    return [s for s in servers if pylibmc.Client([s], **PROTOCOL).get(key) is not None]


@check("ketama: 3,000 keys, each on exactly one server, each server holds some")
def _():
    equal(len(servers), 3)
    wanted = {f"ketama{i}": f"value {i}" for i in range(3000)}
    equal(ring.set_multi(wanted), [])
    equal(ring.get_multi(list(wanted)), wanted)
    counts = [int(stats["curr_items"]) for _, stats in ring.get_stats()]
    equal(sum(counts), 3000)
    equal(min(counts) > 300, True)
    for i in range(0, 3000, 250):
        equal(len(holding(f"ketama{i}")), 1)


@check("ketama: a second client with the servers in another order finds the same keys")
def _():
    other = pylibmc.Client(servers[::-1], **PROTOCOL, behaviors={"ketama": True})
    equal(len(other.get_multi([f"ketama{i}" for i in range(3000)])), 3000)


@check("set, get, missing, delete")
def _():
    equal(ring.set("colour", "blue"), True)
    equal(ring.get("colour"), "blue")
    equal(ring.get("nothing"), None)
    equal(ring.delete("colour"), True)
    equal(ring.delete("colour"), False)
    equal(ring.get("colour"), None)


@check("add, replace, append, prepend")
def _():
    equal(ring.add("once", "1"), True)
    equal(ring.add("once", "2"), False)
    equal(ring.replace("once", "3"), True)
    if PROTOCOL["binary"]:
        raises(pylibmc.NotFound, lambda: ring.replace("nothing", "3"))
    else:
        equal(ring.replace("nothing", "3"), False)
    ring.set("middle", "-")
    equal(ring.append("middle", "right"), True)
    equal(ring.prepend("middle", "left"), True)
    equal(ring.get("middle"), "left-right")


@check("gets and cas: stored, then stale")
def _():
    ring.set("token", "1")
    value, cas = ring.gets("token")
    equal(value, "1")
    equal(ring.cas("token", "2", cas), True)
    equal(ring.cas("token", "3", cas), False)
    equal(ring.get("token"), "2")


@check("incr and decr, missing key")
def _():
    ring.set("n", 10)
    equal(ring.incr("n", 5), 15)
    equal(ring.decr("n", 20), 0)
    raises(pylibmc.NotFound, lambda: ring.incr("nothing"))


@check("flags: int, float, pickled and compressed values keep their type")
def _():
    for value in (1, 1 << 40, 0.5, "text", b"bytes", {"a": [1, None]}):
        equal(ring.set("typed", value), True)
        equal(ring.get("typed"), value)
        equal(type(ring.get("typed")), type(value))
    equal(ring.set("zipped", "z" * 200000, min_compress_len=1000), True)
    equal(ring.get("zipped"), "z" * 200000)


@check("a value of 1,000,000 bytes, and one above the limit")
def _():
    large = bytes(range(256)) * 3906
    equal(ring.set("large", large), True)
    equal(ring.get("large"), large)
    raises(pylibmc.Error, lambda: ring.set("large", b"x" * (2 << 20)) or raises_nothing())
    equal(ring.set("after", "1"), True)
    equal(ring.get("after"), "1")


def raises_nothing():
    raise AssertionError("the value was stored")


@check("exptime passes, touch prolongs")
def _():
    ring.set("brief", "1", time=1)
    ring.set("prolonged", "1", time=1)
    equal(ring.touch("prolonged", 1000), True)
    wait_until(lambda: ring.get("brief") is None)
    equal(ring.get("prolonged"), "1")


@check("noreply and buffered requests: 1,000 sets without an answer are all there")
def _():
    quiet = pylibmc.Client(servers, **PROTOCOL, behaviors={"ketama": True, "_noreply": True})
    for i in range(1000):
        quiet.set(f"quiet{i}", str(i))
    quiet.disconnect_all()
    keys = [f"quiet{i}" for i in range(1000)]
    wait_until(lambda: len(ring.get_multi(keys)) == 1000)


@check("delete_multi, incr_multi, key_prefix")
def _():
    ring.set_multi({"a": 1, "b": 2}, key_prefix="pre:")
    equal(ring.get_multi(["a", "b", "c"], key_prefix="pre:"), {"a": 1, "b": 2})
    ring.incr_multi(["a", "b"], key_prefix="pre:", delta=10)
    equal(ring.get("pre:a"), 11)
    equal(ring.delete_multi(["a", "b"], key_prefix="pre:"), True)
    equal(ring.get_multi(["a", "b"], key_prefix="pre:"), {})


@check("flush_all empties every server")
def _():
    equal(ring.flush_all(), True)
    wait_until(lambda: ring.get_multi([f"ketama{i}" for i in range(3000)]) == {})


finish()
