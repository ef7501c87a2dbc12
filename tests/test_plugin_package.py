"""The example package in ``examples/plugin``: once installed, its feature is listed and scored like any other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin"


def _emobench(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder / "installed"), "EMOBENCH_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "emobench", *arguments]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_an_installed_package_adds_a_feature(tmp_path: Path) -> None:
    # A copy, because building leaves files beside the sources.
    shutil.copytree(EXAMPLE, tmp_path / "plugin")
    install = [
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(tmp_path / "installed"),
    ]
    subprocess.run([sys.executable, "-m", *install, str(tmp_path / "plugin")], check=True, capture_output=True)
    assert "emobench_loudness:Loudness" in _emobench(tmp_path, "list", "features")
    _emobench(tmp_path, "build-data", "--size", "8", "--pretrain-size", "1", "--workers", "1")
    assert "loudness" in _emobench(tmp_path, "run", "--features", "loudness", "--workers", "1")
