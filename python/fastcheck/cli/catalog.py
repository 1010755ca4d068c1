"""`fastcheck catalog`: validates a catalog file, imports one, prints the schema."""

import argparse
import sys
from pathlib import Path

from fastcheck.cli.arguments import Commands, add_command
from fastcheck.cli.screen import plain_data, print_json
from fastcheck.errors import CatalogError


def add(commands: Commands) -> None:
    """The arguments of the three subcommands."""
    parser = commands.add_parser("catalog", help="validate, import or describe catalog files")
    parts = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    checker = add_command(
        parts,
        "validate",
        "list every mistake in a catalog file",
        "fastcheck catalog validate catalog.yaml",
        "exit codes: 0 valid; 1 invalid; 2 the file cannot be read",
    )
    checker.add_argument("file", metavar="FILE", type=Path, help="catalog file, YAML or JSON")
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
    """Prints every problem, or the digest of a valid file."""
    from fastcheck._fastcheck import Catalog

    try:
        catalog = Catalog.parse(args.file.read_bytes(), str(args.file))
    except CatalogError as error:
        return _invalid(error, args.json)
    if args.json:
        print_json({"valid": True, "digest": catalog.digest, "problems": []})
    else:
        print(f"{args.file}: valid (digest {catalog.digest})")
    return 0


def import_(args: argparse.Namespace) -> int:
    """Writes the catalog and prints the notes."""
    from fastcheck._fastcheck import Catalog

    try:
        text, notes = Catalog.import_pricing2yaml(args.file.read_bytes(), str(args.file))
    except CatalogError as error:
        return _invalid(error, args.json)
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


def _invalid(error: CatalogError, as_json: bool) -> int:
    problems = list(error.problems)
    if as_json:
        print_json({"valid": False, "problems": plain_data(problems)})
    else:
        for problem in problems:
            print(problem)
        print(f"{len(problems)} problem{'s' * (len(problems) != 1)}")
    return 1
