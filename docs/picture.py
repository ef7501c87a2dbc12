"""Draw the tables of a results folder as the SVG image of the README: ``python docs/picture.py RESULTS OUT.svg``."""

from __future__ import annotations

import io
import sys
from pathlib import Path

from emobench.benchmark.report.leaderboard import load
from emobench.cards.tables import to_rich
from rich.console import Console

results, out = (Path(argument) for argument in sys.argv[1:])
console = Console(width=150, record=True, file=io.StringIO(), force_terminal=True)
for table in load(results).tables[:2]:  # the two of the paper; the third is as long as both
    console.print(to_rich(table))
console.save_svg(str(out), title="emobench leaderboard")
