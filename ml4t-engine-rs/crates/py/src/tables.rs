//! The rows of a run as Arrow tables, handed out through the Arrow C stream interface.

use std::sync::{Arc, OnceLock};

use arrow_array::builder::{
    Date32Builder, Decimal128Builder, Float64Builder, StringBuilder, TimestampNanosecondBuilder, UInt64Builder,
};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, RecordBatchIterator,
    StringArray, TimestampNanosecondArray, UInt16Array, UInt64Array,
};
use arrow_schema::{ArrowError, Field, Schema};
use ml4t_sim::ledger::RoundTrip;
use ml4t_sim::money::{Cash, Price, Qty};
use ml4t_sim::order::{Order, OrderType, Reason, TimeInForce};
use ml4t_sim::plan::{Action, ActionKind};
use ml4t_sim::recorder::{
    Contribution, ConversionRow, Fill, Keep, OrderEvent, Part, PortfolioRow, PositionRow, TableRecorder,
};
use ml4t_sim::rules::RuleKind;
use ml4t_sim::terms::{Amount, Trail};
use ml4t_sim::time::{NEVER, Ns};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::error::IntoPyResult;
use crate::events::{liquidity_name, phase_name};
use crate::handle::client_order_id;
use crate::shared::{Core, Shared};

/// Makes the rows of a table.
type Make = fn(&Shared, &Core, &TableRecorder) -> PyResult<RecordBatch>;

/// Every table with what makes it, and whether a run that keeps only its net asset values has it.
const TABLES: [(&str, Make, bool); 15] = [
    ("orders", orders, false),
    ("order_events", order_events, false),
    ("fills", fills, false),
    ("round_trips", round_trips, false),
    ("positions", positions, false),
    ("ledger", ledger, false),
    ("portfolio_history", portfolio_history, true),
    ("attribution", attribution, false),
    ("balances", balances, true),
    ("conversions", conversions, false),
    ("margin", margin, true),
    ("margin_calls", margin_calls, true),
    ("cash_flows", cash_flows, true),
    ("recorded", recorded, true),
    ("logs", logs, true),
];

/// One table of a run; polars, pyarrow and pandas read it through `__arrow_c_stream__`.
///
/// It is made when it is first read, of the rows that there are then.
#[pyclass(frozen, module = "ml4t.engine", name = "Table")]
pub(crate) struct Table {
    shared: Arc<Shared>,
    make: Make,
    made: OnceLock<RecordBatch>,
}

impl Table {
    fn batch(&self) -> PyResult<&RecordBatch> {
        if let Some(batch) = self.made.get() {
            return Ok(batch);
        }
        let core = self.shared.readable();
        let batch = (self.make)(&self.shared, &core, &core.run.recorder)?;
        Ok(self.made.get_or_init(|| batch))
    }
}

#[pymethods]
impl Table {
    /// The table as an Arrow C stream.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // The interface allows a producer to ignore the schema a consumer would like best.
        drop(requested_schema);
        let batch = self.batch()?;
        let batches: Vec<Result<RecordBatch, ArrowError>> = vec![Ok(batch.clone())];
        let reader = RecordBatchIterator::new(batches, batch.schema());
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), c"arrow_array_stream")
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.batch()?.num_rows())
    }
}

/// Collects named columns into a batch.
#[derive(Default)]
struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    fn add(&mut self, name: &str, array: ArrayRef, is_nullable: bool) {
        self.fields.push(Field::new(name, array.data_type().clone(), is_nullable));
        self.arrays.push(array);
    }

    fn times(&mut self, name: &str, values: impl Iterator<Item = Ns>) {
        let array = TimestampNanosecondArray::from_iter_values(values).with_timezone("UTC");
        self.add(name, Arc::new(array), false);
    }

    fn optional_times(&mut self, name: &str, values: impl Iterator<Item = Ns>) {
        let mut builder = TimestampNanosecondBuilder::new().with_timezone("UTC");
        for ts in values {
            builder.append_option((ts != NEVER).then_some(ts));
        }
        self.add(name, Arc::new(builder.finish()), true);
    }

    fn floats(&mut self, name: &str, values: impl Iterator<Item = f64>) {
        self.add(name, Arc::new(Float64Array::from_iter_values(values)), false);
    }

    fn optional_floats(&mut self, name: &str, values: impl Iterator<Item = Option<f64>>) {
        let mut builder = Float64Builder::new();
        for value in values {
            builder.append_option(value);
        }
        self.add(name, Arc::new(builder.finish()), true);
    }

    fn ids(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        self.add(name, Arc::new(UInt64Array::from_iter_values(values)), false);
    }

    fn optional_ids(&mut self, name: &str, values: impl Iterator<Item = Option<u64>>) {
        let mut builder = UInt64Builder::new();
        for value in values {
            builder.append_option(value);
        }
        self.add(name, Arc::new(builder.finish()), true);
    }

    fn books(&mut self, values: impl Iterator<Item = u16>) {
        self.add("book", Arc::new(UInt16Array::from_iter_values(values)), false);
    }

    fn texts<T: AsRef<str>>(&mut self, name: &str, values: impl Iterator<Item = T>) {
        self.add(name, Arc::new(StringArray::from_iter_values(values)), false);
    }

    fn dates(&mut self, name: &str, values: impl Iterator<Item = i32>) {
        self.add(name, Arc::new(Date32Array::from_iter_values(values)), false);
    }

    fn optional_dates(&mut self, name: &str, values: impl Iterator<Item = Option<i32>>) {
        let mut builder = Date32Builder::new();
        for value in values {
            builder.append_option(value);
        }
        self.add(name, Arc::new(builder.finish()), true);
    }

    /// Exact amounts, in units of 1e-18.
    fn money(&mut self, name: &str, values: impl Iterator<Item = Cash>) {
        let mut amounts = Decimal128Builder::new().with_data_type(arrow_schema::DataType::Decimal128(38, 18));
        values.for_each(|amount| amounts.append_value(amount.0));
        self.add(name, Arc::new(amounts.finish()), false);
    }

    fn optional_money(&mut self, name: &str, values: impl Iterator<Item = Option<Cash>>) {
        let mut amounts = Decimal128Builder::new().with_data_type(arrow_schema::DataType::Decimal128(38, 18));
        values.for_each(|amount| amounts.append_option(amount.map(|amount| amount.0)));
        self.add(name, Arc::new(amounts.finish()), true);
    }

    fn finish(self) -> PyResult<RecordBatch> {
        RecordBatch::try_new(Arc::new(Schema::new(self.fields)), self.arrays)
            .map_err(|e| PyRuntimeError::new_err(e.to_string()))
    }
}

/// All tables that the run keeps, by name.
pub(crate) fn all(shared: &Arc<Shared>, keep: Keep) -> impl Iterator<Item = (&'static str, Table)> {
    TABLES
        .into_iter()
        .filter(move |(_, _, is_of_nav)| keep == Keep::All || *is_of_nav)
        .map(|(name, make, _)| (name, Table { shared: Arc::clone(shared), make, made: OnceLock::new() }))
}

fn orders(shared: &Shared, core: &Core, _: &TableRecorder) -> PyResult<RecordBatch> {
    let state = &core.run.state;
    let rows = &state.orders;
    let scale = |o: &Order| &shared.plan.instrument(o.request.instrument).scale;
    let n = rows.len();
    let mut c = Columns::default();
    c.ids("order_id", 1..=n as u64);
    c.texts("client_order_id", ids_of(n).zip(rows.iter()).map(|(id, o)| client_order_id(o.request.book, id)));
    c.books(rows.iter().map(|o| o.request.book.0));
    c.texts("symbol", rows.iter().map(|o| shared.plan.instrument(o.request.instrument).symbol.as_str()));
    c.texts("side", rows.iter().map(|o| o.request.side.as_str()));
    c.texts("order_type", rows.iter().map(|o| o.request.order_type.as_str()));
    c.texts("time_in_force", rows.iter().map(|o| o.request.time_in_force.as_str()));
    let asked = || ids_of(n).map(|id| state.asked(&shared.plan, id));
    let present = |x: f64| Some(x).filter(|x| !x.is_nan());
    c.floats("quantity", asked().map(|asked| asked.quantity));
    c.optional_floats("limit_price", asked().map(|asked| present(asked.limit_price)));
    c.optional_floats("stop_price", asked().map(|asked| present(asked.stop_price)));
    let amounts = |pick: fn(&Trail) -> Option<Amount>| {
        rows.iter().map(move |o| o.request.trail.as_ref().and_then(pick).map(|a| scale(&o).amount_f64(a)))
    };
    c.optional_floats("trail_amount", amounts(Trail::amount));
    c.optional_floats("trail_fraction", rows.iter().map(|o| o.request.trail.and_then(|t| t.fraction())));
    c.optional_floats("limit_offset", amounts(|t| t.limit_offset));
    let activation = |o: &Order| o.request.trail.and_then(|t| t.activation).map(|p| scale(o).price_f64(p));
    c.optional_floats("activation_price", rows.iter().map(|o| activation(&o)));
    let displayed = |o: &Order| o.request.display_quantity.map(|q| scale(o).quantity_f64(q));
    c.optional_floats("display_quantity", rows.iter().map(|o| displayed(&o)));
    c.texts("instructions", rows.iter().map(|o| o.request.instructions.names()));
    c.optional_ids("parent_order_id", ids_of(n).map(|id| state.parent_of(id).map(|parent| parent.0 + 1)));
    let worked = |o: &Order| (o.request.worked != 0).then(|| u64::from(o.request.worked));
    c.optional_ids("worked_order_id", rows.iter().map(|o| worked(&o)));
    c.texts("group", ids_of(n).map(|id| state.group_name(id)));
    c.texts("status", rows.iter().map(|o| o.status.as_str()));
    c.floats("filled_quantity", rows.iter().map(|o| scale(&o).quantity_f64(o.filled)));
    let average = |o: &Order| present(scale(o).average_price(o.filled_notional, Qty(o.filled)));
    c.optional_floats("avg_fill_price", rows.iter().map(|o| average(&o)));
    c.times("ts_submitted", rows.iter().map(|o| o.ts_submitted));
    c.optional_times("ts_accepted", rows.iter().map(|o| o.ts_accepted));
    let expires =
        |o: &Order| if o.request.time_in_force == TimeInForce::Gtd { o.request.expires_at } else { o.ts_expiry };
    c.optional_times("ts_expires", rows.iter().map(|o| expires(&o)));
    c.optional_times("ts_closed", rows.iter().map(|o| o.ts_closed));
    c.texts("reason_code", rows.iter().map(|o| o.reason.code()));
    c.texts("reason", rows.iter().map(|o| state.sentence(o.reason, o.text)));
    c.texts("tag", rows.iter().map(|o| core.tag(&o)));
    c.finish()
}

fn ids_of(n: usize) -> impl Iterator<Item = ml4t_sim::ids::OrderId> {
    (0..n as u64).map(ml4t_sim::ids::OrderId)
}

fn order_events(shared: &Shared, core: &Core, tables: &TableRecorder) -> PyResult<RecordBatch> {
    let rows = || tables.order_events();
    let filled = |event: OrderEvent| {
        let order = core.run.state.order(event.order);
        shared.plan.instrument(order.request.instrument).scale.quantity_f64(event.filled)
    };
    let mut c = Columns::default();
    c.ids("sequence", 1..=tables.order_event_count() as u64);
    c.times("ts_event", rows().map(|e| e.ts));
    c.ids("order_id", rows().map(|e| e.order.0 + 1));
    c.texts("status_from", rows().map(|e| e.from.as_str()));
    c.texts("status", rows().map(|e| e.to.as_str()));
    c.texts("reason_code", rows().map(|e| e.reason.code()));
    c.texts("reason", rows().map(|e| core.run.state.sentence(e.reason, e.text)));
    c.floats("filled_quantity", rows().map(filled));
    c.finish()
}

fn fills(shared: &Shared, _: &Core, tables: &TableRecorder) -> PyResult<RecordBatch> {
    let rows = || tables.fills();
    let instrument = |f: &Fill| shared.plan.instrument(f.instrument);
    let mut c = Columns::default();
    c.ids("fill_id", rows().map(|f| f.number + 1));
    c.ids("order_id", rows().map(|f| f.order.0 + 1));
    c.books(rows().map(|f| f.book.0));
    c.times("ts_event", rows().map(|f| f.ts));
    c.texts("symbol", rows().map(|f| instrument(&f).symbol.as_str()));
    c.texts("side", rows().map(|f| f.side.as_str()));
    c.floats("quantity", rows().map(|f| instrument(&f).scale.quantity_f64(f.quantity)));
    for (name, pick) in [
        ("price", (|f| f.price) as fn(&Fill) -> Price),
        ("reference_price", |f| f.reference),
        ("spread", |f| f.spread),
        ("slippage", |f| f.slippage),
        ("impact", |f| f.impact),
        ("permanent_impact", |f| f.permanent_impact),
    ] {
        c.floats(name, rows().map(|f| instrument(&f).scale.price_f64(pick(&f))));
    }
    c.floats("fee", rows().map(|f| f.fee.to_f64()));
    c.floats("notional", rows().map(|f| f.notional.to_f64()));
    c.texts("currency", rows().map(|f| shared.plan.currencies.name(instrument(&f).currency)));
    c.texts("liquidity", rows().map(|f| liquidity_name(f.liquidity)));
    c.texts("phase", rows().map(|f| phase_name(f.phase)));
    c.floats("fx_rate", rows().map(|f| f.fx_rate.to_f64()));
    c.finish()
}

fn round_trips(shared: &Shared, core: &Core, tables: &TableRecorder) -> PyResult<RecordBatch> {
    let rows = || tables.round_trips();
    let instrument = |r: &RoundTrip| shared.plan.instrument(r.instrument);
    let gross = |r: &RoundTrip| Cash(r.exit_value.0 - r.entry_cost.0);
    let net = |r: &RoundTrip| Cash(gross(r).0 - r.fees.0);
    let price = |r: &RoundTrip, value: Cash| instrument(r).scale.average_price(value, Qty(r.quantity));
    let mut c = Columns::default();
    c.texts("symbol", rows().map(|r| instrument(&r).symbol.as_str()));
    c.books(rows().map(|r| r.book.0));
    c.texts("direction", rows().map(|r| if r.quantity > 0 { "long" } else { "short" }));
    c.floats("quantity", rows().map(|r| instrument(&r).scale.quantity_f64(r.quantity.abs())));
    c.times("ts_entry", rows().map(|r| r.ts_entry));
    c.times("ts_exit", rows().map(|r| r.ts_exit));
    c.floats("entry_price", rows().map(|r| price(&r, r.entry_cost)));
    c.floats("exit_price", rows().map(|r| price(&r, r.exit_value)));
    c.floats("gross_pnl", rows().map(|r| gross(&r).to_f64()));
    c.floats("fees", rows().map(|r| r.fees.to_f64()));
    c.floats("net_pnl", rows().map(|r| net(&r).to_f64()));
    c.floats("slippage_cost", rows().map(|r| r.slippage.to_f64()));
    c.floats("return", rows().map(|r| net(&r).to_f64() / r.entry_cost.to_f64().abs()));
    c.add("duration_ns", Arc::new(Int64Array::from_iter_values(rows().map(|r| r.ts_exit - r.ts_entry))), false);
    c.ids("entry_order_id", rows().map(|r| r.entry_order.0 + 1));
    c.optional_ids("exit_order_id", rows().map(|r| r.exit.map(|(order, _)| order.0 + 1)));
    c.texts("exit_reason", rows().map(|r| exit_reason(shared, core, &r)));
    let excursions = tables.excursions();
    c.floats("mae", excursions.iter().map(|found| found.0.to_f64()));
    c.floats("mfe", excursions.iter().map(|found| found.1.to_f64()));
    c.texts("currency", rows().map(|r| shared.plan.currencies.name(instrument(&r).currency)));
    c.floats("fx_rate", rows().map(|r| r.fx_rate.to_f64()));
    c.finish()
}

/// What closed a round trip: a rule, a margin call, another order by its type, or what happened to the instrument.
fn exit_reason(shared: &Shared, core: &Core, trip: &RoundTrip) -> &'static str {
    let Some((order, _)) = trip.exit else {
        let is_own = |action: &&Action| action.instrument == trip.instrument && action.ts == trip.ts_exit;
        let ends = shared.plan.actions.iter().filter(is_own).find_map(|action| match action.kind {
            ActionKind::CashOut(_) => Some("delisting"),
            ActionKind::Expiry(_) => Some("expiry"),
            _ => None,
        });
        return ends.unwrap_or("delivery");
    };
    let order = core.run.state.order(order);
    match order.rule {
        Some(RuleKind::Liquidation) if order.request.order_type == OrderType::Market => "margin_call",
        Some(rule) => rule.as_str(),
        None => order.request.order_type.as_str(),
    }
}

fn positions(shared: &Shared, _: &Core, tables: &TableRecorder) -> PyResult<RecordBatch> {
    let rows = || tables.positions();
    let instrument = |r: &PositionRow| shared.plan.instrument(r.instrument);
    let mut c = Columns::default();
    c.times("ts_event", rows().map(|r| r.ts));
    c.dates("session", rows().map(|r| r.session));
    c.books(rows().map(|r| r.book.0));
    c.texts("symbol", rows().map(|r| instrument(&r).symbol.as_str()));
    c.floats("quantity", rows().map(|r| instrument(&r).scale.quantity_f64(r.quantity)));
    c.floats("avg_price", rows().map(|r| instrument(&r).scale.average_price(r.cost, Qty(r.quantity))));
    c.floats("mark_price", rows().map(|r| instrument(&r).scale.price_f64(r.mark)));
    c.floats("market_value", rows().map(|r| r.value.to_f64()));
    c.floats("unrealized_pnl", rows().map(|r| Cash(r.value.0 - r.cost.0 - r.settled.0).to_f64()));
    c.finish()
}

fn ledger(shared: &Shared, _: &Core, tables: &TableRecorder) -> PyResult<RecordBatch> {
    let rows = || tables.ledger();
    let mut c = Columns::default();
    c.ids("posting_id", 1..=rows().len() as u64);
    c.times("ts_event", rows().map(|p| p.ts));
    c.books(rows().map(|p| p.book.0));
    c.texts("kind", rows().map(|p| p.kind.as_str()));
    c.texts("debit", rows().map(|p| p.debit.as_str()));
    c.texts("credit", rows().map(|p| p.credit.as_str()));
    let mut symbols = StringBuilder::new();
    for row in rows() {
        symbols.append_option(row.instrument.map(|id| shared.plan.instrument(id).symbol.as_str()));
    }
    c.add("symbol", Arc::new(symbols.finish()), true);
    c.texts("currency", rows().map(|p| shared.plan.currencies.name(p.currency)));
    c.money("amount", rows().map(|p| p.amount));
    c.optional_ids("order_id", rows().map(|p| p.fill.map(|(order, _)| order.0 + 1)));
    c.optional_ids("fill_id", rows().map(|p| p.fill.map(|(_, number)| number + 1)));
    c.finish()
}

fn portfolio_history(_: &Shared, _: &Core, tables: &TableRecorder) -> PyResult<RecordBatch> {
    let rows = || tables.portfolio();
    let money = |pick: fn(&PortfolioRow) -> i128| rows().map(move |r| Cash(pick(&r)).to_f64());
    let mut c = Columns::default();
    c.times("ts_event", rows().map(|r| r.ts));
    c.optional_dates("session", rows().map(|r| r.session));
    c.add("is_nav", Arc::new(rows().map(|r| Some(r.session.is_some())).collect::<BooleanArray>()), false);
    c.floats("cash", money(|r| r.cash.0));
    c.floats("receivable", money(|r| r.receivable.0));
    c.floats("long_value", money(|r| r.long_value.0));
    c.floats("short_value", money(|r| r.short_value.0));
    c.floats("open_pnl", money(|r| r.open_pnl.0));
    c.floats("equity", money(|r| r.equity.0));
    c.floats("realized_pnl", money(|r| r.realized.0));
    c.floats("unrealized_pnl", money(|r| r.long_value.0 + r.short_value.0 - r.cost.0 + r.open_pnl.0));
    c.floats("fees", money(|r| r.fees.0));
    c.floats("dividends", money(|r| r.dividends.0));
    c.floats("carry", money(|r| r.carry.0));
    c.floats("fx_pnl", money(|r| r.fx.0));
    c.floats("fx_costs", money(|r| r.fx_costs.0));
    let gross = |r: &PortfolioRow| r.long_value.0 - r.short_value.0 + r.margined_long.0 - r.margined_short.0;
    let net = |r: &PortfolioRow| r.long_value.0 + r.short_value.0 + r.margined_long.0 + r.margined_short.0;
    c.floats("gross_exposure", money(gross));
    c.floats("net_exposure", money(net));
    let leverage = rows().map(|r| Cash(gross(&r)).to_f64() / r.equity.to_f64());
    c.floats("leverage", leverage);
    c.finish()
}

fn attribution(shared: &Shared, _: &Core, tables: &TableRecorder) -> PyResult<RecordBatch> {
    let rows = Python::attach(|py| tables.attribution().into_py(py))?;
    let mut c = Columns::default();
    c.times("ts_event", rows.iter().map(|r| r.ts));
    c.dates("session", rows.iter().map(|r| r.session));
    c.books(rows.iter().map(|r| r.book.0));
    let symbol = |r: &Contribution| r.instrument.map(|id| shared.plan.instrument(id).symbol.as_str());
    c.add("symbol", Arc::new(rows.iter().map(symbol).collect::<StringArray>()), true);
    for part in Part::ALL {
        c.money(part.as_str(), rows.iter().map(|r| r.parts[part as usize]));
    }
    c.money("total", rows.iter().map(Contribution::total));
    c.finish()
}

fn balances(shared: &Shared, _: &Core, tables: &TableRecorder) -> PyResult<RecordBatch> {
    let rows = tables.balances();
    let mut c = Columns::default();
    c.times("ts_event", rows.iter().map(|r| r.ts));
    c.optional_dates("session", rows.iter().map(|r| r.session));
    c.books(rows.iter().map(|r| r.book.0));
    c.texts("currency", rows.iter().map(|r| shared.plan.currencies.name(r.currency)));
    c.money("cash", rows.iter().map(|r| r.cash));
    c.money("receivable", rows.iter().map(|r| r.receivable));
    c.money("long_value", rows.iter().map(|r| r.long_value));
    c.money("short_value", rows.iter().map(|r| r.short_value));
    c.money("open_pnl", rows.iter().map(|r| r.open_pnl));
    c.floats("fx_rate", rows.iter().map(|r| r.rate.map_or(f64::NAN, |rate| rate.of_one().to_f64())));
    c.money("value", rows.iter().map(|r| r.value));
    c.finish()
}

fn conversions(shared: &Shared, core: &Core, tables: &TableRecorder) -> PyResult<RecordBatch> {
    let rows = tables.conversions();
    let mut c = Columns::default();
    c.optional_ids("conversion_id", rows.iter().map(|r| r.id));
    c.times("ts_submitted", rows.iter().map(|r| r.ts_submitted));
    c.times("ts_event", rows.iter().map(|r| r.ts));
    c.books(rows.iter().map(|r| r.book.0));
    c.texts("currency", rows.iter().map(|r| shared.plan.currencies.name(r.currency)));
    c.money("amount", rows.iter().map(|r| r.amount));
    c.optional_money("value", rows.iter().map(|r| r.done.map(|(value, _)| value)));
    c.optional_money("cost", rows.iter().map(|r| r.done.map(|(_, cost)| cost)));
    let symbol = |r: &ConversionRow| r.instrument.map(|id| shared.plan.instrument(id).symbol.as_str());
    c.add("symbol", Arc::new(rows.iter().map(symbol).collect::<StringArray>()), true);
    c.texts("cause", rows.iter().map(|r| if r.id.is_some() { "asked" } else { "automatic" }));
    c.texts("status", rows.iter().map(|r| r.status.as_str()));
    c.texts("reason", rows.iter().map(|r| core.run.state.sentence(Reason::None, r.text)));
    c.finish()
}

fn cash_flows(shared: &Shared, _: &Core, tables: &TableRecorder) -> PyResult<RecordBatch> {
    let rows = || tables.flows();
    let mut c = Columns::default();
    c.times("ts_event", rows().map(|r| r.ts));
    c.books(rows().map(|r| r.book.0));
    c.texts("currency", rows().map(|r| shared.plan.currencies.name(r.currency)));
    c.money("amount", rows().map(|r| r.amount));
    c.money("value", rows().map(|r| r.value));
    c.money("equity", rows().map(|r| r.equity));
    c.finish()
}

fn margin(_: &Shared, _: &Core, tables: &TableRecorder) -> PyResult<RecordBatch> {
    let rows = || tables.margins().iter();
    let mut c = Columns::default();
    c.times("ts_event", rows().map(|r| r.ts));
    c.dates("session", rows().map(|r| r.session));
    c.books(rows().map(|r| r.book.0));
    c.money("equity", rows().map(|r| r.equity));
    c.money("initial", rows().map(|r| r.initial));
    c.money("maintenance", rows().map(|r| r.maintenance));
    c.optional_money("overnight", rows().map(|r| r.overnight));
    c.money("excess", rows().map(|r| r.excess));
    c.optional_money("sma", rows().map(|r| r.sma));
    c.finish()
}

fn margin_calls(_: &Shared, _: &Core, tables: &TableRecorder) -> PyResult<RecordBatch> {
    let rows = || tables.margin_calls().iter();
    let mut c = Columns::default();
    c.times("ts_event", rows().map(|r| r.ts));
    c.books(rows().map(|r| r.book.0));
    c.texts("kind", rows().map(|r| r.kind.as_str()));
    c.texts("status", rows().map(|r| r.status.as_str()));
    c.money("equity", rows().map(|r| r.equity));
    c.money("requirement", rows().map(|r| r.requirement));
    c.money("amount", rows().map(|r| r.amount));
    c.optional_times("ts_deadline", rows().map(|r| r.deadline.unwrap_or(NEVER)));
    c.finish()
}

fn recorded(_: &Shared, core: &Core, _: &TableRecorder) -> PyResult<RecordBatch> {
    let mut c = Columns::default();
    c.times("ts_event", core.recorded.iter().map(|r| r.0));
    c.texts("name", core.recorded.iter().map(|r| core.record_names[r.1 as usize].as_str()));
    c.floats("value", core.recorded.iter().map(|r| r.2));
    c.finish()
}

fn logs(_: &Shared, core: &Core, _: &TableRecorder) -> PyResult<RecordBatch> {
    let mut c = Columns::default();
    c.times("ts_event", core.logs.iter().map(|r| r.0));
    c.texts("level", core.logs.iter().map(|r| r.1.as_str()));
    c.texts("message", core.logs.iter().map(|r| r.2.as_str()));
    c.finish()
}
