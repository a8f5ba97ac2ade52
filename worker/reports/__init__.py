"""The facts of a report: curves, confusion matrices, calibration, residuals and the importance of columns."""
