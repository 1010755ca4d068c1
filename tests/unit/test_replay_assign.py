"""The stated rule, and the file that replaces it."""

import zlib
from collections import Counter

import pytest

from fastcheck.replay.assign import PLAN_WEIGHTS, assign_all, by_file, by_hash, parse_weights
from fastcheck.replay.errors import ReplayError
from models import oracle


def test_the_rule_is_the_stated_one() -> None:
    assign = by_hash({"x": 1, "y": 3}, {"m": 2, "n": 1})
    for i in range(1000):
        pick, rest = divmod(zlib.crc32(f"s{i}".encode()), 4)
        assert assign(f"s{i}") == ("x" if rest < 1 else "y", "m" if pick % 3 < 2 else "n")


def test_the_rule_agrees_with_the_oracle_and_with_its_weights() -> None:
    assign = by_hash(PLAN_WEIGHTS, dict.fromkeys(oracle.MODELS, 1))
    assigned = assign_all((f"s{i:05d}" for i in range(10_000)), assign)
    assert all(has == oracle.assigned(session) for session, has in assigned.items())
    shares = Counter(has.plan for has in assigned.values())
    for plan, weight in PLAN_WEIGHTS.items():
        assert shares[plan] / 10_000 == pytest.approx(weight / 100, abs=0.02)
    assert min(Counter(has.model for has in assigned.values()).values()) > 1500


def test_a_file_replaces_the_rule(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("plan,session,model\npro,s1,m\n")
    assert by_file(path)("s1") == ("pro", "m")
    with pytest.raises(ReplayError, match="session s2 of the trace is not listed; add a row"):
        by_file(path)("s2")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1: the header is ''; expected session,plan,model"),
        ("session,plan\n", ":1: the header is 'session,plan'"),
        ("session,plan,model\ns,p\n", ":2: not three filled fields"),
        ("session,plan,model\ns,,m\n", ":2: not three filled fields"),
        ("session,plan,model\ns,p,m\ns,p,m\n", ":3: session s is listed twice"),
    ],
)
def test_mistakes_in_a_file_are_told(tmp_path, text, told):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ReplayError, match=told):
        by_file(tmp_path / "a.csv")


def test_weights() -> None:
    assert parse_weights("free=70, pro=25,x", "--plans") == {"free": 70, "pro": 25, "x": 1}
    for bad in ("", "a=", "=1", "a=0", "a=-1", "a=1,a=2", "a=99999999", "a,,b", "a=1.5"):
        with pytest.raises(ReplayError, match=r"--plans .* is not a new NAME=WEIGHT"):
            parse_weights(bad, "--plans")
