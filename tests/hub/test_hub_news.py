"""Hubs of one database wake each other; where that fails, nothing else does."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from fastcheck import errors
from fastcheck.hub.store import postgres_wakeup
from fastcheck.hub.store.postgres_wakeup import HubNews
from rig.postgres import PrivatePostgres

SOON_S = 20.0


class Ear:
    """Hears and lets wait for it."""

    def __init__(self) -> None:
        self.heard = threading.Event()

    def __call__(self) -> None:
        self.heard.set()

    def hears(self) -> bool:
        found = self.heard.wait(SOON_S)
        self.heard.clear()
        return found


def listening(news: HubNews) -> Ear:
    ear = Ear()
    news.listen(ear)
    assert ear.hears(), "once it is connected"
    return ear


def test_a_word_wakes_the_others_and_not_who_sent_it(postgres_url: str) -> None:
    first, second, third = (HubNews(postgres_url) for _ in range(3))
    ears = [listening(one) for one in (first, second)]
    try:
        second.notify()
        assert ears[0].hears()
        third.notify()  # Who never listened is connected by its first word.
        assert ears[0].hears()
        assert ears[1].hears(), "by the third; of its own word it heard nothing"
        first.notify()
        assert ears[1].hears()
    finally:
        for one in (first, second, third):
            one.close()
            one.close()


def test_many_words_at_once_are_few(postgres_url: str, postgres: PrivatePostgres) -> None:
    sender, hearer = HubNews(postgres_url), HubNews(postgres_url)
    calls: list[float] = []
    ear = Ear()
    hearer.listen(lambda: (calls.append(time.monotonic()), ear())[1])
    assert ear.hears()
    started = time.monotonic()
    for _ in range(10_000):
        sender.notify()
    assert time.monotonic() - started < SOON_S / 4, "nobody waited for the server"
    assert ear.hears()
    sender.close()
    hearer.close()
    assert len(calls) < 5_000


def test_a_lost_connection_is_made_anew_and_said_once(
    postgres_url: str,
    postgres: PrivatePostgres,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(postgres_wakeup, "PAUSE_S", 0.01)
    caplog.set_level(logging.INFO, "fastcheck.store")
    database = postgres_url.rpartition("/")[2]
    news = HubNews(postgres_url)
    ear = listening(news)
    for _ in range(2):
        every = f"FROM pg_stat_activity WHERE datname = '{database}'"
        postgres.execute(f"SELECT pg_terminate_backend(pid) {every}")
        assert ear.hears(), "there may have been words meanwhile"
    other = HubNews(postgres_url)
    other.notify()
    assert ear.hears()
    other.close()
    news.close()
    said = [one.getMessage() for one in caplog.records]
    assert [one.split(" (")[0].split()[-1] for one in said].count("present") == 2
    assert sum("again" in one for one in said) == 2


def test_a_server_that_is_not_there_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(postgres_wakeup, "PAUSE_S", 0.001)
    tried = threading.Semaphore(0)
    news = HubNews("postgresql://someone:s3cret@127.0.0.1:1/nowhere")
    fails = news._fails

    def counted(error: Exception) -> None:
        fails(error)
        tried.release()

    monkeypatch.setattr(news, "_fails", counted)
    news.notify()
    for _ in range(3):
        assert tried.acquire(timeout=SOON_S)
    news.close()
    news.notify()
    said = [one.getMessage() for one in caplog.records]
    assert len(said) == 1
    assert "s3cret" not in said[0]


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(errors.StoreError, match="not PostgreSQL"):
        HubNews("sqlite:///x")
