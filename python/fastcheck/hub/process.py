"""The hub as a process: opens the ledger, listens, serves, and goes away without losing a request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn

from fastcheck._fastcheck import Catalog, SnapshotWriter
from fastcheck.clock import Clock, SystemClock
from fastcheck.directory.clock import guarded
from fastcheck.directory.path import prepare
from fastcheck.errors import DirectoryError, FastcheckError
from fastcheck.hub import logs
from fastcheck.hub.app import make_app
from fastcheck.hub.background.clock_gauges import gauges
from fastcheck.hub.background.duties import Duties
from fastcheck.hub.http import api
from fastcheck.hub.http.health import not_ready
from fastcheck.hub.parts import Hub, Settings
from fastcheck.hub.service import Service
from fastcheck.hub.store.directory import DirectoryStore
from fastcheck.hub.store.postgres import PostgresStore
from fastcheck.hub.store.postgres_wakeup import HubNews
from fastcheck.wire.by import By
from fastcheck.wire.operations.catalog import SetCatalog
from fastcheck.wire.operations.tokens import ListTokens, MakeToken, RevokeToken
from fastcheck.wire.scopes import SCOPES

if TYPE_CHECKING:
    from fastcheck.hub.store import Store

log = logging.getLogger("fastcheck.hub")

BACKLOG: Final = 4_096
"""Connections that wait to be accepted: a herd arrives at once."""
DATABASE_CONNECTIONS: Final = 16
FILES_WANTED: Final = 65_536
REQUESTS_S: Final = 10
"""For requests that are being answered when the hub ends."""
KEEP_ALIVE_S: Final = 20
READY_LOOK_S: Final = 0.05
ADMIN_TOKEN: Final = "admin.token"
AUTHOR: Final = By("fastcheck hub")
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Options:
    """The command's arguments, checked."""

    directory: Path
    database: str | None = None
    """URL of a PostgreSQL database; None: `ledger.db` in the directory."""
    host: str = "127.0.0.1"
    port: int = 8700
    """0: any free one."""
    catalog: Path | None = None
    """Put in force at start."""
    environment: str = "live"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    insecure: bool = False
    log_format: str = "text"
    drain_s: float = 10.0


def run(options: Options, ready: Callable[[str, str], None]) -> None:
    """Serves until a signal ends it. `ready` is called once with the URL, and with where a first token was
    written, "" where none was. Raises `FastcheckError` where it cannot begin."""
    logs.configure(options.log_format)
    _refuse_plain(options)
    _allow_files()
    directory = prepare(options.directory, make=True)
    clock = guarded(SystemClock(), directory)
    listening = _listen(options)
    with contextlib.closing(listening):
        store = _open(options, directory)
        try:
            service = Service(store, clock, Catalog.parse, streams=True)
            service.streaming.begin_streaming()
            if options.catalog is not None:
                _put_catalog(service, options.catalog)
            token = _first_token(service, directory, options.environment)
            _serve(options, directory, service, store, clock, listening, token, ready)
        finally:
            store.close()


def _serve(
    options: Options,
    directory: Path,
    service: Service,
    store: Store,
    clock: Clock,
    listening: socket.socket,
    token: str,
    ready: Callable[[str, str], None],
) -> None:
    hub = Hub(
        service,
        Settings(directory, options.environment),
        SnapshotWriter,
        clock.now_ms,
        (Duties(service, store, clock),),
        None if options.database is None else HubNews(options.database),
    )
    hub.metrics.watch(partial(gauges, clock))
    app = make_app(hub, service)
    config = uvicorn.Config(
        app,
        ws=cast(Any, hub.streams.accept),  # uvicorn calls it as it would call a class.
        http="httptools",
        loop="uvloop",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=REQUESTS_S,
        backlog=BACKLOG,
        ssl_certfile=None if options.tls_cert is None else str(options.tls_cert),
        ssl_keyfile=None if options.tls_key is None else str(options.tls_key),
    )
    scheme = "http" if options.tls_cert is None else "https"
    host = f"[{options.host}]" if ":" in options.host else options.host
    url = f"{scheme}://{host}:{listening.getsockname()[1]}"
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise FastcheckError(
            f"the TLS certificate {options.tls_cert} and key {options.tls_key} cannot be used "
            f"({error}): name PEM files that belong together"
        ) from error
    server = Server(config, hub, options.drain_s, partial(ready, url, token))
    server.run([listening])


class Server(uvicorn.Server):
    """uvicorn, which a first signal makes drain and a second one end at once."""

    def __init__(self, config: uvicorn.Config, hub: Hub, drain_s: float, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._hub = hub
        self._drain_s = drain_s
        self._ready = ready
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await api.size_threads()
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._begin(self._tell_ready())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is None or self._hub.streams.draining:
            self.should_exit = True
            self.force_exit = sig == signal.SIGINT
            return
        self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        if not self._hub.streams.draining:
            log.info("going away: hosts are sent elsewhere within %s s", self._drain_s)
            self._hub.streams.draining = True
            self._begin(self._drained())

    async def _drained(self) -> None:
        await self._hub.streams.drain(self._drain_s)
        self.should_exit = True

    async def _tell_ready(self) -> None:
        while self._hub.tail.lag_s is None and not self.should_exit:
            await asyncio.sleep(READY_LOOK_S)
        for problem in not_ready(self._hub):
            log.warning("not ready: %s", problem)
        self._ready()

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _refuse_plain(options: Options) -> None:
    if options.tls_cert is None and options.host not in LOOPBACK and not options.insecure:
        raise FastcheckError(
            f"on {options.host} tokens would travel in the clear: give --tls-cert and --tls-key, listen on "
            "127.0.0.1 behind a proxy that has TLS, or say --insecure"
        )


def _allow_files() -> None:
    """As many open files as the system lets this process have: each host is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(options: Options) -> socket.socket:
    """The socket, taken first: whoever gets no port changes nothing."""
    try:
        found = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_listen(options, error) from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise _cannot_listen(options, error) from error
    return listening


def _cannot_listen(options: Options, error: OSError) -> FastcheckError:
    return FastcheckError(
        f"cannot listen on {options.host}:{options.port} ({error.strerror or error}): "
        "name another address with --listen, or stop what has it"
    )


def _open(options: Options, directory: Path) -> DirectoryStore | PostgresStore:
    if options.database is None:
        return DirectoryStore(directory)
    return PostgresStore(options.database, connections=DATABASE_CONNECTIONS)


def _put_catalog(service: Service, path: Path) -> None:
    source = path.read_bytes()
    if service.ask(SetCatalog(source, str(path)), AUTHOR).changed:
        log.info("the catalog %s is in force", path)


def _first_token(service: Service, directory: Path, environment: str) -> str:
    """Writes an administrator's token where the ledger has no token at all; the file, or ""."""
    if service.ask(ListTokens(limit=1)).items:
        return ""
    path = directory / ADMIN_TOKEN
    made = service.ask(MakeToken("admin", SCOPES, environment), AUTHOR)
    assert made.token is not None  # Only a repetition has none.
    fresh = path.with_suffix(".new")
    try:
        with contextlib.suppress(FileNotFoundError):
            fresh.unlink()  # Of a start that was killed.
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(made.token + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except OSError as error:
        service.ask(RevokeToken(made.state.id), AUTHOR)
        raise DirectoryError(
            path, f"the first token cannot be written: {error.strerror}", "free space, then start again"
        ) from error
    return str(path)
