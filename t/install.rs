//! `make install`: what root gets, without cargo.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::server::scratch_directory;

/// Installs binaries that stand ready in `directory`, with a cargo that only fails.
fn install(directory: &Path, goal: &str, prefix: &str) {
    let built = directory.join("target/release");
    fs::create_dir_all(&built).expect("the directory is ours");
    for name in ["larder", "larder-bench", "larder-top", "larder-cli"] {
        fs::copy(env!("CARGO_BIN_EXE_larder"), built.join(name)).expect("the directory is ours");
    }
    let output = Command::new("make")
        .args(["--directory", env!("CARGO_MANIFEST_DIR"), goal, "CARGO=false", &format!("PREFIX={prefix}")])
        .arg(format!("TARGET={}", directory.join("target").display()))
        .arg(format!("DESTDIR={}", directory.join("root").display()))
        .env_remove("MAKEFLAGS")
        .output()
        .expect("there is a make");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_is_built_is_installed_without_cargo() {
    let directory = scratch_directory();
    install(&directory, "install", "/opt/cache");
    let root = directory.join("root/opt/cache");
    let files = [
        "bin/larder",
        "bin/larder-bench",
        "bin/larder-top",
        "bin/larder-cli",
        "share/man/man1/larder.1",
        "share/man/man1/larder-cli.1",
        "share/man/man1/larder-top.1",
        "share/doc/larder/charts/cpu.svg",
        "share/doc/larder/LICENSE",
        "lib/systemd/system/larder.socket",
        "lib/sysusers.d/larder.conf",
        "share/bash-completion/completions/larder",
        "share/bash-completion/completions/larder-cli",
        "share/bash-completion/completions/larder-top",
        "share/zsh/site-functions/_larder-tools",
        "../../etc/larder.conf",
    ];
    let missing: Vec<&str> = files.into_iter().filter(|file| !root.join(file).is_file()).collect();
    let unit = fs::read_to_string(root.join("lib/systemd/system/larder.service")).unwrap();
    assert_eq!(missing, Vec::<&str>::new());
    assert!(unit.contains("\nExecStart=/opt/cache/bin/larder --config /etc/larder.conf "), "{unit}");
    assert!(unit.contains("\nRuntimeDirectory=larder\n"), "{unit}");
    assert!(!unit.contains("/usr/local"), "{unit}");
}

#[test]
fn the_installed_options_are_valid_and_the_operators_file_is_kept() {
    let directory = scratch_directory();
    install(&directory, "install", "/usr");
    let options = directory.join("root/etc/larder.conf");
    let said = Command::new(env!("CARGO_BIN_EXE_larder")).arg("--config").arg(&options).arg("-V").output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    fs::write(&options, "-m 100\n").unwrap();
    install(&directory, "install", "/usr");
    assert_eq!(fs::read_to_string(options).unwrap(), "-m 100\n");
}

#[test]
fn installed_as_memcached_it_says_so() {
    let directory = scratch_directory();
    install(&directory, "install-as-memcached", "/usr");
    let said = Command::new(directory.join("root/usr/bin/memcached")).arg("-V").output().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(String::from_utf8_lossy(&said.stdout), format!("memcached 1.6.45\nlarder {version}\n"));
}
