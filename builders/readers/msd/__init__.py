"""Reader of the Million Song Dataset, and download of 7digital's previews."""
