"""TCP: from columns of segments to connections and their byte streams.

flow_table gives every segment its 4-tuple's slot; triage decides, without knowing any connection, which rows Python
must look at; tracker walks those steps; a Connection keeps the life of one connection and hands its bytes on in order.
"""
