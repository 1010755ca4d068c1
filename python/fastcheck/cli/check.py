"""`fastcheck check`: may this customer do this, and can they pay for it?"""

import argparse
from contextlib import closing

from fastcheck.cli import state
from fastcheck.cli.arguments import Commands, add_command, add_customer, add_directory, amount
from fastcheck.cli.screen import plain_data, print_json, utc_text


def add(commands: Commands) -> None:
    """The arguments."""
    parser = add_command(
        commands,
        "check",
        "ask whether a customer may use a feature now, without spending",
        "fastcheck check ./state acme gpt-4o input=900,output=300",
        "exit codes: 0 allowed; 1 denied; 2 error",
    )
    add_directory(parser)
    add_customer(parser)
    parser.add_argument("feature", metavar="FEATURE", help="name of the feature")
    parser.add_argument(
        "amount",
        metavar="AMOUNT",
        nargs="?",
        type=amount,
        help="units: 12, or input=900,output=300 (default: 1 of a meter or a credit feature)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Attaches, asks, prints the decision."""
    with closing(state.entitlements(args.directory)) as entitlements:
        asked = () if args.amount is None else (args.amount,)
        decision = entitlements.decide(args.customer, args.feature, *asked)
        allowed = bool(decision)
        answer = plain_data(decision)
    if args.json:
        print_json(answer)
    else:
        told = [
            f"{name} {utc_text(answer[name]) if name == 'resets_at' else answer[name]}"
            for name in ("reason", "source", "remaining", "resets_at")
            if answer.get(name) not in (None, "", "allowed")
        ]
        print("allowed" if allowed else "denied", *([f"({', '.join(told)})"] if told else []))
    return 0 if allowed else 1
