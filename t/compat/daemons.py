"""larder under daemontools, systemd and Kubernetes."""

import configparser
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import tempfile

import install
from kit import REPOSITORY, SERVER, answers, connects, equal, free_port, must, on_path, run, wait_until


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
        words = parser["Service"]["ExecStart"].split()[1:]
        equal(words, ["--config", "/etc/larder.conf", "$OPTIONS"])
        options = ["-p", str(port), *(["-u", "root"] if os.geteuid() == 0 else [])]
        command = [SERVER, "--config", REPOSITORY / "scripts" / "larder.conf", *options]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
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
        with report.check("systemd-analyze security rates it 2.0 or less"):
            rating = must(["systemd-analyze", "security", "--offline=true", unit])
            found = re.search(r"exposure level for larder.service: ([\d.]+)", rating)
            equal(found is not None and float(found[1]) <= 2.0, True)


def kubernetes(report, _servers):
    manifest = REPOSITORY / "scripts" / "kubernetes" / "larder.yaml"
    # The oldest version that knows all its fields.
    for version in ("1.30", "1.37"):
        with report.check(f"the manifest has the fields of Kubernetes {version}, and no others"):
            validate = install.PYTHON.parent / "kubernetes-validate"
            printed = must([validate, "--strict", "--kubernetes-version", version, manifest])
            equal(printed.count(" passed for resource "), 3)
    with report.check("its command line starts a server whose probes answer"), tempfile.TemporaryDirectory() as folder:
        words = json.loads(re.search(r"^ +args: (\[.*\])$", manifest.read_text(), re.M)[1])
        port, http = free_port(), free_port()
        moved = {"/memory/items": f"{folder}/items", "--http=*:8080": f"--http={http}"}
        user = ["-u", "root"] if os.geteuid() == 0 else []
        server = subprocess.Popen([SERVER, "-l", "127.0.0.1", "-p", str(port), *user, *(moved.get(w, w) for w in words)],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: server.poll() is not None or answers(port))
            for path in re.findall(r"path: (/\w+), port: http", manifest.read_text()):
                equal(must(["curl", "-s", f"http://127.0.0.1:{http}{path}"]), "ok\n")
        finally:
            server.terminate()
            equal(server.wait(30), 0)
