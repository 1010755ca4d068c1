"""A FastAPI app whose workers ask fastcheck at every request. Each worker connects; only one of them talks to
the hub, the others read what it keeps in the directory.

Started by run.py, or by hand:

    FASTCHECK_HUB=http://127.0.0.1:8700 FASTCHECK_TOKEN=fc_live_… uvicorn app:app --workers 4"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request

from fastcheck import Entitlements


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.ents = Entitlements.connect(
        os.environ["FASTCHECK_HUB"], os.environ.get("FASTCHECK_DIR", "./state")
    )  # The token comes from FASTCHECK_TOKEN.
    yield
    app.state.ents.close()


app = FastAPI(lifespan=lifespan)


@app.get("/exports/{customer}")
async def export(customer: str, request: Request) -> dict[str, object]:
    """What a plan decides: allowed, or 402 with the reason."""
    ents: Entitlements = request.app.state.ents
    decision = ents.decide(customer, "export")
    if not decision:
        raise HTTPException(402, detail=decision.reason)
    return {"worker": os.getpid(), "rows": 3, "retention_days": ents.value(customer, "retention_days")}


@app.get("/status")
async def status(request: Request) -> dict[str, object]:
    """How this worker and its host are doing."""
    status = request.app.state.ents.status()
    return {
        "worker": os.getpid(),
        "role": status.role,
        "connected": status.connected,
        "seq": status.seq,
        "lag_ms": status.lag_ms,
        "customers": status.customers,
    }
