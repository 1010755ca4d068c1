"""Each mutant can be applied, and the tests that shall notice it are there. (`make prove` runs them.)"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from proofs import grants_mutants, ledger_mutants, mutants, stream_mutants

ROOT = Path(__file__).parents[2]
IN_PYTHON = [*ledger_mutants.MUTANTS, *stream_mutants.MUTANTS, *grants_mutants.MUTANTS]


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda one: one.name)
def test_a_mutant_of_the_core_has_one_place_and_its_test(mutant: mutants.Mutant) -> None:
    assert (ROOT / mutants.SRC / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.new != mutant.old
    tests = (ROOT / "rust/core/tests" / f"{mutant.target}.rs").read_text()
    assert len(re.findall(rf"#\[test\]\n\s*fn {mutant.test}", tests)) == 1


@pytest.mark.parametrize("mutant", IN_PYTHON, ids=lambda one: one.name)
def test_a_mutant_of_the_package_has_one_place_and_its_tests(mutant: ledger_mutants.Mutant) -> None:
    assert (ROOT / "python/fastcheck" / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.new != mutant.old
    words = shlex.split(mutant.tests)
    files = [one for one in words if one.endswith(".py")]
    names = [name for one in files for name in re.findall(r"def (test_\w+)", (ROOT / one).read_text())]
    assert files
    assert names
    if "-k" in words:
        asked = words[words.index("-k") + 1].split(" or ")
        assert all(any(part in name for name in names) for part in asked), asked


def test_no_two_have_one_name() -> None:
    for one in (mutants.MUTANTS, ledger_mutants.MUTANTS, stream_mutants.MUTANTS, grants_mutants.MUTANTS):
        assert len({mutant.name for mutant in one}) == len(one)
