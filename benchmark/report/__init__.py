"""Tables, leaderboards, comparisons and pages made from results."""
