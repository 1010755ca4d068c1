"""Which request of the hub's HTTP API each request of `admin` is, and how its answer is read: one row for
each. `fastcheck.hub.http.api` is the other side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from fastcheck.hub_client.exchange import Reply, Request, document
from fastcheck.hub_client.requests import asking, change, encoded, get, path, path_of, setting
from fastcheck.wire import answers, shapes
from fastcheck.wire.answers import Page
from fastcheck.wire.by import By
from fastcheck.wire.cut import Cut
from fastcheck.wire.event_answers import DeliveryState, WebhookState
from fastcheck.wire.headers import FILENAME
from fastcheck.wire.json import read, shape, write
from fastcheck.wire.operation import Answer, Repeat
from fastcheck.wire.operation import Request as Asked
from fastcheck.wire.operations import OPERATIONS
from fastcheck.wire.operations.catalog import CheckCatalog, GetCatalog, SetCatalog
from fastcheck.wire.plan_change_requests import Migrate, MoveCustomers, MoveRequest, MoveSegment
from fastcheck.wire.requests import PutCustomer, PutOverride, UsageEvent
from fastcheck.wire.segment_requests import PutMembers
from fastcheck.wire.token_answers import MadeToken, TokenState

Read = Callable[[Reply], Any]


class Routed(NamedTuple):
    """A request, and how its answer is read."""

    request: Request
    read: Read


def routed(request: Asked[Answer], by: By) -> Routed:
    """An operation as its row says."""
    row = OPERATIONS.of(request)
    by_hand = _BY_HAND.get(type(request))
    if by_hand is not None:
        return by_hand(request, by)
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


def _asked(request: SetCatalog | CheckCatalog, by: By) -> Routed:
    row = OPERATIONS.of(request)
    headers = change(row.method, "", None, by).headers if row.changes else {}
    named = {**headers, "Content-Type": "application/yaml", FILENAME: encoded(request.filename)}
    return Routed(Request(row.method, path_of(row.path, {}), request.source, named), of(row.answer))


def _told(request: GetCatalog, by: By) -> Routed:
    def text(reply: Reply) -> shapes.CatalogText:
        filename = unquote(reply.headers.get(FILENAME.lower(), ""))
        return shapes.CatalogText(reply.body, filename, reply.headers.get("etag", "").strip('"'))

    return Routed(get(path("catalog")), text)


_BY_HAND: Final[Mapping[type[Asked[Any]], Callable[[Any, By], Routed]]] = {
    GetCatalog: _told,
    SetCatalog: _asked,
    CheckCatalog: _asked,
}
"""The catalog's text is the body itself."""


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


# Events and webhooks.


def list_events(cursor: str | None, limit: int, kind: str | None, customer: str | None) -> Routed:
    asked = get(path("events"), cursor=cursor, limit=limit, kind=kind, customer=customer)
    return Routed(asked, of(Page[answers.EventState]))


def put_webhook(url: str, kinds: tuple[str, ...] | None, by: By) -> Routed:
    return Routed(change("POST", path("webhooks"), {"url": url, "kinds": kinds}, by), of(WebhookState))


def list_webhooks() -> Routed:
    return Routed(get(path("webhooks")), items(WebhookState))


def delete_webhook(id: str, by: By) -> Routed:
    return Routed(change("DELETE", path("webhooks", id), None, by), nothing)


def rotate_webhook_secret(id: str, overlap_ms: int, by: By) -> Routed:
    return Routed(
        change("POST", path("webhooks", id, "secret"), {"overlap_ms": overlap_ms}, by), of(WebhookState)
    )


def list_deliveries(cursor: str | None, limit: int, state: str | None, webhook: str | None) -> Routed:
    asked = get(path("deliveries"), cursor=cursor, limit=limit, state=state, webhook=webhook)
    return Routed(asked, of(Page[DeliveryState]))


def replay_delivery(id: str, by: By) -> Routed:
    return Routed(change("POST", path("deliveries", id, "replays"), None, by), of(DeliveryState))


def replay_dead(webhook: str, by: By) -> Routed:
    return Routed(
        change("POST", path("webhooks", webhook, "replays"), None, by),
        of(shapes.Count, lambda one: one.count),
    )


# Tokens.


def make_token(
    called: str, scopes: list[str], environment: str, expires_at: int | None, rate_per_s: int | None, by: By
) -> Routed:
    body = {
        "name": called, "scopes": scopes, "environment": environment, "expires_at": expires_at,
        "rate_per_s": rate_per_s,
    }  # fmt: skip
    asked = change("POST", path("tokens"), body, by, keyed=False)
    # Repeated, it would answer without the token's text, or make another token.
    return Routed(replace(asked, repeatable=False), of(MadeToken))


def list_tokens(cursor: str | None, limit: int) -> Routed:
    return Routed(get(path("tokens"), cursor=cursor, limit=limit), of(Page[TokenState]))


def revoke_token(id: str, by: By) -> Routed:
    return Routed(change("DELETE", path("tokens", id), None, by, keyed=False), of(TokenState))


# Metering.


def meter_usage(events: tuple[UsageEvent, ...]) -> Routed:
    body = {
        "events": [
            {
                "id": one.id, "at": one.at, "customer": one.customer, "feature": one.feature,
                "units": one.units, "subject": one.subject,
            }
            for one in events
        ]
    }  # fmt: skip
    asked = change("POST", path("usage-events"), body, None, keyed=False)
    return Routed(asked, of(shapes.Count, lambda one: one.count))


def correct_usage(id: str, units: int | None, by: By) -> Routed:
    return Routed(change("PATCH", path("usage-events", id), {"units": units}, by), nothing)


def metered(customer: str, feature: str, since: int, until: int, cursor: str | None, limit: int) -> Routed:
    where = path("customers", customer, "features", feature, "usage-events")

    def rows(page: Page[shapes.MeteredEvent]) -> tuple[tuple[Any, ...], str | None]:
        return tuple(
            (
                one.id,
                one.at,
                one.received_at,
                one.units,
                one.subject,
                tuple((part.place, part.at, part.units) for part in one.corrections),
            )
            for one in page.items
        ), page.cursor

    asked = get(where, since=since, until=until, cursor=cursor, limit=limit)
    return Routed(asked, of(Page[shapes.MeteredEvent], rows))


# Finance.


def pools() -> Routed:
    return Routed(get(path("pools")), items(answers.PoolState))


def check_pools() -> Routed:
    return Routed(get(path("ledger", "problems")), items(answers.Problem))


def check(cursor: str | None) -> Routed:
    def page(one: shapes.CheckedAccounts) -> tuple[Any, int, str | None]:
        return one.problems, one.accounts, one.cursor

    return Routed(get(path("ledger", "accounts"), cursor=cursor), of(shapes.CheckedAccounts, page))


def book_due(what: str, cursor: tuple[str] | None) -> Routed:
    body = {"what": what, "cursor": None if cursor is None else cursor[0]}
    asked = change("POST", path("ledger", "bookings"), body, None, keyed=False)
    return Routed(asked, of(shapes.Booked, lambda one: None if one.cursor is None else (one.cursor,)))


def finance_cut(since: int | None, until: int | None) -> Routed:
    asked = change("POST", path("exports"), {"since": since, "until": until}, None, keyed=False)
    return Routed(asked, of(shapes.Export, shapes.cut_of))


def _rows(cut: Cut, what: str, hint: Any, cursor: str | None, limit: int) -> Routed:
    asked = get(path("exports", shapes.export_of(cut).id, what), cursor=cursor, limit=limit)

    def rows(page: Page[Any]) -> tuple[tuple[Any, ...], str | None]:
        return tuple(tuple(vars(one).values()) for one in page.items), page.cursor

    return Routed(asked, of(Page[hint], rows))


def finance_movements(cut: Cut, cursor: str | None, limit: int) -> Routed:
    return _rows(cut, "movements", shapes.Movement, cursor, limit)


def finance_usage(cut: Cut, cursor: str | None, limit: int) -> Routed:
    return _rows(cut, "usage", shapes.ExportedUse, cursor, limit)


def finance_sums(cut: Cut, after: int) -> Routed:
    asked = get(path("exports", shapes.export_of(cut).id, "sums"), after=after)

    def sums(one: shapes.ExportSums) -> tuple[Any, Any]:
        return (
            tuple(tuple(vars(part).values()) for part in one.postings),
            tuple(tuple(vars(part).values()) for part in one.records),
        )

    return Routed(asked, of(shapes.ExportSums, sums))


ROUTES: Mapping[str, Callable[..., Routed]] = {
    one.__name__: one
    for one in (
        put_customers, delete_customer, get_customer, list_customers, ids_of, put_override, remove_override,
        list_overrides, move, cancel_move, list_moves, put_members, delete_segment, go_on_segment,
        get_segment, list_segments, list_members, put_segment_override, remove_segment_override,
        list_events,
        put_webhook, list_webhooks,
        delete_webhook, rotate_webhook_secret, list_deliveries, replay_delivery, replay_dead,
        meter_usage, correct_usage, metered, pools, check_pools, check, book_due, finance_cut,
        finance_movements, finance_usage, finance_sums, make_token, list_tokens, revoke_token,
    )
}  # fmt: skip

LOCAL: Mapping[str, Any] = {"settle_held": None}
"""Requests that a hub has no part in, and what they answer: it holds no cells that could be settled."""
