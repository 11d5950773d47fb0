"""Fail-over between two nodes of a mesh. The configuration of haproxy is the code block of doc/replication.md."""

import collections
import contextlib
import pathlib
import random
import re
import subprocess
import tempfile
import threading
import time

from kit import CLIENTS, REPOSITORY, Server, Text, connects, equal, free_port, listening, wait_until

PAGE = REPOSITORY / "doc" / "replication.md"
# What a node has not sent yet is lost with it.
UNSENT_S = 0.1
# The longest wait for a lock: sess_lock_retries × sess_lock_wait_max.
LOCK_WAIT_S = 1.5
# Workers of web servers, their sessions, and seconds.
WITHOUT_OWNERS = 12, 30, 14
WITH_OWNERS = 50, 100, 30
# php-memcached's locks have owners.
OWNERS = ["-o", "repl_owner_prefix=memc.sess.key.lock."]


class Mesh:
    """Two nodes that can be killed, and started again at the same ports."""

    def __init__(self, folder, flags):
        self.folder = pathlib.Path(folder)
        self.flags = list(flags)
        self.links = [free_port(), free_port()]
        self.ports = [free_port(), free_port()]
        self.nodes = [None, None]
        self.starts = 0
        for number in (0, 1):
            self.start(number)

    def start(self, number):
        self.starts += 1
        own, peer = self.links[number], self.links[1 - number]
        flags = ["-p", str(self.ports[number]), "-x", f"127.0.0.1:{peer}", "-X", str(own), *self.flags]
        self.nodes[number] = Server(self.folder, self.starts, flags)

    def stats(self):
        texts = [Text(node.port) for node in self.nodes]
        rows = [text.stats("replication") for text in texts]
        for text in texts:
            text.close()
        return rows

    def has_synced(self):
        rows = self.stats()
        states = [value for row in rows for name, value in row.items() if name.endswith(":state")]
        lags = [value for row in rows for name, value in row.items() if name.endswith(":lag_entries")]
        return states == ["up", "up"] and lags == ["0", "0"]


    def gives_locks(self):
        return [row["owned_acting"] for row in self.stats()] == ["1", "1"]


@contextlib.contextmanager
def mesh(flags=()):
    with tempfile.TemporaryDirectory() as folder:
        nodes = Mesh(folder, flags)
        try:
            wait_until(nodes.has_synced)
            yield nodes
        finally:
            for node in nodes.nodes:
                node.kill()


@contextlib.contextmanager
def haproxy(nodes, folder):
    text = PAGE.read_text()
    config = re.search(r"^```haproxy\n(.*?)^```$", text, re.M | re.S)
    assert config, f"{PAGE.name} has no configuration of haproxy"
    port = free_port()
    config = config.group(1).replace("127.0.0.1:11211", f"127.0.0.1:{port}")
    for number, own in enumerate(nodes.ports, 1):
        config = config.replace(f"10.0.0.{number}:11211", f"127.0.0.1:{own}")
    file = pathlib.Path(folder) / "haproxy.cfg"
    file.write_text(config)
    with listening(["haproxy", "-db", "-f", file], port):
        yield port


class Writer(threading.Thread):
    """Sets one key after the other through the proxy, and notes when each was acknowledged."""

    def __init__(self, port):
        super().__init__()
        self.port = port
        self.acknowledged = {}
        self.longest_s = 0
        self.is_over = False

    def run(self):
        number, text, since = 0, None, time.monotonic()
        while not self.is_over:
            try:
                text = text or Text(self.port, 5)
                if text.ask(f"set key{number} 0 0 1\r\nv") == "STORED":
                    now = time.monotonic()
                    self.longest_s = max(self.longest_s, now - since)
                    self.acknowledged[f"key{number}"] = since = now
                    number += 1
            except (OSError, AssertionError):
                text = None
                time.sleep(0.01)


def haproxy_failover(report, _servers):
    with mesh() as nodes, tempfile.TemporaryDirectory() as folder, haproxy(nodes, folder) as port:
        report.ok("haproxy starts with the configuration of the page")
        wait_until(lambda: answers_set(port))
        writer = Writer(port)
        writer.start()
        wait_until(lambda: len(writer.acknowledged) > 1000)
        killed_at = time.monotonic()
        nodes.nodes[0].kill()
        wait_until(lambda: len(writer.acknowledged) > 3000 and time.monotonic() > killed_at + 3)
        with report.check("the first node is started again and takes all items before it serves"):
            nodes.start(0)
            before = [key for key, at in writer.acknowledged.items() if at < killed_at - UNSENT_S]
            wait_until(lambda: connects(nodes.ports[0]))
            equal(missing(nodes.ports[0], before), [])
        time.sleep(2)
        writer.is_over = True
        writer.join()
        safe = [k for k, at in writer.acknowledged.items() if not killed_at - UNSENT_S <= at <= killed_at + UNSENT_S]
        with report.check(f"one of {len(nodes.nodes)} nodes killed under load: no acknowledged key is lost"):
            wait_until(lambda: all(missing(node.port, safe) == [] for node in nodes.nodes))
        with report.check("no client waits for longer than two failed health checks and a second"):
            assert writer.longest_s < 3, f"{writer.longest_s:.1f} s"


def answers_set(port):
    try:
        text = Text(port)
        try:
            return text.ask("set ready 0 0 1\r\nv") == "STORED"
        finally:
            text.close()
    except (OSError, AssertionError):
        return False


def missing(port, keys):
    text, lost = Text(port), []
    for at in range(0, len(keys), 100):
        batch = keys[at : at + 100]
        found = text.get(batch)
        lost += [key for key in batch if key not in found]
    text.close()
    return lost


def php_sessions(report, _servers):
    """Sessions as of repcached's users: all workers use the same node for a session."""
    with mesh() as nodes:
        raise_numbers(report, nodes, WITHOUT_OWNERS, [nodes.ports], LOCK_WAIT_S)


def php_locks(report, _servers):
    """Sessions whose locks have owners: half of the workers use another node for a session than the others."""
    with mesh(OWNERS) as nodes:
        wait_until(nodes.gives_locks)
        orders = [nodes.ports, nodes.ports[::-1]]
        written, killed = raise_numbers(report, nodes, WITH_OWNERS, orders, LOCK_WAIT_S)
        with report.check("no number is written twice: a lock has one holder, who reads what the last one wrote"):
            calm = [row for row in written if not any(end - 1 < row[0] < end + 1 for end in killed)]
            numbers = collections.Counter((session, n) for _, session, n in calm)
            equal([row for row, times in numbers.items() if times > 1], [])
        with report.check("both nodes own locks, and have answered for them"):
            rows = nodes.stats()
            assert all(int(row["owned_carried_out"]) > 0 for row in rows), rows
            wait_until(lambda: [row["owned_waiting"] for row in nodes.stats()] == ["0", "0"])


def raise_numbers(report, nodes, size, orders, wait_s):
    """Workers raise a number in sessions, while each node is killed once and started again. They know both nodes, each
    in one of the orders, from which libmemcached chooses the node of a session."""
    workers, sessions, run_s = size
    processes = []
    for worker in range(workers):
        addresses = [f"127.0.0.1:{port}" for port in orders[worker % len(orders)]]
        script = ["php", CLIENTS / "php_mesh_sessions.php", str(run_s), str(sessions), *addresses]
        processes.append(subprocess.Popen(script, stdout=subprocess.PIPE, text=True))
    killed = []
    for number in random.sample([0, 1], 2):
        time.sleep(run_s / 4)
        killed.append(time.time())
        nodes.nodes[number].kill()
        time.sleep(run_s / 8)
        nodes.start(number)
        wait_until(nodes.has_synced)
    # Each line: end of the request, session, number that was written or `locked`, milliseconds.
    lines = [line.split() for one in processes for line in one.communicate(timeout=run_s * 4)[0].splitlines()]
    requests = [(float(at), session, n, float(ms)) for at, session, n, ms in lines]
    written = sorted((at, session, int(n)) for at, session, n, _ in requests if n != "locked")
    with report.check(f"{len(written)} requests of {workers} workers write sessions"):
        assert len(written) > 12 * run_s, f"{len(written)} of {len(requests)} requests have written"
    with report.check("no session that is older than a second is lost, whichever node is killed"):
        lost = []
        for session in {session for _, session, _ in written}:
            rows = [(at, n) for at, of, n in written if of == session]
            for end in killed:
                before = max((n for at, n in rows if at < end - 1), default=0)
                after = [n for at, n in rows if at > end]
                lost += [f"{session}: {before}, then {after[0]}"] if after and min(after) < before else []
        equal(lost, [])
    with report.check(f"no request takes longer than the {wait_s} s that it may wait for a lock, and two seconds"):
        longest = max(ms for *_, ms in requests) / 1000
        assert longest < wait_s + 2, f"{longest:.1f} s"
    return written, killed


def libmemcached_failover(report, _servers):
    """libmemcached removes a node that does not answer, and asks the other one."""
    with mesh() as nodes:
        addresses = [f"127.0.0.1:{port}" for port in nodes.ports]
        script = ["php", CLIENTS / "php_mesh_failover.php", *addresses]
        client = subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        equal(client.stdout.readline(), "written\n")
        keys = [f"key{number}" for number in range(1000)]
        wait_until(lambda: all(missing(node.port, keys) == [] for node in nodes.nodes))
        nodes.nodes[0].kill()
        client.stdin.write("read\n")
        client.stdin.flush()
        with report.check("one node killed: the client finds all keys on the other one"):
            equal(client.stdout.readline(), "found 1000 of 1000\n")
        client.stdin.close()
        client.wait(10)
