"""The exported JSON Schema against the examples, and against mistakes that an editor should underline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from fastcheck import Catalog
from fastcheck.errors import CatalogError

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads(Catalog.schema())


def loaded(text: str) -> Any:
    return yaml.safe_load(text)


def complete_catalogs() -> list[Path]:
    """The example catalogs; a template (with `${…}`) is not one yet."""
    found = [path for path in sorted(ROOT.glob("examples/**/*.yaml")) if "${" not in path.read_text()]
    assert found
    return found


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", complete_catalogs(), ids=lambda path: path.parent.name)
def test_examples_fit_the_schema_and_the_parser(path: Path) -> None:
    jsonschema.validate(loaded(path.read_text()), SCHEMA)
    Catalog.parse(path.read_bytes(), path.name)


def test_the_catalog_of_the_page_fits_as_well() -> None:
    page = (ROOT / "docs" / "catalog.md").read_text()
    text = page.split("```yaml\n")[1].split("```")[0]
    jsonschema.validate(loaded(text), SCHEMA)
    Catalog.parse(text.encode(), "catalog.md")


def with_grant(keys: str) -> str:
    grant = f"{{pool: c, amount: 5, {keys}}}"
    return f"{{fastcheck: 1, pools: {{c: {{}}}}, plans: {{pro: {{grants: [{grant}]}}}}}}"


@pytest.mark.parametrize(
    "text",
    [
        with_grant("kind: top_up"),
        with_grant("kind: refund"),
        with_grant("every: month, rollover: {max: 1, percent: 1, once: false}"),
        with_grant("cost: {amount: '19.99', currency: USD}"),
        with_grant("cost: {amount: 1_000.50, currency: USD}"),
        with_grant("cost: {amount: 20, currency: JPY}"),
        with_grant("existing: give"),
        with_grant("every: month, proration: full"),
        with_grant("every: month, proration: prorated"),
        "{fastcheck: 1, pools: {c: {}}, plans: {p: {grants: {a: {pool: c, amount: 1}}}}}",
        "{fastcheck: 1, pools: {c: {}}, plans: {p: {grants: {'1': {pool: c, amount: 1}}}}}",
        "{fastcheck: 1, pools: {c: {}}, addons: {a: {sold: once, grants: {a: {pool: c, amount: 1}}}}}",
        "{fastcheck: 1, pools: {c: {order: soonest_expiry, warn_at: []}}}",
        "{fastcheck: 1, pools: {c: {order: [plan, expires_at], warn_at: [1, 1000]}}}",
        "{fastcheck: 1, features: {calls: {kind: meter, period: day, order: lifo, warn_at: [50]}}}",
    ],
)
def test_what_the_parser_takes_the_schema_takes(text: str) -> None:
    Catalog.parse(text.encode(), "right.yaml")
    jsonschema.validate(loaded(text), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "{features: {export: {kind: switch}}}",
        "{fastcheck: 2}",
        "{fastcheck: 1, features: {export: {kind: swich}}}",
        "{fastcheck: 1, features: {export: {kind: switch, perod: month}}}",
        "{fastcheck: 1, pools: {credits: {scale: 13}}}",
        "{fastcheck: 1, pools: {credits: {policy: firm}}}",
        "{fastcheck: 1, plans: {pro: {grants: [{amount: 5}]}}}",
        "{fastcheck: 1, pools: {credits: {order: cheapest}}}",
        "{fastcheck: 1, pools: {credits: {order: [fifo]}}}",
        "{fastcheck: 1, pools: {credits: {warn_at: 80}}}",
        "{fastcheck: 1, pools: {credits: {warn_at: [80, 80]}}}",
        "{fastcheck: 1, pools: {credits: {warn_at: [0]}}}",
        "{fastcheck: 1, features: {export: {kind: switch, warn_at: [80]}}}",
        with_grant("kind: lent"),
        with_grant("every: month, rollover: {max: 1, percent: 101}"),
        with_grant("every: month, rollover: {max: 1, once: sometimes}"),
        with_grant("cost: 19.99"),
        with_grant("cost: {amount: 19.99}"),
        with_grant("cost: {amount: -1, currency: USD}"),
        with_grant("cost: {amount: 19.99, currency: usd}"),
    ],
)
def test_what_the_schema_refuses_the_parser_refuses(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(loaded(text), SCHEMA)
    with pytest.raises(CatalogError):
        Catalog.parse(text.encode(), "mistake.yaml")
