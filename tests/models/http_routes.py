"""The routes of the hub's API as the corpus of the exchange sees them: the least and the most that each
takes, and of which kind each field is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from models import http_mistakes as m
from models.http_mistakes import NOW_MS, Mistakes

SCOPES = ("stream", "spend", "support", "admin")
DAY_MS = 86_400_000
JUNE = "2024-06-03T00:00:00Z"
JULY_MS = NOW_MS + 61 * DAY_MS
YAML = ("Content-Type", "application/yaml")
JSON = ("Content-Type", "application/json")

CATALOG = b"""\
fastcheck: 1
pools:
  ai_credits: {scale: 6, policy: hard}
  goodwill: {scale: 2, policy: soft, overdraft: 100}
features:
  export: {kind: switch}
  seats: {kind: limit, default: 1}
  retention_days: {kind: value, default: 7}
  api_calls: {kind: meter, period: month}
  storage: {kind: meter, period: month, scale: 2}
  gpt-4o: {kind: credit, pool: ai_credits, rate: 1}
plans:
  free: {features: {api_calls: 1_000}}
  pro:
    versions:
      1: {features: {export: true, seats: 20, api_calls: 50_000, gpt-4o: true}}
      2:
        features: {
            export: true, seats: 25, retention_days: 30, api_calls: 100_000, storage: 12.5, gpt-4o: true,
        }
        grants: [{pool: goodwill, amount: 50, every: month}]
  max: {trial: 14 days, features: {export: true, seats: unlimited, api_calls: unlimited, gpt-4o: true}}
addons:
  seats_pack: {plans: [pro], max_quantity: 10, features: {seats: 5}}
  credit_pack: {grants: [{pool: ai_credits, amount: 100}]}
  pack:
    sold: once
    max_quantity: 10
    grants: [{pool: ai_credits, amount: 2_000, expires_after: year, cost: {amount: "19.99", currency: USD}}]
"""


@dataclass(frozen=True)
class Ask:
    """A request."""

    what: str
    """Method and path."""
    body: Any = None
    """None: none."""


@dataclass(frozen=True)
class Route:
    """An operation of the API. `$name` in a path or a body is what the section found before."""

    what: str
    """Method and path, as the document has it."""
    names: dict[str, str] = field(default_factory=dict)
    """What stands in its path where all is well."""
    body: Any = None
    """The least that it takes; None: no body."""
    full: Any = None
    """Every field."""
    on: Any = None
    """The body in which fields are wrong, one at a time; None: the least. `$new` in it is another name each
    time."""
    other: Ask | None = None
    """Another request, for the idempotency key of the first; None: the full one."""
    before: tuple[Ask, ...] = ()
    """What makes it possible, each time."""
    fields: dict[str, Mistakes] = field(default_factory=dict)
    """By place in the body, as "addons.seats_pack.until"."""
    query: dict[str, Mistakes] = field(default_factory=dict)
    least: str = ""
    """The query that it cannot do without."""
    parts: dict[str, Mistakes] = field(default_factory=dict)
    """What may stand in its path instead of names; default: `PART`."""
    token: str = "admin"
    """Of the least scope that may ask."""
    tagged: bool = False
    """Whether If-Match is read."""
    headers: tuple[tuple[str, str], ...] = ()
    """Of every request."""
    by_chance: str = ""
    """The fields by which it lists what else is in the order of random ids."""
    once: bool = False
    """Whether it cannot be done twice, not even after `before`."""

    @property
    def method(self) -> str:
        return self.what.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.what.partition(" ")[2]

    @property
    def name(self) -> str:
        return self.what.replace("/v1/", "")

    @property
    def changes(self) -> bool:
        return self.method != "GET" and self.path not in ("/v1/customers:resolve", "/v1/catalog:check")


PAGE = {"cursor": m.CURSOR, "limit": m.LIMIT}
VERSION = m.whole(1, (1 << 31) - 1)
QUANTITY = m.whole(1, (1 << 31) - 1)
UNITS = m.whole(0, (1 << 63) - 1)
AFTER = m.whole(0, (1 << 63) - 1)
ACME = {"customer": "acme"}
OF_POOL = {"customer": "acme", "pool": "ai_credits"}
OF_FEATURE = {"customer": "acme", "feature": "seats"}

TERMS = {
    "plan": "pro", "version": 2, "addons": {"seats_pack": {"quantity": 2, "until": JULY_MS}},
    "aliases": ["stripe:cus_9"], "trial_plan": "max", "trial_version": 1, "trial_until": JUNE, "since": 5,
}  # fmt: skip
TERMS_FIELDS: dict[str, Mistakes] = {
    "plan": m.NAME,
    "version": VERSION,
    "addons": m.OBJECT,
    "addons.seats_pack": m.OBJECT,
    "addons.seats_pack.quantity": QUANTITY,
    "addons.seats_pack.until": m.INSTANT,
    "aliases": m.many("some:alias", 256),
    "aliases.0": m.NAME,
    "trial_plan": m.NAME,
    "trial_version": VERSION,
    "trial_until": m.INSTANT,
    "since": m.INSTANT,
}
OVERRIDE = {"value": 40, "starts_at": NOW_MS + 1, "expires_at": JUNE, "reason": "pilot"}
OVERRIDE_FIELDS: dict[str, Mistakes] = {
    "value": m.SETTING, "starts_at": m.INSTANT, "expires_at": m.INSTANT, "reason": m.NOTE,
}  # fmt: skip
DESTINED: dict[str, Mistakes] = {
    "plan": m.NAME, "version": VERSION, "when": m.WHEN, "keep_since": m.BOOLEAN, "replace": m.BOOLEAN,
}  # fmt: skip

CUSTOMERS = (
    Route("GET /v1/customers", query=PAGE, token="support"),
    Route("GET /v1/customers/{customer}", ACME, query={"at": m.INSTANT_TEXT}, token="support"),
    Route("GET /v1/customers/{customer}/overrides", ACME, token="support"),
    Route(
        "POST /v1/customers:batch",
        body={"customers": [{"id": "b1", "aliases": ["b:1"]}]},
        full={"customers": [{"id": "b2", **TERMS, "aliases": ["b:2"]}, {"id": "b3"}]},
        on={"customers": [{"id": "$new", "aliases": ["$new"]}]},
        fields={
            "customers": m.many({"id": "b4"}, 2_000), "customers.0": m.OBJECT, "customers.0.id": m.NAME,
            "customers.0.plan": m.NAME, "customers.0.aliases.0": m.NAME,
        },
    ),
    Route(
        "POST /v1/customers:resolve", body={"keys": ["acme"]}, full={"keys": ["acme", "key:tiny", "acme"]},
        fields={"keys": m.many("acme", 1_000), "keys.0": m.NAME}, token="support",
    ),
    Route(
        "PUT /v1/customers/{customer}", {"customer": "wide"}, body={"plan": "pro"}, full=TERMS,
        fields=TERMS_FIELDS, tagged=True,
    ),
    Route(
        "PUT /v1/customers/{customer}/overrides/{feature}", OF_FEATURE, body={"value": 30}, full=OVERRIDE,
        fields=OVERRIDE_FIELDS,
    ),
    Route(
        "DELETE /v1/customers/{customer}/overrides/{feature}", OF_FEATURE,
        before=(Ask("PUT /v1/customers/acme/overrides/seats", {"value": 30}),),
        other=Ask("DELETE /v1/customers/acme/overrides/export"),
    ),
    Route(
        "DELETE /v1/customers/{customer}", {"customer": "gone"}, tagged=True,
        before=(Ask("PUT /v1/customers/gone", {"plan": "free"}),), other=Ask("DELETE /v1/customers/acme"),
    ),
)  # fmt: skip
NOTHING_AHEAD = Ask("POST /v1/moves", {"customers": ["acme", "tiny"], "plan": "pro", "replace": True})
PLANS = (
    Route(
        "GET /v1/moves", token="support", by_chance="at", query={"customer": m.TEXT,
        "pending": m.BOOLEAN_TEXT, **PAGE},
    ),
    Route(
        "POST /v1/moves", body={"customers": ["acme"], "plan": "free"},
        full={
            "customers": ["acme", "key:tiny"], "plan": "pro", "version": 1, "when": JUNE, "keep_since": True,
            "replace": True,
        },
        on={"customers": ["acme"], "plan": "pro", "replace": True}, before=(NOTHING_AHEAD,),
        fields={"customers": m.many("acme", 500), "customers.0": m.NAME, **DESTINED},
    ),
    Route(
        "POST /v1/segments/{segment}/moves", {"segment": "beta"}, body={"plan": "pro"},
        full={
            "plan": "pro", "version": 2, "when": JULY_MS, "keep_since": True, "replace": True, "after": 1,
        },
        on={"plan": "pro", "replace": True}, before=(NOTHING_AHEAD,),
        fields={**DESTINED, "after": AFTER},
    ),
    Route(
        "POST /v1/plans/{plan}/migrations", {"plan": "pro"}, body={"from_version": 1, "to_version": 2},
        full={"from_version": 2, "to_version": 1, "when": "now", "after": 1}, fields={"from_version": VERSION,
        "to_version": VERSION, "when": m.WHEN, "after": AFTER},
    ),
    Route("DELETE /v1/moves/{id}", {"id": "$move"}, other=Ask("DELETE /v1/moves/nobody")),
)  # fmt: skip
SEGMENT = {"segment": "beta"}
SEGMENTS = (
    Route("GET /v1/segments", query=PAGE, token="support"),
    Route("GET /v1/segments/{segment}", SEGMENT, token="support"),
    Route("GET /v1/segments/{segment}/members", SEGMENT, query=PAGE, token="support"),
    Route(
        "PUT /v1/segments/{segment}", {"segment": "gamma"}, body={"customers": []},
        full={"customers": ["acme", "key:tiny"]}, tagged=True, fields={"customers": m.many("acme", 1_000),
        "customers.0": m.NAME},
    ),
    Route(
        "PATCH /v1/segments/{segment}", {"segment": "gamma"}, body={"add": ["acme"]}, full={"add": ["acme"],
        "remove": ["tiny"]}, tagged=True, fields={"add": m.many("acme", 1_000), "add.0": m.NAME,
        "remove": m.many("tiny", 1_000), "remove.0": m.NAME},
    ),
    Route(
        "POST /v1/segments/{segment}/continuation", SEGMENT,
        other=Ask("POST /v1/segments/nobody/continuation"),
    ),
    Route(
        "PUT /v1/segments/{segment}/overrides/{feature}", {**SEGMENT, "feature": "seats"}, body={"value": 30},
        full=OVERRIDE, fields=OVERRIDE_FIELDS,
    ),
    Route(
        "DELETE /v1/segments/{segment}/overrides/{feature}", {**SEGMENT, "feature": "seats"},
        before=(Ask("PUT /v1/segments/beta/overrides/seats", {"value": 30}),),
        other=Ask("DELETE /v1/segments/beta/overrides/export"),
    ),
    Route(
        "DELETE /v1/segments/{segment}", {"segment": "gone"}, tagged=True,
        before=(Ask("PUT /v1/segments/gone", {"customers": ["acme"]}),),
        other=Ask("DELETE /v1/segments/beta"),
    ),
)  # fmt: skip
GRANT = {
    "pool": "ai_credits",
    "amount": "12.5",
    "id": "order_17",
    "priority": 7,
    "effective_at": NOW_MS,
    "expires_at": "2025-05-01T00:00:00Z",
    "kind": "promotional",
    "reason": "top-up",
    "every": "1 month",
    "anchor": "calendar",
    "zone": "Europe/Berlin",
    "rollover": {"max": 5, "min": "0.5", "percent": 50, "once": True},
    "cost": {"minor_units": 4_900, "currency": "EUR"},
}
MONEY = (
    Route(
        "GET /v1/customers/{customer}/grants", ACME, query={"pool": m.TEXT, "at": m.INSTANT_TEXT},
        token="support", by_chance="pool created_at",
    ),
    Route(
        "GET /v1/customers/{customer}/balances/{pool}", OF_POOL, query={"at": m.INSTANT_TEXT}, token="spend",
    ),
    Route(
        "GET /v1/customers/{customer}/balances/{pool}/history", OF_POOL, token="support",
        least=f"since={NOW_MS - DAY_MS}&until={NOW_MS + DAY_MS}", query={"since": m.INSTANT_TEXT,
        "until": m.INSTANT_TEXT, "every": m.PER_TEXT},
    ),
    Route(
        "POST /v1/customers/{customer}/grants",
        ACME,
        body={"pool": "ai_credits", "amount": 10},
        full=GRANT,
        fields={
            "pool": m.NAME,
            "amount": m.AMOUNT,
            "id": m.NAME,
            "priority": m.whole(-(1 << 31) + 1, (1 << 31) - 1),
            "effective_at": m.INSTANT,
            "expires_at": m.INSTANT,
            "kind": {**m.WORD, "refund": "refund", "plan": "plan"},
            "reason": m.NOTE,
            "every": {**m.WORD, "three months": "3 months", "0 days": "0 days"},
            "anchor": m.WORD,
            "zone": m.NAME,
            "rollover": m.OBJECT,
            "rollover.max": m.AMOUNT,
            "rollover.min": m.AMOUNT,
            "rollover.percent": m.whole(1, 100),
            "rollover.once": m.BOOLEAN,
            "cost": m.PRICE,
        },
    ),
    Route("DELETE /v1/grants/{id}", {"id": "order_1"}, other=Ask("DELETE /v1/grants/order_2")),
)  # fmt: skip
GONE = (Ask("PUT /v1/customers/gone", {"plan": "free"}), Ask("DELETE /v1/customers/gone"))
DELETIONS = (
    Route("GET /v1/deletions", token="support", by_chance="deleted_at", query=PAGE),
    Route(
        "POST /v1/customers/{customer}/restore", {"customer": "gone"}, body={}, before=GONE,
        full={"without_aliases": True}, fields={"without_aliases": m.BOOLEAN},
        other=Ask("POST /v1/customers/acme/restore", {}),
    ),
    Route(
        "POST /v1/customers/{customer}/free_id", {"customer": "gone"}, before=GONE,
        other=Ask("POST /v1/customers/acme/free_id"),
    ),
    Route(
        "POST /v1/customers/{customer}/merge", {"customer": "twice"}, body={"into": "acme"},
        before=(
            Ask("PUT /v1/customers/acme", {"plan": "pro"}), Ask("PUT /v1/customers/twice", {"plan": "free"}),
        ),
        fields={"into": m.NAME},
        other=Ask("POST /v1/customers/tiny/merge", {"into": "acme"}),
    ),
)  # fmt: skip
ORDER = Ask("POST /v1/customers/acme/purchases", {"addon": "pack", "id": "ordered", "pending": True})
BOUGHT = Ask("POST /v1/customers/acme/purchases", {"addon": "pack", "quantity": 9, "id": "bought"})
PURCHASES = (
    Route(
        "GET /v1/customers/{customer}/purchases", ACME, token="support", by_chance="created_at", query=PAGE,
    ),
    Route("GET /v1/purchases/{id}", {"id": "order_1"}, token="support"),
    Route(
        "POST /v1/customers/{customer}/purchases",
        ACME,
        body={"addon": "pack"},
        full={
            "addon": "pack", "quantity": 2, "id": "order_17", "pending": True, "reason": "web shop",
            "price": {"minor_units": 3_000, "currency": "EUR"},
        },
        fields={
            "addon": m.NAME, "quantity": m.whole(1, (1 << 31) - 1), "id": m.NAME, "pending": m.BOOLEAN,
            "price": m.PRICE, "reason": m.NOTE,
        },
    ),
    Route(
        "POST /v1/purchases/{id}/payment", {"id": "ordered"}, before=(ORDER,),
        other=Ask("POST /v1/purchases/order_1/payment"),
    ),
    Route(
        "POST /v1/purchases/{id}/refunds", {"id": "bought"}, body={"amount": 1}, before=(BOUGHT,),
        full={"amount": "0.5", "pool": "ai_credits", "reason": "unused"},
        fields={"amount": m.AMOUNT, "pool": m.NAME, "reason": m.NOTE},
    ),
    Route(
        "POST /v1/purchases/{id}/charge_back", {"id": "bought"}, body={}, before=(BOUGHT,),
        full={"reason": "disputed"}, fields={"reason": m.NOTE},
    ),
)  # fmt: skip
RESERVATION = {"pool": "ai_credits", "amount": "2.5", "ttl_ms": 60_000, "id": "hold_1", "key": "api_key_1"}
HELD = Ask(
    "POST /v1/customers/acme/reservations",
    {"pool": "ai_credits", "amount": 5, "id": "held", "ttl_ms": 5_000},
)  # fmt: skip
SPENDING = (
    Route("GET /v1/customers/{customer}/caps", ACME, token="support"),
    Route(
        "PUT /v1/customers/{customer}/caps/{pool}/{per}", {**OF_POOL, "per": "day"}, body={"amount": 1_000},
        full={"amount": "1000.5", "key": "api_key_1", "reason": "so agreed"}, parts={"per": m.WINDOW_PART},
        fields={"amount": m.AMOUNT, "key": m.NAME, "reason": m.NOTE},
    ),
    Route(
        "DELETE /v1/customers/{customer}/caps/{pool}", OF_POOL, query={"per": m.WINDOW_TEXT, "key": m.TEXT},
        before=(Ask("PUT /v1/customers/acme/caps/ai_credits/month", {"amount": 1_000}),),
        other=Ask("DELETE /v1/customers/acme/caps/goodwill"),
    ),
    Route(
        "POST /v1/customers/{customer}/reservations", ACME, body={"pool": "ai_credits", "amount": 1},
        full=RESERVATION, token="spend", fields={"pool": m.NAME, "amount": m.AMOUNT, "ttl_ms": m.whole(1,
        7 * DAY_MS), "id": m.NAME, "key": m.NAME},
    ),
    Route(
        "POST /v1/reservations/{id}/commit", {"id": "held"}, body={"amount": 1}, full={"amount": "1.0"},
        before=(HELD,), fields={"amount": m.AMOUNT}, token="spend",
    ),
    Route(
        "DELETE /v1/reservations/{id}", {"id": "let_go"}, token="spend",
        other=Ask("DELETE /v1/reservations/held"),
    ),
    Route(
        "POST /v1/customers/{customer}/debits", ACME, body={"pool": "ai_credits", "amount": 1}, token="spend",
        full={"pool": "ai_credits", "amount": "0.5", "event": "call_1", "id": "debit_1", "key": "api_key_1"},
        fields={"pool": m.NAME, "amount": m.AMOUNT, "event": m.NAME, "id": m.NAME, "key": m.NAME},
    ),
    Route(
        "POST /v1/customers/{customer}/refunds",
        ACME,
        body={"pool": "ai_credits", "amount": "0.01"},
        full={
            "pool": "ai_credits", "amount": "0.1", "event": "used_1", "id": "refund_1", "expires_at": JULY_MS,
            "reason": "did not work",
        },
        fields={
            "pool": m.NAME, "amount": m.AMOUNT, "event": m.NAME, "id": m.NAME, "expires_at": m.INSTANT,
            "reason": m.NOTE,
        },
    ),
)  # fmt: skip
TOP_UPS = (
    Route("GET /v1/top-ups", query={"customer": m.TEXT}, token="support"),
    Route(
        "PUT /v1/customers/{customer}/top-ups/{pool}",
        OF_POOL,
        body={"threshold": 10, "target": 100},
        full={
            "threshold": "0.5", "target": 100, "monthly_cap": 1_000, "cost": {"minor_units": 900,
            "currency": "EUR"}, "reason": "so agreed",
        },
        fields={
            "threshold": m.AMOUNT, "target": m.AMOUNT, "monthly_cap": m.AMOUNT, "cost": m.PRICE,
            "reason": m.NOTE,
        },
    ),
    Route(
        "DELETE /v1/customers/{customer}/top-ups/{pool}", OF_POOL,
        before=(Ask("PUT /v1/customers/acme/top-ups/ai_credits", {"threshold": 10, "target": 100}),),
        other=Ask("DELETE /v1/customers/tiny/top-ups/ai_credits"),
    ),
)  # fmt: skip
EVENT = {"id": "call_1", "at": NOW_MS - 5, "customer": "acme", "feature": "api_calls"}
METERING = (
    Route(
        "POST /v1/usage-events",
        body={"events": [EVENT]},
        token="spend",
        full={
            "events": [{**EVENT, "id": "call_2", "at": "2024-04-30T23:59:59Z", "units": 7, "subject": "jo"}],
        },
        on={"events": [{**EVENT, "id": "$new"}]},
        fields={
            "events": m.many({**EVENT, "id": "call_3"}, 1_000), "events.0": m.OBJECT, "events.0.id": m.NAME,
            "events.0.at": m.INSTANT, "events.0.customer": m.NAME, "events.0.feature": m.NAME,
            "events.0.units": UNITS, "events.0.subject": m.NAME,
        },
    ),
    Route(
        "PATCH /v1/usage-events/{id}", {"id": "call_1"}, body={"units": 5}, full={"units": None},
        fields={"units": UNITS},
    ),
    Route(
        "GET /v1/customers/{customer}/features/{feature}/usage-events", {"customer": "acme",
        "feature": "api_calls"}, query={"since": m.INSTANT_TEXT, "until": m.INSTANT_TEXT, **PAGE},
        token="support",
    ),
)  # fmt: skip
EVENTS = (
    Route("GET /v1/events", token="support", query={**PAGE, "kind": {**m.TEXT, "low_balance": "low_balance"},
    "customer": m.TEXT}),
)  # fmt: skip
HOOK_URL = "http://127.0.0.1:9/hook"
HOOK = {"id": "$hook"}
WEBHOOKS = (
    Route("GET /v1/webhooks", token="support"),
    Route("GET /v1/webhooks/{id}", HOOK, token="support"),
    Route(
        "GET /v1/deliveries", token="support", by_chance="id", query={**PAGE, "state": {**m.TEXT,
        "waiting": "waiting", "dead": "dead"}, "webhook": m.TEXT},
    ),
    Route(
        "POST /v1/deliveries/{id}/replays", {"id": "$delivery"}, once=True,
        other=Ask("POST /v1/deliveries/nobody/replays"),
    ),
    Route("POST /v1/webhooks/{id}/replays", HOOK, other=Ask("POST /v1/webhooks/nobody/replays")),
    Route(
        "POST /v1/webhooks",
        body={"url": HOOK_URL},
        full={"url": "http://127.0.0.1:9/other", "kinds": ["low_balance", "customer_changed"]},
        fields={
            "url": {
                **m.WORD,
                "https": "https://example.com/hook",
                "http elsewhere": "http://example.com/hook",
                "with a password": "https://jo:pw@example.com/hook",
                "ftp": "ftp://example.com/hook",
                "2,048 characters": "https://example.com/" + "n" * 2_028,
                "2,049 characters": "https://example.com/" + "n" * 2_029,
                "no host": "https:///hook",
                "a space": "https://example.com/a b",
                "a port of text": "https://example.com:x/",
                "not ASCII": "https://exämple.com/hook",
            },
            "kinds": m.many("low_balance", 64),
            "kinds.0": m.WORD,
        },
    ),
    Route(
        "POST /v1/webhooks/{id}/secret", HOOK, body={}, full={"overlap_ms": 0},
        fields={"overlap_ms": m.whole(0, 30 * DAY_MS)},
    ),
    Route("DELETE /v1/webhooks/{id}", {"id": "$short"}, tagged=True, once=True),
)  # fmt: skip
RECORDS = (
    Route("GET /v1/audit", token="support", query={**PAGE, "subject": m.TEXT}),
    Route(
        "GET /v1/usage", token="support", query={**PAGE, "customer": m.TEXT, "feature": m.TEXT,
        "since": m.INSTANT_TEXT, "until": m.INSTANT_TEXT},
    ),
    Route(
        "GET /v1/customers/{customer}/features/{feature}/explanation", OF_FEATURE,
        query={"at": m.INSTANT_TEXT}, token="support",
    ),
    Route("GET /v1/customers/{customer}/features/{feature}", OF_FEATURE, token="spend"),
    Route("GET /v1/catalog", token="spend"),
    Route("POST /v1/catalog:check", body=CATALOG, headers=(YAML,), token="support"),
    Route(
        "PUT /v1/catalog", body=CATALOG, full=CATALOG.replace(b"seats: 25", b"seats: 30"), headers=(YAML,),
        tagged=True,
    ),
)  # fmt: skip
EXPORT = {"export": "$export"}
OF_EXPORT = {"export": m.EXPORT_PART}
FINANCE = (
    Route("GET /v1/pools", token="spend"),
    Route("GET /v1/ledger/problems", token="support"),
    Route("GET /v1/ledger/accounts", query={"cursor": m.CURSOR}, token="support"),
    Route(
        "POST /v1/ledger/bookings", body={"what": "leases"}, full={"what": "accounts", "cursor": None},
        fields={"what": m.KIND_OF_BOOKING, "cursor": m.PLACE},
    ),
    Route(
        "POST /v1/exports", body={}, full={"since": 5, "until": NOW_MS}, fields={"since": m.INSTANT,
        "until": m.INSTANT},
    ),
    Route("GET /v1/exports/{export}/movements", EXPORT, query=PAGE, parts=OF_EXPORT, token="support"),
    Route("GET /v1/exports/{export}/usage", EXPORT, query=PAGE, parts=OF_EXPORT, token="support"),
    Route(
        "GET /v1/exports/{export}/sums", EXPORT, query={"after": m.COUNT_TEXT}, parts=OF_EXPORT,
        token="support",
    ),
)  # fmt: skip
EPOCHS = (
    Route("GET /v1/position", token="spend"), Route("POST /v1/epochs", body={"reason": "an older backup"},
    other=Ask("POST /v1/epochs", {"reason": "another"}), fields={"reason": m.NOTE}),
)  # fmt: skip
CLOCK = (
    Route("GET /v1/clock", token="support"),
    Route("POST /v1/clock/confirmation"),
    Route(
        "POST /v1/clock/repair",
        body={"at": NOW_MS, "reason": "it said 2036"},
        full={"at": "2024-05-01T00:00:00Z", "reason": "it said 2036", "cursor": None},
        fields={"at": m.INSTANT, "reason": m.NOTE, "cursor": m.PLACE},
    ),
)
TOKENS = (
    Route(
        "POST /v1/tokens",
        body={"name": "billing", "scopes": ["spend"]},
        full={
            "name": "desk", "scopes": ["support", "spend", "support"], "environment": "test",
            "expires_at": JULY_MS, "rate_per_s": 5,
        },
        fields={
            "name": m.NAME, "scopes": m.many("spend", 16), "scopes.0": m.WORD, "environment": m.WORD,
            "expires_at": m.INSTANT, "rate_per_s": m.whole(1, 1_000_000),
        },
    ),
    Route("GET /v1/tokens", query={**PAGE, "cursor": m.TOKEN_CURSOR}, by_chance="id"),
    Route("DELETE /v1/tokens/{id}", {"id": "$token"}, other=Ask("DELETE /v1/tokens/nobody")),
)  # fmt: skip
SNAPSHOT = Route("GET /v1/snapshot", token="stream")
ROUTES = (
    *CUSTOMERS, *PLANS, *SEGMENTS, *MONEY, *SPENDING, *TOP_UPS, *METERING, *EVENTS, *WEBHOOKS, *RECORDS,
    *FINANCE, *EPOCHS, *CLOCK, *TOKENS, SNAPSHOT,
)  # fmt: skip
