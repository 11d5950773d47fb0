"""What every group of checks stands on: servers on free ports, a plain text connection, and the report."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
INSTALLED = TARGET / "compat"
CLIENTS = REPOSITORY / "t" / "compat" / "clients"
SERVER = pathlib.Path(os.environ.get("LARDER_SERVER", TARGET / "release" / "larder")).resolve()
# A cold machine compiles and downloads; a client that hangs must not hang the run.
INSTALL_LIMIT_S = 600
CLIENT_LIMIT_S = 120


class Report:
    """Counts named results and prints each as it comes."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.group = ""

    def ok(self, name):
        self.passed += 1
        print(f"pass  {self.group}: {name}", flush=True)

    def fault(self, name, why):
        self.failed += 1
        print(f"FAIL  {self.group}: {name}: {why}", flush=True)

    @contextlib.contextmanager
    def check(self, name):
        """One named check: passes when its body ends, fails with the reason when the body raises."""
        try:
            yield
        except Exception as error:  # Whatever went wrong, the other checks go on.
            self.fault(name, error if isinstance(error, AssertionError) else repr(error))
        else:
            self.ok(name)


class Server:
    """One server process on a free loopback port of its own choice."""

    def __init__(self, folder, number, flags=(), environment=()):
        port_file = folder / f"port{number}"
        self.log = folder / f"server{number}.log"
        user = ["-u", "root"] if os.geteuid() == 0 else []
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [SERVER, "-p", "-1", "-U", "0", "-l", "127.0.0.1", "-m", "64", "-t", "2", *user, *flags],
                env={**os.environ, "MEMCACHED_PORT_FILENAME": str(port_file), **dict(environment)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.killed = False
        wait_until(lambda: self.process.poll() is not None or port_file.exists() and "INET" in port_file.read_text())
        assert self.process.poll() is None, f"the server ended at once: {self.log.read_text().strip()}"
        self.port = int(port_file.read_text().split()[2])
        self.address = f"127.0.0.1:{self.port}"

    def kill(self):
        """The node dies without a word."""
        self.killed = True
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends the server as an init system would; returns what was wrong with how it lived or ended, or None."""
        if self.killed:
            return None
        code = self.process.poll()
        if code is not None:
            return f"it died during the checks with code {code}: {self.log.read_text()[-2000:].strip()}"
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            return "SIGTERM did not end it within 10 s"
        return None if code == 0 else f"SIGTERM ended it with code {code}: {self.log.read_text()[-2000:].strip()}"


@contextlib.contextmanager
def servers(report, count, flags=(), environment=()):
    """`count` fresh servers; that all of them survive the checks and end cleanly is a check itself."""
    running = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for number in range(count):
                running.append(Server(pathlib.Path(folder), number, flags, environment))
            yield running
        finally:
            faults = [why for why in (server.stop() for server in running) if why]
            if faults:
                report.fault("the servers live through it and end cleanly", "; ".join(faults))
            else:
                report.ok("the servers live through it and end cleanly")


class Text:
    """A connection that speaks the classic text protocol, for looking into a server from beside the client."""

    def __init__(self, port, limit_s=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=limit_s)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        line = self.file.readline()
        assert line.endswith(b"\r\n"), f"the connection ended, last bytes {line!r}"
        return line[:-2]

    def ask(self, line):
        """Sends one line, returns the one line that answers it."""
        self.send(line.encode() + b"\r\n")
        return self.line().decode()

    def get(self, keys):
        """Fetches `keys` in one request; returns what was found."""
        self.send(b"get " + " ".join(keys).encode() + b"\r\n")
        found = {}
        while (line := self.line()) != b"END":
            word, key, _, length = line.split(b" ")[:4]
            assert word == b"VALUE", f"found {line!r} where a VALUE line or END was due"
            found[key.decode()] = self.file.read(int(length) + 2)[:-2]
        return found

    def stats(self, argument=""):
        self.send(f"stats {argument}".strip().encode() + b"\r\n")
        rows = {}
        while (line := self.line()) != b"END":
            word, name, value = line.decode().split(" ", 2)
            assert word == "STAT", f"found {line!r} where a STAT line or END was due"
            rows[name] = value
        return rows


def wait_until(fact, limit_s=20):
    """Polls a fact that another process makes true."""
    end = time.monotonic() + limit_s
    while not fact():
        assert time.monotonic() < end, f"not within {limit_s} s"
        time.sleep(0.02)


def certificate(folder, name):
    """A certificate for 127.0.0.1, signed by itself, and its key: two files in `folder`."""
    chain, key = pathlib.Path(folder) / f"{name}.pem", pathlib.Path(folder) / f"{name}.key"
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    must(["openssl", "req", "-x509", *curve, *subject, "-keyout", key, "-out", chain])
    return chain, key


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connects(port):
    try:
        Text(port).close()
        return True
    except OSError:
        return False


def answers(port):
    """Whether a memcached listens there."""
    try:
        text = Text(port)
        try:
            return text.ask("version").startswith("VERSION ")
        finally:
            text.close()
    except (OSError, AssertionError):
        return False


def run(command, limit_s=CLIENT_LIMIT_S, **more):
    """Runs a command without stdin; stdout and stderr come back as one text with the exit code."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=limit_s,
        text=True,
        errors="replace",
        **more,
    )
    return done.returncode, done.stdout


def must(command, limit_s=CLIENT_LIMIT_S, **more):
    """Runs a command that must succeed; returns what it printed."""
    code, printed = run(command, limit_s, **more)
    assert code == 0, f"{command[0]} ended with {code}: {printed[-2000:].strip()}"
    return printed


@contextlib.contextmanager
def listening(words, port, **more):
    """Runs a program until the block ends. The block begins when the program accepts connections."""
    silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    process = subprocess.Popen(words, **silent, **more)
    try:
        wait_until(lambda: process.poll() is not None or connects(port))
        equal(process.poll(), None)
        yield
    finally:
        process.terminate()
        process.wait(10)


def equal(found, wanted):
    assert found == wanted, f"found {found!r:.300}, wanted {wanted!r:.300}"


def on_path(program):
    return shutil.which(program) is not None
