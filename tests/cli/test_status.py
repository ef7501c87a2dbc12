"""Commands that compute say in a terminal, before they import anything heavy, that they have started."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

COMMANDS = [
    ["run", "--features", "mfcc"],
    ["build-data", "--size", "1"],
    ["pretrain", "--features", "rhythm"],
    ["reproduce", "table2"],
    ["check", "data/mine"],
]


def _standard_error(arguments: list[str], folder: Path, *, terminal: bool) -> str:
    """What a command writes to standard error before it imports the library, and after."""
    script = (
        "import importlib.abc, sys\n"
        "class Mark(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, *more):\n"
        "        if name in ('emobench.api', 'numpy'):\n"
        "            sys.stderr.write('<heavy>'); sys.meta_path.remove(self)\n"
        "sys.meta_path.insert(0, Mark())\n"
        "from emobench.cli.main import main\n"
        "sys.argv[0] = 'emobench'; main()\n"
    )
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    stream = theirs if terminal else subprocess.PIPE
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=stream, check=False
    )
    os.close(theirs)
    assert ran.returncode == 2
    try:
        return os.read(ours, 10_000).decode() if terminal else ran.stderr.decode()
    finally:
        os.close(ours)


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_status_comes_before_heavy_imports(tmp_path: Path, arguments: list[str]) -> None:
    shown = _standard_error(arguments, tmp_path, terminal=True)
    before, _, after = shown.partition("<heavy>")
    assert before == "\r\x1b[Kstarting …"
    # It is erased before anything else is printed.
    assert after.split("emobench: ")[0].endswith("\r\x1b[K")


def test_no_status_in_a_pipe(tmp_path: Path) -> None:
    shown = _standard_error(COMMANDS[0], tmp_path, terminal=False).replace("<heavy>", "")
    assert shown.startswith("emobench: ")
    assert shown.count("\n") == 1
