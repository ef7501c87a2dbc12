"""``python -m emobench``."""

from .cli.main import main

main()
