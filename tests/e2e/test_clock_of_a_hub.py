"""A hub whose machine's clock stepped ahead while it did not run: the real process, the real clocks. What it
kept of them is set back, which is the same to it."""

from __future__ import annotations

import json
import time
from pathlib import Path

from rig.hubs import running_hub

TWO_HOURS_MS = 7_200_000


def step_ahead(directory: Path) -> None:
    """Lets the file say what it would say had the clock stepped ahead by two hours since."""
    kept = json.loads((directory / "clock").read_text())
    kept["offset_ms"] -= TWO_HOURS_MS
    kept["newest_ms"] -= TWO_HOURS_MS
    (directory / "clock").write_text(json.dumps(kept))


def test_a_hub_doubts_a_step_tells_it_and_takes_a_confirmation(tmp_path: Path) -> None:
    directory = tmp_path / "hub"
    with running_hub(directory) as hub, hub.http() as http:
        assert (directory / "clock").stat().st_mode & 0o777 == 0o600
        state = http.get("/v1/clock").json()
        assert (state["guarded"], state["doubted"], state["taken_at"]) == (True, False, None)
        hub.stop()
    step_ahead(directory)
    with running_hub(directory) as hub, hub.http() as http:
        state = http.get("/v1/clock").json()
        assert state["doubted"]
        assert abs(state["wall"] - state["now"] - TWO_HOURS_MS) < 60_000
        assert state["taken_at"] > state["now"]
        assert hub.readiness()["status"] == "ready"
        assert "fastcheck_hub_clock_doubted 1.0" in http.get("/metrics").text
        http.put("/v1/customers/acme", json={"plan": "pro"})
        assert http.get("/v1/customers/acme/balances/ai_credits").json()["as_of"] < state["wall"] - 3_600_000
        assert http.post("/v1/clock/repair", json={"at": state["wall"], "reason": "x"}).status_code == 409
        hub.kill()
        assert "the machine's clock stepped " in hub.log.read_text()
    with running_hub(directory) as hub, hub.http() as http:
        assert http.get("/v1/clock").json()["doubted"]  # A kill is no confirmation.
        state = http.post("/v1/clock/confirmation").json()
        assert not state["doubted"]
        assert abs(state["now"] - time.time() * 1_000) < 60_000
        assert "fastcheck_hub_clock_doubted 0.0" in http.get("/metrics").text
        done = http.post("/v1/clock/repair", json={"at": state["now"], "reason": "nothing was wrong"})
        assert done.json() == {"accounts": 0, "moves": [], "customers": [], "cursor": None}
        hub.kill()
    with running_hub(directory) as hub, hub.http() as http:
        assert not http.get("/v1/clock").json()["doubted"]
