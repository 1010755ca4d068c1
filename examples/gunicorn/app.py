"""A WSGI app whose workers share one directory: a quota is exact across all of them.

    gunicorn -c examples/gunicorn/gunicorn.conf.py
    curl -i -H 'X-Customer: acme' localhost:8000

Each worker opens the directory. The first one owns it; when it dies, another takes over."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fastcheck import Entitlements

CATALOG = Path(__file__).parent.parent / "quickstart" / "catalog.yaml"

ents = Entitlements.open(os.environ.get("FASTCHECK_STATE", "./state"), catalog=CATALOG)
# In a real service this is where a customer signs up. Each worker does it again, which changes nothing.
ents.admin.put_customer("acme", plan="free")

NEVER = {"not_entitled", "unknown_customer", "unknown_feature"}


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """200 while the quota lasts, 429 when it is used up, 403 for those who have none."""
    customer = environ.get("HTTP_X_CUSTOMER", "")
    answer: dict[str, Any] = {"customer": customer, "worker": os.getpid()}
    if ents.consume(customer, "api_calls"):
        status = "200 OK"
    else:
        why = ents.decide(customer, "api_calls")
        status = "403 Forbidden" if why.reason in NEVER else "429 Too Many Requests"
        answer["reason"] = why.reason
        answer["resets_at"] = why.resets_at and why.resets_at.isoformat()
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode() + b"\n"]
