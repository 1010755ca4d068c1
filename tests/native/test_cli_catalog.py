"""`fastcheck catalog` with the real parser."""

import json
from pathlib import Path

import pytest

from fastcheck import cli

pytest.importorskip("fastcheck._fastcheck", reason="the native module is not built")

QUICKSTART = str(Path(__file__).parents[2] / "examples/quickstart/catalog.yaml")


def test_validate(tmp_path, capsys):
    assert cli.main(["catalog", "validate", QUICKSTART]) == 0
    assert ": valid (digest " in capsys.readouterr().out
    assert cli.main(["catalog", "validate", QUICKSTART, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []


def test_validate_lists_every_problem(tmp_path, capsys):
    bad = tmp_path / "bad.yaml"
    bad.write_text("fastcheck: 1\nfeatures:\n  a: {kind: swich}\n  b: {kind: limit, default: -1}\n")
    assert cli.main(["catalog", "validate", str(bad)]) == 1
    told = capsys.readouterr().out
    assert "2 problems" in told
    assert "bad.yaml" in told
    assert cli.main(["catalog", "validate", str(bad), "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 2


def test_validate_tells_each_mistake_of_orders_warnings_and_prices(tmp_path, capsys):
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "fastcheck: 1\n"
        "pools:\n"
        "  c: {order: fifi, warn_at: [90, 80]}\n"
        "addons:\n"
        "  pack:\n"
        "    grants:\n"
        "    - {pool: c, amount: 1, kind: topup, cost: {amount: 0.5, currency: JPY}}\n"
    )
    assert cli.main(["catalog", "validate", str(bad)]) == 1
    told = capsys.readouterr().out
    for line, path, hint in [
        (3, "pools.c.order", "did you mean `fifo`?"),
        (3, "pools.c.warn_at[1]", "write them ascending, each once"),
        (7, "addons.pack.grants[0].kind", "did you mean `top_up`?"),
        (7, "addons.pack.grants[0].cost.amount", "JPY has no decimal digits; round it"),
    ]:
        [found] = [one for one in told.splitlines() if f":{line}: {path}:" in one]
        assert hint in found


def test_a_file_that_cannot_be_read_is_2(tmp_path, capsys):
    assert cli.main(["catalog", "validate", str(tmp_path / "absent.yaml")]) == 2
    assert "absent.yaml: No such file" in capsys.readouterr().err


def test_import_tells_what_is_not_a_pricing(tmp_path, capsys):
    (tmp_path / "p.yaml").write_text("a: [")
    assert cli.main(["catalog", "import", str(tmp_path / "p.yaml"), "-o", str(tmp_path / "out.yaml")]) == 1
    assert not (tmp_path / "out.yaml").exists()


def test_schema_is_json(capsys):
    assert cli.main(["catalog", "schema"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)
