"""Plain data in, cards, tables and pages out."""
