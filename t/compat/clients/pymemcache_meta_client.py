"""Meta commands through pymemcache's raw_command. Arguments: host:port of each server."""

import sys

from pymemcache.client.base import Client

from check import check, equal, finish, wait_until

host, port = sys.argv[1].rsplit(":", 1)
client = Client((host, int(port)), timeout=10)


def meta(command, end="\r\n"):
    return client.raw_command(command, end)


@check("mn, ms, mg, md and their return codes")
def _():
    equal(meta("mn"), b"MN")
    equal(meta("mg nothing v"), b"EN")
    equal(meta("ms colour 4 T100 F7 c\r\nblue").split()[0], b"HD")
    equal(meta("mg colour v f k s Oq1", "blue\r\n"), b"VA 4 f7 kcolour s4 Oq1\r\n")
    equal(meta("mg colour t"), b"HD t100")
    equal(meta("md colour"), b"HD")
    equal(meta("md colour"), b"NF")


@check("ms modes: add, append, prepend, replace")
def _():
    equal(meta("ms once 1 ME\r\n-"), b"HD")
    equal(meta("ms once 1 ME\r\nx"), b"NS")
    equal(meta("ms once 5 MA\r\nright"), b"HD")
    equal(meta("ms once 4 MP\r\nleft"), b"HD")
    equal(meta("mg once v", "left-right\r\n"), b"VA 10\r\n")
    equal(meta("ms nothing 1 MR\r\nx"), b"NS")


@check("ma: a counter that creates itself")
def _():
    equal(meta("ma hits N100 J10 v", "10\r\n"), b"VA 2\r\n")
    equal(meta("ma hits D5 v", "15\r\n"), b"VA 2\r\n")
    equal(meta("ma hits MD D100 v", "0\r\n"), b"VA 1\r\n")


@check("cas: stored, then stale")
def _():
    unique = meta("ms token 3 c\r\none").split()[1][1:].decode()
    equal(meta(f"ms token 3 C{unique}\r\ntwo"), b"HD")
    equal(meta(f"ms token 5 C{unique}\r\nthree"), b"EX")


@check("one of the readers recomputes: vivify, stale, win")
def _():
    equal(meta("mg page v N30", "\r\n\r\n").split()[:3], [b"VA", b"0", b"W"])
    equal(meta("mg page v N30", "\r\n\r\n").split()[:3], [b"VA", b"0", b"Z"])
    equal(meta("ms page 3\r\nnew"), b"HD")
    equal(meta("md page I T30"), b"HD")
    equal(meta("mg page v", "new\r\n"), b"VA 3 X W\r\n")
    equal(meta("mg page v", "new\r\n"), b"VA 3 Z X\r\n")


@check("a key in base64")
def _():
    equal(meta("ms dHdvIHdvcmRz 1 b\r\nx"), b"HD")
    equal(meta("mg dHdvIHdvcmRz b k v", "x\r\n"), b"VA 1 kdHdvIHdvcmRz b\r\n")


@check("quiet gets end with MN")
def _():
    equal(meta("mg nothing q v\r\nmg nothing2 q v\r\nmn"), b"MN")


@check("a TTL passes")
def _():
    equal(meta("ms brief 1 T1\r\nx"), b"HD")
    wait_until(lambda: meta("mg brief") == b"EN")


finish()
