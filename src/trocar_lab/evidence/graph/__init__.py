"""Needs: the metamodel, the directives in the source, and the graph of them."""
