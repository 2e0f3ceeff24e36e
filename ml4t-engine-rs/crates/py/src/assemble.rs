//! From the Python description of a run to a [`Plan`].
//!
//! `ml4t.engine.compile` writes the description and knows its keys; every value is checked again here.

use std::sync::Arc;

use arrow_array::StringViewArray;
use ml4t_abi::Kind;
use ml4t_sim::carry::{BorrowRate, CarryModels, FundingRate, Rates};
use ml4t_sim::currency::{Currencies, FxRow};
use ml4t_sim::error::SimError;
use ml4t_sim::flows::CashFlow;
use ml4t_sim::foreign::ForeignTable;
use ml4t_sim::ids::{CalendarId, CurrencyId, FeedId, InstrumentId};
use ml4t_sim::instrument::Instrument;
use ml4t_sim::latency::{Delay, Latency};
use ml4t_sim::liquidation_price::AtPrice;
use ml4t_sim::margin::{MarginRate, MarginTerms};
use ml4t_sim::models::{LatencyModel, Models, SlippageModel, builtin_fee, builtin_fill, builtin_fx, builtin_slippage};
use ml4t_sim::money::{Cash, Decimal, Ratio, Scale};
use ml4t_sim::plan::{
    AccountSettings, Action, ActionKind, Column, Feed, FeedColumns, FeedKind, Plan, RecordCadence, Shares, Signals,
};
use ml4t_sim::policies::{
    BarPath, BuyingPower, Conversion, FillOrder, FillTiming, InsufficientCash, LimitGap, LimitSlippage, LimitTouch,
    LotPolicy, LotRounding, OrderInsideBar, Policies, PrintFills, QueuePosition, QuoteFill, SameBarExit, Settlement,
    StopGap, TargetOrders, TargetRounding, TickRounding, TrailBasis, UnsettledCash, ZeroVolume,
};
use ml4t_sim::roll::{Roll, RollAt};
use ml4t_sim::settlement::SettlementPrice;
use ml4t_sim::time::Sessions;
use ml4t_sim::unsettled::SettlementTerms;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::convert::{float64, int32, int64, record_batch, texts, uint32};
use crate::error::{IntoPyResult, to_py};
use crate::models::{
    Raised, params, python_borrow, python_fee, python_fill, python_funding, python_fx, python_impact, python_interest,
    python_latency, python_slippage, table,
};
use crate::portfolio_models::{python_liquidation, python_margin};

type Dict<'py> = Bound<'py, PyDict>;

pub(crate) fn get<'py>(dict: &Dict<'py>, key: &str) -> PyResult<Bound<'py, PyAny>> {
    dict.get_item(key)?
        .ok_or_else(|| to_py(dict.py(), &SimError::internal(format!("the description of the run lacks {key}"))))
}

pub(crate) fn take<'py, T: FromPyObjectOwned<'py>>(dict: &Dict<'py>, key: &str) -> PyResult<T> {
    get(dict, key)?.extract::<T>().map_err(Into::into)
}

fn number_of(py: Python<'_>, key: &str, text: &str) -> PyResult<Decimal> {
    Decimal::parse(text)
        .ok_or_else(|| to_py(py, &SimError::config(format!("{key} = {text:?} is not a decimal number"))))
}

fn cash_of(py: Python<'_>, key: &str, text: &str) -> PyResult<Cash> {
    let decimal = number_of(py, key, text)?;
    Cash::from_decimal(decimal)
        .ok_or_else(|| to_py(py, &SimError::config(format!("{key} has more than 18 decimals or is too large"))))
}

pub(crate) fn number(dict: &Dict<'_>, key: &str) -> PyResult<Decimal> {
    number_of(dict.py(), key, &take::<String>(dict, key)?)
}

fn money(dict: &Dict<'_>, key: &str) -> PyResult<Cash> {
    cash_of(dict.py(), key, &take::<String>(dict, key)?)
}

fn each<'py>(dict: &Dict<'py>, key: &str) -> PyResult<Vec<Dict<'py>>> {
    let list = get(dict, key)?.cast_into::<PyList>()?;
    list.iter().map(|item| item.cast_into::<PyDict>().map_err(Into::into)).collect()
}

/// The plan, and the bar interval of each feed.
pub(crate) fn plan(spec: &Dict<'_>, raised: &Raised) -> PyResult<(Arc<Plan>, Vec<Option<i64>>)> {
    let py = spec.py();
    let currencies = currencies(spec)?;
    let read = |description| instrument(description, &currencies);
    let instruments = each(spec, "instruments")?.iter().map(read).collect::<PyResult<Vec<_>>>()?;
    let mut feeds = Vec::new();
    let mut intervals = Vec::new();
    let calendars = each(spec, "calendars")?.iter().map(sessions).collect::<PyResult<Vec<_>>>()?;
    let kept = spec.get_item("kept")?.and_then(|found| found.cast_into::<PyDict>().ok());
    for description in each(spec, "feeds")? {
        feeds.push(feed(&description, (&instruments, &calendars), kept.as_ref())?);
        intervals.push(take(&description, "interval_ns")?);
    }
    let signals = get(spec, "signals")?;
    let account = get(spec, "account")?.cast_into::<PyDict>()?;
    let record_ns: Option<i64> = take(spec, "record_ns")?;
    let plan = Plan {
        feeds,
        signals: if signals.is_none() {
            None
        } else {
            Some(read_signals(&signals.cast_into::<PyDict>()?, &instruments)?)
        },
        actions: actions(&get(spec, "actions")?)?,
        rates: rates(spec)?,
        calendars,
        nav_calendar: CalendarId(take(spec, "nav_calendar")?),
        margin_rates: margin_rates(spec)?,
        margin: margin_terms(spec)?,
        settlements: settlements(spec, &instruments)?,
        rolls: rolls(spec)?,
        flows: flows(spec, &currencies)?,
        opening: opening(&account, &currencies)?,
        policies: policies(&get(spec, "policies")?.cast_into::<PyDict>()?)?,
        account: account_settings(&account)?,
        settlement_terms: settlement_terms(&account)?,
        models: models(spec, &currencies, raised)?,
        currencies: Arc::new(currencies),
        books: 1,
        seed: take(spec, "seed")?,
        record: match record_ns {
            None => RecordCadence::Session,
            Some(ns) if ns <= 0 => RecordCadence::Step,
            Some(ns) => RecordCadence::Every(ns),
        },
        warm_from: take(spec, "warm_from_ns")?,
        instruments,
    };
    plan.validate().into_py(py)?;
    Ok((Arc::new(plan), intervals))
}

/// A feed whose rows were checked and listed, for the other runs over the same data.
#[pyclass(frozen, module = "ml4t.engine")]
struct CheckedFeed(Feed);

/// A feed of the description, from what an earlier run over the same data kept where there was one.
fn feed(
    description: &Dict<'_>,
    (instruments, calendars): (&[Instrument], &[Sessions]),
    kept: Option<&Dict<'_>>,
) -> PyResult<Feed> {
    let py = description.py();
    let name = get(description, "name")?;
    if let Some(found) = kept.map(|kept| kept.get_item(&name)).transpose()?.flatten() {
        return Ok(found.cast::<CheckedFeed>()?.get().0.clone());
    }
    let feed = Feed::new(feed_columns(description)?, instruments).into_py(py)?.with_breaks(instruments, calendars);
    if let Some(kept) = kept {
        kept.set_item(name, Py::new(py, CheckedFeed(feed.clone()))?)?;
    }
    Ok(feed)
}

/// The currencies of the run and their rates.
fn currencies(spec: &Dict<'_>) -> PyResult<Currencies> {
    let rows = fx_rates(&get(spec, "fx_rates")?)?;
    let names: Vec<String> = take(spec, "currencies")?;
    if names.is_empty() || names.len() > usize::from(u8::MAX) {
        let text = format!("a run has from 1 to 255 currencies, found {}", names.len());
        return Err(to_py(spec.py(), &SimError::config(text)));
    }
    Currencies::new(names, &rows).into_py(spec.py())
}

/// Rates of currencies, a row each; none where there is no table.
fn fx_rates(table: &Bound<'_, PyAny>) -> PyResult<Vec<FxRow>> {
    const WHAT: &str = "fx rates";
    if table.is_none() {
        return Ok(Vec::new());
    }
    let py = table.py();
    let batch = record_batch(table, WHAT)?;
    let (ts, rate) = (int64(py, &batch, "ts", WHAT)?, float64(py, &batch, "rate", WHAT)?);
    let (base, quote) = (texts(py, &batch, "base", WHAT)?, texts(py, &batch, "quote", WHAT)?);
    let text = |column: &StringViewArray, k: usize| column.value(k).to_owned();
    let row = |k: usize| FxRow { ts: ts[k], base: text(&base, k), quote: text(&quote, k), rate: rate[k] };
    Ok((0..batch.num_rows()).map(row).collect())
}

fn currency(py: Python<'_>, currencies: &Currencies, name: &str) -> PyResult<CurrencyId> {
    let found = currencies.find(name).ok_or_else(|| SimError::internal(format!("{name} is no currency of the run")));
    found.into_py(py)
}

/// What is paid in and taken out.
fn flows(spec: &Dict<'_>, currencies: &Currencies) -> PyResult<Vec<CashFlow>> {
    let row = |row: &Dict<'_>| {
        let currency = currency(row.py(), currencies, &take::<String>(row, "currency")?)?;
        Ok(CashFlow { ts: take(row, "ts")?, currency, amount: money(row, "amount")? })
    };
    each(spec, "cash_flows")?.iter().map(row).collect()
}

/// Settlement prices of what is settled daily.
fn settlements(spec: &Dict<'_>, instruments: &[Instrument]) -> PyResult<Vec<SettlementPrice>> {
    let row = |row: &Dict<'_>| {
        let (ts, id, price) = (take(row, "ts")?, InstrumentId(take(row, "instrument")?), take::<f64>(row, "price")?);
        let instrument = &instruments[id.index()];
        let found = instrument.scale.price(price).ok_or_else(|| {
            SimError::data(format!("settlement prices: {price} of {} leaves the range of a price", instrument.symbol))
        });
        Ok(SettlementPrice { ts, instrument: id, price: found.into_py(row.py())? })
    };
    each(spec, "settlements")?.iter().map(row).collect()
}

/// Positions that go from one contract into the next.
fn rolls(spec: &Dict<'_>) -> PyResult<Vec<Roll>> {
    let row = |row: &Dict<'_>| {
        let contract = |name: &str| take::<u32>(row, name).map(InstrumentId);
        let at = RollAt::parse(&take::<String>(row, "roll_at")?).into_py(row.py())?;
        Ok(Roll { ts: take(row, "ts")?, from: contract("from")?, to: contract("to")?, at })
    };
    each(spec, "rolls")?.iter().map(row).collect()
}

/// Opening cash in other currencies than the base, in their sequence.
fn opening(account: &Dict<'_>, currencies: &Currencies) -> PyResult<Vec<(CurrencyId, Cash)>> {
    let balances = get(account, "initial_balances")?.cast_into::<PyDict>()?;
    let names = currencies.foreign().map(|id| (id, currencies.name(id)));
    let given = names.map(
        |(id, name)| {
            if balances.contains(name)? { Ok(Some((id, money(&balances, name)?))) } else { Ok(None) }
        },
    );
    given.filter_map(PyResult::transpose).collect()
}

fn instrument(description: &Dict<'_>, currencies: &Currencies) -> PyResult<Instrument> {
    let matching: Option<u16> = take(description, "matching")?;
    let symbol: String = take(description, "symbol")?;
    let scale = Scale::new(
        take(description, "price_exponent")?,
        take(description, "quantity_exponent")?,
        number(description, "multiplier")?,
    )
    .into_py(description.py())?;
    let units = |key: &str, exponent: u32| -> PyResult<i64> {
        number(description, key)?.scaled_i64(exponent).ok_or_else(|| {
            let text = format!("{symbol}: {key} cannot be kept with {exponent} decimals");
            to_py(description.py(), &SimError::config(text))
        })
    };
    Ok(Instrument {
        currency: currency(description.py(), currencies, &take::<String>(description, "currency")?)?,
        settlement: Settlement::parse(&take::<String>(description, "settlement")?).into_py(description.py())?,
        tick_size: units("tick_size", scale.price_exponent)?,
        lot_size: units("lot_size", scale.quantity_exponent)?,
        allows_negative_prices: take(description, "allows_negative_prices")?,
        is_borrowed: take(description, "is_borrowed")?,
        rolls_over: take(description, "rolls_over")?,
        calendar: CalendarId(take(description, "calendar")?),
        matching: matching.map(FeedId),
        latency: latency(&get(description, "latency")?.cast_into::<PyDict>()?)?,
        prints: take::<Option<u16>>(description, "prints")?.map(FeedId),
        scale,
        symbol,
    })
}

fn latency(description: &Dict<'_>) -> PyResult<Latency> {
    // A list of quantiles, or the index of a model.
    let delay = |key: &str| -> PyResult<Delay> {
        let given = get(description, key)?;
        if let Ok(index) = given.extract::<usize>() {
            return Ok(Delay::of_model(index));
        }
        Delay::new(&given.extract::<Vec<i64>>()?).into_py(description.py())
    };
    let venue = take(description, "venue")?;
    Ok(Latency { submit: delay("submit")?, modify: delay("modify")?, cancel: delay("cancel")?, venue })
}

fn feed_columns(description: &Dict<'_>) -> PyResult<FeedColumns> {
    let py = description.py();
    let name: String = take(description, "name")?;
    let kind: String = take(description, "kind")?;
    let kind = match kind.as_str() {
        "bar" => FeedKind::Bar,
        "quote" => FeedKind::Quote,
        "trade" => FeedKind::Trade,
        "context" => FeedKind::Context,
        other => return Err(to_py(py, &SimError::config(format!("feed {name}: kind {other:?} is not known")))),
    };
    let what = format!("feed {name}");
    let batch = record_batch(&get(description, "frame")?, &what)?;
    let extra: Vec<String> = take(description, "extra")?;
    let names = kind.columns().iter().map(|c| (*c).to_owned()).chain(extra);
    let columns = names
        .map(|name| Ok(Column { values: float64(py, &batch, &name, &what)?, name }))
        .collect::<PyResult<Vec<_>>>()?;
    let optional = |column: &str| -> PyResult<Option<_>> {
        batch.column_by_name(column).map(|_| int64(py, &batch, column, &what)).transpose()
    };
    Ok(FeedColumns {
        ts_event: int64(py, &batch, "ts_event", &what)?,
        ts_open: optional("ts_open")?,
        ts_arrival: optional("ts_arrival")?,
        instrument: if kind == FeedKind::Context {
            Vec::new().into()
        } else {
            uint32(py, &batch, "instrument", &what)?
        },
        columns,
        kind,
        name,
    })
}

fn read_signals(description: &Dict<'_>, instruments: &[Instrument]) -> PyResult<Signals> {
    let py = description.py();
    let batch = record_batch(&get(description, "frame")?, "signals")?;
    let signals = Signals {
        ts_arrival: int64(py, &batch, "ts_arrival", "signals")?,
        ts_event: int64(py, &batch, "ts_event", "signals")?,
        instrument: uint32(py, &batch, "instrument", "signals")?,
        name: uint32(py, &batch, "name", "signals")?,
        score: float64(py, &batch, "score", "signals")?,
        confidence: float64(py, &batch, "confidence", "signals")?,
        version: uint32(py, &batch, "version", "signals")?,
        names: take(description, "names")?,
        versions: take(description, "versions")?,
    };
    signals.validate(instruments).into_py(py)?;
    Ok(signals)
}

/// Corporate actions, a row each; none where there is no table.
fn actions(table: &Bound<'_, PyAny>) -> PyResult<Vec<Action>> {
    const WHAT: &str = "corporate actions";
    if table.is_none() {
        return Ok(Vec::new());
    }
    let py = table.py();
    let batch = record_batch(table, WHAT)?;
    let whole = |name| int64(py, &batch, name, WHAT);
    let text = |name| texts(py, &batch, name, WHAT);
    let (ts, pay_ts, num, den) = (whole("ts")?, whole("pay_ts")?, whole("ratio_num")?, whole("ratio_den")?);
    let (instrument, into) = (uint32(py, &batch, "instrument", WHAT)?, uint32(py, &batch, "into", WHAT)?);
    let (kind, amount, withholding) = (text("kind")?, text("amount")?, text("withholding")?);
    let row = |k: usize| -> PyResult<Action> {
        let money = |name: &str, column: &StringViewArray| cash_of(py, name, column.value(k));
        let ratio = || Ratio::new(num[k], den[k]).into_py(py);
        let into = || Ok::<_, PyErr>(Shares { instrument: InstrumentId(into[k]), ratio: ratio()? });
        let kind = match kind.value(k) {
            "split" => ActionKind::Split(ratio()?),
            "cash_dividend" => ActionKind::CashDividend {
                amount: money("amount", &amount)?,
                pay_ts: pay_ts[k],
                withholding: money("withholding", &withholding)?,
            },
            "spin_off" => ActionKind::SpinOff { into: into()?, amount: money("amount", &amount)? },
            "exchange" => ActionKind::Exchange { into: into()?, amount: money("amount", &amount)? },
            // Nothing stands for the last price.
            "cash_out" if amount.value(k).is_empty() => ActionKind::CashOut(None),
            "cash_out" => ActionKind::CashOut(Some(money("amount", &amount)?)),
            "expiry" if amount.value(k).is_empty() => ActionKind::Expiry(None),
            "expiry" => ActionKind::Expiry(Some(money("amount", &amount)?)),
            other => return Err(to_py(py, &SimError::data(format!("corporate action {other:?} is not supported")))),
        };
        Ok(Action { ts: ts[k], instrument: InstrumentId(instrument[k]), kind })
    };
    (0..batch.num_rows()).map(row).collect()
}

fn sessions(description: &Dict<'_>) -> PyResult<Sessions> {
    let py = description.py();
    let name: String = take(description, "name")?;
    let what = format!("calendar {name}");
    let batch = record_batch(&get(description, "frame")?, &what)?;
    let breaks = match description.get_item("breaks")? {
        Some(frame) => {
            let batch = record_batch(&frame, &what)?;
            let [begin, end] = ["start_ns", "end_ns"].map(|name| int64(py, &batch, name, &what));
            begin?.iter().copied().zip(end?.iter().copied()).collect()
        }
        None => Vec::new(),
    };
    Ok(Sessions {
        breaks,
        label: int32(py, &batch, "label", &what)?.to_vec(),
        open: int64(py, &batch, "open_ns", &what)?.to_vec(),
        close: int64(py, &batch, "close_ns", &what)?.to_vec(),
        name,
    })
}

fn account_settings(account: &Dict<'_>) -> PyResult<AccountSettings> {
    let py = account.py();
    let leverage = number(account, "leverage")?;
    let parts = i64::try_from(leverage.mantissa).ok().zip(10_i64.checked_pow(leverage.exponent));
    let (num, den) = parts.ok_or_else(|| to_py(py, &SimError::config("leverage has too many digits".to_owned())))?;
    let lot_policy: String = take(account, "lot_policy")?;
    Ok(AccountSettings {
        initial_cash: money(account, "initial_cash")?,
        lot_policy: LotPolicy::parse(&lot_policy).into_py(py)?,
        buying_power: BuyingPower::parse(&take::<String>(account, "buying_power")?).into_py(py)?,
        allows_short: take(account, "allows_short")?,
        leverage: Ratio::new(num, den).into_py(py)?,
        conversion: Conversion::parse(&take::<String>(account, "conversion")?).into_py(py)?,
        posting_quantum: money(account, "posting_quantum")?.0,
        recall_sessions: take(account, "recall_sessions")?,
    })
}

fn settlement_terms(account: &Dict<'_>) -> PyResult<Option<SettlementTerms>> {
    let Some(terms) = take::<Option<Dict<'_>>>(account, "settlement")? else { return Ok(None) };
    let unsettled = UnsettledCash::parse(&take::<String>(&terms, "unsettled")?).into_py(account.py())?;
    Ok(Some(SettlementTerms { days: take(&terms, "days")?, unsettled }))
}

fn policies(dict: &Dict<'_>) -> PyResult<Policies> {
    let py = dict.py();
    let text = |key: &str| take::<String>(dict, key);
    Ok(Policies {
        fill_timing: FillTiming::parse(&text("fill_timing")?).into_py(py)?,
        limit_touch: LimitTouch::parse(&text("limit_touch")?).into_py(py)?,
        limit_gap: LimitGap::parse(&text("limit_gap")?).into_py(py)?,
        stop_gap: StopGap::parse(&text("stop_gap")?).into_py(py)?,
        fill_order: FillOrder::parse(&text("fill_order")?).into_py(py)?,
        quote_fill: QuoteFill::parse(&text("quote_fill")?).into_py(py)?,
        limit_slippage: LimitSlippage::parse(&text("limit_slippage")?).into_py(py)?,
        insufficient_cash: InsufficientCash::parse(&text("insufficient_cash")?).into_py(py)?,
        zero_volume: ZeroVolume::parse(&text("zero_volume")?).into_py(py)?,
        tick_rounding: TickRounding::parse(&text("tick_rounding")?).into_py(py)?,
        trail_basis: TrailBasis::parse(&text("trail_basis")?).into_py(py)?,
        target_rounding: TargetRounding::parse(&text("target_rounding")?).into_py(py)?,
        lot_rounding: LotRounding::parse(&text("lot_rounding")?).into_py(py)?,
        target_orders: TargetOrders::parse(&text("target_orders")?).into_py(py)?,
        path: BarPath::parse(&text("path")?).into_py(py)?,
        order_inside_bar: OrderInsideBar::parse(&text("order_inside_bar")?).into_py(py)?,
        same_bar_exit: SameBarExit::parse(&text("same_bar_exit")?).into_py(py)?,
        print_fills: PrintFills::parse(&text("print_fills")?).into_py(py)?,
        queue_position: QueuePosition::parse(&text("queue_position")?).into_py(py)?,
    })
}

/// Where a model runs.
enum Form<'py> {
    /// As the table of that name compiled into the engine, with these parameters.
    Builtin(String, ml4t_sim::models::Params),
    /// As a table of its own.
    Table(ForeignTable),
    /// In Python.
    Python(Bound<'py, PyAny>),
}

impl<'py> Form<'py> {
    /// A model description holds the object, and what of it is native: a name with parameters, or a capsule.
    fn of(description: &Dict<'py>, kind: Kind) -> PyResult<Self> {
        let object = get(description, "object")?;
        let capsule = get(description, "capsule")?;
        if let Some(name) = take(description, "builtin")? {
            return Ok(Self::Builtin(name, params(&get(description, "params")?.cast_into::<PyDict>()?)?));
        }
        Ok(if capsule.is_none() { Self::Python(object) } else { Self::Table(table(&object, &capsule, kind)?) })
    }
}

/// The slippage model of a description.
pub(crate) fn slippage_model(description: &Dict<'_>, raised: &Raised) -> PyResult<SlippageModel> {
    Ok(match Form::of(description, Kind::SLIPPAGE)? {
        Form::Builtin(name, params) => builtin_slippage(&name, &params).into_py(description.py())?,
        Form::Table(table) => table.into_slippage(),
        Form::Python(object) => python_slippage(&object, raised)?,
    })
}

/// A model that is a table of its own or Python; nothing of its kind is compiled in.
fn own_model<T>(
    description: &Dict<'_>,
    (kind, label): (Kind, &str),
    of_table: fn(ForeignTable) -> T,
    of_python: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>,
) -> PyResult<T> {
    match Form::of(description, kind)? {
        Form::Table(table) => Ok(of_table(table)),
        Form::Python(object) => of_python(&object),
        Form::Builtin(name, _) => {
            let text = format!("no {label} model is compiled into the engine, {name:?} was asked for");
            Err(SimError::unknown_name(text)).into_py(description.py())
        }
    }
}

fn latency_model(description: &Dict<'_>, raised: &Raised) -> PyResult<LatencyModel> {
    let of_python = |object: &Bound<'_, PyAny>| python_latency(object, raised);
    own_model(description, (Kind::LATENCY, "latency"), ForeignTable::into_latency, of_python)
}

/// A model that the run may do without.
fn optional<T>(spec: &Dict<'_>, key: &str, read: impl FnOnce(&Dict<'_>) -> PyResult<T>) -> PyResult<Option<T>> {
    spec.get_item(key)?.map(|found| read(&found.cast_into::<PyDict>()?)).transpose()
}

/// What holding costs.
fn carry_models(spec: &Dict<'_>, currencies: &Currencies, raised: &Raised) -> PyResult<CarryModels> {
    let interests = get(spec, "interest_models")?.cast_into::<PyDict>()?;
    let mut interest = Vec::new();
    for (name, found) in &interests {
        let model =
            own_model(&found.cast_into::<PyDict>()?, (Kind::INTEREST, "interest"), ForeignTable::into_interest, |m| {
                python_interest(m, raised)
            })?;
        interest.push((currency(spec.py(), currencies, &name.extract::<String>()?)?, model));
    }
    interest.sort_by_key(|(currency, _)| *currency);
    Ok(CarryModels {
        borrow: optional(spec, "borrow_model", |found| {
            own_model(found, (Kind::BORROW, "borrow"), ForeignTable::into_borrow, |m| python_borrow(m, raised))
        })?,
        funding: optional(spec, "funding_model", |found| {
            own_model(found, (Kind::FUNDING, "funding"), ForeignTable::into_funding, |m| python_funding(m, raised))
        })?,
        interest,
    })
}

fn rates(spec: &Dict<'_>) -> PyResult<Rates> {
    let at = |row: &Dict<'_>| Ok::<_, PyErr>((take(row, "ts")?, InstrumentId(take(row, "instrument")?)));
    let funding = |row: &Dict<'_>| {
        let (ts, instrument) = at(row)?;
        Ok(FundingRate {
            ts,
            instrument,
            rate: take(row, "rate")?,
            short_rate: take(row, "short_rate")?,
            mark: take(row, "mark")?,
        })
    };
    let borrow = |row: &Dict<'_>| {
        let (ts, instrument) = at(row)?;
        Ok(BorrowRate { ts, instrument, rate: take(row, "rate")?, available: take(row, "available")? })
    };
    Ok(Rates {
        funding: each(spec, "funding")?.iter().map(funding).collect::<PyResult<Vec<_>>>()?,
        borrow: each(spec, "borrow")?.iter().map(borrow).collect::<PyResult<Vec<_>>>()?,
    })
}

fn margin_rates(spec: &Dict<'_>) -> PyResult<Vec<MarginRate>> {
    let row = |row: &Dict<'_>| {
        Ok(MarginRate {
            ts: take(row, "ts")?,
            instrument: InstrumentId(take(row, "instrument")?),
            initial: take(row, "initial")?,
            maintenance: take(row, "maintenance")?,
        })
    };
    each(spec, "margin_rates")?.iter().map(row).collect()
}

/// What the models of margin and liquidation say about themselves.
fn margin_terms(spec: &Dict<'_>) -> PyResult<MarginTerms> {
    let of_model = optional(spec, "margin_model", |model| {
        let terms = AtPrice { is_isolated: take(model, "is_isolated")?, fee: take(model, "liquidation_fee")? };
        Ok((take::<bool>(model, "has_sma")?, take::<bool>(model, "liquidates_at_price")?.then_some(terms)))
    })?;
    let calls = optional(spec, "liquidation_model", |model| {
        Ok((take::<i64>(model, "grace_ns")?, take::<f64>(model, "warn_at")?))
    })?;
    let (grace, warn_at) = calls.unwrap_or((0, f64::NAN));
    let warn_at = (!warn_at.is_nan()).then_some(warn_at);
    let (has_sma, at_price) = of_model.unwrap_or((false, None));
    Ok(MarginTerms { has_sma, grace, warn_at, at_price })
}

fn models(spec: &Dict<'_>, currencies: &Currencies, raised: &Raised) -> PyResult<Models> {
    let py = spec.py();
    let form = |key: &str, kind: Kind| Form::of(&get(spec, key)?.cast_into::<PyDict>()?, kind);
    let impact = optional(spec, "impact_model", |found| {
        own_model(found, (Kind::IMPACT, "impact"), ForeignTable::into_impact, |m| python_impact(m, raised))
    })?;
    Ok(Models {
        fill: match form("fill_model", Kind::FILL)? {
            Form::Builtin(name, params) => builtin_fill(&name, &params).into_py(py)?,
            Form::Table(table) => table.into_fill(),
            Form::Python(object) => python_fill(&object, raised)?,
        },
        slippage: slippage_model(&get(spec, "slippage_model")?.cast_into::<PyDict>()?, raised)?,
        impact,
        fee: match form("fee_model", Kind::FEE)? {
            Form::Builtin(name, params) => builtin_fee(&name, &params).into_py(py)?,
            Form::Table(table) => table.into_fee(),
            Form::Python(object) => python_fee(&object, raised)?,
        },
        latency: each(spec, "latency_models")?
            .iter()
            .map(|model| latency_model(model, raised))
            .collect::<PyResult<_>>()?,
        carry: carry_models(spec, currencies, raised)?,
        fx: optional(spec, "fx_model", |found| match Form::of(found, Kind::FX)? {
            Form::Builtin(name, params) => builtin_fx(&name, &params).into_py(py),
            Form::Table(table) => Ok(table.into_fx()),
            Form::Python(object) => python_fx(&object, raised),
        })?,
        margin: optional(spec, "margin_model", |found| {
            own_model(found, (Kind::MARGIN, "margin"), ForeignTable::into_margin, |m| python_margin(m, raised))
        })?,
        liquidation: optional(spec, "liquidation_model", |found| {
            let of_python = |model: &Bound<'_, PyAny>| python_liquidation(model, raised);
            own_model(found, (Kind::LIQUIDATION, "liquidation"), ForeignTable::into_liquidation, of_python)
        })?,
    })
}

/// Arm the fault that a test asks for.
#[cfg(feature = "fault-injection")]
pub(crate) fn with_fault(mut run: crate::shared::Run, spec: &Dict<'_>) -> PyResult<crate::shared::Run> {
    run.state.fault = spec.get_item("fault")?.map_or(Ok(0), |phase| phase.extract())?;
    Ok(run)
}
