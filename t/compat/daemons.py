"""larder between other programs: behind twemproxy, under daemontools, under systemd."""

import configparser
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import tempfile

from kit import REPOSITORY, SERVER, Text, answers, equal, free_port, must, on_path, run, wait_until

KEYS = 10_000
BATCH = 100


def twemproxy(report, servers):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "nutcracker.yml"
        nodes = "".join(f"    - {server.address}:1 node{i}\n" for i, server in enumerate(servers))
        config.write_text(
            f"larder:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: ketama\n  timeout: 5000\n"
            "  auto_eject_hosts: true\n  server_failure_limit: 1\n  server_retry_timeout: 600000\n"
            f"  servers:\n{nodes}"
        )
        log = pathlib.Path(folder) / "nutcracker.log"
        proxy = subprocess.Popen(
            ["nutcracker", "-c", config, "-o", log, "-p", f"{folder}/pid", "-a", "127.0.0.1", "-s", str(free_port())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with report.check("nutcracker starts on the ring of three"):
                wait_until(lambda: proxy.poll() is not None or connects(port))
                equal(proxy.poll(), None)
            keys_through_the_ring(report, port, servers)
        finally:
            proxy.terminate()
            proxy.wait(10)


def connects(port):
    try:
        Text(port).close()
        return True
    except OSError:
        return False


def keys_through_the_ring(report, port, servers):
    keys = [f"user:{i}:profile" for i in range(KEYS)]
    wanted = {key: f"value of {key}".encode() for key in keys}
    proxy = Text(port)
    with report.check("10,000 keys are set through the proxy"):
        for batch in batches(keys):
            proxy.send(b"".join(b"set %s 5 0 %d\r\n%s\r\n" % (k.encode(), len(wanted[k]), wanted[k]) for k in batch))
            equal([proxy.line() for _ in batch], [b"STORED"] * len(batch))
    with report.check("10,000 keys are read back through the proxy"):
        equal(fetch(proxy, keys) == wanted, True)
    holds = []
    with report.check("each of the three nodes holds its share, no key is on two"):
        holds = [set(fetch_directly(server, keys)) for server in servers]
        equal(sum(len(held) for held in holds), KEYS)
        equal(min(len(held) for held in holds) > KEYS // 10, True)
    with report.check("delete, incr, cas and append through the proxy"):
        equal(proxy.ask("delete " + keys[0]), "DELETED")
        equal(proxy.ask(f"set {keys[0]} 5 0 1\r\n7"), "STORED")
        equal(proxy.ask(f"incr {keys[0]} 35"), "42")
        equal(proxy.ask(f"append {keys[0]} 0 0 1\r\n!"), "STORED")
        equal(proxy.get([keys[0]]), {keys[0]: b"42!"})
        wanted[keys[0]] = b"42!"
    servers[0].kill()
    lost = sorted(holds[0])
    with report.check("one node killed: every key of the other two is still there"):
        kept = [key for key in keys if key not in holds[0]]
        equal(len(kept) > KEYS // 3, True)
        equal(fetch(proxy, kept) == {key: wanted[key] for key in kept}, True)
    with report.check("one node killed: its keys move to the others and can be set and read again"):
        # The proxy answers errors until it has counted the node out.
        wait_until(lambda: proxy.ask(f"set {lost[0]} 0 0 3\r\nnew") == "STORED")
        for key in lost[1:BATCH]:
            equal(proxy.ask(f"set {key} 0 0 3\r\nnew"), "STORED")
        equal(fetch(proxy, lost[:BATCH]), {key: b"new" for key in lost[:BATCH]})
        equal(fetch(proxy, kept) == {key: wanted[key] for key in kept}, True)
    proxy.close()


def batches(keys):
    return [keys[at : at + BATCH] for at in range(0, len(keys), BATCH)]


def fetch(text, keys):
    found = {}
    for batch in batches(keys):
        found.update(text.get(batch))
    return found


def fetch_directly(server, keys):
    text = Text(server.port)
    found = fetch(text, keys)
    text.close()
    return found


def daemontools(report, _servers):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        service = pathlib.Path(folder) / "larder"
        (service / "env").mkdir(parents=True)
        shutil.copy(REPOSITORY / "scripts" / "daemontools" / "run", service)
        settings = {"LARDER": SERVER, "PORT": port, "RUN_AS": pwd.getpwuid(os.geteuid()).pw_name}
        for name, value in settings.items():
            (service / "env" / name).write_text(f"{value}\n")
        supervise = subprocess.Popen(
            ["supervise", service], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            with report.check("supervise brings it up"):
                wait_until(lambda: answers(port))
                first = status(service)
                equal(first is not None, True)
            with report.check("svc -h: SIGHUP does not end it"):
                must(["svc", "-h", service])
                equal((answers(port), status(service)), (True, first))
            with report.check("svc -t: ended and started again"):
                must(["svc", "-t", service])
                wait_until(lambda: status(service) not in (None, first) and answers(port))
            with report.check("svc -d: down, and the port is free"):
                must(["svc", "-d", service])
                wait_until(lambda: status(service) is None and not connects(port))
            with report.check("svc -u: up again, and empty"):
                must(["svc", "-u", service])
                wait_until(lambda: answers(port))
        finally:
            with report.check("svc -dx: supervise and larder end"):
                must(["svc", "-dx", service])
                supervise.wait(15)
                equal(connects(port), False)


def status(service):
    """The pid daemontools knows, or None while it is down."""
    found = re.search(r": up \(pid (\d+)\)", run(["svstat", service])[1])
    return found and int(found[1])


def systemd(report, _servers):
    unit = REPOSITORY / "scripts" / "larder.service"
    with report.check("the unit has its sections, and starts larder"):
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str
        parser.read(unit)
        equal(parser.sections(), ["Unit", "Service", "Install"])
        equal(parser["Service"]["ExecStart"].split()[0], "/usr/local/bin/larder")
    with report.check("its command line starts a server that answers, and SIGTERM ends it with 0"):
        port = free_port()
        values = dict(pair.split("=", 1) for pair in parser["Service"]["Environment"].split())
        values["PORT"] = str(port)
        command = [re.sub(r"\$\{?(\w+)\}?", lambda m: values[m[1]], w) for w in parser["Service"]["ExecStart"].split()[1:]]
        user = ["-u", "root"] if os.geteuid() == 0 else []
        server = subprocess.Popen([SERVER, *filter(None, command), *user], stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: server.poll() is not None or answers(port))
            equal(server.poll(), None)
        finally:
            server.terminate()
            code = server.wait(10)
        equal(code, 0)
    if on_path("systemd-analyze"):
        with report.check("systemd-analyze verify finds nothing"), tempfile.TemporaryDirectory() as folder:
            copy = pathlib.Path(folder) / "larder.service"
            copy.write_text(unit.read_text().replace("/usr/local/bin/larder", str(SERVER)))
            about_us = [line for line in must(["systemd-analyze", "verify", "--man=no", copy]).splitlines() if "larder" in line]
            equal(about_us, [])
