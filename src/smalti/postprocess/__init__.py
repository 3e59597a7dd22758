"""What happens to segments after a method has found them."""
