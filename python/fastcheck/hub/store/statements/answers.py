"""What was answered to calls with an idempotency key."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, select

from fastcheck.hub.store.statements.subject import Subject
from fastcheck.hub.store.tables import answers

_ANSWERED = select(answers.c.digest, answers.c.answer).where(answers.c.key == bindparam("of"))
_PUT = insert(answers)
_FORGET = delete(answers).where(answers.c.at < bindparam("before"))


class Answers(Subject):
    """Answers by idempotency key."""

    def answered(self, key: str) -> tuple[bytes, bytes] | None:
        """(digest of the request, answer) of a call with an idempotency key."""
        row = self._db.execute(_ANSWERED, {"of": key}).first()
        return None if row is None else (row[0], row[1])

    def put_answer(self, key: str, at: int, digest: bytes, answer: bytes) -> None:
        """Keeps what was answered to a call with an idempotency key."""
        self._db.execute(_PUT, {"key": key, "at": at, "digest": digest, "answer": answer})

    def forget_answers(self, before: int) -> None:
        """Drops answers older than an instant."""
        self._db.execute(_FORGET, {"before": before})
