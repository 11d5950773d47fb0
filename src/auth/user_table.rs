//! The user table: what a user file says.
//!
//! ```text
//! alice:secret word           the password is everything behind the first colon
//! bob:$argon2id$v=19$…        a hashed password
//! alice:new word              a user may have several passwords, of which one may be hashed
//! ```
//!
//! The table keeps digests of passwords. A hashed password gets its digest when a client has proved it, so only the
//! first client pays for the hash.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::OnceLock;

use subtle::{Choice, ConstantTimeEq as _};

use super::credentials::Credentials;
use super::hashed::{HashedPassword, NoMemory};

/// Lines with a user in a file.
const USERS_MAX: usize = 1024;
/// Bytes of such a line. Longer credentials match no user.
pub(super) const LINE_BYTES_MAX: usize = 1024;
const FILE_BYTES_MAX: u64 = (USERS_MAX * (LINE_BYTES_MAX + 2)) as u64;

/// Why a user file cannot be used. Both texts name the file.
#[derive(Debug)]
pub enum LoadError {
    /// A system call failed.
    System {
        /// The attempted operation and its object.
        what: String,
        /// The kernel's error.
        error: io::Error,
    },
    /// The file is wrong, with the number of the line.
    Invalid(String),
}

/// Users and what proves their passwords.
pub(super) struct UserTable {
    users: Vec<User>,
}

struct User {
    name: Box<[u8]>,
    /// Digest of name and password. Not set: the password is hashed, and no client has proved it yet.
    digest: OnceLock<[u64; 2]>,
    hashed: Option<HashedPassword>,
}

impl UserTable {
    /// Reads the user file at `path`.
    pub(super) fn load(path: &Path) -> Result<Self, LoadError> {
        let mut bytes = Vec::new();
        let read = open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        read.map_err(|error| LoadError::System { what: format!("read {}", path.display()), error })?;
        Self::parse(&bytes).map_err(|error| LoadError::Invalid(format!("{}:{error}", path.display())))
    }

    /// Reads the text of a user file. The error begins with a line number.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut users = Vec::new();
        let mut last = 0;
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            last = index + 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let in_line = |what: &dyn fmt::Display| format!("{last}: {what}");
            if users.len() == USERS_MAX {
                return Err(in_line(&format_args!("more than {USERS_MAX} users")));
            }
            let user = User::parse(line).map_err(|what| in_line(&what))?;
            if user.hashed.is_some() && users.iter().any(|other: &User| other.is_hashed_as(&user.name)) {
                // Two hashes would make a wrong password for this user take longer than one for another user.
                return Err(in_line(&"the user has a hashed password already"));
            }
            users.push(user);
        }
        if users.is_empty() {
            return Err(format!("{last}: no users"));
        }
        Ok(Self { users })
    }

    /// Number of lines with a user.
    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether a password is hashed.
    pub(super) fn has_hashes(&self) -> bool {
        self.users.iter().any(|user| user.hashed.is_some())
    }

    /// Whether a user with this digest is known. Compares with every user, whatever the result.
    pub(super) fn has_digest(&self, offered: [u64; 2]) -> bool {
        let mut found = Choice::from(0);
        for known in self.users.iter().filter_map(|user| user.digest.get()) {
            found |= known[..].ct_eq(&offered[..]);
        }
        found.into()
    }

    /// Verifies a password against the user's hash. An unknown user, or one without a hash, costs the same: the first
    /// hash of the table is computed.
    pub(super) fn verify_hash(&self, offered: Credentials<'_>) -> Result<bool, NoMemory> {
        let own = self.users.iter().rfind(|user| user.is_hashed_as(offered.user));
        let Some(user) = own.or_else(|| self.users.iter().find(|user| user.hashed.is_some())) else { return Ok(false) };
        let Some(hashed) = &user.hashed else { return Ok(false) };
        let matches = hashed.matches(offered.password)? && own.is_some();
        if matches {
            // Ignored: another client has proved the same password.
            let _ = user.digest.set(offered.digest());
        }
        Ok(matches)
    }
}

impl User {
    /// Reads a line of a user file.
    fn parse(line: &[u8]) -> Result<Self, String> {
        if line.len() > LINE_BYTES_MAX {
            return Err(format!("longer than {LINE_BYTES_MAX} bytes"));
        }
        let colon = memchr::memchr(b':', line).ok_or("no colon between user and password")?;
        let (user, password) = (&line[..colon], &line[colon + 1..]);
        if user.is_empty() {
            return Err("no user name".into());
        }
        if user.contains(&b' ') {
            return Err("blank in a user name".into());
        }
        if password.is_empty() {
            return Err("no password".into());
        }
        let (digest, hashed) = if HashedPassword::is_written_as_hash(password) {
            (OnceLock::new(), Some(HashedPassword::parse(password)?))
        } else {
            (OnceLock::from(Credentials { user, password }.digest()), None)
        };
        Ok(Self { name: user.into(), digest, hashed })
    }

    fn is_hashed_as(&self, name: &[u8]) -> bool {
        self.hashed.is_some() && *self.name == *name
    }
}

/// Opens a regular file. A pipe would block the reader, and could not be read again.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::super::hashed::tests::SECRET_WORD;
    use super::{Credentials, LINE_BYTES_MAX, LoadError, USERS_MAX, UserTable};

    fn offered<'a>(user: &'a str, password: &'a str) -> Credentials<'a> {
        Credentials { user: user.as_bytes(), password: password.as_bytes() }
    }

    fn refused(text: &str) -> String {
        UserTable::parse(text.as_bytes()).err().unwrap_or_default()
    }

    #[test]
    fn a_password_is_everything_behind_the_first_colon() {
        let table = UserTable::parse(b"foo:bar\n\nbaz:a b:c \r\nfoo:second\nlast:$x\xff").unwrap();
        let knows = |user, password| table.has_digest(offered(user, password).digest());
        for (user, password) in [("foo", "bar"), ("baz", "a b:c "), ("foo", "second")] {
            assert!(knows(user, password), "{user} {password}");
        }
        assert!(table.has_digest(Credentials { user: b"last", password: b"$x\xff" }.digest()));
        for (user, password) in [("foo", "baR"), ("foo", "ba"), ("foo", "barr"), ("foo", ""), ("baz", "bar"), ("", "")]
        {
            assert!(!knows(user, password), "{user} {password}");
        }
        assert_eq!((table.len(), table.has_hashes()), (4, false));
    }

    #[test]
    fn a_bad_line_is_named_with_its_number_and_what_is_wrong() {
        for (text, error) in [
            ("", "1: no users"),
            ("\n\n", "3: no users"),
            ("foo:bar\nfoo\n", "2: no colon between user and password"),
            ("# users\n", "1: no colon between user and password"),
            (":bar", "1: no user name"),
            ("foo:\n", "1: no password"),
            ("foo:\r\n", "1: no password"),
            ("foo bar:x\n", "1: blank in a user name"),
            ("foo:$6$salt$hash\n", "1: unknown password hash: only Argon2 is supported ($argon2id$…)"),
        ] {
            assert_eq!(refused(text), error, "{text:?}");
        }
        assert_eq!(
            refused(&format!("foo:{SECRET_WORD}\nbaz:x\nfoo:{SECRET_WORD}\n")),
            "3: the user has a hashed password already"
        );
    }

    #[test]
    fn the_longest_line_and_the_largest_number_of_users_are_taken() {
        let password = "x".repeat(LINE_BYTES_MAX - 4);
        let table = UserTable::parse(format!("foo:{password}\r\n").as_bytes()).unwrap();
        assert!(table.has_digest(offered("foo", &password).digest()));
        assert_eq!(refused(&format!("\nfoo:{password}x\n")), "2: longer than 1024 bytes");
        let mut text = String::new();
        (0..USERS_MAX).for_each(|n| writeln!(text, "user{n}:pass{n}").unwrap());
        let table = UserTable::parse(text.as_bytes()).unwrap();
        assert!(table.has_digest(offered("user1023", "pass1023").digest()));
        assert_eq!(refused(&(text + "one:more\n")), "1025: more than 1024 users");
    }

    #[test]
    fn a_proved_password_is_known_by_its_digest_from_then_on() {
        let table = UserTable::parse(format!("foo:{SECRET_WORD}\nfoo:plain\nbaz:other\n").as_bytes()).unwrap();
        let (right, wrong) = (offered("foo", "secret word"), offered("foo", "secret"));
        assert!(table.has_hashes());
        assert!(!table.has_digest(right.digest()));
        assert!(!table.verify_hash(wrong).unwrap());
        assert!(!table.verify_hash(offered("baz", "secret word")).unwrap(), "the hash is another user's");
        assert!(!table.verify_hash(offered("nobody", "secret word")).unwrap());
        assert!(!table.has_digest(right.digest()));
        assert!(table.verify_hash(right).unwrap());
        assert!(table.has_digest(right.digest()));
        assert!(!table.has_digest(wrong.digest()));
        assert!(!table.has_digest(offered("nobody", "secret word").digest()));
        assert!(!table.has_digest(offered("foo", SECRET_WORD).digest()), "the hash itself is no password");
    }

    #[test]
    fn what_is_no_readable_regular_file_is_refused_with_its_name() {
        for (path, word) in [("/nonexistent", "No such file"), ("/dev/null", "not a regular file"), ("/", "regular")] {
            let Err(LoadError::System { what, error }) = UserTable::load(Path::new(path)) else { panic!("{path}") };
            assert_eq!(what, format!("read {path}"));
            assert!(error.to_string().contains(word), "{path}: {error}");
        }
    }
}
