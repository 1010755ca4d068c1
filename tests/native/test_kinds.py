"""The kinds of features: what Python says of each is what the core does, and what the pages tell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements, errors
from fastcheck._fastcheck import Catalog, Checker
from fastcheck.admin.overrides import OverridesAdmin
from fastcheck.cli.override import PUT_NOTES, parsed
from fastcheck.wire.kinds import KINDS, kind_of
from fastcheck.wire.record import CustomerRecord, pack_record, setting

DOCS = Path(__file__).parents[2] / "docs"
NEEDS: dict[str, dict[str, Any]] = {"meter": {"period": "day"}, "credit": {"pool": "credits", "rate": 1}}
"""What a feature must say beside its kind."""
STORED = (
    (0,), (1,), (2,), (3, 0), (3, 1), (3, -1), (3, 30), (3, (1 << 63) - 1), (4, "text"), (4, ""),
    (5, True), (5, False),
)  # fmt: skip
"""Settings as they travel."""
GIVEN = (True, False, None, 0, 1, -1, 30, (1 << 63) - 1, "text", "")


def catalog() -> str:
    features = {word: {"kind": word, **NEEDS.get(word, {})} for word in KINDS}
    return json.dumps({"fastcheck": 1, "pools": {"credits": {}}, "features": features})


@pytest.fixture(scope="module")
def core() -> Catalog:
    return Catalog.parse(catalog().encode(), "catalog.json")


@pytest.fixture(scope="module")
def ents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entitlements]:
    with Entitlements.open(tmp_path_factory.mktemp("kinds"), catalog=catalog()) as ents:
        ents.admin.put_customer("acme")
        ents.admin.grant("acme", "credits", 5)
        yield ents


def takes(core: Catalog, word: str, stored: tuple[Any, ...]) -> bool:
    record = CustomerRecord(1, "acme", overrides=((word, stored, None, None),))
    return core.customer_error(pack_record(record)) is None


def test_the_table_has_the_kinds_that_catalogs_may_have() -> None:
    schema = json.loads(Catalog.schema())["$defs"]
    assert [one["$ref"].rpartition("/")[2] for one in schema["feature"]["anyOf"]] == list(KINDS)


@pytest.mark.parametrize("word", KINDS)
def test_a_setting_that_python_makes_is_one_that_the_core_takes(core: Catalog, word: str) -> None:
    made = set()
    for value in GIVEN:
        with suppress(errors.FastcheckError):
            made.add(setting(value, word, word))
    assert made, "no value of these fits: add one that does"
    assert [one for one in made if not takes(core, word, one)] == []
    # And the other way round. Nothing of a value is a matter of catalogs; an override says what it is.
    left = {one for one in STORED if takes(core, word, one)} - made
    assert left <= {(0,)}


@pytest.mark.parametrize("word", KINDS)
def test_what_is_bounded_and_countable_is_so_in_the_core(ents: Entitlements, word: str) -> None:
    told = set()
    for ask in (lambda: ents.limit("acme", word), lambda: ents.consume("acme", word, 1)):
        try:
            ask()
        except (errors.WrongType, errors.NotCountable) as error:
            told.add(type(error))
    kind = KINDS[word]
    assert told == {
        *([] if kind.bounded else [errors.WrongType]),
        *([] if kind.countable else [errors.NotCountable]),
    }


@pytest.mark.parametrize("word", KINDS)
def test_the_hub_and_a_host_answer_alike_for_every_setting(ents: Entitlements, word: str) -> None:
    for value in GIVEN:
        with suppress(errors.FastcheckError):
            ents.admin.put_override("acme", word, value)
        explained = ents.explain("acme", word)
        assert (explained.allowed, explained.kind) == (bool(ents.check("acme", word)), word), value


def test_a_kind_that_is_not_known_is_refused_and_not_taken_for_a_value() -> None:
    for ask in (
        lambda: kind_of("moons"),
        lambda: setting(3, "moons", "history"),
        lambda: parsed("3", "moons", "history"),
    ):
        with pytest.raises(errors.ProtocolError, match="kind 'moons' are not known here"):
            ask()


def cells(page: str, pattern: str) -> str:
    """The rows of a page's tables that begin so."""
    found = [line for line in (DOCS / page).read_text().splitlines() if re.match(rf"\| {pattern}", line)]
    assert found, f"{page} has no row that begins with {pattern}"
    return "\n".join(found)


PLACES = {
    "docs/concepts.md": cells("concepts.md", r"feature \|"),
    "docs/catalog.md, settings": (DOCS / "catalog.md").read_text().partition("| kind | takes |")[2][:600],
    "docs/catalog.md, example": "\n".join(re.findall(r"kind: \w+", (DOCS / "catalog.md").read_text())),
    "docs/api.md": cells("api.md", "override of "),
    "docs/cli.md": cells("cli.md", "VALUE of "),
    "docs/format/rows.md": "".join(
        re.findall(r"kind \(1 switch[^)]*\)", (DOCS / "format" / "rows.md").read_text())
    ),
    "help of `override put`": PUT_NOTES,
    "OverridesAdmin.put_override": str(OverridesAdmin.put_override.__doc__),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_kind_is_told_of_where_kinds_are(place: str) -> None:
    assert [word for word in KINDS if not re.search(rf"\b{word}\b", PLACES[place])] == []


def test_the_words_for_a_bound_name_the_kinds_that_have_one() -> None:
    limit = str(Checker.limit.__doc__)
    assert [one.word for one in KINDS.values() if one.bounded and one.word not in limit] == []
