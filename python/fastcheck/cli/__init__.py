"""The command line.

May import: everything.
Boundaries: Reads arguments, asks the public surface or a hub, prints. No rule of its own.

Exit codes: 0 done, or allowed; 1 denied, refused, or an invalid catalog; 2 wrong usage, or an error, which is
printed as one line on standard error; 130 interrupted; 141 the reader of the output closed the pipe.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence

from fastcheck.cli import (
    bench,
    catalog,
    check,
    clock,
    customer,
    demo,
    explain,
    grant,
    hub,
    init,
    ledger,
    override,
    purchase,
    replay,
    status,
    token,
    usage,
)
from fastcheck.cli.arguments import UsageError
from fastcheck.cli.confirm import Refused
from fastcheck.cli.instants import joined
from fastcheck.errors import CatalogError, Conflict, FastcheckError

COMMANDS = (
    demo, init, check, explain, customer, grant, purchase, override, usage, ledger, replay, catalog, status,
    clock, hub, token, bench,
)  # fmt: skip
"""In the order of `--help`."""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="fastcheck",
        description="Entitlement checks and prepaid-credit burns. Start with: fastcheck demo",
        epilog="exit codes: 0 done or allowed; 1 denied, refused or invalid; 2 wrong usage or an error",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    try:
        args = build_parser().parse_args(joined(sys.argv[1:] if argv is None else argv))
    except SystemExit as ended:  # argparse has printed the reason
        return ended.code if isinstance(ended.code, int) else 2
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        code = run(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `fastcheck … | head`: the reader has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit is quiet
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except (Conflict, Refused) as error:
        return _fail(_one_line(str(error)), 1)
    except UsageError as error:
        return _fail(_one_line(str(error)))
    except CatalogError as error:
        first, *more = [str(problem) for problem in error.problems] or [str(error)]
        return _fail(_one_line(first) + (f" (and {len(more)} more mistakes)" if more else ""))
    except FastcheckError as error:
        return _fail(_one_line(str(error)) or type(error).__name__)
    except UnicodeError as error:
        return _fail(f"a name or a file is not valid text ({_one_line(str(error))}); use UTF-8")
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        what_to_do = "check the path, its permissions and the space on the disk"
        return _fail(f"{named}{error.strerror or error}; {what_to_do}")
    except ImportError as error:
        return _fail(f"the native module cannot be loaded ({error}); reinstall fastcheck for this Python")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _fail(message: str, code: int = 2) -> int:
    print(f"fastcheck: {message}", file=sys.stderr)
    return code
