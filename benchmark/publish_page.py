"""The page that a Space shows: one HTML file of a results folder."""

from __future__ import annotations

from pathlib import Path

from ..cards.hub_pages import tables_page
from .leaderboard import load_tables


def render_page(results: Path) -> str:
    """The page of a results folder, as text."""
    return tables_page(load_tables(results)[0])
