"""`fastcheck catalog`: validates a catalog file, imports one, prints the schema."""

import argparse
import sys
from pathlib import Path
from typing import Any

from fastcheck.cli.arguments import Commands, add_command
from fastcheck.cli.screen import plain_data, print_json, printable
from fastcheck.cli.state import entitlements
from fastcheck.errors import CatalogError
from fastcheck.wire.catalog import CatalogLike
from fastcheck.wire.shapes import CatalogCheck, CatalogEffect


def add(commands: Commands) -> None:
    """The arguments of the three subcommands."""
    parser = commands.add_parser("catalog", help="validate, import or describe catalog files")
    parts = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    checker = add_command(
        parts,
        "validate",
        "list every mistake in a catalog file",
        "fastcheck catalog validate catalog.yaml --against ./state",
        "With --against: also what stands in the file's way there, and what it would do to whose grants.\n"
        "exit codes: 0 valid; 1 invalid; 2 the file, or what it is held against, cannot be read",
    )
    checker.add_argument("file", metavar="FILE", type=Path, help="catalog file, YAML or JSON")
    checker.add_argument(
        "--against",
        metavar="STATE_OR_FILE",
        type=Path,
        help="a state directory, or the catalog file before the changes",
    )
    checker.set_defaults(run=validate)

    importer = add_command(
        parts,
        "import",
        "make a catalog file from a Pricing2Yaml file",
        "fastcheck catalog import pricing.yaml -o catalog.yaml",
        "Contradictions in the pricing and items that a catalog cannot express go to standard error.\n"
        "exit codes: 0 made; 1 not a pricing; 2 error",
    )
    importer.add_argument("file", metavar="FILE", type=Path, help="Pricing2Yaml file")
    importer.add_argument(
        "-o", "--out", metavar="OUT", type=Path, help="catalog file to write (default: standard output)"
    )
    importer.set_defaults(run=import_)

    describer = add_command(
        parts,
        "schema",
        "print the JSON Schema of catalog files",
        "fastcheck catalog schema > catalog.schema.json",
    )
    describer.set_defaults(run=schema)


def validate(args: argparse.Namespace) -> int:
    """Prints every problem, or the digest of a valid file and what it would do."""
    from fastcheck._fastcheck import Catalog

    source = args.file.read_bytes()
    try:
        catalog = Catalog.parse(source, str(args.file))
    except CatalogError as error:
        return _invalid(list(error.problems), args.json)
    if args.against is None:
        checked = _alone(catalog)
    elif args.against.is_dir():
        with entitlements(str(args.against)) as ents:
            checked = ents.admin.check_catalog(source, filename=str(args.file))
    else:
        checked = _beside(catalog, Catalog.parse(args.against.read_bytes(), str(args.against)))
    more = {} if args.against is None else {"effects": checked.effects, "more": checked.more}
    if checked.problems:
        code = _invalid(list(checked.problems), args.json, **more)
        if not args.json:
            _print_effects(checked)
        return code
    if args.json:
        print_json({"valid": True, "digest": catalog.digest, "problems": [], **more})
        return 0
    print(f"{args.file}: valid (digest {catalog.digest})")
    _print_effects(checked)
    if args.against is not None and not checked.effects:
        print("no grant of a plan or an add-on changes")
    return 0


def _alone(catalog: CatalogLike) -> CatalogCheck:
    """The check of a ledger's first catalog."""
    from fastcheck.hub.catalog.lines import first
    from fastcheck.hub.catalog.product import product

    _, unclear = first(product(catalog.document()))
    return CatalogCheck(tuple(one.told() for one in unclear), ())


def _beside(catalog: CatalogLike, before: CatalogLike) -> CatalogCheck:
    """The check of a ledger that had one catalog, and has no customers."""
    from fastcheck.hub.catalog.effects import effects
    from fastcheck.hub.catalog.lines import first, following
    from fastcheck.hub.catalog.product import product, with_lines

    old, new = product(before.document()), product(catalog.document())
    lines, _ = first(old)
    old = with_lines(old, lines)
    then, unclear = following(lines, old, new, 1)
    if unclear:
        return CatalogCheck(tuple(one.told() for one in unclear), ())
    found = effects(old, with_lines(new, then))
    told = (CatalogEffect(one.offer, one.line, one.what, 0, None) for one in found)
    return CatalogCheck((), tuple(told))


def _print_effects(checked: CatalogCheck) -> None:
    for effect in checked.effects:
        whom = ""
        if effect.example is not None:
            count = f"{effect.customers:,} customer{'s' * (effect.customers != 1)}"
            whom = f" ({count}, such as {effect.example})"
        print(printable(f"{effect.offer}: {effect.what}{whom}"))
    if checked.more:
        print(f"and {checked.more:,} more changes of grants")


def import_(args: argparse.Namespace) -> int:
    """Writes the catalog and prints the notes."""
    from fastcheck._fastcheck import Catalog

    try:
        text, notes = Catalog.import_pricing2yaml(args.file.read_bytes(), str(args.file))
    except CatalogError as error:
        return _invalid(list(error.problems), args.json)
    if args.out is not None:
        args.out.write_text(text, encoding="utf-8")
    if args.json:
        out = {"catalog": text} if args.out is None else {"out": str(args.out)}
        print_json({"valid": True, **out, "notes": notes})
        return 0
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if args.out is None:
        print(text, end="")
    else:
        print(f"{args.out}: written, {len(notes)} notes")
    return 0


def schema(args: argparse.Namespace) -> int:
    """Prints the schema, which is JSON with and without `--json`."""
    from fastcheck._fastcheck import Catalog

    print(Catalog.schema().rstrip())
    return 0


def _invalid(problems: list[Any], as_json: bool, **more: object) -> int:
    if as_json:
        print_json({"valid": False, "problems": plain_data(problems), **more})
    else:
        for problem in problems:
            print(problem)
        print(f"{len(problems)} problem{'s' * (len(problems) != 1)}")
    return 1
