//! What an owner remembers of the customers who have rows.

use std::collections::HashMap;

use crate::customer::{Customer, Record};

/// What their records come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    /// Order-free sum of the records' hashes.
    pub(super) digest: u64,
    pub(super) customers: u64,
}

impl Sum {
    /// A record, by its hash, is in force from now on.
    pub(super) fn add(&mut self, record: u64) {
        self.digest = self.digest.wrapping_add(record);
        self.customers += 1;
    }

    /// It is not any more.
    pub(super) fn take(&mut self, record: u64) {
        self.digest = self.digest.wrapping_sub(record);
        self.customers -= 1;
    }

    /// `record` takes the place of `old`.
    pub(super) fn replace(&mut self, old: Option<u64>, record: &Record<'_>) {
        if let Some(old) = old {
            self.take(old);
        }
        if !record.customer.deleted {
            self.add(record.hash);
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) sum: Sum,
    /// Alias keys by customer number.
    aliases: HashMap<u32, Vec<String>>,
}

impl Held {
    /// The customer's aliases are these from now on.
    pub(super) fn put(&mut self, customer: &Customer<'_>) {
        if customer.deleted || customer.aliases.is_empty() {
            self.aliases.remove(&customer.number);
        } else {
            let aliases = customer.aliases.iter().map(|a| (*a).to_owned()).collect();
            self.aliases.insert(customer.number, aliases);
        }
    }

    /// One more alias of a customer.
    pub(super) fn put_alias(&mut self, number: u32, alias: String) {
        self.aliases.entry(number).or_default().push(alias);
    }

    pub(super) fn aliases(&self, number: u32) -> &[String] {
        self.aliases.get(&number).map_or(&[], Vec::as_slice)
    }

    /// Forgets all whose number is not to be kept.
    pub(super) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        self.aliases.retain(|number, _| keep(*number));
    }
}
