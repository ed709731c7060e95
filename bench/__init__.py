"""Workloads from a generator, and the comparison of connspect with tshark and tcptrace on them."""
