"""Egress Sentinel and its rivals, each as a function from a case to alerts."""
