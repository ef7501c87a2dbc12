"""The standard features of Table 2, one file a family; each maps audio to one vector a frame."""
