"""Starting a program: no test here needs rights."""
