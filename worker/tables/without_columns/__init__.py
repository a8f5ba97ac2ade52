"""Files of rows that have no columns of the signature: a text on each line, or objects with any keys."""
