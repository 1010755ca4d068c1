"""The export list is a promise: a name that comes or goes does so here first."""

from __future__ import annotations

import ast
from pathlib import Path

import fastcheck
from fastcheck import _fastcheck, errors

EXPORTS = [
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

ERRORS = [
    "AmountError",
    "ArenaError",
    "CatalogError",
    "Closed",
    "Conflict",
    "DirectoryError",
    "FastcheckError",
    "Forbidden",
    "HubUnavailable",
    "InstantError",
    "LedgerError",
    "MissingExtra",
    "NameInvalid",
    "NotCountable",
    "NotYet",
    "OutcomeUnknown",
    "OwnerUnavailable",
    "PreconditionFailed",
    "ProtocolError",
    "RateLimited",
    "RecordError",
    "StaleIds",
    "StoreError",
    "TooManyReservations",
    "UnknownCustomer",
    "UnknownDelivery",
    "UnknownFeature",
    "UnknownGrant",
    "UnknownMove",
    "UnknownPool",
    "UnknownPurchase",
    "UnknownReservation",
    "UnknownSegment",
    "UnknownToken",
    "UnknownUsage",
    "UnknownWebhook",
    "WrongType",
]


def test_the_package_exports_this_and_nothing_else() -> None:
    assert fastcheck.__all__ == EXPORTS
    assert all(hasattr(fastcheck, name) for name in EXPORTS)


def test_errors_are_one_tree_and_its_drawing_is_complete() -> None:
    classes = {name: one for name, one in vars(errors).items() if isinstance(one, type)}
    assert sorted(name for name, one in classes.items() if issubclass(one, Exception)) == ERRORS
    assert all(issubclass(classes[name], errors.FastcheckError) for name in ERRORS)
    assert errors.__doc__ is not None
    assert [name for name in ERRORS if name not in errors.__doc__] == []


def test_the_stub_names_what_the_native_module_has() -> None:
    stub = Path(fastcheck.__file__).with_name("_fastcheck.pyi")
    [listed] = [
        ast.literal_eval(node.value)
        for node in ast.parse(stub.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    public = [name for name in vars(_fastcheck) if not name.startswith("__")]
    assert sorted(listed) == sorted([*public, "__version__"])
