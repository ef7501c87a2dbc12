"""How often publishing reads the files of results."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from emobench.benchmark.publishing.board import board
from emobench.benchmark.report.leaderboard import rank
from emobench.benchmark.results.verify_data import Datasets


def test_publishing_opens_the_json_of_an_entry_once(finished_run: Path, results: Path, tmp_path: Path) -> None:
    opened: Counter[str] = Counter()
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open" and isinstance(arguments[0], (str, Path)):
            opened[str(arguments[0])] += 1

    # A hook cannot be removed again.
    sys.addaudithook(watch)
    made = board(
        results,
        "ann/board",
        space="ann/board-space",
        render_page=lambda store: rank(store).page(tmp_path),
        datasets=Datasets([finished_run / "data" / "tiny"], tmp_path, only=False),
        models=tmp_path,
        look=False,
    )
    watching = False
    files = sorted(str(path) for path in results.glob("*/*.json"))
    assert len(files) == len(made.new) == 3
    assert {path: opened[path] for path in files} == dict.fromkeys(files, 1)
