"""The audit log: what ran, what was installed and what was refused, as a chain of records."""
