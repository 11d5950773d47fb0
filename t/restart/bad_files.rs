//! Files that are damaged, foreign or in use: never a crash, never a wrong value.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use larder::memory::BLOCK_BYTES;

use super::file::{MemoryFile, end, kept};
use crate::support::program_under_test;

/// Bytes of a block of the superblock, and where the page table begins.
const BLOCK: u64 = BLOCK_BYTES as u64;
const PAGE_TABLE: u64 = 3 * BLOCK;
/// The number of the user of `-u nobody`, on the systems that larder supports.
const OTHER_UID: u32 = 65534;

/// A file with an item `colour` of 200 bytes and a large one, and a clean or an unclean end.
fn filled(signal: &str) -> MemoryFile {
    let file = MemoryFile::new();
    let server = file.serve(&[]);
    let mut client = server.client();
    client.ask(format!("set colour 0 0 200\r\n{:0200}\r\n", 1), "STORED\r\n");
    client.ask(format!("set large 0 0 100000\r\n{}\r\n", "x".repeat(100_000)), "STORED\r\n");
    end(server, signal);
    file
}

/// Runs a server that must not start. Returns its exit code and its messages.
fn refused(flags: &[&str]) -> (Option<i32>, String) {
    refused_for("root", flags)
}

/// As `refused`, for a server that root starts for `user`. Another user starts it for itself.
fn refused_for(user: &str, flags: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(program_under_test())
        .args(["-u", user, "-l", "127.0.0.1", "-p", "-1"])
        .args(flags)
        .output()
        .expect("the program runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_file_that_is_no_memory_file_is_kept_aside() {
    let file = MemoryFile::new();
    fs::write(file.path(), "a letter to a friend").expect("the folder is writable");
    let server = file.serve(&[]);
    assert_eq!(kept(&server)[0], "cold");
    assert_eq!(fs::read(file.refused(1)).expect("it was kept"), b"a letter to a friend");
    let said = server.stderr();
    assert!(said.contains("not a memory file of larder; the file is kept as"), "{said}");
    end(server, "-TERM");
    fs::write(file.path(), vec![0; 3 << 20]).expect("the folder is writable");
    assert_eq!(kept(&file.serve(&[]))[0], "cold");
    assert!(file.refused(2).exists(), "the first one was not overwritten");
}

#[test]
fn a_file_of_a_newer_version_or_of_another_layout_is_kept_aside_and_named() {
    let changes: [(usize, &[u8], &str); 2] = [
        (8, &7u32.to_le_bytes(), "it has format version 7, which this larder does not know"),
        (16, &[7; 8], "its items have another layout"),
    ];
    for signal in ["-TERM", "-KILL"] {
        for (at, bytes, said) in changes {
            let file = filled(signal);
            file.change_block(0, |header| header[at..at + bytes.len()].copy_from_slice(bytes));
            let before = file.bytes(0, 2 << 20);
            let (code, inspected) = inspected(&file);
            assert!(code == Some(0) && inspected.contains(&format!("usable     no: {said}")), "{inspected}");
            let server = file.serve(&[]);
            assert_eq!(kept(&server)[0], "cold");
            let expected = format!("{said}; the file is kept as {}", file.refused(1).display());
            assert!(server.stderr().contains(&expected), "{}", server.stderr());
            let aside = fs::read(file.refused(1)).expect("it was kept");
            assert!(aside[..before.len()] == before[..], "it is unchanged");
            server.client().ask("get colour\r\n", "END\r\n");
        }
    }
}

/// What `--inspect` says.
fn inspected(file: &MemoryFile) -> (Option<i32>, String) {
    let output = Command::new(program_under_test()).args(["--inspect", file.path()]).output();
    let output = output.expect("the program runs");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_header_with_a_flipped_bit_is_refused() {
    for (at, said) in [(100, "its header is damaged"), (8, "its header is damaged"), (0, "not a memory file")] {
        let file = filled("-TERM");
        let byte = file.bytes(at, 1)[0] ^ 4;
        file.overwrite(at, &[byte]);
        let server = file.serve(&[]);
        assert_eq!(kept(&server)[0], "cold");
        assert!(server.stderr().contains(said), "{}", server.stderr());
        assert!(file.refused(1).exists());
        server.client().ask("get colour\r\n", "END\r\n");
    }
}

#[test]
fn one_damaged_copy_of_the_state_does_no_harm_and_two_are_refused() {
    for signal in ["-TERM", "-KILL"] {
        for copy in [BLOCK, 2 * BLOCK] {
            let file = filled(signal);
            // As after a write that was torn.
            file.overwrite(copy + 2000, &[0x55; 1000]);
            let server = file.serve(&[]);
            assert_eq!(kept(&server)[1], "2", "{signal} {copy}");
            server.client().ask("get colour\r\n", format!("VALUE colour 0 200\r\n{:0200}\r\nEND\r\n", 1));
        }
    }
    let file = filled("-TERM");
    file.overwrite(BLOCK, &[0x55; 10]);
    file.overwrite(2 * BLOCK, &[0x55; 10]);
    let server = file.serve(&[]);
    assert_eq!(kept(&server)[0], "cold");
    assert!(server.stderr().contains("both copies of its state are damaged"), "{}", server.stderr());
}

#[test]
fn a_flipped_bit_loses_its_item_and_no_other() {
    for signal in ["-TERM", "-KILL"] {
        // In the key, in the value, and in the last link of the large value.
        for (what, wanted, offset, damaged) in [
            ("key", &b"colour"[..], 3, "colour"),
            ("value", b"colour", 100, "colour"),
            ("lengths", b"colour", -18, "colour"),
            ("unique", b"colour", -12, "colour"),
            ("deadline", b"colour", -6, "colour"),
            ("proof", b"colour", -2, "colour"),
            ("large value", b"large", 5000, "large"),
            ("first link", b"large", -2, "large"),
        ] {
            let file = filled(signal);
            let at = file.find(wanted).checked_add_signed(offset).expect("it lies in the file");
            let byte = file.bytes(at, 1)[0] ^ 1;
            file.overwrite(at, &[byte]);
            let server = file.serve(&[]);
            assert_eq!(kept(&server)[1..], ["1", "1"], "{signal} {what}");
            let mut client = server.client();
            client.ask(format!("get {damaged}\r\n"), "END\r\n");
            // Its memory is used again.
            client.ask(format!("set {damaged} 0 0 1\r\nx\r\n"), "STORED\r\n");
            client.ask(format!("get {damaged}\r\n"), format!("VALUE {damaged} 0 1\r\nx\r\nEND\r\n"));
        }
    }
}

#[test]
fn a_damaged_entry_of_the_page_table_loses_its_page_and_no_other() {
    let file = filled("-TERM");
    // The first page is that of `colour`.
    let at = PAGE_TABLE + 4;
    let byte = file.bytes(at, 1)[0] ^ 8;
    file.overwrite(at, &[byte]);
    let server = file.serve(&[]);
    let mut client = server.client();
    client.ask("get colour\r\n", "END\r\n");
    client.ask("mg large s\r\n", "HD s100000\r\n");
    assert!(server.stderr().contains("1 damaged pages"), "{}", server.stderr());
    client.ask("set colour 0 0 1\r\nx\r\n", "STORED\r\n");
}

#[test]
fn an_entry_of_the_page_table_for_a_class_that_does_not_exist_is_damaged() {
    for entry in [0x8000_0000_u32, 100 << 24, 0xffff_ffff] {
        let file = filled("-TERM");
        file.overwrite(PAGE_TABLE + 4, &entry.to_le_bytes());
        // The page of the superblock is no page of any class.
        file.overwrite(PAGE_TABLE, &entry.to_le_bytes());
        let server = file.serve(&[]);
        server.client().ask("get colour\r\n", "END\r\n");
        assert!(server.stderr().contains("1 damaged pages"), "{}", server.stderr());
    }
}

#[test]
fn what_a_page_without_a_class_holds_is_gone_after_a_start() {
    let file = filled("-TERM");
    // The page of `colour` and the last one.
    let pages = file.len() >> 20;
    for page in [1, pages - 1] {
        file.overwrite(PAGE_TABLE + 4 * page, &[0; 4]);
        file.overwrite(page << 20, &[0x55; 4096]);
    }
    let server = file.serve(&[]);
    for page in [1, pages - 1] {
        assert!(file.bytes(page << 20, 4096).iter().all(|byte| *byte == 0), "page {page}");
    }
    server.client().ask("set colour 0 0 1\r\nx\r\n", "STORED\r\n");
}

#[test]
fn no_bit_of_an_items_header_can_do_harm() {
    let file = filled("-TERM");
    let start = file.find(b"colour") - 20;
    let sound = file.bytes(start, 8);
    for bit in 0..64 {
        let mut word = sound.clone();
        word[bit / 8] ^= 1 << (bit % 8);
        let copy = file.copied();
        copy.overwrite(start, &word);
        let server = copy.serve(&[]);
        let mut client = server.client();
        // Some bits are notes of accesses, which no proof covers.
        client.send("get colour\r\n");
        let reply = client.read_until(b"END\r\n").expect("the server lives");
        let whole = format!("VALUE colour 0 200\r\n{:0200}\r\nEND\r\n", 1);
        assert!(reply == b"END\r\n" || reply == whole.as_bytes(), "bit {bit}");
        client.ask("mg large s\r\n", "HD s100000\r\n");
        client.ask("set colour 0 0 1\r\nx\r\n", "STORED\r\n");
        for class in 1..26 {
            client.send(format!("stats cachedump {class} 0\r\n"));
            client.read_until(b"END\r\n").expect("the server lives");
        }
        client.ask("get colour\r\n", "VALUE colour 0 1\r\nx\r\nEND\r\n");
    }
}

/// Makes a file unusable for the server: root gives it to another user. Another user can take rights from it only.
fn lock_out(file: &MemoryFile, root_gives_it_to: u32, mode: u32) {
    if is_root() {
        std::os::unix::fs::chown(file.path(), Some(root_gives_it_to), None).expect("root may");
    }
    fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).expect("the file was ours");
}

pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[test]
fn a_file_of_another_user_ends_the_start() {
    let file = filled("-TERM");
    let path = if is_root() { file.path() } else { "/etc/passwd" };
    let before = fs::read(path).expect("it can be read");
    if is_root() {
        lock_out(&file, OTHER_UID, 0o600);
    }
    let (code, said) = refused(&["-e", path]);
    // Root can open any file. Another user cannot open a file that it could use.
    let expected = if is_root() { (64, "another user owns it or may write to it") } else { (71, "Permission denied") };
    assert!(code == Some(expected.0) && said.contains(expected.1) && said.contains(path), "{code:?} {said}");
    assert!(fs::read(path).expect("it can be read") == before, "it is unchanged");
}

#[test]
fn a_file_that_can_only_be_read_ends_the_start() {
    let file = filled("-TERM");
    lock_out(&file, OTHER_UID, 0o400);
    let (code, said) = refused_for("nobody", &["-e", file.path()]);
    let expected = format!("-e, --memory-file: open {}: Permission denied", file.path());
    assert!(code == Some(71) && said.contains(&expected), "{code:?} {said}");
    assert!(!file.refused(1).exists());
}

#[test]
fn behind_a_symbolic_link_the_file_itself_is_used_and_kept_aside() {
    let (file, link) = (filled("-TERM"), MemoryFile::new());
    std::os::unix::fs::symlink(file.path(), link.path()).expect("the folder is writable");
    let server = link.serve(&[]);
    assert_eq!(kept(&server)[..2], ["clean", "2"]);
    let (code, said) = refused(&["-e", file.path()]);
    assert!(code == Some(64) && said.contains("in use by process"), "{code:?} {said}");
    end(server, "-TERM");
    file.overwrite(100, &[0x55]);
    let server = link.serve(&[]);
    assert_eq!(kept(&server)[0], "cold");
    assert!(file.refused(1).exists() && !link.refused(1).exists(), "{}", server.stderr());
    assert!(fs::symlink_metadata(link.path()).is_ok_and(|facts| facts.is_symlink()), "the link stays");
    assert!(file.len() > 0, "the new file lies where the old one lay");
}

#[test]
fn a_file_whose_making_was_cut_off_is_made_anew() {
    let file = filled("-TERM");
    // The header is written last.
    file.cut(1 << 20);
    file.overwrite(0, &[0; BLOCK_BYTES]);
    file.overwrite(PAGE_TABLE, &[0; 4096]);
    let server = file.serve(&[]);
    assert_eq!(kept(&server)[0], "cold");
    assert!(server.stderr().contains("new file") && !file.refused(1).exists(), "{}", server.stderr());
    end(server, "-KILL");
    file.cut(1 << 20);
    file.overwrite(0, &[0; BLOCK_BYTES]);
    file.overwrite(500_000, b"a letter to a friend");
    let server = file.serve(&[]);
    assert!(file.refused(1).exists(), "it holds something: {}", server.stderr());
}

#[test]
fn a_file_that_others_may_write_to_ends_the_start() {
    let file = filled("-TERM");
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o622)).expect("the file is ours");
    let (code, said) = refused(&["-e", file.path()]);
    assert!(code == Some(64) && said.contains("another user owns it or may write to it"), "{code:?} {said}");
}

#[test]
fn a_start_that_fails_leaves_a_clean_file_clean() {
    let file = filled("-TERM");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let (code, said) = refused(&["-e", file.path(), "-p", &port]);
    assert!(code.is_some_and(|code| code != 0) && said.contains("Address already in use"), "{code:?} {said}");
    assert_eq!(kept(&file.serve(&[]))[..2], ["clean", "2"]);
}

#[test]
fn a_file_that_was_cut_off_is_refused() {
    for len in [100, 4096, 100_000, (1 << 20) + 100, 2 << 20] {
        let file = filled("-TERM");
        file.cut(len);
        let server = file.serve(&[]);
        assert_eq!(kept(&server)[0], "cold", "{len}");
        assert!(file.refused(1).exists(), "{len}");
        server.client().ask("get colour\r\n", "END\r\n");
    }
}

#[test]
fn a_second_process_is_refused_with_the_pid_of_the_first() {
    let file = MemoryFile::new();
    let server = file.serve(&[]);
    server.client().ask("set colour 0 0 1\r\nx\r\n", "STORED\r\n");
    let (code, said) = refused(&["-e", file.path()]);
    let expected = format!("-e, --memory-file: {}: in use by process {}", file.path(), server.process_id());
    assert!(code == Some(64) && said.contains(&expected), "{code:?} {said}");
    server.client().ask("get colour\r\n", "VALUE colour 0 1\r\nx\r\nEND\r\n");
}

#[test]
fn a_path_that_cannot_be_a_file_ends_the_start() {
    let (code, said) = refused(&["-e", "/dev/null"]);
    assert!(code == Some(64) && said.contains("-e, --memory-file: /dev/null: not a file"), "{code:?} {said}");
    let (code, said) = refused(&["-e", "/nowhere/file"]);
    assert!(code == Some(71) && said.contains("open /nowhere/file: No such file"), "{code:?} {said}");
}
