"""Both sides of a proxy: the same requests on both of its legs, and what it changed on the way."""
