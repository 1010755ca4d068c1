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
    async def put_customer(
        self,
        id: str,
        *,
        plan: str | None = None,
        version: int | None = None,
        addons: Mapping[str, int | tuple[int, Instant]] | None = None,
        aliases: Iterable[str] = ...,
        trial_plan: str | None = None,
        trial_version: int | None = None,
        trial_until: Instant | None = None,
        since: Instant | None = None,
        reason: str = "",
    ) -> bool: ...
    async def put_customers(
        self, customers: Iterable[str | Mapping[str, Any]], *, reason: str = ""
    ) -> int: ...
    async def delete_customer(self, customer: str, *, reason: str = "") -> None: ...
    async def get_customer(self, customer: str, *, at: Instant | None = None) -> Customer: ...
    async def list_customers(self, cursor: str | None = None, limit: int = 100) -> Page[Customer]: ...
    async def restore(self, id: str, *, without_aliases: bool = False, reason: str = "") -> Customer: ...
    async def list_deleted(self, cursor: str | None = None, limit: int = 100) -> Page[DeletedCustomer]: ...
    async def free_id(self, id: str, *, reason: str = "") -> None: ...
    async def merge(self, customer: str, *, into: str, reason: str = "") -> bool: ...
    async def put_override(
        self,
        customer: str,
        feature: str,
        value: SettingValue | Decimal,
        *,
        starts_at: Instant | None = None,
        expires_at: Instant | None = None,
        reason: str = "",
    ) -> None: ...
    async def remove_override(self, customer: str, feature: str, *, reason: str = "") -> bool: ...
    async def list_overrides(self, customer: str) -> list[Override]: ...
    @overload
    async def move(
        self,
        customer: str,
        plan: str | None,
        *,
        version: int | None = None,
        when: When = ...,
        keep_since: bool = False,
        replace: bool = False,
        reason: str = "",
    ) -> Move: ...
    @overload
    async def move(
        self,
        *,
        plan: str | None,
        customers: Iterable[str],
        version: int | None = None,
        when: When = ...,
        keep_since: bool = False,
        replace: bool = False,
        reason: str = "",
    ) -> list[Move]: ...
    @overload
    async def move(
        self,
        *,
        plan: str | None,
        segment: str,
        version: int | None = None,
        when: When = ...,
        keep_since: bool = False,
        replace: bool = False,
        reason: str = "",
    ) -> list[Move]: ...
    async def migrate(
        self,
        plan: str,
        from_version: int,
        to_version: int,
        *,
        when: When = ...,
        progress: Callable[[int], object] | None = None,
        reason: str = "",
    ) -> int: ...
    async def cancel_move(self, id: str, *, reason: str = "") -> Move: ...
    async def list_moves(
        self,
        customer: str | None = None,
        *,
        pending: bool = True,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Move]: ...
    async def put_segment(
        self,
        segment: str,
        customers: Iterable[str] | None = None,
        *,
        add: Iterable[str] = ...,
        remove: Iterable[str] = ...,
        reason: str = "",
    ) -> int: ...
    async def delete_segment(self, segment: str, *, reason: str = "") -> None: ...
    async def get_segment(self, segment: str) -> Segment: ...
    async def list_segments(self, cursor: str | None = None, limit: int = 100) -> Page[Segment]: ...
    async def list_members(self, segment: str, cursor: str | None = None, limit: int = 100) -> Page[str]: ...
    async def put_segment_override(
        self,
        segment: str,
        feature: str,
        value: SettingValue | Decimal,
        *,
        starts_at: Instant | None = None,
        expires_at: Instant | None = None,
        reason: str = "",
    ) -> None: ...
    async def remove_segment_override(self, segment: str, feature: str, *, reason: str = "") -> bool: ...
    async def grant(
        self,
        customer: str,
        pool: str,
        amount: Credits,
        *,
        id: str | None = None,
        priority: int = 100,
        effective_at: Instant | None = None,
        expires_at: Instant | None = None,
        kind: str = "paid",
        reason: str = "",
        every: str | None = None,
        anchor: str = "anniversary",
        zone: str = "UTC",
        rollover: Mapping[str, Any] | None = None,
        cost: tuple[int, str] | None = None,
    ) -> str: ...
    async def void(self, grant_id: str, *, reason: str = "") -> GrantState: ...
    async def list_grants(
        self, customer: str, pool: str | None = None, *, at: Instant | None = None
    ) -> list[GrantState]: ...
    async def buy(
        self,
        customer: str,
        addon: str,
        quantity: int = 1,
        *,
        id: str | None = None,
        pending: bool = False,
        price: tuple[int, str] | None = None,
        reason: str = "",
    ) -> PurchaseState: ...
    async def pay_purchase(self, id: str, *, reason: str = "") -> PurchaseState: ...
    async def refund_purchase(
        self, id: str, amount: Credits | None = None, *, pool: str | None = None, reason: str = ""
    ) -> PurchaseRefund: ...
    async def charge_back(self, id: str, *, reason: str = "") -> PurchaseState: ...
    async def get_purchase(self, id: str) -> PurchaseState: ...
    async def list_purchases(
        self, customer: str, cursor: str | None = None, limit: int = 100
    ) -> Page[PurchaseState]: ...
    async def balance(self, customer: str, pool: str, *, at: Instant | None = None) -> Balance: ...
    async def balance_history(
        self, customer: str, pool: str, *, since: Instant, until: Instant, every: str = "day"
    ) -> list[BalanceWindow]: ...
    async def refund(
        self,
        customer: str,
        pool: str,
        amount: Credits,
        *,
        event: str | None = None,
        id: str | None = None,
        reason: str = "",
        expires_at: Instant | None = None,
    ) -> str: ...
    async def put_cap(
        self,
        customer: str,
        pool: str,
        amount: Credits,
        *,
        per: str = "day",
        key: str | None = None,
        reason: str = "",
    ) -> SpendCap: ...
    async def remove_cap(
        self, customer: str, pool: str, *, per: str | None = None, key: str | None = None, reason: str = ""
    ) -> bool: ...
    async def list_caps(self, customer: str) -> list[SpendCap]: ...
    async def reserve(
        self,
        customer: str,
        pool: str,
        amount: Credits,
        *,
        ttl_ms: int = 60000,
        id: str | None = None,
        key: str | None = None,
    ) -> ReservationState: ...
    async def commit(self, id: str, amount: Credits) -> ReservationState: ...
    async def release(self, id: str) -> ReservationState: ...
    async def debit(
        self,
        customer: str,
        pool: str,
        amount: Credits,
        *,
        event: str | None = None,
        id: str | None = None,
        key: str | None = None,
    ) -> ReservationState: ...
    async def set_catalog(
        self, source: bytes | str, *, filename: str = "<catalog>", reason: str = ""
    ) -> bool: ...
    async def check_catalog(self, source: bytes | str, *, filename: str = "<catalog>") -> CatalogCheck: ...
    async def restored(self, *, reason: str) -> int: ...
    async def audit(
        self, cursor: str | None = None, limit: int = 100, subject: str | None = None
    ) -> Page[AuditEntry]: ...
    async def list_usage(
        self,
        cursor: str | None = None,
        limit: int = 100,
        *,
        customer: str | None = None,
        feature: str | None = None,
        since: Instant | None = None,
        until: Instant | None = None,
    ) -> Page[tuple[int, str, str, str, int, Any]]: ...
    async def list_events(
        self,
        cursor: str | None = None,
        limit: int = 100,
        kind: str | None = None,
        customer: str | None = None,
    ) -> Page[EventState]: ...
    async def put_webhook(
        self, url: str, kinds: Iterable[str] | None = None, *, reason: str = ""
    ) -> WebhookState: ...
    async def list_webhooks(self) -> list[WebhookState]: ...
    async def delete_webhook(self, id: str, *, reason: str = "") -> None: ...
    async def rotate_webhook_secret(
        self, id: str, *, overlap_s: int = 86400, reason: str = ""
    ) -> WebhookState: ...
    async def list_deliveries(
        self,
        cursor: str | None = None,
        limit: int = 100,
        state: str | None = None,
        webhook: str | None = None,
    ) -> Page[DeliveryState]: ...
    async def replay_delivery(self, id: str, *, reason: str = "") -> DeliveryState: ...
    async def replay_dead(self, webhook: str, *, reason: str = "") -> int: ...
    async def pools(self) -> list[PoolState]: ...
    async def check_ledger(
        self, *, quick: bool = False, progress: Callable[[int], None] = ...
    ) -> list[Problem]: ...
    async def export(
        self,
        directory: str | os.PathLike[str],
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        format: str = "csv",
        period: str = "month",
        progress: Progress = ...,
    ) -> Exported: ...
    async def record_usage(self, events: Iterable[UsageEvent]) -> int: ...
    async def correct_usage(self, id: str, units: int | None, reason: str = "") -> None: ...
    async def usage(
        self,
        customer: str,
        feature: str,
        *,
        aggregation: str = "sum",
        period: str = "month",
        since: Instant | None = None,
        until: Instant | None = None,
        zone: str = ...,
        grace_ms: int = ...,
    ) -> list[UsageTotal]: ...
    async def put_top_up(
        self,
        customer: str,
        pool: str,
        threshold: Credits,
        target: Credits,
        *,
        monthly_cap: Credits | None = None,
        cost: tuple[int, str] | None = None,
        reason: str = "",
    ) -> TopUpState: ...
    async def remove_top_up(self, customer: str, pool: str, *, reason: str = "") -> bool: ...
    async def list_top_ups(self, customer: str | None = None) -> list[TopUpState]: ...
    async def make_token(
        self,
        name: str,
        scopes: Iterable[str],
        *,
        environment: str = "live",
        expires_at: Instant | None = None,
        rate_per_s: int | None = None,
        reason: str = "",
    ) -> MadeToken: ...
    async def list_tokens(self, cursor: str | None = None, limit: int = 100) -> Page[TokenState]: ...
    async def revoke_token(self, id: str, *, reason: str = "") -> TokenState: ...
    async def explain(self, customer: str, feature: str, at: Instant | None = None) -> Explanation: ...
    async def check(self, customer: str, feature: str) -> FeatureCheck: ...
    async def get_catalog(self) -> CatalogText: ...
    async def position(self) -> LedgerPosition: ...
