"""The table of the page: sorted, filtered, on a phone, without scripts, with 500 entries."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from emobench.benchmark.report.leaderboard import load, rendered
from playwright.sync_api import Page, expect

from .pages import Seen, copies, first_predictions, open_panel


def _column(page: Page, key: str) -> list[str]:
    """Texts of a column of the ranked entries."""
    place = page.locator("table.ranking thead th").evaluate_all(
        "(cells, key) => cells.findIndex(cell => cell.dataset.key === key)", key
    )
    cells = page.locator(f"table.ranking tbody:not(.references) tr > :nth-child({place + 1})")
    return [text.strip() for text in cells.all_text_contents()]


def _numbers(page: Page, key: str) -> list[float]:
    return [float(text.split()[0]) for text in _column(page, key)]


def _shown(page: Page) -> list[str]:
    """Keys of the columns that are not hidden."""
    return page.locator("table.ranking thead th").evaluate_all(
        "cells => cells.filter(cell => cell.offsetWidth).map(cell => cell.dataset.key)"
    )


def test_every_entry_is_in_the_table_of_its_dataset(made: Path, html: Path, visit: Callable[..., Seen]) -> None:
    page = visit(html).page
    table = page.get_by_role("table", name="Ranking on tiny@1.0.0")
    records = list(csv.DictReader(io.StringIO(rendered(load(made / "results").tables, "csv"))))
    ranked = [record for record in records if record["features"] not in ("constant", "oracle", "human", "ceiling")]
    assert (len(records), len(ranked)) == (13, 9)
    assert table.locator("tbody th[scope=row]").count() == 13
    assert sorted(_numbers(page, "distance")) == sorted(round(float(record["mean_distance"]), 3) for record in ranked)
    assert page.locator("table.ranking svg.bar").count() == 26
    expect(page.get_by_role("status")).to_have_text("Showing all 9 entries.")
    # It was not published.
    assert page.get_by_text("Verified").count() == 0
    expect(page.get_by_role("listitem").filter(has_text="cut.json: not a readable result")).to_be_visible()
    assert table.get_by_role("button", name="file:<b>mine.csv").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
    for landmark in ("banner", "main", "search", "contentinfo"):
        assert page.get_by_role(landmark).count() == 1, landmark  # pyright: ignore[reportArgumentType]


def test_references_are_apart_and_the_best_entry_is_marked(html: Path, visit: Callable[..., Seen]) -> None:
    page = visit(html).page
    references = page.locator("tbody.references")
    assert [row.split("\n")[0].strip() for row in references.get_by_role("button").all_inner_texts()] == [
        "oracle (clip mean)",
        "ceiling (population of annotators)",
        "human (one half of the annotators)",
        "constant (training mean)",
    ]
    expect(references.get_by_role("rowheader").first).to_have_text("Reference entries")
    best = page.locator("tr.best")
    expect(best).to_have_count(1)
    expect(best.get_by_text("best", exact=True)).to_be_visible()
    distance = float(best.locator("td.num:has(.sd)").first.inner_text().split()[0])
    assert distance == min(_numbers(page, "distance"))
    name = best.get_by_role("button").inner_text()
    page.locator(".summary").get_by_role("button", name=name).click()
    expect(page.get_by_role("dialog", name=name)).to_be_visible()
    page.keyboard.press("Escape")
    # Sorting and filtering move the entries, never the references.
    page.locator('th[data-key="distance"]').get_by_role("button").press("Enter")
    page.get_by_role("searchbox", name="Filter").fill("nothing has this name")
    expect(references.get_by_role("button")).to_have_count(4)


def test_sorting_by_keyboard(html: Path, visit: Callable[..., Seen]) -> None:
    page = visit(html).page
    heading = page.locator('th[data-key="distance"]')
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert _numbers(page, "distance") == sorted(_numbers(page, "distance"))

    def press(key: str, name: str, order: str) -> None:
        other = page.locator(f'th[data-key="{name}"]')
        other.get_by_role("button").focus()
        page.keyboard.press(key)
        expect(other).to_have_attribute("aria-sort", order)

    press("Enter", "divergence", "ascending")
    expect(heading).not_to_have_attribute("aria-sort", "ascending")
    assert _numbers(page, "divergence") == sorted(_numbers(page, "divergence"))
    press("Space", "divergence", "descending")
    assert _numbers(page, "divergence") == sorted(_numbers(page, "divergence"), reverse=True)
    press("Enter", "entry", "ascending")
    names = [name.removesuffix("best").strip() for name in _column(page, "entry")]
    assert names == sorted(names, key=str.lower)
    # More wins first.
    press("Enter", "better", "ascending")
    counts = [int(text) for text in _column(page, "better")]
    assert counts == sorted(counts, reverse=True)
    assert len(set(counts)) > 2


def test_filtering(html: Path, visit: Callable[..., Seen]) -> None:
    page = visit(html).page
    page.get_by_role("searchbox", name="Filter").fill("003.csv+Rhythm, layer")
    expect(page.get_by_role("status")).to_have_text("Showing 1 of 9 entries.")
    assert _column(page, "entry") == ["file:003.csv+Rhythm, layer 0, random-fine-tuned"]
    page.get_by_role("searchbox", name="Filter").fill("")
    page.get_by_role("combobox", name="Phase").select_option("fine-tuned")
    expect(page.get_by_role("status")).to_have_text("Showing 2 of 9 entries.")
    assert _column(page, "phase") == ["fine-tuned"] * 2
    page.get_by_role("combobox", name="Phase").select_option("no network")
    expect(page.get_by_role("status")).to_have_text("Showing 1 of 9 entries.")
    page.get_by_role("searchbox", name="Filter").fill("nothing has this name")
    expect(page.get_by_role("status")).to_have_text("Showing 0 of 9 entries.")
    assert "No entry matches the filter." in page.locator("table.ranking tbody").first.inner_text()


@pytest.mark.parametrize("width", [1920, 1280, 800, 390])
def test_hidden_columns_are_announced_and_can_be_shown(html: Path, visit: Callable[..., Seen], width: int) -> None:
    page = visit(html, viewport={"width": width, "height": 800}).page
    fits = "document.querySelector('.wide').scrollWidth <= document.querySelector('.wide').clientWidth + 1"
    assert page.evaluate(fits)
    keys = page.locator("table.ranking thead th").evaluate_all("cells => cells.map(cell => cell.dataset.key)")
    hidden = [key for key in keys if key not in _shown(page)]
    assert {"rank", "entry", "distance", "distance-interval"} <= set(_shown(page))
    if width >= 1280:
        assert {"better", "worse", "beats", "kl-rank", "divergence", "divergence-interval"} <= set(_shown(page))
    line = page.locator("#hidden")
    expect(line).to_contain_text(f"{len(hidden)} columns are hidden")
    if width == 1920:
        expect(line).to_contain_text("columns are hidden: Layer, Phase")
        assert set(hidden) <= {"layer", "phase", "group", "parameters"}
    page.get_by_role("button", name="Show all columns").click()
    assert _shown(page) == keys
    if width < 1920:
        assert not page.evaluate(fits)
        expect(line).to_contain_text("Scroll the table sideways to see all of it.")
        expect(page.locator(".wide.scrolls")).to_have_count(1)
        page.get_by_role("button", name="Fit columns to the window").click()
        assert page.evaluate(fits)
        assert [key for key in keys if key not in _shown(page)] == hidden


@pytest.mark.parametrize("width", [1280, 390])
def test_the_head_of_a_table_that_fits_stays_in_view(html: Path, visit: Callable[..., Seen], width: int) -> None:
    page = visit(html, viewport={"width": width, "height": 200}).page
    head = page.locator('th[data-key="distance"]')
    page.locator("table.ranking tbody tr").nth(6).scroll_into_view_if_needed()
    assert page.evaluate("scrollY") > 100
    assert head.evaluate("cell => cell.getBoundingClientRect().top") == 0


def test_columns_are_chosen_by_keyboard(html: Path, visit: Callable[..., Seen]) -> None:
    page = visit(html, viewport={"width": 1280, "height": 800}).page
    summary = page.locator("details.columns summary")
    summary.press("Enter")
    training = page.get_by_role("checkbox", name="Training seconds")
    expect(training).not_to_be_checked()
    training.press("Space")
    assert "training" in _shown(page)
    dims = page.get_by_role("checkbox", name="KL divergence interval")
    dims.press("Space")
    assert "divergence-interval" not in _shown(page)
    expect(page.locator("#hidden")).to_contain_text("KL divergence interval")
    # What the reader chose stays when the window changes, until it is to fit again.
    page.set_viewport_size({"width": 900, "height": 800})
    assert "training" in _shown(page)
    page.get_by_role("button", name="Fit to the window").press("Enter")
    assert "training" not in _shown(page)
    page.keyboard.press("Escape")
    expect(training).to_be_hidden()
    expect(summary).to_be_focused()


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_no_name_breaks_inside_a_word(html: Path, visit: Callable[..., Seen], width: int) -> None:
    page = visit(html, viewport={"width": width, "height": 800}).page
    lines = page.locator("table.ranking .open").evaluate_all(
        """buttons => buttons.map(button => {
          const lines = [];
          const walker = document.createTreeWalker(button, NodeFilter.SHOW_TEXT);
          for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            for (let at = 0; at < node.length; at += 1) {
              const range = document.createRange();
              range.setStart(node, at);
              range.setEnd(node, at + 1);
              const top = Math.round(range.getBoundingClientRect().top);
              if (!lines.length || top > lines.at(-1).top + 4) lines.push({ top, text: "" });
              lines.at(-1).text += node.data[at];
            }
          }
          return lines.map(line => line.text);
        })"""
    )
    assert len(lines) == 13
    assert any(len(each) > 1 for each in lines) or width == 1280
    for each in lines:
        assert all(line.endswith((" ", "+")) for line in each[:-1]), each


@pytest.mark.parametrize("width", [390, 320])
def test_a_phone(html: Path, visit: Callable[..., Seen], width: int) -> None:
    page = visit(html, viewport={"width": width, "height": 800}, is_mobile=True, has_touch=True).page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("innerWidth") == width
    expect(page.get_by_role("button", name="file:003.csv+Rhythm, layer 0, random-fine-tuned")).to_be_visible()
    page.get_by_role("button", name="constant (training mean)").tap()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert page.evaluate("panel.scrollWidth <= panel.clientWidth && document.documentElement.scrollWidth <= innerWidth")
    wide = dialog.locator(".wide").evaluate_all("nodes => nodes.map(node => node.scrollWidth - node.clientWidth)")
    assert max(wide) <= 1
    dialog.get_by_role("button", name="Close").tap()
    expect(dialog).to_be_hidden()


def test_downloads_are_the_exports(made: Path, html: Path, visit: Callable[..., Seen], tmp_path: Path) -> None:
    page = visit(html).page
    tables = load(made / "results").tables

    def download(link: Any) -> str:
        with page.expect_download() as waiting:
            link.click()
        waiting.value.save_as(tmp_path / waiting.value.suggested_filename)
        return (tmp_path / waiting.value.suggested_filename).read_bytes().decode()

    for form in ("csv", "json"):
        assert download(page.get_by_role("contentinfo").get_by_role("link", name=form.upper())) == rendered(
            tables, form
        )
    open_panel(page, "file:003.csv+Rhythm")
    links = page.get_by_role("dialog").get_by_role("link")
    (row,) = csv.DictReader(io.StringIO(download(links.filter(has_text="CSV"))))
    every = list(csv.DictReader(io.StringIO(rendered(tables, "csv"))))
    assert row == next(one for one in every if one["signature"] == "000000000003")
    detailed = json.loads(download(links.filter(has_text="JSON")))
    assert detailed["mean_distance"] == float(row["mean_distance"])
    table = first_predictions(made, "000000000003")
    wanted = dict(table.group_by("clip_id").agg(pl.col("distance").mean()).iter_rows())
    found = {clip["id"]: clip["distance"] for clip in detailed["clips"]}
    assert found.keys() == wanted.keys()
    assert all(abs(found[clip] - wanted[clip]) < 6e-4 for clip in wanted)


def test_the_table_reads_without_scripts(html: Path, visit: Callable[..., Seen]) -> None:
    seen = visit(html, java_script_enabled=False)
    assert seen.page.locator(".ranking tbody th[scope=row]").count() == 13
    expect(seen.page.get_by_role("searchbox")).to_have_count(0)
    assert seen.page.get_by_role("columnheader", name="Mean distance, 95\N{NO-BREAK SPACE}% interval").count() == 1


@pytest.mark.slow
def test_500_entries_are_small_and_open_fast(made: Path, visit: Callable[..., Seen], tmp_path: Path) -> None:
    shutil.copytree(made / "results", tmp_path / "results")
    copies(tmp_path / "results", 497)
    board = load(tmp_path / "results")
    assert len(board.store.results) == 502
    (path,) = board.save("html", str(tmp_path / "many.html"), data=made / "data")
    assert path.stat().st_size < 8_000_000
    page = visit(path).page
    session = page.context.new_cdp_session(page)
    # Processor time of the page's thread, since other processes slow the machine down.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.reload()
    page.wait_for_function("document.documentElement.dataset.ready && performance.timing.loadEventEnd > 0")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    spent = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    assert spent["TaskDuration"] < 2, spent
    expect(page.get_by_role("status")).to_have_text("Showing all 498 entries.")
    page.get_by_role("searchbox", name="Filter").fill("321.csv")
    expect(page.get_by_role("status")).to_have_text("Showing 1 of 498 entries.")
    open_panel(page, "file:321.csv+Rhythm")
    expect(page.get_by_role("dialog").locator("svg[data-clip]")).to_be_visible()


def test_groups_are_shown_and_filtered(html: Path, visit: Callable[..., Seen]) -> None:
    page = visit(html, viewport={"width": 1400, "height": 900}).page
    best = page.get_by_role("table", name="Best of each group")
    # file:mine.csv alone states nothing; the copies are networks.
    assert [text.strip() for text in best.locator("tbody th").all_inner_texts()] == ["learned here", "other"]
    dots = page.locator(".cost a")
    assert dots.count() == 8
    page.locator("#group").select_option("other")
    expect(page.get_by_role("status")).to_have_text("Showing 1 of 9 entries.")
    assert best.locator("tbody tr:visible").count() == 1
    assert page.locator(".cost a:visible").count() == 0
    page.locator("#group").select_option("")
    page.get_by_role("checkbox", name="No outside data").check()
    # None of these entries states that it used none.
    expect(page.get_by_role("status")).to_have_text("Showing 0 of 9 entries.")
    page.get_by_role("checkbox", name="No outside data").uncheck()
    expect(page.get_by_role("status")).to_have_text("Showing all 9 entries.")
    # A point of the plot opens the panel of its entry; the last one is on top.
    signature = dots.last.get_attribute("data-of")
    dots.last.locator("circle, path").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert signature is not None
    expect(dialog).to_contain_text(signature)
    expect(dialog).to_contain_text("Training data")
