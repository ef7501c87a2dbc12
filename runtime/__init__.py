"""Executors, process isolation, shards, Dask, files and the environment."""
