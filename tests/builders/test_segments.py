"""Reading of beat-synchronous features, and of datasets that lack some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from emobench.builders import release
from emobench.builders.segments import load_segments
from emobench.cards.dataset import About
from emobench.errors import InputError


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A pre-training dataset with rhythm alone: clips of 3, 2 and 4 beats in two files."""
    values = np.arange(18, dtype=np.float32).reshape(9, 2)
    owner = ["a"] * 3 + ["b"] * 2 + ["c"] * 4
    table = pl.DataFrame({"track_id": owner, "beat": [0, 1, 2, 0, 1, 0, 1, 2, 3], "features": values.tolist()})
    table = table.with_columns(pl.col("features").cast(pl.List(pl.Float32)))
    for number, part in enumerate((table[:5], table[5:])):
        release.write_table(tmp_path, "rhythm", part, number)
    settings = release.settings({}, {})
    recipe = release.recipe(name="old", version="1.0.0", kind="pretrain", source={}, config=settings)
    about = About("Test corpus", "Made in a test.", "cc0-1.0", "@misc{test}", "None.")
    release.write_manifest(tmp_path, recipe, about, synthetic=True, counts={})
    return tmp_path


def test_clips_are_read_file_by_file(dataset: Path) -> None:
    segments = load_segments(dataset, "rhythm")
    assert segments.lengths == [3, 2, 4]
    clips = list(segments)
    np.testing.assert_array_equal(np.concatenate(clips), np.arange(18).reshape(9, 2))
    assert [len(clip) for clip in clips] == segments.lengths


def test_a_dataset_of_an_earlier_version_has_no_texture(dataset: Path) -> None:
    with pytest.raises(InputError, match=r"has no texture/\*\.parquet, .* build it again in another folder\.$"):
        load_segments(dataset, "texture")
