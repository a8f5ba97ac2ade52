"""Turns the rows and tables that a caller has into the bodies and files that the gateway takes."""
