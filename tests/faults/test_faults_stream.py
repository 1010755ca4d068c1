"""Faults of hubs, hosts and what is between them, with real processes, real databases and real sockets. Each
runs with hosts that hold all customers, and with hosts that hold those asked for."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trustme

from fastcheck import Entitlements
from fastcheck.errors import FastcheckError, Forbidden, HubUnavailable
from fastcheck.host.following import backoff
from fastcheck.hub_client import HubClient
from rig.hubs import RunningHub, running_hub
from rig.processes import Child, wait_for
from rig.samples import sample
from rig.switchboard import Switchboard

MODES = ("all", "on_demand")
POLICIES = """
fastcheck: 1
features:
  export: {kind: switch}
  fresh: {kind: switch, when_stale: deny, max_staleness_s: 1}
  open: {kind: switch, when_stale: allow, max_staleness_s: 1}
  seats: {kind: limit}
plans:
  pro: {features: {export: true, fresh: true, seats: 25}}
"""


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(autouse=True)
def hosts_come_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often their hub was away."""
    monkeypatch.setattr(backoff, "CAP_MS", 300)


@pytest.fixture
def switchboard() -> Iterator[Switchboard]:
    board = Switchboard(1)
    yield board
    board.close()


def port_of(hub: RunningHub) -> int:
    return int(hub.url.rpartition(":")[2])


def figure(hub: RunningHub, name: str, **labels: str) -> float:
    """The sum of a metric, of those of its rows that have these labels."""
    total = 0.0
    with hub.http() as client:
        for line in client.get("/metrics").text.splitlines():
            if re.match(rf"{name}(?:{{|\s)", line) and all(
                f'{key}="{value}"' in line for key, value in labels.items()
            ):
                total += float(line.rsplit(" ", 1)[1])
    return total


def connect(url: str, directory: Path, token: str, mode: str) -> Entitlements:
    return Entitlements.connect(url, directory, token=token, customers=mode, wait_ready_s=30)


class Writer(threading.Thread):
    """Raises acme's limit of seats by one, again and again, through whichever hub answers."""

    def __init__(self, hubs: list[RunningHub]) -> None:
        super().__init__()
        self.hubs = hubs
        self.ended = threading.Event()
        self.acknowledged = 0
        self.failures = 0

    def run(self) -> None:
        seats = 100
        while not self.ended.is_set():
            for hub in list(self.hubs):
                try:
                    with HubClient(hub.url, hub.token, timeout_s=2) as admin:
                        while not self.ended.is_set():
                            admin.put_override("acme", "seats", seats + 1, reason="load")
                            seats += 1
                            self.acknowledged = seats
                except FastcheckError:
                    self.failures += 1

    def stop(self) -> int:
        """What was acknowledged last."""
        self.ended.set()
        self.join(30)
        return self.acknowledged


class Checker(threading.Thread):
    """Checks all the while; what it saw of the limit, which only ever rises."""

    def __init__(self, ents: Entitlements) -> None:
        super().__init__()
        self.ents = ents
        self.ended = threading.Event()
        self.wrong: list[object] = []
        self.checks = 0

    def run(self) -> None:
        last = 0
        while not self.ended.is_set():
            try:
                seen = self.ents.limit("acme", "seats")
                if seen is None or seen < last:
                    self.wrong.append((last, seen))
                else:
                    last = seen
            except Exception as error:  # No fault may reach who checks.
                self.wrong.append(error)
            self.checks += 1
            time.sleep(0.0005)

    def stop(self) -> list[object]:
        self.ended.set()
        self.join(30)
        return self.wrong


def test_one_of_two_hubs_is_killed_in_the_middle_of_the_stream(
    tmp_path: Path, postgres_url: str, switchboard: Switchboard, mode: str
) -> None:
    database = postgres_url.replace("+psycopg", "")
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(running_hub(tmp_path / "first", database=database))
        second = stack.enter_context(
            running_hub(tmp_path / "second", database=database, token=first.token, catalog=None)
        )
        switchboard.target = port_of(first)
        with HubClient(first.url, first.token) as admin:
            admin.put_customer("acme", plan="pro")
        ents = stack.enter_context(connect(switchboard.url, tmp_path / "host", first.token, mode))
        assert ents.limit("acme", "seats") == 25
        writer, checker = Writer([first, second]), Checker(ents)
        writer.start()
        checker.start()
        wait_for(lambda: (ents.limit("acme", "seats") or 0) > 110)
        first.kill()
        switchboard.target = port_of(second)
        wait_for(lambda: ents.status().connected is False or figure(second, "fastcheck_hub_hosts") > 0)
        before = writer.acknowledged
        wait_for(lambda: ents.status().connected is True and (ents.limit("acme", "seats") or 0) > before + 10)
        # Another hub is added, and the one that was left goes away in good order.
        third = stack.enter_context(
            running_hub(tmp_path / "third", database=database, token=first.token, catalog=None)
        )
        writer.hubs[:] = [second, third]
        switchboard.target = port_of(third)
        assert second.stop() == 0
        before = writer.acknowledged
        wait_for(lambda: ents.status().connected is True and (ents.limit("acme", "seats") or 0) > before + 10)
        last = writer.stop()
        wait_for(lambda: (ents.limit("acme", "seats") or 0) >= last)
        assert checker.stop() == []
        assert checker.checks > 100
        assert figure(third, "fastcheck_hub_full_transfers_total") == 0
    with psycopg.connect(database) as ledger:
        numbers = [row[0] for row in ledger.execute("SELECT seq FROM changes ORDER BY seq")]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_hub_is_deployed_under_load_and_nothing_acknowledged_is_lost(
    tmp_path: Path, switchboard: Switchboard, mode: str
) -> None:
    with contextlib.ExitStack() as stack:
        with running_hub(tmp_path / "hub") as old:
            switchboard.target = port_of(old)
            with HubClient(old.url, old.token) as admin:
                admin.put_customer("acme", plan="pro")
            ents = stack.enter_context(connect(switchboard.url, tmp_path / "host", old.token, mode))
            writer, checker = Writer([old]), Checker(ents)
            writer.start()
            checker.start()
            wait_for(lambda: (ents.limit("acme", "seats") or 0) > 110)
            assert old.stop() == 0  # SIGTERM: hosts are told, requests are finished.
        last = writer.stop()
        with running_hub(tmp_path / "hub", token=old.token) as new:
            switchboard.target = port_of(new)
            wait_for(lambda: ents.limit("acme", "seats") in (last, last + 1))
            assert checker.stop() == []
            assert figure(new, "fastcheck_hub_full_transfers_total") == 0
            with HubClient(new.url, new.token) as admin:
                [override] = admin.list_overrides("acme")
                assert override.value in (last, last + 1)


def test_a_ledger_put_back_from_a_backup_heals_every_host(
    tmp_path: Path, switchboard: Switchboard, mode: str
) -> None:
    directory, host = tmp_path / "hub", tmp_path / "host"
    with running_hub(directory) as hub, HubClient(hub.url, hub.token) as admin:
        admin.put_customer("acme", plan="pro")
    shutil.copy(directory / "ledger.db", tmp_path / "backup.db")
    with contextlib.ExitStack() as stack:
        with running_hub(directory) as hub:
            switchboard.target = port_of(hub)
            ents = stack.enter_context(connect(switchboard.url, host, hub.token, mode))
            with HubClient(hub.url, hub.token) as admin:
                for seats in range(30, 60):
                    admin.put_override("acme", "seats", seats, reason="after the backup")
                admin.put_customer("late", plan="pro")
                assert admin.last_seq is not None
                ents.wait_seq(admin.last_seq)
            assert (ents.limit("acme", "seats"), ents.check("late", "export")) == (59, True)
        for file in directory.glob("ledger.db*"):
            file.unlink()
        shutil.copy(tmp_path / "backup.db", directory / "ledger.db")
        with running_hub(directory) as hub:
            switchboard.target = port_of(hub)
            wait_for(lambda: ents.limit("acme", "seats") == 25)
            wait_for(lambda: not ents.check("late", "export"))
            assert figure(hub, "fastcheck_hub_hosts_ahead_total") >= 1
            assert "put back from a backup" in hub.log.read_text()
            epoch = ents.status().epoch
            with HubClient(hub.url, hub.token) as admin:
                admin.restored(reason="the backup of last night")
                admin.put_override("acme", "seats", 26, reason="from here on")
            wait_for(lambda: ents.limit("acme", "seats") == 26)
            assert ents.status().epoch != epoch


def test_a_revoked_token_ends_the_stream_and_checks_follow_their_policy(tmp_path: Path, mode: str) -> None:
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(POLICIES)
    with running_hub(tmp_path / "hub", catalog=catalog) as hub, HubClient(hub.url, hub.token) as admin:
        admin.put_customer("acme", plan="pro")
        made = admin.make_token("app", ["stream"])
        assert made.token is not None
        with connect(hub.url, tmp_path / "host", made.token, mode) as ents:
            answers = [ents.check("acme", name) for name in ("export", "fresh", "open")]
            assert answers == [True, True, False]
            admin.revoke_token(made.state.id)
            wait_for(lambda: "revoked" in ents.status().reason)
            assert ents.status().connected is False
            admin.put_override("acme", "export", False, reason="nobody hears of it")
            wait_for(lambda: not ents.check("acme", "fresh"))
            assert ents.decide("acme", "fresh").reason == "stale"
            assert ents.check("acme", "open")  # Fails open, as the catalog says.
            assert ents.check("acme", "export")  # The last good state stays in force.
            assert made.token not in repr(ents.status())
        assert made.token not in hub.log.read_text()


def test_tokens_that_are_none_and_those_of_others_are_refused_with_the_reason(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as hub, HubClient(hub.url, hub.token) as admin:
        soon = datetime.now(timezone.utc) + timedelta(seconds=2)
        short = admin.make_token("short", ["stream"], expires_at=soon)
        wait_for(lambda: datetime.now(timezone.utc) > soon)
        spender = admin.make_token("spender", ["spend"])
        other = hub.token.replace("fc_live_", "fc_staging_")
        cases = {
            "expired": short.token, "scope": spender.token, "environment": other, "malformed": "letmein",
            "unknown": hub.token[:-1] + ("A" if hub.token[-1] != "A" else "B"),
        }  # fmt: skip
        for number, token in enumerate(cases.values()):
            assert token is not None
            with pytest.raises(Forbidden) as caught:
                Entitlements.connect(hub.url, tmp_path / f"host-{number}", token=token, wait_ready_s=5)
            assert token not in str(caught.value)
        wait_for(lambda: len(admin.audit(limit=50).items) > 0)
        denied = [one for one in admin.audit(limit=100).items if one.action == "denied"]
        assert len(denied) >= len(cases) - 1


def test_a_certificate_that_is_over_or_not_trusted_is_refused(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    stranger.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    good = authority.issue_cert("127.0.0.1")
    over = authority.issue_cert("127.0.0.1", not_after=yesterday)

    def options(name: str, cert: Any) -> tuple[str, ...]:
        cert.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        with (tmp_path / f"{name}.pem").open("wb") as file:
            for part in cert.cert_chain_pems:
                file.write(part.bytes())
        return ("--tls-cert", str(tmp_path / f"{name}.pem"), "--tls-key", str(tmp_path / f"{name}.key"))

    def reached(url: str, host: str, token: str, authority_file: str) -> Entitlements:
        return Entitlements.connect(
            url, tmp_path / host, token=token, ca_file=tmp_path / authority_file, wait_ready_s=1.5
        )

    with running_hub(tmp_path / "hub", *options("good", good), ready=False) as hub:
        with reached(hub.url, "host", hub.token, "ca.pem") as ents:
            assert ents.status().connected
        with pytest.raises(HubUnavailable, match=r"(?i)certificate"):
            reached(hub.url, "distrustful", hub.token, "other.pem")
        token = hub.token
    over_hub = running_hub(tmp_path / "hub", *options("over", over), ready=False, token=token)
    with over_hub as hub, pytest.raises(HubUnavailable, match=r"(?i)expired"):
        reached(hub.url, "late", token, "ca.pem")


WORKER = """
url, directory, token, mode = sys.argv[1:]
ents = Entitlements.connect(url, directory, token=token, customers=mode, wait_ready_s=30)
ents.check("acme", "export")
say(ents.status().role)
while (words := hear()):
    if words[0] == "role": say(ents.status().role, ents.status().connected)
    if words[0] == "limit": say(ents.limit("acme", "seats"))
ents.close()
"""


def test_four_workers_have_one_stream_and_another_takes_it_over(tmp_path: Path, mode: str) -> None:
    with running_hub(tmp_path / "hub") as hub, HubClient(hub.url, hub.token) as admin:
        admin.put_customer("acme", plan="pro")
        workers = [Child(WORKER, hub.url, tmp_path / "host", hub.token, mode) for _ in range(4)]
        try:
            roles = [worker.hear()[0] for worker in workers]
            assert sorted(roles) == ["owner", "worker", "worker", "worker"]
            wait_for(lambda: figure(hub, "fastcheck_hub_hosts") == 1)
            full = figure(hub, "fastcheck_hub_full_transfers_total")
            owner = workers.pop(roles.index("owner"))
            owner.send(signal.SIGKILL)
            begun = time.monotonic()
            wait_for(lambda: any(worker.ask("role") == ["owner", "True"] for worker in workers))
            took = time.monotonic() - begun
            admin.put_override("acme", "seats", 77, reason="after the takeover")
            for worker in workers:
                wait_for(lambda worker=worker: worker.ask("limit") == ["77"])  # type: ignore[misc]
            wait_for(lambda: figure(hub, "fastcheck_hub_hosts") == 1)
            assert figure(hub, "fastcheck_hub_full_transfers_total") == full  # It went on where it was.
            assert took < 30
        finally:
            for worker in workers:
                worker.send(signal.SIGKILL)
                worker.process.wait()
            owner.process.wait()


def test_many_connections_cut_at_any_moment_lose_nothing(
    tmp_path: Path, switchboard: Switchboard, mode: str
) -> None:
    with running_hub(tmp_path / "hub") as hub:
        switchboard.target = port_of(hub)
        with HubClient(hub.url, hub.token) as admin:
            admin.put_customer("acme", plan="pro")
        with connect(switchboard.url, tmp_path / "host", hub.token, mode) as ents:
            ents.check("acme", "export")
            writer, checker = Writer([hub]), Checker(ents)
            writer.start()
            checker.start()
            for _ in range(sample(12, 200)):
                time.sleep(0.15)
                switchboard.cut()
            last = writer.stop()
            wait_for(lambda: ents.limit("acme", "seats") in (last, last + 1))
            assert checker.stop() == []
