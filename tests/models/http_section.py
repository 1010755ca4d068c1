"""One hub, what it is asked, and what of its answers is recorded.

What goes without saying is left out: the media type of JSON and of problems, a length that is right, what a
problem repeats of its code and of the status. Everything else is there, how the JSON is spaced and escaped
too, so that equal records mean equal bytes but for what is random."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from models.http_routes import SCOPES

RUN_SHOWN_MAX = 64
"""A run of one character that is longer is written as its length."""
TEXT_SHOWN_MAX = 2_000
"""A longer text is written as its beginning and its digest."""
LIST_SHOWN_MAX = 150
"""As of texts."""
RATE_PER_S = 1_000_000
"""Of the corpus's tokens: no refusal comes from how fast this machine is."""
WITHIN_S = 30.0
"""For one answer, on a machine that others share."""
REQUEST_ID = "exchange"
JSON_TYPE = ("Content-Type", "application/json")
PROBLEM = "application/problem+json"
PROBLEM_FIELDS = ["type", "title", "status", "detail", "code"]
NO_BODY: Any = object()

Exchange = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Asgi = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


@dataclass
class App:
    """A hub's application."""

    asgi: Asgi
    advance: Callable[[int], None]
    """Moves the hub's clock forward by ms."""
    token: str
    """An administrator's first token."""
    use: Callable[[list[tuple[Any, ...]]], None]
    """Stores usage records, as a host's settlement does; nothing over HTTP can."""
    give_up: Callable[[str], None]
    """The receiver of a webhook answered that it is gone: what waits for it is dead."""


@dataclass(frozen=True)
class Answer:
    """What came back, as it came."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """A header; "" where there is none."""
        return next((value for one, value in self.headers if one == name), "")

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class Section:
    """A part of the corpus, with a hub of its own."""

    name: str
    app: App
    exchanges: list[Exchange]
    tokens: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    """What later requests name: ids, tags, cursors."""
    asked: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    """By method, route of the document, and whether it was a success."""
    seq: int = 0
    _labels: set[str] = field(default_factory=set)
    _known: dict[str, str] = field(default_factory=dict)
    _counts: Counter[str] = field(default_factory=Counter)
    _of_keys: set[str] = field(default_factory=set)

    async def begin(self) -> None:
        """Makes a token of each scope."""
        self.tokens["admin"] = self.app.token
        self._place("token", self.app.token)
        self._place("token id", self.app.token.split("_")[2])
        self.tokens["nobody"] = "fc_live_0000000000000000_" + "A" * 43
        position = await self.ask("", "GET /v1/position", quiet=True)
        self._place("epoch", position.json["epoch"])
        for scope in SCOPES:
            await self.make_token(scope, {"name": scope, "scopes": [scope], "rate_per_s": RATE_PER_S})
        self.seq = (await self.ask("", "GET /v1/position", quiet=True)).json["seq"]

    async def make_token(self, label: str, terms: Mapping[str, Any]) -> Any:
        """A token under which later requests are made."""
        made = await self.ask("", "POST /v1/tokens", dict(terms), quiet=True)
        assert made.status == 200, made.body
        self.tokens[label] = made.json["token"]
        return made.json["state"]

    async def ask(
        self,
        label: str,
        what: str,
        body: Any = NO_BODY,
        *,
        token: str | None = "admin",
        headers: Sequence[tuple[str, str]] = (),
        raw: bytes | None = None,
        parts: Sequence[bytes] = (),
        route: str = "",
        quiet: bool = False,
        shown: Callable[[Answer], Any] | None = None,
        by_chance: str = "",
        called: str = "",
    ) -> Answer:
        """One exchange. `what`: method and path. `body`: sent as JSON; `raw`: as it is; `parts`: in pieces,
        without a length. `route`: the path as the document has it. `quiet`: not recorded. `shown`: what of
        the answer is recorded. `by_chance`: a page in the order of these fields and then by chance, which is
        recorded in another order. `called`: what is recorded for the path, where it holds something by
        chance."""
        method, _, path = what.partition(" ")
        sent = list(headers)
        names = {name.lower() for name, _ in sent}
        content = b"".join(parts) if parts else raw if raw is not None else b""
        if body is not NO_BODY:
            content = json.dumps(body, ensure_ascii=True).encode()
            if "content-type" not in names:
                sent.append(JSON_TYPE)
        told = [one for one in sent if body is NO_BODY or one != JSON_TYPE]
        if token is not None and "authorization" not in names:
            sent.append(("Authorization", f"Bearer {self.tokens[token]}"))
        if "x-request-id" not in names:
            sent.append(("X-Request-Id", REQUEST_ID))
        if parts:
            sent.append(("Transfer-Encoding", "chunked"))
        elif "content-length" not in names and content:
            sent.append(("Content-Length", str(len(content))))
        answer = await _sent(self.app.asgi, method, path, sent, list(parts) or [content])
        self._note_keys(told)
        if quiet:
            self._recorded(answer, None, "")  # So that what it names is known.
            return answer
        name = f"{self.name}: {label}"
        assert name not in self._labels, f"two exchanges are called {name!r}"
        self._labels.add(name)
        if route:
            self.asked[method, route, answer.status < 400] += 1
        record: Exchange = {"name": name, "ask": f"{method} {called or _short(self._hidden(path))}"}
        if token != "admin":
            record["token"] = token
        if told:
            record["with"] = {one: _short(self._hidden(value)) for one, value in told}
            if len(record["with"]) < len(told):
                record["with"] = [[one, _short(self._hidden(value))] for one, value in told]
        if body is not NO_BODY:
            record["body"] = self._shown(body)
        elif content:
            record["body"] = _short(_text(content))
        record |= self._recorded(answer, shown, by_chance)
        self.exchanges.append(record)
        return answer

    def part(self, label: str, value: Any) -> None:
        """Something of an answer as a record of its own, such as an operation of the document."""
        self.exchanges.append({"name": f"{self.name}: {label}", "answer": value})

    # What is recorded.

    def _recorded(self, answer: Answer, shown: Callable[[Answer], Any] | None, by_chance: str) -> Exchange:
        body = answer.body
        if answer.header("fastcheck-epoch"):
            self._place("epoch", answer.header("fastcheck-epoch"))
        for token in _TOKEN.finditer(body.decode("latin-1")):
            self._place("token", token[0])
            self._place("token id", token[0].split("_")[2])
        media_type = answer.header("content-type").partition(";")[0]
        parsed: Any = None
        form, hidden = "text", None
        if media_type.endswith("json") and shown is None:
            parsed, form = _parsed(body)
        before = Counter(self._counts)
        if shown is not None:
            hidden = self._shown(shown(answer))
        elif form == "text":
            hidden = self._shown(_text(body))
        else:
            if answer.status == 500 and isinstance(parsed, dict) and isinstance(parsed.get("id"), str):
                self._place("failure", parsed["id"])
            hidden = self._shown(parsed)
            if by_chance and answer.status == 200:
                order = [[one[name] for name in by_chance.split()] for one in parsed["items"]]
                assert order == sorted(order), f"a page is not in the order of {by_chance}"
                if by_chance == "id":
                    order = [[] for _ in order]
                pairs = sorted(zip(order, map(json.dumps, hidden["items"]), strict=True))
                hidden["items"] = [json.loads(text) for _, text in pairs]
        is_volatile = self._counts != before or _PLACEHOLDER.search(json.dumps(hidden)) is not None
        found: dict[str, Any] = {}
        for name, value in answer.headers:
            written = self._header(name, value, is_volatile)
            if name == "content-length" and (value == str(len(body)) if body else value != "0"):
                continue  # Without a body: a HEAD tells the length of what a GET answers.
            if name == "x-request-id" and value == REQUEST_ID:
                continue
            if name == "content-type" and value == (PROBLEM if answer.status >= 400 else "application/json"):
                continue
            found.setdefault(name, []).append(_short(written))
        headers = {name: values[0] if len(values) == 1 else values for name, values in sorted(found.items())}
        if not answer.header("x-request-id"):
            headers["x-request-id"] = None
        if body and not media_type:
            headers["content-type"] = None
        if body and not answer.header("content-length"):
            headers["content-length"] = None
        record: Exchange = {"status": answer.status, "headers": headers}
        usual = {"application/json": "compact", PROBLEM: "spaced"}.get(media_type, "text")
        if form != usual and shown is None:
            record["form"] = form
        if body:
            if media_type == PROBLEM and _says_nothing_more(parsed, answer.status):
                del hidden["type"], hidden["status"]
            record["answer"] = hidden
        return record

    def _header(self, name: str, value: str, is_volatile: bool) -> str:
        if name == "fastcheck-seq" and value.isdigit():
            before, self.seq = self.seq, int(value)
            return f"{self.seq - before:+d}"
        if name == "fastcheck-epoch":
            return self._known.get(value, value)
        if name == "x-request-id" and re.fullmatch("[0-9a-f]{16}", value):
            return "<request id>"
        if name == "allow":  # The framework says them in the order of a set.
            return ", ".join(sorted(value.split(", ")))
        if name == "etag":
            if re.fullmatch('"[0-9]+-[0-9]+"', value):
                return '"<epoch>-<seq>"'
            if is_volatile and value.strip('"') not in self._known:
                self._place("tag", value.strip('"'))
        return self._hidden(value)

    def _shown(self, value: Any) -> Any:
        match value:
            case dict():
                return {_short(self._hidden(name)): self._shown(one) for name, one in value.items()}
            case list():
                if len(value) > 8 and value.count(value[0]) == len(value):
                    return [f"{len(value)} times", self._shown(value[0])]
                if len(value) > LIST_SHOWN_MAX:
                    digest = hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
                    return [self._shown(value[0]), f"… ({len(value)} items, SHA-256 {digest})"]
                return [self._shown(one) for one in value]
            case str():
                return _short(self._hidden(value))
            case int() if not isinstance(value, bool):
                return self._known.get(str(value), value) if value >= 1 << 40 else value
        return value

    def _hidden(self, text: str) -> str:
        text = _VOLATILE.sub(lambda found: self._placed(found[0]), text)
        text = _WORD.sub(lambda found: self._known.get(found[0], found[0]), text)
        return re.sub(r"again in [0-9.]+ s\b", "again in <some> s", text)

    def _placed(self, value: str) -> str:
        if value in self._of_keys:
            return value
        if value.startswith("whsec_"):
            return "<whsec begins>" if len(value) < 16 else self._place("whsec", value)
        kind = "token" if value.startswith("fc_") else value.rpartition("_")[0]
        return self._place(kind, value)

    def _place(self, kind: str, value: str) -> str:
        if value not in self._known:
            self._counts[kind] += 1
            self._known[value] = f"<{kind} {self._counts[kind]}>"
        return self._known[value]

    def _note_keys(self, headers: Sequence[tuple[str, str]]) -> None:
        """Ids under an idempotency key are made of it, and so are no chance."""
        for name, value in headers:
            if name.lower() == "idempotency-key":
                with contextlib.suppress(UnicodeDecodeError):
                    digest = hashlib.sha256(unquote(value, errors="strict").encode()).hexdigest()[:24]
                    self._of_keys |= {f"{prefix}_{digest}" for prefix in ("g", "h", "refund", "debit", "m")}


_TOKEN = re.compile(r"fc_[a-z0-9]{1,16}_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")
_VOLATILE = re.compile(
    _TOKEN.pattern
    + r"|whsec_[A-Za-z0-9+/]+={0,2}|(?:(?<=%2F)|(?<![A-Za-z0-9]))[a-z]{1,8}_[0-9a-f]{16,24}(?![0-9a-f])"
)
_PLACEHOLDER = re.compile(r"<[a-z ]+ [0-9]+>|<whsec begins>")
_WORD = re.compile(r"[0-9a-f]{12,32}")
"""Ids of tokens, tags and epochs, where they are known."""


async def _sent(
    asgi: Asgi, method: str, path: str, headers: Sequence[tuple[str, str]], parts: list[bytes]
) -> Answer:
    """The request as uvicorn passes it on."""
    target, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "server": ("127.0.0.1", 8700),
        "client": ("127.0.0.1", 50_000),
        "root_path": "",
        "path": unquote(target) if "%" in target else target,
        "raw_path": target.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(b"host", b"127.0.0.1:8700")]
        + [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "state": {},
    }
    left = list(parts)
    begun: dict[str, Any] = {}
    body = bytearray()

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()  # The caller stays on the line.
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            begun.update(message)
        else:
            body.extend(message.get("body", b""))

    try:
        await asyncio.wait_for(asgi(scope, receive, send), WITHIN_S)
    except asyncio.TimeoutError:
        raise AssertionError(f"{method} {path[:200]} was not answered in {WITHIN_S} s") from None
    except Exception:
        if not begun:  # What failed is logged by whoever serves; the answer was given before.
            raise
    found = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in begun["headers"])
    # The server sends no body of a HEAD, whatever the application says.
    return Answer(begun["status"], found, b"" if method == "HEAD" else bytes(body))


def _says_nothing_more(problem: Any, status: int) -> bool:
    """Whether a problem's type and status are what its code and HTTP's status say."""
    if not isinstance(problem, dict) or list(problem)[:5] != PROBLEM_FIELDS:
        return False
    return bool(problem["type"] == f"urn:fastcheck:problem:{problem['code']}" and problem["status"] == status)


def _parsed(body: bytes) -> tuple[Any, str]:
    """JSON and how it was written, by which the bytes can be made again; (None, "text") where not."""
    try:
        text = body.decode()
        value = json.loads(text)
    except ValueError:
        return None, "text"
    for form, separators, ascii in (
        ("compact", (",", ":"), False),
        ("compact ASCII", (",", ":"), True),
        ("spaced", (", ", ": "), True),
        ("spaced, not ASCII", (", ", ": "), False),
    ):
        if json.dumps(value, ensure_ascii=ascii, separators=separators) == text:
            return value, form
    return None, "text"


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


_RUN = re.compile(rf"(.)\1{{{RUN_SHOWN_MAX},}}", re.DOTALL)


def _short(text: str) -> str:
    text = _RUN.sub(lambda run: f"{run[1]}…×{len(run[0])}", text)
    if len(text) > TEXT_SHOWN_MAX:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        text = f"{text[:200]}… ({len(text)} characters, SHA-256 {digest})"
    return text
