"""README, tutorial and examples run as they stand: their Python blocks in order, the commands in between."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TUTORIAL = ROOT / "docs" / "tutorial.md"
COMMAND = [sys.executable, "-m", "fastcheck"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a copy of the examples, and nothing else."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(page: Path) -> Iterator[tuple[str, int, str]]:
    """(language, line, text) of every block that says its language."""
    text = page.read_text()
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield match[1], text.count("\n", 0, match.start()) + 1, match[2]


@pytest.mark.parametrize(("page", "least"), [(README, 1), (TUTORIAL, 5)], ids=["README", "tutorial"])
def test_every_block_runs_in_order(page: Path, least: int, checkout: Path) -> None:
    known: dict[str, Any] = {}
    ran: Counter[str] = Counter()
    try:
        for language, line, text in blocks(page):
            if language == "python":
                exec(compile("\n" * line + text, page.name, "exec"), known)
                ran[language] += 1
            else:
                assert language == "sh"
                for command in text.splitlines():
                    program, *arguments = shlex.split(command)
                    assert program == "fastcheck"
                    done = subprocess.run(COMMAND + arguments, capture_output=True, text=True, timeout=60)
                    assert done.returncode == 0, f"{page.name}: {command}: {done.stderr}"
                    assert done.stdout
                    ran[language] += 1
    finally:
        if "ents" in known:
            known["ents"].close()
    assert ran["python"] >= least
    assert page == README or ran["sh"] >= least


def test_the_first_block_has_ten_lines() -> None:
    language, _, text = next(blocks(README))
    assert language == "python"
    assert len([line for line in text.splitlines() if line.strip()]) <= 10


def test_the_first_block_runs_twice(checkout: Path) -> None:
    """In one directory, one process after the other: the credits are granted once, the balance goes on."""
    _, _, text = next(blocks(README))
    program = text + "print(ents.admin.balance('acme', 'ai_credits').remaining)\n"
    told = [
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
        )
        for _ in range(2)
    ]
    assert [one.stdout for one in told] == ["49988\n", "49976\n"]


def test_the_quickstart_program(checkout: Path) -> None:
    program = [sys.executable, "examples/quickstart/quickstart.py", "state"]
    first, second = (
        subprocess.run(program, capture_output=True, text=True, timeout=60, check=True).stdout
        for _ in range(2)
    )
    assert "burned: 1234\nleft: 48766\n" in first
    assert "left: 47532\n" in second


QUOTA = 25


@pytest.fixture
def server(checkout: Path) -> Iterator[str]:
    """The gunicorn example on a free port; its URL."""
    pytest.importorskip("gunicorn")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", "examples/gunicorn/gunicorn.conf.py", "--bind", address],
        env={**os.environ, "FASTCHECK_STATE": str(checkout / "state")},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://{address}/"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def ask(url: str, customer: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, headers={"X-Customer": customer})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


ATTEMPTS_MAX = 20
"""Rounds until several workers took part: which of them answer is the kernel's choice."""


def test_gunicorn_workers_share_one_quota(server: str, checkout: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            ask(server, "nobody")
            break
        except (OSError, urllib.error.URLError):
            assert time.monotonic() < deadline, "gunicorn did not begin to answer"
            time.sleep(0.1)
    with Entitlements.attach(checkout / "state") as ents:
        for attempt in range(1, ATTEMPTS_MAX + 1):
            ents.admin.put_override("acme", "api_calls", attempt * QUOTA)  # what was used stays used
            with ThreadPoolExecutor(16) as pool:
                answers = list(pool.map(lambda _: ask(server, "acme"), range(4 * QUOTA)))
            assert Counter(status for status, _ in answers) == {200: QUOTA, 429: 3 * QUOTA}
            assert {answer["reason"] for status, answer in answers if status == 429} == {"exhausted"}
            if len({answer["worker"] for _, answer in answers}) > 1:
                break
        else:
            pytest.fail("one worker answered everything: nothing was shared")
        assert ents.admin.balance("acme", "api_calls").remaining == 0
    assert ask(server, "nobody")[0] == 403
