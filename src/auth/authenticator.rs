//! The authenticator: the current user table, shared by all threads.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sync::Leaf;

use super::credentials::Credentials;
use super::user_table::{LINE_BYTES_MAX, LoadError, UserTable};
use super::verifier::{PendingVerdict, Verifier};

/// Checks passwords against a user file, which can be read again at run time.
pub struct Authenticator {
    path: PathBuf,
    table: Leaf<Arc<UserTable>>,
    verifier: Arc<Verifier>,
}

/// The result of a check.
pub enum Check {
    /// The password is right.
    Accepted,
    /// The user is unknown or the password is wrong.
    Refused,
    /// The verifier thread computes a hash.
    Pending(PendingVerdict),
    /// Too many attempts wait for the verifier thread.
    Busy,
}

impl Authenticator {
    /// Reads the user file at `path`.
    ///
    /// # Errors
    /// Why the file cannot be used.
    pub fn load(path: PathBuf) -> Result<Self, LoadError> {
        let table = Arc::new(UserTable::load(&path)?);
        Ok(Self { path, table: Leaf::new(table), verifier: Arc::default() })
    }

    /// Starts the verifier thread, which calls `on_verdict` when a [`PendingVerdict`] has its verdict.
    ///
    /// # Errors
    /// The kernel's error if the thread cannot be created.
    pub fn start(&self, on_verdict: impl Fn() + Send + 'static) -> io::Result<()> {
        self.verifier.start(on_verdict)
    }

    /// Reads the user file again. Clients that are authenticated stay so.
    ///
    /// # Errors
    /// Why the file cannot be used. The old users stay.
    pub fn reload(&self) -> Result<(), LoadError> {
        let table = Arc::new(UserTable::load(&self.path)?);
        *self.table.lock() = table;
        Ok(())
    }

    /// The user file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of users. A user with two passwords counts twice.
    pub fn users(&self) -> usize {
        self.table.lock().len()
    }

    /// Checks a password. Never waits. If any password of the file is hashed, every wrong one goes to the verifier
    /// thread. So the time shows nothing about the user.
    pub fn check(&self, offered: Credentials<'_>) -> Check {
        if offered.len() > LINE_BYTES_MAX {
            return Check::Refused;
        }
        let table = Arc::clone(&self.table.lock());
        if table.has_digest(offered.digest()) {
            return Check::Accepted;
        }
        if !table.has_hashes() {
            return Check::Refused;
        }
        self.verifier.push(table, offered).map_or(Check::Busy, Check::Pending)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::mpsc::channel;

    use super::super::hashed::tests::SECRET_WORD;
    use super::{Authenticator, Check, Credentials};

    /// A file that is removed when the test ends.
    struct UserFile(PathBuf);

    impl UserFile {
        fn new(name: &str, text: &str) -> Self {
            let path = std::env::temp_dir().join(format!("larder-{name}-{}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            Self(path)
        }

        fn rewrite(&self, text: &str) {
            std::fs::write(&self.0, text).unwrap();
        }
    }

    impl Drop for UserFile {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn check(users: &Authenticator, user: &str, password: &str) -> &'static str {
        match users.check(Credentials { user: user.as_bytes(), password: password.as_bytes() }) {
            Check::Accepted => "accepted",
            Check::Refused => "refused",
            Check::Pending(_) => "pending",
            Check::Busy => "busy",
        }
    }

    #[test]
    fn a_reload_replaces_all_users_and_a_bad_file_none() {
        let file = UserFile::new("reload", "foo:bar\n");
        let users = Authenticator::load(file.0.clone()).unwrap();
        assert_eq!((check(&users, "foo", "bar"), check(&users, "new", "word")), ("accepted", "refused"));
        file.rewrite("new:word\nother:word\n");
        assert_eq!(check(&users, "foo", "bar"), "accepted");
        users.reload().unwrap();
        assert_eq!((check(&users, "foo", "bar"), check(&users, "new", "word")), ("refused", "accepted"));
        for bad in ["", "new:word\nbroken\n"] {
            file.rewrite(bad);
            assert!(users.reload().is_err());
            assert_eq!((check(&users, "new", "word"), users.users()), ("accepted", 2));
        }
    }

    #[test]
    fn with_one_hash_every_wrong_password_waits_for_the_verifier() {
        let file = UserFile::new("hash", &format!("foo:{SECRET_WORD}\nplain:word\n"));
        let users = Authenticator::load(file.0.clone()).unwrap();
        assert_eq!(check(&users, "plain", "word"), "accepted");
        for (user, password) in [("plain", "wrong"), ("foo", "wrong"), ("nobody", "wrong"), ("foo", "secret word")] {
            assert_eq!(check(&users, user, password), "pending", "{user}");
        }
        assert_eq!(check(&users, "foo", &"x".repeat(2000)), "refused", "no password is that long");
        let (woken, wakeups) = channel();
        users.start(move || woken.send(()).unwrap()).unwrap();
        let Check::Pending(ticket) = users.check(Credentials { user: b"foo", password: b"secret word" }) else {
            panic!("not proved yet")
        };
        (0..5).for_each(|_| wakeups.recv().unwrap());
        assert_eq!(ticket.verdict(), Some(true));
        assert_eq!(check(&users, "foo", "secret word"), "accepted");
        users.reload().unwrap();
        assert_eq!(check(&users, "foo", "secret word"), "pending", "a new table knows no proof");
    }
}
