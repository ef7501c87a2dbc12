"""Features by name, regression, metrics, significance, runs, results and the tables of them."""
