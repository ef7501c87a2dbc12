"""Pages of corpora: their pictures and boards, and the script that makes them."""

from __future__ import annotations

import importlib.util
import re
import sys
from concurrent.futures import Executor
from pathlib import Path
from types import ModuleType
from typing import Any

import emobench as eb
import numpy as np
import polars as pl
import pytest
from emobench.builders import labelled_dataset as labelled
from emobench.builders.labelled_dataset import LabelledDataset
from emobench.protocols import sources
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "corpora"


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Load docs/figures.py, with a copy of its pages to write to."""
    spec = importlib.util.spec_from_file_location("figures", ROOT / "docs" / "figures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "figures", module)
    spec.loader.exec_module(module)
    pages = tmp_path / "pages"
    pages.mkdir()
    for page in PAGES.glob("*.md"):
        (pages / page.name).write_bytes(page.read_bytes())
    monkeypatch.setattr(module, "PAGES", pages)
    return module


@pytest.fixture(scope="module")
def small_dataset(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> LabelledDataset:
    """A labelled dataset without audio."""
    out = tmp_path_factory.mktemp("labels") / "small"
    corpus = make_corpus([1] * 12)
    labelled.build(corpus, out, name="small", version="1.0.0", config=labelled.LabelledConfig(), pool=pool)
    return labelled.load(out)


def _rows(page: str) -> dict[str, list[str]]:
    """Cells of the board of a page, by entry."""
    block = (PAGES / f"{page}.md").read_text().partition("<!-- board -->")[2].partition("<!-- /board -->")[0]
    table = [line.strip("| ").split(" | ") for line in block.splitlines() if line.startswith("|")]
    return {cells[0].strip("`"): cells[1:] for cells in table[2:]}


def _close(cell: str, mean: float | None, std: float | None) -> bool:
    """Whether a printed score and its deviation are those numbers, rounded to as many digits as are printed."""
    for text, value in zip(cell.replace("−", "-").split(" ± "), (mean, std), strict=True):
        if value is None or abs(float(text) - value) > 0.5000001 * 10.0 ** -len(text.partition(".")[2]):
            return False
    return True


def test_board_of_moodswings(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "moodswings_turk"
    eb.build_dataset("moodswings", labels=folder / "msLiteTurk.mat", out=tmp_path / "moodswings")
    results = eb.run(tmp_path / "moodswings", [f"file:{folder / 'chroma_song_means.csv'}", "oracle"], out=None)
    printed = _rows("moodswings")
    assert len(printed) == len(results) == 5
    for result in results:
        name = "training" if result.features == "constant" else result.features
        [cells] = [cells for entry, cells in printed.items() if entry.split()[0] == name]
        for cell, score in zip(cells, ("mean_distance", "kl_divergence", "r2_arousal", "r2_valence"), strict=False):
            assert _close(cell, result.scores[score].mean, result.scores[score].std), (result.features, score)
    # Independent programs: the training mean has 0.183 ± 0.008, this chroma 0.191 ± 0.005, the mean of a clip 0.027.
    for entry, expected, margin in (
        ("constant", 0.183, 0.008),
        ("file:chroma_song_means.csv", 0.191, 0.011),
        ("oracle", 0.027, 0.002),
    ):
        mean = results[entry].scores["mean_distance"].mean
        assert mean is not None and abs(mean - expected) < margin
    assert printed["file:chroma_song_means.csv"][-1] == "no"


def test_every_source_has_a_page() -> None:
    index = (PAGES / "README.md").read_text()
    listed = re.findall(r"^\| \[[^]]+\]\(([\w-]+)\.md\)", index, flags=re.MULTILINE)
    assert sorted(listed) == sorted({page.stem for page in PAGES.glob("*.md")} - {"README"})
    for source in sources.names():
        assert f"`{source}`" in index
        page = "your-own" if source in {"table", "midi", "audio"} else source
        assert f"emobench build-data {source}" in (PAGES / f"{page}.md").read_text()


def test_counts_of_moodswings(real_data: Path, tmp_path: Path) -> None:
    labels = real_data / "moodswings_turk" / "msLiteTurk.mat"
    eb.build_dataset("moodswings", labels=labels, out=tmp_path / "moodswings")
    built = labelled.load(tmp_path / "moodswings")
    traces = built.annotations.group_by("clip_id", "trace").agg(pl.col("arousal", "valence").n_unique())
    counts = {
        "clips": len(built.clips),
        "artists, albums (groups in the folds)": f"{built.clips['artist'].n_unique()}, "
        f"{built.clips['album'].n_unique()}",
        "traces": f"{len(traces):,}",
        "annotators": built.annotations["annotator_id"].n_unique(),
        "constant traces": traces.filter((pl.col("arousal") == 1) & (pl.col("valence") == 1)).height,
    }
    text = (PAGES / "moodswings.md").read_text()
    for name, count in counts.items():
        assert f"| {name} | {count} |" in text


def test_pages_and_pictures_belong_together(figures: ModuleType) -> None:
    for name in figures.CORPORA:
        text = (PAGES / f"{name}.md").read_text()
        for picture in (f"{name}-plane.png", f"{name}-traces.png"):
            assert f"]({picture})" in text
            assert (PAGES / picture).stat().st_size < 150_000
        # The commands were run and the page has their table, for every task.
        assert text.count("| training mean |") == len(figures.CORPORA[name].tasks)
        for arguments in figures.CORPORA[name].runs(name):
            assert "\n".join(figures.command(f"run {arguments}")) in text


def test_pictures_are_deterministic_and_show_the_labels(
    figures: ModuleType, small_dataset: LabelledDataset, tmp_path: Path
) -> None:
    lines = figures.pictures(small_dataset, "small")
    names = re.findall(r"\]\((.+?)\)", "\n".join(lines))
    first = [(figures.PAGES / name).read_bytes() for name in names]
    assert figures.pictures(small_dataset, "small") == lines
    assert [(figures.PAGES / name).read_bytes() for name in names] == first
    assert "ellipse around each" in " ".join(lines) and "single ratings (thin lines)" in " ".join(lines)
    with Image.open(figures.PAGES / names[0]) as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(1 << 20) or []}
    # A white background, and the five colours of the clips in spite of the reduced palette.
    assert (255, 255, 255) in colours
    for wanted in figures.COLOURS:
        rgb = np.array([int(wanted[place : place + 2], 16) for place in (1, 3, 5)])
        assert min(np.abs(rgb - np.array(colour)).max() for colour in colours) <= 2


def test_statistics_alone_give_a_cross(figures: ModuleType, small_dataset: LabelledDataset, tmp_path: Path) -> None:
    targets = small_dataset.targets.with_columns(covariance=pl.lit(None, dtype=pl.Float64))
    names = {clip: clip for clip in targets["clip_id"].unique().sort().head(5)}
    assert figures.draw_plane(targets, names, tmp_path / "a.png") == "cross"
    nothing = targets.with_columns(pl.lit(None, dtype=pl.Float64).alias(f"{axis}_var") for axis in figures.AXES)
    assert figures.draw_plane(nothing, names, tmp_path / "b.png") == ""
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_chosen_clips(figures: ModuleType) -> None:
    places = [(0.3, 0.3), (-0.3, 0.3), (-0.3, -0.3), (0.3, -0.3), (0.01, 0.0), (0.1, 0.1), (-0.1, 0.1), (0, -0.2)]
    means = pl.DataFrame(
        {"clip_id": list("abcdefgh"), "arousal": [a for a, _ in places], "valence": [v for _, v in places]}
    )
    assert figures.chosen_clips(means)[-1] == "e"
    assert set(figures.chosen_clips(means)) == set("abcde")


def test_a_corpus_without_files_is_skipped(
    figures: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {page: page.read_bytes() for page in figures.PAGES.iterdir()}
    figures.main(tmp_path / "work", tmp_path / "nothing", [name for name in figures.CORPORA if name != "synthetic"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0] == f"moodswings: skipped, {tmp_path}/nothing/moodswings_turk/msLiteTurk.mat does not exist"
    assert {page: page.read_bytes() for page in figures.PAGES.iterdir()} == before


def test_board_is_written_between_its_markers(figures: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A\n\n<!-- board -->\nold\n<!-- /board -->\n\nafter \\1\n")
    figures.insert(page, "board", ["new \\g<0>"])
    assert page.read_text() == "# A\n\n<!-- board -->\nnew \\g<0>\n<!-- /board -->\n\nafter \\1\n"
    with pytest.raises(SystemExit, match=r"page.md: expected the lines <!-- pictures --> and <!-- /pictures -->"):
        figures.insert(page, "pictures", [])


def test_results_of_earlier_code_are_left_out(
    figures: ModuleType, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = figures.CORPORA["moodswings"]
    figures.prepare(tmp_path, corpus, real_data)
    figures.build(tmp_path, "moodswings", corpus)
    [arguments] = corpus.runs("moodswings")
    assert len(figures.board(tmp_path, f"{arguments} --regressor ridge", "results")) == 5
    rows = figures.board(tmp_path, arguments, "results")
    assert [row["features"] for row in rows] == ["file:chroma_song_means.csv", "constant", "oracle", "human", "ceiling"]
    assert {row["regressor"] for row in rows} == {"mlr"}


def test_a_dataset_of_other_code_is_built_again(figures: ModuleType, real_data: Path, tmp_path: Path) -> None:
    corpus = figures.CORPORA["moodswings"]
    figures.prepare(tmp_path, corpus, real_data)
    figures.build(tmp_path, "moodswings", corpus)
    manifest = tmp_path / "data" / "moodswings" / "manifest.json"
    before = manifest.read_text()
    manifest.write_text(before.replace('"lag": 0.0', '"lag": 1.0'))
    figures.build(tmp_path, "moodswings", corpus)
    assert manifest.read_text() == before
