"""Single calls from Python, hot: every figure is a ratio to a floor timed in the same rounds."""

from __future__ import annotations

from typing import Any

from benches.arena import QUANTITIES, SPENDER, Arena, arena, now_ms, record
from benches.figures import Figure
from benches.floors import EMPTY, LOOKUP, LOOP, NATIVE, empty, lookup
from benches.rounds import Timed, statements

GROUP = "Calls (ratio to an empty Python function)"

LONG, FOREIGN = "customer_01hzx9k3v7q2m8n4p6", "Bäckerei Süß"

CALLS = {
    LOOP: "pass",
    EMPTY: "empty('acme', 'export')",
    NATIVE: "checker._floor('acme', 'export')",
    LOOKUP: "lookup('acme', 'export')",
    "check, true": "checker.check('acme', 'export')",
    "check, false": "checker.check('cust_000000', 'export')",
    "check, true, an id of 26 bytes": f"checker.check({LONG!r}, 'export')",
    "check, true, an id that is not ASCII": f"checker.check({FOREIGN!r}, 'export')",
    "check of a balance (one unit left)": "checker.check('acme', 'gpt-4o')",
    "handle.check()": "export.check()",
    "handle.consume()": "credits.consume()",
    "consume(c, f)": "checker.consume('acme', 'gpt-4o')",
    "consume(c, f, 12)": "checker.consume('acme', 'gpt-4o', 12)",
    "consume(c, f, {input, output})": "quantities.consume('acme', 'gpt-4o', {'input': 900, 'output': 300})",
    "consume(…, event=id)": "checker.consume('acme', 'gpt-4o', 12, event='req_8f2')",
    "decide(c, f, 12)": "checker.decide('acme', 'gpt-4o', 12)",
    "reserve + commit": "checker.reserve('acme', 'gpt-4o', 12).commit(7)",
}
TARGETS = {
    "check, true": 1.0,
    "check, false": 1.0,
    "handle.check()": 0.65,
    "consume(c, f)": 1.3,
    "consume(c, f, 12)": 1.5,
    "reserve + commit": 12.0,
    "decide(c, f, 12)": 5.0,
}

DISTINCT = "Calls, another string object each time (ratio to an empty Python function in the same loop)"
TURNS = 1_000
"""Customers taken in turn: more than a checker remembers strings of, few enough to stay in the caches."""


def measure(rounds: int) -> list[Figure]:
    return [*same_strings(rounds), *distinct_strings(rounds)]


def figure(group: str, what: str, timed: Timed, floor: Timed) -> Figure:
    return Figure(group, what, timed.over(floor), "x", TARGETS.get(what), ns=timed.median)


def put(made: Arena, names: list[str]) -> None:
    """More customers, on the plan pro."""
    first = len(made.names) + 2
    records = (record(first + i, name, "pro") for i, name in enumerate(names))
    made.owner.put(b"".join(records), 2, now_ms())


def same_strings(rounds: int) -> list[Figure]:
    with arena(1_000) as made, arena(0, QUANTITIES) as other:
        put(made, [LONG, FOREIGN])
        names: dict[str, Any] = {
            "checker": made.checker,
            "quantities": other.checker,
            "export": made.checker.handle(SPENDER, "export"),
            "credits": made.checker.handle(SPENDER, "gpt-4o"),
            "empty": empty,
            "lookup": lookup({SPENDER: {"export": True}}),
        }

        def refill() -> None:
            made.leases.next()
            other.leases.next()

        for text, expected in (("check, true", True), ("check, false", False), ("consume(c, f)", True)):
            assert eval(CALLS[text], names) is expected, text
        timed = statements(CALLS, names, rounds, refill)
        return [figure(GROUP, what, timed[what], timed[EMPTY]) for what in CALLS]


def distinct_strings(rounds: int) -> list[Figure]:
    """A checker remembers strings by identity; here it never can."""
    kinds = {
        "ids of 11 bytes": [f"cust_{i:06d}" for i in range(TURNS)],
        "ids of 26 bytes": [f"customer_{i:017d}" for i in range(TURNS)],
        "ids that are not ASCII": [f"Straße {i:06d}" for i in range(TURNS)],
    }
    found = []
    with arena(TURNS) as made:
        put(made, kinds["ids of 26 bytes"] + kinds["ids that are not ASCII"])
        for kind, ids in kinds.items():
            texts = {
                EMPTY: "for c in ids: empty(c, 'export')",
                LOOKUP: "for c in ids: lookup(c, 'export')",
                "check": "for c in ids: check(c, 'export')",
            }
            names = {
                "ids": ids,
                "empty": empty,
                "lookup": lookup({id: {"export": True} for id in ids}),
                "check": made.checker.check,
            }
            timed = statements(texts, names, rounds)
            for what in (LOOKUP, "check"):
                ns = timed[what].median / TURNS
                found.append(Figure(DISTINCT, f"{what}, {kind}", timed[what].over(timed[EMPTY]), "x", ns=ns))
    return found
