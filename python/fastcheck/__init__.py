"""Entitlement checks that cost less than calling an empty Python function, and exact prepaid credits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastcheck import errors
from fastcheck._fastcheck import Catalog, Decision, Estimate, Handle, Reservation, Settlement, __version__
from fastcheck.client import Entitlements
from fastcheck.errors import FastcheckError
from fastcheck.host.changes import Change
from fastcheck.loading import LOADING

if TYPE_CHECKING:
    from fastcheck.wire.answers import Balance, Customer, Explanation, GrantState, Override, Page, Status

__all__ = [
    "Balance",
    "Catalog",
    "Change",
    "Customer",
    "Decision",
    "Entitlements",
    "Estimate",
    "Explanation",
    "FastcheckError",
    "GrantState",
    "Handle",
    "Override",
    "Page",
    "Reservation",
    "Settlement",
    "Status",
    "__version__",
    "errors",
]
_ANSWERS = frozenset({"Balance", "Customer", "Explanation", "GrantState", "Override", "Page", "Status"})


def __getattr__(name: str) -> object:
    """What `admin` answers with is loaded at its first use: a worker that only checks needs none of it."""
    if name not in _ANSWERS:
        raise AttributeError(f"module 'fastcheck' has no attribute {name!r}")
    with LOADING:
        from fastcheck.wire import answers

    found: object = getattr(answers, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
