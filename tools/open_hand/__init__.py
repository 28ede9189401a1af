"""Makes the open hand from anatomy: ``python -m tools.open_hand``.

In order: ``anthropometry`` and ``skeleton`` (bones), ``surface`` and ``flesh`` (skin as a distance
field), ``remesh`` (triangles), ``skinning``, ``correctives``, ``variation``, ``poses`` and
``appearance`` (what moves, varies and colours them), ``build`` (all of it). Nothing of this is
needed at run time.
"""
