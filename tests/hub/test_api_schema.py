"""The API keeps what its own OpenAPI document says: requests made from it, valid and broken, by a fixed seed.
No request may fail inside the hub, and every answer is of the form that the document names."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method
from starlette.applications import Starlette

from fastcheck.clock import ManualClock
from fastcheck.hub.http.openapi import document
from fastcheck.hub.store.sqlite import SqliteStore
from rig.hub_api import CATALOG, make_app, make_service
from rig.instants import MAY_2024_MS
from rig.requests import make_grant, put_customer, put_members, reserve
from rig.samples import sample
from rig.serving import Service

SEED = 20_261_126
EXAMPLES = {GenerationMode.POSITIVE: sample(6, 140), GenerationMode.NEGATIVE: sample(3, 50)}
"""Requests of each endpoint."""
BUDGET_S = sample(90, 1_800)
"""What begins later is left out, and the test fails: it must stay fast, and may not silently become
nothing."""
NOT_CHECKED = [
    positive_data_acceptance,  # The catalog, not the document, says which names and amounts there are.
    unsupported_method,  # Starlette names the methods of one route of a path, not of all.
]
STATEFUL = {GenerationMode.POSITIVE}


@pytest.fixture
def service() -> Iterator[Service]:
    store = SqliteStore.in_memory()
    clock = ManualClock(MAY_2024_MS)
    service = make_service(store, clock)
    service.set_catalog(service.parse(CATALOG, "catalog.yaml"), CATALOG, "catalog.yaml")
    service.put_customers([put_customer(one, plan="pro", aliases=[f"key:{one}"]) for one in ("acme", "tiny")])
    service.grant(make_grant("acme", "ai_credits", 50_000, id="order_17"))
    service.buy_addon("acme", "credit_pack", 2, "order_18")
    service.put_members(put_members("beta", add=["acme", "tiny"]))
    service.reserve(reserve("acme", "ai_credits", 100, id="held", ttl_ms=60_000))
    service.put_webhook("http://127.0.0.1:9/hook")
    yield service
    store.close()


def known(service: Service) -> dict[str, list[str]]:
    """Names that are there, by how they are called in paths and bodies."""
    webhook = service.list_webhooks()[0].id
    export = service.begin_export().id
    return {
        "customer": ["acme", "tiny", "key:acme"],
        "pool": ["ai_credits", "api_calls", "storage"],
        "feature": ["gpt-4o", "seats", "export", "storage", "retention_days"],
        "segment": ["beta"],
        "plan": ["pro", "free"],
        "per": ["day"],
        "export": [export],
        "id": [webhook, "order_17", "order_18", "held"],
    }


def aim(case: Any, names: dict[str, list[str]], dice: random.Random) -> None:
    """Puts names that are there into most of the places of a valid request."""
    for name in case.path_parameters or {}:
        if dice.random() < 0.8:
            case.path_parameters[name] = dice.choice(names[name])
    body = case.body
    if isinstance(body, dict):
        for name in ("pool", "plan"):
            if name in body and dice.random() < 0.8:
                body[name] = dice.choice(names[name])
        if "customers" in body and isinstance(body["customers"], list) and dice.random() < 0.5:
            body["customers"] = [
                {**one, "plan": "pro"} if isinstance(one, dict) else "acme" for one in body["customers"][:3]
            ]


@pytest.mark.parametrize("mode", EXAMPLES)
def test_requests_made_from_the_document_are_answered_as_it_says(
    service: Service, mode: GenerationMode
) -> None:
    app: Starlette = make_app(service)
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", app).exclude(path="/v1/snapshot")
    names, dice = known(service), random.Random(SEED)
    statuses: Counter[int] = Counter()
    failed: list[str] = []
    end_s = time.monotonic() + BUDGET_S

    def ask(case: Any) -> None:
        if mode in STATEFUL:
            aim(case, names, dice)
        response = case.call(headers={"Authorization": "Bearer admin"})
        statuses[response.status_code] += 1
        case.validate_response(response, excluded_checks=NOT_CHECKED)

    count = 0
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        assert time.monotonic() < end_s, f"the budget was spent after {count} operations"
        count += 1
        if mode is GenerationMode.NEGATIVE and not (list(operation.iter_parameters()) or operation.body):
            continue  # It takes nothing that could be wrong.
        asking = settings(
            max_examples=EXAMPLES[mode],
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        try:
            seed(SEED)(asking(given(case=operation.as_strategy(generation_mode=mode))(ask)))()
        except Exception as error:
            failed.append(f"{operation.method.upper()} {operation.path}: {error!s:.1500}")
    assert not failed, "\n\n".join(failed)
    assert count >= 60
    assert sum(statuses.values()) >= count * EXAMPLES[mode] // 2
    if mode in STATEFUL:  # Else it would only have tried the refusals.
        assert sum(found for status, found in statuses.items() if status < 300) >= 14 * EXAMPLES[mode], (
            statuses
        )


def test_the_document_is_complete(service: Service) -> None:
    said = document()
    assert said["openapi"].startswith("3.1")
    operations = [
        operation
        for path, methods in said["paths"].items()
        for operation in methods.values()
        if path.startswith("/v1/")
    ]
    ids = [one["operationId"] for one in operations]
    assert len(set(ids)) == len(ids)
    tags = {one["name"] for one in said["tags"]}
    for one in operations:
        assert one["tags"][0] in tags, one["operationId"]
        assert one["summary"], one["operationId"]
        assert one["description"], one["operationId"]
        assert {"401", "403", "422", "429", "503"} <= set(one["responses"]), one["operationId"]
    assert said["components"]["securitySchemes"]
    schemas = said["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    assert [name for name, one in schemas.items() if not one.get("description")] == []
    assert schemas["Customer"]["properties"]["version"]["description"].startswith("The version bought")
    assert schemas["Customer"]["examples"][0]["id"] == "acme"
