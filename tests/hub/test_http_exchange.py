"""What the hub answers to the requests of a fixed corpus is what it answered before, to the byte but for what
is random. Where a change is meant: `python -m models.http_exchange --write`, and read the diff."""

from __future__ import annotations

import copy
import json

from models.http_differences import differences, summary
from models.http_exchange import FILE, load, play
from models.http_section import Exchange

SHOWN_MAX = 20
"""Exchanges that a failure shows whole."""
BYTES_MAX = 3 << 20


def test_every_request_of_the_corpus_is_answered_as_before() -> None:
    before, after = load(), play()
    differ = {name: diff for _, name, diff in differences(before, after)}
    shown = "\n\n".join(f"{name}\n{diff}" for name, diff in list(differ.items())[:SHOWN_MAX])
    assert not differ, f"{summary(before, after)}\n{shown}"


def test_the_record_can_be_read_line_by_line() -> None:
    lines = FILE.read_text().split("\n")
    assert FILE.stat().st_size < BYTES_MAX
    assert (lines[0], lines[-2:]) == ("[", ["]", ""])
    names = [json.loads(line.removesuffix(","))["name"] for line in lines[1:-2]]
    assert len(set(names)) == len(names) == len(load())


ANSWERED: Exchange = {
    "name": "a",
    "ask": "GET /v1/customers",
    "status": 422,
    "headers": {"etag": '"1"'},
    "answer": {"code": "WrongType", "detail": "no", "problems": ["no"]},
}


def kinds(**changed: object) -> list[str]:
    """What is told of an exchange that became another."""
    found = list(differences([ANSWERED], [copy.deepcopy(ANSWERED) | changed]))
    assert all(name == "a" and diff.startswith("--- before") for _, name, diff in found)
    return [kind for kind, _, _ in found]


def test_differences_are_told_by_their_kind() -> None:
    assert kinds() == []
    assert kinds(status=400) == ["status 422 -> 400"]
    assert kinds(headers={"etag": '"2"'}) == ["header etag"]
    assert kinds(headers={}) == ["header etag is gone"]
    assert kinds(headers={"etag": '"1"', "allow": "GET"}) == ["header allow is new"]
    assert kinds(form="spaced") == ["JSON's form: usual -> spaced"]
    assert kinds(answer={**ANSWERED["answer"], "detail": "No"}) == ["422 WrongType: words of detail"]
    assert kinds(answer={**ANSWERED["answer"], "code": "Conflict"}) == ["422 code WrongType -> Conflict"]
    assert kinds(answer=dict(reversed(ANSWERED["answer"].items()))) == ["the order of fields"]
    assert kinds(answer="text") == ["422 body: answer"]
    assert kinds(ask="GET /v1/moves") == ["the request itself (it is made of earlier answers)"]


def test_an_exchange_that_is_gone_or_new_is_told() -> None:
    other = {**ANSWERED, "name": "b"}
    assert [told[:2] for told in differences([ANSWERED], [other])] == [
        ("there only before", "a"),
        ("there only after", "b"),
    ]
    told = summary([ANSWERED, other], [{**ANSWERED, "status": 400}, {**other, "status": 400}])
    assert told.startswith("2 of 2 exchanges differ\n\n2 exchanges: status 422 -> 400\n    a\n    b\n")
    assert summary([ANSWERED], [ANSWERED]) == "all 1 exchanges are the same\n"
