//! A hashed password: an Argon2 hash in the PHC string format, and its verification.
//!
//! ```text
//! $argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g…
//! ```

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq as _;

/// Largest memory of a hash, in KiB. The verifier thread takes it while it computes.
const MEMORY_KIB_MAX: u32 = 256 << 10;
/// Largest number of passes over that memory.
const PASSES_MAX: u32 = 16;
/// The version of a hash that names none, as the reference implementation reads it.
const VERSION_UNNAMED: u32 = 0x10;

/// A hashed password.
pub(super) struct HashedPassword {
    hash: PasswordHash,
    argon2: Argon2<'static>,
}

/// A verification could not get its memory.
#[derive(Debug)]
pub(super) struct NoMemory;

impl HashedPassword {
    /// Whether a password in the user file is written as a hash: `$`, a name, and another `$`.
    pub(super) fn is_written_as_hash(password: &[u8]) -> bool {
        let Some(rest) = password.strip_prefix(b"$") else { return false };
        let Some(end) = rest.iter().position(|byte| *byte == b'$') else { return false };
        end > 0 && rest[..end].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
    }

    /// Reads a hash. The error says what is wrong with it.
    pub(super) fn parse(written: &[u8]) -> Result<Self, String> {
        let invalid = |reason: &dyn fmt::Display| format!("invalid password hash: {reason}");
        if !written.starts_with(b"$argon2") {
            return Err("unknown password hash: only Argon2 is supported ($argon2id$…)".into());
        }
        let text = str::from_utf8(written).map_err(|error| invalid(&error))?;
        let hash = PasswordHash::new(text).map_err(|error| invalid(&error))?;
        let algorithm = Algorithm::new(hash.algorithm).map_err(|error| invalid(&error))?;
        let version = Version::try_from(hash.version.unwrap_or(VERSION_UNNAMED)).map_err(|error| invalid(&error))?;
        let params = Params::try_from(&hash).map_err(|error| invalid(&error))?;
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(invalid(&"salt or hash is missing"));
        }
        if params.m_cost() > MEMORY_KIB_MAX {
            return Err(format!("password hash: m={} is above {MEMORY_KIB_MAX} KiB", params.m_cost()));
        }
        if params.t_cost() > PASSES_MAX {
            return Err(format!("password hash: t={} is above {PASSES_MAX}", params.t_cost()));
        }
        Ok(Self { argon2: Argon2::new(algorithm, version, params), hash })
    }

    /// Whether `password` has this hash. Takes milliseconds, and the memory that the hash asks for.
    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, NoMemory> {
        let mut memory: Vec<Block> = Vec::new();
        let blocks = self.argon2.params().block_count();
        memory.try_reserve_exact(blocks).map_err(|_| NoMemory)?;
        memory.resize(blocks, Block::default());
        let (Some(salt), Some(expected)) = (&self.hash.salt, &self.hash.hash) else { return Ok(false) };
        let mut computed = vec![0; expected.len()];
        let done = self.argon2.hash_password_into_with_memory(password, salt, &mut computed, &mut memory);
        Ok(done.is_ok() && bool::from(computed.ct_eq(expected.as_bytes())))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::HashedPassword;

    /// `secret word`, hashed by another implementation with 64 KiB and 1 pass.
    pub(in crate::auth) const SECRET_WORD: &str = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$X8b6yMdSX0tD3ck3hX8K1w";

    #[test]
    fn a_hash_of_another_program_matches_its_password_only() {
        let hashed = HashedPassword::parse(SECRET_WORD.as_bytes()).unwrap();
        assert!(hashed.matches(b"secret word").unwrap());
        for wrong in [&b"secret wore"[..], b"secret", b"secret word ", b"", SECRET_WORD.as_bytes()] {
            assert!(!hashed.matches(wrong).unwrap());
        }
    }

    #[test]
    fn only_a_name_between_two_dollars_is_a_hash() {
        for hash in ["$argon2id$v=19$m=8", "$2b$12$xyz", "$6$salt$hash", "$a$"] {
            assert!(HashedPassword::is_written_as_hash(hash.as_bytes()), "{hash}");
        }
        for plain in ["", "$", "$$", "$$a$", "$a", "a$b$", "$a b$", "$a.b$"] {
            assert!(!HashedPassword::is_written_as_hash(plain.as_bytes()), "{plain}");
        }
    }

    #[test]
    fn a_hash_that_cannot_be_verified_is_refused_with_the_reason() {
        let refused = |hash: &str| HashedPassword::parse(hash.as_bytes()).err().unwrap_or_default();
        let tail = "$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg";
        let with = |head: &str| refused(&format!("{head}{tail}"));
        assert_eq!(with("$argon2id$v=19$m=64,t=1,p=1"), "");
        assert_eq!(with("$argon2i$m=64,t=1,p=1"), "");
        assert!(with("$6").starts_with("unknown password hash"));
        assert!(with("$argon2x$v=19$m=64,t=1,p=1").starts_with("invalid password hash: "));
        assert!(with("$argon2id$v=20$m=64,t=1,p=1").starts_with("invalid password hash: "));
        assert!(with("$argon2id$v=19$m=1,t=1,p=1").starts_with("invalid password hash: "));
        assert!(with("$argon2id$v=19$m=64,t=0,p=1").starts_with("invalid password hash: "));
        assert!(with("$argon2id$v=19$m=64,t=1,p=1,x=2").starts_with("invalid password hash: "));
        assert_eq!(with("$argon2id$v=19$m=262145,t=1,p=1"), "password hash: m=262145 is above 262144 KiB");
        assert_eq!(with("$argon2id$v=19$m=64,t=17,p=1"), "password hash: t=17 is above 16");
        assert_eq!(refused("$argon2id$v=19$m=64,t=1,p=1"), "invalid password hash: salt or hash is missing");
        assert_eq!(
            refused("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ"),
            "invalid password hash: salt or hash is missing"
        );
    }
}
