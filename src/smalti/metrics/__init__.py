"""Scores of one segmentation against another."""
