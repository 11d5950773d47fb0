//! A restart with other settings, and without space for the file.

use std::os::unix::process::CommandExt;
use std::process::Command;

use super::file::{MemoryFile, end, kept};
use crate::support::program_under_test;
use crate::support::server::Server;
use crate::support::wait::wait_until;

pub(super) fn fill(server: &Server, items: u32) {
    let mut client = server.client();
    for number in 0..items {
        client.ask(format!("set key{number} 0 0 10000\r\n{number:010000}\r\n"), "STORED\r\n");
    }
}

#[test]
fn memory_and_threads_may_change() {
    let file = MemoryFile::new();
    let server = file.serve(&["-m", "32", "-t", "2"]);
    fill(&server, 1500);
    end(server, "-TERM");
    let server = file.serve(&["-m", "64", "-t", "4", "-c", "100", "-I", "2m"]);
    assert_eq!(kept(&server), ["clean", "1500", "0"]);
    end(server, "-TERM");
    let server = file.serve(&["-m", "8"]);
    assert_eq!(kept(&server), ["clean", "1500", "0"]);
    wait_until("pages beyond the limit have left", || {
        let stats = server.stats("");
        stats["slab_bytes"].parse::<u64>().is_ok_and(|bytes| bytes <= 9 << 20)
    });
    let mut client = server.client();
    let stayed = (0..1500).filter(|number| {
        client.send(format!("mg key{number} s\r\n"));
        client.read_line().expect("the server answers").starts_with(b"HD s10000")
    });
    let stayed = stayed.count();
    assert!((500..900).contains(&stayed), "{stayed}");
    end(server, "-KILL");
    let server = file.serve(&["-m", "16"]);
    assert_eq!(kept(&server)[1], stayed.to_string());
}

#[test]
fn a_file_without_space_evicts_and_says_so_once() {
    let file = MemoryFile::new();
    let mut command = Command::new(program_under_test());
    let limit_files = || {
        // It ends in the middle of the index that a clean stop writes.
        let bytes = (12 << 20) + 100;
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
        // SAFETY: `limit` is valid during the call, which changes nothing but the limit of the process to come.
        let status = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
        if status == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec `limit_files` makes one system call, and neither allocates nor takes a lock.
    unsafe { command.pre_exec(limit_files) };
    let server = Server::start_command(command, &["-e", file.path(), "-m", "64"]);
    fill(&server, 3000);
    let stats = server.stats("");
    assert!(stats["slab_bytes"].parse::<u64>().is_ok_and(|bytes| bytes <= 12 << 20), "{}", stats["slab_bytes"]);
    let stderr = server.stderr();
    assert_eq!(stderr.matches("-e, --memory-file: allocate a page:").count(), 1, "{stderr}");
    server.client().ask("mg key2999 s\r\n", "HD s10000\r\n");
    end(server, "-TERM");
    assert_eq!(file.len(), 12 << 20, "the part of the index that was written is gone");
    let server = file.serve(&[]);
    assert_eq!(kept(&server)[0], "clean", "there was no space for the index");
    assert_eq!(server.stats("")["restart_index"], "built");
    server.client().ask("mg key2999 s\r\n", "HD s10000\r\n");
    end(server, "-KILL");
    let server = file.serve(&[]);
    server.client().ask("mg key2999 s\r\n", "HD s10000\r\n");
}

/// Runs larder with `arguments`, and returns its exit code and what it prints.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(program_under_test()).args(arguments).output().expect("the program runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn an_inspection_says_what_a_file_holds_and_whether_it_would_be_kept() {
    let file = MemoryFile::new();
    let server = file.serve(&[]);
    fill(&server, 12);
    server.client().ask("set small 0 0 1\r\nx\r\n", "STORED\r\n");
    let says = |flags: &[&str], expected: &[&str]| {
        let (code, said) = run(&[&["--inspect", file.path()], flags].concat());
        assert_eq!(code, Some(0), "{said}");
        expected.iter().for_each(|words| assert!(said.contains(words), "{words} in\n{said}"));
    };
    let in_use = format!("in use by process {}", server.process_id());
    says(&[], &[&in_use, "usable     no: another process uses it"]);
    let (code, said) = run(&["--clear", file.path()]);
    assert!(code == Some(64) && said.contains("another process uses it"), "{said}");
    end(server, "-TERM");
    says(
        &[],
        &[
            "format     version 1",
            "clean; process",
            "with 13 items",
            "index      ",
            "1 pages, 12 items of 120290 bytes",
            "1 pages, 1 items of 26 bytes",
            "usable     yes",
        ],
    );
    says(
        &["-f", "2"],
        &["usable     yes: its size classes were made with -f, --slab-growth-factor 1.25, which is now 2.00"],
    );
    says(
        &["-o", "slab_chunk_max=8"],
        &["12 items of 120290 bytes, not for new items", "usable     yes: its size classes were made"],
    );
    end(file.serve(&[]), "-KILL");
    says(&[], &["unclean; process", "usable     yes", "starts     2"]);
    assert_eq!(kept(&file.serve(&[])), ["unclean", "13", "0"], "an inspection changes nothing");
    assert_eq!(run(&["--clear", file.path()]), (Some(0), format!("{}: cleared\n", file.path())));
    says(&[], &["usable     yes: it is empty"]);
    assert_eq!(kept(&file.serve(&[]))[0], "cold");
    assert_eq!(run(&["--inspect", "/nowhere"]).0, Some(71));
    let (code, said) = run(&["--clear", "/dev/null"]);
    assert!(code == Some(64) && said.contains("/dev/null: not a file"), "{said}");
    std::fs::write(file.path(), "a letter").expect("the file is ours");
    says(&[], &["usable     no: not a memory file of larder"]);
    assert_eq!(run(&["--clear", file.path()]).0, Some(64), "no other file is cleared");
}
