"""The two traces that replays are compared to the oracle on, and the comparison."""

import os
from pathlib import Path

import pytest

from fastcheck.replay import example
from fastcheck.replay.generate import generate
from fastcheck.replay.job import Job
from fastcheck.replay.trace import write_trace
from models import oracle

DATA = Path(os.environ.get("FASTCHECK_DATA") or Path(__file__).parents[2] / "../shared/data").resolve()
REAL_TRACE = DATA / "mooncake_conversation/requests.csv.gz"
REAL_RATES = DATA / "litellm_rate_card/token_prices.csv.gz"


def real_job(**settings):
    """12,031 real requests at real prices."""
    for path in (REAL_TRACE, REAL_RATES):
        if not path.exists():
            pytest.skip(f"{path} is absent; set FASTCHECK_DATA to the directory that holds it")
    return Job(REAL_TRACE, example.CATALOG, REAL_RATES, **settings)


def generated_job(directory, count=3000, seed=7, **settings):
    """A trace from a seed at the example's prices."""
    write_trace(directory / "trace.csv", generate(count, seed))
    return Job(directory / "trace.csv", example.CATALOG, example.RATES, **settings)


def assert_equals_oracle(outcome):
    """Every total, to the last integer unit."""
    job, told = outcome.job, outcome.as_json()
    truth = oracle.run(job.trace, job.rates, job.output_estimate)
    assert told["allowed"] == truth["requests"]["allowed"]
    assert told["denied_by_reason"] == truth["denied"]
    assert {plan: of["burned_units"] for plan, of in told["plans"].items()} == truth["plan"]
    assert {model: of["burned_units"] for model, of in told["models"].items()} == truth["model"]
    assert {plan: of["shortfall_units"] for plan, of in told["plans"].items()} == truth["shortfall"]
    assert told["burned_units"] == sum(truth["plan"].values())
    assert min(told["denied_by_reason"].values()) > 0, "the case must show every kind of denial"
    assert sum(truth["shortfall"].values()) > 0, "the case must show commits beyond the balance"
