"""The page of a report: one HTML file with its styles and drawings, without scripts and without requests."""
