"""The loop against the oracle, with a double in place of the engine."""

from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from fastcheck.replay.errors import ReplayError
from fastcheck.replay.job import run_job
from fastcheck.replay.run import BATCH_MAX, batches
from fastcheck.replay.trace import Request
from models.naive_entitlements import NaiveEntitlements
from rig.replay_cases import assert_equals_oracle, generated_job, real_job


@contextmanager
def naive(directory, catalog_text, catalog_file):
    yield NaiveEntitlements(catalog_text)


def test_real_trace_equals_the_oracle() -> None:
    outcome = run_job(real_job(), naive)
    assert_equals_oracle(outcome)
    assert outcome.as_json()["requests"] == 12_031
    assert outcome.customers == 7_373


@pytest.mark.parametrize("estimate", [0, 512, 4096])
def test_generated_trace_equals_the_oracle(tmp_path, estimate):
    outcome = run_job(generated_job(tmp_path, output_estimate=estimate), naive)
    if estimate < 4096:
        assert_equals_oracle(outcome)
    else:
        assert outcome.report.total().shortfall == 0


def test_lines_add_up(tmp_path):
    report = run_job(generated_job(tmp_path), naive).report
    total = report.total()
    assert total.denied == sum(report.reasons.values())
    assert total.burned == sum(line.burned for line in report.by_model.values())
    assert report.points()[-1][1] == tuple(line.burned for line in report.by_plan.values())
    assert len(report.points()) < 250
    times = [ts_ms for ts_ms, _ in report.points()]
    assert times == sorted(times)


def test_a_limit_is_the_start_of_the_trace(tmp_path):
    outcome = run_job(generated_job(tmp_path, limit=10), naive)
    assert outcome.as_json()["requests"] == 10


def test_a_file_may_name_plans_and_models(tmp_path):
    job = generated_job(tmp_path, count=20)
    sessions = {line.split(",")[1] for line in job.trace.read_text().splitlines()[1:]}
    rows = [f"{session},pro,gpt-4o" for session in sessions]
    (tmp_path / "assign.csv").write_text("\n".join(["session,plan,model", *rows]))
    told = run_job(replace(job, assign=tmp_path / "assign.csv"), naive).as_json()
    assert list(told["plans"]) == ["pro"]
    assert list(told["models"]) == ["gpt-4o"]


def test_timing_is_read_around_calls_only(tmp_path):
    timing: Any = run_job(generated_job(tmp_path, count=100), naive).timing
    assert timing.burn_ns == timing.reserve_ns + timing.commit_ns
    assert timing.check_ns > 0
    assert timing.requests_per_s == pytest.approx(100 / timing.loop_s)


def test_batches_keep_order_and_never_repeat_a_session() -> None:
    requests = [Request(i, f"s{i * i % 7}", 1, 0, 1) for i in range(100)]
    requests += [Request(100, f"t{i}", 1, 0, 1) for i in range(BATCH_MAX * 2 + 1)]
    cut = list(batches(requests))
    assert [request for batch in cut for request in batch] == requests
    assert all(len({request.session for request in batch}) == len(batch) <= BATCH_MAX for batch in cut)
    assert len(cut[-1]) < len(cut[-2]) == BATCH_MAX


def test_settings_that_do_not_fit_are_told(tmp_path):
    job = generated_job(tmp_path, count=5)
    complete = tmp_path / "complete.yaml"
    complete.write_text("fastcheck: 1\n")
    for wrong, told in [
        (replace(job, rates=None), "has placeholders for rates; give a rate card with --rates"),
        (replace(job, catalog=complete), "has no .* to fill; leave --rates out"),
        (replace(job, catalog=complete, rates=None), "no models to ask for; name features .* --models"),
    ]:
        with pytest.raises(ReplayError, match=told):
            run_job(wrong, naive)
    complete.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ReplayError, match=r"complete.yaml:2: not UTF-8"):
        run_job(replace(job, catalog=complete, rates=None), naive)
