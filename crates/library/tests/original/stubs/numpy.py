"""Only imported by what the test runs."""
