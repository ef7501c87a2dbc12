"""Deep belief networks: domains (what a network sees), RBMs, greedy training, fine-tuning."""
