"""What a table means, before any library reads it: gateway, workers and client give a table the same meaning.

Imports the domain and msgspec only, so that the gateway needs no numpy and the client no scikit-learn.
"""
