//! What was paid for a grant: an amount of money, exact in the minor units of its currency.

use crate::catalog::Cost;
use crate::catalog::bounds::AMOUNT_MAX;
use crate::decimal::{Decimal, NotUnits};
use crate::fields::Fields;
use crate::problem::Problems;
use crate::scalar::{decimal, text};
use crate::tree::{Node, Value};

/// Currencies by the decimal digits of their minor unit (ISO 4217). Every other has two.
const DIGITS: [(u8, &[&str]); 3] = [
    (
        0,
        &[
            "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI",
            "VND", "VUV", "XAF", "XOF", "XPF",
        ],
    ),
    (3, &["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]),
    (4, &["CLF", "UYW"]),
];

/// Decimal digits of the minor unit of a currency.
fn digits(currency: &str) -> u8 {
    DIGITS
        .iter()
        .find(|(_, codes)| codes.contains(&currency))
        .map_or(2, |(digits, _)| *digits)
}

/// Reads `{amount: 19.99, currency: USD}`.
pub(crate) fn read(node: &Node, path: String, problems: &mut Problems) -> Option<Cost> {
    let fields = Fields::open(node, path, &["amount", "currency"], problems)?;
    let price = fields.need("amount", "the price, such as 19.99", problems);
    let price = price.and_then(|node| money(node, &fields.at("amount"), problems));
    let code = fields.need("currency", "three letters, such as USD", problems);
    let currency = code.and_then(|node| currency(node, &fields.at("currency"), problems))?;
    let (node, price) = (fields.get("amount")?, price?);
    let amount = minor_units(node, price, currency, &fields.at("amount"), problems)?;
    Some(Cost {
        amount,
        currency: currency.to_owned(),
    })
}

/// A price of zero or more. It may be quoted, as prices in JSON often are: nothing is rounded either way.
fn money(node: &Node, path: &str, problems: &mut Problems) -> Option<Decimal> {
    let quoted = match &node.value {
        Value::Scalar { text, quoted: true } => Decimal::parse(text).ok(),
        _ => None,
    };
    let price = match quoted {
        Some(price) => price,
        None => decimal(node, path, problems)?,
    };
    if price.negative {
        let message = format!("{} is negative", node.describe());
        problems.add(node.spot, path, message, "write zero or more");
        return None;
    }
    Some(price)
}

fn currency<'n>(node: &'n Node, path: &str, problems: &mut Problems) -> Option<&'n str> {
    let code = text(node, path, problems)?;
    if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Some(code);
    }
    let hint = if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        format!("write `{}`", code.to_ascii_uppercase())
    } else {
        "three uppercase letters, such as USD".to_owned()
    };
    let message = format!("{} is not a currency", node.describe());
    problems.add(node.spot, path, message, hint);
    None
}

fn minor_units(
    node: &Node,
    price: Decimal,
    currency: &str,
    path: &str,
    problems: &mut Problems,
) -> Option<u64> {
    let digits = digits(currency);
    let units = price.units(digits);
    let fits = units.ok().and_then(|units| u64::try_from(units).ok());
    if let Some(units) = fits.filter(|units| *units <= AMOUNT_MAX) {
        return Some(units);
    }
    let described = node.describe();
    let (message, hint) = match units {
        Err(NotUnits::NeedsScale(_)) if digits == 0 => (
            format!("{described} is not a whole number"),
            format!("{currency} has no decimal digits; round it"),
        ),
        Err(NotUnits::NeedsScale(_)) => (
            format!("{described} has too many decimal digits"),
            format!("{currency} has {digits}; round it"),
        ),
        _ => (
            format!("{described} is too large"),
            format!("at most {AMOUNT_MAX} minor units of {currency}"),
        ),
    };
    problems.add(node.spot, path, message, hint);
    None
}

#[cfg(test)]
mod tests {
    use crate::catalog::Cost;
    use crate::testing::{assert_mistake, good};

    fn with(cost: &str) -> String {
        format!(
            "fastcheck: 1\npools: {{ai_credits: {{}}}}\naddons:\n  pack:\n    grants:\n    - pool: ai_credits\n      amount: 1000\n      cost: {cost}\n"
        )
    }

    #[test]
    fn prices_are_minor_units_of_their_currency() {
        for (amount, currency, units) in [
            ("19.99", "USD", 1_999),
            ("\"19.99\"", "USD", 1_999),
            ("20", "EUR", 2_000),
            ("0", "USD", 0),
            ("0.10", "GBP", 10),
            ("1_500", "JPY", 1_500),
            ("1500.00", "JPY", 1_500),
            ("9900", "KRW", 9_900),
            ("1.234", "BHD", 1_234),
            ("5", "TND", 5_000),
            ("0.0001", "CLF", 1),
            ("92233720368547758.07", "USD", i64::MAX as u64),
        ] {
            let cost = format!("{{amount: {amount}, currency: {currency}}}");
            assert_eq!(
                good(&with(&cost)).addons[0].grants[0].cost,
                Some(Cost {
                    amount: units,
                    currency: currency.to_owned()
                }),
                "{cost}"
            );
        }
    }

    #[test]
    fn each_mistake_has_its_line_and_hint() {
        for (cost, expected) in [
            (
                "5",
                ": `5` where a map is expected (write `key: value` lines)",
            ),
            (
                "{currency: USD}",
                ": `amount` is missing (the price, such as 19.99)",
            ),
            (
                "{amount: 5}",
                ": `currency` is missing (three letters, such as USD)",
            ),
            (
                "{amount: 5, curency: USD, currency: USD}",
                ".curency: unknown key `curency` (did you mean `currency`?)",
            ),
            (
                "{amount: -5, currency: USD}",
                ".amount: `-5` is negative (write zero or more)",
            ),
            (
                "{amount: $5, currency: USD}",
                ".amount: `$5` where a number is expected (write digits)",
            ),
            (
                "{amount: \"five\", currency: USD}",
                ".amount: the text \"five\" where a number is expected (write digits)",
            ),
            (
                "{amount: 19.999, currency: USD}",
                ".amount: `19.999` has too many decimal digits (USD has 2; round it)",
            ),
            (
                "{amount: \"1.2345\", currency: KWD}",
                ".amount: the text \"1.2345\" has too many decimal digits (KWD has 3; round it)",
            ),
            (
                "{amount: 1.5, currency: VND}",
                ".amount: `1.5` is not a whole number (VND has no decimal digits; round it)",
            ),
            (
                "{amount: 92233720368547758.08, currency: USD}",
                ".amount: `92233720368547758.08` is too large (at most 9223372036854775807 minor units of USD)",
            ),
            (
                "{amount: 1e99, currency: USD}",
                ".amount: `1e99` is too large (at most 9223372036854775807 minor units of USD)",
            ),
            (
                "{amount: 5, currency: usd}",
                ".currency: `usd` is not a currency (write `USD`)",
            ),
            (
                "{amount: 5, currency: dollars}",
                ".currency: `dollars` is not a currency (three uppercase letters, such as USD)",
            ),
            (
                "{amount: 5, currency: [USD]}",
                ".currency: a list where text is expected (write a word or a quoted text)",
            ),
        ] {
            assert_mistake(
                &with(cost),
                &format!("8: addons.pack.grants[0].cost{expected}"),
            );
        }
    }
}
