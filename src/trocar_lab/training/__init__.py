"""Networks, augmentation and the training loop."""
