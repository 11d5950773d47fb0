//! The gate: counts clients and enforces their limits.
//!
//! ```text
//! dispatcher ──enter──▶ current, by address, admins ◀──leave── workers
//!        └── shut at the limit; a client that leaves then wakes it
//! ```
//!
//! The limit is -c. It counts clients, not descriptors. Clients of -o admin_socket are outside of it: they have places
//! of their own.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::Arc;

use mio::Waker;

use crate::base::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::sync::Leaf;

/// Clients of -o admin_socket at a time.
pub const ADMINS_MAX: usize = 4;
/// Marks an unused slot for an admin. No descriptor has this value.
const FREE: u32 = u32::MAX;

/// The limits on clients.
#[derive(Clone, Copy, Debug)]
pub struct ClientLimits {
    /// -c.
    pub clients_max: u64,
    /// -o conn_limit_per_address; 0: no limit.
    pub per_address_max: u32,
}

/// The limit that refuses a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitReached {
    /// -c.
    Clients,
    /// -o conn_limit_per_address.
    PerAddress,
}

/// The counts of clients and their limits.
pub struct ClientGate {
    current: AtomicU64,
    limits: ClientLimits,
    /// Used only if connections per address are limited.
    addresses: Leaf<ClientAddresses>,
    /// The descriptors of connected admins.
    admins: [AtomicU32; ADMINS_MAX],
    is_shut: AtomicBool,
    dispatcher: Arc<Waker>,
    shut_count: AtomicU64,
    shut_us: AtomicU64,
}

/// Connections by address.
#[derive(Default)]
struct ClientAddresses {
    of: HashMap<RawFd, AddressKey>,
    counts: HashMap<AddressKey, u32>,
}

/// An IPv4 address, or the first 64 bits of an IPv6 address: a host chooses the others at will.
type AddressKey = IpAddr;

fn key(address: IpAddr) -> AddressKey {
    const HOST_BITS: u32 = 64;
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() >> HOST_BITS << HOST_BITS).into()),
    }
}

impl ClientGate {
    /// A gate with these limits. A client that leaves while the gate is shut wakes `dispatcher`.
    pub fn new(limits: ClientLimits, dispatcher: Arc<Waker>) -> Self {
        Self {
            current: AtomicU64::new(0),
            limits,
            addresses: Leaf::default(),
            admins: std::array::from_fn(|_| AtomicU32::new(FREE)),
            is_shut: AtomicBool::new(false),
            dispatcher,
            shut_count: AtomicU64::new(0),
            shut_us: AtomicU64::new(0),
        }
    }

    /// Whether connections per address are limited, so that [`ClientGate::enter`] needs the address.
    pub const fn needs_address(&self) -> bool {
        self.limits.per_address_max > 0
    }

    /// Counts a new client on `fd`. Only the dispatcher calls this.
    ///
    /// # Errors
    /// A limit is reached.
    pub fn enter(&self, fd: RawFd, address: Option<IpAddr>) -> Result<(), LimitReached> {
        if self.is_full() {
            return Err(LimitReached::Clients);
        }
        if let Some(address) = address.filter(|_| self.needs_address()) {
            let key = key(address);
            let mut addresses = self.addresses.lock();
            let count = addresses.counts.entry(key).or_default();
            if *count >= self.limits.per_address_max {
                return Err(LimitReached::PerAddress);
            }
            *count += 1;
            addresses.of.insert(fd, key);
        }
        self.current.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Counts a new admin on `fd`. Returns false if there are [`ADMINS_MAX`]. Only the dispatcher calls this.
    pub fn enter_admin(&self, fd: RawFd) -> bool {
        let free = self.admins.iter().find(|place| place.load(Ordering::Relaxed) == FREE);
        free.inspect(|place| place.store(fd.cast_unsigned(), Ordering::Relaxed)).is_some()
    }

    /// Whether an admin is on `fd`.
    pub fn is_admin(&self, fd: RawFd) -> bool {
        self.admins.iter().any(|place| place.load(Ordering::Relaxed) == fd.cast_unsigned())
    }

    /// Counts the client or admin on `fd` as gone. Call before the descriptor is closed: its number stands for the
    /// client.
    pub fn leave(&self, fd: RawFd) {
        if let Some(place) = self.admins.iter().find(|place| place.load(Ordering::Relaxed) == fd.cast_unsigned()) {
            return place.store(FREE, Ordering::Relaxed);
        }
        if self.needs_address() {
            self.addresses.lock().forget(fd);
        }
        self.current.fetch_sub(1, Ordering::SeqCst);
        // Order: SeqCst. The dispatcher shuts the gate and then reads the count again. So either it sees the decrement
        // above, or this thread sees that the gate is shut.
        if self.is_shut.load(Ordering::SeqCst) {
            // Ignored: it fails only if a wake-up is already pending.
            let _ = self.dispatcher.wake();
        }
    }

    /// Whether the number of clients has reached the limit.
    pub fn is_full(&self) -> bool {
        self.current.load(Ordering::SeqCst) >= self.limits.clients_max
    }

    /// Shuts the gate. From now on a client that leaves wakes the dispatcher.
    pub fn shut(&self) {
        if !self.is_shut.swap(true, Ordering::SeqCst) {
            self.shut_count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Opens the gate after it was shut for `shut_us` microseconds.
    pub fn open(&self, shut_us: u64) {
        self.is_shut.store(false, Ordering::SeqCst);
        self.shut_us.fetch_add(shut_us, Ordering::Relaxed);
    }

    /// Whether new clients are accepted (`accepting_conns`).
    pub fn is_open(&self) -> bool {
        !self.is_shut.load(Ordering::Relaxed)
    }

    /// Number of clients and admins.
    pub fn current(&self) -> u64 {
        let admins = self.admins.iter().filter(|place| place.load(Ordering::Relaxed) != FREE).count() as u64;
        self.current.load(Ordering::Relaxed) + admins
    }

    /// The limits on clients.
    pub const fn limits(&self) -> ClientLimits {
        self.limits
    }

    /// How many times the gate was shut (`listen_disabled_num`).
    pub fn shut_count(&self) -> u64 {
        self.shut_count.load(Ordering::Relaxed)
    }

    /// Resets both shut statistics to 0 (`stats reset`).
    pub fn reset_counts(&self) {
        self.shut_count.store(0, Ordering::Relaxed);
        self.shut_us.store(0, Ordering::Relaxed);
    }

    /// Total time for which the gate was shut, in microseconds (`time_in_listen_disabled_us`).
    pub fn shut_us(&self) -> u64 {
        self.shut_us.load(Ordering::Relaxed)
    }
}

impl ClientAddresses {
    fn forget(&mut self, fd: RawFd) {
        let Some(key) = self.of.remove(&fd) else { return };
        if let Some(count) = self.counts.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use mio::{Events, Poll, Token, Waker};

    use super::{ADMINS_MAX, ClientGate, ClientLimits, LimitReached};

    fn gate(clients_max: u64, per_address_max: u32) -> (Poll, ClientGate) {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(1)).unwrap());
        (poll, ClientGate::new(ClientLimits { clients_max, per_address_max }, waker))
    }

    #[test]
    fn a_client_that_leaves_a_shut_gate_wakes_the_dispatcher() {
        let (mut poll, gate) = gate(2, 0);
        assert_eq!([1, 2, 3].map(|fd| gate.enter(fd, None)), [Ok(()), Ok(()), Err(LimitReached::Clients)]);
        let mut events = Events::with_capacity(4);
        gate.leave(1);
        assert_eq!(gate.enter(3, None), Ok(()));
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty(), "an open gate wakes no thread");
        gate.shut();
        gate.shut();
        assert!(!gate.is_open());
        gate.leave(2);
        poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
        assert!(!events.is_empty());
        gate.open(70);
        assert_eq!((gate.is_open(), gate.current(), gate.shut_count(), gate.shut_us()), (true, 1, 1, 70));
    }

    #[test]
    fn an_address_has_its_share_of_the_clients_and_no_more() {
        let (_poll, gate) = gate(10, 2);
        let enter = |fd, address: &str| gate.enter(fd, Some(address.parse::<IpAddr>().unwrap()));
        assert_eq!([1, 2, 3].map(|fd| enter(fd, "10.0.0.7")), [Ok(()), Ok(()), Err(LimitReached::PerAddress)]);
        assert_eq!(enter(3, "10.0.0.8"), Ok(()));
        assert_eq!([4, 5].map(|fd| enter(fd, "2001:db8::1")), [Ok(()), Ok(())]);
        assert_eq!(enter(6, "2001:db8::ffff:2"), Err(LimitReached::PerAddress), "the same network");
        assert_eq!(enter(6, "2001:db8:0:1::1"), Ok(()));
        assert_eq!([7, 8, 9].map(|fd| gate.enter(fd, None)), [Ok(()); 3], "clients without an address");
        gate.leave(2);
        assert_eq!([2, 10].map(|fd| enter(fd, "10.0.0.7")), [Ok(()), Err(LimitReached::PerAddress)]);
        (1..=9).for_each(|fd| gate.leave(fd));
        assert_eq!(gate.current(), 0);
        assert!(gate.addresses.lock().counts.is_empty(), "nothing is kept of clients that left");
    }

    #[test]
    fn admins_have_places_of_their_own() {
        let (_poll, gate) = gate(1, 0);
        assert_eq!(gate.enter(100, None), Ok(()));
        let places = i32::try_from(ADMINS_MAX).unwrap();
        assert!((0..places).all(|fd| gate.enter_admin(fd)));
        assert!(!gate.enter_admin(places));
        assert_eq!(gate.current(), 1 + ADMINS_MAX as u64);
        gate.leave(0);
        assert_eq!(gate.enter(101, None), Err(LimitReached::Clients), "an admin's place is no client's");
        assert!(gate.enter_admin(places));
    }
}
