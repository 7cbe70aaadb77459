"""OpenIGTLink: a codec without sockets, and the connections that use it.

The codec follows the specification of OpenIGTLink protocol 3, with headers of version 1 and 2. It
reads nothing and writes nothing: bytes in, message or ``ProtocolError`` out.
"""
