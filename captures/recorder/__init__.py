"""The recorder: network namespaces, real software, packets on one side and its own word on the other."""
