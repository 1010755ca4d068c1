"""Which request of the hub's HTTP API each request of `admin` is, and how its answer is read: one row for
each. `fastcheck.hub.http.api` is the other side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import unquote

from fastcheck.hub_client.exchange import Reply, Request, document
from fastcheck.hub_client.requests import amount, asking, change, cost, encoded, get, path, path_of
from fastcheck.wire import answers, shapes
from fastcheck.wire.answers import Page
from fastcheck.wire.by import By
from fastcheck.wire.cut import Cut
from fastcheck.wire.event_answers import DeliveryState, TopUpState, WebhookState
from fastcheck.wire.headers import FILENAME
from fastcheck.wire.json import read, shape, write
from fastcheck.wire.operation import Answer, Repeat
from fastcheck.wire.operation import Request as Asked
from fastcheck.wire.operations import OPERATIONS
from fastcheck.wire.requests import MakeGrant, UsageEvent
from fastcheck.wire.token_answers import MadeToken, TokenState
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
        grant, void, list_grants, balance, balance_history, put_top_up, remove_top_up, list_top_ups,
        list_events, put_webhook, list_webhooks,
        delete_webhook, rotate_webhook_secret, list_deliveries, replay_delivery, replay_dead, set_catalog,
        catalog_problems, get_catalog, audit, list_usage, explain, check_feature, position, restored,
        meter_usage, correct_usage, metered, pools, check_pools, check, book_due, finance_cut,
        finance_movements, finance_usage, finance_sums, make_token, list_tokens, revoke_token,
    )
}  # fmt: skip

LOCAL: Mapping[str, Any] = {"settle_held": None}
"""Requests that a hub has no part in, and what they answer: it holds no cells that could be settled."""
