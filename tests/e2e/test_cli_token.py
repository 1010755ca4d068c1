"""`fastcheck token`, against a hub and against the directory of one that is stopped."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastcheck import Entitlements, cli
from fastcheck.clock import SystemClock
from fastcheck.hub.store.sqlite import SqliteStore
from rig.hub_api import CATALOG, make_app, make_service, served
from rig.serving import Service


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FASTCHECK_HUB", "FASTCHECK_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("USER", "jo")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[str, Service]]:
    """(the address of a hub, its service)."""
    store = SqliteStore.in_memory()
    service = make_service(store, SystemClock())
    service.set_catalog(service.parse(CATALOG, "c"), CATALOG, "c")
    with served(make_app(service)) as url:
        yield url, service
    store.close()


@pytest.fixture
def directory(tmp_path: Path) -> str:
    """A directory that nobody has open."""
    with Entitlements.open(tmp_path / "state", catalog=CATALOG):
        pass
    return str(tmp_path / "state")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main(["token", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_hubs_tokens_are_made_listed_and_revoked(
    hub: tuple[str, Service],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, _ = hub
    (tmp_path / "admin.token").write_text("admin\n")
    at = ("--url", url, "--token-file", str(tmp_path / "admin.token"))
    code, text, err = run(capsys, "make", "billing", "--scope", "spend", "--scope", "support", *at)
    assert (code, err) == (0, "")
    assert text.startswith("fc_live_")
    assert len(text.split()) == 1
    monkeypatch.setenv("FASTCHECK_HUB", url)
    monkeypatch.setenv("FASTCHECK_TOKEN", "admin")
    code, out, _ = run(
        capsys, "make", "host", "--scope", "stream", "--rate", "9", "--expires", "+7d", "--json"
    )
    made = json.loads(out)
    assert (made["name"], made["scopes"], made["rate_per_s"], made["state"]) == (
        "host",
        ["stream"],
        9,
        "active",
    )
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert "billing" in out
    assert text.strip() not in out
    assert len(json.loads(run(capsys, "list", "--json", "--limit", "1")[1])) == 1
    code, out, _ = run(capsys, "revoke", made["id"], "--reason", "leaked", "--yes")
    assert (code, out) == (0, f"{made['id']}: revoked, host\n")
    assert "revoked" in run(capsys, "list")[1]
    assert json.loads(run(capsys, "revoke", made["id"], "--yes", "--json")[1])["state"] == "revoked"


def test_a_token_may_go_to_a_file_that_only_its_owner_reads(
    hub: tuple[str, Service],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FASTCHECK_HUB", hub[0])
    monkeypatch.setenv("FASTCHECK_TOKEN", "admin")
    file = tmp_path / "host.token"
    code, out, _ = run(capsys, "make", "host", "--scope", "stream", "--to", str(file))
    assert code == 0
    assert file.read_text().startswith("fc_live_")
    assert file.read_text().strip() not in out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    code, _, err = run(capsys, "make", "host", "--scope", "stream", "--to", str(file))
    assert code == 2
    assert "there already" in err
    monkeypatch.setenv("FASTCHECK_TOKEN", "support")
    code, _, err = run(capsys, "make", "host", "--scope", "stream", "--to", str(tmp_path / "other"))
    assert code == 2
    assert "admin" in err
    assert not (tmp_path / "other").exists()


def test_the_tokens_of_a_directory(directory: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, err = run(capsys, "make", directory, "first", "--scope", "admin", "--environment", "staging")
    assert (code, err) == (0, "")
    assert text.startswith("fc_staging_")
    [one] = json.loads(run(capsys, "list", directory, "--json")[1])
    assert (one["name"], one["author"], one["environment"]) == ("first", "jo", "staging")
    assert run(capsys, "revoke", directory, one["id"], "--yes")[0] == 0
    assert "revoked" in run(capsys, "list", directory)[1]
    assert run(capsys, "revoke", directory, "nobody", "--yes")[0] == 2


def test_a_directory_that_is_open_is_asked_over_http(
    directory: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Entitlements.open(directory):
        code, _, err = run(capsys, "list", directory)
    assert code == 2
    assert "--url" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("list",), "say which hub"),
        (("list", "--url", "http://127.0.0.1:9"), "an admin token is needed"),
        (("list", "./state", "--url", "http://127.0.0.1:9"), "not both"),
        (("list", "./nowhere"), "not the directory of a hub"),
        (("list", "--url", "https://hub:8700", "--token-file", os.devnull), "token is empty"),
        (("list", "--url", "http://127.0.0.1:9", "--token-file", "./nowhere"), "nowhere"),
        (("revoke", "x", "--url", "http://127.0.0.1:9"), "--yes"),
    ],
)
def test_what_is_missing_is_named(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


def test_a_scope_that_there_is_not_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "make", "x", "--scope", "everything")[0] == 2
    assert run(capsys, "make", "x")[0] == 2
