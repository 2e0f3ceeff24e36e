//! Exact numbers: scaled integers for prices, quantities and cash, and every rounding rule of a run.
//!
//! A price is an `i64` in units of 10^-p and a quantity an `i64` in units of 10^-s, with p and s fixed per
//! instrument; cash is an `i128` in units of 1e-18. Because p + s + (decimals of the multiplier) is at most
//! 18, `price x quantity x multiplier` posts to cash without rounding.

use arrow_buffer::i256;

use crate::error::{Result, SimError};
use crate::terms::Amount;

/// Decimals of [`Cash`].
pub const CASH_EXPONENT: u32 = 18;
const CASH_UNIT: i128 = 1_000_000_000_000_000_000;

/// Price of one unit, scaled by the instrument's price exponent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(pub i64);

/// Signed quantity, scaled by the instrument's quantity exponent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Qty(pub i64);

/// Money in units of 1e-18 of its currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cash(pub i128);

impl Qty {
    /// Size without sign.
    #[must_use]
    pub const fn abs(self) -> i64 {
        self.0.abs()
    }
}

impl Cash {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Sum, or an overflow error that names `what`.
    ///
    /// # Errors
    /// The sum leaves the range of `i128`.
    pub fn plus(self, other: Self, what: &str) -> Result<Self> {
        self.0.checked_add(other.0).map(Self).ok_or_else(|| overflow(what))
    }

    /// Difference, or an overflow error that names `what`.
    ///
    /// # Errors
    /// The difference leaves the range of `i128`.
    pub fn minus(self, other: Self, what: &str) -> Result<Self> {
        self.0.checked_sub(other.0).map(Self).ok_or_else(|| overflow(what))
    }

    /// Nearest `f64`.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Most amounts of a fill without costs.
        if self.0 == 0 {
            return 0.0;
        }
        self.near_f64().unwrap_or_else(|| quotient_f64(self.0, CASH_UNIT))
    }

    /// The quotient in floats, put right by what it leaves: it may be off by some bits. `None` where the rest has no
    /// room, or is just half a bit.
    fn near_f64(self) -> Option<f64> {
        const TWO_64: f64 = 18_446_744_073_709_551_616.0;
        let amount = self.0.unsigned_abs();
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "put right below")]
        let near = ((amount >> 64) as u64 as f64 * TWO_64 + amount as u64 as f64) / 1e18;
        let bits = near.to_bits();
        let (mut mantissa, exponent) = (bits & 0x000f_ffff_ffff_ffff | 1 << 52, (bits >> 52) as i32 - 1075);
        let shift = u32::try_from(-exponent).ok().filter(|&shift| shift < amount.leading_zeros())?;
        let mut rest = (amount << shift).cast_signed() - i128::from(mantissa) * CASH_UNIT;
        while rest * 2 > CASH_UNIT {
            mantissa += 1;
            rest -= CASH_UNIT;
        }
        while rest * 2 < -CASH_UNIT {
            mantissa -= 1;
            rest += CASH_UNIT;
        }
        // Where the exponent changes, bits are of another size.
        if rest.abs() * 2 == CASH_UNIT || mantissa <= 1 << 52 || mantissa >= 1 << 53 {
            return None;
        }
        let found = f64::from_bits((bits & !0x000f_ffff_ffff_ffff) | (mantissa & 0x000f_ffff_ffff_ffff));
        Some(if self.0 < 0 { -found } else { found })
    }

    /// Exact amount of a decimal text or integer mantissa with `exponent` decimals.
    #[must_use]
    pub fn from_decimal(decimal: Decimal) -> Option<Self> {
        decimal.scaled(CASH_EXPONENT).map(Self)
    }

    /// Round a model's answer once, half to even, to `quantum` (given in units of 1e-18).
    #[must_use]
    pub fn from_f64(x: f64, quantum: i128) -> Option<Self> {
        let exponent = quantum_exponent(quantum)?;
        scale_f64(x, exponent)?.checked_mul(quantum).map(Self)
    }

    /// Share `part / whole` of this amount, rounded half to even.
    ///
    /// # Errors
    /// The intermediate product leaves the range of `i128`.
    pub fn share(self, part: i64, whole: i64, what: &str) -> Result<Self> {
        if part == whole {
            return Ok(self);
        }
        mul_div_half_even(self.0, i128::from(part), i128::from(whole)).map(Self).ok_or_else(|| overflow(what))
    }
}

fn overflow(what: &str) -> SimError {
    SimError::overflow(format!("{what}: the amount leaves the range of a 128-bit ledger entry (1.7e20 currency units)"))
}

/// The `f64` nearest to `n / d`, ties to even; d is not 0.
#[must_use]
pub fn quotient_f64(n: i128, d: i128) -> f64 {
    let sign = if (n < 0) == (d < 0) { 1.0 } else { -1.0 };
    let (n, d) = (n.unsigned_abs(), d.unsigned_abs());
    if n == 0 {
        return 0.0;
    }
    let common = (n | d).trailing_zeros();
    let (n, d) = (n >> common, d >> common);
    let (mut quotient, mut rest, mut exponent) = shifted_quotient(n, d).unwrap_or((n / d, n % d, 0));
    // Long division until 64 bits are known; doubling cannot overflow, because what remains is below d < 2^127.
    while quotient < 1 << 63 {
        rest *= 2;
        quotient *= 2;
        if rest >= d {
            rest -= d;
            quotient += 1;
        }
        exponent -= 1;
    }
    let excess = 64_u32.saturating_sub(quotient.leading_zeros());
    let is_rest = rest != 0 || quotient & ((1 << excess) - 1) != 0;
    exponent += excess.cast_signed();
    // The last of 64 bits stands for everything below it, so that one rounding to 53 bits is the only one.
    let bits = u64::try_from(quotient >> excess).unwrap_or(u64::MAX) | u64::from(is_rest);
    #[expect(clippy::cast_precision_loss, reason = "the rounding that is wanted")]
    let mantissa = bits as f64;
    // A power of two from 2^-190 to 2^64: exact.
    sign * mantissa * f64::from_bits(u64::from((1023 + exponent).cast_unsigned()) << 52)
}

/// Quotient of at least 64 bits, rest, and the exponent of two that it is to be scaled by; `None` where the dividend
/// has no room for that many bits, which a divisor below 2^63 always leaves.
const fn shifted_quotient(n: u128, d: u128) -> Option<(u128, u128, i32)> {
    let shift = (65 + 128 - d.leading_zeros()).saturating_sub(128 - n.leading_zeros());
    if shift > n.leading_zeros() {
        return None;
    }
    let dividend = n << shift;
    let quotient = dividend / d;
    Some((quotient, dividend - quotient * d, -shift.cast_signed()))
}

/// Number of decimals of a quantum that is a power of ten, as 9 for 1e-9.
fn quantum_exponent(quantum: i128) -> Option<u32> {
    const QUANTA: [i128; CASH_EXPONENT as usize + 1] = {
        let mut quanta = [CASH_UNIT; CASH_EXPONENT as usize + 1];
        let mut e = 1;
        while e < quanta.len() {
            quanta[e] = quanta[e - 1] / 10;
            e += 1;
        }
        quanta
    };
    (0..=CASH_EXPONENT).find(|&e| quantum == QUANTA[e as usize])
}

/// Check that `quantum` (in units of 1e-18) is 1, 0.1, 0.01 … 1e-18.
///
/// # Errors
/// It is not.
pub fn check_quantum(quantum: i128) -> Result<()> {
    quantum_exponent(quantum).map(|_| ()).ok_or_else(|| {
        SimError::config(format!("posting_quantum {} is not a power of ten from 1e-18 to 1", Cash(quantum).to_f64()))
    })
}

/// `a x b / c` with the quotient rounded half to even; `None` on overflow or c = 0.
#[must_use]
pub fn mul_div_half_even(a: i128, b: i128, c: i128) -> Option<i128> {
    if let Some(product) = a.checked_mul(b) {
        return div_half_even(product, c);
    }
    wide_half_even(a, b, c)
}

/// As [`mul_div_half_even`], for a product beyond 128 bits, such as an amount of a foreign currency at its rate.
fn wide_half_even(a: i128, b: i128, c: i128) -> Option<i128> {
    match u64::try_from(c.unsigned_abs()) {
        Ok(d) if d > 0 => {
            let units = narrow_half_even(wide_product(a.unsigned_abs(), b.unsigned_abs()), d)?;
            let is_negative = (a < 0) ^ (b < 0) ^ (c < 0);
            if is_negative { 0_i128.checked_sub_unsigned(units) } else { i128::try_from(units).ok() }
        }
        _ => widest_half_even(a, b, c),
    }
}

/// The product of two numbers in 64-bit digits, the lowest first.
#[expect(clippy::cast_possible_truncation, reason = "digits")]
const fn wide_product(a: u128, b: u128) -> [u64; 4] {
    let (a, b) = ([a as u64 as u128, a >> 64], [b as u64 as u128, b >> 64]);
    let low = a[0] * b[0];
    // Below 2^128: the largest product of digits leaves room for two more digits.
    let middle = a[0] * b[1] + (low >> 64);
    let other = a[1] * b[0] + middle as u64 as u128;
    let high = a[1] * b[1] + (middle >> 64) + (other >> 64);
    [low as u64, other as u64, high as u64, (high >> 64) as u64]
}

/// A number of four digits divided by one digit and rounded half to even; `None` beyond two digits.
fn narrow_half_even(number: [u64; 4], divisor: u64) -> Option<u128> {
    let divisor = u128::from(divisor);
    if number[3] != 0 || u128::from(number[2]) >= divisor {
        return None;
    }
    let (mut quotient, mut rest) = (0, u128::from(number[2]));
    for digit in [number[1], number[0]] {
        let part = rest << 64 | u128::from(digit);
        let units = part / divisor;
        rest = part - units * divisor;
        quotient = quotient << 64 | units;
    }
    let away = rest * 2 > divisor || (rest * 2 == divisor && quotient % 2 != 0);
    quotient.checked_add(u128::from(away))
}

/// As [`wide_half_even`], for a divisor beyond 64 bits.
#[cold]
fn widest_half_even(a: i128, b: i128, c: i128) -> Option<i128> {
    let [a, b, c] = [a, b, c].map(i256::from_i128);
    let product = a.checked_mul(b)?;
    let (quotient, rest) = (product.checked_div(c)?.to_i128()?, product.checked_rem(c)?);
    let twice = rest.wrapping_abs().checked_add(rest.wrapping_abs())?;
    let away = match twice.cmp(&c.wrapping_abs()) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Less => false,
    };
    let step = if (product < i256::ZERO) == (c < i256::ZERO) { 1 } else { -1 };
    if away { quotient.checked_add(step) } else { Some(quotient) }
}

/// `a / c` rounded half to even; `None` on overflow or c = 0.
#[must_use]
pub fn div_half_even(a: i128, c: i128) -> Option<i128> {
    let q = a.checked_div(c)?;
    // Of the same sign as the dividend and no larger: one long division is enough.
    let r = a.wrapping_sub(q.wrapping_mul(c));
    if r == 0 {
        return Some(q);
    }
    let twice = r.unsigned_abs().checked_mul(2)?;
    let away = match twice.cmp(&c.unsigned_abs()) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => q % 2 != 0,
        std::cmp::Ordering::Less => false,
    };
    let step = if (a < 0) == (c < 0) { 1 } else { -1 };
    if away { q.checked_add(step) } else { Some(q) }
}

/// `x x 10^decimals` rounded half to even to an integer, exactly (no intermediate `f64` product).
///
/// `None` when x is not finite or the result leaves `i128`. `decimals` is at most 18.
#[must_use]
pub fn scale_f64(x: f64, decimals: u32) -> Option<i128> {
    if !x.is_finite() || decimals > CASH_EXPONENT {
        return None;
    }
    let bits = x.to_bits();
    let biased = ((bits >> 52) & 0x7ff) as i32;
    let fraction = i128::from(bits & 0x000f_ffff_ffff_ffff);
    let (mantissa, exponent) = if biased == 0 { (fraction, -1074) } else { (fraction | (1 << 52), biased - 1075) };
    // mantissa < 2^53 and 10^18 < 2^60, so the product is below 2^113.
    let product = mantissa * 10_i128.pow(decimals);
    let magnitude = if exponent >= 0 {
        let shift = exponent.unsigned_abs();
        if product != 0 && shift >= product.leading_zeros().saturating_sub(1) {
            return None;
        }
        if product == 0 { 0 } else { product << shift }
    } else {
        let shift = exponent.unsigned_abs();
        if shift >= 126 { 0 } else { shift_right_half_even(product, shift) }
    };
    Some(if x < 0.0 { -magnitude } else { magnitude })
}

/// The integer next to a product of floats below 2^51, which is off by less than a quarter there; `None` where that
/// might matter.
fn near_integer(product: f64) -> Option<i64> {
    const RANGE: f64 = 2_251_799_813_685_248.0;
    if product.abs() < RANGE {
        #[expect(clippy::cast_possible_truncation, reason = "in range")]
        let whole = product as i64;
        #[expect(clippy::cast_precision_loss, reason = "below 2^51")]
        let rest = product - whole as f64;
        if rest.abs() < 0.25 {
            return Some(whole);
        }
        if rest.abs() > 0.75 {
            return Some(whole + if rest > 0.0 { 1 } else { -1 });
        }
    }
    None
}

/// Non-negative `a / 2^shift`, half to even; shift in 1..126.
const fn shift_right_half_even(a: i128, shift: u32) -> i128 {
    let floor = a >> shift;
    let rest = a - (floor << shift);
    let half = 1_i128 << (shift - 1);
    if rest > half || (rest == half && floor % 2 != 0) { floor + 1 } else { floor }
}

/// An exact decimal number: `mantissa x 10^-exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// Signed digits.
    pub mantissa: i128,
    /// Digits behind the point.
    pub exponent: u32,
}

impl Decimal {
    /// Parse `-12.50`, `7`, `1e-9`, `2.5E3`; trailing zeros do not matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (digits, power) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (negative, digits) = match digits.as_bytes().first()? {
            b'-' => (true, &digits[1..]),
            b'+' => (false, &digits[1..]),
            _ => (false, digits),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        // Beyond 30 decimals nothing can be told apart that anything here keeps.
        let (fraction, beyond) = fraction.split_at_checked(30).unwrap_or((fraction, ""));
        if !beyond.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let mut mantissa: i128 = 0;
        for byte in whole.bytes().chain(fraction.bytes()) {
            if !byte.is_ascii_digit() {
                return None;
            }
            mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
        }
        let mut exponent = i32::try_from(fraction.len()).ok()?.checked_sub(power)?;
        while exponent > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            exponent -= 1;
        }
        if exponent < 0 {
            mantissa = mantissa.checked_mul(10_i128.checked_pow(exponent.unsigned_abs())?)?;
            exponent = 0;
        }
        let mantissa = if negative { -mantissa } else { mantissa };
        Some(Self { mantissa, exponent: exponent.unsigned_abs() })
    }

    /// The number cut toward zero to at most `exponent` decimals.
    #[must_use]
    pub fn truncated(self, exponent: u32) -> Self {
        let extra = self.exponent.saturating_sub(exponent);
        let unit = 10_i128.checked_pow(extra).unwrap_or(i128::MAX);
        Self { mantissa: self.mantissa / unit, exponent: self.exponent - extra }
    }

    /// The number in units of 10^-`exponent`, or `None` when it has more decimals than that.
    #[must_use]
    pub fn scaled(self, exponent: u32) -> Option<i128> {
        if self.exponent > exponent {
            return None;
        }
        self.mantissa.checked_mul(10_i128.checked_pow(exponent - self.exponent)?)
    }

    /// The number in units of 10^-`exponent`, rounded down or up, and whether that was exact; within `i64`.
    #[must_use]
    pub fn scaled_toward(self, exponent: u32, up: bool) -> Option<(i64, bool)> {
        if let Some(exact) = self.scaled(exponent) {
            return i64::try_from(exact).ok().map(|x| (x, true));
        }
        let unit = 10_i128.checked_pow(self.exponent.checked_sub(exponent)?)?;
        let floor = i64::try_from(self.mantissa.div_euclid(unit)).ok()?;
        Some((if up { floor.checked_add(1)? } else { floor }, false))
    }

    /// The `f64` nearest to the number; NaN for more decimals than 38 digits hold.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        10_i128.checked_pow(self.exponent).map_or(f64::NAN, |unit| quotient_f64(self.mantissa, unit))
    }

    /// Difference of two numbers; `None` out of range.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.max(other.exponent);
        let mantissa = self.scaled(exponent)?.checked_sub(other.scaled(exponent)?)?;
        Some(Self { mantissa, exponent })
    }

    /// As [`Decimal::scaled`], within `i64`.
    #[must_use]
    pub fn scaled_i64(self, exponent: u32) -> Option<i64> {
        self.scaled(exponent).and_then(|x| i64::try_from(x).ok())
    }
}

/// How an instrument's prices and quantities become cash.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Decimals of a price.
    pub price_exponent: u32,
    /// Decimals of a quantity.
    pub quantity_exponent: u32,
    /// Contract multiplier x 10^(decimals of the multiplier).
    pub multiplier: i64,
    /// Decimals of the multiplier.
    pub multiplier_exponent: u32,
    unit: i128,
    price_unit: f64,
    quantity_unit: f64,
    multiplier_unit: f64,
}

impl Scale {
    /// Build, checking that a product of the three scales is representable in cash.
    ///
    /// # Errors
    /// p + s + m is above 18 or the multiplier is not positive.
    pub fn new(price_exponent: u32, quantity_exponent: u32, multiplier: Decimal) -> Result<Self> {
        let total = price_exponent + quantity_exponent + multiplier.exponent;
        if total > CASH_EXPONENT {
            return Err(SimError::config(format!(
                "price_exponent {price_exponent} + quantity_exponent {quantity_exponent} + multiplier decimals {} = {total}; \
                 at most 18 are exact in cash",
                multiplier.exponent
            )));
        }
        let Some(units) = i64::try_from(multiplier.mantissa).ok().filter(|&m| m > 0) else {
            return Err(SimError::config("multiplier must be above 0 and within 64 bits".to_owned()));
        };
        Ok(Self {
            price_exponent,
            quantity_exponent,
            multiplier: units,
            multiplier_exponent: multiplier.exponent,
            unit: i128::from(units) * 10_i128.pow(CASH_EXPONENT - total),
            price_unit: power_of_ten(price_exponent),
            quantity_unit: power_of_ten(quantity_exponent),
            multiplier_unit: power_of_ten(multiplier.exponent),
        })
    }

    /// `price x quantity x multiplier`, exact and signed like the quantity; `None` on overflow.
    #[must_use]
    pub fn notional(&self, price: Price, quantity: Qty) -> Option<Cash> {
        (i128::from(price.0) * i128::from(quantity.0)).checked_mul(self.unit).map(Cash)
    }

    /// A market price, rounded once to the price exponent.
    #[must_use]
    pub fn price(&self, x: f64) -> Option<Price> {
        if let Some(price) = near_integer(x * self.price_unit) {
            return Some(Price(price));
        }
        scale_f64(x, self.price_exponent).and_then(|p| i64::try_from(p).ok()).map(Price)
    }

    /// A model's quantity in whole `lot` steps: the most units whose value as `f64` is not above `x`.
    ///
    /// Compared as `f64`, so that a quantity which a model was given and hands back is that quantity again,
    /// although 1.19207306 itself is no `f64`. Infinity, NaN and numbers beyond 64 bits give `None`.
    #[must_use]
    pub fn quantity_floor(&self, x: f64, lot: i64) -> Option<i64> {
        let nearest = scale_f64(x, self.quantity_exponent).and_then(|n| i64::try_from(n).ok())?;
        let units = if self.quantity_f64(nearest) <= x { nearest } else { nearest.checked_sub(1)? };
        Some(units - units.rem_euclid(lot))
    }

    /// A model's quantity in whole `lot` steps, rounded up: the fewest units whose value as `f64` is not below `x`.
    ///
    /// Infinity, NaN and numbers beyond 64 bits give `None`.
    #[must_use]
    pub fn quantity_ceil(&self, x: f64, lot: i64) -> Option<i64> {
        let down = self.quantity_floor(x, lot)?;
        if self.quantity_f64(down) < x { down.checked_add(lot) } else { Some(down) }
    }

    /// A price less an amount of money per unit, which is rounded half to even to the price exponent.
    #[must_use]
    pub fn less(&self, price: Price, per_unit: Cash) -> Option<Price> {
        let drop = div_half_even(per_unit.0, 10_i128.pow(CASH_EXPONENT - self.price_exponent))?;
        i64::try_from(i128::from(price.0) - drop).ok().map(Price)
    }

    /// Price as `f64`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rendering and model input")]
    pub fn price_f64(&self, price: Price) -> f64 {
        price.0 as f64 / self.price_unit
    }

    /// Amount in units of price as the nearest `f64`.
    #[must_use]
    pub fn amount_f64(&self, amount: Amount) -> f64 {
        amount.den.checked_mul(10_i128.pow(self.price_exponent)).map_or(f64::NAN, |d| quotient_f64(amount.num, d))
    }

    /// Quantity as `f64`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "rendering and model input")]
    pub fn quantity_f64(&self, quantity: i64) -> f64 {
        quantity as f64 / self.quantity_unit
    }

    /// Multiplier as `f64`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "model input")]
    pub fn multiplier_f64(&self) -> f64 {
        self.multiplier as f64 / self.multiplier_unit
    }

    /// Worth of a quantity at one price unit: what a cost is divided by for the average price in price units.
    #[must_use]
    pub fn per_price_unit(&self, quantity: Qty) -> Option<i128> {
        i128::from(quantity.0).checked_mul(self.unit)
    }

    /// Average price of a signed cost over a signed quantity: the `f64` nearest to the exact quotient.
    ///
    /// NaN for no quantity, or one whose value leaves the range of the ledger.
    #[must_use]
    pub fn average_price(&self, cost: Cash, quantity: Qty) -> f64 {
        // cost = price units x quantity x unit, and a price unit is 10^-p.
        let worth =
            i128::from(quantity.0).checked_mul(self.unit).and_then(|w| w.checked_mul(10_i128.pow(self.price_exponent)));
        worth.filter(|&w| w != 0).map_or(f64::NAN, |w| quotient_f64(cost.0, w))
    }
}

/// 10^exponent, exact up to 10^18.
#[expect(clippy::cast_precision_loss, reason = "powers of ten are exact in f64 up to 10^22")]
const fn power_of_ten(exponent: u32) -> f64 {
    10_u64.pow(exponent) as f64
}

/// Middle of a quote, half to even; the side that is there when one is missing.
#[must_use]
pub fn middle(bid: Option<Price>, ask: Option<Price>) -> Option<Price> {
    match (bid, ask) {
        (Some(bid), Some(ask)) => {
            let sum = div_half_even(i128::from(bid.0) + i128::from(ask.0), 2)?;
            i64::try_from(sum).ok().map(Price)
        }
        (only, None) | (None, only) => only,
    }
}

/// An exact positive fraction, such as new shares per old share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// Numerator.
    pub num: i64,
    /// Denominator.
    pub den: i64,
}

impl Ratio {
    /// Build from positive parts.
    ///
    /// # Errors
    /// A part is not positive.
    pub fn new(num: i64, den: i64) -> Result<Self> {
        if num <= 0 || den <= 0 {
            return Err(SimError::config(format!("ratio {num}/{den}: both parts must be above 0")));
        }
        Ok(Self { num, den })
    }

    /// A price of the old share as one of the new: divided by the ratio, half to even.
    #[must_use]
    pub fn unscale(self, price: Price) -> Option<Price> {
        let exact = mul_div_half_even(i128::from(price.0), i128::from(self.den), i128::from(self.num))?;
        i64::try_from(exact).ok().map(Price)
    }

    /// `floor(|x| x ratio)` with the sign of x.
    #[must_use]
    pub fn scale_down(self, x: i64) -> Option<i64> {
        let scaled = i128::from(x) * i128::from(self.num) / i128::from(self.den);
        i64::try_from(scaled).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimal_texts_with_trailing_zeros_are_one_number() {
        assert_eq!(Decimal::parse("0.1"), Decimal::parse("0.100"));
        assert_eq!(Decimal::parse("1e-9"), Some(Decimal { mantissa: 1, exponent: 9 }));
        assert_eq!(Decimal::parse("2.5E3"), Some(Decimal { mantissa: 2500, exponent: 0 }));
        assert_eq!(Decimal::parse("-12.50"), Some(Decimal { mantissa: -125, exponent: 1 }));
        for bad in ["", ".", "-", "1.2.3", "0x1", "nan", "1e", "1_000"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn market_prices_round_half_even_at_the_price_exponent() {
        assert_eq!(scale_f64(0.5, 0), Some(0));
        assert_eq!(scale_f64(1.5, 0), Some(2));
        assert_eq!(scale_f64(2.5, 0), Some(2));
        assert_eq!(scale_f64(-2.5, 0), Some(-2));
        assert_eq!(scale_f64(101.23, 9), Some(101_230_000_000));
        assert_eq!(scale_f64(f64::NAN, 9), None);
        assert_eq!(scale_f64(f64::INFINITY, 9), None);
        assert_eq!(scale_f64(1e300, 9), None);
        assert_eq!(scale_f64(5e-324, 18), Some(0));
    }

    #[test]
    fn products_beyond_128_bits_divide_as_those_within() {
        let big = 1_i128 << 100;
        assert_eq!(mul_div_half_even(big, 3 * big, 2 * big), Some(big + big / 2));
        assert_eq!(mul_div_half_even(5, big, 2 * big), Some(2));
        assert_eq!(mul_div_half_even(7 * big, big, 2 * big), Some(7 * (big / 2)));
        assert_eq!(mul_div_half_even(big + 1, -big, 2 * big), Some(-(big / 2)));
        assert_eq!(mul_div_half_even(big + 3, -big, 2 * big), Some(-(big / 2) - 2));
        assert_eq!(mul_div_half_even(big, big, 1), None);
        assert_eq!(mul_div_half_even(big, big, 0), None);
    }

    #[test]
    fn notional_is_exact() -> Result<()> {
        let scale = Scale::new(9, 8, Decimal { mantissa: 1, exponent: 0 })?;
        // 3 satoshi at 0.000000001
        assert_eq!(scale.notional(Price(1), Qty(3)), Some(Cash(30)));
        assert!(Scale::new(9, 8, Decimal { mantissa: 15, exponent: 2 }).is_err());
        Ok(())
    }

    #[test]
    fn a_cap_between_two_lots_is_rounded_down() -> Result<()> {
        let scale = Scale::new(9, 0, Decimal { mantissa: 1, exponent: 0 })?;
        assert_eq!(scale.quantity_floor(50.999, 1), Some(50));
        assert_eq!(scale.quantity_floor(299.0, 100), Some(200));
        assert_eq!(scale.quantity_floor(0.07 * 100.0, 1), Some(7));
        assert_eq!(scale.quantity_floor(0.29 * 100.0, 1), Some(28));
        assert_eq!(scale.quantity_floor(f64::INFINITY, 1), None);
        Ok(())
    }

    #[test]
    fn cash_renders_without_noise() {
        assert_eq!(Cash(100_000_250_000_000_000_000_000).to_f64().to_bits(), 100_000.25_f64.to_bits());
    }

    #[test]
    fn quotients_are_the_nearest_float() {
        for (n, d, expected) in [(1, 3, 1.0 / 3.0), (-2, 3, -2.0 / 3.0), (1_044_043, 100_000, 10.440_43), (5, 5, 1.0)] {
            assert_eq!(quotient_f64(n, d).to_bits(), f64::to_bits(expected), "{n}/{d}");
        }
        assert_eq!(quotient_f64(i128::MAX, 1).to_bits(), libm::ldexp(1.0, 127).to_bits());
    }

    /// Long division, bit by bit, until there are enough for one rounding.
    fn bit_by_bit(n: i128, d: i128) -> f64 {
        let sign = if (n < 0) == (d < 0) { 1.0 } else { -1.0 };
        let (n, d) = (n.unsigned_abs(), d.unsigned_abs());
        let (mut quotient, mut rest, mut exponent) = (n / d, n % d, 0);
        while quotient < 1 << 63 {
            (rest, quotient, exponent) = (rest * 2, quotient * 2, exponent - 1);
            if rest >= d {
                (rest, quotient) = (rest - d, quotient + 1);
            }
        }
        let mut sticky = rest != 0;
        while quotient >= 1 << 64 {
            sticky |= quotient % 2 != 0;
            (quotient, exponent) = (quotient / 2, exponent + 1);
        }
        #[expect(clippy::cast_precision_loss, reason = "the rounding that is wanted")]
        let mantissa = (u64::try_from(quotient).expect("64 bits") | u64::from(sticky)) as f64;
        sign * libm::ldexp(mantissa, exponent)
    }

    proptest! {
        #[test]
        fn a_quotient_of_any_size_is_what_long_division_gives(
            n in any::<i128>(), d in any::<i128>(), small in 0_u32..127, shorter in 0_u32..127,
        ) {
            // Numbers of all lengths, not only of 127 bits.
            let (n, d) = (n >> small, d >> shorter);
            prop_assume!(n != 0 && d != 0);
            prop_assert_eq!(quotient_f64(n, d).to_bits(), bit_by_bit(n, d).to_bits());
        }

        #[test]
        fn an_amount_is_shown_as_the_nearest_float(n in any::<i128>(), shorter in 0_u32..127, halves in 0_i64..1 << 53) {
            let mut amounts = vec![n >> shorter];
            // Half a bit between two floats, and next to it.
            let half = (i128::from(halves) * 2 + 1).checked_mul(CASH_UNIT / 2);
            amounts.extend(half.into_iter().flat_map(|half| [half - 1, half, half + 1]));
            for amount in amounts.into_iter().filter(|&amount| amount != 0) {
                prop_assert_eq!(Cash(amount).to_f64().to_bits(), bit_by_bit(amount, CASH_UNIT).to_bits(), "{}", amount);
            }
        }

        #[test]
        fn a_price_is_the_nearest_integer(x in -1e12_f64..1e12, decimals in 0_u32..13, half in -1_000_000_i64..1_000_000) {
            let scale = Scale::new(decimals, 0, Decimal { mantissa: 1, exponent: 0 }).expect("a scale");
            // Also the floats around a half, where a product of floats may round to it.
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let near_half = (half as f64 + 0.5) / power_of_ten(decimals);
            for x in [x, near_half, near_half.next_up(), near_half.next_down()] {
                let exact = scale_f64(x, decimals).and_then(|price| i64::try_from(price).ok()).map(Price);
                prop_assert_eq!(scale.price(x), exact, "{} {}", x, decimals);
            }
        }

        #[test]
        fn small_quotients_round_as_the_processor_does(n in -9_007_199_254_740_991_i64..9_007_199_254_740_991, d in 1_i64..9_007_199_254_740_991) {
            #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
            let expected = n as f64 / d as f64;
            prop_assert_eq!(quotient_f64(i128::from(n), i128::from(d)).to_bits(), if n == 0 { 0 } else { expected.to_bits() });
        }

        #[test]
        fn products_of_any_size_divide_as_wider_numbers_do(
            a in any::<i128>(), b in any::<i128>(), c in any::<i64>(), shorter in (0_u32..127, 0_u32..127, 0_u32..63),
        ) {
            let (a, b, c) = (a >> shorter.0, b >> shorter.1, i128::from(c >> shorter.2));
            for c in [c, -c, i128::from(u64::MAX), 1_i128 << 64] {
                prop_assert_eq!(wide_half_even(a, b, c), widest_half_even(a, b, c), "{} x {} / {}", a, b, c);
                // Halves, and what leaves the range by the last bit.
                for (a, b) in [(a, c / 2), (i128::MIN, c), (i128::MAX, c), (i128::MIN, -c), (i128::MIN, i128::MIN)] {
                    prop_assert_eq!(wide_half_even(a, b, c), widest_half_even(a, b, c), "{} x {} / {}", a, b, c);
                }
            }
        }

        #[test]
        fn half_even_division_is_within_half_of_the_divisor(a in -1_000_000_i128..1_000_000, c in 1_i128..1_000) {
            let q = div_half_even(a, c).unwrap_or(i128::MAX);
            let twice_error = (a - q * c).abs() * 2;
            prop_assert!(twice_error < c || (twice_error == c && q % 2 == 0));
        }

        #[test]
        fn a_quantity_survives_the_way_through_a_model(units in 0_i64..1_000_000_000_000_000, exponent in 0_u32..9) {
            let one = Decimal { mantissa: 1, exponent: 0 };
            let scale = Scale::new(9, exponent, one);
            prop_assert_eq!(scale.map(|s| s.quantity_floor(s.quantity_f64(units), 1)), Ok(Some(units)));
        }

        #[test]
        fn scaling_a_short_decimal_recovers_its_digits(digits in -9_007_199_254_740_i64..9_007_199_254_740) {
            #[expect(clippy::cast_precision_loss, reason = "test values are below 2^53")]
            let x = digits as f64 / 1000.0;
            prop_assert_eq!(scale_f64(x, 3), Some(i128::from(digits)));
        }
    }
}
