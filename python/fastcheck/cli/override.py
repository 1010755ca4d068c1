"""`fastcheck override`: exceptions for one customer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal

from fastcheck.cli import state
from fastcheck.cli.arguments import (
    Commands,
    UsageError,
    add_change,
    add_command,
    add_customer,
    add_directory,
    add_group,
    add_instant,
    changing,
    credits,
    signed,
)
from fastcheck.cli.instants import told
from fastcheck.cli.screen import print_json, print_json_list, print_table, setting_text
from fastcheck.clock import instant_ms
from fastcheck.wire.answers import Override
from fastcheck.wire.kinds import KINDS, FeatureKind, Form, kind_of
from fastcheck.wire.unhandled import unhandled


def _typed(form: Form) -> str:
    """What to write for a setting."""
    match form:
        case Form.ON_OFF:
            return "on, off"
        case Form.BOUND:
            return "a number such as 40, unlimited, off"
        case Form.VALUE:
            return "text, a whole number, true or false; with --text always text"
        case _:
            unhandled(form)


PUT_NOTES = "VALUE depends on the kind of the feature:\n" + "\n".join(
    f"  {one.word:15} {_typed(one.form)}" for one in KINDS.values()
)

SWITCHES = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def add(commands: Commands) -> None:
    """The arguments of the subcommands."""
    parts = add_group(commands, "override", "put, list and remove exceptions for one customer")

    putter = add_command(
        parts,
        "put",
        "set or replace an exception to one feature for one customer",
        "fastcheck override put ./state acme seats 40 --expires +1mo --reason pilot",
        PUT_NOTES,
    )
    add_directory(putter)
    add_customer(putter)
    putter.add_argument("feature", metavar="FEATURE", help="name of the feature")
    putter.add_argument("value", metavar="VALUE", help="the customer's setting, see below")
    putter.add_argument(
        "--text", action="store_true", help="read VALUE as text, also if it looks like a number"
    )
    add_instant(putter, "--starts", "start of the exception (default: now)")
    add_instant(putter, "--expires", "end of the exception (default: until it is removed)")
    add_change(putter)
    putter.set_defaults(run=run_put)

    lister = add_command(
        parts,
        "list",
        "list the overrides of a customer, ended ones included",
        "fastcheck override list ./state acme",
    )
    add_directory(lister)
    add_customer(lister)
    lister.set_defaults(run=run_list)

    remover = add_command(
        parts,
        "remove",
        "remove an exception",
        "fastcheck override remove ./state acme seats --reason 'the pilot is over'",
        "exit codes: 0 removed, or there was none; 2 error",
    )
    add_directory(remover)
    add_customer(remover)
    remover.add_argument("feature", metavar="FEATURE", help="name of the feature")
    add_change(remover)
    remover.set_defaults(run=run_remove)


def run_put(args: argparse.Namespace) -> int:
    """Reads the value by the kind of the feature, and stores the override."""
    with closing(state.entitlements(args.directory)) as entitlements:
        before = entitlements.explain(args.customer, args.feature)
        value = parsed(args.value, before.kind, args.feature, text_only=args.text)
        changing(entitlements.admin, args).put_override(
            args.customer,
            args.feature,
            value,
            starts_at=args.starts,
            expires_at=args.expires,
            reason=args.reason,
        )
        after = entitlements.explain(args.customer, args.feature)
    if args.json:
        found = {"customer": after.customer, "feature": args.feature, "value": value}
        print_json({**found, "before": before.value, "now": after.value})
        return 0
    later = "" if args.starts is None else f", from {told(instant_ms(args.starts, 'starts'))} UTC"
    until = "" if args.expires is None else f", until {told(instant_ms(args.expires, 'expires'))} UTC"
    print(f"{after.customer}: {args.feature} overridden to {setting_text(value)}{later}{until}")
    print(f"  it was {setting_text(before.value)} ({before.source}), it is {setting_text(after.value)} now")
    return 0


def run_list(args: argparse.Namespace) -> int:
    """A table."""
    with closing(state.entitlements(args.directory)) as entitlements:
        found = entitlements.admin.list_overrides(args.customer)
    if args.json:
        print_json_list(found)
    elif found:
        print_overrides("", found)
    else:
        print("no overrides")
    return 0


def run_remove(args: argparse.Namespace) -> int:
    """Removes, and prints whether there was one."""
    with closing(state.entitlements(args.directory)) as entitlements:
        entitlements.explain(args.customer, args.feature)  # An unknown feature is an error, not "none".
        removed = changing(entitlements.admin, args).remove_override(
            args.customer, args.feature, reason=args.reason
        )
    if args.json:
        print_json({"removed": removed})
    else:
        print(f"{args.customer}: {args.feature} {'is no longer' if removed else 'was not'} overridden")
    return 0


def print_overrides(title: str, overrides: Sequence[Override]) -> None:
    """A table of exceptions."""
    header = ("feature", "value", "from (UTC)", "until (UTC)", "author", "reason")
    rows = [
        (
            one.feature,
            setting_text(one.value),
            told(one.starts_at),
            told(one.expires_at),
            one.author or "-",
            one.reason or "-",
        )
        for one in overrides
    ]
    print_table(title, header, rows, left=len(header))


def parsed(
    text: str, kind: str, feature: str, *, text_only: bool = False
) -> bool | int | str | Decimal | None:
    """The value for a feature of this kind; None = unlimited. Raises `UsageError`, `ProtocolError` for a kind
    that is not known."""
    of = kind_of(kind)
    match of.form:
        case Form.ON_OFF:
            word = text.lower()
            if word in SWITCHES:
                return SWITCHES[word]
            raise UsageError(f"{feature} is a {kind}: say on or off, not {text!r:.80}")
        case Form.BOUND:
            return _bound(text, of, feature)
        case Form.VALUE:
            return text if text_only else _value(text)
        case _:
            unhandled(of.form)


def _bound(text: str, kind: FeatureKind, feature: str) -> bool | int | Decimal | None:
    word = text.lower()
    if word == "unlimited":
        return None
    if SWITCHES.get(word) is False:
        return False
    try:
        return credits(text) if kind.countable else signed(text)
    except argparse.ArgumentTypeError:
        raise UsageError(
            f"{feature} is a {kind.word}: say a number, unlimited or off, not {text!r:.80}"
        ) from None


def _value(text: str) -> bool | int | str:
    word = text.lower()
    if word in ("true", "false"):
        return word == "true"
    try:
        return signed(text)
    except argparse.ArgumentTypeError:
        return text
