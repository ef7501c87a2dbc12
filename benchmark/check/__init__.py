"""Search for errors in datasets: recordings, songs, axes, scales, targets and splits."""
