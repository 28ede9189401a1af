"""Makes the networks of the hand detector: ``python -m tools.hand_networks``."""
