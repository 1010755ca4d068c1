"""The main job with the real engine: totals equal the oracle's to the last integer unit."""

import pytest

pytest.importorskip("fastcheck._fastcheck", reason="the native module is not built")

from fastcheck.replay.job import run_job
from rig.replay_cases import assert_equals_oracle, generated_job, real_job


def test_real_trace_equals_the_oracle() -> None:
    outcome = run_job(real_job())
    assert_equals_oracle(outcome)
    assert outcome.as_json()["requests"] == 12_031


def test_generated_trace_equals_the_oracle(tmp_path):
    assert_equals_oracle(run_job(generated_job(tmp_path, state=tmp_path / "state")))
