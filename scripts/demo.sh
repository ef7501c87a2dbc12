#!/bin/sh
# The demo: synthetic data, the features' rows, the leaderboard. Arguments go to `emobench build-data`;
# the variable FEATURES, where it is set, names the features instead of the list here.
set -eu

emobench build-data "$@"
set --
for name in ${FEATURES:-mfcc chroma spectral_shape spectral_contrast ent rhythm pitch pitch2d rhythm+pitch \
    rhythm+pitch2d}; do
    set -- "$@" --features "$name"
done
emobench run "$@" --control
emobench leaderboard --format markdown --out results/
emobench leaderboard --format html --out results/
emobench leaderboard
