"""Datasets: one file per source, and what sources share (targets, folds, quality filter, release)."""
