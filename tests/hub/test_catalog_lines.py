"""Lines of plans and add-ons at the service, with the native catalog: their identities, what is sold, and what a
new catalog does to whom."""

from __future__ import annotations

from typing import Any

import pytest

from fastcheck import Catalog
from fastcheck.clock import ManualClock
from fastcheck.errors import RecordError
from fastcheck.hub.store import Store
from rig.requests import put_customer
from rig.serving import Service

HEAD = "fastcheck: 1\npools: {c: {scale: 0}, d: {scale: 0}}\n"
WITH_PACKS = f"""{HEAD}plans: {{pro: {{}}}}
addons:
  pack: {{sold: once, grants: {{credits: {{pool: c, amount: 5}}}}}}
  more: {{grants: [{{pool: c, amount: 5}}]}}
"""


@pytest.fixture
def lines(store: Store, clock: ManualClock) -> Service:
    """A service without a catalog."""
    return Service(store, clock, lambda source, filename: Catalog.parse(source, filename))


def set_catalog(service: Service, text: str) -> bool:
    return service.set_catalog(None, text.encode(), "catalog.yaml")


def put(service: Service, id: str, **fields: Any) -> None:
    service.put_customers([put_customer(id, **fields)])


def test_what_is_sold_is_refused_where_it_would_be_had(lines: Service) -> None:
    set_catalog(lines, WITH_PACKS)
    put(lines, "acme", plan="pro", addons={"more": 1})
    with pytest.raises(RecordError, match=r"add-on 'pack' is sold once.*admin\.buy\('acme', 'pack'\)"):
        put(lines, "acme", plan="pro", addons={"more": 1, "pack": 1})
    with pytest.raises(RecordError, match=r"admin\.buy\('new', 'pack'\)"):
        put(lines, "new", plan="pro", addons={"pack": 1})
    assert [addon.name for addon in lines.get_customer("acme").addons] == ["more"]
