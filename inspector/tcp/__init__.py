"""TCP: from columns of segments to connections and their byte streams.

flow_table gives every segment its 4-tuple's slot; triage decides, without knowing any connection, which rows Python
must look at; walk tells connections those steps, the most regular ones at once (regular); a Connection keeps the life
of one connection and hands its bytes on in order; tracker and registry begin, number and retire connections.
"""
