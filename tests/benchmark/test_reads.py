"""How often the files of results are read."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emobench.benchmark.publishing.board import board
from emobench.benchmark.report.leaderboard import rank
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.results.verify_data import Datasets
from emobench.benchmark.scoring.ranking import ranking


@contextmanager
def _opened() -> Iterator[Counter[str]]:
    """Count how often each file is opened during the block."""
    counts: Counter[str] = Counter()
    counting = True

    def count(event: str, arguments: tuple[object, ...]) -> None:
        if counting and event == "open":
            counts[str(arguments[0])] += 1

    # A hook cannot be removed again.
    sys.addaudithook(count)
    yield counts
    counting = False


def _once(counts: Counter[str], results: Path) -> bool:
    files = [str(path) for path in results.glob("*/*.json")]
    return len(files) == 5 and {path: counts[path] for path in files} == dict.fromkeys(files, 1)


def test_a_store_opens_each_result_once(results: Path) -> None:
    with _opened() as counts:
        store = ResultStore(results)
        assert all(store.damage(result) is None for result in store.results)
        ranking(store)
        assert store.find("constant").predictions is not None
    assert _once(counts, results)


def test_publishing_opens_each_result_once(finished_run: Path, results: Path, tmp_path: Path) -> None:
    with _opened() as counts:
        made = board(
            results,
            "ann/board",
            space="ann/board-space",
            render_page=lambda store: rank(store).page(tmp_path),
            datasets=Datasets([finished_run / "data" / "tiny"], tmp_path, only=False),
            models=tmp_path,
            look=False,
        )
    assert len(made.new) == 5
    assert _once(counts, results)
