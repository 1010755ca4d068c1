"""`fastcheck hub`: serves a ledger over HTTP, and streams its changes to hosts."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

from fastcheck.cli.arguments import Commands, add_command, add_directory
from fastcheck.errors import MissingExtra

PORT = 8700


def add(commands: Commands) -> None:
    """The arguments."""
    parser = add_command(
        commands,
        "hub",
        "serve a ledger to hosts and administrators until a signal ends it",
        "fastcheck hub ./hub --catalog catalog.yaml\n"
        "  fastcheck hub ./hub --database postgresql://fastcheck@db/ledger --listen 0.0.0.0:8700 \\\n"
        "      --tls-cert hub.pem --tls-key hub.key",
        "The first start writes an administrator's token to DIR/admin.token. The hub prints one line when\n"
        "it is ready. On SIGTERM it sends its hosts to other hubs, finishes its requests and ends.\n"
        "exit codes: 0 ended by a signal; 2 the hub could not start",
    )
    add_directory(parser)
    parser.add_argument(
        "--database",
        metavar="URL",
        help="PostgreSQL: postgresql://user@host/database (default: SQLite, DIR/ledger.db)",
    )
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=_address,
        default=("127.0.0.1", PORT),
        help=f"address to listen on (default: 127.0.0.1:{PORT}; port 0: any free port)",
    )
    parser.add_argument("--catalog", metavar="FILE", type=Path, help="catalog to put in force at the start")
    parser.add_argument(
        "--environment",
        metavar="NAME",
        default="live",
        help="environment whose tokens the hub accepts (default: live)",
    )
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="certificate and its chain, PEM")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="key of the certificate, PEM")
    parser.add_argument(
        "--insecure", action="store_true", help="listen on an address other than loopback without TLS"
    )
    parser.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="format of the log (default text)"
    )
    parser.add_argument(
        "--drain-s",
        metavar="S",
        type=_seconds,
        default=10.0,
        help="seconds over which the hub sends its hosts away at the end (default: 10)",
    )
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    """Serves."""
    if (args.tls_cert is None) != (args.tls_key is None):
        args.parser.error("--tls-cert and --tls-key go together")
    try:
        from fastcheck.hub.process import Options
        from fastcheck.hub.process import run as serve
    except ImportError as error:
        if error.name is not None and error.name.startswith("fastcheck"):
            raise
        raise MissingExtra(f"a hub needs {error.name}: pip install 'fastcheck[hub]'") from error
    host, port = args.listen
    options = Options(
        directory=Path(args.directory),
        database=args.database,
        host=host,
        port=port,
        catalog=args.catalog,
        environment=args.environment,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
        insecure=args.insecure,
        log_format=args.log_format,
        drain_s=args.drain_s,
    )
    serve(options, partial(_ready, args.json))
    return 0


def _ready(as_json: bool, url: str, token_file: str) -> None:
    if as_json:
        # A line and not a document: the parent process reads it while the hub runs.
        print(json.dumps({"url": url, "token_file": token_file or None}), flush=True)
    else:
        written = f"; an administrator's token is in {token_file}" if token_file else ""
        print(f"ready at {url}{written}", flush=True)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address such as 127.0.0.1:{PORT}")
    return host, int(port)


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 3_600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return found
