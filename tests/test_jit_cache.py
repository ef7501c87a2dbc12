"""Compiled code is only read from folders that no other user could have written to."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import emobench.runtime.jit_cache
import pytest
from emobench.errors import EmobenchError, EmobenchWarning
from emobench.runtime.jit_cache import set_numba_cache

_OTHER = 65534
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to another user")


class _Code:
    """An object that runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def _call(kernel: Path, cache: Path, temporary: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Call a compiled function in a process, which prints where it and its child keep compiled code."""
    script = (
        "import kernel, os; from emobench.runtime.isolation import isolated\n"
        "print(kernel.twice(4), os.environ['NUMBA_CACHE_DIR'], isolated(os.getenv, 'NUMBA_CACHE_DIR'))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment |= {"EMOBENCH_CACHE": str(cache), "TMPDIR": str(temporary), "PYTHONPATH": str(kernel), **settings}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a module that has a compiled function."""
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "kernel.py").write_text(
        "from emobench.audio._jit import njit\n\n@njit\ndef twice(x):\n    return 2 * x\n"
    )
    return folder


@pytest.fixture(scope="module")
def planted(kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A cache of that function in which every index runs code, and the folder that this code creates."""
    folder = tmp_path_factory.mktemp("planted")
    _call(kernel, folder, folder, NUMBA_CACHE_DIR=str(folder / "numba"))
    mark = folder / "code-of-another-user-ran"
    indices = list((folder / "numba").rglob("*.nbi"))
    assert indices
    for index in indices:
        index.write_bytes(pickle.dumps(_Code(mark)))
    with pytest.raises(subprocess.CalledProcessError):
        _call(kernel, folder, folder, NUMBA_CACHE_DIR=str(folder / "numba"))
    mark.rmdir()
    return folder / "numba", mark


def _copy(source: Path, target: Path) -> None:
    for path in [source, *sorted(source.rglob("*"))]:
        place = target / path.relative_to(source)
        if path.is_dir():
            place.mkdir(parents=True)
        else:
            place.write_bytes(path.read_bytes())


@pytest.mark.parametrize("where", ["temporary folder", "cache"])
def test_code_planted_by_another_user_does_not_run(
    kernel: Path, planted: tuple[Path, Path], tmp_path: Path, where: str
) -> None:
    source, mark = planted
    temporary, cache = tmp_path / "tmp", tmp_path / "cache"
    temporary.mkdir()
    temporary.chmod(0o1777)
    if where == "cache":
        _copy(source, cache / "numba")
        cache.chmod(0o777)
        reason = f"{cache} can be written to by other users"
    else:
        _copy(source, temporary / f"emobench-numba-{os.getuid()}")
        (temporary / f"emobench-numba-{os.getuid()}").chmod(0o777)
        cache.write_text("no folder can be made here")
        reason = f"{cache / 'numba'} is not writable (Not a directory)"
    ran = _call(kernel, cache, temporary)
    assert not mark.exists()
    result, own, child = ran.stdout.split()
    assert result == "8"
    assert own == child
    assert own.startswith(str(temporary))
    # A folder with a random name would be of no use to later commands.
    assert Path(own).exists() == (where == "cache")
    warned = [line for line in ran.stderr.splitlines() if "so compiled code is kept in" in line]
    assert len(warned) == 1
    assert reason in warned[0]


def test_a_private_cache_is_used_without_a_warning(kernel: Path, tmp_path: Path) -> None:
    ran = _call(kernel, tmp_path / "cache", tmp_path)
    assert ran.stdout.split() == ["8", *[str(tmp_path / "cache" / "numba")] * 2]
    assert ran.stderr == ""
    compiled = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.nbc")}
    assert compiled
    _call(kernel, tmp_path / "cache", tmp_path)
    assert compiled == {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.nbc")}


def test_librosa_keeps_its_compiled_code_there_too(tmp_path: Path) -> None:
    script = "from emobench.audio.spectra import mel_bank; mel_bank(22050, 512, 20); "
    script += "import numba; print(numba.config.CACHE_DIR)"
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    environment |= {"EMOBENCH_CACHE": str(tmp_path), "TMPDIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(tmp_path / "numba")


# Which folder is chosen


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The cache and this user's folder in the temporary directory, with a file each."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "home" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    places = tmp_path / "home" / "cache" / "numba", tmp_path / "tmp" / f"emobench-numba-{os.getuid()}"
    for folder in places:
        folder.mkdir(parents=True, mode=0o755)
        (folder / "kernel.nbi").write_bytes(b"")
    (tmp_path / "tmp").chmod(0o1777)
    return places


def _link(place: Path) -> None:
    place.rename(place.with_name("elsewhere"))
    place.symlink_to("elsewhere")


def _give_away(place: Path) -> None:
    os.chown(place, _OTHER, _OTHER, follow_symlinks=False)


def _linked_by_another(place: Path) -> None:
    _link(place.parent)
    _give_away(place.parent)


_WRONG = {
    "open to all": lambda place: place.chmod(0o777),
    "open to a group": lambda place: place.chmod(0o770),
    "a file open to all": lambda place: (place / "kernel.nbi").chmod(0o666),
    "a link": _link,
    "another user's": _give_away,
    "with a file of another user": lambda place: _give_away(place / "kernel.nbi"),
    "a folder of another user's in it": lambda place: ((place / "more").mkdir(), _give_away(place / "more")),
}
_WRONG_ABOVE = {
    "cache open to all": lambda place: place.parent.chmod(0o777),
    "parent open to a group": lambda place: place.parents[1].chmod(0o775),
    "cache of another user": lambda place: _give_away(place.parent),
    "cache by a link of another user": _linked_by_another,
}


def _needing_root(cases: dict[str, Callable[[Path], object]]) -> list[object]:
    return [pytest.param(name, marks=needs_root) if "another" in name else name for name in cases]


@pytest.mark.parametrize("how", _needing_root(_WRONG | _WRONG_ABOVE))
def test_the_cache_is_not_trusted(places: tuple[Path, Path], how: str) -> None:
    (_WRONG | _WRONG_ABOVE)[how](places[0])
    with pytest.warns(EmobenchWarning, match="EMOBENCH_CACHE") as warned:
        set_numba_cache()
        set_numba_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == str(places[1])
    assert places[1].stat().st_mode & 0o777 == 0o700
    assert len(warned) == 1
    assert str(places[0].parents[1]) in str(warned[0].message).split(" so compiled code")[0]


@pytest.mark.parametrize("how", _needing_root(_WRONG))
def test_the_folder_in_the_temporary_directory_is_not_trusted(places: tuple[Path, Path], how: str) -> None:
    places[0].parent.chmod(0o777)
    _WRONG[how](places[1])
    with pytest.warns(EmobenchWarning, match="can be written to by other users"):
        set_numba_cache()
    chosen = Path(os.environ["NUMBA_CACHE_DIR"])
    assert chosen.parent == places[1].parent
    assert chosen != places[1]
    assert chosen.stat().st_mode & 0o777 == 0o700
    assert not list(chosen.iterdir())


@pytest.mark.parametrize("link", [False, True])
def test_the_cache_is_trusted(places: tuple[Path, Path], link: bool) -> None:
    places[0].parents[1].chmod(0o1777)
    if link:
        _link(places[0].parent)
    set_numba_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == str(places[0])
    assert places[0].stat().st_mode & 0o777 == 0o700


def test_a_folder_that_the_user_names_is_used(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    places[0].chmod(0o777)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(places[0]))
    set_numba_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == str(places[0])


def test_without_a_safe_folder_nothing_is_compiled(places: tuple[Path, Path]) -> None:
    places[0].parent.chmod(0o777)
    places[1].parent.chmod(0o777)
    with pytest.raises(EmobenchError, match=r"no safe folder for compiled code\. Set NUMBA_CACHE_DIR"):
        set_numba_cache()
    assert not os.environ["NUMBA_CACHE_DIR"]


def test_a_private_group_may_write(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """With umask 002, folders are writable for a group that has no other members."""
    places[0].parent.chmod(0o775)
    monkeypatch.setattr(emobench.runtime.jit_cache, "_is_private", lambda group: group == os.getgid())
    set_numba_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == str(places[0])
