//! Floating-point arithmetic as the R3010 does it: operands and results are bit patterns.
//!
//! What the chip leaves to software (denormal operands and results too small to be normal) comes back as
//! [`UNIMPLEMENTED`]. Which fraction bit tells a quiet NaN is MIPS's old convention: the top bit is set in a signalling one.

/// The result is rounded.
pub const INEXACT: u32 = 1;
/// The result is too large.
pub const OVERFLOW: u32 = 4;
/// A number divided by zero.
pub const DIVISION: u32 = 8;
/// There is no result.
pub const INVALID: u32 = 16;
/// The chip can't do it.
pub const UNIMPLEMENTED: u32 = 32;

/// How to round, as the control register holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, ties to even.
    Nearest = 0,
    /// Towards zero.
    Zero = 1,
    /// Towards plus infinity.
    Up = 2,
    /// Towards minus infinity.
    Down = 3,
}

impl Rounding {
    /// The mode with these two bits.
    pub fn from_bits(bits: u32) -> Rounding {
        match bits & 3 {
            0 => Rounding::Nearest,
            1 => Rounding::Zero,
            2 => Rounding::Up,
            _ => Rounding::Down,
        }
    }

    /// Whether a magnitude that lies `remainder` of `unit` above `odd`'s number goes up to the next.
    fn goes_up(self, negative: bool, odd: bool, remainder: u128, unit: u128) -> bool {
        match self {
            Rounding::Nearest => remainder > unit / 2 || remainder == unit / 2 && odd,
            Rounding::Zero => false,
            Rounding::Up => remainder != 0 && !negative,
            Rounding::Down => remainder != 0 && negative,
        }
    }
}

/// A format of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 32 bits.
    Single,
    /// 64 bits.
    Double,
}

impl Format {
    /// Bits of the fraction.
    fn fraction(self) -> u32 {
        match self {
            Format::Single => 23,
            Format::Double => 52,
        }
    }

    fn bias(self) -> i32 {
        match self {
            Format::Single => 127,
            Format::Double => 1023,
        }
    }

    /// The exponent field of infinities and NaNs.
    fn top(self) -> u64 {
        self.bias() as u64 * 2 + 1
    }

    fn sign(self) -> u64 {
        match self {
            Format::Single => 1 << 31,
            Format::Double => 1 << 63,
        }
    }

    fn zero(self, negative: bool) -> u64 {
        if negative { self.sign() } else { 0 }
    }

    fn infinity(self, negative: bool) -> u64 {
        self.zero(negative) | self.top() << self.fraction()
    }

    /// The NaN of an invalid operation: every fraction bit but the first.
    pub fn default_nan(self) -> u64 {
        self.infinity(false) | ((1 << (self.fraction() - 1)) - 1)
    }
}

/// Bits of a result, and the exceptions that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The result if no exception is trapped.
    pub bits: u64,
    /// The exceptions.
    pub exceptions: u32,
}

fn exact(bits: u64) -> Outcome {
    Outcome { bits, exceptions: 0 }
}

fn unimplemented() -> Outcome {
    Outcome { bits: 0, exceptions: UNIMPLEMENTED }
}

fn invalid(format: Format) -> Outcome {
    Outcome { bits: format.default_nan(), exceptions: INVALID }
}

/// A number: `significand` has its top bit set and counts units of 2^(exponent - 63).
#[derive(Clone, Copy)]
struct Number {
    negative: bool,
    exponent: i32,
    significand: u64,
}

/// What a bit pattern stands for.
#[derive(Clone, Copy)]
enum Value {
    Zero(bool),
    Finite(Number),
    Infinity(bool),
    Quiet,
    Signalling,
    Denormal,
}

fn unpack(format: Format, bits: u64) -> Value {
    let width = format.fraction();
    let negative = bits & format.sign() != 0;
    let fraction = bits & ((1 << width) - 1);
    let exponent = bits >> width & format.top();
    if exponent == 0 {
        return if fraction == 0 { Value::Zero(negative) } else { Value::Denormal };
    }
    if exponent == format.top() {
        return match fraction {
            0 => Value::Infinity(negative),
            _ if fraction >> (width - 1) != 0 => Value::Signalling,
            _ => Value::Quiet,
        };
    }
    let significand = (1 << width | fraction) << (63 - width);
    Value::Finite(Number { negative, exponent: exponent as i32 - format.bias(), significand })
}

/// Rounds `magnitude`, which is not 0 and counts units of 2^`unit`. Its lowest bit may stand for anything below it.
fn round(format: Format, mode: Rounding, negative: bool, magnitude: u128, unit: i32) -> Outcome {
    let spare = magnitude.leading_zeros();
    let magnitude = magnitude << spare;
    let mut exponent = unit + 127 - spare as i32;
    // Whether it is tiny is seen before it is rounded.
    if exponent < 1 - format.bias() {
        return unimplemented();
    }
    let cut = 127 - format.fraction();
    let mut kept = (magnitude >> cut) as u64;
    let remainder = magnitude & ((1 << cut) - 1);
    if mode.goes_up(negative, kept & 1 != 0, remainder, 1 << cut) {
        kept += 1;
        if kept >> (format.fraction() + 1) != 0 {
            kept >>= 1;
            exponent += 1;
        }
    }
    if exponent > format.bias() {
        let away = match mode {
            Rounding::Nearest => true,
            Rounding::Zero => false,
            Rounding::Up => !negative,
            Rounding::Down => negative,
        };
        let bits = format.infinity(negative) - u64::from(!away);
        return Outcome { bits, exceptions: OVERFLOW | INEXACT };
    }
    let fraction = kept & ((1 << format.fraction()) - 1);
    let bits = format.zero(negative) | ((exponent + format.bias()) as u64) << format.fraction() | fraction;
    Outcome { bits, exceptions: if remainder != 0 { INEXACT } else { 0 } }
}

/// The outcome of an operation on these operands that needs no arithmetic: a denormal or NaN among them.
fn special(format: Format, operands: &[(u64, Value)]) -> Option<Outcome> {
    let any = |test: fn(&Value) -> bool| operands.iter().find(|(_, value)| test(value));
    if any(|value| matches!(value, Value::Denormal)).is_some() {
        return Some(unimplemented());
    }
    if any(|value| matches!(value, Value::Signalling)).is_some() {
        return Some(invalid(format));
    }
    any(|value| matches!(value, Value::Quiet)).map(|&(bits, _)| exact(bits))
}

/// `a + b`.
pub fn add(format: Format, mode: Rounding, a: u64, b: u64) -> Outcome {
    use Value::*;
    let (x, y) = (unpack(format, a), unpack(format, b));
    if let Some(outcome) = special(format, &[(a, x), (b, y)]) {
        return outcome;
    }
    match (x, y) {
        (Infinity(p), Infinity(q)) if p != q => invalid(format),
        (Infinity(_), _) => exact(a),
        (_, Infinity(_)) => exact(b),
        (Zero(p), Zero(q)) => exact(format.zero(if p == q { p } else { mode == Rounding::Down })),
        (_, Zero(_)) => exact(a),
        (Zero(_), _) => exact(b),
        (Finite(x), Finite(y)) => {
            let (large, small) =
                if (x.exponent, x.significand) >= (y.exponent, y.significand) { (x, y) } else { (y, x) };
            let distance = (large.exponent - small.exponent) as u32;
            let unit = large.exponent - 63 - 62;
            let first = u128::from(large.significand) << 62;
            let second = u128::from(small.significand) << 62;
            // What is shifted out only matters in being there.
            let second = match distance {
                0..=62 => second >> distance,
                63..=125 => second >> distance | u128::from(second << (128 - distance) != 0),
                _ => 1,
            };
            let sum = if large.negative == small.negative { first + second } else { first - second };
            match sum {
                0 => exact(format.zero(mode == Rounding::Down)),
                _ => round(format, mode, large.negative, sum, unit),
            }
        }
        // Denormals and NaNs are dealt with.
        _ => unimplemented(),
    }
}

/// `a - b`.
pub fn subtract(format: Format, mode: Rounding, a: u64, b: u64) -> Outcome {
    match unpack(format, b) {
        // A NaN keeps its sign.
        Value::Quiet | Value::Signalling => add(format, mode, a, b),
        _ => add(format, mode, a, b ^ format.sign()),
    }
}

/// `a * b`.
pub fn multiply(format: Format, mode: Rounding, a: u64, b: u64) -> Outcome {
    use Value::*;
    let (x, y) = (unpack(format, a), unpack(format, b));
    if let Some(outcome) = special(format, &[(a, x), (b, y)]) {
        return outcome;
    }
    let negative = (a ^ b) & format.sign() != 0;
    match (x, y) {
        (Infinity(_), Zero(_)) | (Zero(_), Infinity(_)) => invalid(format),
        (Infinity(_), _) | (_, Infinity(_)) => exact(format.infinity(negative)),
        (Zero(_), _) | (_, Zero(_)) => exact(format.zero(negative)),
        (Finite(x), Finite(y)) => {
            let product = u128::from(x.significand) * u128::from(y.significand);
            round(format, mode, negative, product, x.exponent + y.exponent - 126)
        }
        _ => unimplemented(),
    }
}

/// `a / b`.
pub fn divide(format: Format, mode: Rounding, a: u64, b: u64) -> Outcome {
    use Value::*;
    let (x, y) = (unpack(format, a), unpack(format, b));
    if let Some(outcome) = special(format, &[(a, x), (b, y)]) {
        return outcome;
    }
    let negative = (a ^ b) & format.sign() != 0;
    match (x, y) {
        (Infinity(_), Infinity(_)) | (Zero(_), Zero(_)) => invalid(format),
        (Infinity(_), _) => exact(format.infinity(negative)),
        (Zero(_), _) | (_, Infinity(_)) => exact(format.zero(negative)),
        (_, Zero(_)) => Outcome { bits: format.infinity(negative), exceptions: DIVISION },
        (Finite(x), Finite(y)) => {
            let dividend = u128::from(x.significand) << 64;
            let divisor = u128::from(y.significand);
            // One more bit below stands for the remainder.
            let quotient = ((dividend / divisor) << 1) | u128::from(!dividend.is_multiple_of(divisor));
            round(format, mode, negative, quotient, x.exponent - y.exponent - 65)
        }
        _ => unimplemented(),
    }
}

/// A number without its sign, or with the other one.
pub fn change_sign(format: Format, a: u64, negate: bool) -> Outcome {
    let value = unpack(format, a);
    special(format, &[(a, value)]).unwrap_or(exact(if negate { a ^ format.sign() } else { a & !format.sign() }))
}

/// From one format to the other.
pub fn convert(from: Format, to: Format, mode: Rounding, a: u64) -> Outcome {
    match unpack(from, a) {
        Value::Denormal => unimplemented(),
        Value::Zero(negative) => exact(to.zero(negative)),
        Value::Infinity(negative) => exact(to.infinity(negative)),
        Value::Signalling => invalid(to),
        Value::Quiet => {
            let (narrow, wide) = (from.fraction(), to.fraction());
            let fraction = a & ((1 << narrow) - 1);
            let fraction = if wide > narrow { fraction << (wide - narrow) } else { fraction >> (narrow - wide) };
            // Without a fraction it would be an infinity.
            match fraction {
                0 => exact(to.default_nan()),
                _ => exact(to.infinity(a & from.sign() != 0) | fraction),
            }
        }
        Value::Finite(x) => round(to, mode, x.negative, x.significand.into(), x.exponent - 63),
    }
}

/// From an integer.
pub fn from_word(to: Format, mode: Rounding, word: u32) -> Outcome {
    match word as i32 {
        0 => exact(0),
        value => round(to, mode, value < 0, value.unsigned_abs().into(), 0),
    }
}

/// To an integer. What has none becomes the largest.
pub fn to_word(from: Format, mode: Rounding, a: u64) -> Outcome {
    let none = Outcome { bits: 0x7fff_ffff, exceptions: INVALID };
    let x = match unpack(from, a) {
        Value::Denormal => return unimplemented(),
        Value::Zero(_) => return exact(0),
        Value::Finite(x) if x.exponent < 32 => x,
        _ => return none,
    };
    // 65 bits after the point; below them only whether there is something.
    let fixed = match x.exponent {
        -2.. => u128::from(x.significand) << (x.exponent + 2),
        _ => 1,
    };
    let remainder = fixed & ((1 << 65) - 1);
    let integer = (fixed >> 65) as i64;
    let up = mode.goes_up(x.negative, integer & 1 != 0, remainder, 1 << 65);
    let magnitude = integer + i64::from(up);
    match i32::try_from(if x.negative { -magnitude } else { magnitude }) {
        Ok(value) => Outcome { bits: (value as u32).into(), exceptions: if remainder != 0 { INEXACT } else { 0 } },
        Err(_) => none,
    }
}

/// Compares by the four bits of a condition: 8 makes a NaN invalid, 4 asks for less, 2 for equal, 1 for unordered.
/// Denormals compare like any number.
pub fn compare(format: Format, condition: u32, a: u64, b: u64) -> (bool, u32) {
    let values = [unpack(format, a), unpack(format, b)];
    let signalling = values.iter().any(|value| matches!(value, Value::Signalling));
    let unordered = signalling || values.iter().any(|value| matches!(value, Value::Quiet));
    if unordered {
        return (condition & 1 != 0, if signalling || condition & 8 != 0 { INVALID } else { 0 });
    }
    let order = |bits: u64| {
        let magnitude = (bits & !format.sign()) as i64;
        if bits & format.sign() != 0 { -magnitude } else { magnitude }
    };
    let (a, b) = (order(a), order(b));
    (a < b && condition & 4 != 0 || a == b && condition & 2 != 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bit patterns, many of them near an edge or near each other.
    fn pattern(format: Format) -> impl Strategy<Value = u64> {
        let width = format.fraction();
        (any::<bool>(), any::<u64>(), 0..6, any::<u64>(), 0..4).prop_map(
            move |(negative, exponent, near, fraction, shape)| {
                let exponent = match near {
                    0 => exponent % (format.top() + 1),
                    1 => format.top() - exponent % 3,
                    2 => exponent % 3,
                    _ => format.bias() as u64 - 30 + exponent % 60,
                };
                let mask = (1 << width) - 1;
                let fraction = match shape {
                    0 => 0,
                    1 => mask,
                    2 => 1 << (fraction % u64::from(width)),
                    _ => fraction & mask,
                };
                format.zero(negative) | exponent << width | fraction
            },
        )
    }

    /// Compares with the host's arithmetic, which rounds to nearest, where the chip gives a result.
    fn check(format: Format, found: Outcome, host: u64, operands: &[u64]) -> Result<(), TestCaseError> {
        let class = |bits| unpack(format, bits);
        if operands.iter().any(|&bits| matches!(class(bits), Value::Denormal)) {
            prop_assert_eq!(found.exceptions, UNIMPLEMENTED);
            return Ok(());
        }
        match class(host) {
            // The host's NaNs are of the other convention.
            Value::Quiet | Value::Signalling => {
                prop_assert!(matches!(class(found.bits), Value::Quiet), "{found:x?}");
            }
            Value::Denormal => prop_assert_eq!(found.exceptions, UNIMPLEMENTED),
            // It may have been rounded up to the smallest normal number, or down to zero.
            _ if found.exceptions == UNIMPLEMENTED => {
                prop_assert!(host & !format.sign() <= 1 << format.fraction(), "{host:x}");
            }
            _ => prop_assert_eq!(found.bits, host, "{:x?} for {:x?}", found, operands),
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

        #[test]
        fn singles_round_as_the_host_does(a in pattern(Format::Single), b in pattern(Format::Single)) {
            let (x, y) = (f32::from_bits(a as u32), f32::from_bits(b as u32));
            let mode = Rounding::Nearest;
            let host = |value: f32| u64::from(value.to_bits());
            check(Format::Single, add(Format::Single, mode, a, b), host(x + y), &[a, b])?;
            check(Format::Single, subtract(Format::Single, mode, a, b), host(x - y), &[a, b])?;
            check(Format::Single, multiply(Format::Single, mode, a, b), host(x * y), &[a, b])?;
            check(Format::Single, divide(Format::Single, mode, a, b), host(x / y), &[a, b])?;
        }

        #[test]
        fn doubles_round_as_the_host_does(a in pattern(Format::Double), b in pattern(Format::Double)) {
            let (x, y) = (f64::from_bits(a), f64::from_bits(b));
            let mode = Rounding::Nearest;
            check(Format::Double, add(Format::Double, mode, a, b), (x + y).to_bits(), &[a, b])?;
            check(Format::Double, subtract(Format::Double, mode, a, b), (x - y).to_bits(), &[a, b])?;
            check(Format::Double, multiply(Format::Double, mode, a, b), (x * y).to_bits(), &[a, b])?;
            check(Format::Double, divide(Format::Double, mode, a, b), (x / y).to_bits(), &[a, b])?;
        }

        #[test]
        fn directed_modes_enclose_the_nearest(a in pattern(Format::Double), b in pattern(Format::Double)) {
            type Operation = fn(Format, Rounding, u64, u64) -> Outcome;
            for operation in [add as Operation, subtract, multiply, divide] {
                let by = |mode| operation(Format::Double, mode, a, b);
                let nearest = by(Rounding::Nearest);
                if nearest.exceptions & !INEXACT != 0 || f64::from_bits(nearest.bits).is_nan() {
                    continue;
                }
                let [zero, up, down] = [Rounding::Zero, Rounding::Up, Rounding::Down].map(|mode| f64::from_bits(by(mode).bits));
                let near = f64::from_bits(nearest.bits);
                prop_assert!(down <= near && near <= up, "{down:e} {near:e} {up:e}");
                prop_assert_eq!(zero, if near > 0.0 { down } else { up });
                prop_assert_eq!(down != up, nearest.exceptions == INEXACT);
            }
        }

        #[test]
        fn conversions(a in pattern(Format::Double), b in pattern(Format::Single), word in any::<u32>()) {
            let mode = Rounding::Nearest;
            let narrow = convert(Format::Double, Format::Single, mode, a);
            if !matches!(unpack(Format::Double, a), Value::Denormal) {
                check(Format::Single, narrow, u64::from((f64::from_bits(a) as f32).to_bits()), &[])?;
            }
            let wide = convert(Format::Single, Format::Double, mode, b);
            if !matches!(unpack(Format::Single, b), Value::Denormal) {
                check(Format::Double, wide, f64::from(f32::from_bits(b as u32)).to_bits(), &[])?;
            }
            prop_assert_eq!(from_word(Format::Double, mode, word).bits, f64::from(word as i32).to_bits());
            prop_assert_eq!(from_word(Format::Single, mode, word).bits, u64::from((word as i32 as f32).to_bits()));
            let value = f64::from_bits(a);
            for (mode, rounded) in [
                (Rounding::Nearest, value.round_ties_even()),
                (Rounding::Zero, value.trunc()),
                (Rounding::Up, value.ceil()),
                (Rounding::Down, value.floor()),
            ] {
                let found = to_word(Format::Double, mode, a);
                if found.exceptions == UNIMPLEMENTED {
                    prop_assert!(value.is_subnormal());
                } else if (-2_147_483_648.0..=2_147_483_647.0).contains(&rounded) {
                    let exceptions = if rounded == value { 0 } else { INEXACT };
                    prop_assert_eq!(found, Outcome { bits: u64::from(rounded as i32 as u32), exceptions });
                } else {
                    prop_assert_eq!(found, Outcome { bits: 0x7fff_ffff, exceptions: INVALID });
                }
            }
        }

        #[test]
        fn comparisons(a in pattern(Format::Double), b in pattern(Format::Double), same in any::<bool>()) {
            let b = if same { a } else { b };
            let (x, y) = (f64::from_bits(a), f64::from_bits(b));
            for condition in 0..16 {
                let unordered = x.is_nan() || y.is_nan();
                let expected = x < y && condition & 4 != 0 || x == y && condition & 2 != 0 || unordered && condition & 1 != 0;
                let (found, exceptions) = compare(Format::Double, condition, a, b);
                prop_assert_eq!(found, expected);
                prop_assert!(unordered || exceptions == 0);
                prop_assert!(!unordered || condition & 8 == 0 || exceptions == INVALID);
            }
        }
    }
}
