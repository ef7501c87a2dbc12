"""Models of transformers: tiny random ones saved here, their hidden states, layers, code of their own, and failures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import emobench as eb
import numpy as np
import pytest
import soundfile
from emobench.benchmark.features.families import hugging_face
from emobench.benchmark.features.spec import Entry, resolve
from emobench.errors import EmobenchError, InputError
from emobench.pretrained import encoder

pytest.importorskip("transformers", reason="needs the extra embeddings")

SMALL: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8, 8, 8),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 8, 8),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "num_feat_extract_layers": 3,
}

OWN_CODE = """
import torch
from transformers import PreTrainedModel, PretrainedConfig
from transformers.modeling_outputs import BaseModelOutput


class LoudConfig(PretrainedConfig):
    model_type = "loud"


class LoudModel(PreTrainedModel):
    config_class = LoudConfig

    def __init__(self, config):
        super().__init__(config)
        self.gain = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, input_values, **rest):
        frames = input_values[:, : input_values.shape[1] // 160 * 160].reshape(1, -1, 160)
        level = frames.abs().mean(-1, keepdim=True) * self.gain
        return BaseModelOutput(last_hidden_state=level, hidden_states=(level, -level))
"""


def _save(folder: Path, kind: str, **changes: Any) -> Path:
    """Save a tiny model with random weights."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**{**SMALL, **changes})
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=16_000, do_normalize=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _save(tmp_path_factory.mktemp("models") / "tiny-wav2vec2", "Wav2Vec2")


@pytest.fixture
def own_code(tmp_path: Path) -> Path:
    """A model that brings its own code."""
    import torch
    import transformers
    from safetensors.torch import save_file

    folder = tmp_path / "loud"
    folder.mkdir()
    (folder / "modeling_loud.py").write_text(OWN_CODE)
    names = {"AutoConfig": "modeling_loud.LoudConfig", "AutoModel": "modeling_loud.LoudModel"}
    (folder / "config.json").write_text(json.dumps({"model_type": "loud", "auto_map": names}))
    save_file({"gain": torch.tensor([3.0, 5.0])}, folder / "model.safetensors", {"format": "pt"})
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=16_000, do_normalize=False).save_pretrained(folder)
    return folder


def _encoder(folder: Path, **options: Any) -> encoder.Encoder:
    import torch

    torch.set_num_threads(1)
    return encoder.Encoder(encoder.find_model(str(folder), None, **options), torch.device("cpu"))


def _noise(seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(int(16_000 * seconds))).astype(np.float32)


@pytest.mark.parametrize("kind", ["Wav2Vec2", "Hubert", "WavLM"])
def test_hidden_states_of_waveform_encoders(tmp_path: Path, kind: str) -> None:
    import torch
    import transformers

    folder = _save(tmp_path / kind, kind)
    samples = _noise(2.5)
    times, states = _encoder(folder)(samples)
    # The model itself, without our code. Convolutions of stride 320 give one frame each 20 ms.
    model = getattr(transformers, f"{kind}Model").from_pretrained(folder).eval()
    with torch.no_grad():
        expected = model(torch.from_numpy(samples)[None], output_hidden_states=True).hidden_states
    assert states.shape == (len(expected[0][0]), 4, 16)
    np.testing.assert_allclose(states, torch.stack(expected, 2)[0].numpy(), atol=1e-5)
    assert len(times) == 125
    np.testing.assert_allclose(np.diff(times), 2.5 / 125, rtol=1e-6)
    assert 0 < times[0] < times[-1] < 2.5


def test_long_clips_are_read_in_pieces(wav2vec2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "PIECE", 2.0)
    model, samples = _encoder(wav2vec2), _noise(5)
    times, states = model(samples)
    pieces = [model(part)[1] for part in np.split(samples[: 3 * (len(samples) // 3)], 3)]
    assert len(times) == len(states) == sum(map(len, pieces))
    assert (np.diff(times) > 0).all()
    np.testing.assert_allclose(states[: len(pieces[0])], pieces[0], atol=1e-4)


def test_models_of_fixed_length_read_windows_that_end_at_each_second(tmp_path: Path) -> None:
    import torch
    import transformers

    config = transformers.WhisperConfig(
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_source_positions=100,
        num_mel_bins=20,
        vocab_size=50,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=0,
        decoder_start_token_id=0,
    )
    torch.manual_seed(1)
    transformers.WhisperModel(config).save_pretrained(tmp_path)
    extractor = transformers.WhisperFeatureExtractor(feature_size=20, chunk_length=2)
    extractor.save_pretrained(tmp_path)
    samples = _noise(5.4)
    times, states = _encoder(tmp_path)(samples)
    assert times.tolist() == [1, 2, 3, 4, 5]
    assert states.shape == (5, 3, 16)
    model = transformers.WhisperModel.from_pretrained(tmp_path).get_encoder().eval()
    window = extractor(samples[32_000:64_000], sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        expected = model(**window, output_hidden_states=True).hidden_states
    np.testing.assert_allclose(states[3], torch.cat(expected).mean(1).numpy(), atol=1e-5)
    # Nothing after second 3 changes its window.
    changed = samples.copy()
    changed[48_000:] = 0
    np.testing.assert_array_equal(_encoder(tmp_path)(changed)[1][:3], states[:3])


def test_a_run_chooses_a_layer_in_each_fold(wav2vec2: Path, with_audio: Path, tmp_path: Path) -> None:
    found = eb.run(with_audio / "syn", f"hf:{wav2vec2}", out=tmp_path / "results", regressors="ridge")
    result = next(result for result in found if result.features == "hf:tiny-wav2vec2")
    assert result.dims == 16
    record: Any = result.config.training[0]
    folds = len(record["layers"])
    assert folds > 1
    assert set(record["layers"].values()) <= {0, 1, 2, 3}
    metadata: Any = result.feature_metadata["hf:tiny-wav2vec2"]
    assert metadata["weights_sha256"].keys() == {"model.safetensors"}
    assert str(wav2vec2.parent) not in result.path.read_text()


def test_the_chosen_layer_is_the_best_on_the_verification_part(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    generator = np.random.default_rng(0)
    targets = generator.normal(size=(90, 5))
    layers = [generator.normal(size=(90, 4)) for _ in range(4)]
    layers[2][:, :2] = targets[:, :2] + 0.1 * generator.normal(size=(90, 2))
    # A layer that is perfect on the test part alone must not be chosen.
    layers[3][60:, :2] = targets[60:, :2]
    states: Any = SimpleNamespace(of=lambda layer: layers[layer], layers=4)
    extraction: Any = SimpleNamespace(task=SimpleNamespace(targets=targets, known=[0, 1, 2, 3, 4]))
    fold: Any = SimpleNamespace(train=np.arange(40), verification=np.arange(40, 60), test=np.arange(60, 90))
    assert hugging_face._best_layer(states, extraction, fold) == 2


def test_a_named_layer_is_the_mean_of_each_second(wav2vec2: Path, with_audio: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a layer from 0 to 3"):
        eb.run(with_audio / "syn", f"hf:{wav2vec2}#4", out=tmp_path / "results")
    with pytest.raises(InputError, match="depends on the fold"):
        eb.extract(with_audio / "syn", f"hf:{wav2vec2}")
    table = eb.extract(with_audio / "syn", f"hf:{wav2vec2}#2")
    clip = table.index["clip_id"][0]
    source = next((with_audio / "syn" / "audio").rglob(f"{clip}.*"))
    samples, rate = soundfile.read(source, dtype="float32")
    import soxr

    samples = soxr.resample(samples if samples.ndim == 1 else samples.mean(axis=1), rate, 16_000)
    times, states = _encoder(wav2vec2)(samples.astype(np.float32))
    inside = (times > 2) & (times <= 3)
    values = table.values[(table.index["clip_id"] == clip) & (table.index["time"] == 3)][0]
    np.testing.assert_allclose(values, states[inside, 2].mean(axis=0), atol=1e-3)


def test_models_with_code_of_their_own(own_code: Path, with_audio: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"brings its own code \(modeling_loud.LoudModel\).*`trust_remote_code`"):
        eb.run(with_audio / "syn", f"hf:{own_code}", out=tmp_path / "results")
    samples = _noise(1)
    _, states = _encoder(own_code, trust_remote_code=True)(samples)
    level = np.abs(samples.reshape(-1, 160)).mean(axis=1)
    np.testing.assert_allclose(states[:, 0], level[:, None] * [3, 5], rtol=1e-5)
    found = eb.run(with_audio / "syn", f"hf:{own_code}", out=tmp_path / "results", trust_remote_code=True)
    assert "hf:loud" in [result.features for result in found]


def test_code_on_the_hub_needs_a_pinned_revision(own_code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setattr(encoder, "_download", lambda repo, revision: (own_code, commit))
    for revision in (None, "main", "v1"):
        with pytest.raises(InputError, match=f"pin the revision that you have read: hf:ann/loud@{commit}"):
            encoder.find_model("ann/loud", revision, trust_remote_code=True)
    found = encoder.find_model("ann/loud", commit, trust_remote_code=True)
    assert (found.commit, found.own_code) == (commit, True)


def test_names(tmp_path: Path) -> None:
    feature: Any = resolve("hf:ann/model@v1#7")
    assert (feature.repo, feature.revision, feature.layer) == ("ann/model", "v1", 7)
    local = tmp_path / "a@b"
    local.mkdir()
    feature = resolve(f"hf:{local}#0")
    assert (feature.repo, feature.revision, feature.layer) == (str(local), None, 0)
    assert Entry((f"hf:{local}#0", "mfcc")).features == "hf:a@b#0+mfcc"
    assert Entry(("hf:ann/model@v1#7",)).features == "hf:ann/model@v1#7"
    for wrong in ("", "#3", "ann/model#x", "@v1", f"{local}#x", f"{local}#-1"):
        with pytest.raises(InputError, match="expected hf:REPO"):
            resolve(f"hf:{wrong}")


def test_weights_that_lack_tensors(wav2vec2: Path, tmp_path: Path) -> None:
    """Transformers fills them with random numbers, with no more than a warning."""
    import torch
    from safetensors.torch import load_file, save_file

    stored = load_file(wav2vec2 / "model.safetensors")

    def states(name: str, tensors: dict[str, Any]) -> Any:
        folder = shutil.copytree(wav2vec2, tmp_path / name)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        model = encoder.Encoder(encoder.find_model(str(folder), None), torch.device("cpu"))
        return model(np.ones(16_000, np.float32))[1]

    with pytest.raises(InputError, match=r"its weights lack 16 tensors of the model \(encoder\.layers\.1\..* random"):
        states("cut", {name: each for name, each in stored.items() if ".layers.1." not in name})
    with pytest.raises(InputError, match=rf"its weights lack {len(stored) - 1} tensors of the model"):
        states("renamed", {f"model.{name}": each for name, each in stored.items()})
    unmasked = {name: each for name, each in stored.items() if name != "masked_spec_embed"}
    np.testing.assert_array_equal(states("unmasked", unmasked), states("same", stored))


def test_what_is_not_a_model(wav2vec2: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        encoder.find_model(str(tmp_path / "absent"), None)
    with pytest.raises(InputError, match="a folder has no revisions"):
        encoder.find_model(str(wav2vec2), "main")
    for lacking, message in (
        ("config.json", "no readable config.json"),
        ("preprocessor_config.json", "no readable preprocessor_config.json"),
        ("model.safetensors", "has no weights"),
    ):
        folder = tmp_path / lacking
        shutil.copytree(wav2vec2, folder)
        (folder / lacking).unlink()
        with pytest.raises(InputError, match=message):
            encoder.find_model(str(folder), None)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="cannot be used as an audio model"):
        _encoder(folder)


def test_changed_weights_are_another_model(wav2vec2: Path, tmp_path: Path) -> None:
    other = _save(tmp_path / "other", "Wav2Vec2", hidden_dropout=0.2)
    first, second = (encoder.find_model(str(folder), None) for folder in (wav2vec2, other))
    assert first.weights_sha256 == second.weights_sha256
    assert first.sha256 != second.sha256


def test_without_the_hub_there_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EmobenchError, match=r"cannot be reached|does not have config.json") as caught:
        encoder.find_model("ann/model", None)
    assert "\n" not in str(caught.value)


def test_without_transformers_there_is_one_line(wav2vec2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "find_spec", lambda name: None)
    with pytest.raises(EmobenchError, match="extra embeddings"):
        encoder.find_model(str(wav2vec2), None)


def test_the_model_card_states_the_origin(wav2vec2: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    folder = tmp_path / "described"
    shutil.copytree(wav2vec2, folder)
    bare = encoder.find_model(str(folder), None)
    assert bare.parameters == sum(each.size for each in load_file(folder / "model.safetensors").values())
    assert hugging_face._described(bare.card) == {"outside_data": True}
    (folder / "README.md").write_text("---\nlicense: mit\ndatasets:\n- ann/DEAM\n- fma\n---\n# A model\n")
    stated = hugging_face._described(encoder.find_model(str(folder), None).card)
    assert stated["licence"] == "mit"
    assert stated["training_data"] == "ann/DEAM, fma"
    assert {"deam", "fma"} <= set(stated["collections"])
    # A card that cannot be read, or whose fields are of other types, says nothing.
    for text in ("---\nlicense: [\n---\n", "no fields", "---\ndatasets: 3\n---\n"):
        (folder / "README.md").write_text(text)
        assert "training_data" not in hugging_face._described(encoder.find_model(str(folder), None).card)
