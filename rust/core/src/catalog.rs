//! The catalog as the core understands it: plain data, already validated.
//!
//! Files (YAML, JSON) become this in the `fastcheck-catalog` crate, which reports every mistake with its
//! position. Here names are strings, amounts are integer units of the pool's scale, and references
//! between parts are indexes, so nothing below has to look a name up or round a number.

/// What a customer may have of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// It, or nothing of it.
    OnOff,
    /// So much of it: a number of zero or more, or no bound.
    Bound,
    /// A text, an integer or a boolean.
    Value,
}

/// Makes `Kind` and all that is said of each kind by itself, so that none is left out.
macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident $code:literal $word:literal $form:ident $countable:literal;)*) => {
        /// What kind of thing a feature is. It never changes while a customer uses the feature.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $($(#[$about])* $kind = $code,)*
        }

        impl Kind {
            /// Every kind, in the order in which messages list them.
            pub const ALL: [Kind; [$($code),*].len()] = [$(Kind::$kind),*];

            /// The word used in catalog files, logs and answers.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Kind::$kind => $word,)*
                }
            }

            /// What a customer may have of such a feature.
            pub fn form(self) -> Form {
                match self {
                    $(Kind::$kind => Form::$form,)*
                }
            }

            /// Whether using the feature spends from a pool.
            pub fn is_countable(self) -> bool {
                match self {
                    $(Kind::$kind => $countable,)*
                }
            }
        }
    };
}

// Name, number in rows, word, form, whether it is countable.
kinds! {
    /// On or off.
    Switch 1 "switch" OnOff false;
    /// A static number, such as seats. Never spent.
    Limit 2 "limit" Bound false;
    /// A configuration value: text, an integer or a boolean.
    Value 3 "value" Value false;
    /// A quota that refills each period. Spent from a private pool.
    Meter 4 "meter" Bound true;
    /// Each unit burns credits from a named pool at a rate.
    Credit 5 "credit" OnOff true;
}

impl Kind {
    /// Whether a customer has so much of it, and zero is nothing of it.
    pub fn has_bound(self) -> bool {
        match self.form() {
            Form::Bound => true,
            Form::OnOff | Form::Value => false,
        }
    }

    /// The number stored in rows.
    pub(crate) fn code(self) -> u64 {
        self as u64
    }

    pub(crate) fn from_code(code: u64) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// What one source says about one feature.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Setting {
    /// Not entitled. For a limit or a meter the same as zero.
    Off,
    /// Entitled: a switch that is on, a credit feature that may be used.
    On,
    /// Entitled without a bound (limit, meter).
    Unlimited,
    /// A bound (limit, meter: quota per period) or an integer value. Never negative for limit and meter.
    Number(i64),
    /// A text value.
    Text(String),
    /// A boolean value (features of kind `value` only).
    Bool(bool),
}

/// The calendar unit of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// From where periods are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// From the start of the calendar unit, in UTC.
    Calendar,
    /// From the instant the customer came to the plan.
    Anniversary,
}

/// A length of calendar time: `count` units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    pub count: u32,
    pub unit: Unit,
}

/// How often a grant is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recurrence {
    pub every: Span,
    pub anchor: Anchor,
}

/// What happens to what is left of a grant when its period ends: the new period starts with
/// `min(max, max(min, percent of what was left))` on top of its own amount. `max = 0` means nothing is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rollover {
    pub min: u64,
    pub max: u64,
    /// Of what was left, 1 to 100, rounded down to whole units.
    pub percent: u8,
    /// Whether units that were kept once are not kept again.
    pub once: bool,
}

impl Default for Rollover {
    /// Nothing is kept.
    fn default() -> Self {
        Rollover {
            min: 0,
            max: 0,
            percent: 100,
            once: false,
        }
    }
}

/// The price paid for a grant's whole amount; in an add-on, per unit of its quantity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cost {
    /// Minor units of the currency, such as cents.
    pub amount: u64,
    /// Three uppercase letters, as in ISO 4217.
    pub currency: String,
}

/// The price of one unit of one quantity ("input", "output") of a feature, in pool units.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// The quantity's name; the empty string is the plain, unnamed quantity.
    pub quantity: String,
    /// Pool units (10^-scale credits) burned per unit of the quantity.
    pub cost: u64,
}

/// What an answer does when the host has not heard from its hub for longer than `max_staleness_ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WhenStale {
    #[default]
    Keep,
    Deny,
    Allow,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Staleness {
    pub when_stale: WhenStale,
    /// `None`: never counted as stale.
    pub max_staleness_ms: Option<u64>,
}

impl Staleness {
    /// The bound in ms, where passing it changes an answer.
    pub(crate) fn bound(self) -> Option<u64> {
        self.max_staleness_ms
            .filter(|_| self.when_stale != WhenStale::Keep)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    pub name: String,
    pub description: String,
    pub kind: Kind,
    /// What a customer has who gets the feature from nowhere else.
    pub default: Setting,
    /// Index into `Catalog::pools`: the named pool of a credit feature, the private pool of a meter.
    pub pool: Option<usize>,
    /// One entry per quantity, the unnamed one first where there is one. Empty unless countable.
    pub rates: Vec<Rate>,
    /// The period of a meter.
    pub period: Option<Recurrence>,
    pub staleness: Staleness,
}

/// Whether a pool may go below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Never below zero.
    Hard,
    /// Below zero by at most this many units; `None`: without a bound.
    Soft { overdraft: Option<u64> },
}

/// One step of a burn order. Grants are compared key by key; the grant id always breaks the last tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderKey {
    /// Smaller priority first.
    Priority,
    /// First what ends sooner, the end of its period and of what a refill lasts included; what never ends last.
    Expiry,
    /// First the grant that itself expires sooner, whatever its period; what never expires last.
    ExpiresAt,
    /// First what was given, then what was paid for (paid, top-up).
    Kind,
    /// First what comes with a plan or an add-on, then what was granted beside it.
    Plan,
    /// Older first.
    Oldest,
    /// Newer first.
    Newest,
}

impl OrderKey {
    /// Default priority, soonest expiry, promotional before paid, oldest.
    pub const DEFAULT: [OrderKey; 4] = [
        OrderKey::Priority,
        OrderKey::Expiry,
        OrderKey::Kind,
        OrderKey::Oldest,
    ];
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// A credit's own name, or the meter's feature name for a private pool.
    pub name: String,
    pub description: String,
    /// Decimal digits, 0 to 12: a stored unit is 10^-scale of a credit.
    pub scale: u8,
    pub policy: Policy,
    pub order: Vec<OrderKey>,
    /// The private pool behind a meter.
    pub private: bool,
    pub staleness: Staleness,
    /// Percents of what was granted at whose use somebody is told: ascending, each once. For the hub only: no row
    /// depends on it.
    pub warn_at: Vec<u16>,
}

impl Pool {
    /// Told at nine tenths, and when all is used.
    pub const WARN_AT_DEFAULT: [u16; 2] = [90, 100];
}

/// Where a grant comes from, and so who paid for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantKind {
    /// Part of a plan or an add-on.
    Plan,
    /// A gift.
    Promotional,
    /// Bought by somebody.
    Paid,
    /// Bought because the balance was low.
    TopUp,
    /// Given back for what was spent.
    Refund,
}

/// A grant that comes with a plan or an add-on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanGrant {
    /// Where the grants of an offer are a map: what its line is called. For the hub only, as all that says so.
    pub name: Option<String>,
    /// Index into `Catalog::pools`.
    pub pool: usize,
    /// Pool units.
    pub amount: u64,
    pub priority: i32,
    pub kind: GrantKind,
    /// `None`: granted once, when the customer comes to the plan.
    pub recurrence: Option<Recurrence>,
    /// How long after it was made the grant ends. `None`: at the next recurrence, or never.
    pub expires_after: Option<Span>,
    pub rollover: Rollover,
    /// `None`: no price is known for it. For the hub only: no row depends on it.
    pub cost: Option<Cost>,
    /// Of a grant made once: whether customers get it who came before it did. For the hub only.
    pub existing: bool,
    /// Of a grant that repeats: whether what changes within a period counts for the rest of it. For the hub only.
    pub prorated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub name: String,
    pub version: u32,
    /// (feature index, setting), each feature at most once.
    pub entitlements: Vec<(usize, Setting)>,
    pub grants: Vec<PlanGrant>,
    /// How long a trial of the plan lasts where nobody says otherwise. `None`: a trial needs its own end.
    pub trial: Option<Span>,
}

/// What an add-on says about a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AddonSetting {
    /// Adds this much per unit of the add-on's quantity (limit, meter, integer value).
    Add(i64),
    /// A source like any other: the most generous wins.
    Set(Setting),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addon {
    pub name: String,
    pub entitlements: Vec<(usize, AddonSetting)>,
    /// Amounts are per unit of quantity.
    pub grants: Vec<PlanGrant>,
    /// Plans it may be added to (names); empty: any.
    pub plans: Vec<String>,
    pub max_quantity: Option<u32>,
    /// Whether it is bought, each purchase for itself, and not had. For the hub only.
    pub sold: bool,
}

/// The whole product. Plans are ordered by name, then version ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    pub features: Vec<Feature>,
    pub pools: Vec<Pool>,
    pub plans: Vec<Plan>,
    pub addons: Vec<Addon>,
}

impl Catalog {
    pub fn feature(&self, name: &str) -> Option<usize> {
        self.features.iter().position(|f| f.name == name)
    }

    pub fn addon(&self, name: &str) -> Option<usize> {
        self.addons.iter().position(|a| a.name == name)
    }

    /// The plan of that name at `version`, or at its newest version.
    pub fn plan(&self, name: &str, version: Option<u32>) -> Option<usize> {
        match version {
            Some(v) => self
                .plans
                .iter()
                .position(|p| p.name == name && p.version == v),
            None => self.plans.iter().rposition(|p| p.name == name),
        }
    }
}

/// Bounds on what a catalog may hold. Each keeps an index inside the bits the arena gives it.
pub mod bounds {
    /// Features: an overlay table has 16-bit entries.
    pub const FEATURES_MAX: usize = 4_096;
    /// Pools, private ones included.
    pub const POOLS_MAX: usize = 4_096;
    pub const PLANS_MAX: usize = 65_536;
    pub const ADDONS_MAX: usize = 65_536;
    /// Percents of one pool at which somebody is told.
    pub const WARN_AT_MAX: usize = 16;
    /// The largest of them: a soft pool may be used beyond what was granted.
    pub const WARN_PERCENT_MAX: u16 = 1_000;
    /// Quantities of one feature.
    pub const RATES_MAX: usize = 64;
    /// Bytes of any name: feature, plan, pool, customer id, alias.
    pub const NAME_BYTES_MAX: usize = 512;
    /// Bytes of a text value.
    pub const TEXT_BYTES_MAX: usize = 16_384;
    /// Bytes of a catalog file.
    pub const FILE_BYTES_MAX: usize = 16 << 20;
    /// Decimal digits of a pool's scale.
    pub const SCALE_MAX: u8 = 12;
    /// A grant, in units: what a signed 64-bit column holds.
    pub const AMOUNT_MAX: u64 = i64::MAX as u64;
    /// One burn, and one rate, in units: what a cell's 48-bit total holds.
    pub const BURN_MAX: u64 = (1 << 48) - 1;
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_rows_has_every_kind_by_its_number() {
        let listed: Vec<_> = Kind::ALL
            .iter()
            .map(|kind| format!("{} {}", kind.code(), kind.as_str()))
            .collect();
        let page = include_str!("../../../docs/format/rows.md")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let said = format!("kind ({})", listed.join(", "));
        assert!(
            page.contains(&said),
            "docs/format/rows.md does not say {said}"
        );
        assert_eq!(Kind::from_code(0), None);
    }
}
