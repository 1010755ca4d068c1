"""`ents.admin`: what administrators do. The same methods in every process of the host.

Requests are checked here, so that a mistake costs no round trip. A call that returned is on disk, and every
check and burn on the host that begins afterwards sees it. A call that raised changed nothing."""

from __future__ import annotations

from ..hub.requests import UsageEvent
from .customers import CustomersAdmin
from .events import EventsAdmin
from .finance import FinanceAdmin
from .money import MoneyAdmin
from .plans import PlansAdmin
from .records import RecordsAdmin
from .segments import SegmentsAdmin
from .spending import SpendingAdmin
from .top_ups import TopUpsAdmin
from .usage import UsageAdmin


class Admin(
    CustomersAdmin,
    PlansAdmin,
    SegmentsAdmin,
    MoneyAdmin,
    SpendingAdmin,
    RecordsAdmin,
    EventsAdmin,
    FinanceAdmin,
    UsageAdmin,
    TopUpsAdmin,
):
    """Administers one directory."""


__all__ = [
    "Admin",
    "UsageEvent",
]
