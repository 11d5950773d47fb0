//! Requests of owned keys: those of this node's clients, and those that it carries out.
//!
//! A request costs the same however many others are under way: changes are acknowledged in the order of their versions,
//! and everything else is found by its number. Each tick looks at all of them once.

use std::collections::btree_map::Entry;

use crate::base::Key;
use crate::replication::cache::ReplicatedCache;
use crate::replication::frame::{Frame, PEERS_MAX};
use crate::replication::link::{Link, LinkId};
use crate::replication::replica::{Replica, ReplicaAction, StepContext};

use super::wire::OwnerFrame;
use super::{
    AskedProgress, AskedRequest, Asker, Grant, OWNED_REQUESTS_MAX, Origin, OwnedAction, OwnedOutcome, OwnedRequest,
    Owners, Unacknowledged,
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
        let Some(owners) = &mut self.owners else { return answer(id, OwnedOutcome::Unavailable, context.actions) };
        owners.counts.asked += 1;
        let deadline_ms = Some(context.now.steady_ms + ANSWER_MS_MAX);
        if !self.enter_asked(id, request, deadline_ms, context)
            && let Some(owners) = &mut self.owners
        {
            owners.answer(id, OwnedOutcome::Unavailable, context.actions);
        }
    }

    /// Begins with a request. False: too many wait.
    fn enter_asked(
        &mut self,
        id: u64,
        request: OwnedRequest,
        deadline_ms: Option<u64>,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) -> bool {
        let hash = Key::new(&request.key).map(|key| context.cache.hash(key));
        let (Some(owners), Some(hash)) = (&mut self.owners, hash) else { return false };
        if owners.asked.len() >= OWNED_REQUESTS_MAX {
            return false;
        }
        owners.asked.insert(id, AskedRequest { request, hash, deadline_ms, progress: AskedProgress::Waiting });
        self.try_asked(id, context);
        true
    }

    /// Sends a request to the owner, or carries it out. Otherwise it waits.
    fn try_asked(&mut self, id: u64, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let asked = self.owners.as_ref().and_then(|owners| owners.asked.get(&id));
        let Some(asked) = asked.filter(|asked| asked.progress == AskedProgress::Waiting) else { return };
        let owner = self.owner_of(asked.hash);
        let progress = if owner == self.node {
            self.may_carry_out(context.now.steady_ms).then_some(AskedProgress::CarriedOut)
        } else {
            self.member_link(owner).map(AskedProgress::Sent)
        };
        let asked = self.owners.as_mut().and_then(|owners| owners.asked.get_mut(&id));
        let (Some(progress), Some(asked)) = (progress, asked) else { return };
        asked.progress = progress;
        let request = asked.request.clone();
        match progress {
            AskedProgress::Waiting => {}
            AskedProgress::Sent(link) => {
                self.send(link, &Frame::Owner(OwnerFrame::Ask { id, request }), context);
            }
            AskedProgress::CarriedOut => self.carry_out(Origin::Own, id, &request, context),
        }
    }

    /// Tries again what waits for an owner.
    pub(super) fn retry_asked(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let asked = self.owners.iter().flat_map(|owners| owners.asked.iter());
        let waiting = asked.filter(|(_, asked)| asked.progress == AskedProgress::Waiting).map(|(id, _)| *id);
        waiting.collect::<Vec<u64>>().into_iter().for_each(|id| self.try_asked(id, context));
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
            OwnerFrame::Withdrawn { id: request_id } => self.receive_withdrawn(id, request_id),
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
        if is_owner && self.may_carry_out(context.now.steady_ms) {
            self.carry_out(Origin::Link(link), id, request, context);
        } else {
            if let Some(owners) = &mut self.owners {
                owners.counts.refused += 1;
            }
            self.reply(Origin::Link(link), id, OwnedOutcome::Unavailable, context);
        }
    }

    /// Whether this node carries out requests for its keys now.
    fn may_carry_out(&self, now_ms: u64) -> bool {
        let has_room = |owners: &Owners| owners.unacknowledged.len() < OWNED_REQUESTS_MAX * (owners.members.len() + 1);
        self.owners.as_ref().is_some_and(has_room) && self.may_act(now_ms)
    }

    /// Carries out a request as the owner.
    fn carry_out(
        &mut self,
        origin: Origin,
        id: u64,
        request: &OwnedRequest,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let outcome = context.cache.carry_out(request);
        if let Some(owners) = &mut self.owners {
            owners.counts.carried_out += 1;
        }
        let Some(version) = outcome.version() else { return self.reply(origin, id, outcome, context) };
        let asker = match origin {
            Origin::Own => Some((self.node, self.incarnation)),
            Origin::Link(link) => self.asker(link),
        };
        let Some(owners) = &mut self.owners else { return };
        if let (OwnedAction::Add { .. }, Some(asker)) = (&request.action, asker) {
            // A node that was started again has forgotten its former requests.
            owners.grants.retain(|known, _| known.0 != asker.0 || *known == asker);
            if owners.grants.len() > PEERS_MAX {
                // These nodes are gone. Locks that they were told of no more end with their time to live.
                let members = &owners.members;
                owners.grants.retain(|known, _| *known == asker || members.contains_key(&known.0));
            }
            let grants = owners.grants.entry(asker).or_default();
            grants.insert(id, Grant { key: request.key.clone(), version });
            if grants.len() > OWNED_REQUESTS_MAX {
                grants.pop_first();
            }
        }
        owners.unacknowledged.push_back(Unacknowledged { origin, request: id, version, outcome });
        self.answer_acknowledged(context);
    }

    /// Answers what every member has. The members acknowledge changes in the order of their versions.
    pub(in crate::replication) fn answer_acknowledged(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        loop {
            let Some(owners) = &mut self.owners else { return };
            let Some(first) = owners.unacknowledged.front() else { return };
            let has = |link: &Link| link.seen.of(first.version.node()) >= first.version;
            if !owners.members.values().all(|member| self.links.get(&member.link).is_some_and(has)) {
                return;
            }
            if let Some(one) = owners.unacknowledged.pop_front() {
                self.reply(one.origin, one.request, one.outcome, context);
            }
        }
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
            Origin::Own => self.end_asked(id, outcome, Some((self.node, self.incarnation)), context),
        }
    }

    fn receive_answer(
        &mut self,
        link: LinkId,
        id: u64,
        outcome: OwnedOutcome,
        context: &mut StepContext<'_, impl ReplicatedCache>,
    ) {
        let asked = self.owners.as_ref().and_then(|owners| owners.asked.get(&id));
        if asked.is_some_and(|asked| asked.progress == AskedProgress::Sent(link)) {
            self.end_asked(id, outcome, self.asker(link), context);
        }
    }

    /// An owner has answered. Its client learns of that, unless its time is over: the lock may be another client's by
    /// then.
    fn end_asked<C>(&mut self, id: u64, outcome: OwnedOutcome, owner: Option<Asker>, context: &mut StepContext<'_, C>) {
        let Some(owners) = &mut self.owners else { return };
        let Entry::Occupied(mut entry) = owners.asked.entry(id) else { return };
        let deadline_ms = entry.get().deadline_ms;
        if outcome == OwnedOutcome::Unavailable || outcome == OwnedOutcome::NoMemory && deadline_ms.is_none() {
            // It is tried again: another owner may act soon, or memory be there.
            entry.get_mut().progress = AskedProgress::Waiting;
            return;
        }
        let asked = entry.remove();
        let Some(deadline_ms) = deadline_ms else {
            owners.counts.undone += u64::from(outcome.version().is_some());
            return;
        };
        let is_late = context.now.steady_ms >= deadline_ms;
        if is_late && outcome.version().is_some() {
            owners.note_orphan(id, &asked, owner);
        }
        owners.answer(id, if is_late { OwnedOutcome::Unavailable } else { outcome }, context.actions);
    }

    /// Tells clients that wait for too long of an error.
    pub(super) fn give_up_asked(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let own = (self.node, self.incarnation);
        let remote = |link: LinkId| self.links.get(&link).and_then(asker_on);
        let Some(owners) = &mut self.owners else { return };
        let is_late = |asked: &AskedRequest| asked.deadline_ms.is_some_and(|end_ms| context.now.steady_ms >= end_ms);
        let late: Vec<u64> = owners.asked.iter().filter(|(_, asked)| is_late(asked)).map(|(id, _)| *id).collect();
        for id in late {
            let Some(asked) = owners.asked.remove(&id) else { continue };
            // The owner may have carried it out, or still does. What follows on the link comes after it.
            let owner = match asked.progress {
                AskedProgress::Waiting => None,
                AskedProgress::Sent(link) => remote(link),
                AskedProgress::CarriedOut => Some(own),
            };
            owners.note_orphan(id, &asked, owner);
            owners.answer(id, OwnedOutcome::Unavailable, context.actions);
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
        let is_lost = |asked: &AskedRequest| asked.progress == AskedProgress::Sent(link.id);
        let lost = owners.asked.iter().filter(|(_, asked)| is_lost(asked)).map(|(id, _)| *id);
        for id in lost.collect::<Vec<u64>>() {
            let Entry::Occupied(mut entry) = owners.asked.entry(id) else { continue };
            if entry.get().deadline_ms.is_none() {
                entry.get_mut().progress = AskedProgress::Waiting;
                continue;
            }
            let asked = entry.remove();
            owners.note_orphan(id, &asked, owner);
            owners.answer(id, OwnedOutcome::Unavailable, context.actions);
        }
        owners.unacknowledged.retain(|one| one.origin != Origin::Link(link.id));
    }

    /// Asks owners to undo what clients were told to have failed.
    pub(super) fn withdraw_orphans(&mut self, context: &mut StepContext<'_, impl ReplicatedCache>) {
        let orphans = self.owners.iter().flat_map(|owners| owners.orphans.iter());
        for (id, owner) in orphans.map(|(id, owner)| (*id, *owner)).collect::<Vec<(u64, Asker)>>() {
            let is_over = if owner.0 == self.node {
                self.withdraw(owner, id, context)
            } else if let Some(link) = self.member_link(owner.0) {
                let knows_it = self.asker(link) == Some(owner);
                if knows_it {
                    self.send(link, &Frame::Owner(OwnerFrame::Withdraw { id }), context);
                }
                // It was started again and does not know the request. The lock ends with its time to live.
                !knows_it
            } else {
                false
            };
            if is_over && let Some(owners) = &mut self.owners {
                owners.orphans.remove(&id);
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

    fn receive_withdrawn(&mut self, link: LinkId, id: u64) {
        let owner = self.asker(link);
        if let Some(owners) = &mut self.owners
            && owners.orphans.get(&id).copied() == owner
        {
            owners.orphans.remove(&id);
        }
    }

    /// Begins to undo an add that was carried out here. The key may have another owner by now: it deletes this version
    /// only, so the lock of another client stays. False: too many requests wait.
    fn withdraw(&mut self, asker: Asker, id: u64, context: &mut StepContext<'_, impl ReplicatedCache>) -> bool {
        let Some(owners) = &mut self.owners else { return true };
        let Some(Grant { key, version }) = owners.grants.get(&asker).and_then(|grants| grants.get(&id)) else {
            return true;
        };
        let action = OwnedAction::Delete { compare: Some(version.bits()) };
        let request = OwnedRequest { key: key.clone(), action };
        owners.undo += 1;
        let undo = owners.undo;
        if !self.enter_asked(undo, request, None, context) {
            return false;
        }
        if let Some(grants) = self.owners.as_mut().and_then(|owners| owners.grants.get_mut(&asker)) {
            grants.remove(&id);
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

impl Owners {
    /// Remembers an add that `owner` may have carried out in vain. Of too many, the oldest end with their time to live.
    fn note_orphan(&mut self, id: u64, asked: &AskedRequest, owner: Option<Asker>) {
        let (OwnedAction::Add { .. }, Some(owner)) = (&asked.request.action, owner) else { return };
        if self.orphans.len() >= OWNED_REQUESTS_MAX {
            self.orphans.pop_first();
        }
        self.orphans.insert(id, owner);
    }

    /// Tells a client what became of its request.
    fn answer(&mut self, id: u64, outcome: OwnedOutcome, actions: &mut Vec<ReplicaAction>) {
        let is_answered = outcome != OwnedOutcome::Unavailable;
        self.counts.answered += u64::from(is_answered);
        self.counts.unanswered += u64::from(!is_answered);
        answer(id, outcome, actions);
    }
}

fn answer(id: u64, outcome: OwnedOutcome, actions: &mut Vec<ReplicaAction>) {
    actions.push(ReplicaAction::Answer { id, outcome });
}
