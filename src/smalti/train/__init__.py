"""Training of networks: from a dataset and a budget to a fitted model."""
