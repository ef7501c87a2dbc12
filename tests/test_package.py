"""The wheel contains the package with its templates and tables, and nothing else for site-packages."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the files that git tracks, in the current environment."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source)],
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


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
