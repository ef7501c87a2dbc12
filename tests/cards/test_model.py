"""The card of a model: YAML that parses to its input, and a text with the facts."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import yaml
from emobench.cards.model import ModelFacts, model_card, yaml_text
from hypothesis import given
from hypothesis import strategies as st

FACTS = ModelFacts(
    name="rhythm-0123456789ab",
    domain="rhythm",
    window=4,
    layers=(75, 50, 25),
    epochs=(0, 5, 50),
    examples=4645595,
    data="msd-sample",
    settings={"rate": 1e-5, "layers": [75, 50, 25], "sample_visible": False, "momentum": None},
    log={
        "rbms": {
            "layer 0": [
                {"epoch": 1, "reconstruction_error": 0.99, "free_energy_gap": 3.0, "seconds": 1.0},
                {"epoch": 50, "reconstruction_error": 0.36125, "free_energy_gap": -0.51234, "seconds": 1.0},
            ],
            "layer 1 on 5 epochs": [{"epoch": 5, "reconstruction_error": 0.0125, "seconds": 1.0}],
            "layer 2 on 5 epochs": [],
        }
    },
    data_sha256="ab" * 32,
)


def _head(card: str) -> dict[str, Any]:
    opening, head, _ = card.split("---\n", 2)
    assert opening == ""
    return yaml.safe_load(head)


def _cells(card: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in card.splitlines() if line[:1] == "|"]


def test_yaml_of_the_hub() -> None:
    assert _head(model_card(FACTS)) == {
        "license": "apache-2.0",
        "library_name": "emobench",
        "tags": ["music", "music-emotion-recognition", "deep-belief-network", "restricted-boltzmann-machine", "rhythm"],
        "datasets": ["msd-sample"],
    }
    other = _head(model_card(dataclasses.replace(FACTS, license="cc-by-nc-4.0", synthetic=True)))
    assert other["license"] == "cc-by-nc-4.0"
    assert "synthetic" in other["tags"]


def test_the_text_states_the_facts() -> None:
    card = model_card(FACTS)
    cells = _cells(card)
    assert ["layer 0", "50", "0.3613", "-0.5123"] in cells
    assert ["layer 1 on 5 epochs", "5", "0.0125", ""] in cells
    assert ["layers", "75-50-25"] in cells
    assert ["weights kept after", "5, 50 epochs, and random ones as a control"] in cells
    assert ["examples", "4,645,595"] in cells
    assert ["data", "msd-sample"] in cells
    assert ["SHA-256 of the data's manifest", f"`{'ab' * 32}`"] in cells
    assert ["rate", "1e-05"] in cells
    assert ["sample\\_visible", "no"] in cells
    assert ["momentum", "none"] in cells
    assert "emobench run --model DIR --features rhythm" in card
    assert "windows of 4 beats." in card
    assert "schmidt2013learning" in card
    assert "Synthetic" not in card


def test_unknown_facts_are_left_out() -> None:
    card = model_card(dataclasses.replace(FACTS, data_sha256=None, log={"rbms": {}}, epochs=(5,), synthetic=True))
    assert "SHA-256" not in card
    assert "No epoch was logged." in card
    assert "random" not in card
    assert "**Synthetic.**" in card


@pytest.mark.parametrize(
    ("domain", "window", "words"),
    [
        ("pitch2d", 4, "windows of 4 patches."),
        ("pitch", 1, "windows of 1 beat."),
        ("pitch2d", 1, "windows of 1 patch."),
    ],
)
def test_windows_in_words(domain: str, window: int, words: str) -> None:
    assert words in model_card(dataclasses.replace(FACTS, domain=domain, window=window))


@pytest.mark.parametrize(
    "name",
    [
        'a "quoted" name: with a colon # and a hash',
        "l'été à Saint-Étienne",
        "音楽 🎵 data",
        "- dash",
        "{{ facts.name }} {% raw %}",
        "back\\slash \\n",
        "two\nlines\n---\nlicense: mit",
        "tab\t, bell\x07, del\x7f, next line\x85, separator\u2028, byte order\ufeff, joiner\u200d",
        "null",
        "",
    ],
)
def test_yaml_parses_for_any_name_of_the_data(name: str) -> None:
    card = model_card(dataclasses.replace(FACTS, data=name, name=name))
    head = _head(card)
    assert head["datasets"] == [name]
    assert head["license"] == "apache-2.0"
    # No part of a name starts a new line or cell.
    assert len(_cells(card)) == len(_cells(model_card(FACTS)))
    card.encode()


def test_names_that_are_not_text() -> None:
    card = model_card(dataclasses.replace(FACTS, data="caf\udce9", name="caf\udce9|<b>"))
    assert _head(card)["datasets"] == ["caf\ufffd"]
    assert "# caf\ufffd\\|&lt;b&gt;\n" in card
    card.encode()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_yaml_text_is_read_back(text: str) -> None:
    assert yaml.safe_load(f"- {yaml_text(text)}\n- end\n") == [text, "end"]
