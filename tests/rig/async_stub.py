"""Makes `hub_client/async_client.pyi` from the methods it stands for: `python tests/rig/async_stub.py`."""

from __future__ import annotations

import ast
from pathlib import Path

import fastcheck

PACKAGE = Path(fastcheck.__file__).parent
STUB = PACKAGE / "hub_client" / "async_client.pyi"
SOURCES = [
    *(PACKAGE / "admin" / f"{name}.py" for name in (
        "customers", "deletions", "merging", "overrides", "plan_changes", "segments", "grants", "purchases",
        "balances", "spending", "catalog", "epochs", "audit", "usage_records", "events", "finance", "usage",
        "top_ups",
    )),
    PACKAGE / "hub_client" / "tokens.py",
    PACKAGE / "hub_client" / "methods.py",
]  # fmt: skip

HEAD = """\
# Made by tests/rig/async_stub.py from the methods of `HubMethods`; do not edit.
import os
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import TracebackType
from typing import Any, TypeVar, overload

from fastcheck.amounts import Credits
from fastcheck.finance.export import Exported, Progress
from fastcheck.wire.answers import (
    AuditEntry,
    Balance,
    BalanceWindow,
    Customer,
    DeletedCustomer,
    EventState,
    Explanation,
    GrantState,
    Move,
    Override,
    Page,
    PoolState,
    Problem,
    ReservationState,
    Segment,
    SpendCap,
    UsageTotal,
)
from fastcheck.wire.event_answers import DeliveryState, TopUpState, WebhookState
from fastcheck.wire.fields import Instant
from fastcheck.wire.operations.plan_changes import When
from fastcheck.wire.operations.usage import UsageEvent
from fastcheck.wire.purchase_answers import PurchaseRefund, PurchaseState
from fastcheck.wire.record import SettingValue
from fastcheck.wire.shapes import CatalogCheck, CatalogText, FeatureCheck, LedgerPosition
from fastcheck.wire.token_answers import MadeToken, TokenState

Self = TypeVar("Self", bound="AsyncHubClient")

class AsyncHubClient:
    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = ...,
        ca_file: str | os.PathLike[str] | None = None,
        insecure: bool = False,
        transport: Any = None,
    ) -> None: ...
    def by(self: Self, author: str) -> Self: ...
    def once(self: Self, key: str) -> Self: ...
    @property
    def url(self) -> str: ...
    @property
    def last_seq(self) -> int | None: ...
    @property
    def last_epoch(self) -> int | None: ...
    async def close(self) -> None: ...
    async def __aenter__(self: Self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
"""


def made() -> str:
    """The stub's text."""
    lines = [HEAD.rstrip("\n")]
    for source in SOURCES:
        for cls in ast.parse(source.read_text()).body:
            if not isinstance(cls, ast.ClassDef):
                continue
            methods = [one for one in cls.body if isinstance(one, ast.FunctionDef) and one.name[:1] != "_"]
            overloaded = {one.name for one in methods if one.decorator_list}
            for one in methods:
                if one.name in overloaded and not one.decorator_list:
                    continue
                lines += _signature(one)
    return "\n".join(lines) + "\n"


def _signature(method: ast.FunctionDef) -> list[str]:
    args = ast.parse(ast.unparse(method)).body[0]
    assert isinstance(args, ast.FunctionDef)
    for place, default in enumerate(args.args.defaults):
        args.args.defaults[place] = _shown(default)
    args.args.kw_defaults = [None if one is None else _shown(one) for one in args.args.kw_defaults]
    returns = "None" if method.returns is None else ast.unparse(method.returns)
    head = ["    @overload"] if method.decorator_list else []
    return [*head, f"    async def {method.name}({ast.unparse(args.args)}) -> {returns}: ..."]


def _shown(default: ast.expr) -> ast.expr:
    return default if isinstance(default, ast.Constant) else ast.Constant(value=...)


if __name__ == "__main__":
    STUB.write_text(made())
