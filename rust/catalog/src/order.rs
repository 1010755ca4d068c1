//! Burn orders: the word for a usual one, or a list of keys.

use crate::catalog::OrderKey;
use crate::fields::items;
use crate::problem::Problems;
use crate::scalar::word;
use crate::tree::{Node, Value};

pub(crate) const KEYS: [(&str, OrderKey); 7] = [
    ("priority", OrderKey::Priority),
    ("expiry", OrderKey::Expiry),
    ("expires_at", OrderKey::ExpiresAt),
    ("kind", OrderKey::Kind),
    ("plan", OrderKey::Plan),
    ("oldest", OrderKey::Oldest),
    ("newest", OrderKey::Newest),
];

/// What the words stand for. A document always has the keys.
const PRESETS: [(&str, &[OrderKey]); 6] = [
    ("default", &OrderKey::DEFAULT),
    ("fifo", &[OrderKey::Oldest]),
    ("lifo", &[OrderKey::Newest]),
    (
        "soonest_expiry",
        &[OrderKey::Expiry, OrderKey::Priority, OrderKey::Oldest],
    ),
    (
        "plan_first",
        &[
            OrderKey::Plan,
            OrderKey::Priority,
            OrderKey::Expiry,
            OrderKey::Kind,
            OrderKey::Oldest,
        ],
    ),
    (
        "granted_first",
        &[
            OrderKey::Kind,
            OrderKey::Priority,
            OrderKey::Expiry,
            OrderKey::Oldest,
        ],
    ),
];

/// Each of these is settled by the other of its pair.
const OPPOSITES: [(OrderKey, OrderKey); 1] = [(OrderKey::Oldest, OrderKey::Newest)];

/// The keys of a burn order; those that were read where some are mistaken.
pub(crate) fn read(node: &Node, path: &str, problems: &mut Problems) -> Vec<OrderKey> {
    match &node.value {
        Value::Scalar { text, .. } if !node.is_null() => {
            if KEYS.iter().any(|(key, _)| *key == text.as_ref()) {
                let message = format!("{} is a key, not a burn order", node.describe());
                problems.add(node.spot, path, message, format!("write `[{text}]`"));
                return Vec::new();
            }
            word(node, path, &PRESETS, problems).map_or_else(Vec::new, <[OrderKey]>::to_vec)
        }
        Value::Map(_) => {
            let hint = "write a word such as `fifo`, or a list such as `[expiry, oldest]`";
            problems.add(
                node.spot,
                path,
                "a map where a burn order is expected",
                hint,
            );
            Vec::new()
        }
        _ => keys(node, path, problems),
    }
}

fn keys(node: &Node, path: &str, problems: &mut Problems) -> Vec<OrderKey> {
    let mut order = Vec::new();
    let nodes = items(node, path, problems).unwrap_or_default();
    if nodes.is_empty() {
        problems.add(
            node.spot,
            path,
            "an empty burn order",
            "leave it out for the default order",
        );
    }
    for (n, item) in nodes.iter().enumerate() {
        let at = format!("{path}[{n}]");
        let Some(key) = word(item, &at, &KEYS, problems) else {
            continue;
        };
        let settles = |earlier: &OrderKey| {
            *earlier == key
                || OPPOSITES.contains(&(*earlier, key))
                || OPPOSITES.contains(&(key, *earlier))
        };
        if order.iter().any(settles) {
            problems.add(
                item.spot,
                &at,
                format!("{} decides nothing here", item.describe()),
                "the order is settled by an earlier key",
            );
        } else {
            order.push(key);
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{digest, document};
    use crate::testing::{assert_mistake, good};

    fn pool_with(order: &str) -> String {
        format!("fastcheck: 1\npools:\n  credits:\n    order: {order}\n")
    }

    #[test]
    fn a_word_means_its_keys() {
        for (word, keys) in [
            ("default", "[priority, expiry, kind, oldest]"),
            ("fifo", "[oldest]"),
            ("lifo", "[newest]"),
            ("soonest_expiry", "[expiry, priority, oldest]"),
            ("plan_first", "[plan, priority, expiry, kind, oldest]"),
            ("granted_first", "[kind, priority, expiry, oldest]"),
        ] {
            let (short, long) = (good(&pool_with(word)), good(&pool_with(keys)));
            assert_eq!(short, long, "{word}");
            assert_eq!(digest(&short), digest(&long), "{word}");
            let written = format!(
                r#""order":{}"#,
                keys.replace(' ', "")
                    .replace('[', "[\"")
                    .replace(',', "\",\"")
                    .replace(']', "\"]")
            );
            let document = document(&short).to_json();
            assert!(document.contains(&written), "{word}: {document}");
        }
        let nothing_said = good("fastcheck: 1\npools:\n  credits:\n");
        assert_eq!(good(&pool_with("default")), nothing_said);
    }

    #[test]
    fn a_list_may_hold_every_key() {
        let text = pool_with("[expires_at, plan, priority, expiry, kind, newest]");
        assert_eq!(
            good(&text).pools[0].order,
            [
                OrderKey::ExpiresAt,
                OrderKey::Plan,
                OrderKey::Priority,
                OrderKey::Expiry,
                OrderKey::Kind,
                OrderKey::Newest
            ]
        );
    }

    #[test]
    fn each_mistake_has_its_line_and_hint() {
        for (order, expected) in [
            ("fifi", ": `fifi` is not known here (did you mean `fifo`?)"),
            (
                "cheapest",
                ": `cheapest` is not known here (one of default, fifo, lifo, soonest_expiry, plan_first, granted_first)",
            ),
            (
                "oldest",
                ": `oldest` is a key, not a burn order (write `[oldest]`)",
            ),
            (
                "{first: plan}",
                ": a map where a burn order is expected (write a word such as `fifo`, or a list such as `[expiry, oldest]`)",
            ),
            (
                "[oldest, newest]",
                "[1]: `newest` decides nothing here (the order is settled by an earlier key)",
            ),
            (
                "[expiry, expiry]",
                "[1]: `expiry` decides nothing here (the order is settled by an earlier key)",
            ),
            (
                "[]",
                ": an empty burn order (leave it out for the default order)",
            ),
            (
                "",
                ": an empty burn order (leave it out for the default order)",
            ),
            (
                "[fifo]",
                "[0]: `fifo` is not known here (one of priority, expiry, expires_at, kind, plan, oldest, newest)",
            ),
            (
                "[{}]",
                "[0]: a map where a word is expected (one of priority, expiry, expires_at, kind, plan, oldest, newest)",
            ),
        ] {
            assert_mistake(
                &pool_with(order),
                &format!("4: pools.credits.order{expected}"),
            );
        }
    }
}
