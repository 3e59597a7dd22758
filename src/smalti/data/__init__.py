"""Datasets: opened, checked, compared, split, augmented, made up and fetched."""
