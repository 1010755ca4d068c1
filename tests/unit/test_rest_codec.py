"""Answers as JSON and back: every class that the API answers with, and JSON that is none of them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastcheck.errors import ProtocolError
from fastcheck.hub.http.examples import EXAMPLES
from fastcheck.wire.answers import AuditEntry, Balance, Customer, EventState, GrantState, Override, Page
from fastcheck.wire.json import Wide, read, shape, write
from fastcheck.wire.shapes import LedgerPosition

AT = 1_767_225_600_000


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_example_comes_back_as_it_was(kind: type[Any]) -> None:
    example = EXAMPLES[kind]
    sent = json.loads(json.dumps(write(example, shape(kind))))
    assert read(sent, shape(kind)) == example


amounts = st.integers(-(10**20), 10**20) | st.decimals(
    allow_nan=False, allow_infinity=False, places=12, min_value=-(10**15), max_value=10**15
)


@given(amounts)
def test_amounts_are_exact(amount: int | Decimal) -> None:
    balance = Balance("acme", "ai_credits", amount, 0, 0, None, AT)
    sent = json.loads(json.dumps(write(balance, shape(Balance))))
    assert isinstance(sent["remaining"], str)
    assert "E" not in sent["remaining"]
    found = read(sent, shape(Balance)).remaining
    assert (found, type(found)) == (amount, type(amount)) or isinstance(amount, Decimal)
    assert found == amount


@given(
    st.booleans()
    | st.integers(-(1 << 63), 1 << 63)
    | st.text()
    | st.none()
    | st.decimals(places=6, min_value=0, max_value=10**9)
)
def test_the_value_of_an_override_keeps_its_type(value: Any) -> None:
    one = Override("acme", "seats", value, None, None, "", "", AT)
    found = read(json.loads(json.dumps(write(one, shape(Override)))), shape(Override)).value
    assert (found, type(found)) == (value, type(value))


def test_prices_wide_numbers_and_pages() -> None:
    assert write(Page((LedgerPosition(Wide(1 << 62), 5),), "c"), shape(Page[LedgerPosition])) == {
        "items": [{"epoch": str(1 << 62), "seq": 5}],
        "cursor": "c",
    }
    example = EXAMPLES[GrantState]
    assert write(example, shape(GrantState))["cost"] == {"minor_units": 4_900, "currency": "EUR"}
    assert shape(Page[str]) == shape(Page[str])


def test_what_has_no_types_of_its_own() -> None:
    event = EventState(
        "e", "low_balance", AT, "acme", {"remaining": Decimal("1.5"), "percent": 80, "x": None}
    )
    sent = write(event, shape(EventState))
    assert sent["data"] == {"remaining": "1.5", "percent": 80, "x": None}
    assert read(sent, shape(EventState)) == event
    entry = AuditEntry(1, AT, "", "a", "b", "", None, {"addons": (("x", 2, None),), "amount": True})
    assert read(json.loads(json.dumps(write(entry, shape(AuditEntry)))), shape(AuditEntry)) == entry


GOOD = write(EXAMPLES[Customer], shape(Customer))


@pytest.mark.parametrize(
    "data",
    [
        None, 5, [], {}, {**GOOD, "id": 5}, {**GOOD, "version": "1"}, {**GOOD, "version": True},
        {**GOOD, "since_at": 1.0}, {**GOOD, "addons": {}}, {**GOOD, "addons": [None]},
        {**GOOD, "trial": []}, {**GOOD, "aliases": "x"}, {**GOOD, "aliases": [1]},
        {name: GOOD[name] for name in GOOD if name != "plan"},
    ],
)  # fmt: skip
def test_json_of_another_form_is_refused(data: Any) -> None:
    with pytest.raises(ProtocolError, match="malformed"):
        read(data, shape(Customer))


@pytest.mark.parametrize(
    "amount", [5, 1.5, None, "", "x", "1e5", "NaN", "1.", ".5", "--1", "٣", "1" * 80, " 1"]
)
def test_an_amount_that_is_none_is_refused(amount: Any) -> None:
    good = write(EXAMPLES[Balance], shape(Balance))
    with pytest.raises(ProtocolError):
        read({**good, "overage": amount}, shape(Balance))


def test_the_other_forms_are_refused_too() -> None:
    grant = write(EXAMPLES[GrantState], shape(GrantState))
    for cost in (5, {}, {"minor_units": "5", "currency": "EUR"}, {"minor_units": 5}, []):  # type: ignore[var-annotated]
        with pytest.raises(ProtocolError):
            read({**grant, "cost": cost}, shape(GrantState))
    override = write(EXAMPLES[Override], shape(Override))
    for value in (1.5, [], {}, {"decimal": 5}, {"decimal": "x"}):  # type: ignore[var-annotated]
        with pytest.raises(ProtocolError):
            read({**override, "value": value}, shape(Override))
    for epoch in (5, "-5", "x", "9" * 50):
        with pytest.raises(ProtocolError):
            read({"epoch": epoch, "seq": 1}, shape(LedgerPosition))
    event = write(EXAMPLES[EventState], shape(EventState))
    with pytest.raises(ProtocolError):
        read({**event, "data": {"remaining": "much"}}, shape(EventState))


def test_fields_of_a_newer_hub_are_read_over() -> None:
    assert read({**GOOD, "mood": "good"}, shape(Customer)) == EXAMPLES[Customer]


def test_a_type_without_a_form_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError):
        shape(complex)
