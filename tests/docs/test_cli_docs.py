"""docs/support.md runs as it stands: its commands in order, and they print what it shows, instants aside.
docs/cli.md names every command with all of its options."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastcheck import cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/support.md").read_text()
REFERENCE = (ROOT / "docs/cli.md").read_text()
INSTANT = re.compile(r"20[2-9]\d-\d\d-\d\d( \d\d:\d\d:\d\d)?")


def blocks() -> Iterator[tuple[str, str]]:
    """(language, text) of every block."""
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        yield match[1], match[2]


def words(text: str) -> list[list[str]]:
    """The words of each line: how wide columns are hangs on how instants are told."""
    return [INSTANT.sub("INSTANT", line).split() for line in text.splitlines()]


def test_every_command_does_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "examples/quickstart", tmp_path / "examples/quickstart")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("USER", raising=False)
    printed, compared = "", 0
    for language, text in blocks():
        if language == "python":
            exec(compile(text, "docs/support.md", "exec"), {})
        elif language == "text":
            assert words(printed) == words(text)
            compared += 1
        else:
            assert language == "sh"
            for command in text.splitlines():
                program, *arguments = shlex.split(command)
                assert program == "fastcheck"
                assert cli.main(arguments) == 0, command
                captured = capsys.readouterr()
                assert captured.err == ""
                printed = captured.out
                assert printed
    assert compared >= 8


@pytest.mark.parametrize("command", ["customer", "grant", "purchase", "override", "usage", "ledger"])
def test_the_page_shows_every_command_but_the_one_that_deletes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "--help"]) == 0
    there = re.findall(r"^    (\w+) ", capsys.readouterr().out, re.MULTILINE)
    assert there
    for part in there:
        if (command, part) not in (("customer", "delete"), ("ledger", "explain")):
            assert f"fastcheck {command} {part} ./state" in PAGE


def leaves(parser: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """(words, parser) of every command that runs."""
    groups = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not groups:
        yield path, parser
    for group in groups:
        for name, part in group.choices.items():
            yield from leaves(part, f"{path} {name}".strip())


def test_the_reference_names_every_command_with_its_arguments_and_options() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| [^|]+ \| ([^|]*)\|$", REFERENCE, re.MULTILINE)
    stated = {usage: set(re.findall(r"`(--[\w-]+)`", options)) for usage, options in rows}
    there = {}
    for path, parser in leaves(cli.build_parser()):
        named = [one for one in parser._actions if not one.option_strings]
        words = [f"[{one.metavar}]" if one.nargs == "?" else str(one.metavar) for one in named]
        there[" ".join([path, *words])] = {
            one.option_strings[-1] for one in parser._actions if one.option_strings
        } - {"--help", "--json"}
    assert stated == there
