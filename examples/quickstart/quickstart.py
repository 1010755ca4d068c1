"""The README's first lines as a program: python examples/quickstart/quickstart.py"""

import sys
import tempfile
from pathlib import Path

from fastcheck import Entitlements

CATALOG = Path(__file__).with_name("catalog.yaml")


def main(directory: str) -> None:
    """Opens a directory, makes a customer, asks and burns. Run again there, the balance goes on."""
    with Entitlements.open(directory, catalog=CATALOG) as ents:
        ents.admin.put_customer("acme", plan="pro")
        ents.admin.grant("acme", "ai_credits", 50_000, id="order_17", reason="top-up")

        print("export:", ents.check("acme", "export"))
        print("seats:", ents.limit("acme", "seats"))
        print("an API call:", ents.consume("acme", "api_calls"))

        with ents.reserve("acme", "gpt-4o", 4_000) as hold:
            settled = hold.commit(1_234)  # what the model's answer really took
        print("burned:", settled.charged)
        print("left:", ents.admin.balance("acme", "ai_credits").remaining)
        print(ents.explain("acme", "export"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as made:
            main(made)
