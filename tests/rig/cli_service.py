"""A running service for the tests of the command line, and the commands run against it in this process."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements, cli

CATALOG = """\
fastcheck: 1
pools:
  ai_credits: {scale: 6, policy: hard}
features:
  export: {kind: switch}
  seats: {kind: limit}
  retention_days: {kind: value}
  api_calls: {kind: meter, period: month}
  storage: {kind: meter, period: month, scale: 2}
  gpt-4o: {kind: credit, pool: ai_credits, rates: {input: 1, output: 3}, rate: 1}
plans:
  free: {features: {api_calls: 1_000}}
  pro:
    versions:
      1: {features: {export: true, seats: 20, api_calls: 50_000, gpt-4o: true}}
      2: {features: {export: true, seats: 25, retention_days: 30, api_calls: 100_000, gpt-4o: true}}
addons:
  seats_pack: {features: {seats: 5}}
  credit_pack:
    sold: once
    plans: [pro]
    max_quantity: 10
    grants: [{pool: ai_credits, amount: 2_000, expires_after: year, cost: {amount: "19.99", currency: USD}}]
"""

RECORDS_WAIT_S = 30.0


class Service:
    """`ents`, and the commands that look into its directory."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = str(directory)
        self.ents = Entitlements.open(directory, catalog=CATALOG)
        self._capsys = capsys

    def run(self, command: str, *arguments: str) -> tuple[int, str, str]:
        """(exit code, standard output, standard error) of `command` in the directory."""
        self._capsys.readouterr()
        code = cli.main([*command.split(), self.directory, *arguments])
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err

    def told(self, command: str, *arguments: str) -> str:
        """What a command says that is done."""
        code, out, err = self.run(command, *arguments)
        assert (code, err) == (0, "")
        return out

    def json(self, command: str, *arguments: str) -> Any:
        """What a command says that is done, for programs."""
        return json.loads(self.told(command, *arguments, "--json"))

    def refused(self, command: str, *arguments: str) -> tuple[int, str]:
        """(exit code, the one line) of a command that is not done."""
        code, out, err = self.run(command, *arguments)
        assert code != 0
        assert out == ""
        assert err.startswith("fastcheck: ")
        assert err.count("\n") == 1
        return code, err.removeprefix("fastcheck: ").rstrip()

    def wait_for_records(self, count: int) -> None:
        """Until the owner has stored usage records."""
        deadline = time.monotonic() + RECORDS_WAIT_S
        while len(self.ents.admin.list_usage().items) < count:
            assert time.monotonic() < deadline, "the usage records did not arrive"
            time.sleep(0.01)
