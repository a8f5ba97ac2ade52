"""The outputs of jobs that are more than a JSON result: files of batches, reports, and outcomes."""
