//! Descriptors that the service manager has opened or kept for this process, as in sd_listen_fds(3): sockets, and the
//! memory of -e fdstore:
//!
//! ```text
//! LISTEN_PID=<this process>  LISTEN_FDS=2  LISTEN_FDNAMES=larder.socket:admin     descriptors 3 and 4
//! ```
//!
//! Clients that connect while no server runs wait in these sockets. If there are some, larder opens none of its own for
//! clients.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use crate::dispatcher::HandedSockets;
use crate::sys::passing::{PassedSocket, prepare_passed, take_inherited};
use crate::upgrade::{ListenerRecord, SocketKind};

use super::failure::Failure;

/// The variables of the service manager: the process that the descriptors are for, their number, and their names.
const PROCESS_VARIABLE: &str = "LISTEN_PID";
const COUNT_VARIABLE: &str = "LISTEN_FDS";
const NAMES_VARIABLE: &str = "LISTEN_FDNAMES";
/// The number of the first descriptor.
const FIRST: i32 = 3;
/// Limit on descriptors. Each takes one that a client cannot use.
const DESCRIPTORS_MAX: i32 = 64;
/// The name of a Unix socket for the operator, whose connections have places of their own: `FileDescriptorName=admin`.
const ADMIN_NAME: &str = "admin";
/// The name of a TCP socket for HTTP: `FileDescriptorName=http`.
const HTTP_NAME: &str = "http";
/// The name of the memory of the items, which the service manager keeps (-e fdstore:).
pub(super) const ITEMS_NAME: &str = "larder-items";
/// The name of a TCP socket without TLS, in spite of -Z: `FileDescriptorName=notls`.
const NO_TLS_NAME: &str = "notls";
/// The same for HTTP: `FileDescriptorName=http-notls`.
const HTTP_NO_TLS_NAME: &str = "http-notls";

/// What the service manager has passed.
#[derive(Debug, Default)]
pub(super) struct PassedDescriptors(Vec<(String, OwnedFd)>);

impl PassedDescriptors {
    /// Takes the descriptors that `variable`, which looks up an environment variable, names. Called once, before the
    /// process opens files.
    pub(super) fn take(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Failure> {
        let number = |name: &str| variable(name)?.to_str()?.parse::<i32>().ok();
        let is_for_this_process = number(PROCESS_VARIABLE).and_then(|process| u32::try_from(process).ok());
        if is_for_this_process != Some(std::process::id()) {
            return Ok(Self::default());
        }
        let count = number(COUNT_VARIABLE).unwrap_or(0);
        if !(0..=DESCRIPTORS_MAX).contains(&count) {
            return Err(Failure::Usage(format!("{COUNT_VARIABLE}: {count} is outside 0 to {DESCRIPTORS_MAX}")));
        }
        let names = variable(NAMES_VARIABLE).unwrap_or_default();
        let names = names.as_bytes().split(|byte| *byte == b':').map(|name| String::from_utf8_lossy(name).into_owned());
        let named = (FIRST..FIRST + count).zip(names.chain(std::iter::repeat(String::new())));
        let take = |(fd, name): (i32, String)| {
            let taken = take_inherited(fd).map_err(Failure::system(format!("{COUNT_VARIABLE}: take descriptor {fd}")));
            taken.map(|descriptor| (name, descriptor))
        };
        named.map(take).collect::<Result<_, _>>().map(Self)
    }

    /// Takes the memory of the items out of them.
    pub(super) fn take_items(&mut self) -> Option<File> {
        let at = self.0.iter().position(|(name, _)| name == ITEMS_NAME)?;
        Some(File::from(self.0.remove(at).1))
    }

    /// Whether there are some.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sockets, ready to be served. `tls`: those of TCP use TLS (-Z), unless their name says otherwise.
    pub(super) fn into_sockets(self, tls: bool) -> Result<HandedSockets, Failure> {
        let mut sockets = HandedSockets::default();
        for (name, descriptor) in self.0 {
            let what = format!("{COUNT_VARIABLE}: descriptor {name:?}");
            let (kind, address) = match prepare_passed(descriptor.as_fd()).map_err(Failure::system(what.clone()))? {
                PassedSocket::Tcp(address) => {
                    let kind = match name.as_str() {
                        HTTP_NAME if tls => SocketKind::HttpTls,
                        HTTP_NAME | HTTP_NO_TLS_NAME => SocketKind::Http,
                        NO_TLS_NAME => SocketKind::Tcp,
                        _ if tls => SocketKind::Tls,
                        _ => SocketKind::Tcp,
                    };
                    (kind, address.to_string().into_bytes())
                }
                PassedSocket::Udp(address) => (SocketKind::Udp, address.to_string().into_bytes()),
                PassedSocket::Unix(path) if name == ADMIN_NAME => (SocketKind::Admin, path.into_bytes()),
                PassedSocket::Unix(path) => (SocketKind::Unix, path.into_bytes()),
                PassedSocket::Other => return Err(Failure::Usage(format!("{what} is no socket to listen on"))),
            };
            if !sockets.push(&ListenerRecord { kind, address }, descriptor) {
                return Err(Failure::Usage(format!("{what} has an unknown address")));
            }
        }
        Ok(sockets)
    }
}

#[cfg(test)]
mod tests {
    use super::PassedDescriptors;

    #[test]
    fn descriptors_for_another_process_are_left_alone() {
        let taken = |process: u32, count: &'static str| {
            PassedDescriptors::take(move |name| match name {
                "LISTEN_PID" => Some(process.to_string().into()),
                "LISTEN_FDS" => Some(count.into()),
                _ => None,
            })
        };
        let own = std::process::id();
        assert!(taken(own + 1, "2").is_ok_and(|passed| passed.is_empty()));
        assert!(taken(own, "0").is_ok_and(|passed| passed.is_empty()));
        let refused = taken(own, "65").expect_err("too many");
        assert_eq!(refused.to_string(), "larder: LISTEN_FDS: 65 is outside 0 to 64");
        assert!(PassedDescriptors::take(|_| None).is_ok_and(|passed| passed.is_empty()));
    }
}
