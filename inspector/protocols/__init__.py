"""Protocols on a TCP connection: passive decoders behind one waist (decoder.py). Siblings never import each other."""
