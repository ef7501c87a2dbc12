"""Datasets released to a Hub on loopback, with huggingface_hub and datasets in a separate process."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from emobench.benchmark.publishing.dataset import audio_uploads, check_card, dataset_release
from emobench.builders import release
from emobench.builders.manifest import Manifest, Settings
from emobench.cards.dataset import About
from emobench.errors import InputError
from emobench.runtime.files import sha256_file

Tiny = Callable[..., Path]


def _at(ann: Any, repo: str, revision: str) -> dict[str, bytes]:
    """Files of a dataset on the Hub, but for what the Hub itself puts there."""
    found = ann.hub.repos["dataset", repo]
    paths = found.commits[found.resolve(revision)]
    return {path: ann.hub.content("dataset", repo, revision, path) for path in paths if path != ".gitattributes"}


def _here(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_first_release_and_its_repetition(ann: Any, tiny: Tiny) -> None:
    folder = tiny()
    release.write_local(folder, Path("/somewhere"))
    ran = ann.run("publish", "dataset", folder, "ann/first")
    (folder / "local.json").unlink()
    assert ran.status == 0, ran.err
    repo = ann.hub.repos["dataset", "ann/first"]
    assert repo.private
    # The Hub's own first commit, and one of ours, which the tag is on.
    assert len(repo.commits) == 2
    assert repo.tags == {"v1.0.0": repo.branches["main"]}
    assert repo.tags["v1.0.0"][:12] in ran.out
    assert _at(ann, "ann/first", "v1.0.0") == _here(folder)
    ann.asked()
    again = ann.run("publish", "dataset", folder, "ann/first")
    assert again.status == 0
    assert again.out.startswith("already there, complete and unchanged")
    assert ann.asked("POST", "PUT") == []
    assert len(repo.commits) == 2


def test_datasets_loads_a_release(ann: Any, tiny: Tiny) -> None:
    folder = tiny()
    assert ann.run("publish", "dataset", folder, "ann/loaded").status == 0
    found = ann.python(
        "import datasets\n"
        "names = datasets.get_dataset_config_names('ann/loaded', revision='v1.0.0')\n"
        "load = lambda n: datasets.load_dataset('ann/loaded', n, revision='v1.0.0', split='train')\n"
        "value = {n: load(n).to_dict() for n in names}\n"
    )
    assert set(found) == {"targets", "clips", "annotations", "folds"}
    for name, columns in found.items():
        assert columns == release.read_table(folder, name).to_dict(as_series=False)


def test_published_audio_has_the_type_audio(ann: Any, with_audio: Path) -> None:
    """Without audio no column needs a decoder; with it, `datasets` reads the folder of the audio with its clips."""
    for name, options in {"ann/silent": [], "ann/heard": ["--with-audio"]}.items():
        ran = ann.run("publish", "dataset", with_audio / "syn", name, *options)
        assert ran.status == 0, ran.err
        repo = ann.hub.repos["dataset", name]
        assert bool(options) == any(path.startswith("audio/") for path in repo.commits[repo.branches["main"]])
    found = ann.python(
        "import sys, types\n"
        # `datasets` imports the decoder before it stores paths, although it decodes nothing here.
        "for name in ('torchcodec', 'torchcodec.encoders', 'torchcodec.decoders'):\n"
        "    sys.modules[name] = types.ModuleType(name)\n"
        "sys.modules['torchcodec.encoders'].AudioEncoder = sys.modules['torchcodec.decoders'].AudioDecoder = None\n"
        "import datasets\n"
        "size = lambda audio: len(audio['bytes'] or open(audio['path'], 'rb').read())\n"
        "tables = datasets.load_dataset('ann/heard', 'clips', revision='v1.0.0', split='train').features\n"
        "heard = datasets.load_dataset('ann/heard', data_dir='audio', revision='v1.0.0', split='train')\n"
        "plain = heard.cast_column('audio', datasets.Audio(decode=False))\n"
        "value = [tables['audio'].dtype, type(heard.features['audio']).__name__,\n"
        "         sorted([each['clip_id'], size(each['audio'])] for each in plain)]\n"
    )
    clips = pl.read_parquet(with_audio / "syn" / "clips" / "*.parquet").filter(pl.col("excluded").is_null())
    files = {clip: with_audio / "syn" / "audio" / audio for clip, audio in clips.select("clip_id", "audio").iter_rows()}
    assert found == ["string", "Audio", sorted([clip, path.stat().st_size] for clip, path in files.items())]


def test_second_version(ann: Any, tiny: Tiny) -> None:
    one, two = tiny(), tiny(version="1.1.0", seed=1)
    assert ann.run("publish", "dataset", one, "ann/versions", "--public").status == 0
    repo = ann.hub.repos["dataset", "ann/versions"]
    assert not repo.private
    ann.hub.add(repo, {"targets/train-00001.parquet": b"of an older layout", "LICENSE": b"by hand"})
    ran = ann.run("publish", "dataset", two, "ann/versions", "--public")
    assert ran.status == 0, ran.err
    assert "1 deleted" in ran.out
    assert repo.tags["v1.1.0"] == repo.branches["main"]
    assert _at(ann, "ann/versions", "v1.0.0") == _here(one)
    assert _at(ann, "ann/versions", "v1.1.0") == {**_here(two), "LICENSE": b"by hand"}
    # A version that was released stays released, whatever main contains.
    assert ann.run("publish", "dataset", one, "ann/versions").out.startswith("already there")


def test_a_tag_with_other_content_is_refused(ann: Any, tiny: Tiny) -> None:
    assert ann.run("publish", "dataset", tiny(), "ann/conflict").status == 0
    repo = ann.hub.repos["dataset", "ann/conflict"]
    before = dict(repo.branches), dict(repo.tags)
    ran = ann.run("publish", "dataset", tiny(seed=1), "ann/conflict")
    assert ran.status == 2
    assert re.search(r"v1\.0\.0 exists with other content \(.* differs and \d more\)", ran.err)
    assert (repo.branches, repo.tags) == before


def test_another_dataset_or_another_use_of_the_repository(ann: Any, tiny: Tiny) -> None:
    assert ann.run("publish", "dataset", tiny(), "ann/taken").status == 0
    ran = ann.run("publish", "dataset", tiny(name="other"), "ann/taken")
    assert ran.status == 2
    assert "ann/taken: contains the dataset tiny, but this is other; choose another repository." in ran.err
    ann.python("import huggingface_hub as h\nvalue = str(h.create_repo('ann/notes', repo_type='dataset'))")
    ann.hub.add(ann.hub.repos["dataset", "ann/notes"], {"thesis.md": b"years of work"})
    ran = ann.run("publish", "dataset", tiny(), "ann/notes")
    assert ran.status == 2
    assert "ann/notes: contains other files (thesis.md, but no manifest.json); choose another one." in ran.err


def test_dry_run_sends_nothing_and_lists_all(ann: Any, tiny: Tiny) -> None:
    folder = tiny()
    ran = ann.run("publish", "dataset", folder, "ann/dry", "--dry-run", "--json", HF_TOKEN="")
    assert ran.status == 0, ran.err
    (listed,) = json.loads(ran.out)
    assert (listed["repo"], listed["tag"]) == ("ann/dry", "v1.0.0")
    found = {file["path"]: (file["size"], file["sha256"]) for file in listed["files"]}
    assert found == {
        str(path.relative_to(folder)): (path.stat().st_size, sha256_file(path))
        for path in folder.rglob("*")
        if path.is_file()
    }
    lines = ann.run("publish", "dataset", folder, "ann/dry", "--dry-run", HF_TOKEN="").out.splitlines()
    assert lines[0].startswith(f"would go to the dataset ann/dry, tag v1.0.0: {len(found)} files")
    assert len(lines) == 1 + len(found)
    # Each run looks up once whether the repository is public.
    assert ann.hub.log == [("GET", "/api/datasets/ann/dry")] * 2


def test_a_proposal(ann: Any, tiny: Tiny) -> None:
    ran = ann.run("publish", "dataset", tiny(), "ann/proposed", "--create-pr")
    assert ran.status == 2
    assert "no such dataset repository; a pull request requires one" in ran.err
    assert ann.run("publish", "dataset", tiny(), "ann/proposed").status == 0
    repo = ann.hub.repos["dataset", "ann/proposed"]
    head = repo.branches["main"]
    ran = ann.run("publish", "dataset", tiny(version="1.1.0", seed=1), "ann/proposed", "--create-pr")
    assert ran.status == 0, ran.err
    assert ran.out.startswith(f"proposed {ann.hub.endpoint}/datasets/ann/proposed/discussions/1 ")
    assert repo.branches["main"] == head
    assert repo.parents[repo.pulls[1]] == head
    assert set(repo.tags) == {"v1.0.0"}


def test_no_tag(ann: Any, tiny: Tiny) -> None:
    assert ann.run("publish", "dataset", tiny(), "ann/untagged", "--no-tag").status == 0
    repo = ann.hub.repos["dataset", "ann/untagged"]
    assert repo.tags == {}
    ran = ann.run("publish", "dataset", tiny(), "ann/untagged")
    assert ran.out.startswith("already there, now tagged:")
    assert len(repo.commits) == 2
    assert repo.tags == {"v1.0.0": repo.branches["main"]}


@pytest.mark.parametrize("name", ["first", "ann/", "ann/a/b", "../x", "ann/a b", "ann/x.git", "https://hf.co/ann/x"])
def test_invalid_names(tiny: Tiny, name: str) -> None:
    with pytest.raises(InputError, match="not a repository name; expected user/name"):
        dataset_release(tiny(), name)


def test_a_changed_dataset_is_not_published(tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(tiny(), folder)
    (folder / "notes.txt").write_text("not in the manifest")
    assert "notes.txt" not in {upload.path for upload in dataset_release(folder, "ann/x").uploads}
    with (folder / "README.md").open("a") as card:
        card.write("and more")
    with pytest.raises(InputError, match=r"README\.md: changed after it was built"):
        dataset_release(folder, "ann/x")
    with pytest.raises(InputError, match="no dataset there"):
        dataset_release(tmp_path, "ann/x")


HEAD = "---\nlicense: cc0-1.0\nsize_categories: [n<1K]\ntags: [music]\nconfigs:\n- config_name: clips\n"


def test_cards_are_checked() -> None:
    files = {"clips/train-00000.parquet": {}}
    check_card(f"{HEAD}  data_files:\n  - split: train\n    path: clips/*.parquet\n---\n", files, "card")
    with pytest.raises(InputError, match=r"config clips names beats/\*\.parquet, but there is no such file"):
        check_card(f"{HEAD}  data_files:\n  - split: train\n    path: beats/*.parquet\n---\n", files, "card")
    with pytest.raises(InputError, match="lacks license, size_categories, tags, configs"):
        check_card("---\npretty_name: x\n---\n", files, "card")
    for text in ("# A card without a head\n", "---\nlicense: [\n---\n", "---\n- a list\n---\n"):
        with pytest.raises(InputError, match="no readable YAML header"):
            check_card(text, files, "card")


def _with_audio(folder: Path, **facts: Any) -> Manifest:
    """A pre-training dataset of two clips, one of them rejected, as far as its audio is concerned."""
    (folder / "audio" / "000").mkdir(parents=True)
    for number in (2, 5):
        (folder / "audio" / "000" / f"{number}.mp3").write_bytes(b"%d" % number)
    clips = pl.DataFrame({"track_id": ["2", "5"], "audio": ["000/2.mp3", "000/5.mp3"], "kept": [True, False]})
    release.write_table(folder, "clips", clips)
    release.write_local(folder, folder / "audio")
    source = {"type": "fma", "licences": {"Attribution": 2}, "redistributable": 2}
    recipe = release.recipe(name="fma", version="1.0.0", kind="pretrain", source={**source, **facts}, config=Settings())
    about = About("FMA", "Clips.", "other", "@misc{fma}", "None.")
    release.write_manifest(folder, recipe, about, synthetic=False, counts={"clips": 2, "rejected": {"silent": 1}})
    return release.load_manifest(folder)


def test_audio_is_published_only_if_its_licence_allows(tmp_path: Path, tiny: Tiny) -> None:
    manifest = _with_audio(tmp_path)
    uploads = audio_uploads(tmp_path, manifest)
    assert [upload.path for upload in uploads] == ["audio/000/2.mp3", "audio/metadata.parquet"]
    assert pl.read_parquet(uploads[-1].content()).to_dicts() == [{"file_name": "000/2.mp3", "track_id": "2"}]
    closed = manifest.model_copy(update={"source": {**manifest.source, "redistributable": 1}})
    with pytest.raises(InputError, match="licences of 1 of its 2 tracks do not allow it"):
        audio_uploads(tmp_path, closed)
    with pytest.raises(InputError, match="no licence of this dataset allows its music to be shared"):
        audio_uploads(tmp_path, manifest.model_copy(update={"source": {"type": "moodswings"}}))
    with pytest.raises(InputError, match="no licence of this dataset"):
        dataset_release(tiny(), "ann/x", with_audio=True)


def test_audio_behind_links_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    manifest = _with_audio(tmp_path / "data")
    music = tmp_path / "data" / "audio" / "000"
    (tmp_path / "secret").write_bytes(b"secret")
    (music / "2.mp3").unlink()
    (music / "2.mp3").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=r"000/2\.mp3: is a link out of the audio folder"):
        audio_uploads(tmp_path / "data", manifest)
    # Folders that are links count too, and a link within the folder does not.
    (music / "2.mp3").unlink()
    (music / "2.mp3").symlink_to("5.mp3")
    assert "audio/000/2.mp3" in {upload.path for upload in audio_uploads(tmp_path / "data", manifest)}
    music.rename(tmp_path / "outside")
    music.symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="is a link out of the audio folder"):
        audio_uploads(tmp_path / "data", manifest)


def test_audio_must_be_what_the_dataset_was_built_from(tmp_path: Path) -> None:
    manifest = _with_audio(tmp_path, audio_sha256="0" * 64)
    with pytest.raises(InputError, match="is not what fma was built from"):
        audio_uploads(tmp_path, manifest)
    (tmp_path / "audio" / "000" / "2.mp3").unlink()
    with pytest.raises(InputError, match=r"2\.mp3: no such audio file"):
        audio_uploads(tmp_path, manifest)
    (tmp_path / "local.json").unlink()
    with pytest.raises(InputError, match="the location of its audio is not known"):
        audio_uploads(tmp_path, manifest)
