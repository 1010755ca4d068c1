"""168 real pricings, imported and asked: every cell of every plan answers as the file says.

What a file says is read here with PyYAML and the rules of docs/catalog.md, sharing no code with the importer;
what is answered comes from the arena, through the native owner and checker. One customer per plan.

The files are found through FASTCHECK_DATA (default ../shared/data beside the repository)."""

from __future__ import annotations

import collections
import json
import math
import os
import tarfile
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from fastcheck import Catalog
from fastcheck._fastcheck import Checker, Owner
from fastcheck.wire.record import CustomerRecord, pack_record

ROOT = Path(__file__).parents[2]
DATA = ROOT / os.environ.get("FASTCHECK_DATA", "../shared/data")
ARCHIVE = DATA / "saas_pricings" / "saas_pricings.tar.gz"
FILES = 168
CELLS = 44_793
NOW_MS = 1_714_521_600_000
ABSENT = object()


class Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """YAML 1.1, as the format's own tools read it, with numbers as exact decimals."""


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Any:
    text = node.value.replace("_", "").lower()
    return math.inf if text in (".inf", "+.inf") else Decimal(text)


def _plain(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    return str(node.value)


Loader.add_constructor("tag:yaml.org,2002:float", _number)
Loader.add_constructor("tag:yaml.org,2002:timestamp", _plain)


def pricings() -> dict[str, bytes]:
    if not ARCHIVE.is_file():
        return {}
    with tarfile.open(ARCHIVE) as archive:
        files = [member for member in archive.getmembers() if member.name.endswith(".yml")]
        return {member.name: archive.extractfile(member).read() for member in files}  # type: ignore[union-attr]


def cells(pricing: dict[str, Any], plan: dict[str, Any]) -> list[tuple[str, Any, dict[str, Any]]]:
    """(feature of the catalog, what the file says of it in this plan, its item)."""
    found = []
    features = pricing.get("features") or {}
    for section in ("features", "usageLimits"):
        said = plan.get(section) or {}
        for name, item in (pricing.get(section) or {}).items():
            shared = section == "usageLimits" and name in features
            own = (said.get(name) or {}).get("value")
            value = item.get("defaultValue") if own is None else own
            found.append((f"usageLimits.{name}" if shared else str(name), value, item))
    return found


def expected(said: Any, kind: str) -> Any:
    """What a feature of a kind answers for a cell: (allowed, limit or value)."""
    if said is None:
        return (False, 0 if kind in ("limit", "meter") else ABSENT)
    if kind == "switch":
        assert isinstance(said, bool)
        return (said, ABSENT)
    if kind in ("limit", "meter"):
        assert isinstance(said, int | float | Decimal)
        return (said > 0, None if said == math.inf else said)
    if isinstance(said, list):
        text: Any = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
    elif isinstance(said, bool | str):
        text = said
    else:
        text = "unlimited" if said == math.inf else f"{Decimal(said).normalize():f}"
    return (text is not False, text)


class Arena:
    """A pricing's catalog with one customer per plan, asked through the native module."""

    def __init__(self, directory: str, catalog: Catalog, plans: list[str]) -> None:
        self.document = catalog.document()
        self.owner = Owner(directory, catalog, NOW_MS)
        records = [
            pack_record(CustomerRecord(number, f"on {plan}", plan=plan, version=1))
            for number, plan in enumerate(plans, 1)
        ]
        self.numbers = {f"on {plan}": number for number, plan in enumerate(plans, 1)}
        assert self.owner.load(records, 1, NOW_MS) == len(plans)
        self.checker = Checker(directory, self.touch)

    def touch(self, customer: str, pool: str) -> bool:
        """Lends a meter's whole quota, as its period's grant does."""
        setting = self.checker.limit(customer, pool)
        assert setting is not None, "an unlimited meter needs no lease to be allowed"
        units = int(setting * 10 ** self.document["pools"][pool]["scale"])
        self.owner.open_cell(self.numbers[customer], pool, 1, min(units, (1 << 47) - 1), None, True)
        return True

    def ask(self, customer: str, feature: str, kind: str) -> Any:
        allowed = self.checker.check(customer, feature)
        if kind in ("limit", "meter"):
            return (allowed, self.checker.limit(customer, feature))
        if kind == "value":
            return (allowed, self.checker.value(customer, feature, ABSENT))
        return (allowed, ABSENT)

    def close(self) -> None:
        self.checker._close()
        self.owner.close()


def kind_of(values: list[Any], item: dict[str, Any], section_kind: str) -> str:
    """The kinds a feature may be imported as, from the file alone; "meter" and "limit" are told apart by the
    catalog's own tests."""
    present = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in present) and item.get("valueType") == "BOOLEAN":
        return "switch"
    numbers = all(isinstance(v, int | float | Decimal) and not isinstance(v, bool) for v in present)
    if numbers and item.get("valueType") == "NUMERIC":
        whole = all(v == math.inf or (v >= 0 and v == int(v) and v < 1 << 63) for v in present)
        return section_kind if whole or section_kind == "meter" else "value"
    return "value"


def test_every_cell_of_every_pricing_answers_as_the_file_says() -> None:
    files = pricings()
    if not files:
        pytest.skip(
            f"no pricings at {ARCHIVE}: set FASTCHECK_DATA to the directory that holds saas_pricings/"
        )
    assert len(files) == FILES
    asked: collections.Counter[str] = collections.Counter()
    wrong = []
    for path, data in sorted(files.items()):
        text, _ = Catalog.import_pricing2yaml(data, path)
        catalog = Catalog.parse(text.encode(), path)
        pricing = yaml.load(data, Loader)
        plans = {str(name): plan or {} for name, plan in (pricing.get("plans") or {}).items()}
        kinds = {name: one["kind"] for name, one in catalog.document()["features"].items()}
        by_feature = collections.defaultdict(list)
        for plan in plans.values():
            for feature, said, _ in cells(pricing, plan):
                by_feature[feature].append(said)
        with tempfile.TemporaryDirectory() as directory:
            arena = Arena(directory, catalog, list(plans))
            for name, plan in plans.items():
                for feature, said, item in cells(pricing, plan):
                    kind = kinds[feature]
                    meter_or_limit = kind if kind in ("meter", "limit") else "limit"
                    if kind != "value":
                        assert kind == kind_of(by_feature[feature], item, meter_or_limit), (path, feature)
                    answer, wanted = arena.ask(f"on {name}", feature, kind), expected(said, kind)
                    asked[kind] += 1
                    if answer != wanted:
                        wrong.append((path, name, feature, kind, said, answer))
            arena.close()
    print(f"{len(files)} files, {sum(asked.values())} cells: {dict(asked)}")
    assert wrong == [], f"{len(wrong)} cells answer otherwise, such as {wrong[:3]}"
    assert sum(asked.values()) == CELLS
    assert set(asked) == {"switch", "limit", "meter", "value"}
