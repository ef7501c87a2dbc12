"""``--device`` is checked before anything else, by every command that has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from emobench.cli import app

COMMANDS = {
    "run": ["--features", "mfcc"],
    "pretrain": ["--features", "rhythm"],
    "reproduce": ["table2"],
}


def test_all_commands_with_a_device_are_tested() -> None:
    group = typer.main.get_command(app)
    context = typer.Context(group)
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}  # pyright: ignore
    with_device = {
        name for name, command in commands.items() if any("--device" in option.opts for option in command.params)
    }
    assert with_device == set(COMMANDS)


@pytest.mark.parametrize("command", list(COMMANDS))
def test_an_unknown_device_is_refused_without_torch(tmp_path: Path, command: str) -> None:
    script = "import atexit, sys; from emobench.cli.main import main; "
    script += "atexit.register(lambda: print('torch' in sys.modules)); sys.argv[0] = 'emobench'; main()"
    # No dataset is there either; the device comes first.
    arguments = [sys.executable, "-c", script, command, *COMMANDS[command], "--device", "gpu"]
    ran = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (2, "emobench: --device gpu: expected cpu, cuda or auto.\n")
    assert ran.stdout == "False\n"


@pytest.mark.parametrize("command", list(COMMANDS))
def test_cuda_without_a_gpu_is_refused(tmp_path: Path, command: str) -> None:
    arguments = [sys.executable, "-m", "emobench", command, *COMMANDS[command], "--device", "cuda"]
    ran = subprocess.run(
        arguments,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"CUDA_VISIBLE_DEVICES": "", "PATH": "/usr/bin:/bin"},
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("emobench: --device cuda: torch finds no GPU here")
    assert ran.stderr.count("\n") == 1
