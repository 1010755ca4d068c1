"""Entitlement checks that cost less than calling an empty Python function, and exact prepaid credits."""

from fastcheck import errors
from fastcheck._fastcheck import Catalog, Decision, Estimate, Handle, Reservation, Settlement, __version__
from fastcheck.client import Entitlements
from fastcheck.errors import FastcheckError
from fastcheck.host.changes import Change
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
