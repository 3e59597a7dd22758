"""Predictions scored against truth over whole datasets: every metric with its interval, slices, errors, a report."""
