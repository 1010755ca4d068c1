//! Exact decimals: text to integer units of 10^-scale, with no float in between.

/// Significant digits a decimal may have: what a `u128` always holds.
const DIGITS_MAX: usize = 38;
/// Exponents are clamped here; anything near it is far out of every range a catalog has.
const EXPONENT_MAX: i64 = 1_000_000;

/// Zeros that a number written out may have.
const PLAIN_ZEROS_MAX: i32 = 40;

/// `±digits × 10^exponent`. `digits` has no trailing zero, so that `-exponent` is the scale the number needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub negative: bool,
    digits: u128,
    exponent: i32,
}

/// Why a text is not a decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    NotANumber,
    /// More than 38 significant digits.
    TooManyDigits,
}

/// Why a decimal is not a whole number of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotUnits {
    /// Exact only with at least this many decimal digits.
    NeedsScale(u32),
    TooLarge,
}

impl Decimal {
    /// Reads `[+-]digits[.digits][e[+-]digits]`, with `_` allowed between two digits of the mantissa.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], exponent_of(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(Malformed::NotANumber);
        }
        let mut digits = Vec::new();
        push_digits(whole, &mut digits)?;
        let whole_len = digits.len();
        push_digits(fraction, &mut digits)?;
        let fraction_len = digits.len() - whole_len;

        let kept = digits
            .iter()
            .rposition(|d| *d != 0)
            .map_or(0, |last| last + 1);
        let trailing = digits.len() - kept;
        let leading = digits[..kept].iter().take_while(|d| **d == 0).count();
        let significant = &digits[leading..kept];
        if significant.is_empty() {
            return Ok(Self {
                negative: false,
                digits: 0,
                exponent: 0,
            });
        }
        if significant.len() > DIGITS_MAX {
            return Err(Malformed::TooManyDigits);
        }
        let value = significant
            .iter()
            .fold(0u128, |sum, d| sum * 10 + u128::from(*d));
        let exponent = (exponent + trailing as i64 - fraction_len as i64)
            .clamp(-EXPONENT_MAX, EXPONENT_MAX) as i32;
        Ok(Self {
            negative,
            digits: value,
            exponent,
        })
    }

    /// The size of the number (its sign aside) in units of 10^-scale.
    pub fn units(&self, scale: u8) -> Result<u128, NotUnits> {
        let shift = self.exponent + i32::from(scale);
        if shift < 0 {
            return Err(NotUnits::NeedsScale(self.scale_needed()));
        }
        10u128
            .checked_pow(shift as u32)
            .and_then(|unit| self.digits.checked_mul(unit))
            .or((self.digits == 0).then_some(0))
            .ok_or(NotUnits::TooLarge)
    }

    /// Decimal digits after the point.
    pub fn scale_needed(&self) -> u32 {
        (-self.exponent).max(0) as u32
    }

    /// The number written out, without an exponent unless that would take more than [`PLAIN_ZEROS_MAX`] zeros.
    pub fn to_plain(self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let digits = self.digits.to_string();
        let places = self.scale_needed() as usize;
        match self.exponent {
            0.. if self.exponent <= PLAIN_ZEROS_MAX => {
                format!("{sign}{digits}{}", "0".repeat(self.exponent as usize))
            }
            ..0 if self.exponent >= -PLAIN_ZEROS_MAX => {
                let padded = format!("{digits:0>width$}", width = places + 1);
                let (whole, fraction) = padded.split_at(padded.len() - places);
                format!("{sign}{whole}.{fraction}")
            }
            exponent => format!("{sign}{digits}e{exponent}"),
        }
    }

    /// The number as an `i64`, if it is whole and fits.
    pub fn to_i64(self) -> Option<i64> {
        let size = i128::try_from(self.units(0).ok()?).ok()?;
        i64::try_from(if self.negative { -size } else { size }).ok()
    }
}

fn exponent_of(text: &str) -> Result<i64, Malformed> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() {
        return Err(Malformed::NotANumber);
    }
    let mut value = 0i64;
    for byte in digits.bytes() {
        if !byte.is_ascii_digit() {
            return Err(Malformed::NotANumber);
        }
        // Saturates far outside every range; the mantissa's length cannot bring it back (a file is 16 MiB).
        value = (value * 10 + i64::from(byte - b'0')).min(1 << 40);
    }
    Ok(sign * value)
}

fn push_digits(text: &str, digits: &mut Vec<u8>) -> Result<(), Malformed> {
    let bytes = text.as_bytes();
    for (n, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits.push(byte - b'0'),
            b'_' => {
                let digit_at = |at: Option<usize>| {
                    at.and_then(|at| bytes.get(at))
                        .is_some_and(u8::is_ascii_digit)
                };
                if !digit_at(n.checked_sub(1)) || !digit_at(n.checked_add(1)) {
                    return Err(Malformed::NotANumber);
                }
            }
            _ => return Err(Malformed::NotANumber),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn units(text: &str, scale: u8) -> Result<u128, NotUnits> {
        Decimal::parse(text).expect("a number").units(scale)
    }

    #[test]
    fn decimals_are_exact() {
        assert_eq!(units("0.0000075", 7), Ok(75));
        assert_eq!(units("7.5e-07", 8), Ok(75));
        assert_eq!(units("7.5E-07", 6), Err(NotUnits::NeedsScale(8)));
        assert_eq!(units("1_000.50", 6), Ok(1_000_500_000));
        assert_eq!(units("1e3", 0), Ok(1_000));
        assert_eq!(units("0.000", 0), Ok(0));
        assert_eq!(units("0e999999999999999999999", 12), Ok(0));
        assert_eq!(units("1e40", 0), Err(NotUnits::TooLarge));
        assert_eq!(units("1e999999999999999999999", 0), Err(NotUnits::TooLarge));
        assert_eq!(
            units("1e-999999999999999999999", 0),
            Err(NotUnits::NeedsScale(1_000_000))
        );
        assert_eq!(units(".5", 1), Ok(5));
        assert_eq!(units("5.", 0), Ok(5));
        assert_eq!(units("007", 0), Ok(7));
    }

    #[test]
    fn integers_keep_their_sign_and_range() {
        let integer = |text| Decimal::parse(text).ok().and_then(Decimal::to_i64);
        assert_eq!(integer("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer("9223372036854775808"), None);
        assert_eq!(integer("-0"), Some(0));
        assert_eq!(integer("1.5"), None);
    }

    #[test]
    fn numbers_are_written_out() {
        let plain = |text| Decimal::parse(text).expect("a number").to_plain();
        assert_eq!(plain("0.0050"), "0.005");
        assert_eq!(plain("-12.5"), "-12.5");
        assert_eq!(plain("1e12"), "1000000000000");
        assert_eq!(plain("1.0"), "1");
        assert_eq!(plain("0.0"), "0");
        assert_eq!(plain("1e99"), "1e99");
        assert_eq!(plain("1e-99"), "1e-99");
    }

    #[test]
    fn what_is_not_a_number() {
        for text in [
            "", "-", ".", "+.", "e5", "1e", "1e+", "1__0", "_1", "1_", "1_.5", "1._5", "1e1_0",
        ] {
            assert_eq!(Decimal::parse(text), Err(Malformed::NotANumber), "{text}");
        }
        for text in [
            "0x10", ".inf", "nan", "1 0", "1,5", "١", "--1", "1.2.3", "1e1.5",
        ] {
            assert_eq!(Decimal::parse(text), Err(Malformed::NotANumber), "{text}");
        }
        assert_eq!(
            Decimal::parse(&"1".repeat(39)),
            Err(Malformed::TooManyDigits)
        );
        assert!(Decimal::parse(&format!("1{}", "0".repeat(100))).is_ok());
    }

    /// The obvious model: write the digits down and move the point by hand.
    fn model(whole: &str, fraction: &str, exponent: i32, scale: u8) -> Option<u128> {
        let mut digits = format!("{whole}{fraction}");
        let mut after_point = fraction.len() as i32 - exponent - i32::from(scale);
        while after_point > 0 {
            if digits.pop().unwrap_or('0') != '0' {
                return None;
            }
            after_point -= 1;
        }
        digits.extend(std::iter::repeat_n('0', -after_point as usize));
        digits
            .trim_start_matches('0')
            .parse()
            .or(Ok::<u128, ()>(0))
            .ok()
    }

    proptest! {
        #[test]
        fn parsing_agrees_with_moving_the_point_by_hand(
            whole in "[0-9]{1,10}", fraction in "[0-9]{0,10}", exponent in -12i32..6, scale in 0u8..=12,
        ) {
            let text = format!("{whole}.{fraction}e{exponent}");
            prop_assert_eq!(units(&text, scale).ok(), model(&whole, &fraction, exponent, scale));
        }

        #[test]
        fn the_scale_asked_for_is_the_least_that_works(digits in 1u64.., places in 1usize..=12) {
            let text = format!("{}e-{places}", digits);
            if let Err(NotUnits::NeedsScale(needed)) = units(&text, 0) {
                prop_assert!(units(&text, needed as u8).is_ok());
                prop_assert!(units(&text, needed as u8 - 1).is_err());
            }
        }

        #[test]
        fn no_text_panics(text in "[-+0-9._eE]{0,60}") {
            if let Ok(decimal) = Decimal::parse(&text) {
                let _ = (decimal.units(12), decimal.to_i64());
            }
        }
    }
}
