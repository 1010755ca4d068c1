"""One example of each answer, for the OpenAPI document."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fastcheck.wire.answers import (
    AddonState,
    AuditEntry,
    Balance,
    BalanceWindow,
    Consideration,
    Customer,
    DeletedCustomer,
    EventState,
    Explanation,
    GrantState,
    Move,
    Override,
    PoolState,
    Problem,
    ReservationState,
    Segment,
    SpendCap,
    TrialState,
    UsageTotal,
)
from fastcheck.wire.event_answers import DeliveryState, TopUpState, WebhookState
from fastcheck.wire.purchase_answers import PoolAmount, PurchaseRefund, PurchaseState
from fastcheck.wire.shapes import FeatureCheck, LedgerPosition, Quantity, UsageRecord

_AT = 1_767_225_600_000
_LATER = 1_769_904_000_000
_BY = ("as agreed", "console/jo@example.com")

_OVERRIDE = Override("acme", "seats", 40, None, _LATER, *_BY, _AT)
_BALANCE = Balance("acme", "ai_credits", Decimal("49987.5"), 0, Decimal("12.5"), _LATER, _AT)

_GRANT = GrantState(
    "order_17", "acme", "ai_credits", 50_000, Decimal("49987.5"), 100, _AT, None, "paid", "top-up", None, _AT,
    None, None, (4_900, "EUR"), Decimal("12.5"),
)  # fmt: skip
_PURCHASE = PurchaseState(
    "order_18", "acme", "credit_pack", 2, "refunded", (3_998, "USD"), (499, "USD"), _AT, _AT, None, *_BY,
    (
        GrantState(
            "purchase:order_18/0", "acme", "ai_credits", 4_000, 3_500, 100, _AT, _LATER, "top_up",
            "as agreed", "purchase:order_18", _AT, None, None, (3_998, "USD"), 0, 0, 500,
        ),
    ),
)  # fmt: skip

_ALL: tuple[Any, ...] = (
    Customer(
        "acme", "pro", 1, _AT, (AddonState("seats_pack", 2, None),), ("stripe:cus_9",),
        TrialState("max", 1, _LATER),
    ),
    DeletedCustomer("acme", "pro", _AT, _LATER, *_BY),
    _OVERRIDE,
    Segment("beta", 2, (Override("", "export", True, None, None, *_BY, _AT),), *_BY, _AT),
    Move("m_1c43373e2db67aca", "acme", "free", 1, _LATER, False, *_BY, _AT, None, None, ""),
    _GRANT,
    _PURCHASE,
    PurchaseRefund(_PURCHASE, (PoolAmount("ai_credits", 500),), (499, "USD")),
    _BALANCE,
    BalanceWindow(_AT, _LATER, 0, 50_000, Decimal("12.5"), 0, 0, Decimal("49987.5"), 0),
    SpendCap("acme", "ai_credits", "day", 100, 12, None, _LATER, *_BY, _AT),
    ReservationState("h_1c43373e2db67aca", "acme", "ai_credits", 100, "open", 0, None, None, _LATER, _AT),
    PoolState("ai_credits", 6, False),
    Problem("acme", "ai_credits", "remaining: the postings say 5, the rows say 4"),
    AuditEntry(7, _AT, "console/jo@example.com", "grant", "acme", "top-up", None, {"grant": "order_17"}),
    EventState("ev_7", "low_balance", _AT, "acme", {"pool": "ai_credits", "percent": 80, "remaining": 9}),
    Explanation(
        "acme", "export", "switch", _AT, True, "plan",
        (Consideration("plan", "pro@1", "on", True, None, None, True, "the plan has it"),), None, True,
        "allowed",
    ),
    FeatureCheck("acme", "export", "switch", _AT, True, "plan", True, "allowed"),
    UsageTotal(_AT, _LATER, 3, 2, 0, 0),
    UsageRecord(_AT, "req_8f2", "acme", "gpt-4o", 12_000_000, (Quantity("input", 900),)),
    WebhookState(
        "wh_7c9e", "https://example.com/hook", ("low_balance",), True, _AT, "console/jo@example.com",
        "whsec_ab",
    ),
    DeliveryState("ev_7-wh_7c9e", "wh_7c9e", "ev_7", "low_balance", "delivered", 0, _AT, ""),
    TopUpState("acme", "ai_credits", 1_000, 5_000, 20_000, (900, "EUR"), 0, _AT, *_BY, _AT),
    LedgerPosition(2_305_843_009_213_693_951, 42),  # type: ignore[arg-type]
)  # fmt: skip

EXAMPLES: dict[type[Any], Any] = {type(one): one for one in _ALL}
