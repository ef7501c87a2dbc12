"""Run the notebooks and store their outputs: ``python docs/run_notebooks.py``. ``make figures`` calls it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent / "notebooks"


def executed(path: Path, cache: Path | None = None) -> nbformat.NotebookNode:
    """Run a notebook in an empty folder.

    Parameters
    ----------
    path : Path
        Notebook.
    cache : Path, optional
        Cache of emobench, instead of the user's.

    Returns
    -------
    NotebookNode
        The notebook with its outputs, without what it wrote to the standard error.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    environment = {**os.environ, "EMOBENCH_QUIET": "1", **({"EMOBENCH_CACHE": str(cache)} if cache else {})}
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}})
        client.execute(env={name: value for name, value in environment.items() if name != "EMOBENCH_DATA"})
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
    return notebook


if __name__ == "__main__":
    for notebook in [Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        nbformat.write(executed(notebook), notebook)
