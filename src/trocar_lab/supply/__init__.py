"""Supply chain: locks, bill of materials, register of foreign software, known vulnerabilities."""
