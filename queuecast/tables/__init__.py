"""The meaning of a table's cells, column names and JSON values, shared by the gateway, the workers and the client.

Imports the domain and msgspec only, so that the gateway needs no numpy and the client no scikit-learn.
"""
