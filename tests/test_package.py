"""The source distribution is complete, and the wheel contains the package and nothing else for site-packages."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Distributions:
    """The wheel, the source distribution that it was built from, and the files of the checkout."""

    wheel: Path
    source: Path
    files: set[str]


def _files() -> set[str]:
    """List the files that git knows, or all of an unpacked source distribution."""
    if (ROOT / "PKG-INFO").is_file():
        return {
            path.relative_to(ROOT).as_posix()
            for path in ROOT.rglob("*")
            if path.is_file()
            and not {"__pycache__", "emobench.egg-info", ".pytest_cache", ".hypothesis"} & set(path.parts)
            and path.name not in ("PKG-INFO", "setup.cfg")
        }
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("neither a git checkout nor a source distribution")
    # The data beside the checkout are no part of it.
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file() and not name.startswith("shared/")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Both distributions, built in an environment of their own."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    files = _files()
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    # Without further options, the wheel is built from the source distribution.
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return Distributions(next(folder.glob("*.whl")), next(folder.glob("*.tar.gz")), files)


@pytest.fixture(scope="module")
def wheel(built: Distributions) -> Path:
    """The wheel."""
    return built.wheel


def test_the_source_distribution_is_complete(built: Distributions) -> None:
    """It contains all files of the checkout, and only these, beside its metadata."""
    with tarfile.open(built.source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    made = {name for name in names if name in ("PKG-INFO", "setup.cfg") or name.startswith("emobench.egg-info/")}
    assert names - made == built.files


def test_metadata_is_accepted_by_package_indexes(built: Distributions) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", str(built.wheel), str(built.source)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"emobench"}
    inside = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    tracked = (
        {
            str(path.relative_to(ROOT))
            for room in (
                "api",
                "audio",
                "baselines",
                "benchmark",
                "builders",
                "cards",
                "cli",
                "dbn",
                "pretrained",
                "runtime",
            )
            for path in (ROOT / room).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        | {path.name for path in ROOT.glob("*.py")}
        | {"py.typed"}
    )
    assert inside == {f"emobench/{name}" for name in tracked}
    assert "emobench/benchmark/paper.json" in inside
    assert "emobench/cards/templates/labelled.md.j2" in inside
    assert "emobench/cards/static/vendored/plot.min.js" in inside


def test_works_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    """Unpacked into an empty folder, the wheel builds a dataset and refers to no file of the checkout."""
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site), "EMOBENCH_CACHE": str(tmp_path / "cache")}
    where = subprocess.run(
        [sys.executable, "-c", "import emobench; print(emobench.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.strip() == str(site / "emobench" / "__init__.py")
    ran = subprocess.run(
        [sys.executable, "-m", "emobench", "build-data", "--size", "4", "--pretrain-size", "1", "--workers", "1"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    card = (tmp_path / "data" / "synthetic" / "README.md").read_text()
    assert "Comparison with real labels" in card
    assert "How the synthetic settings were chosen" in card
