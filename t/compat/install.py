"""Installs what the clients need, by package name. An install that fails is a failed check."""

import os
import shutil

from kit import CLIENTS, INSTALL_LIMIT_S, INSTALLED, REPOSITORY, must, on_path, run

PYTHON = INSTALLED / "venv" / "bin" / "python"
NODE_MODULES = INSTALLED / "npm" / "node_modules"
RUST_CLIENT = INSTALLED / "rust" / "debug" / "larder-compat"
RUST_ASYNC_CLIENT = INSTALLED / "rust" / "debug" / "larder-compat-async"
DEBIAN_MEMCACHED = INSTALLED / "memcached-deb"
DALLI_DEB = INSTALLED / "dalli-deb"
# The folder that t/oracle/memcached.rs uses, so that one download serves both.
NEWEST_MEMCACHED = REPOSITORY / "target" / "memcached"


def apt_get(*words, **more):
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return must([*sudo, "apt-get", "-q", *words], INSTALL_LIMIT_S, env=env, **more)


def apt(packages):
    missing = [p for p in sorted(packages) if "installed" not in run(["dpkg-query", "-W", "-f", "${db:Status-Status}", p])[1].split()]
    if missing:
        apt_get("update")
        apt_get("install", "--yes", "--no-install-recommends", *missing)


def python_packages():
    if run(["python3", "-m", "venv", INSTALLED / "venv"], INSTALL_LIMIT_S)[0] != 0:
        apt({"python3-venv"})
        must(["python3", "-m", "venv", "--clear", INSTALLED / "venv"], INSTALL_LIMIT_S)
    must([PYTHON, "-m", "pip", "install", "--quiet", "--requirement", CLIENTS / "requirements.txt"], INSTALL_LIMIT_S)


def node_packages():
    if not (on_path("node") and on_path("npm")):
        apt({"nodejs", "npm"})
    folder = NODE_MODULES.parent
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(CLIENTS / "package.json", folder)
    must(["npm", "install", "--no-audit", "--no-fund"], INSTALL_LIMIT_S, cwd=folder)


def rust_client():
    manifest = REPOSITORY / "t" / "compat" / "rust" / "Cargo.toml"
    must(["cargo", "build", "--locked", "--manifest-path", manifest, "--target-dir", INSTALLED / "rust"], INSTALL_LIMIT_S)


def memcached_scripts():
    """Debian's memcached package, unpacked but not installed: only its scripts are wanted."""
    if not (DEBIAN_MEMCACHED / "usr/share/memcached/scripts/memcached-tool").exists():
        DEBIAN_MEMCACHED.mkdir(parents=True, exist_ok=True)
        apt_get("update")
        must(["apt-get", "-q", "download", "memcached"], INSTALL_LIMIT_S, cwd=DEBIAN_MEMCACHED)
        for package in DEBIAN_MEMCACHED.glob("memcached_*.deb"):
            must(["dpkg-deb", "-x", package, DEBIAN_MEMCACHED])


def newest_memcached():
    """The memcached that larder is compared with. It contains memcached's router. Returns the program's path."""
    if "LARDER_ORACLE" in os.environ:
        return os.environ["LARDER_ORACLE"]
    return must([REPOSITORY / "scripts" / "newest-memcached", NEWEST_MEMCACHED], INSTALL_LIMIT_S).splitlines()[-1]


def newest_dalli():
    """Dalli of Debian's sid, unpacked but not installed. It is Ruby code, and needs nothing else from there. The package
    lists of sid come with `newest_memcached`. Returns its folder."""
    if not list(DALLI_DEB.glob("usr/share/**/lib/dalli.rb")):
        must([REPOSITORY / "scripts" / "newest-memcached", NEWEST_MEMCACHED], INSTALL_LIMIT_S)
        DALLI_DEB.mkdir(parents=True, exist_ok=True)
        apt = NEWEST_MEMCACHED / "apt"
        sid = {"Dir::Etc::sourcelist": apt / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
               "Dir::State::Lists": apt / "lists", "Dir::Cache": apt / "cache", "APT::Sandbox::User": "root"}
        options = [word for name, value in sid.items() for word in ("-o", f"{name}={value}")]
        must(["apt-get", "-q", *options, "download", "ruby-dalli"], INSTALL_LIMIT_S, cwd=DALLI_DEB)
        for package in DALLI_DEB.glob("ruby-dalli_*.deb"):
            must(["dpkg-deb", "-x", package, DALLI_DEB])
    return next(DALLI_DEB.glob("usr/share/**/lib/dalli.rb")).parent
