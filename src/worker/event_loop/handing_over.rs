//! A worker hands its clients over to the process of a new binary.
//!
//! ```text
//! finish   drives the clients that are in the middle of a value, a dump or a verification, for a bounded time
//! send     one record and one socket for each client and each UDP socket; nothing changes here
//! wait     unpinned, until the daemon lets the worker go on. It mostly ends with the process
//! ```

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Registry};

use crate::conn::{ConnectionConfig, Received, Turn};
use crate::store::Engine as _;
use crate::sync::{Participant, PinGuard};
use crate::sys::socket::local_address;
use crate::udp::DatagramSocket;
use crate::upgrade::{ListenerRecord, PartBuilder, PartRecord, SocketKind};
use crate::worker::handover::{HandOver, HandedOver};
use crate::worker::served_client::ServedClient;

use super::{EventLoop, Lent};

/// Time in which the clients must send the rest of what they have begun.
const FINISH_US_MAX: u64 = 50_000;
/// Unread replies that the clients of a worker take along together, in bytes.
const UNSENT_BYTES_OF_WORKER_MAX: usize = 64 << 20;
/// Wait between two looks at these clients.
const FINISH_WAIT: Duration = Duration::from_millis(1);

impl EventLoop {
    /// Carries out an order. Returns when the worker goes on.
    #[cold]
    pub(super) fn hand_all_over(&mut self, order: &HandOver, poll: &mut Poll, participant: &mut Participant) {
        self.finish_clients(poll, participant);
        let sent = self.send_part(order);
        self.store.give_all_back(&participant.pin());
        order.report(sent, || self.end_sessions());
        self.look_at_all();
    }

    /// Drives the clients that have no record yet, until all have one or the time is over.
    fn finish_clients(&mut self, poll: &mut Poll, participant: &mut Participant) {
        let began_us = self.shared.clock.real_us();
        let of_all = &self.shared.connections;
        // A client that has finished its request must not begin another one.
        let config = ConnectionConfig {
            requests_max: 1,
            connection_table: Arc::clone(&of_all.connection_table),
            users: of_all.users.clone(),
            ..*of_all
        };
        let mut events = Events::with_capacity(1);
        loop {
            let unfinished = self.unfinished();
            if unfinished.is_empty() || self.shared.clock.real_us().saturating_sub(began_us) > FINISH_US_MAX {
                return;
            }
            self.begin_turn();
            let mut pin = participant.pin();
            for place in unfinished {
                self.finish_one(place, &config, poll.registry(), &mut pin);
            }
            self.store.end_turn();
            drop(pin);
            // Ignored: the worker polls all its clients again after a roll-back.
            let _ = poll.poll(&mut events, Some(FINISH_WAIT));
        }
    }

    /// The clients that have no record yet.
    fn unfinished(&mut self) -> Vec<u32> {
        let mut places = self.connections.taken();
        places
            .retain(|place| self.connections.at(*place).is_some_and(|client| !client.connection.can_be_handed_over()));
        places
    }

    /// Lets a client receive more of its request, or write more of its reply.
    fn finish_one(&mut self, place: u32, config: &ConnectionConfig, registry: &Registry, pin: &mut PinGuard<'_>) {
        let Lent { connections, turn, output, .. } = self.lend(0);
        let Some(client) = connections.at(place) else { return };
        client.is_queued = false;
        client.connection.report(true, false);
        client.connection.allow_slice();
        let mut turn = Turn { config, ..turn };
        let outcome = client.connection.drive(&mut turn, output, pin, Received::Nothing);
        self.apply(place, outcome, registry);
        if self.store.wants_quiescence() {
            self.store.end_turn();
            pin.refresh();
        }
    }

    /// Sends the records of all clients and UDP sockets, with their sockets.
    fn send_part(&mut self, order: &HandOver) -> io::Result<HandedOver> {
        let (gate, now) = (Arc::clone(&self.shared.gate), self.now);
        let (mut part, mut sent) = (PartBuilder::default(), HandedOver::default());
        let mut unsent_bytes = 0;
        for ServedClient { connection, .. } in self.connections.iter() {
            let record = connection.record(now, gate.is_admin(connection.fd()));
            let bytes = record.as_ref().map_or(0, |record| record.unsent.len());
            match record.filter(|_| unsent_bytes + bytes <= UNSENT_BYTES_OF_WORKER_MAX) {
                Some(record) => {
                    unsent_bytes += bytes;
                    part.push(&PartRecord::Connection(record), connection.socket());
                }
                None => sent.left_behind += 1,
            }
        }
        for socket in &self.datagrams {
            let address = local_address(socket.as_fd()).map(|address| address.to_string()).unwrap_or_default();
            let record = ListenerRecord { kind: SocketKind::Udp, address: address.into_bytes() };
            part.push(&PartRecord::Listener(record), socket.as_fd());
        }
        part.send(order.peer()).map(|()| sent)
    }

    /// Ends the sessions of clients that use TLS.
    fn end_sessions(&mut self) {
        for place in self.connections.taken() {
            if let Some(client) = self.connections.at(place) {
                client.connection.finish_session(&mut self.tls);
            }
        }
    }

    /// Makes each client and each UDP socket take a turn: what the kernel reported before may be lost.
    pub(super) fn look_at_all(&mut self) {
        for place in self.connections.taken() {
            if let Some(client) = self.connections.at(place) {
                client.connection.report(true, false);
                self.queue(place);
            }
        }
        self.datagrams.iter_mut().for_each(DatagramSocket::report);
        self.has_datagrams = !self.datagrams.is_empty();
        self.needs_quiescence = true;
        self.has_mail = true;
    }
}
