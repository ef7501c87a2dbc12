"""The command line: one module per command."""

from .main import app, main

__all__ = ["app", "main"]
