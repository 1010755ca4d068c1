"""Which request of the hub's HTTP API each request of `admin` is, and how its answer is read: one row for
each. `fastcheck.hub.http.api` is the other side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import unquote

from fastcheck.hub_client.exchange import Reply, Request, document
from fastcheck.hub_client.requests import amount, asking, change, cost, encoded, get, path, path_of, setting
from fastcheck.wire import answers, shapes
from fastcheck.wire.answers import Page
from fastcheck.wire.by import By
from fastcheck.wire.event_answers import TopUpState
from fastcheck.wire.headers import FILENAME
from fastcheck.wire.json import read, shape, write
from fastcheck.wire.operation import Answer, Repeat
from fastcheck.wire.operation import Request as Asked
from fastcheck.wire.operations import OPERATIONS
from fastcheck.wire.plan_change_requests import Migrate, MoveCustomers, MoveRequest, MoveSegment
from fastcheck.wire.requests import MakeGrant, PutCustomer, PutOverride
from fastcheck.wire.segment_requests import PutMembers
from fastcheck.wire.top_up_requests import PutTopUp

Read = Callable[[Reply], Any]


class Routed(NamedTuple):
    """A request, and how its answer is read."""

    request: Request
    read: Read


def routed(request: Asked[Answer], by: By) -> Routed:
    """An operation as its row says."""
    row = OPERATIONS.of(request)
    plain = write(request, shape(row.request))
    where = path_of(row.path, plain)
    given = {name: value for name, value in plain.items() if name not in row.in_path}
    hint = row.answer
    take = nothing if hint is type(None) else of(hint)
    if row.method == "GET":
        return Routed(get(where, **given), take)
    if row.method == "DELETE":
        where, given = get(where, **given).path, {}
    elif not row.changes:
        return Routed(asking(where, given), take)
    keyed = row.repeat is Repeat.KEYED
    sent = change(row.method, where, given or None, by, keyed=keyed)
    return Routed(replace(sent, repeatable=row.repeat is not Repeat.NEVER), take)


def of(hint: Any, take: Callable[[Any], Any] = lambda answer: answer) -> Read:
    """Reads an answer of a type; `take`: what of it the library answers with. Raises `ProtocolError`."""
    return lambda reply: take(read(document(reply), shape(hint)))


def items(hint: Any) -> Read:
    """Reads a list that comes on one page."""
    return of(Page[hint], lambda page: list(page.items))


def nothing(reply: Reply) -> None:
    """Of a change that has no answer."""


# Customers.


def put_customers(requests: list[PutCustomer], by: By) -> Routed:
    body = {"customers": [_customer(one) for one in requests]}
    return Routed(change("POST", path("customers:batch"), body, by), of(shapes.Count, lambda one: one.count))


def _customer(one: PutCustomer) -> dict[str, Any]:
    return {
        "id": one.id,
        "plan": one.plan,
        "version": one.version,
        "aliases": one.aliases,
        "since": one.since,
        "addons": {name: {"quantity": count, "until": until} for name, count, until in one.addons},
        "trial_plan": one.trial_plan,
        "trial_version": one.trial_version,
        "trial_until": one.trial_until,
    }


def delete_customer(customer: str, by: By) -> Routed:
    return Routed(change("DELETE", path("customers", customer), None, by), nothing)


def get_customer(customer: str, at: int | None) -> Routed:
    return Routed(get(path("customers", customer), at=at), of(answers.Customer))


def list_customers(cursor: str | None, limit: int) -> Routed:
    return Routed(get(path("customers"), cursor=cursor, limit=limit), of(Page[answers.Customer]))


def ids_of(keys: list[str]) -> Routed:
    return Routed(
        asking(path("customers:resolve"), {"keys": keys}), of(shapes.Ids, lambda one: list(one.ids))
    )


def put_override(request: PutOverride, by: By) -> Routed:
    where = path("customers", request.customer, "overrides", request.feature)
    return Routed(change("PUT", where, _override(request), by), nothing)


def _override(request: PutOverride) -> dict[str, Any]:
    return {
        "value": setting(request.value),
        "starts_at": request.starts_at,
        "expires_at": request.expires_at,
        "reason": request.reason,
    }


def remove_override(customer: str, feature: str, by: By) -> Routed:
    where = path("customers", customer, "overrides", feature)
    return Routed(change("DELETE", where, None, by), of(shapes.Removed, lambda one: one.removed))


def list_overrides(customer: str) -> Routed:
    return Routed(get(path("customers", customer, "overrides")), items(answers.Override))


# Plans.


def move(request: MoveRequest, by: By) -> Routed:
    match request:
        case MoveCustomers(customers, to):
            where, body = path("moves"), {"customers": customers, **_destination(to)}
        case MoveSegment(segment, to, after):
            where, body = path("segments", segment, "moves"), {"after": after, **_destination(to)}
        case Migrate(plan, old, new, when, after):
            where = path("plans", plan, "migrations")
            body = {"from_version": old, "to_version": new, "when": when, "after": after}
    return Routed(
        change("POST", where, body, by), of(shapes.PartOfMoves, lambda one: (list(one.moves), one.after))
    )


def _destination(to: Any) -> dict[str, Any]:
    return {
        "plan": to.plan,
        "version": to.version,
        "when": to.when,
        "keep_since": to.keep_since,
        "replace": to.replace,
    }


def cancel_move(id: str, by: By) -> Routed:
    return Routed(change("DELETE", path("moves", id), None, by, keyed=False), of(answers.Move))


def list_moves(customer: str | None, pending: bool, cursor: str | None, limit: int) -> Routed:
    asked = get(path("moves"), customer=customer, pending=pending, cursor=cursor, limit=limit)
    return Routed(asked, of(Page[answers.Move]))


# Segments.

_part = of(shapes.PartOfSegment, lambda one: (one.count, one.left))
_left = of(shapes.PartOfSegment, lambda one: one.left)


def put_members(request: PutMembers, by: By) -> Routed:
    where = path("segments", request.segment)
    if request.only:
        return Routed(change("PUT", where, {"customers": request.add}, by), _part)
    return Routed(change("PATCH", where, {"add": request.add, "remove": request.remove}, by), _part)


def delete_segment(segment: str, by: By) -> Routed:
    return Routed(change("DELETE", path("segments", segment), None, by), _left)


def go_on_segment(segment: str) -> Routed:
    return Routed(change("POST", path("segments", segment, "continuation"), None, None, keyed=False), _left)


def get_segment(segment: str) -> Routed:
    return Routed(get(path("segments", segment)), of(answers.Segment))


def list_segments(cursor: str | None, limit: int) -> Routed:
    return Routed(get(path("segments"), cursor=cursor, limit=limit), of(Page[answers.Segment]))


def list_members(segment: str, cursor: str | None, limit: int) -> Routed:
    return Routed(get(path("segments", segment, "members"), cursor=cursor, limit=limit), of(Page[str]))


def put_segment_override(request: PutOverride, by: By) -> Routed:
    where = path("segments", request.customer, "overrides", request.feature)
    return Routed(change("PUT", where, _override(request), by), _left)


def remove_segment_override(segment: str, feature: str, by: By) -> Routed:
    where = path("segments", segment, "overrides", feature)
    return Routed(
        change("DELETE", where, None, by), of(shapes.PartOfSegment, lambda one: (one.count > 0, one.left))
    )


# Money.


def grant(request: MakeGrant, by: By) -> Routed:
    kept = dict(request.rollover)
    body: dict[str, Any] = {
        "pool": request.pool, "amount": amount(request.amount), "id": request.id,
        "priority": request.priority, "effective_at": request.effective_at, "expires_at": request.expires_at,
        "kind": request.kind, "reason": request.reason, "every": request.every, "anchor": request.anchor,
        "zone": request.zone, "cost": cost(request.cost),
    }  # fmt: skip
    if kept:
        for one in ("min", "max"):
            if one in kept:
                kept[one] = amount(kept[one], f"rollover {one}")
        body["rollover"] = kept
    asked = change("POST", path("customers", request.customer, "grants"), body, by, keyed=False)
    return Routed(asked, of(answers.GrantState))


def void(grant_id: str, by: By) -> Routed:
    return Routed(change("DELETE", path("grants", grant_id), None, by, keyed=False), of(answers.GrantState))


def list_grants(customer: str, pool: str | None, at: int | None) -> Routed:
    return Routed(get(path("customers", customer, "grants"), pool=pool, at=at), items(answers.GrantState))


def balance(customer: str, pool: str, at: int | None) -> Routed:
    return Routed(get(path("customers", customer, "balances", pool), at=at), of(answers.Balance))


def balance_history(customer: str, pool: str, since: int, until: int, every: str) -> Routed:
    where = path("customers", customer, "balances", pool, "history")
    return Routed(get(where, since=since, until=until, every=every), items(answers.BalanceWindow))


# Top-ups.


def put_top_up(request: PutTopUp, by: By) -> Routed:
    cap = request.monthly_cap
    body = {
        "threshold": amount(request.threshold, "the threshold"),
        "target": amount(request.target, "the target"),
        "monthly_cap": None if cap is None else amount(cap, "the monthly cap"),
        "cost": cost(request.cost),
        "reason": request.reason,
    }
    where = path("customers", request.customer, "top-ups", request.pool)
    return Routed(change("PUT", where, body, by, keyed=False), of(TopUpState))


def remove_top_up(customer: str, pool: str, by: By) -> Routed:
    where = path("customers", customer, "top-ups", pool)
    return Routed(change("DELETE", where, None, by), of(shapes.Removed, lambda one: one.removed))


def list_top_ups(customer: str | None) -> Routed:
    return Routed(get(path("top-ups"), customer=customer), items(TopUpState))


# Records.


def _catalog(method: str, where: str, source: bytes, filename: str, headers: Mapping[str, str]) -> Request:
    named = {"Content-Type": "application/yaml", FILENAME: encoded(filename)}
    return Request(method, where, source, {**headers, **named})


def set_catalog(source: bytes, filename: str, by: By) -> Routed:
    headers = change("PUT", "", None, by).headers
    asked = _catalog("PUT", path("catalog"), source, filename, headers)
    return Routed(asked, of(shapes.Changed, lambda one: one.changed))


def catalog_problems(source: bytes, filename: str) -> Routed:
    asked = _catalog("POST", path("catalog:check"), source, filename, {})
    return Routed(asked, of(shapes.Mistakes, lambda one: list(one.problems)))


def get_catalog() -> Routed:
    def text(reply: Reply) -> shapes.CatalogText:
        filename = unquote(reply.headers.get(FILENAME.lower(), ""))
        return shapes.CatalogText(reply.body, filename, reply.headers.get("etag", "").strip('"'))

    return Routed(get(path("catalog")), text)


def audit(cursor: str | None, limit: int, subject: str | None) -> Routed:
    asked = get(path("audit"), cursor=cursor, limit=limit, subject=subject)
    return Routed(asked, of(Page[answers.AuditEntry]))


def list_usage(
    cursor: str | None,
    limit: int,
    customer: str | None,
    feature: str | None,
    since: int | None,
    until: int | None,
) -> Routed:
    asked = get(
        path("usage"),
        cursor=cursor,
        limit=limit,
        customer=customer,
        feature=feature,
        since=since,
        until=until,
    )

    def rows(page: Page[shapes.UsageRecord]) -> Page[Any]:
        return Page(
            tuple(
                (
                    one.at,
                    one.event,
                    one.customer,
                    one.feature,
                    one.units,
                    tuple((part.name, part.count) for part in one.quantities),
                )
                for one in page.items
            ),
            page.cursor,
        )

    return Routed(asked, of(Page[shapes.UsageRecord], rows))


def explain(customer: str, feature: str, at: int | None) -> Routed:
    where = path("customers", customer, "features", feature, "explanation")
    return Routed(get(where, at=at), of(answers.Explanation))


def check_feature(customer: str, feature: str) -> Routed:
    return Routed(get(path("customers", customer, "features", feature)), of(shapes.FeatureCheck))


# Epochs.


def position() -> Routed:
    return Routed(get(path("position")), of(shapes.LedgerPosition))


def restored(by: By) -> Routed:
    asked = change("POST", path("epochs"), {"reason": by.reason}, by)
    return Routed(asked, of(shapes.LedgerPosition, lambda one: int(one.epoch)))


ROUTES: Mapping[str, Callable[..., Routed]] = {
    one.__name__: one
    for one in (
        put_customers, delete_customer, get_customer, list_customers, ids_of, put_override, remove_override,
        list_overrides, move, cancel_move, list_moves, put_members, delete_segment, go_on_segment,
        get_segment, list_segments, list_members, put_segment_override, remove_segment_override, grant, void,
        list_grants, balance, balance_history, put_top_up, remove_top_up, list_top_ups, set_catalog,
        catalog_problems, get_catalog, audit, list_usage, explain, check_feature, position, restored,
    )
}  # fmt: skip
