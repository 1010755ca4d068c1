"""The command line: help, exit codes, one clear line per error, JSON; the engine is a double."""

import json
import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

import fastcheck
from fastcheck import cli
from fastcheck.cli import screen
from fastcheck.errors import CatalogError, FastcheckError
from models.naive_entitlements import NaiveEntitlements
from rig.replay_cases import generated_job

LEAVES = [
    ["demo"],
    ["check"],
    ["explain"],
    ["customer", "list"],
    ["customer", "show"],
    ["customer", "put"],
    ["customer", "delete"],
    ["customer", "history"],
    ["grant", "add"],
    ["grant", "list"],
    ["grant", "void"],
    ["override", "put"],
    ["override", "list"],
    ["override", "remove"],
    ["usage", "list"],
    ["usage", "totals"],
    ["ledger", "balance"],
    ["ledger", "audit"],
    ["ledger", "explain"],
    ["replay"],
    ["catalog", "validate"],
    ["catalog", "import"],
    ["catalog", "schema"],
    ["status"],
    ["bench"],
]


class Attached:
    """What check, explain and status use of an attached `Entitlements`."""

    asked: list[Any] = []  # noqa: RUF012

    @classmethod
    def attach(cls, directory):
        if directory == "closed":
            raise FastcheckError("closed: no owner; start the service first")
        return cls()

    def decide(self, customer, feature, *amount):
        self.asked.append((customer, feature, *amount))

        class Decision(SimpleNamespace):
            def __bool__(self):
                return self.allowed

        allowed = feature == "export"
        return Decision(
            allowed=allowed, reason="plan" if allowed else "not_entitled", remaining=Decimal("1.50")
        )

    def explain(self, customer, feature, at=None):
        self.asked.append(at)
        return SimpleNamespace(feature=feature, sources=[{"source": "plan", "won": True, "ends_at": None}])

    def status(self):
        return SimpleNamespace(connected=True, seq=7, as_of=1_767_225_600_000, since=datetime(2026, 1, 1))

    def close(self) -> None:
        self.asked.append("closed")


@pytest.fixture
def attached(monkeypatch):
    monkeypatch.setattr(fastcheck, "Entitlements", Attached, raising=False)
    Attached.asked.clear()
    return Attached.asked


@pytest.fixture
def naive(monkeypatch):
    @contextmanager
    def open_naive(directory, catalog_text, catalog_file):
        yield NaiveEntitlements(catalog_text)

    monkeypatch.setattr("fastcheck.replay.job.open_embedded", open_naive)


@pytest.mark.parametrize("leaf", LEAVES, ids=" ".join)
def test_help_has_an_example_and_json(leaf, capsys):
    assert cli.main([*leaf, "--help"]) == 0
    told = capsys.readouterr().out
    assert "example:\n  fastcheck " + " ".join(leaf) in told
    assert "--json" in told


def test_top_level_help_names_every_command(capsys):
    assert cli.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(leaf[0] in told for leaf in LEAVES)
    assert "exit codes" in told


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["no-such-command"],
        ["check", "dir", "acme"],
        ["check", "dir", "acme", "export", "-1"],
        ["check", "dir", "acme", "export", "input=1,input=2"],
        ["check", "dir", "acme", "export", "99999999999999999999"],
        ["explain", "dir", "acme", "export", "--at", "yesterday"],
        ["explain", "dir", "acme", "export", "--at", "2026-02-01T00:00:00"],
        ["customer"],
        ["customer", "list", "dir", "--limit", "0"],
        ["customer", "put", "dir", "acme", "--addon", "=2"],
        ["grant", "add", "dir", "acme", "pool", "-1"],
        ["grant", "add", "dir", "acme", "pool", "1", "--kind", "gift"],
        ["usage", "totals", "dir", "--by", "week"],
        ["ledger", "balance", "dir"],
        ["replay", "t.csv"],
        ["demo", "--requests", "0"],
        ["demo", "--requests", "99999999999"],
        ["bench", "--rounds", "x"],
    ],
    ids=str,
)
def test_wrong_usage_is_2(argv, capsys):
    assert cli.main(argv) == 2
    assert "usage: fastcheck" in capsys.readouterr().err


def test_check_answers_by_exit_code(attached, capsys):
    assert cli.main(["check", "dir", "acme", "export"]) == 0
    assert capsys.readouterr().out == "allowed (reason plan, remaining 1.5)\n"
    assert cli.main(["check", "dir", "acme", "gpt", "input=9,output=3", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "allowed": False,
        "reason": "not_entitled",
        "remaining": "1.5",
    }
    assert attached == [("acme", "export"), "closed", ("acme", "gpt", {"input": 9, "output": 3}), "closed"]


def test_explain_and_status(attached, capsys):
    assert cli.main(["explain", "dir", "acme", "export", "--at", "2026-02-01T00:00:00Z"]) == 0
    assert attached[0] == datetime(2026, 2, 1, tzinfo=timezone.utc)
    assert "plan" in capsys.readouterr().out
    assert cli.main(["explain", "dir", "acme", "export", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sources"] == [
        {"source": "plan", "won": True, "ends_at": None}
    ]
    assert cli.main(["status", "dir"]) == 0
    told = capsys.readouterr().out
    assert "seq        7" in told
    assert "as_of      2026-01-01 00:00:00 UTC" in told
    assert cli.main(["status", "dir", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["since"] == "2026-01-01T00:00:00"


def test_an_error_is_one_line_and_2(attached, capsys):
    assert cli.main(["status", "closed"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "fastcheck: closed: no owner; start the service first\n"
    assert captured.out == ""


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        (FastcheckError("a\n b"), 2, "fastcheck: a b"),
        (CatalogError(["c.yaml:1: x", "c.yaml:2: y"]), 2, "fastcheck: c.yaml:1: x (and 1 more mistakes)"),
        (PermissionError(13, "Permission denied", "x.svg"), 2, "fastcheck: x.svg: Permission denied; check"),
        (KeyboardInterrupt(), 130, "fastcheck: interrupted"),
        (ImportError("no native"), 2, "fastcheck: the native module cannot be loaded (no native); reinstall"),
        (
            UnicodeEncodeError("utf-8", "\udc80", 0, 1, "surrogates not allowed"),
            2,
            "fastcheck: a name or a file is not valid",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_is_one_line(attached, monkeypatch, capsys, raised, code, told):
    def fail(self) -> None:
        raise raised

    monkeypatch.setattr(Attached, "status", fail)
    assert cli.main(["status", "dir"]) == code
    told_really = capsys.readouterr().err
    assert told_really.startswith(told)
    assert told_really.count("\n") == 1


def test_replay_prints_its_report(naive, tmp_path, capsys):
    job = generated_job(tmp_path)
    argv = ["replay", str(job.trace), "--catalog", str(job.catalog), "--rates", str(job.rates)]
    outs = ["--plot", str(tmp_path / "out.svg"), "--catalog-out", str(tmp_path / "complete.yaml")]
    assert cli.main([*argv, *outs]) == 0
    told = capsys.readouterr().out
    for expected in (
        "By plan",
        "enterprise",
        "total",
        "gpt-4.1-nano",
        "not_entitled",
        "exhausted",
        " ns",
        "out.svg",
    ):
        assert expected in told
    assert (tmp_path / "out.svg").read_text().startswith("<svg")
    assert "${" not in (tmp_path / "complete.yaml").read_text().split("fastcheck: 1")[1]
    assert cli.main([*argv, "--json", "--limit", "100", "--plans", "pro"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["requests"] == 100
    assert list(told["plans"]) == ["pro"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--plans", "free=x"], "--plans 'free=x'"),
        (["--plot", "absent/out.svg"], "absent/out.svg: its directory does not exist; create absent"),
        (["--catalog", "absent.yaml"], "absent.yaml: No such file or directory"),
        (["--rates", "absent.csv"], "absent.csv: cannot be read (No such file"),
    ],
)
def test_replay_tells_what_is_wrong(naive, tmp_path, monkeypatch, capsys, options, told):
    monkeypatch.chdir(tmp_path)
    job = generated_job(tmp_path, count=5)
    argv = ["replay", str(job.trace), "--catalog", str(job.catalog), "--rates", str(job.rates), *options]
    assert cli.main(argv) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"fastcheck: {told}")
    assert captured.err.count("\n") == 1


def test_demo_needs_nothing(naive, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["demo", "--requests", "300"]) == 0
    assert "burn over time: fastcheck-demo.svg" in capsys.readouterr().out
    assert (tmp_path / "fastcheck-demo.svg").exists()


def test_bench_rows_are_ratios_to_the_floor():
    engine = SimpleNamespace(
        check=lambda c, f: True,
        consume=lambda c, f, n=1: True,
        decide=lambda c, f: True,
        handle=lambda c, f: SimpleNamespace(check=lambda: True),
        reserve=lambda c, f, n: SimpleNamespace(commit=lambda n: None),
    )
    rows = cli.bench.measure(cli.bench.names_of(engine), rounds=3, calls=50)
    assert list(rows) == list(cli.bench.STATEMENTS)
    assert rows[cli.bench.FLOOR]["ratio"] == 1.0


def test_progress_only_on_a_terminal(monkeypatch, capsys):
    with screen.progress("rows", 3) as tell:
        tell(3)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "rich", None)
    with screen.progress("rows", 3) as tell:
        tell(1)
    assert "rows: 1 of 3" in capsys.readouterr().err


def test_a_table_with_rich_says_the_same(monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    screen.print_table("Title", ("name", "n"), [("[red]", "1")])
    told = capsys.readouterr().out
    assert "Title" in told
    assert "[red]" in told
