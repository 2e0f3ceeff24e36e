//! What a run left behind, as text with exact numbers.

use ml4t_abi::{Liquidity, Phase};
use ml4t_sim::ids::{BookId, InstrumentId, OrderId};
use ml4t_sim::ledger::{Account, Book};
use ml4t_sim::money::{CASH_EXPONENT, Cash, Price};
use ml4t_sim::order::OrderStatus;
use ml4t_sim::recorder::{Fill, TableRecorder};
use ml4t_sim::time::Ns;

use super::{DAY, HOUR, MINUTE, SECOND, Script, TestRun};

/// A finished run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) run: TestRun,
    pub(crate) script: Script,
}

/// `d1 09:30`, with seconds and nanoseconds where there are any.
pub(crate) fn when(ts: Ns) -> String {
    let (day, rest) = (ts.div_euclid(DAY), ts.rem_euclid(DAY));
    let text = format!("d{day} {:02}:{:02}", rest / HOUR, rest / MINUTE % 60);
    match (rest / SECOND % 60, rest % SECOND) {
        (0, 0) => text,
        (seconds, 0) => format!("{text}:{seconds:02}"),
        (seconds, nanos) => format!("{text}:{seconds:02}.{nanos:09}"),
    }
}

/// `mantissa x 10^-exponent` without trailing zeros.
pub(crate) fn decimal(mantissa: i128, exponent: u32) -> String {
    let unit = 10_u128.pow(exponent);
    let size = mantissa.unsigned_abs();
    let sign = if mantissa < 0 { "-" } else { "" };
    let whole = format!("{sign}{}", size / unit);
    if size.is_multiple_of(unit) {
        return whole;
    }
    let fraction = format!("{:0width$}", size % unit, width = exponent as usize);
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// Exact text of an amount of money.
pub(crate) fn cash_text(cash: Cash) -> String {
    decimal(cash.0, CASH_EXPONENT)
}

const fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::OPEN => "open",
        Phase::RANGE => "range",
        Phase::CLOSE => "close",
        Phase::QUOTE => "quote",
        Phase::TRADE => "trade",
        Phase(_) => "?",
    }
}

impl Outcome {
    pub(crate) fn new(run: TestRun, script: Script) -> Self {
        Self { run, script }
    }

    /// All rows of all tables and the calls of the strategy, for comparison.
    pub(crate) fn tables(&self) -> String {
        format!("{:?} {:?} {:?}", self.run.recorder, self.script.called, self.script.probed)
    }

    pub(crate) const fn recorder(&self) -> &TableRecorder {
        &self.run.recorder
    }

    pub(crate) fn symbol(&self, id: InstrumentId) -> &str {
        &self.run.plan().instrument(id).symbol
    }

    fn index(&self, symbol: &str) -> usize {
        let found = self.run.plan().instruments.iter().position(|x| x.symbol == symbol);
        assert!(found.is_some(), "no instrument {symbol}");
        found.unwrap_or(0)
    }

    fn price(&self, id: InstrumentId, price: Price) -> String {
        decimal(i128::from(price.0), self.run.plan().instrument(id).scale.price_exponent)
    }

    fn quantity(&self, id: InstrumentId, quantity: i64) -> String {
        decimal(i128::from(quantity), self.run.plan().instrument(id).scale.quantity_exponent)
    }

    fn fill_text(&self, fill: &Fill) -> String {
        format!(
            "{} #{} {} {} {} @ {} {}",
            when(fill.ts),
            fill.order.0 + 1,
            self.symbol(fill.instrument),
            fill.side.as_str(),
            self.quantity(fill.instrument, fill.quantity),
            self.price(fill.instrument, fill.price),
            phase_text(fill.phase)
        )
    }

    /// `d1 10:31 #1 AAA buy 10 @ 100.32 open`, in the sequence of the fills.
    pub(crate) fn fills(&self) -> Vec<String> {
        self.recorder().fills().map(|f| self.fill_text(&f)).collect()
    }

    /// `#1 taker reference 100 spread 0 slippage 0.02 impact 0 fee 1 notional 1000.2` of each fill.
    pub(crate) fn costs(&self) -> Vec<String> {
        let text = |f: Fill| {
            let side = if f.liquidity == Liquidity::MAKER { "maker" } else { "taker" };
            let price = |p: Price| self.price(f.instrument, p);
            let [reference, spread, slippage, impact] =
                [price(f.reference), price(f.spread), price(f.slippage), price(f.impact)];
            let (fee, notional) = (cash_text(f.fee), cash_text(f.notional));
            format!(
                "#{} {side} reference {reference} spread {spread} slippage {slippage} impact {impact} fee {fee} \
                 notional {notional}",
                f.order.0 + 1
            )
        };
        self.recorder().fills().map(text).collect()
    }

    /// `#1 maker` of each fill.
    pub(crate) fn liquidity(&self) -> Vec<String> {
        self.costs().iter().map(|c| c.split(" reference").next().unwrap_or("").to_owned()).collect()
    }

    /// The states that order `number` went through: `d1 10:31 accepted`, with the reason's code where there is one.
    pub(crate) fn life(&self, number: u64) -> Vec<String> {
        let rows = self.recorder().order_events().filter(|e| e.order == OrderId(number - 1));
        rows.map(|e| format!("{} {} {}", when(e.ts), e.to.as_str(), e.reason.code()).trim_end().to_owned()).collect()
    }

    /// The last of [`Outcome::life`].
    pub(crate) fn end_of(&self, number: u64) -> String {
        self.life(number).pop().unwrap_or_default()
    }

    pub(crate) fn status(&self, number: u64) -> OrderStatus {
        self.run.state.order(OrderId(number - 1)).status
    }

    /// The recorded sentence behind the state of order `number`.
    pub(crate) fn reason(&self, number: u64) -> String {
        let order = self.run.state.order(OrderId(number - 1));
        self.run.state.sentence(order.reason, order.text).to_owned()
    }

    /// `d1 10:31 trade inventory <- cash 1000 AAA` of each posting.
    pub(crate) fn postings(&self) -> Vec<String> {
        let rows = self.recorder().ledger().map(|p| {
            let (debit, credit) = (p.debit.as_str(), p.credit.as_str());
            let symbol = p.instrument.map_or("", |id| self.symbol(id));
            let text =
                format!("{} {} {debit} <- {credit} {} {symbol}", when(p.ts), p.kind.as_str(), cash_text(p.amount));
            text.trim_end().to_owned()
        });
        rows.collect()
    }

    pub(crate) fn book(&self, book: u16) -> &Book {
        self.run.state.book(BookId(book))
    }

    /// Cash of the first book.
    pub(crate) fn cash(&self) -> String {
        cash_text(self.book(0).cash())
    }

    /// Balance of an account of the first book, positive where money came in.
    pub(crate) fn balance(&self, account: Account) -> String {
        cash_text(self.book(0).balance(account))
    }

    /// Gains of closed lots of the first book, before fees.
    pub(crate) fn realized(&self) -> String {
        cash_text(Cash(-self.book(0).balance(Account::RealizedPnl).0))
    }

    /// `10 costing 1000 marked 101`, or `flat`.
    pub(crate) fn position(&self, symbol: &str) -> String {
        self.position_in(0, symbol)
    }

    /// As [`Outcome::position`], of another book.
    pub(crate) fn position_in(&self, book: u16, symbol: &str) -> String {
        let i = self.index(symbol);
        let position = &self.book(book).positions[i];
        if position.quantity == 0 {
            return "flat".to_owned();
        }
        let id = InstrumentId(u32::try_from(i).unwrap_or(u32::MAX));
        let mark = position.mark.map_or_else(String::new, |m| self.price(id, m));
        format!("{} costing {} marked {mark}", self.quantity(id, position.quantity), cash_text(position.cost))
    }

    /// `5 costing 500` of each lot, oldest first.
    pub(crate) fn lots(&self, symbol: &str) -> Vec<String> {
        let i = self.index(symbol);
        let id = InstrumentId(u32::try_from(i).unwrap_or(u32::MAX));
        let lots = self.book(0).positions[i].lots.iter();
        lots.map(|l| format!("{} costing {}", self.quantity(id, l.quantity), cash_text(l.cost))).collect()
    }

    /// `AAA 10 in 1000 out 1100 fees 2 slippage 0` of each round trip.
    pub(crate) fn round_trips(&self) -> Vec<String> {
        let rows = self.recorder().round_trips().map(|r| {
            format!(
                "{} {} in {} out {} fees {} slippage {}",
                self.symbol(r.instrument),
                self.quantity(r.instrument, r.quantity),
                cash_text(r.entry_cost),
                cash_text(r.exit_value),
                cash_text(r.fees),
                cash_text(r.slippage)
            )
        });
        rows.collect()
    }

    /// `d1 16:00 nav 10100` or `d1 10:31 10050`: equity of each portfolio row.
    pub(crate) fn equity(&self) -> Vec<String> {
        let rows = self.recorder().portfolio().map(|p| {
            let nav = if p.session.is_some() { " nav" } else { "" };
            format!("{}{nav} {}", when(p.ts), decimal(p.equity.0, CASH_EXPONENT))
        });
        rows.collect()
    }

    /// The rows of [`Outcome::equity`] that are a session's net asset value.
    pub(crate) fn navs(&self) -> Vec<String> {
        self.equity().into_iter().filter(|row| row.contains(" nav ")).collect()
    }

    /// What the probes read.
    pub(crate) fn probed(&self) -> &[String] {
        &self.script.probed
    }

    /// When the strategy was called in phase 8.
    pub(crate) fn called(&self) -> Vec<String> {
        self.script.called.iter().map(|&ts| when(ts)).collect()
    }
}
