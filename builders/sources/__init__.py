"""Sources of datasets, one module each.

A module opens with a docstring (what the corpus is, how to cite it, its licence, where to get it), which is also the
help text of its subcommand. It defines ``Options`` and ``load`` and registers a
:class:`~emobench.protocols.Source`. It is imported whenever sources are listed, so it imports heavy packages and the
readers of :mod:`emobench.builders.readers` inside ``load`` only.
"""
