//! The program larder-cli, as a person starts it: one command, a prompt whose input is a pipe, views, and exit codes.

#[path = "../support/tls_stub.rs"]
mod tls_stub;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use larder::tls::TLS_FLAGS;
use tls_stub::TlsStub;

/// A server that answers each of these lines of a client, and no others.
fn serve(answers: &'static [(&str, &str)]) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client connects");
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).is_ok_and(|len| len > 0) {
            let answer = answers.iter().find(|(asked, _)| *asked == line.trim_end());
            let (_, answer) = answer.unwrap_or_else(|| panic!("the client sends {line:?}"));
            stream.get_mut().write_all(answer.as_bytes()).expect("the client reads");
            line.clear();
        }
    });
    (address, server)
}

fn run(words: &[&str], input: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder-cli"));
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    child.stdin.take().expect("it has an input").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it writes text");
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

#[test]
fn a_command_is_sent_and_its_reply_shown() {
    let (address, server) = serve(&[("get a b", "VALUE a 0 5\r\none\r\n\r\nVALUE b 0 1\r\nx\r\nEND\r\n")]);
    let (code, text, said) = run(&[&address, "get", "a", "b"], "");
    assert_eq!((code, said.as_str()), (0, ""));
    assert_eq!(text, "VALUE a 0 5\none\\r\n\nVALUE b 0 1\nx\nEND\n");
    server.join().expect("it has served");
    let (address, server) = serve(&[("nonsense", "ERROR\r\n")]);
    let (code, text, said) = run(&[&address, "nonsense"], "");
    assert_eq!((code, text.as_str(), said.as_str()), (1, "ERROR\n", "larder-cli: the server answers an error\n"));
    server.join().expect("it has served");
}

#[test]
fn a_command_that_stores_needs_the_prompt() {
    let (address, server) = serve(&[]);
    let (code, text, said) = run(&[&address, "set", "k", "0", "0", "5"], "");
    assert_eq!((code, text.as_str()), (64, ""));
    assert!(said.starts_with("larder-cli: a command that stores asks for its value at the prompt"), "{said}");
    server.join().expect("nothing was sent");
}

#[test]
fn a_prompt_asks_for_values_and_counts_their_lengths() {
    let (address, server) =
        serve(&[("set a 0 60 5", ""), ("hello", "STORED\r\n"), ("mg a v", "VA 5\r\nhello\r\n"), ("mn", "MN\r\n")]);
    let (code, text, said) = run(&[&address], "set a 0 60\nhello\n\nmg a v\nmn\nexit\n");
    assert_eq!((code, said.as_str()), (0, ""), "{text}");
    let replies: Vec<&str> = text.lines().filter(|line| !line.ends_with("> ")).collect();
    assert_eq!(replies, ["STORED", "VA 5", "hello", "MN"], "{text}");
    server.join().expect("it has served");
}

#[test]
fn views_show_keys_and_rates() {
    const LIST: &str = "OK\r\nkey=user%3a1 exp=-1 la=1 cas=1 fetch=no cls=1 size=90\r\n\
                        key=b exp=-1 la=1 cas=2 fetch=no cls=1 size=200\r\nEND\r\n";
    const ROWS: &str = "STAT get_hits 3\r\nSTAT curr_items 7\r\nEND\r\n";
    const HOT: &str = "STAT half_life 60\r\nSTAT 1:key a\r\nSTAT 1:requests 77\r\nEND\r\n";
    const ANSWERS: &[(&str, &str)] =
        &[("lru_crawler metadump all", LIST), ("stats", ROWS), ("stats hotkeys", HOT), ("mn", "MN\r\n")];
    let shown = |words: &[&str]| {
        let (address, server) = serve(ANSWERS);
        let (code, text, said) = run(&[words, &[&address]].concat(), "");
        assert_eq!((code, said.as_str()), (0, ""), "{text}");
        server.join().expect("it has served");
        text
    };
    assert_eq!(shown(&["--scan", "user:"]), "user:1\n");
    let largest = "2 items, 290 bytes, 145 on average\n     bytes  key\n       200  b\n        90  user:1\n";
    assert_eq!(shown(&["--bigkeys"]), largest);
    assert!(shown(&["--hotkeys"]).lines().nth(1).is_some_and(|row| row.contains(" 77 ") && row.ends_with("  a")));
    let stat = shown(&["--stat", "-n", "1"]);
    assert!(stat.lines().count() == 2 && stat.ends_with("           7            0.0\n"), "{stat}");
    assert!(shown(&["--latency", "-n", "1"]).contains(" requests, us: least "));
}

fn tls_stub(name: &str, answers: &'static [(&str, &str)]) -> TlsStub {
    TlsStub::start(answers, &Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
}

#[test]
fn a_server_with_tls_is_reached_by_commands_prompts_and_views() {
    let server = tls_stub("cli.pem", &[("mn", "MN\r\n"), ("stats", "STAT curr_items 7\r\nEND\r\n")]);
    let flags = ["--tls-ca", server.ca()];
    let shown = |words: &[&str], input: &str| {
        let (code, text, said) = run(&[&flags, words].concat(), input);
        assert_eq!((code, said.as_str()), (0, ""), "{words:?}");
        text
    };
    assert_eq!(shown(&[&server.address, "mn"], ""), "MN\n");
    assert!(shown(&[&server.address], "mn\nexit\n").contains("MN\n"));
    assert!(shown(&["--stat", "-n", "1", &server.address], "").ends_with("           7            0.0\n"));
    let (code, _, said) = run(&["--tls-name", "elsewhere.example", &server.address, "mn"], "");
    assert!(code == 69 && said.contains("TLS: invalid peer certificate: "), "{said}");
}

#[test]
fn a_wrong_choice_of_tls_is_named_with_its_cure() {
    let server = tls_stub("cli-cure.pem", &[("mn", "MN\r\n")]);
    let (code, text, said) = run(&[&server.address, "get", "key"], "");
    let cure = "the server uses TLS on this port; --tls, --tls-ca or --tls-insecure turns it on\n";
    assert!(code == 69 && text.is_empty() && said.ends_with(cure), "{said}");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    // A server without TLS that answers what it does not know, and one that closes.
    let plain = std::thread::spawn(move || {
        for answer in ["ERROR\r\n", "", ""] {
            let (mut stream, _) = listener.accept().expect("a client connects");
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]).expect("it sends something");
            stream.write_all(answer.as_bytes()).expect("the client reads");
        }
    });
    for (flags, cure) in [
        (&["--tls-insecure"][..], "TLS: the server does not use TLS on this port; leave out the flags of TLS"),
        (&["--tls-insecure"], "; if the server does not use TLS on this port, leave out the flags of TLS"),
        (&[], "; if the server uses TLS on this port, --tls, --tls-ca or --tls-insecure turns it on"),
    ] {
        let (code, _, said) = run(&[flags, &[&address, "mn"]].concat(), "");
        assert!(code == 69 && said.contains(cure), "{flags:?}: {said}");
    }
    plain.join().expect("it has served");
}

#[test]
fn mistakes_end_it_with_a_message() {
    let (code, _, said) = run(&["--what"], "");
    assert!(code == 64 && said.ends_with("; see larder-cli -h\n"), "{said}");
    let (code, _, said) = run(&["127.0.0.1:1", "mn"], "");
    assert_eq!((code, said.as_str()), (69, "larder-cli: connect to 127.0.0.1:1: Connection refused\n"));
    let (code, _, said) = run(&["--tls-ca", "/no/such/file", "127.0.0.1:1", "mn"], "");
    assert!(code == 64 && said.starts_with("larder-cli: /no/such/file: "), "{said}");
    let (code, help, _) = run(&["-h"], "");
    assert!(code == 0 && help.starts_with("usage: larder-cli "), "{help}");
}

#[test]
fn the_manual_page_and_the_tools_page_have_every_option() {
    let read = |name| std::fs::read_to_string(format!("{}/../../doc/{name}", env!("CARGO_MANIFEST_DIR")));
    let manual = read("larder-cli.1").expect("the page is there").replace("\\-", "-");
    let page = read("tools.md").expect("the page is there");
    let (_, help, _) = run(&["-h"], "");
    let tls = TLS_FLAGS.iter().map(|flag| format!("--{}", flag.name));
    let own = ["--stat", "--latency", "--bigkeys", "--hotkeys", "--scan", "--rounds"].map(str::to_owned);
    for option in own.into_iter().chain(tls) {
        assert!(help.contains(&option) && manual.contains(&option), "{option}");
        assert!(page.contains(&option), "doc/tools.md lacks {option}");
    }
}

/// What bash offers for the last of `words`.
fn offered(words: &[&str]) -> Vec<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/completions/larder-tools.bash");
    let script = format!(
        "source {file}; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _larder_tools \"$1\"; echo \"${{COMPREPLY[@]}}\""
    );
    let output = Command::new("bash").args(["-c", &script, "bash"]).args(words).output().expect("there is a bash");
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

#[test]
fn bash_completes_the_options_that_the_help_shows() {
    let program = env!("CARGO_BIN_EXE_larder-cli");
    assert_eq!(offered(&[program, "--b"]), ["--bigkeys"]);
    assert_eq!(offered(&[program, "--no-such"]), Vec::<String>::new());
    assert!(offered(&[program, "-"]).contains(&"--rounds".to_owned()));
}
