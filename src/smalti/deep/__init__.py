"""Networks in plain torch: encoders, nets, and the heads that make planes of their features."""
