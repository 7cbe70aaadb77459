"""What ran where: code, packages and platform, as evidence of any kind records them."""
