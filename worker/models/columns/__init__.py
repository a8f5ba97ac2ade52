"""The columns of the estimator's frame: their kinds and dtypes, their missing values, and the values encoders know."""
