"""The meaning of a table, shared by gateway, workers and client.

Imports the domain and msgspec only, so that the gateway needs no numpy and the client no scikit-learn.
"""
