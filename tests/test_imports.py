"""The import rule: packages import only from those below them, and ``import emobench`` is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each package may import from packages of lower rank and from itself.
RANKS = {
    "errors": 0,
    "registry": 1,
    "protocols": 2,
    "runtime": 3,
    "audio": 4,
    "cards": 4,
    "baselines": 5,
    "dbn": 5,
    "pretrained": 5,
    "builders": 6,
    "benchmark": 7,
    "api": 8,
    "cli": 9,
}


def _imports(path: Path, package: str) -> Iterator[tuple[int, str]]:
    """Yield the line and package of each import of emobench in a module."""
    depth = len(path.relative_to(ROOT).parts) - 1
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level <= depth:
                continue  # within the package
            names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
            yield from ((node.lineno, name) for name in names if name in RANKS and name != package)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("emobench"):
            yield node.lineno, "an absolute import"


@pytest.mark.parametrize("package", list(RANKS))
def test_packages_import_only_from_below(package: str) -> None:
    files = [ROOT / f"{package}.py"] if (ROOT / f"{package}.py").exists() else sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {name}"
        for file in files
        for line, name in _imports(file, package)
        if RANKS.get(name, 99) >= RANKS[package]
    ]
    assert not wrong, "\n".join(wrong)


def test_every_package_has_a_rank() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "build"}
    modules = {path.stem for path in ROOT.glob("*.py")} - {"__init__", "__main__"}
    assert packages | modules == set(RANKS)


@pytest.mark.parametrize("module", ["emobench", "emobench.protocols", "emobench.cli"])
def test_import_emobench_imports_no_heavy_package(module: str) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert not loaded & {"torch", "librosa", "datasets", "polars", "scipy", "sklearn", "pydantic"}


HEAVY = {"torch", "numba", "librosa", "sklearn", "datasets", "scipy.fft", "scipy.ndimage", "scipy.linalg", "h5py"}


def _loaded(folder: Path, *arguments: str) -> set[str]:
    """Modules that a command imports."""
    script = "import atexit, sys; from emobench.cli.main import main; "
    script += "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); sys.argv[0] = 'emobench'; main()"
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return set(ran.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("command", ["run", "build-data", "build-data table", "publish dataset", "list"])
def test_help_imports_no_heavy_package(tmp_path: Path, command: str) -> None:
    loaded = _loaded(tmp_path, *command.split(), "--help")
    assert not loaded & (HEAVY | {"numpy", "polars", "pydantic"})


@pytest.mark.parametrize("what", ["features", "sources", "regressors", "datasets", "models"])
def test_lists_import_no_heavy_package(tmp_path: Path, what: str) -> None:
    assert not _loaded(tmp_path, "list", what) & (HEAVY | {"polars", "jinja2"})


def test_a_kernel_is_compiled_with_those_that_it_calls() -> None:
    script = (
        "import sys; from emobench.audio import separation; from emobench.dbn import kernels; "
        "loaded = 'numba' in sys.modules; import numpy as np; out = np.zeros((2, 3), np.float32); "
        "kernels.fill_uniforms(np.uint64(1), 0, out); print(loaded, 'numba' in sys.modules, bool((out > 0).all()))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True", "True"]
