//! The `pools` section, and the pool keys that a meter carries for its private pool.

use crate::catalog::bounds::{AMOUNT_MAX, SCALE_MAX, WARN_AT_MAX, WARN_PERCENT_MAX};
use crate::catalog::{OrderKey, Policy, Pool, Staleness, WhenStale};
use crate::fields::{Fields, check_name, entries, items};
use crate::order;
use crate::problem::{Problems, join};
use crate::scalar::{decimal, description, integer, units, word};
use crate::tree::Node;

/// Decimal digits of a named pool unless the file says otherwise: micro-credits.
pub(crate) const SCALE_DEFAULT: u8 = 6;

pub(crate) const KEYS: [&str; 8] = [
    "scale",
    "policy",
    "overdraft",
    "order",
    "warn_at",
    "when_stale",
    "max_staleness_s",
    "description",
];

pub(crate) const WHEN_STALE: [(&str, WhenStale); 3] = [
    ("keep", WhenStale::Keep),
    ("deny", WhenStale::Deny),
    ("allow", WhenStale::Allow),
];

/// Reads the named pools.
pub(crate) fn read(node: &Node, problems: &mut Problems) -> Vec<Pool> {
    let Some(entries) = entries(node, "pools", problems) else {
        return Vec::new();
    };
    let mut pools = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = join("pools", &entry.key);
        check_name(&entry.key, entry.spot, &path, problems);
        let fields = Fields::open(&entry.value, path, &KEYS, problems);
        pools.push(match fields {
            Some(fields) => pool(&entry.key, &fields, SCALE_DEFAULT, false, problems),
            None => blank(&entry.key, SCALE_DEFAULT, false),
        });
    }
    pools
}

/// A pool from the pool keys among `fields`.
pub(crate) fn pool(
    name: &str,
    fields: &Fields<'_>,
    scale_default: u8,
    private: bool,
    problems: &mut Problems,
) -> Pool {
    let scale = fields
        .get("scale")
        .and_then(|node| integer(node, &fields.at("scale"), 0, i64::from(SCALE_MAX), problems))
        .map_or(scale_default, |scale| scale as u8);
    let mut pool = blank(name, scale, private);
    if !private {
        pool.description = description(
            fields.get("description"),
            &fields.at("description"),
            problems,
        );
    }
    pool.policy = policy(fields, scale, problems);
    if let Some(node) = fields.get("order") {
        pool.order = order::read(node, &fields.at("order"), problems);
    }
    pool.warn_at = fields
        .get("warn_at")
        .and_then(|node| warn_at(node, &fields.at("warn_at"), problems))
        .unwrap_or(pool.warn_at);
    pool.staleness = staleness(fields, problems).unwrap_or_default();
    pool
}

fn blank(name: &str, scale: u8, private: bool) -> Pool {
    Pool {
        name: name.to_owned(),
        description: String::new(),
        scale,
        policy: Policy::Hard,
        order: OrderKey::DEFAULT.to_vec(),
        private,
        staleness: Staleness::default(),
        warn_at: Pool::WARN_AT_DEFAULT.to_vec(),
    }
}

fn policy(fields: &Fields<'_>, scale: u8, problems: &mut Problems) -> Policy {
    let soft = fields
        .get("policy")
        .and_then(|node| {
            word(
                node,
                &fields.at("policy"),
                &[("hard", false), ("soft", true)],
                problems,
            )
        })
        .unwrap_or(false);
    let Some(entry) = fields.entry("overdraft") else {
        return if soft {
            Policy::Soft { overdraft: None }
        } else {
            Policy::Hard
        };
    };
    let path = fields.at("overdraft");
    if !soft {
        problems.add(
            entry.spot,
            &path,
            "a hard pool has no overdraft",
            "set `policy: soft`, or leave it out",
        );
        return Policy::Hard;
    }
    Policy::Soft {
        overdraft: units(
            &entry.value,
            &path,
            "overdraft",
            scale,
            AMOUNT_MAX,
            problems,
        ),
    }
}

/// Percents of what was granted, ascending. An empty list: nobody is told.
fn warn_at(node: &Node, path: &str, problems: &mut Problems) -> Option<Vec<u16>> {
    if node.is_null() {
        let hint = "write percents such as `[80, 100]`, or leave it out for 90 and 100";
        problems.add(node.spot, path, "nothing where a list is expected", hint);
        return None;
    }
    let nodes = items(node, path, problems)?;
    if nodes.len() > WARN_AT_MAX {
        let message = format!("{} percents", nodes.len());
        problems.add(node.spot, path, message, format!("at most {WARN_AT_MAX}"));
        return None;
    }
    let mut percents: Vec<u16> = Vec::with_capacity(nodes.len());
    for (n, item) in nodes.iter().enumerate() {
        let at = format!("{path}[{n}]");
        let most = i64::from(WARN_PERCENT_MAX);
        let percent = integer(item, &at, 1, most, problems).and_then(|n| u16::try_from(n).ok());
        let Some(percent) = percent else {
            continue;
        };
        if percents.last().is_some_and(|before| percent <= *before) {
            let message = format!("{} is not above the percent before it", item.describe());
            problems.add(item.spot, &at, message, "write them ascending, each once");
        } else {
            percents.push(percent);
        }
    }
    Some(percents)
}

/// What `when_stale` and `max_staleness_s` say; `None` if neither is there.
pub(crate) fn staleness(fields: &Fields<'_>, problems: &mut Problems) -> Option<Staleness> {
    let (when, after) = (fields.get("when_stale"), fields.get("max_staleness_s"));
    if when.is_none() && after.is_none() {
        return None;
    }
    let when_stale = when
        .and_then(|node| word(node, &fields.at("when_stale"), &WHEN_STALE, problems))
        .unwrap_or_default();
    let max_staleness_ms =
        after.and_then(|node| milliseconds(node, &fields.at("max_staleness_s"), problems));
    Some(Staleness {
        when_stale,
        max_staleness_ms,
    })
}

/// Seconds, of which a millisecond is the smallest part.
fn milliseconds(node: &Node, path: &str, problems: &mut Problems) -> Option<u64> {
    let seconds = decimal(node, path, problems)?;
    let ms = seconds.units(3).ok().and_then(|ms| u64::try_from(ms).ok());
    let ms = ms.filter(|ms| !seconds.negative && *ms <= AMOUNT_MAX);
    if ms.is_none() {
        let message = format!("{} is not a time in seconds", node.describe());
        problems.add(
            node.spot,
            path,
            message,
            "zero or more, with at most three decimal digits",
        );
    }
    ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_mistake, good};

    fn pool_with(lines: &str) -> String {
        format!("fastcheck: 1\npools:\n  credits:\n{lines}")
    }

    #[test]
    fn a_pool_with_everything() {
        let text = pool_with(
            "    {scale: 3, policy: soft, overdraft: 2.5, order: [newest, kind], when_stale: deny,\n     max_staleness_s: 1.5, warn_at: [1, 80, 1_000], description: Credits}\n",
        );
        let pool = good(&text).pools.remove(0);
        assert_eq!(
            pool.policy,
            Policy::Soft {
                overdraft: Some(2_500)
            }
        );
        assert_eq!(pool.order, [OrderKey::Newest, OrderKey::Kind]);
        assert_eq!(pool.warn_at, [1, 80, 1_000]);
        assert_eq!(
            pool.staleness,
            Staleness {
                when_stale: WhenStale::Deny,
                max_staleness_ms: Some(1_500)
            }
        );
        assert_eq!(
            (pool.scale, pool.private, pool.description.as_str()),
            (3, false, "Credits")
        );
    }

    #[test]
    fn an_empty_pool_has_the_defaults() {
        let pool = good(&pool_with("")).pools.remove(0);
        assert_eq!((pool.scale, pool.policy), (6, Policy::Hard));
        assert_eq!(pool.order, OrderKey::DEFAULT);
        assert_eq!(pool.staleness, Staleness::default());
        assert_eq!(pool.warn_at, [90, 100]);
    }

    #[test]
    fn an_empty_list_of_percents_tells_nobody() {
        let pool = good(&pool_with("    warn_at: []\n")).pools.remove(0);
        assert!(pool.warn_at.is_empty());
    }

    #[test]
    fn a_meter_has_percents_of_its_own() {
        let text = "fastcheck: 1\nfeatures:\n  calls: {kind: meter, period: day, warn_at: [50], order: fifo}\n";
        let pool = good(text).pools.remove(0);
        assert_eq!(
            (pool.warn_at, pool.order),
            (vec![50], vec![OrderKey::Oldest])
        );
    }

    #[test]
    fn soft_without_overdraft_has_no_bound() {
        let pool = good(&pool_with("    policy: soft\n")).pools.remove(0);
        assert_eq!(pool.policy, Policy::Soft { overdraft: None });
    }

    #[test]
    fn each_mistake_has_its_line_and_hint() {
        for (lines, expected) in [
            (
                "    sacle: 6\n",
                "4: pools.credits.sacle: unknown key `sacle` (did you mean `scale`?)",
            ),
            (
                "    scale: 13\n",
                "4: pools.credits.scale: `13` is not a whole number in range (from 0 to 12)",
            ),
            (
                "    scale: -1\n",
                "4: pools.credits.scale: `-1` is not a whole number in range (from 0 to 12)",
            ),
            (
                "    policy: herd\n",
                "4: pools.credits.policy: `herd` is not known here (did you mean `hard`?)",
            ),
            (
                "    overdraft: 5\n",
                "4: pools.credits.overdraft: a hard pool has no overdraft (set `policy: soft`, or leave it out)",
            ),
            (
                "    policy: soft\n    overdraft: -5\n",
                "5: pools.credits.overdraft: overdraft -5 is negative (write zero or more)",
            ),
            (
                "    warn_at:\n",
                "4: pools.credits.warn_at: nothing where a list is expected (write percents such as `[80, 100]`, or leave it out for 90 and 100)",
            ),
            (
                "    warn_at: 80\n",
                "4: pools.credits.warn_at: `80` where a list is expected (write `[a, b]` or `- a` lines)",
            ),
            (
                "    warn_at: [0]\n",
                "4: pools.credits.warn_at[0]: `0` is not a whole number in range (from 1 to 1000)",
            ),
            (
                "    warn_at: [80, 1001]\n",
                "4: pools.credits.warn_at[1]: `1001` is not a whole number in range (from 1 to 1000)",
            ),
            (
                "    warn_at: [80%]\n",
                "4: pools.credits.warn_at[0]: `80%` where a number is expected (write digits)",
            ),
            (
                "    warn_at: [90, 80]\n",
                "4: pools.credits.warn_at[1]: `80` is not above the percent before it (write them ascending, each once)",
            ),
            (
                "    warn_at: [90, 90]\n",
                "4: pools.credits.warn_at[1]: `90` is not above the percent before it (write them ascending, each once)",
            ),
            (
                "    warn_at: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]\n",
                "4: pools.credits.warn_at: 17 percents (at most 16)",
            ),
            (
                "    when_stale: maybe\n",
                "4: pools.credits.when_stale: `maybe` is not known here (one of keep, deny, allow)",
            ),
            (
                "    max_staleness_s: 0.0001\n",
                "4: pools.credits.max_staleness_s: `0.0001` is not a time in seconds (zero or more, with at most three decimal digits)",
            ),
            (
                "    description: [x]\n",
                "4: pools.credits.description: a list where text is expected (write a word or a quoted text)",
            ),
        ] {
            assert_mistake(&pool_with(lines), expected);
        }
    }
}
