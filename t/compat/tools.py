"""Programs people point at a memcached: libmemcached's tools, memcached-tool, and the Nagios probe."""

import pathlib
import re
import tempfile

import install
import kit
from kit import Text, equal, free_port, must, run, wait_until


def libmemcached_tools(report, servers):
    ring = "--servers=" + ",".join(server.address for server in servers)
    with tempfile.TemporaryDirectory() as folder:
        small, large = pathlib.Path(folder) / "small", pathlib.Path(folder) / "large"
        small.write_bytes(b"hello\r\nEND\r\n")
        large.write_bytes(bytes(range(256)) * 3500)
        with report.check("memcping finds every server up"):
            must(["memcping", ring])
        with report.check("memccp stores files, memccat prints them"):
            must(["memccp", ring, "--set", "--flags=42", "--expire=1000", small, large])
            fetched = pathlib.Path(folder) / "fetched"
            for file in (small, large):
                must(["memccat", ring, f"--file={fetched}", file.name])
                equal(fetched.read_bytes() == file.read_bytes(), True)
            equal(must(["memccat", ring, "--flags", "small"]).split()[0], "42")
        with report.check("memccp --add refuses what is there, --replace accepts it"):
            must(["memccp", ring, "--replace", small])
            equal(run(["memccp", ring, "--add", small])[0] != 0, True)
    with report.check("memcexist, memctouch, memcrm on a present and a missing key"):
        must(["memcexist", ring, "small"])
        must(["memctouch", ring, "--expire=100", "small"])
        must(["memcrm", ring, "small"])
        for tool in (["memcexist"], ["memctouch", "--expire=100"], ["memcrm"], ["memccat"]):
            equal(run([*tool, ring, "small"])[0] != 0, True)
    with report.check("memcdump lists the keys"):
        equal("large" in must(["memcdump", ring]).split(), True)
    with report.check("memcstat prints every server's statistics, and those of an argument"):
        printed = must(["memcstat", ring])
        equal(len(re.findall(r"^\s*curr_items: \d+$", printed, re.M)), len(servers))
        equal(len(re.findall(r"^\s*maxbytes: \d+$", must(["memcstat", ring, "settings"]), re.M)), len(servers))
        equal(bool(re.search(r"chunk_size: \d+", must(["memcstat", ring, "slabs"]))), True)
        equal(bool(re.search(r"number: \d+", must(["memcstat", ring, "items"]))), True)
    with report.check("memcstat --server-version reads a version from every server"):
        printed = must(["memcstat", ring, "--server-version"])
        equal(len(re.findall(r"\b[1-9]\d*\.\d+\.\d+", printed.replace("127.0.0.1", ""))), len(servers))
    with report.check("memcstat --analyze"):
        equal("Number of Servers Analyzed" in must(["memcstat", ring, "--analyze"]), True)
    with report.check("memcflush empties every server"):
        must(["memcflush", ring])
        equal(run(["memcexist", ring, "large"])[0] != 0, True)


def memcslap(report, servers):
    ring = "--servers=" + ",".join(server.address for server in servers)
    for test, counter in (("set", "cmd_set"), ("get", "get_hits"), ("mget", "get_hits")):
        with report.check(f"--test={test} with 8 threads of 2,000 keys"):
            before = total(servers, counter)
            must(["memcslap", ring, f"--test={test}", "--concurrency=8", "--execute-number=2000", "--verbose"])
            equal(total(servers, counter) - before >= 2000, True)
    with report.check("--noreply sets"):
        before = total(servers, "cmd_set")
        must(["memcslap", ring, "--test=set", "--noreply", "--concurrency=4", "--execute-number=1000"])
        equal(total(servers, "cmd_set") - before >= 1000, True)


def total(servers, counter):
    count = 0
    for server in servers:
        text = Text(server.port)
        count += int(text.stats()[counter])
        text.close()
    return count


def memcaslap(report, servers):
    for name, more in (("single gets", []), ("100-key gets", ["--division=100"])):
        with report.check(f"200,000 operations, {name}, every value verified"):
            printed = must(
                ["memcaslap", f"--servers={servers[0].address}", "--threads=2", "--concurrency=16",
                 "--execute_number=200000", "--verify=1.0", *more]
            )
            figures = dict(re.findall(r"^(\w+): (\d+)$", printed, re.M))
            equal([figures[name] for name in ("get_misses", "verify_misses", "verify_failed")], ["0", "0", "0"])
            equal(int(figures["cmd_get"]) + int(figures["cmd_set"]) >= 200000, True)


def udp(report, _):
    # These clients expect both transports on one port.
    port = free_port()
    with kit.servers(report, 1, ["-p", str(port), "-U", str(port)]) as running:
        address = f"--servers={running[0].address}"
        with report.check("memcslap --udp: 4,000 sets without replies"):
            must(["memcslap", address, "--udp", "--test=set", "--concurrency=4", "--execute-number=1000"])
            # The kernel loses most of the burst. What arrives is stored.
            wait_until(lambda: total(running, "cmd_set") > 0)
            equal([total(running, row) for row in ("udp_malformed", "udp_replies_lost")], [0, 0])
        for name, more in (("--udp", []), ("--udp, 20-key gets", ["--division=20"]),
                           ("--facebook, 20-key gets over UDP", ["--division=20"])):
            with report.check(f"memcaslap {name}: 20,000 operations, every value verified"):
                printed = must(["memcaslap", address, name.split(",")[0], "--threads=2", "--concurrency=4",
                                "--execute_number=20000", "--verify=1.0", *more])
                figures = dict(re.findall(r"^(\w+): (\d+)$", printed, re.M))
                equal([figures[name] for name in ("get_misses", "verify_misses", "verify_failed")], ["0", "0", "0"])
                equal(int(figures["cmd_get"]) + int(figures["cmd_set"]) >= 20000, True)
        with report.check("no reply was refused or lost"):
            equal([total(running, row) for row in ("udp_replies_refused", "udp_replies_lost")], [0, 0])


def memccapable(report, servers):
    for flag, protocol in (("-a", "ascii"), ("-b", "binary")):
        code, printed = run(["memccapable", "-h", "127.0.0.1", "-p", servers[0].port, flag])
        # A row is the test's name and `[pass]`; a failed one has neither result nor line end.
        rows = re.findall(rf"({protocol} [a-z ]*?[a-z]) {{2,}}(\[pass\])?", printed)
        for name, result in rows:
            with report.check(name):
                equal(result, "[pass]")
        with report.check(f"memccapable {flag}: all 27 {protocol} tests ran, and it ends with 0"):
            equal((len(rows), code), (27, 0))


def memcached_tool(report, servers):
    address = servers[0].address
    tool = install.DEBIAN_MEMCACHED / "usr/share/memcached/scripts/memcached-tool"
    text = Text(servers[0].port)
    for i in range(300):
        text.send(b"set tool%d 0 1000 %d\r\n%s\r\n" % (i, i * 10, b"x" * (i * 10)))
        equal(text.line(), b"STORED")
    text.close()
    with report.check("display lists every slab class in use with its items"):
        rows = [line.split() for line in must(["perl", tool, address, "display"]).splitlines()]
        equal(rows[0][:6], ["#", "Item_Size", "Max_age", "Pages", "Count", "Full?"])
        equal(len(rows) > 3, True)
        equal(sum(int(row[4]) for row in rows[1:]), 300)
        equal(sum(int(row[3]) for row in rows[1:]) >= len(rows) - 1, True)
    with report.check("stats lists the counters"):
        rows = dict(line.split(None, 1) for line in must(["perl", tool, address, "stats"]).splitlines())
        equal(rows["curr_items"].strip(), "300")
        equal(rows["cmd_set"].strip(), "300")
    with report.check("settings lists the settings"):
        rows = dict(line.split(None, 1) for line in must(["perl", tool, address, "settings"]).splitlines())
        equal(rows["maxbytes"].strip(), str(64 << 20))
        equal(rows["num_threads"].strip(), "2")
    with report.check("sizes answers"):
        equal("Size" in must(["perl", tool, address, "sizes"]), True)


def dump_readers(report, servers):
    """Programs that list every key: memcached-tool, and readers of metadump and mgdump such as mcdump."""
    address = servers[0].address
    tool = install.DEBIAN_MEMCACHED / "usr/share/memcached/scripts/memcached-tool"
    wanted = {f"dump{i}": b"x" * i for i in range(1, 500)}
    text = Text(servers[0].port)
    for key, value in wanted.items():
        text.send(b"set %s 7 1000 %d\r\n%s\r\n" % (key.encode(), len(value), value))
        equal(text.line(), b"STORED")
    with report.check("memcached-tool dump prints every key with its flags and value"):
        printed = must(["perl", tool, address, "dump"])
        found = re.findall(r"^add (\S+) 7 \d+ (\d+)\r?\n(x*)\r?$", printed, re.M)
        equal({key: value.encode() for key, _, value in found} == wanted, True)
        equal(all(len(value) == int(length) for _, length, value in found), True)
    with report.check("memcached-tool keys prints every key"):
        equal(set(re.findall(r"^key=(\S+) ", must(["perl", tool, address, "keys"]), re.M)), set(wanted))
    with report.check("metadump lists every key with its fields"):
        for scope in ("all", "hash"):
            rows = list(metadump(text, scope))
            equal({row["key"] for row in rows} == set(wanted), True)
            for row in rows:
                equal(sorted(row), ["cas", "cls", "exp", "fetch", "flags", "key", "la", "size"])
                equal((row["flags"], int(row["exp"]) > 1_000_000_000), ("7", True))
    with report.check("mgdump's lines are requests that fetch every value"):
        text.send(b"lru_crawler mgdump all\r\n")
        equal(text.line(), b"OK")
        keys = []
        while (line := text.line()) != b"EN":
            word, key = line.split()[:2]
            equal(word, b"mg")
            keys.append(key.decode())
        equal(text.get(keys) == wanted, True)
    text.close()


def metadump(text, scope):
    """The rows of a metadump as dictionaries. Its lines end with LF, and the last one is `END`."""
    text.send(f"lru_crawler metadump {scope}\r\n".encode())
    equal(text.line(), b"OK")
    while (line := text.file.readline().strip()) != b"END":
        yield dict(field.split("=", 1) for field in line.decode().split())


def monit(report, servers):
    dead = free_port()
    with tempfile.TemporaryDirectory() as folder:
        control = pathlib.Path(folder) / "monitrc"
        files = "".join(f"set {name}file {folder}/{name}\n" for name in ("id", "state", "pid"))
        checks = "".join(
            f"check host {name} with address 127.0.0.1\n"
            f"  if failed port {port} protocol memcache with timeout 5 seconds then alert\n"
            for name, port in (("larder", servers[0].port), ("nobody", dead))
        )
        control.write_text(f"set daemon 5\nset log {folder}/log\n{files}{checks}")
        # Monit reads no control file that others can read.
        control.chmod(0o600)
        printed = run(["monit", "-c", control, "-v", "validate"])[1]
    with report.check("`protocol memcache` succeeds"):
        equal(re.findall(r"'larder' (\w+) testing protocol \[MEMCACHE\]", printed), ["succeeded"])
    with report.check("`protocol memcache` on a port without a server fails"):
        equal("'nobody' failed protocol test [MEMCACHE]" in printed, True)


def scraping(report, servers):
    """What exporters and dashboards read: the relations between the reports, not only their presence."""
    text = Text(servers[0].port)
    for i in range(500):
        text.send(b"set scrape%d 7 0 %d\r\n%s\r\n" % (i, i, b"x" * i))
        equal(text.line(), b"STORED")
    text.get([f"scrape{i}" for i in range(250, 750)])
    with report.check("stats: counters agree with what was sent"):
        stats = text.stats()
        wanted = {"curr_items": 500, "total_items": 500, "cmd_set": 500, "cmd_get": 500, "get_hits": 250,
                  "get_misses": 250, "evictions": 0, "limit_maxbytes": 64 << 20, "threads": 2, "curr_connections": 1}
        equal({name: int(stats[name]) for name in wanted}, wanted)
        equal(int(stats["bytes"]) > sum(range(500)), True)
        equal(int(stats["pid"]), servers[0].process.pid)
        for name in ("uptime", "time", "version", "pointer_size", "rusage_user", "rusage_system", "bytes_read",
                     "bytes_written", "accepting_conns", "listen_disabled_num", "conn_yields", "hash_bytes"):
            equal(name in stats, True)
    with report.check("stats slabs: chunks add up in every class"):
        slabs = by_class(text.stats("slabs"), "")
        for rows in slabs.values():
            equal(int(rows["used_chunks"]) + int(rows["free_chunks"]), int(rows["total_chunks"]))
            equal(int(rows["total_chunks"]), int(rows["total_pages"]) * int(rows["chunks_per_page"]))
    with report.check("stats items: every class of it is in stats slabs, and the numbers add up to curr_items"):
        items = by_class(text.stats("items"), "items:")
        equal(sum(int(rows["number"]) for rows in items.values()), 500)
        equal(set(items) <= set(slabs), True)
        for rows in items.values():
            equal([name for name in ("age", "evicted", "outofmemory", "reclaimed") if name not in rows], [])
    with report.check("stats settings"):
        settings = text.stats("settings")
        equal((settings["maxbytes"], settings["num_threads"], settings["item_size_max"]), (str(64 << 20), "2", "1048576"))
    with report.check("stats reset starts the counters again and keeps the items"):
        equal(text.ask("stats reset"), "RESET")
        stats = text.stats()
        equal((stats["cmd_get"], stats["get_hits"], stats["curr_items"]), ("0", "0", "500"))
    text.close()


def by_class(rows, prefix):
    """`stats slabs` and `stats items` as {class: {name: value}}; totals are left out."""
    classes = {}
    for name, value in rows.items():
        if found := re.fullmatch(rf"{prefix}(\d+):(\w+)", name):
            classes.setdefault(int(found[1]), {})[found[2]] = value
    return classes


def nagios_check_tcp(report, servers):
    with report.check(r"check_tcp -E -s 'stats\r\nquit\r\n' -e uptime is OK"):
        printed = must(
            ["/usr/lib/nagios/plugins/check_tcp", "-H", "127.0.0.1", "-p", servers[0].port, "-t", "5",
             "-E", "-s", r"stats\r\nquit\r\n", "-e", "uptime", "-M", "crit"]
        )
        equal(printed.startswith("TCP OK"), True)
