"""Sources of datasets, one module each.

The docstring of a module describes the corpus, its citation, licence and source, and is also the help text of its
subcommand. It defines ``Options`` and ``load`` and registers a
:class:`~emobench.protocols.Source`. It is imported whenever sources are listed, so it imports heavy packages and the
readers of :mod:`emobench.builders.readers` inside ``load`` only.
"""
