"""Features that are more than a function of a clip's samples; each module registers its own."""
