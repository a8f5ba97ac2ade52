"""What belongs to single versions of a model, besides the aliases."""
