"""`fastcheck catalog` with the real parser."""

import json
from pathlib import Path

import pytest

from fastcheck import Entitlements, cli

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


POOL = "fastcheck: 1\npools: {c: {scale: 0}}\nplans:\n"
BEFORE = POOL + "  pro: {grants: {monthly: {pool: c, amount: 100, every: month}}}\n"
AFTER = BEFORE.replace("{monthly", "{w: {pool: c, amount: 1_000}, monthly").replace("100,", "50,")
FALLS = "line monthly falls from 100 to 50 c at the next refill, for every customer of it"


def test_validate_against_another_file_tells_what_changes(tmp_path, capsys):
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(BEFORE)
    new.write_text(AFTER)
    assert cli.main(["catalog", "validate", str(new), "--against", str(old)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "plan pro version 1: line w (1,000 c once) is new: for customers who come later",
        f"plan pro version 1: {FALLS}",
    ]
    assert cli.main(["catalog", "validate", str(new), "--against", str(old), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["effects"][1] == {
        "offer": "plan pro version 1",
        "line": "monthly",
        "what": FALLS,
        "customers": 0,
        "example": None,
    }
    assert cli.main(["catalog", "validate", str(old), "--against", str(old)]) == 0
    assert capsys.readouterr().out.endswith("no grant of a plan or an add-on changes\n")
    assert cli.main(["catalog", "validate", str(new), "--against", str(tmp_path / "none.yaml")]) == 2
    old.write_text("fastcheck: 2")
    assert cli.main(["catalog", "validate", str(new), "--against", str(old)]) == 2


def test_validate_against_a_directory_tells_whom_it_concerns(tmp_path, capsys):
    state, new = tmp_path / "state", tmp_path / "new.yaml"
    with Entitlements.open(state, catalog=BEFORE.encode()) as ents:
        ents.admin.put_customer("ac\x1bme", plan="pro")
        ents.admin.put_customer("bravo", plan="pro")
    new.write_text(AFTER)
    assert cli.main(["catalog", "validate", str(new), "--against", str(state)]) == 0
    told = capsys.readouterr().out
    assert "at the next refill, for every customer of it (2 customers, such as ac\\x1bme)" in told
    new.write_text(POOL + "  free: {}\n")
    assert cli.main(["catalog", "validate", str(new), "--against", str(state)]) == 1
    told, gone = (
        capsys.readouterr().out,
        "plan pro version 1: leaves the catalog (2 customers, such as ac\\x1bme)\n",
    )
    assert "plan pro version 1 is gone but used by customers" in told
    assert told.endswith("1 problem\nplan free version 1: is new\n" + gone)
    assert cli.main(["catalog", "validate", str(new), "--against", str(state), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["valid"], len(answer["problems"]), len(answer["effects"])) == (False, 1, 2)
    assert cli.main(["catalog", "validate", str(new), "--against", str(tmp_path)]) == 2


def test_lines_that_may_mean_two_things_are_invalid_wherever_they_are_told(tmp_path, capsys):
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    many = "[{pool: c, amount: 1, every: day}, {pool: c, amount: 2, every: day}]"
    other = many.replace("1", "3").replace("2", "4")
    old.write_text(POOL + f"  pro: {{grants: {many}}}\n")
    new.write_text(POOL + f"  pro: {{grants: {other}}}\n")
    assert cli.main(["catalog", "validate", str(new), "--against", str(old)]) == 1
    assert "nothing says which was which" in capsys.readouterr().out
    new.write_text(POOL + f"  pro: {{versions: {{1: {{grants: {many}}}, 2: {{grants: {other}}}}}}}\n")
    assert cli.main(["catalog", "validate", str(new)]) == 1
    assert "give them the same names in both versions" in capsys.readouterr().out
