"""Datasets from a Hub on loopback: ``hf://user/name@v1.0.0``, pinned to the commit, also offline."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from emobench.benchmark.hub_datasets import Located, locate, locate_pretraining, parse
from emobench.errors import InputError

Tiny = Callable[..., Path]


def _results(ran: Any) -> list[dict[str, Any]]:
    assert ran.status == 0, ran.err
    return json.loads(ran.out)["results"]


def test_the_same_entries_as_from_the_folder_with_the_commit(ann: Any, tiny: Tiny, tmp_path: Path) -> None:
    assert ann.run("publish", "dataset", tiny(), "ann/run").status == 0
    commit = ann.hub.repos["dataset", "ann/run"].tags["v1.0.0"]
    here = _results(ann.run("run", "-f", "constant", "--dataset", tiny(), "--out", tmp_path / "here", "--json"))
    assert all(row["dataset"]["repo"] is None for row in here)
    named = ("--dataset", "hf://ann/run@v1.0.0")
    there = _results(ann.run("run", "-f", "constant", *named, "--out", tmp_path / "there", "--json"))
    for one, other in zip(here, there, strict=True):
        assert other["dataset"] == {**one["dataset"], "repo": "ann/run", "commit": commit}
        assert [one[key] for key in ("signature", "scores")] == [other[key] for key in ("signature", "scores")]
    # Entries finished from the folder get the commit too, and are not computed again.
    ran = ann.run("run", "-f", "constant", *named, "--out", tmp_path / "here")
    assert "Computed 0 entries, reused 4." in ran.out
    for path in (tmp_path / "here").glob("*/*.json"):
        assert json.loads(path.read_text())["dataset"]["commit"] == commit
    # Also by the commit itself.
    by_commit = _results(ann.run("run", "-f", "constant", "--dataset", f"hf://ann/run@{commit}", "--json"))
    assert by_commit[0]["dataset"]["commit"] == commit


def test_the_newest_version_and_only_the_files_needed(ann: Any, tiny: Tiny) -> None:
    for version in ("1.9.0", "1.10.0"):
        assert ann.run("publish", "dataset", tiny(version=version, seed=len(version)), "ann/newest").status == 0
    ann.hub.add(ann.hub.repos["dataset", "ann/newest"], {"huge.bin": b"0" * 1000, "audio/a.flac": b"sound"})
    ann.asked()
    ran = ann.run("run", "-f", "constant", "--dataset", "hf://ann/newest")
    assert ran.status == 0, ran.err
    assert ran.err == "hf://ann/newest: using the newest version, hf://ann/newest@v1.10.0\n"
    assert not any(path.endswith(("huge.bin", ".flac")) for path in ann.asked("GET", "HEAD"))
    ran = ann.run("run", "-f", "constant", "--dataset", "hf://ann/newest@v1.9.0", "--json")
    assert json.loads(ran.out)["results"][0]["dataset"]["version"] == "1.9.0"


def test_offline_with_a_cached_commit(ann: Any, tiny: Tiny) -> None:
    assert ann.run("publish", "dataset", tiny(seed=3), "ann/cached").status == 0
    named = ("run", "-f", "constant", "--dataset", "hf://ann/cached@v1.0.0", "--out", "cached")
    assert ann.run(*named).status == 0
    commit = ann.hub.repos["dataset", "ann/cached"].tags["v1.0.0"]
    code = (
        "from emobench.benchmark.hub_datasets import locate\n"
        "print(locate('hf://ann/cached@v1.0.0').origin['commit'])\n"
        "try:\n    locate('hf://ann/never@v1.0.0')\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
        "try:\n    locate('hf://ann/cached')\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    for env in ({"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}):
        ran = subprocess.run(
            [sys.executable, "-c", code], env={**ann.env, **env}, capture_output=True, text=True, check=True
        )
        found, never, newest = ran.stdout.splitlines()
        assert found == commit
        assert never.startswith("EmobenchError datasets/ann/never@v1.0.0: http://127.0.0.1:")
        assert "the cache of this machine does not have manifest.json" in never
        assert newest.startswith("EmobenchError ")
        assert ran.stderr == ""


def test_a_damaged_copy_in_the_cache_is_detected(ann: Any, tiny: Tiny) -> None:
    assert ann.run("publish", "dataset", tiny(seed=4), "ann/damaged").status == 0
    named = ("run", "-f", "constant", "--dataset", "hf://ann/damaged@v1.0.0")
    assert ann.run(*named).status == 0
    (folder,) = (ann.home / "hf" / "hub" / "datasets--ann--damaged" / "snapshots").iterdir()
    blob = (folder / "targets" / "train-00000.parquet").resolve()
    blob.write_bytes(blob.read_bytes()[:-1])
    ran = ann.run(*named)
    assert ran.status == 2
    assert "train-00000.parquet: changed after it was built" in ran.err
    assert f"remove {folder} and rerun the command" in ran.err


def test_missing_datasets(ann: Any, tiny: Tiny) -> None:
    assert ann.run("publish", "dataset", tiny(), "ann/there").status == 0
    repo = ann.hub.repos["dataset", "ann/there"]
    repo.tags["v2.0.0"] = repo.tags["v1.0.0"]
    repo.tags["v0.0.1"] = next(iter(repo.commits))
    ann.python("import huggingface_hub as h\nvalue = str(h.create_repo('ann/empty', repo_type='dataset'))")
    expected = {
        "hf://ann/there@v7.0.0": "datasets/ann/there: has no revision v7.0.0; its tags are listed at",
        "hf://ann/there@v0.0.1": "has no manifest.json, so it was not published by emobench",
        "hf://ann/there@v2.0.0": "the tag v2.0.0 is on version 1.0.0",
        "hf://ann/empty": "ann/empty: has no version yet (no tag vX.Y.Z)",
        "hf://ann/nothing@v1.0.0": "datasets/ann/nothing: no such repository, or it is private",
        "hf://ann": "hf://ann: no address of a published dataset; expected hf://user/name@v1.0.0",
    }
    for address, line in expected.items():
        ran = ann.run("run", "-f", "constant", "--dataset", address)
        assert ran.status == 2, address
        assert line in ran.err
        assert len(ran.err.splitlines()) == 1
    ran = ann.run("run", "-f", "constant", "--dataset", "hf://ann/there@v1.0.0", HF_TOKEN="")
    assert ran.status == 2
    assert "needs a token (HF_TOKEN)" in ran.err


@pytest.mark.parametrize(
    "address", ["hf:/ann/x", "hf://", "hf://ann/x@", "hf://ann/x/y@v1", "hf://ann/x y", "hf://ann/../x", "hf:ann/x"]
)
def test_malformed_addresses(address: str) -> None:
    with pytest.raises(InputError, match=r"no address of a published dataset|not a repository name"):
        locate(address)


def test_addresses() -> None:
    assert parse("hf://ann/mood-swings_1.x") == ("ann/mood-swings_1.x", None)
    assert parse("hf://ann/x@v1.0.0") == ("ann/x", "v1.0.0")
    assert parse("hf://ann/x@refs/pr/3") == ("ann/x", "refs/pr/3")
    assert locate("data/hf") == Located(Path("data/hf"))


def test_search_for_pre_training_data(tmp_path: Path, tiny: Tiny) -> None:
    labelled = tmp_path / "snapshots" / ("a" * 40)
    shutil.copytree(tiny(), labelled)
    fetched = Located(labelled, {"repo": "ann/tiny", "commit": "a" * 40})

    def find(asked: str | None, dataset: Located) -> Located | None:
        return locate_pretraining(asked, dataset, data=tmp_path / "data")

    assert find(None, fetched) is None
    (tmp_path / "data" / "tiny-pretrain").mkdir(parents=True)
    assert find(None, fetched) == Located(tmp_path / "data" / "tiny-pretrain")
    assert find("elsewhere", fetched) == Located(Path("elsewhere"))
    assert find(None, Located(tmp_path / "data" / "tiny")) == Located(tmp_path / "data" / "tiny-pretrain")


def test_music_and_pre_training_data_from_the_hub(ann: Any, tmp_path: Path) -> None:
    data = tmp_path / "data" / "syn"
    assert ann.run("build-data", "--size", "4", "--pretrain-size", "2", "--workers", "1", "--out", data).status == 0
    assert ann.run("publish", "dataset", data, "ann/syn", "--with-audio").status == 0
    assert ann.run("publish", "dataset", f"{data}-pretrain", "ann/syn-pretrain").status == 0
    files = ann.hub.repos["dataset", "ann/syn"].commits[ann.hub.repos["dataset", "ann/syn"].tags["v1.0.0"]]
    assert {path for path in files if path.startswith("audio/")} == {
        "audio/metadata.parquet",
        *(f"audio/{path.name}" for path in (data / "audio").iterdir()),
    }
    assert "local.json" not in files
    options = ("-f", "rhythm", "--epochs", "1", "--layers", "3", "--phase", "pre-trained", "--workers", "1", "--json")
    here = ("--dataset", data, "--out", tmp_path / "a", "--models", tmp_path / "models-a")
    there = ("--dataset", "hf://ann/syn@v1.0.0", "--pretrain-data", "hf://ann/syn-pretrain@v1.0.0")
    one = _results(ann.run("run", *options, *here))
    other = _results(ann.run("run", *options, *there, "--out", tmp_path / "b", "--models", tmp_path / "models-b"))
    assert [row["signature"] for row in one] == [row["signature"] for row in other]
    assert [row["scores"] for row in one] == [row["scores"] for row in other]
    assert one[0]["model"] == other[0]["model"]
    commit = ann.hub.repos["dataset", "ann/syn-pretrain"].tags["v1.0.0"]
    assert one[0]["config"]["pretrained_on"] == "syn-pretrain@1.0.0"
    assert other[0]["config"]["pretrained_on"] == f"syn-pretrain@1.0.0 (hf://ann/syn-pretrain@{commit})"
    assert str(tmp_path) not in json.dumps([one, other])
    for address in ("hf://ann/syn-pretrain@v1.0.0", "hf://ann/syn@v1.0.0"):
        models = ("--models", tmp_path / "models-c", "--workers", "1")
        options = ("-f", "rhythm", "--epochs", "1", "--layers", "3", "--pretrain-data", address)
        assert ann.run("pretrain", *options, *models).status == 0
