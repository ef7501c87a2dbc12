"""Plots of the models of a folder: ``emobench list models --plot``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from emobench.benchmark.report.listing import draw_models
from emobench.errors import InputError
from emobench.runtime.files import sha256_file
from safetensors.numpy import save_file


def _write_model(folder: Path, domain: str, dims: int) -> None:
    """Write the folder of a model with one layer of 6 units."""
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True)
    tensors = {"mean": np.zeros(dims), "scale": np.ones(dims)}
    for epochs in (0, 2):
        tensors[f"epochs{epochs}.layer0.weight"] = draw.normal(0, 1, (dims, 6))
        tensors[f"epochs{epochs}.layer0.bias"] = np.zeros(6)
    save_file({name: part.astype(np.float32) for name, part in tensors.items()}, folder / "weights.safetensors")
    config = {
        "domain": {"name": domain, "window": 4},
        "training": {"layers": [6]},
        "examples": 9,
        "data": "somewhere",
        "weights_sha256": sha256_file(folder / "weights.safetensors"),
    }
    (folder / "config.json").write_text(json.dumps(config))
    log = [{"epoch": epoch, "reconstruction_error": 1 / epoch, "seconds": 0.1} for epoch in (1, 2)]
    (folder / "training.json").write_text(json.dumps({"rbms": {"layer 0": log}}))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Three models, and three folders that are not models."""
    folder = tmp_path / "models"
    for domain, dims in (("pitch", 192), ("pitch2d", 384), ("rhythm", 80)):
        _write_model(folder / f"{domain}-good", domain, dims)
    _write_model(folder / "misfit", "rhythm", 82)
    _write_model(folder / "cut", "pitch", 192)
    (folder / "cut" / "weights.safetensors").write_bytes(b"\x10")
    (folder / "empty").mkdir()
    (folder / "empty" / "config.json").write_text("{")
    return folder


NAMES = [f"{domain}-good-{kind}.png" for domain in ("pitch", "pitch2d", "rhythm") for kind in ("curves", "rows")]


def test_every_model_is_drawn_and_the_others_are_named(models: Path, tmp_path: Path) -> None:
    drawn = draw_models(models, tmp_path / "out")
    assert [path.name for paths in drawn.pictures.values() for path in paths] == NAMES
    assert all(path.read_bytes().startswith(b"\x89PNG") for paths in drawn.pictures.values() for path in paths)
    for name, problem in zip(("cut", "empty", "misfit"), drawn.problems, strict=True):
        assert problem.startswith(f"{models / name}: ")
        assert "\n" not in problem
    # No picture remains of a model of which only one could be drawn.
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == NAMES


def test_no_folder_for_pictures(models: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is no folder"):
        draw_models(models, tmp_path / "out")


def _list(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emobench", "list", *arguments],
        cwd=cwd,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_says_where_the_pictures_are(models: Path, tmp_path: Path) -> None:
    ran = _list("models", "--plot", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert [line for line in ran.stdout.splitlines() if "wrote" in line] == [f"wrote plots/{name}" for name in NAMES]
    assert [line.split(": ")[1] for line in ran.stderr.splitlines()] == ["models/cut", "models/empty", "models/misfit"]
    again = _list("models", "--plot", "elsewhere", "--json", cwd=tmp_path)
    records = {record["folder"]: record for record in json.loads(again.stdout)}
    assert records["models/rhythm-good"]["plots"] == [f"elsewhere/{name}" for name in NAMES[4:]]
    assert records["models/cut"]["plots"] == []
    for name in NAMES:
        assert (tmp_path / "elsewhere" / name).read_bytes() == (tmp_path / "plots" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("features", "--plot"), "only models can be drawn"), (("models", "here"), "a folder is used with --plot")],
)
def test_wrong_usage(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    ran = _list(*arguments, cwd=tmp_path)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
