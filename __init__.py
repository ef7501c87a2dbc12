"""emobench: a benchmark for music emotion recognition.

Datasets with album-aware folds, features learned with deep belief networks from beat-synchronous,
harmonic/percussive-separated audio, and their scores beside the standard features. It rebuilds
Schmidt and Kim, "Learning Rhythm and Melody Features with Deep Belief Networks", ISMIR 2013.

The folders are rooms on floors; a room imports only from the floors below it::

    cli                         commands: parse, call one function, print
    benchmark                   features by name, regression, metrics, results, tables
    builders  dbn  baselines    datasets, deep belief networks, standard features
    audio  cards                sound to arrays; plain data to cards, tables and pages
"""

from .errors import EmobenchError, InputError

__version__ = "0.1.0"

__all__ = ["EmobenchError", "InputError", "__version__"]
