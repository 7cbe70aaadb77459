"""Evidence: what a run of the tests writes, and what another machine sends."""
