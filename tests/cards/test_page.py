"""The page as text: escaped, self-contained and legible in both themes; the vendored libraries are unmodified."""

from __future__ import annotations

import base64
import gzip
import json
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from emobench.cards.page import Entry, Page, Score, Section, asset, axis, compressed, embedded, render
from emobench.cards.page_panels import Clip, Panels

VENDORED = Path(__file__).parents[2] / "cards" / "static" / "vendored"
NASTY = "</script><script>alert(1)</script>&amp;<!--\u2028\u2029\"'"


class Parsed(HTMLParser):
    """Elements with their attributes, and what stands inside scripts and elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.scripts and self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.text += data


def _entry(signature: str = "0a", name: str = "MFCC", **changes: object) -> Entry:
    values: dict[str, object] = {
        "signature": signature,
        "label": name,
        "reference": False,
        "layer": None,
        "phase": None,
        "regressor": "mlr",
        "ranks": (1, 2),
        "differs": (3, 0),
        "beats_constant": "yes",
        "distance": Score(0.14, 0.004, 0.13, 0.15),
        "divergence": Score(0.64, None, None, None),
        "dims": 20,
        "clips": 60,
        "seconds_per_clip": 0.1,
        "train_seconds": None,
        "processor": "P",
        "facts": {"Signature": signature},
    }
    return Entry(**(values | changes))  # pyright: ignore[reportArgumentType]


def _page(*entries: Entry, title: str = "d@1.0.0", problems: tuple[str, ...] = (), warning: str = "") -> Page:
    panels = Panels(clips=[Clip(NASTY, NASTY, NASTY, (0.0, 0.0))])
    section = Section(title, warning, entries, (0.19, 0.9), ["A note."], panels)
    return Page([section], problems, csv=NASTY, json="[]", level=0.05, version="1", updated="2026-01-01")


def test_names_are_shown_and_run_nothing() -> None:
    page = _page(_entry(NASTY, NASTY, regressor=NASTY), title=NASTY, problems=(NASTY,))
    parsed = Parsed(render(page))
    kinds = [attributes.get("type") for tag, attributes in parsed.elements if tag == "script"]
    assert kinds == ["application/json"] * 2 + [None] * 7
    # In the heading, the summary, the label and caption of the table, the table, and the list of files left out.
    assert parsed.text.count(NASTY) == 5
    assert json.loads(parsed.scripts[1])["clips"][0]["artist"] == NASTY
    assert not {name for _, attributes in parsed.elements for name in attributes if name.startswith("on")}


def test_the_policy_names_each_script_and_nothing_is_fetched() -> None:
    parsed = Parsed(render(_page(_entry())))
    (policy,) = [
        attributes["content"]
        for tag, attributes in parsed.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    named = set(re.findall(r"'sha256-([^']+)'", policy))
    own = [text for text in parsed.scripts if not text.startswith("{")]
    assert {base64.b64encode(sha256(text.encode()).digest()).decode() for text in own} == named
    for tag, attributes in parsed.elements:
        assert tag not in ("link", "img", "iframe", "object")
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in asset("page.css")
    assert "@import" not in asset("page.css")


@pytest.mark.parametrize("value", [NASTY, {NASTY: [1.5, None, True]}, "\\u003c", "é\0\n"])
def test_embedded_json_is_the_same_value(value: object) -> None:
    text = embedded(value)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == value


def test_compressed_text_is_the_same_text_and_the_same_each_time() -> None:
    assert gzip.decompress(base64.b64decode(compressed(NASTY))).decode() == NASTY
    assert compressed(NASTY) == compressed(NASTY)


@pytest.mark.parametrize(
    ("ends", "labels"),
    [
        ((0.13, 0.21), ["0.15", "0.2"]),
        ((0.135, 0.186), ["0.14", "0.16", "0.18"]),
        ((0.055, 8.5), ["0.1", "1"]),
        ((0.2, 5.0), ["0.3", "1", "3"]),
        ((2.0, 2.0), None),
    ],
)
def test_an_axis_starts_and_ends_where_the_data_do(ends: tuple[float, float], labels: list[str] | None) -> None:
    found = axis([Score(ends[0], None, None, None), Score(ends[0], 0.1, *ends), Score(None, None, None, None)])
    assert found is not None
    if ends[0] < ends[1]:
        assert (found.low, found.high) == ends
        assert (found.place(ends[0]), found.place(ends[1])) == (5, 115)
    assert (found.beyond(0.01), found.beyond(ends[0]), found.beyond(9.0)) == (-1, 0, 1)
    places = [place for place, _ in found.ticks]
    assert places == sorted(places)
    if labels:
        assert [label for _, label in found.ticks] == labels


def test_an_axis_of_nothing_and_of_huge_values() -> None:
    assert axis([Score(None, None, None, None)]) is None
    found = axis([Score(0.1, None, -1e308, 1e308), Score(0.2, None, None, None)])
    assert found is not None
    assert (found.place(-1e308), found.place(1e308)) == (5, 115)
    assert render(_page(_entry(distance=Score(None, None, None, None)))).count('<span class="none">–</span>') > 0


def test_columns_without_differences_are_left_out() -> None:
    alike = render(_page(_entry("a"), _entry("b")))
    assert 'data-key="regressor"' not in alike
    other = render(_page(_entry("a"), _entry("b", regressor="ridge", clips=61)))
    assert 'data-key="regressor"' in other
    assert 'data-key="clips"' in other
    assert 'data-key="processor"' not in other


def test_references_are_apart_and_outside_the_axis() -> None:
    worse = {"ranks": (2, 2), "distance": Score(0.16, 0.004, 0.15, 0.17)}
    oracle = {"reference": True, "ranks": (None, None), "distance": Score(0.02, 0.001, 0.019, 0.021)}
    page = _page(
        _entry("o", "oracle", **oracle), _entry("a", "rhythm+pitch, layer 1, fine-tuned"), _entry("b", **worse)
    )
    assert page.sections[0].best == page.sections[0].entries[1]
    text = render(page)
    assert "2 leaderboard entries and 1 reference entry on 1 dataset" in text
    ranked, references = text.split('<tbody class="references">')
    assert [ranked.count(f'<tr data-entry="{name}"') for name in "oab"] == [0, 1, 1]
    assert references.count('<tr data-entry="o"') == 1
    assert 'class="beyond"' in references
    assert 'class="beyond"' not in ranked
    assert ranked.count('<span class="badge">best</span>') == 1
    assert render(_page(_entry(ranks=(None, None)))).count("Best entry") == 0


def test_the_axis_holds_the_interval_of_a_ranked_reference() -> None:
    constant = _entry("c", "constant", reference=True, ranks=(2, 2), distance=Score(0.19, 0.01, 0.18, 0.3))
    text = render(_page(_entry("a"), constant))
    low, high = re.findall(r'<path d="M([\d.]+) 8H([\d.]+)"/>', text.split('<tbody class="references">')[1])[0]
    assert 5 < float(low) < float(high) == 115


def test_ranks_are_explained_once_by_the_names_of_columns() -> None:
    text = render(_page(_entry("a", layer=1, phase="random"), _entry("b")))
    assert text.count("1 plus the number of entries") == 1
    headings = set(re.findall(r"<th scope=.col.[^>]*>([^<]+)", text))
    terms = {term for terms in re.findall("<dt>([^<]+)</dt>", text) for term in terms.split(", ")}
    assert terms - headings == {"95&nbsp;% interval", "Reference entries"}


def test_half_of_a_surrogate_pair_can_be_written() -> None:
    assert "\ufffd" in render(_page(_entry(name="\ud800"))).encode().decode()


def _contrast(first: str, second: str) -> float:
    """Contrast ratio of WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_both_themes_have_contrast() -> None:
    style = asset("page.css")
    dark = style[style.index("prefers-color-scheme: dark") :]
    themes = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", text)) for text in (style.split("@media")[0], dark)]
    assert themes[0].keys() == themes[1].keys()
    for theme in themes:
        assert theme["paper"] != theme["ink"]
        for name in ("ink", "soft", "link", "target", "predicted"):
            assert _contrast(theme[name], theme["paper"]) >= 4.5, name
            assert _contrast(theme[name], theme["raised"]) >= 4.5, name
        assert _contrast(theme["badge"], theme["badge-paper"]) >= 4.5
        # Borders of fields, and marks in drawings.
        assert _contrast(theme["faint"], theme["paper"]) >= 3


def test_vendored_libraries_are_as_released() -> None:
    manifest = json.loads((VENDORED / "manifest.json").read_text())
    listed = {name: digest for library in manifest for name, digest in library["files"].items()}
    assert {path.name for path in VENDORED.iterdir()} == {*listed, "manifest.json", "README.md"}
    for name, digest in listed.items():
        assert sha256((VENDORED / name).read_bytes()).hexdigest() == digest, name
    script = (VENDORED.parents[2] / "scripts" / "vendor.sh").read_text()
    for library in manifest:
        assert f"vendor {library['package']} {library['version']} {library['license']} {library['source']} " in script
        code = (VENDORED / next(iter(library["files"]))).read_text()
        assert "</script" not in code.lower()
        assert "<!--" not in code
