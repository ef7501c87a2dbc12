"""docs/representations.md belongs to its script, and the script names the Pareto front."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def representations(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load docs/representations.py."""
    monkeypatch.syspath_prepend(DOCS)
    monkeypatch.delitem(sys.modules, "figures", raising=False)
    spec = importlib.util.spec_from_file_location("representations", DOCS / "representations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_commands_and_entries_of_its_script(representations: ModuleType) -> None:
    text = (DOCS / "representations.md").read_text(encoding="utf-8")
    figures = sys.modules["figures"]
    for arguments in representations.CORPUS.runs("vgmidi"):
        assert "\n".join(figures.command(f"run {arguments}")) in text
    for feature in ("mfcc", "chroma", "spectral_shape", "spectral_contrast", "musicnn", "musicnn:tags"):
        assert text.count(f"| `{feature}`") == 2, feature
    assert text.count("| the four joined") == 4
    assert text.count("| training mean | reference |") == 2


def test_the_front_and_the_rows(representations: ModuleType) -> None:
    def row(signature: str, cost: str, mean: str, features: str = "mfcc") -> dict[str, str]:
        scores = {name: mean for name in ("mean_distance", "kl_divergence", "r2_arousal", "r2_valence")}
        named = {"signature": signature, "features": features, "seconds_per_clip": cost, "group": "hand-crafted"}
        rest = {"dims": "40", "layer": "", "phase": ""}
        return {**scores, **{f"{name}_std": "0.01" for name in scores}, **named, **rest}

    rows = [row("a", "0.1", "0.14"), row("b", "0.2", "0.15"), row("c", "4", "0.12", representations.JOINED)]
    rows.append({**row("d", "0", "0.17", "constant"), "group": "reference"})
    assert representations.front(rows[:3]) == {"a", "c"}
    lines = representations.table(rows)
    assert lines[2].startswith("| `mfcc` ★ | hand-crafted | 40 | 0.140 ± 0.010 |")
    assert lines[3].startswith("| `mfcc` | ")
    assert lines[4].startswith("| the four joined ★ | ")
    assert lines[4].endswith("| 4 |")
    assert lines[5].startswith("| training mean | reference |  | 0.170")
    assert lines[5].endswith("|  |")
