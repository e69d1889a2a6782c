"""Speed, against what tutorials do: each module prints ratios of one run in which both gave the same answers."""
