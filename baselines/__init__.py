"""Standard features of Table 2, one module per family; each maps audio to one vector per frame."""
