//! Finds the memcached to compare with.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Fetched by scripts/newest-memcached when `LARDER_ORACLE` names none.
const FETCHED_TO: &str = "target/memcached";

/// The memcached to compare with. Without one the run ends with a message that says how to get it.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path = env::var_os("LARDER_ORACLE").map_or_else(fetched, PathBuf::from);
        let version = Command::new(&path).arg("-V").output();
        let said = version.as_ref().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        match said {
            Ok(said) if said.starts_with("memcached ") => super::report(&format!("oracle: {}", said.trim_end())),
            Ok(said) => panic!("LARDER_ORACLE={}: `-V` says `{said}`, which is no memcached", path.display()),
            Err(e) => panic!("LARDER_ORACLE={}: {e}", path.display()),
        }
        path
    })
}

fn fetched() -> PathBuf {
    let fetch = Command::new("scripts/newest-memcached").arg(FETCHED_TO).output();
    let output = fetch.unwrap_or_else(|e| panic!("scripts/newest-memcached: {e}"));
    assert!(
        output.status.success(),
        "the oracle needs a memcached: set LARDER_ORACLE=/path/to/memcached; scripts/newest-memcached {FETCHED_TO} said:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // The script warns if the version is not that of the transcripts.
    String::from_utf8_lossy(&output.stderr).lines().for_each(super::report);
    PathBuf::from(FETCHED_TO).join("bin/memcached")
}
