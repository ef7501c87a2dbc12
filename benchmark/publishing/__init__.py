"""Releases of datasets, models and leaderboards to the Hub."""
