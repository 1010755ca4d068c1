"""Requests check themselves where they are made, and are read from JSON within bounds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fastcheck.errors import (
    AmountError,
    FastcheckError,
    InstantError,
    NameInvalid,
    ProtocolError,
    RecordError,
    WrongType,
)
from fastcheck.wire.fields import credits_within, listed
from fastcheck.wire.forms import Form, Malformed
from fastcheck.wire.headers import CUSTOMERS_PER_BATCH
from fastcheck.wire.json import Record, read, shape, write
from fastcheck.wire.operation import Request
from fastcheck.wire.operations.customers import (
    Addon,
    CustomerTerms,
    NamedCustomer,
    PutCustomer,
    PutCustomers,
    ResolveCustomers,
)
from fastcheck.wire.operations.overrides import PutOverride
from fastcheck.wire.operations.plan_changes import CancelMove, Migrate, MoveCustomers, MoveSegment
from fastcheck.wire.operations.segments import PatchSegment, PutSegment
from fastcheck.wire.record import ADDONS_MAX, ALIASES_MAX

BAD: list[tuple[type[Any], tuple[Any, ...], dict[str, Any], type[FastcheckError]]] = [
    (PutCustomer, ("",), {}, NameInvalid),
    (PutCustomer, (5,), {}, WrongType),
    (PutCustomer, ("acme",), {"plan": ""}, NameInvalid),
    (PutCustomer, ("acme",), {"version": 0}, RecordError),
    (PutCustomer, ("acme",), {"version": True}, WrongType),
    (PutCustomer, ("acme",), {"since": -1}, InstantError),
    (PutCustomer, ("acme",), {"since": "now"}, WrongType),
    (PutCustomer, ("acme",), {"trial_until": 5}, RecordError),
    (PutCustomer, ("acme",), {"aliases": "key"}, WrongType),
    (PutCustomer, ("acme",), {"aliases": 5}, WrongType),
    (PutCustomer, ("acme",), {"aliases": ("a\0",)}, NameInvalid),
    (PutCustomer, ("acme",), {"aliases": tuple(map(str, range(ALIASES_MAX + 1)))}, RecordError),
    (PutCustomer, ("acme",), {"addons": ["pack"]}, WrongType),
    (PutCustomer, ("acme",), {"addons": {"": Addon()}}, NameInvalid),
    (PutCustomer, ("acme",), {"addons": {str(one): Addon() for one in range(ADDONS_MAX + 1)}}, RecordError),
    (Addon, (0,), {}, RecordError),
    (Addon, (1.0,), {}, WrongType),
    (Addon, (1, -1), {}, InstantError),
    (PutOverride, ("acme", "seats"), {"value": 1.5}, WrongType),
    (PutOverride, ("acme", "seats"), {"value": 1 << 63}, RecordError),
    (PutOverride, ("acme", "seats"), {"value": "x" * 16_385}, NameInvalid),
    (PutOverride, ("acme", "seats"), {"value": Decimal("NaN")}, AmountError),
    (PutOverride, ("acme", "seats"), {"value": Decimal("1e99")}, AmountError),
    (PutOverride, ("acme", "seats"), {"value": 1, "starts_at": 5, "expires_at": 5}, InstantError),
    (PutOverride, ("acme", "seats"), {"value": 1, "reason": "x" * 5_000}, NameInvalid),
    (MoveCustomers, ((),), {"plan": "free"}, RecordError),
    (MoveCustomers, (tuple(map(str, range(501))),), {"plan": "free"}, RecordError),
    (MoveCustomers, ("acme",), {"plan": "free"}, WrongType),
    (MoveCustomers, (("acme",),), {"plan": None, "version": 1}, RecordError),
    (MoveCustomers, (("acme",),), {"plan": "free", "when": "soon"}, WrongType),
    (MoveCustomers, (("acme",),), {"plan": "free", "when": -1}, InstantError),
    (MoveCustomers, (("acme",),), {"plan": "free", "keep_since": 1}, WrongType),
    (MoveSegment, ("beta", -1), {"plan": "free"}, RecordError),
    (MoveSegment, ("beta", "1"), {"plan": "free"}, WrongType),
    (Migrate, ("pro", 1, 1), {}, RecordError),
    (Migrate, ("pro", 1, None), {}, WrongType),
    (CancelMove, ("",), {}, NameInvalid),
    (PutSegment, ("beta", tuple(map(str, range(1_001)))), {}, RecordError),
    (PutSegment, ("beta", "acme"), {}, WrongType),
    (PatchSegment, ("beta", ("a",), ("b", "a")), {}, RecordError),
    (
        PatchSegment,
        ("beta", tuple(map(str, range(600))), tuple("x" + str(one) for one in range(600))),
        {},
        RecordError,
    ),
]


@pytest.mark.parametrize(("kind", "args", "terms", "error"), BAD)
def test_what_a_request_cannot_mean_is_refused_where_it_is_made(
    kind: type[Any], args: tuple[Any, ...], terms: dict[str, Any], error: type[FastcheckError]
) -> None:
    with pytest.raises(error):
        kind(*args, **terms)


GOOD: list[Request[Any]] = [
    PutCustomer(
        "acme",
        plan="pro",
        version=2,
        addons={"pack": Addon(2, 5), "other": Addon()},
        aliases=("b", "a", "b"),
        trial_plan="max",
        trial_until=7,
        since=0,
    ),
    PutCustomers((NamedCustomer("acme", plan="pro"), NamedCustomer("bravo"))),
    *(PutOverride("acme", "seats", value=one, reason="why") for one in (True, None, 5, "x", Decimal("12.5"))),
    MoveCustomers(("a", "b", "a"), plan="free", when="period_end", keep_since=True),
    MoveSegment("beta", 9, plan=None, when=5, replace=True),
    Migrate("pro", 1, 2),
    PutSegment("beta", ("a", "a")),
]


@pytest.mark.parametrize("request_", GOOD)
def test_a_request_comes_back_as_it_was(request_: Request[Any]) -> None:
    of = shape(type(request_))
    assert read(write(request_, of), of) == request_


def test_what_is_said_in_any_order_is_one_request() -> None:
    assert PutCustomer("acme", aliases=("b", "a")) == PutCustomer("acme", aliases=("a", "b", "a"))
    assert MoveCustomers(("a", "b", "a"), plan=None).customers == ("a", "b")


def test_what_is_stored_as_it_is_given_is_not_made_anew() -> None:
    aliases, addons, customers = ("key",), {"pack": Addon(2)}, (NamedCustomer("acme"),)
    terms = NamedCustomer("acme", aliases=aliases, addons=addons)
    assert terms.aliases is aliases
    assert terms.addons is addons
    assert PutCustomers(customers).customers is customers


def test_what_another_process_sends_is_checked_too() -> None:
    of = shape(MoveCustomers)
    plain = write(MoveCustomers(("a",), plan="free"), of)
    for wrong, error in (
        ({"when": None}, ProtocolError),
        ({"when": "soon"}, WrongType),
        ({"customers": []}, RecordError),
    ):
        with pytest.raises(error):
            read({**plain, **wrong}, of)


def form(kind: type[Any], body: dict[str, Any]) -> dict[str, Any]:
    of = shape(kind)
    assert isinstance(of, Record)
    found = Form()
    fields = found.fields(dict(of.fields), of.defaults, body, "body")
    found.done()
    return fields


def test_a_list_is_not_read_beyond_its_bound() -> None:
    with pytest.raises(Malformed, match=f"body.customers: has {CUSTOMERS_PER_BATCH + 1} items, at most"):
        form(PutCustomers, {"customers": [None] * (CUSTOMERS_PER_BATCH + 1)})
    with pytest.raises(Malformed, match=r"body\.keys: has 1001 items"):
        form(ResolveCustomers, {"keys": ["x"] * 1_001})
    with pytest.raises(Malformed, match=r"body\.addons: has 1025 items"):
        form(CustomerTerms, {"addons": {str(one): {} for one in range(1_025)}})


def test_an_instant_or_a_word() -> None:
    for given, meant in (
        ("now", "now"),
        ("period_end", "period_end"),
        (5, 5),
        ("5", 5),
        ("2024-05-01T00:00:00Z", 1_714_521_600_000),
    ):
        assert (
            form(Migrate, {"plan": "p", "from_version": 1, "to_version": 2, "when": given})["when"] == meant
        )
    with pytest.raises(Malformed, match=r"body\.when"):
        form(Migrate, {"plan": "p", "from_version": 1, "to_version": 2, "when": "soon"})
    with pytest.raises(InstantError):
        form(Migrate, {"plan": "p", "from_version": 1, "to_version": 2, "when": "2024-05-01T25:00:00Z"})


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        (Decimal("10.00"), 10),
        (Decimal("1E+2"), 100),
        (Decimal("-0.0"), 0),
        (Decimal("2.50"), Decimal("2.5")),
        (
            Decimal("0.1000000000000000000000000000000000100"),
            Decimal("0.10000000000000000000000000000000001"),
        ),
    ],
)
def test_an_amount_has_one_form_however_it_was_written(written: Decimal, amount: int | Decimal) -> None:
    found = credits_within(written, "the amount")
    assert (found, type(found), str(found)) == (amount, type(amount), str(amount))


@pytest.mark.parametrize("value", [None, 5, "acme", b"acme"])
def test_what_is_no_list_is_refused_by_name(value: object) -> None:
    with pytest.raises(WrongType, match="customers must be a list"):
        listed(value, "customers")
