"""Tests of what the recorder's truth rests on; none needs root."""
