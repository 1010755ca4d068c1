"""FAULTS 10 to 15: full disks, files deleted, replaced, damaged, of another boot or another version."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastcheck import Entitlements, errors
from rig.processes import (
    ARENA,
    BOOT,
    GENERATION,
    LAYOUT,
    QUICKSTART,
    Child,
    control_word,
    in_fork,
    wait_for,
    words_of,
)

CREDITS = 100


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Closed in order: 7 of 100 credits used, and all of it settled."""
    with Entitlements.open(tmp_path / "state", catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro", aliases=["key"])
        ents.admin.put_customer("other", plan="free")
        ents.admin.grant("acme", "ai_credits", CREDITS)
        assert ents.consume("acme", "gpt-4o", 7)
    return tmp_path / "state"


def used(ents: Entitlements) -> int:
    return int(ents.admin.balance("acme", "ai_credits").used)


def answers_rightly(ents: Entitlements, spent: int = 7) -> None:
    """Rows and balance are those of the ledger, and spending goes on."""
    assert ents.check("acme", "export")
    assert not ents.check("other", "export")
    assert ents.limit("key", "seats") == 25
    assert used(ents) == spent
    assert ents.consume("acme", "gpt-4o", 1)
    assert used(ents) == spent + 1
    assert not ents.consume("acme", "gpt-4o", CREDITS - spent)


# Row 10.

FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    ents = Entitlements.open(sys.argv[1], catalog=sys.argv[3])
except errors.FastcheckError as error:
    say(type(error).__name__, error)
    sys.exit()
ents.admin.put_customer("acme", plan="pro")
say("opened")
hear()
text = "x" * 500
def many(): return [{"id": f"{n:05}{text}", "plan": "pro"} for n in range(int(sys.argv[4]))]
try:
    ents.admin.put_customers(many())
    say("put")
except errors.FastcheckError as error:
    say(type(error).__name__, error)
say(ents.check("acme", "export"), ents.consume("acme", "api_calls", 1), ents.check(f"00001{text}", "export"))
hear()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
ents.admin.put_customers(many())
say(ents.check("acme", "export"), ents.consume("acme", "api_calls", 1), ents.check(f"00001{text}", "export"))
"""


@pytest.mark.parametrize("bytes_max", [0, 4_096, 65_536, 1 << 20])
def test_no_room_at_creation_is_refused(tmp_path: Path, bytes_max: int) -> None:
    """Row 10: space is allocated before it is touched, so it is an error and never a SIGBUS; with room again,
    the same directory opens."""
    with Child(FULL, tmp_path / "state", bytes_max, QUICKSTART, 0) as child:
        said = child.hear()
        assert said[0] == "DirectoryError", said
        assert child.ends() == 0
    with Entitlements.open(tmp_path / "state", catalog=QUICKSTART) as ents:
        assert ents.admin.put_customer("acme", plan="pro")
        assert ents.check("acme", "export")


def test_no_room_to_grow_is_refused_and_nothing_is_half_applied(tmp_path: Path) -> None:
    """Row 10: rows, ledger or cells cannot grow: the request is refused, the rest goes on; with room
    it works."""
    with Child(FULL, tmp_path / "state", 7 << 20, QUICKSTART, 12_000) as child:
        assert child.hear() == ["opened"]
        said = child.ask("grow")
        assert said[0] == "DirectoryError", said
        assert child.hear() == ["True", "True", "False"]
        assert child.ask("room") == ["True", "True", "True"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") is not None and os.geteuid() == 0
    if mounted:
        command = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", str(place)]
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    if not mounted:
        pytest.skip("needs the right to mount; the file size limits of the other tests stand in for it")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_file_system(small_disk: Path) -> None:
    """Row 10: ENOSPC from the system itself."""
    filler = small_disk / "filler"
    with Entitlements.open(small_disk / "state", catalog=QUICKSTART) as ents:
        ents.admin.put_customer("acme", plan="pro")
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(1 << 12)):
                pass
        assert os.statvfs(small_disk).f_bavail == 0
        # The cells' file is made at the first lease: there is no room for it.
        assert not ents.consume("acme", "api_calls", 1)
        assert ents.check("acme", "export")
        with pytest.raises(errors.DirectoryError):
            ents.admin.put_customers([{"id": f"c{n}" + "x" * 400} for n in range(2_000)])
        filler.unlink()
        assert ents.consume("acme", "api_calls", 1)
        assert ents.admin.put_customers([{"id": f"c{n}" + "x" * 400} for n in range(200)]) == 200
        assert ents.admin.balance("acme", "api_calls").used == 1


# Row 11.


def delete(path: Path) -> None:
    path.unlink()


def replace_by_garbage(path: Path) -> None:
    fresh = path.with_name("garbage")
    fresh.write_bytes(random.Random(1).randbytes(8_192))
    fresh.rename(path)


@pytest.mark.parametrize("harm", [delete, replace_by_garbage])
@pytest.mark.parametrize("name", ["control", "rows-*", "cells-*", "*-*", "[cr]*"])
def test_files_deleted_or_replaced_while_in_use(
    directory: Path, name: str, harm: Callable[[Path], None]
) -> None:
    """Row 11: what is mapped lives on; the owner makes the files anew and everybody moves;
    nothing is lost."""
    with (
        Entitlements.open(directory) as ents,
        Child(
            """
        ents = Entitlements.attach(sys.argv[1])
        while (line := hear()):
            say(ents.consume("acme", "gpt-4o", int(line[0])), ents.check("acme", "export"))
        """,
            directory,
        ) as worker,
    ):
        assert worker.ask(1) == ["True", "True"]
        assert ents.consume("acme", "gpt-4o", 1)
        for path in sorted(directory.glob(name)):
            harm(path)
        spent = 9
        for _ in range(10):
            assert ents.consume("acme", "gpt-4o", 1)
            assert worker.ask(1) == ["True", "True"]
            spent += 2
            assert used(ents) == spent
        wait_for(lambda: any("deleted or replaced" in note for note in ents.status().notes))
        with Entitlements.attach(directory) as late:
            assert late.consume("acme", "gpt-4o", 1)
        assert worker.ask(1) == ["True", "True"]
        spent += 2
        answers_rightly(ents, spent)
    with Entitlements.open(directory) as again:
        assert used(again) == spent + 1


# Row 12.


def flip_bits(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 20)):
        # Mostly where something is: most of a file is zeros that nobody reads.
        at = chance.randrange(len(data)) if chance.random() < 0.3 else chance.randrange(min(len(data), 4_096))
        data[at] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def truncate(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


def truncate_to_words(path: Path, chance: random.Random) -> None:
    os.truncate(path, 8 * chance.randrange(path.stat().st_size // 8))


def empty(path: Path, chance: random.Random) -> None:
    os.truncate(path, 0)


def garbage(path: Path, chance: random.Random) -> None:
    path.write_bytes(chance.randbytes(path.stat().st_size))


HARMS = [flip_bits, truncate, truncate_to_words, empty, garbage]
READER = """
for place in sys.argv[1:]:
    try:
        with Entitlements.open(place) as ents:
            used = ents.admin.balance("acme", "ai_credits").used
            say("opened", used, ents.check("acme", "export"), ents.limit("key", "seats"),
                ents.consume("acme", "gpt-4o", 1), ents.admin.balance("acme", "ai_credits").used,
                ents.consume("acme", "gpt-4o", 200))
    except errors.FastcheckError as error:
        say("refused", type(error).__name__, error)
"""


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["control", "rows-1", "cells-0"])
def test_damaged_files_are_refused_or_made_anew(
    directory: Path, tmp_path: Path, name: str, harm: Callable[[Path, random.Random], None]
) -> None:
    """Row 12: no crash, and the ledger's truth. Cells are totals without a check of their own: a flipped bit
    there may be taken for use, but never for more than was granted."""
    places = [tmp_path / f"{seed}" for seed in range(4)]
    for seed, place in enumerate(places):
        shutil.copytree(directory, place)
        harm(place / name, random.Random(seed))
    with Child(READER, *places) as child:
        for place in places:
            said = child.hear()
            assert said, f"{place.name}: a crash"
            if said[0] == "refused":
                assert said[1] in ("ArenaError", "DirectoryError"), said
            elif harm is flip_bits and name == "cells-0":
                assert 7 <= int(said[1]) <= int(said[5]) <= CREDITS
                assert said[2:4] == ["True", "25"]
            else:
                assert said == ["opened", "7", "True", "25", "True", "8", "False"], place.name
        assert child.ends() == 0


def test_bits_flipped_under_running_processes(directory: Path) -> None:
    """Row 12: a checker that reads damaged memory answers or raises `ArenaError`; it never crashes."""
    chance = random.Random(4)
    with (
        Entitlements.open(directory),
        Child(
            """
        ents = Entitlements.attach(sys.argv[1], lease_timeout=0)
        calls = [
            lambda: ents.check("acme", "export"), lambda: ents.consume("acme", "gpt-4o", 1),
            lambda: ents.decide("key", "gpt-4o", 2), lambda: ents.limit("key", "seats"),
            lambda: ents.value("acme", "retention_days"), lambda: ents.reserve("acme", "gpt-4o", 1).commit(),
            lambda: ents.check_many(["acme", "key", "nobody"], "export"),
            lambda: ents.estimate("acme", "gpt-4o", 5),
        ]
        while hear():
            said = []
            for call in calls:
                try:
                    call()
                    said.append("answered")
                except errors.FastcheckError as error:
                    said.append(type(error).__name__)
            say(*said)
        """,
            directory,
        ) as worker,
    ):
        assert set(worker.ask("go")) == {"answered"}
        outcomes = set()
        for path in (directory / "rows-1", directory / "cells-0", directory / "control"):
            # Only what is in use: the rest is zeros that nobody reads.
            with words_of(path) as words:
                used_words = [at for at in range(len(words)) if words[at]]
                for _ in range(150):
                    at = chance.choice(used_words)
                    kept = words[at]
                    words[at] ^= 1 << chance.randrange(64)
                    said = worker.ask("go")
                    assert len(said) == 8, f"{path.name} word {at}: the checker died"
                    outcomes.update(said)
                    if path.name != "cells-0":
                        words[at] = kept
        assert "ArenaError" in outcomes
        assert "answered" in outcomes


# Rows 13 and 14.


def test_an_arena_of_an_earlier_boot_is_settled_and_not_spent(directory: Path) -> None:
    """Row 13: what was spent is booked, and the balance is lent anew."""
    with Child(
        """
        ents = Entitlements.open(sys.argv[1])
        assert ents.consume("acme", "gpt-4o", 3)
        say("spent")
        hear()
        """,
        directory,
    ) as child:
        assert child.hear() == ["spent"]
    with words_of(directory / "cells-0") as words:
        base = 64 + words[4] * 8
        leases = {words[at + 3] for at in range(base, base + 800, 8)} - {0}
    with words_of(directory / "control") as words:
        words[BOOT] ^= 1
    with Entitlements.open(directory) as ents:
        answers_rightly(ents, 10)
    with words_of(directory / "cells-0") as words:
        assert not leases & {words[at + 3] for at in range(base, base + 800, 8) if not words[at] >> 63}, (
            "a lease of the earlier boot is open"
        )


def test_an_arena_of_another_version_is_left_alone(directory: Path) -> None:
    """Row 14: an error that says what to do; the files stay as they are for the version that runs on them."""
    arena = control_word(directory, ARENA)
    with words_of(directory / "control") as words:
        words[LAYOUT] += 1
    for _ in range(2):
        with pytest.raises(errors.ArenaError, match="another version"):
            Entitlements.open(directory)
    assert control_word(directory, ARENA) == arena
    assert not (directory / "damaged").exists()
    with words_of(directory / "control") as words:
        words[LAYOUT] -= 1
    with Entitlements.open(directory) as ents:
        answers_rightly(ents)


def test_a_running_checker_meets_another_version(directory: Path) -> None:
    """Row 14: attaching refuses."""
    with Entitlements.open(directory) as ents:
        with words_of(directory / "control") as words:
            words[LAYOUT] += 1
            with pytest.raises(errors.ArenaError, match="another version"):
                Entitlements.attach(directory)
            words[LAYOUT] -= 1
        answers_rightly(ents)
        assert control_word(directory, GENERATION) > 0


# Row 15 and the places that cannot be used.


def refused_to_nobody(directory: Path, call: Callable[[], Any]) -> str:
    """What a process of another user is told, which owns nothing."""
    told, tell = os.pipe()

    def child() -> bool:
        os.setgroups([])
        os.setresgid(65_534, 65_534, 65_534)
        os.setresuid(65_534, 65_534, 65_534)
        os.stat(directory.parent)
        try:
            call()
        except errors.DirectoryError as error:
            os.write(tell, str(error).encode())
            return True
        return False

    for parent in directory.parents:
        if parent.stat().st_uid == os.getuid() and parent.stat().st_mode & 0o005 != 0o005:
            parent.chmod(parent.stat().st_mode | 0o005)
    assert in_fork(child) == 0
    os.close(tell)
    with open(told, "rb") as said:
        return said.read().decode()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")


@needs_root
@pytest.mark.parametrize("call", [Entitlements.open, Entitlements.attach])
def test_the_directory_of_another_user(directory: Path, call: Callable[[Path], Any]) -> None:
    """Row 15: a clear error, and no private arena instead."""
    before = sorted(path.name for path in directory.iterdir())
    assert "write access" in refused_to_nobody(directory, lambda: call(directory))
    assert sorted(path.name for path in directory.iterdir()) == before


@needs_root
@pytest.mark.parametrize("below", [".", "below"])
def test_a_directory_that_cannot_be_written(tmp_path: Path, below: str) -> None:
    """Bad input: a read-only place."""
    place = tmp_path / "read-only"
    place.mkdir(mode=0o555)
    said = refused_to_nobody(place, lambda: Entitlements.open(place / below, catalog=QUICKSTART))
    assert "write access" in said
    assert list(place.iterdir()) == []


def test_the_process_has_no_descriptors_left(tmp_path: Path) -> None:
    """Row 10's neighbour: refused with the system's reason, and usable again afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    keep = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                keep.append(os.open("/dev/null", os.O_RDONLY))
        with pytest.raises(errors.FastcheckError):
            Entitlements.open(tmp_path / "state", catalog=QUICKSTART)
    finally:
        for fd in keep:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    with Entitlements.open(tmp_path / "state", catalog=QUICKSTART) as ents:
        assert ents.admin.put_customer("acme", plan="pro")
