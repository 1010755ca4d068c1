"""Purchases: add-ons that are sold once. Each makes a grant of its own for each line of the add-on, from its
payment on; nothing that happens to the customer's plan or add-ons touches it.

What was ordered is what the catalog said then: a purchase that is paid later, under another catalog, grants
the same. What was used of a payment that was taken back is owed, like any use without a grant, and the next
grant pays it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from fastcheck.amounts import credits, units
from fastcheck.errors import AmountError, Conflict, NameInvalid, RecordError, UnknownPurchase
from fastcheck.hub.catalog.product import Offer, PlanGrant
from fastcheck.hub.store.statements import StoredCustomer, StoredPurchase
from fastcheck.hub.store.statements.purchases import CHARGED_BACK, PAID, PENDING, REFUNDED
from fastcheck.hub.use_cases.accounts import Accounts
from fastcheck.hub.use_cases.grants import shown
from fastcheck.hub.use_cases.moving import some
from fastcheck.hub.use_cases.transaction import Call
from fastcheck.hub.use_cases.use_case import Concerns, UseCase, customer
from fastcheck.ledger import burn, periods
from fastcheck.ledger.finance import worth
from fastcheck.ledger.lines import PURCHASE
from fastcheck.ledger.model import AMOUNT_MAX, Account, Cost, Grant, GrantKind, Holding
from fastcheck.wire.answers import GrantState, Page
from fastcheck.wire.cursor import cursor_of, place_of
from fastcheck.wire.events import Kind, Value
from fastcheck.wire.names import NAME_BYTES_MAX
from fastcheck.wire.operations.purchases import (
    BuyAddon,
    ChargeBack,
    GetPurchase,
    ListPurchases,
    PayPurchase,
    RefundPurchase,
)
from fastcheck.wire.purchase_answers import PoolAmount, PurchaseRefund, PurchaseState

Before = dict[str, Account]
"""The accounts of a customer that a purchase concerns, as they were read, by pool."""


def buy(call: Call, request: BuyAddon) -> PurchaseState:
    """Buys an add-on. Asked again with the same id: no change. Raises `UnknownCustomer`, `RecordError` (the
    catalog does not sell it so, or not to this customer), `AmountError`, `Conflict` (the id exists with other
    terms)."""
    assert request.id is not None, "the service gives it one"
    stored = call.held(request.customer)
    call.accounts().settle(call.totals)
    known = call.statements.purchase(request.id)
    if known is not None:
        _check_same(call, request, known, stored)
        return _shown(call, known)
    offer = _offer(call, request.addon)
    _check_sold(offer, request, stored)
    price = _price(offer, request)
    one = StoredPurchase(
        request.id,
        stored.record.number,
        request.addon,
        request.quantity,
        PENDING,
        None if price is None else price.amount,
        None if price is None else price.currency,
        0,
        call.now,
        None,
        None,
        request.reason,
        call.by.author,
    )
    made = [_grant(one, offer, line, cost, call.now) for line, cost in _priced(offer, one)]
    _check_grants(call, made, offer)
    call.statements.make_purchase(one)
    after = {"purchase": one.id, "addon": one.addon, "quantity": one.quantity, "pending": request.pending}
    call.note("buy", stored.record.id, None, {**after, "price": _money(one)}, reason=request.reason)
    if not request.pending:
        one = _pay(call, one, stored)
    return _shown(call, one)


def pay(call: Call, request: PayPurchase) -> PurchaseState:
    """Grants what was ordered, from now on. Again: no change. Raises `UnknownPurchase`, `UnknownPool`,
    `AmountError`, `Conflict` (it was charged back)."""
    one, stored = _held(call, request.id)
    call.accounts().settle(call.totals)
    if one.state == CHARGED_BACK:
        raise Conflict(f"purchase {one.id!r:.80} was charged back: buy anew, under another id")
    if one.state != PENDING:
        return _shown(call, one)
    call.note("pay_purchase", stored.record.id, {"purchase": one.id, "state": one.state}, {"state": PAID})
    return _shown(call, _pay(call, one, stored))


def _pay(call: Call, one: StoredPurchase, stored: StoredCustomer) -> StoredPurchase:
    """Puts the grants of a purchase in as of now."""
    if stored.record.deleted:
        raise Conflict(f"the customer of purchase {one.id!r:.80} was deleted: there is nobody to grant it to")
    accounts, offer = call.accounts(), _offer(_ordered(call, one), one.addon)
    before: Before = {}
    after: Before = {}
    for line, cost in _priced(offer, one):
        pool = accounts.pool(line.pool)
        if pool.name not in before:
            before[pool.name] = after[pool.name] = accounts.update(stored, pool)
        made = _grant(one, offer, line, cost, accounts.now)
        if after[pool.name].remaining() + made.amount > AMOUNT_MAX:
            raise AmountError(f"the balance would pass {AMOUNT_MAX} units of 10^-{pool.scale}: buy less")
        after[pool.name] = burn.put(after[pool.name], pool.rules, made)
    _save(accounts, stored, before, after)
    one = replace(one, state=PAID, paid_at=accounts.now)
    call.statements.change_purchase(one)
    _tell(call, Kind.PURCHASE_PAID, one, stored, one.cost)
    return one


def refund(call: Call, request: RefundPurchase) -> PurchaseRefund:
    """Takes back what is not used of a purchase, or a part of it. Raises `UnknownPurchase`, `AmountError`
    (more than is left), `RecordError` (of which pool?), `Conflict` (nothing is left, it is pending, or was
    charged back)."""
    one, stored = _held(call, request.id)
    accounts = call.accounts()
    accounts.settle(call.totals)
    if one.state not in (PAID, REFUNDED):
        was = "is not paid: there is nothing to refund" if one.state == PENDING else "was charged back"
        raise Conflict(f"purchase {one.id!r:.80} {was}")
    before = _accounts(call, one, stored)
    wanted = _wanted(accounts, request, {name: _left(one, account) for name, account in before.items()})
    taken: dict[str, int] = dict.fromkeys(wanted, 0)
    money, after = 0, dict(before)
    for name, most in wanted.items():
        for held in _bought(one, before[name]):
            part = min(held.remaining, most - taken[name])
            if not part:
                continue
            taken[name] += part
            if held.grant.cost is not None:
                out = held.granted - held.remaining
                money += worth(held.grant.cost.amount, held.grant.amount, out, part)
            after[name] = burn.refund(after[name], held.id, part)
    _save(accounts, stored, before, after)
    one = replace(one, state=REFUNDED, refunded=one.refunded + money)
    call.statements.change_purchase(one)
    paid_back = None if one.cost is None else money
    left = {"purchase": one.id, "units": taken, "money": paid_back}
    call.note("refund_purchase", stored.record.id, None, left, reason=request.reason)
    _tell(call, Kind.PURCHASE_REFUNDED, one, stored, paid_back)
    return PurchaseRefund(
        _shown(call, one),
        tuple(
            PoolAmount(name, credits(part, accounts.pool(name).scale)) for name, part in sorted(taken.items())
        ),
        _price_of(one, money),
    )


def _wanted(accounts: Accounts, request: RefundPurchase, left: dict[str, int]) -> dict[str, int]:
    """Pool -> units to take back."""
    if request.pool is not None:
        accounts.pool(request.pool)
        left = {request.pool: left.get(request.pool, 0)}
    if request.amount is None:
        if not any(left.values()):
            raise Conflict(f"purchase {request.id!r:.80} is used up or over: there is nothing to refund")
        return {name: part for name, part in left.items() if part}
    if len(left) != 1:
        raise RecordError(f"purchase {request.id!r:.80} has grants in {some(left)}: say of which pool")
    [(name, most)] = left.items()
    scale = accounts.pool(name).scale
    amount = units(request.amount, scale)
    if amount > most:
        raise AmountError(
            f"{credits(most, scale)} of purchase {request.id!r:.80} is not used: at most as much can be "
            f"refunded, not {credits(amount, scale)}"
        )
    return {name: amount}


def charge_back(call: Call, request: ChargeBack) -> PurchaseState:
    """Takes a purchase back whose payment was taken back; what was used of it is owed. Again: no change.
    Raises `UnknownPurchase`, `Conflict` for one that is pending."""
    one, stored = _held(call, request.id)
    accounts = call.accounts()
    accounts.settle(call.totals)
    if one.state == CHARGED_BACK:
        return _shown(call, one)
    if one.state == PENDING:
        raise Conflict(f"purchase {one.id!r:.80} is not paid: there is nothing to charge back")
    before = _accounts(call, one, stored)
    owed, after = {}, {}
    for name, account in before.items():
        mine = _bought(one, account)
        owed[name] = sum(held.burned for held in mine)
        ids = frozenset(held.id for held in mine)
        after[name] = burn.charge_back(account, accounts.pool(name).rules, ids)
    _save(accounts, stored, before, after)
    one = replace(one, state=CHARGED_BACK, ended_at=accounts.now)
    call.statements.change_purchase(one)
    money = None if one.cost is None else one.cost - one.refunded
    summary = {"purchase": one.id, "owed": owed, "money": money}
    call.note("charge_back", stored.record.id, None, summary, reason=request.reason)
    _tell(call, Kind.PURCHASE_CHARGED_BACK, one, stored, money)
    return _shown(call, one)


def get(call: Call, request: GetPurchase) -> PurchaseState:
    """A purchase. Raises `UnknownPurchase`."""
    return _shown(call, _stored(call, request.id))


def of(call: Call, request: ListPurchases) -> Page[PurchaseState]:
    """A customer's purchases. Raises `UnknownCustomer`, `RecordError` for a cursor that no page gave."""
    at, id = place_of(request.cursor, (0, ""))
    stored, count = call.customer(request.customer), request.limit
    found = call.statements.purchases_after(stored.record.number, at, id, count + 1)
    made = _grants_of(call, stored) if found else {}
    items = tuple(_state(one, stored.record.id, made) for one in found[:count])
    last = found[count - 1] if len(found) > count else None
    return Page(items, None if last is None else cursor_of((last.created_at, last.id)))


# What is bought.


def _offer(call: Call, addon: str) -> Offer:
    offer = call.product.addons.get(addon)
    if offer is None:
        raise RecordError(f"the catalog has no add-on {addon!r:.80}; it has: {some(call.product.addons)}")
    if not offer.sold:
        raise RecordError(f"add-on {addon!r:.80} is not sold once: give it to the customer with put_customer")
    return offer


def _ordered(call: Call, one: StoredPurchase) -> Call:
    """The call under the catalog by which a purchase was ordered."""
    return call.at(one.created_at)


def _check_sold(offer: Offer, request: BuyAddon, stored: StoredCustomer) -> None:
    """Raises `RecordError` where it is not sold so, or not to this customer."""
    addon, plan = request.addon, stored.record.plan
    if offer.max_quantity is not None and request.quantity > offer.max_quantity:
        raise RecordError(
            f"add-on {addon!r:.80} goes up to quantity {offer.max_quantity} at once, not {request.quantity}"
        )
    if offer.plans and plan not in offer.plans:
        raise RecordError(f"add-on {addon!r:.80} belongs to plans {some(offer.plans)}, not {plan}")
    if not _lines(offer):
        raise RecordError(f"add-on {addon!r:.80} grants nothing: there is nothing to buy")
    for line in offer.grants:
        if line.every is not None:
            raise RecordError(f"grant {line.id} of add-on {addon!r:.80} recurs: what is bought is given once")


def _lines(offer: Offer) -> list[PlanGrant]:
    return [line for line in offer.grants if line.amount]


def _price(offer: Offer, request: BuyAddon) -> Cost | None:
    """What is paid for all of it."""
    if request.price is not None:
        return Cost(*request.price)
    costs = [line.cost for line in _lines(offer) if line.cost is not None]
    if not costs:
        return None
    if len({cost.currency for cost in costs}) > 1:
        raise RecordError(f"the grants of add-on {request.addon!r:.80} cost several currencies: give a price")
    return Cost(sum(cost.amount for cost in costs) * request.quantity, costs[0].currency)


def _priced(offer: Offer, one: StoredPurchase) -> list[tuple[PlanGrant, Cost | None]]:
    """The lines with their parts of the price: each its own cost, or, of a price that was agreed on, in
    proportion to these; all alike where the catalog has no costs to go by."""
    lines = _lines(offer)
    if one.cost is None or one.currency is None:
        return [(line, None) for line in lines]
    weights = [None if line.cost is None else line.cost.amount for line in lines]
    currencies = {line.cost.currency for line in lines if line.cost is not None}
    if len(currencies) != 1 or not any(weights):
        weights = [1] * len(lines)
    whole = sum(weight or 0 for weight in weights)
    found: list[tuple[PlanGrant, Cost | None]] = []
    through = 0
    for line, weight in zip(lines, weights, strict=True):
        if weight is None:
            found.append((line, None))
            continue
        part = worth(one.cost, whole, through, weight)
        through += weight
        found.append((line, Cost(part, one.currency)))
    return found


def _grant(one: StoredPurchase, offer: Offer, line: PlanGrant, cost: Cost | None, at: int) -> Grant:
    """A line of a purchase that is paid at an instant."""
    amount = line.amount * one.quantity
    if amount > AMOUNT_MAX:
        raise AmountError(f"the grants would pass {AMOUNT_MAX} units: buy less at once")
    return Grant(
        f"{PURCHASE}{one.id}/{line.id}",
        amount,
        priority=line.priority,
        effective_at=at,
        expires_at=None if line.lasts is None else periods.add(at, line.lasts),
        # What is bought is no plan's, whose grants burn first and are worth nothing to their holder.
        kind=GrantKind.TOP_UP if line.kind is GrantKind.PLAN else line.kind,
        created_at=at,
        reason=one.reason,
        source=f"{PURCHASE}{one.id}",
        cost=cost,
    )


def _check_grants(call: Call, made: Sequence[Grant], offer: Offer) -> None:
    """Raises where a grant could not be made when it is paid."""
    for grant, line in zip(made, _lines(offer), strict=True):
        call.accounts().pool(line.pool)
        if len(grant.id.encode()) > NAME_BYTES_MAX:
            raise NameInvalid(f"the grant's id {grant.id!r:.80} would be too long: take a shorter id")


def _check_same(call: Call, request: BuyAddon, known: StoredPurchase, stored: StoredCustomer) -> None:
    """Raises `Conflict` where an id was another purchase's."""
    asked = (stored.record.number, request.addon, request.quantity)
    same = asked == (known.number, known.addon, known.quantity)
    if same:
        price = _price(_offer(_ordered(call, known), known.addon), request)
        same = (None if price is None else (price.amount, price.currency)) == _money(known)
    if not same:
        raise Conflict(f"purchase {known.id!r:.80} exists with other terms: use another id for another one")
    if known.state == PENDING and not request.pending:
        raise Conflict(f"purchase {known.id!r:.80} is pending: pay_purchase confirms its payment")


# What became of it.


def _stored(call: Call, id: str) -> StoredPurchase:
    found = call.statements.purchase(id)
    if found is None:
        raise UnknownPurchase(f"there is no purchase {id!r:.80}: see list_purchases")
    return found


def _held(call: Call, id: str) -> tuple[StoredPurchase, StoredCustomer]:
    """A purchase and its customer, whom nobody else changes until the transaction ends."""
    found = _stored(call, id)
    call.statements.lock([found.number, *(one.number for one in call.totals)])
    return _stored(call, id), call.statements.customer(found.number)


def _accounts(call: Call, one: StoredPurchase, stored: StoredCustomer) -> Before:
    """The accounts in which a purchase has grants, brought to now. Pools that the catalog lost are left
    out."""
    accounts = call.accounts()
    made = call.statements.grants_from(one.number, f"{PURCHASE}{one.id}")
    pools = sorted({grant.pool for grant in made} & call.product.pools.keys())
    return {name: accounts.update(stored, accounts.pool(name)) for name in pools}


def _bought(one: StoredPurchase, account: Account) -> list[Holding]:
    """The grants of a purchase in an account, in the order of their ids."""
    source = f"{PURCHASE}{one.id}"
    return sorted(
        (held for held in account.holdings if held.grant.source == source), key=lambda held: held.id
    )


def _left(one: StoredPurchase, account: Account) -> int:
    return sum(held.remaining for held in _bought(one, account))


def _save(accounts: Accounts, stored: StoredCustomer, before: Before, after: Before) -> None:
    for name, account in after.items():
        if account is not before[name]:
            accounts.save(stored.record.number, name, before[name], account)


def _tell(call: Call, kind: Kind, one: StoredPurchase, stored: StoredCustomer, money: int | None) -> None:
    data: dict[str, Value] = {
        "purchase": one.id,
        "addon": one.addon,
        "quantity": one.quantity,
        "minor_units": money,
        "currency": one.currency,
    }
    call.statements.tell(kind, call.now, one.number, stored.record.id, data)


def _money(one: StoredPurchase) -> tuple[int, str] | None:
    return None if one.cost is None or one.currency is None else (one.cost, one.currency)


def _price_of(one: StoredPurchase, amount: int) -> tuple[int, str] | None:
    """An amount in a purchase's currency."""
    return None if one.currency is None else (amount, one.currency)


def _shown(call: Call, one: StoredPurchase) -> PurchaseState:
    stored = call.statements.customer(one.number)
    return _state(one, stored.record.id, _grants_of(call, stored))


def _grants_of(call: Call, stored: StoredCustomer) -> dict[str, list[GrantState]]:
    """A customer's grants as of now, by what they come from."""
    found: dict[str, list[GrantState]] = defaultdict(list)
    accounts, id = call.accounts(), stored.record.id
    for name in call.statements.pools_of(stored.record.number):
        pool = call.product.pools.get(name)
        for held in () if pool is None else accounts.current(stored, pool)[1].holdings:
            if pool is not None and (held.grant.source or "").startswith(PURCHASE):
                found[held.grant.source or ""].append(shown(held, id, pool))
    return found


def _state(one: StoredPurchase, customer: str, made: dict[str, list[GrantState]]) -> PurchaseState:
    grants = made.get(f"{PURCHASE}{one.id}", [])
    return PurchaseState(
        one.id,
        customer,
        one.addon,
        one.quantity,
        one.state,
        _money(one),
        _price_of(one, one.refunded),
        one.created_at,
        one.paid_at,
        one.ended_at,
        one.reason,
        one.author,
        tuple(sorted(grants, key=lambda grant: grant.id)),
    )


# Whose leases.


def _concerned_by_buying(call: Call, request: BuyAddon) -> Concerns:
    offer = call.product.addons.get(request.addon)
    pools = frozenset() if offer is None else frozenset(line.pool for line in offer.grants)
    return Concerns([call.number(request.customer)], pools)


def _concerned(call: Call, request: PayPurchase | RefundPurchase | ChargeBack | GetPurchase) -> Concerns:
    one = _stored(call, request.id)
    made = call.statements.grants_from(one.number, f"{PURCHASE}{one.id}")
    pools = {grant.pool for grant in made}
    if one.state == PENDING:
        pools |= {line.pool for line in _offer(_ordered(call, one), one.addon).grants}
    return Concerns([one.number], pools)


USE_CASES = (
    UseCase(BuyAddon, buy, _concerned_by_buying),
    UseCase(PayPurchase, pay, _concerned),
    UseCase(RefundPurchase, refund, _concerned),
    UseCase(ChargeBack, charge_back, _concerned),
    UseCase(GetPurchase, get, _concerned),
    UseCase(ListPurchases, of, customer),
)
