//! Requests of owned keys: those of this node's clients, and those that it carries out.

use crate::base::{Key, KeyHash, Version};
use crate::replication::cache::ReplicatedCache;
use crate::replication::frame::Frame;
use crate::replication::link::{Link, LinkId};
use crate::replication::log::{Change, LogEntry};
use crate::replication::replica::{Replica, ReplicaAction, StepContext};

use super::wire::OwnerFrame;
use super::{
    AskedRequest, Asker, Grant, OWNED_REQUESTS_MAX, Origin, Orphan, OwnedAction, OwnedOutcome, OwnedRequest,
    Unacknowledged,
};

/// A client is answered within this time, and a tick.
const ANSWER_MS_MAX: u64 = 900;

impl Replica {
    /// A client of this node wants something of an owned key. `id` was not used before.
    pub(in crate::replication) fn ask(
        &mut self,
        id: u64,
        request: OwnedRequest,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let hash = Key::new(&request.key).map(|key| context.cache.hash(key));
        let deadline_ms = context.now.steady_ms + ANSWER_MS_MAX;
        match (&mut self.owners, hash) {
            (Some(owners), Some(hash)) if owners.asked.len() < OWNED_REQUESTS_MAX => {
                owners.asked.insert(id, AskedRequest { request, hash, deadline_ms, sent: None });
                self.try_asked(id, context);
            }
            _ => answer(id, OwnedOutcome::Unavailable, context.actions),
        }
    }

    /// Sends a request to the owner, or carries it out. Otherwise it waits.
    fn try_asked(&mut self, id: u64, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let Some(asked) = self.owners.as_ref().and_then(|owners| owners.asked.get(&id)) else { return };
        if asked.sent.is_some() || self.owners.as_ref().is_some_and(|owners| owners.is_under_way(Origin::Own, id)) {
            return;
        }
        let (request, owner) = (asked.request.clone(), self.owner_of(asked.hash));
        if owner == self.node {
            if self.may_act(context.now.steady_ms) {
                self.carry_out(Origin::Own, id, &request, context);
            }
            return;
        }
        if let Some(link) = self.member_link(owner) {
            if let Some(asked) = self.owners.as_mut().and_then(|owners| owners.asked.get_mut(&id)) {
                asked.sent = Some(link);
            }
            self.send(link, &Frame::Owner(OwnerFrame::Ask { id, request }), context);
        }
    }

    /// Tries again what waits for an owner.
    pub(super) fn retry_asked(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let waiting = self.owners.iter().flat_map(|owners| owners.asked.iter());
        let waiting: Vec<u64> = waiting.filter(|(_, asked)| asked.sent.is_none()).map(|(id, _)| *id).collect();
        waiting.into_iter().for_each(|id| self.try_asked(id, context));
    }

    /// Takes a frame about owned keys.
    pub(in crate::replication) fn receive_owner_frame(
        &mut self,
        id: LinkId,
        frame: OwnerFrame,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        match frame {
            OwnerFrame::Members(view) => self.receive_members(id, view, context),
            OwnerFrame::Ask { id: request_id, request } => self.receive_ask(id, request_id, &request, context),
            OwnerFrame::Answer { id: request_id, outcome } => self.receive_answer(id, request_id, outcome, context),
            OwnerFrame::Withdraw { id: request_id } => self.receive_withdraw(id, request_id, context),
            OwnerFrame::Withdrawn { id: request_id } => {
                let owner = self.asker(id);
                if let Some(owners) = &mut self.owners {
                    owners.orphans.retain(|orphan| Some(orphan.owner) != owner || orphan.request != request_id);
                }
            }
        }
    }

    /// A peer asks this node, which should be the owner.
    fn receive_ask(
        &mut self,
        link: LinkId,
        id: u64,
        request: &OwnedRequest,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        if self.links.get(&link).is_none_or(|link| link.queued >= self.config.queue_bytes) {
            // It does not read answers.
            return;
        }
        let is_owner = Key::new(&request.key).is_some_and(|key| self.owner_of(context.cache.hash(key)) == self.node);
        let origin = Origin::Link(link);
        let count = |owners: &super::Owners| owners.unacknowledged.iter().filter(|one| one.origin == origin).count();
        let has_room = self.owners.as_ref().is_some_and(|owners| count(owners) < OWNED_REQUESTS_MAX);
        if is_owner && has_room && self.may_act(context.now.steady_ms) {
            self.carry_out(origin, id, request, context);
        } else {
            self.reply(origin, id, OwnedOutcome::Unavailable, context);
        }
    }

    /// Carries out a request as the owner.
    fn carry_out(
        &mut self,
        origin: Origin,
        id: u64,
        request: &OwnedRequest,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let Some(key) = Key::new(&request.key) else { return };
        let (hash, outcome) = (context.cache.hash(key), context.cache.carry_out(request));
        let asker = match origin {
            Origin::Own => Some((self.node, self.incarnation)),
            Origin::Link(link) => self.asker(link),
        };
        let version = match outcome {
            OwnedOutcome::Stored(version) => Some(version),
            OwnedOutcome::Deleted => None,
            _ => return self.reply(origin, id, outcome, context),
        };
        if let (Some(version), Some(asker), Some(owners)) = (version, asker, &mut self.owners) {
            // A node that was started again has forgotten its former requests.
            owners.grants.retain(|known, _| known.0 != asker.0 || *known == asker);
            let grants = owners.grants.entry(asker).or_default();
            grants.push_back(Grant { request: id, key: request.key.clone(), version });
            if grants.len() > OWNED_REQUESTS_MAX {
                grants.pop_front();
            }
        }
        if let Some(owners) = &mut self.owners {
            owners.unacknowledged.push(Unacknowledged { origin, request: id, hash, version, outcome });
        }
        self.answer_acknowledged(context);
    }

    /// A change of this node comes into the log.
    pub(in crate::replication) fn note_owned(&mut self, entry: &LogEntry) {
        let (Some(owners), Change::Delete(hash)) = (&mut self.owners, entry.change) else { return };
        let deletes = owners.unacknowledged.iter_mut().filter(|one| one.version.is_none() && one.hash == hash);
        deletes.for_each(|one| one.version = Some(entry.version));
    }

    /// Answers what every member has.
    pub(in crate::replication) fn answer_acknowledged(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let Some(owners) = &mut self.owners else { return };
        if owners.unacknowledged.is_empty() {
            return;
        }
        let (links, members) = (&self.links, &owners.members);
        let has = |link: &LinkId, version: Version| {
            links.get(link).is_some_and(|link| link.seen.of(version.node()) >= version)
        };
        let is_there = |one: &mut Unacknowledged| {
            one.version.is_some_and(|version| members.values().all(|member| has(&member.link, version)))
        };
        let answered: Vec<Unacknowledged> = owners.unacknowledged.extract_if(.., is_there).collect();
        answered.into_iter().for_each(|one| self.reply(one.origin, one.request, one.outcome, context));
    }

    /// Says what became of a request.
    fn reply(
        &mut self,
        origin: Origin,
        id: u64,
        outcome: OwnedOutcome,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        match origin {
            Origin::Link(link) => self.send(link, &Frame::Owner(OwnerFrame::Answer { id, outcome }), context),
            Origin::Own => {
                let own = (self.node, self.incarnation);
                let Some(owners) = &mut self.owners else { return };
                if let Some(asked) = owners.asked.remove(&id) {
                    owners.end(id, &asked, outcome, Some(own), context);
                }
            }
        }
    }

    fn receive_answer(
        &mut self,
        link: LinkId,
        id: u64,
        outcome: OwnedOutcome,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let owner = self.asker(link);
        let Some(owners) = &mut self.owners else { return };
        let Some(asked) = owners.asked.get_mut(&id).filter(|asked| asked.sent == Some(link)) else { return };
        if outcome == OwnedOutcome::Unavailable {
            // Another owner may act soon.
            asked.sent = None;
            return;
        }
        if let Some(asked) = owners.asked.remove(&id) {
            owners.end(id, &asked, outcome, owner, context);
        }
    }

    /// Tells clients that wait for too long of an error.
    pub(super) fn give_up_asked(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let own = (self.node, self.incarnation);
        let remote = |link: LinkId| self.links.get(&link).and_then(asker_on);
        let Some(owners) = &mut self.owners else { return };
        let is_late = |asked: &AskedRequest| context.now.steady_ms >= asked.deadline_ms;
        let late: Vec<u64> = owners.asked.iter().filter(|(_, asked)| is_late(asked)).map(|(id, _)| *id).collect();
        for id in late {
            answer(id, OwnedOutcome::Unavailable, context.actions);
            // The owner may have carried it out, or still does. What follows on the link comes after it.
            if let Some(link) = owners.asked.remove(&id).and_then(|asked| asked.sent) {
                owners.note_orphan(remote(link), id);
            }
            let is_own = |one: &mut Unacknowledged| one.origin == Origin::Own && one.request == id;
            if owners.unacknowledged.extract_if(.., is_own).next().is_some() {
                owners.note_orphan(Some(own), id);
            }
        }
    }

    /// A link has ended: what was asked there may have been carried out.
    pub(in crate::replication) fn forget_asked(
        &mut self,
        link: &Link,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let owner = asker_on(link);
        let Some(owners) = &mut self.owners else { return };
        let lost = owners.asked.iter().filter(|(_, asked)| asked.sent == Some(link.id)).map(|(id, _)| *id);
        for id in lost.collect::<Vec<_>>() {
            owners.note_orphan(owner, id);
            if owners.asked.remove(&id).is_some() {
                answer(id, OwnedOutcome::Unavailable, context.actions);
            }
        }
        owners.unacknowledged.retain(|one| one.origin != Origin::Link(link.id));
    }

    /// Asks owners to undo what clients were told to have failed.
    pub(super) fn withdraw_orphans(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let orphans: Vec<Orphan> = self.owners.iter().flat_map(|owners| owners.orphans.iter().copied()).collect();
        for Orphan { owner, request } in orphans {
            if owner.0 == self.node {
                if self.withdraw(owner, request, context)
                    && let Some(owners) = &mut self.owners
                {
                    owners.orphans.retain(|orphan| orphan.owner != owner || orphan.request != request);
                }
            } else if let Some(link) = self.member_link(owner.0) {
                if self.asker(link) == Some(owner) {
                    self.send(link, &Frame::Owner(OwnerFrame::Withdraw { id: request }), context);
                } else if let Some(owners) = &mut self.owners {
                    // It was started again and does not know the request. The lock ends with its time to live.
                    owners.orphans.retain(|orphan| orphan.owner != owner);
                }
            }
        }
    }

    fn receive_withdraw(&mut self, link: LinkId, id: u64, context: &mut StepContext<'_, impl ReplicatedCache>) {
        if let Some(asker) = self.asker(link)
            && self.withdraw(asker, id, context)
        {
            self.send(link, &Frame::Owner(OwnerFrame::Withdrawn { id }), context);
        }
    }

    /// Undoes an add. False: only later, as this node may not act now.
    fn withdraw(&mut self, asker: Asker, id: u64, context: &mut StepContext<'_, impl ReplicatedCache>) -> bool {
        let may_act = self.may_act(context.now.steady_ms);
        let Some(owners) = &mut self.owners else { return true };
        let Some(grants) = owners.grants.get_mut(&asker) else { return true };
        let Some(index) = grants.iter().position(|grant| grant.request == id) else { return true };
        if !may_act {
            return false;
        }
        let Some(Grant { key, version, .. }) = grants.remove(index) else { return true };
        let hash = Key::new(&key).map(|key| context.cache.hash(key));
        if hash.is_some_and(|hash: KeyHash| self.owner_of(hash) == self.node) {
            let action = OwnedAction::Delete { compare: Some(version.bits()) };
            context.cache.carry_out(&OwnedRequest { key, action });
        }
        true
    }

    /// Who asks on a link.
    fn asker(&self, link: LinkId) -> Option<Asker> {
        self.links.get(&link).and_then(asker_on)
    }
}

/// The node at the other end of a link, once it was accepted.
fn asker_on(link: &Link) -> Option<Asker> {
    link.remote.map(|remote| (remote.node, remote.incarnation))
}

impl super::Owners {
    fn is_under_way(&self, origin: Origin, id: u64) -> bool {
        self.unacknowledged.iter().any(|one| one.origin == origin && one.request == id)
    }

    /// Tells a client what became of its request. A thread that was stopped may learn of that too late: the lock may be
    /// over, and another client's.
    fn end<C>(
        &mut self,
        id: u64,
        asked: &AskedRequest,
        outcome: OwnedOutcome,
        owner: Option<Asker>,
        context: &mut StepContext<'_, C>,
    ) {
        let is_late = context.now.steady_ms >= asked.deadline_ms;
        if is_late && matches!(outcome, OwnedOutcome::Stored(_)) {
            self.note_orphan(owner, id);
        }
        answer(id, if is_late { OwnedOutcome::Unavailable } else { outcome }, context.actions);
    }

    /// Remembers a request that may have been carried out in vain. Of too many, the oldest end with their time to live.
    fn note_orphan(&mut self, owner: Option<Asker>, request: u64) {
        let Some(owner) = owner else { return };
        if self.orphans.len() >= OWNED_REQUESTS_MAX {
            self.orphans.pop_front();
        }
        self.orphans.push_back(Orphan { owner, request });
    }
}

fn answer(id: u64, outcome: OwnedOutcome, actions: &mut Vec<ReplicaAction>) {
    actions.push(ReplicaAction::Answer { id, outcome });
}
