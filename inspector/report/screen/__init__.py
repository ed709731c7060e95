"""The screen of `connspect live`: draws inspections as they grow, and never touches the engine.

Everything that Textual is not needed for (rows, words, order, widths) is in modules that do not import it.
"""
