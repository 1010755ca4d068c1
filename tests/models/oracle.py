"""What a replay must answer, to the last unit (rules: docs/replay.md), in plain Python without fastcheck."""

import csv
import gzip
import zlib
from collections import Counter
from decimal import Decimal
from typing import Any

UNITS_PER_USD = 1000 * 10**6  # 1,000 credits = 1 USD, scale 6
GRANT_UNITS = {"free": 4 * 10**6, "pro": 50 * 10**6, "enterprise": 500 * 10**6}
MODELS = ["gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-4o", "gpt-4o-mini", "deepseek-chat"]
NOT_IN_FREE = {"gpt-4.1", "gpt-4o"}
PRICES = ["input_cost_per_token", "cache_read_input_token_cost", "output_cost_per_token"]


def rows(path):
    with (gzip.open if str(path).endswith(".gz") else open)(path, "rt") as file:
        yield from csv.DictReader(file)


def assigned(session):
    pick_model, pick_plan = divmod(zlib.crc32(session.encode()), 100)
    plan = "free" if pick_plan < 70 else "pro" if pick_plan < 95 else "enterprise"
    return plan, MODELS[pick_model % 6]


def run(trace, prices, estimate_output=512):
    card = {row["model"]: row for row in rows(prices)}
    rates = {model: [Decimal(card[model][p]) * UNITS_PER_USD for p in PRICES] for model in MODELS}
    balance: dict[str, Any] = {}
    out: dict[str, Any] = {k: Counter() for k in ("requests", "denied", "plan", "model", "shortfall")}
    for row in rows(trace):
        plan, model = assigned(row["session"])
        left = balance.setdefault(row["session"], GRANT_UNITS[plan])
        input_, cached, output = (int(row[k + "_tokens"]) for k in ("input", "cached_input", "output"))
        per_input, per_cached, per_output = rates[model]
        prompt = (input_ - cached) * per_input + cached * per_cached
        if plan == "free" and model in NOT_IN_FREE:
            out["denied"]["not_entitled"] += 1
        elif prompt + estimate_output * per_output > left:
            out["denied"]["exhausted"] += 1
        else:
            cost = prompt + output * per_output
            charged = min(cost, left)
            balance[row["session"]] -= charged
            out["requests"]["allowed"] += 1
            out["plan"][plan] += charged
            out["model"][model] += charged
            out["shortfall"][plan] += cost - charged
    return out
