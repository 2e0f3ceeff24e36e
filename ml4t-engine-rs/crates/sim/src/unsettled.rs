//! Money of sales that has not settled: an account that goes by cash gets it some sessions after the trade.
//!
//! The ledger keeps cash of the trade date. Beside it each purse has parcels of what is still to come, by the time they
//! settle; what takes cash takes settled money first, then what settles first. Whether parcels buy, and what it means
//! to sell what they have bought before they settle, is [`UnsettledCash`].
//!
//! A purchase has to be paid for before it is sold: 12 CFR 220.8(c). That brokers call the sale of what unsettled money
//! has bought a good-faith violation, and let the third one within twelve months restrict an account to settled cash for
//! ninety days, is their practice.

use std::collections::VecDeque;

use crate::currency::BASE;
use crate::error::{Result, SimError};
use crate::exchange::Exchange;
use crate::ids::{CurrencyId, InstrumentId, OrderId};
use crate::instrument::Instrument;
use crate::ledger::{Book, LedgerFill, WHAT};
use crate::lots::Lot;
use crate::money::{Cash, mul_div_half_even};
use crate::plan::Plan;
use crate::policies::{LotPolicy, UnsettledCash};
use crate::purse::Purse;
use crate::recorder::Recorder;
use crate::time::{NEVER, Ns, Sessions, render};

const DAY: Ns = 86_400_000_000_000;
/// Violations that restrict an account.
const TOO_MANY: usize = 3;
/// Within how long they count.
const COUNTED_FOR: Ns = 365 * DAY;
/// For how long they restrict it.
const RESTRICTED_FOR: Ns = 90 * DAY;

/// When trades settle, and what their money may do before.
#[derive(Clone, Debug)]
pub struct SettlementTerms {
    /// From which date of a session on, in days since 1970-01-01, how many sessions later; sorted.
    pub days: Vec<(i32, u32)>,
    /// What money may do before it settles.
    pub unsettled: UnsettledCash,
}

impl SettlementTerms {
    /// When money of a trade settles: at the open of a session, or never, where the calendar ends before.
    fn due(&self, sessions: &Sessions, now: Ns) -> Ns {
        // Where a session opens as the one before it closes, a trade is of the one that opens.
        let closed = sessions.close.partition_point(|&close| close < now);
        let opened = sessions.open.partition_point(|&open| open <= now);
        let trade = closed.max(opened.saturating_sub(1));
        let Some(label) = sessions.label.get(trade) else { return NEVER };
        let (later, _) = self.days.split_at(self.days.partition_point(|(from, _)| from <= label));
        let Some((_, days)) = later.last() else { return now };
        sessions.open.get(trade.saturating_add(*days as usize)).copied().unwrap_or(NEVER)
    }
}

/// Money of a purse that has not settled.
#[derive(Clone, Debug, Default)]
pub struct Parcels {
    /// When each settles, and how much it is; ascending.
    waiting: VecDeque<(Ns, Cash)>,
    sum: Cash,
    /// When the last of what was spent since a fill began settles.
    spent_until: Option<Ns>,
}

impl Parcels {
    pub(crate) const fn is_empty(&self) -> bool {
        self.sum.0 == 0
    }

    /// How much has not settled at an instant.
    pub(crate) fn at(&self, now: Ns) -> Cash {
        // Parts of a sum that had room.
        Cash(self.waiting.iter().filter(|(due, _)| *due > now).map(|(_, amount)| amount.0).sum())
    }

    fn bring(&mut self, (due, amount): (Ns, Cash)) -> Result<()> {
        if amount > Cash::ZERO {
            let place = self.waiting.partition_point(|(each, _)| *each <= due);
            self.sum = self.sum.plus(amount, WHAT)?;
            self.waiting.insert(place, (due, amount));
        }
        Ok(())
    }

    fn settle(&mut self, now: Ns) {
        let settled = self.waiting.partition_point(|(due, _)| *due <= now);
        for (_, amount) in self.waiting.drain(..settled) {
            self.sum.0 -= amount.0;
        }
    }

    /// There is so much cash now: what is beyond it has been spent.
    pub(crate) fn follow(&mut self, cash: Cash, now: Ns) {
        self.settle(now);
        let mut over = Cash(self.sum.0 - cash.max(Cash::ZERO).0);
        while over > Cash::ZERO
            && let Some((due, amount)) = self.waiting.front_mut()
        {
            let taken = over.min(*amount);
            self.spent_until = self.spent_until.max(Some(*due));
            (amount.0, over.0, self.sum.0) = (amount.0 - taken.0, over.0 - taken.0, self.sum.0 - taken.0);
            if *amount == Cash::ZERO {
                self.waiting.pop_front();
            }
        }
    }

    /// What was taken from these to leave `after`, the first due first.
    fn taken(mut self, after: &Self, now: Ns) -> Vec<(Ns, Cash)> {
        self.settle(now);
        let mut left = Cash(self.sum.0 - after.sum.0);
        let mut taken = Vec::new();
        for (due, amount) in self.waiting {
            if left <= Cash::ZERO {
                break;
            }
            taken.push((due, left.min(amount)));
            left.0 -= left.min(amount).0;
        }
        taken
    }
}

/// Sales of what was bought with money that had not settled.
#[derive(Clone, Debug)]
pub(crate) struct GoodFaith {
    /// When each violation was, and of which order.
    violations: Vec<(Ns, OrderId)>,
    /// Until when only settled money buys.
    restricted_until: Ns,
    /// Units of such that the fill being booked closes, and when the last of their money settles.
    sold: (i64, Ns),
}

impl Default for GoodFaith {
    fn default() -> Self {
        Self { violations: Vec::new(), restricted_until: Ns::MIN, sold: (0, Ns::MIN) }
    }
}

impl GoodFaith {
    /// A fill closes a part of a lot.
    pub(crate) fn closes(&mut self, part: &Lot, now: Ns) {
        if part.quantity > 0 && part.unpaid_until > now {
            self.sold = (self.sold.0.saturating_add(part.quantity), self.sold.1.max(part.unpaid_until));
        }
    }
}

impl Book {
    /// Cash that may not be spent, for it has not settled.
    ///
    /// It is nothing where unsettled money buys as well as any other.
    #[inline]
    pub(crate) fn withheld(&self, plan: &Plan, purse: &Purse, now: Ns) -> Cash {
        match &plan.settlement_terms {
            Some(terms) if terms.unsettled == UnsettledCash::Held || now < self.good_faith.restricted_until => {
                purse.parcels.at(now)
            }
            _ => Cash::ZERO,
        }
    }

    /// Cash that may be spent.
    #[inline]
    pub(crate) fn spendable(&self, plan: &Plan, purse: &Purse, now: Ns) -> Result<Cash> {
        if plan.settlement_terms.is_none() {
            return Ok(purse.cash());
        }
        purse.cash().minus(self.withheld(plan, purse, now), WHAT)
    }

    /// Book a fill that brings so much before its fee, convert what the account converts by itself, and note when what
    /// it has brought settles; the sentence for its order where it has sold what was not to be sold yet.
    pub(crate) fn trade<R: Recorder>(
        &mut self,
        plan: &Plan,
        exchange: &mut Exchange,
        (fill, brings): (&LedgerFill, Cash),
        recorder: &mut R,
    ) -> Result<Option<String>> {
        let (instrument, now) = (plan.instrument(fill.instrument), fill.ts);
        let (policy, cause) = (plan.account.lot_policy, (instrument.currency, Some(fill.instrument)));
        let Some(terms) = &plan.settlement_terms else {
            self.apply_fill(fill, instrument, policy, recorder)?;
            return exchange.after_posting(plan, self, cause, now, recorder).map(|()| None);
        };
        self.begin_settlement();
        self.apply_fill(fill, instrument, policy, recorder)?;
        let due = terms.due(&plan.calendars[instrument.calendar.index()], now);
        if due > now && !instrument.is_margined() {
            self.purse_mut(instrument.currency).parcels.bring((due, brings.minus(fill.fee, WHAT)?))?;
        }
        exchange.after_posting(plan, self, cause, now, recorder)?;
        if terms.unsettled != UnsettledCash::GoodFaith {
            return Ok(None);
        }
        if fill.quantity > 0 {
            self.mark_unpaid(policy, fill.instrument);
        }
        Ok(self.good_faith_violation(fill.order, instrument, now))
    }

    /// A fill begins: nothing is spent for it yet, and it has sold nothing.
    fn begin_settlement(&mut self) {
        self.good_faith.sold = (0, Ns::MIN);
        for purse in self.purses_mut() {
            purse.parcels.spent_until = None;
        }
    }

    /// What a purchase has opened was paid for with money that settles later: note until when.
    fn mark_unpaid(&mut self, policy: LotPolicy, id: InstrumentId) {
        let position = &self.positions[id.index()];
        let spent = |currency| self.purse(currency).parcels.spent_until;
        let Some(until) = spent(position.currency).max(spent(BASE)) else { return };
        if position.is_margined || position.quantity <= 0 {
            return;
        }
        let position = &mut self.positions[id.index()];
        let newest = match policy {
            LotPolicy::Average => position.lots.front_mut(),
            _ => position.lots.back_mut(),
        };
        if let Some(lot) = newest {
            lot.unpaid_until = lot.unpaid_until.max(until);
        }
    }

    /// Money that a conversion has paid with and that had not settled has not settled in the other currency either.
    pub(crate) fn carry_unsettled(
        &mut self,
        (before, from, paid): (Parcels, CurrencyId, Cash),
        (to, received): (CurrencyId, Cash),
        now: Ns,
    ) -> Result<()> {
        let taken = before.taken(&self.purse(from).parcels, now);
        if paid <= Cash::ZERO || received <= Cash::ZERO {
            return Ok(());
        }
        let target = self.purse_mut(to);
        for (due, amount) in taken {
            let part = mul_div_half_even(amount.0, received.0, paid.0);
            let part =
                part.ok_or_else(|| SimError::overflow("a conversion leaves the range of the ledger".to_owned()))?;
            target.parcels.bring((due, Cash(part)))?;
        }
        let cash = target.cash();
        target.parcels.follow(cash, now);
        Ok(())
    }

    /// The sentence for an order whose fill has sold what unsettled money has bought, if it has.
    fn good_faith_violation(&mut self, order: OrderId, instrument: &Instrument, now: Ns) -> Option<String> {
        let (sold, until) = self.good_faith.sold;
        if sold == 0 {
            return None;
        }
        let faith = &mut self.good_faith;
        // However many fills an order has.
        let is_new = faith.violations.iter().all(|(_, each)| *each != order);
        if is_new {
            faith.violations.push((now, order));
        }
        let counted = faith.violations.iter().filter(|(ts, _)| *ts > now.saturating_sub(COUNTED_FOR)).count();
        if is_new && counted >= TOO_MANY {
            faith.restricted_until = faith.restricted_until.max(now.saturating_add(RESTRICTED_FOR));
        }
        let settles = if until == NEVER { "never".to_owned() } else { render(until) };
        let restricts = if now < faith.restricted_until {
            format!(", only settled money buys until {}", render(faith.restricted_until))
        } else {
            String::new()
        };
        Some(format!(
            "sells {} {} bought with money that settles at {settles}: good-faith violation {counted} of {TOO_MANY} \
             within 12 months{restricts} ({})",
            instrument.scale.quantity_f64(sold),
            instrument.symbol,
            render(now)
        ))
    }
}
