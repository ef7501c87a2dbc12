"""Tasks, regressors, metrics, significance tests and leakage checks."""
