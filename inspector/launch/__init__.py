"""Starting a program and knowing which connections are its own: processes, rights, cgroups; no packet is seen here."""
