"""Entitlement checks and prepaid-credit burns that cost less than calling an empty Python function."""

from . import errors
from ._fastcheck import Catalog, Decision, Estimate, Handle, Reservation, Settlement, __version__
from .answers import Balance, Customer, Explanation, GrantState, Override, Page, Status
from .changes import Change
from .client import Entitlements
from .errors import FastcheckError

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
