"""``python -m emobench``."""

from .cli import main

main()
