"""Messages that leave the project: to people, and to archive systems; signed, delivered, listed. Plain Python.

Which facts are worth a message is decided elsewhere; how an event gets from a run to its receivers is decided here.
"""
