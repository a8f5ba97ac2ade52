"""What a worker and a client with scikit-learn both know of estimators. Only the workers can rely on these modules."""
