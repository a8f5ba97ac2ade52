"""Files of rows that have no columns of the signature, such as a text on each line."""
