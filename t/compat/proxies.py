"""larder behind proxies. Their configuration files and commands are the code blocks of doc/more-than-one-machine.md."""

import contextlib
import os
import pathlib
import re
import shlex
import tempfile

import install
from kit import REPOSITORY, Text, equal, free_port, listening, wait_until

PAGE = REPOSITORY / "doc" / "more-than-one-machine.md"
KEYS = 10_000
BATCH = 100


class Page:
    """The code blocks of the page, by language, with the addresses of the servers under test."""

    def __init__(self, servers):
        text = PAGE.read_text()
        for number, server in enumerate(servers, 1):
            text = text.replace(f"10.0.0.{number}:11211", server.address)
        self.blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)

    def block(self, language, holding=""):
        found = [body for kind, body in self.blocks if kind == language and holding in body]
        assert len(found) == 1, f"{PAGE.name} has {len(found)} blocks of {language} with `{holding}`"
        return found[0]


@contextlib.contextmanager
def proxy(command, page_path, page_port, config, folder, program=None):
    """Runs the page's command with another path and port. Yields the port once the proxy accepts connections."""
    port = free_port()
    file = pathlib.Path(folder) / pathlib.Path(page_path).name
    assert page_path in command and str(page_port) in command + config, f"{PAGE.name} has another path or port"
    file.write_text(config.replace(str(page_port), str(port)))
    words = shlex.split(command.replace(page_path, str(file)).replace(str(page_port), str(port)))
    if program:
        words[0] = str(program)
        # The page's user cannot read the folder of the test.
        words[words.index("-u") + 1] = "root" if os.geteuid() == 0 else "nobody"
    else:
        # The statistics port of two proxies on one machine must differ.
        words += ["-o", f"{folder}/log", "-p", f"{folder}/pid", "-a", "127.0.0.1", "-s", str(free_port())]
    with listening(words, port, cwd=folder):
        yield port


def twemproxy(report, servers):
    page = Page(servers)
    command, config = page.block("sh", "nutcracker"), page.block("yaml")
    # A check must not meet the return of a node: that time is beyond the end of the group.
    config = config.replace("server_retry_timeout: 30000", "server_retry_timeout: 600000")
    with tempfile.TemporaryDirectory() as folder:
        with proxy(command, "/etc/nutcracker/larder.yml", 22122, config, folder) as port:
            report.ok("the proxy starts with the file and the command of the page")
            keys_over_three_nodes(report, port, servers)
            one_node_ejected(report, port, servers)


def router(report, servers):
    page = Page(servers)
    with tempfile.TemporaryDirectory() as folder, route(page, "ring", folder) as port:
        report.ok("the router starts with the file and the command of the page")
        keys_over_three_nodes(report, port, servers)
        meta_through_the_router(report, port)
    text = Text(servers[0].port)
    equal(text.ask("flush_all"), "OK")
    text.close()
    with tempfile.TemporaryDirectory() as folder, route(page, "copies", folder) as port:
        report.ok("the router starts with the file for copies")
        copies_on_three_nodes(report, port, servers)


def route(page, holding, folder):
    command, config = page.block("sh", "routelib"), page.block("lua", holding)
    return proxy(command, "/etc/memcached/routes.lua", 22123, config, folder, program=install.newest_memcached())


def keys_over_three_nodes(report, port, servers):
    wanted = values()
    keys = list(wanted)
    text = Text(port)
    with report.check("10,000 keys are set through the proxy"):
        for batch in batches(keys):
            text.send(b"".join(b"set %s 5 0 %d\r\n%s\r\n" % (k.encode(), len(wanted[k]), wanted[k]) for k in batch))
            equal([text.line() for _ in batch], [b"STORED"] * len(batch))
    with report.check("10,000 keys are read back through the proxy"):
        equal(fetch(text, keys) == wanted, True)
    with report.check("each of the three nodes holds its share, no key is on two"):
        holds = [set(fetch_directly(server, keys)) for server in servers]
        equal(sum(len(held) for held in holds), KEYS)
        equal(min(len(held) for held in holds) > KEYS // 10, True)
    with report.check("delete, incr, cas and append through the proxy"):
        key = "through:the:proxy"
        equal(text.ask(f"set {key} 5 0 1\r\n7"), "STORED")
        equal(text.ask(f"incr {key} 35"), "42")
        equal(text.ask(f"append {key} 0 0 1\r\n!"), "STORED")
        equal(text.get([key]), {key: b"42!"})
        text.send(f"gets {key}\r\n".encode())
        unique = text.line().split()[-1].decode()
        equal([text.line(), text.line()], [b"42!", b"END"])
        equal(text.ask(f"cas {key} 0 0 1 {unique}\r\nx"), "STORED")
        equal(text.ask(f"cas {key} 0 0 1 {unique}\r\ny"), "EXISTS")
        equal(text.ask(f"touch {key} 100"), "TOUCHED")
        equal(text.ask(f"delete {key}"), "DELETED")
        equal(text.get([key]), {})
    text.close()


def one_node_ejected(report, port, servers):
    wanted = values()
    lost = sorted(fetch_directly(servers[0], wanted))
    kept = {key: value for key, value in wanted.items() if key not in set(lost)}
    text = Text(port)
    servers[0].kill()
    with report.check("one node killed: every key of the other two is still there"):
        equal(len(kept) > KEYS // 3, True)
        equal(fetch(text, list(kept)) == kept, True)
    with report.check("one node killed: its keys move to the others and can be set and read again"):
        # The proxy answers errors until it has counted the node out.
        wait_until(lambda: text.ask(f"set {lost[0]} 0 0 3\r\nnew") == "STORED")
        for key in lost[1:BATCH]:
            equal(text.ask(f"set {key} 0 0 3\r\nnew"), "STORED")
        equal(fetch(text, lost[:BATCH]), {key: b"new" for key in lost[:BATCH]})
        equal(fetch(text, list(kept)) == kept, True)
    text.close()


def meta_through_the_router(report, port):
    text = Text(port)
    with report.check("ms, mg, ma and md through the router"):
        equal(text.ask("ms meta 2 T100 F7\r\n42"), "HD")
        equal(text.ask("mg meta v f k"), "VA 2 f7 kmeta")
        equal(text.line(), b"42")
        equal(text.ask("ma meta v D8"), "VA 2")
        equal(text.line(), b"50")
        equal(text.ask("md meta"), "HD")
        equal(text.ask("mg meta v"), "EN")
    text.close()


def copies_on_three_nodes(report, port, servers):
    wanted = dict(list(values().items())[:BATCH])
    text = Text(port)
    with report.check("copies: every node holds every key"):
        for key, value in wanted.items():
            equal(text.ask(f"set {key} 5 0 {len(value)}\r\n{value.decode()}"), "STORED")
        equal([fetch_directly(server, wanted) == wanted for server in servers], [True] * len(servers))
    servers[0].kill()
    with report.check("copies: one node killed, every key is still read"):
        wait_until(lambda: fetch(text, wanted) == wanted)
    with report.check("copies: one node killed, a write reports it and reaches the other nodes"):
        equal(text.ask("set written 0 0 3\r\nnew"), "SERVER_ERROR backend failure")
        equal(text.get(["written"]), {"written": b"new"})
    text.close()


def values():
    return {f"user:{i}:profile": f"value of user:{i}:profile".encode() for i in range(KEYS)}


def batches(keys):
    keys = list(keys)
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
