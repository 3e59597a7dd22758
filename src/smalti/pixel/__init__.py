"""Methods that classify each pixel by what is around it: the features and the forest."""
