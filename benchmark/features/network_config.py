"""Settings of networks. This module does not import torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ...audio.analysis import AnalysisConfig
from ...dbn.config import CONTRASTIVE, ContrastiveConfig, FinetuningConfig, PretrainingConfig
from ...dbn.domains import Domain
from ...errors import InputError

# Rectified layers diverge at the rate of sigmoid ones. On synthetic corpora of 24 and 96 clips, fits diverged at rates
# from 0.03 on; on the larger one, the error on the verification part was 0.0120 at 0.001, 0.0121 at 0.003 and 0.0128 at
# 0.01 (means of two folds, each from pre-trained and from random weights).
ENCODER_FINETUNING = FinetuningConfig(rate=0.001, epochs=100, patience=10)


@dataclass(frozen=True)
class NetworkConfig:
    """Settings of everything about networks.

    Attributes
    ----------
    analysis : AnalysisConfig
        From audio to beat-synchronous features.
    pretraining : PretrainingConfig
        Of the deep belief networks that are trained here.
    contrastive : ContrastiveConfig
        Of the contrastive encoders that are trained here.
    finetuning : FinetuningConfig
        Fine-tuning of deep belief networks in each fold.
    encoder_finetuning : FinetuningConfig
        Fine-tuning of contrastive encoders in each fold.
    carry_over : bool
        An ablation that leaks: each fold starts from the fine-tuned weights of the last one, not from the
        pre-trained ones, so clips that are tested in one fold were trained on in an earlier one.
    own_statistics : bool
        Whether inputs are normalised with mean and scale of the clips of the task, test clips included, rather than
        those of the pre-training set. Labels are not used.
    """

    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    contrastive: ContrastiveConfig = field(default_factory=ContrastiveConfig)
    finetuning: FinetuningConfig = field(default_factory=FinetuningConfig)
    encoder_finetuning: FinetuningConfig = ENCODER_FINETUNING
    carry_over: bool = False
    own_statistics: bool = False

    def of(self, name: str) -> tuple[Domain, PretrainingConfig | ContrastiveConfig]:
        """Return the input of a network and the settings of its pre-training."""
        if name == CONTRASTIVE:
            return Domain("texture", self.contrastive.window), self.contrastive
        return Domain(name, self.pretraining.window), self.pretraining

    def finetuning_of(self, name: str) -> FinetuningConfig:
        """Return the settings of the fine-tuning of a network."""
        return self.encoder_finetuning if name == CONTRASTIVE else self.finetuning


def network_config(
    *,
    seed: int = 0,
    layers: int | Sequence[int] | None = None,
    epochs: int | Sequence[int] | None = None,
    window: int = 4,
    updates: int | None = None,
    **changes: Any,
) -> NetworkConfig:
    """Make the settings of networks; those that are not given keep their defaults.

    ``seed`` and ``window`` are those of all networks, ``updates`` are those of contrastive encoders, and the others are
    those of deep belief networks.

    Raises
    ------
    InputError
        If a setting is invalid.
    """
    known = [each.name for each in fields(PretrainingConfig)]
    if unknown := [name for name in changes if name not in known]:
        raise InputError(f"`{unknown[0]}`: no such setting; expected one of {', '.join([*known, 'updates'])}.")
    for name, given in (("layers", layers), ("epochs", epochs)):
        if given is not None:
            changes[name] = (given,) if isinstance(given, int) else tuple(given)
    try:
        encoder = ContrastiveConfig(seed=seed, window=window)
        return NetworkConfig(
            pretraining=PretrainingConfig(seed=seed, window=window, **changes),
            contrastive=encoder if updates is None else replace(encoder, steps=updates),
            finetuning=FinetuningConfig(seed=seed),
            encoder_finetuning=replace(ENCODER_FINETUNING, seed=seed),
        )
    except ValueError as error:
        raise InputError(str(error)) from error
