"""How a challenger differs from a plain refit of the champion."""
