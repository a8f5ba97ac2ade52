"""Simulates retrainings whose truth is known, and counts the wrong and the right promotions of the gate."""
