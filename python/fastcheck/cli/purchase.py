"""`fastcheck purchase`: add-ons that customers buy."""

from __future__ import annotations

import argparse
from contextlib import closing
from itertools import islice

from fastcheck.cli import state
from fastcheck.cli.arguments import (
    Commands,
    add_change,
    add_command,
    add_customer,
    add_directory,
    add_group,
    add_limit,
    add_yes,
    changing,
    cost,
    credits,
    positive,
)
from fastcheck.cli.confirm import confirm
from fastcheck.cli.instants import told
from fastcheck.cli.pages import walk
from fastcheck.cli.screen import credits_text, print_json, print_json_list, print_table
from fastcheck.wire.purchase_answers import PurchaseState


def add(commands: Commands) -> None:
    """The arguments of the subcommands."""
    parts = add_group(commands, "purchase", "buy add-ons, take back what was bought")

    buyer = add_command(
        parts,
        "buy",
        "buy an add-on that is sold once",
        "fastcheck purchase buy ./state acme credit_pack 2 --id order_17",
        "With --id or --once you may repeat the command: it is bought once.",
    )
    add_directory(buyer)
    add_customer(buyer)
    buyer.add_argument("addon", metavar="ADDON", help="add-on of the catalog with sold: once")
    buyer.add_argument(
        "quantity", metavar="QUANTITY", nargs="?", type=positive, default=1, help="how many (default 1)"
    )
    buyer.add_argument("--id", metavar="ID", help="your own id for the purchase (default: a new one)")
    buyer.add_argument(
        "--pending", action="store_true", help="not paid yet: it grants nothing before `purchase pay`"
    )
    buyer.add_argument(
        "--price",
        metavar="COST",
        type=cost,
        help="price of all of it: 3998USD (default: as the catalog says)",
    )
    add_change(buyer)
    buyer.set_defaults(run=run_buy)

    lister = add_command(
        parts,
        "list",
        "list the purchases of a customer, oldest first",
        "fastcheck purchase list ./state acme",
    )
    add_directory(lister)
    add_customer(lister)
    add_limit(lister)
    lister.set_defaults(run=run_list)

    payer = add_command(
        parts, "pay", "confirm the payment of a pending purchase", "fastcheck purchase pay ./state order_17"
    )
    add_directory(payer)
    payer.add_argument("purchase", metavar="PURCHASE", help="id of the purchase")
    add_change(payer)
    payer.set_defaults(run=run_pay)

    refunder = add_command(
        parts,
        "refund",
        "take back what is not used of a purchase, and tell how much money that is",
        "fastcheck purchase refund ./state order_17 500 --reason unused",
        "Each refund is one of its own: give --once if you may repeat the command.",
    )
    add_directory(refunder)
    refunder.add_argument("purchase", metavar="PURCHASE", help="id of the purchase")
    refunder.add_argument(
        "amount", metavar="AMOUNT", nargs="?", type=credits, help="credits (default: all that is not used)"
    )
    refunder.add_argument("--pool", metavar="POOL", help="pool of AMOUNT, if the purchase has several")
    add_change(refunder)
    add_yes(refunder)
    refunder.set_defaults(run=run_refund)

    backer = add_command(
        parts,
        "charge-back",
        "take back a purchase whose payment was taken back",
        "fastcheck purchase charge-back ./state order_17 --reason disputed",
        "The customer owes what was used of it.",
    )
    add_directory(backer)
    backer.add_argument("purchase", metavar="PURCHASE", help="id of the purchase")
    add_change(backer)
    add_yes(backer)
    backer.set_defaults(run=run_charge_back)


def run_buy(args: argparse.Namespace) -> int:
    """Buys, then prints what was bought."""
    with closing(state.entitlements(args.directory)) as entitlements:
        bought = changing(entitlements.admin, args).buy(
            args.customer,
            args.addon,
            args.quantity,
            id=args.id,
            pending=args.pending,
            price=args.price,
            reason=args.reason,
        )
    return _told(bought, args)


def run_list(args: argparse.Namespace) -> int:
    """A table of purchases."""
    with closing(state.entitlements(args.directory)) as entitlements:
        found = walk(lambda cursor, limit: entitlements.admin.list_purchases(args.customer, cursor, limit))
        purchases = list(islice(found, args.limit))
    if args.json:
        print_json_list(purchases)
        return 0
    if not purchases:
        print("no purchases")
        return 0
    header = ("purchase", "add-on", "state", "paid (UTC)", "quantity", "price", "refunded", "left")
    rows = [
        (
            one.id,
            one.addon,
            one.state,
            told(one.paid_at),
            str(one.quantity),
            _money(one.price),
            _money(one.refunded),
            _left(one),
        )
        for one in purchases
    ]
    print_table(purchases[0].customer, header, rows, left=4)
    return 0


def run_pay(args: argparse.Namespace) -> int:
    """Confirms the payment, then prints what was bought."""
    with closing(state.entitlements(args.directory)) as entitlements:
        paid = changing(entitlements.admin, args).pay_purchase(args.purchase, reason=args.reason)
    return _told(paid, args)


def run_refund(args: argparse.Namespace) -> int:
    """Asks for confirmation, refunds, then prints the money."""
    confirm(f"Refund purchase {args.purchase}? This takes back credits.", args.yes)
    with closing(state.entitlements(args.directory)) as entitlements:
        refund = changing(entitlements.admin, args).refund_purchase(
            args.purchase, args.amount, pool=args.pool, reason=args.reason
        )
    if args.json:
        print_json(refund)
    else:
        taken = ", ".join(f"{credits_text(one.amount)} {one.pool}" for one in refund.taken)
        print(f"{args.purchase}: took back {taken}; pay back {_money(refund.money)}")
    return 0


def run_charge_back(args: argparse.Namespace) -> int:
    """Asks for confirmation, then charges back."""
    question = f"Charge back purchase {args.purchase}? This takes the rest; what was used is owed."
    confirm(question, args.yes)
    with closing(state.entitlements(args.directory)) as entitlements:
        back = changing(entitlements.admin, args).charge_back(args.purchase, reason=args.reason)
    if args.json:
        print_json(back)
    else:
        print(f"{back.id}: charged back, {back.quantity} {back.addon} of {back.customer}")
    return 0


def _told(one: PurchaseState, args: argparse.Namespace) -> int:
    if args.json:
        print_json(one)
    else:
        left = f", {_left(one)} left" if one.grants else ""
        print(
            f"{one.id}: {one.state}, {one.quantity} {one.addon} for {one.customer}, {_money(one.price)}{left}"
        )
    return 0


def _left(one: PurchaseState) -> str:
    """What is left of a purchase: "4,000 ai_credits"."""
    pools = dict.fromkeys(grant.pool for grant in one.grants)
    sums = {pool: sum(grant.remaining for grant in one.grants if grant.pool == pool) for pool in pools}
    return ", ".join(f"{credits_text(amount)} {pool}" for pool, amount in sums.items())


def _money(money: tuple[int, str] | None) -> str:
    """Minor units as they are written: "3998USD"."""
    return "free" if money is None else f"{money[0]}{money[1]}"
