"""Tables in every format: the same numbers, escaped names, separate datasets."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from emobench.benchmark.report.leaderboard import load, rendered, save
from emobench.cards.tables import Table, to_latex, to_markdown, to_rich
from emobench.errors import InputError

from .made import plain


def _write(folder: Path, *results: dict[str, Any]) -> Path:
    for number, result in enumerate(results):
        path = folder / f"{result['dataset']['name']}@{result['dataset']['version']}" / f"row{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result))
    return folder


def test_every_format_has_the_same_numbers(tmp_path: Path) -> None:
    folder = _write(tmp_path, plain(), plain(features="rhythm+pitch", layer=2, phase="fine-tuned", dims=50))
    tables = load(folder).tables
    assert "| MFCC | – | 0.140 ± 0.004 | – | 0.642 ± 0.004 |" in rendered(tables, "markdown")
    assert r"MFCC & -- & 0.140 $\pm$ 0.004 & -- & 0.642 $\pm$ 0.004 \\" in rendered(tables, "latex")
    assert "0.140 ± 0.004" in rendered(tables, "rich")
    rows = list(csv.DictReader(io.StringIO(rendered(tables, "csv"))))
    assert [row["features"] for row in rows] == ["mfcc", "rhythm+pitch"]
    assert float(rows[0]["mean_distance"]) == 0.1404
    assert rows[0]["ccc_arousal"] == ""
    loaded = json.loads(rendered(tables, "json"))
    assert loaded[1]["rows"][0]["kl_divergence_high"] == 0.15
    assert "| Layer 2 | Rhythm+Pitch | – | not run | not run | – | 0.140 ± 0.004 | 0.642 ± 0.004 |" in rendered(
        tables, "markdown"
    )
    for form in ("markdown", "rich", "latex"):
        shown = rendered(tables, form)
        assert all(number in shown for number in ("0.13", "0.15", "0.1 ", "1.0", "AMD EPYC"))
    assert (rows[0]["processor"], rows[0]["peak_rss_mb"]) == ("AMD EPYC", "300.0")


def test_datasets_and_manifests_never_share_a_table(tmp_path: Path) -> None:
    synthetic = {**plain()["dataset"], "name": "s", "manifest_sha256": "2" * 64, "synthetic": True}
    other = {**plain()["dataset"], "manifest_sha256": "3" * 64}
    tables = load(_write(tmp_path, plain(), plain(dataset=synthetic), plain(dataset=other))).tables
    features = [table.title.rsplit(": ", 1)[1] for table in tables if table.records]
    assert sorted(features) == [
        "d@1.0.0 [manifest 11111111]",
        "d@1.0.0 [manifest 33333333]",
        "s@1.0.0 (synthetic)",
    ]
    assert all(len(table.rows) == 1 for table in tables)


def test_folds_never_share_a_table(tmp_path: Path) -> None:
    dataset = plain()["dataset"]
    dealt = [plain(dataset={**dataset, "folds_sha256": digit * 64}) for digit in "45"]
    tables = load(_write(tmp_path, *dealt)).tables
    titles = {table.title.rsplit(": ", 1)[1] for table in tables}
    assert titles == {"d@1.0.0 [folds 44444444]", "d@1.0.0 [folds 55555555]"}
    assert len({table.slug for table in tables}) == len(tables)
    assert all(len(table.rows) == 1 for table in tables)


def test_the_latest_result_of_an_entry_is_shown(tmp_path: Path) -> None:
    later = plain(created="2026-02-01T00:00:00+00:00", signature="abcdefabcdef")
    tables = load(_write(tmp_path, later, plain())).tables
    assert [record["signature"] for record in tables[0].records] == ["abcdefabcdef"]


def test_files_that_are_not_results_are_named(tmp_path: Path) -> None:
    folder = _write(tmp_path, plain(), plain(schema=0), {"dataset": {"name": "d", "version": "1.0.0"}})
    (folder / "d@1.0.0" / "cut.json").write_text('{"schema": 1,')
    board = load(folder)
    tables, problems = board.tables, board.store.problems
    assert len(tables[0].rows) == 1
    assert len(problems) == 3
    assert "cut.json: not a readable result" in problems[0]
    assert "was written by an older emobench (schema 0). Run the same" in problems[1]
    assert "is not a result of emobench" in problems[2]


@pytest.mark.parametrize(
    "changes",
    [
        *({"name": name} for name in ("../../x", "/x", "a\\b", "")),
        *({field: "/../../x"} for field in ("version", "manifest_sha256", "folds_sha256")),
    ],
)
def test_names_that_lead_out_of_the_folder(tmp_path: Path, changes: dict[str, str]) -> None:
    folder = _write(tmp_path / "results", plain())
    result = plain(dataset={**plain()["dataset"], **changes})
    (folder / "d@1.0.0" / "evil.json").write_text(json.dumps(result))
    board = load(folder)
    tables, problems = board.tables, board.store.problems
    assert len(problems) == 1
    assert f"evil.json: not a valid result (dataset.{next(iter(changes))}: is" in problems[0]
    assert all(path.parent == tmp_path / "out" for path in save(tables, "csv", f"{tmp_path}/out/"))


def test_saved_as_one_file_or_one_per_table(tmp_path: Path) -> None:
    folder = _write(tmp_path / "results", plain(), plain(features="rhythm", layer=0, phase="fine-tuned"))
    tables = load(folder).tables
    assert save(tables, "markdown", str(tmp_path / "all.md")) == [tmp_path / "all.md"]
    assert (tmp_path / "all.md").read_text() == rendered(tables, "markdown")
    paths = save(tables, "latex", f"{tmp_path}/tex/")
    assert [path.name for path in paths] == [
        f"d@1.0.0-11111111-22222222-{what}.tex" for what in ("features", "networks", "ranks", "groups")
    ]
    assert paths[1].read_text() == to_latex(tables[1])


def test_no_results_yet(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no results yet\. Make some with 'emobench run"):
        load(tmp_path / "results")


def test_wrong_format(tmp_path: Path) -> None:
    tables = load(_write(tmp_path, plain())).tables
    with pytest.raises(InputError, match="`form` pdf: expected rich, markdown, latex, csv, json"):
        rendered(tables, "pdf")


NASTY = Table(
    title="A & B_1 | <script>",
    slug="x",
    columns=("name", "x"),
    rows=[(r"100 % #1 {a} \b ~ ^ $ | `c` [link](x)", "1 ± 2")],
)


def test_markdown_is_escaped() -> None:
    text = to_markdown(NASTY)
    assert "<script>" not in text
    row = text.splitlines()[4]
    assert row.replace("\\|", "").count("|") == 3
    assert r"\[link\](x)" in row


def _compile(folder: Path, *tables: Table) -> None:
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}" + "\n"
    document += "\n".join(to_latex(table) for table in tables) + r"\end{document}"
    (folder / "t.tex").write_text(document)
    ran = subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=folder, check=False, capture_output=True)
    assert ran.returncode == 0, ran.stdout.decode(errors="replace")[-2000:]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here; Debian's texlive-latex-recommended has it")
def test_latex_compiles(tmp_path: Path) -> None:
    letters = "".join(map(chr, [*range(0x0, 0x250), 0x3B1, 0x416, 0x65E5, 0x1F600]))
    every = Table(title=letters, slug="y", columns=(letters,), rows=[(letters,)], notes=[letters])
    results = _write(tmp_path, plain(features="file:100 %_#{a}~^$&\\.csv"), plain(layer=0, phase="fine-tuned"))
    _compile(tmp_path, NASTY, every, *load(results).tables)


def test_latex_is_escaped() -> None:
    row = to_latex(NASTY).splitlines()[6]
    name = r"100 \% \#1 \{a\} \textbackslash{}b \textasciitilde{} \textasciicircum{} \$ \textbar{} `c` [link](x)"
    assert row == name + r" & 1 $\pm$ 2 \\"


def test_line_breaks_in_names_break_no_row() -> None:
    table = Table(title="a\nb", slug="x", columns=("n\n|",), rows=[("file:a\n\n| b.csv",)])
    assert to_markdown(table).splitlines() == ["## a b", "", "| n \\| |", "| --- |", "| file:a \\| b.csv |"]
    assert r"file:a \textbar{} b.csv" in to_latex(table)


def test_a_name_does_not_turn_the_rest_of_its_row() -> None:
    table = Table(title="t", slug="t", columns=("n",), rows=[("abc\u202egnp.\u2067",)])
    assert "| abcgnp. |" in to_markdown(table)
    assert "abcgnp." in to_latex(table)


@pytest.mark.parametrize("width", [60, 80, 100, 132])
def test_a_narrow_terminal_omits_optional_columns_and_names_them(width: int) -> None:
    from rich.console import Console

    columns = ("Name", "First", "Second", "Third")
    row = ("x" * 15 + " " + "y" * 15, "1" * 20, "2" * 20, "3" * 20)
    table = Table(title="t", slug="t", columns=columns, rows=[row], optional=[(2,), (1,)])
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(to_rich(table))
    shown = captured.get()
    # 20 for the name, 22 per column, and two on the left.
    hidden = [name for name, need in (("First", 66), ("Second", 88)) if width < need]
    assert ("Columns left out for lack of space: " + " and ".join(hidden) + "." in shown) == bool(hidden)
    assert ("1" * 20 in shown, "2" * 20 in shown, "3" * 20 in shown) == (width >= 66, width >= 88, True)
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= width


def test_a_terminal_too_narrow_for_anything_breaks_numbers_but_loses_nothing() -> None:
    from rich.console import Console

    columns = ("Layer", "Feature Type", "Pre-training Distance", "Fine-tuning Distance", "Paper's Distance")
    names = ("Rhythm", "Rhythm+2-d FFT Pitch")
    rows = [("Layer 0", name, "0.151 ± 0.007", "0.152 ± 0.008", "0.153 ± 0.009") for name in names]
    table = Table(title="t", slug="t", columns=columns, rows=rows, text_columns=2)
    console = Console(width=60, file=io.StringIO())
    with console.capture() as captured:
        console.print(to_rich(table))
    lines = captured.get().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 60
    words = " ".join(lines).split()
    for word in ("Feature", "training", "Layer", "Rhythm", "FFT", "0.151", "0.007", "0.153", "0.009"):
        assert words.count(word) >= 1, word
    assert "…" not in captured.get()
