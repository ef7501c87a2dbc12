"""The notebooks of the documentation run, and print what they show."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


@pytest.fixture
def runner() -> ModuleType:
    """The script docs/run_notebooks.py."""
    spec = importlib.util.spec_from_file_location("run_notebooks", ROOT / "docs" / "run_notebooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What each code cell printed, without the digits that differ between processors."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    texts = ["".join(each.get("text", "") for each in cell.outputs if each.get("name") == "stdout") for cell in cells]
    return [re.sub(r"(\d\.\d\d)\d+", r"\1", text) for text in texts]


def _kinds(notebook: nbformat.NotebookNode) -> list[list[str]]:
    return [[each.output_type for each in cell.outputs] for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path: Path, runner: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A cell that fails raises; what is stored in the notebook is what it prints now."""
    found = runner.executed(path, tmp_path_factory.getbasetemp() / "cache")
    stored = nbformat.read(path, as_version=4)
    assert _printed(found) == _printed(stored)
    assert _kinds(found) == _kinds(stored)
    assert "/root/" not in path.read_text() and "/tmp/" not in path.read_text()


def test_planted_faults_are_found() -> None:
    """What the notebook shows names every fault that it plants."""
    shown = "\n".join(_printed(nbformat.read(ROOT / "docs" / "notebooks" / "check-corpus.ipynb", as_version=4)))
    for kind, clips in {"recordings": "bonus", "songs": "s0009", "targets": "s0013"}.items():
        block = shown.partition(f"{kind}: ")[2].partition("measured")[0]
        assert clips in block, kind
    assert "axes: " in shown


def test_failing_cells_are_noticed(runner: ModuleType, tmp_path: Path) -> None:
    broken = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(broken, tmp_path / "broken.ipynb")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        runner.executed(tmp_path / "broken.ipynb", tmp_path)
