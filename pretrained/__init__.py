"""Models that were trained elsewhere: their weights, and their forward passes in torch."""
