"""Live metrics: the true outcomes of prediction jobs, and the scores of versions by them."""
