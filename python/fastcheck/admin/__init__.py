"""`ents.admin`: what administrators ask, the same methods in every process and over HTTP.

May import: base, wire, finance.
Boundaries: Makes requests and hands them to whoever answers; decides nothing and knows no transport.

Requests are checked here, so that a mistake costs no round trip. A call that returned is on disk, and every
check and burn on the host that begins afterwards sees it. A call that raised changed nothing.
"""

from __future__ import annotations

from fastcheck.admin.audit import AuditAdmin
from fastcheck.admin.balances import BalancesAdmin
from fastcheck.admin.catalog import CatalogAdmin
from fastcheck.admin.clock import ClockAdmin
from fastcheck.admin.customers import CustomersAdmin
from fastcheck.admin.deletions import DeletionsAdmin
from fastcheck.admin.epochs import EpochsAdmin
from fastcheck.admin.events import EventsAdmin
from fastcheck.admin.finance import FinanceAdmin
from fastcheck.admin.grants import GrantsAdmin
from fastcheck.admin.merging import MergingAdmin
from fastcheck.admin.overrides import OverridesAdmin
from fastcheck.admin.plan_changes import PlanChangesAdmin
from fastcheck.admin.purchases import PurchasesAdmin
from fastcheck.admin.segments import SegmentsAdmin
from fastcheck.admin.spending import SpendingAdmin
from fastcheck.admin.top_ups import TopUpsAdmin
from fastcheck.admin.usage import UsageAdmin
from fastcheck.admin.usage_records import UsageRecordsAdmin
from fastcheck.wire.operations.usage import UsageEvent


class Admin(
    CustomersAdmin,
    DeletionsAdmin,
    MergingAdmin,
    OverridesAdmin,
    PlanChangesAdmin,
    SegmentsAdmin,
    GrantsAdmin,
    PurchasesAdmin,
    BalancesAdmin,
    SpendingAdmin,
    CatalogAdmin,
    EpochsAdmin,
    AuditAdmin,
    UsageRecordsAdmin,
    EventsAdmin,
    FinanceAdmin,
    UsageAdmin,
    TopUpsAdmin,
    ClockAdmin,
):
    """Administers one directory."""


__all__ = ["Admin", "UsageEvent"]
