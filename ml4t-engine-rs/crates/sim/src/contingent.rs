//! Orders that wait for another to fill, and groups of orders that share one fate: who belongs to whom, and how much
//! of an order the others leave. [`crate::venue`] acts on it.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Result, SimError};
use crate::ids::OrderId;
use crate::money::Ratio;
use crate::order::{Order, OrderStatus, Reason};
use crate::state::State;
use crate::terms::Amount;

/// What the members of a group do to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// One cancels the other.
    Oco,
    /// One updates the other.
    Ouo,
}

impl GroupKind {
    /// Name in tables and keywords.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oco => "oco",
            Self::Ouo => "ouo",
        }
    }
}

/// Orders that share one fate, in the sequence in which they were sent.
#[derive(Clone, Debug)]
struct Group {
    kind: GroupKind,
    members: BTreeSet<OrderId>,
}

/// How an order hangs together with others. Quantities are exact, in today's shares.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    parent: Option<OrderId>,
    children: Vec<OrderId>,
    group: Option<usize>,
    /// All that the order may become.
    asked: Amount,
    /// What fills of its group took from it.
    taken: Amount,
    /// What is filled of it.
    met: Amount,
}

/// Who waits for whom, and who belongs together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    of: BTreeMap<OrderId, Link>,
    groups: Vec<Group>,
    /// Orders that wait for their parents.
    pub waiting: BTreeSet<OrderId>,
    /// Linked orders that ended and whose end was not dealt with.
    pub ended: Vec<OrderId>,
}

impl Links {
    pub(crate) fn children_of(&self, id: OrderId) -> Vec<OrderId> {
        self.of.get(&id).map_or_else(Vec::new, |link| link.children.clone())
    }

    /// The order that has to fill first.
    #[must_use]
    pub(crate) fn parent_of(&self, id: OrderId) -> Option<OrderId> {
        self.of.get(&id).and_then(|link| link.parent)
    }

    fn group_of(&self, id: OrderId) -> Option<&Group> {
        self.of.get(&id).and_then(|link| link.group).map(|group| &self.groups[group])
    }

    fn is_oco(&self, id: OrderId) -> bool {
        self.group_of(id).is_some_and(|group| group.kind == GroupKind::Oco)
    }
}

impl State {
    fn link_mut(&mut self, id: OrderId) -> &mut Link {
        let order = self.orders.of_mut(id);
        order.is_linked = true;
        let (asked, met) = (Amount::new(order.request.quantity), Amount::new(order.filled));
        self.links.of.entry(id).or_insert_with(|| Link {
            parent: None,
            children: Vec::new(),
            group: None,
            asked,
            taken: Amount::new(0),
            met,
        })
    }

    /// Keep what is filled of an order apart, as a split is about to scale it.
    pub(crate) fn remember_fills(&mut self, id: OrderId) {
        self.link_mut(id);
    }

    /// Let an order that was just sent wait for `parent`.
    pub(crate) fn link_child(&mut self, id: OrderId, parent: OrderId) {
        self.link_mut(parent).children.push(id);
        self.link_mut(id).parent = Some(parent);
    }

    /// Check that an order may join the group of another.
    ///
    /// # Errors
    /// The other order belongs to a group of the other kind, or to a position rule.
    pub(crate) fn check_group(&self, kind: GroupKind, other: OrderId) -> Result<()> {
        if let Some(rule) = self.order(other).rule {
            let (number, rule) = (other.0 + 1, rule.as_str());
            return Err(SimError::order(format!("order {number} belongs to the position rule {rule}, not to a group")));
        }
        match self.links.group_of(other) {
            Some(found) if found.kind != kind => Err(SimError::order(format!(
                "order {} belongs to a group of the kind {}, which {} cannot join",
                other.0 + 1,
                found.kind.as_str(),
                kind.as_str()
            ))),
            _ => Ok(()),
        }
    }

    /// Put an order that was just sent into the group of another.
    ///
    /// # Errors
    /// As [`State::check_group`].
    pub(crate) fn link_group(&mut self, id: OrderId, kind: GroupKind, other: OrderId) -> Result<()> {
        self.check_group(kind, other)?;
        let fresh = self.links.groups.len();
        let group = *self.link_mut(other).group.get_or_insert(fresh);
        if group == fresh {
            self.links.groups.push(Group { kind, members: BTreeSet::from([other]) });
        }
        self.links.groups[group].members.insert(id);
        self.link_mut(id).group = Some(group);
        Ok(())
    }

    /// The order that has to fill first.
    #[must_use]
    pub fn parent_of(&self, id: OrderId) -> Option<OrderId> {
        self.links.parent_of(id)
    }

    /// Kind and number of the group of an order, as the tables show it.
    #[must_use]
    pub fn group_name(&self, id: OrderId) -> String {
        let group = self.links.of.get(&id).and_then(|link| link.group);
        group.map_or_else(String::new, |group| format!("{} {}", self.links.groups[group].kind.as_str(), group + 1))
    }

    /// Why intake refuses an order for the sake of its parent or its group.
    pub(crate) fn link_refusal(&self, id: OrderId) -> Option<Reason> {
        let parent = self.links.parent_of(id).map(|parent| self.order(parent));
        if parent.is_some_and(|parent| parent.status.is_terminal() && parent.filled == 0) {
            return Some(Reason::ParentEnded);
        }
        if !self.links.is_oco(id) {
            return None;
        }
        let members = self.links.group_of(id).map(|group| &group.members)?;
        let ended = || members.iter().map(|&m| self.order(m)).filter(|o| o.status.is_terminal());
        if ended().any(|o| o.status == OrderStatus::Filled) {
            return Some(Reason::GroupFilled);
        }
        ended().any(|o| o.reason != Reason::GroupFilled).then_some(Reason::GroupEnded)
    }

    /// What the fills of its parent leave open of a child, in whole lots; `None` out of range.
    ///
    /// The share is one of what both were asked for: that neither grew to it yet, nor was reduced, plays no part.
    pub(crate) fn share(&self, id: OrderId, lot: i64) -> Option<i64> {
        let link = self.links.of.get(&id)?;
        let (parent, rule_quantity) = {
            let parent = self.order(link.parent?);
            (self.links.of.get(&link.parent?)?, parent.rule.map(|_| parent.request.quantity))
        };
        let whole = rule_quantity.map_or(parent.asked, Amount::new);
        let share = if parent.met.is_at_least(whole)? {
            link.asked.floor(lot)?
        } else {
            link.asked.times(parent.met)?.over(whole)?.floor(lot)?
        };
        let left = Amount::new(share).minus(link.taken)?.minus(link.met)?;
        Some(left.floor(lot)?.max(0))
    }

    /// Count a fill of a linked order. `None` out of range.
    pub(crate) fn meet(&mut self, id: OrderId, filled: i64) -> Option<()> {
        let link = self.links.of.get_mut(&id)?;
        link.met = link.met.plus(Amount::new(filled))?;
        Some(())
    }

    /// What a fill of `quantity` of another member leaves of an order, in whole lots; `None` out of range.
    pub(crate) fn take(&mut self, id: OrderId, quantity: Amount, lot: i64) -> Option<i64> {
        let leaves = self.order(id).leaves;
        let left = Amount::new(leaves).minus(quantity)?.floor(lot)?.max(0);
        if left > 0 {
            let link = self.links.of.get_mut(&id)?;
            link.taken = link.taken.plus(Amount::new(leaves - left))?;
        }
        Some(left)
    }

    /// Let a linked order ask for what its quantity now says. `None` out of range.
    pub(crate) fn adopt_quantity(&mut self, id: OrderId) -> Option<()> {
        let leaves = self.order(id).leaves;
        let Some(link) = self.links.of.get_mut(&id) else { return Some(()) };
        link.asked = link.met.plus(Amount::new(leaves))?.plus(link.taken)?;
        Some(())
    }

    /// Put what a linked order counts into the shares after a split that has scaled its quantity.
    pub(crate) fn split_link(&mut self, id: OrderId, ratio: Ratio, lot: i64) -> Option<()> {
        let is_waiting = self.links.waiting.contains(&id);
        let Some(link) = self.links.of.get_mut(&id) else { return Some(()) };
        link.met = link.met.scaled(ratio)?;
        link.taken = link.taken.scaled(ratio)?;
        if link.parent.is_some() && !is_waiting {
            link.asked = Amount::new(link.asked.scaled(ratio)?.floor(lot)?);
            return Some(());
        }
        self.adopt_quantity(id)
    }

    /// Whether an order is at the venue or waits for its parent.
    fn is_in(&self, id: OrderId) -> bool {
        let status = self.order(id).status;
        matches!(status, OrderStatus::Accepted | OrderStatus::PartiallyFilled) || self.links.waiting.contains(&id)
    }

    /// Other members of the group of an order that are at the venue, or wait for their parents.
    pub(crate) fn siblings(&self, id: OrderId) -> Vec<OrderId> {
        let members = self.links.group_of(id).map(|group| group.members.iter());
        members.map_or_else(Vec::new, |all| all.copied().filter(|&m| m != id && self.is_in(m)).collect())
    }

    /// Whether a complete fill of an order ends the others of its group.
    pub(crate) fn fills_its_group(&self, id: OrderId) -> bool {
        self.links.is_oco(id) && self.order(id).status == OrderStatus::Filled
    }

    /// What an order that ended takes with it: first the others of its group, then its children.
    pub(crate) fn consequences(&self, id: OrderId) -> Vec<(OrderId, Reason)> {
        let order = self.order(id);
        let mut found = Vec::new();
        if self.links.is_oco(id) && !matches!(order.reason, Reason::GroupFilled | Reason::GroupEnded) {
            let is_filled = order.status == OrderStatus::Filled;
            let reason = if is_filled { Reason::GroupFilled } else { Reason::GroupEnded };
            found.extend(self.siblings(id).into_iter().map(|other| (other, reason)));
        }
        if order.filled == 0 {
            let waiting = |child: &OrderId| self.links.waiting.contains(child);
            let children = self.links.children_of(id);
            found.extend(children.into_iter().filter(waiting).map(|child| (child, Reason::ParentEnded)));
        }
        found
    }
}

/// Quantities count towards a target only where they are at the venue, or on the way without waiting for anybody.
pub(crate) fn counts_as_sent(state: &State, order: &Order, id: OrderId) -> bool {
    !order.is_linked || state.links.parent_of(id).is_none() || state.is_in(id)
}
