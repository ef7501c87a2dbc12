"""Readers of the corpora: from files as they are published to a :class:`~emobench.builders.corpus.LabelledCorpus`."""
