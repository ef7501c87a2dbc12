"""Datasets: one file a source, and what the sources share (targets, folds, quality, release)."""
