"""`fastcheck clock`: the ledger's time, a step of the machine's clock confirmed, and what a wrong clock did
undone."""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from typing import Any

from fastcheck.cli import state
from fastcheck.cli.arguments import Commands, add_command, add_directory, add_group, add_instant, add_yes
from fastcheck.cli.confirm import confirm
from fastcheck.cli.instants import iso, told
from fastcheck.cli.screen import print_json, print_values
from fastcheck.clock import instant_ms
from fastcheck.wire.clock_answers import ClockState


def add(commands: Commands) -> None:
    """The arguments of the subcommands."""
    parts = add_group(commands, "clock", "the ledger's time, and what to do where a clock was wrong")

    shower = add_command(
        parts,
        "status",
        "show the ledger's time, and whether a step of the machine's clock is doubted",
        "fastcheck clock status ./state",
        "exit codes: 0 nothing is doubted; 1 a step is doubted; 2 error",
    )
    add_directory(shower)
    shower.set_defaults(run=run_status)

    confirmer = add_command(
        parts,
        "confirm",
        "say that the machine's clock is right, so that a step of it is believed at once",
        "fastcheck clock confirm ./state --reason 'the battery was changed'",
    )
    add_directory(confirmer)
    _add_change(confirmer, "reason, kept in the audit log", "")
    confirmer.set_defaults(run=run_confirm)

    repairer = add_command(
        parts,
        "repair",
        "undo what time did to accounts while the clock was ahead",
        "fastcheck clock repair ./state --at 2026-03-01T12:00:00Z --reason 'the clock said 2036'",
        "Set the machine's clock right first. Use, grants and voids that were made meanwhile stay.",
    )
    add_directory(repairer)
    add_instant(repairer, "--at", "the true present (default: now, by the ledger's clock)")
    _add_change(repairer, "why, kept in the audit log; needed", None)
    add_yes(repairer)
    repairer.set_defaults(run=run_repair)


def _add_change(parser: argparse.ArgumentParser, what: str, reason: str | None) -> None:
    parser.add_argument("--reason", metavar="TEXT", default=reason, required=reason is None, help=what)
    parser.add_argument(
        "--author",
        metavar="NAME",
        default=os.environ.get("USER", ""),
        help="author, kept in the audit log (default: $USER)",
    )


def run_status(args: argparse.Namespace) -> int:
    """Prints the time; 1 where a step is doubted."""
    with closing(state.entitlements(args.directory)) as entitlements:
        found = entitlements.admin.clock()
    _show(found, args.json)
    return 1 if found.doubted else 0


def run_confirm(args: argparse.Namespace) -> int:
    """Confirms, and prints the time."""
    with closing(state.entitlements(args.directory)) as entitlements:
        found = entitlements.admin.by(args.author).confirm_clock(reason=args.reason)
    _show(found, args.json)
    return 0


def run_repair(args: argparse.Namespace) -> int:
    """Repairs, and prints what was done and what stands."""
    with closing(state.entitlements(args.directory)) as entitlements:
        admin = entitlements.admin.by(args.author)
        at = admin.clock().now if args.at is None else instant_ms(args.at, "--at")
        confirm(f"bring every account that stands after {told(at)} UTC back to it?", args.yes)
        done = admin.repair_clock(at, reason=args.reason)
    if args.json:
        print_json(
            {"at": iso(at), "accounts": done.accounts, "moves": done.moves, "customers": done.customers}
        )
        return 0
    print(f"{done.accounts:,} accounts were brought back to {told(at)} UTC")
    if done.moves:
        print(f"moves that were carried out before their instant, and stand: {', '.join(done.moves)}")
    if done.customers:
        print(f"customers whose record was changed meanwhile, and stands: {', '.join(done.customers)}")
    return 0


def _show(found: ClockState, as_json: bool) -> None:
    shown: dict[str, Any] = {
        "now": iso(found.now),
        "machine": iso(found.wall),
        "guarded": found.guarded,
        "doubted": found.doubted,
        "taken_at": None if found.taken_at is None else iso(found.taken_at),
    }
    if as_json:
        print_json(shown)
        return
    print_values(
        {
            "the ledger's time": told(found.now),
            "the machine's clock": told(found.wall),
            "state": _state(found),
        }
    )


def _state(found: ClockState) -> str:
    if not found.guarded:
        return "not guarded: the application gave the clock"
    if found.doubted:
        return f"a step ahead is doubted; believed at {told(found.taken_at)} if it lasts, or with confirm"
    return "as it should be"
