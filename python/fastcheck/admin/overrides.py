"""Overrides: exceptions made for one customer."""

from __future__ import annotations

from decimal import Decimal

from fastcheck.admin.base import AdminBase
from fastcheck.wire.answers import Override
from fastcheck.wire.fields import Instant, at_ms
from fastcheck.wire.operations.overrides import ListOverrides, PutOverride, RemoveOverride
from fastcheck.wire.record import SettingValue


class OverridesAdmin(AdminBase):
    """The exceptions made for customers."""

    def put_override(
        self,
        customer: str,
        feature: str,
        value: SettingValue | Decimal,
        *,
        starts_at: Instant | None = None,
        expires_at: Instant | None = None,
        reason: str = "",
    ) -> None:
        """Makes an exception for one customer: bool for a switch or credit, int or None (unlimited) for a
        limit or meter, str, int or bool for a value. One per feature; another takes its place.

        Raises `UnknownCustomer`, `UnknownFeature`, `WrongType`, `RecordError`, `InstantError`.

        >>> ents.admin.put_override("tiny", "export", True, reason="beta")
        >>> ents.check("tiny", "export")
        True
        """
        starts, ends = at_ms(starts_at, "starts_at"), at_ms(expires_at, "expires_at")
        self._ask(
            PutOverride(customer, feature, value=value, starts_at=starts, expires_at=ends, reason=reason)
        )

    def remove_override(self, customer: str, feature: str, *, reason: str = "") -> bool:
        """Ends an exception; False if there was none.

        >>> ents.admin.remove_override("tiny", "export")
        False
        """
        return self._ask(RemoveOverride(customer, feature), reason).removed

    def list_overrides(self, customer: str) -> list[Override]:
        """A customer's exceptions, ended ones included.

        >>> ents.admin.put_override("tiny", "seats", 3, reason="pilot")
        >>> [(one.feature, one.value, one.reason) for one in ents.admin.list_overrides("tiny")]
        [('seats', 3, 'pilot')]
        """
        return list(self._ask(ListOverrides(customer)).items)
