"""Argument types and options that several commands share. A bad value becomes argparse's own usage error."""

from __future__ import annotations

import argparse
import os
import re
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fastcheck.cli.instants import HELP, FromNow, instant

if TYPE_CHECKING:
    from fastcheck.admin import Admin
    from fastcheck.amounts import Credits

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = argparse.Action

AMOUNT_MAX = 2**63 - 1
DIGITS_MAX = 40
"""Of an amount of credits; the largest has 19."""


def add_command(
    commands: Commands, name: str, summary: str, example: str, notes: str = ""
) -> argparse.ArgumentParser:
    """A subcommand with `--json`, its notes and an example in `--help`."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="\n\n".join(part for part in (notes, f"example:\n  {example}") if part),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def add_group(commands: Commands, name: str, summary: str) -> Commands:
    """A command that has subcommands."""
    parser = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def add_directory(parser: argparse.ArgumentParser) -> None:
    """The state directory that the command works on."""
    parser.add_argument("directory", metavar="DIR", help="the state directory")


def add_customer(parser: argparse.ArgumentParser) -> None:
    """The customer that the command is about."""
    parser.add_argument("customer", metavar="CUSTOMER", help="id or alias of the customer")


def add_instant(parser: argparse.ArgumentParser, option: str, what: str) -> None:
    """An option whose value is an instant."""
    parser.add_argument(option, metavar="INSTANT", type=instant, help=f"{what}: {HELP}")


def add_limit(parser: argparse.ArgumentParser) -> None:
    """A bound on how many items of a list are printed."""
    parser.add_argument("--limit", metavar="N", type=positive, help="print at most N (default: all)")


def add_change(parser: argparse.ArgumentParser, *, once: bool = True) -> None:
    """Author, reason and idempotency key of a change."""
    parser.add_argument("--reason", metavar="TEXT", default="", help="reason, kept in the audit log")
    parser.add_argument(
        "--author",
        metavar="NAME",
        default=os.environ.get("USER", ""),
        help="author, kept in the audit log (default: $USER)",
    )
    if once:
        parser.add_argument(
            "--once", metavar="KEY", help="idempotency key: the same key makes the same change only once"
        )


def add_yes(parser: argparse.ArgumentParser) -> None:
    """Skips the question of a command that takes something away."""
    parser.add_argument(
        "--yes", action="store_true", help="do not ask for confirmation; needed without a terminal"
    )


class UsageError(Exception):
    """Arguments that contradict each other or the catalog. The message says what to write instead."""


def changing(admin: Admin, args: argparse.Namespace) -> Admin:
    """`admin` in the author's name, and under the idempotency key if there is one.

    Raises `UsageError` for a key with an instant counted from now: the second try would be another request
    and be refused, and a new key would make the change twice."""
    named = admin.by(args.author)
    if args.once is None:
        return named
    if any(_from_now(value) for value in vars(args).values()):
        raise UsageError("with --once give whole instants: +7d is another instant at each try")
    return named.once(args.once)


def _from_now(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_from_now(item) for item in value)
    return isinstance(value, FromNow)


def whole(text: str, least: int = 0) -> int:
    """A whole number of at least `least`."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or not least <= int(text) <= AMOUNT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {AMOUNT_MAX}")
    return int(text)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return whole(text, least=1)


def signed(text: str) -> int:
    """A whole number."""
    return -whole(text[1:]) if text.startswith("-") else whole(text)


def amount(text: str) -> int | dict[str, int]:
    """`12`, or quantities: `input=900,output=300`."""
    if "=" not in text:
        return whole(text)
    parts = [part.partition("=") for part in text.split(",")]
    quantities = {name.strip(): whole(number.strip()) for name, _, number in parts}
    if len(quantities) < len(parts) or not all(quantities):
        raise argparse.ArgumentTypeError(f"{text!r} does not name each quantity once")
    return quantities


def credits(text: str) -> Credits:
    """`50000`, `50_000`, `12.5`: decimal text, taken exactly; an int where it is whole."""
    if not re.fullmatch(r"\d+(_\d+)*(\.\d+)?", text, re.ASCII) or len(text) > DIGITS_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount such as 50000, 50_000 or 12.5")
    number, _, fraction = text.replace("_", "").partition(".")
    fraction = fraction.rstrip("0")
    return Decimal(f"{number}.{fraction}") if fraction else int(number)


def cost(text: str) -> tuple[int, str]:
    """`4900EUR`: minor units of a currency."""
    found = re.fullmatch(r"(\d+(?:_\d+)*)([A-Z]{3,8})", text, re.ASCII)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a cost in minor units such as 4900EUR")
    return whole(found[1].replace("_", "")), found[2]


def addon(text: str) -> tuple[str, int, datetime | None]:
    """`name`, `name=quantity`, `name=quantity@until`."""
    named, at, until = text.rpartition("@")
    name, equals, quantity = (named if at else text).rpartition("=")
    if not equals:
        name, quantity = quantity, "1"
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not an add-on such as seats_pack=2@2026-12-31")
    return name, positive(quantity), instant(until) if at else None
