"""Methods that need no training: from a threshold to a random walker."""
