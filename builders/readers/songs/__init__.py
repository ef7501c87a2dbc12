"""Shared parts of the readers of corpora of numbered songs: DEAM, emoMusic and PMEmo."""
