"""What the hub and its HTTP clients share: how answers look as JSON, the names of headers, bounds."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "/v1"
"""How every path of this API begins."""

AUTHOR: Final = "Fastcheck-Author"
"""In whose name a change is made; noted behind the token's own name. Percent-encoded UTF-8, as the next."""
REASON: Final = "Fastcheck-Reason"
"""Why a change is made, for the audit log."""
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
"""Under which key a change is made only once."""
SEQ: Final = "Fastcheck-Seq"
"""Of an answer to a change: the ledger's number after it. Checks with this `min_seq` see the change."""
EPOCH: Final = "Fastcheck-Epoch"
"""Of an answer to a change: the ledger's epoch. Numbers of another epoch mean nothing."""
FILENAME: Final = "Fastcheck-Filename"
"""Of a catalog: how its file is called in messages. Percent-encoded UTF-8."""

BODY_BYTES_MAX: Final = 4 << 20
"""Bytes of a request's body: 2,000 customers with room to spare. Counted while it is read."""
CATALOG_BYTES_MAX: Final = 16 << 20
"""Bytes of a catalog, as everywhere."""
CUSTOMERS_PER_BATCH: Final = 2_000
"""Customers of one request, as over the owner's socket."""
KEYS_PER_REQUEST: Final = 1_000
"""Ids and aliases resolved at once."""
PROBLEM: Final = "application/problem+json"
"""The media type of every refusal (RFC 9457)."""
PROBLEM_TYPE: Final = "urn:fastcheck:problem:"
"""How a problem's type begins; the name of the error's class follows."""
