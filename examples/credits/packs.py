"""A year of prepaid credits: an allowance, packs that are bought, a refund in part, a payment that is taken
back, and what finance sees of it. `python examples/credits/packs.py`"""

import tempfile
from datetime import datetime, timezone
from pathlib import Path

from fastcheck import Entitlements
from fastcheck.admin import Admin
from fastcheck.clock import ManualClock

DAY_MS = 86_400_000
CATALOG = Path(__file__).parent / "catalog.yaml"


def main() -> None:
    """Prints what becomes of three packs."""
    clock = ManualClock(int(datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp() * 1000))
    with (
        tempfile.TemporaryDirectory() as state,
        Entitlements.open(state, catalog=CATALOG, clock=clock) as ents,
    ):
        admin = ents.admin
        admin.put_customer("acme", plan="pro")

        admin.buy("acme", "pack", id="january")
        ents.consume(
            "acme", "chat", {"input": 100_000, "output": 180_000}
        )  # 2,050 credits: the plan's first.
        tell("January", admin)

        clock.advance(40 * DAY_MS)
        admin.buy("acme", "pack", 2, id="february")
        refund = admin.refund_purchase("january", 500, reason="as agreed")
        print(f"refund: {refund.money}")
        tell("February", admin)

        clock.advance(200 * DAY_MS)
        admin.charge_back("january", reason="disputed")
        tell("August", admin)

        clock.advance(190 * DAY_MS)
        admin.buy("acme", "pack", id="next year")
        tell("next year", admin)

        books = admin.export(Path(state, "books"))
        print(f"books: {books.sums['worth']['USD']}")


def tell(when: str, admin: Admin) -> None:
    """Prints the purchases, and the balance."""
    found = {one.id: (one.state, one.grants[0].remaining) for one in admin.list_purchases("acme").items}
    balance = admin.balance("acme", "ai_credits")
    print(f"{when}: {found}, balance {balance.remaining}, owed {balance.overage}")


if __name__ == "__main__":
    main()
