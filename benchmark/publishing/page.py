"""The page that a Space shows: one HTML file of a results folder."""

from __future__ import annotations

from pathlib import Path

from ..report.leaderboard import load


def render_page(results: Path, *, data: Path) -> str:
    """The page of a results folder, as text; clips are named as the datasets below ``data`` name them."""
    return load(results).page(data)
