"""How a challenger is made, and the reference that a version keeps of the rows of its fit."""
