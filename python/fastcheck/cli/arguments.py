"""Argument types and options that several commands share. A bad value becomes argparse's own usage error."""

import argparse
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = argparse.Action

AMOUNT_MAX = 2**63 - 1


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


def whole(text: str, least: int = 0) -> int:
    """A whole number of at least `least`."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or not least <= int(text) <= AMOUNT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {AMOUNT_MAX}")
    return int(text)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return whole(text, least=1)


def amount(text: str) -> int | dict[str, int]:
    """`12`, or quantities: `input=900,output=300`."""
    if "=" not in text:
        return whole(text)
    parts = [part.partition("=") for part in text.split(",")]
    quantities = {name.strip(): whole(number.strip()) for name, _, number in parts}
    if len(quantities) < len(parts) or not all(quantities):
        raise argparse.ArgumentTypeError(f"{text!r} does not name each quantity once")
    return quantities


def instant(text: str) -> datetime:
    """An ISO 8601 instant; UTC unless it says otherwise."""
    try:
        at = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an instant such as 2026-02-01T00:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=timezone.utc)
