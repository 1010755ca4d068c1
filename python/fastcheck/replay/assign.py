"""The stated rule that makes each session a customer with a plan and a model, where the trace names neither.

    pick, rest = divmod(zlib.crc32(session in UTF-8), sum of the plan weights)
    plan  = the plan in whose share of the weights `rest` falls, in the order given
    model = likewise with `pick` modulo the sum of the model weights

The rule depends on nothing but the session's key, so a session keeps its plan and model in every run, on
every machine, and in any part of the trace. A file with the columns `session,plan,model` replaces it.
"""

import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from fastcheck.replay.csvfile import read_rows
from fastcheck.replay.errors import ReplayError

PLAN_WEIGHTS = {"free": 70, "pro": 25, "enterprise": 5}
"""Of 100 sessions."""

WEIGHT_MAX = 10**6


class Assigned(NamedTuple):
    """What one session has and asks for."""

    plan: str
    model: str


Assign = Callable[[str], Assigned]


def by_hash(plans: Mapping[str, int], models: Mapping[str, int]) -> Assign:
    """The rule above for these weights."""
    plan_total, model_total = sum(plans.values()), sum(models.values())

    def assign(session: str) -> Assigned:
        pick, rest = divmod(zlib.crc32(session.encode()), plan_total)
        return Assigned(_share(plans, rest), _share(models, pick % model_total))

    return assign


def by_file(path: Path) -> Assign:
    """What a file with the columns session, plan and model says."""

    def fail(problem: str, hint: str, line: int | None = None) -> ReplayError:
        return ReplayError(f"{path}{'' if line is None else f':{line}'}: {problem}; {hint}")

    rows = read_rows(path, fail)
    _, header = next(rows, (1, []))
    if sorted(header) != ["model", "plan", "session"]:
        raise fail(f"the header is {','.join(header)[:80]!r}", "expected session,plan,model", 1)
    assigned: dict[str, Assigned] = {}
    for line, fields in rows:
        if len(fields) != len(header) or not all(fields):
            raise fail("not three filled fields", "write session,plan,model in every row", line)
        row = dict(zip(header, fields, strict=True))
        if row["session"] in assigned:
            raise fail(f"session {row['session']} is listed twice", "keep one row per session", line)
        assigned[row["session"]] = Assigned(row["plan"], row["model"])

    def assign(session: str) -> Assigned:
        try:
            return assigned[session]
        except KeyError:
            raise fail(f"session {session} of the trace is not listed", "add a row for it") from None

    return assign


def assign_all(sessions: Iterable[str], assign: Assign) -> dict[str, Assigned]:
    """Session -> what it has, each session once, in the order of first appearance."""
    return {session: assign(session) for session in dict.fromkeys(sessions)}


def parse_weights(text: str, option: str) -> dict[str, int]:
    """`free=70,pro=25` -> {"free": 70, "pro": 25}. A name without a number weighs 1."""
    weights: dict[str, int] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([^=\s]+)\s*(?:=\s*([0-9]{1,7}))?\s*", part)
        weight = int(match[2] or 1) if match else 0
        if not match or not 0 < weight <= WEIGHT_MAX or match[1] in weights:
            raise ReplayError(
                f"{option} {text!r}: {part!r} is not a new NAME=WEIGHT; write for example free=70,pro=25"
            )
        weights[match[1]] = weight
    return weights


def _share(weights: Mapping[str, int], position: int) -> str:
    for name, weight in weights.items():
        position -= weight
        if position < 0:
            return name
    raise AssertionError("position is below the sum of the weights")
