"""`fastcheck customer delete | restore | deleted | free-id | merge`: how customers end, and come back."""

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
    add_limit,
    add_yes,
    changing,
)
from fastcheck.cli.confirm import confirm
from fastcheck.cli.instants import told
from fastcheck.cli.pages import walk
from fastcheck.cli.screen import print_json, print_json_list, print_rows


def add(parts: Commands) -> None:
    """The arguments of the subcommands."""
    deleter = add_command(
        parts,
        "delete",
        "delete a customer; restore brings them back for 30 days",
        "fastcheck customer delete ./state acme --reason left",
    )
    add_directory(deleter)
    add_customer(deleter)
    add_change(deleter)
    add_yes(deleter)
    deleter.set_defaults(run=run_delete)

    restorer = add_command(
        parts,
        "restore",
        "undo the deletion of a customer",
        "fastcheck customer restore ./state acme --reason 'by mistake'",
    )
    add_directory(restorer)
    restorer.add_argument("customer", metavar="CUSTOMER", help="id of the deleted customer")
    restorer.add_argument(
        "--without-aliases",
        action="store_true",
        help="leave out aliases that have become another customer's (default: refuse)",
    )
    add_change(restorer)
    restorer.set_defaults(run=run_restore)

    lister = add_command(
        parts,
        "deleted",
        "list deleted customers who can still be restored",
        "fastcheck customer deleted ./state",
    )
    add_directory(lister)
    add_limit(lister)
    lister.set_defaults(run=run_deleted)

    freer = add_command(
        parts,
        "free-id",
        "take the id from a deleted customer, for another one",
        "fastcheck customer free-id ./state acme",
    )
    add_directory(freer)
    freer.add_argument("customer", metavar="CUSTOMER", help="id of the deleted customer")
    add_change(freer)
    add_yes(freer)
    freer.set_defaults(run=run_free_id)

    merger = add_command(
        parts, "merge", "make one customer of two", "fastcheck customer merge ./state acme_twice --into acme"
    )
    add_directory(merger)
    add_customer(merger)
    merger.add_argument("--into", metavar="CUSTOMER", required=True, help="id or alias of who stays")
    add_change(merger)
    add_yes(merger)
    merger.set_defaults(run=run_merge)


def run_delete(args: argparse.Namespace) -> int:
    """Asks for confirmation, then deletes."""
    confirm(f"Delete {args.customer}? This takes all grants and frees all aliases.", args.yes)
    with closing(state.entitlements(args.directory)) as entitlements:
        changing(entitlements.admin, args).delete_customer(args.customer, reason=args.reason)
    if args.json:
        print_json({"deleted": args.customer})
    else:
        print(f"{args.customer}: deleted")
    return 0


def run_restore(args: argparse.Namespace) -> int:
    """Undoes a deletion and prints the customer's plan."""
    with closing(state.entitlements(args.directory)) as entitlements:
        admin = changing(entitlements.admin, args)
        found = admin.restore(args.customer, without_aliases=args.without_aliases, reason=args.reason)
    if args.json:
        print_json(found)
    else:
        plan = "without a plan" if found.plan is None else f"on {found.plan}@{found.version}"
        print(f"{found.id}: restored, {plan}")
    return 0


def run_deleted(args: argparse.Namespace) -> int:
    """Lists deleted customers, the oldest deletion first."""
    with closing(state.entitlements(args.directory)) as entitlements:
        found = islice(walk(entitlements.admin.list_deleted), args.limit)
        if args.json:
            print_json_list(found)
        else:
            header = ("customer", "plan", "deleted (UTC)", "restore until", "reason", "author")
            rows = (
                (
                    one.id,
                    one.plan or "-",
                    told(one.deleted_at),
                    told(one.until_at),
                    one.reason or "-",
                    one.author or "-",
                )
                for one in found
            )
            print_rows(header, rows, left=len(header), none="no deleted customers")
    return 0


def run_free_id(args: argparse.Namespace) -> int:
    """Asks for confirmation, then frees the id."""
    confirm(f"Free the id {args.customer}? The deleted customer cannot be restored then.", args.yes)
    with closing(state.entitlements(args.directory)) as entitlements:
        changing(entitlements.admin, args).free_id(args.customer, reason=args.reason)
    if args.json:
        print_json({"freed": args.customer})
    else:
        print(f"{args.customer}: names nobody now")
    return 0


def run_merge(args: argparse.Namespace) -> int:
    """Asks for confirmation, then merges."""
    confirm(f"Merge {args.customer} into {args.into}? This cannot be undone.", args.yes)
    with closing(state.entitlements(args.directory)) as entitlements:
        admin = changing(entitlements.admin, args)
        changed = admin.merge(args.customer, into=args.into, reason=args.reason)
    if args.json:
        print_json({"changed": changed, "customer": args.customer, "into": args.into})
    else:
        print(f"{args.customer}: {f'merged into {args.into}' if changed else 'was merged already'}")
    return 0
