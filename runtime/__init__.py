"""Executors, isolated processes, shards, Dask, progress bars, files and facts of the environment."""
