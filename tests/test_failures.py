"""A full disk and too little address space end a command with one line."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from emobench.cli.command import failure
from emobench.runtime.files import cache_folder, replacing, write_text

_BUILD = ("build-data", "--size", "3", "--pretrain-size", "1", "--out")


def _command(*arguments: str, limit: str = "", out: int = subprocess.PIPE) -> tuple[int, str]:
    """Run the command line under a resource limit; return exit status and standard error."""
    script = f"import resource as r; {limit}\nfrom emobench.cli.main import main; main()"
    call = [sys.executable, "-c", script, *arguments]
    ran = subprocess.run(call, stdout=out, stderr=subprocess.PIPE, text=True, check=False, env=os.environ)
    return ran.returncode, ran.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_named_with_the_file(small_disk: Path) -> None:
    status, message = _command(*_BUILD, str(small_disk / "data"))
    assert status == 1
    assert message.startswith(f"emobench: {small_disk}/.data.building-")
    assert message.endswith(".flac: No space left on device. Finished work is kept. Fix this and rerun the command.\n")
    assert not list(small_disk.rglob("*.tmp"))


def test_a_file_that_exceeds_a_size_limit_is_named(tmp_path: Path) -> None:
    limit = "r.setrlimit(r.RLIMIT_FSIZE, (1000, 1000))"
    (tmp_path / "clips.csv").write_text("clip_id,audio,artist,album\na,,A,A\nb,,B,B\nc,,C,C\n")
    rows = [f"{clip},{worker},1,0.1,0.{worker}" for clip in "abc" for worker in range(3)]
    (tmp_path / "labels.csv").write_text("\n".join(["clip_id,annotator_id,time,arousal,valence", *rows]) + "\n")
    files = ["--clips", str(tmp_path / "clips.csv"), "--labels", str(tmp_path / "labels.csv")]
    status, message = _command("build-data", "table", *files, "--out", str(tmp_path / "data"), limit=limit)
    assert status == 1
    assert message.count("\n") == 1
    assert message.startswith(f"emobench: {tmp_path}/.data.building-")
    assert ".parquet: File too large. " in message


def test_a_full_disk_behind_standard_output_is_named() -> None:
    with Path("/dev/full").open("w") as full:
        status, message = _command("list", "features", out=full.fileno())
    assert status == 1
    assert message.splitlines()[0].startswith("emobench: standard output: No space left on device. ")


def test_only_the_file_being_written_is_named(tmp_path: Path) -> None:
    def write(error: OSError) -> OSError:
        with pytest.raises(OSError) as caught, replacing(tmp_path / "x.txt"):
            raise error
        return caught.value

    assert write(OSError(errno.ENOSPC, "full")).filename == str(tmp_path / "x.txt")
    assert write(OSError(errno.ECONNRESET, "reset")).filename is None
    assert write(OSError(errno.ENOENT, "none", "other")).filename == "other"
    assert not list(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "x.txt"):
        pass
    assert caught.value.filename == str(tmp_path / "x.txt")
    write_text(tmp_path / "x.txt", "whole")
    line, status = failure(OSError(errno.ENOSPC, "No space left on device"))
    assert status == 1
    assert line.startswith(f"{cache_folder()} or ")


@pytest.mark.parametrize(
    ("arguments", "gib", "needed"),
    [
        (("list",), 0.5, 1),
        (("leaderboard",), 1, 2),
        ((*_BUILD, "x"), 1, 3),
        (("pretrain", "--features", "rhythm"), 2, 4),
        (("run", "--features", "mfcc"), 3, 4),
        (("reproduce", "table2"), 3, 4),
    ],
)
def test_too_little_address_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], gib: float, needed: int
) -> None:
    monkeypatch.chdir(tmp_path)
    status, message = _command(*arguments, limit=f"r.setrlimit(r.RLIMIT_AS, ({int(gib * 2**30)},) * 2)")
    expected = f"the address space is limited to {gib:.2f} GiB; this command needs at least {needed} GiB. Raise"
    assert status == 1
    assert message.startswith(f"emobench: {expected}")
    assert message.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_just_enough_address_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if resource.getrlimit(resource.RLIMIT_AS)[1] != resource.RLIM_INFINITY:
        pytest.skip("the address space is limited already")
    monkeypatch.chdir(tmp_path)
    # Libraries start a thread per processor, and each takes some address space.
    limit = (
        "import os; os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2]); r.setrlimit(r.RLIMIT_AS, ({0}, {0}))"
    )
    assert _command("list", limit=limit.format(2**30))[0] == 0
    assert _command(*_BUILD, "data/x", limit=limit.format(3 * 2**30)) == (0, "")
