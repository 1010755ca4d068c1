"""`fastcheck bench`: this machine's figures against the floors, in one process and one run.

Rounds are interleaved: every round times every row once, so a slow moment of the machine affects all rows. A
ratio is taken within its round. The table shows medians over the rounds. The cost of the empty timing loop is
subtracted.
"""

import argparse
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from timeit import Timer
from typing import Any

from fastcheck.cli.arguments import Commands, add_command, positive
from fastcheck.cli.screen import print_json, print_table, progress

CATALOG = """\
fastcheck: 1
pools:
  credits: {scale: 0, policy: hard}
features:
  export: {kind: switch}
  sso: {kind: switch}
  tokens: {kind: credit, pool: credits, rate: 1}
plans:
  pro:
    features: {export: true, tokens: true}
    grants: [{pool: credits, amount: 100_000_000_000}]
"""

FLOOR = "empty Python function"

STATEMENTS = {
    FLOOR: "empty('acme', 'export')",
    "Python function over a dict of dicts": "lookup('acme', 'export')",
    "check": "check('acme', 'export')",
    "check, false": "check('acme', 'sso')",
    "handle.check": "handle_check()",
    "consume": "consume('acme', 'tokens')",
    "consume 12": "consume('acme', 'tokens', 12)",
    "decide": "decide('acme', 'tokens')",
    "reserve + commit": "reserve('acme', 'tokens', 12).commit(7)",
}


def add(commands: Commands) -> None:
    """The arguments."""
    parser = add_command(
        commands,
        "bench",
        "compare check and consume on this machine with an empty Python function and a dict",
        "fastcheck bench --rounds 30",
        "Compare ratios between machines, not nanoseconds.\n"
        "Figures are medians over interleaved rounds, without the cost of the timing loop.",
    )
    parser.add_argument(
        "--rounds", metavar="N", type=positive, default=20, help="rounds to run (default %(default)s)"
    )
    parser.add_argument(
        "--calls",
        metavar="N",
        type=positive,
        default=20_000,
        help="calls per row and round (default %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Opens a temporary directory, measures, prints the table."""
    from fastcheck import Entitlements

    with TemporaryDirectory(prefix="fastcheck-bench-") as made:
        catalog = Path(made) / "catalog.yaml"
        catalog.write_text(CATALOG, encoding="utf-8")
        with closing(Entitlements.open(str(Path(made) / "state"), catalog=str(catalog))) as entitlements:
            entitlements.admin.put_customer("acme", plan="pro")
            results = measure(names_of(entitlements), args.rounds, args.calls)
    if args.json:
        print_json({"rounds": args.rounds, "calls": args.calls, "floor": FLOOR, "rows": results})
        return 0
    rows = [(what, f"{of['ratio']:.2f}x", f"{of['ns']:.1f}") for what, of in results.items()]
    print_table("One call, against an empty Python function", ("call", "ratio", "ns"), rows)
    return 0


def names_of(entitlements: Any) -> dict[str, Callable[..., Any]]:
    """The names that `STATEMENTS` use."""
    features = {"acme": {"export": True, "tokens": True}}

    def empty(customer: str, feature: str) -> None:
        pass

    def lookup(customer: str, feature: str) -> bool:
        has = features.get(customer)
        return has is not None and has.get(feature, False)

    return {
        "empty": empty,
        "lookup": lookup,
        "check": entitlements.check,
        "handle_check": entitlements.handle("acme", "export").check,
        "consume": entitlements.consume,
        "decide": entitlements.decide,
        "reserve": entitlements.reserve,
    }


def measure(names: Mapping[str, Callable[..., Any]], rounds: int, calls: int) -> dict[str, dict[str, float]]:
    """Row -> median ns per call, and median ratio to the floor."""
    timers = {what: Timer(statement, globals=dict(names)) for what, statement in STATEMENTS.items()}
    loop = Timer("pass")
    for timer in timers.values():
        timer.timeit(max(1, calls // 10))  # the first touch and the interpreter's warm-up
    taken: dict[str, list[float]] = {what: [] for what in timers}
    with progress("rounds", rounds) as tell:
        for done in range(rounds):
            loop_s = loop.timeit(calls)
            for what, timer in timers.items():
                taken[what].append(max(timer.timeit(calls) - loop_s, 1e-12))
            tell(done + 1)
    return {
        what: {
            "ns": median(values) / calls * 1e9,
            "ratio": median(own / floor for own, floor in zip(values, taken[FLOOR], strict=True)),
        }
        for what, values in taken.items()
    }
