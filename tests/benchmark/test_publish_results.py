"""Leaderboards and models released to a Hub on loopback; entries proposed to the results of others."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from emobench.benchmark.publishing.board import Board, board
from emobench.benchmark.publishing.model import RANKED, model_release
from emobench.benchmark.results.config import Config
from emobench.benchmark.results.model import predictions_path
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.results.verify_data import Datasets
from emobench.cards.hub_pages import scored_card
from emobench.dbn.config import PretrainingConfig
from emobench.dbn.domains import Domain
from emobench.dbn.pretraining import pretrain
from emobench.errors import InputError
from emobench.protocols import metrics
from emobench.runtime.files import sha256_file

from .made import rewrite, signature

Tiny = Callable[..., Path]

# No local datasets.
NONE = Datasets([], Path("none"), only=False)


def _features(folder: Path, path: Path, seed: int) -> Path:
    """Write a feature of random numbers, one vector per clip."""
    clips = pl.read_parquet(folder / "clips" / "*.parquet")["clip_id"]
    lines = [f"{clip},{zlib.crc32(f'{clip} {seed}'.encode()) % 1000 / 1000}" for clip in clips]
    path.write_text("\n".join(["clip_id,x", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def results(ann: Any, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of two features and the reference entries."""
    folder = tmp_path_factory.mktemp("results")
    for number in (1, 2):
        feature = _features(tiny(), folder / f"mine{number}.csv", number)
        ran = ann.run("run", "-f", f"file:{feature}", "--dataset", tiny(), "--out", folder / "results")
        assert ran.status == 0, ran.err
    return folder / "results"


def _page(store: ResultStore) -> str:
    return f"<p>{len(store.results)} entries"


def _board(results: Path) -> Board:
    nothing = Datasets([], results / "none", only=False)
    return board(results, "ann/x", space=None, render_page=_page, look=False, datasets=nothing, models=results)


def _head(text: bytes) -> dict[str, Any]:
    return yaml.safe_load(text.decode().split("---\n")[1])


def _names(results: Path, part: str) -> list[str]:
    return sorted(path.stem for path in results.glob(f"*/{part}*.json"))


def test_a_leaderboard_and_its_space(ann: Any, results: Path) -> None:
    ran = ann.run("publish", "leaderboard", "ann/board", "--results", results, "--tag")
    assert ran.status == 0, ran.err
    repo, space = ann.hub.repos["dataset", "ann/board"], ann.hub.repos["space", "ann/board-space"]
    assert repo.private
    assert space.private
    assert space.sdk == "static"
    for path in results.glob("*/*"):
        inside = f"results/{path.relative_to(results)}"
        assert ann.hub.content("dataset", "ann/board", "main", inside) == path.read_bytes()
    ((tag, commit),) = repo.tags.items()
    assert tag.startswith("results-")
    assert commit == repo.branches["main"]
    page = ann.hub.content("space", "ann/board-space", "main", "index.html").decode()
    assert page.lower().startswith("<!doctype html>")
    assert "mine1" in page
    assert _head(ann.hub.content("space", "ann/board-space", "main", "README.md"))["sdk"] == "static"
    ann.asked()
    again = ann.run("publish", "leaderboard", "ann/board", "--results", results, "--tag")
    assert again.out.count("already there, complete and unchanged") == 2
    assert ann.asked("POST", "PUT") == []


def test_datasets_loads_scores_and_predictions(ann: Any, results: Path) -> None:
    assert ann.run("publish", "leaderboard", "ann/scores", "--results", results, "--space", "").status == 0
    assert ("space", "ann/scores-space") not in ann.hub.repos
    found = ann.python(
        "import datasets\n"
        "scores = datasets.load_dataset('ann/scores', split='train').to_list()\n"
        "splits = datasets.load_dataset('ann/scores', 'tiny@1.0.0')\n"
        "value = scores, {name: split.to_dict() for name, split in splits.items()}\n"
    )
    scores, splits = found
    entries = ResultStore(results).results
    assert {row["signature"]: row["mean_distance"] for row in scores} == {
        each.signature: each.scores["mean_distance"].mean for each in entries
    }
    for row in scores:
        path = results / row["predictions"].removeprefix("results/")
        split = path.name.removesuffix(".predictions.parquet").replace("-", "_").replace("+", "_").replace(".", "_")
        assert splits[split] == pl.read_parquet(path).to_dict(as_series=False)


def test_only_new_entries_are_proposed(ann: Any, results: Path, tmp_path: Path) -> None:
    ann.hub.tokens["hf_" + "bob" * 8] = "bob"
    bob = {"HF_TOKEN": "hf_" + "bob" * 8}
    ran = ann.run("publish", "leaderboard", "bob/none", "--results", results, "--create-pr")
    assert ran.status == 2
    assert "no such dataset repository; a pull request requires one" in ran.err
    (first,), (second,) = (_names(results, f"mine{number}") for number in (1, 2))
    shutil.copytree(results, tmp_path / "results")
    for path in (tmp_path / "results").glob("*/mine2*"):
        path.unlink()
    ran = ann.run("publish", "leaderboard", "bob/board", "--results", tmp_path / "results", "--public", **bob)
    assert ran.status == 0, ran.err
    ran = ann.run("publish", "leaderboard", "bob/board", "--results", results, "--create-pr", "--public")
    assert ran.out.startswith(f"proposed {ann.hub.endpoint}/datasets/bob/board/discussions/1 "), ran.err
    repo = ann.hub.repos["dataset", "bob/board"]
    head, proposal = repo.commits[repo.branches["main"]], repo.commits[repo.pulls[1]]
    changed = {path for path in proposal if proposal[path] != head.get(path)}
    endings = (".json", ".predictions.parquet", ".features.parquet")
    assert changed == {f"results/tiny@1.0.0/{second}{ending}" for ending in endings}
    # Bob accepts; his own folder has only the first entry, and the existing entries are kept.
    repo.branches["main"] = repo.pulls[1]
    ran = ann.run("publish", "leaderboard", "bob/board", "--results", tmp_path / "results", "--public", **bob)
    assert ran.status == 0, ran.err
    names = {Path(path).stem for path in repo.commits[repo.branches["main"]]}
    assert {first, second} <= names
    page = ann.hub.content("space", "bob/board-space", "main", "index.html").decode()
    assert "mine1" in page
    assert "mine2" in page
    ran = ann.run("publish", "leaderboard", "bob/board", "--results", results, "--create-pr")
    assert ran.out == "bob/board already holds all of these entries; there is nothing to propose\n"


def test_an_entry_added_in_between_is_not_lost(ann: Any, results: Path) -> None:
    assert ann.run("publish", "leaderboard", "ann/between", "--results", results, "--space", "").status == 0
    repo = ann.hub.repos["dataset", "ann/between"]
    ann.hub.add(repo, {"README.md": b"rendered long ago"})

    def sneak(method: str, path: str) -> None:
        # After the repository was read, and before the parent of the commit is determined.
        if method == "POST" and path.endswith("/preupload/main"):
            ann.hub.before = None
            ann.hub.add(repo, {"results/tiny@1.0.0/theirs-0.json": b"{}"})

    ann.hub.before = sneak
    ran = ann.run("publish", "leaderboard", "ann/between", "--results", results, "--space", "")
    assert ran.status == 1
    assert "another commit arrived in the meantime" in ran.err
    assert "results/tiny@1.0.0/theirs-0.json" in repo.commits[repo.branches["main"]]


def test_incomplete_entries_are_named(ann: Any, results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "results")
    folder = tmp_path / "results" / "tiny@1.0.0"
    changed, cut = (folder / f"{_names(results, f'mine{number}')[0]}.json" for number in (1, 2))
    table = pl.read_parquet(changed.with_suffix(".predictions.parquet"))
    table.with_columns(pl.col("arousal") + 1e-9).write_parquet(changed.with_suffix(".predictions.parquet"))
    cut.write_text(cut.read_text()[:500])
    ran = ann.run("publish", "leaderboard", "ann/x", "--results", tmp_path / "results", "--dry-run")
    assert ran.status == 0, ran.err
    assert f"left out: {changed}: its predictions cannot be used (" in ran.err
    assert f"left out: {cut}: not a readable result" in ran.err
    assert "constant" in ran.out
    assert "mine" not in ran.out
    ran = ann.run("publish", "leaderboard", "ann/x", "--results", tmp_path / "nothing", "--dry-run")
    assert ran.status == 2
    assert "no results yet. Make some with 'emobench run --features mfcc'" in ran.err


def test_an_entry_of_the_same_signature_with_other_scores(ann: Any, results: Path, tmp_path: Path) -> None:
    assert ann.run("publish", "leaderboard", "ann/cheated", "--results", results, "--space", "").status == 0
    shutil.copytree(results, tmp_path / "results")
    path = next((tmp_path / "results").glob("*/mine1*.json"))
    result = json.loads(path.read_text())
    result["scores"]["mean_distance"]["mean"] -= 0.01
    rewrite(path, result)
    ran = ann.run("publish", "leaderboard", "ann/cheated", "--results", tmp_path / "results")
    assert ran.status == 2
    assert f"{path}: ann/cheated has an entry of the same signature with other scores" in ran.err


def test_a_new_entry_that_fails_its_check_is_not_published(ann: Any, results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "results")
    path = next((tmp_path / "results").glob("*/mine1*.json"))
    result = json.loads(path.read_text())
    result["scores"]["mean_distance"]["mean"] -= 0.01
    rewrite(path, result)
    ran = ann.run("publish", "leaderboard", "ann/better", "--results", tmp_path / "results")
    assert ran.status == 2
    assert f"{path}: scores: scores.mean_distance.mean: is" in ran.err
    assert ("dataset", "ann/better") not in ann.hub.repos


def test_a_repository_of_another_use(ann: Any, results: Path, tiny: Tiny) -> None:
    assert ann.run("publish", "dataset", tiny(), "ann/corpus").status == 0
    before = dict(ann.hub.repos["dataset", "ann/corpus"].branches)
    ran = ann.run("publish", "leaderboard", "ann/corpus", "--results", results)
    assert ran.status == 2
    assert "but no results/); choose another one" in ran.err
    assert ann.hub.repos["dataset", "ann/corpus"].branches == before


def test_no_path_of_this_machine_is_published(results: Path, tmp_path: Path) -> None:
    from emobench.cards.hub_release import listing

    made = _board(results)
    # With the card, the table of scores and the record of verification.
    assert len(listing(made.results)) == len(list(results.glob("*/*"))) + 4  # card, scores, a picture, levels
    shutil.copytree(results, tmp_path / "results")
    path = next((tmp_path / "results").glob("*/mine1*.json"))
    result = json.loads(path.read_text())
    result["excluded"] = {"c001": f"{tmp_path}/results/x"}
    rewrite(path, result)
    made = _board(tmp_path / "results")
    with pytest.raises(InputError, match=r"mine1.*\.json, line \d+: contains the path of its folder on this machine"):
        listing(made.results)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model."""
    folder = tmp_path / "rhythm-0bfac3ec9725"
    clips = [np.random.default_rng(seed).normal(size=(9, 3)).astype(np.float32) for seed in range(4)]
    config = PretrainingConfig(window=2, layers=(3, 2), epochs=(1,))
    pretrain(clips, Domain("rhythm", 2), config, folder=folder, provenance={}, device=torch.device("cpu"))
    return folder


@pytest.fixture
def scored(results: Path, model: Path, tmp_path: Path) -> Path:
    """A result of the model."""
    source = next(results.glob("*/mine1*.json"))
    result = json.loads(source.read_text())
    weights = sha256_file(model / "weights.safetensors")
    path = {"path": f"{model.name}/weights.safetensors", "sha256": weights}
    result |= {"features": "rhythm", "layer": 1, "phase": "fine-tuned", "model": [path]}
    result["dataset"] |= {"repo": "ann/tiny", "commit": "a" * 40}
    result["config"] |= {"entry": ["rhythm", 1, "fine-tuned"], "parts": [{"model_sha256": weights}]}
    return _resealed(tmp_path / "results" / "tiny@1.0.0", result, source.with_suffix(".predictions.parquet"))


def _resealed(folder: Path, result: dict[str, Any], predictions: Path) -> Path:
    """Write a result as a run with these settings would."""
    result["signature"] = signature(result)
    folder.mkdir(parents=True, exist_ok=True)
    table = pl.read_parquet(predictions)
    path = rewrite(folder / "entry.json", result, table).path
    name = Config.model_validate_json(json.dumps(result["config"])).file_name
    for each in (path, predictions_path(path)):
        each.unlink()
    return rewrite(folder / name, result, table).path


def test_a_model_with_its_scores(ann: Any, model: Path, scored: Path) -> None:
    arguments = ("publish", "model", model, "ann/rhythm", "--results", scored.parents[1])
    ran = ann.run(*arguments, "--evaluation", scored, "--tag")
    assert ran.status == 0, ran.err
    repo = ann.hub.repos["model", "ann/rhythm"]
    weights = sha256_file(model / "weights.safetensors")
    assert repo.tags == {f"weights-{weights[:12]}": repo.branches["main"]}
    for name in ("config.json", "training.json", "weights.safetensors"):
        assert ann.hub.content("model", "ann/rhythm", "main", name) == (model / name).read_bytes()
    card = ann.hub.content("model", "ann/rhythm", "main", "README.md")
    scores = json.loads(scored.read_text())["scores"]
    assert f"| {scores['mean_distance']['mean']:.3f} ± {scores['mean_distance']['std']:.3f} |" in card.decode()
    # As huggingface_hub reads it.
    found = ann.python(
        "from huggingface_hub import ModelCard\n"
        "results = ModelCard.load('ann/rhythm').data.eval_results\n"
        "value = [[r.metric_type, r.metric_value, r.dataset_type, r.dataset_revision] for r in results]\n"
    )
    known = ("mean_distance", "kl_divergence", "ccc_arousal", "ccc_valence")
    assert found == [
        [name, scores[name]["mean"], "ann/tiny", "a" * 40] for name in known if scores[name]["mean"] is not None
    ]
    ranked = ann.python(
        "from huggingface_hub import HfApi, parse_eval_result_entries\n"
        "import yaml, pathlib\n"
        "api = HfApi()\n"
        "names = sorted(n for n in api.list_repo_files('ann/rhythm') if n.startswith('.eval_results/'))\n"
        "value = []\n"
        "for name in names:\n"
        "    text = pathlib.Path(api.hf_hub_download('ann/rhythm', name)).read_text()\n"
        "    entry, = parse_eval_result_entries(yaml.safe_load(text))\n"
        "    value.append([name, entry.dataset_id, entry.dataset_revision, entry.task_id, entry.value, entry.date])\n"
    )
    result = json.loads(scored.read_text())
    assert ranked == [
        [f".eval_results/tiny-{name}.yaml", "ann/tiny", "a" * 40, name, scores[name]["mean"], result["created"]]
        for name in ("ccc_arousal", "ccc_valence", "r2_arousal", "r2_valence")
        if scores[name]["mean"] is not None
    ]
    assert ranked
    assert ann.run(*arguments, "--evaluation", scored, "--tag").out.startswith("already there")


def test_ranked_metrics_grow_with_quality() -> None:
    """The Hub sorts the values of ``.eval_results`` downwards, so a distance there would rank the worst model first."""
    assert all(metrics[name].higher_is_better for name in RANKED)


def test_a_dataset_that_is_not_on_the_hub_has_no_ranked_results(model: Path, scored: Path) -> None:
    result = json.loads(scored.read_text())
    result["dataset"] |= {"repo": None, "commit": None}
    local = _resealed(scored.parent, result, scored.with_suffix(".predictions.parquet"))
    release = model_release(model, "ann/x", results=scored.parents[1], datasets=NONE, evaluation=local)
    assert [each.path for each in release.uploads] == [
        "README.md",
        "config.json",
        "training.json",
        "weights.safetensors",
    ]


def test_notes_of_an_entry_are_in_the_card(model: Path, scored: Path) -> None:
    result = json.loads(scored.read_text())
    result["config"] |= {"carry_over": True, "leakage": ["albums"]}
    result["leakage"]["found"] = ["albums"]
    leaks = _resealed(scored.parent, result, scored.with_suffix(".predictions.parquet"))
    release = model_release(model, "ann/x", results=scored.parents[1], datasets=NONE, evaluation=leaks)
    card = release.uploads[0].content().decode()
    head = yaml.safe_load(card.split("---\n")[1])
    named = [metric["name"] for each in head["model-index"][0]["results"] for metric in each["metrics"]]
    marked = "Rhythm, layer 1, fine-tuned, carried over (leaks) [leakage allowed]"
    assert named[0] == f"mean distance (lower is better), {marked}"
    assert "| Rhythm \\[leakage allowed\\] | 1 | fine-tuned, carried over (leaks) |" in card


def test_names_in_a_card_are_escaped() -> None:
    cells = ("dataset", "features", "layer", "phase", "mean_distance", "kl_divergence", "signature")
    card = scored_card("# A model\n", [dict.fromkeys(cells, "a|<b>")], synthetic=False, evaluation=None, name="m")
    assert "a\\|&lt;b&gt;" in card
    assert "<b>" not in card


def test_changed_scores_are_not_published(model: Path, scored: Path) -> None:
    result = json.loads(scored.read_text())
    result["scores"]["mean_distance"]["mean"] -= 0.1
    rewrite(scored, result)
    for evaluation in (None, scored):
        with pytest.raises(InputError, match=r"rhythm-layer1.*: scores: .*mean_distance.*Run the entry again"):
            model_release(model, "ann/x", results=scored.parents[1], datasets=NONE, evaluation=evaluation)


def test_a_model_without_scores_keeps_its_card(model: Path, tmp_path: Path) -> None:
    release = model_release(model, "ann/x", results=tmp_path / "nothing", datasets=NONE)
    assert release.uploads[0].content() == (model / "README.md").read_bytes()
    assert [upload.path for upload in release.uploads] == [
        "README.md",
        "config.json",
        "training.json",
        "weights.safetensors",
    ]


def test_wrong_models_and_evaluations(model: Path, scored: Path, results: Path, tmp_path: Path) -> None:
    other = next(results.glob("*/mine2*.json"))
    with pytest.raises(InputError, match="was not made with the weights of"):
        model_release(model, "ann/x", results=results, datasets=NONE, evaluation=other)
    with pytest.raises(InputError, match=r"`evaluation` .*config\.json: is not a result of emobench"):
        model_release(model, "ann/x", results=results, datasets=NONE, evaluation=model / "config.json")
    with pytest.raises(InputError, match=r"`evaluation` .*none\.json: not a readable result"):
        model_release(model, "ann/x", results=results, datasets=NONE, evaluation=tmp_path / "none.json")
    (model / "weights.safetensors").unlink()
    with pytest.raises(InputError, match=r"not a complete model \(weights\.safetensors missing\)"):
        model_release(model, "ann/x", results=results, datasets=NONE)
