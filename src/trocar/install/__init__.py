"""Installation of a release without a network: standard library and the system's OpenSSL only."""
