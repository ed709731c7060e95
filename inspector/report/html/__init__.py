"""The report as one HTML file: findings, a timeline of connections, distributions, and a table, without a network."""
