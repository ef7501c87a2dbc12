"""The plug-ins of docs/plugins.md, executed as they are there."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import emobench as eb
import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import an example of the page as a module."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3

    def load(number: int) -> Any:
        (tmp_path / f"plugin_example{number}.py").write_text(blocks[number])
        monkeypatch.delitem(sys.modules, f"plugin_example{number}", raising=False)
        return importlib.import_module(f"plugin_example{number}")

    return load


def _result(with_audio: Path, feature: Any, out: Path) -> Any:
    return next(iter(eb.run(with_audio / "syn", feature, out=out, regressors="ridge")))


def test_the_centroid_of_a_tone_is_its_frequency(example: Any, with_audio: Path, tmp_path: Path) -> None:
    centroid = example(0).centroid
    times, values = centroid(np.sin(2 * np.pi * 3000 * np.arange(22_050) / 22_050).astype(np.float32))
    np.testing.assert_allclose(values, 3000, rtol=0.02)
    assert 0 < times[0] < times[-1] < 1
    assert _result(with_audio, centroid, tmp_path).dims == 1


def test_batches_equal_single_clips(example: Any, with_audio: Path, tmp_path: Path) -> None:
    filters = example(1).Filters()
    filters.prepare()
    assert sum(each.numel() for each in filters.model.parameters()) == filters.metadata["parameters"]
    generator = np.random.default_rng(0)
    clips = [generator.standard_normal(length).astype(np.float32) for length in (32_000, 20_000, 16_000)]
    for samples, (times, values) in zip(clips, filters(clips), strict=True):
        alone_times, alone = filters([samples])[0]
        np.testing.assert_allclose(values, alone, atol=1e-4)
        np.testing.assert_array_equal(times, alone_times)
        assert len(times) == len(values)
        assert times[-1] <= len(samples) / 16_000
    result = _result(with_audio, example(1).Filters, tmp_path)
    assert result.dims == 16
    assert result.feature_metadata["filters"]["licence"] == "Apache-2.0"


def test_components_are_fitted_in_each_fold(example: Any, with_audio: Path, tmp_path: Path) -> None:
    from sklearn.decomposition import PCA

    components = example(2).Components()
    generator = np.random.default_rng(1)
    clips = [generator.standard_normal(22_050 * 60).astype(np.float32) for _ in range(2)]
    components.fit(clips, [])
    rows = np.concatenate([components.spectra(samples) for samples in clips])
    expected = PCA(8, svd_solver="full").fit(rows).transform(components.spectra(clips[0]))
    np.testing.assert_allclose(np.abs(components(clips[0])[1]), np.abs(expected), atol=1e-3)
    assert _result(with_audio, example(2).Components, tmp_path).dims == 8
    with pytest.raises(eb.InputError, match="depends on the fold"):
        eb.extract(with_audio / "syn", example(2).Components())
