"""Decoding, spectra, harmonic/percussive separation, beat tracking and beat-synchronous features."""
