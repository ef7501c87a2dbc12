"""The folder of a pre-trained model.

This module does not import torch: the configuration and the hash of a model suffice to find finished results.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EmobenchError, InputError
from ..runtime.devices import torch_device
from ..runtime.files import digest, plain, read_json, replacing, sha256_file, write_json
from .config import CONTRASTIVE, ContrastiveConfig, PretrainingConfig
from .domains import Domain

if TYPE_CHECKING:
    from .network import Network

WEIGHTS = "weights.safetensors"
CONFIG = "config.json"
TRAINING = "training.json"


@dataclass(frozen=True)
class Model:
    """A pre-trained model.

    Attributes
    ----------
    folder : Path
        Folder of the model.
    domain : Domain
        Input of the network.
    config : dict
        Configuration that produced the model.
    sha256 : str
        SHA-256 of the file of weights.
    seconds : float
        Duration of the training.
    device : str
        Device of the weights, as :func:`.devices.torch_device` takes it.
    """

    folder: Path
    domain: Domain
    config: dict[str, Any]
    sha256: str
    seconds: float
    device: str = "cpu"

    @property
    def name(self) -> str:
        """Name of the feature: ``contrastive``, or the domain of a deep belief network."""
        return str(self.config.get("kind", self.domain.name))

    @cached_property
    def networks(self) -> Mapping[int, Network]:
        """Number of pre-training epochs to the network after them; 0 is the control, random weights.

        The weights are read when they are first used.

        Raises
        ------
        InputError
            If they are damaged or do not fit together.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        from .encoder import kind_of
        from .network import layers_in

        kind = kind_of(self.name)
        try:
            tensors = load_file(self.folder / WEIGHTS, device=str(torch_device(self.device)))
            layers, depth = layers_in(tensors), len(self.config["training"]["layers"])
            networks = {
                epochs: kind(
                    tensors["mean"], tensors["scale"], tuple(layers[epochs, number] for number in range(depth))
                )
                for epochs in sorted({epochs for epochs, _ in layers})
            }
            _check_shapes(networks)
        except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise _unreadable(self.folder, error) from error
        return networks


def model_folder(models: Path, domain: Domain, config: PretrainingConfig | ContrastiveConfig, data: str) -> Path:
    """Return the folder of the model of a domain with these settings, trained on data with this digest."""
    name = CONTRASTIVE if isinstance(config, ContrastiveConfig) else domain.name
    return models / f"{name}-{digest([domain, config, data])[:12]}"


def save_model(
    folder: Path,
    *,
    domain: Domain,
    config: Mapping[str, Any],
    networks: Mapping[int, Network],
    log: Mapping[str, Any],
) -> None:
    """Write the folder of a model; it is complete once the weights are there."""
    from .checkpoint import write_tensors
    from .network import layer_tensors

    first = next(iter(networks.values()))
    layers = {
        (epochs, number): layer for epochs, network in networks.items() for number, layer in enumerate(network.layers)
    }
    write_json(folder / TRAINING, plain(log))
    # Last, after the configuration, which contains their hash.
    with replacing(folder / WEIGHTS) as temporary:
        write_tensors(temporary, {"mean": first.mean, "scale": first.scale, **layer_tensors(layers)})
        write_json(folder / CONFIG, plain({"domain": domain, **config, "weights_sha256": sha256_file(temporary)}))


def _check_shapes(networks: Mapping[int, Network]) -> None:
    """Raise ValueError unless there is a network and the layers of each fit together."""
    if not networks:
        raise ValueError("contains no network")
    for epochs, network in networks.items():
        if not network.layers:
            raise ValueError("the configuration names no layers")
        width = network.mean.shape
        if network.scale.shape != width:
            raise ValueError(f"mean of shape {tuple(width)} and scale of shape {tuple(network.scale.shape)}")
        for number, layer in enumerate(network.layers):
            if layer.weight.shape != (*width, *layer.bias.shape):
                raise ValueError(f"layer {number} after {epochs} epochs does not fit the layer below it")
            width = layer.bias.shape


def _unreadable(folder: Path, error: Exception) -> InputError:
    return InputError(
        f"{folder}: unreadable model ({error}); remove the folder and train it again with 'emobench pretrain'."
    )


def read_model(folder: Path, *, device: str = "cpu") -> Model:
    """Read the folder of a model, and check the hash of the weights; these are read when they are first used.

    Raises
    ------
    InputError
        If there is no model, or a part of it is damaged.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{folder}: contains no model (no {WEIGHTS}); train one with 'emobench pretrain'.")
    try:
        config = read_json(folder / CONFIG, "model configuration")
        sha256 = sha256_file(path)
        if config["weights_sha256"] != sha256:
            raise InputError(f"{WEIGHTS} is damaged or was replaced: its SHA-256 is not the one in {CONFIG}")
        log = read_json(folder / TRAINING, "training log")
        logs = [log["updates"]] if config.get("kind") == CONTRASTIVE else log["rbms"].values()
        seconds = sum(part["seconds"] for each in logs for part in each)
        domain = Domain(**config["domain"])
    except (EmobenchError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _unreadable(folder, error) from error
    return Model(folder=folder, domain=domain, config=config, sha256=sha256, seconds=seconds, device=device)


def load_model(folder: Path, *, device: str = "cpu") -> Model:
    """Read the folder of a model as :func:`read_model` does, and its weights.

    Raises
    ------
    InputError
        If there is no model, or its parts are damaged or do not fit together.
    """
    model = read_model(folder, device=device)
    # Reading them checks them.
    assert model.networks
    return model
