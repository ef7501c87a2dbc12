"""Sound to arrays: decoding, spectra, harmonic/percussive separation, beats, beat-synchronous features."""
