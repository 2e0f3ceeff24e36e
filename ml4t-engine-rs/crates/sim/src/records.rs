//! Order records of native code, read into what the engine works with.

use ml4t_abi::{Life, OpenOrder, OrderRecord, OrderType as AbiType};

use crate::engine::Api;
use crate::error::{Result, SimError, shown};
use crate::ids::OrderId;
use crate::instrument::Instrument;
use crate::money::Price;
use crate::order::{Order, OrderRequest, OrderType, Reason, TimeInForce};
use crate::plan::Plan;
use crate::policies::LotRounding;
use crate::state::Asked;
use crate::time::{Ns, render};

/// Who wrote the records, for messages: what it is, its name, the instrument where it has one, and the instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Author<'a> {
    pub(crate) what: &'static str,
    pub(crate) name: &'a str,
    pub(crate) symbol: Option<&'a str>,
    pub(crate) now: Ns,
}

impl Author<'_> {
    pub(crate) fn error(&self, text: &str) -> SimError {
        let Self { what, name, now, .. } = self;
        let symbol = self.symbol.map_or_else(String::new, |symbol| format!(", {symbol}"));
        SimError::model(format!("{what} {name}{symbol}, {}: {text}", render(*now)))
    }

    /// A quantity in units, and whether it is one.
    pub(crate) fn quantity(
        &self,
        instrument: &Instrument,
        rounding: LotRounding,
        quantity: f64,
    ) -> Result<(i64, bool)> {
        let scale = &instrument.scale;
        let units = scale.quantity_floor(quantity, 1).filter(|_| quantity > 0.0);
        let Some(units) = units else {
            let found = shown(quantity);
            let text = format!(
                "{}: quantity {found} of an order record; it must be above zero and within the instrument's range",
                instrument.symbol
            );
            return Err(self.error(&text));
        };
        let is_exact = units > 0 && scale.quantity_f64(units).to_bits() == quantity.to_bits();
        Ok(instrument.in_lots((units.max(1), is_exact), rounding))
    }

    pub(crate) fn price(&self, instrument: &Instrument, name: &str, price: f64) -> Result<Option<Price>> {
        if price.is_nan() {
            return Ok(None);
        }
        instrument.scale.price(price).map(Some).ok_or_else(|| {
            self.error(&format!("{}: {name} {} of an order record leaves its range", instrument.symbol, shown(price)))
        })
    }

    pub(crate) fn order_type(&self, found: AbiType) -> Result<OrderType> {
        Ok(match found {
            AbiType::MARKET => OrderType::Market,
            AbiType::LIMIT => OrderType::Limit,
            AbiType::STOP => OrderType::Stop,
            AbiType::STOP_LIMIT => OrderType::StopLimit,
            AbiType::MARKET_IF_TOUCHED => OrderType::MarketIfTouched,
            AbiType::LIMIT_IF_TOUCHED => OrderType::LimitIfTouched,
            other => return Err(self.error(&format!("order_type {} of an order record is not known", other.0))),
        })
    }

    pub(crate) fn life(&self, found: Life) -> Result<TimeInForce> {
        Ok(match found {
            Life::GTC => TimeInForce::Gtc,
            Life::DAY => TimeInForce::Day,
            Life::IOC => TimeInForce::Ioc,
            Life::FOK => TimeInForce::Fok,
            Life::OPG => TimeInForce::Opg,
            Life::CLS => TimeInForce::Cls,
            other => return Err(self.error(&format!("life {} of an order record is not known", other.0))),
        })
    }

    /// The order of a record: `template` with its type, life and prices.
    pub(crate) fn request(
        &self,
        instrument: &Instrument,
        template: OrderRequest,
        record: &OrderRecord,
    ) -> Result<OrderRequest> {
        Ok(OrderRequest {
            order_type: self.order_type(record.order_type)?,
            time_in_force: self.life(record.life)?,
            limit_price: self.price(instrument, "limit_price", record.limit_price)?,
            stop_price: self.price(instrument, "stop_price", record.stop_price)?,
            ..template
        })
    }
}

/// Send the order of a record; intake refuses a quantity that is no multiple of the lot.
pub(crate) fn send(
    api: &mut Api<'_>,
    author: Author<'_>,
    instrument: &Instrument,
    (request, is_exact): (OrderRequest, bool),
    record: &OrderRecord,
) -> Result<OrderId> {
    let sent = if is_exact {
        api.submit(request)
    } else {
        let (found, lot) = (record.quantity.abs(), instrument.scale.quantity_f64(instrument.lot_size));
        let at = render(api.state.now);
        let text = format!("quantity {found} is not a multiple of lot_size {lot} ({}, {at})", instrument.symbol);
        let asked = Asked { quantity: found, limit_price: record.limit_price, stop_price: record.stop_price };
        api.submit_refused(request, Reason::OffLot, text, Some(asked))
    };
    sent.map_err(|error| {
        let named = author.error(&format!("{} ({})", error.message, instrument.symbol));
        SimError { kind: error.kind, ..named }
    })
}

/// An order at work, as native code sees it.
pub(crate) fn open_order(plan: &Plan, order: &Order, client_id: u64) -> OpenOrder {
    let scale = &plan.instruments[order.request.instrument.index()].scale;
    let price = |price: Option<Price>| price.map_or(f64::NAN, |price| scale.price_f64(price));
    OpenOrder {
        asset: order.request.instrument.0,
        order_type: number_of_type(order.request.order_type),
        client_id,
        leaves_quantity: scale.quantity_f64(order.signed_leaves()),
        limit_price: price(order.request.limit_price),
        stop_price: price(order.request.stop_price),
    }
}

/// How native code calls an order type; it knows a trailing stop as the stop that it is at the moment.
#[must_use]
pub const fn number_of_type(order_type: OrderType) -> AbiType {
    match order_type {
        OrderType::Market => AbiType::MARKET,
        OrderType::Limit => AbiType::LIMIT,
        OrderType::Stop | OrderType::TrailingStop => AbiType::STOP,
        OrderType::StopLimit | OrderType::TrailingStopLimit => AbiType::STOP_LIMIT,
        OrderType::MarketIfTouched => AbiType::MARKET_IF_TOUCHED,
        OrderType::LimitIfTouched => AbiType::LIMIT_IF_TOUCHED,
    }
}

/// How native code calls a lifetime; `None` for one that needs a time.
#[must_use]
pub const fn number_of_life(life: TimeInForce) -> Option<Life> {
    Some(match life {
        TimeInForce::Gtc => Life::GTC,
        TimeInForce::Day => Life::DAY,
        TimeInForce::Ioc => Life::IOC,
        TimeInForce::Fok => Life::FOK,
        TimeInForce::Opg => Life::OPG,
        TimeInForce::Cls => Life::CLS,
        TimeInForce::Gtd => return None,
    })
}
