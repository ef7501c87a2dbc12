#!/bin/sh
# Run the demo: build synthetic data, score features, print the leaderboard. Arguments are passed to
# `emobench build-data`; the variable FEATURES, if set, names the features to score.
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
