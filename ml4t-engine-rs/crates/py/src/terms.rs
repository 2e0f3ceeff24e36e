//! Keywords of an order, and what they mean for an instrument.

use ml4t_sim::error::SimError;
use ml4t_sim::instrument::Instrument;
use ml4t_sim::money::{Decimal, Price, div_half_even};
use ml4t_sim::order::{OrderRequest, OrderType, Reason, Side, TimeInForce};
use ml4t_sim::plan::Plan;
use ml4t_sim::policies::{LotRounding, TickRounding};
use ml4t_sim::replace::Changes;
use ml4t_sim::state::Asked;
use ml4t_sim::terms::{Amount, Distance, Instructions, Trail};
use ml4t_sim::time::{NEVER, Ns};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDate, PyDateTime, PyDict, PyString};

use crate::convert::{decimal, nearest, scaled};
use crate::error::{IntoPyResult, argument, to_py};

const BILLION: i128 = 1_000_000_000;

type Value<'py> = Option<Bound<'py, PyAny>>;

/// Keywords as they were given; `None` in Python is the same as leaving one out.
#[derive(Default)]
pub(crate) struct Given<'py> {
    pub order_type: Value<'py>,
    pub limit_price: Value<'py>,
    pub stop_price: Value<'py>,
    pub quantity: Value<'py>,
    pub tag: Value<'py>,
    pub time_in_force: Value<'py>,
    pub trail_amount: Value<'py>,
    pub trail_fraction: Value<'py>,
    pub limit_offset: Value<'py>,
    pub activation_price: Value<'py>,
    pub expire_at: Value<'py>,
    pub post_only: Value<'py>,
    pub reduce_only: Value<'py>,
    pub all_or_none: Value<'py>,
    pub adjust_for_dividend: Value<'py>,
    pub display_quantity: Value<'py>,
    pub lot: Value<'py>,
    pub parent: Value<'py>,
    pub oco: Value<'py>,
    pub ouo: Value<'py>,
}

impl<'py> Given<'py> {
    /// With type and prices.
    pub(crate) fn priced(order_type: Value<'py>, limit_price: Value<'py>, stop_price: Value<'py>) -> Self {
        Self { order_type, limit_price, stop_price, ..Self::default() }
    }
}

/// Keywords that an order may have beside its type and prices.
pub(crate) const TERMS: [&str; 15] = [
    "trail_amount",
    "trail_fraction",
    "limit_offset",
    "activation_price",
    "expire_at",
    "post_only",
    "reduce_only",
    "all_or_none",
    "adjust_for_dividend",
    "display_quantity",
    "lot",
    "parent",
    "oco",
    "ouo",
    "time_in_force",
];
/// What names the type and the prices.
pub(crate) const PRICED: [&str; 3] = ["order_type", "limit_price", "stop_price"];
/// What may be changed.
pub(crate) const CHANGES: [&str; 7] =
    ["quantity", "limit_price", "stop_price", "trail_amount", "trail_fraction", "limit_offset", "expire_at"];

impl<'py> Given<'py> {
    /// Take the keywords of a method that knows some of them.
    pub(crate) fn take(&mut self, method: &str, given: Option<&Bound<'py, PyDict>>, known: &[&[&str]]) -> PyResult<()> {
        let Some(given) = given else { return Ok(()) };
        for (key, value) in given {
            let name: String = key.extract()?;
            let is_known = known.iter().any(|names| names.contains(&name.as_str()));
            let slot = if is_known { self.slot(&name) } else { None };
            let Some(slot) = slot else {
                return Err(PyTypeError::new_err(format!("{method}() got an unexpected keyword argument '{name}'")));
            };
            *slot = Some(value).filter(|v| !v.is_none());
        }
        Ok(())
    }

    fn slot(&mut self, name: &str) -> Option<&mut Value<'py>> {
        Some(match name {
            "order_type" => &mut self.order_type,
            "limit_price" => &mut self.limit_price,
            "stop_price" => &mut self.stop_price,
            "quantity" => &mut self.quantity,
            "tag" => &mut self.tag,
            "time_in_force" => &mut self.time_in_force,
            "trail_amount" => &mut self.trail_amount,
            "trail_fraction" => &mut self.trail_fraction,
            "limit_offset" => &mut self.limit_offset,
            "activation_price" => &mut self.activation_price,
            "expire_at" => &mut self.expire_at,
            "post_only" => &mut self.post_only,
            "reduce_only" => &mut self.reduce_only,
            "all_or_none" => &mut self.all_or_none,
            "adjust_for_dividend" => &mut self.adjust_for_dividend,
            "display_quantity" => &mut self.display_quantity,
            "lot" => &mut self.lot,
            "parent" => &mut self.parent,
            "oco" => &mut self.oco,
            "ouo" => &mut self.ouo,
            _ => return None,
        })
    }

    /// Type and lifetime; without a type the prices say which where `infers`.
    pub(crate) fn kind(&self, infers: bool) -> PyResult<(OrderType, TimeInForce)> {
        let life = match &self.time_in_force {
            None => None,
            Some(value) => Some(TimeInForce::parse(&name_of(value)?).into_py(value.py())?),
        };
        let Some(value) = &self.order_type else {
            let implied = match (self.limit_price.is_some(), self.stop_price.is_some()) {
                (true, true) => OrderType::StopLimit,
                (true, false) => OrderType::Limit,
                (false, true) => OrderType::Stop,
                (false, false) => OrderType::Market,
            };
            return Ok((if infers { implied } else { OrderType::Market }, life.unwrap_or(TimeInForce::Gtc)));
        };
        let name = name_of(value)?;
        let (kind, own) = match name.as_str() {
            "market_on_open" => (OrderType::Market, Some(TimeInForce::Opg)),
            "limit_on_open" => (OrderType::Limit, Some(TimeInForce::Opg)),
            "market_on_close" => (OrderType::Market, Some(TimeInForce::Cls)),
            "limit_on_close" => (OrderType::Limit, Some(TimeInForce::Cls)),
            name => {
                let parsed = OrderType::parse(name).map_err(|e| {
                    let more = "market_on_open, limit_on_open, market_on_close, limit_on_close";
                    SimError { message: format!("{}, {more}", e.message), ..e }
                });
                (parsed.into_py(value.py())?, None)
            }
        };
        if let (Some(own), Some(life)) = (own, life)
            && own != life
        {
            let (own, life) = (own.as_str(), life.as_str());
            let text = format!("{name} is good for {own} only, found time_in_force {life}");
            return Err(to_py(value.py(), &SimError::order(text)));
        }
        Ok((kind, own.or(life).unwrap_or(TimeInForce::Gtc)))
    }

    /// The terms of an order on an instrument, beside its type and prices.
    pub(crate) fn fill_in(&self, py: Python<'py>, plan: &Plan, i: usize, request: &mut OrderRequest) -> PyResult<()> {
        let instrument = &plan.instruments[i];
        let symbol = instrument.symbol.as_str();
        request.trail = self.trail(py, instrument, request.order_type, request.side)?;
        if let Some(value) = &self.expire_at {
            request.expires_at = expiry(value, plan, i)?;
        }
        if let Some(value) = &self.display_quantity {
            let (shown, is_whole) =
                nearest(value, instrument.scale.quantity_exponent, ("display_quantity", symbol), false)?;
            if !is_whole || shown % instrument.lot_size != 0 {
                let lot = instrument.scale.quantity_f64(instrument.lot_size);
                let text = format!("display_quantity {} is not a multiple of lot_size {lot} ({symbol})", value.str()?);
                return Err(to_py(py, &SimError::order(text)));
            }
            request.display_quantity = Some(shown);
        }
        request.instructions = Instructions {
            post_only: flag(py, self.post_only.as_ref(), "post_only")?,
            reduce_only: flag(py, self.reduce_only.as_ref(), "reduce_only")?,
            all_or_none: flag(py, self.all_or_none.as_ref(), "all_or_none")?,
            adjust_for_dividend: flag(py, self.adjust_for_dividend.as_ref(), "adjust_for_dividend")?,
        };
        Ok(())
    }

    fn activation(&self, instrument: &Instrument, side: Side) -> PyResult<Option<Price>> {
        let Some(value) = &self.activation_price else { return Ok(None) };
        let place = ("activation_price", instrument.symbol.as_str());
        nearest(value, instrument.scale.price_exponent, place, side == Side::Sell).map(|(p, _)| Some(Price(p)))
    }

    /// Whether the price at which a trailing stop begins has more decimals than the instrument keeps.
    pub(crate) fn activation_is_off(&self, instrument: &Instrument, side: Side) -> PyResult<bool> {
        let Some(value) = &self.activation_price else { return Ok(false) };
        let place = ("activation_price", instrument.symbol.as_str());
        nearest(value, instrument.scale.price_exponent, place, side == Side::Sell).map(|(_, is_exact)| !is_exact)
    }

    fn trail(&self, py: Python<'py>, instrument: &Instrument, kind: OrderType, side: Side) -> PyResult<Option<Trail>> {
        let name = kind.as_str();
        let wrong = |text: String| Err(to_py(py, &SimError::order(text)));
        let fields = [
            ("trail_amount", &self.trail_amount),
            ("trail_fraction", &self.trail_fraction),
            ("limit_offset", &self.limit_offset),
            ("activation_price", &self.activation_price),
        ];
        if !kind.is_trailing() {
            return match fields.into_iter().find(|(_, value)| value.is_some()) {
                Some((field, _)) => wrong(format!("a {name} order takes no {field} ({})", instrument.symbol)),
                None => Ok(None),
            };
        }
        let Some(distance) = self.distance(py, instrument)? else {
            return wrong(format!("a {name} order needs trail_amount or trail_fraction ({})", instrument.symbol));
        };
        let amount = |value: &Value<'py>, field, least| match value {
            None => Ok(None),
            Some(value) => exact(value, instrument, field, least).map(Some),
        };
        Ok(Some(Trail {
            distance,
            limit_offset: amount(&self.limit_offset, "limit_offset", Some(0))?,
            activation: self.activation(instrument, side)?,
        }))
    }

    fn distance(&self, py: Python<'py>, instrument: &Instrument) -> PyResult<Option<Distance>> {
        match (&self.trail_amount, &self.trail_fraction) {
            (None, None) => Ok(None),
            (Some(amount), None) => exact(amount, instrument, "trail_amount", Some(1)).map(Distance::Amount).map(Some),
            (None, Some(fraction)) => {
                let number = decimal(fraction, "trail_fraction", &instrument.symbol)?;
                let unit = 10_i128.checked_pow(number.exponent);
                let scaled = unit.and_then(|unit| div_half_even(number.mantissa.checked_mul(BILLION)?, unit));
                let inside = scaled.filter(|&x| x > 0 && x < BILLION).and_then(|x| i64::try_from(x).ok());
                inside.map(|x| Some(Distance::Fraction(x))).ok_or_else(|| {
                    let found = fraction.str().map_or_else(|_| "?".to_owned(), |s| s.to_string());
                    let text =
                        format!("trail_fraction must be above 0, below 1, found {found} ({})", instrument.symbol);
                    to_py(py, &SimError::order(text))
                })
            }
            (Some(_), Some(_)) => {
                let text =
                    format!("a trailing stop needs trail_amount or trail_fraction, not both ({})", instrument.symbol);
                Err(to_py(py, &SimError::order(text)))
            }
        }
    }

    /// What `modify_order` asks for.
    pub(crate) fn changes(
        &self,
        py: Python<'py>,
        plan: &Plan,
        i: usize,
        side: Side,
        is_stop: bool,
    ) -> PyResult<Changes> {
        let instrument = &plan.instruments[i];
        let symbol = instrument.symbol.as_str();
        let mut changes = Changes { distance: self.distance(py, instrument)?, ..Changes::default() };
        let is_strict = plan.policies.tick_rounding == TickRounding::Reject;
        if let Some(value) = &self.quantity {
            let (units, is_whole) = lots(value, instrument, plan.policies.lot_rounding, "quantity")?;
            changes.quantity = Some(units);
            if !is_whole {
                let lot = instrument.scale.quantity_f64(instrument.lot_size);
                changes.refusal = Some(format!("quantity {} is not a multiple of lot_size {lot}", value.str()?));
            }
        }
        let tick = instrument.scale.price_f64(Price(instrument.tick_size));
        for (field, value, up, slot) in [
            ("limit_price", &self.limit_price, side == Side::Sell, &mut changes.limit_price),
            ("stop_price", &self.stop_price, (side == Side::Buy) == is_stop, &mut changes.stop_price),
        ] {
            let Some(value) = value else { continue };
            let (price, is_exact) = nearest(value, instrument.scale.price_exponent, (field, symbol), up)?;
            *slot = Some(Price(price));
            if is_strict && !is_exact && changes.refusal.is_none() {
                changes.refusal = Some(format!("{field} {} is not a multiple of tick_size {tick}", value.str()?));
            }
        }
        if let Some(value) = &self.limit_offset {
            changes.limit_offset = Some(exact(value, instrument, "limit_offset", Some(0))?);
        }
        if let Some(value) = &self.expire_at {
            changes.expires_at = Some(expiry(value, plan, i)?);
        }
        Ok(changes)
    }
}

/// Units of a quantity, and whether they are all of it; see [`Instrument::in_lots`].
pub(crate) fn lots(
    value: &Bound<'_, PyAny>,
    instrument: &Instrument,
    rounding: LotRounding,
    field: &str,
) -> PyResult<(i64, bool)> {
    let place = (field, instrument.symbol.as_str());
    let is_negative = decimal(value, field, &instrument.symbol)?.mantissa < 0;
    let found = nearest(value, instrument.scale.quantity_exponent, place, is_negative)?;
    Ok(instrument.in_lots(found, rounding))
}

/// Text of an enum member or of a plain string.
pub(crate) fn name_of(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_str()?.to_lowercase());
    }
    let inner = value.getattr("value").unwrap_or_else(|_| value.clone());
    Ok(inner.str()?.to_str()?.to_lowercase())
}

fn flag(py: Python<'_>, value: Option<&Bound<'_, PyAny>>, field: &str) -> PyResult<bool> {
    let Some(value) = value else { return Ok(false) };
    value.extract().or_else(|_| Err(argument(py, &format!("{field} is True or False, found {}", value.repr()?))))
}

/// An amount in price units, `least` of them at least.
fn exact(value: &Bound<'_, PyAny>, instrument: &Instrument, field: &str, least: Option<i64>) -> PyResult<Amount> {
    let units = scaled(value, instrument.scale.price_exponent, field, &instrument.symbol)?;
    if least.is_some_and(|least| units < least) {
        let rule = if least == Some(0) { "must not be below zero" } else { "must be above zero" };
        let text = format!("{field} {rule}, found {} ({})", value.str()?, instrument.symbol);
        return Err(to_py(value.py(), &SimError::order(text)));
    }
    Ok(Amount::new(units))
}

/// When a `gtd` order ends: an instant, or the close of a session by its date.
fn expiry(value: &Bound<'_, PyAny>, plan: &Plan, i: usize) -> PyResult<Ns> {
    let py = value.py();
    let symbol = &plan.instruments[i].symbol;
    let wrong = |text: String| to_py(py, &SimError::order(format!("{text} ({symbol})")));
    let value = if let Ok(text) = value.cast::<PyString>() {
        let module = py.import("datetime")?;
        let class = if text.to_str()?.len() == 10 { "date" } else { "datetime" };
        module
            .getattr(class)?
            .call_method1("fromisoformat", (text,))
            .map_err(|_| wrong(format!("expire_at {text:?} is no ISO date or time")))?
    } else {
        value.clone()
    };
    if value.is_instance_of::<PyDate>() && !value.is_instance_of::<PyDateTime>() {
        let ordinal: i32 = value.call_method0("toordinal")?.extract()?;
        let sessions = &plan.calendars[plan.instruments[i].calendar.index()];
        let day = ordinal - 719_163;
        return sessions
            .label
            .binary_search(&day)
            .map(|k| sessions.close[k])
            .map_err(|_| wrong(format!("expire_at {value}: the calendar {} has no such session", sessions.name)));
    }
    let converted = py.import("ml4t.core.values")?.call_method1("to_ns", (instant(&value)?,));
    let ns: Ns = converted.map_err(|e| wrong(format!("expire_at: {}", e.value(py))))?.extract()?;
    Ok(ns.min(NEVER - 1))
}

/// Our own timestamps as the number they hold.
fn instant<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if value.cast::<crate::timestamp::Timestamp>().is_ok() { value.call_method0("__int__") } else { Ok(value.clone()) }
}

/// The numbers of an order as they were given, for one that is refused because of them.
pub(crate) fn asked_for(
    quantity: &Bound<'_, PyAny>,
    (limit, stop): (Option<&Bound<'_, PyAny>>, Option<&Bound<'_, PyAny>>),
    symbol: &str,
) -> PyResult<Asked> {
    let number = |value: Option<&Bound<'_, PyAny>>, field| {
        value.map_or(Ok(f64::NAN), |v| decimal(v, field, symbol).map(Decimal::to_f64))
    };
    Ok(Asked {
        quantity: number(Some(quantity), "quantity")?.abs(),
        limit_price: number(limit, "limit_price")?,
        stop_price: number(stop, "stop_price")?,
    })
}

/// Why an order is refused for a number that the instrument cannot keep.
pub(crate) struct OffGrid {
    pub reason: Reason,
    pub text: String,
}

type Prices<'a, 'py> = (Option<&'a Bound<'py, PyAny>>, Option<&'a Bound<'py, PyAny>>);

impl OffGrid {
    /// The first of quantity, limit and stop price that is off its grid.
    pub(crate) fn of(
        instrument: &Instrument,
        (quantity, units, is_whole): (&Bound<'_, PyAny>, i64, bool),
        (prices, limit_is_off, stop_is_off): (Prices<'_, '_>, bool, bool),
        activation: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Self>> {
        let tick = instrument.scale.price_f64(Price(instrument.tick_size));
        let off_tick = |field: &str, value: &Bound<'_, PyAny>| -> PyResult<Option<Self>> {
            let text = format!("{field} {} is not a multiple of tick_size {tick}", value.str()?);
            Ok(Some(Self { reason: Reason::OffTick, text }))
        };
        if !is_whole {
            let lot = instrument.scale.quantity_f64(instrument.lot_size);
            let text = format!("quantity {} is not a multiple of lot_size {lot}", quantity.str()?);
            return Ok(Some(Self { reason: Reason::OffLot, text }));
        }
        let off_tick = match prices {
            (Some(value), _) if limit_is_off => off_tick("limit_price", value),
            (_, Some(value)) if stop_is_off => off_tick("stop_price", value),
            _ => activation.map_or(Ok(None), |value| off_tick("activation_price", value)),
        }?;
        if off_tick.is_some() && units % instrument.lot_size != 0 {
            // The size comes first, as at intake.
            let (units, lot) =
                (instrument.scale.quantity_f64(units), instrument.scale.quantity_f64(instrument.lot_size));
            let text = format!("quantity {units} is not a multiple of lot_size {lot}");
            return Ok(Some(Self { reason: Reason::OffLot, text }));
        }
        Ok(off_tick)
    }
}
