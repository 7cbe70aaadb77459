"""From trained weights to ONNX, with proof that both give the same answer."""
