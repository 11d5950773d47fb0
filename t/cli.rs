//! The process from outside: its options and messages about wrong ones, exit codes, files, signals, users.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::server::scratch_directory;
use crate::support::{Server, wait_until};

/// The output of a process that has ended.
struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs larder with `arguments` until it ends by itself, in a directory of its own.
fn run(arguments: &[&str]) -> Ended {
    let directory = scratch_directory();
    run_in(&directory, arguments)
}

fn run_in(directory: &Path, arguments: &[&str]) -> Ended {
    run_command(directory, larder().args(arguments))
}

/// larder, without variables of the environment.
fn larder() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.env_remove("MEMCACHED_PORT_FILENAME");
    command
}

fn run_command(directory: &Path, command: &mut Command) -> Ended {
    let out = directory.join("out");
    let err = directory.join("err");
    let mut child = command
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(fs::File::create(&out).expect("the directory is ours"))
        .stderr(fs::File::create(&err).expect("the directory is ours"))
        .spawn()
        .expect("larder is built");
    let code = wait_for(&mut child, &format!("{command:?} ends"));
    let read = |path| fs::read_to_string(path).expect("the file was created at start");
    Ended { code, stdout: read(out), stderr: read(err) }
}

fn wait_for(child: &mut Child, what: &str) -> i32 {
    let _end = EndOfChild(child.id());
    let mut status = None;
    wait_until(what, || {
        status = child.try_wait().expect("the child is ours to wait for");
        status.is_some()
    });
    status.and_then(|status| status.code()).unwrap_or(-1)
}

/// Ends a child that a failing test would otherwise leave behind.
struct EndOfChild(u32);

impl Drop for EndOfChild {
    fn drop(&mut self) {
        if std::thread::panicking() {
            signal("KILL", self.0);
        }
    }
}

fn signal(name: &str, process_id: u32) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(process_id.to_string()).status();
    assert!(status.is_ok_and(|status| status.success()), "kill -{name} {process_id}");
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The flags that a test needs to start a server as its own user.
fn as_user() -> &'static [&'static str] {
    if is_root() { &["-u", "root"] } else { &[] }
}

/// A line of /proc/PID/status or /proc/PID/limits, without its name.
fn of_process(process_id: u32, file: &str, name: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{process_id}/{file}")).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} in\n{text}"));
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn help_version_and_licence_go_to_standard_output() {
    for flag in ["-h", "--help"] {
        let help = run(&[flag]);
        assert_eq!((help.code, help.stderr.as_str()), (0, ""));
        assert_eq!(help.stdout, fs::read_to_string("t/golden/help.txt").unwrap());
    }
    for flag in ["-V", "--version"] {
        let version = run(&[flag]);
        assert_eq!((version.code, version.stdout), (0, format!("larder {}\n", env!("CARGO_PKG_VERSION"))));
    }
    let licence = run(&["-i"]);
    assert_eq!((licence.code, licence.stdout), (0, fs::read_to_string("LICENSE").unwrap()));
}

#[test]
fn a_wrong_option_ends_the_start_with_one_line_that_names_it() {
    for (arguments, line) in [
        (&["-t", "900"][..], "-t, --threads: 900 is outside 1 to 256"),
        (&["-t", "0"], "-t, --threads: 0 is outside 1 to 256"),
        (&["-p", "65536"], "-p, --port: 65536 is outside -1 to 65535"),
        (&["-p", "http"], "-p, --port: not a whole number: \"http\""),
        (&["-p"], "-p, --port: needs a value: <num>"),
        (&["-m", "lots"], "-m, --memory-limit: not a size: \"lots\"; write a whole number, alone or with k, m, g or t"),
        (&["-m", "0"], "-m, --memory-limit: 0 MiB is outside 1 to 131072 MiB"),
        (&["-m", "129g"], "-m, --memory-limit: 129g is outside 1 to 131072 MiB; \"1 TiB\" in doc/restart.md says why"),
        (&["-I", "1"], "-I, --max-item-size: 1 is outside 1k to 1024m"),
        (&["-I", "40m"], "-I, --max-item-size: 40m is more than half of -m, --memory-limit (64m)"),
        (&["-f", "1"], "-f, --slab-growth-factor: 1 is outside 1.01 to 16"),
        (&["-a", "9"], "-a, --unix-mask: not an octal number: \"9\""),
        (&["-D", "ab"], "-D: not one visible character: \"ab\""),
        (&["-B", "x"], "-B, --protocol: \"x\" is not one of auto, ascii, binary"),
        (&["-l", "127.0.0.1:x"], "-l, --listen: port \"x\" is outside 0 to 65535"),
        (&["-o", "hashpower=5"], "-o hashpower: 5 is outside 12 to 32"),
        (&["--threds", "4"], "--threds: no such option; did you mean --threads?"),
        (&["-o", "idle_timout=5"], "-o idle_timout=5: no such option; did you mean -o idle_timeout?"),
        (&["--mem", "100"], "--mem: may be --memory-limit, --memory-file"),
        (&["-o", "nonsense"], "-o nonsense: no such option; larder -h lists them"),
        (&["--nonsense"], "--nonsense: no such option; larder -h lists them"),
        (&["-o", "="], "-o =: no such option; larder -h lists them"),
        (&["-o", "nonsense=1"], "-o nonsense=1: no such option; larder -h lists them"),
        (&["-z"], "-z: no such option; larder -h lists them"),
        (&["start"], "start: not an option; larder -h lists them"),
        (
            &["-p", "0"],
            "-p, --port: 0 turns TCP off, and neither -U, --udp-port nor -s, --unix-socket is given: nowhere to listen",
        ),
        (&["-U", "65536"], "-U, --udp-port: 65536 is outside -1 to 65535"),
        (
            &["-Y", "f", "-U", "1"],
            "-U, --udp-port: UDP clients cannot authenticate, which -Y, --auth-file demands; write -U 0",
        ),
        (&["-Z"], "-Z, --enable-ssl: needs -o ssl_chain_cert=<file>"),
        (
            &["-x", "h", "-o", "repl_serve=now"],
            "-o repl_serve: \"now\" is not one of after_sync, immediately, after:<seconds>",
        ),
        (&["-X", "11212"], "11212: not an option; larder -h lists them"),
        (&["-q", "100"], "-q, --replication-queue-max: not in this version, it comes with a later one"),
        (&["-o", "ext_path=/f:1g"], "-o ext_path: not in this version, it comes with a later one"),
        (&["-o", "ssl_min_version=1"], "-o ssl_min_version: TLS 1.1 is not supported; 2 (TLS 1.2) or 3 (TLS 1.3)"),
        (&["-o", "ssl_keyformat=3"], "-o ssl_keyformat: ENGINE is not supported; 1 (PEM) or 2 (DER)"),
        (&["-l", "mtls:h"], "-l, --listen: the prefix mtls: needs -Z, --enable-ssl"),
        (&["-x", "h", "-o", "repl_tls"], "-o repl_tls: needs -Z, --enable-ssl"),
        (&["-o", "repl_tls"], "-o repl_tls: needs -x, --replication-peer"),
        (&["-x", "h", "-o", "repl_tls_name=n"], "-o repl_tls_name: needs -o repl_tls"),
        (
            &["-x", "mtls:h"],
            "-x, --replication-peer, -o repl_listen: no prefixes; -o repl_tls is for TLS between nodes",
        ),
        (&["--http=btls:80"], "--http: the prefix btls: needs -Z, --enable-ssl"),
    ] {
        let ended = run(arguments);
        assert_eq!(ended.stderr, format!("larder: {line}\n"), "{arguments:?}");
        assert_eq!((ended.code, ended.stdout.as_str()), (64, ""), "{arguments:?}");
    }
}

#[test]
fn every_option_of_memcached_that_changes_nothing_here_is_accepted() {
    let list = "modern,no_modern,maxconns_fast,no_maxconns_fast,slab_reassign,no_slab_reassign,slab_automove,\
                slab_automove=2,no_slab_automove,slab_automove_ratio=0.5,slab_automove_window=30,\
                slab_automove_freeratio=0.01,tail_repair_time=10,hash_algorithm=murmur3,lru_crawler,no_lru_crawler,\
                lru_crawler_sleep=100,lru_crawler_tocrawl=0,lru_maintainer,no_lru_maintainer,hot_lru_pct=40,\
                warm_lru_pct=40,hot_max_factor=0.2,warm_max_factor=2.0,temporary_ttl=61,watcher_logbuf_size=256,\
                worker_logbuf_size=64,read_buf_mem_limit=0,track_sizes,no_hashexpand,inline_ascii_resp,\
                no_inline_ascii_resp,no_chunked_items,resp_obj_mem_limit=0,sock_cookie_id=1,no_drop_privileges";
    let server = Server::start(&["-N", "1", "-W", "-U", "0", "-B", "ascii", "-o", list]);
    assert_eq!(server.stats("settings")["binding_protocol"], "ascii");
}

#[test]
fn root_has_to_name_a_user_to_run_as() {
    if is_root() {
        let refused = run(&["-p", "-1"]);
        let line = "larder: started by root: -u, --user says whom to run as, for example -u nobody\n";
        assert_eq!((refused.code, refused.stderr.as_str()), (64, line));
        let unknown = run(&["-p", "-1", "-u", "no-such-user"]);
        assert_eq!(
            (unknown.code, unknown.stderr.as_str()),
            (67, "larder: -u, --user: no such user: \"no-such-user\"\n")
        );
        let directory = scratch_directory();
        let said = directory.join("err");
        let mut child = larder()
            .args(["-u", "nobody", "-l", "127.0.0.1", "-p", "-1", "-vv"])
            .stderr(fs::File::create(&said).unwrap())
            .spawn()
            .unwrap();
        let _end = EndOfChild(child.id());
        wait_until("the server listens", || fs::read_to_string(&said).unwrap().contains("server listening"));
        let ids = of_process(child.id(), "status", "Uid:");
        let groups = of_process(child.id(), "status", "Groups:");
        signal("TERM", child.id());
        assert_eq!(wait_for(&mut child, "the server ends"), 0);
        assert!(ids.iter().all(|id| id != "0"), "{ids:?}");
        assert_eq!(groups, Vec::<String>::new());
    } else {
        // Only root can change to another user. Without root, memcached ignores -u, and larder does, too.
        let server = Server::start(&["-u", "no-such-user"]);
        server.client().ask("get a\r\n", "END\r\n");
    }
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    for in_background in [&[][..], &["-d"]] {
        let ended = run(&[as_user(), &["-l", "127.0.0.1", "-p", &port], in_background].concat());
        let line = format!("larder: listen on {address}: Address already in use\n");
        assert_eq!((ended.code, ended.stderr), (71, line), "{in_background:?}");
    }
}

#[test]
fn sigterm_and_sigint_end_the_server_cleanly() {
    for name in ["TERM", "INT"] {
        for (flag, said) in [("-M", ""), ("-v", " Exiting normally\n")] {
            let mut server = Server::start(&[flag]);
            server.client().ask("get a\r\n", "END\r\n");
            signal(name, server.process_id());
            assert_eq!(server.wait_for_end().code(), Some(0), "{name} {flag}");
            assert!(server.stderr().ends_with(said), "{name} {flag}: {}", server.stderr());
        }
    }
}

#[test]
fn sigusr1_ends_the_server_gracefully() {
    let mut server = Server::start(&[]);
    signal("USR1", server.process_id());
    assert_eq!(server.wait_for_end().code(), Some(0));
    let said = server.stderr();
    assert!(said.ends_with(" Gracefully stopping\n"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn sighup_and_sigpipe_never_end_the_server() {
    let mut server = Server::start(&[]);
    for name in ["HUP", "PIPE", "HUP"] {
        signal(name, server.process_id());
        server.client().ask("get a\r\n", "END\r\n");
    }
    signal("TERM", server.process_id());
    assert_eq!(server.wait_for_end().code(), Some(0));
}

#[test]
fn a_daemon_serves_when_its_parent_has_ended_and_takes_its_pidfile_along() {
    let directory = scratch_directory();
    let (socket, pidfile) = (directory.join("socket"), directory.join("pid"));
    let arguments = ["-d", "-s", socket.to_str().unwrap(), "-P", "pid"];
    let parent = run_in(&directory, &[as_user(), &arguments].concat());
    assert_eq!((parent.code, parent.stderr.as_str()), (0, ""));
    let process_id: u32 = fs::read_to_string(&pidfile).unwrap().trim().parse().unwrap();
    // The parent has ended, so the socket exists: no need to wait.
    let stream = std::os::unix::net::UnixStream::connect(&socket);
    if stream.is_err() {
        signal("KILL", process_id);
    }
    let mut client = crate::support::Client::over_unix(stream.unwrap()).unwrap();
    let shown = client.stats("")["pid"].clone();
    let standard_error = fs::read_link(format!("/proc/{process_id}/fd/2")).unwrap();
    let current_directory = fs::read_link(format!("/proc/{process_id}/cwd")).unwrap();
    signal("TERM", process_id);
    wait_until("the pidfile is removed", || !pidfile.exists());
    assert_eq!(shown, process_id.to_string());
    assert_eq!(standard_error, Path::new("/dev/null"));
    assert_eq!(current_directory, Path::new("/"));
}

#[test]
fn a_pidfile_that_cannot_be_written_is_a_warning() {
    let server = Server::start(&["-P", "/no/such/directory/pid"]);
    server.client().ask("get a\r\n", "END\r\n");
    let line = "larder: -P, --pidfile: write /no/such/directory/pid: No such file or directory\n";
    assert_eq!(server.stderr(), line);
}

#[test]
fn a_port_file_that_cannot_be_written_is_a_warning() {
    let directory = scratch_directory();
    let said = directory.join("err");
    let mut child = Command::new(env!("CARGO_BIN_EXE_larder"))
        .args([as_user(), &["-l", "127.0.0.1", "-p", "-1", "-s", "socket"]].concat())
        .env("MEMCACHED_PORT_FILENAME", "/no/such/directory/ports")
        .current_dir(&directory)
        .stderr(fs::File::create(&said).unwrap())
        .spawn()
        .unwrap();
    let _end = EndOfChild(child.id());
    wait_until("the server listens", || std::os::unix::net::UnixStream::connect(directory.join("socket")).is_ok());
    signal("TERM", child.id());
    assert_eq!(wait_for(&mut child, "the server ends"), 0);
    let line = "larder: MEMCACHED_PORT_FILENAME: write /no/such/directory/ports: No such file or directory\n";
    assert_eq!(fs::read_to_string(said).unwrap(), line);
}

/// The command that runs larder under a limit of the shell's: `-v 300000`.
fn limited(limit: &str) -> Command {
    let mut command = Command::new("sh");
    command.env_remove("MEMCACHED_PORT_FILENAME");
    let shell = format!("ulimit {limit} || exit 99; exec \"$0\" \"$@\"");
    command.args(["-c", &shell, env!("CARGO_BIN_EXE_larder")]);
    command
}

#[test]
fn little_address_space_is_enough() {
    for megabytes in [300, 450, 700, 1000, 1300, 2000, 2300] {
        for letter in ["v", "d"] {
            let server = Server::start_command(limited(&format!("-{letter} {}", megabytes * 1000)), &["-m", "64"]);
            let mut client = server.client();
            let value = "x".repeat(100_000);
            for key in 0..200 {
                client.ask(format!("set {key} 0 0 {}\r\n{value}\r\n", value.len()), "STORED\r\n");
            }
            assert_eq!(client.stats("")["evictions"], "0", "ulimit -{letter} {megabytes}");
            assert_eq!(client.stats("")["curr_items"], "200", "ulimit -{letter} {megabytes}");
        }
    }
}

#[test]
fn too_little_address_space_ends_the_start_with_one_line() {
    let directory = scratch_directory();
    for megabytes in [60, 90, 130, 160, 190, 220, 250] {
        let mut command = limited(&format!("-v {}", megabytes * 1000));
        command.args(as_user()).args(["-l", "127.0.0.1", "-p", "-1", "-t", "64"]);
        let ended = run_command(&directory, &mut command);
        assert_eq!((ended.code, ended.stderr.lines().count()), (71, 1), "ulimit -v {megabytes}:\n{}", ended.stderr);
        assert!(ended.stderr.starts_with("larder: "), "{}", ended.stderr);
    }
}

#[test]
fn a_limit_on_file_sizes_is_a_warning() {
    let directory = scratch_directory();
    let (socket, pidfile) = (directory.join("socket"), directory.join("pid"));
    let mut child = limited("-f 0")
        .args([as_user(), &["-s", socket.to_str().unwrap(), "-P", pidfile.to_str().unwrap()]].concat())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _end = EndOfChild(child.id());
    wait_until("the server listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    signal("TERM", child.id());
    assert_eq!(wait_for(&mut child, "the server ends"), 0);
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(said, format!("larder: -P, --pidfile: write {}: File too large\n", pidfile.display()));
    assert!(!pidfile.exists() && !directory.join("pid.tmp").exists());
}

#[test]
fn a_limit_on_processes_ends_the_start_with_one_line() {
    let directory = scratch_directory();
    let user = if is_root() { "nobody" } else { "whoever" };
    // Shells have different letters for this limit.
    let mut command = limited("-u 1 2>/dev/null || ulimit -p 1");
    let ended = run_command(&directory, command.args(["-l", "127.0.0.1", "-p", "-1", "-u", user]));
    let line = "larder: start background threads under ulimit -u and -v: Resource temporarily unavailable\n";
    assert_eq!((ended.code, ended.stderr.as_str()), (71, line));
}

#[test]
fn a_link_beside_the_pidfile_is_not_followed() {
    let directory = scratch_directory();
    let (pidfile, beside, theirs) = (directory.join("pid"), directory.join("pid.tmp"), directory.join("theirs"));
    fs::write(&theirs, "theirs").unwrap();
    std::os::unix::fs::symlink(&theirs, &beside).unwrap();
    let server = Server::start(&["-P", pidfile.to_str().unwrap()]);
    wait_until("the pidfile is written", || pidfile.exists());
    let is_file = fs::symlink_metadata(&pidfile).unwrap().is_file();
    let told = fs::read_to_string(&pidfile).unwrap();
    let untouched = fs::read_to_string(&theirs).unwrap();
    assert!(!beside.exists());
    assert!(is_file);
    assert_eq!(told, format!("{}\n", server.process_id()));
    assert_eq!(untouched, "theirs");
}

#[test]
fn more_than_64_threads_start_with_a_word_about_it() {
    let server = Server::start(&["-t", "72"]);
    assert_eq!(
        server.stderr(),
        "larder: -t, --threads: 72 is a lot; no more than the machine has cores is recommended\n"
    );
    assert_eq!(server.stats("")["threads"], "72");
    assert_eq!(Server::start(&["-t", "64"]).stderr(), "");
}

#[test]
fn options_can_come_from_debians_file() {
    let directory = scratch_directory();
    let path = directory.join("memcached.conf");
    let config = format!("--config={}", path.display());
    fs::write(&path, "# comment\n-d\nlogfile /var/log/x\n-m 128\n-c 300\n-o idle_timeout=7\n").expect("ours");
    let server = Server::start(&[&config, "-c", "200"]);
    let settings = server.stats("settings");
    assert_eq!((&*settings["maxbytes"], &*settings["maxconns"], &*settings["idle_timeout"]), ("134217728", "200", "7"));
    fs::write(&path, "-m 128\n-z\n").expect("ours");
    let ended = run(&[&config]);
    let said = format!("larder: --config: {}: -z: no such option; larder -h lists them\n", path.display());
    assert_eq!((ended.code, ended.stderr), (64, said));
    fs::remove_file(&path).expect("ours");
    let ended = run(&[&config]);
    assert_eq!(ended.stderr, format!("larder: --config: read {}: No such file or directory\n", path.display()));
}

#[test]
fn port_zero_opens_no_tcp_port_whatever_else_names_one() {
    let nowhere = "larder: -p, --port: 0 turns TCP off, and neither -U, --udp-port nor -s, --unix-socket is given: \
                   nowhere to listen\n";
    for others in [&[][..], &["-l", "127.0.0.1"], &["-l", "127.0.0.1:25190"]] {
        let directory = scratch_directory();
        let mut command = larder();
        command.args(as_user()).args(["-p", "0"]).args(others).env("MEMCACHED_PORT_FILENAME", "ports");
        let ended = run_command(&directory, &mut command);
        assert_eq!((ended.code, ended.stderr.as_str()), (64, nowhere));
    }
}

#[test]
fn an_address_named_twice_is_opened_once() {
    for list in ["127.0.0.1,", "127.0.0.1,localhost", "127.0.0.1,127.0.0.1"] {
        let server = Server::start(&["-l", list]);
        let rows = server.stats("conns");
        let listens = |address: &&String| address.starts_with("tcp:127.0.0.1:");
        let listeners = rows.iter().filter(|(row, _)| row.ends_with(":addr")).filter(|(_, address)| listens(address));
        assert_eq!(listeners.count(), 2, "one listener and one client with {list}");
    }
}

#[test]
fn the_limit_on_open_files_allows_for_the_clients() {
    let server = Server::start(&["-c", "2000"]);
    let limits = of_process(server.process_id(), "limits", "Max open files");
    assert!(limits[0].parse::<u64>().unwrap() >= 2000, "{limits:?}");
}

#[test]
fn core_files_are_allowed_on_request() {
    let server = Server::start(&["-r"]);
    let limits = of_process(server.process_id(), "limits", "Max core file size");
    assert_eq!(limits[0], limits[1]);
}

#[test]
fn memory_is_locked_or_a_warning_says_why_not() {
    let server = Server::start(&["-k"]);
    server.client().ask("get a\r\n", "END\r\n");
    let locked = of_process(server.process_id(), "status", "VmLck:")[0] != "0";
    let warned = server.stderr().starts_with("larder: -k, --lock-memory: memory is not locked: ");
    assert!(locked || warned);
    assert!(!(locked && warned));
}

#[test]
fn a_start_that_asks_for_large_pages_serves_and_sets_no_memory_aside() {
    let server = Server::start(&["-L", "-m", "1024"]);
    server.client().ask("set a 0 0 1\r\nx\r\nget a\r\n", "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
    let [kib, _] = &of_process(server.process_id(), "status", "VmRSS:")[..] else { panic!("a number and a unit") };
    assert!(kib.parse::<u64>().unwrap() < 64 << 10, "{kib} KiB are resident");
}

#[test]
fn chunk_sizes_can_be_listed() {
    let server = Server::start(&["-vv", "-o", "slab_sizes=96-128-256"]);
    let said = server.stderr();
    let sizes = said.lines().filter_map(|line| line.strip_prefix("slab class ")?.split_whitespace().nth(3));
    assert_eq!(sizes.collect::<Vec<_>>(), ["96", "128", "256", "16384"], "{said}");
    // 16 bytes of header, one of key.
    for (len, chunk) in [(79, "96"), (80, "128"), (239, "256"), (240, "16384")] {
        let mut client = server.client();
        client.ask(format!("flush_all\r\nset a 0 0 {len}\r\n{}\r\n", "x".repeat(len)), "OK\r\nSTORED\r\n");
        wait_until("the item is in its class", || {
            let rows = client.stats("slabs");
            let used = rows.iter().filter(|(row, count)| row.ends_with(":used_chunks") && *count != "0");
            let sizes = used.map(|(row, _)| rows[&row.replace("used_chunks", "chunk_size")].as_str());
            sizes.eq([chunk])
        });
    }
}

#[test]
fn two_v_print_the_size_classes() {
    let server = Server::start(&["-vv", "-f", "1.25", "-o", "slab_chunk_max=512"]);
    let said = server.stderr();
    let classes: Vec<&str> = said.lines().filter(|line| line.starts_with("slab class ")).collect();
    assert!(classes.len() > 30, "{said}");
    assert_eq!(classes.last().unwrap()[14..], *": chunk size    524288 perslab       2");
    assert!(classes[0].starts_with("slab class   1: chunk size  "), "{said}");
}
