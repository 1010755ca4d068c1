"""The requests of the exchange: what every route is asked, and for each subject what only it can be asked.

Nothing here knows the hub but by its paths and fields. Order matters: a section is one story of one ledger,
and mistakes come after what they could disturb."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from models import http_mistakes as m
from models.http_mistakes import NOW_MS, Mistakes
from models.http_routes import (
    CATALOG,
    CLOCK,
    CUSTOMERS,
    DAY_MS,
    DELETIONS,
    EPOCHS,
    EVENT,
    EVENTS,
    FINANCE,
    GRANT,
    HOOK_URL,
    JSON,
    JULY_MS,
    JUNE,
    METERING,
    MONEY,
    PLANS,
    PURCHASES,
    RECORDS,
    RESERVATION,
    ROUTES,
    SCOPES,  # fmt: skip
    SEGMENTS,
    SPENDING,
    TOKENS,
    TOP_UPS,
    WEBHOOKS,
    YAML,
    Ask,
    Route,
)

if TYPE_CHECKING:
    from models.http_section import Answer, Section


def found(section: Section, value: Any) -> Any:
    """The value, with what the section found before."""
    if value == "$new":
        section.found["new"] = value = f"new_{int(section.found.get('new', 'new_0')[4:]) + 1}"
        return value
    if isinstance(value, str) and value.startswith("$"):
        return section.found[value[1:]]
    if isinstance(value, list):
        return [found(section, one) for one in value]
    if isinstance(value, dict):
        return {name: found(section, one) for name, one in value.items()}
    return value


# What every route is asked.


def where(section: Section, route: Route, **instead: str) -> str:
    """A route's path with its names, and the query that it needs."""
    path = route.path
    for name, value in {**route.names, **instead}.items():
        path = path.replace("{" + name + "}", found(section, value))
    return path + (f"?{route.least}" if route.least else "")


async def of_route(
    section: Section, route: Route, label: str, body: Any, path: str = "", **more: Any
) -> Answer:
    """One request of a route."""
    headers = [*route.headers, *more.pop("headers", ())]
    raw = body if isinstance(body, bytes) else None
    if body is not None and raw is None:
        more["body"] = found(section, body)
    if route.by_chance:
        more |= {"shown": shape_or_refusal} if "?limit" in label else {"by_chance": route.by_chance}
    return await section.ask(
        f"{route.name}: {label}", f"{route.method} {path or where(section, route)}", raw=raw, headers=headers,
        token=more.pop("token", route.token), route=route.path, **more,
    )  # fmt: skip


async def prepared(section: Section, route: Route) -> None:
    """What makes the route possible, not recorded."""
    for one in route.before:
        await quietly(section, one)


async def quietly(section: Section, one: Ask) -> Answer:
    more: dict[str, Any] = {} if one.body is None else {"body": found(section, one.body)}
    answer = await section.ask("", one.what, quiet=True, **more)
    assert answer.status < 300, (one, answer.status, answer.body)
    return answer


async def successes(section: Section, route: Route) -> None:
    """With the least and with every field, again, and under an idempotency key."""
    await prepared(section, route)
    await of_route(section, route, "the least", route.body)
    if route.once:
        return
    await of_route(section, route, "the same again", route.body)
    if route.full is not None:
        await prepared(section, route)
        await of_route(section, route, "every field", route.full)
    if not route.changes:
        return
    await prepared(section, route)
    key = ("Idempotency-Key", f"key of {route.name}".replace(" ", "%20"))
    for label in ("under a key", "under the key again"):
        await of_route(section, route, label, route.body, headers=[key])
    if route.other is not None:
        more = {} if route.other.body is None else {"body": route.other.body}
        label = f"{route.name}: another request under the key"
        await section.ask(label, route.other.what, headers=[key], **more)
    elif route.full is not None:
        await of_route(section, route, "another request under the key", route.full, headers=[key])
    for header in ("If-Match", "If-None-Match"):
        for value in ("*", '"0123456789abcdef0123456789abcdef"'):
            await of_route(section, route, f"{header}: {value}", route.body, headers=[(header, value)])
    by = [("Fastcheck-Author", "j%C3%B6%2Fadmin"), ("Fastcheck-Reason", "asked%20by%20mail%0Atwice")]
    await prepared(section, route)
    await of_route(section, route, "with an author and a reason", route.body, headers=by)


async def refusals(section: Section, route: Route) -> None:
    """Who may, and every mistake."""
    wrong: Any = {"no such field": 1} if isinstance(route.body, dict) else route.body and b"nonsense"
    unknown = {name: "0-1-1-1-1" if name == "export" else "nobody" for name in route.names if name != "per"}
    for token in (None, "nobody", *SCOPES):
        label = f"with {'no token' if token is None else f'the token of {token}'}"
        await of_route(section, route, label, wrong, where(section, route, **unknown), token=token)
    for name in route.names:
        for label, value in _of_kind(section, route.parts.get(name, m.PART)).items():
            path = where(section, route, **{name: value})
            await of_route(section, route, f"{name} in the path: {label}", route.body, path)
    if isinstance(route.body, dict):
        await _body_refusals(section, route)
    if route.query:
        await _query_refusals(section, route)


async def _query_refusals(section: Section, route: Route) -> None:
    whole = where(section, route)
    path, _, least = whole.partition("?")
    joint = "&" if least else "?"
    for name, mistakes in route.query.items():
        others = [one for one in least.split("&") if one and not one.startswith(f"{name}=")]
        for label, value in _of_kind(section, mistakes).items():
            query = "&".join([*others, f"{name}={value}"])
            await of_route(section, route, f"?{name}: {label}", route.body, f"{path}?{query}")
    if least:
        await of_route(section, route, "without its query", route.body, path)
    await of_route(section, route, "a query that there is not", route.body, f"{whole}{joint}nosuch=1")
    name = "limit" if "limit" in route.query else next(iter(route.query))
    await of_route(section, route, f"?{name} twice", route.body, f"{whole}{joint}{name}=5&{name}=6")


async def _body_refusals(section: Section, route: Route) -> None:
    await of_route(section, route, "no body", None)
    await of_route(section, route, "an empty object", {})
    await of_route(section, route, "a list", [route.body])
    await of_route(section, route, "null", b"null", headers=[JSON])
    await of_route(section, route, "no JSON", b'{"a": ', headers=[JSON])
    await of_route(section, route, "another media type", b"{}", headers=[("Content-Type", "text/plain")])
    await of_route(
        section, route, "a field that there is not", {**route.body, "nosuch": 1, "not\ud800": None},
    )  # fmt: skip
    for name in route.body:
        without = {one: value for one, value in route.body.items() if one != name}
        await of_route(section, route, f"without {name}", without)
    for place, mistakes in route.fields.items():
        for label, value in _of_kind(section, mistakes).items():
            await of_route(section, route, f"{place}: {label}", changed(route, place, value))


def _of_kind(section: Section, mistakes: Mistakes) -> Mistakes:
    """All of them for the first field of its kind in a section."""
    seen = f"seen {' '.join(mistakes)}"
    if seen in section.found:
        return m.brief(mistakes) or mistakes
    section.found[seen] = ""
    return mistakes


def changed(route: Route, place: str, value: Any) -> Any:
    """A body that is right but for the value in one place; what is around it is of the full one."""
    body = copy.deepcopy(route.body if route.on is None else route.on)
    names = place.split(".")
    if len(names) > 1 and not body.get(names[0]):
        body[names[0]] = copy.deepcopy(route.full[names[0]])
    for needed in NEEDS.get(names[0], ()):
        body.setdefault(needed, copy.deepcopy(route.full[needed]))
    at = body
    for name in names[:-1]:
        at = at[int(name)] if isinstance(at, list) else at[name]
    last = names[-1]
    if isinstance(at, list):
        at[int(last)] = value
    else:
        at[last] = value
    return body


NEEDS = {"trial_version": ("trial_plan",), "trial_until": ("trial_plan",), "rollover": ("every",)}
"""Fields that mean nothing without others."""


# The sections.

GRANTS = "POST /v1/customers/acme/grants"
BUY = "POST /v1/customers/acme/purchases"
RESERVE = "POST /v1/customers/acme/reservations"
DEBIT = "POST /v1/customers/acme/debits"
REFUND = "POST /v1/customers/acme/refunds"
PUT_ACME = "PUT /v1/customers/acme"
METER = "POST /v1/usage-events"
MOVE = "POST /v1/moves"
BATCH = "POST /v1/customers:batch"
PUT_CATALOG = "PUT /v1/catalog"
CHECK_CATALOG = "POST /v1/catalog:check"
MAKE_TOKEN = "POST /v1/tokens"
PUT_WEBHOOK = "POST /v1/webhooks"
EXPORTS = "POST /v1/exports"
PAGES_MAX = 6
"""Of a list that is walked."""


def of(amount: Any, pool: str = "ai_credits", **more: Any) -> dict[str, Any]:
    """A body about credits."""
    return {"pool": pool, "amount": amount, **more}


async def catalog(section: Section) -> None:
    answer = await section.ask(
        "", PUT_CATALOG, raw=CATALOG, headers=[YAML, ("Fastcheck-Filename", "catalog.yaml")], quiet=True,
    )  # fmt: skip
    assert answer.status == 200, answer.body


async def world(section: Section) -> None:
    """A catalog, two customers with credits, a segment."""
    ask = section.ask
    await catalog(section)
    for one in (
        Ask(PUT_ACME, {"plan": "pro", "aliases": ["key:acme", "a/b"], "since": NOW_MS - 40 * DAY_MS}),
        Ask("PUT /v1/customers/tiny", {"plan": "pro", "version": 1, "aliases": ["key:tiny"]}),
        Ask(GRANTS, of(50_000, id="order_1")),
        Ask(GRANTS, of("7.5", id="order_2")),
        Ask("PUT /v1/segments/beta", {"customers": ["acme", "tiny"]}),
    ):
        await quietly(section, one)
    section.seq = (await ask("", "GET /v1/position", quiet=True)).json["seq"]


async def all_of(section: Section, routes: tuple[Route, ...]) -> None:
    """Every route: first what it does, then what it refuses."""
    for route in routes:
        await successes(section, route)
    for route in routes:
        await refusals(section, route)


async def customers(section: Section) -> None:
    ask = section.ask
    await world(section)
    await tags(
        section, "customer", "/v1/customers/acme", {"plan": "pro", "aliases": ["key:acme"]}, {"plan": "free"},
    )  # fmt: skip
    make = [("If-None-Match", "*")]
    for label in ("a new customer", "one that is there"):
        await ask(f"If-None-Match: * for {label}", "PUT /v1/customers/fresh", {"plan": "pro"}, headers=make)
    for label, name in (
        ("a slash", "a%2Foverrides"), ("an alias", "key%3Atiny"), ("an alias as it is", "key:tiny"),
    ):  # fmt: skip
        await ask(f"a name with {label}: put", f"PUT /v1/customers/{name}", {"aliases": ["own:alias"]})
        await ask(f"a name with {label}: got", f"GET /v1/customers/{name}")
        await ask(f"a name with {label}: overrides", f"GET /v1/customers/{name}/overrides")
    await ask("an alias of somebody else", "PUT /v1/customers/thief", {"aliases": ["key:acme"]})
    await ask("a plan that there is not", PUT_ACME, {"plan": "nosuch"})
    await ask("a version that there is not", PUT_ACME, {"plan": "pro", "version": 9})
    await ask("too much of an add-on", PUT_ACME, {"plan": "pro", "addons": {"seats_pack": {"quantity": 11}}})
    await ask("an add-on of another plan", PUT_ACME, {"plan": "free", "addons": {"seats_pack": {}}})
    await ask("a trial's end and nothing else", PUT_ACME, {"trial_until": JUNE})
    await ask("the plan on trial", PUT_ACME, {"plan": "pro", "trial_until": JUNE})
    await ask("a trial as long as the plan says", PUT_ACME, {"trial_plan": "max"})
    await ask("what they are then", "GET /v1/customers/acme?at=2024-06-02T00:00:00Z")
    await ask(
        "all mistakes at once", PUT_ACME,
        {"plan": 5, "version": "1", "aliases": "x", "since": 1.5, "plam": 1, "addons": {"x": {"n": 1}}},
    )  # fmt: skip
    await ask("257 aliases", PUT_ACME, {"aliases": [f"a{n}" for n in range(257)]})
    await ask("256 aliases", "PUT /v1/customers/many", {"aliases": [f"a{n}" for n in range(256)]})
    await ask("1,025 add-ons", PUT_ACME, {"addons": {f"a{n}": {} for n in range(1_025)}})
    await ask("150 unknown fields", PUT_ACME, {f"f{n}": n for n in range(150)})
    await ask("an add-on without a name", PUT_ACME, {"plan": "pro", "addons": {"": {}}})
    await ask("an add-on with a NUL", PUT_ACME, {"plan": "pro", "addons": {"a\0": {}}})
    await ask("an add-on with a surrogate", PUT_ACME, {"plan": "pro", "addons": {"\ud800": {}}})
    await ask("one of a batch is wrong", BATCH, {"customers": [{"id": "c1"}, {"id": "c2", "plan": "nosuch"}]})
    await ask("none of the batch was made", "GET /v1/customers/c1")
    await ask(
        "one customer twice in a batch", BATCH, {"customers": [{"id": "c1"}, {"id": "c1", "plan": "free"}]},
    )  # fmt: skip
    await ask("a batch of none", BATCH, {"customers": []})
    await pages(section, "customers", "/v1/customers?limit=2")
    await ask("a key of nobody", "POST /v1/customers:resolve", {"keys": ["acme", "nobody"]})
    await ask(
        "put before a move that is due", MOVE, {"customers": ["tiny"], "plan": "free", "when": NOW_MS + 10},
    )  # fmt: skip
    section.app.advance(20)
    again = {"plan": "pro", "aliases": ["key:tiny"]}
    await ask("put after a move that is due", "PUT /v1/customers/tiny", again)
    await ask("what was put counts", "GET /v1/customers/tiny")
    for feature, value in (
        ("export", True), ("export", 5), ("seats", None), ("seats", "x"), ("retention_days", "long"),
        ("retention_days", False), ("storage", {"decimal": "7.25"}), ("api_calls", 7), ("gpt-4o", False),
        ("nosuch", True),
    ):  # fmt: skip
        await ask(
            f"an override of {feature}: {value}", f"PUT /v1/customers/acme/overrides/{feature}",
            {"value": value},
        )  # fmt: skip
    await ask(
        "an override that ends before it starts", "PUT /v1/customers/acme/overrides/export",
        {"value": True, "starts_at": JULY_MS, "expires_at": JUNE},
    )  # fmt: skip
    await ask("all overrides", "GET /v1/customers/acme/overrides")
    await all_of(section, CUSTOMERS)
    await ask("a batch of 2,000", BATCH, {"customers": [{"id": f"d{n:04}"} for n in range(2_000)]})
    await ask("a page of at most 1,000", "GET /v1/customers?limit=1000", shown=shape)


async def tags(section: Section, what: str, path: str, body: Any, other: Any, *, delete: bool = True) -> None:
    """Entity tags of one thing."""
    ask = section.ask
    tag = (await ask(f"the tag of a {what}", f"GET {path}")).header("etag")
    for label, header in (
        ("the tag", tag), ("some tags", f'"other", {tag}'), ("a weak tag", f"W/{tag}"), ("any", "*"),
        ("another", '"other"'), ("no quotes", tag.strip('"')), ("empty", ""),
        ("too long", '"' + "n" * 4_095 + '"'),
    ):  # fmt: skip
        await ask(
            f"GET {what} with If-None-Match: {label}", f"GET {path}", headers=[("If-None-Match", header)],
        )  # fmt: skip
        if what != "catalog":
            await ask(f"GET {what} with If-Match: {label}", f"GET {path}", headers=[("If-Match", header)])
    await ask(f"HEAD {what}", f"HEAD {path}")
    if body is None:
        return
    for label, header in (
        ("another", '"other"'), ("a weak tag", f"W/{tag}"), ("empty", ""),
        ("too long", '"' + "n" * 4_095 + '"'), ("the tag", tag), ("the tag that is old now", tag),
        ("any", "*"),
    ):  # fmt: skip
        new = other if label == "the tag" else body
        await ask(f"PUT {what} with If-Match: {label}", f"PUT {path}", new, headers=[("If-Match", header)])
    for label, header in (("any", "*"), ("another", '"other"'), ("empty", "")):
        await ask(
            f"PUT {what} with If-None-Match: {label}", f"PUT {path}", body,
            headers=[("If-None-Match", header)],
        )  # fmt: skip
    if delete:
        await ask(f"DELETE {what} with an old tag", f"DELETE {path}", headers=[("If-Match", tag)])
        both = [("If-Match", "*"), ("If-None-Match", "*")]
        await ask(f"PUT {what} with both", f"PUT {path}", body, headers=both)
    key = ("Idempotency-Key", f"tagged%20{what}")
    now = (await ask(f"the tag of the {what} now", f"GET {path}")).header("etag")
    for label in ("once", "again, its tag being old"):
        await ask(
            f"PUT {what} under a key with a tag {label}", f"PUT {path}", other,
            headers=[("If-Match", now), key],
        )  # fmt: skip


async def pages(section: Section, label: str, path: str) -> None:
    """A list, walked by its cursors."""
    ask = section.ask
    more = ""
    for number in range(1, PAGES_MAX + 1):
        page = (await ask(f"page {number} of {label}", f"GET {path}{more}")).json
        if page["cursor"] is None:
            break
        more = f"{'&' if '?' in path else '?'}cursor={page['cursor']}"


async def plans(section: Section) -> None:
    ask = section.ask
    await world(section)
    move = {"customers": ["acme"], "plan": "free", "when": JUNE}
    made = await ask("a move ahead", MOVE, move)
    section.found["move"] = made.json["moves"][0]["id"]
    await ask("another move at the same instant", MOVE, {**move, "plan": "max"})
    await ask("the same move replaces it", MOVE, {**move, "replace": True})
    made = await ask(
        "a move at the period's end", MOVE, {"customers": ["tiny"], "plan": None, "when": "period_end"},
    )  # fmt: skip
    section.found["move"] = made.json["moves"][0]["id"]
    await ask("a move now", MOVE, {"customers": ["key:tiny"], "plan": "pro", "version": 1})
    await ask("a version without a plan", MOVE, {"customers": ["acme"], "plan": None, "version": 1})
    await ask("a move of nobody", MOVE, {"customers": ["acme", "nobody"], "plan": "free"})
    await ask("501 customers", MOVE, {"customers": [f"c{n}" for n in range(501)], "plan": "free"})
    await ask("a plan that there is not", MOVE, {"customers": ["acme"], "plan": "nosuch"})
    await ask("moves that are done or cancelled, too", "GET /v1/moves?pending=false", by_chance="at")
    await pages(section, "moves", "/v1/moves?limit=1")
    await ask("to the same version", "POST /v1/plans/pro/migrations", {"from_version": 1, "to_version": 1})
    await ask(
        "of a plan that there is not", "POST /v1/plans/nosuch/migrations",
        {"from_version": 1, "to_version": 2},
    )  # fmt: skip
    await ask("a segment that there is not", "POST /v1/segments/nosuch/moves", {"plan": "pro"})
    await all_of(section, PLANS)


async def segments(section: Section) -> None:
    ask = section.ask
    await world(section)
    await tags(
        section, "segment", "/v1/segments/beta", {"customers": ["acme", "tiny"]}, {"customers": ["acme"]},
    )  # fmt: skip
    await ask(
        "PATCH with an old tag", "PATCH /v1/segments/beta", {"add": ["acme"]},
        headers=[("If-Match", '"old"')],
    )  # fmt: skip
    await ask("PATCH of both ways", "PATCH /v1/segments/beta", {"add": ["acme"], "remove": ["acme"]})
    await ask("members of nobody", "PUT /v1/segments/beta", {"customers": ["nobody"]})
    await ask("1,200 customers", BATCH, {"customers": [{"id": f"s{n:04}"} for n in range(1_200)]})
    for first in (0, 600):
        more = [f"s{n:04}" for n in range(first, first + 600)]
        await ask(f"members from {first} on", "PATCH /v1/segments/many", {"add": more})
    await ask("an exception for 1,200", "PUT /v1/segments/many/overrides/seats", {"value": 50})
    await ask("the segment is behind", "GET /v1/segments/many")
    for label in ("first", "second"):
        await ask(f"the {label} continuation", "POST /v1/segments/many/continuation")
    page = await ask("members", "GET /v1/segments/many/members?limit=1000", shown=shape)
    await ask(
        "more members", f"GET /v1/segments/many/members?limit=1000&cursor={page.json['cursor']}", shown=shape,
    )  # fmt: skip
    await ask(
        "an exception with a name that there is not", "PUT /v1/segments/beta/overrides/nosuch", {"value": 5},
    )  # fmt: skip
    await ask(
        "1,001 to come and go", "PATCH /v1/segments/beta", {"add": ["acme"] * 600, "remove": ["tiny"] * 401},
    )  # fmt: skip
    await ask("a name with a slash", "PUT /v1/segments/a%2Fb", {"customers": ["acme"]})
    await ask("the segment with a slash", "GET /v1/segments/a%2Fb")
    await ask("a removal in parts", "DELETE /v1/segments/many")
    await ask("the segment that ends", "GET /v1/segments/many")
    await pages(section, "segments", "/v1/segments?limit=1")
    await all_of(section, SEGMENTS)


async def money(section: Section) -> None:
    ask = section.ask
    await world(section)
    for label in ("first", "second"):
        await ask(f"a grant by its own id, {label} time", GRANTS, {**GRANT, "id": "order_3"})
    await ask("other terms under the id", GRANTS, {**GRANT, "id": "order_3", "amount": 13})
    await ask(
        "by an alias with a slash", "POST /v1/customers/a%2Fb/grants",
        of("9007199254.74", pool="goodwill", id="big"),
    )  # fmt: skip
    await ask("three decimals of two", GRANTS, of("0.125", pool="goodwill"))
    await ask("into a meter's pool", GRANTS, of(5, pool="api_calls", id="calls"))
    await ask("rollover without a period", GRANTS, of(5, rollover={"max": 5}))
    await ask("over before it begins", GRANTS, of(5, effective_at=JULY_MS, expires_at=JUNE))
    await ask(
        "the reason of the header", GRANTS, of(5, id="why"), headers=[("Fastcheck-Reason", "said%20above")],
    )  # fmt: skip
    await ask(
        "its own reason", GRANTS, of(5, id="why_too", reason=""),
        headers=[("Fastcheck-Reason", "said%20above")],
    )  # fmt: skip
    for what in ("", "?pool=goodwill", "?pool=nosuch", f"?at={JULY_MS}", "?at=5"):
        await ask(f"grants{what}", f"GET /v1/customers/acme/grants{what}")
        await ask(f"a balance{what}", f"GET /v1/customers/acme/balances/ai_credits{what}")
    for pool in ("goodwill", "api_calls", "storage", "nosuch"):
        await ask(f"the balance of {pool}", f"GET /v1/customers/key:acme/balances/{pool}")
    section.app.advance(3_600_000)
    for every in ("hour", "day", "month"):
        period = f"since={NOW_MS - 3_600_000}&until={NOW_MS + 7_200_000}&every={every}"
        await ask(f"history by the {every}", f"GET /v1/customers/acme/balances/ai_credits/history?{period}")
    await ask(
        "too many windows",
        f"GET /v1/customers/acme/balances/ai_credits/history?since=0&until={NOW_MS}&every=hour",
    )  # fmt: skip
    await ask(
        "history backwards", f"GET /v1/customers/acme/balances/ai_credits/history?since={NOW_MS}&until=5",
    )  # fmt: skip
    await all_of(section, MONEY)


async def purchases(section: Section) -> None:
    ask = section.ask
    await world(section)
    for label in ("first", "second"):
        await ask(f"a purchase by its own id, {label} time", BUY, {"addon": "pack", "id": "order_1"})
    await ask("other terms under the id", BUY, {"addon": "pack", "id": "order_1", "quantity": 2})
    await ask("too many at once", BUY, {"addon": "pack", "quantity": 11})
    await ask("what is not sold once", BUY, {"addon": "credit_pack"})
    await ask("ordered", BUY, {"addon": "pack", "id": "order_2", "pending": True})
    await ask("a refund before it is paid", "POST /v1/purchases/order_2/refunds", {})
    await ask("a void of what was bought", "DELETE /v1/grants/purchase:order_1%2F0")
    await ask("a refund of a part", "POST /v1/purchases/order_1/refunds", {"amount": "999.5"})
    await ask("a refund of too much", "POST /v1/purchases/order_1/refunds", {"amount": 1_001})
    await ask("a refund of the rest", "POST /v1/purchases/order_1/refunds", {})
    await ask("a refund of nothing", "POST /v1/purchases/order_1/refunds", {})
    await pages(section, "purchases", "/v1/customers/acme/purchases?limit=1")
    await all_of(section, PURCHASES)


async def deletions(section: Section) -> None:
    ask = section.ask
    await world(section)
    restore, merge = "POST /v1/customers/tiny/restore", "POST /v1/customers/tiny/merge"
    await ask("restored before it is deleted", restore, {})
    await ask("deleted", "DELETE /v1/customers/tiny")
    await ask("an alias goes to another", "PUT /v1/customers/thief", {"aliases": ["key:tiny"]})
    await ask("restored with an alias of another", restore, {})
    await ask("restored without it", restore, {"without_aliases": True})
    await ask("an id freed of who is there", "POST /v1/customers/tiny/free_id")
    await ask("merged into itself", merge, {"into": "tiny"})
    await ask("merged into nobody", merge, {"into": "nobody"})
    await ask("merged", merge, {"into": "acme"})
    await ask("merged again", merge, {"into": "acme"})
    await ask("restored after that", restore, {})
    await ask("who stays", "GET /v1/customers/tiny")
    for name in ("one", "two", "three"):
        await ask(f"{name} is made", f"PUT /v1/customers/{name}", {"plan": "free"})
        await ask(f"{name} is deleted", f"DELETE /v1/customers/{name}")
    await pages(section, "deletions", "/v1/deletions?limit=1")
    await all_of(section, DELETIONS)


async def spending(section: Section) -> None:
    ask = section.ask
    await world(section)
    section.app.use([("p1", NOW_MS - 10, "used_1", "acme", "gpt-4o", 5_000_000, [("input", 900)])])
    await quietly(section, Ask(RESERVE, of(5, id="let_go")))
    for label in ("first", "second"):
        await ask(f"a reservation by its own id, {label} time", RESERVE, RESERVATION, token="spend")
    await ask("other terms under the id", RESERVE, {**RESERVATION, "amount": 3}, token="spend")
    await ask("more than is there", RESERVE, of(60_000, id="denied"), token="spend")
    await ask("debit more than is there", DEBIT, of(60_000, id="denied"), token="spend")
    await ask("into the overdraft", DEBIT, of(120, pool="goodwill", id="over"), token="spend")
    await ask("beyond the overdraft", DEBIT, of(120, pool="goodwill", id="beyond"), token="spend")
    await ask("a debit for an event", DEBIT, of("1.5", event="ev"), token="spend")
    await ask(
        "a commit of more than is held", "POST /v1/reservations/hold_1/commit", {"amount": 3}, token="spend",
    )  # fmt: skip
    await ask("a commit of a part", "POST /v1/reservations/hold_1/commit", {"amount": "1.25"}, token="spend")
    await ask("another commit of it", "POST /v1/reservations/hold_1/commit", {"amount": 1}, token="spend")
    await ask("a release of what is committed", "DELETE /v1/reservations/hold_1", token="spend")
    await ask("a short hold", RESERVE, of(1, id="short", ttl_ms=5), token="spend")
    section.app.advance(10)
    await ask("a commit after its end", "POST /v1/reservations/short/commit", {"amount": 1}, token="spend")
    await ask("a release after its end", "DELETE /v1/reservations/short", token="spend")
    for label in ("first", "second"):
        await ask(f"a refund by its event, {label} time", REFUND, of(1, event="used_1"))
    await ask("more than was used", REFUND, of(50_000))
    await ask("an event that there is not", REFUND, of(1, event="nosuch"))
    for per in ("hour", "day", "month"):
        await ask(f"a cap by the {per}", f"PUT /v1/customers/acme/caps/ai_credits/{per}", {"amount": 5})
    await ask(
        "a cap of a key", "PUT /v1/customers/acme/caps/ai_credits/day", {"amount": 0, "key": "api_key_2"},
    )  # fmt: skip
    await ask("beyond the cap", DEBIT, of(10, id="capped"), token="spend")
    await ask("beyond the key's cap", DEBIT, of(1, key="api_key_2", id="capped_too"), token="spend")
    await ask("all caps", "GET /v1/customers/acme/caps")
    await ask("no cap of the hour any more", "DELETE /v1/customers/acme/caps/ai_credits?per=hour")
    await ask("no cap of the key any more", "DELETE /v1/customers/acme/caps/ai_credits?key=api_key_2")
    await ask("none at all any more", "DELETE /v1/customers/acme/caps/ai_credits")
    await ask("the balance now", "GET /v1/customers/acme/balances/ai_credits")
    await all_of(section, SPENDING)


async def top_ups(section: Section) -> None:
    ask = section.ask
    await world(section)
    full = next(one.full for one in TOP_UPS if one.full)
    await ask("a rule", "PUT /v1/customers/key:acme/top-ups/ai_credits", full)
    await ask(
        "a target below the threshold", "PUT /v1/customers/acme/top-ups/ai_credits",
        {"threshold": 10, "target": 5},
    )  # fmt: skip
    await ask("a meter's pool", "PUT /v1/customers/acme/top-ups/api_calls", {"threshold": 1, "target": 5})
    await ask(
        "of the other customer", "PUT /v1/customers/tiny/top-ups/goodwill", {"threshold": 0, "target": 5},
    )  # fmt: skip
    await ask("all rules", "GET /v1/top-ups")
    await ask("those of one", "GET /v1/top-ups?customer=key%3Atiny")
    await all_of(section, TOP_UPS)


async def metering(section: Section) -> None:
    ask = section.ask
    await world(section)
    events = [
        {**EVENT, "id": f"e{n}", "at": NOW_MS - n * 1_000, "units": n,
        "subject": f"s{n % 2}"} for n in range(5)
    ]  # fmt: skip
    for label in ("first", "second"):
        await ask(f"five events, {label} time", METER, {"events": events}, token="spend")
    await ask("an event with other terms", METER, {"events": [{**events[0], "units": 9}]}, token="spend")
    await ask("one event twice", METER, {"events": [{**EVENT, "id": "twice"}] * 2}, token="spend")
    await ask(
        "one of them is wrong", METER,
        {"events": [{**EVENT, "id": "ok"}, {**EVENT, "id": "bad", "customer": "nobody"}]}, token="spend",
    )  # fmt: skip
    await ask(
        "a feature that is no meter", METER, {"events": [{**EVENT, "id": "seat", "feature": "seats"}]},
        token="spend",
    )  # fmt: skip
    await ask(
        "an event in the future", METER, {"events": [{**EVENT, "id": "late", "at": JULY_MS}]}, token="spend",
    )  # fmt: skip
    await ask("no events", METER, {"events": []}, token="spend")
    section.app.advance(1_000)
    await ask(
        "a correction", "PATCH /v1/usage-events/e1", {"units": 7},
        headers=[("Fastcheck-Reason", "miscounted")],
    )  # fmt: skip
    section.app.advance(1_000)
    await ask("another correction", "PATCH /v1/usage-events/e1", {"units": None})
    listed = "/v1/customers/acme/features/api_calls/usage-events"
    await ask("all events", f"GET {listed}")
    await ask("events of a time", f"GET {listed}?since={NOW_MS - 3_000}&until={NOW_MS - 1_000}")
    await ask("heard of later", f"GET {listed}?since={NOW_MS + 1_000}")
    await pages(section, "events", f"{listed}?limit=2")
    await all_of(section, METERING)


async def events(section: Section) -> None:
    ask = section.ask
    await world(section)
    await ask("a low balance", DEBIT, of("49000.5", id="much"), token="spend")
    await ask("all of it", DEBIT, of(1_007, id="all"), token="spend")
    await ask("a customer goes", "DELETE /v1/customers/tiny")
    await ask("all events", "GET /v1/events")
    for query in (
        "kind=low_balance", "kind=customer_changed", "customer=acme", "customer=key:acme&kind=limit_reached",
        "customer=tiny",
    ):  # fmt: skip
        await ask(f"events of {query}", f"GET /v1/events?{query}")
    await pages(section, "events", "/v1/events?limit=3")
    await all_of(section, EVENTS)


async def webhooks(section: Section) -> None:
    ask = section.ask
    await world(section)
    for name, url, kinds in (
        ("hook", HOOK_URL, None), ("short", "http://127.0.0.1:9/short", ["customer_deleted"]),
    ):  # fmt: skip
        section.app.advance(1)  # They are listed in the order of their making.
        made = await ask(f"the webhook {name}", PUT_WEBHOOK, {"url": url, "kinds": kinds})
        section.found[name] = made.json["id"]
    await ask("one that is known", PUT_WEBHOOK, {"url": HOOK_URL})
    await ask("a change is told", "PUT /v1/customers/fresh", {"plan": "pro"})
    listed = await ask("what waits", "GET /v1/deliveries")
    section.found["delivery"] = delivery = listed.json["items"][0]["id"].replace("/", "%2F")
    await ask("what is not dead is not sent again", f"POST /v1/deliveries/{delivery}/replays")
    section.app.give_up(section.found["hook"])
    await ask("what is dead", "GET /v1/deliveries?state=dead")
    await ask("nothing of a webhook that is off", f"POST /v1/deliveries/{delivery}/replays")
    await ask("nor all of it", f"POST /v1/webhooks/{section.found['hook']}/replays")
    await ask("on again", PUT_WEBHOOK, {"url": HOOK_URL})
    for one in range(3):
        await ask(f"change {one}", f"PUT /v1/customers/fresh{one}", {"plan": "pro"})
    hook = section.found["hook"]
    await ask("the events of them", "GET /v1/events?kind=customer_changed")
    await ask("all deliveries", f"GET /v1/deliveries?webhook={hook}", by_chance="id")
    page = await ask("a page of deliveries", "GET /v1/deliveries?limit=2", shown=shape)
    path = f"/v1/deliveries?limit=9&cursor={page.json['cursor']}"
    await ask("the next page", f"GET {path}", called="/v1/deliveries?limit=9&cursor=<cursor>", shown=shape)
    await tags(section, "webhook", f"/v1/webhooks/{hook}", None, None)
    await ask("an old tag", f"DELETE /v1/webhooks/{hook}", headers=[("If-Match", '"old"')])
    await ask("not if it is there", f"DELETE /v1/webhooks/{hook}", headers=[("If-None-Match", "*")])
    await ask("a kind that there is not", PUT_WEBHOOK, {"url": HOOK_URL, "kinds": ["nosuch"]})
    await ask("no kinds", PUT_WEBHOOK, {"url": HOOK_URL, "kinds": []})
    key = [("Idempotency-Key", "a%20secret")]
    for label in ("once", "again"):
        await ask(f"a secret under a key {label}", f"POST /v1/webhooks/{hook}/secret", {}, headers=key)
    await ask("another under the key", f"POST /v1/webhooks/{hook}/secret", {"overlap_ms": 5}, headers=key)
    await all_of(section, WEBHOOKS)
    third = await ask("a third webhook", PUT_WEBHOOK, {"url": "http://127.0.0.1:9/third"})
    path = f"/v1/webhooks/{third.json['id']}"
    tag = (await ask("its tag", f"GET {path}")).header("etag")
    await ask("deleted as it was seen", f"DELETE {path}", headers=[("If-Match", tag)])
    await ask("and no more", f"DELETE {path}", headers=[("If-Match", tag)])
    await ask("nor without a tag", f"DELETE {path}")
    fourth = await ask("a fourth webhook", PUT_WEBHOOK, {"url": "http://127.0.0.1:9/fourth"})
    for label in ("once", "again"):
        await ask(
            f"deleted under a key {label}", f"DELETE /v1/webhooks/{fourth.json['id']}",
            headers=[("Idempotency-Key", "gone")],
        )  # fmt: skip
    await ask(
        "another deleted under the key", f"DELETE /v1/webhooks/{hook}", headers=[("Idempotency-Key", "gone")],
    )  # fmt: skip


async def records(section: Section) -> None:
    ask = section.ask
    for what, body in (
        ("GET /v1/catalog", None), (PUT_ACME, {"plan": "pro"}), ("GET /v1/customers", None),
        ("GET /v1/pools", None), ("GET /v1/customers/acme/features/seats", None), (EXPORTS, {}),
        (METER, {"events": [EVENT]}),
    ):  # fmt: skip
        more: dict[str, Any] = {} if body is None else {"body": body}
        await ask(f"without a catalog: {what}", what, **more)
    make = [YAML, ("If-None-Match", "*"), ("Fastcheck-Filename", "pr%C3%A9cis.yaml")]
    for label, text in (("the first catalog", CATALOG), ("another", CATALOG + b"\n")):
        await ask(f"if there is none: {label}", PUT_CATALOG, raw=text, headers=make)
    await ask("its name", "GET /v1/catalog")
    await ask(
        "only with a tag that it has not", PUT_CATALOG, raw=CATALOG, headers=[YAML, ("If-Match", '"other"')],
    )  # fmt: skip
    await world(section)
    await tags(section, "catalog", "/v1/catalog", None, None)
    wider = CATALOG.replace(b"seats: 25", b"seats: 30")
    tag = (await ask("the tag", "GET /v1/catalog")).header("etag")
    for label in ("first", "second"):
        await ask(f"with its tag, {label} time", PUT_CATALOG, raw=wider, headers=[YAML, ("If-Match", tag)])
    key = ("Idempotency-Key", "catalog%201")
    for label, text in (("once", CATALOG), ("again", CATALOG), ("with another", wider)):
        await ask(f"under a key {label}", PUT_CATALOG, raw=text, headers=[YAML, key])
    for label, name in (
        ("none", None), ("empty", ""), ("no UTF-8", "%FF"), ("a NUL", "%00"),
        ("1,536 characters", "n" * 1_536), ("1,537 characters", "n" * 1_537), ("a path", "../a%2Fb.yaml"),
    ):  # fmt: skip
        headers = [YAML, *([] if name is None else [("Fastcheck-Filename", name)])]
        await ask(f"a check with the name: {label}", CHECK_CATALOG, raw=b"fastcheck: 2", headers=headers)
        await ask(f"a catalog with the name: {label}", PUT_CATALOG, raw=b"fastcheck: 2", headers=headers)
    in_use = CATALOG.replace(b"      2:\n", b"      3:\n").replace(b"      1: {", b"      4: {")
    broken = b"fastcheck: 1\nplans: {x: {features: {nope: true, nay: true}}}"
    for label, text in (
        ("broken", broken), ("no UTF-8", b"\xff\xfe"), ("empty", b""), ("in use", in_use),
        ("JSON", b'{"fastcheck": 1}'), ("a NUL", b"fastcheck: 1\n\0"), ("deep", b"[" * 50_000),
    ):  # fmt: skip
        for media_type in ("application/yaml", "application/json", "text/plain"):
            of = [("Content-Type", media_type)]
            await ask(f"check of what is {label}, {media_type}", CHECK_CATALOG, raw=text, headers=of)
            if media_type == "application/yaml":
                await ask(f"a catalog that is {label}", PUT_CATALOG, raw=text, headers=of)
    await ask("no media type", PUT_CATALOG, raw=CATALOG)
    length = [YAML, ("Content-Length", str((16 << 20) + 1))]
    await ask("a catalog over its bound", PUT_CATALOG, raw=b"x", headers=length)
    await ask("a catalog over its bound, checked", CHECK_CATALOG, raw=b"x", headers=length)
    await ask("a catalog over the bound of others", CHECK_CATALOG, raw=b"#" * ((4 << 20) + 1), headers=[YAML])
    section.app.use(
        [("p1", NOW_MS - 10, "req_1", "acme", "gpt-4o", 5_000_000, [("input", 900), ("output", 7)]), ("p2",
        NOW_MS - 5, "req_2", "acme", "gpt-4o", 7, []), ("p3", NOW_MS, "req_3", "tiny", "api_calls", 1, [])],
    )  # fmt: skip
    await ask("all usage", "GET /v1/usage")
    for query in (
        "customer=key:acme", "feature=api_calls", f"since={NOW_MS - 5}", f"until={NOW_MS - 5}",
        f"since={NOW_MS}&until=5", "customer=nobody",
    ):  # fmt: skip
        await ask(f"usage of {query}", f"GET /v1/usage?{query}")
    await pages(section, "usage", "/v1/usage?limit=1")
    await ask("all of the audit log", "GET /v1/audit")
    await ask("of one subject", "GET /v1/audit?subject=acme")
    await pages(section, "the audit log", "/v1/audit?limit=5")
    for feature in ("export", "seats", "retention_days", "api_calls", "storage", "gpt-4o", "nosuch"):
        for customer in ("acme", "key:tiny"):
            await ask(f"{feature} of {customer}", f"GET /v1/customers/{customer}/features/{feature}")
        await ask(f"{feature} explained", f"GET /v1/customers/acme/features/{feature}/explanation")
    await ask("explained then", f"GET /v1/customers/acme/features/seats/explanation?at={JULY_MS}")
    await ask(
        "explained before there was a catalog", "GET /v1/customers/acme/features/seats/explanation?at=5",
    )  # fmt: skip
    await all_of(section, RECORDS)
    await ask("the audit log at the end", "GET /v1/audit?limit=1000&subject=acme")


async def finance(section: Section) -> None:
    ask = section.ask
    await world(section)
    section.app.use(
        [("p1", NOW_MS - 10, "req_1", "acme", "gpt-4o", 5_000_000, [("input", 900)]), ("p2", NOW_MS - 5,
        "req_2", "tiny", "api_calls", 7, [])],
    )  # fmt: skip
    await ask("some is burned", DEBIT, of("12.5", id="d1"), token="spend")
    section.app.advance(40 * DAY_MS)
    for what in ("leases", "accounts"):
        cursor: str | None = None
        for number in range(3):
            answer = await ask(
                f"{what} booked, page {number}", "POST /v1/ledger/bookings", {"what": what, "cursor": cursor},
            )  # fmt: skip
            cursor = answer.json["cursor"]
            if cursor is None:
                break
    made = await ask("an export", EXPORTS, {})
    section.found["export"] = made.json["id"]
    for what in ("movements", "usage"):
        await ask(f"all {what}", f"GET /v1/exports/{section.found['export']}/{what}")
        await pages(section, what, f"/v1/exports/{section.found['export']}/{what}?limit=1")
    await ask("sums", f"GET /v1/exports/{section.found['export']}/sums")
    await ask("more sums", f"GET /v1/exports/{section.found['export']}/sums?after=100000")
    await ask("an export backwards", EXPORTS, {"since": NOW_MS, "until": 5})
    await ask("an export of the future", EXPORTS, {"until": "2099-01-01T00:00:00Z"})
    await ask(
        "an export of some time", EXPORTS,
        {"since": "2024-05-01T00:00:00Z", "until": "2024-06-01T00:00:00+02:00"},
    )  # fmt: skip
    await pages(section, "accounts", "/v1/ledger/accounts")
    await all_of(section, FINANCE)


async def epochs(section: Section) -> None:
    ask = section.ask
    await world(section)
    await ask(
        "both reasons", "POST /v1/epochs", {"reason": "of the body"},
        headers=[("Fastcheck-Reason", "of%20the%20header")],
    )  # fmt: skip
    await ask("the audit log has one", "GET /v1/audit?limit=1")
    await all_of(section, EPOCHS)


async def clock(section: Section) -> None:
    await world(section)
    await all_of(section, CLOCK)


async def tokens(section: Section) -> None:
    ask = section.ask
    await world(section)
    made = await ask("a token to be revoked", MAKE_TOKEN, {"name": "short", "scopes": ["stream", "admin"]})
    section.found["token"] = made.json["state"]["id"]
    key = [("Idempotency-Key", "token%201")]
    terms = {"name": "once", "scopes": ["spend"]}
    for label, one in (("once", terms), ("again", terms), ("with other terms", {**terms, "name": "twice"})):
        await ask(f"under a key {label}", MAKE_TOKEN, one, headers=key)
    await ask("over already", MAKE_TOKEN, {**terms, "expires_at": NOW_MS - 5})
    await ask("no scopes", MAKE_TOKEN, {"name": "x", "scopes": []})
    await ask("17 scopes", MAKE_TOKEN, {"name": "x", "scopes": ["spend"] * 17})
    await ask("all tokens", "GET /v1/tokens", by_chance="id")
    await ask("tokens after the last", "GET /v1/tokens?cursor=zz")
    await authentication(section)
    await all_of(section, TOKENS)


async def authentication(section: Section) -> None:
    """Who asks."""
    ask = section.ask
    good = section.tokens["support"]
    for label, value in (
        ("no scheme", good),
        ("another scheme", f"Basic {good}"),
        ("a lower-case scheme", f"bearer {good}"),
        ("no token", "Bearer"),
        ("an empty token", "Bearer "),
        ("two spaces", f"Bearer  {good}"),
        ("a space after it", f"Bearer {good} "),
        ("a wrong secret", f"Bearer {good[:-1]}{'A' if good[-1] != 'A' else 'B'}"),
        ("half of it", f"Bearer {good[:24]}"),
        ("512 characters", "Bearer " + "n" * 512),
        ("513 characters", "Bearer " + "n" * 513),
        ("not ASCII", "Bearer é"),
        ("another environment", "Bearer fc_test_0000000000000000_" + "A" * 43),
        ("an unknown token", "Bearer fc_live_0000000000000001_" + "A" * 43),
        ("in lower case", f"Bearer {good.lower()}"),
    ):
        await ask(
            f"Authorization: {label}", "GET /v1/position?nosuch=1", headers=[("Authorization", value)],
            token="support",
        )  # fmt: skip
    two = [("Authorization", f"Bearer {section.tokens['admin']}"), ("Authorization", "Bearer nonsense")]
    await ask("two tokens", "GET /v1/customers", headers=two)
    await ask("two tokens, the other first", "GET /v1/customers", headers=two[::-1])
    await ask("in the query", "GET /v1/customers?token=x&access_token=y", token=None)
    await section.make_token(
        "short-lived", {"name": "short-lived", "scopes": ["admin"], "expires_at": NOW_MS + 5},
    )  # fmt: skip
    section.app.advance(10)
    await ask("an expired token", "GET /v1/customers", token="short-lived")
    state = await section.make_token("revoked", {"name": "revoked", "scopes": ["admin"]})
    await ask("a token is revoked", f"DELETE /v1/tokens/{state['id']}")
    await ask("a revoked token", "GET /v1/customers", token="revoked")
    await section.make_token("both", {"name": "a/b", "scopes": ["spend", "support"], "rate_per_s": 1_000_000})
    await ask("scopes are named in order", EXPORTS, {}, token="both")
    await section.make_token("slash", {"name": "console/jo", "scopes": ["admin"], "rate_per_s": 1_000_000})
    await ask(
        "an author behind a slash", "PUT /v1/customers/new", {"plan": "free"}, token="slash",
        headers=[("Fastcheck-Author", "eve")],
    )  # fmt: skip
    await section.make_token("slow", {"name": "slow", "scopes": ["support"], "rate_per_s": 1})
    for _ in range(50):  # As many as the machine's clock lets through.
        if (await ask("", "GET /v1/position", token="slow", quiet=True)).status == 429:
            break
    await ask("too often", "GET /v1/position", token="slow")
    await ask("the audit log of it", "GET /v1/audit?limit=12")
    for label, token, path, body, headers in (
        ("no token and no JSON", None, "/v1/customers/acme", b"{", [JSON]),
        (
            "no token and another media type", None, "/v1/customers/acme", b"{}",
            [("Content-Type", "text/plain")],
        ),
        ("no token and too large", None, "/v1/customers/acme", b"{}", [JSON, ("Content-Length", "4194305")]),
        ("no token and a bad header", None, "/v1/customers/acme", b"{}", [JSON, ("Idempotency-Key", "")]),
        (
            "the wrong scope and a bad header", "support", "/v1/customers/acme", b"{}",
            [JSON, ("Idempotency-Key", "")],
        ),
        (
            "a bad header, path and body", "admin", "/v1/customers/a%00b", b'{"plan": 5}',
            [JSON, ("Idempotency-Key", "")],
        ),
        (
            "a bad tag, path and body", "admin", "/v1/customers/a%00b", b'{"plan": 5}',
            [JSON, ("If-Match", "n" * 5_000)],
        ),
        (
            "a header with a NUL, path and body", "admin", "/v1/customers/a%00b", b'{"plan": 5}',
            [JSON, ("Fastcheck-Author", "%00")],
        ),
        (
            "a header of no UTF-8 and a bad body", "admin", "/v1/customers/acme", b'{"plan": 5}',
            [JSON, ("Fastcheck-Author", "%FF")],
        ),
        (
            "a condition where there is no tag, and a bad body", "admin",
            "/v1/customers/acme/overrides/seats", b'{"value": []}', [JSON, ("If-Match", "*")],
        ),
    ):  # fmt: skip
        await ask(f"what comes first: {label}", f"PUT {path}", raw=body, headers=headers, token=token)
    await ask("what comes first: no token and no such path", "GET /v1/nowhere", token=None)
    await ask("what comes first: no token and no such method", "POST /v1/customers/acme", {}, token=None)
    await ask("what comes first: a bad query and path", "GET /v1/customers/a%00b?at=now")


def shape(answer: Answer) -> Any:
    """What an answer is made of."""
    return shape_of(answer.json)


def shape_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape_of(one) for name, one in value.items()}
    if isinstance(value, list):
        return [f"{len(value)} items", *(list(one) if isinstance(one, dict) else "…" for one in value[:1])]
    return "…" if value is not None else None


def shape_or_refusal(answer: Answer) -> Any:
    """A refusal as it is."""
    return shape(answer) if answer.status == 200 else answer.json


# HTTP itself.


async def bodies(section: Section) -> None:
    """How bodies come: media types, lengths, JSON of all sorts."""
    ask = section.ask
    await world(section)
    path = "/v1/customers/acme"
    for media_type in (
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=latin-1",
        " application/json ",
        "application/json,text/plain",
        "application/merge-patch+json",
        "application/problem+json",
        "application/yaml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "application/octet-stream",
        "json",
        "*/*",
        "",
    ):
        await ask(
            f"media type {media_type!r}", f"PUT {path}", raw=b'{"plan": "pro"}',
            headers=[("Content-Type", media_type)],
        )  # fmt: skip
    await ask("no media type", f"PUT {path}", raw=b'{"plan": "pro"}')
    await ask("no media type and no body", f"PUT {path}")
    await ask("a media type and no body", f"PUT {path}", headers=[JSON])
    await ask("a media type of text and no body", f"PUT {path}", headers=[("Content-Type", "text/plain")])
    await ask("two media types", f"PUT {path}", raw=b"{}", headers=[JSON, ("Content-Type", "text/plain")])
    for length in (
        "0", "4194304", "4194305", "99999999999999999999", "-1", "abc", "", "+5", "5, 5", "0x10",
        "٥".encode().decode("latin-1"), "00000000000000000000004194305",
    ):  # fmt: skip
        await ask(
            f"Content-Length: {length!r}", f"PUT {path}", raw=b'{"plan": "pro"}',
            headers=[JSON, ("Content-Length", length)],
        )  # fmt: skip
    await ask(
        "too large and no JSON by its type", f"PUT {path}", raw=b"x",
        headers=[("Content-Type", "text/plain"), ("Content-Length", "4194305")],
    )  # fmt: skip
    await ask("in parts", f"PUT {path}", parts=[b'{"pl', b"", b'an": "pro"}'], headers=[JSON])
    await ask("in parts without a media type", f"PUT {path}", parts=[b"{}"])
    await ask(
        "in parts, too large", f"PUT {path}", parts=[b'{"plan": "'] + [b"n" * (1 << 20)] * 4 + [b'"}'],
        headers=[JSON],
    )  # fmt: skip
    await ask(
        "larger than its length says", f"PUT {path}", raw=b'{"plan": "' + b"n" * (4 << 20) + b'"}',
        headers=[JSON, ("Content-Length", "10")],
    )  # fmt: skip
    await ask(
        "as large as may be", f"PUT {path}", raw=b'{"plan": "pro"}' + b" " * ((4 << 20) - 15), headers=[JSON],
    )  # fmt: skip
    await ask(
        "one byte larger", f"PUT {path}", raw=b'{"plan": "pro"}' + b" " * ((4 << 20) - 14), headers=[JSON],
    )  # fmt: skip
    await ask("a body of a GET", f"GET {path}", {"plan": "pro"})
    await ask(
        "a body of a GET of another type", f"GET {path}", raw=b"x", headers=[("Content-Type", "text/plain")],
    )  # fmt: skip
    await ask("a body of a DELETE", "DELETE /v1/customers/nobody", {"plan": "pro"})
    await ask("no JSON as a body of a DELETE", "DELETE /v1/customers/nobody", raw=b"{", headers=[JSON])
    await ask("a body where none is taken", "POST /v1/segments/beta/continuation", {"x": 1})
    for label, text in (
        ("a byte order mark", b'\xef\xbb\xbf{"plan": "pro"}'),
        ("UTF-16", '{"plan": "pro"}'.encode("utf-16")),
        ("no UTF-8", b'{"plan": "\xff"}'),
        ("spaces around", b' \r\n\t{"plan": "pro"}\n '),
        ("an encoded surrogate", b'{"plan": "\xed\xa0\x80"}'),
        ("text after it", b'{"plan": "pro"} x'),
        ("two objects", b'{"plan": "pro"}{}'),
        ("a comma at the end", b'{"plan": "pro",}'),
        ("single quotes", b"{'plan': 'pro'}"),
        ("a comment", b'{"plan": "pro"} // x'),
        ("NaN", b'{"version": NaN}'),
        ("Infinity", b'{"version": -Infinity}'),
        ("a huge exponent", b'{"version": 1e400}'),
        ("a small exponent", b'{"version": 1e0}'),
        ("minus zero", b'{"version": -0}'),
        ("leading zeros", b'{"version": 01}'),
        ("5,000 digits", b'{"version": ' + b"1" * 5_000 + b"}"),
        ("the same field twice", b'{"plan": "free", "plan": "pro"}'),
        ("the same field twice, one wrong", b'{"plan": 5, "plan": "pro"}'),
        ("a control character", b'{"plan": "a\x01"}'),
        ("a bad escape", b'{"plan": "\\x"}'),
        ("half an escape", b'{"plan": "\\u00"}'),
        ("an escaped name", b'{"\\u0070lan": "pro"}'),
        ("a pair of surrogates", b'{"plan": "\\ud83d\\udca9"}'),
        ("a pair the wrong way round", b'{"plan": "\\udca9\\ud83d"}'),
        ("an unknown field of a surrogate", b'{"\\ud800": 1}'),
        ("an unknown field of 200 characters", b'{"' + b"n" * 200 + b'": 1}'),
        ("an unknown field with a point", b'{"a.b": 1}'),
        ("an unknown field without a name", b'{"": 1}'),
        ("__proto__", b'{"__proto__": 1}'),
        ("an unknown field of HTML", b'{"<b>": 1}'),
        ("deep lists", b"[" * 100_000),
        ("deep objects", b'{"a":' * 50_000),
        ("deep and whole", b"[" * 200 + b"]" * 200),
        ("deep in a field", b'{"addons": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}"),
        ("a list", b"[]"),
        ("a list of it", b'[{"plan": "pro"}]'),
        ("text", b'"pro"'),
        ("a number", b"5"),
        ("a float", b"1.5"),
        ("null", b"null"),
        ("true", b"true"),
        ("only spaces", b"  "),
        ("nothing", b""),
        ("an open object", b"{"),
        ("a key alone", b'{"plan"'),
        ("a NUL", b"\0"),
        ("a NUL after it", b'{"plan": "pro"}\0'),
    ):
        await ask(f"JSON: {label}", f"PUT {path}", raw=text, headers=[JSON])
    for label, text in (
        ("no UTF-8", b'{"value": "\xff"}'), ("NaN", b'{"value": NaN}'),
        ("a huge exponent", b'{"value": 1e400}'), ("5,000 digits", b'{"value": ' + b"1" * 5_000 + b"}"),
        ("a minus zero", b'{"value": -0}'), ("an exponent", b'{"value": 1e3}'),
    ):  # fmt: skip
        await ask(f"a value: {label}", "PUT /v1/customers/acme/overrides/seats", raw=text, headers=[JSON])


async def headers(section: Section) -> None:
    """What is said of a change, how ids of requests come back."""
    ask = section.ask
    await world(section)
    path = "/v1/customers/acme/overrides/seats"
    values = {
        "empty": "",
        "no UTF-8": "%FF",
        "a NUL": "a%00b",
        "a lone surrogate": "%ED%A0%80",
        "no hexadecimal": "%zz",
        "a bare percent sign": "100%",
        "not ASCII": "j%C3%B6",
        "not encoded": "jö",
        "a plus": "a+b",
        "a new line": "a%0Ab",
        "only a space": "%20",
        "512 bytes": "n" * 512,
        "513 bytes": "n" * 513,
        "1,536 characters": "%6E" * 512,
        "1,539 characters": "%6E" * 513,
        "4,096 bytes": "n" * 4_096,
        "4,097 bytes": "n" * 4_097,
        "12,288 characters": "%6E" * 4_096,
        "12,289 characters": "n" * 12_289,
    }
    for header in ("Fastcheck-Author", "Fastcheck-Reason", "Idempotency-Key"):
        for label, value in values.items():
            await ask(f"{header}: {label}", f"PUT {path}", {"value": 5}, headers=[(header, value)])
        await ask(f"{header}, twice", f"PUT {path}", {"value": 5}, headers=[(header, "one"), (header, "two")])
        await ask(f"{header} of a GET", "GET /v1/customers/acme", headers=[(header, "%FF")])
        await ask(f"{header} of a DELETE", f"DELETE {path}", headers=[(header, "%FF")])
    await ask("what the audit log has of it", "GET /v1/audit?limit=30&subject=acme")
    for label, value in (
        ("another", "own-id.7"), ("64 characters", "n" * 64), ("65 characters", "n" * 65), ("a space", "a b"),
        ("empty", ""), ("not ASCII", "é"),
    ):  # fmt: skip
        await ask(f"X-Request-Id: {label}", "GET /v1/position", headers=[("X-Request-Id", value)])
    for accept in ("text/html", "application/xml", "application/problem+json", "*/*;q=0"):
        await ask(f"Accept: {accept}", "GET /v1/customers/nobody", headers=[("Accept", accept)])
    for name, value in (
        ("Accept-Encoding", "gzip"), ("Origin", "https://example.com"), ("Range", "bytes=0-5"),
        ("X-HTTP-Method-Override", "DELETE"), ("X-Forwarded-Prefix", "/x"), ("Host", "evil"),
        ("Expect", "100-continue"), ("If-Modified-Since", "Wed, 01 May 2024 00:00:00 GMT"),
    ):  # fmt: skip
        await ask(f"{name}: {value}", "GET /v1/customers/acme", headers=[(name, value)])


async def paths(section: Section) -> None:
    """Paths and methods that there are not."""
    ask = section.ask
    await world(section)
    for path in (
        "/",
        "/v1",
        "/v1/",
        "/v2/customers",
        "/nowhere",
        "/v1/nowhere",
        "/V1/customers",
        "/v1/Customers",
        "/v1/customers/",
        "/v1//customers",
        "//v1/customers",
        "/v1/customers//",
        "/v1/customers//overrides",
        "/v1/customers/acme/",
        "/v1/customers/acme/nosuch",
        "/v1/customers%2Facme",
        "/v1%2Fcustomers",
        "/%76%31/customers",
        "/v1/%63ustomers",
        "/v1/customers%3Abatch",
        "/v1/customers:nosuch",
        "/v1/customers;a=b",
        "/v1/customers/../tokens",
        "/v1/./customers",
        "/v1/customers/.",
        "/v1/customers/%2e",
        "/v1/customers/acme%2Foverrides",
        "/v1/customers/acme?",
        "/v1/customers/acme?at",
        "/v1/customers/acme?&&",
        "/v1/customers/acme?at=5&at=7",
        "/v1/customers/acme?AT=now",
        "/v1/customers/acme?at=5;limit=0",
        "/v1/customers/acme?%FF=%FF",
        "/v1/customers?limit=1%00",
        "/v1/customers?limit=%31",
        "/v1/customers?%6Cimit=1",
        "/v1/customers?limit",
        "/v1/customers/a\x7fb",
        "/v1/customers/caf\xc3\xa9",
        "/v1/customers/\xff",
        "/v1/moves/",
        "/v1/segments/",
        "/v1/catalog/",
        "/v1/catalog:nosuch",
        "/v1/exports",
        "/v1/exports/0-1-1-1-1",
        "/v1/openapi.json/",
        "/v1/openapi",
        "/openapi.json",
        "/docs",
        "/redoc",
        "/v1/docs",
        "/metrics/",
        "/healthz/",
        "/favicon.ico",
        "/v1/stream",
        "/v1/customers/acme/balances",
        "/v1/customers/acme/caps/ai_credits/day",
        "/v1/ledger",
        "/v1/reservations/held",
    ):
        await ask(f"GET {path}", f"GET {path}")
    for method in ("PUT", "POST", "DELETE", "OPTIONS", "HEAD"):
        for path in (
            "/v1/nowhere", "/nowhere", "/v1/customers/", "/v1/customers/acme/",
            "/v1/customers//overrides/seats",
        ):  # fmt: skip
            await ask(f"{method} {path}", f"{method} {path}")
    known: dict[str, list[str]] = {}
    for route in ROUTES:
        known.setdefault(route.path, []).append(route.method)
    for path in ("/healthz", "/readyz", "/metrics", "/v1/openapi.json"):
        known[path] = ["GET"]
    for path, methods in known.items():
        where = path
        for name in ("customer", "feature", "pool", "segment", "plan", "id", "export"):
            where = where.replace("{" + name + "}", "nobody")
        where = where.replace("{per}", "day")
        for method in ("GET", "PUT", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS"):
            if method not in methods:
                await ask(f"no {method} of {path}", f"{method} {where}")
    for method in ("TRACE", "CONNECT", "PROPFIND", "get", "BREW", "Get"):
        await ask(f"the method {method}", f"{method} /v1/customers/acme")


async def pages_of_the_process(section: Section) -> None:
    """Health, readiness, figures, the snapshot: their shape."""
    ask = section.ask
    await ask("alive", "GET /healthz", token=None)
    await ask("ready without a catalog", "GET /readyz", token=None, shown=readiness)
    await catalog(section)
    for _ in range(600):  # Until there is a snapshot, of the catalog alone.
        ready = await ask("", "GET /readyz", token=None, quiet=True)
        if ready.status == 200:
            break
        await pause()
    await world(section)
    await ask("ready", "GET /readyz", token=None, shown=readiness)
    await ask(
        "alive with a nonsensical token", "GET /healthz", headers=[("Authorization", "nonsense")], token=None,
    )  # fmt: skip
    await ask("the snapshot", "GET /v1/snapshot", token="stream", route="/v1/snapshot", shown=beginning)
    tag = (await ask("", "GET /v1/snapshot", token="stream", quiet=True)).header("etag")
    for label, value in (
        ("its tag", tag), ("some tags", f'"other", {tag}'), ("another", '"other"'),
        ("a weak tag", f"W/{tag}"), ("any", "*"),
    ):  # fmt: skip
        shown = None if value.endswith(tag) and not value.startswith("W") else beginning
        await ask(
            f"the snapshot with If-None-Match: {label}", "GET /v1/snapshot", token="stream",
            headers=[("If-None-Match", value)], shown=shown,
        )  # fmt: skip
    await ask("the snapshot with a query", "GET /v1/snapshot?limit=0", token="stream", shown=beginning)
    for token in (None, "nobody", "spend", "support"):
        await ask(f"the snapshot with {token}", "GET /v1/snapshot", token=token, route="/v1/snapshot")
    await ask("the snapshot with admin", "GET /v1/snapshot", shown=beginning)
    await ask("a host's stream without a handshake", "GET /v1/stream", token="stream")
    for one in (
        Ask("GET /v1/customers/acme"), Ask("DELETE /v1/customers/acme/caps/ai_credits"),
        Ask("GET /v1/customers/acme/features/seats"),
    ):  # fmt: skip
        await quietly(section, one)
    await ask("figures", "GET /metrics", token=None, shown=figures)


async def pause() -> None:
    await asyncio.sleep(0.01)


def readiness(answer: Answer) -> Any:
    return {**answer.json, "seq": "<some>"}


def beginning(answer: Answer) -> Any:
    """Of a file: how it begins, and whether its length is as it was said."""
    return [answer.body[:4].decode("latin-1"), answer.header("content-length") == str(len(answer.body))]


def figures(answer: Answer) -> Any:
    """What there is to scrape: kinds, texts, labels; and which routes are told apart."""
    help = [line for line in answer.body.decode().split("\n") if line.startswith("# ")]
    names = set()
    routes = set()
    for line in answer.body.decode().split("\n"):
        if line and not line.startswith("#"):
            name, _, rest = line.partition("{")
            labels = [one.partition("=")[0] for one in _labels(rest)] if rest else []
            names.add(f"{name.split(' ')[0]}{{{','.join(labels)}}}")
            routes |= {one.partition("=")[2] for one in _labels(rest) if one.startswith("route=")}
    return {"help": help, "names": sorted(names), "routes": sorted(routes)}


def _labels(rest: str) -> Iterator[str]:
    for name, value in re.findall(r'(\w+)="([^"]*)"', rest.rpartition("}")[0]):
        yield f"{name}={value}"


async def document(section: Section) -> None:
    """The OpenAPI document, an operation and a schema a record."""
    ask = section.ask
    answer = await ask(
        "the document", "GET /v1/openapi.json", token=None, shown=lambda one: rest_of(one.json),
    )  # fmt: skip
    await ask("the document again", "GET /v1/openapi.json", shown=lambda one: list(one.json))
    whole = answer.json
    for path, item in whole["paths"].items():
        for method, operation in item.items():
            section.part(f"{method.upper()} {path}", operation)
    for kind, found_ in whole["components"].items():
        for name, one in found_.items():
            section.part(f"components.{kind}.{name}", one)


def rest_of(document: Any) -> Any:
    return {
        **document, "paths": list(document["paths"]),
        "components": {kind: sorted(one) for kind, one in document["components"].items()}
    }  # fmt: skip


SECTIONS: dict[str, Callable[[Section], Awaitable[None]]] = {
    "customers": customers,
    "plans": plans,
    "segments": segments,
    "money": money,
    "purchases": purchases,
    "deletions": deletions,
    "spending": spending,
    "top-ups": top_ups,
    "metering": metering,
    "events": events,
    "webhooks": webhooks,
    "records": records,
    "finance": finance,
    "epochs": epochs,
    "clock": clock,
    "tokens": tokens,
    "bodies": bodies,
    "headers": headers,
    "paths": paths,
    "process": pages_of_the_process,
    "document": document,
}
"""Each with a hub of its own."""
