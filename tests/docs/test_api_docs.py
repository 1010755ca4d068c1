"""docs/api.md and docs/administer.md run as they stand: requests in order are answered as shown, Python goes
through."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from fastcheck.clock import SystemClock
from fastcheck.hub.http.openapi import document
from fastcheck.hub.store.sqlite import SqliteStore
from rig.hub_api import make_app, make_service, served

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/api.md").read_text()
ADMINISTER = (ROOT / "docs/administer.md").read_text()
QUICKSTART = (ROOT / "examples/quickstart/catalog.yaml").read_bytes()
ANY = "…"


def blocks(page: str, languages: str) -> list[tuple[str, str]]:
    """(language, text) of every block of a page that runs."""
    found = re.finditer(rf"^```({languages})\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [(one[1], one[2]) for one in found]


@contextmanager
def quickstart_hub() -> Iterator[str]:
    """The address of a hub with the quickstart's catalog."""
    store = SqliteStore.in_memory()
    service = make_service(store, SystemClock())
    service.set_catalog(service.parse(QUICKSTART, "catalog.yaml"), QUICKSTART, "catalog.yaml")
    with served(make_app(service)) as url:
        yield url
    store.close()


def ask(client: httpx.Client, text: str) -> Any:
    """The answer to a request as the page writes it."""
    head, _, body = text.partition("\n\n")
    first, *headers = head.strip().splitlines()
    method, path = first.split()
    named = dict(one.split(": ", 1) for one in headers)
    if body.strip():
        return client.request(method, path, headers=named, json=json.loads(body)).json()
    return client.request(method, path, headers=named).json()


def agrees(shown: Any, answered: Any) -> bool:
    """Whether an answer is as shown; … stands for anything, or for the rest of a text."""
    if shown == ANY:
        return answered is not None
    if isinstance(shown, str) and shown.endswith(ANY):
        return isinstance(answered, str) and answered.startswith(shown[:-1])
    if isinstance(shown, dict):
        return (
            isinstance(answered, dict)
            and shown.keys() == answered.keys()
            and all(agrees(shown[name], answered[name]) for name in shown)
        )
    if isinstance(shown, list):
        return len(shown) == len(answered) and all(map(agrees, shown, answered))
    return bool(shown == answered)


def test_every_request_is_answered_as_the_page_shows() -> None:
    asked, answered = 0, None
    with (
        quickstart_hub() as url,
        httpx.Client(base_url=url, headers={"Authorization": "Bearer admin"}) as client,
    ):
        for language, text in blocks(PAGE, "http|json"):
            if language == "http":
                answered = ask(client, text)
            else:
                assert agrees(json.loads(text), answered), (text, answered)
                asked += 1
    assert asked == 7


def test_the_python_of_administering_a_hub_goes_through() -> None:
    ran = 0
    with quickstart_hub() as url:
        for _, text in blocks(ADMINISTER, "python"):
            exec(compile(text, "docs/administer.md", "exec"), {"url": url, "token": "admin"})
            ran += 1
    assert ran == 2


def test_the_page_names_every_path() -> None:
    """Each as its last part: the rest is said once."""
    paths = document()["paths"]
    missing = []
    for path in paths:
        last = [one for one in path.split("/") if one and not one.startswith("{")][-1]
        if f"/{last}" not in PAGE:
            missing.append(path)
    assert missing == []
