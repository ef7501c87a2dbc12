"""The functions behind ``import emobench``: thin, typed, and the same that the commands call."""
