//! What the tests of the slippage models share.

use ml4t_abi::{Header, Phase, SlippageContext};

/// A buy at the close of a bar of that volume.
pub(super) fn asked(price: f64, quantity: f64, volume: f64) -> SlippageContext {
    SlippageContext {
        header: Header { side: 1, ..Header::UNSET },
        phase: Phase::CLOSE,
        price,
        quantity,
        volume,
        volume_used: 0.0,
        ..SlippageContext::UNSET
    }
}

/// Equal but for the rounding of floats.
pub(super) fn assert_close(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{what}: found {found}, expected {expected}");
}
