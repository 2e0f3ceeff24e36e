//! What a strategy may read: the last known row of every instrument, and nothing later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ml4t_sim::adjusted::{Adjustment, adjust};
use ml4t_sim::error::SimError;
use ml4t_sim::ids::FeedId;
use ml4t_sim::plan::{FeedKind, Plan};
use ml4t_sim::state::State;
use numpy::ndarray::{ArrayView1, ArrayView2};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyIterator, PyList, PyString, PyTuple};

use crate::arrays::{freeze, shown};
use crate::error::{internal, stale, to_py, unknown_name};
use crate::shared::Shared;
use crate::timestamp::{Timestamp, timedelta};

/// Longest window that `history` fills.
const MAX_WINDOW: usize = 10_000_000;

/// A view that never goes stale: `strategy.data`.
const ALWAYS: u64 = 0;

/// Feeds that may hold rows of an instrument: the one that fills its orders, then the others as configured.
fn feeds_of(plan: &Plan, i: usize) -> impl Iterator<Item = usize> + '_ {
    let first = plan.instruments[i].matching.map(FeedId::index);
    let rest = (0..plan.feeds.len()).filter(move |&f| Some(f) != first && plan.feeds[f].data.kind != FeedKind::Context);
    first.into_iter().chain(rest)
}

/// Feed and column of a field, `close` or `feed.close`: the first feed that has the field and, by now, a row of
/// the instrument.
///
/// Which feeds will have rows later decides nothing: neither the feed nor whether there is such a field.
fn find_field(plan: &Plan, state: &State, i: usize, field: &str) -> Option<(usize, usize)> {
    let find = |feed: Option<&str>, column: &str| {
        let named = feeds_of(plan, i).filter(|&f| feed.is_none_or(|name| plan.feeds[f].data.name == name));
        let mut places = named.filter_map(|f| plan.feeds[f].column(column).map(|c| (f, c)));
        let first = places.next()?;
        let has_row = |&(f, _): &(usize, usize)| state.readable_row(plan, f, i).is_some();
        if has_row(&first) { Some(first) } else { places.find(has_row).or(Some(first)) }
    };
    find(None, field).or_else(|| splits(field).find_map(|(feed, column)| find(Some(feed), column)))
}

/// Every way to read a name as `feed.field`: both may hold dots themselves.
fn splits(name: &str) -> impl Iterator<Item = (&str, &str)> {
    name.match_indices('.').map(|(k, _)| (&name[..k], &name[k + 1..]))
}

/// Whether any instrument has that field.
fn is_field(plan: &Plan, field: &str) -> bool {
    let is_in = |column: &str, feed: Option<&str>| {
        plan.feeds.iter().any(|f| {
            f.data.kind != FeedKind::Context
                && feed.is_none_or(|name| f.data.name == name)
                && f.column(column).is_some()
        })
    };
    is_in(field, None) || splits(field).any(|(feed, column)| is_in(column, Some(feed)))
}

/// Names of the columns of all feeds of some kinds, each once, in the sequence of the feeds.
fn names_of(plan: &Plan, is_wanted: impl Fn(FeedKind) -> bool) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for column in plan.feeds.iter().filter(|f| is_wanted(f.data.kind)).flat_map(|f| &f.data.columns) {
        if !names.contains(&column.name.as_str()) {
            names.push(&column.name);
        }
    }
    names
}

fn known_fields(plan: &Plan, i: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for f in feeds_of(plan, i) {
        for column in &plan.feeds[f].data.columns {
            if !names.contains(&column.name) {
                names.push(column.name.clone());
            }
        }
    }
    names
}

fn unknown_field(py: Python<'_>, plan: &Plan, i: usize, field: &str) -> PyErr {
    let mut known = known_fields(plan, i);
    known.push("signals".to_owned());
    let kind = format!("field of {}", plan.instruments[i].symbol);
    unknown_name(py, &kind, field, known.iter().map(String::as_str))
}

/// The cells of a field, instant by instant, and how many instants of them are readable: where all instruments take
/// it from one feed that has them all at every instant.
fn panel<'p>(plan: &'p Plan, state: &State, field: &str) -> Option<(&'p [f64], usize)> {
    let (feed, column) = find_field(plan, state, 0, field)?;
    let found = plan.feeds.get(feed).filter(|feed| feed.is_panel())?;
    let is_common = plan.instruments.iter().all(|i| i.matching.is_some_and(|id| id.index() == feed));
    is_common.then(|| (found.data.columns[column].values.as_ref(), state.readable_rows(plan, feed, 0).len()))
}

/// Instruments with a row or a signal at this instant, ascending.
fn present(plan: &Plan, state: &State) -> Vec<usize> {
    let mut ids: Vec<usize> = Vec::new();
    for &block in &state.blocks {
        let columns = &plan.feeds[block.feed].data;
        if columns.kind != FeedKind::Context {
            ids.extend(block.rows(plan).map(|row| columns.instrument[row] as usize));
        }
    }
    if let Some(signals) = &plan.signals {
        ids.extend((state.new_signals.0..state.new_signals.1).map(|row| signals.instrument[row] as usize));
    }
    if !ids.is_sorted() {
        ids.sort_unstable();
    }
    ids.dedup();
    ids
}

/// Market data and signals as known now.
///
/// Iterating yields the symbols with an event at this instant; `view[symbol]` is the last known row of any
/// instrument; `view.close` is a numpy column over all instruments, NaN before the first row.
#[pyclass(frozen, module = "ml4t.backtest", name = "PITData")]
pub(crate) struct View {
    shared: Arc<Shared>,
    /// Instant for which the view was handed out, or `ALWAYS`.
    epoch: AtomicU64,
}

impl View {
    pub(crate) fn always(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), epoch: AtomicU64::new(ALWAYS) }
    }

    pub(crate) fn now(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), epoch: AtomicU64::new(shared.epoch()) }
    }

    /// Move the view to the present instant; only for a view that nobody else holds.
    pub(crate) fn renew(&self) {
        self.epoch.store(self.shared.epoch(), Ordering::Relaxed);
    }

    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let epoch = self.epoch.load(Ordering::Relaxed);
        if epoch == ALWAYS || epoch == self.shared.epoch() {
            return Ok(());
        }
        Err(stale(py, "this view belongs to an earlier instant; use self.data, or keep values instead of the view"))
    }

    fn row(&self, i: usize) -> Row {
        Row { shared: Arc::clone(&self.shared), instrument: i, epoch: self.shared.epoch() }
    }

    fn column<'py>(&self, py: Python<'py>, field: &str) -> PyResult<Option<Bound<'py, PyArray1<f64>>>> {
        let plan = &self.shared.plan;
        let n = plan.instruments.len();
        if !is_field(plan, field) {
            return Ok(None);
        }
        let core = self.shared.core(py)?;
        let state = &core.run.state;
        if let Some((cells, readable)) = panel(plan, state, field).filter(|(_, readable)| *readable > 0) {
            let last = ArrayView1::from(&cells[(readable - 1) * n..readable * n]);
            return Ok(Some(shown(py, &self.shared.owner, &last)));
        }
        let mut cached = (usize::MAX, 0);
        let values = (0..n).map(|i| {
            let matching = plan.instruments[i].matching.map_or(usize::MAX, FeedId::index);
            // Most universes share one feed, whose column is looked up once.
            if matching == cached.0
                && let Some(row) = plan.feeds.get(matching).and_then(|_| state.readable_row(plan, matching, i))
            {
                return plan.feeds[matching].value(cached.1, row);
            }
            let Some((f, c)) = find_field(plan, state, i, field) else { return f64::NAN };
            if f == matching {
                cached = (f, c);
            }
            state.readable_row(plan, f, i).map_or(f64::NAN, |row| plan.feeds[f].value(c, row))
        });
        let array = PyArray1::from_vec(py, values.collect());
        freeze(&array);
        Ok(Some(array))
    }

    /// Last `n` values of a field, missing where the instrument has none.
    fn window(
        &self,
        py: Python<'_>,
        i: usize,
        (field, how): (&str, Option<Adjustment>),
        n: usize,
    ) -> PyResult<Vec<f64>> {
        let plan = &self.shared.plan;
        let core = self.shared.core(py)?;
        let state = &core.run.state;
        let Some((f, c)) = find_field(plan, state, i, field) else { return Err(unknown_field(py, plan, i, field)) };
        let rows = state.readable_rows(plan, f, i);
        let known = &rows[rows.len().saturating_sub(n)..];
        let mut values = vec![f64::NAN; n - known.len()];
        values.extend(known.iter().map(|&row| plan.feeds[f].value(c, row as usize)));
        if let Some(how) = how {
            let missing = n - known.len();
            adjust(plan, state, (i, f, c), known, (how, &mut values[missing..]));
        }
        Ok(values)
    }

    fn symbols_of(&self, symbols: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
        symbols.try_iter()?.map(|s| self.shared.instrument(&s?)).collect()
    }
}

#[pymethods]
impl View {
    fn __getitem__(&self, symbol: &Bound<'_, PyAny>) -> PyResult<Row> {
        self.check(symbol.py())?;
        Ok(self.row(self.shared.instrument(symbol)?))
    }

    fn __contains__(&self, symbol: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = symbol.py();
        self.check(py)?;
        let Ok(i) = self.shared.instrument(symbol) else { return Ok(false) };
        Ok(present(&self.shared.plan, &self.shared.core(py)?.run.state).binary_search(&i).is_ok())
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.check(py)?;
        Ok(present(&self.shared.plan, &self.shared.core(py)?.run.state).len())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.keys(py)?.as_any().try_iter()
    }

    /// Symbols with an event at this instant.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.check(py)?;
        let ids = present(&self.shared.plan, &self.shared.core(py)?.run.state);
        PyList::new(py, ids.into_iter().map(|i| self.shared.symbol(py, i)))
    }

    /// Rows of the instruments with an event at this instant.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.check(py)?;
        let ids = present(&self.shared.plan, &self.shared.core(py)?.run.state);
        PyList::new(py, ids.into_iter().map(|i| self.row(i)).map(|row| Py::new(py, row)).collect::<PyResult<Vec<_>>>()?)
    }

    /// Pairs of symbol and row of the instruments with an event at this instant.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.check(py)?;
        let ids = present(&self.shared.plan, &self.shared.core(py)?.run.state);
        let pairs: PyResult<Vec<Bound<'py, PyTuple>>> = ids
            .into_iter()
            .map(|i| {
                let row = Py::new(py, self.row(i))?.into_any();
                PyTuple::new(py, [self.shared.symbol(py, i).into_any(), row])
            })
            .collect();
        PyList::new(py, pairs?)
    }

    /// Row of an instrument, or `default` when the run does not know the symbol.
    #[pyo3(signature = (symbol, default = None))]
    fn get(&self, symbol: &Bound<'_, PyAny>, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        let py = symbol.py();
        self.check(py)?;
        match self.shared.instrument(symbol) {
            Ok(i) => Ok(Some(Py::new(py, self.row(i))?.into_any())),
            Err(_) => Ok(default),
        }
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyArray1<f64>>> {
        if name.starts_with("__") {
            return Err(PyAttributeError::new_err(name.to_owned()));
        }
        self.check(py)?;
        self.column(py, name)?.ok_or_else(|| {
            let known = names_of(&self.shared.plan, |kind| kind != FeedKind::Context);
            PyAttributeError::new_err(format!("no feed has a field {name:?}; known: {}", known.join(", ")))
        })
    }

    /// Symbols of all instruments of the run, in the order of the numpy columns.
    #[getter]
    fn symbols<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.shared.symbols.iter().map(|s| s.clone_ref(py)))
    }

    /// The present instant.
    #[getter]
    fn timestamp(&self, py: Python<'_>) -> PyResult<Timestamp> {
        self.check(py)?;
        match self.shared.core(py)?.run.state.now {
            i64::MIN => Err(to_py(py, &SimError::state("there is no present before the first event".to_owned()))),
            now => Ok(Timestamp::new(now)),
        }
    }

    /// Last `n` known values, oldest first, padded with NaN in front.
    ///
    /// One symbol gives an array of `n`, several (all by default) an array of `n x len(symbols)`; a list of
    /// fields gives a dict of arrays by field. Each instrument counts its own rows. `adjust` brings past prices and
    /// volumes into the shares of now: `"split"`, or `"total_return"` with dividends and spin-offs, too.
    #[pyo3(signature = (fields, n, symbols = None, *, adjust = None))]
    fn history<'py>(
        &self,
        py: Python<'py>,
        fields: &Bound<'py, PyAny>,
        n: &Bound<'py, PyAny>,
        symbols: Option<&Bound<'py, PyAny>>,
        adjust: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.check(py)?;
        let adjust = adjust.map(adjustment).transpose()?;
        let whole = if n.is_instance_of::<PyBool>() { None } else { n.extract::<usize>().ok() };
        let Some(n) = whole.filter(|n| (1..=MAX_WINDOW).contains(n)) else {
            let text = format!("history takes n from 1 to {MAX_WINDOW}, found {}", n.repr()?);
            return Err(to_py(py, &SimError::data(text)));
        };
        if let Ok(field) = fields.cast::<PyString>() {
            return self.history_of(py, (field.to_str()?, adjust), n, symbols);
        }
        let out = PyDict::new(py);
        for field in fields.try_iter()? {
            let field = field?;
            let name = field.cast::<PyString>()?;
            out.set_item(name, self.history_of(py, (name.to_str()?, adjust), n, symbols)?)?;
        }
        Ok(out.into_any())
    }

    /// Last known row of an instrument, or None before its first.
    fn get_latest_bar(&self, asset: &Bound<'_, PyAny>) -> PyResult<Option<Row>> {
        let py = asset.py();
        self.check(py)?;
        let i = self.shared.instrument(asset)?;
        let row = self.row(i);
        Ok(row.last(py)?.is_some().then_some(row))
    }

    /// Last known price of an instrument (close, print or middle of the quote), or None before its first.
    fn get_latest_price(&self, asset: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
        let py = asset.py();
        self.check(py)?;
        let i = self.shared.instrument(asset)?;
        let plan = &self.shared.plan;
        let Some(feed) = plan.instruments[i].matching else { return Ok(None) };
        let core = self.shared.core(py)?;
        let Some(row) = core.run.state.readable_row(plan, feed.index(), i) else { return Ok(None) };
        let feed = plan.feed(feed);
        let price = match feed.data.kind {
            // A quote with one side is priced by that side, as orders and marks are.
            FeedKind::Quote => match (feed.value(0, row), feed.value(1, row)) {
                (bid, ask) if bid.is_nan() => ask,
                (bid, ask) if ask.is_nan() => bid,
                (bid, ask) => f64::midpoint(bid, ask),
            },
            FeedKind::Trade | FeedKind::Context => feed.value(0, row),
            FeedKind::Bar => feed.value(ml4t_sim::plan::bar::CLOSE, row),
        };
        Ok((!price.is_nan()).then_some(price))
    }
}

impl View {
    fn history_of<'py>(
        &self,
        py: Python<'py>,
        (field, adjust): (&str, Option<Adjustment>),
        n: usize,
        symbols: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let single = symbols.filter(|s| s.is_instance_of::<PyString>());
        if adjust.is_none() && (symbols.is_none() || single.is_some()) {
            let plan = &self.shared.plan;
            let core = self.shared.core(py)?;
            // A window that is full needs no copy where the instruments stand side by side.
            if let Some((cells, readable)) = panel(plan, &core.run.state, field).filter(|found| found.1 >= n) {
                let width = plan.instruments.len();
                let window = &cells[(readable - n) * width..readable * width];
                let window = ArrayView2::from_shape((n, width), window).map_err(|_| internal(py, "a window"))?;
                let owner = &self.shared.owner;
                return Ok(match single {
                    Some(symbol) => shown(py, owner, &window.column(self.shared.instrument(symbol)?)).into_any(),
                    None => shown(py, owner, &window).into_any(),
                });
            }
        }
        if let Some(symbol) = symbols.filter(|s| s.is_instance_of::<PyString>()) {
            let i = self.shared.instrument(symbol)?;
            let array = PyArray1::from_vec(py, self.window(py, i, (field, adjust), n)?);
            freeze(&array);
            return Ok(array.into_any());
        }
        let ids = match symbols {
            Some(symbols) => self.symbols_of(symbols)?,
            None => (0..self.shared.plan.instruments.len()).collect(),
        };
        let array = PyArray2::<f64>::zeros(py, [n, ids.len()], false);
        {
            let mut guard = array.readwrite();
            let cells = guard.as_slice_mut()?;
            for (k, &i) in ids.iter().enumerate() {
                for (t, x) in self.window(py, i, (field, adjust), n)?.into_iter().enumerate() {
                    cells[t * ids.len() + k] = x;
                }
            }
        }
        freeze(&array);
        Ok(array.into_any())
    }
}

/// What history is adjusted for, by name.
fn adjustment(name: &Bound<'_, PyAny>) -> PyResult<Adjustment> {
    let found = name.cast::<PyString>().ok().and_then(|name| name.to_str().ok().and_then(Adjustment::parse));
    found.ok_or_else(|| match name.repr() {
        Ok(found) => to_py(name.py(), &SimError::data(format!("adjust takes split or total_return, found {found}"))),
        Err(error) => error,
    })
}

/// Last known row of one instrument: `row["close"]`, `row["signals"]["name"]`, `row.fresh`, `row.age`.
#[pyclass(frozen, module = "ml4t.backtest", name = "Row")]
pub(crate) struct Row {
    shared: Arc<Shared>,
    instrument: usize,
    epoch: u64,
}

impl Row {
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.epoch == self.shared.epoch() {
            return Ok(());
        }
        Err(stale(py, "this row belongs to an earlier instant; keep its values instead of the row"))
    }

    /// Last readable value of a field, NaN before the first; None when there is no such field.
    fn value(&self, py: Python<'_>, field: &str) -> PyResult<Option<f64>> {
        let plan = &self.shared.plan;
        let core = self.shared.core(py)?;
        let state = &core.run.state;
        Ok(find_field(plan, state, self.instrument, field).map(|(f, c)| {
            let row = state.readable_row(plan, f, self.instrument);
            row.map_or(f64::NAN, |row| plan.feeds[f].value(c, row))
        }))
    }

    /// Time of the last readable row over all feeds of the instrument.
    fn last(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        let plan = &self.shared.plan;
        let core = self.shared.core(py)?;
        let state = &core.run.state;
        Ok(feeds_of(plan, self.instrument)
            .filter_map(|f| state.readable_row(plan, f, self.instrument).map(|r| plan.feeds[f].data.ts_event[r]))
            .max())
    }
}

#[pymethods]
impl Row {
    fn __getitem__(&self, py: Python<'_>, field: &str) -> PyResult<Py<PyAny>> {
        self.check(py)?;
        if let Some(value) = self.value(py, field)? {
            return Ok(value.into_pyobject(py)?.into_any().unbind());
        }
        if field == "signals" {
            let signals =
                SignalRow { shared: Arc::clone(&self.shared), instrument: self.instrument, epoch: self.epoch };
            return Ok(Py::new(py, signals)?.into_any());
        }
        Err(unknown_field(py, &self.shared.plan, self.instrument, field))
    }

    /// The field, or `default` when no feed has it.
    #[pyo3(signature = (field, default = None))]
    fn get(&self, py: Python<'_>, field: &str, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        self.check(py)?;
        if field == "signals" || is_field(&self.shared.plan, field) {
            return self.__getitem__(py, field).map(Some);
        }
        Ok(default)
    }

    fn __contains__(&self, py: Python<'_>, field: &str) -> PyResult<bool> {
        self.check(py)?;
        Ok(field == "signals" || is_field(&self.shared.plan, field))
    }

    /// Names of the fields.
    fn keys(&self) -> Vec<String> {
        known_fields(&self.shared.plan, self.instrument)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.keys())?.as_any().try_iter()
    }

    fn __len__(&self) -> usize {
        self.keys().len()
    }

    /// Symbol of the instrument.
    #[getter]
    fn symbol(&self, py: Python<'_>) -> Py<PyString> {
        self.shared.symbol(py, self.instrument)
    }

    /// Whether the instrument has an event at this instant.
    #[getter]
    fn fresh(&self, py: Python<'_>) -> PyResult<bool> {
        self.check(py)?;
        Ok(present(&self.shared.plan, &self.shared.core(py)?.run.state).binary_search(&self.instrument).is_ok())
    }

    /// Time since the last row, or None before the first.
    #[getter]
    fn age(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.check(py)?;
        let last = self.last(py)?;
        let now = self.shared.core(py)?.run.state.now;
        last.map(|ts| timedelta(py, i128::from(now) - i128::from(ts))).transpose()
    }

    /// When the last row was complete, or None before the first.
    #[getter]
    fn ts_event(&self, py: Python<'_>) -> PyResult<Option<Timestamp>> {
        self.check(py)?;
        Ok(self.last(py)?.map(Timestamp::new))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        self.check(py)?;
        let plan = &self.shared.plan;
        let mut text = format!("Row({}", plan.instruments[self.instrument].symbol);
        for name in known_fields(plan, self.instrument) {
            if let Some(value) = self.value(py, &name)? {
                text = format!("{text}, {name}={value}");
            }
        }
        Ok(text + ")")
    }
}

/// Signals of one instrument by name, as far as they have spoken; `score` is the latest of any name.
///
/// Which names will speak later is not told: listing, `in` and `get` know only those with a value. Asking for
/// `[name]` too early gives NaN, and for a name that the run never has an error, so that a misspelling is caught.
#[pyclass(frozen, mapping, module = "ml4t.backtest", name = "SignalRow")]
pub(crate) struct SignalRow {
    shared: Arc<Shared>,
    instrument: usize,
    epoch: u64,
}

impl SignalRow {
    fn score(&self, py: Python<'_>, name: &str) -> PyResult<Option<f64>> {
        self.check(py)?;
        let plan = &self.shared.plan;
        let Some(signals) = &plan.signals else { return Ok(None) };
        let core = self.shared.core(py)?;
        let state = &core.run.state;
        if let Some(k) = signals.names.iter().position(|n| n == name) {
            return Ok(Some(state.signal_row(plan, self.instrument, k).map_or(f64::NAN, |row| signals.score[row])));
        }
        if name == "score" {
            let latest = (0..signals.names.len()).filter_map(|k| state.signal_row(plan, self.instrument, k)).max();
            return Ok(Some(latest.map_or(f64::NAN, |row| signals.score[row])));
        }
        Ok(None)
    }

    fn check(&self, py: Python<'_>) -> PyResult<()> {
        if self.epoch == self.shared.epoch() {
            return Ok(());
        }
        Err(stale(py, "these signals belong to an earlier instant; keep the values instead"))
    }

    /// Names that have spoken of this instrument.
    fn names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.check(py)?;
        let plan = &self.shared.plan;
        let core = self.shared.core(py)?;
        let has_spoken = |k: usize| core.run.state.signal_row(plan, self.instrument, k).is_some();
        let names = plan.signals.iter().flat_map(|s| s.names.iter().enumerate());
        Ok(names.filter(|&(k, _)| has_spoken(k)).map(|(_, name)| name.clone()).collect())
    }
}

#[pymethods]
impl SignalRow {
    fn __getitem__(&self, py: Python<'_>, name: &str) -> PyResult<f64> {
        let names = || self.shared.plan.signals.iter().flat_map(|s| s.names.iter().map(String::as_str));
        self.score(py, name)?.ok_or_else(|| unknown_name(py, "signal", name, names()))
    }

    /// The score, or `default` while no signal of that name has spoken.
    #[pyo3(signature = (name, default = None))]
    fn get(&self, py: Python<'_>, name: &str, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        if !self.__contains__(py, name)? {
            return Ok(default);
        }
        Ok(Some(self.__getitem__(py, name)?.into_pyobject(py)?.into_any().unbind()))
    }

    fn __contains__(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        let names = self.names(py)?;
        let is_model = self.shared.plan.signals.as_ref().is_some_and(|s| s.names.iter().any(|n| n == name));
        Ok(names.iter().any(|n| n == name) || (name == "score" && !is_model && !names.is_empty()))
    }

    /// Names that have spoken.
    fn keys(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.names(py)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.names(py)?)?.as_any().try_iter()
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.names(py)?.len())
    }
}

/// Market-wide series by name, and free space for the strategy's own attributes.
#[pyclass(frozen, mapping, dict, module = "ml4t.backtest", name = "Context")]
pub(crate) struct Context {
    shared: Arc<Shared>,
}

impl Context {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared) }
    }

    /// Feeds that have the series, each with its column.
    fn places(&self, name: &str) -> impl Iterator<Item = (usize, usize)> {
        let feeds = self.shared.plan.feeds.iter().enumerate();
        feeds.filter(|(_, f)| f.data.kind == FeedKind::Context).filter_map(move |(k, f)| Some((k, f.column(name)?)))
    }

    fn names(&self) -> Vec<&str> {
        names_of(&self.shared.plan, |kind| kind == FeedKind::Context)
    }
}

#[pymethods]
impl Context {
    fn __getitem__(&self, py: Python<'_>, name: &str) -> PyResult<f64> {
        let plan = &self.shared.plan;
        if self.places(name).next().is_none() {
            return Err(unknown_name(py, "market-wide series", name, self.names()));
        }
        let core = self.shared.core(py)?;
        // As for instruments: of several feeds the first that has a row by now.
        let mut known = self.places(name).filter_map(|(f, c)| Some((f, c, core.run.state.readable_row(plan, f, 0)?)));
        Ok(known.next().map_or(f64::NAN, |(f, c, row)| plan.feeds[f].value(c, row)))
    }

    fn __contains__(&self, name: &str) -> bool {
        self.places(name).next().is_some()
    }

    /// Names of the series.
    fn keys(&self) -> Vec<&str> {
        self.names()
    }

    /// Last known value, or `default` when there is no such series.
    #[pyo3(signature = (name, default = None))]
    fn get(&self, py: Python<'_>, name: &str, default: Option<Py<PyAny>>) -> PyResult<Option<Py<PyAny>>> {
        if self.places(name).next().is_none() {
            return Ok(default);
        }
        Ok(Some(self.__getitem__(py, name)?.into_pyobject(py)?.into_any().unbind()))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyList::new(py, self.names())?.as_any().try_iter()
    }

    fn __len__(&self) -> usize {
        self.names().len()
    }
}
