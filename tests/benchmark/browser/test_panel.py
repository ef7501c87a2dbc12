"""The panel of an entry: opened by keyboard, with the numbers of its predictions, whatever the names are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from axe_playwright_python.sync_playwright import Axe
from emobench.benchmark.report.leaderboard import load
from playwright.sync_api import expect

from .pages import ARTIST, Seen, first_predictions, open_panel


def test_a_panel_opens_and_closes_by_keyboard(html: Path, visit: Callable[..., Seen]) -> None:
    page = visit(html).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the rankings"
    button = page.get_by_role("button", name="constant (training mean)")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="constant (training mean)")
    expect(dialog).to_be_visible()
    assert page.evaluate("panel.contains(document.activeElement)")
    assert page.evaluate("location.hash").startswith("#entry=")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    page.wait_for_function("location.hash === ''")


def test_a_panel_has_the_numbers_of_the_predictions(made: Path, html: Path, visit: Callable[..., Seen]) -> None:
    signature = "000000000003"
    page = visit(html, hash=f"#entry={signature}").page
    dialog = page.get_by_role("dialog", name="file:003.csv+Rhythm, layer 0, random-fine-tuned")
    expect(dialog).to_be_visible()
    table = first_predictions(made, signature)
    clips = table.group_by("clip_id").agg(pl.col("distance").mean()).sort("distance")
    for caption, wanted in (("Best clips", clips.head(5)), ("Worst clips", clips.tail(5).reverse())):
        lines = dialog.get_by_role("table", name=caption).locator("tbody tr")
        cells = lines.locator("td:nth-child(2)").all_inner_texts()
        assert np.allclose([float(cell) for cell in cells], wanted["distance"], atol=6e-4)
        for line, clip in zip(lines.all(), wanted["clip_id"], strict=True):
            assert clip in line.inner_text()
    chooser = dialog.get_by_role("combobox", name="Clip")
    worst = clips["clip_id"][-1]
    chooser.select_option(worst)
    own = table.filter(pl.col("clip_id") == worst).sort("time")
    drawing = dialog.locator("svg[data-clip]")
    assert drawing.get_attribute("data-clip") == worst
    for name in ("target ellipses", "prediction ellipses", "prediction means", "target means"):
        assert drawing.locator(f'[data-mark="{name}"] :is(path, circle)').count() == 15, name
    assert drawing.locator('[data-mark="prediction trajectory"] path').count() == 1
    slider = dialog.get_by_role("slider")
    slider.focus()
    page.keyboard.press("End")
    expect(dialog.locator("output")).to_have_text(f"15 s, distance {own['distance'][-1]:.3f}")
    assert drawing.locator('[data-mark="prediction ellipses"] path.now').count() == 1
    dialog.get_by_text("Numbers of this clip").click()
    rows = dialog.get_by_role("table", name="Seconds of this clip").locator("tbody tr")
    for row, second in zip(rows.all(), own.iter_rows(named=True), strict=True):
        numbers = [float(x) for x in row.inner_text().replace("−", "-").replace("(", "").replace(")", "").split()]
        names = ("time", "arousal", "true_arousal", "valence", "true_valence", "distance")
        assert np.allclose(numbers, [second[name] for name in names], atol=1.5e-3)
    result = json.loads(next((made / "results").glob(f"*/*-{signature}.json")).read_text())
    for name, score in (("KL divergence", "kl_divergence"), ("Arousal CCC", "ccc_arousal")):
        line = dialog.get_by_role("table", name="All scores").get_by_role("row", name=name, exact=False).first
        mean = result["scores"][score]["mean"]
        assert ("–" if mean is None else f"{mean:z.3f}".replace("-", "−")) in line.inner_text()
    assert dialog.get_by_role("img").count() == 8


def test_the_plots_of_all_clips(made: Path, html: Path, visit: Callable[..., Seen]) -> None:
    signature = "000000000003"
    page = visit(html, hash=f"#entry={signature}").page
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    count = first_predictions(made, signature)["clip_id"].n_unique()
    for name, shape in (("targets", "circle"), ("predictions", "path"), ("errors", "path")):
        assert dialog.locator(f'[data-mark="{name}"] {shape}').count() == count, name
    lines = dialog.locator('[data-mark="errors"]')
    expect(lines).to_be_hidden()
    dialog.get_by_role("checkbox", name="errors").press("Space")
    expect(lines).to_be_visible()
    dialog.get_by_role("checkbox", name="targets").press("Space")
    expect(dialog.locator('[data-mark="targets"]')).to_be_hidden()
    assert dialog.locator('[data-mark="agreement"] circle').count() == 2 * count
    # The points fill the plot, whose axes start where they do.
    plot = dialog.locator(".plane svg").first
    frame, points = plot.bounding_box(), dialog.locator('[data-mark="errors"]').bounding_box()
    assert frame is not None
    assert points is not None
    assert max(points["width"] / frame["width"], points["height"] / frame["height"]) > 0.6
    # The pointer names the nearest clip.
    plot.hover()
    expect(plot.get_by_text("distance")).to_be_visible()


def test_names_are_shown_and_run_nothing(html: Path, visit: Callable[..., Seen]) -> None:
    page = visit(html).page
    open_panel(page, "file:<b>mine.csv")
    assert ARTIST in page.get_by_role("dialog").inner_text()
    assert ARTIST in page.get_by_role("combobox", name="Clip").inner_text()
    assert page.evaluate("window.hacked") is None
    assert page.locator("#panel b, #panel script, table.ranking b, #panel i").count() == 0


def test_light_and_dark(html: Path, visit: Callable[..., Seen]) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        page = visit(html, color_scheme=scheme).page
        open_panel(page, "constant (training mean)")
        colours[scheme] = page.evaluate(
            "['html', '#panel', '.open', '[data-mark=targets] circle'].map((name) => {"
            "  const style = getComputedStyle(document.querySelector(name));"
            "  return [style.backgroundColor, style.color, style.fill];"
            "})"
        )
    for light, dark in zip(colours["light"], colours["dark"], strict=True):
        assert light != dark


def test_an_entry_without_predictions_says_why(made: Path, visit: Callable[..., Seen], tmp_path: Path) -> None:
    shutil.copytree(made / "results", tmp_path / "results")
    next(tmp_path.glob("results/*/constant-*.parquet")).unlink()
    (path,) = load(tmp_path / "results").save("html", str(tmp_path / "x.html"), data=tmp_path)
    page = visit(path).page
    open_panel(page, "constant (training mean)")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("No plots: its predictions cannot be used")).to_be_visible()
    expect(dialog.get_by_role("table", name="All scores")).to_be_visible()
    page.keyboard.press("Escape")
    open_panel(page, "file:003.csv+Rhythm")
    assert "Clips are shown by id" in page.locator("ul.notes").inner_text()
    assert "c0" in page.get_by_role("combobox", name="Clip").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_the_rules_of_accessibility(html: Path, visit: Callable[..., Seen], scheme: str, width: int) -> None:
    viewport = {"width": width, "height": 800}
    page = visit(html, color_scheme=scheme, viewport=viewport, bypass_csp=True).page
    for step in ("table", "panel"):
        if step == "panel":
            open_panel(page, "file:003.csv+Rhythm")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert len(found.response["passes"]) > 30


def test_a_panel_has_a_reliability_diagram(html: Path, visit: Callable[..., Seen]) -> None:
    page = visit(html, hash="#entry=000000000003").page
    drawing = page.get_by_role("dialog").get_by_role("img", name="Reliability")
    expect(drawing).to_be_visible()
    assert drawing.locator('[data-mark="levels"] circle').count() == 9
    # Shares increase with the level, and the axis has its origin at the bottom.
    heights = [float(circle.get_attribute("cy") or "nan") for circle in drawing.locator("circle").all()[:9]]
    assert heights == sorted(heights, reverse=True)
