"""Scores versions on labelled rows: metrics with intervals, slices, and the facts by which the gate decides."""
