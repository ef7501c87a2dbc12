"""Regressors from features to Gaussians; each module registers its own."""
