"""What a burn would cost is in credits, whoever asks."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from fastcheck import Entitlements

CATALOG = """\
fastcheck: 1
pools:
  ai_credits: {scale: 6, policy: hard}
features:
  gpt: {kind: credit, pool: ai_credits, rate: 1.5}
plans:
  free: {features: {}}
  pro: {features: {gpt: true}}
"""


@pytest.mark.parametrize(
    ("customer", "reason"), [("acme", "exhausted"), ("tiny", "not_entitled"), ("nobody", "unknown_customer")]
)
def test_a_cost_is_in_credits_also_for_those_who_may_not(tmp_path: Path, customer: str, reason: str) -> None:
    with Entitlements.open(tmp_path / "state", catalog=CATALOG) as ents:
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.put_customer("tiny", plan="free")
        found = ents.estimate(customer, "gpt", 5)
        assert (found.cost, found.reason) == (Decimal("7.5"), reason)
        assert ents.decide(customer, "gpt", 5).cost == Decimal("7.5")
