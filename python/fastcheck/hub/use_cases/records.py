"""From a request to the record of a customer, and whether the catalog and the arena can take it."""

from __future__ import annotations

from fastcheck.errors import InstantError, RecordError
from fastcheck.hub.catalog.product import Product
from fastcheck.hub.catalog.sources import Since
from fastcheck.hub.store.statements import StoredCustomer
from fastcheck.hub.use_cases.moving import some, version_of, version_since
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.ledger import periods
from fastcheck.wire.operations.customers import CustomerTerms
from fastcheck.wire.record import CustomerRecord, Trial, pack_record

ROW_WORDS_MAX = 65_535
"""Words of one customer's row; the core has the same bound (docs/format/rows.md). So the next three."""
ROW_STRETCHES_MAX = 250
ROW_HEAD_WORDS = 80
ENTRY_WORDS = 4


def build(
    call: Call, id: str, terms: CustomerTerms, stored: StoredCustomer | None, number: int = 0
) -> StoredCustomer:
    """What is asked of a customer, as a record; `number` is for a new one. Raises `RecordError` where the
    catalog refuses it."""
    product, now = call.product, call.now
    old = None if stored is None or stored.record.deleted else stored.record
    old_since = stored.since if stored is not None and old is not None else Since()
    plan, bought, trial_plan, trial_version = terms.plan, terms.version, terms.trial_plan, terms.trial_version
    if terms.trial_until is not None and trial_plan is None:
        plan, bought, trial_plan, trial_version = None, None, plan, bought  # The plan itself is on trial.
    same_plan = old is not None and old.plan == plan
    version = version_of(product, plan, bought, old.version if old and same_plan else None)
    since_ms = terms.since
    if since_ms is None:
        since_ms = old.since_ms if old is not None and same_plan else now
    trial = None
    trial_since = None
    trials = 0 if stored is None else trials_of(stored)
    if trial_plan is not None:
        had = old.trial if old is not None and old.trial and old.trial.plan == trial_plan else None
        trial_version = version_of(product, trial_plan, trial_version, had.version if had else None)
        until_ms = terms.trial_until
        if until_ms is None:
            until_ms = had.until_ms if had else _trial_end(product, trial_plan, trial_version, now)
        if had is None or until_ms != had.until_ms:
            _check_ahead(until_ms, now, f"the trial of plan {trial_plan!r:.80}")
        trial = Trial(trial_plan, trial_version, until_ms)
        goes_on = had is not None and had.until_ms > now
        trial_since = old_since.trial_ms if goes_on else since_ms if old is None else now
        trials += had is None or (not goes_on and until_ms != had.until_ms)
    started = since_ms if old is None else now
    # What ended by itself is over: put again, it begins anew.
    before = () if old is None else old.addons
    ended = {one for one, _, until in before if until is not None and until <= now}
    addons: tuple[tuple[str, int, int | None], ...] = ()
    if terms.addons:
        addons = tuple(sorted((addon, one.quantity, one.until) for addon, one in terms.addons.items()))
        ends = {one: until for one, _, until in before}
        for addon, _, until in addons:
            if until is not None and until != ends.get(addon):
                _check_ahead(until, now, f"add-on {addon!r:.80}")
    record = CustomerRecord(
        number if stored is None else stored.record.number,
        id,
        False,
        plan,
        version,
        since_ms,
        addons,
        () if old is None else old.overrides,
        terms.aliases,
        trial,
    )
    since = Since(
        trial_since,
        {one: started if one in ended else old_since.addons.get(one, started) for one, _, _ in addons},
        trials=trials,
        version_ms=version_since(old, old_since, plan, version, now),
    )
    return checked(call, record, since)


def _check_ahead(until: int, now: int, what: str) -> None:
    if until <= now:
        raise InstantError(
            f"{what} would end at {until} ms, which has passed: give an instant ahead, or leave it out"
        )


def trials_of(stored: StoredCustomer) -> int:
    """Trials that a customer ever had, the present one included."""
    return max(stored.since.trials, int(stored.record.trial is not None))


def checked(call: Call, record: CustomerRecord, since: Since) -> StoredCustomer:
    """A record as it is stored. Raises `RecordError` where the catalog refuses it; a deletion never is."""
    packed = pack_record(record)
    if not record.deleted:
        _check_addons(call.product, record)
        error = call.catalog.customer_error(packed)
        if error is not None:
            raise RecordError(f"customer {record.id!r:.80}: {error}")
        _check_row(call, record, packed)
    return StoredCustomer(record, packed, since, call.now)


def _trial_end(product: Product, plan: str, version: int | None, now: int) -> int:
    length = product.plans[(plan, version or 1)].trial
    if length is None:
        raise InstantError(f"plan {plan!r:.80} says nothing of how long a trial lasts: give trial_until")
    return periods.add(now, length)


def _check_addons(product: Product, record: CustomerRecord) -> None:
    for addon, quantity, _ in record.addons:
        offer = product.addons.get(addon)
        if offer is None:
            raise RecordError(f"the catalog has no add-on {addon!r:.80}; it has: {some(product.addons)}")
        if offer.sold:
            raise RecordError(
                f"add-on {addon!r:.80} is sold once: a customer does not have it but buys it, as often as "
                f"they like: admin.buy({record.id!r:.80}, {addon!r:.80})"
            )
        if offer.max_quantity is not None and quantity > offer.max_quantity:
            raise RecordError(
                f"add-on {addon!r:.80} goes up to quantity {offer.max_quantity}, not {quantity}"
            )
        if offer.plans and record.plan not in offer.plans:
            raise RecordError(f"add-on {addon!r:.80} belongs to plans {some(offer.plans)}, not {record.plan}")


def _check_row(call: Call, record: CustomerRecord, packed: bytes) -> None:
    """A row holds all overrides once for each stretch of time ahead. What does not fit is refused
    before it is stored: the arena could not show it, nor anything after it."""
    if not record.overrides and len(record.addons) + 2 < ROW_STRETCHES_MAX:
        return
    now, features, pools = call.now, len(call.product.features), len(call.product.pools)
    stretches = 1 + sum(at > now for at in call.catalog.boundaries(packed))
    texts = sum(len(one[1].encode()) for _, one, _, _ in record.overrides if one[0] == 4)
    overlay = 1 + features // 4 + 1 + ENTRY_WORDS * len(record.overrides) + texts // 8 + len(record.overrides)
    words = ROW_HEAD_WORDS + 2 * pools + stretches * (2 + overlay)
    if stretches > ROW_STRETCHES_MAX or words > ROW_WORDS_MAX:
        raise RecordError(
            f"customer {record.id!r:.80}: {len(record.overrides)} overrides that change at "
            f"{stretches - 1} instants ahead take more room than a row has: remove overrides that have "
            "ended, or give several of them one instant"
        )
