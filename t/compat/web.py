"""Clients of HTTP (--http): curl with the examples of doc/http.md and over TLS, and Prometheus with the dashboard of
memcached."""

import contextlib
import json
import pathlib
import re
import subprocess
import tempfile
import urllib.parse
import urllib.request

import kit
from kit import REPOSITORY, equal, free_port, must, run, wait_until

# The port of the examples.
DOCUMENTED_PORT = "8080"
# What differs from run to run stands for itself in an example.
ANYTHING = "…"

# The queries of Grafana's memcached mixin, and the expressions that its alerts compare with a bound.
QUERIES = [
    'sum(rate(memcached_commands_total{command="get",status="hit"}[1m])) / sum(rate(memcached_commands_total{command="get"}[1m]))',
    "topk(20, max by (cluster, job, instance) (memcached_current_connections / memcached_max_connections))",
    "sum by (command, status) (rate(memcached_commands_total[1m]))",
    "sum by (instance) (rate(memcached_items_evicted_total[1m]))",
    "sum by (instance) (rate(memcached_items_total[1m]))",
    "sum by (instance) (rate(memcached_process_user_cpu_seconds_total[1m]) + rate(memcached_process_system_cpu_seconds_total[1m]))",
    "sum by (instance) (memcached_current_bytes)",
    "sum by (instance) (memcached_current_items)",
    "sum by (instance) (memcached_current_connections)",
    "min(memcached_max_connections)",
    "sum by (instance) (rate(memcached_connections_total[1m]))",
    "rate(memcached_read_bytes_total[1m])",
    "rate(memcached_written_bytes_total[1m])",
    "count by (job, instance, version) (memcached_version)",
    "max by (job, instance) (memcached_uptime_seconds)",
    "memcached_up",
    "memcached_current_connections / memcached_max_connections * 100",
    "sum without (slab) (rate(memcached_slab_items_outofmemory_total[5m]))",
]

# What `promtool check metrics` says of names that are the exporter's.
EXPORTERS_LINT = re.compile(
    r"^(memcached_(uptime_seconds|slab_items_evicted_time_seconds|slab_items_moves_\w+|slab_mem_requested_bytes)"
    r" counter metrics should have \"_total\" suffix"
    r"|memcached_time_seconds .*|memcached_\w+ .*abbreviated.*)$"
)


def curl(report, _):
    port = free_port()
    with kit.servers(report, 1, [f"--http={port}", "-o", "http_cache"]) as (_server,):
        for command, wanted in examples():
            with report.check(command):
                printed = must(["sh", "-c", command.replace(DOCUMENTED_PORT, str(port))])
                pattern = ".*".join(re.escape(part) for part in wanted.strip().split(ANYTHING))
                printed = printed.replace("\r", "").strip()
                equal(re.fullmatch(pattern, printed, re.S) is not None or printed, True)


def curl_tls(report, _):
    """Items and pages over https, with a token."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        chain, key = kit.certificate(folder, "server")
        foreign, _ = kit.certificate(folder, "foreign")
        token = pathlib.Path(folder) / "token"
        token.write_text("0123456789abcdef0123456789abcdef\n")
        token.chmod(0o600)
        options = f"ssl_chain_cert={chain},ssl_key={key},http_cache,http_token_file={token}"
        bearer = ["-H", f"Authorization: Bearer {token.read_text().strip()}"]
        site = f"https://127.0.0.1:{port}"
        # What curl prints after the reply.
        status = ["-w", "%{http_code}"]

        def ask(*words, ca=chain):
            return must(["curl", "-s", "--cacert", ca, *status, *words])

        with kit.servers(report, 1, ["-Z", "-o", options, f"--http={port}"]):
            with report.check("/live needs no token"):
                equal(ask(f"{site}/live"), "ok\n200")
            with report.check("PUT and GET, with a token"):
                equal(ask(*bearer, "-X", "PUT", "--data-binary", "green", f"{site}/cache/colour"), "204")
                equal(ask(*bearer, f"{site}/cache/colour"), "green200")
            with report.check("a value of 900 kB arrives whole"):
                body = pathlib.Path(folder) / "body"
                body.write_bytes(bytes(range(256)) * 3500)
                copy = pathlib.Path(folder) / "copy"
                equal(ask(*bearer, "-T", body, f"{site}/cache/large"), "204")
                equal(ask(*bearer, "-o", copy, f"{site}/cache/large"), "200")
                equal(copy.read_bytes() == body.read_bytes(), True)
            with report.check("PUT with If-Match stores for the ETag of the item, and for no other"):
                head = ask(*bearer, "-I", f"{site}/cache/colour")
                etag = re.search(r'^ETag: ("\d+")$', head, re.M)
                assert etag, head
                put = [*bearer, "-X", "PUT", "--data-binary", "blue", f"{site}/cache/colour"]
                equal(ask("-H", f"If-Match: {etag[1]}", *put), "204")
                equal(ask("-H", f"If-Match: {etag[1]}", *put)[-3:], "412")
                equal(ask(*bearer, f"{site}/cache/colour"), "blue200")
            with report.check("without the token, and with another one, 401"):
                for words in ([], ["-H", "Authorization: Bearer 0123456789abcdef0123456789abcdee"]):
                    for path in ("/cache/colour", "/metrics"):
                        equal(ask(*words, f"{site}{path}")[-3:], "401")
            with report.check("curl refuses a certificate of another authority, and a name that it does not have"):
                # 60: the certificate cannot be verified.
                for words in (["--cacert", foreign, site], ["--cacert", chain, f"https://localhost:{port}"]):
                    equal(run(["curl", "-s", "--ipv4", *words])[0], 60)
            with report.check("http:// to this port gets 400 and the reason"):
                code, printed = run(["curl", "-s", *status, f"http://127.0.0.1:{port}/live"])
                equal((code, printed), (0, "this port uses TLS: https://\n400"))


def examples():
    """The commands of doc/http.md behind `$`, each with the lines that it prints."""
    page = (REPOSITORY / "doc" / "http.md").read_text()
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", page, re.M | re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                command, printed = found.pop()
                found.append((command, printed + line + "\n"))
    assert len(found) > 5, "doc/http.md has examples"
    return found


def prometheus(report, _):
    port = free_port()
    with kit.servers(report, 1, [f"--http={port}", "-m", "64"]) as (server,):
        text = kit.Text(server.port)
        text.send(b"set a 0 0 1\r\nx\r\n")
        equal(text.line(), b"STORED")
        with report.check("promtool check metrics finds only names that are the exporter's"):
            page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read()
            checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True)
            lines = (checked.stdout + checked.stderr).decode().splitlines()
            equal([line for line in lines if not EXPORTERS_LINT.match(line)], [])
        with report.check("promtool check rules accepts doc/alerts.yaml"):
            must(["promtool", "check", "rules", REPOSITORY / "doc" / "alerts.yaml"])
        with scraping(port) as ask:
            for query in QUERIES:
                with report.check(query):
                    # A rate needs two scrapes, and a hit ratio a get in between.
                    wait_until(lambda: [text.get(["a", "b"]), ask(query)][1], 30)
        text.close()
    with report.check("a server with a memory file and a peer that is down has every metric of doc/alerts.yaml"):
        alerts_have_data(report)


def alerts_have_data(report):
    alerts = (REPOSITORY / "doc" / "alerts.yaml").read_text()
    http, peer, links = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--http={http}", "-e", f"{folder}/items", "-x", f"127.0.0.1:{peer}", "-X", str(links),
                 "-o", "repl_serve=immediately"]
        with kit.servers(report, 1, flags) as (server,), scraping(http) as ask:
            text = kit.Text(server.port)
            # Metrics of size classes need an item.
            text.send(b"set a 0 0 1\r\nx\r\n")
            equal(text.line(), b"STORED")
            text.close()
            wait_until(lambda: ask('larder_replication_peer_info{state="disconnected"} == 1'), 30)
            metrics = sorted(set(re.findall(r"\b(?:memcached|larder)_[a-z_]+", alerts)))
            equal(len(metrics) >= 10, True)
            for metric in metrics:
                wait_until(lambda: ask(metric), 30)


@contextlib.contextmanager
def scraping(port):
    """A Prometheus that scrapes the server on `port`. Gives a function that evaluates a query."""
    own = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 500ms}\n"
            f"scrape_configs: [{{job_name: larder, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
        )
        options = [f"--config.file={config}", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{own}"]
        with open(pathlib.Path(folder) / "log", "wb") as log:
            process = subprocess.Popen(["prometheus", *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def ask(query):
            url = f"http://127.0.0.1:{own}/api/v1/query?" + urllib.parse.urlencode({"query": query})
            try:
                answer = json.load(urllib.request.urlopen(url, timeout=5))
            except OSError:
                return []
            numbers = [sample["value"][1] for sample in answer["data"]["result"]]
            return [number for number in numbers if number != "NaN"]

        try:
            yield ask
        finally:
            process.terminate()
            process.wait()
