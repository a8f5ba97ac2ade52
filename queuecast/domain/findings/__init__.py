"""What a refusal says: how many findings it names, and which name was probably meant."""
