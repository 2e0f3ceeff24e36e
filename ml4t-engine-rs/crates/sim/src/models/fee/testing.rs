//! What the tests of the fee models share.

use ml4t_abi::{FeeContext, Header, Liquidity};

use super::Formula;

pub(super) const BUY: i8 = 1;
pub(super) const SELL: i8 = -1;

/// A buy that is the whole of its order, the first of the month, and takes liquidity.
pub(super) fn fill(quantity: f64, price: f64) -> FeeContext {
    FeeContext {
        header: Header { side: BUY, ..Header::UNSET },
        liquidity: Liquidity::TAKER,
        reserved: 0,
        price,
        quantity,
        multiplier: 1.0,
        notional: quantity * price.abs(),
        order_filled_quantity: 0.0,
        order_notional: 0.0,
        order_fees: 0.0,
        month_quantity: 0.0,
        month_notional: 0.0,
    }
}

/// The same, sold.
pub(super) fn sale(quantity: f64, price: f64) -> FeeContext {
    let bought = fill(quantity, price);
    FeeContext { header: Header { side: SELL, ..bought.header }, ..bought }
}

/// What each of the fills of one order is charged, given as quantity and price, after `used` units of the month.
pub(super) fn charge<F: Formula>(model: &F, fills: &[(f64, f64)], used: f64) -> Vec<f64> {
    let mut order = FeeContext { month_quantity: used, ..fill(0.0, 0.0) };
    let mut fees = Vec::new();
    for &(quantity, price) in fills {
        let notional = quantity * price.abs();
        let fee = model.evaluate(&FeeContext { quantity, price, notional, ..order });
        order.order_filled_quantity += quantity;
        order.order_notional += notional;
        order.order_fees += fee;
        order.month_quantity += quantity;
        order.month_notional += notional;
        fees.push(fee);
    }
    fees
}

/// Equal but for the rounding of floats.
pub(super) fn assert_close(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{what}: found {found}, expected {expected}");
}

/// The same of every fee of an order, to a billionth of the money.
pub(super) fn assert_fees(found: &[f64], expected: &[f64]) {
    let differ = found.iter().zip(expected).any(|(found, expected)| (found - expected).abs() > 1e-9);
    assert!(found.len() == expected.len() && !differ, "found {found:?}, expected {expected:?}");
}
