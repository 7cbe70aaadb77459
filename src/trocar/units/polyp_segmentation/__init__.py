"""Polyp segmentation: one colonoscopy frame in; one polyp mask, or the reason for none, out."""
