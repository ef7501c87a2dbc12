"""Results on disk: reading, writing and verification."""
