//! One customer's record: what the hub says about a customer, decoded from bounded msgpack.
//!
//! ```text
//! [number, id, flags, plan|nil, version|nil, since_ms,
//!  [[addon, quantity, until_ms|nil]…],
//!  [[feature, setting, starts_ms|nil, ends_ms|nil]…],
//!  [alias…],
//!  [plan, version|nil, until_ms]|nil]
//! setting: [0] off, [1] on, [2] unlimited, [3, int], [4, text], [5, bool]
//! ```
//!
//! Positions are fixed; a longer array from a newer hub is accepted and its tail ignored. Every length is compared with
//! its bound before anything is allocated.

use crate::catalog::{Setting, bounds};
use crate::error::{Error, Result};
use crate::key::hash_bytes;

/// `flags`: the customer is gone.
pub(crate) const FLAG_DELETED: u64 = 1;
/// Add-ons of one customer.
pub(crate) const ADDONS_MAX: usize = 1_024;
/// Overrides of one customer.
pub(crate) const OVERRIDES_MAX: usize = 4_096;
/// Alias keys of one customer.
pub(crate) const ALIASES_MAX: usize = 256;
/// Positions that must be there; see the module's text.
const FIELDS: u32 = 10;
/// Positions that are read over when a newer hub sends them.
const FIELDS_MAX: u32 = 32;
/// How deep a value that is read over may nest.
const SKIP_DEPTH_MAX: u32 = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer<'a> {
    /// The customer's number: given once by the hub, never used again. From 1.
    pub number: u32,
    pub id: &'a str,
    pub deleted: bool,
    pub plan: Option<(&'a str, Option<u32>)>,
    /// When the customer came to the plan: what anniversaries are counted from.
    pub since_ms: i64,
    pub addons: Vec<HeldAddon<'a>>,
    pub overrides: Vec<Override<'a>>,
    pub aliases: Vec<&'a str>,
    pub trial: Option<Trial<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldAddon<'a> {
    pub name: &'a str,
    pub quantity: u32,
    pub until_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override<'a> {
    pub feature: &'a str,
    pub setting: Setting,
    pub starts_ms: Option<i64>,
    pub ends_ms: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial<'a> {
    pub plan: &'a str,
    pub version: Option<u32>,
    pub until_ms: i64,
}

/// A cursor over msgpack bytes.
struct Reader<'a> {
    rest: &'a [u8],
}

fn bad(what: &str) -> Error {
    Error::Invalid(format!("a customer record is not well-formed: {what}"))
}

impl<'a> Reader<'a> {
    fn array(&mut self, what: &str, max: usize) -> Result<usize> {
        let n = rmp::decode::read_array_len(&mut self.rest).map_err(|_| bad(what))? as usize;
        // A declared length is only believed when that many bytes could follow.
        if n > max || n > self.rest.len() {
            return Err(bad(&format!(
                "{what} has {n} entries, at most {max} are allowed"
            )));
        }
        Ok(n)
    }

    fn nil(&mut self) -> bool {
        let is = self.rest.first() == Some(&0xc0);
        if is {
            self.rest = &self.rest[1..];
        }
        is
    }

    fn int<T: num::FromInt>(&mut self, what: &str) -> Result<T> {
        let mut look = self.rest;
        let value: i64 = match rmp::decode::read_int(&mut look) {
            Ok(v) => v,
            Err(_) => return Err(bad(what)),
        };
        self.rest = look;
        T::from_int(value).ok_or_else(|| bad(what))
    }

    fn maybe_int<T: num::FromInt>(&mut self, what: &str) -> Result<Option<T>> {
        if self.nil() {
            Ok(None)
        } else {
            self.int(what).map(Some)
        }
    }

    fn boolean(&mut self, what: &str) -> Result<bool> {
        rmp::decode::read_bool(&mut self.rest).map_err(|_| bad(what))
    }

    fn text(&mut self, what: &str, max: usize) -> Result<&'a str> {
        let n = rmp::decode::read_str_len(&mut self.rest).map_err(|_| bad(what))? as usize;
        if n > max {
            return Err(bad(&format!(
                "{what} has {n} bytes, at most {max} are allowed"
            )));
        }
        let (head, tail) = self.rest.split_at_checked(n).ok_or_else(|| bad(what))?;
        self.rest = tail;
        std::str::from_utf8(head).map_err(|_| bad(what))
    }

    /// A name: not empty, bounded, without NUL.
    fn name(&mut self, what: &str) -> Result<&'a str> {
        let name = self.text(what, bounds::NAME_BYTES_MAX)?;
        if name.is_empty() || name.contains('\0') {
            return Err(bad(&format!("{what} is empty or holds a NUL")));
        }
        Ok(name)
    }

    fn setting(&mut self) -> Result<Setting> {
        let n = self.array("a setting", 2)?;
        let tag: u8 = if n == 0 {
            return Err(bad("a setting"));
        } else {
            self.int("a setting")?
        };
        let setting = match (tag, n) {
            (0, 1) => Setting::Off,
            (1, 1) => Setting::On,
            (2, 1) => Setting::Unlimited,
            (3, 2) => Setting::Number(self.int("a setting's number")?),
            (4, 2) => Setting::Text(
                self.text("a setting's text", bounds::TEXT_BYTES_MAX)?
                    .to_owned(),
            ),
            (5, 2) => Setting::Bool(self.boolean("a setting's boolean")?),
            _ => return Err(bad("a setting of an unknown kind")),
        };
        Ok(setting)
    }

    /// Reads over one value of any type, within a bounded depth.
    fn skip(&mut self, depth: u32) -> Result<()> {
        use rmp::Marker::*;
        if depth == 0 {
            return Err(bad("nested too deep"));
        }
        let marker = rmp::decode::read_marker(&mut self.rest).map_err(|_| bad("a marker"))?;
        let be = |bytes: &[u8]| bytes.iter().fold(0usize, |n, b| (n << 8) | usize::from(*b));
        let mut take = |n: usize| -> Result<&'a [u8]> {
            let (head, tail) = self
                .rest
                .split_at_checked(n)
                .ok_or_else(|| bad("cut short"))?;
            self.rest = tail;
            Ok(head)
        };
        let (bytes, values) = match marker {
            FixPos(_) | FixNeg(_) | Null | True | False => (0, 0),
            U8 | I8 => (1, 0),
            U16 | I16 => (2, 0),
            U32 | I32 | F32 => (4, 0),
            U64 | I64 | F64 => (8, 0),
            FixStr(n) => (usize::from(n), 0),
            Str8 | Bin8 => (be(take(1)?), 0),
            Str16 | Bin16 => (be(take(2)?), 0),
            Str32 | Bin32 => (be(take(4)?), 0),
            FixArray(n) => (0, usize::from(n)),
            Array16 => (0, be(take(2)?)),
            Array32 => (0, be(take(4)?)),
            FixMap(n) => (0, usize::from(n) * 2),
            Map16 => (0, be(take(2)?) * 2),
            Map32 => (0, be(take(4)?) * 2),
            FixExt1 => (2, 0),
            FixExt2 => (3, 0),
            FixExt4 => (5, 0),
            FixExt8 => (9, 0),
            FixExt16 => (17, 0),
            Ext8 => (be(take(1)?) + 1, 0),
            Ext16 => (be(take(2)?) + 1, 0),
            Ext32 => (be(take(4)?) + 1, 0),
            Reserved => return Err(bad("a reserved marker")),
        };
        take(bytes)?;
        // Every value takes a byte, so a count larger than the rest is a lie told to keep us busy.
        if values > self.rest.len() {
            return Err(bad("a declared length is longer than the record"));
        }
        for _ in 0..values {
            self.skip(depth - 1)?;
        }
        Ok(())
    }
}

/// Which integers a field may be.
mod num {
    pub(super) trait FromInt: Sized {
        fn from_int(value: i64) -> Option<Self>;
    }
    impl FromInt for i64 {
        fn from_int(value: i64) -> Option<i64> {
            Some(value)
        }
    }
    macro_rules! narrow {
        ($($t:ty),*) => { $(impl FromInt for $t {
            fn from_int(value: i64) -> Option<$t> { <$t>::try_from(value).ok() }
        })* };
    }
    narrow!(u8, u32, u64);
}

/// Decodes the next record. Returns it, its bytes, and what follows.
pub fn decode(bytes: &[u8]) -> Result<(Customer<'_>, &[u8], &[u8])> {
    let mut r = Reader { rest: bytes };
    let fields = r.array("a record", FIELDS_MAX as usize)? as u32;
    if fields < FIELDS {
        return Err(bad(&format!("{fields} fields, {FIELDS} are required")));
    }
    let number: u32 = r.int("number")?;
    if number == 0 || number == u32::MAX {
        return Err(bad("number must be between 1 and 2^32 - 2"));
    }
    let id = r.name("id")?;
    let flags: u64 = r.int("flags")?;
    let plan = if r.nil() { None } else { Some(r.name("plan")?) };
    let version: Option<u32> = r.maybe_int("version")?;
    let since_ms: i64 = r.int("since_ms")?;
    let mut addons = Vec::with_capacity(r.array("addons", ADDONS_MAX)?);
    for _ in 0..addons.capacity() {
        if r.array("an add-on", 3)? != 3 {
            return Err(bad("an add-on has three fields"));
        }
        addons.push(HeldAddon {
            name: r.name("add-on name")?,
            quantity: r.int("add-on quantity")?,
            until_ms: r.maybe_int("add-on until_ms")?,
        });
    }
    let n = r.array("overrides", OVERRIDES_MAX)?;
    let mut overrides = Vec::with_capacity(n);
    for _ in 0..n {
        if r.array("an override", 4)? != 4 {
            return Err(bad("an override has four fields"));
        }
        overrides.push(Override {
            feature: r.name("override feature")?,
            setting: r.setting()?,
            starts_ms: r.maybe_int("override starts_ms")?,
            ends_ms: r.maybe_int("override ends_ms")?,
        });
    }
    let n = r.array("aliases", ALIASES_MAX)?;
    let mut aliases = Vec::with_capacity(n);
    for _ in 0..n {
        aliases.push(r.name("alias")?);
    }
    let trial = if r.nil() {
        None
    } else {
        if r.array("trial", 3)? != 3 {
            return Err(bad("a trial has three fields"));
        }
        Some(Trial {
            plan: r.name("trial plan")?,
            version: r.maybe_int("trial version")?,
            until_ms: r.int("trial until_ms")?,
        })
    };
    for _ in FIELDS..fields {
        r.skip(SKIP_DEPTH_MAX)?;
    }
    let used = bytes.len() - r.rest.len();
    let customer = Customer {
        number,
        id,
        deleted: flags & FLAG_DELETED != 0,
        plan: plan.map(|p| (p, version)),
        since_ms,
        addons,
        overrides,
        aliases,
        trial,
    };
    Ok((customer, &bytes[..used], r.rest))
}

/// One record of a run: decoded, as bytes, and the hash that it adds to a digest.
#[derive(Debug)]
pub struct Record<'a> {
    pub customer: Customer<'a>,
    pub bytes: &'a [u8],
    pub hash: u64,
}

/// The records of a run of bytes, in order; those of deleted customers too. An error ends them.
pub fn each(records: &[u8]) -> Each<'_> {
    Each {
        rest: records,
        failed: false,
    }
}

/// See [`each`].
#[derive(Debug)]
pub struct Each<'a> {
    rest: &'a [u8],
    failed: bool,
}

impl<'a> Each<'a> {
    /// What is not read yet. After an error: from the record on that could not be read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Each<'a> {
    type Item = Result<Record<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() || self.failed {
            return None;
        }
        Some(match decode(self.rest) {
            Ok((customer, bytes, rest)) => {
                self.rest = rest;
                Ok(Record {
                    customer,
                    bytes,
                    hash: hash_bytes(bytes),
                })
            }
            Err(e) => {
                self.failed = true;
                Err(e)
            }
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Encodes a record: what the Python side does in `fastcheck.wire`.
    pub(crate) fn encode(c: &Customer<'_>) -> Vec<u8> {
        use rmp::encode::*;
        let mut out = Vec::new();
        let some = |out: &mut Vec<u8>, v: Option<i64>| match v {
            None => write_nil(out).unwrap(),
            Some(v) => drop(write_sint(out, v).unwrap()),
        };
        write_array_len(&mut out, 10).unwrap();
        write_uint(&mut out, c.number.into()).unwrap();
        write_str(&mut out, c.id).unwrap();
        write_uint(&mut out, u64::from(c.deleted)).unwrap();
        match c.plan {
            None => write_nil(&mut out).unwrap(),
            Some((p, _)) => write_str(&mut out, p).unwrap(),
        }
        some(&mut out, c.plan.and_then(|(_, v)| v).map(i64::from));
        write_sint(&mut out, c.since_ms).unwrap();
        write_array_len(&mut out, c.addons.len() as u32).unwrap();
        for a in &c.addons {
            write_array_len(&mut out, 3).unwrap();
            write_str(&mut out, a.name).unwrap();
            write_uint(&mut out, a.quantity.into()).unwrap();
            some(&mut out, a.until_ms);
        }
        write_array_len(&mut out, c.overrides.len() as u32).unwrap();
        for o in &c.overrides {
            write_array_len(&mut out, 4).unwrap();
            write_str(&mut out, o.feature).unwrap();
            let (tag, n) = match &o.setting {
                Setting::Off => (0, 1),
                Setting::On => (1, 1),
                Setting::Unlimited => (2, 1),
                Setting::Number(_) => (3, 2),
                Setting::Text(_) => (4, 2),
                Setting::Bool(_) => (5, 2),
            };
            write_array_len(&mut out, n).unwrap();
            write_uint(&mut out, tag).unwrap();
            match &o.setting {
                Setting::Number(v) => drop(write_sint(&mut out, *v).unwrap()),
                Setting::Text(t) => write_str(&mut out, t).unwrap(),
                Setting::Bool(b) => write_bool(&mut out, *b).unwrap(),
                _ => {}
            }
            some(&mut out, o.starts_ms);
            some(&mut out, o.ends_ms);
        }
        write_array_len(&mut out, c.aliases.len() as u32).unwrap();
        for a in &c.aliases {
            write_str(&mut out, a).unwrap();
        }
        match &c.trial {
            None => write_nil(&mut out).unwrap(),
            Some(t) => {
                write_array_len(&mut out, 3).unwrap();
                write_str(&mut out, t.plan).unwrap();
                some(&mut out, t.version.map(i64::from));
                write_sint(&mut out, t.until_ms).unwrap();
            }
        }
        out
    }

    pub(crate) fn plain<'a>(number: u32, id: &'a str, plan: &'a str) -> Customer<'a> {
        Customer {
            number,
            id,
            deleted: false,
            plan: Some((plan, Some(1))),
            since_ms: 0,
            addons: vec![],
            overrides: vec![],
            aliases: vec![],
            trial: None,
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut c = plain(7, "acme", "pro");
        c.addons.push(HeldAddon {
            name: "pack",
            quantity: 2,
            until_ms: Some(-5),
        });
        c.aliases.push("stripe:cus_9");
        c.trial = Some(Trial {
            plan: "max",
            version: None,
            until_ms: 1 << 40,
        });
        for setting in [
            Setting::Off,
            Setting::On,
            Setting::Unlimited,
            Setting::Number(-3),
            Setting::Text("é".into()),
            Setting::Bool(true),
        ] {
            c.overrides.push(Override {
                feature: "f",
                setting,
                starts_ms: None,
                ends_ms: Some(9),
            });
        }
        let mut bytes = encode(&c);
        let n = bytes.len();
        bytes.push(0x90);
        let (decoded, own, rest) = decode(&bytes).unwrap();
        assert_eq!(decoded, c);
        assert_eq!((own.len(), rest), (n, &[0x90][..]));
    }

    #[test]
    fn a_run_is_read_record_by_record_and_ends_at_an_error() {
        let (a, b) = (encode(&plain(1, "a", "p")), encode(&plain(2, "b", "p")));
        let run = [&a[..], &b[..]].concat();
        let read: Vec<_> = each(&run).map(|r| r.unwrap()).collect();
        let numbers: Vec<_> = read.iter().map(|r| r.customer.number).collect();
        assert_eq!(numbers, [1, 2]);
        assert_eq!((read[1].bytes, read[1].hash), (&b[..], hash_bytes(&b)));

        let mut records = each(&run[..run.len() - 1]);
        assert!(matches!(records.next(), Some(Ok(_))));
        assert!(matches!(records.next(), Some(Err(_))));
        assert_eq!(records.rest(), &b[..b.len() - 1]);
        assert!(records.next().is_none(), "an error is the last item");
    }

    #[test]
    fn fields_of_a_newer_hub_are_read_over() {
        let c = plain(1, "a", "p");
        let mut bytes = encode(&c);
        bytes[0] = 0x9b; // eleven fields
        bytes.extend([0x82, 0xa1, b'k', 0x93, 1, 2, 3, 0xa1, b'l', 0xc0]);
        let (decoded, _, rest) = decode(&bytes).unwrap();
        assert_eq!((decoded, rest.len()), (c, 0));
    }

    #[test]
    fn a_depth_bomb_is_refused() {
        let mut bytes = encode(&plain(1, "a", "p"));
        bytes[0] = 0x9b;
        bytes.extend(std::iter::repeat_n(0x91, 100_000));
        assert!(decode(&bytes).is_err());
    }

    #[test]
    fn a_huge_declared_length_allocates_nothing() {
        let mut bytes = encode(&plain(1, "a", "p"));
        bytes[0] = 0x9b;
        bytes.extend([0xdd, 0xff, 0xff, 0xff, 0xff]);
        assert!(decode(&bytes).is_err());
        assert!(decode(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn a_cut_record_is_refused(cut in 1usize..60) {
            let mut c = plain(1, "customer", "plan");
            c.aliases = vec!["one", "two"];
            let bytes = encode(&c);
            prop_assume!(cut < bytes.len());
            prop_assert!(decode(&bytes[..bytes.len() - cut]).is_err());
        }
    }
}
