"""How two exchanges differ, told by kinds: of a rewrite one wants to know that 37 answers have other words
and none another status, not 37 diffs."""

from __future__ import annotations

import difflib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from models.http_section import Exchange

NAMES_SHOWN = 4
"""Exchanges that a group of differences names."""


def differences(before: Sequence[Exchange], after: Sequence[Exchange]) -> Iterator[tuple[str, str, str]]:
    """(kind of difference, the exchange's name, a diff of it)."""
    # As stored, so that what JSON cannot tell apart is no difference.
    old = {one["name"]: one for one in json.loads(json.dumps(before))}
    new = {one["name"]: one for one in json.loads(json.dumps(after))}
    for name in [*old, *(one for one in new if one not in old)]:
        if name not in new:
            yield "there only before", name, ""
        elif name not in old:
            yield "there only after", name, ""
        elif json.dumps(old[name]) != json.dumps(new[name]):  # The order of fields counts.
            diff = "\n".join(
                difflib.unified_diff(
                    _lines(old[name]), _lines(new[name]), "before", "after", lineterm="", n=1
                )
            )
            kinds = [*dict.fromkeys(_kinds(old[name], new[name]))] or ["the order of fields"]
            for kind in kinds:
                yield kind, name, diff


def _lines(one: Exchange) -> list[str]:
    return (
        json.dumps(one, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace").decode().split("\n")
    )


def _kinds(old: Exchange, new: Exchange) -> Iterator[str]:
    if {**old, "status": 0, "headers": 0, "answer": 0, "form": 0} != {
        **new, "status": 0, "headers": 0, "answer": 0, "form": 0,
    }:  # fmt: skip
        yield "the request itself (it is made of earlier answers)"
    if old.get("status") != new.get("status"):
        yield f"status {old.get('status')} -> {new.get('status')}"
    told, tells = old.get("headers") or {}, new.get("headers") or {}
    for name in sorted({*told, *tells}):
        if name not in tells:
            yield f"header {name} is gone"
        elif name not in told:
            yield f"header {name} is new"
        elif told[name] != tells[name]:
            yield f"header {name}: {told[name]} -> {tells[name]}" if name == "allow" else f"header {name}"
    if old.get("form") != new.get("form"):
        yield f"JSON's form: {old.get('form', 'usual')} -> {new.get('form', 'usual')}"
    was, status = old.get("answer"), old.get("status", "document")
    now = new.get("answer")
    if isinstance(was, dict) and isinstance(now, dict) and "code" in was and "code" in now:
        if was["code"] != now["code"]:
            yield f"{status} code {was['code']} -> {now['code']}"
        for part in sorted({*was, *now} - {"code"}):
            if was.get(part) != now.get(part):
                yield f"{status} {was['code']}: words of {part}"
    elif was != now:
        places = sorted(set(_places(was, now, "answer")))
        yield f"{status} body: {', '.join(places[:3])}" + (" and more" if len(places) > 3 else "")


def _places(was: Any, now: Any, at: str) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        for name in {*was, *now}:
            if name not in was or name not in now:
                yield f"{at}.{name} ({'new' if name not in was else 'gone'})"
            elif was[name] != now[name]:
                yield from _places(was[name], now[name], f"{at}.{name}")
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for one, other in zip(was, now, strict=True):
            if one != other:
                yield from _places(one, other, f"{at}[]")
    else:
        yield at


def summary(before: Sequence[Exchange], after: Sequence[Exchange], *, every: bool = False) -> str:
    """Differences by their kind, the most frequent first; each with some names and one diff, or with all."""
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for kind, name, diff in differences(before, after):
        groups[kind].append((name, diff))
    if not groups:
        return f"all {len(after)} exchanges are the same\n"
    concerned = len({name for found in groups.values() for name, _ in found})
    told = [f"{concerned} of {len(before)} exchanges differ\n"]
    for kind, found in sorted(groups.items(), key=lambda item: -len(item[1])):
        told.append(f"\n{len(found)} exchanges: {kind}\n")
        for name, diff in found if every else found[:NAMES_SHOWN]:
            told.append(f"    {name}\n")
            if every:
                told.append(_indented(diff))
        if not every:
            if len(found) > NAMES_SHOWN:
                told.append(f"    … and {len(found) - NAMES_SHOWN} more\n")
            told.append(_indented(found[0][1]))
    return "".join(told)


def _indented(diff: str) -> str:
    lines = [line for line in diff.split("\n")[3:] if line]
    return "".join(f"        {line[:300]}\n" for line in lines[:60])
