"""Checks of a training's rows before the fit, and the reference that a version keeps for the checks of later files."""
